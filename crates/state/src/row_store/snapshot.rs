//! Freezing a row store and taking it back.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, NullArray, UInt32Array, UInt64Array};
use arrow_select::take;

use crate::blocks::{LargeBlocks, SnapshotScope, StateBlocks};
use crate::columns::{decode_columns, encode_columns};
use crate::error::StateError;
use crate::group_table::block_name;
use crate::{hash, key_group};

use super::{EMPTY_LIST, RowStore};

/// Columns before the row's own in a block: count, time, sequence, mark, stamp (Null: no row has one).
const META_COLUMNS: usize = 5;

impl RowStore {
    /// Adds the rows to `out`, in blocks called `prefix/0`, `prefix/1`, …
    pub fn snapshot(
        &mut self,
        prefix: &str,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
    ) -> Result<(), StateError> {
        self.end_batch()?;
        let mut large = LargeBlocks::new(self.spill_space());
        if let Some(cold) = &mut self.cold {
            cold.snapshot(prefix, scope, out);
        }
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
                if self.stamps.is_empty() {
                    Arc::new(NullArray::new(rows.len()))
                } else {
                    Arc::new(Int64Array::from_iter_values(
                        rows.iter().map(|row| self.stamp(*row)),
                    ))
                },
            ];
            columns.extend(self.rows.keys(&rows)?);
            out.push(name, encode_columns(&columns, rows.len())?);
            large.relieve(out)?;
        }
        Ok(())
    }

    /// Restores the rows that snapshots of one or more instances froze, as far as their key's group is in `owned`.
    /// Row numbers are new. The store must be empty.
    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: Range<u16>,
        max_parallelism: u16,
    ) -> Result<(), StateError> {
        debug_assert!(self.is_empty(), "restoring into a store with rows");
        self.restore_cold(prefix, parts, &owned, max_parallelism)?;
        let prefix = format!("{prefix}/");
        for part in parts {
            let first_sequence = self.next_sequence;
            for block in part.with_prefix(&prefix) {
                let (name, bytes) = block?;
                let columns = self.owned_rows(name, &bytes, &owned, max_parallelism)?;
                self.restore_block(&columns, first_sequence)?;
            }
        }
        self.link_by_arrival();
        self.end_batch()
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
        let is_owned = |row: &u32| {
            if keys.is_empty() {
                owned.start == 0
            } else {
                owned.contains(&key_group::of_hash(hashes[*row as usize], max_parallelism))
            }
        };
        let indices = UInt32Array::from_iter_values((0..rows as u32).filter(is_owned));
        let kept: Result<_, _> = columns.iter().map(|c| take::take(c, &indices, None)).collect();
        Ok(kept?)
    }

    /// Restores the rows of one block, not yet linked: a block holds rows as they are numbered, and the rows of a key
    /// may be in several. Sequences of the block count from `first_sequence`.
    fn restore_block(&mut self, columns: &[ArrayRef], first_sequence: u64) -> Result<(), StateError> {
        let counts = columns[0].as_primitive::<UInt32Type>();
        let times = columns[1].as_primitive::<Int64Type>();
        let sequences = columns[2].as_primitive::<UInt64Type>();
        let marks = columns[3].as_boolean();
        let stamps = columns[4].as_primitive::<Int64Type>();
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.resolve(&columns[META_COLUMNS..], counts.len(), &mut keys, &mut rows)?;
        for (i, row) in rows.iter().enumerate() {
            let sequence = first_sequence.saturating_add(sequences.value(i));
            self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
            let entry = &mut self.entries[*row as usize];
            // A store of arrivals may have frozen equal rows one by one; the oldest of them gives place and time.
            if entry.count == 0 || sequence < entry.sequence {
                entry.sequence = sequence;
                entry.time_ms = times.value(i);
            }
            entry.key = keys[i];
            entry.count = entry.count.saturating_add(counts.value(i).max(1));
            self.dirty.mark(*row);
            if marks.value(i) {
                self.mark(*row);
            }
            if stamps.value(i) != 0 {
                self.set_stamp(*row, stamps.value(i));
            }
        }
        Ok(())
    }

    /// Links the rows of each key in their order of arrival.
    fn link_by_arrival(&mut self) {
        let mut order: Vec<u32> = self.rows.groups().collect();
        order.sort_unstable_by_key(|row| self.entries[*row as usize].sequence);
        self.lists.fill(EMPTY_LIST);
        for row in order {
            self.append(row);
        }
    }
}
