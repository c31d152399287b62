//! Filter and projection. Row kinds stay.

use millstream_dataflow::{Context, DataflowError, Operator, Output};
use millstream_functions::Environment;
use millstream_plan::Expr;
use millstream_types::Batch;

use crate::emit::push;
use crate::expression::RowCalc;

/// The rows for which the condition is TRUE, projected.
pub(crate) struct Calc(RowCalc);

impl Calc {
    pub(crate) fn new(
        projections: &[Expr],
        condition: Option<&Expr>,
        inputs: usize,
        env: &Environment,
    ) -> Result<Self, DataflowError> {
        Ok(Self(RowCalc::new(condition, projections, inputs, env)?))
    }
}

impl Operator for Calc {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        push(self.0.apply(&batch, context)?, context, out)
    }
}
