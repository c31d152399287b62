//! SINGLE_VALUE: the value of a group that must not have two rows; made for scalar sub-queries.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::min_max::decode_options;
use super::signatures::{as_given, check_count};
use super::value_list::ValueLists;
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "SINGLE_VALUE",
    aliases: &[],
    syntax: "SINGLE_VALUE(value)",
    doc: "The only value; NULL without rows, an error with more than one row.",
    window_only: false,
    constant_args: &[],
    signature,
    accumulator,
}];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("SINGLE_VALUE", args, 1..=1)?;
    Ok(as_given(
        args,
        args[0].ty.without_time_attribute().with_nullable(true),
    ))
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    match args.arg_types.first() {
        Some(ty) => Box::new(SingleValue {
            lists: ValueLists::new("SINGLE_VALUE", ty, true),
            retract: args.retract,
        }),
        None => Box::new(Unavailable::new("SINGLE_VALUE", "its argument is missing")),
    }
}

struct SingleValue {
    lists: ValueLists,
    /// A second row may arrive before the first one is retracted.
    retract: bool,
}

impl SingleValue {
    fn check(&self, groups: &[u32]) -> Result<(), EvalError> {
        if groups.iter().any(|group| self.lists.values(*group).len() > 1) {
            return Err(EvalError::Data(
                "SINGLE_VALUE received more than one element".to_owned(),
            ));
        }
        Ok(())
    }
}

impl GroupsAccumulator for SingleValue {
    fn resize(&mut self, groups: usize) {
        self.lists.resize(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        self.lists.update(groups, args, retract)?;
        if self.retract { Ok(()) } else { self.check(groups) }
    }

    fn state_types(&self) -> Vec<LogicalType> {
        self.lists.state_types()
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        self.lists.state(groups)
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.lists.merge(groups, state)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        self.check(groups)?;
        let first = |group: &u32| self.lists.values(*group).next();
        decode_options(self.lists.codec(), &groups.iter().map(first).collect::<Vec<_>>())
    }

    fn clear(&mut self, groups: &[u32]) {
        self.lists.clear(groups);
    }

    fn memory_size(&self) -> usize {
        self.lists.memory_size()
    }
}
