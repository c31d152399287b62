//! A run of rows of a [`super::RowBuffer`].

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take;
use millstream_types::{Batch, CheckpointId, RowKind};

use crate::blocks::StoredBytes;
use crate::error::StateError;
use crate::owned::concat_owned;

/// Bytes of a segment beside its rows, roughly.
const SEGMENT_BYTES: usize = 200;

#[derive(Debug)]
pub(super) struct Segment {
    first: u64,
    /// Numbers of the rows, ascending; `None`: without gaps from `first` on.
    numbers: Option<Vec<u64>>,
    /// Empty if they are on disk.
    columns: Vec<ArrayRef>,
    /// The segment's block, if its columns are on disk.
    on_disk: Option<StoredBytes>,
    /// `None`: all rows are insertions.
    kinds: Option<Arc<[RowKind]>>,
    /// `None`: all are 0.
    times: Option<Vec<i64>>,
    stored: usize,
    /// One bit for each row that is gone; empty if none is.
    gone: Vec<u64>,
    live: usize,
    /// No row has an earlier time.
    earliest: i64,
    bytes: usize,
    /// Number of the first checkpoint that holds these rows; `None`: not in any.
    pub held_by: Option<CheckpointId>,
}

/// What the rows of a segment are made of.
pub(super) struct Parts {
    pub first: u64,
    pub numbers: Option<Vec<u64>>,
    pub columns: Vec<ArrayRef>,
    pub kinds: Option<Arc<[RowKind]>>,
    pub times: Option<Vec<i64>>,
    pub rows: usize,
}

impl Segment {
    fn new(parts: Parts) -> Self {
        let earliest = match &parts.times {
            Some(times) => times.iter().copied().min().unwrap_or(i64::MAX),
            None => 0,
        };
        let columns: usize = parts.columns.iter().map(|c| c.get_array_memory_size()).sum();
        let mut segment = Self {
            first: parts.first,
            numbers: parts.numbers,
            columns: parts.columns,
            on_disk: None,
            kinds: parts.kinds,
            times: parts.times,
            stored: parts.rows,
            gone: Vec::new(),
            live: parts.rows,
            earliest,
            bytes: 0,
            held_by: None,
        };
        segment.bytes = columns + segment.bytes_beside_columns();
        segment
    }

    fn bytes_beside_columns(&self) -> usize {
        let words = self.numbers.as_ref().map_or(0, Vec::capacity)
            + self.times.as_ref().map_or(0, Vec::capacity)
            // Bits of rows that are gone may come later.
            + self.stored.div_ceil(64);
        let kinds = self.kinds.as_ref().map_or(0, |kinds| kinds.len());
        SEGMENT_BYTES + words * size_of::<u64>() + kinds
    }

    /// Forgets the columns, which are in this block now.
    pub fn move_to_disk(&mut self, block: StoredBytes) {
        self.columns = Vec::new();
        self.on_disk = Some(block);
        self.bytes = self.bytes_beside_columns();
    }

    pub fn is_on_disk(&self) -> bool {
        self.on_disk.is_some()
    }

    pub fn on_disk(&self) -> Option<&StoredBytes> {
        self.on_disk.as_ref()
    }

    pub fn disk_size(&self) -> u64 {
        self.on_disk.as_ref().map_or(0, StoredBytes::length)
    }

    /// The columns, wherever they are.
    pub fn load(&self) -> Result<Cow<'_, [ArrayRef]>, StateError> {
        match &self.on_disk {
            None => Ok(Cow::Borrowed(&self.columns)),
            Some(block) => super::snapshot::columns_of(block).map(Cow::Owned),
        }
    }

    /// A copy of the rows of a batch, numbered from `first` on.
    pub fn of_batch(
        types: &[DataType],
        first: u64,
        batch: &Batch,
        times: Option<&[i64]>,
    ) -> Result<Self, StateError> {
        let copies = types
            .iter()
            .zip(&batch.columns)
            .map(|(ty, c)| concat_owned(ty, &[c]));
        Ok(Self::new(Parts {
            first,
            numbers: None,
            columns: copies.collect::<Result<_, _>>()?,
            kinds: batch.kinds.clone(),
            times: times.map(<[i64]>::to_vec),
            rows: batch.rows,
        }))
    }

    /// The rows of consecutive segments that are there, copied into one.
    pub fn merged(types: &[DataType], segments: &[Segment]) -> Result<Self, StateError> {
        let places: Vec<Vec<usize>> = segments.iter().map(|s| s.live_places().collect()).collect();
        let loaded = segments.iter().map(Segment::load);
        let loaded: Vec<Cow<'_, [ArrayRef]>> = loaded.collect::<Result<_, _>>()?;
        let column = |(index, ty): (usize, &DataType)| {
            let of_segment =
                |(columns, places): (&Cow<'_, [ArrayRef]>, &Vec<usize>)| some(&columns[index], places);
            let parts = loaded.iter().zip(&places).map(of_segment);
            let parts = parts.collect::<Result<Vec<ArrayRef>, _>>()?;
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat_owned(ty, &parts)
        };
        let columns = types
            .iter()
            .enumerate()
            .map(column)
            .collect::<Result<Vec<_>, _>>()?;
        let of = || {
            segments
                .iter()
                .zip(&places)
                .flat_map(|(segment, places)| places.iter().map(move |place| (segment, *place)))
        };
        let numbers: Vec<u64> = of().map(|(segment, place)| segment.number(place)).collect();
        let first = numbers.first().copied().unwrap_or(0);
        let has_gaps = numbers
            .last()
            .is_some_and(|last| last - first + 1 != numbers.len() as u64);
        let has_kinds = segments.iter().any(Segment::has_kinds);
        let has_times = segments.iter().any(|segment| segment.times.is_some());
        let rows = numbers.len();
        Ok(Self::new(Parts {
            first,
            numbers: has_gaps.then_some(numbers),
            columns,
            kinds: has_kinds.then(|| of().map(|(segment, place)| segment.kind(place)).collect()),
            times: has_times.then(|| of().map(|(segment, place)| segment.time(place)).collect()),
            rows,
        }))
    }

    pub fn first(&self) -> u64 {
        self.first
    }

    /// From the first row's number to the last one's.
    pub fn range(&self) -> Range<u64> {
        match &self.numbers {
            Some(numbers) => self.first..numbers.last().map_or(self.first, |last| last + 1),
            None => self.first..self.first + self.stored as u64,
        }
    }

    /// The columns of a segment in memory.
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    pub fn has_kinds(&self) -> bool {
        self.kinds.is_some()
    }

    pub fn kind(&self, place: usize) -> RowKind {
        self.kinds.as_ref().map_or(RowKind::Insert, |kinds| kinds[place])
    }

    pub fn has_times(&self) -> bool {
        self.times.is_some()
    }

    pub fn time(&self, place: usize) -> i64 {
        self.times.as_ref().map_or(0, |times| times[place])
    }

    pub fn numbers(&self) -> Option<&[u64]> {
        self.numbers.as_deref()
    }

    pub fn number(&self, place: usize) -> u64 {
        match &self.numbers {
            Some(numbers) => numbers[place],
            None => self.first + place as u64,
        }
    }

    /// Where a row is; `None` if it is gone or was never here.
    pub fn place_of(&self, number: u64) -> Option<usize> {
        let place = match &self.numbers {
            Some(numbers) => numbers.binary_search(&number).ok()?,
            None => usize::try_from(number.checked_sub(self.first)?).ok()?,
        };
        (place < self.stored && !self.is_gone(place)).then_some(place)
    }

    fn is_gone(&self, place: usize) -> bool {
        self.gone
            .get(place / 64)
            .is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Places of the rows that are there, ascending.
    pub fn live_places(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.stored).filter(|place| !self.is_gone(*place))
    }

    pub fn remove(&mut self, number: u64) {
        if let Some(place) = self.place_of(number) {
            if self.gone.is_empty() {
                self.gone = vec![0; self.stored.div_ceil(64)];
            }
            self.gone[place / 64] |= 1 << (place % 64);
            self.live -= 1;
        }
    }

    /// Rows that are there.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Rows that take room, with those that are gone.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// The bits of the rows that are gone; empty if none is.
    pub fn gone(&self) -> &[u64] {
        &self.gone
    }

    pub fn earliest(&self) -> i64 {
        self.earliest
    }

    pub fn find_earliest(&mut self) {
        let earliest = self.live_places().map(|place| self.time(place)).min();
        self.earliest = earliest.unwrap_or(i64::MAX);
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Some rows of a column, by reference if all are there.
fn some(column: &ArrayRef, places: &[usize]) -> Result<ArrayRef, StateError> {
    if places.len() == column.len() {
        return Ok(Arc::clone(column));
    }
    let indices = UInt32Array::from_iter_values(places.iter().map(|place| *place as u32));
    Ok(take::take(column, &indices, None)?)
}
