//! Reads whole batches by offset, and searches batches by timestamp.
//!
//! Batches in memory are returned as slices of their groups. Older ones are read from segments, from the position in
//! the sparse index or from the one where the last reader stopped.

use crate::error::LogError;
use crate::limits::WARM_CHECKPOINTS;
use crate::log::{Log, LogId};
use crate::partition::LogOffsets;
use crate::producer::AbortedTransaction;
use crate::segment::Segment;
use crate::segment_read::{ReadJob, ReadOutcome, SegmentData};
use bytes::Bytes;

/// The visibility of records for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything durable, aborted transactions included.
    ReadUncommitted,
    /// Everything below the last stable offset. The reader drops the records of the aborted transactions listed with
    /// it.
    ReadCommitted,
}

/// How much a read may give.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// Bytes of batches.
    pub max_bytes: usize,
    /// Whether the first batch is returned even if it exceeds the limit.
    pub at_least_one: bool,
}

/// The result of a read.
#[derive(Debug, Clone)]
pub struct Read {
    /// The log's offsets when it was read.
    pub offsets: LogOffsets,
    /// Whole batches; the first one may start before the requested offset.
    pub chunks: Vec<Bytes>,
    /// The offset after the last returned record, or the requested offset.
    pub next_offset: i64,
    /// For [`Isolation::ReadCommitted`]: aborted transactions that overlap the returned batches.
    pub aborted: Option<Vec<AbortedTransaction>>,
}

impl Read {
    /// Bytes returned.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// How a read continues.
#[derive(Debug)]
pub enum PlannedRead {
    /// Done: all batches are in memory, or there are none yet.
    Ready(Read),
    /// Segments have to be read.
    Segments(ReadJob),
}

fn check_offset(offset: i64, offsets: &LogOffsets) -> Result<(), LogError> {
    if offset < offsets.start || offset > offsets.end {
        return Err(LogError::OffsetOutOfRange {
            offset,
            start: offsets.start,
            end: offsets.end,
        });
    }
    Ok(())
}

impl Log {
    /// All batches of a read in one buffer; copies only if there is more than one chunk.
    pub fn contiguous(&self, mut chunks: Vec<Bytes>) -> Bytes {
        if chunks.len() <= 1 {
            return chunks.pop().unwrap_or_default();
        }
        let bytes = chunks.iter().map(Bytes::len).sum();
        let mut all = self.buffers.take(bytes);
        all.clear();
        for chunk in &chunks {
            all.extend_from_slice(chunk);
        }
        self.buffers.lend(all)
    }

    /// Reads batches from the one that holds `offset` on, from the disk if need be.
    pub fn read(
        &mut self,
        log: LogId,
        offset: i64,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> Result<Read, LogError> {
        match self.plan_read(log, offset, limit, isolation)? {
            PlannedRead::Ready(read) => Ok(read),
            PlannedRead::Segments(job) => self.finish_read(job.run()),
        }
    }

    /// Like [`Log::read`] without touching the disk: returns the batches in memory, or a job that reads segments.
    pub fn plan_read(
        &self,
        log: LogId,
        offset: i64,
        limit: ReadLimit,
        isolation: Isolation,
    ) -> Result<PlannedRead, LogError> {
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        if let Some(reason) = partition.quarantine.clone() {
            return Err(LogError::Quarantined { log, reason });
        }
        let offsets = partition.offsets();
        check_offset(offset, &offsets)?;
        let end = match isolation {
            Isolation::ReadUncommitted => offsets.high_watermark,
            Isolation::ReadCommitted => offsets.last_stable,
        };
        let has_room = limit.max_bytes > 0 || limit.at_least_one;
        if offset >= end || !has_room {
            return Ok(PlannedRead::Ready(self.give(
                (log, offset),
                offsets,
                (Vec::new(), offset),
                isolation,
            )));
        }
        // A group may still contain records that compaction has removed, so segments take precedence where it has run.
        let first = partition.tail.front();
        let is_in_tail =
            offset >= partition.cleaned_offset && first.is_some_and(|batch| batch.base_offset <= offset);
        if is_in_tail {
            let given = self.read_tail(log, (offset, end), limit);
            return Ok(PlannedRead::Ready(self.give(
                (log, offset),
                offsets,
                given,
                isolation,
            )));
        }
        let (segments, hint) = self.segments_from(log, offset);
        Ok(PlannedRead::Segments(ReadJob {
            reader: self.reader.clone(),
            log,
            segments,
            hint,
            offset,
            end,
            limit,
            isolation,
            aborted_changes: partition.aborted_changes,
            is_second: false,
        }))
    }

    /// Applies the result of a job. If segments were replaced or removed meanwhile and the job failed, perhaps for that
    /// reason, the read is repeated here. The same holds if compaction has forgotten aborted transactions since,
    /// because the job may have read their remnants. Batches below the log start offset are dropped, as their aborted
    /// transactions are forgotten too.
    pub fn finish_read(&mut self, outcome: ReadOutcome) -> Result<Read, LogError> {
        let (log, offset, isolation) = (outcome.log, outcome.offset, outcome.isolation);
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        let offsets = partition.offsets();
        check_offset(offset, &offsets)?;
        let is_outdated = match outcome.result {
            Ok(_) => {
                isolation == Isolation::ReadCommitted && outcome.aborted_changes != partition.aborted_changes
            }
            Err(_) => !self.has_segments(log, &outcome.segments),
        };
        if is_outdated && !outcome.is_second {
            return self.read_again(&outcome);
        }
        let given = match outcome.result {
            Ok(Some(data)) => self.after_segments(log, (outcome.end, outcome.limit), data),
            // Compaction left nothing before the tail.
            Ok(None) => self.read_tail(log, (offset, outcome.end), outcome.limit),
            Err(error) => return Err(error),
        };
        Ok(self.give((log, offset), offsets, given, isolation))
    }

    fn read_again(&mut self, outcome: &ReadOutcome) -> Result<Read, LogError> {
        let (offset, limit) = (outcome.offset, outcome.limit);
        match self.plan_read(outcome.log, offset, limit, outcome.isolation)? {
            PlannedRead::Ready(read) => Ok(read),
            PlannedRead::Segments(job) => self.finish_read(job.again().run()),
        }
    }

    /// The batches read from segments, followed by those in memory if the limit allows.
    fn after_segments(
        &mut self,
        log: LogId,
        (end, limit): (i64, ReadLimit),
        data: SegmentData,
    ) -> (Vec<Bytes>, i64) {
        let Some(partition) = self.partitions.get_mut(&log).filter(|_| !data.bytes.is_empty()) else {
            return (Vec::new(), data.next_offset);
        };
        partition.warm_checkpoints = WARM_CHECKPOINTS;
        let place = |segment: &Segment| (segment.base_offset, segment.generation);
        if partition
            .segments
            .iter()
            .any(|each| place(each) == place(&data.segment))
        {
            partition.read_hint = Some((data.next_offset, data.segment.base_offset, data.position));
        }
        let next_offset = data.next_offset;
        let first = partition.tail.front();
        let goes_on_in_tail = next_offset < end
            && next_offset >= partition.cleaned_offset
            && first.is_some_and(|batch| batch.base_offset <= next_offset);
        if !goes_on_in_tail {
            return (vec![data.bytes], next_offset);
        }
        let rest = ReadLimit {
            max_bytes: limit.max_bytes.saturating_sub(data.bytes.len()),
            at_least_one: false,
        };
        let (mut chunks, next_offset) = self.read_tail(log, (next_offset, end), rest);
        chunks.insert(0, data.bytes);
        (chunks, next_offset)
    }

    fn give(
        &self,
        (log, offset): (LogId, i64),
        offsets: LogOffsets,
        (chunks, next_offset): (Vec<Bytes>, i64),
        isolation: Isolation,
    ) -> Read {
        let aborted = (isolation == Isolation::ReadCommitted).then(|| {
            let producers = self.partitions.get(&log).map(|partition| &partition.producers);
            producers
                .map(|producers| producers.aborted_in(offset, next_offset))
                .unwrap_or_default()
        });
        Read {
            offsets,
            chunks,
            next_offset,
            aborted,
        }
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

    /// Segments from the one that may hold `offset` on, with the hint of where the last reader stopped.
    fn segments_from(
        &self,
        log: LogId,
        offset: i64,
    ) -> (Vec<Segment>, Option<crate::segment_read::ReadHint>) {
        let Some(partition) = self.partitions.get(&log) else {
            return (Vec::new(), None);
        };
        let first = partition
            .segments
            .partition_point(|segment| segment.end_offset <= offset);
        (partition.segments[first..].to_vec(), partition.read_hint)
    }
}
