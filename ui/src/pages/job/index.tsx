// One job: its graph, checkpoints, exceptions, configuration, and what can be done with it.
import { useState } from "preact/hooks";
import { attempt, Button, Card, Confirm, Copy, Failure, Field, FormDialog, Loading, Page, Status, Tabs, Tiles, toast } from "../../components/parts.tsx";
import { ApiError, get, patch, post, url, useResource } from "../../lib/api.ts";
import { duration, plural, rate, time } from "../../lib/format.ts";
import { useRates } from "../../lib/rates.ts";
import { href } from "../../lib/router.ts";
import type { Checkpoints, JobDetail } from "../../lib/types.ts";
import { CheckpointsTab } from "./checkpoints.tsx";
import { ConfigurationTab } from "./configuration.tsx";
import { ExceptionsTab } from "./exceptions.tsx";
import { GraphTab } from "./graph.tsx";

const ENDED = new Set(["FINISHED", "CANCELED", "FAILED"]);
const POLL_MS = 300;
const POLLS_MAX = 400;

interface Trigger { status: { id: string }; operation?: { location?: string; "failure-cause"?: { class?: string; "stack-trace"?: string } } }

/** Waits for an asynchronous operation of Flink's REST API; gives the location of the savepoint. */
async function finished(job: string, request: string): Promise<string> {
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    const { status, operation } = await get<Trigger>(url`/jobs/${job}/savepoints/${request}`);
    if (status.id === "COMPLETED") {
      const failure = operation?.["failure-cause"];
      if (failure) throw new ApiError(500, failure["stack-trace"]?.split("\n")[0] ?? failure.class ?? "the savepoint failed");
      return operation?.location ?? "";
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  throw new ApiError(504, "the operation goes on, but takes longer than two minutes");
}

function Actions({ job, reload }: { job: JobDetail; reload: () => void }) {
  const [open, setOpen] = useState<"stop" | "cancel" | "savepoint">();
  const [target, setTarget] = useState("");
  const [drain, setDrain] = useState(false);
  const [busy, setBusy] = useState(false);
  if (ENDED.has(job.state)) return null;
  const close = () => setOpen(undefined);
  const directory = target.trim() || undefined;
  const checkpoint = async () => {
    setBusy(true);
    await attempt(() => post(url`/jobs/${job.jid}/checkpoints`, {}), "Checkpoint triggered");
    setBusy(false);
    reload();
  };
  const savepoint = async () => {
    const { "request-id": request } = await post<{ "request-id": string }>(url`/jobs/${job.jid}/savepoints`, { "cancel-job": false, "target-directory": directory });
    toast(`Savepoint written to ${await finished(job.jid, request)}`);
    close();
  };
  const stop = async () => {
    const { "request-id": request } = await post<{ "request-id": string }>(url`/jobs/${job.jid}/stop`, { drain, targetDirectory: directory });
    toast(`Stopped with the savepoint ${await finished(job.jid, request)}`);
    close();
    reload();
  };
  const cancel = async () => {
    await patch(`${url`/jobs/${job.jid}`}?mode=cancel`);
    toast("Cancelling the job");
    close();
    reload();
  };
  const directoryField = (
    <Field label="Target directory" hint="Empty: the configured directory for savepoints.">
      <input class="input mono" value={target} onInput={(e) => setTarget(e.currentTarget.value)} placeholder="savepoints" />
    </Field>
  );
  return (
    <>
      <Button onClick={checkpoint} busy={busy}>Checkpoint</Button>
      <Button icon="save" onClick={() => setOpen("savepoint")}>Savepoint</Button>
      <Button icon="stop" onClick={() => setOpen("stop")}>Stop</Button>
      <Button kind="danger" icon="close" onClick={() => setOpen("cancel")}>Cancel</Button>
      {open === "savepoint" && <FormDialog title="Take a savepoint" submit="Take savepoint" onClose={close} onSubmit={savepoint}><p class="soft">The job goes on. A savepoint is a checkpoint that is yours: it stays until you delete it.</p>{directoryField}</FormDialog>}
      {open === "stop" && (
        <FormDialog title="Stop the job with a savepoint" submit="Stop job" onClose={close} onSubmit={stop}>
          <p class="soft">Sources stop, a savepoint is taken, sinks commit, the job ends as FINISHED. It can be started again from there.</p>
          {directoryField}
          <label class="check"><input type="checkbox" checked={drain} onChange={(e) => setDrain(e.currentTarget.checked)} />Drain: fire all windows and timers first. The job cannot be resumed after that.</label>
        </FormDialog>
      )}
      {open === "cancel" && <Confirm title="Cancel the job" action="Cancel job" onClose={close} onConfirm={cancel} text={<p>The job <b>{job.name}</b> ends at once, without a savepoint. What it wrote since the last checkpoint is not committed.</p>} />}
    </>
  );
}

export function JobPage({ id, tab }: { id: string; tab: string }) {
  const job = useResource<JobDetail>(url`/jobs/${id}`, 1000);
  const checkpoints = useResource<Checkpoints>(url`/jobs/${id}/checkpoints`, 3000);
  const rates = useRates(job.data);
  const crumb = <><a href="#/jobs">Jobs</a> / </>;
  if (!job.data) return <Page title="Job" crumb={crumb}>{job.error ? <Failure error={job.error} /> : <Card><Loading /></Card>}</Page>;
  const detail = job.data;
  const sources = new Set(detail.plan.nodes.filter((n) => !n.inputs?.length).map((n) => n.id));
  const fed = new Set(detail.plan.nodes.flatMap((n) => n.inputs?.map((i) => i.id) ?? []));
  const sum = (ids: (id: string) => boolean, of: (r: { recordsIn: number; recordsOut: number }) => number) =>
    [...rates].filter(([vertex]) => ids(vertex)).reduce((total, [, r]) => total + of(r), 0);
  const latest = checkpoints.data?.latest.completed;
  const ended = ENDED.has(detail.state);
  const tabs = [
    { id: "graph", label: "Graph", href: href("jobs", id) },
    { id: "checkpoints", label: "Checkpoints", href: href("jobs", id, "checkpoints") },
    { id: "exceptions", label: "Exceptions", href: href("jobs", id, "exceptions") },
    { id: "configuration", label: "Configuration", href: href("jobs", id, "configuration") },
  ];
  return (
    <Page title={detail.name} crumb={crumb} badge={<Status state={detail.state} />} note={<span><Copy text={detail.jid} /></span>} actions={<Actions job={detail} reload={job.reload} />}>
      <Failure error={job.error} />
      <Tiles small tiles={[
        { label: "Started", value: time(detail["start-time"]).slice(5), title: time(detail["start-time"], true) },
        { label: ended ? "Ran for" : "Running for", value: duration(detail.duration) },
        { label: "Records in", value: ended ? "–" : rate(sum((v) => sources.has(v), (r) => Math.max(r.recordsIn, r.recordsOut))) },
        { label: "Records out", value: ended ? "–" : rate(sum((v) => !fed.has(v), (r) => Math.max(r.recordsOut, r.recordsIn))) },
        { label: "Last checkpoint", value: latest ? `#${latest.id}, ${duration(latest.end_to_end_duration)}` : "none", title: latest ? time(latest.latest_ack_timestamp) : undefined },
        { label: "Restored", value: plural(checkpoints.data?.counts.restored ?? 0, "time") },
      ]} />
      <Tabs tabs={tabs} current={tab} label="Views of the job" />
      {tab === "graph" && <GraphTab job={detail} rates={rates} />}
      {tab === "checkpoints" && <CheckpointsTab job={detail} checkpoints={checkpoints} />}
      {tab === "exceptions" && <ExceptionsTab id={id} />}
      {tab === "configuration" && <ConfigurationTab id={id} />}
    </Page>
  );
}
