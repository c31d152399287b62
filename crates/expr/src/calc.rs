//! A projection with an optional condition, over whole batches.

use arrow_array::{ArrayRef, BooleanArray, new_empty_array};
use arrow_select::filter::FilterBuilder;
use millstream_functions::{Environment, EvalError};
use millstream_plan::Expr;
use millstream_types::{Batch, arrow_type};

use crate::compile::CompileError;
use crate::node::CompiledExpr;
use crate::shared;

/// `SELECT projections WHERE condition`, compiled once for many batches.
///
/// The condition is evaluated first; then only the columns that the projections read are filtered. A projection that is
/// a plain column is passed on by reference. Common subexpressions are computed once.
#[derive(Debug)]
pub struct CompiledCalc {
    /// Shared subexpressions of the condition, evaluated before it.
    before: Vec<CompiledExpr>,
    condition: Option<CompiledExpr>,
    /// Shared subexpressions of the projections, evaluated for the rows that pass the condition.
    after: Vec<CompiledExpr>,
    projections: Vec<CompiledExpr>,
    /// Columns that are read after the condition.
    used: Vec<usize>,
    inputs: usize,
}

impl CompiledCalc {
    /// Compiles the calc for inputs with `inputs` columns.
    pub fn compile(
        condition: Option<&Expr>,
        projections: &[Expr],
        inputs: usize,
    ) -> Result<Self, CompileError> {
        for expr in condition.into_iter().chain(projections) {
            if let Some(index) = expr.columns().into_iter().find(|index| *index >= inputs) {
                return Err(CompileError::UnknownColumn {
                    index,
                    columns: inputs,
                });
            }
        }
        let mut projections = projections.to_vec();
        let (before, condition) = split_condition(condition, &mut projections, inputs);
        let certain = projections.len();
        let after = shared::extract(&mut projections, certain, inputs + before.len());
        let mut used: Vec<usize> = after.iter().chain(&projections).flat_map(Expr::columns).collect();
        used.retain(|column| *column < inputs + before.len());
        used.sort_unstable();
        used.dedup();
        Ok(Self {
            before: compile_all(&before)?,
            condition: condition.as_ref().map(CompiledExpr::compile).transpose()?,
            after: compile_all(&after)?,
            projections: compile_all(&projections)?,
            used,
            inputs,
        })
    }

    /// Filters and projects a batch; row kinds are kept.
    pub fn apply(&mut self, batch: &Batch, env: &Environment) -> Result<Batch, EvalError> {
        debug_assert_eq!(batch.columns.len(), self.inputs);
        let mut columns = batch.columns.clone();
        let mut rows = batch.rows;
        let mut kinds = batch.kinds.clone();
        if let Some(condition) = &mut self.condition {
            for part in &mut self.before {
                columns.push(part.eval_array(&columns, rows, env)?);
            }
            let kept = condition.eval_filter(&columns, rows, env)?;
            let count = kept.values().count_set_bits();
            if count == 0 {
                return Ok(self.empty());
            }
            if count < rows {
                filter_columns(&mut columns, &self.used, &kept)?;
                kinds = kinds.map(|kinds| kept.values().set_indices().map(|row| kinds[row]).collect());
                rows = count;
            }
        }
        for part in &mut self.after {
            columns.push(part.eval_array(&columns, rows, env)?);
        }
        let mut projected = Vec::with_capacity(self.projections.len());
        for projection in &mut self.projections {
            projected.push(projection.eval_array(&columns, rows, env)?);
        }
        Ok(Batch {
            columns: projected,
            kinds,
            rows,
        })
    }

    fn empty(&self) -> Batch {
        let columns = self
            .projections
            .iter()
            .map(|p| new_empty_array(&arrow_type(p.ty())))
            .collect();
        Batch {
            columns,
            kinds: None,
            rows: 0,
        }
    }
}

/// Hoists what the condition computes more than once, or what the projections repeat, into columns before the
/// condition.
fn split_condition(
    condition: Option<&Expr>,
    projections: &mut Vec<Expr>,
    inputs: usize,
) -> (Vec<Expr>, Option<Expr>) {
    let Some(condition) = condition else {
        return (Vec::new(), None);
    };
    let mut exprs = vec![condition.clone()];
    exprs.append(projections);
    let before = shared::extract(&mut exprs, 1, inputs);
    *projections = exprs.split_off(1);
    (before, exprs.pop())
}

fn filter_columns(columns: &mut [ArrayRef], used: &[usize], kept: &BooleanArray) -> Result<(), EvalError> {
    let predicate = FilterBuilder::new(kept).optimize().build();
    for &index in used {
        columns[index] = predicate.filter(&columns[index])?;
    }
    Ok(())
}

fn compile_all(exprs: &[Expr]) -> Result<Vec<CompiledExpr>, CompileError> {
    exprs.iter().map(CompiledExpr::compile).collect()
}
