//! Freezing a group table and taking it back.
//!
//! One block for each run of [`GROUPS_PER_BLOCK`] group numbers: the group numbers in use and their key columns. A
//! block whose groups did not change since the base checkpoint is only named. Block names end in the run's number.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, UInt32Array};

use crate::blocks::{LargeBlocks, SnapshotScope, StateBlocks};
use crate::columns::{decode_columns, encode_columns};
use crate::error::StateError;
use crate::{hash, key_group};

use super::{GROUPS_PER_BLOCK, GroupTable, NO_GROUP};

/// New numbers of restored groups: `map[part][old]`, [`NO_GROUP`] for numbers that were not in use, or whose key
/// belongs to another instance.
pub type GroupMap = Vec<Vec<u32>>;

/// Name of the block that holds group numbers from `block * GROUPS_PER_BLOCK` on.
pub fn block_name(prefix: &str, block: usize) -> String {
    format!("{prefix}/{block}")
}

impl GroupTable {
    /// Number of blocks that a snapshot has now: arrays indexed by group are frozen in as many.
    pub fn blocks(&self) -> usize {
        self.end().div_ceil(GROUPS_PER_BLOCK)
    }

    /// Adds the keys to `out`, in blocks called `prefix/0`, `prefix/1`, …
    pub fn snapshot(
        &mut self,
        prefix: &str,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
    ) -> Result<(), StateError> {
        self.snapshot_large(prefix, scope, out, &mut LargeBlocks::new(None))
    }

    /// As [`GroupTable::snapshot`], for a table that may fill the memory: blocks go to disk if there are too many.
    pub fn snapshot_large(
        &mut self,
        prefix: &str,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
        large: &mut LargeBlocks,
    ) -> Result<(), StateError> {
        for block in 0..self.blocks() {
            let name = block_name(prefix, block);
            if !self.dirty.freeze(block, scope) {
                out.push_unchanged(name);
                continue;
            }
            let groups: Vec<u32> = self.groups_of_block(block).collect();
            let mut columns = self.keys(&groups)?;
            let rows = groups.len();
            columns.insert(0, Arc::new(UInt32Array::from(groups)));
            out.push(name, encode_columns(&columns, rows)?);
            large.relieve(out)?;
        }
        Ok(())
    }

    /// The groups of one block, ascending.
    pub fn groups_of_block(&self, block: usize) -> impl Iterator<Item = u32> + '_ {
        self.groups_in(block * GROUPS_PER_BLOCK..(block + 1) * GROUPS_PER_BLOCK)
    }

    /// Restores the keys that snapshots of one or more instances froze, as far as their key group is in `owned`.
    /// The table must be empty.
    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: std::ops::Range<u16>,
        max_parallelism: u16,
    ) -> Result<GroupMap, StateError> {
        debug_assert!(self.is_empty(), "restoring into a table with groups");
        let prefix = format!("{prefix}/");
        let mut maps = GroupMap::with_capacity(parts.len());
        for part in parts {
            let mut map = Vec::new();
            for block in part.with_prefix(&prefix) {
                let (name, bytes) = block?;
                let (mut columns, rows) = decode_columns(name, &bytes)?;
                if columns.is_empty() {
                    return Err(StateError::corrupt(name, "no group numbers"));
                }
                let numbers = columns.remove(0);
                let numbers = numbers
                    .as_primitive_opt::<UInt32Type>()
                    .ok_or_else(|| StateError::corrupt(name, "group numbers are not numbers"))?;
                self.restore_block(numbers, &columns, rows, &owned, max_parallelism, &mut map)?;
            }
            maps.push(map);
        }
        Ok(maps)
    }

    fn restore_block(
        &mut self,
        numbers: &UInt32Array,
        columns: &[ArrayRef],
        rows: usize,
        owned: &std::ops::Range<u16>,
        max_parallelism: u16,
        map: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        let mut hashes = Vec::new();
        hash::hash_columns(columns, rows, &mut hashes)?;
        let is_owned =
            |row: &u32| owned.contains(&key_group::of_hash(hashes[*row as usize], max_parallelism));
        // Without key columns all rows go to the first instance, wherever its key group would be.
        let rows: Vec<u32> = if columns.is_empty() && owned.start == 0 {
            (0..rows as u32).collect()
        } else if columns.is_empty() {
            Vec::new()
        } else {
            (0..rows as u32).filter(is_owned).collect()
        };
        let indices = UInt32Array::from(rows);
        let kept: Result<Vec<ArrayRef>, _> = columns
            .iter()
            .map(|c| arrow_select::take::take(c, &indices, None))
            .collect();
        let mut groups = Vec::new();
        self.intern(&kept?, indices.len(), &mut groups)?;
        for (row, group) in indices.values().iter().zip(&groups) {
            let old = numbers.value(*row as usize) as usize;
            if old >= map.len() {
                map.resize(old + 1, NO_GROUP);
            }
            map[old] = *group;
        }
        Ok(())
    }
}
