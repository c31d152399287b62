//! GROUPING SETS: each row once for each set.

use arrow_array::{Array, ArrayRef};
use arrow_select::interleave::interleave;
use millstream_dataflow::{Context, DataflowError, Operator, Output};
use millstream_functions::Environment;
use millstream_plan::Expr;
use millstream_types::Batch;

use crate::emit::push;
use crate::expression::RowCalc;

pub(crate) struct Expand {
    sets: Vec<RowCalc>,
}

impl Expand {
    pub(crate) fn new(
        projects: &[Vec<Expr>],
        inputs: usize,
        env: &Environment,
    ) -> Result<Self, DataflowError> {
        let set = |project: &Vec<Expr>| RowCalc::new(None, project, inputs, env);
        Ok(Self {
            sets: projects.iter().map(set).collect::<Result<_, _>>()?,
        })
    }
}

impl Operator for Expand {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let projected: Vec<Batch> = self
            .sets
            .iter_mut()
            .map(|set| set.apply(&batch, context))
            .collect::<Result<_, _>>()?;
        // The copies of a row are adjacent.
        let sets = projected.len();
        let order: Vec<(usize, usize)> = (0..batch.rows)
            .flat_map(|row| (0..sets).map(move |set| (set, row)))
            .collect();
        let width = projected.first().map_or(0, |batch| batch.columns.len());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(width);
        for i in 0..width {
            let parts: Vec<&dyn Array> = projected.iter().map(|batch| batch.columns[i].as_ref()).collect();
            columns.push(interleave(&parts, &order)?);
        }
        let kinds = batch
            .kinds
            .as_ref()
            .map(|kinds| order.iter().map(|(_, row)| kinds[*row]).collect());
        push(
            Batch {
                columns,
                kinds,
                rows: order.len(),
            },
            context,
            out,
        )
    }
}
