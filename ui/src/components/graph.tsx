// A directed graph of cards. dagre places them; the cards are buttons, so that keys and screen readers reach them.
import { Graph as DagreGraph, layout } from "@dagrejs/dagre";
import type { ComponentChildren, CSSProperties } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Button } from "./parts.tsx";

export interface GraphNode { id: string; label: string; className?: string; style?: CSSProperties; card: ComponentChildren; width?: number; height?: number }
export interface GraphEdge { from: string; to: string; label?: string; note?: string; /** 0 to 1: how much flows. */ weight?: number }
interface Placed { nodes: Map<string, { x: number; y: number; width: number; height: number }>; lines: { path: string; x: number; y: number }[]; width: number; height: number }

const NODE = { width: 224, height: 132 };
/** A graph that would be smaller than this is shown from its beginning and can be moved. */
const FIT_SCALE_MIN = 0.62;
const GRAPH_HEIGHT_MIN = 230;
const GRAPH_HEIGHT_MAX = 460;

function place(nodes: GraphNode[], edges: GraphEdge[]): Placed {
  const graph = new DagreGraph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 26, ranksep: 82, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: node.width ?? NODE.width, height: node.height ?? NODE.height });
  edges.forEach((edge, i) => graph.setEdge(edge.from, edge.to, {}, String(i)));
  layout(graph);
  const placed = new Map<string, { x: number; y: number; width: number; height: number }>();
  for (const id of graph.nodes()) {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    placed.set(id, { x: x - width / 2, y: y - height / 2, width, height });
  }
  const lines = edges.map((edge) => {
    const a = placed.get(edge.from)!;
    const b = placed.get(edge.to)!;
    const [x1, y1, x2, y2] = [a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2];
    const bend = Math.max(36, (x2 - x1) / 2);
    return { path: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
  });
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { nodes: placed, lines, width, height };
}

export function Graph(props: { nodes: GraphNode[]; edges: GraphEdge[]; selected?: string; onSelect?: (id: string) => void; onHover?: (id?: string) => void; label: string; fill?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  // The layout depends on the shape alone; figures change every second.
  const shape = `${props.nodes.map((n) => n.id).join()}|${props.edges.map((e) => `${e.from}>${e.to}`).join()}`;
  const placed = useMemo(() => place(props.nodes, props.edges), [shape]);
  const [view, setView] = useState({ x: 0, y: 0, scale: 1 });
  const fit = () => {
    // The observer may report a graph that has just gone.
    if (!box.current) return;
    const { clientWidth, clientHeight } = box.current;
    const scale = Math.max(FIT_SCALE_MIN, Math.min(1, clientWidth / placed.width, clientHeight / placed.height));
    setView({ scale, x: Math.max(0, (clientWidth - placed.width * scale) / 2), y: Math.max(0, (clientHeight - placed.height * scale) / 2) });
  };
  useEffect(() => {
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, [placed]);
  const zoom = (factor: number, cx = box.current!.clientWidth / 2, cy = box.current!.clientHeight / 2) =>
    setView((v) => {
      const scale = Math.min(2, Math.max(0.15, v.scale * factor));
      const grown = scale / v.scale;
      return { scale, x: cx - (cx - v.x) * grown, y: cy - (cy - v.y) * grown };
    });
  const onWheel = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = box.current!.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 1.12 : 0.89, event.clientX - frame.left, event.clientY - frame.top);
  };
  const drag = useRef<{ x: number; y: number } | undefined>(undefined);
  const onMove = (event: PointerEvent) => {
    const from = drag.current;
    if (!from) return;
    drag.current = { x: event.clientX, y: event.clientY };
    setView((v) => ({ ...v, x: v.x + event.clientX - from.x, y: v.y + event.clientY - from.y }));
  };
  return (
    <div
      ref={box} class={`graph ${drag.current ? "dragging" : ""}`} role="group" aria-label={props.label} onWheel={onWheel} style={{ height: props.fill ? undefined : Math.min(GRAPH_HEIGHT_MAX, Math.max(GRAPH_HEIGHT_MIN, placed.height + 56)) }}
      onPointerDown={(e) => { if (!(e.target as Element).closest("button")) { drag.current = { x: e.clientX, y: e.clientY }; box.current!.setPointerCapture(e.pointerId); } }}
      onPointerMove={onMove} onPointerUp={() => (drag.current = undefined)} onPointerCancel={() => (drag.current = undefined)}
    >
      <div class="world" style={{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`, width: placed.width, height: placed.height }}>
        <svg class="edges" width={placed.width} height={placed.height} aria-hidden="true">
          {placed.lines.map(({ path }, i) => {
            const edge = props.edges[i]!;
            const width = 1.5 + 3.5 * (edge.weight ?? 0);
            return (
              <g key={i}>
                <path class="edge" d={path} style={{ strokeWidth: `${width}px` }} />
                {(edge.weight ?? 0) > 0 && <path class="flow" d={path} style={{ strokeWidth: `${Math.max(1.5, width - 1.5)}px` }} />}
              </g>
            );
          })}
        </svg>
        {placed.lines.map(({ x, y }, i) => (props.edges[i]!.label || props.edges[i]!.note) && <span class="edge-label" key={i} style={{ left: x, top: y }}>{props.edges[i]!.label}{props.edges[i]!.note && <b>{props.edges[i]!.note}</b>}</span>)}
        {props.nodes.map((node) => {
          const at = placed.nodes.get(node.id)!;
          return (
            <button
              type="button" key={node.id} class={`node ${node.className ?? ""}`} title={node.label} aria-pressed={props.onSelect ? props.selected === node.id : undefined}
              style={{ left: at.x, top: at.y, width: at.width, height: at.height, ...node.style }}
              onClick={() => props.onSelect?.(node.id)} onMouseEnter={() => props.onHover?.(node.id)} onMouseLeave={() => props.onHover?.()} onFocus={() => props.onHover?.(node.id)} onBlur={() => props.onHover?.()}
            >
              {node.card}
            </button>
          );
        })}
      </div>
      <div class="tools">
        <Button small icon="minus" aria-label="Zoom out" onClick={() => zoom(0.8)} />
        <Button small icon="plus" aria-label="Zoom in" onClick={() => zoom(1.25)} />
        <Button small icon="fit" aria-label="Fit the graph into view" onClick={fit} />
      </div>
    </div>
  );
}
