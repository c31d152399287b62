//! Every limit of the engine, by name.

use std::time::Duration;

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
/// Attempts to open a file while the process or the machine has no free file handle.
pub const OPEN_ATTEMPTS_MAX: u32 = 200;
/// The pause between two of these attempts.
pub const OPEN_PAUSE: Duration = Duration::from_millis(50);
/// Depth of nested JSON values, SQL expressions and types.
pub const NESTING_DEPTH_MAX: usize = 200;
/// Newest records of a topic that its inferred table is made from.
pub const TOPIC_SAMPLE_RECORDS: usize = 200;
/// Partitions that are looked at for it.
pub const TOPIC_SAMPLE_PARTITIONS_MAX: usize = 64;
/// Bytes of keys and values that are looked at for it.
pub const TOPIC_SAMPLE_BYTES_MAX: usize = 16 << 20;
/// Columns of a table, and fields of a nested row, that are inferred; an object with more is text.
pub const INFERRED_FIELDS_MAX: usize = 500;
/// Depth to which nested rows are inferred; what lies deeper is text.
pub const INFERRED_DEPTH_MAX: usize = 16;
