//! Freezes and restores columns that are indexed by group number, together with the keys of their [`GroupTable`].

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, UInt32Array};
use millstream_dataflow::{DataflowError, SnapshotScope, StateBlocks};
use millstream_state::group_table::block_name;
use millstream_state::{
    DirtyBlocks, GroupMap, GroupTable, LargeBlocks, NO_GROUP, StateError, decode_columns, encode_columns,
};

use crate::emit::take_columns;

/// Adds one block for each changed block of groups of `table`: the group numbers, then the columns that
/// `columns_of` returns for them.
pub(crate) fn freeze(
    prefix: &str,
    table: &GroupTable,
    dirty: &mut DirtyBlocks,
    scope: &SnapshotScope,
    out: &mut StateBlocks,
    columns_of: impl Fn(&[u32]) -> Result<Vec<ArrayRef>, DataflowError>,
) -> Result<(), DataflowError> {
    freeze_large(
        prefix,
        table,
        dirty,
        scope,
        out,
        &mut LargeBlocks::new(None),
        columns_of,
    )
}

/// As [`freeze`], for tables that may fill the memory: blocks go to disk if there are too many.
pub(crate) fn freeze_large(
    prefix: &str,
    table: &GroupTable,
    dirty: &mut DirtyBlocks,
    scope: &SnapshotScope,
    out: &mut StateBlocks,
    large: &mut LargeBlocks,
    columns_of: impl Fn(&[u32]) -> Result<Vec<ArrayRef>, DataflowError>,
) -> Result<(), DataflowError> {
    for block in 0..table.blocks() {
        let name = block_name(prefix, block);
        if !dirty.freeze(block, scope) {
            out.push_unchanged(name);
            continue;
        }
        let groups: Vec<u32> = table.groups_of_block(block).collect();
        let mut columns = columns_of(&groups)?;
        let rows = groups.len();
        columns.insert(0, Arc::new(UInt32Array::from(groups)));
        out.push(name, encode_columns(&columns, rows)?);
        large.relieve(out)?;
    }
    Ok(())
}

/// Restores what [`freeze`] froze in one or more instances: the new group numbers of the rows that this instance owns
/// (by the map of the table's own restore), and their columns.
pub(crate) fn thaw(
    prefix: &str,
    parts: &[StateBlocks],
    maps: &GroupMap,
    mut take_back: impl FnMut(&[u32], &[ArrayRef]) -> Result<(), DataflowError>,
) -> Result<(), DataflowError> {
    let prefix = format!("{prefix}/");
    for (part, map) in parts.iter().zip(maps) {
        for block in part.with_prefix(&prefix) {
            let (name, bytes) = block?;
            let (columns, _) = decode_columns(name, &bytes)?;
            let (numbers, columns) = columns
                .split_first()
                .ok_or_else(|| StateError::corrupt(name, "no group numbers"))?;
            let numbers = numbers
                .as_primitive_opt::<UInt32Type>()
                .ok_or_else(|| StateError::corrupt(name, "group numbers are not numbers"))?;
            let new_number = |old: u32| map.get(old as usize).copied().unwrap_or(NO_GROUP);
            let (mut groups, mut rows) = (Vec::new(), Vec::new());
            for (row, old) in numbers.values().iter().enumerate() {
                let group = new_number(*old);
                if group != NO_GROUP {
                    groups.push(group);
                    rows.push(row as u32);
                }
            }
            take_back(&groups, &take_columns(columns, &rows)?)?;
        }
    }
    Ok(())
}
