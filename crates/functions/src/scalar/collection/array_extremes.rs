//! ARRAY_MAX, ARRAY_MIN.

use std::cmp::Ordering;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_ord::ord::make_comparator;
use arrow_schema::SortOptions;
use millstream_types::{LogicalType, TypeFamily, arrow_type};

use super::elements::{array_arg, element_type, flat, gather};
use crate::scalar::forms::{wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_MAX",
        "ARRAY_MAX(array)",
        "The greatest element that is not NULL; NULL if there is none.",
        |args| signature("ARRAY_MAX", args),
        |args| extreme(args, Ordering::Greater),
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_MIN",
        "ARRAY_MIN(array)",
        "The least element that is not NULL; NULL if there is none.",
        |args| signature("ARRAY_MIN", args),
        |args| extreme(args, Ordering::Less),
    ),
];

/// An array whose elements have an order: numbers, strings, dates and times.
pub(super) fn comparable_array(function: &str, args: &[ArgInfo<'_>]) -> Result<LogicalType, SignatureError> {
    let array = array_arg(function, args, 0)?;
    let element = element_type(&array);
    let ordered = element.is_numeric()
        || element.is_datetime()
        || matches!(
            element.family(),
            TypeFamily::CharacterString | TypeFamily::BinaryString
        );
    if ordered {
        return Ok(array);
    }
    Err(wrong_types(
        function,
        args,
        format!("{function}(<ARRAY<COMPARABLE>>)"),
    ))
}

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 1 {
        return Err(wrong_count(function, "1", args.len()));
    }
    let array = comparable_array(function, args)?;
    let result = element_type(&array).with_nullable(true);
    Ok(Signature {
        args: vec![array],
        result,
    })
}

fn extreme(args: &KernelArgs<'_>, wanted: Ordering) -> Result<ArrayRef, EvalError> {
    let (lists, items) = (args.lists(0)?, flat(args, 0)?);
    let compare = make_comparator(&items, &items, SortOptions::default())?;
    let data_type = arrow_type(args.result);
    let better = |best: usize, i: usize| if compare(i, best) == wanted { i } else { best };
    let picks: Vec<(usize, usize)> = (0..args.rows)
        .map(|row| {
            let best = lists
                .range(row)
                .and_then(|range| range.filter(|i| items.is_valid(*i)).reduce(better));
            best.map_or((1, 0), |i| (0, i))
        })
        .collect();
    gather(
        &[ArrayRef::clone(&items), new_null_array(&data_type, 1)],
        &picks,
        &data_type,
    )
}
