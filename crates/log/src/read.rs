//! Reading: whole batches by offset, batches by timestamp.
//!
//! What is still in groups is handed out as slices of their buffers; older data is read from segments, with the sparse
//! index to start and a hint where the last reader stopped.

use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::error::LogError;
use crate::limits::{OPEN_FILES, READ_BYTES_MIN, SCAN_BYTES};
use crate::log::{Log, LogId};
use crate::partition::LogOffsets;
use crate::producer::AbortedTransaction;
use crate::segment::{Segment, seek_index};
use bytes::Bytes;
use millstream_types::storage::{OpenMode, Storage, StorageFile, read_full_at};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything durable, aborted transactions included.
    ReadUncommitted,
    /// Everything below the last stable offset; the reader drops what the list of aborted transactions names.
    ReadCommitted,
}

/// How much a read may give.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// Bytes of batches.
    pub max_bytes: usize,
    /// Whether the first batch is given even if it is larger.
    pub at_least_one: bool,
}

/// The answer to a read.
#[derive(Debug, Clone)]
pub struct Read {
    /// The log's offsets when it was read.
    pub offsets: LogOffsets,
    /// Whole batches; the first may begin before the offset asked for.
    pub chunks: Vec<Bytes>,
    /// The offset after the last record given, or the one asked for.
    pub next_offset: i64,
    /// For [`Isolation::ReadCommitted`]: the aborted transactions that overlap what is given.
    pub aborted: Option<Vec<AbortedTransaction>>,
}

impl Read {
    /// Bytes given.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// All batches in one buffer; copies only if there is more than one chunk.
    pub fn into_contiguous(mut self) -> Bytes {
        if self.chunks.len() <= 1 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut all = Vec::with_capacity(self.bytes());
        for chunk in &self.chunks {
            all.extend_from_slice(chunk);
        }
        Bytes::from(all)
    }
}

#[derive(Debug)]
struct SegmentFiles {
    path: String,
    batches: Arc<dyn StorageFile>,
    index: Arc<dyn StorageFile>,
    time_index: Arc<dyn StorageFile>,
}

/// Open files of segments, the least recently used closed first.
#[derive(Debug, Default)]
pub(crate) struct FileCache {
    open: BTreeMap<(LogId, i64), (u64, Arc<SegmentFiles>)>,
    uses: u64,
}

impl FileCache {
    fn get(
        &mut self,
        storage: &dyn Storage,
        log: LogId,
        segment: &Segment,
    ) -> Result<Arc<SegmentFiles>, LogError> {
        self.uses += 1;
        let key = (log, segment.base_offset);
        if let Some((used, files)) = self.open.get_mut(&key) {
            *used = self.uses;
            return Ok(files.clone());
        }
        let open = |suffix: &str| {
            let path = segment.path(log, suffix);
            storage
                .open(&path, OpenMode::Read)
                .map_err(|error| read_error(&path, &error))
        };
        let files = Arc::new(SegmentFiles {
            path: segment.path(log, ".log"),
            batches: open(".log")?,
            index: open(".index")?,
            time_index: open(".timeindex")?,
        });
        if self.open.len() >= OPEN_FILES {
            let oldest = self
                .open
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| *key);
            oldest.and_then(|key| self.open.remove(&key));
        }
        self.open.insert(key, (self.uses, files.clone()));
        Ok(files)
    }

    pub fn forget(&mut self, log: LogId, base_offset: i64) {
        self.open.remove(&(log, base_offset));
    }

    pub fn forget_log(&mut self, log: LogId) {
        self.open.retain(|(id, _), _| *id != log);
    }
}

fn read_error(path: &str, error: &io::Error) -> LogError {
    LogError::Read {
        path: path.to_owned(),
        reason: error.to_string().into(),
    }
}

/// A whole batch found in a segment.
struct Found {
    segment: Segment,
    position: u64,
    header: BatchHeader,
}

impl Log {
    /// Reads batches from the one that holds `offset` on.
    pub fn read(
        &mut self,
        log: LogId,
        offset: i64,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> Result<Read, LogError> {
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        if let Some(reason) = partition.quarantine.clone() {
            return Err(LogError::Quarantined { log, reason });
        }
        let offsets = partition.offsets();
        if offset < offsets.start || offset > offsets.end {
            return Err(LogError::OffsetOutOfRange {
                offset,
                start: offsets.start,
                end: offsets.end,
            });
        }
        let end = match isolation {
            Isolation::ReadUncommitted => offsets.high_watermark,
            Isolation::ReadCommitted => offsets.last_stable,
        };
        let (mut chunks, mut next_offset) = (Vec::new(), offset);
        if offset < end {
            // What compaction removed may still be in a group: segments are right where it has been.
            let is_in_tail = offset >= partition.cleaned_offset
                && partition
                    .tail
                    .front()
                    .is_some_and(|batch| batch.base_offset <= offset);
            (chunks, next_offset) = if is_in_tail {
                self.read_tail(log, (offset, end), limit)
            } else {
                self.read_segments(log, (offset, end), limit)?
            };
        }
        let aborted = (isolation == Isolation::ReadCommitted).then(|| {
            let producers = self.partitions.get(&log).map(|partition| &partition.producers);
            producers
                .map(|producers| producers.aborted_in(offset, next_offset))
                .unwrap_or_default()
        });
        Ok(Read {
            offsets,
            chunks,
            next_offset,
            aborted,
        })
    }

    fn read_tail(&self, log: LogId, (offset, end): (i64, i64), limit: ReadLimit) -> (Vec<Bytes>, i64) {
        let (mut chunks, mut next_offset, mut bytes) = (Vec::new(), offset, 0);
        let Some(partition) = self.partitions.get(&log) else {
            return (chunks, next_offset);
        };
        let first = partition.tail.partition_point(|batch| batch.last_offset < offset);
        for batch in partition.tail.range(first..) {
            bytes += batch.len as usize;
            let is_forced = chunks.is_empty() && limit.at_least_one;
            if batch.base_offset >= end || bytes > limit.max_bytes && !is_forced {
                break;
            }
            let Some(slice) = self.groups.slice(batch) else {
                break;
            };
            chunks.push(slice);
            next_offset = batch.last_offset + 1;
        }
        (chunks, next_offset)
    }

    fn read_segments(
        &mut self,
        log: LogId,
        (offset, end): (i64, i64),
        limit: ReadLimit,
    ) -> Result<(Vec<Bytes>, i64), LogError> {
        let Some(found) = self.find_offset(log, offset)? else {
            return Ok(self.read_tail(log, (offset, end), limit)); // compaction left nothing before the tail
        };
        let first_size = found.header.size();
        let wanted = limit
            .max_bytes
            .max(if limit.at_least_one { first_size } else { 0 });
        let available = found.segment.bytes - found.position;
        let files = self.files.get(self.storage.as_ref(), log, &found.segment)?;
        let mut buffer = vec![0; wanted.min(usize::try_from(available).unwrap_or(usize::MAX))];
        let read = read_full_at(files.batches.as_ref(), &mut buffer, found.position);
        buffer.truncate(read.map_err(|error| read_error(&files.path, &error))?);
        let (mut len, mut next_offset) = (0, offset);
        while let Ok(header) = BatchHeader::parse(&buffer[len..]) {
            if buffer.len() - len < header.size() || header.base_offset >= end {
                break;
            }
            len += header.size();
            next_offset = header.last_offset() + 1;
        }
        if len == 0 {
            return Ok((Vec::new(), offset));
        }
        if let Some(partition) = self.partitions.get_mut(&log) {
            partition.read_hint = Some((
                next_offset,
                found.segment.base_offset,
                found.position + len as u64,
            ));
        }
        let all = Bytes::from(buffer);
        Ok((vec![all.slice(..len)], next_offset))
    }

    /// The batch in segments that holds `offset`, or the next one after it.
    fn find_offset(&mut self, log: LogId, offset: i64) -> Result<Option<Found>, LogError> {
        let Some(partition) = self.partitions.get(&log) else {
            return Ok(None);
        };
        let hint = partition.read_hint.filter(|hint| hint.0 == offset);
        let first = partition
            .segments
            .partition_point(|segment| segment.end_offset <= offset);
        let candidates: Vec<Segment> = partition.segments[first..].to_vec();
        for segment in candidates {
            let relative = offset.saturating_sub(segment.base_offset);
            let start = match hint {
                Some((_, base, position)) if base == segment.base_offset => position,
                _ => self.seek(log, &segment, |entry| {
                    i64::from(entry.relative_offset) <= relative
                })?,
            };
            let holds = |header: &BatchHeader| header.last_offset() >= offset;
            if let Some(found) = self.walk(log, &segment, start, holds)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn seek(
        &mut self,
        log: LogId,
        segment: &Segment,
        holds: impl Fn(&crate::segment::IndexEntry) -> bool,
    ) -> Result<u64, LogError> {
        let files = self.files.get(self.storage.as_ref(), log, segment)?;
        seek_index(
            (files.index.as_ref(), files.time_index.as_ref()),
            segment.index_entries,
            holds,
        )
        .map_err(|error| read_error(&files.path, &error))
    }

    /// Goes over the headers of a segment from a batch's position on, to the first that `holds`.
    fn walk(
        &mut self,
        log: LogId,
        segment: &Segment,
        start: u64,
        mut holds: impl FnMut(&BatchHeader) -> bool,
    ) -> Result<Option<Found>, LogError> {
        let mut found = None;
        self.walk_all(log, segment, start, |position, header| {
            if holds(header) {
                found = Some(Found {
                    segment: *segment,
                    position,
                    header: *header,
                });
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn walk_all(
        &mut self,
        log: LogId,
        segment: &Segment,
        start: u64,
        mut visit: impl FnMut(u64, &BatchHeader) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        let files = self.files.get(self.storage.as_ref(), log, segment)?;
        let (mut position, mut buffer, mut buffer_start) = (start, Vec::new(), start);
        let mut window = READ_BYTES_MIN;
        while position < segment.bytes {
            let at = usize::try_from(position - buffer_start).unwrap_or(usize::MAX);
            if at.saturating_add(HEADER_BYTES) > buffer.len() {
                buffer_start = position;
                buffer.resize(window, 0);
                let read = read_full_at(files.batches.as_ref(), &mut buffer, position);
                buffer.truncate(read.map_err(|error| read_error(&files.path, &error))?);
                window = (window * 2).min(SCAN_BYTES);
                if buffer.len() < HEADER_BYTES {
                    return Ok(());
                }
                continue;
            }
            let header = BatchHeader::parse(&buffer[at..]).map_err(|error| LogError::Read {
                path: files.path.clone(),
                reason: error.to_string().into(),
            })?;
            if visit(position, &header).is_break() {
                return Ok(());
            }
            position += header.size() as u64;
        }
        Ok(())
    }

    fn read_batch(&mut self, log: LogId, found: &Found) -> Result<Bytes, LogError> {
        let files = self.files.get(self.storage.as_ref(), log, &found.segment)?;
        let available = usize::try_from(found.segment.bytes - found.position).unwrap_or(usize::MAX);
        let mut buffer = vec![0; found.header.size().min(available)];
        let read = read_full_at(files.batches.as_ref(), &mut buffer, found.position);
        buffer.truncate(read.map_err(|error| read_error(&files.path, &error))?);
        Ok(Bytes::from(buffer))
    }

    /// The first durable batch at or after `from_offset` that has a record of `timestamp` or later.
    pub fn find_by_time(
        &mut self,
        log: LogId,
        timestamp: i64,
        from_offset: i64,
    ) -> Result<Option<Bytes>, LogError> {
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        let from = from_offset.max(partition.start_offset);
        let end = partition.high_watermark;
        let tail_start = partition.tail.front().map_or(i64::MAX, |batch| batch.base_offset);
        let candidates: Vec<Segment> = partition
            .segments
            .iter()
            .filter(|segment| {
                segment.end_offset > from
                    && segment.max_timestamp >= timestamp
                    && segment.base_offset < tail_start
            })
            .copied()
            .collect();
        for segment in candidates {
            let relative = from.saturating_sub(segment.base_offset);
            let by_time = self.seek(log, &segment, |entry| entry.max_timestamp_before < timestamp)?;
            let by_offset = self.seek(log, &segment, |entry| {
                i64::from(entry.relative_offset) <= relative
            })?;
            let holds =
                |header: &BatchHeader| header.last_offset() >= from && header.max_timestamp >= timestamp;
            if let Some(found) = self.walk(log, &segment, by_time.max(by_offset), holds)? {
                return self.read_batch(log, &found).map(Some);
            }
        }
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        let holds = |batch: &&crate::tail::TailBatch| {
            batch.last_offset >= from && batch.max_timestamp >= timestamp && batch.base_offset < end
        };
        Ok(partition
            .tail
            .iter()
            .find(holds)
            .and_then(|batch| self.groups.slice(batch)))
    }

    /// The durable batch with the greatest timestamp; the first of them if there are several.
    pub fn find_max_timestamp(&mut self, log: LogId) -> Result<Option<Bytes>, LogError> {
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        let (start, end) = (partition.start_offset, partition.high_watermark);
        let flushed = partition.flushed_offset;
        let mut greatest: Option<i64> = None;
        for segment in partition
            .segments
            .iter()
            .filter(|segment| segment.end_offset > start)
        {
            let timestamp = match segment.max_timestamp_offset >= start {
                true => segment.max_timestamp,
                false => continue,
            };
            greatest = greatest.max(Some(timestamp));
        }
        let cut: Vec<Segment> = partition
            .segments
            .iter()
            .filter(|segment| segment.end_offset > start && segment.max_timestamp_offset < start)
            .copied()
            .collect();
        for batch in partition
            .tail
            .iter()
            .filter(|batch| batch.base_offset >= flushed && batch.base_offset < end)
        {
            if batch.last_offset >= start {
                greatest = greatest.max(Some(batch.max_timestamp));
            }
        }
        for segment in cut {
            self.walk_all(log, &segment, 0, |_, header| {
                if header.last_offset() >= start {
                    greatest = greatest.max(Some(header.max_timestamp));
                }
                ControlFlow::Continue(())
            })?;
        }
        greatest.map_or(Ok(None), |timestamp| self.find_by_time(log, timestamp, start))
    }
}
