//! One log: its offsets, its segments, the batches still in groups, and its producers.

use crate::batch::BatchHeader;
use crate::codec::{Reader, Writer};
use crate::index::IndexEntry;
use crate::limits::{INDEX_SYNC_BYTES, SEGMENT_BYTES_MAX, SEGMENT_OFFSETS};
use crate::log::{LogId, LogSettings};
use crate::producer::Producers;
use crate::segment::{BatchPlace, Segment};
use crate::tail::{Groups, TailBatch};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// The offsets of a log that clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsets {
    /// The first offset kept.
    pub start: i64,
    /// Below this everything is durable and readable.
    pub high_watermark: i64,
    /// Below this every transaction is decided.
    pub last_stable: i64,
    /// Log end offset.
    pub end: i64,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub settings: LogSettings,
    pub start_offset: i64,
    pub next_offset: i64,
    pub high_watermark: i64,
    /// End offset of the segments (or of those deleted by retention).
    pub flushed_offset: i64,
    pub segments: Vec<Segment>,
    /// Up to here compaction has cleaned; not kept over restarts.
    pub cleaned_offset: i64,
    /// Up to here compaction has read keys, which may be less if memory for them was short; not kept over restarts.
    pub keyed_offset: i64,
    pub tail: VecDeque<TailBatch>,
    pub producers: Producers,
    /// How often compaction has let aborted transactions go.
    pub aborted_changes: u64,
    /// The group that last touched this log, to list it there once.
    pub touched_group: u64,
    pub quarantine: Option<Arc<str>>,
    /// Time of the last append. Unknown after a start until retention sets it on its first visit.
    pub last_append_ms: Option<i64>,
    /// Where a reader of segments went on last: offset, segment's base offset, position.
    pub read_hint: Option<(i64, i64, u64)>,
    /// For how many checkpoints it counts as read from segments.
    pub warm_checkpoints: u32,
}

impl Partition {
    pub fn new() -> Self {
        Partition {
            settings: LogSettings::default(),
            start_offset: 0,
            next_offset: 0,
            high_watermark: 0,
            flushed_offset: 0,
            segments: Vec::new(),
            cleaned_offset: 0,
            keyed_offset: 0,
            tail: VecDeque::new(),
            producers: Producers::default(),
            aborted_changes: 0,
            touched_group: u64::MAX,
            quarantine: None,
            last_append_ms: None,
            read_hint: None,
            warm_checkpoints: 0,
        }
    }

    pub fn offsets(&self) -> LogOffsets {
        // The start may have passed the first offset of an open transaction.
        let stable = self.producers.last_stable_offset(self.high_watermark);
        LogOffsets {
            start: self.start_offset,
            high_watermark: self.high_watermark,
            last_stable: stable.max(self.start_offset).min(self.high_watermark),
            end: self.next_offset,
        }
    }

    /// Adds a batch whose bytes are in `group`.
    pub fn push(&mut self, header: &BatchHeader, (group, position): (u64, usize), batch: &[u8], now_ms: i64) {
        self.tail.push_back(TailBatch {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            group,
            position,
            len: header.size() as u32,
        });
        self.next_offset = header.last_offset() + 1;
        self.last_append_ms = Some(now_ms);
        self.producers.apply(header, batch, now_ms);
    }

    /// Drops batches of groups up to `group`.
    pub fn evict(&mut self, group: u64) {
        while self.tail.front().is_some_and(|batch| batch.group <= group) {
            self.tail.pop_front();
        }
        if self.tail.is_empty() {
            self.tail.shrink_to_fit();
        }
    }

    /// Moves the start.
    pub fn set_start(&mut self, offset: i64) {
        self.start_offset = self.start_offset.max(offset);
        self.producers.forget_below(self.start_offset);
    }

    /// Drops the segments that lie wholly below the start.
    pub fn drop_segments_below_start(&mut self) -> Vec<Segment> {
        let start = self.start_offset;
        let kept = self
            .segments
            .partition_point(|segment| segment.end_offset <= start);
        // The last segment stays while appends may go to it; it is dropped when a newer one follows.
        let dropped = kept.min(self.segments.len().saturating_sub(1));
        self.segments.drain(..dropped).collect()
    }

    /// A time at or after the last append to a segment: the next one was begun later.
    pub fn last_append_ms_at_most(&self, index: usize) -> i64 {
        let next = self.segments.get(index + 1).map(|next| next.created_ms);
        next.or(self.last_append_ms).unwrap_or(i64::MAX)
    }

    /// The same for retention of everything: also the last segment goes, and the next append starts a new one.
    pub fn drop_all_segments(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.segments)
    }

    /// Decides where the batches that are not in segments go. If the end may be clean after this, all indexes are synced.
    pub fn plan_flush(&self, log: LogId, groups: &Groups, now_ms: i64, is_clean: bool) -> Vec<SegmentAppend> {
        let from = self.flushed_offset;
        let first = self.tail.partition_point(|batch| batch.base_offset < from);
        let mut appends: Vec<SegmentAppend> = Vec::new();
        let mut segment = self.segments.last().copied();
        for batch in self.tail.range(first..) {
            let Some(bytes) = groups.slice(batch) else {
                break;
            };
            let is_full = segment.is_none_or(|segment| self.must_roll((log, &segment), batch, now_ms));
            if is_full {
                appends.extend(self.closing_append(segment, appends.last()));
                segment = Some(Segment::new(batch.base_offset, now_ms));
            }
            let Some(current) = segment.as_mut() else {
                break;
            };
            let is_current = appends
                .last()
                .is_some_and(|append| append.after.base_offset == current.base_offset);
            if !is_current {
                if let Some(previous) = appends.last_mut() {
                    previous.syncs_indexes = true;
                }
                appends.push(SegmentAppend::new(*current, self.warm_checkpoints > 0));
            }
            let place = BatchPlace {
                base_offset: batch.base_offset,
                last_offset: batch.last_offset,
                max_timestamp: batch.max_timestamp,
                len: u64::from(batch.len),
            };
            let entry = current.extend(&place, self.settings.index_interval_bytes);
            if let Some(append) = appends.last_mut() {
                append.chunks.push(bytes);
                append.entries.extend(entry);
                append.after = *current;
            }
        }
        if is_clean && segment.is_some_and(|segment| segment.durable_index != segment.index) {
            appends.extend(self.closing_append(segment, appends.last()));
        }
        for append in &mut appends {
            append.plan_sync(is_clean);
        }
        appends
    }

    /// Plans to sync the indexes of a segment that gets no more batches and has none in this plan.
    fn closing_append(
        &self,
        segment: Option<Segment>,
        last: Option<&SegmentAppend>,
    ) -> Option<SegmentAppend> {
        let is_planned =
            last.is_some_and(|append| Some(append.after.base_offset) == segment.map(|s| s.base_offset));
        if is_planned || self.quarantine.is_some() {
            return None;
        }
        segment.map(|segment| SegmentAppend::new(segment, false))
    }

    fn must_roll(&self, (log, segment): (LogId, &Segment), batch: &TailBatch, now_ms: i64) -> bool {
        let bytes = segment.bytes + u64::from(batch.len);
        let limit = self.settings.segment_bytes.min(SEGMENT_BYTES_MAX);
        let age_ms = now_ms.saturating_sub(segment.created_ms);
        let is_aged = age_ms >= self.settings.segment_ms - self.settings.jitter_ms(log, segment);
        segment.bytes > 0
            && (bytes > limit || is_aged || batch.last_offset - segment.base_offset >= SEGMENT_OFFSETS)
            || self.quarantine.is_some() && batch.base_offset == self.flushed_offset
    }

    /// Applies a finished append. A segment that existed when it was planned and no longer does was dropped meanwhile:
    /// its files are garbage and must not be written again.
    pub fn apply_flush(&mut self, flushed: &FlushedSegment) {
        let after = flushed.after;
        let same = |each: &&mut Segment| each.base_offset == after.base_offset;
        match self.segments.iter_mut().find(same) {
            Some(segment) => *segment = after,
            None if flushed.is_new => self.segments.push(after),
            None => {}
        }
        self.flushed_offset = self.flushed_offset.max(after.end_offset);
    }

    pub fn write(&self, segments: &[Segment], writer: &mut Writer<'_>) {
        writer.i64(self.start_offset);
        writer.i64(self.next_offset);
        writer.u32(segments.len() as u32);
        for segment in segments {
            segment.write(writer);
        }
        let reason = self.quarantine.as_deref().unwrap_or_default();
        writer.u32(reason.len() as u32);
        writer.0.extend_from_slice(reason.as_bytes());
        self.producers.write(writer);
    }

    pub fn read(reader: &mut Reader<'_>, version: u32) -> Option<Self> {
        let mut partition = Partition::new();
        partition.start_offset = reader.i64()?;
        partition.next_offset = reader.i64()?;
        partition.high_watermark = partition.next_offset;
        partition.flushed_offset = partition.next_offset;
        for _ in 0..reader.u32()? {
            partition.segments.push(Segment::read(reader, version)?);
        }
        let reason_bytes = reader.u32()? as usize;
        let reason = std::str::from_utf8(reader.bytes(reason_bytes)?).ok()?;
        partition.quarantine = Some(reason).filter(|reason| !reason.is_empty()).map(Arc::from);
        partition.producers = Producers::read(reader)?;
        Some(partition)
    }
}

/// The output of a [`SegmentAppend`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlushedSegment {
    pub after: Segment,
    /// Whether the append has made the segment.
    pub is_new: bool,
}

/// Batches that go to the end of one segment.
#[derive(Debug)]
pub(crate) struct SegmentAppend {
    pub position: u64,
    pub first_entry: u32,
    pub chunks: Vec<Bytes>,
    pub entries: Vec<IndexEntry>,
    /// The segment when it is done.
    pub after: Segment,
    /// Whether a reader is likely to want this soon.
    pub is_warm: bool,
    /// Whether all its index entries are synced.
    pub syncs_indexes: bool,
}

impl SegmentAppend {
    fn new(segment: Segment, is_warm: bool) -> Self {
        SegmentAppend {
            is_warm,
            position: segment.bytes,
            first_entry: segment.index.entries,
            chunks: Vec::new(),
            entries: Vec::new(),
            after: segment,
            syncs_indexes: false,
        }
    }

    pub fn is_new(&self) -> bool {
        self.position == 0
    }

    pub fn flushed(&self) -> FlushedSegment {
        FlushedSegment {
            after: self.after,
            is_new: self.is_new(),
        }
    }

    /// Indexes that are not synced for other reasons are if a crash would cost too much reading.
    fn plan_sync(&mut self, is_clean: bool) {
        let is_far = self.position / INDEX_SYNC_BYTES != self.after.bytes / INDEX_SYNC_BYTES;
        self.syncs_indexes |= is_clean || is_far;
        if self.syncs_indexes {
            self.after.durable_index = self.after.index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Such a place is that of no other batch.
    #[test]
    fn a_batch_beyond_4_gib_of_a_group_is_not_looked_for_at_its_beginning() {
        let mut groups = Groups::default();
        groups.push(Bytes::from(vec![0; 200]), 200, 1, Vec::new());
        let mut partition = Partition::new();
        let mut batch = [0; 61];
        (batch[11], batch[16]) = (49, 2);
        batch[43..51].fill(0xff);
        let header = BatchHeader::parse(&batch).unwrap();
        for (position, is_there) in [(8, true), ((1 << 32) + 8, false)] {
            partition.push(&header, (0, position), &batch, 0);
            let found = partition.tail.back().and_then(|batch| groups.slice(batch));
            assert_eq!(found.is_some(), is_there, "position {position}");
        }
    }
}
