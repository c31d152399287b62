// Writing a record by hand.
import { useState } from "preact/hooks";
import { Field, FormDialog, toast } from "../../components/parts.tsx";
import { post, url } from "../../lib/api.ts";
import type { TopicDetail } from "../../lib/types.ts";
import { parsePairs } from "../topics.tsx";

export function Produce({ topic, onClose, onWritten }: { topic: TopicDetail; onClose: () => void; onWritten: () => void }) {
  const [partition, setPartition] = useState("");
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [headers, setHeaders] = useState("");
  const [format, setFormat] = useState("json");
  const [tombstone, setTombstone] = useState(false);
  const [again, setAgain] = useState(false);
  const submit = async () => {
    if (format === "json" && !tombstone) {
      try {
        JSON.parse(value);
      } catch (error) {
        throw new Error(`the value is not JSON: ${(error as Error).message}`);
      }
    }
    const written = await post<{ partition: number; offset: number }>(url`/api/v1/topics/${topic.name}/messages`, {
      partition: partition === "" ? null : Number(partition), key: key === "" ? null : key, value: tombstone ? null : value, headers: parsePairs(headers), encoding: format === "hex" ? "hex" : "text",
    });
    toast(`Written to partition ${written.partition} at offset ${written.offset}`);
    onWritten();
    if (!again) onClose();
  };
  return (
    <FormDialog title={`Produce to ${topic.name}`} submit="Produce" wide onClose={onClose} onSubmit={submit} extra={<label class="check grow"><input type="checkbox" checked={again} onChange={(e) => setAgain(e.currentTarget.checked)} />Keep open</label>}>
      <div class="form-row">
        <Field label="Key" hint="Empty: no key."><input class="input mono" value={key} autofocus onInput={(e) => setKey(e.currentTarget.value)} spellcheck={false} /></Field>
        <Field label="Partition"><select class="input" value={partition} onChange={(e) => setPartition(e.currentTarget.value)}><option value="">By key</option>{topic.partitions.map((p) => <option key={p.partition} value={p.partition}>{p.partition}</option>)}</select></Field>
        <Field label="Format"><select class="input" value={format} onChange={(e) => setFormat(e.currentTarget.value)}><option value="json">JSON (checked)</option><option value="text">Text</option><option value="hex">Hex (value)</option></select></Field>
      </div>
      <Field label="Value"><textarea class="input" rows={9} value={value} disabled={tombstone} onInput={(e) => setValue(e.currentTarget.value)} placeholder='{"id": 1}' spellcheck={false} /></Field>
      <label class="check"><input type="checkbox" checked={tombstone} onChange={(e) => setTombstone(e.currentTarget.checked)} />Null value: deletes the key in a compacted topic</label>
      <Field label="Headers" hint="One name=value a line."><textarea class="input" rows={2} value={headers} onInput={(e) => setHeaders(e.currentTarget.value)} spellcheck={false} /></Field>
    </FormDialog>
  );
}
