// The graph of a job with live figures, the statement beside it, and the vertex that was clicked.
import { useMemo, useState } from "preact/hooks";
import { Graph, type GraphEdge, type GraphNode } from "../../components/graph.tsx";
import { Button, Card, DataTable, Failure, Loading, Notice, Segments } from "../../components/parts.tsx";
import { Sql } from "../../components/sql-text.tsx";
import { url, useResource } from "../../lib/api.ts";
import { bytes, count, duration, percent, plural, rate, short, time } from "../../lib/format.ts";
import { brief, chains, chainTitle, clauseOf, kindOf, plainName } from "../../lib/plan.ts";
import type { VertexRates } from "../../lib/rates.ts";
import type { JobDetail, Vertex } from "../../lib/types.ts";

/** Flink's smallest watermark: none has come yet. */
const NO_WATERMARK = -9223372036854775808;
/** A vertex that is busy or held back this much is named as the bottleneck. */
const HOT = 0.7;
const WATERMARKS_MS = 2500;

interface About { statements: string[]; vertices: Record<string, { watermark: string; late_records: number; state_bytes: number } | undefined> }

/** Busy, backpressured and idle shares as one bar. */
export function LoadBar({ rates }: { rates?: VertexRates }) {
  const share = (value = 0) => `${(value * 100).toFixed(1)}%`;
  const words = rates ? `busy ${percent(rates.busy)}, backpressured ${percent(rates.backpressured)}, idle ${percent(rates.idle)}` : "not measured yet";
  return (
    <div class="bar" role="img" aria-label={words} title={words}>
      <span class="busy" style={{ width: share(rates?.busy) }} />
      <span class="backpressured" style={{ width: share(rates?.backpressured) }} />
      <span class="idle" style={{ width: share(rates?.idle) }} />
    </div>
  );
}

function watermarkText(value: number | undefined, now: number): string {
  if (value === undefined || value <= NO_WATERMARK) return "–";
  if (value >= 9223372036854775000) return "end";
  return duration(Math.max(0, now - value));
}

interface Chain { id: string; vertices: Vertex[]; title: string; about: string; rates?: VertexRates; watermark?: number }

/** One card for operators that run in one task: what goes into the first and out of the last. */
function chainsOf(job: JobDetail, descriptions: Map<string, string>, rates: Map<string, VertexRates>, watermark: (id: string) => number | undefined): Chain[] {
  const byId = new Map(job.vertices.map((v) => [v.id, v]));
  return chains(job.vertices, job.plan.nodes).map((ids) => {
    const vertices = ids.map((id) => byId.get(id)!);
    const names = vertices.map((v) => plainName(v.name));
    const [head, tail] = [rates.get(ids[0]!), rates.get(ids.at(-1)!)];
    const busiest = ids.map((id) => rates.get(id)).reduce((a, b) => ((b?.busy ?? 0) > (a?.busy ?? 0) ? b : a));
    const described = ids.map((id) => brief(descriptions.get(id) ?? "")).filter((text, i) => text && text !== names[i]);
    return {
      id: ids[0]!,
      vertices,
      title: chainTitle(names),
      about: described.length ? described.join(" → ") : names.join(" → "),
      rates: head && tail && busiest && { ...busiest, recordsIn: head.recordsIn, recordsOut: tail.recordsOut },
      watermark: watermark(ids.at(-1)!),
    };
  });
}

function card(chain: Chain, now: number) {
  const { rates } = chain;
  return (
    <>
      <div class="title"><b>{chain.title}</b><span>×{chain.vertices[0]!.parallelism}</span></div>
      <div class="about">{chain.about}</div>
      <LoadBar rates={rates} />
      <div class="figures">
        <span>in <b>{rate(rates?.recordsIn)}</b></span><span>out <b>{rate(rates?.recordsOut)}</b></span>
        <span>busy <b>{percent(rates?.busy)}</b></span><span title="How far the watermark is behind the clock">delay <b>{watermarkText(chain.watermark, now)}</b></span>
      </div>
    </>
  );
}

/** The vertex that limits the job: busy, with those before it held back. */
export function bottleneck(job: JobDetail, rates: Map<string, VertexRates>): Vertex | undefined {
  const inputs = new Map(job.plan.nodes.map((n) => [n.id, n.inputs?.map((i) => i.id) ?? []]));
  return job.vertices.find((v) => {
    const own = rates.get(v.id);
    const heldBack = (inputs.get(v.id) ?? []).some((id) => (rates.get(id)?.backpressured ?? 0) > HOT / 2);
    return own && own.busy > HOT && (heldBack || own.busy > 0.95);
  });
}

export function GraphTab({ job, rates }: { job: JobDetail; rates: Map<string, VertexRates> }) {
  const [selected, setSelected] = useState<string>();
  const [hovered, setHovered] = useState<string>();
  const about = useResource<About>(url`/api/v1/jobs/${job.jid}`, job.state === "RUNNING" ? WATERMARKS_MS : undefined).data;
  // A statement of a script is stored at its line, behind empty ones.
  const statement = about?.statements.map((sql) => sql.replace(/^\s*\n/, "")).join(";\n\n") || undefined;
  const watermark = (id: string) => (about?.vertices[id] ? Number(about.vertices[id].watermark) : undefined);
  const late = Object.values(about?.vertices ?? {}).reduce((sum, v) => sum + (v?.late_records ?? 0), 0);
  const descriptions = useMemo(() => new Map(job.plan.nodes.map((n) => [n.id, n.description.replace(/<br\/?>/g, " ").replace(/&[gl]t;/g, (e) => (e === "&gt;" ? ">" : "<")).trim()])), [job.plan]);
  const fastest = Math.max(1, ...[...rates.values()].map((r) => r.recordsOut));
  const all = chainsOf(job, descriptions, rates, watermark);
  const chainOf = new Map(all.flatMap((chain) => chain.vertices.map((v) => [v.id, chain.id] as const)));
  const nodes: GraphNode[] = all.map((chain) => ({
    id: chain.id,
    label: `${chain.vertices.map((v) => plainName(v.name)).join(" → ")}, parallelism ${chain.vertices[0]!.parallelism}`,
    className: [chain.rates && chain.rates.backpressured > 0.5 ? "backpressured" : "", hovered === chain.id ? "hit" : ""].join(" "),
    style: { "--heat": String(chain.rates?.busy ?? 0) } as never,
    card: card(chain, job.now),
  }));
  const edges: GraphEdge[] = job.plan.nodes.flatMap((node) => (node.inputs ?? []).flatMap((input) => {
    const [from, to] = [chainOf.get(input.id), chainOf.get(node.id)];
    if (!from || !to || from === to) return [];
    const flow = rates.get(input.id)?.recordsOut ?? 0;
    return [{ from, to, label: input.ship_strategy === "FORWARD" ? undefined : input.ship_strategy.toLowerCase(), note: flow ? rate(flow) : undefined, weight: flow > 0 ? 0.15 + 0.85 * (Math.log1p(flow) / Math.log1p(fastest)) : 0 }];
  }));
  const hot = bottleneck(job, rates);
  const pointed = all.find((c) => c.id === (hovered ?? chainOf.get(selected ?? "")));
  const clause = pointed && clauseOf(statement, kindOf(pointed.title));
  const chosen = job.vertices.find((v) => v.id === selected);
  return (
    <div class="stack">
      {hot && <Notice tone="warn"><b>{plainName(hot.name)}</b> limits this job: it is busy {percent(rates.get(hot.id)?.busy)} of the time. A higher parallelism would help if there is a core for it.</Notice>}
      {late > 0 && <Notice tone="warn">{plural(late, "record was", "records were")} dropped because {late === 1 ? "it" : "they"} came behind the watermark. A larger delay in the WATERMARK of the source keeps more of them.</Notice>}
      <div class={statement ? "split" : ""}>
        <Card title="Graph" actions={<div class="legend"><span><i style={{ background: "var(--busy)" }} />Busy</span><span><i style={{ background: "var(--backpressure)" }} />Backpressured</span><span><i style={{ background: "var(--idle)" }} />Idle</span></div>}>
          {nodes.length ? <Graph nodes={nodes} edges={edges} selected={chainOf.get(selected ?? "")} onSelect={(id) => setSelected(selected && chainOf.get(selected) === id ? undefined : id)} onHover={setHovered} label="Graph of the job" /> : <Loading />}
        </Card>
        {statement && <Card title="Statement"><div class="body"><Sql text={statement} hit={clause} /></div></Card>}
      </div>
      {chosen && <VertexPanel key={chosen.id} job={job} vertex={chosen} about={descriptions.get(chosen.id) ?? ""} siblings={all.find((c) => c.id === chainOf.get(chosen.id))!.vertices} onSelect={setSelected} onClose={() => setSelected(undefined)} />}
      <Card title="Vertices">
        <DataTable label="Vertices" rows={job.vertices} rowKey={(v) => v.id} columns={[
          { id: "name", label: "Name", sort: (v) => v.name, cell: (v) => <button type="button" class="copy" style={{ fontFamily: "var(--font)", fontSize: 13, color: "var(--text)", fontWeight: 550 }} onClick={() => setSelected(v.id)}>{plainName(v.name)}</button> },
          { id: "parallelism", label: "Parallelism", right: true, sort: (v) => v.parallelism, cell: (v) => v.parallelism },
          { id: "in", label: "Records in", right: true, sort: (v) => v.metrics["read-records"], cell: (v) => count(v.metrics["read-records"]) },
          { id: "out", label: "Records out", right: true, sort: (v) => v.metrics["write-records"], cell: (v) => count(v.metrics["write-records"]) },
          { id: "bytes", label: "Bytes in", right: true, sort: (v) => v.metrics["read-bytes"], cell: (v) => bytes(v.metrics["read-bytes"]) },
          { id: "state", label: "State", right: true, sort: (v) => about?.vertices[v.id]?.state_bytes ?? 0, cell: (v) => bytes(about?.vertices[v.id]?.state_bytes) },
          { id: "late", label: "Late records", right: true, sort: (v) => about?.vertices[v.id]?.late_records ?? 0, cell: (v) => count(about?.vertices[v.id]?.late_records) },
          { id: "rate", label: "Now", right: true, sort: (v) => rates.get(v.id)?.recordsOut ?? 0, cell: (v) => rate(rates.get(v.id)?.recordsOut) },
          { id: "load", label: "Load", cell: (v) => <LoadBar rates={rates.get(v.id)} /> },
        ]} />
      </Card>
    </div>
  );
}

interface VertexDetail { subtasks: { subtask: number; status: string; attempt: number; endpoint?: string; "start-time": number; duration: number; metrics: Record<string, number> }[] }
interface Backpressure { subtasks?: { subtask: number; backpressureLevel: string; ratio: number; idleRatio: number; busyRatio: number }[] }

function VertexPanel({ job, vertex, about, siblings, onSelect, onClose }: { job: JobDetail; vertex: Vertex; about: string; siblings: Vertex[]; onSelect: (id: string) => void; onClose: () => void }) {
  const detail = useResource<VertexDetail>(url`/jobs/${job.jid}/vertices/${vertex.id}`, 2000);
  const pressure = useResource<Backpressure>(url`/jobs/${job.jid}/vertices/${vertex.id}/backpressure`, 2000);
  const marks = useResource<{ id: string; value: string }[]>(url`/jobs/${job.jid}/vertices/${vertex.id}/watermarks`, 2000);
  const load = new Map(pressure.data?.subtasks?.map((s) => [s.subtask, s]));
  const watermark = new Map(marks.data?.map((m) => [Number(m.id.split(".")[0]), Number(m.value)]));
  const held = [...watermark].filter(([, value]) => value > NO_WATERMARK).sort((a, b) => a[1] - b[1])[0];
  return (
    <Card title={plainName(vertex.name)} actions={<Button kind="quiet" small icon="close" aria-label="Close the vertex" onClick={onClose} />}>
      <div class="body stack">
        {siblings.length > 1 && <div class="row" style={{ overflowX: "auto" }}><Segments small value={vertex.id} onChange={onSelect} label="Operator of the chain" options={siblings.map((v) => [v.id, plainName(v.name)] as const)} /></div>}
        {about !== vertex.name && <p class="mono small soft">{about}</p>}
        {held && watermark.size > 1 && <p class="soft">The watermark is held back by subtask {held[0]}: {time(held[1], true)}, {plural(watermark.size, "subtask")} in all.</p>}
        <Failure error={detail.error} />
      </div>
      {detail.data ? <DataTable label="Subtasks" rows={detail.data.subtasks} rowKey={(s) => String(s.subtask)} columns={[
        { id: "subtask", label: "Subtask", sort: (s) => s.subtask, cell: (s) => s.subtask },
        { id: "status", label: "State", cell: (s) => s.status.toLowerCase() },
        { id: "in", label: "Records in", right: true, sort: (s) => s.metrics["read-records"] ?? 0, cell: (s) => count(s.metrics["read-records"]) },
        { id: "out", label: "Records out", right: true, sort: (s) => s.metrics["write-records"] ?? 0, cell: (s) => count(s.metrics["write-records"]) },
        { id: "bytes", label: "Bytes in", right: true, cell: (s) => bytes(s.metrics["read-bytes"]) },
        { id: "busy", label: "Busy", right: true, cell: (s) => percent(load.get(s.subtask)?.busyRatio) },
        { id: "back", label: "Backpressured", right: true, cell: (s) => percent(load.get(s.subtask)?.ratio) },
        { id: "mark", label: "Watermark", right: true, cell: (s) => { const at = watermark.get(s.subtask); return at === undefined || at <= NO_WATERMARK ? "–" : time(at, true); } },
        { id: "since", label: "Since", right: true, cell: (s) => time(s["start-time"]) },
      ]} /> : !detail.error && <Loading lines={2} />}
      {detail.data && !detail.data.subtasks.length && <p class="body faint">{short(0)} subtasks</p>}
    </Card>
  );
}
