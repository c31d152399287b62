// The first page: what runs, how fast, what it costs, what went wrong.
import { useMemo } from "preact/hooks";
import { Chart } from "../components/chart.tsx";
import { Badge, Card, Copy, DataTable, Empty, Failure, Loading, Page, Status, Tiles } from "../components/parts.tsx";
import { useResource } from "../lib/api.ts";
import { ago, byteRate, bytes, count, duration, percent, plural, rate, short, time } from "../lib/format.ts";
import { connection } from "../lib/live.ts";
import { href } from "../lib/router.ts";
import type { JobSummary, Overview, TopicRow } from "../lib/types.ts";

const FAILED = new Set(["FAILED", "FAILING", "RESTARTING"]);

export function OverviewPage() {
  const overview = useResource<Overview>("/api/v1/overview", 5000);
  const jobs = useResource<{ jobs: JobSummary[] }>("/jobs/overview", 2000);
  const topics = useResource<{ topics: TopicRow[] }>("/api/v1/topics", 10_000);
  const tick = connection.tick.value;
  const { data } = overview;
  const history = data?.history;
  const jobSeries = useMemo(() => [
    { label: "Records in", color: 1 as const, values: history?.in ?? [], fill: true },
    { label: "Records out", color: 2 as const, values: history?.out ?? [] },
  ], [history]);
  const brokerSeries = useMemo(() => [
    { label: "Bytes in", color: 1 as const, values: history?.broker_in ?? [], fill: true },
    { label: "Bytes out", color: 2 as const, values: history?.broker_out ?? [] },
  ], [history]);
  if (!data) return <Page title="Overview">{overview.error ? <Failure error={overview.error} /> : <Card><Loading /></Card>}</Page>;

  const list = jobs.data?.jobs ?? [];
  const running = list.filter((j) => j.state === "RUNNING");
  const troubled = list.filter((j) => FAILED.has(j.state));
  const ended = list.filter((j) => j["end-time"] > 0).length;
  return (
    <Page title="Overview" note={<p class="soft">Up for {duration(data.now - data.started_ms)} · Kafka at <span class="mono">{data.bootstrap.join(", ") || "–"}</span> · data in <span class="mono">{data.data_dir}</span></p>}>
      <Tiles tiles={[
        { label: "Running jobs", value: count(running.length), note: troubled.length ? <span class="bad">{troubled.length} failed or restarting</span> : `${ended} ended` },
        { label: "Records in", value: rate(tick?.job_records_in), note: "read by all jobs" },
        { label: "Records out", value: rate(tick?.job_records_out), note: "written by all jobs" },
        { label: "Broker in", value: byteRate(tick?.broker_bytes_in), note: `out ${byteRate(tick?.broker_bytes_out)}` },
        { label: "Data", value: bytes(data.broker.bytes), note: `${plural(data.broker.topics, "topic")}, ${plural(data.broker.partitions, "partition")}` },
        { label: "Memory", value: bytes(tick?.rss ?? data.memory.rss), note: data.memory.limit ? `of ${bytes(data.memory.limit)} · CPU ${percent(tick?.cpu)}` : `CPU ${percent(tick?.cpu)}` },
      ]} />
      <div class="grid-2">
        <Card title="Records through jobs, last hour"><Chart times={history!.t} series={jobSeries} format={rate} label="Records a second through jobs" /></Card>
        <Card title="Bytes through the broker, last hour"><Chart times={history!.t} series={brokerSeries} format={byteRate} label="Bytes a second through the broker" /></Card>
      </div>
      <div class="grid-2">
        <Card title="Jobs" actions={<a href="#/jobs">All jobs</a>}>
          {!list.length
            ? <Empty icon="jobs" title="No job has been started yet"><p>Write an INSERT in the <a href="#/sql">SQL editor</a>, or run a script with <code>millstream run --detach job.sql</code>.</p></Empty>
            : <DataTable label="Newest jobs" rows={[...troubled, ...list.filter((j) => !troubled.includes(j)).sort((a, b) => b["start-time"] - a["start-time"])].slice(0, 7)} rowKey={(j) => j.jid} link={(j) => href("jobs", j.jid)} columns={[
                { id: "name", label: "Name", cell: (j) => <a class="name" href={href("jobs", j.jid)}>{j.name}</a> },
                { id: "state", label: "State", cell: (j) => <Status state={j.state} /> },
                { id: "started", label: "Started", right: true, cell: (j) => <span title={time(j["start-time"])}>{ago(j["start-time"], data.now)}</span> },
              ]} />}
        </Card>
        <Card title="Largest topics" actions={<a href="#/topics">All topics</a>}>
          {!topics.data?.topics.length
            ? <Empty icon="topics" title="No topics yet"><p>A job with a Kafka sink creates its topic; so does <a href="#/topics">Create topic</a>.</p></Empty>
            : <DataTable label="Largest topics" rows={[...topics.data.topics].filter((t) => !t.internal).sort((a, b) => b.bytes - a.bytes).slice(0, 7)} rowKey={(t) => t.name} link={(t) => href("topics", t.name)} columns={[
                { id: "name", label: "Name", cell: (t) => <a class="name" href={href("topics", t.name)}>{t.name}</a> },
                { id: "partitions", label: "Partitions", right: true, cell: (t) => t.partitions },
                { id: "records", label: "Records", right: true, cell: (t) => short(t.records) },
                { id: "bytes", label: "Size", right: true, cell: (t) => bytes(t.bytes) },
              ]} />}
        </Card>
      </div>
      <Card title="Connect">
        <div class="body"><dl class="pairs">
          <dt>Kafka clients</dt><dd>{data.bootstrap.map((b) => <Copy key={b} text={b} />)}</dd>
          <dt>Connections</dt><dd>{count(data.broker.connections)} <Badge>{plural(data.broker.groups, "group")}</Badge></dd>
          <dt>Flink tools</dt><dd><Copy text={`flink list -m ${location.host}`} /></dd>
        </dl></div>
      </Card>
    </Page>
  );
}
