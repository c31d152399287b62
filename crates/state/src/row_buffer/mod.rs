//! Rows that are kept whole until their time comes: the state of sorts by time, OVER frames, sessions and of joins
//! and Top-N within windows.
//!
//! A row gets a number when it comes, which stays valid as long as the row is there, and has a time of the operator's
//! choice. Rows are kept as columns in *segments* of consecutive numbers. What enters is copied (see
//! [`crate::owned`]), so a buffer holds exactly the bytes of its rows. Small segments are merged as rows arrive, and a
//! segment of which most rows are gone is compacted; both copy a row a logarithmic number of times at most.
//!
//! A buffer that may spill ([`RowBuffer::spill_to`]) moves segments to disk when memory has no room for them, those first
//! whose rows are due last. Their numbers and times stay in memory; the columns are read when rows are asked for.
//!
//! A snapshot has a block for each segment, which is written again only after a merge or a compaction, and one block of
//! bits for the rows that are gone: a checkpoint costs the rows that arrived since the previous one.

mod segment;
mod snapshot;
mod spilled;

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use arrow_select::take;
use millstream_types::{Batch, RowKind};

use crate::error::StateError;
use crate::owned::{fits, shape_error};

use crate::spill::Spill;

use segment::Segment;
use spilled::Room;

pub use snapshot::{KeyOwner, RestoredRows};

/// Most rows of a segment, the unit of checkpoints and of compaction.
pub const SEGMENT_ROWS_MAX: usize = 4096;

/// A row and where it is: a segment of a list, and the place within.
type Place = (usize, usize);

/// See the module's documentation.
#[derive(Debug)]
pub struct RowBuffer {
    types: Vec<DataType>,
    /// By the number of the first row.
    segments: BTreeMap<u64, Segment>,
    next_number: u64,
    rows: usize,
    bytes: usize,
    /// No row has an earlier time.
    earliest: i64,
    room: Option<Room>,
}

impl RowBuffer {
    /// A buffer of rows with columns of these Arrow types.
    pub fn new(types: &[DataType]) -> Self {
        Self {
            types: types.to_vec(),
            segments: BTreeMap::new(),
            next_number: 0,
            rows: 0,
            bytes: 0,
            earliest: i64::MAX,
            room: None,
        }
    }

    /// Lets the buffer move rows to disk.
    pub fn spill_to(&mut self, spill: Option<&Spill>) {
        self.room = spill.map(Room::new);
    }

    /// Bytes of rows on disk.
    pub fn disk_size(&self) -> u64 {
        self.segments.values().map(Segment::disk_size).sum()
    }

    /// Adds rows; returns their numbers, which are higher than all before. Without `times` the time of each is 0.
    pub fn push(&mut self, batch: &Batch, times: Option<&[i64]>) -> Result<Range<u64>, StateError> {
        self.make_room()?;
        let start = self.next_number;
        let fit = batch.columns.len() == self.types.len()
            && self
                .types
                .iter()
                .zip(&batch.columns)
                .all(|(ty, c)| fits(ty, c.data_type()));
        if !fit {
            let found = batch.columns.iter().map(|column| column.data_type());
            return Err(shape_error(&self.types, found));
        }
        for from in (0..batch.rows).step_by(SEGMENT_ROWS_MAX) {
            let rows = SEGMENT_ROWS_MAX.min(batch.rows - from);
            let times = times.map(|times| &times[from..from + rows]);
            let part = if rows == batch.rows {
                batch.clone()
            } else {
                batch.slice(from, rows)
            };
            let segment = Segment::of_batch(&self.types, self.next_number, &part, times)?;
            self.next_number += rows as u64;
            self.add(segment)?;
        }
        Ok(start..self.next_number)
    }

    /// Adds the newest segment, merged with the small ones before it.
    fn add(&mut self, segment: Segment) -> Result<(), StateError> {
        self.rows += segment.live();
        self.earliest = self.earliest.min(segment.earliest());
        let (mut total, mut first) = (segment.live(), None);
        for (number, before) in self.segments.iter().rev() {
            let is_small = !before.is_on_disk()
                && before.live() <= 2 * total
                && before.live() + total <= SEGMENT_ROWS_MAX;
            if !is_small {
                break;
            }
            total += before.live();
            first = Some(*number);
        }
        let segment = match first {
            None => segment,
            Some(first) => {
                let small = self.segments.split_off(&first);
                let mut parts: Vec<Segment> = small.into_values().collect();
                self.bytes -= parts.iter().map(Segment::bytes).sum::<usize>();
                parts.push(segment);
                Segment::merged(&self.types, &parts)?
            }
        };
        self.put(segment);
        Ok(())
    }

    fn put(&mut self, segment: Segment) {
        self.bytes += segment.bytes();
        self.segments.insert(segment.first(), segment);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// No row has a time before this; `i64::MAX` without rows.
    pub fn earliest(&self) -> i64 {
        self.earliest
    }

    /// Bytes held.
    pub fn memory_size(&self) -> usize {
        self.bytes
    }

    /// The rows with these numbers, in this order. All of them must be there.
    pub fn rows(&self, numbers: &[u64]) -> Result<Batch, StateError> {
        let mut segments: Vec<&Segment> = Vec::new();
        let mut places: Vec<Place> = Vec::with_capacity(numbers.len());
        let mut index_of: BTreeMap<u64, usize> = BTreeMap::new();
        let mut last: Option<(usize, Range<u64>)> = None;
        for number in numbers {
            let index = match &last {
                Some((index, range)) if range.contains(number) => *index,
                _ => {
                    let segment = self.segment_of(*number)?;
                    let index = *index_of.entry(segment.first()).or_insert_with(|| {
                        segments.push(segment);
                        segments.len() - 1
                    });
                    last = Some((index, segment.range()));
                    index
                }
            };
            let place = segments[index].place_of(*number);
            places.push((index, place.ok_or_else(|| missing(*number))?));
        }
        self.gather(&segments, &places)
    }

    /// The time of a row.
    pub fn time(&self, number: u64) -> Result<i64, StateError> {
        let segment = self.segment_of(number)?;
        let place = segment.place_of(number).ok_or_else(|| missing(number))?;
        Ok(segment.time(place))
    }

    fn segment_of(&self, number: u64) -> Result<&Segment, StateError> {
        let segment = self.segments.range(..=number).next_back();
        segment.map(|(_, segment)| segment).ok_or_else(|| missing(number))
    }

    /// Rows of segments as a batch, in this order.
    fn gather(&self, segments: &[&Segment], places: &[Place]) -> Result<Batch, StateError> {
        let columns = if segments.iter().any(|segment| segment.is_on_disk()) {
            let (columns, places) = spilled::read(segments, places)?;
            self.gather_columns(&columns, &places)?
        } else {
            let columns: Vec<&[ArrayRef]> = segments.iter().map(|segment| segment.columns()).collect();
            self.gather_columns(&columns, places)?
        };
        let has_kinds = segments.iter().any(|segment| segment.has_kinds());
        let kind = |(index, place): &Place| segments[*index].kind(*place);
        Ok(if has_kinds {
            Batch::changes(columns, places.iter().map(kind).collect::<Vec<RowKind>>())
        } else {
            Batch::inserts(columns, places.len())
        })
    }

    /// The columns of rows of several sources, each with its columns.
    fn gather_columns<C: AsRef<[ArrayRef]>>(
        &self,
        sources: &[C],
        places: &[Place],
    ) -> Result<Vec<ArrayRef>, StateError> {
        let is_run = places
            .windows(2)
            .all(|pair| pair[0].0 == pair[1].0 && pair[0].1 + 1 == pair[1].1);
        Ok(match (sources, places) {
            (_, []) => self.types.iter().map(arrow_array::new_empty_array).collect(),
            (_, [(index, place), ..]) if is_run => {
                let columns = sources[*index].as_ref().iter();
                columns.map(|c| c.slice(*place, places.len())).collect()
            }
            ([only], places) => {
                let indices = UInt32Array::from_iter_values(places.iter().map(|(_, place)| *place as u32));
                let taken = only.as_ref().iter().map(|c| take::take(c, &indices, None));
                taken.collect::<Result<_, _>>()?
            }
            _ => {
                let column = |index: usize| {
                    let arrays: Vec<&dyn Array> =
                        sources.iter().map(|s| s.as_ref()[index].as_ref()).collect();
                    interleave(&arrays, places)
                };
                (0..self.types.len()).map(column).collect::<Result<_, _>>()?
            }
        })
    }

    /// Removes rows; unknown numbers are ignored.
    pub fn remove(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<(), StateError> {
        let mut numbers = numbers.into_iter().peekable();
        while let Some(number) = numbers.next() {
            let Some((_, segment)) = self.segments.range_mut(..=number).next_back() else {
                continue;
            };
            let before = segment.live();
            segment.remove(number);
            let range = segment.range();
            while let Some(next) = numbers.next_if(|next| range.contains(next)) {
                segment.remove(next);
            }
            self.rows -= before - segment.live();
            let first = segment.first();
            self.tidy(first)?;
        }
        if self.segments.is_empty() {
            self.earliest = i64::MAX;
        }
        Ok(())
    }

    /// Drops a segment without rows; compacts one of which most rows are gone, with a neighbour that is small too.
    fn tidy(&mut self, first: u64) -> Result<(), StateError> {
        let Some(segment) = self.segments.get(&first) else {
            return Ok(());
        };
        if segment.live() > 0 && segment.live() * 2 >= segment.stored() {
            return Ok(());
        }
        let live = segment.live();
        let Some(segment) = self.segments.remove(&first) else {
            return Ok(());
        };
        self.bytes -= segment.bytes();
        if live == 0 {
            return Ok(());
        }
        let neighbour = self.segments.range(..first).next_back();
        let small = neighbour.filter(|(_, before)| before.live() + live <= SEGMENT_ROWS_MAX / 2);
        let merged = match small.map(|(number, _)| *number) {
            None => Segment::merged(&self.types, &[segment])?,
            Some(number) => {
                let before = self.segments.remove(&number);
                self.bytes -= before.as_ref().map_or(0, Segment::bytes);
                let parts: Vec<Segment> = before.into_iter().chain([segment]).collect();
                Segment::merged(&self.types, &parts)?
            }
        };
        self.put(merged);
        Ok(())
    }

    /// Takes the rows whose time is at or before `until` out, by time, then in the order in which they came, with their
    /// times. `None` if there are none.
    pub fn take_due(&mut self, until: i64) -> Result<Option<(Batch, Vec<i64>)>, StateError> {
        if self.earliest > until {
            return Ok(None);
        }
        let mut due: Vec<(i64, Place)> = Vec::new();
        let mut numbers: Vec<u64> = Vec::new();
        let mut segments: Vec<&Segment> = Vec::new();
        for segment in self.segments.values().filter(|s| s.earliest() <= until) {
            let before = due.len();
            for place in segment.live_places() {
                let time = segment.time(place);
                if time <= until {
                    due.push((time, (segments.len(), place)));
                    numbers.push(segment.number(place));
                }
            }
            if due.len() > before {
                segments.push(segment);
            }
        }
        // Segments and places ascend with the numbers.
        due.sort_by_key(|(time, _)| *time);
        let places: Vec<Place> = due.iter().map(|(_, place)| *place).collect();
        let taken = self.gather(&segments, &places)?;
        self.remove(numbers)?;
        self.earliest = i64::MAX;
        for segment in self.segments.values_mut() {
            if segment.earliest() <= until {
                segment.find_earliest();
            }
            self.earliest = self.earliest.min(segment.earliest());
        }
        let times = due.into_iter().map(|(time, _)| time).collect();
        Ok((taken.rows > 0).then_some((taken, times)))
    }

    /// All rows in the order in which they came; nothing is left.
    pub fn take_all(&mut self) -> Result<Option<Batch>, StateError> {
        let batches = self.take_batches()?;
        Ok(Batch::concat(&batches)?)
    }

    /// All rows, a batch for each segment; nothing is left.
    pub fn take_batches(&mut self) -> Result<Vec<Batch>, StateError> {
        let batches = self.batches()?;
        self.clear();
        Ok(batches)
    }

    /// All rows, a batch for each segment.
    pub fn batches(&self) -> Result<Vec<Batch>, StateError> {
        let batch = |segment: &Segment| {
            let places: Vec<Place> = segment.live_places().map(|place| (0, place)).collect();
            self.gather(&[segment], &places)
        };
        self.segments.values().map(batch).collect()
    }

    /// Drops all rows. Numbering continues.
    pub fn clear(&mut self) {
        self.segments.clear();
        (self.rows, self.bytes, self.earliest) = (0, 0, i64::MAX);
    }
}

fn missing(number: u64) -> StateError {
    StateError::corrupt("rows", format!("row {number} is not there"))
}
