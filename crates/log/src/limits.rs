//! The limits of the log, each with its name.

/// Bytes of groups, as they lie in memory, after which a checkpoint moves batches into segments.
pub const CHECKPOINT_BYTES: u64 = 8 << 20;
/// Smallest preallocation of a WAL file; a larger file grows by its own length.
pub const WAL_ROOM_BYTES_MIN: u64 = 4 << 10;
/// The most bytes by which a file of the WAL is made longer.
pub const WAL_ROOM_BYTES_MAX: u64 = 4 << 20;
/// The longest file of the WAL that is written over when a checkpoint has moved its batches; longer ones are removed.
pub const WAL_SPARE_BYTES_MAX: u64 = 96 << 20;
/// Bytes of groups since the running checkpoint beyond which the owner must not append (see `Log::is_backlogged`).
pub const BACKLOG_BYTES: u64 = 8 << 20;
/// Bytes appended since the last commit began beyond which the owner must not append (see `Log::is_backlogged`).
pub const PENDING_BYTES: u64 = 64 << 20;
/// Hard cap on pending bytes: rejects new batches beyond `PENDING_BYTES × PENDING_FACTOR_MAX`. The soft cap alone is
/// not enough, because the batches of a single request may be far larger than the bytes received.
pub const PENDING_FACTOR_MAX: u64 = 4;
/// The fewest bytes for a segment that are worth a write with direct IO.
pub const COLD_BYTES_MIN: usize = 64 << 10;
/// The bytes of one write to a segment: small batches are gathered.
pub const SEGMENT_WRITE_BYTES: usize = 1 << 20;
/// For this many checkpoints after a read from segments, the log's segments are written through the page cache: its
/// reader lags behind the groups in memory and will read the new segments soon.
pub const WARM_CHECKPOINTS: u32 = 16;
/// Bytes of groups kept in memory for tailing readers after they are in segments.
pub const TAIL_CACHE_BYTES: u64 = 8 << 20;
/// The most that is reserved for a group before its records come.
pub const PENDING_BYTES_AHEAD: usize = 8 << 20;
/// Bytes of buffers of groups and of reads that are kept for the next ones.
pub const BUFFERS_BYTES: usize = 12 << 20;
/// Bytes of a segment between two index entries.
pub const INDEX_INTERVAL_BYTES: u64 = 4096;
/// The indexes of a segment are synced whenever it passes a multiple of this. After a power failure at most this much
/// is read to rebuild the rest of them.
pub const INDEX_SYNC_BYTES: u64 = 32 << 20;
/// Files that a checkpoint writes before it syncs them, all together.
pub const UNSYNCED_FILES: usize = 64;
/// Open files kept for reading.
pub const OPEN_FILES: usize = 128;
/// Batches remembered per producer and partition to recognise repeats, as in Kafka.
pub const PRODUCER_BATCHES: usize = 5;
/// Bytes read at once while a segment is scanned.
pub const SCAN_BYTES: usize = 1 << 20;
/// The smallest buffer for a read from a segment.
pub const READ_BYTES_MIN: usize = 16 << 10;
/// The greatest offset distance that fits a segment's index.
pub const SEGMENT_OFFSETS: i64 = u32::MAX as i64;
/// The greatest length of a segment that fits its index.
pub const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;
