// Rates from counters: what Flink's REST gives are totals, what people read are records a second.
import { useRef } from "preact/hooks";
import type { JobDetail, Vertex } from "./types.ts";

export interface VertexRates {
  recordsIn: number;
  recordsOut: number;
  bytesIn: number;
  bytesOut: number;
  /** Shares of time, 0 to 1, over all subtasks. */
  busy: number;
  backpressured: number;
  idle: number;
}

interface Sample { now: number; vertices: Map<string, Vertex> }
/** Samples that are kept; the rate is taken over all of them, so that it does not flicker. */
const WINDOW = 4;

function between(old: Sample, next: Sample, id: string): VertexRates | undefined {
  const a = old.vertices.get(id)?.metrics;
  const vertex = next.vertices.get(id);
  const seconds = (next.now - old.now) / 1000;
  if (!a || !vertex || seconds <= 0) return undefined;
  const b = vertex.metrics;
  // A counter that went back belongs to a new attempt.
  const per = (key: keyof typeof b) => Math.max(0, b[key] - a[key]) / seconds;
  const share = (key: keyof typeof b) => Math.min(1, per(key) / 1000 / Math.max(1, vertex.parallelism));
  const busy = share("accumulated-busy-time");
  const backpressured = share("accumulated-backpressured-time");
  return {
    recordsIn: per("read-records"), recordsOut: per("write-records"), bytesIn: per("read-bytes"), bytesOut: per("write-bytes"),
    busy, backpressured, idle: Math.max(0, 1 - busy - backpressured),
  };
}

/** Rates of each vertex over the last few answers. */
export function useRates(job: JobDetail | undefined): Map<string, VertexRates> {
  const samples = useRef<Sample[]>([]);
  const rates = useRef(new Map<string, VertexRates>());
  const last = samples.current.at(-1);
  if (job && job.now !== last?.now) {
    const sample = { now: job.now, vertices: new Map(job.vertices.map((v) => [v.id, v])) };
    const oldest = samples.current[0];
    samples.current = [...samples.current, sample].slice(-WINDOW);
    if (oldest) {
      rates.current = new Map();
      for (const vertex of job.vertices) {
        const found = between(oldest, sample, vertex.id);
        if (found) rates.current.set(vertex.id, found);
      }
    }
  }
  return rates.current;
}

/** The newest values of a figure, oldest first. */
export function useTrail(key: string, value: number | undefined, length = 60): number[] {
  const trail = useRef<{ key: string; values: number[]; last?: number }>({ key, values: [] });
  if (trail.current.key !== key) trail.current = { key, values: [] };
  if (value !== undefined && value !== trail.current.last) {
    trail.current.values = [...trail.current.values, value].slice(-length);
    trail.current.last = value;
  }
  return trail.current.values;
}
