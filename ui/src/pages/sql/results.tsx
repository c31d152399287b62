// The results of statements: a live table, its changelog, a plan as a graph.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Graph } from "../../components/graph.tsx";
import { Badge, Button, Empty, Notice, Segments } from "../../components/parts.tsx";
import { csv, save } from "../../lib/download.ts";
import { count, duration } from "../../lib/format.ts";
import { href } from "../../lib/router.ts";
import { brief, explainGraph } from "../../lib/plan.ts";
import { cancel, closeRun, pause, resume, runs, shown, type Run } from "./runs.ts";
import { typeName } from "./session.ts";
import { CHANGES_MAX } from "./fold.ts";

const ROW_HEIGHT = 28;
const OVERSCAN = 12;
const OPS = { INSERT: "+I", UPDATE_BEFORE: "-U", UPDATE_AFTER: "+U", DELETE: "-D" } as const;
const STATES: Record<Run["state"], [string, string]> = { running: ["ok", "Running"], paused: ["warn", "Paused"], done: ["info", "Done"], failed: ["bad", "Failed"], canceled: ["", "Cancelled"] };

const isNumber = (type: string) => /INT|DECIMAL|DOUBLE|FLOAT/.test(type);

export function Results() {
  const all = runs.value;
  const run = all.find((r) => r.id === shown.value) ?? all.at(-1);
  const tabs = useRef<HTMLDivElement>(null);
  useEffect(() => tabs.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest", inline: "nearest" }), [run?.id]);
  if (!run) return <Empty icon="table" title="Results appear here"><p>Run the statement at the cursor with <kbd>Ctrl</kbd> <kbd>Enter</kbd>, or pick an example on the left.</p></Empty>;
  return (
    <>
      <div class="tabs" role="tablist" aria-label="Results of statements" ref={tabs}>
        {all.map((r) => (
          <button type="button" key={r.id} role="tab" aria-selected={r.id === run.id} onClick={() => (shown.value = r.id)} title={r.statement}>
            <span class={`badge ${STATES[r.state][0]}`} style={{ padding: 0, width: 8, height: 8 }} aria-label={STATES[r.state][1]} role="img"><i class={r.state === "running" ? "live" : ""} style={{ width: 8, height: 8 }} /></span>
            {r.statement.replace(/--[^\n]*/g, "").replace(/\s+/g, " ").trim().slice(0, 28)}
          </button>
        ))}
      </div>
      <Result key={run.id} run={run} />
    </>
  );
}

type View = "table" | "changes" | "graph" | "text";

function Result({ run }: { run: Run }) {
  const isExplain = /^\s*(--[^\n]*\n|\s)*EXPLAIN\b/i.test(run.statement) && run.columns.length === 1;
  const [chosen, setView] = useState<View>();
  const view = chosen ?? (isExplain ? "graph" : "table");
  const active = run.state === "running" || run.state === "paused";
  const table = run.fold.table();
  const rows = view === "changes" ? run.fold.changes.map((c) => c.row.fields) : table;
  const names = run.columns.map((c) => c.name);
  const exportAs = (kind: "csv" | "json") => {
    const name = `result-${run.id}.${kind}`;
    if (kind === "csv") save(name, csv(names, rows), "text/csv");
    else save(name, JSON.stringify(rows.map((r) => Object.fromEntries(r.map((v, i) => [names[i], v]))), null, 2), "application/json");
  };
  const views: (readonly [View, string])[] = isExplain ? [["graph", "Graph"], ["text", "Text"]] : run.isQuery ? [["table", "Table"], ["changes", "Changelog"]] : [];
  return (
    <>
      <div class="result-bar">
        <Badge tone={STATES[run.state][0]}>{STATES[run.state][1]}</Badge>
        {views.length > 0 && <Segments small value={view} onChange={setView} label="View" options={views} />}
        {!isExplain && run.columns.length > 0 && <span class="num">{count(table.length)} rows{run.fold.isChangelog && `, ${count(run.fold.received)} changes`}</span>}
        <span class="num faint">{duration((run.ended ?? Date.now()) - run.started)}</span>
        {run.job && <a href={href("jobs", run.job)}>Open the job</a>}
        <span class="grow" />
        {active && run.isQuery && (run.state === "paused"
          ? <Button small icon="play" onClick={() => resume(run.id)}>Resume</Button>
          : <Button small icon="pause" onClick={() => pause(run.id)}>Pause</Button>)}
        {active && <Button small kind="danger" icon="stop" onClick={() => void cancel(run.id)}>Stop</Button>}
        {!isExplain && rows.length > 0 && <><Button small icon="download" onClick={() => exportAs("csv")}>CSV</Button><Button small icon="download" onClick={() => exportAs("json")}>JSON</Button></>}
        <Button small kind="quiet" icon="close" aria-label="Close this result" onClick={() => closeRun(run.id)} />
      </div>
      {run.error && <div style={{ padding: 12 }}><Notice tone="bad"><pre class="mono">{run.error}</pre></Notice></div>}
      {run.fold.dropped > 0 && <div style={{ padding: "8px 12px" }}><Notice tone="warn">The table has more rows than are shown here: {count(run.fold.dropped)} are left out.</Notice></div>}
      {view === "changes" && run.fold.received > CHANGES_MAX && <div style={{ padding: "8px 12px" }}><Notice>The newest {count(CHANGES_MAX)} changes are shown.</Notice></div>}
      {isExplain ? <Plan text={table.map((r) => r[0]).join("\n")} asText={view === "text"} />
        : run.columns.length > 0 ? <Rows run={run} rows={rows} withOps={view === "changes"} />
        : !run.error && active ? <p class="faint" style={{ padding: 16 }}>Waiting for the first result…</p> : null}
    </>
  );
}

/** Rows of the same height, of which only the visible ones are in the page. */
function Rows({ run, rows, withOps }: { run: Run; rows: (string | null)[][]; withOps: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const height = box.current?.clientHeight || 600;
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW_HEIGHT) + OVERSCAN);
  const right = run.columns.map((c) => isNumber(c.logicalType.type));
  const isResult = run.columns.length === 1 && rows.length === 1 && rows[0]![0] === "OK";
  if (isResult) return <p class="ok" style={{ padding: "14px 16px" }}>Done.</p>;
  if (!run.isQuery && run.job) return <p style={{ padding: "14px 16px" }}>The job is running. <a href={href("jobs", run.job)}>Watch it on its page</a>.</p>;
  const width = run.columns.length + 1 + (withOps ? 1 : 0);
  return (
    <div class="result-body" ref={box} tabIndex={0} role="region" aria-label="Rows" onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
      <table class="rows">
        <thead><tr>
          <th class="index" scope="col"><span class="sr">Number</span></th>
          {withOps && <th scope="col">op</th>}
          {run.columns.map((c, i) => <th key={i} class={right[i] ? "r" : ""} scope="col">{c.name}<small>{typeName(c.logicalType)}</small></th>)}
        </tr></thead>
        <tbody>
          {first > 0 && <tr style={{ height: first * ROW_HEIGHT }}><td colSpan={width} style={{ padding: 0, height: first * ROW_HEIGHT }} /></tr>}
          {rows.slice(first, last).map((fields, i) => {
            const at = first + i;
            const change = withOps ? run.fold.changes[at] : undefined;
            const op = change && OPS[change.row.kind];
            return (
              <tr key={change?.at ?? at} class={op ? (op.startsWith("+") ? "plus" : "minus") : ""}>
                <td class="index">{change?.at ?? at + 1}</td>
                {op && <td class="op">{op}</td>}
                {fields.map((value, column) => <td key={column} class={right[column] ? "r" : ""} title={value ?? undefined}>{value === null ? <span class="null">NULL</span> : value}</td>)}
              </tr>
            );
          })}
          {last < rows.length && <tr><td colSpan={width} style={{ padding: 0, height: (rows.length - last) * ROW_HEIGHT }} /></tr>}
        </tbody>
      </table>
      {!rows.length && <p class="faint" style={{ padding: 16 }}>{run.state === "running" ? "No rows yet. The query is running." : "No rows."}</p>}
    </div>
  );
}

function Plan({ text, asText }: { text: string; asText: boolean }) {
  const nodes = useMemo(() => explainGraph(text), [text]);
  const [selected, setSelected] = useState<string>();
  if (asText || nodes.length < 1) return <div class="result-body" style={{ padding: 12 }}><pre class="code" style={{ maxHeight: "none" }} tabIndex={0} aria-label="Plan">{text}</pre></div>;
  const chosen = nodes.find((n) => n.id === selected);
  return (
    <div class="result-body plan" style={{ display: "flex", flexDirection: "column" }}>
      <Graph
        fill label="Plan of the statement" selected={selected} onSelect={(id) => setSelected(id === selected ? undefined : id)}
        nodes={nodes.map((n) => ({ id: n.id, label: n.text, width: 250, height: 92, card: <><div class="title"><b>{n.operator}</b></div><div class="about" style={{ WebkitLineClamp: "3", fontFamily: "var(--mono)", fontSize: 10.5 }}>{brief(n.detail)}</div></> }))}
        edges={nodes.flatMap((n) => n.inputs.map((from) => ({ from, to: n.id })))}
      />
      {chosen && <pre class="code wrapped" tabIndex={0} aria-label="Operator" style={{ borderRadius: 0, borderWidth: "1px 0 0", flex: "none" }}>{chosen.text}</pre>}
    </div>
  );
}
