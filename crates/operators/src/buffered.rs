//! Rows that are kept whole, in order, until something is complete.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_array::{ArrayRef, UInt8Array};
use millstream_dataflow::{DataflowError, StateBlocks};
use millstream_state::group_table::block_name;
use millstream_state::{StateError, decode_columns, encode_columns};
use millstream_types::{Batch, RowKind};

/// A list of batches.
#[derive(Default)]
pub(crate) struct BufferedRows {
    batches: Vec<Batch>,
    rows: usize,
}

impl BufferedRows {
    pub(crate) fn push(&mut self, batch: Batch) {
        if batch.rows > 0 {
            self.rows += batch.rows;
            self.batches.push(batch);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// All rows as one batch; nothing is left.
    pub(crate) fn take_all(&mut self) -> Result<Option<Batch>, DataflowError> {
        self.rows = 0;
        Ok(Batch::concat(&std::mem::take(&mut self.batches))?)
    }

    /// The batches; nothing is left.
    pub(crate) fn take_batches(&mut self) -> Vec<Batch> {
        self.rows = 0;
        std::mem::take(&mut self.batches)
    }

    pub(crate) fn memory_size(&self) -> usize {
        self.batches.iter().map(Batch::memory_size).sum()
    }

    /// Adds blocks `prefix/0`, `prefix/1`, … of columns, the row kinds first.
    pub(crate) fn snapshot(&self, prefix: &str, out: &mut StateBlocks) -> Result<(), DataflowError> {
        for (i, batch) in self.batches.iter().enumerate() {
            let kinds = UInt8Array::from_iter_values((0..batch.rows).map(|row| batch.kind(row) as u8));
            let mut columns: Vec<ArrayRef> = vec![Arc::new(kinds)];
            columns.extend(batch.columns.iter().cloned());
            out.push(block_name(prefix, i), encode_columns(&columns, batch.rows)?);
        }
        Ok(())
    }

    /// Adds the rows of all parts.
    pub(crate) fn restore(&mut self, prefix: &str, parts: &[StateBlocks]) -> Result<(), DataflowError> {
        let prefix = format!("{prefix}/");
        for part in parts {
            for (name, bytes) in part.with_prefix(&prefix) {
                self.push(decode_batch(name, bytes)?);
            }
        }
        Ok(())
    }
}

fn decode_batch(name: &str, bytes: &[u8]) -> Result<Batch, DataflowError> {
    let (columns, _) = decode_columns(name, bytes)?;
    let (kinds, columns) = columns
        .split_first()
        .ok_or_else(|| StateError::corrupt(name, "no row kinds"))?;
    let kinds = kinds
        .as_primitive_opt::<UInt8Type>()
        .ok_or_else(|| StateError::corrupt(name, "no row kinds"))?;
    let kind = |code: &u8| match code {
        0 => RowKind::Insert,
        1 => RowKind::UpdateBefore,
        2 => RowKind::UpdateAfter,
        _ => RowKind::Delete,
    };
    Ok(Batch::changes(
        columns.to_vec(),
        kinds.values().iter().map(kind).collect(),
    ))
}
