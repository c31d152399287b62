// Kafka's configurations of a topic.
import { useState } from "preact/hooks";
import { Badge, Button, Card, DataTable, Field, FormDialog, Search, toast } from "../../components/parts.tsx";
import { patch, url } from "../../lib/api.ts";
import type { ConfigEntry, TopicDetail } from "../../lib/types.ts";

export function ConfigTab({ topic, reload }: { topic: TopicDetail; reload: () => void }) {
  const [text, setText] = useState("");
  const [changed, setChanged] = useState(false);
  const [editing, setEditing] = useState<ConfigEntry>();
  const rows = topic.configs.filter((c) => (!changed || !c.default) && c.name.includes(text.toLowerCase()));
  return (
    <Card title="Configuration" actions={<div class="row"><label class="check"><input type="checkbox" checked={changed} onChange={(e) => setChanged(e.currentTarget.checked)} />Only what was set</label><Search value={text} onInput={setText} label="Filter keys" /></div>}>
      <DataTable label="Configuration of the topic" rows={rows} rowKey={(c) => c.name} sort="name" columns={[
        { id: "name", label: "Key", sort: (c) => c.name, cell: (c) => <><span class="mono">{c.name}</span>{c.doc && <div class="faint small">{c.doc}</div>}</> },
        { id: "value", label: "Value", cell: (c) => <span class="mono" style={{ overflowWrap: "anywhere" }}>{c.sensitive ? "••••••" : (c.value ?? "–") || <span class="faint">empty</span>}</span> },
        { id: "source", label: "Set by", sort: (c) => c.source, cell: (c) => (c.default ? <span class="faint">default</span> : <Badge tone="accent">{c.source}</Badge>) },
        { id: "edit", label: "", right: true, cell: (c) => !c.read_only && <Button kind="quiet" small icon="edit" aria-label={`Change ${c.name}`} onClick={() => setEditing(c)} /> },
      ]} />
      {editing && <Edit topic={topic.name} entry={editing} onClose={() => setEditing(undefined)} reload={reload} />}
    </Card>
  );
}

function Edit({ topic, entry, onClose, reload }: { topic: string; entry: ConfigEntry; onClose: () => void; reload: () => void }) {
  const [value, setValue] = useState(entry.value ?? "");
  const send = async (body: { set?: Record<string, string>; reset?: string[] }) => {
    await patch(url`/api/v1/topics/${topic}/configs`, body);
    toast(`${entry.name} changed`);
    reload();
    onClose();
  };
  const [reset, setReset] = useState(false);
  return (
    <FormDialog title={entry.name} submit="Save" onClose={onClose} onSubmit={() => send(reset ? { reset: [entry.name] } : { set: { [entry.name]: value } })}>
      {entry.doc && <p class="soft">{entry.doc}</p>}
      <Field label="Value"><input class="input mono" value={value} disabled={reset} autofocus onInput={(e) => setValue(e.currentTarget.value)} spellcheck={false} /></Field>
      {!entry.default && <label class="check"><input type="checkbox" checked={reset} onChange={(e) => setReset(e.currentTarget.checked)} />Go back to the default</label>}
    </FormDialog>
  );
}
