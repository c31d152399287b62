//! ARRAY_DISTINCT, ARRAY_UNION, ARRAY_EXCEPT, ARRAY_INTERSECT. NULL equals NULL; the first of equal elements stays.

use std::collections::HashSet;

use arrow_array::ArrayRef;
use arrow_row::Row;

use super::elements::{Keys, ListWriter, array_arg, common_collection, flat};
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_DISTINCT",
        "ARRAY_DISTINCT(haystack)",
        "The array without repeated elements, in the order of their first appearance.",
        |args| {
            check("ARRAY_DISTINCT", args, &[&[Arg::Array]])?;
            let ty = array_arg("ARRAY_DISTINCT", args, 0)?;
            strict(vec![ty.clone()], ty)
        },
        array_distinct,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_UNION",
        "ARRAY_UNION(array1, array2)",
        "The elements of both arrays without repetition.",
        |args| two_arrays("ARRAY_UNION", args),
        array_union,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_EXCEPT",
        "ARRAY_EXCEPT(array1, array2)",
        "The elements of the first array that the second does not have, without repetition.",
        |args| two_arrays("ARRAY_EXCEPT", args),
        |args| filtered(args, false),
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_INTERSECT",
        "ARRAY_INTERSECT(array1, array2)",
        "The elements of the first array that the second has too, without repetition.",
        |args| two_arrays("ARRAY_INTERSECT", args),
        |args| filtered(args, true),
    ),
];

fn two_arrays(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check(function, args, &[&[Arg::Array, Arg::Array]])?;
    let common = common_collection(function, args)?;
    let types: Vec<_> = args
        .iter()
        .map(|arg| common.with_nullable(arg.ty.nullable))
        .collect();
    strict(types, common)
}

fn array_distinct(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, items) = (args.lists(0)?, flat(args, 0)?);
    let rows = Keys::new(items.data_type())?.encode(&items)?;
    let mut writer = ListWriter::new(vec![items], args.rows);
    for row in 0..args.rows {
        let Some(range) = lists.range(row) else {
            writer.end_null();
            continue;
        };
        let mut seen: HashSet<Row<'_>> = HashSet::new();
        range
            .filter(|i| seen.insert(rows.row(*i)))
            .for_each(|i| writer.push(0, i));
        writer.end_row();
    }
    writer.finish(args.result)
}

fn array_union(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (first, second) = (args.lists(0)?, args.lists(1)?);
    let (first_items, second_items) = (flat(args, 0)?, flat(args, 1)?);
    let keys = Keys::new(first_items.data_type())?;
    let (first_rows, second_rows) = (keys.encode(&first_items)?, keys.encode(&second_items)?);
    let mut writer = ListWriter::new(vec![first_items, second_items], args.rows);
    for row in 0..args.rows {
        let (Some(a), Some(b)) = (first.range(row), second.range(row)) else {
            writer.end_null();
            continue;
        };
        let mut seen: HashSet<Row<'_>> = HashSet::new();
        a.filter(|i| seen.insert(first_rows.row(*i)))
            .for_each(|i| writer.push(0, i));
        b.filter(|i| seen.insert(second_rows.row(*i)))
            .for_each(|i| writer.push(1, i));
        writer.end_row();
    }
    writer.finish(args.result)
}

/// The distinct elements of the first array that are (`present`) or are not in the second.
fn filtered(args: &KernelArgs<'_>, present: bool) -> Result<ArrayRef, EvalError> {
    let (first, second) = (args.lists(0)?, args.lists(1)?);
    let (first_items, second_items) = (flat(args, 0)?, flat(args, 1)?);
    let keys = Keys::new(first_items.data_type())?;
    let (first_rows, second_rows) = (keys.encode(&first_items)?, keys.encode(&second_items)?);
    let mut writer = ListWriter::new(vec![first_items], args.rows);
    for row in 0..args.rows {
        let (Some(a), Some(b)) = (first.range(row), second.range(row)) else {
            writer.end_null();
            continue;
        };
        let others: HashSet<Row<'_>> = b.map(|i| second_rows.row(i)).collect();
        let mut seen: HashSet<Row<'_>> = HashSet::new();
        a.filter(|i| others.contains(&first_rows.row(*i)) == present && seen.insert(first_rows.row(*i)))
            .for_each(|i| writer.push(0, i));
        writer.end_row();
    }
    writer.finish(args.result)
}
