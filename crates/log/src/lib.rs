//! Append-only logs of Kafka record batches behind one shared write-ahead log.
//!
//! A single-node broker is durable by its disk alone, so an append is acknowledged after an fsync; with one file per
//! partition that would be one fsync per partition. Here all appends, of all partitions and of the owner's metadata, go
//! into one write-ahead log (WAL) in commit groups: one `write` and one fsync per group. A WAL record with several
//! entries is atomic. A checkpoint later moves batches to their partition's segments, and then removes the WAL ahead of
//! it. The crate reads batch headers and control records, not data records; it has no threads, clock or sockets:
//! [`Log`] changes memory and hands out [`CommitJob`] and [`CheckpointJob`], which the host runs on a thread and
//! returns.
//!
//! # Life of a batch
//! 1. [`Log::append`] copies it into the pending group with its offset stamped; producer state changes at once.
//! 2. [`Log::take_commit`] freezes the group; [`CommitJob::run`] writes and syncs it; [`Log::on_commit`] advances the
//!    high watermarks, and readers see slices of the group's buffer without a copy.
//! 3. When [`CHECKPOINT_BYTES`](limits::CHECKPOINT_BYTES) are pending, `take_commit` also captures the state;
//!    [`CheckpointJob::run`] appends the groups' batches to segments, syncs them, replaces the manifest and removes
//!    the WAL ahead of it; [`Log::on_checkpoint`] evicts the oldest groups from memory.
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
//! A file is a sequence of groups. Group header, 40 bytes: magic `MWG1`, crc32c u32 of the rest of the header,
//! first sequence u64, sequence known to be synced when the group was written u64, length u64 of what follows, salt
//! u64; then records, then zeros up to a multiple of 4096, so that groups can be written with direct IO. Record: magic
//! `MWR1`, crc32c u32 of everything after it, sequence u64, time i64 (ms), length u32 of the entries, number of entries
//! u32; then the entries; then zeros up to a multiple of 8. Entry, 12 bytes: kind u32, log u32, length u32; then its
//! data. Kinds: 1 batch, 2 create log, 3 drop log, 4 start offset (i64), 5 metadata of the owner.
//!
//! Sequences have no gaps. A file may end in zeros, because it is preallocated. The first other unreadable byte ends
//! the WAL, unless a later group proves by its synced sequence that the unreadable part had been acknowledged: then
//! opening fails and names the place. Client data may look like a group, so all groups of a directory carry the same
//! random salt, which no client can know; in files of older versions it is 0.
//!
//! # Manifest
//! `MSCP`, version u32, crc32c u32 of the rest, then: sequence u64 (everything up to it is included), clean
//! u8 (0 no, 1 yes, 2 yes, but files may be left that it does not name), next log id u32, number of logs u32, each log
//! (see [`checkpoint`]), length u64 and bytes of the owner's snapshot. Bytes of a segment file beyond the manifest's
//! length are a remnant of an unfinished checkpoint and are truncated.
//!
//! # Recovery
//! Manifest, then WAL. After an unclean shutdown the last segment of each log is checked: its indexes by the
//! checksums in the manifest, its last batches by their own (length, magic, CRC, consecutive offsets). Indexes that
//! fail are rebuilt from the batches. Damaged batches quarantine that one log: it rejects reads and appends, except for
//! transaction markers, with a reason, and nothing is dropped. A later start checks all segments of a quarantined log,
//! and lifts the quarantine once they are sound: restored from a copy, or below the log start offset and gone. The
//! clean flag only skips the checks of the other logs.

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
