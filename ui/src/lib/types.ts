// Shapes of the server's JSON. Those of jobs are Flink's REST API, the others are our own `/api/v1`.

export interface JobSummary {
  jid: string;
  name: string;
  state: string;
  "start-time": number;
  "end-time": number;
  duration: number;
  tasks: Record<string, number>;
}

export interface VertexMetrics {
  "read-bytes": number;
  "write-bytes": number;
  "read-records": number;
  "write-records": number;
  "accumulated-backpressured-time": number;
  "accumulated-idle-time": number;
  "accumulated-busy-time": number;
}

export interface Vertex {
  id: string;
  name: string;
  parallelism: number;
  maxParallelism: number;
  status: string;
  "start-time": number;
  duration: number;
  tasks: Record<string, number>;
  metrics: VertexMetrics;
}

export interface PlanNode {
  id: string;
  parallelism: number;
  description: string;
  inputs?: { num: number; id: string; ship_strategy: string; exchange?: string }[];
}

export interface JobDetail {
  jid: string;
  name: string;
  isStoppable: boolean;
  state: string;
  "start-time": number;
  "end-time": number;
  duration: number;
  now: number;
  timestamps: Record<string, number>;
  vertices: Vertex[];
  plan: { nodes: PlanNode[] };
}

export interface Checkpoint {
  id: number;
  status: string;
  is_savepoint: boolean;
  trigger_timestamp: number;
  latest_ack_timestamp: number;
  checkpointed_size: number;
  state_size: number;
  end_to_end_duration: number;
  num_subtasks: number;
  num_acknowledged_subtasks: number;
  checkpoint_type: string;
  external_path?: string;
  failure_message?: string;
  failure_timestamp?: number;
  processed_data?: number;
  persisted_data?: number;
  tasks?: Record<string, { id: string; status: string; state_size: number; checkpointed_size: number; end_to_end_duration: number }>;
}

export interface Summary { min: number; max: number; avg: number; p50?: number; p90?: number; p99?: number }

export interface Checkpoints {
  counts: { restored: number; total: number; in_progress: number; completed: number; failed: number };
  summary: Record<string, Summary>;
  latest: { completed?: Checkpoint | null; savepoint?: Checkpoint | null; failed?: Checkpoint | null; restored?: { id: number; restore_timestamp: number; is_savepoint: boolean; external_path?: string } | null };
  history: Checkpoint[];
}

export interface JobExceptions {
  exceptionHistory?: { entries: { exceptionName: string; stacktrace: string; timestamp: number; taskName?: string | null; endpoint?: string | null }[]; truncated: boolean };
  "root-exception"?: string | null;
  timestamp?: number | null;
}

export interface Tick {
  now: number;
  jobs: Record<string, number>;
  job_records_in: number;
  job_records_out: number;
  broker_bytes_in: number;
  broker_bytes_out: number;
  rss: number;
  cpu: number;
}

export interface Overview {
  version: string;
  started_ms: number;
  now: number;
  bootstrap: string[];
  data_dir: string;
  broker: { topics: number; partitions: number; bytes: number; groups: number; connections: number };
  memory: { rss: number; limit?: number; state: number };
  history: { t: number[]; in: (number | null)[]; out: (number | null)[]; broker_in: (number | null)[]; broker_out: (number | null)[]; rss: (number | null)[] };
}

export interface TopicRow {
  name: string;
  partitions: number;
  internal: boolean;
  bytes: number;
  records: number;
}

export interface PartitionRow {
  partition: number;
  leader: number;
  start: number;
  end: number;
  stable: number;
  bytes: number;
}

export interface ConfigEntry {
  name: string;
  value: string | null;
  default: boolean;
  read_only: boolean;
  sensitive: boolean;
  source: string;
  doc?: string | null;
}

export interface TopicDetail {
  name: string;
  internal: boolean;
  bytes: number;
  partitions: PartitionRow[];
  configs: ConfigEntry[];
  groups: string[];
}

export interface Payload {
  /** How `text` was made: json, avro, text, hex, null, empty. */
  format: string;
  text: string | null;
  bytes: number;
  truncated?: boolean;
}

export interface Message {
  partition: number;
  offset: number;
  timestamp: number;
  timestamp_type: string;
  key: Payload;
  value: Payload;
  headers: { key: string; value: string | null }[];
  /** none, committed, aborted, open. */
  transaction: string;
  producer_id?: number;
  compression: string;
}

export interface MessagePage {
  messages: Message[];
  scanned: number;
  /** Offsets at which the next page goes on, by partition; absent at the end. */
  next?: Record<string, number>;
  exhausted: boolean;
}

export interface GroupRow {
  group: string;
  state: string;
  type: string;
  protocol: string;
  members: number;
  topics: number;
  lag: number;
}

export interface GroupOffset {
  topic: string;
  partition: number;
  committed: number | null;
  start: number;
  end: number;
  lag: number | null;
  member?: string;
  metadata?: string | null;
}

export interface GroupDetail {
  group: string;
  state: string;
  type: string;
  assignor: string;
  members: { id: string; instance_id?: string | null; client_id: string; host: string; partitions: { topic: string; partition: number }[] }[];
  offsets: GroupOffset[];
}

export interface Acl {
  resource: string;
  name: string;
  pattern: string;
  principal: string;
  host: string;
  operation: string;
  permission: string;
}

export interface User { user: string; mechanisms: { mechanism: string; iterations: number }[] }
