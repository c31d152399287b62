//! [`Log`]: all logs of a directory, appending to them, and the state that commits and checkpoints move on.

use crate::batch::BatchHeader;
use crate::checkpoint::CheckpointJob;
use crate::commit::CommitJob;
use crate::error::LogError;
use crate::limits::{
    BACKLOG_BYTES, CHECKPOINT_BYTES, INDEX_INTERVAL_BYTES, PENDING_BYTES, PENDING_FACTOR_MAX,
    TAIL_CACHE_BYTES,
};
use crate::partition::{LogOffsets, Partition};
use crate::pending::{Frozen, Pending};
use crate::producer::Producers;
use crate::record::{Entry, Record};
use crate::segment::Segment;
use crate::segment_read::SegmentReader;
use crate::tail::Groups;
use crate::wal::WalWriter;
use bytes::Bytes;
use millstream_types::Buffers;
use millstream_types::storage::{Storage, StorageLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of a log in its directory. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u32);

/// Options of a directory.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Whether commits sync. Without it (`durability=os`) a power failure loses acknowledged records; for tests.
    pub sync: bool,
    /// Bytes of groups, as they lie in memory, between checkpoints.
    pub checkpoint_bytes: u64,
    /// Bytes of flushed groups kept in memory.
    pub tail_cache_bytes: u64,
    /// Bytes of groups since the running checkpoint beyond which the owner must not append (see [`Log::is_backlogged`]).
    pub backlog_bytes: u64,
    /// Bytes appended since the last commit began beyond which the owner must not append, either.
    pub pending_bytes: u64,
    /// The leader epoch stamped into batches.
    pub leader_epoch: i32,
    /// A random number that no client can guess, used as the salt of a directory that has none yet: it tells WAL groups
    /// from data that looks like one. 0 means that the directory has a salt.
    pub wal_salt: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            sync: true,
            checkpoint_bytes: CHECKPOINT_BYTES,
            tail_cache_bytes: TAIL_CACHE_BYTES,
            backlog_bytes: BACKLOG_BYTES,
            pending_bytes: PENDING_BYTES,
            leader_epoch: 0,
            wal_salt: 0,
        }
    }
}

/// Settings of one log; the owner sets them after opening and when they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// `segment.bytes`
    pub segment_bytes: u64,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`
    pub index_interval_bytes: u64,
    /// `retention.ms`; negative means unlimited
    pub retention_ms: i64,
    /// `retention.bytes`, negative without limit
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` has `delete`.
    pub delete: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            index_interval_bytes: INDEX_INTERVAL_BYTES,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            delete: true,
        }
    }
}

impl LogSettings {
    /// How much earlier a segment is closed, so that the segments of many logs that started together are not closed
    /// together. Any number will do that differs between segments and stays the same for each.
    pub(crate) fn jitter_ms(&self, log: LogId, segment: &Segment) -> i64 {
        let limit = self.segment_jitter_ms.min(self.segment_ms);
        if limit <= 0 {
            return 0;
        }
        let name = [i64::from(log.0), segment.base_offset, segment.created_ms].map(i64::to_le_bytes);
        let share = u64::from(crc32c::crc32c(name.as_flattened()));
        // Below the limit, as the share is below 2^32.
        ((u128::from(share) * limit as u128) >> 32) as i64
    }
}

/// The state found when a directory was opened.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// The owner's snapshot of the last checkpoint.
    pub snapshot: Option<Bytes>,
    /// The owner's metadata entries after it, in order, with the time of their record.
    pub metadata: Vec<(i64, Bytes)>,
}

/// The result of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The WAL sequence that must be durable before the append is acknowledged.
    pub sequence: u64,
    /// The base offset of each batch of the record, in order.
    pub base_offsets: Vec<i64>,
}

/// All logs of one directory. Not shared: one thread owns it.
#[derive(Debug)]
pub struct Log {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) _lock: Box<dyn StorageLock>,
    pub(crate) options: LogOptions,
    pub(crate) partitions: BTreeMap<LogId, Partition>,
    pub(crate) next_log: u32,
    pub(crate) groups: Groups,
    pub(crate) pending: Pending,
    pub(crate) pending_logs: Vec<LogId>,
    pub(crate) next_sequence: u64,
    pub(crate) durable_sequence: u64,
    pub(crate) flushed_sequence: u64,
    pub(crate) writer: Option<WalWriter>,
    pub(crate) wal_files: Vec<u64>,
    /// A file of the WAL that a checkpoint has emptied, for the next one.
    pub(crate) spare_wal_file: Option<u64>,
    /// Memory held by the groups since the last captured checkpoint; for small groups their bytes in the WAL.
    pub(crate) uncaptured_bytes: u64,
    pub(crate) checkpoint_requested: bool,
    /// Whether the next checkpoint is that of a clean end.
    pub(crate) end_requested: bool,
    pub(crate) captured: Option<CheckpointJob>,
    pub(crate) checkpoint_running: bool,
    pub(crate) compaction_running: bool,
    pub(crate) garbage: Vec<String>,
    pub(crate) poison: Option<Arc<str>>,
    pub(crate) reader: SegmentReader,
    pub(crate) buffers: Buffers,
}

impl Log {
    /// The id that the next created log should have; put it into [`Entry::CreateLog`].
    pub fn next_log_id(&self) -> LogId {
        LogId(self.next_log)
    }

    /// Changes a log's settings.
    pub fn set_settings(&mut self, log: LogId, settings: LogSettings) {
        if let Some(partition) = self.partitions.get_mut(&log) {
            partition.settings = settings;
        }
    }

    /// All logs, by id.
    pub fn logs(&self) -> impl Iterator<Item = LogId> {
        self.partitions.keys().copied()
    }

    /// The offsets of a log.
    pub fn offsets(&self, log: LogId) -> Option<LogOffsets> {
        self.partitions.get(&log).map(Partition::offsets)
    }

    /// The producers of a log.
    pub fn producers(&self, log: LogId) -> Option<&Producers> {
        self.partitions.get(&log).map(|partition| &partition.producers)
    }

    /// Bytes of a log in segments and behind them.
    pub fn bytes(&self, log: LogId) -> u64 {
        let Some(partition) = self.partitions.get(&log) else {
            return 0;
        };
        let from = partition.flushed_offset;
        let tail = partition
            .tail
            .iter()
            .rev()
            .take_while(|batch| batch.base_offset >= from);
        let tail_bytes: u64 = tail.map(|batch| u64::from(batch.len)).sum();
        partition
            .segments
            .iter()
            .map(|segment| segment.bytes)
            .sum::<u64>()
            + tail_bytes
    }

    /// Whether a log has durable batches that are not in segments.
    pub fn has_unflushed(&self, log: LogId) -> bool {
        self.partitions
            .get(&log)
            .is_some_and(|partition| partition.flushed_offset < partition.high_watermark)
    }

    /// The sequence of the last record appended.
    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    /// The sequence up to which everything is durable.
    pub fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }

    /// Why no append is possible any more, if so.
    pub fn poison_reason(&self) -> Option<Arc<str>> {
        self.poison.clone()
    }

    /// Why a log is quarantined, if it is.
    pub fn quarantine_reason(&self, log: LogId) -> Option<Arc<str>> {
        self.partitions
            .get(&log)
            .and_then(|partition| partition.quarantine.clone())
    }

    /// Whether appends must wait: so much waits for segments while a checkpoint runs, or for the next commit. A log that is
    /// closed is not waited for.
    pub fn is_backlogged(&self) -> bool {
        let pending = self.pending.len() as u64;
        self.uncaptured_bytes + pending > self.options.backlog_bytes && self.checkpoint_running
            || pending > self.options.pending_bytes && self.poison.is_none()
    }

    /// Whether a commit would have something to write.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Appends one batch as a WAL record. `header` is the batch's own and has been validated.
    pub fn append(
        &mut self,
        now_ms: i64,
        log: LogId,
        batch: &[u8],
        header: &BatchHeader,
    ) -> Result<(u64, i64), LogError> {
        self.check_appendable(log, header)?;
        let (bytes, limit) = (self.pending.len(), self.options.pending_bytes);
        if bytes as u64 > limit.saturating_mul(PENDING_FACTOR_MAX) {
            return Err(LogError::Overfull { bytes });
        }
        let (sequence, start) = self.begin(now_ms, 1, batch.len());
        let base_offset = self.push_batch(now_ms, log, batch, header);
        self.pending.finish_record(start, 1);
        Ok((sequence, base_offset))
    }

    /// Appends a record of several entries, which become durable together or not at all.
    pub fn append_record(&mut self, now_ms: i64, record: &Record) -> Result<Appended, LogError> {
        let mut headers = Vec::new();
        self.check_poison()?;
        for entry in &record.entries {
            if let Entry::Batch { log, batch } = entry {
                let header = BatchHeader::parse(batch)?;
                self.check_appendable(*log, &header)?;
                headers.push(header);
            }
        }
        let (sequence, start) = self.begin(now_ms, record.entries.len(), Pending::data_bytes(record));
        let mut headers = headers.iter();
        let mut base_offsets = Vec::new();
        for entry in &record.entries {
            match (entry, headers.as_slice().first()) {
                (Entry::Batch { log, batch }, Some(header)) => {
                    headers.next();
                    base_offsets.push(self.push_batch(now_ms, *log, batch, header));
                }
                _ => {
                    self.pending.push_entry(entry);
                    self.apply(entry);
                }
            }
        }
        self.pending.finish_record(start, record.entries.len());
        Ok(Appended {
            sequence,
            base_offsets,
        })
    }

    fn check_poison(&self) -> Result<(), LogError> {
        self.poison
            .clone()
            .map_or(Ok(()), |reason| Err(LogError::Poisoned { reason }))
    }

    /// A quarantined log accepts transaction markers only. The transaction ends everywhere else, and must not stay open
    /// in this log when its quarantine is lifted.
    fn check_appendable(&self, log: LogId, header: &BatchHeader) -> Result<(), LogError> {
        self.check_poison()?;
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        match partition.quarantine.clone() {
            Some(reason) if !header.is_control() => Err(LogError::Quarantined { log, reason }),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, now_ms: i64, entries: usize, data_bytes: usize) -> (u64, usize) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let start = self.pending.begin_record((sequence, now_ms), entries, data_bytes);
        (sequence, start)
    }

    fn push_batch(&mut self, now_ms: i64, log: LogId, batch: &[u8], header: &BatchHeader) -> i64 {
        let group = self.groups.pending_id();
        let partition = self
            .partitions
            .get_mut(&log)
            .expect("check_appendable has found the partition, and no record drops a log that it writes");
        if partition.touched_group != group {
            partition.touched_group = group;
            self.pending_logs.push(log);
        }
        let base_offset = partition.next_offset;
        let epoch = self.options.leader_epoch;
        let position = self.pending.push_batch(log, batch, base_offset, epoch);
        let header = BatchHeader {
            base_offset,
            ..*header
        };
        partition.push(&header, (group, position), batch, now_ms);
        base_offset
    }

    /// Applies an entry that is not a batch.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::CreateLog(log) => {
                self.next_log = self.next_log.max(log.0.saturating_add(1));
                self.partitions.entry(*log).or_insert_with(Partition::new);
            }
            Entry::DropLog(log) => {
                if self.partitions.remove(log).is_some() {
                    self.reader.forget_log(*log);
                    self.garbage.push(crate::segment::directory(*log));
                }
            }
            Entry::StartOffset { log, offset } => self.apply_start(*log, *offset),
            Entry::Batch { .. } | Entry::Metadata(_) => {}
        }
    }

    pub(crate) fn apply_start(&mut self, log: LogId, offset: i64) {
        let Some(partition) = self.partitions.get_mut(&log) else {
            return;
        };
        partition.set_start(offset);
        self.drop_below_start(log);
    }

    /// Lets go of segments that lie wholly below the start. Their files go with the next checkpoint, whose manifest has the
    /// start; until then the manifest that there is may name them.
    pub(crate) fn drop_below_start(&mut self, log: LogId) {
        let Some(partition) = self.partitions.get_mut(&log) else {
            return;
        };
        let mut dropped = partition.drop_segments_below_start();
        if partition.start_offset >= partition.next_offset
            && partition.flushed_offset == partition.next_offset
        {
            dropped.extend(partition.drop_all_segments());
        }
        for segment in dropped {
            self.reader.forget(log, segment.base_offset);
            self.garbage.extend(segment.files(log));
        }
    }

    /// Freezes the pending appends for a commit, if there are any and no commit is in flight. If a checkpoint is due,
    /// this also captures the state; `snapshot` returns the owner's part, which must reflect every record appended.
    pub fn take_commit(&mut self, now_ms: i64, snapshot: impl FnOnce() -> Vec<u8>) -> Option<CommitJob> {
        if self.poison.is_some() || self.writer.is_none() {
            return None;
        }
        let wants_snapshot = self.wants_snapshot();
        let job = self.freeze();
        if wants_snapshot {
            self.checkpoint_requested = false;
            let clean = std::mem::take(&mut self.end_requested);
            self.captured = Some(self.capture(now_ms, &snapshot(), clean));
            self.uncaptured_bytes = 0;
        }
        job
    }

    /// Whether the next `take_commit` will capture a checkpoint and call for the owner's snapshot.
    pub fn wants_snapshot(&self) -> bool {
        let bytes = self.uncaptured_bytes + self.pending.len() as u64;
        let is_requested = self.checkpoint_requested || self.end_requested;
        (is_requested || bytes >= self.options.checkpoint_bytes)
            && self.captured.is_none()
            && !self.checkpoint_running
            && self.writer.is_some()
            && self.poison.is_none()
    }

    fn freeze(&mut self) -> Option<CommitJob> {
        if self.pending.is_empty() {
            return None;
        }
        let mut writer = self.writer.take()?;
        let Frozen {
            bytes,
            kept,
            held_bytes,
            first_sequence,
        } = self.pending.freeze(self.durable_sequence);
        let follows_checkpoint = self.uncaptured_bytes == 0;
        if follows_checkpoint || !writer.has_file() {
            writer.close_file(self.spare_wal_file.take());
            if self.wal_files.last() != Some(&first_sequence) {
                self.wal_files.push(first_sequence);
            }
        }
        // The WAL must not grow much beyond the memory that the groups hold.
        self.uncaptured_bytes += held_bytes.max(bytes.len() / 2) as u64;
        let partitions = &self.partitions;
        let end = |log: &LogId| Some((*log, partitions.get(log)?.next_offset));
        let logs = self.pending_logs.iter().filter_map(end).collect();
        self.pending_logs.clear();
        let last_sequence = self.next_sequence - 1;
        self.groups.push(kept, held_bytes, last_sequence, logs);
        Some(CommitJob {
            writer,
            bytes,
            first_sequence,
            last_sequence,
        })
    }

    /// Asks for a checkpoint at the next `take_commit`.
    pub fn request_checkpoint(&mut self) {
        self.checkpoint_requested = true;
    }

    /// Captures a checkpoint for a clean shutdown, so that the next start can skip the checks. Append nothing after
    /// this.
    pub fn request_clean_end(&mut self) {
        self.end_requested = true;
    }

    /// The captured checkpoint, once the WAL has made everything in it durable.
    pub fn take_checkpoint(&mut self) -> Option<CheckpointJob> {
        let is_durable = self
            .captured
            .as_ref()
            .is_some_and(|job| job.sequence <= self.durable_sequence);
        if !is_durable || self.poison.is_some() {
            return None;
        }
        self.checkpoint_running = true;
        self.captured.take()
    }

    /// Closes the log for appends and checkpoints until the process starts again, as memory and disk may differ.
    pub fn poison(&mut self, reason: &str) -> LogError {
        let reason: Arc<str> = self.poison.get_or_insert_with(|| reason.into()).clone();
        LogError::Poisoned { reason }
    }

    /// Lets go of groups that are in segments and beyond the cache's limit.
    pub(crate) fn evict(&mut self) {
        while let Some(group) = self
            .groups
            .evict(self.flushed_sequence, self.options.tail_cache_bytes)
        {
            for (log, _) in &group.logs {
                if let Some(partition) = self.partitions.get_mut(log) {
                    partition.evict(group.id);
                }
            }
        }
    }
}
