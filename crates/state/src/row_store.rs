//! Rows by key, with multiplicities: the state of joins, Top-N and changelog normalisation.
//!
//! Equal rows are stored once and counted. The rows of a key form a list in order of arrival; taking a row back needs
//! no search in that list. Rows are found and given back as columns, by row numbers that stay valid as long as the row
//! is there. The store knows no conditions, ranks or expiry; it keeps a time, a stamp and a mark with each row for
//! operators that do.
//!
//! A batch is applied in steps: [`RowStore::resolve`] gives key groups and row numbers for all its rows, then
//! [`RowStore::add`] and [`RowStore::subtract`] go row by row, and [`RowStore::end_batch`] frees what became empty.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, NullArray, UInt32Array, UInt64Array};
use arrow_schema::DataType;
use arrow_select::{concat, take};

use crate::blocks::{SnapshotScope, StateBlocks};
use crate::columns::{decode_columns, encode_columns};
use crate::error::StateError;
use crate::group_table::{DirtyBlocks, GroupTable, NO_GROUP, block_name};
use crate::{hash, key_group};

/// End of a list.
const NONE: u32 = NO_GROUP;
/// Columns before the row's own in a block: count, time, sequence, mark, stamp (Null: no row has one).
const META_COLUMNS: usize = 5;

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
}

impl RowStore {
    /// A store of rows with columns of these Arrow types, by the columns at `key_columns`.
    pub fn new(types: &[DataType], key_columns: &[usize]) -> Result<Self, StateError> {
        let key_types: Vec<DataType> = key_columns.iter().map(|c| types[*c].clone()).collect();
        Ok(Self {
            key_columns: key_columns.to_vec(),
            keys: GroupTable::new(&key_types)?,
            rows: GroupTable::new(types)?,
            entries: Vec::new(),
            lists: Vec::new(),
            marks: Vec::new(),
            stamps: Vec::new(),
            dirty: DirtyBlocks::default(),
            next_sequence: 0,
            touched_rows: Vec::new(),
            touched_keys: Vec::new(),
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
        let key_columns = self.project_keys(columns);
        self.keys.intern(&key_columns, rows, key_groups)?;
        self.touched_keys.extend_from_slice(self.keys.created());
        self.lists.resize(self.keys.end(), EMPTY_LIST);
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
        self.keys.find(key_columns, rows, key_groups)
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
            let list = &mut self.lists[key as usize];
            *entry = Entry {
                key,
                count,
                next: NONE,
                previous: list.last,
                time_ms,
                sequence: self.next_sequence,
            };
            self.next_sequence += 1;
            let last = std::mem::replace(&mut list.last, row);
            list.rows += 1;
            if last == NONE {
                list.first = row;
            } else {
                self.entries[last as usize].next = row;
            }
        }
        count
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

    /// The columns of these rows, in this order.
    pub fn columns(&self, rows: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        self.rows.keys(rows)
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

    /// Number of different rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
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
    }

    pub fn memory_size(&self) -> usize {
        self.keys.memory_size()
            + self.rows.memory_size()
            + self.entries.capacity() * size_of::<Entry>()
            + self.lists.capacity() * size_of::<List>()
            + (self.marks.capacity() + self.stamps.capacity()) * size_of::<u64>()
    }

    /// Adds the rows to `out`, in blocks called `prefix/0`, `prefix/1`, …
    pub fn snapshot(
        &mut self,
        prefix: &str,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
    ) -> Result<(), StateError> {
        self.end_batch()?;
        for block in 0..self.rows.blocks() {
            let name = block_name(prefix, block);
            if !self.dirty.freeze(block, scope) {
                out.push_unchanged(name);
                continue;
            }
            let rows: Vec<u32> = self.rows.groups_of_block(block).collect();
            let entries = || rows.iter().map(|row| &self.entries[*row as usize]);
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(UInt32Array::from_iter_values(entries().map(|e| e.count))),
                Arc::new(Int64Array::from_iter_values(entries().map(|e| e.time_ms))),
                Arc::new(UInt64Array::from_iter_values(entries().map(|e| e.sequence))),
                Arc::new(BooleanArray::from_iter(
                    rows.iter().map(|row| Some(self.is_marked(*row))),
                )),
                match self.stamps.is_empty() {
                    true => Arc::new(NullArray::new(rows.len())),
                    false => Arc::new(Int64Array::from_iter_values(
                        rows.iter().map(|row| self.stamp(*row)),
                    )),
                },
            ];
            columns.extend(self.rows.keys(&rows)?);
            out.push(name, encode_columns(&columns, rows.len())?);
        }
        Ok(())
    }

    /// Takes back the rows that snapshots of one or more instances froze, as far as their key's group is in `owned`.
    /// Row numbers are new. The store must be empty.
    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: Range<u16>,
        max_parallelism: u16,
    ) -> Result<(), StateError> {
        debug_assert!(self.is_empty(), "restoring into a store with rows");
        let prefix = format!("{prefix}/");
        for part in parts {
            let mut blocks = Vec::new();
            for (name, bytes) in part.with_prefix(&prefix) {
                blocks.push(self.owned_rows(name, bytes, &owned, max_parallelism)?);
            }
            self.restore_part(&blocks)?;
        }
        Ok(())
    }

    /// The columns of a block, without the rows of other instances.
    fn owned_rows(
        &self,
        name: &str,
        bytes: &[u8],
        owned: &Range<u16>,
        max_parallelism: u16,
    ) -> Result<Vec<ArrayRef>, StateError> {
        let (mut columns, rows) = decode_columns(name, bytes)?;
        if columns.len() != META_COLUMNS + self.rows.types().len() {
            return Err(StateError::corrupt(name, format!("{} columns", columns.len())));
        }
        let meta_fits = columns[0].as_primitive_opt::<UInt32Type>().is_some()
            && columns[1].as_primitive_opt::<Int64Type>().is_some()
            && columns[2].as_primitive_opt::<UInt64Type>().is_some()
            && columns[3].as_boolean_opt().is_some()
            && (columns[4].as_primitive_opt::<Int64Type>().is_some() || columns[4].data_type().is_null());
        if !meta_fits {
            return Err(StateError::corrupt(
                name,
                "counts, times, sequences or marks are of other types",
            ));
        }
        if columns[4].data_type().is_null() {
            columns[4] = Arc::new(Int64Array::from(vec![0; rows]));
        }
        let keys = self.project_keys(&columns[META_COLUMNS..]);
        let mut hashes = Vec::new();
        hash::hash_columns(&keys, rows, &mut hashes)?;
        let is_owned = |row: &u32| match keys.is_empty() {
            true => owned.start == 0,
            false => owned.contains(&key_group::of_hash(hashes[*row as usize], max_parallelism)),
        };
        let indices = UInt32Array::from_iter_values((0..rows as u32).filter(is_owned));
        let kept: Result<_, _> = columns.iter().map(|c| take::take(c, &indices, None)).collect();
        Ok(kept?)
    }

    /// Adds the rows of one instance in their order of arrival.
    fn restore_part(&mut self, blocks: &[Vec<ArrayRef>]) -> Result<(), StateError> {
        let Some(first) = blocks.first() else {
            return Ok(());
        };
        let column = |i: usize| {
            let parts: Vec<&dyn Array> = blocks.iter().map(|b| b[i].as_ref()).collect();
            concat::concat(&parts)
        };
        let columns: Vec<ArrayRef> = (0..first.len()).map(column).collect::<Result<_, _>>()?;
        let counts = columns[0].as_primitive::<UInt32Type>();
        let times = columns[1].as_primitive::<Int64Type>();
        let sequences = columns[2].as_primitive::<UInt64Type>();
        let marks = columns[3].as_boolean();
        let stamps = columns[4].as_primitive::<Int64Type>();
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.resolve(&columns[META_COLUMNS..], counts.len(), &mut keys, &mut rows)?;
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_unstable_by_key(|i| sequences.value(*i));
        for i in order {
            self.add(keys[i], rows[i], times.value(i));
            self.entries[rows[i] as usize].count = counts.value(i);
            if marks.value(i) {
                self.mark(rows[i]);
            }
            if stamps.value(i) != 0 {
                self.set_stamp(rows[i], stamps.value(i));
            }
        }
        self.end_batch()
    }
}
