//! Aggregate functions: the declaration type and the accumulator contract; one module for each function or family.
//!
//! DISTINCT and FILTER are not here: they are the same for every function, and `operators` does them around the
//! accumulators.

pub mod approx_distinct;
pub mod array_agg;
pub mod avg;
pub mod bitmap;
pub mod collect;
pub mod count;
pub mod first_last;
pub mod json;
pub mod listagg;
pub mod min_max;
pub mod ordered_bytes;
pub mod percentile;
mod rows;
mod signatures;
pub mod single_value;
pub mod sum;
mod totals;
mod value_list;
pub mod variance;
pub mod window_only;

#[cfg(test)]
mod tests;

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, Scalar};

use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

/// An aggregate function, as declared.
#[derive(Clone, Copy)]
pub struct AggregateFunction {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub syntax: &'static str,
    pub doc: &'static str,
    /// Only usable with OVER (ROW_NUMBER, LAG).
    pub window_only: bool,
    /// Positions of arguments that are passed as [`AccumulatorArgs::parameters`] instead of columns when they are
    /// literals (the separator of LISTAGG). Words such as IGNORE NULLS and ABSENT ON NULL are one BOOLEAN parameter
    /// behind them: TRUE leaves NULL values out.
    pub constant_args: &'static [usize],
    /// Type inference. The result is NULL for an empty group unless the type says NOT NULL (COUNT); the binder makes
    /// it nullable for a global aggregate.
    pub signature: fn(&[ArgInfo<'_>]) -> Result<Signature, SignatureError>,
    /// A fresh accumulator.
    pub accumulator: fn(&AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator>,
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What an accumulator is made for.
#[derive(Clone, Copy, Debug)]
pub struct AccumulatorArgs<'a> {
    /// Name of the function.
    pub function: &'a str,
    pub arg_types: &'a [LogicalType],
    pub result: &'a LogicalType,
    /// Whether rows will be retracted: MIN and MAX must then keep all values.
    pub retract: bool,
    /// Constant arguments beyond columns (LISTAGG's separator).
    pub parameters: &'a [Scalar],
}

/// Accumulators of one aggregate call for many groups, by dense group number.
///
/// Contract:
/// - group numbers are below the last `resize`; a group that was never updated, or was cleared, is empty;
/// - `update` gets columns of equal length and one group number a row; rows with NULL arguments are passed, each
///   function decides (checked: lengths);
/// - `retract[i]` is true where row `i` retracts an earlier row (present only if made with `retract`);
/// - `state` columns fed to `merge` of a fresh accumulator give the same `evaluate` (unchecked); it is also the snapshot
///   format, so it must not change its meaning without a new version;
/// - everything is deterministic: the same calls in the same order give the same bytes.
pub trait GroupsAccumulator: Send {
    /// Makes room for group numbers `0..groups`; never shrinks.
    fn resize(&mut self, groups: usize);
    /// Adds rows (or takes them back).
    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError>;
    /// Types of the columns of [`Self::state`].
    fn state_types(&self) -> Vec<LogicalType>;
    /// The partial results of `groups`, one row each.
    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError>;
    /// Adds partial results: row `i` of `state` to `groups[i]`.
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError>;
    /// Whether [`Self::unmerge`] works: taking partial results out leaves exactly what was there before.
    fn can_unmerge(&self) -> bool {
        false
    }
    /// Takes partial results out that were merged earlier: row `i` of `state` out of `groups[i]`.
    fn unmerge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let _ = (groups, state);
        Err(rows::defect(
            "unmerge",
            "the function cannot take partial results out",
        ))
    }
    /// The results of `groups`, one row each, of the call's result type.
    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError>;
    /// Empties `groups`, so that their numbers can be used again.
    fn clear(&mut self, groups: &[u32]);
    /// Bytes held.
    fn memory_size(&self) -> usize;
}
