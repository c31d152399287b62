//! BITMAP functions. A BITMAP column holds the portable Roaring serialisation, so the bytes are the value.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::DataType;
use millstream_types::{LogicalType, TypeKind, arrow_type};

use super::elements::{array_arg, element_type, flat};
use super::roaring::{decode, encode};
use crate::scalar::access::{data_error, internal};
use crate::scalar::forms::{Arg, check, strict, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

const BITMAP: LogicalType = LogicalType::new(TypeKind::Bitmap);

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_BUILD",
        "BITMAP_BUILD(array)",
        "The bitmap of an array of 32-bit integers, which count as unsigned; NULL elements are left out.",
        build_signature,
        bitmap_build,
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_AND",
        "BITMAP_AND(bitmap1, bitmap2)",
        "The integers that are in both bitmaps.",
        |args| two_bitmaps("BITMAP_AND", args),
        |args| combine(args, |a, b| a && b),
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_OR",
        "BITMAP_OR(bitmap1, bitmap2)",
        "The integers that are in one of the bitmaps.",
        |args| two_bitmaps("BITMAP_OR", args),
        |args| combine(args, |a, b| a || b),
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_XOR",
        "BITMAP_XOR(bitmap1, bitmap2)",
        "The integers that are in exactly one of the bitmaps.",
        |args| two_bitmaps("BITMAP_XOR", args),
        |args| combine(args, |a, b| a != b),
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_ANDNOT",
        "BITMAP_ANDNOT(bitmap1, bitmap2)",
        "The integers of the first bitmap that are not in the second.",
        |args| two_bitmaps("BITMAP_ANDNOT", args),
        |args| combine(args, |a, b| a && !b),
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_CARDINALITY",
        "BITMAP_CARDINALITY(bitmap)",
        "The number of integers in the bitmap.",
        |args| {
            strict(
                check("BITMAP_CARDINALITY", args, &[&[Arg::Bitmap]])?,
                LogicalType::BIGINT,
            )
        },
        bitmap_cardinality,
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_FROM_BYTES",
        "BITMAP_FROM_BYTES(bytes)",
        "The bitmap whose portable Roaring serialisation the bytes are; other bytes are an error.",
        |args| strict(check("BITMAP_FROM_BYTES", args, &[&[Arg::Binary]])?, BITMAP),
        bitmap_from_bytes,
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_TO_BYTES",
        "BITMAP_TO_BYTES(bitmap)",
        "The portable Roaring serialisation of the bitmap.",
        |args| {
            strict(
                check("BITMAP_TO_BYTES", args, &[&[Arg::Bitmap]])?,
                LogicalType::BYTES,
            )
        },
        bitmap_to_bytes,
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_TO_ARRAY",
        "BITMAP_TO_ARRAY(bitmap)",
        "The integers of the bitmap in unsigned order.",
        |args| {
            let types = check("BITMAP_TO_ARRAY", args, &[&[Arg::Bitmap]])?;
            strict(types, LogicalType::array(LogicalType::INT))
        },
        bitmap_to_array,
    ),
    ScalarFunction::new(
        Group::Bitmap,
        "BITMAP_TO_STRING",
        "BITMAP_TO_STRING(bitmap)",
        "The integers of the bitmap as unsigned numbers: {1,3,5}.",
        |args| {
            strict(
                check("BITMAP_TO_STRING", args, &[&[Arg::Bitmap]])?,
                LogicalType::STRING,
            )
        },
        bitmap_to_string,
    ),
];

/// Appends the text of a bitmap: `{1,3,5}`.
pub(crate) fn write_bitmap(out: &mut String, bytes: &[u8]) {
    out.push('{');
    for (i, value) in decode(bytes).unwrap_or_default().into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&value.to_string());
    }
    out.push('}');
}

fn values(bytes: &[u8]) -> Result<Vec<u32>, EvalError> {
    decode(bytes).map_err(|reason| data_error(format!("malformed bitmap: {reason}")))
}

fn build_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check("BITMAP_BUILD", args, &[&[Arg::Array]])?;
    let array = array_arg("BITMAP_BUILD", args, 0)?;
    let element = element_type(&array);
    let fits = matches!(
        element.kind,
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int
    );
    if !fits {
        return Err(wrong_types("BITMAP_BUILD", args, "BITMAP_BUILD(ARRAY<INT>)"));
    }
    let wanted =
        LogicalType::array(LogicalType::INT.with_nullable(element.nullable)).with_nullable(array.nullable);
    strict(vec![wanted], BITMAP)
}

fn bitmap_build(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, items) = (args.lists(0)?, flat(args, 0)?);
    let items = items
        .as_primitive_opt::<Int32Type>()
        .ok_or_else(|| internal("the elements are not integers"))?;
    args.try_write_bytes(|row, out| {
        let Some(range) = lists.range(row) else {
            return Ok(None);
        };
        let mut values: Vec<u32> = range
            .filter(|i| items.is_valid(*i))
            .map(|i| items.value(i).cast_unsigned())
            .collect();
        values.sort_unstable();
        values.dedup();
        out.extend(encode(&values));
        Ok(Some(()))
    })
}

fn two_bitmaps(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    strict(check(function, args, &[&[Arg::Bitmap, Arg::Bitmap]])?, BITMAP)
}

fn combine(args: &KernelArgs<'_>, keep: fn(bool, bool) -> bool) -> Result<ArrayRef, EvalError> {
    let (first, second) = (args.bytes(0)?, args.bytes(1)?);
    args.try_write_bytes(|row, out| {
        let (Some(first), Some(second)) = (first.get(row), second.get(row)) else {
            return Ok(None);
        };
        out.extend(encode(&merged(&values(first)?, &values(second)?, keep)));
        Ok(Some(()))
    })
}

/// The values of two ascending lists for which `keep` of (in the first, in the second) holds.
fn merged(first: &[u32], second: &[u32], keep: fn(bool, bool) -> bool) -> Vec<u32> {
    let (mut a, mut b) = (first.iter().peekable(), second.iter().peekable());
    let mut result = Vec::new();
    loop {
        let next = match (a.peek(), b.peek()) {
            (None, None) => return result,
            (Some(x), None) => **x,
            (None, Some(y)) => **y,
            (Some(x), Some(y)) => **x.min(y),
        };
        let (in_first, in_second) = (
            a.next_if(|x| **x == next).is_some(),
            b.next_if(|y| **y == next).is_some(),
        );
        if keep(in_first, in_second) {
            result.push(next);
        }
    }
}

fn bitmap_cardinality(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bitmaps = args.bytes(0)?;
    args.try_write_primitives::<Int64Type>(|row| {
        bitmaps
            .get(row)
            .map(|bytes| Ok(values(bytes)?.len() as i64))
            .transpose()
    })
}

fn bitmap_from_bytes(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bytes = args.bytes(0)?;
    args.try_write_bytes(|row, out| {
        let Some(bytes) = bytes.get(row) else {
            return Ok(None);
        };
        out.extend(encode(&values(bytes)?));
        Ok(Some(()))
    })
}

fn bitmap_to_bytes(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bitmaps = args.bytes(0)?;
    args.try_write_bytes(|row, out| {
        let Some(bytes) = bitmaps.get(row) else {
            return Ok(None);
        };
        out.extend_from_slice(bytes);
        Ok(Some(()))
    })
}

fn bitmap_to_array(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bitmaps = args.bytes(0)?;
    let DataType::List(field) = arrow_type(args.result) else {
        return Err(internal("the result is not an array"));
    };
    let mut builder = ListBuilder::new(Int32Builder::new()).with_field(field);
    for row in 0..args.rows {
        let Some(bytes) = bitmaps.get(row) else {
            builder.append_null();
            continue;
        };
        values(bytes)?
            .into_iter()
            .for_each(|value| builder.values().append_value(value.cast_signed()));
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

fn bitmap_to_string(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bitmaps = args.bytes(0)?;
    args.write_text(|row, out| {
        write_bitmap(out, bitmaps.get(row)?);
        Some(())
    })
}
