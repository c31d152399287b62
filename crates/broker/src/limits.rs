//! The limits of the broker that are not Kafka configurations, each with its name.

/// The first look at retention after a start.
pub const FIRST_RETENTION_MS: i64 = 30_000;
/// Interval of the scan for expired producers and offsets.
pub const SCAN_INTERVAL_MS: i64 = 60_000;
/// How many bytes a batch may inflate to, for each byte of the topic's `max.message.bytes`.
pub const INFLATION_FACTOR: usize = 100;
/// Cap on the decompressed size of a batch on any topic. Every accepted batch stays below it, so it can be read again
/// whatever `max.message.bytes` has become since.
pub const INFLATED_BYTES_MAX: usize = 1 << 30;
/// Decompressed size that the batches of one request may always reach; beyond it, [`INFLATION_FACTOR`] bytes for each
/// byte received.
pub const REQUEST_INFLATED_BYTES_MIN: usize = 128 << 20;
/// Bytes of a configuration's value: the longest string of the protocol, and so of Kafka's configuration records.
pub const CONFIG_VALUE_BYTES_MAX: usize = i16::MAX as usize;
/// Partitions that one request may create, about the same as in Kafka.
pub const PARTITIONS_CREATED_MAX: i32 = 10_000;
/// Configurations in one DescribeConfigs response.
pub const CONFIGS_DESCRIBED_MAX: usize = 500_000;
/// The memory that a client's regular expression may take when it is made ready, and again when it is matched.
pub const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Producer ids reserved by one record.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;
/// The longest long poll.
pub const FETCH_WAIT_MS_MAX: i64 = 300_000;
/// Bytes of segments in one fetch response, unless `fetch.min.bytes` is larger: they stay in memory until the client
/// has read them. Partitions left out because of this come first in the session's next fetch.
pub const SEGMENT_BYTES_PER_FETCH: usize = 4 << 20;
/// Requests handled before disk jobs get a chance to start.
pub const REQUESTS_PER_TURN: usize = 256;
/// Records of a rejected batch that a response names; clients fail the rest of the batch as well.
pub const RECORD_ERRORS_MAX: usize = 10_000;
/// A refused batch that inflates to more than this is refused as a whole, without a look at which records are at fault.
pub const REFUSED_BYTES_MAX: usize = 16 << 20;
/// Partitions that all fetch sessions together may hold; the number of sessions is a configuration.
pub const SESSION_PARTITIONS_MAX: usize = 200_000;
/// A fetch session that has been idle for this long is evicted in favour of a new one, as is a smaller one of this age.
pub const SESSION_EVICTION_MS: i64 = 120_000;
/// Clients whose use of quotas is measured one by one; more share a measure.
pub const QUOTA_CLIENTS_MAX: usize = 10_000;
/// The use of a quota is forgotten when its client was not heard of for this long.
pub const QUOTA_IDLE_MS: i64 = 3_600_000;
/// Longest pause between requests while a commit is held back.
pub const GATHER_PAUSE_MICROS: u64 = 1_000;
/// Cap on the time for which a commit is held back.
pub const GATHER_MS_MAX: i64 = 4;
/// Cap on the number of commits that start at once after futile waits.
pub const GATHER_SKIPS_MAX: u32 = 64;
/// Threads that read segments for fetches.
pub const READ_THREADS: usize = 2;
/// A log whose compaction has failed is left alone for this long.
pub const COMPACTION_RETRY_MS: i64 = 600_000;
