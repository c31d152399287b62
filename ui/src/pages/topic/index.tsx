// One topic: messages, partitions, consumers, configuration.
import { useState } from "preact/hooks";
import { Badge, Button, Card, Confirm, DataTable, Empty, Failure, Field, FormDialog, Loading, Page, Tabs, Tiles, toast } from "../../components/parts.tsx";
import { post, remove, url, useResource } from "../../lib/api.ts";
import { bytes, count, plural, short } from "../../lib/format.ts";
import { go, href } from "../../lib/router.ts";
import type { TopicDetail } from "../../lib/types.ts";
import { ConfigTab } from "./config.tsx";
import { MessagesTab } from "./messages.tsx";
import { Produce } from "./produce.tsx";

const EVERY_MS = 4000;
type Open = "produce" | "delete" | "purge" | "partitions";

export function TopicPage({ name, tab }: { name: string; tab: string }) {
  const [open, setOpen] = useState<Open>();
  // A topic that is being deleted is not looked for again.
  const topic = useResource<TopicDetail>(url`/api/v1/topics/${name}`, open === "delete" ? undefined : EVERY_MS);
  const [written, setWritten] = useState(0);
  const close = () => setOpen(undefined);
  const crumb = <><a href="#/topics">Topics</a> / </>;
  if (!topic.data) return <Page title={name} crumb={crumb}>{topic.error ? <Failure error={topic.error} /> : <Card><Loading /></Card>}</Page>;
  const detail = topic.data;
  const config = (key: string) => detail.configs.find((c) => c.name === key)?.value ?? "–";
  const records = detail.partitions.reduce((sum, p) => sum + p.end - p.start, 0);
  const retention = Number(config("retention.ms"));
  const tabs = [
    { id: "messages", label: "Messages", href: href("topics", name) },
    { id: "partitions", label: "Partitions", href: href("topics", name, "partitions") },
    { id: "groups", label: "Consumers", href: href("topics", name, "groups"), note: detail.groups.length ? <Badge>{detail.groups.length}</Badge> : null },
    { id: "configuration", label: "Configuration", href: href("topics", name, "configuration") },
  ];
  return (
    <Page title={name} crumb={crumb} badge={detail.internal ? <Badge>internal</Badge> : null} actions={
      <>
        <Button kind="primary" icon="send" onClick={() => setOpen("produce")}>Produce</Button>
        <Button icon="plus" onClick={() => setOpen("partitions")}>Add partitions</Button>
        <Button kind="danger" onClick={() => setOpen("purge")}>Delete records</Button>
        <Button kind="danger" icon="trash" onClick={() => setOpen("delete")}>Delete topic</Button>
      </>
    }>
      <Failure error={topic.error} />
      <Tiles small tiles={[
        { label: "Records", value: count(records) },
        { label: "Size", value: bytes(detail.bytes) },
        { label: "Partitions", value: count(detail.partitions.length) },
        { label: "Cleanup", value: config("cleanup.policy") },
        { label: "Retention", value: retention < 0 ? "forever" : `${short(retention / 3_600_000)} h` },
      ]} />
      <Tabs tabs={tabs} current={tab} label="Views of the topic" />
      {tab === "messages" && <MessagesTab topic={detail} written={written} />}
      {tab === "partitions" && <Partitions topic={detail} />}
      {tab === "groups" && <Consumers topic={detail} />}
      {tab === "configuration" && <ConfigTab topic={detail} reload={topic.reload} />}
      {open === "produce" && <Produce topic={detail} onClose={close} onWritten={() => { setWritten((n) => n + 1); void topic.reload(); }} />}
      {open === "delete" && <Confirm title="Delete the topic" action="Delete topic" typed={name} onClose={close} text={<p>The topic <b>{name}</b> with {plural(records, "record")} is deleted. Jobs that use it fail.</p>} onConfirm={async () => { await remove(url`/api/v1/topics/${name}`); toast(`Topic ${name} deleted`); close(); go("#/topics"); }} />}
      {open === "purge" && <Purge topic={detail} onClose={close} reload={topic.reload} />}
      {open === "partitions" && <AddPartitions topic={detail} onClose={close} reload={topic.reload} />}
    </Page>
  );
}

function Partitions({ topic }: { topic: TopicDetail }) {
  const largest = Math.max(1, ...topic.partitions.map((p) => p.bytes));
  return (
    <Card>
      <DataTable label="Partitions" rows={topic.partitions} rowKey={(p) => String(p.partition)} sort="partition" columns={[
        { id: "partition", label: "Partition", sort: (p) => p.partition, cell: (p) => <a href={`${href("topics", topic.name)}?partition=${p.partition}`}>{p.partition}</a> },
        { id: "leader", label: "Leader", cell: (p) => p.leader },
        { id: "start", label: "First offset", right: true, sort: (p) => p.start, cell: (p) => count(p.start) },
        { id: "end", label: "End offset", right: true, sort: (p) => p.end, cell: (p) => count(p.end) },
        { id: "stable", label: "Last stable offset", right: true, sort: (p) => p.stable, cell: (p) => p.stable < p.end ? <span class="warn" title="A transaction is open">{count(p.stable)}</span> : count(p.stable) },
        { id: "records", label: "Records", right: true, sort: (p) => p.end - p.start, cell: (p) => count(p.end - p.start) },
        { id: "bytes", label: "Size", right: true, sort: (p) => p.bytes, cell: (p) => <div class="lag-bar"><div class="bar"><span class="fill" style={{ width: `${(100 * p.bytes) / largest}%` }} /></div>{bytes(p.bytes)}</div> },
      ]} />
    </Card>
  );
}

function Consumers({ topic }: { topic: TopicDetail }) {
  if (!topic.groups.length) return <Card><Empty icon="groups" title="No consumer group reads this topic"><p>Groups that have committed an offset in one of its partitions appear here.</p></Empty></Card>;
  return <Card><ul style={{ padding: "8px 0" }}>{topic.groups.map((group) => <li key={group} style={{ padding: "6px 16px" }}><a href={href("groups", group)}>{group}</a></li>)}</ul></Card>;
}

function Purge({ topic, onClose, reload }: { topic: TopicDetail; onClose: () => void; reload: () => void }) {
  const [partition, setPartition] = useState("");
  const [offset, setOffset] = useState("");
  const submit = async () => {
    const chosen = topic.partitions.filter((p) => partition === "" || p.partition === Number(partition));
    const offsets = Object.fromEntries(chosen.map((p) => [p.partition, offset === "" ? p.end : Number(offset)]));
    await post(url`/api/v1/topics/${topic.name}/delete-records`, { offsets });
    toast("Records deleted");
    reload();
    onClose();
  };
  return (
    <FormDialog title="Delete records" submit="Delete records" danger onClose={onClose} onSubmit={submit}>
      <p class="soft">Everything before an offset is deleted. This cannot be taken back.</p>
      <div class="form-row">
        <Field label="Partition"><select class="input" value={partition} onChange={(e) => setPartition(e.currentTarget.value)}><option value="">All</option>{topic.partitions.map((p) => <option key={p.partition} value={p.partition}>{p.partition}</option>)}</select></Field>
        <Field label="Before offset" hint="Empty: everything."><input class="input mono" type="number" min="0" value={offset} onInput={(e) => setOffset(e.currentTarget.value)} /></Field>
      </div>
    </FormDialog>
  );
}

function AddPartitions({ topic, onClose, reload }: { topic: TopicDetail; onClose: () => void; reload: () => void }) {
  const [total, setTotal] = useState(String(topic.partitions.length + 1));
  const submit = async () => {
    await post(url`/api/v1/topics/${topic.name}/partitions`, { count: Number(total) });
    toast(`${topic.name} has ${plural(Number(total), "partition")} now`);
    reload();
    onClose();
  };
  return (
    <FormDialog title="Add partitions" submit="Add partitions" onClose={onClose} onSubmit={submit}>
      <p class="soft">There can only be more. New records with a key may go to another partition than older ones with the same key.</p>
      <Field label="Partitions in all"><input class="input" type="number" min={topic.partitions.length + 1} required value={total} onInput={(e) => setTotal(e.currentTarget.value)} /></Field>
    </FormDialog>
  );
}
