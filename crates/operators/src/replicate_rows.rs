//! The table function behind INTERSECT ALL and EXCEPT ALL: repeats its arguments from the second on as often as the
//! first says.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use millstream_dataflow::{Context, DataflowError, Operator, Output};
use millstream_functions::Environment;
use millstream_plan::Expr;
use millstream_types::Batch;

use crate::emit::{push, take_columns};
use crate::expression::RowExpression;

/// Name of the function in plans.
pub(crate) const NAME: &str = "REPLICATE_ROWS";

pub(crate) struct ReplicateRows {
    times: RowExpression,
    values: Vec<RowExpression>,
}

impl ReplicateRows {
    pub(crate) fn new(args: &[Expr], env: &Environment) -> Result<Self, DataflowError> {
        let (times, values) = args
            .split_first()
            .ok_or_else(|| DataflowError::internal(format!("{NAME} has no arguments")))?;
        let values = values
            .iter()
            .map(|value| RowExpression::new(value, env))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            times: RowExpression::new(times, env)?,
            values,
        })
    }
}

impl Operator for ReplicateRows {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let times = self.times.evaluate(&batch.columns, batch.rows, context)?;
        let times = times
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| DataflowError::internal(format!("{NAME} repeats a BIGINT of times")))?;
        let mut rows: Vec<u32> = Vec::new();
        for row in (0..batch.rows).filter(|row| times.is_valid(*row)) {
            let count = usize::try_from(times.value(row)).unwrap_or(0);
            rows.extend(std::iter::repeat_n(row as u32, count));
        }
        let mut values: Vec<ArrayRef> = Vec::with_capacity(self.values.len());
        for value in &mut self.values {
            values.push(value.evaluate(&batch.columns, batch.rows, context)?);
        }
        let mut columns = take_columns(&batch.columns, &rows)?;
        columns.extend(take_columns(&values, &rows)?);
        push(
            Batch {
                columns,
                kinds: batch.kinds_at(&rows),
                rows: rows.len(),
            },
            context,
            out,
        )
    }
}
