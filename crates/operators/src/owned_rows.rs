//! After a change of parallelism: which restored rows belong to this instance.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use millstream_dataflow::{Context, DataflowError, StateBlocks};
use millstream_state::key_groups;
use millstream_types::Batch;

use crate::buffered::BufferedRows;

/// Adds the restored rows whose key groups this instance owns; without key columns all rows go to the first instance.
pub(crate) fn restore_owned(
    rows: &mut BufferedRows,
    prefix: &str,
    parts: &[StateBlocks],
    keys: &[usize],
    context: &Context,
) -> Result<(), DataflowError> {
    let mut restored = BufferedRows::default();
    restored.restore(prefix, parts)?;
    for batch in restored.take_batches() {
        rows.push(owned(&batch, keys, context)?);
    }
    Ok(())
}

/// The rows of a batch whose key groups this instance owns.
pub(crate) fn owned(batch: &Batch, keys: &[usize], context: &Context) -> Result<Batch, DataflowError> {
    if keys.is_empty() {
        return Ok(if context.subtask == 0 {
            batch.clone()
        } else {
            batch.slice(0, 0)
        });
    }
    let columns: Vec<ArrayRef> = keys.iter().map(|k| Arc::clone(&batch.columns[*k])).collect();
    let mut groups = Vec::new();
    key_groups(&columns, batch.rows, context.max_parallelism, &mut groups)?;
    let range = context.key_groups();
    let own = (0..batch.rows as u32).filter(|row| range.contains(&groups[*row as usize]));
    Ok(batch.take(&UInt32Array::from_iter_values(own))?)
}
