//! Append-only logs of Kafka record batches behind one shared write-ahead log.
//!
//! A broker on one node is durable by its disk alone, so an append is answered after a sync; with one file per
//! partition that would be one sync per partition. Here all appends, of all partitions and of the owner's metadata,
//! go into one write-ahead log (WAL) in groups: one `write` and one sync per group, and a record of the WAL with
//! several entries is atomic. Batches reach their partition's segments later, by a checkpoint, after which the WAL
//! behind it is removed. The crate knows the 61-byte header of a batch and control records, not records; it has no
//! threads, clock or sockets: [`Log`] changes memory and hands out [`CommitJob`] and [`CheckpointJob`], which
//! somebody runs on a thread and gives back.
//!
//! # Life of a batch
//! 1. [`Log::append`] copies it into the pending group with its offset stamped; producer state moves at once.
//! 2. [`Log::take_commit`] freezes the group; [`CommitJob::run`] writes and syncs it; [`Log::on_commit`] moves the
//!    high watermarks, and readers see slices of the group's buffer without a copy.
//! 3. When [`CHECKPOINT_BYTES`](limits::CHECKPOINT_BYTES) have gathered, `take_commit` also captures the state;
//!    [`CheckpointJob::run`] appends the groups' batches to segments, syncs them, replaces the manifest and removes
//!    the WAL before it; [`Log::on_checkpoint`] lets the oldest groups go from memory.
//!
//! # Files below the root
//! | path | content |
//! |---|---|
//! | `lock` | exclusive lock of the process |
//! | `checkpoint` | the manifest, replaced by rename |
//! | `wal-salt` | the salt of groups u64, its crc32c u32 |
//! | `wal/<sequence>.wal` | groups of records; the name is the first record's sequence, 20 digits |
//! | `logs/<id>/<base offset>-<generation>.log` | raw v2 batches, one after the other |
//! | `….index` | 8 bytes an entry: offset − base u32, position u32, one for each 4 KiB |
//! | `….timeindex` | 8 bytes an entry: greatest timestamp of all batches before that entry, i64 |
//!
//! All integers of own formats are little-endian; batches are Kafka's big-endian.
//!
//! # WAL
//! A file is a row of groups. Group header, 40 bytes: magic `MWG1`, crc32c u32 of the bytes after it in the header,
//! first sequence u64, sequence known to be synced when the group was written u64, length u64 of what follows, salt u64;
//! then records, then zeros up to a multiple of 4096, so that groups can be written past the system's cache.
//! Record: magic `MWR1`, crc32c u32 of everything after it, sequence u64, time i64 (ms), length u32 of the entries,
//! number of entries u32; then the entries; then zeros up to a multiple of 8. Entry, 12 bytes: kind u32, log u32,
//! length u32; then its data. Kinds: 1 batch, 2 create log, 3 drop log, 4 start offset (i64), 5 metadata of the owner.
//! Sequences have no holes. A file may end in zeros, as it is made longer before it is written. The first other
//! unreadable byte ends the WAL, unless a later group proves by its synced sequence that what is unreadable had been
//! acknowledged: then opening fails and names the place. Data of clients may look like a group, so all groups of a directory
//! have the same random salt, which nobody outside knows; in files of older versions it is 0.
//!
//! # Manifest
//! `MSCP`, version u32, crc32c u32 of the rest, then: sequence u64 (everything up to it is in here), clean u8 (0 no, 1 yes,
//! 2 yes, but files may be left that it does not name), next log id u32, number of logs u32, each log (see [`checkpoint`]),
//! length u64 and bytes of the owner's snapshot. What a segment file holds behind the manifest's length is a remnant of an
//! unfinished checkpoint and is cut off.
//!
//! # Recovery
//! Manifest, then WAL. After an unclean end the last segment of each log is checked: its indexes by the sums that the
//! manifest has of them, its last batches by their own (length, magic, CRC, offsets in a row). Indexes that are not what
//! they should be are made anew from the batches. Damage to batches quarantines that one log: it refuses reads and appends,
//! but for the markers of transactions, with a reason, and nothing is dropped. A later start checks all segments
//! of such a log, and lifts that when they are sound: restored from a copy, or below the log's start and gone. The clean flag
//! only saves the checks of other logs.

pub mod batch;
pub mod checkpoint;
mod codec;
mod commit;
pub mod compaction;
mod error;
mod index;
pub mod limits;
mod log;
mod partition;
mod pending;
pub mod producer;
mod read;
mod record;
mod recovery;
mod retention;
mod segment;
mod segment_check;
mod segment_read;
mod segment_write;
mod tail;
mod time_search;
mod wal;

pub use batch::{BatchHeader, ControlType};
pub use checkpoint::{CheckpointJob, CheckpointOutcome};
pub use commit::{CommitJob, CommitOutcome, Durable};
pub use compaction::{
    CleanRecord, Cleanable, CompactionJob, CompactionOutcome, CompactionRules, RecordCleaner,
};
pub use error::{LogError, OpenError};
pub use log::{Appended, Log, LogId, LogOptions, LogSettings, Opened};
pub use partition::LogOffsets;
pub use producer::{AbortedTransaction, ProducerState, SequenceCheck, SequenceError};
pub use read::{Isolation, PlannedRead, Read, ReadLimit};
pub use record::{Entry, Record};
pub use retention::Expired;
pub use segment_read::{ReadJob, ReadOutcome};
pub use time_search::TimeSearch;
