//! Finds batches by time.
//!
//! A [`TimeSearch`] captures all it needs of the log, including batches in memory. Running it reads segments and
//! nothing else, so it can run on any thread.

use crate::batch::BatchHeader;
use crate::error::LogError;
use crate::log::{Log, LogId};
use crate::partition::Partition;
use crate::segment::Segment;
use crate::segment_read::SegmentReader;
use crate::tail::TailBatch;
use bytes::Bytes;
use std::ops::ControlFlow;

/// A search for the first durable batches of a time or later ones.
#[derive(Debug)]
pub struct TimeSearch {
    reader: SegmentReader,
    log: LogId,
    wanted: Wanted,
    /// Batches that end below this are not wanted.
    start: i64,
    /// Candidate segments, in order.
    segments: Vec<Segment>,
    /// Batches in memory behind them, in order.
    tail: Vec<(TailBatch, Bytes)>,
}

#[derive(Debug)]
enum Wanted {
    /// A timestamp that is as great as this or greater.
    AtLeast(i64),
    /// The greatest timestamp: the greatest one known, and segments that start below the log start offset, whose own
    /// greatest may be below it too.
    Greatest { known: Option<i64>, cut: Vec<Segment> },
}

impl Log {
    /// A search for batches that have a record of `timestamp` or later, at or after `from_offset`.
    pub fn search_time(&self, log: LogId, timestamp: i64, from_offset: i64) -> Result<TimeSearch, LogError> {
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        let from = from_offset.max(partition.start_offset);
        let segments = segments_before_tail(partition, from);
        let holds = |batch: &&TailBatch| batch.last_offset >= from && batch.max_timestamp >= timestamp;
        // The first one may have the time below `from` only, the second one has it.
        let tail = durable_tail(partition).filter(holds).take(2);
        Ok(TimeSearch {
            reader: self.reader.clone(),
            log,
            wanted: Wanted::AtLeast(timestamp),
            start: from,
            segments: segments
                .filter(|segment| segment.max_timestamp >= timestamp)
                .collect(),
            tail: tail
                .filter_map(|batch| Some((*batch, self.groups.slice(batch)?)))
                .collect(),
        })
    }

    /// A search for the first batch with the greatest timestamp.
    pub fn search_max_timestamp(&self, log: LogId) -> Result<TimeSearch, LogError> {
        let partition = self.partitions.get(&log).ok_or(LogError::UnknownLog(log))?;
        let start = partition.start_offset;
        let kept = partition
            .segments
            .iter()
            .filter(|segment| segment.end_offset > start);
        let (whole, cut): (Vec<Segment>, Vec<Segment>) =
            kept.partition(|segment| segment.max_timestamp_offset >= start);
        let in_tail = durable_tail(partition).filter(|batch| batch.last_offset >= start);
        // The first of equal ones.
        let greatest = in_tail.reduce(|first, next| {
            if next.max_timestamp > first.max_timestamp {
                next
            } else {
                first
            }
        });
        let in_segments = whole.iter().map(|segment| segment.max_timestamp);
        let known = in_segments.chain(greatest.map(|batch| batch.max_timestamp)).max();
        Ok(TimeSearch {
            reader: self.reader.clone(),
            log,
            wanted: Wanted::Greatest { known, cut },
            start,
            segments: segments_before_tail(partition, start).collect(),
            tail: greatest
                .and_then(|batch| Some((*batch, self.groups.slice(batch)?)))
                .into_iter()
                .collect(),
        })
    }

    /// Whether segments that a search reads have been replaced or dropped since it was made.
    pub fn is_outdated(&self, search: &TimeSearch) -> bool {
        let cut = match &search.wanted {
            Wanted::Greatest { cut, .. } => &cut[..],
            Wanted::AtLeast(_) => &[],
        };
        !self.has_segments(search.log, &search.segments) || !self.has_segments(search.log, cut)
    }

    /// The first durable batch at or after `from_offset` that has a record of `timestamp` or later, from the disk if need be.
    pub fn find_by_time(
        &self,
        log: LogId,
        timestamp: i64,
        from_offset: i64,
    ) -> Result<Option<Bytes>, LogError> {
        self.search_time(log, timestamp, from_offset)?.next(from_offset)
    }

    /// The durable batch with the greatest timestamp; the first of them if there are several.
    pub fn find_max_timestamp(&self, log: LogId) -> Result<Option<Bytes>, LogError> {
        self.search_max_timestamp(log)?.next(0)
    }
}

/// Segments with something at or after `from` that is not in memory.
fn segments_before_tail(partition: &Partition, from: i64) -> impl Iterator<Item = Segment> {
    let tail_start = uncleaned_tail(partition)
        .next()
        .map_or(i64::MAX, |batch| batch.base_offset);
    let segments = partition.segments.iter().copied();
    segments.filter(move |segment| segment.end_offset > from && segment.base_offset < tail_start)
}

fn durable_tail(partition: &Partition) -> impl Iterator<Item = &TailBatch> {
    let end = partition.high_watermark;
    uncleaned_tail(partition).take_while(move |batch| batch.base_offset < end)
}

/// Batches in memory that match their segments: records removed by compaction may still be in groups.
fn uncleaned_tail(partition: &Partition) -> impl Iterator<Item = &TailBatch> {
    let cleaned = |batch: &TailBatch| batch.base_offset < partition.cleaned_offset;
    partition.tail.range(partition.tail.partition_point(cleaned)..)
}

impl TimeSearch {
    /// The next matching batch that reaches `from_offset`.
    pub fn next(&mut self, from_offset: i64) -> Result<Option<Bytes>, LogError> {
        let from_offset = from_offset.max(self.start);
        let Some(timestamp) = self.timestamp()? else {
            return Ok(None);
        };
        for segment in &self.segments {
            if segment.max_timestamp < timestamp || segment.end_offset <= from_offset {
                continue;
            }
            let relative = from_offset.saturating_sub(segment.base_offset);
            let by_time = self
                .reader
                .seek(self.log, segment, |entry| entry.max_timestamp_before < timestamp)?;
            let by_offset = self.reader.seek(self.log, segment, |entry| {
                i64::from(entry.relative_offset) <= relative
            })?;
            let holds = |header: &BatchHeader| {
                header.last_offset() >= from_offset && header.max_timestamp >= timestamp
            };
            let found = self
                .reader
                .walk(self.log, segment, by_time.max(by_offset), holds)?;
            if let Some(found) = found {
                return self.reader.read_batch(self.log, &found).map(Some);
            }
        }
        let holds = |(batch, _): &&(TailBatch, Bytes)| {
            batch.last_offset >= from_offset && batch.max_timestamp >= timestamp
        };
        Ok(self.tail.iter().find(holds).map(|(_, bytes)| bytes.clone()))
    }

    /// The timestamp to look for; `None` if there are no batches.
    fn timestamp(&mut self) -> Result<Option<i64>, LogError> {
        let (known, cut) = match &self.wanted {
            Wanted::AtLeast(timestamp) => return Ok(Some(*timestamp)),
            Wanted::Greatest { known, cut } => (*known, cut),
        };
        let mut greatest = known;
        for segment in cut {
            self.reader.walk_all(self.log, segment, 0, |_, header| {
                if header.last_offset() >= self.start {
                    greatest = greatest.max(Some(header.max_timestamp));
                }
                ControlFlow::Continue(())
            })?;
        }
        if let Some(greatest) = greatest {
            self.wanted = Wanted::AtLeast(greatest);
        }
        Ok(greatest)
    }
}
