//! ARRAY_APPEND, ARRAY_PREPEND, ARRAY_CONCAT, ARRAY_REVERSE, ARRAY_SLICE.

use std::sync::Arc;

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TypeKind};

use super::elements::{ListWriter, array_arg, common_collection, element_type, flat, needle_arg};
use crate::scalar::access::Lists;
use crate::scalar::forms::{Arg, any_nullable, check, check_repeated, strict, wrong_count};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_APPEND",
        "ARRAY_APPEND(array, element)",
        "The array with the element after its last one; NULL if the array is NULL.",
        |args| added_signature("ARRAY_APPEND", args),
        |args| add(args, true),
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_PREPEND",
        "ARRAY_PREPEND(array, element)",
        "The array with the element before its first one; NULL if the array is NULL.",
        |args| added_signature("ARRAY_PREPEND", args),
        |args| add(args, false),
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_CONCAT",
        "ARRAY_CONCAT(array1, ...)",
        "The elements of all arrays in a row; NULL if one array is NULL.",
        concat_signature,
        array_concat,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_REVERSE",
        "ARRAY_REVERSE(array)",
        "The elements in opposite order.",
        |args| {
            check("ARRAY_REVERSE", args, &[&[Arg::Array]])?;
            let ty = array_arg("ARRAY_REVERSE", args, 0)?;
            strict(vec![ty.clone()], ty)
        },
        array_reverse,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_SLICE",
        "ARRAY_SLICE(array, start[, end])",
        "The elements from position start to position end (the last by default), counted from 1, or from the end if negative. \
         An empty array if there are none.",
        slice_signature,
        array_slice,
    ),
];

fn added_signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 2 {
        return Err(wrong_count(function, "2", args.len()));
    }
    let array = array_arg(function, args, 0)?;
    let element = element_type(&array);
    let needle = needle_arg(function, args, 1, &element)?;
    let widened = element.with_nullable(element.nullable || needle.nullable);
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    let result = LogicalType::array(widened).with_nullable(nullable);
    Ok(Signature {
        args: vec![array, needle],
        result,
    })
}

fn add(args: &KernelArgs<'_>, after: bool) -> Result<ArrayRef, EvalError> {
    let lists = args.lists(0)?;
    let mut writer = ListWriter::new(vec![flat(args, 0)?, Arc::clone(args.args[1].array())], args.rows);
    for row in 0..args.rows {
        let Some(range) = lists.range(row) else {
            writer.end_null();
            continue;
        };
        if !after {
            writer.push_datum(1, &args.args[1], row);
        }
        range.for_each(|i| writer.push(0, i));
        if after {
            writer.push_datum(1, &args.args[1], row);
        }
        writer.end_row();
    }
    writer.finish(args.result)
}

fn concat_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_repeated("ARRAY_CONCAT", args, 1, Arg::Array)?;
    let common = common_collection("ARRAY_CONCAT", args)?;
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    let types = args
        .iter()
        .map(|arg| common.with_nullable(arg.ty.nullable))
        .collect();
    Ok(Signature {
        args: types,
        result: common.with_nullable(nullable),
    })
}

fn array_concat(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let count = args.args.len();
    let lists = (0..count)
        .map(|i| args.lists(i))
        .collect::<Result<Vec<Lists<'_>>, _>>()?;
    let sources = (0..count).map(|i| flat(args, i)).collect::<Result<Vec<_>, _>>()?;
    let mut writer = ListWriter::new(sources, args.rows);
    for row in 0..args.rows {
        let ranges: Option<Vec<_>> = lists.iter().map(|list| list.range(row)).collect();
        let Some(ranges) = ranges else {
            writer.end_null();
            continue;
        };
        for (source, range) in ranges.into_iter().enumerate() {
            range.for_each(|i| writer.push(source, i));
        }
        writer.end_row();
    }
    writer.finish(args.result)
}

fn array_reverse(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let lists = args.lists(0)?;
    let mut writer = ListWriter::new(vec![flat(args, 0)?], args.rows);
    for row in 0..args.rows {
        let Some(range) = lists.range(row) else {
            writer.end_null();
            continue;
        };
        range.rev().for_each(|i| writer.push(0, i));
        writer.end_row();
    }
    writer.finish(args.result)
}

fn slice_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let from: &[Arg] = &[Arg::Array, Arg::Integer];
    let between: &[Arg] = &[Arg::Array, Arg::Integer, Arg::Integer];
    let mut types = check("ARRAY_SLICE", args, &[from, between])?;
    if types[1..].iter().any(|ty| ty.kind == TypeKind::BigInt) {
        return Err(crate::scalar::forms::wrong_types(
            "ARRAY_SLICE",
            args,
            "ARRAY_SLICE(<ARRAY>, INT[, INT])",
        ));
    }
    types[0] = array_arg("ARRAY_SLICE", args, 0)?;
    let result = types[0].with_nullable(any_nullable(&types));
    Ok(Signature { args: types, result })
}

/// The positions from `start` to `end`, from 1, of `length` elements as a range from 0.
fn slice_range(start: i64, end: i64, length: i64) -> std::ops::Range<usize> {
    let from_end = |position: i64| {
        if position < 0 {
            position + length + 1
        } else {
            position
        }
    };
    let first = from_end(start).max(1);
    let last = match from_end(end) {
        0 => 1,
        last => last.min(length),
    };
    let bound = |position: i64| usize::try_from(position).unwrap_or(0);
    bound(first - 1)..bound(last).max(bound(first - 1))
}

fn array_slice(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, start, end) = (args.lists(0)?, args.integers(1)?, args.optional_integers(2)?);
    let mut writer = ListWriter::new(vec![flat(args, 0)?], args.rows);
    for row in 0..args.rows {
        let range = lists.range(row);
        let length = range.as_ref().map_or(0, |range| range.len() as i64);
        let end = end.as_ref().map_or(Some(length), |end| end.get(row));
        let (Some(range), Some(start), Some(end)) = (range, start.get(row), end) else {
            writer.end_null();
            continue;
        };
        if length > 0 {
            slice_range(start, end, length).for_each(|i| writer.push(0, range.start + i));
        }
        writer.end_row();
    }
    writer.finish(args.result)
}
