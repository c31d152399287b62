//! COUNT(*) and COUNT(value).

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use millstream_types::{LogicalType, TypeKind};

use super::rows::{arg, each_change, primitive};
use super::signatures::{as_given, check_count};
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "COUNT",
    aliases: &[],
    syntax: "COUNT(* | [DISTINCT] value)",
    doc: "Number of rows, or of rows where value is not NULL. Never NULL: 0 without rows.",
    window_only: false,
    constant_args: &[],
    signature,
    accumulator,
}];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("COUNT", args, 0..=1)?;
    Ok(as_given(args, LogicalType::not_null(TypeKind::BigInt)))
}

fn accumulator(_: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    Box::new(Count::default())
}

/// Rows, or rows with a value, of each group.
#[derive(Default)]
struct Count {
    counts: Vec<i64>,
}

impl GroupsAccumulator for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let counts = &mut self.counts;
        match (args.first(), retract) {
            (Some(values), _) => each_change(
                counts,
                groups,
                values,
                retract,
                |counts, group, _| counts[group] += 1,
                |counts, group, _| counts[group] -= 1,
            ),
            (None, None) => groups.iter().for_each(|group| counts[*group as usize] += 1),
            (None, Some(retract)) => {
                for (group, back) in groups.iter().zip(retract) {
                    counts[*group as usize] += if *back { -1 } else { 1 };
                }
            }
        }
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![LogicalType::not_null(TypeKind::BigInt)]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let counts = primitive::<Int64Type>("COUNT", arg("COUNT", state, 0)?)?;
        debug_assert_eq!(counts.len(), groups.len());
        for (group, count) in groups.iter().zip(counts.values()) {
            self.counts[*group as usize] += count;
        }
        Ok(())
    }

    fn can_unmerge(&self) -> bool {
        true
    }

    fn unmerge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let counts = primitive::<Int64Type>("COUNT", arg("COUNT", state, 0)?)?;
        for (group, count) in groups.iter().zip(counts.values()) {
            self.counts[*group as usize] -= count;
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let counts = groups.iter().map(|group| self.counts[*group as usize]);
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups.iter().for_each(|group| self.counts[*group as usize] = 0);
    }

    fn memory_size(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
