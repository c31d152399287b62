// Statements that were run: their results live here, outside of the components, so that another page does not end them.
import { signal } from "@preact/signals";
import { reason, Operation, type GatewayColumn, type Row } from "./session.ts";
import { Fold } from "./fold.ts";
import { ApiError } from "../../lib/api.ts";
import { errorMarks, type ErrorMark } from "./statements.ts";

export interface Run {
  id: number;
  statement: string;
  state: "running" | "paused" | "done" | "failed" | "canceled";
  started: number;
  ended?: number;
  columns: GatewayColumn[];
  isQuery: boolean;
  job?: string;
  error?: string;
  fold: Fold;
  /** Grows with every change, for those who draw. */
  version: number;
}

const KEPT_MAX = 20;
const HISTORY_KEY = "millstream.history";
const HISTORY_MAX = 100;

export const runs = signal<Run[]>([]);
export const shown = signal<number | undefined>(undefined);
export const history = signal<{ sql: string; at: number; failed?: boolean }[]>(stored());

const operations = new Map<number, Operation>();
const gates = new Map<number, { open: () => void; waiting: Promise<void> }>();
let lastId = 0;

function stored(): { sql: string; at: number; failed?: boolean }[] {
  try {
    return JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
  } catch {
    return [];
  }
}

// Passwords do not belong into the browser's storage.
const hasSecret = (sql: string) => /password|secret|token|jaas|credential|access[._-]?key/i.test(sql);

function remember(sql: string, failed: boolean): void {
  if (hasSecret(sql)) return;
  history.value = [{ sql, at: Date.now(), ...(failed && { failed }) }, ...history.value.filter((h) => h.sql !== sql)].slice(0, HISTORY_MAX);
  localStorage.setItem(HISTORY_KEY, JSON.stringify(history.value));
}

function update(id: number, change: Partial<Run>): void {
  runs.value = runs.value.map((run) => (run.id === id ? { ...run, ...change, version: run.version + 1 } : run));
}

/** Draws at most once a frame, however fast rows come. */
const dirty = new Set<number>();
function redraw(id: number): void {
  if (!dirty.size) {
    setTimeout(() => {
      const ids = [...dirty];
      dirty.clear();
      ids.forEach((one) => update(one, {}));
    }, 80);
  }
  dirty.add(id);
}

/** Runs a statement. Gives what is wrong and where in it, if it failed. */
export async function run(statement: string): Promise<{ ok: boolean; message?: string; marks?: ErrorMark[] }> {
  lastId += 1;
  const id = lastId;
  const fold = new Fold();
  runs.value = [...runs.value, { id, statement, state: "running" as const, started: Date.now(), columns: [], isQuery: false, fold, version: 0 }].slice(-KEPT_MAX);
  shown.value = id;
  try {
    const operation = await Operation.start(statement);
    operations.set(id, operation);
    await operation.run({
      columns: (columns, about) => update(id, { columns, isQuery: about.isQuery, job: about.job }),
      rows: async (rows: Row[]) => {
        fold.apply(rows);
        redraw(id);
        await gates.get(id)?.waiting;
      },
    });
    if (stateOf(id) !== "canceled") update(id, { state: "done", ended: Date.now() });
    remember(statement, false);
    return { ok: true };
  } catch (error) {
    if ((error as Error).name === "AbortError" || stateOf(id) === "canceled") {
      update(id, { state: "canceled", ended: Date.now() });
      remember(statement, false);
      return { ok: false };
    }
    const message = reason(error);
    update(id, { state: "failed", error: message, ended: Date.now() });
    remember(statement, true);
    return { ok: false, message, marks: error instanceof ApiError ? errorMarks(error.diagnostics, statement) : [] };
  } finally {
    operations.delete(id);
    gates.delete(id);
  }
}

const stateOf = (id: number) => runs.value.find((r) => r.id === id)?.state;

export function pause(id: number): void {
  let open = () => undefined as void;
  const waiting = new Promise<void>((done) => (open = done));
  gates.set(id, { open, waiting });
  update(id, { state: "paused" });
}

export function resume(id: number): void {
  gates.get(id)?.open();
  gates.delete(id);
  update(id, { state: "running" });
}

export async function cancel(id: number): Promise<void> {
  gates.get(id)?.open();
  update(id, { state: "canceled", ended: Date.now() });
  await operations.get(id)?.cancel();
}

export function closeRun(id: number): void {
  void cancel(id);
  runs.value = runs.value.filter((r) => r.id !== id);
  if (shown.value === id) shown.value = runs.value.at(-1)?.id;
}

// A tab that is closed must not leave queries behind.
addEventListener("pagehide", () => operations.forEach((operation) => void operation.cancel()));
