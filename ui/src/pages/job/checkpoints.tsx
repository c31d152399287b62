// Checkpoints of a job: counts, history, what each operator's state weighs.
import { useState } from "preact/hooks";
import { Card, DataTable, Empty, Failure, Loading, Notice, Status, Tiles, Badge } from "../../components/parts.tsx";
import { url, useResource, type Resource } from "../../lib/api.ts";
import { bytes, count, duration, plural, time } from "../../lib/format.ts";
import { plainName } from "../../lib/plan.ts";
import type { Checkpoint, Checkpoints, JobDetail, Summary } from "../../lib/types.ts";

const ROWS: [string, string, (v: number) => string][] = [
  ["end_to_end_duration", "Duration", duration],
  ["checkpointed_size", "Written", bytes],
  ["state_size", "Whole state", bytes],
];

export function CheckpointsTab({ job, checkpoints }: { job: JobDetail; checkpoints: Resource<Checkpoints> }) {
  const [open, setOpen] = useState<number>();
  const config = useResource<Record<string, unknown>>(url`/jobs/${job.jid}/checkpoints/config`);
  const { data } = checkpoints;
  if (!data) return checkpoints.error ? <Failure error={checkpoints.error} /> : <Card><Loading /></Card>;
  const { counts, latest, history, summary } = data;
  const widest = Math.max(1, ...history.map((c) => c.end_to_end_duration));
  return (
    <div class="stack">
      <Tiles small tiles={[
        { label: "Completed", value: count(counts.completed) },
        { label: "Failed", value: <span class={counts.failed ? "bad" : ""}>{count(counts.failed)}</span> },
        { label: "In progress", value: count(counts.in_progress) },
        { label: "Restored", value: count(counts.restored), note: latest.restored ? `from #${latest.restored.id}` : undefined },
        { label: "Latest", value: latest.completed ? `#${latest.completed.id}` : "–", note: latest.completed ? time(latest.completed.latest_ack_timestamp) : undefined },
        { label: "State", value: bytes(latest.completed?.state_size) },
      ]} />
      {latest.failed && <Notice tone="warn">Checkpoint #{latest.failed.id} failed at {time(latest.failed.failure_timestamp ?? latest.failed.trigger_timestamp)}: {latest.failed.failure_message ?? "no reason was given"}</Notice>}
      <Card title="History">
        {!history.length ? <Empty icon="history" title="No checkpoint yet"><p>The first one comes one interval after the start.</p></Empty> : (
          <DataTable label="Checkpoints" rows={history} rowKey={(c) => String(c.id)} sort="id" descending columns={[
            { id: "id", label: "Id", sort: (c) => c.id, cell: (c) => <button type="button" class="copy nowrap" style={{ color: "var(--accent)" }} aria-expanded={open === c.id} onClick={() => setOpen(open === c.id ? undefined : c.id)}>#{c.id}</button> },
            { id: "status", label: "State", cell: (c) => <span class="row"><Status state={c.status} />{c.is_savepoint && <Badge tone="accent">savepoint</Badge>}</span> },
            { id: "time", label: "Triggered", sort: (c) => c.trigger_timestamp, cell: (c) => time(c.trigger_timestamp, true) },
            { id: "duration", label: "Duration", right: true, sort: (c) => c.end_to_end_duration, cell: (c) => <div class="lag-bar"><div class="bar"><span class="fill" style={{ width: `${(100 * c.end_to_end_duration) / widest}%` }} /></div>{duration(c.end_to_end_duration)}</div> },
            { id: "written", label: "Written", right: true, sort: (c) => c.checkpointed_size, cell: (c) => bytes(c.checkpointed_size) },
            { id: "state", label: "Whole state", right: true, sort: (c) => c.state_size, cell: (c) => bytes(c.state_size) },
            { id: "ack", label: "Acknowledged", right: true, cell: (c) => `${c.num_acknowledged_subtasks} / ${c.num_subtasks}` },
          ]} />
        )}
      </Card>
      {open !== undefined && <Details job={job} id={open} />}
      <div class="grid-2">
        <Card title="Summary"><Summaries summary={summary} /></Card>
        <Card title="Configuration"><div class="body">
          <Failure error={config.error} />
          <dl class="pairs">{Object.entries(config.data ?? {}).filter(([, v]) => typeof v !== "object").map(([key, value]) => [<dt key={key}>{key.replace(/_/g, " ")}</dt>, <dd key={`${key}v`}>{/interval|timeout|pause/.test(key) && typeof value === "number" ? duration(value) : String(value)}</dd>])}</dl>
        </div></Card>
      </div>
    </div>
  );
}

function Summaries({ summary }: { summary: Record<string, Summary> }) {
  const cells: (keyof Summary)[] = ["min", "avg", "p50", "p99", "max"];
  const rows = ROWS.filter(([key]) => summary[key]);
  return (
    <DataTable label="Summary of checkpoints" rows={rows} rowKey={([key]) => key} columns={[
      { id: "what", label: "", cell: ([, label]) => label },
      ...cells.map((cell) => ({ id: cell, label: cell, right: true, cell: ([key, , format]: (typeof ROWS)[number]) => format(Number(summary[key]![cell] ?? Number.NaN)) })),
    ]} />
  );
}

function Details({ job, id }: { job: JobDetail; id: number }) {
  const detail = useResource<Checkpoint>(url`/jobs/${job.jid}/checkpoints/details/${id}`);
  const names = new Map(job.vertices.map((v) => [v.id, plainName(v.name)]));
  const tasks = Object.entries(detail.data?.tasks ?? {});
  const total = Math.max(1, ...tasks.map(([, t]) => t.state_size));
  return (
    <Card title={`Checkpoint #${id}`}>
      {detail.error ? <div class="body"><Failure error={detail.error} /></div> : !detail.data ? <Loading lines={2} /> : (
        <>
          <div class="body"><dl class="pairs">
            <dt>Type</dt><dd>{detail.data.checkpoint_type?.toLowerCase()}</dd>
            <dt>Path</dt><dd class="mono">{detail.data.external_path ?? "–"}</dd>
            {detail.data.failure_message && <><dt>Failure</dt><dd class="bad">{detail.data.failure_message}</dd></>}
            {tasks.length > 0 && <><dt>Operators</dt><dd>{plural(tasks.length, "operator")}</dd></>}
          </dl></div>
          {tasks.length > 0 && <DataTable label="State of each operator" rows={tasks} rowKey={([key]) => key} columns={[
            { id: "name", label: "Operator", cell: ([key]) => names.get(key) ?? key },
            { id: "size", label: "State", right: true, sort: ([, t]) => t.state_size, cell: ([, t]) => <div class="lag-bar"><div class="bar"><span class="fill" style={{ width: `${(100 * t.state_size) / total}%` }} /></div>{bytes(t.state_size)}</div> },
            { id: "duration", label: "Duration", right: true, cell: ([, t]) => duration(t.end_to_end_duration) },
          ]} />}
        </>
      )}
    </Card>
  );
}
