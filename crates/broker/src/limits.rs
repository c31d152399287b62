//! The limits of the broker that are not Kafka configurations, each with its name.

/// The first look at retention after a start.
pub const FIRST_RETENTION_MS: i64 = 30_000;
/// How often producers and offsets are looked through for expiry.
pub const SCAN_INTERVAL_MS: i64 = 60_000;
/// How many bytes a batch may inflate to, for each byte of the topic's `max.message.bytes`.
pub const INFLATION_FACTOR: usize = 100;
/// The most that a batch may inflate to on any topic. Batches that were taken stay below it, so that they can be read
/// again whatever `max.message.bytes` has become since.
pub const INFLATED_BYTES_MAX: usize = 1 << 30;
/// What the batches of one request may inflate to in any case; beyond it, [`INFLATION_FACTOR`] bytes for each byte that came.
pub const REQUEST_INFLATED_BYTES_MIN: usize = 128 << 20;
/// Bytes of a configuration's value: what a string of the protocol holds, and so of Kafka's records of configurations.
pub const CONFIG_VALUE_BYTES_MAX: usize = i16::MAX as usize;
/// Partitions that one request may create, about as many as in Kafka.
pub const PARTITIONS_CREATED_MAX: i32 = 10_000;
/// Configurations in one answer to DescribeConfigs.
pub const CONFIGS_DESCRIBED_MAX: usize = 500_000;
/// The memory that a client's regular expression may take when it is made ready, and again when it is matched.
pub const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Producer ids reserved by one record.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;
/// The longest long poll.
pub const FETCH_WAIT_MS_MAX: i64 = 300_000;
/// Bytes of segments in one answer to a fetch, unless the client asks for more at least: they stay in memory until the
/// client has taken them. Partitions that get nothing because of that are the first ones of a session's next fetch.
pub const SEGMENT_BYTES_PER_FETCH: usize = 4 << 20;
/// Requests handled before disk work is looked at again.
pub const REQUESTS_PER_TURN: usize = 256;
/// So many records of a refused batch are named in the answer; clients fail the rest of the batch as well.
pub const RECORD_ERRORS_MAX: usize = 10_000;
/// A refused batch that inflates to more than this is refused as a whole, without a look at which records are at fault.
pub const REFUSED_BYTES_MAX: usize = 16 << 20;
/// Partitions that all fetch sessions together may hold; the number of sessions is a configuration.
pub const SESSION_PARTITIONS_MAX: usize = 200_000;
/// A fetch session that was not used for this long gives way to a new one, as does a smaller one that is this old.
pub const SESSION_EVICTION_MS: i64 = 120_000;
/// Clients whose use of quotas is measured one by one; more share a measure.
pub const QUOTA_CLIENTS_MAX: usize = 10_000;
/// The use of a quota is forgotten when its client was not heard of for this long.
pub const QUOTA_IDLE_MS: i64 = 3_600_000;
/// How long a commit waits for the next of the requests that it gathers.
pub const GATHER_PAUSE_MICROS: u64 = 1_000;
/// How long a commit is held back to gather requests at most.
pub const GATHER_MS_MAX: i64 = 4;
/// So many commits are let through without gathering at most, after gathering has been in vain.
pub const GATHER_SKIPS_MAX: u32 = 64;
/// Threads that read segments for fetches.
pub const READ_THREADS: usize = 2;
/// A log whose compaction has failed is left alone for this long.
pub const COMPACTION_RETRY_MS: i64 = 600_000;
