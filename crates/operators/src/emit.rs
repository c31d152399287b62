//! Emits results in batches of the current batch size.
//!
//! The size is not only about memory: operators fold the changes within one batch, so a step of one row must emit
//! batches of one row.

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_select::concat::concat;
use arrow_select::take::take;
use millstream_dataflow::{Context, DataflowError, Output};
use millstream_types::{Batch, RowKind};

/// Emits `batch` in pieces of at most `context.batch_rows` rows; emits nothing if it is empty.
pub(crate) fn push(batch: Batch, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
    let limit = context.batch_rows.max(1);
    if batch.is_empty() {
        return Ok(());
    }
    if batch.rows <= limit {
        return out.batch(batch);
    }
    let mut offset = 0;
    while offset < batch.rows {
        let rows = limit.min(batch.rows - offset);
        let mut piece = batch.slice(offset, rows);
        if piece
            .kinds
            .as_ref()
            .is_some_and(|kinds| kinds.iter().all(|k| *k == RowKind::Insert))
        {
            piece.kinds = None;
        }
        out.batch(piece)?;
        offset += rows;
    }
    Ok(())
}

/// The rows at `indices` of each column.
pub(crate) fn take_columns(columns: &[ArrayRef], indices: &[u32]) -> Result<Vec<ArrayRef>, DataflowError> {
    let indices = UInt32Array::from(indices.to_vec());
    let taken: Result<Vec<ArrayRef>, _> = columns.iter().map(|c| take(c, &indices, None)).collect();
    Ok(taken?)
}

/// Concatenates `a` and `b` column by column.
pub(crate) fn stack(a: &[ArrayRef], b: &[ArrayRef]) -> Result<Vec<ArrayRef>, DataflowError> {
    let pair = |(a, b): (&ArrayRef, &ArrayRef)| concat(&[a.as_ref() as &dyn Array, b.as_ref()]);
    let stacked: Result<Vec<ArrayRef>, _> = a.iter().zip(b).map(pair).collect();
    Ok(stacked?)
}

/// Whether row `i` of `a` and row `i` of `b` differ in any column: NULL equals NULL, NaN equals NaN.
pub(crate) fn rows_differ(a: &[ArrayRef], b: &[ArrayRef], rows: usize) -> Result<Vec<bool>, DataflowError> {
    let mut differ = vec![false; rows];
    for (a, b) in a.iter().zip(b) {
        if a.data_type().is_nested() || matches!(a.data_type(), arrow_schema::DataType::Null) {
            let compare = arrow_ord::ord::make_comparator(a, b, arrow_schema::SortOptions::default())?;
            (0..rows).for_each(|row| differ[row] |= compare(row, row).is_ne());
            continue;
        }
        let distinct = arrow_ord::cmp::distinct(a, b)?;
        for row in distinct.values().set_indices() {
            differ[row] = true;
        }
    }
    Ok(differ)
}

/// For each row, whether it is a retraction; `None` if no row is.
pub(crate) fn retractions(batch: &Batch) -> Option<Vec<bool>> {
    let kinds = batch.kinds.as_ref()?;
    Some(kinds.iter().map(|kind| !kind.is_addition()).collect())
}
