//! ARRAY_SORT.

use arrow_array::{Array, ArrayRef};
use arrow_ord::ord::make_comparator;
use arrow_schema::SortOptions;
use millstream_types::LogicalType;

use super::array_extremes::comparable_array;
use super::elements::{ListWriter, flat};
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Collection,
    "ARRAY_SORT",
    "ARRAY_SORT(array[, ascending_order[, null_first]])",
    "The elements in ascending order by default. NULLs come first in ascending and last in descending order unless said \
     otherwise. NULL if an argument is NULL.",
    signature,
    array_sort,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let one: &[Arg] = &[Arg::Array];
    let two: &[Arg] = &[Arg::Array, Arg::Boolean];
    let three: &[Arg] = &[Arg::Array, Arg::Boolean, Arg::Boolean];
    let mut types: Vec<LogicalType> = check("ARRAY_SORT", args, &[one, two, three])?;
    types[0] = comparable_array("ARRAY_SORT", args)?;
    let result = types[0].clone();
    strict(types, result)
}

fn array_sort(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, items) = (args.lists(0)?, flat(args, 0)?);
    let ascending = if args.args.len() > 1 {
        Some(args.booleans(1)?)
    } else {
        None
    };
    let nulls_first = if args.args.len() > 2 {
        Some(args.booleans(2)?)
    } else {
        None
    };
    let compare = make_comparator(&items, &items, SortOptions::default())?;
    let mut writer = ListWriter::new(vec![ArrayRef::clone(&items)], args.rows);
    for row in 0..args.rows {
        let ascending = ascending.as_ref().map_or(Some(true), |flag| flag.get(row));
        let nulls_first = nulls_first.as_ref().map_or(ascending, |flag| flag.get(row));
        let (Some(range), Some(ascending), Some(nulls_first)) = (lists.range(row), ascending, nulls_first)
        else {
            writer.end_null();
            continue;
        };
        let (nulls, mut values): (Vec<usize>, Vec<usize>) = range.partition(|i| items.is_null(*i));
        // Both orders are stable, as Java's sort is.
        values.sort_by(|a, b| {
            if ascending {
                compare(*a, *b)
            } else {
                compare(*b, *a)
            }
        });
        let (before, after) = if nulls_first {
            (nulls, values)
        } else {
            (values, nulls)
        };
        before.into_iter().chain(after).for_each(|i| writer.push(0, i));
        writer.end_row();
    }
    writer.finish(args.result)
}
