// What a job was configured with.
import { useState } from "preact/hooks";
import { Card, DataTable, Failure, Loading, Search } from "../../components/parts.tsx";
import { url, useResource } from "../../lib/api.ts";

interface JobConfig { "execution-config"?: { "execution-mode"?: string; "restart-strategy"?: string; "job-parallelism"?: number; "object-reuse-mode"?: boolean; "user-config"?: Record<string, string> } }
type Pairs = { key: string; value: string }[];

export function ConfigurationTab({ id }: { id: string }) {
  const config = useResource<JobConfig>(url`/jobs/${id}/config`);
  const cluster = useResource<Pairs>("/jobmanager/config");
  const [text, setText] = useState("");
  if (!config.data) return config.error ? <Failure error={config.error} /> : <Card><Loading /></Card>;
  const execution = config.data["execution-config"] ?? {};
  const user = Object.entries(execution["user-config"] ?? {}).map(([key, value]) => ({ key, value: String(value) }));
  const matches = (rows: Pairs) => rows.filter((row) => `${row.key}${row.value}`.toLowerCase().includes(text.toLowerCase()));
  const columns = [
    { id: "key", label: "Key", sort: (row: Pairs[number]) => row.key, cell: (row: Pairs[number]) => <span class="mono">{row.key}</span> },
    { id: "value", label: "Value", sort: (row: Pairs[number]) => row.value, cell: (row: Pairs[number]) => <span class="mono">{row.value}</span> },
  ];
  return (
    <div class="stack">
      <Card title="Execution"><div class="body"><dl class="pairs">
        <dt>Parallelism</dt><dd>{execution["job-parallelism"] ?? "–"}</dd>
        <dt>Restart strategy</dt><dd>{execution["restart-strategy"] ?? "–"}</dd>
        <dt>Object reuse</dt><dd>{String(execution["object-reuse-mode"] ?? "–")}</dd>
      </dl></div></Card>
      <Card title="Job configuration" actions={<Search value={text} onInput={setText} label="Filter keys and values" />}>
        {user.length ? <DataTable label="Job configuration" rows={matches(user)} rowKey={(r) => r.key} sort="key" columns={columns} /> : <p class="body faint">Nothing beside the defaults.</p>}
      </Card>
      {cluster.data && <Card title="Server configuration"><DataTable label="Server configuration" rows={matches(cluster.data)} rowKey={(r) => r.key} sort="key" columns={columns} /></Card>}
    </div>
  );
}
