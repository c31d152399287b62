//! Expressions of plan nodes over the rows of a batch, in the environment of a step.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use millstream_dataflow::{Context, DataflowError};
use millstream_expr::{CompileError, CompiledCalc, CompiledExpr};
use millstream_functions::Environment;
use millstream_plan::Expr;
use millstream_types::{Batch, ErrorKind, Watermark};

use crate::error::eval_error;

fn compile_error(error: CompileError) -> DataflowError {
    let kind = match &error {
        CompileError::Cast(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    };
    DataflowError::new(kind, error.to_string())
}

/// Sets the time and the watermark of a step in an environment; a bounded query keeps the time of its start.
fn enter_step(env: &mut Environment, context: &Context) {
    if env.streaming {
        env.now_ms = context.now_ms;
        env.watermark_ms = (context.watermark > Watermark::MIN).then_some(context.watermark.0);
    }
}

/// A compiled expression and its environment.
pub(crate) struct RowExpression {
    expr: CompiledExpr,
    env: Environment,
}

impl RowExpression {
    pub(crate) fn new(expr: &Expr, env: &Environment) -> Result<Self, DataflowError> {
        Ok(Self {
            expr: CompiledExpr::compile(expr).map_err(compile_error)?,
            env: env.clone(),
        })
    }

    /// The value for each row.
    pub(crate) fn evaluate(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        context: &Context,
    ) -> Result<ArrayRef, DataflowError> {
        enter_step(&mut self.env, context);
        self.expr.eval_array(columns, rows, &self.env).map_err(eval_error)
    }

    /// The rows for which a condition is TRUE, without NULLs.
    pub(crate) fn condition(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        context: &Context,
    ) -> Result<BooleanArray, DataflowError> {
        let value = self.evaluate(columns, rows, context)?;
        let value = value
            .as_boolean_opt()
            .ok_or_else(|| DataflowError::internal("a condition is not BOOLEAN"))?;
        Ok(match value.nulls() {
            Some(nulls) => BooleanArray::new(value.values() & nulls.inner(), None),
            None => value.clone(),
        })
    }
}

/// A compiled projection with an optional condition.
pub(crate) struct RowCalc {
    calc: CompiledCalc,
    env: Environment,
}

impl RowCalc {
    /// For inputs with `inputs` columns.
    pub(crate) fn new(
        condition: Option<&Expr>,
        projections: &[Expr],
        inputs: usize,
        env: &Environment,
    ) -> Result<Self, DataflowError> {
        let calc = CompiledCalc::compile(condition, projections, inputs).map_err(compile_error)?;
        Ok(Self {
            calc,
            env: env.clone(),
        })
    }

    pub(crate) fn apply(&mut self, batch: &Batch, context: &Context) -> Result<Batch, DataflowError> {
        enter_step(&mut self.env, context);
        self.calc.apply(batch, &self.env).map_err(eval_error)
    }
}
