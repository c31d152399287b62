//! The aggregate calls of an operator over groups: arguments, FILTER, DISTINCT, and the accumulators behind them.
//!
//! [`AggregateSpec`] is what a plan says, checked once; [`AggregateCalls`] holds state, one for each table of groups.

mod distinct;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use millstream_dataflow::DataflowError;
use millstream_functions::aggregate::AccumulatorArgs;
use millstream_functions::{AggregateFunction, GroupsAccumulator, aggregate_function};
use millstream_plan::AggregateCall;
use millstream_types::ErrorKind;

use crate::emit::take_columns;
use crate::error::eval_error;
use distinct::Distinct;

/// Validated aggregate calls: every function exists.
#[derive(Clone, Debug)]
pub(crate) struct AggregateSpec {
    calls: Vec<(AggregateCall, &'static AggregateFunction)>,
    retract: bool,
}

impl AggregateSpec {
    /// Whether a deviation or variance is among the calls.
    pub(crate) fn has_deviation(&self) -> bool {
        let is_deviation =
            |call: &AggregateCall| call.function.starts_with("STDDEV") || call.function.starts_with("VAR");
        self.calls.iter().any(|(call, _)| is_deviation(call))
    }

    /// `retract` says whether rows will be retracted.
    pub(crate) fn new(calls: &[AggregateCall], retract: bool) -> Result<Self, DataflowError> {
        let resolve = |call: &AggregateCall| {
            let function = aggregate_function(&call.function).ok_or_else(|| {
                DataflowError::internal(format!(
                    "the plan names an unknown aggregate function '{}'",
                    call.function
                ))
            })?;
            if !call.order_by.is_empty() {
                let message = format!("not supported yet: ordering inside of {}", function.name);
                return Err(DataflowError::new(ErrorKind::Unsupported, message));
            }
            Ok((call.clone(), function))
        };
        Ok(Self {
            calls: calls.iter().map(resolve).collect::<Result<_, _>>()?,
            retract,
        })
    }

    /// New, empty accumulators.
    pub(crate) fn instantiate(&self) -> AggregateCalls {
        AggregateCalls {
            calls: self
                .calls
                .iter()
                .map(|(call, function)| self.call(call, function))
                .collect(),
        }
    }

    fn call(&self, call: &AggregateCall, function: &AggregateFunction) -> Call {
        let args = AccumulatorArgs {
            function: function.name,
            arg_types: &call.arg_types,
            result: &call.result,
            retract: self.retract,
            parameters: &call.parameters,
        };
        let mut accumulator = (function.accumulator)(&args);
        if call.distinct && !call.args.is_empty() {
            accumulator = Box::new(Distinct::new(accumulator, &call.arg_types));
        }
        Call {
            accumulator,
            args: call.args.clone(),
            filter: call.filter,
        }
    }

    /// Input columns that the calls read, ascending.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = self
            .calls
            .iter()
            .flat_map(|(call, _)| call.args.iter().copied().chain(call.filter))
            .collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The same calls over other positions.
    pub(crate) fn remap(mut self, map: impl Fn(usize) -> usize) -> Self {
        for (call, _) in &mut self.calls {
            call.args.iter_mut().for_each(|column| *column = map(*column));
            call.filter = call.filter.map(&map);
        }
        self
    }
}

/// One call with its state.
struct Call {
    accumulator: Box<dyn GroupsAccumulator>,
    args: Vec<usize>,
    filter: Option<usize>,
}

/// An operator's calls with their state, indexed by group number.
pub(crate) struct AggregateCalls {
    calls: Vec<Call>,
}

impl AggregateCalls {
    /// Allocates state for group numbers below `groups`.
    pub(crate) fn resize(&mut self, groups: usize) {
        self.calls
            .iter_mut()
            .for_each(|call| call.accumulator.resize(groups));
    }

    /// Adds rows to their groups, or retracts them.
    pub(crate) fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), DataflowError> {
        for call in &mut self.calls {
            let args = call
                .args
                .iter()
                .map(|arg| column(columns, *arg))
                .collect::<Result<Vec<_>, _>>()?;
            match call.filter {
                None => call
                    .accumulator
                    .update(groups, &args, retract)
                    .map_err(eval_error)?,
                Some(filter) => {
                    let condition = column(columns, filter)?;
                    update_filtered(call.accumulator.as_mut(), groups, &args, retract, &condition)?;
                }
            }
        }
        Ok(())
    }

    /// The results of `groups`, one column for each call.
    pub(crate) fn evaluate(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, DataflowError> {
        self.calls
            .iter()
            .map(|call| call.accumulator.evaluate(groups).map_err(eval_error))
            .collect()
    }

    /// The partial results of `groups`: the concatenated state columns of all calls.
    pub(crate) fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, DataflowError> {
        let mut columns = Vec::new();
        for call in &self.calls {
            columns.extend(call.accumulator.state(groups).map_err(eval_error)?);
        }
        Ok(columns)
    }

    /// Adds partial results: row `i` of `state` to `groups[i]`.
    pub(crate) fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), DataflowError> {
        let mut rest = state;
        for call in &mut self.calls {
            let (own, others) = split_state(rest, call.accumulator.as_ref())?;
            call.accumulator.merge(groups, own).map_err(eval_error)?;
            rest = others;
        }
        Ok(())
    }

    /// Whether partial results can be subtracted again.
    pub(crate) fn can_unmerge(&self) -> bool {
        self.calls.iter().all(|call| call.accumulator.can_unmerge())
    }

    /// Subtracts partial results: row `i` of `state` from `groups[i]`.
    pub(crate) fn unmerge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), DataflowError> {
        let mut rest = state;
        for call in &mut self.calls {
            let (own, others) = split_state(rest, call.accumulator.as_ref())?;
            call.accumulator.unmerge(groups, own).map_err(eval_error)?;
            rest = others;
        }
        Ok(())
    }

    /// Resets groups.
    pub(crate) fn clear(&mut self, groups: &[u32]) {
        self.calls
            .iter_mut()
            .for_each(|call| call.accumulator.clear(groups));
    }

    pub(crate) fn memory_size(&self) -> usize {
        self.calls.iter().map(|call| call.accumulator.memory_size()).sum()
    }
}

/// Splits the state columns into those of the first accumulator and the rest.
fn split_state<'a>(
    state: &'a [ArrayRef],
    accumulator: &dyn GroupsAccumulator,
) -> Result<(&'a [ArrayRef], &'a [ArrayRef]), DataflowError> {
    let width = accumulator.state_types().len();
    let parts = state.split_at_checked(width);
    parts.ok_or_else(|| DataflowError::internal("partial aggregates have too few columns"))
}

fn column(columns: &[ArrayRef], index: usize) -> Result<ArrayRef, DataflowError> {
    let found = columns.get(index).cloned();
    found
        .ok_or_else(|| DataflowError::internal(format!("the plan reads column {index} of {}", columns.len())))
}

/// Updates with the rows whose condition is TRUE.
fn update_filtered(
    accumulator: &mut dyn GroupsAccumulator,
    groups: &[u32],
    args: &[ArrayRef],
    retract: Option<&[bool]>,
    condition: &ArrayRef,
) -> Result<(), DataflowError> {
    let condition = condition
        .as_boolean_opt()
        .ok_or_else(|| DataflowError::internal("FILTER is not a BOOLEAN column"))?;
    let kept = true_rows(condition);
    if kept.len() == groups.len() {
        return accumulator.update(groups, args, retract).map_err(eval_error);
    }
    let args = take_columns(args, &kept)?;
    let groups: Vec<u32> = kept.iter().map(|row| groups[*row as usize]).collect();
    let retract: Option<Vec<bool>> = retract.map(|r| kept.iter().map(|row| r[*row as usize]).collect());
    accumulator
        .update(&groups, &args, retract.as_deref())
        .map_err(eval_error)
}

/// Positions of the rows that are TRUE.
pub(crate) fn true_rows(condition: &BooleanArray) -> Vec<u32> {
    match condition.nulls() {
        None => condition.values().set_indices().map(|row| row as u32).collect(),
        Some(nulls) => (condition.values() & nulls.inner())
            .set_indices()
            .map(|row| row as u32)
            .collect(),
    }
}
