//! APPROX_COUNT_DISTINCT. The count is exact: distinct values are kept, as COUNT(DISTINCT) does.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};
use millstream_types::{LogicalType, TypeKind};

use super::collect::{CountedValues, delegate_to_counts};
use super::signatures::{as_given, check_count};
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "APPROX_COUNT_DISTINCT",
    aliases: &[],
    syntax: "APPROX_COUNT_DISTINCT(value)",
    doc: "Number of different values that are not NULL. Batch mode only.",
    window_only: false,
    constant_args: &[],
    signature,
    accumulator,
}];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("APPROX_COUNT_DISTINCT", args, 1..=1)?;
    Ok(as_given(args, LogicalType::not_null(TypeKind::BigInt)))
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    Box::new(DistinctCount {
        counts: CountedValues::new("APPROX_COUNT_DISTINCT", args.arg_types),
    })
}

struct DistinctCount {
    counts: CountedValues,
}

impl GroupsAccumulator for DistinctCount {
    delegate_to_counts!();

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        self.counts.update(groups, args, retract)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let counts = groups
            .iter()
            .map(|group| self.counts.present(*group).count() as i64);
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }
}
