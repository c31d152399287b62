//! The limits of the broker that are not Kafka configurations, each with its name.

/// The first look at retention after a start.
pub const FIRST_RETENTION_MS: i64 = 30_000;
/// How often producers and offsets are looked through for expiry.
pub const SCAN_INTERVAL_MS: i64 = 60_000;
/// How many bytes a batch may inflate to while it is validated, for each byte that a message may have.
pub const INFLATION_FACTOR: usize = 1_000;
/// Partitions that one request may create.
pub const PARTITIONS_CREATED_MAX: i32 = 100_000;
/// Producer ids reserved by one record.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;
/// The longest long poll.
pub const FETCH_WAIT_MS_MAX: i64 = 300_000;
/// Requests handled before disk work is looked at again.
pub const REQUESTS_PER_TURN: usize = 256;
