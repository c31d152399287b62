//! Segments on disk: which ones go there, and rows from them.
//!
//! A segment on disk is its block of a checkpoint, so that a snapshot names the file instead of reading it. The segments
//! that go at once share a file, which is removed with the last of them.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take;

use super::segment::Segment;
use super::snapshot::encode;
use super::{Place, RowBuffer};
use crate::blocks::StoredBytes;
use crate::error::StateError;
use crate::spill::{MemoryShare, Spill, SpillSpace};

/// The memory of a buffer that may spill.
#[derive(Debug)]
pub(super) struct Room {
    space: SpillSpace,
    share: MemoryShare,
}

impl Room {
    pub fn new(spill: &Spill) -> Self {
        Self {
            space: spill.space.clone(),
            share: spill.share(),
        }
    }
}

impl RowBuffer {
    /// Moves segments to disk if there is no more room for them: first those whose rows are due last.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        let mut excess = room.share.report(self.bytes);
        if excess == 0 {
            return Ok(());
        }
        let in_memory = self.segments.values().filter(|segment| !segment.is_on_disk());
        let mut order: Vec<(i64, u64)> = in_memory.map(|s| (s.earliest(), s.first())).collect();
        if order.is_empty() {
            return Ok(());
        }
        order.sort_unstable_by(|a, b| b.cmp(a));
        let (file, mut offset) = (Arc::new(room.space.create()?), 0);
        for (_, first) in order {
            let Some(segment) = self.segments.get_mut(&first) else {
                continue;
            };
            let block = encode(segment)?;
            file.write_at(&block, offset)?;
            let (length, before) = (block.len() as u64, segment.bytes());
            let stored = StoredBytes::new(Arc::clone(&file), offset, length, crc32c::crc32c(&block));
            segment.move_to_disk(stored);
            offset += length;
            let freed = before.saturating_sub(segment.bytes());
            self.bytes -= freed;
            excess = excess.saturating_sub(freed);
            if excess == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// The columns of segments, and where in them the rows are. Of a segment on disk only the rows that are asked for stay in
/// memory.
pub(super) fn read(
    segments: &[&Segment],
    places: &[Place],
) -> Result<(Vec<Vec<ArrayRef>>, Vec<Place>), StateError> {
    let mut wanted: Vec<Vec<u32>> = segments.iter().map(|_| Vec::new()).collect();
    let mut place_of = |(index, place): &Place| {
        if !segments[*index].is_on_disk() {
            (*index, *place)
        } else {
            let wanted = &mut wanted[*index];
            wanted.push(*place as u32);
            (*index, wanted.len() - 1)
        }
    };
    let places: Vec<Place> = places.iter().map(&mut place_of).collect();
    let mut columns = Vec::with_capacity(segments.len());
    for (segment, wanted) in segments.iter().zip(wanted) {
        let loaded = segment.load()?;
        if !segment.is_on_disk() {
            columns.push(loaded.into_owned());
            continue;
        }
        let wanted = UInt32Array::from(wanted);
        let taken = loaded.iter().map(|column| take::take(column, &wanted, None));
        columns.push(taken.collect::<Result<_, _>>()?);
    }
    Ok((columns, places))
}
