//! Merges of segments: fewer files to look into, and no room for records that were taken or have expired.
//!
//! Only live records are copied, and a key has one record at most, so any segments of a partition may be merged.
//! Segments of like size are merged, which copies a record a number of times that is logarithmic in the size of the
//! state. The work after a `put` is bounded by the bytes that it wrote, unless a partition has too many segments.

use crate::error::StateError;

use super::run::{Cursor, PARTITIONS, RunWriter, Segment};
use super::{ColdStore, Run};

/// Segments of a partition from which on it is merged, and from which on it is merged whatever that costs.
const SEGMENTS_WANTED: usize = 8;
const SEGMENTS_ALLOWED: usize = 16;
/// Segments that a merge reads at least, if there are as many.
const FAN_IN_MIN: usize = 4;
/// Bytes that may be merged for each byte written.
const MERGED_PER_WRITTEN: u64 = 4;

impl ColdStore {
    /// Merges what has become too many, after `written` bytes were added.
    pub(super) fn merge(&mut self, written: u64) -> Result<(), StateError> {
        let mut allowance = written * MERGED_PER_WRITTEN;
        let mut partitions: Vec<usize> = (0..PARTITIONS).collect();
        partitions.sort_by_key(|p| std::cmp::Reverse(self.partitions[*p].len()));
        let mut chosen: Vec<(usize, Vec<usize>)> = Vec::new();
        for partition in partitions {
            let segments = &self.partitions[partition];
            let must = segments.len() > SEGMENTS_ALLOWED;
            if !must && allowance == 0 {
                break;
            }
            let choice = choose(segments);
            let bytes: u64 = choice.iter().map(|index| live_bytes(&segments[*index])).sum();
            if !choice.is_empty() {
                allowance = allowance.saturating_sub(bytes.max(1));
                chosen.push((partition, choice));
            }
        }
        if chosen.is_empty() {
            return Ok(());
        }
        // A file is written in the order of its partitions.
        chosen.sort_unstable_by_key(|(partition, _)| *partition);
        let mut writer = self.writer()?;
        for (partition, choice) in &chosen {
            let segments: Vec<&Segment> = choice.iter().map(|i| &self.partitions[*partition][*i]).collect();
            copy_live(&segments, &self.runs, self.expired_ms, &mut writer)?;
        }
        let written = (!writer.is_empty()).then(|| writer.finish()).transpose()?;
        // Nothing was changed so far: an error above leaves the store as it was.
        for (partition, choice) in chosen {
            for index in choice.into_iter().rev() {
                let segment = self.partitions[partition].remove(index);
                self.records -= segment.live as usize;
                self.forget(&segment);
            }
        }
        if let Some(written) = written {
            self.adopt(written);
        }
        Ok(())
    }
}

fn live_bytes(segment: &Segment) -> u64 {
    let all = u64::from(segment.ordinals.end - segment.ordinals.start).max(1);
    (segment.size_bytes() as u128 * u128::from(segment.live) / u128::from(all)) as u64
}

/// The segments of a partition to merge, ascending; none if it is well as it is.
fn choose(segments: &[Segment]) -> Vec<usize> {
    let is_hollow = |segment: &Segment| segment.live < (segment.ordinals.end - segment.ordinals.start) / 2;
    if segments.len() <= SEGMENTS_WANTED {
        let hollow: Vec<usize> = (0..segments.len()).filter(|i| is_hollow(&segments[*i])).collect();
        // A single small file is not worth the work.
        return if hollow.len() >= 2 { hollow } else { Vec::new() };
    }
    let mut by_size: Vec<usize> = (0..segments.len()).collect();
    by_size.sort_by_key(|index| live_bytes(&segments[*index]));
    let (mut bytes, mut taken) = (0, 0);
    for index in &by_size {
        let next = live_bytes(&segments[*index]);
        if taken >= FAN_IN_MIN && next > 2 * bytes {
            break;
        }
        bytes += next;
        taken += 1;
    }
    by_size.truncate(taken);
    by_size.sort_unstable();
    by_size
}

/// Copies the live records of segments of one partition in the order of their hashes.
fn copy_live(
    segments: &[&Segment],
    runs: &std::collections::BTreeMap<u64, Run>,
    expired_ms: i64,
    writer: &mut RunWriter,
) -> Result<(), StateError> {
    let mut cursors: Vec<(Cursor<'_>, &Run)> = segments
        .iter()
        .filter_map(|segment| Some((Cursor::new(segment), runs.get(&segment.run)?)))
        .collect();
    let mut heads: Vec<Option<u64>> = Vec::with_capacity(cursors.len());
    for (cursor, run) in &mut cursors {
        heads.push(next_live(cursor, run, expired_ms)?);
    }
    loop {
        let least = heads
            .iter()
            .enumerate()
            .filter_map(|(i, head)| Some((head.as_ref()?, i)));
        let Some((_, index)) = least.min() else {
            return Ok(());
        };
        let (cursor, run) = &mut cursors[index];
        if let Some((_, record)) = cursor.record()? {
            writer.push(&record)?;
            let length = record.size_bytes();
            cursor.advance(length);
        }
        heads[index] = next_live(cursor, run, expired_ms)?;
    }
}

/// Moves to the next record to keep; gives its hash.
fn next_live(cursor: &mut Cursor<'_>, run: &Run, expired_ms: i64) -> Result<Option<u64>, StateError> {
    while let Some((ordinal, record)) = cursor.record()? {
        if !run.is_taken(ordinal) && record.time_ms > expired_ms {
            return Ok(Some(record.hash));
        }
        let length = record.size_bytes();
        cursor.advance(length);
    }
    Ok(None)
}
