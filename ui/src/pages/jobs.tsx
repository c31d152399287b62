// All jobs with their state; running ones first.
import { useState } from "preact/hooks";
import { Card, DataTable, Empty, Failure, Loading, Page, Search, Segments, Status } from "../components/parts.tsx";
import { useResource } from "../lib/api.ts";
import { count, duration, time } from "../lib/format.ts";
import { href } from "../lib/router.ts";
import type { JobSummary } from "../lib/types.ts";

const ENDED = new Set(["FINISHED", "CANCELED", "FAILED"]);

export function JobsPage() {
  const jobs = useResource<{ jobs: JobSummary[] }>("/jobs/overview", 2000);
  const [text, setText] = useState("");
  const [shown, setShown] = useState<"all" | "running" | "ended">("all");
  const all = jobs.data?.jobs ?? [];
  const rows = all.filter((j) => (shown === "all" || ENDED.has(j.state) === (shown === "ended")) && (j.name.toLowerCase().includes(text.toLowerCase()) || j.jid.startsWith(text)));
  return (
    <Page title="Jobs" actions={<a class="button primary" href="#/sql">New job in SQL</a>}>
      <Failure error={jobs.error} />
      <div class="row">
        <Search value={text} onInput={setText} label="Filter by name or id" />
        <Segments value={shown} onChange={setShown} label="Which jobs" options={[["all", `All ${all.length}`], ["running", "Active"], ["ended", "Ended"]]} />
      </div>
      <Card>
        {jobs.loading ? <Loading /> : !rows.length
          ? <Empty icon="jobs" title={all.length ? "No job matches" : "No jobs yet"}><p>A job is an INSERT that runs: start one in the <a href="#/sql">SQL editor</a> or with <code>millstream run --detach</code>.</p></Empty>
          : <DataTable label="Jobs" rows={rows} rowKey={(j) => j.jid} link={(j) => href("jobs", j.jid)} sort="start" descending columns={[
              { id: "name", label: "Name", sort: (j) => j.name, cell: (j) => <><a class="name" href={href("jobs", j.jid)}>{j.name}</a><div class="faint small mono">{j.jid}</div></> },
              { id: "state", label: "State", sort: (j) => j.state, cell: (j) => <Status state={j.state} /> },
              { id: "tasks", label: "Tasks", right: true, sort: (j) => j.tasks.total ?? 0, cell: (j) => `${count(j.tasks.running ?? 0)} / ${count(j.tasks.total ?? 0)}` },
              { id: "start", label: "Started", right: true, sort: (j) => j["start-time"], cell: (j) => time(j["start-time"]) },
              { id: "duration", label: "Duration", right: true, sort: (j) => j.duration, cell: (j) => duration(j.duration) },
              { id: "end", label: "Ended", right: true, sort: (j) => j["end-time"], cell: (j) => time(j["end-time"]) },
            ]} />}
      </Card>
    </Page>
  );
}
