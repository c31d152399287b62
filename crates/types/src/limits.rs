//! Every limit of the engine, by name.

/// Rows of a batch unless `millstream.batch.max-rows` says otherwise.
pub const BATCH_ROWS_DEFAULT: usize = 8192;
/// Largest value of `millstream.batch.max-rows`.
pub const BATCH_ROWS_MAX: usize = 65_536;
/// Bytes in flight on one exchange channel before its sender waits.
pub const EXCHANGE_CREDIT_BYTES: usize = 4 << 20;
/// Key groups of a job unless `pipeline.max-parallelism` says otherwise (Flink's default lower bound).
pub const KEY_GROUPS_DEFAULT: u16 = 128;
/// Files that are synced at the same time.
pub const SYNC_THREADS: usize = 16;
/// Depth of nested JSON values, SQL expressions and types.
pub const NESTING_DEPTH_MAX: usize = 200;
