// A make-believe server for work on the page: the shapes of the REST API with figures that move. `npm run mock`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";

const started = Date.now() - 5_400_000;
const wave = (t: number, base: number, swing: number, seconds = 60) => Math.max(0, base + swing * Math.sin(t / 1000 / seconds) + swing * 0.25 * Math.sin(t / 977));
const hex = (n: number) => n.toString(16).padStart(32, "a3f0");
const JOBS = [
  { jid: hex(17), name: "flights hourly delays", state: "RUNNING", start: started + 60_000, end: -1 },
  { jid: hex(18), name: "large orders", state: "RUNNING", start: started + 1_200_000, end: -1 },
  { jid: hex(19), name: "clean clicks", state: "RESTARTING", start: started + 2_000_000, end: -1 },
  { jid: hex(20), name: "backfill 2025", state: "FINISHED", start: started + 100_000, end: started + 400_000 },
  { jid: hex(21), name: "prototype", state: "CANCELED", start: started + 200_000, end: started + 230_000 },
];
const VERTICES = [
  ["v1", "Source: flights[1] -> Calc[2]", "[1]:TableSourceScan(table=[[default_catalog, default_database, flights]], fields=[origin, planned, dep_delay])", [], "", 0.34, 0],
  ["v2", "GlobalWindowAggregate[4] -> Calc[5]", "[4]:GlobalWindowAggregate(groupBy=[origin], window=[TUMBLE(win_end=[$window_end], size=[1 h])], select=[origin, AVG(avg$0) AS delay])", ["v1"], "HASH", 0.81, 0.05],
  ["v3", "Sink: hourly_delays[6]", "[6]:Sink(table=[[default_catalog, default_database, hourly_delays]], fields=[window_start, origin, delay])", ["v2"], "FORWARD", 0.12, 0],
  ["v4", "Rank[7]", "[7]:Rank(strategy=[AppendFastStrategy], rankType=[ROW_NUMBER], rankRange=[1..3], partitionBy=[window_start], orderBy=[delay DESC])", ["v2"], "HASH", 0.2, 0],
  ["v5", "Sink: worst_airports[8]", "[8]:Sink(table=[[default_catalog, default_database, worst_airports]], fields=[window_start, origin, delay, ranking])", ["v4"], "FORWARD", 0.05, 0],
] as const;
const TOPICS = ["flights", "hourly-delays", "worst-airports", "large-orders", "clicks", "clicks-clean", "payments.v2", "audit-log", "__consumer_offsets"].map((name, i) => ({ name, partitions: [4, 2, 1, 6, 12, 12, 3, 1, 50][i]!, internal: name.startsWith("__"), bytes: 5_000_000 * (i * 37 % 11 + 1), records: 27_000 * (i * 31 % 13 + 1), cleanup: i === 6 ? "compact" : "delete" }));

function job(id: string) {
  const base = JOBS.find((j) => j.jid === id) ?? JOBS[0]!;
  const now = Date.now();
  const seconds = (now - base.start) / 1000;
  const rates = [91_000, 41_000, 1_200, 40_000, 310];
  return {
    jid: base.jid, name: base.name, isStoppable: true, state: base.state, "start-time": base.start, "end-time": base.end, duration: now - base.start, now, maxParallelism: 128, timestamps: { RUNNING: base.start },
    vertices: VERTICES.map(([vid, name, , , , busy, back], i) => ({ id: vid, name, parallelism: i === 2 || i > 3 ? 1 : 4, maxParallelism: 128, status: "RUNNING", "start-time": base.start, "end-time": -1, duration: now - base.start, tasks: { RUNNING: 4 }, metrics: { "read-bytes": seconds * rates[i]! * 80, "write-bytes": seconds * rates[i]! * 40, "read-records": i ? Math.floor(seconds * rates[i - 1]!) : 0, "write-records": Math.floor(seconds * rates[i]!), "accumulated-busy-time": seconds * 1000 * busy * (i === 2 || i > 3 ? 1 : 4), "accumulated-backpressured-time": seconds * 1000 * (i === 0 ? 0.4 : back) * 4, "accumulated-idle-time": 0 } })),
    plan: { nodes: VERTICES.map(([vid, , description, inputs, ship]) => ({ id: vid, parallelism: 4, description, inputs: inputs.map((input, num) => ({ num, id: input, ship_strategy: ship, exchange: "pipelined_bounded" })) })) },
  };
}

const checkpoint = (id: number) => ({ id, status: id === 117 ? "FAILED" : "COMPLETED", is_savepoint: id === 112, trigger_timestamp: Date.now() - (121 - id) * 10_000, latest_ack_timestamp: Date.now() - (121 - id) * 10_000 + 42, checkpointed_size: 41_000 + id * 997 % 30_000, state_size: 9_400_000, end_to_end_duration: 20 + (id * 37) % 60, num_subtasks: 14, num_acknowledged_subtasks: 14, checkpoint_type: "CHECKPOINT", external_path: `checkpoints/chk-${id}`, failure_message: id === 117 ? "the disk is full" : undefined, tasks: { v1: { id, status: "COMPLETED", state_size: 400, checkpointed_size: 400, end_to_end_duration: 12 }, v2: { id, status: "COMPLETED", state_size: 9_000_000, checkpointed_size: 40_000, end_to_end_duration: 31 }, v4: { id, status: "COMPLETED", state_size: 399_600, checkpointed_size: 9_000, end_to_end_duration: 14 } } });

const message = (i: number) => ({ partition: i % 4, offset: 120_000 - i, timestamp: Date.now() - i * 420, timestamp_type: "CreateTime", key: i % 5 === 4 ? { format: "null", text: null, bytes: 0 } : { format: "text", text: `JFK-${i % 7}`, bytes: 5 }, value: { format: "json", text: JSON.stringify({ flight: `UA${1000 + i}`, carrier: "UA", origin: "JFK", dest: ["LAX", "SFO", "MIA"][i % 3], dep_delay: (i * 7) % 40 - 5, cancelled: i % 9 === 0 }), bytes: 148 }, headers: i % 3 ? [] : [{ key: "trace-id", value: "4bf92f3577b34da6" }], transaction: ["committed", "committed", "none", "open"][i % 4]!, producer_id: 4001, compression: "lz4" });

function overview() {
  const now = Date.now();
  const t = Array.from({ length: 720 }, (_, i) => now - (719 - i) * 5000);
  return { version: "0.9.0", started_ms: started, now, bootstrap: ["127.0.0.1:9092"], data_dir: ".millstream", broker: { topics: 8, partitions: 41, bytes: 318_000_000, groups: 4, connections: 17 }, memory: { rss: 142_000_000, limit: 1_073_741_824, state: 9_400_000 }, history: { t, in: t.map((x) => (x < started ? null : wave(x, 132_000, 22_000, 240))), out: t.map((x) => (x < started ? null : wave(x, 41_500, 6_000, 180))), broker_in: t.map((x) => wave(x, 11_000_000, 2_500_000, 300)), broker_out: t.map((x) => wave(x, 17_000_000, 4_000_000, 210)), rss: t.map((x) => wave(x, 142_000_000, 8_000_000, 900)) } };
}

const configs = [["cleanup.policy", "delete", "What happens to old segments."], ["retention.ms", "604800000", "How long records are kept."], ["compression.type", "producer", "The codec of the log."], ["max.message.bytes", "1048588", "Largest batch."], ["min.insync.replicas", "1", ""], ["segment.bytes", "1073741824", ""]].map(([name, value, doc], i) => ({ name, value, default: i !== 1, read_only: false, sensitive: false, source: i === 1 ? "topic" : "default", doc }));

function answer(method: string, path: string, _query: URLSearchParams): unknown {
  const p = path.split("/").filter(Boolean).map(decodeURIComponent);
  if (path === "/jobs/overview") return { jobs: JOBS.map((j) => ({ jid: j.jid, name: j.name, state: j.state, "start-time": j.start, "end-time": j.end, duration: (j.end < 0 ? Date.now() : j.end) - j.start, tasks: { total: 14, running: j.state === "RUNNING" ? 14 : 0 } })) };
  if (p[0] === "jobs") {
    if (p.length === 2) return method === "GET" ? job(p[1]!) : {};
    if (p[2] === "checkpoints" && p[3] === "config") return { mode: "exactly_once", interval: 10_000, timeout: 600_000, min_pause: 0, max_concurrent: 1, state_backend: "columnar" };
    if (p[2] === "checkpoints" && p[3] === "details") return checkpoint(Number(p[4]));
    if (p[2] === "checkpoints") return { counts: { restored: 1, total: 121, in_progress: 0, completed: 120, failed: 1 }, summary: { end_to_end_duration: { min: 12, avg: 31, p50: 29, p99: 71, max: 88 }, checkpointed_size: { min: 400, avg: 44_000, p50: 42_000, p99: 70_000, max: 71_000 }, state_size: { min: 400, avg: 9_000_000, p50: 9_200_000, p99: 9_400_000, max: 9_400_000 } }, latest: { completed: checkpoint(121), failed: checkpoint(117), restored: { id: 88, restore_timestamp: started, is_savepoint: false } }, history: Array.from({ length: 10 }, (_, i) => checkpoint(121 - i)) };
    if (p[2] === "exceptions") return { exceptionHistory: { entries: [{ exceptionName: "org.apache.flink.formats.json.JsonParseException", stacktrace: "the value of 'dep_delay' is no INT: \"n/a\"\n  in topic 'flights', partition 2, offset 118403", timestamp: Date.now() - 400_000, taskName: "Source: flights" }], truncated: false } };
    if (p[2] === "config") return { "execution-config": { "job-parallelism": 4, "restart-strategy": "exponential-delay", "object-reuse-mode": true, "user-config": { "pipeline.name": "flights hourly delays", "execution.checkpointing.interval": "10 s" } } };
    if (p.at(-1) === "backpressure") return { subtasks: [0, 1, 2, 3].map((subtask) => ({ subtask, backpressureLevel: "ok", ratio: 0.02, idleRatio: 0.3, busyRatio: 0.68 })) };
    if (p.at(-1) === "watermarks") return [0, 1, 2, 3].map((i) => ({ id: `${i}.currentInputWatermark`, value: String(Date.now() - 4000 - i * 900) }));
    if (p[2] === "vertices") return { subtasks: [0, 1, 2, 3].map((subtask) => ({ subtask, status: "RUNNING", attempt: 0, "start-time": started, duration: 1, metrics: { "read-records": 12_000_000 + subtask * 3000, "write-records": 400_000, "read-bytes": 900_000_000 } })) };
    return { "request-id": "0".repeat(32) };
  }
  if (path === "/jobmanager/config") return [{ key: "rest.port", value: "8081" }, { key: "parallelism.default", value: "4" }];
  if (path === "/api/v1/overview") return overview();
  if (path === "/api/v1/topics") return { topics: TOPICS };
  if (p[2] === "topics" && p[4] === "messages") return { messages: Array.from({ length: 50 }, (_, i) => message(i)), scanned: 50, next: { 0: 100 }, exhausted: false };
  if (p[2] === "topics") return { ...TOPICS.find((t) => t.name === p[3]), id: "x", partitions: [0, 1, 2, 3].map((partition) => ({ partition, leader: 1, start: 0, end: 120_000 - partition * 777, stable: 120_000 - partition * 777 - (partition === 3 ? 12 : 0), bytes: 17_000_000 + partition * 400_000 })), configs, groups: ["delays", "dashboard"] };
  if (path === "/api/v1/groups") return { groups: [["delays", "Stable", 2, 1204], ["dashboard", "Stable", 1, 0], ["nightly", "Empty", 0, 88_412], ["audit", "PreparingRebalance", 3, 12]].map(([group, state, members, lag]) => ({ group, state, type: "Consumer", protocol: "uniform", members, topics: 1, lag })) };
  if (p[2] === "groups") return { group: p[3], state: "Stable", type: "Consumer", assignor: "uniform", members: [0, 1].map((i) => ({ id: `consumer-${i}-8f1c`, instance_id: null, client_id: `delays-${i}`, host: "/127.0.0.1", partitions: [{ topic: "flights", partition: i }, { topic: "flights", partition: i + 2 }] })), offsets: [0, 1, 2, 3].map((partition) => ({ topic: "flights", partition, committed: 119_000 + partition * 100, start: 0, end: 120_000, lag: Math.floor(wave(Date.now(), 600, 500, 3)) + partition * 90, member: `delays-${partition % 2}` })) };
  if (path === "/api/v1/acls") return { enabled: true, acls: [{ resource: "TOPIC", name: "flights", pattern: "LITERAL", principal: "User:alice", host: "*", operation: "READ", permission: "ALLOW" }, { resource: "TOPIC", name: "audit-", pattern: "PREFIXED", principal: "User:bob", host: "10.0.0.7", operation: "ALL", permission: "DENY" }] };
  if (path === "/api/v1/users") return { users: [{ user: "alice", mechanisms: [{ mechanism: "SCRAM-SHA-512", iterations: 8192 }] }] };
  if (p[2] === "jobs") return { vertices: Object.fromEntries(VERTICES.map(([id], i) => [id, { watermark: String(Date.now() - 3000 - i * 400), late_records: i === 1 ? 14 : 0, state_bytes: [0, 9_000_000, 0, 400_000, 0][i] }])), statements: ["INSERT INTO hourly_delays\nSELECT window_start, origin, AVG(dep_delay) AS delay\nFROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(planned), INTERVAL '1' HOUR))\nWHERE NOT cancelled\nGROUP BY window_start, window_end, origin"] };
  return undefined;
}

// ---- a gateway that knows two queries -------------------------------------------------------------------------------

const operations = new Map<string, { sql: string; token: number }>();
const text = (name: string) => ({ name, logicalType: { type: "VARCHAR", length: 2147483647, nullable: true } });
const big = (name: string) => ({ name, logicalType: { type: "BIGINT", nullable: true } });
const totals = new Map<number, [number, number]>();
const SHOWS: [RegExp, string[][]][] = [[/CURRENT CATALOG/, [["default_catalog"]]], [/CURRENT DATABASE/, [["default_database"]]], [/SHOW CATALOGS/, [["default_catalog"]]], [/SHOW DATABASES/, [["default_database"], ["reporting"]]], [/SHOW VIEWS/, [["late_flights"]]], [/SHOW TABLES/, [["flights"], ["hourly_delays"], ["late_flights"], ["orders"]]], [/SHOW FUNCTIONS/, [["abs"], ["concat"], ["coalesce"]]], [/DESCRIBE/, [["flight", "STRING"], ["origin", "STRING"], ["planned", "TIMESTAMP(3)"], ["dep_delay", "INT"]]]];
const PLAN = "== Abstract Syntax Tree ==\nLogicalAggregate(group=[{0}])\n\n== Optimized Execution Plan ==\nGroupAggregate(groupBy=[customer], select=[customer, COUNT(*) AS orders, SUM(amount) AS total])\n+- Exchange(distribution=[hash[customer]])\n   +- Calc(select=[customer, amount], where=[(amount > 10)])\n      +- TableSourceScan(table=[[default_catalog, default_database, orders]], fields=[order_id, customer, amount])";

function gateway(method: string, path: string, body: { statement?: string }): unknown {
  if (method === "POST" && path.endsWith("/sessions")) return { sessionHandle: "s1" };
  if (path.endsWith("/statements")) {
    const id = `o${operations.size}`;
    operations.set(id, { sql: body.statement ?? "", token: 0 });
    return { operationHandle: id };
  }
  const [, id, token] = /operations\/(\w+)\/result\/(\d+)/.exec(path) ?? [];
  const operation = operations.get(id ?? "");
  if (!operation) return {};
  const show = SHOWS.find(([pattern]) => pattern.test(operation.sql));
  const done = (columns: unknown[], rows: (string | null)[][]) => ({ resultType: "EOS", isQueryResult: false, resultKind: "SUCCESS_WITH_CONTENT", results: { columns, data: rows.map((fields) => ({ kind: "INSERT", fields })) } });
  if (show) return done(show[1][0]!.map((_, i) => text(i ? "type" : "name")), show[1]);
  if (/^\s*EXPLAIN/.test(operation.sql)) return done([text("result")], [[PLAN]]);
  if (!/SELECT/.test(operation.sql)) return done([text("result")], [["OK"]]);
  if (/nonsense/.test(operation.sql)) return undefined;
  const data: unknown[] = [];
  for (let i = 0; i < 6; i += 1) {
    const customer = Math.floor(Math.random() * 24) + 1;
    const old = totals.get(customer);
    const next: [number, number] = [(old?.[0] ?? 0) + 1, (old?.[1] ?? 0) + Math.round(Math.random() * 5000) / 10];
    const row = (v: [number, number]) => [String(customer), String(v[0]), v[1].toFixed(2)];
    if (old && Number(token) > 0) data.push({ kind: "UPDATE_BEFORE", fields: row(old) });
    data.push({ kind: old && Number(token) > 0 ? "UPDATE_AFTER" : "INSERT", fields: row(next) });
    totals.set(customer, next);
  }
  return { resultType: "PAYLOAD", isQueryResult: true, jobID: JOBS[1]!.jid, resultKind: "SUCCESS_WITH_CONTENT", results: { columns: [{ name: "customer", logicalType: { type: "INTEGER", nullable: true } }, big("orders"), { name: "total", logicalType: { type: "DECIMAL", precision: 38, scale: 2, nullable: true } }], data }, nextResultUri: path.replace(/\d+$/, String(Number(token) + 1)) };
}

function events(response: ServerResponse) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = () => {
    const now = Date.now();
    response.write(`event: tick\ndata: ${JSON.stringify({ now, jobs: { RUNNING: 2, RESTARTING: 1, FINISHED: 1, CANCELED: 1 }, job_records_in: wave(now, 132_000, 22_000), job_records_out: wave(now, 41_500, 6000), broker_bytes_in: wave(now, 11e6, 2e6), broker_bytes_out: wave(now, 17e6, 3e6), rss: wave(now, 142e6, 3e6), cpu: 0.34 })}\n\n`);
  };
  send();
  const timer = setInterval(send, 1000);
  response.on("close", () => clearInterval(timer));
}

async function handle(request: IncomingMessage, response: ServerResponse, next: () => void) {
  const address = new URL(request.url ?? "/", "http://x");
  const { pathname } = address;
  if (!/^\/(api|jobs|overview|config|jobmanager)\b/.test(pathname)) return next();
  if (pathname === "/api/v1/events") return events(response);
  let raw = "";
  for await (const chunk of request) raw += chunk;
  const body = raw ? JSON.parse(raw) : {};
  if (pathname.includes("/gateway/") && pathname.includes("/result/")) await new Promise((done) => setTimeout(done, 120));
  const found = pathname.includes("/gateway/") ? gateway(request.method!, pathname, body) : answer(request.method!, pathname, address.searchParams);
  response.writeHead(found === undefined ? 500 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify(found ?? { errors: ["Internal server error.", "<Exception on server side:\norg.apache.flink.table.api.SqlParserException: SQL parse failed. Encountered \"nonsense\" at line 1, column 8.\nEnd of exception on server side>"] }));
}

export const mock = (): Plugin => ({ name: "mock", configureServer: (server) => void server.middlewares.use((request, response, next) => void handle(request, response, next)) });
