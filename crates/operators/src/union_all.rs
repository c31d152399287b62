//! Operators that pass rows on unchanged: UNION ALL, and a filter for `-U` rows.

use millstream_dataflow::{Context, DataflowError, Operator, Output};
use millstream_types::{Batch, RowKind};

/// All rows of all inputs. The driver merges watermarks.
pub(crate) struct UnionAll;

impl Operator for UnionAll {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        crate::emit::push(batch, context, out)
    }
}

/// Drops `-U` rows: the consumers identify rows by key.
pub(crate) struct DropUpdateBefore;

impl Operator for DropUpdateBefore {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let Some(kinds) = &batch.kinds else {
            return out.batch(batch);
        };
        if !kinds.contains(&RowKind::UpdateBefore) {
            return out.batch(batch);
        }
        let keep = kinds
            .iter()
            .map(|kind| Some(*kind != RowKind::UpdateBefore))
            .collect();
        crate::emit::push(batch.filter(&keep)?, context, out)
    }
}
