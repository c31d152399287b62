// One consumer group: members, lag of each partition, and moving its offsets.
import { useMemo, useRef, useState } from "preact/hooks";
import { Chart } from "../components/chart.tsx";
import { Button, Card, Confirm, DataTable, Empty, Failure, Field, FormDialog, Loading, Notice, Page, Status, Tiles, toast } from "../components/parts.tsx";
import { post, remove, url, useResource } from "../lib/api.ts";
import { count, plural, rate, short } from "../lib/format.ts";
import { go, href } from "../lib/router.ts";
import type { GroupDetail, GroupOffset } from "../lib/types.ts";

const EVERY_MS = 2000;
const POINTS_MAX = 300;

/** Total lag since the page was opened. */
function useLagTrail(group: GroupDetail | undefined): { times: number[]; lag: number[] } {
  const trail = useRef({ times: [] as number[], lag: [] as number[], seen: undefined as GroupDetail | undefined });
  if (group && trail.current.seen !== group) {
    const { times, lag } = trail.current;
    const now = group.offsets.reduce((sum, o) => sum + (o.lag ?? 0), 0);
    trail.current = { times: [...times, Date.now()].slice(-POINTS_MAX), lag: [...lag, now].slice(-POINTS_MAX), seen: group };
  }
  return trail.current;
}

export function GroupPage({ name }: { name: string }) {
  const [open, setOpen] = useState<"reset" | "delete">();
  // A group that is being deleted is not looked for again.
  const group = useResource<GroupDetail>(url`/api/v1/groups/${name}`, open === "delete" ? undefined : EVERY_MS);
  const trail = useLagTrail(group.data);
  const series = useMemo(() => [{ label: "Lag", color: 1 as const, values: trail.lag, fill: true }], [trail.lag]);
  const crumb = <><a href="#/groups">Consumer groups</a> / </>;
  if (!group.data) return <Page title={name} crumb={crumb}>{group.error ? <Failure error={group.error} /> : <Card><Loading /></Card>}</Page>;
  const { data } = group;
  const lag = data.offsets.reduce((sum, o) => sum + (o.lag ?? 0), 0);
  const active = data.members.length > 0;
  const first = trail.lag[0] ?? 0;
  const seconds = ((trail.times.at(-1) ?? 0) - (trail.times[0] ?? 0)) / 1000;
  const trend = seconds > 5 ? (lag - first) / seconds : undefined;
  const largest = Math.max(1, ...data.offsets.map((o) => o.lag ?? 0));
  return (
    <Page title={name} crumb={crumb} badge={<Status state={data.state} />} actions={
      <>
        <Button icon="rewind" onClick={() => setOpen("reset")}>Reset offsets</Button>
        <Button kind="danger" icon="trash" onClick={() => setOpen("delete")}>Delete group</Button>
      </>
    }>
      <Failure error={group.error} />
      <Tiles small tiles={[
        { label: "Lag", value: count(lag), note: trend === undefined ? undefined : trend > 0.5 ? <span class="warn">growing by {rate(trend)}</span> : trend < -0.5 ? `shrinking by ${rate(-trend)}` : "steady" },
        { label: "Members", value: count(data.members.length) },
        { label: "Partitions", value: count(data.offsets.length) },
        { label: "Type", value: data.type },
        { label: "Assignor", value: data.assignor || "–" },
      ]} />
      <Card title="Lag since this page was opened"><Chart times={trail.times} series={series} format={short} label="Lag of the group" height={150} /></Card>
      <Card title="Offsets">
        {!data.offsets.length ? <Empty icon="topics" title="Nothing committed yet" /> : <DataTable label="Offsets" rows={data.offsets} rowKey={(o) => `${o.topic}/${o.partition}`} sort="topic" columns={[
          { id: "topic", label: "Topic", sort: (o) => `${o.topic} ${o.partition}`, cell: (o) => <a class="name" href={href("topics", o.topic)}>{o.topic}</a> },
          { id: "partition", label: "Partition", right: true, sort: (o) => o.partition, cell: (o) => o.partition },
          { id: "committed", label: "Committed", right: true, sort: (o) => o.committed ?? -1, cell: (o) => count(o.committed) },
          { id: "end", label: "End", right: true, sort: (o) => o.end, cell: (o) => count(o.end) },
          { id: "lag", label: "Lag", right: true, sort: (o) => o.lag ?? -1, cell: (o) => <div class="lag-bar"><div class="bar"><span class="fill" style={{ width: `${(100 * (o.lag ?? 0)) / largest}%` }} /></div>{count(o.lag)}</div> },
          { id: "member", label: "Member", sort: (o) => o.member ?? "", cell: (o) => <span class="mono small soft">{o.member ?? "–"}</span> },
        ]} />}
      </Card>
      <Card title="Members">
        {!active ? <Empty icon="groups" title="No active member"><p>Offsets stay until they expire.</p></Empty> : <DataTable label="Members" rows={data.members} rowKey={(m) => m.id} sort="client" columns={[
          { id: "client", label: "Client", sort: (m) => m.client_id, cell: (m) => <><span class="name">{m.client_id}</span><div class="faint small mono">{m.id}</div></> },
          { id: "host", label: "Host", sort: (m) => m.host, cell: (m) => <span class="mono">{m.host}</span> },
          { id: "instance", label: "Instance", cell: (m) => m.instance_id ?? "–" },
          { id: "partitions", label: "Partitions", right: true, sort: (m) => m.partitions.length, cell: (m) => <span title={m.partitions.map((p) => `${p.topic}-${p.partition}`).join(", ")}>{count(m.partitions.length)}</span> },
        ]} />}
      </Card>
      {open === "reset" && <Reset group={data} onClose={() => setOpen(undefined)} reload={group.reload} />}
      {open === "delete" && <Confirm title="Delete the group" action="Delete group" typed={name} text={<p>The committed offsets of <b>{name}</b> are deleted.{active && <b class="bad"> It has active members, so the broker will refuse.</b>}</p>} onClose={() => setOpen(undefined)} onConfirm={async () => { await remove(url`/api/v1/groups/${name}`); toast(`Group ${name} deleted`); go("#/groups"); }} />}
    </Page>
  );
}

interface Plan { offsets: { topic: string; partition: number; from: number | null; to: number }[]; applied: boolean }

function Reset({ group, onClose, reload }: { group: GroupDetail; onClose: () => void; reload: () => void }) {
  const topics = [...new Set(group.offsets.map((o) => o.topic))].sort();
  const [topic, setTopic] = useState("");
  const [to, setTo] = useState("earliest");
  const [value, setValue] = useState("");
  const [plan, setPlan] = useState<Plan>();
  const change = (apply: () => void) => { apply(); setPlan(undefined); };
  const body = (dry: boolean) => ({ topic: topic || null, to, value: to === "timestamp" ? new Date(value).getTime() : value === "" ? null : Number(value), dry_run: dry });
  const submit = async () => {
    if (!plan) {
      setPlan(await post<Plan>(url`/api/v1/groups/${group.group}/reset`, body(true)));
      return;
    }
    const done = await post<Plan>(url`/api/v1/groups/${group.group}/reset`, body(false));
    toast(`${plural(done.offsets.length, "offset")} moved`);
    reload();
    onClose();
  };
  const moved = (o: Plan["offsets"][number]) => o.to - (o.from ?? 0);
  return (
    <FormDialog title={`Reset offsets of ${group.group}`} submit={plan ? "Move offsets" : "Preview"} danger={Boolean(plan)} wide onClose={onClose} onSubmit={submit}>
      {group.members.length > 0 && <Notice tone="warn">The group has active members. Stop its consumers first: the broker refuses while they are there.</Notice>}
      <div class="form-row">
        <Field label="Topic"><select class="input" value={topic} onChange={(e) => change(() => setTopic(e.currentTarget.value))}><option value="">All topics</option>{topics.map((t) => <option key={t}>{t}</option>)}</select></Field>
        <Field label="Move to"><select class="input" value={to} onChange={(e) => change(() => { setTo(e.currentTarget.value); setValue(""); })}><option value="earliest">Earliest</option><option value="latest">Latest</option><option value="offset">Offset</option><option value="shift">Shift by</option><option value="timestamp">Time</option></select></Field>
        {(to === "offset" || to === "shift") && <Field label={to === "offset" ? "Offset" : "Records"}><input class="input mono" type="number" required value={value} onInput={(e) => change(() => setValue(e.currentTarget.value))} /></Field>}
        {to === "timestamp" && <Field label="Time"><input class="input" type="datetime-local" step="1" required value={value} onInput={(e) => change(() => setValue(e.currentTarget.value))} /></Field>}
      </div>
      {plan && <DataTable<Plan["offsets"][number] & Partial<GroupOffset>> label="Preview of the new offsets" rows={plan.offsets} rowKey={(o) => `${o.topic}/${o.partition}`} columns={[
        { id: "topic", label: "Topic", cell: (o) => o.topic },
        { id: "partition", label: "Partition", right: true, cell: (o) => o.partition },
        { id: "from", label: "Now", right: true, cell: (o) => count(o.from) },
        { id: "to", label: "New", right: true, cell: (o) => count(o.to) },
        { id: "change", label: "Change", right: true, cell: (o) => (moved(o) > 0 ? `+${count(moved(o))}` : count(moved(o))) },
      ]} />}
    </FormDialog>
  );
}
