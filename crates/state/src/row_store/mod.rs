//! Rows by key, with multiplicities: the state of joins, Top-N and changelog normalisation.
//!
//! Equal rows are stored once and counted. The rows of a key form a list in order of arrival; taking a row back needs
//! no search in that list. Rows are found and given back as columns, by row numbers that stay valid as long as the row
//! is there. The store knows no conditions, ranks or expiry; it keeps a time, a stamp and a mark with each row for
//! operators that do.
//!
//! A store of arrivals ([`RowStore::of_arrivals`]) compares no rows: every row that comes is one of its own, and only its
//! number takes it back. That is enough where rows are never retracted by their content, and saves the hash of whole
//! rows.
//!
//! A batch is applied in steps: [`RowStore::resolve`] gives key groups and row numbers for all its rows, then
//! [`RowStore::add`] and [`RowStore::subtract`] go row by row, and [`RowStore::end_batch`] frees what became empty.

mod cold;
mod snapshot;

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::error::StateError;
use crate::group_table::{DirtyBlocks, GroupTable, NO_GROUP, share_in_use};

use cold::ColdRows;

pub use cold::Expiry;

/// End of a list.
const NONE: u32 = NO_GROUP;

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u32,
    count: u32,
    next: u32,
    previous: u32,
    time_ms: i64,
    /// Order of arrival.
    sequence: u64,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    rows: u32,
}

const EMPTY_LIST: List = List {
    first: NONE,
    last: NONE,
    rows: 0,
};
const FREE_ENTRY: Entry = Entry {
    key: NONE,
    count: 0,
    next: NONE,
    previous: NONE,
    time_ms: 0,
    sequence: 0,
};

/// See the module's documentation.
#[derive(Debug)]
pub struct RowStore {
    key_columns: Vec<usize>,
    keys: GroupTable,
    rows: GroupTable,
    entries: Vec<Entry>,
    lists: Vec<List>,
    /// One bit for each row.
    marks: Vec<u64>,
    /// Empty as long as no row has a stamp.
    stamps: Vec<i64>,
    dirty: DirtyBlocks,
    next_sequence: u64,
    /// Rows and keys that may be empty since the batch began.
    touched_rows: Vec<u32>,
    touched_keys: Vec<u32>,
    /// Keys whose rows are on disk.
    cold: Option<ColdRows>,
}

impl RowStore {
    /// A store of rows with columns of these Arrow types, by the columns at `key_columns`.
    pub fn new(types: &[DataType], key_columns: &[usize]) -> Result<Self, StateError> {
        Self::with_rows(GroupTable::new(types)?, key_columns)
    }

    /// A store that gives every row of a batch a new number, equal to others or not.
    pub fn of_arrivals(types: &[DataType], key_columns: &[usize]) -> Result<Self, StateError> {
        Self::with_rows(GroupTable::without_index(types)?, key_columns)
    }

    fn with_rows(rows: GroupTable, key_columns: &[usize]) -> Result<Self, StateError> {
        let key_types: Vec<DataType> = key_columns.iter().map(|c| rows.types()[*c].clone()).collect();
        Ok(Self {
            key_columns: key_columns.to_vec(),
            keys: GroupTable::new(&key_types)?,
            rows,
            entries: Vec::new(),
            lists: Vec::new(),
            marks: Vec::new(),
            stamps: Vec::new(),
            dirty: DirtyBlocks::default(),
            next_sequence: 0,
            touched_rows: Vec::new(),
            touched_keys: Vec::new(),
            cold: None,
        })
    }

    /// Puts key group and row number of every row of a batch into the vectors (cleared first). Unknown rows get
    /// numbers and a count of 0.
    pub fn resolve(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        key_groups: &mut Vec<u32>,
        row_numbers: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        self.resolve_keys(columns, rows, key_groups)?;
        self.resolve_rows(columns, rows, row_numbers)
    }

    /// The first half of [`RowStore::resolve`]: key groups alone.
    pub fn resolve_keys(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        key_groups: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        let key_columns = self.project_keys(columns);
        self.keys.intern(&key_columns, rows, key_groups)?;
        self.touched_keys.extend_from_slice(self.keys.created());
        self.lists.resize(self.keys.end(), EMPTY_LIST);
        self.recall_created()
    }

    /// The second half of [`RowStore::resolve`], for all rows of a batch or for those that matter.
    pub fn resolve_rows(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        row_numbers: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        self.rows.intern(columns, rows, row_numbers)?;
        self.touched_rows.extend_from_slice(self.rows.created());
        self.entries.resize(self.rows.end(), FREE_ENTRY);
        Ok(())
    }

    /// Puts the key group of every row of other key columns (the far side of a join) into `key_groups`, [`NO_GROUP`]
    /// where the store has no row.
    pub fn find_keys(
        &mut self,
        key_columns: &[ArrayRef],
        rows: usize,
        key_groups: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        self.keys.find(key_columns, rows, key_groups)?;
        if self.recall_missing(key_columns, key_groups)? {
            self.keys.find(key_columns, rows, key_groups)?;
        }
        Ok(())
    }

    fn project_keys(&self, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        self.key_columns
            .iter()
            .map(|c| Arc::clone(&columns[*c]))
            .collect()
    }

    /// Counts a row once more; returns the count. A row that was not there goes to the end of its key's list and takes
    /// `time_ms`.
    pub fn add(&mut self, key: u32, row: u32, time_ms: i64) -> u32 {
        self.dirty.mark(row);
        let entry = &mut self.entries[row as usize];
        entry.count += 1;
        let count = entry.count;
        if count == 1 {
            entry.key = key;
            entry.time_ms = time_ms;
            entry.sequence = self.next_sequence;
            self.next_sequence += 1;
            self.append(row);
        }
        count
    }

    /// Puts a row at the end of the list of its key.
    fn append(&mut self, row: u32) {
        let entry = &mut self.entries[row as usize];
        let list = &mut self.lists[entry.key as usize];
        let last = std::mem::replace(&mut list.last, row);
        list.rows += 1;
        (entry.previous, entry.next) = (last, NONE);
        if last == NONE {
            list.first = row;
        } else {
            self.entries[last as usize].next = row;
        }
    }

    /// Takes a row back once; returns the count that is left, `None` if the row was not there.
    pub fn subtract(&mut self, row: u32) -> Option<u32> {
        let entry = &mut self.entries[row as usize];
        entry.count = entry.count.checked_sub(1)?;
        let count = entry.count;
        self.dirty.mark(row);
        if count == 0 {
            self.unlink(row);
        }
        Some(count)
    }

    /// Takes a row away, however often it was counted.
    pub fn remove(&mut self, row: u32) {
        if self.entries[row as usize].count > 0 {
            self.entries[row as usize].count = 0;
            self.dirty.mark(row);
            self.unlink(row);
        }
    }

    fn unlink(&mut self, row: u32) {
        let Entry {
            key, next, previous, ..
        } = self.entries[row as usize];
        let list = &mut self.lists[key as usize];
        list.rows -= 1;
        match previous {
            NONE => list.first = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            next => self.entries[next as usize].previous = previous,
        }
        if let Some(word) = self.marks.get_mut(row as usize / 64) {
            *word &= !(1 << (row % 64));
        }
        if let Some(stamp) = self.stamps.get_mut(row as usize) {
            *stamp = 0;
        }
        self.touched_rows.push(row);
        self.touched_keys.push(key);
    }

    /// A second time of a row, 0 if it was not set.
    pub fn stamp(&self, row: u32) -> i64 {
        self.stamps.get(row as usize).copied().unwrap_or(0)
    }

    /// Sets the stamp of a row that is there.
    pub fn set_stamp(&mut self, row: u32, stamp: i64) {
        if row as usize >= self.stamps.len() {
            self.stamps.resize(row as usize + 1, 0);
        }
        self.stamps[row as usize] = stamp;
        self.dirty.mark(row);
    }

    /// Whether a row was marked since it came.
    pub fn is_marked(&self, row: u32) -> bool {
        let word = self.marks.get(row as usize / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Marks a row that is there.
    pub fn mark(&mut self, row: u32) {
        if self.is_marked(row) {
            return;
        }
        let word = row as usize / 64;
        if word >= self.marks.len() {
            self.marks.resize(word + 1, 0);
        }
        self.marks[word] |= 1 << (row % 64);
        self.dirty.mark(row);
    }

    /// Frees the numbers of rows and keys that are empty.
    pub fn end_batch(&mut self) -> Result<(), StateError> {
        for row in std::mem::take(&mut self.touched_rows) {
            if self.rows.contains(row) && self.entries[row as usize].count == 0 {
                self.entries[row as usize] = FREE_ENTRY;
                self.rows.remove(row)?;
            }
        }
        for key in std::mem::take(&mut self.touched_keys) {
            if self.keys.contains(key) && self.lists[key as usize].rows == 0 {
                self.keys.remove(key)?;
            }
        }
        Ok(())
    }

    /// Row numbers of a key, oldest first. An unknown key has none.
    pub fn rows_of(&self, key: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.lists.get(key as usize).map_or(NONE, |list| list.first);
        std::iter::successors((first != NONE).then_some(first), |row| {
            let next = self.entries[*row as usize].next;
            (next != NONE).then_some(next)
        })
    }

    /// Number of different rows of a key.
    pub fn rows_in(&self, key: u32) -> usize {
        self.lists.get(key as usize).map_or(0, |list| list.rows as usize)
    }

    pub fn count(&self, row: u32) -> u32 {
        self.entries[row as usize].count
    }

    pub fn time_ms(&self, row: u32) -> i64 {
        self.entries[row as usize].time_ms
    }

    pub fn set_time_ms(&mut self, row: u32, time_ms: i64) {
        self.entries[row as usize].time_ms = time_ms;
        self.dirty.mark(row);
    }

    /// The key group of a row.
    pub fn key_of(&self, row: u32) -> u32 {
        self.entries[row as usize].key
    }

    /// The columns of these rows, in this order. A row that is asked for more than once is decoded once.
    pub fn columns(&self, rows: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        each_once(rows, |rows| self.rows.keys(rows))
    }

    /// Some columns of these rows, in this order.
    pub fn columns_at(&self, rows: &[u32], columns: &[usize]) -> Result<Vec<ArrayRef>, StateError> {
        each_once(rows, |rows| self.rows.keys_at(rows, columns))
    }

    /// The key columns of these key groups.
    pub fn key_values(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        self.keys.keys(keys)
    }

    /// All key groups, ascending.
    pub fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.groups()
    }

    /// One more than the highest key group ever used.
    pub fn keys_end(&self) -> usize {
        self.keys.end()
    }

    /// One more than the highest row number ever used.
    pub fn rows_end(&self) -> usize {
        self.rows.end()
    }

    /// All row numbers, ascending.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.groups()
    }

    /// Number of different rows in memory.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is there, be it in memory or on disk.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.cold.as_ref().is_none_or(ColdRows::is_empty)
    }

    pub fn clear(&mut self) {
        self.keys.clear();
        self.rows.clear();
        self.entries = Vec::new();
        self.lists = Vec::new();
        self.marks = Vec::new();
        self.stamps = Vec::new();
        self.dirty.clear();
        self.touched_rows.clear();
        self.touched_keys.clear();
        if let Some(cold) = &mut self.cold {
            cold.clear();
        }
    }

    /// Bytes held for rows that are there, see [`GroupTable::used_bytes`]. Rows on disk count with what finds them.
    pub fn used_bytes(&self) -> usize {
        match &self.cold {
            Some(cold) => share_in_use(self.memory_size(), &self.rows) + cold.memory_size(),
            None => self.memory_size(),
        }
    }

    pub fn memory_size(&self) -> usize {
        self.keys.memory_size()
            + self.rows.memory_size()
            + self.entries.capacity() * size_of::<Entry>()
            + self.lists.capacity() * size_of::<List>()
            + (self.marks.capacity() + self.stamps.capacity()) * size_of::<u64>()
    }
}

/// What `decode` gives for the different ones among `rows`, for each of them.
fn each_once(
    rows: &[u32],
    decode: impl FnOnce(&[u32]) -> Result<Vec<ArrayRef>, StateError>,
) -> Result<Vec<ArrayRef>, StateError> {
    let mut places: HashMap<u32, u32, FixedState> =
        HashMap::with_capacity_and_hasher(rows.len(), FixedState::default());
    let mut different = Vec::with_capacity(rows.len());
    let mut place_of = |row: &u32| {
        *places.entry(*row).or_insert_with(|| {
            different.push(*row);
            different.len() as u32 - 1
        })
    };
    let indices: Vec<u32> = rows.iter().map(&mut place_of).collect();
    let columns = decode(&different)?;
    if different.len() == rows.len() {
        return Ok(columns);
    }
    let indices = UInt32Array::from(indices);
    let taken: Result<_, _> = columns.iter().map(|c| take::take(c, &indices, None)).collect();
    Ok(taken?)
}
