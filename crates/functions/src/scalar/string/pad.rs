//! LPAD, RPAD, REPEAT. Lengths of LPAD and RPAD count UTF-16 units.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::{check_result_bytes, push_utf16};
use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

const PADDED: &[Arg] = &[Arg::Character, Arg::Integer, Arg::Character];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "LPAD",
        "LPAD(string, length, pad)",
        "The string with the pad repeated before it up to the length, or cut to the length. NULL if the length is negative \
         or the pad is empty.",
        |args| {
            let types = check("LPAD", args, &[PADDED])?;
            nullable(types, LogicalType::STRING)
        },
        |args| pad(args, "LPAD", true),
    ),
    ScalarFunction::new(
        Group::String,
        "RPAD",
        "RPAD(string, length, pad)",
        "The string with the pad repeated after it up to the length, or cut to the length. NULL if the length is negative \
         or the pad is empty.",
        |args| {
            let types = check("RPAD", args, &[PADDED])?;
            nullable(types, LogicalType::STRING)
        },
        |args| pad(args, "RPAD", false),
    ),
    ScalarFunction::new(
        Group::String,
        "REPEAT",
        "REPEAT(string, count)",
        "Repeats the string count times; an empty string if the count is not positive.",
        |args| {
            strict(
                check("REPEAT", args, &[&[Arg::Character, Arg::Integer]])?,
                LogicalType::STRING,
            )
        },
        repeat,
    ),
];

fn pad(args: &KernelArgs<'_>, function: &str, left: bool) -> Result<ArrayRef, EvalError> {
    let (text, length, pad) = (args.text(0)?, args.integers(1)?, args.text(2)?);
    args.try_write_text(|row, out| {
        let (Some(text), Some(length), Some(pad)) = (text.get(row), length.get(row), pad.get(row)) else {
            return Ok(None);
        };
        let Ok(length) = usize::try_from(length) else {
            return Ok(None);
        };
        if pad.is_empty() {
            return Ok(None);
        }
        check_result_bytes(function, length)?;
        let units = text.encode_utf16().count().min(length);
        let padding = pad.encode_utf16().cycle().take(length - units);
        let kept = text.encode_utf16().take(units);
        if left {
            push_utf16(padding.chain(kept), out);
        } else {
            push_utf16(kept.chain(padding), out);
        }
        Ok(Some(()))
    })
}

fn repeat(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, count) = (args.text(0)?, args.integers(1)?);
    args.try_write_text(|row, out| {
        let (Some(text), Some(count)) = (text.get(row), count.get(row)) else {
            return Ok(None);
        };
        let count = usize::try_from(count).unwrap_or(0);
        check_result_bytes("REPEAT", text.len().saturating_mul(count))?;
        if !text.is_empty() {
            (0..count).for_each(|_| out.push_str(text));
        }
        Ok(Some(()))
    })
}
