//! Selects the restored rows that belong to this instance after a change of parallelism.

use arrow_array::UInt32Array;
use millstream_dataflow::{Context, DataflowError, StateBlocks};
use millstream_state::{KeyOwner, RowBuffer};
use millstream_types::Batch;

/// The rows that an instance owns by these key columns; without key columns all rows belong to the first instance.
pub(crate) fn owner<'a>(keys: &'a [usize], context: &Context) -> KeyOwner<'a> {
    KeyOwner {
        keys,
        groups: context.key_groups(),
        max_parallelism: context.max_parallelism,
    }
}

/// Adds the restored rows whose key groups this instance owns.
pub(crate) fn restore_owned(
    rows: &mut RowBuffer,
    prefix: &str,
    parts: &[StateBlocks],
    keys: &[usize],
    context: &Context,
) -> Result<(), DataflowError> {
    Ok(rows.restore(prefix, parts, &owner(keys, context), |_| Ok(()))?)
}

/// The rows of a batch whose key groups this instance owns.
pub(crate) fn owned(batch: &Batch, keys: &[usize], context: &Context) -> Result<Batch, DataflowError> {
    Ok(match owner(keys, context).owned(&batch.columns, batch.rows)? {
        None => batch.clone(),
        Some(rows) => batch.take(&UInt32Array::from(rows))?,
    })
}
