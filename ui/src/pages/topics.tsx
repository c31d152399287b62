// All topics, and a form for a new one.
import { useState } from "preact/hooks";
import { Badge, Button, Card, DataTable, Empty, Failure, Field, FormDialog, Loading, Page, Search, toast } from "../components/parts.tsx";
import { post, useResource } from "../lib/api.ts";
import { bytes, count, short } from "../lib/format.ts";
import { go, href } from "../lib/router.ts";
import type { TopicRow } from "../lib/types.ts";

/** "key=value" lines as a map; a line without "=" is an error. */
export function parsePairs(text: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const line of text.split("\n").map((l) => l.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at <= 0) throw new Error(`'${line}' is not key=value`);
    pairs[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return pairs;
}

function CreateTopic({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [partitions, setPartitions] = useState("1");
  const [cleanup, setCleanup] = useState("");
  const [retention, setRetention] = useState("");
  const [more, setMore] = useState("");
  const submit = async () => {
    const configs = { ...(cleanup && { "cleanup.policy": cleanup }), ...(retention && { "retention.ms": retention }), ...parsePairs(more) };
    await post("/api/v1/topics", { name, partitions: Number(partitions), configs });
    toast(`Topic ${name} created`);
    onClose();
    go(href("topics", name, "partitions"));
  };
  return (
    <FormDialog title="Create a topic" submit="Create topic" onClose={onClose} onSubmit={submit}>
      <Field label="Name" hint="Letters, digits, '.', '_' and '-'."><input class="input mono" required pattern="[a-zA-Z0-9._\-]{1,249}" value={name} autofocus onInput={(e) => setName(e.currentTarget.value)} spellcheck={false} /></Field>
      <div class="form-row">
        <Field label="Partitions"><input class="input" type="number" min="1" required value={partitions} onInput={(e) => setPartitions(e.currentTarget.value)} /></Field>
        <Field label="Cleanup">
          <select class="input" value={cleanup} onChange={(e) => setCleanup(e.currentTarget.value)}>
            <option value="">Default</option><option value="delete">delete</option><option value="compact">compact</option><option value="compact,delete">compact,delete</option>
          </select>
        </Field>
        <Field label="Retention">
          <select class="input" value={retention} onChange={(e) => setRetention(e.currentTarget.value)}>
            <option value="">Default</option><option value="3600000">1 hour</option><option value="86400000">1 day</option><option value="604800000">7 days</option><option value="2592000000">30 days</option><option value="-1">Forever</option>
          </select>
        </Field>
      </div>
      <Field label="More configuration" hint="One key=value a line, Kafka's names."><textarea class="input" rows={3} value={more} onInput={(e) => setMore(e.currentTarget.value)} placeholder="max.message.bytes=1048588" spellcheck={false} /></Field>
    </FormDialog>
  );
}

export function TopicsPage() {
  const topics = useResource<{ topics: TopicRow[] }>("/api/v1/topics", 5000);
  const [text, setText] = useState("");
  const [internal, setInternal] = useState(false);
  const [creating, setCreating] = useState(false);
  const all = topics.data?.topics ?? [];
  const rows = all.filter((t) => (internal || !t.internal) && t.name.toLowerCase().includes(text.toLowerCase()));
  const records = rows.reduce((sum, t) => sum + t.records, 0);
  const size = rows.reduce((sum, t) => sum + t.bytes, 0);
  return (
    <Page title="Topics" note={topics.data && <p class="soft">{count(rows.length)} topics, {short(records)} records, {bytes(size)}</p>} actions={<Button kind="primary" icon="plus" onClick={() => setCreating(true)}>Create topic</Button>}>
      <Failure error={topics.error} />
      <div class="row">
        <Search value={text} onInput={setText} label="Filter topics" />
        <label class="check"><input type="checkbox" checked={internal} onChange={(e) => setInternal(e.currentTarget.checked)} />Internal topics</label>
      </div>
      <Card>
        {topics.loading ? <Loading /> : !rows.length
          ? <Empty icon="topics" title={all.length ? "No topic matches" : "No topics yet"}><p>Create one here, or let a table with the Kafka connector create it when its job starts.</p></Empty>
          : <DataTable label="Topics" rows={rows} rowKey={(t) => t.name} link={(t) => href("topics", t.name)} sort="name" columns={[
              { id: "name", label: "Name", sort: (t) => t.name, cell: (t) => <span class="row"><a class="name" href={href("topics", t.name)}>{t.name}</a>{t.internal && <Badge>internal</Badge>}</span> },
              { id: "partitions", label: "Partitions", right: true, sort: (t) => t.partitions, cell: (t) => count(t.partitions) },
              { id: "records", label: "Records", right: true, sort: (t) => t.records, cell: (t) => count(t.records) },
              { id: "bytes", label: "Size", right: true, sort: (t) => t.bytes, cell: (t) => bytes(t.bytes) },
            ]} />}
      </Card>
      {creating && <CreateTopic onClose={() => setCreating(false)} />}
    </Page>
  );
}
