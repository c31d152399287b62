//! Rows of a store on disk: all rows of a key together, in order of arrival.
//!
//! A key comes back with all its rows when a batch has it. The value of a record is, for each row, little-endian: count
//! (32 bits), time, stamp (64 bits each), a number that the operator keeps beside the row (32 bits), mark (8 bits), length
//! (32 bits), and the row.

use std::ops::Range;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take;

use crate::blocks::{SnapshotScope, StateBlocks};
use crate::cold::{ColdRecords, ColdStore, TakenRecords, has_cold_records};
use crate::error::StateError;
use crate::group_table::NO_GROUP;
use crate::group_table::row_codec::RowCodec;
use crate::hash;
use crate::spill::{Spill, SpillSpace};

use super::{EMPTY_LIST, FREE_ENTRY, RowStore};

/// Which time of a row says when it was written, for its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Never,
    Time,
    Stamp,
}

const META_BYTES: usize = 29;

#[derive(Debug)]
pub(super) struct ColdRows {
    space: SpillSpace,
    store: ColdStore,
    form: RecordForm,
    hashes: Vec<u64>,
    taken: TakenRecords,
    /// Rows that came back, with the operator's numbers.
    recalled: Vec<(u32, u32)>,
}

/// How keys and their rows become records.
#[derive(Debug)]
struct RecordForm {
    expiry: Expiry,
    keys: RowCodec,
    rows: RowCodec,
}

impl ColdRows {
    pub fn memory_size(&self) -> usize {
        self.store.memory_size()
    }

    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    pub fn clear(&mut self) {
        self.store.clear();
        self.recalled.clear();
    }

    pub fn snapshot(&mut self, prefix: &str, scope: &SnapshotScope, out: &mut StateBlocks) {
        self.store.snapshot(&cold_prefix(prefix), scope, out);
    }
}

/// A row of a record.
struct StoredRow<'a> {
    count: u32,
    time_ms: i64,
    stamp: i64,
    note: u32,
    mark: bool,
    bytes: &'a [u8],
}

impl<'a> StoredRow<'a> {
    /// The row at the start of a value, and what follows it.
    fn parse(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (meta, rest) = value.split_at_checked(META_BYTES)?;
        let word = |at: usize| meta.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let long = |at: usize| meta.get(at..at + 8)?.try_into().ok().map(i64::from_le_bytes);
        let (bytes, rest) = rest.split_at_checked(word(25)? as usize)?;
        let row = Self {
            count: word(0)?,
            time_ms: long(4)?,
            stamp: long(12)?,
            note: word(20)?,
            mark: meta[24] != 0,
            bytes,
        };
        Some((row, rest))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.stamp.to_le_bytes());
        out.extend_from_slice(&self.note.to_le_bytes());
        out.push(u8::from(self.mark));
        out.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(self.bytes);
    }
}

fn cold_prefix(prefix: &str) -> String {
    format!("cold/{prefix}")
}

impl RowStore {
    /// Lets the store move rows to disk. Without key columns, or with a column that cannot be written, all rows stay in
    /// memory.
    pub fn spill_to(&mut self, spill: Option<&Spill>, expiry: Expiry) {
        let (Some(spill), false) = (spill, self.key_columns.is_empty()) else {
            return;
        };
        let codec = |types: &[DataType]| RowCodec::new(types).ok();
        let (Some(keys), Some(rows)) = (codec(self.keys.types()), codec(self.rows.types())) else {
            return;
        };
        self.keys.track_use();
        self.cold = Some(ColdRows {
            space: spill.space.clone(),
            store: ColdStore::new(spill.space.clone()),
            form: RecordForm { expiry, keys, rows },
            hashes: Vec::new(),
            taken: TakenRecords::default(),
            recalled: Vec::new(),
        });
    }

    pub fn can_spill(&self) -> bool {
        self.cold.is_some()
    }

    pub fn disk_size(&self) -> u64 {
        self.cold.as_ref().map_or(0, |cold| cold.store.disk_size())
    }

    pub(super) fn spill_space(&self) -> Option<&SpillSpace> {
        self.cold.as_ref().map(|cold| &cold.space)
    }

    /// Keys that were not looked up lately and hold about this part of the rows in memory. Not within a batch: row
    /// numbers change hands with [`RowStore::evict`].
    pub fn least_used(&mut self, bytes: usize, of_bytes: usize) -> Vec<u32> {
        let part = |count: usize| (count as u128 * bytes as u128).div_ceil(of_bytes.max(1) as u128) as usize;
        self.keys.least_used(part(self.keys.len()))
    }

    /// Moves the rows of these keys to disk. `note` is a number that belongs to a row and comes back with it.
    pub fn evict(&mut self, keys: &[u32], note: impl Fn(u32) -> u32) -> Result<(), StateError> {
        let has_rows = |key: &u32| self.rows_in(*key) > 0;
        let keys: Vec<u32> = keys.iter().copied().filter(has_rows).collect();
        let Some(mut cold) = self.cold.take() else {
            return Ok(());
        };
        let hashes = self.keys.hashes(&keys);
        let written = hashes.and_then(|hashes| {
            let (store, form) = (&mut cold.store, &cold.form);
            store.put(&hashes, |positions, records| {
                let some: Vec<u32> = positions.iter().map(|at| keys[*at as usize]).collect();
                let hashes = positions.iter().map(|at| hashes[*at as usize]);
                self.encode_keys(form, &some, hashes, &note, records)
            })
        });
        self.cold = Some(cold);
        written?;
        let rows: Vec<u32> = keys.iter().flat_map(|key| self.rows_of(*key)).collect();
        rows.iter().for_each(|row| self.remove(*row));
        self.touched_keys.extend_from_slice(&keys);
        self.end_batch()
    }

    /// Adds a record for each key, with all its rows.
    fn encode_keys(
        &self,
        form: &RecordForm,
        keys: &[u32],
        hashes: impl Iterator<Item = u64>,
        note: impl Fn(u32) -> u32,
        records: &mut ColdRecords,
    ) -> Result<(), StateError> {
        let rows: Vec<u32> = keys.iter().flat_map(|key| self.rows_of(*key)).collect();
        let encoded = form.rows.encode(&self.rows.keys(&rows)?, rows.len())?;
        let encoded_keys = form.keys.encode(&self.keys.keys(keys)?, keys.len())?;
        let (mut value, mut next) = (Vec::new(), 0);
        for (i, (key, hash)) in keys.iter().zip(hashes).enumerate() {
            value.clear();
            let mut newest_ms = i64::MIN;
            for row in &rows[next..next + self.rows_in(*key)] {
                let (time_ms, stamp) = (self.time_ms(*row), self.stamp(*row));
                newest_ms = newest_ms.max(match form.expiry {
                    Expiry::Never => i64::MAX,
                    Expiry::Time => time_ms,
                    Expiry::Stamp => stamp,
                });
                let stored = StoredRow {
                    count: self.count(*row),
                    time_ms,
                    stamp,
                    note: note(*row),
                    mark: self.is_marked(*row),
                    bytes: encoded.bytes_of(next),
                };
                stored.write(&mut value);
                next += 1;
            }
            records.push(hash, newest_ms, encoded_keys.bytes_of(i), &value);
        }
        Ok(())
    }

    /// The rows that came back since the last call, with the numbers that went with them.
    pub fn recalled(&mut self) -> Vec<(u32, u32)> {
        self.cold
            .as_mut()
            .map_or_else(Vec::new, |cold| std::mem::take(&mut cold.recalled))
    }

    /// Rows on disk whose keys were written last at this time or before need not be kept.
    pub fn expire_cold(&mut self, oldest_ms: i64) {
        if let Some(cold) = &mut self.cold {
            cold.store.expire(oldest_ms);
        }
    }

    /// Takes the rows of those keys back that the last batch made and that are on disk.
    pub(super) fn recall_created(&mut self) -> Result<(), StateError> {
        if self.cold.as_ref().is_none_or(ColdRows::is_empty) || self.keys.created().is_empty() {
            return Ok(());
        }
        let created = self.keys.created().to_vec();
        let columns = self.keys.keys(&created)?;
        let Some(mut cold) = self.cold.take() else {
            return Ok(());
        };
        let result = cold.look_up(&columns, created.len());
        let keys: Vec<u32> = cold
            .taken
            .rows()
            .iter()
            .map(|row| created[*row as usize])
            .collect();
        let result = result.and_then(|()| self.add_recalled(&mut cold, &keys));
        self.cold = Some(cold);
        result
    }

    /// Takes the rows of those keys back that are not in memory but on disk; returns whether there were any.
    pub(super) fn recall_missing(
        &mut self,
        key_columns: &[ArrayRef],
        found: &[u32],
    ) -> Result<bool, StateError> {
        if self.cold.as_ref().is_none_or(ColdRows::is_empty) {
            return Ok(false);
        }
        let missing = (0..found.len() as u32).filter(|row| found[*row as usize] == NO_GROUP);
        let missing = UInt32Array::from_iter_values(missing);
        let select = |columns: &[ArrayRef], rows: &UInt32Array| -> Result<Vec<ArrayRef>, StateError> {
            let taken: Result<_, _> = columns.iter().map(|column| take(column, rows, None)).collect();
            Ok(taken?)
        };
        let columns = select(key_columns, &missing)?;
        let Some(mut cold) = self.cold.take() else {
            return Ok(false);
        };
        let mut recall = || {
            cold.look_up(&columns, missing.len())?;
            if cold.taken.is_empty() {
                return Ok(false);
            }
            let rows = UInt32Array::from(cold.taken.rows().to_vec());
            let mut keys = Vec::new();
            self.keys
                .intern(&select(&columns, &rows)?, rows.len(), &mut keys)?;
            self.touched_keys.extend_from_slice(self.keys.created());
            self.lists.resize(self.keys.end(), EMPTY_LIST);
            self.add_recalled(&mut cold, &keys)?;
            Ok(true)
        };
        let result = recall();
        self.cold = Some(cold);
        result
    }

    /// Adds the rows that a lookup took from disk for these keys.
    fn add_recalled(&mut self, cold: &mut ColdRows, keys: &[u32]) -> Result<(), StateError> {
        if keys.is_empty() {
            return Ok(());
        }
        let corrupt = || StateError::corrupt("rows on disk", "a row is cut off");
        let (mut stored, mut keys_of_rows) = (Vec::new(), Vec::new());
        for (key, value) in keys.iter().zip(cold.taken.values()) {
            let mut rest = value;
            while !rest.is_empty() {
                let (row, next) = StoredRow::parse(rest).ok_or_else(corrupt)?;
                stored.push(row);
                keys_of_rows.push(*key);
                rest = next;
            }
        }
        let bytes: Vec<&[u8]> = stored.iter().map(|row| row.bytes).collect();
        let columns = cold.form.rows.decode(&bytes)?;
        let mut rows = Vec::new();
        self.rows.intern(&columns, bytes.len(), &mut rows)?;
        self.entries.resize(self.rows.end(), FREE_ENTRY);
        for ((stored, row), key) in stored.iter().zip(&rows).zip(&keys_of_rows) {
            self.add(*key, *row, stored.time_ms);
            self.entries[*row as usize].count = stored.count;
            if stored.mark {
                self.mark(*row);
            }
            if stored.stamp != 0 {
                self.set_stamp(*row, stored.stamp);
            }
            cold.recalled.push((*row, stored.note));
        }
        Ok(())
    }

    pub(super) fn restore_cold(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: &Range<u16>,
        max_parallelism: u16,
    ) -> Result<(), StateError> {
        let prefix = cold_prefix(prefix);
        if !has_cold_records(&prefix, parts) {
            return Ok(());
        }
        let Some(cold) = &mut self.cold else {
            return Err(StateError::NoSpill);
        };
        let (keys, rows) = (&cold.form.keys, &cold.form.rows);
        let fits = |mut value: &[u8]| {
            while let Some((row, rest)) = StoredRow::parse(value) {
                if !rows.can_decode(row.bytes) {
                    return false;
                }
                value = rest;
            }
            value.is_empty()
        };
        cold.store
            .restore(&prefix, parts, owned, max_parallelism, |record| {
                keys.can_decode(record.key) && fits(record.value)
            })
    }
}

impl ColdRows {
    /// Takes the records of keys; they are in `taken`.
    fn look_up(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), StateError> {
        hash::hash_columns(keys, rows, &mut self.hashes)?;
        let encoded = self.form.keys.encode(keys, rows)?;
        self.store.take(&self.hashes, &encoded, &mut self.taken)
    }
}
