//! ARRAY_AGG: the values in order of arrival.

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, Scalar, TypeKind};

use super::ordered_bytes::value_lists;
use super::signatures::{as_given, check_count};
use super::value_list::{ValueLists, delegate_to_lists};
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "ARRAY_AGG",
    aliases: &[],
    syntax: "ARRAY_AGG([DISTINCT] value [RESPECT NULLS | IGNORE NULLS])",
    doc: "The values as an array in order of arrival, NULLs included unless IGNORE NULLS; NULL without values.",
    window_only: false,
    constant_args: &[],
    signature,
    accumulator,
}];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("ARRAY_AGG", args, 1..=1)?;
    let element = args[0].ty.without_time_attribute();
    let nullable = element.nullable;
    Ok(as_given(
        args,
        LogicalType::array(element).with_nullable(nullable),
    ))
}

/// Whether the parameters say to leave NULLs out (IGNORE NULLS, ABSENT ON NULL).
pub(super) fn leaves_nulls_out(args: &AccumulatorArgs<'_>, otherwise: bool) -> bool {
    let word = |p: &Scalar| {
        if let Scalar::Boolean(word) = p {
            Some(*word)
        } else {
            None
        }
    };
    args.parameters.iter().rev().find_map(word).unwrap_or(otherwise)
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let Some(ty) = args.arg_types.first() else {
        return Box::new(Unavailable::new("ARRAY_AGG", "its argument is missing"));
    };
    let element = match &args.result.kind {
        TypeKind::Array(element) => element.as_ref().clone(),
        _ => ty.clone(),
    };
    Box::new(ArrayAgg {
        lists: ValueLists::new("ARRAY_AGG", ty, !leaves_nulls_out(args, false)),
        element,
    })
}

struct ArrayAgg {
    lists: ValueLists,
    element: LogicalType,
}

impl GroupsAccumulator for ArrayAgg {
    delegate_to_lists!();

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let values = |group: &u32| {
            let values: Vec<&[u8]> = self.lists.values(*group).collect();
            (!values.is_empty()).then_some(values)
        };
        value_lists(self.lists.codec(), &self.element, groups.iter().map(values))
    }
}
