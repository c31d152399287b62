// A client of Flink's SQL Gateway REST API, which the server offers below `/api/v1/gateway`.
import { ApiError, get, post, remove } from "../../lib/api.ts";

const BASE = "/api/v1/gateway/v2";
const STORED = "millstream.session";
const HEARTBEAT_MS = 60_000;
const NOT_READY_MS = 50;

export interface LogicalType { type: string; nullable?: boolean; length?: number; precision?: number; scale?: number; elementType?: LogicalType; keyType?: LogicalType; valueType?: LogicalType; fields?: { name: string; fieldType: LogicalType }[] }
export interface GatewayColumn { name: string; logicalType: LogicalType }
export interface Row { kind: "INSERT" | "UPDATE_BEFORE" | "UPDATE_AFTER" | "DELETE"; fields: (string | null)[] }
interface Results { resultType: "NOT_READY" | "PAYLOAD" | "EOS"; isQueryResult?: boolean; jobID?: string | null; resultKind?: string; results?: { columns: GatewayColumn[]; data: Row[] }; nextResultUri?: string }

/** What the user reads of an error of the gateway: the cause at the bottom of its stack of causes. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const exception = /<Exception on server side:\n([\s\S]*?)\n?End of exception on server side>/.exec(text)?.[1] ?? text.replace(/^Internal server error\.\n/, "");
  const cause = exception.split(/Caused by: /).at(-1)!.split(/\n\s*at /)[0]!.trim();
  return cause.replace(/^(?:[a-z]\w*\.)+[A-Z]\w*(?:Exception|Error): /, "");
}

let handle: Promise<string> | undefined;
let heartbeat: ReturnType<typeof setInterval> | undefined;

async function open(): Promise<string> {
  const stored = sessionStorage.getItem(STORED);
  if (stored) {
    try {
      await get(`${BASE}/sessions/${stored}`);
      return stored;
    } catch (error) {
      if ((error as ApiError).status === 0) throw error;
    }
  }
  const { sessionHandle } = await post<{ sessionHandle: string }>(`${BASE}/sessions`, { sessionName: "web-ui", properties: {} });
  sessionStorage.setItem(STORED, sessionHandle);
  return sessionHandle;
}

/** The session of this browser tab. It survives a reload of the page. */
export function session(): Promise<string> {
  handle ??= open().catch((error) => {
    handle = undefined;
    throw error;
  });
  heartbeat ??= setInterval(() => void handle?.then((h) => post(`${BASE}/sessions/${h}/heartbeat`)).catch(() => undefined), HEARTBEAT_MS);
  return handle;
}

export function forgetSession(): void {
  sessionStorage.removeItem(STORED);
  handle = undefined;
}

/** One running statement. `onRows` is called with what has come; it may wait, which holds the query back. */
export class Operation {
  private ended = false;
  private readonly control = new AbortController();
  private constructor(private readonly path: string) {}

  static async start(statement: string): Promise<Operation> {
    const submit = async () => {
      const s = await session();
      const { operationHandle } = await post<{ operationHandle: string }>(`${BASE}/sessions/${s}/statements`, { statement });
      return new Operation(`${BASE}/sessions/${s}/operations/${operationHandle}`);
    };
    try {
      return await submit();
    } catch (error) {
      // After a restart of the server, or when the session was idle for too long, there is a new one.
      if (!(error instanceof ApiError) || !/session.*(does not exist|not found|expired|closed)|does not exist.*session/i.test(error.message)) throw error;
      forgetSession();
      return await submit();
    }
  }

  async run(on: { columns: (columns: GatewayColumn[], about: { isQuery: boolean; job?: string; kind?: string }) => void; rows: (rows: Row[]) => Promise<void> | void }): Promise<void> {
    let token = "0";
    let known = false;
    while (!this.ended) {
      const result = await get<Results>(`${this.path}/result/${token}?rowFormat=PLAIN_TEXT`, this.control.signal);
      if (result.resultType === "NOT_READY") {
        await new Promise((done) => setTimeout(done, NOT_READY_MS));
        continue;
      }
      if (!known && result.results) {
        known = true;
        on.columns(result.results.columns, { isQuery: result.isQueryResult ?? false, job: result.jobID ?? undefined, kind: result.resultKind });
      }
      if (result.results?.data.length) await on.rows(result.results.data);
      if (result.resultType === "EOS" || !result.nextResultUri) break;
      const next = /\/result\/(\d+)/.exec(result.nextResultUri)?.[1] ?? "0";
      // An empty page at once means that there is nothing yet.
      if (next === token && !result.results?.data.length) await new Promise((done) => setTimeout(done, NOT_READY_MS));
      token = next;
    }
    await this.close();
  }

  async cancel(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    this.control.abort();
    // A query counts as finished as soon as its rows can be fetched, and what is finished cannot be cancelled: closing ends it.
    await remove(`${this.path}/close`).catch(() => undefined);
  }

  async close(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    await remove(`${this.path}/close`).catch(() => undefined);
  }
}

/** The first column of a short statement's rows, or all of them. */
export async function ask(statement: string): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  const operation = await Operation.start(statement);
  try {
    await operation.run({ columns: () => undefined, rows: (more) => void rows.push(...more.map((r) => r.fields)) });
  } finally {
    await operation.close();
  }
  return rows;
}

export function typeName(type: LogicalType): string {
  const base = type.type.replace("_WITHOUT_TIME_ZONE", "").replace("TIMESTAMP_WITH_LOCAL_TIME_ZONE", "TIMESTAMP_LTZ").replace(/^INTEGER$/, "INT");
  const name = (() => {
    switch (base) {
      case "VARCHAR": return type.length === 2147483647 ? "STRING" : `VARCHAR(${type.length})`;
      case "VARBINARY": return type.length === 2147483647 ? "BYTES" : `VARBINARY(${type.length})`;
      case "CHAR": case "BINARY": return `${base}(${type.length})`;
      case "DECIMAL": return `DECIMAL(${type.precision}, ${type.scale})`;
      case "TIMESTAMP": case "TIMESTAMP_LTZ": case "TIME": return `${base}(${type.precision})`;
      case "ARRAY": case "MULTISET": return `${base}<${typeName(type.elementType!)}>`;
      case "MAP": return `MAP<${typeName(type.keyType!)}, ${typeName(type.valueType!)}>`;
      case "ROW": return `ROW<${type.fields?.map((f) => `${f.name} ${typeName(f.fieldType)}`).join(", ")}>`;
      default: return base;
    }
  })();
  return type.nullable === false ? `${name} NOT NULL` : name;
}
