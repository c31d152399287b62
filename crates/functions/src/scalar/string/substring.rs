//! SUBSTRING, LEFT, RIGHT.

use arrow_array::ArrayRef;

use super::{char_count, char_offset};
use crate::scalar::forms::{Arg, check, nullable, varying};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

const FROM: &[Arg] = &[Arg::Character, Arg::Integer];
const FROM_FOR: &[Arg] = &[Arg::Character, Arg::Integer, Arg::Integer];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "SUBSTRING",
        "SUBSTRING(string FROM start [FOR length])",
        "The part of the string from a position, counted from 1, or from the end if it is negative. An empty string if the \
         position is outside of the string, NULL if the length is negative.",
        |args| part_of_first("SUBSTRING", args, &[FROM, FROM_FOR]),
        substring,
    )
    .aliases(&["SUBSTR"]),
    ScalarFunction::new(
        Group::String,
        "LEFT",
        "LEFT(string, count)",
        "The first characters of the string; an empty string if the count is not positive.",
        |args| part_of_first("LEFT", args, &[FROM]),
        left,
    ),
    ScalarFunction::new(
        Group::String,
        "RIGHT",
        "RIGHT(string, count)",
        "The last characters of the string; an empty string if the count is not positive.",
        |args| part_of_first("RIGHT", args, &[FROM]),
        right,
    ),
];

fn part_of_first(
    function: &str,
    args: &[ArgInfo<'_>],
    forms: &[&[Arg]],
) -> Result<Signature, SignatureError> {
    let types = check(function, args, forms)?;
    let result = varying(&types[0]);
    nullable(types, result)
}

/// The characters from `start` (from 1, or from the end if negative), at most `length` of them.
fn slice(text: &str, start: i64, length: i64) -> &str {
    let count = char_count(text) as i64;
    let first = match start {
        1.. => start - 1,
        0 => 0,
        _ => count + start,
    };
    if first < 0 || first >= count {
        return "";
    }
    let begin = char_offset(text, first as usize);
    let rest = &text[begin..];
    &rest[..char_offset(rest, usize::try_from(length).unwrap_or(usize::MAX))]
}

fn substring(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, start, length) = (args.text(0)?, args.integers(1)?, args.optional_integers(2)?);
    args.text_slices(|row| {
        let length = match &length {
            Some(length) => length.get(row)?,
            None => i64::MAX,
        };
        let (text, start) = (text.get(row)?, start.get(row)?);
        (length >= 0).then(|| slice(text, start, length))
    })
}

fn left(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, count) = (args.text(0)?, args.integers(1)?);
    args.text_slices(|row| {
        let (text, count) = (text.get(row)?, count.get(row)?);
        Some(&text[..char_offset(text, usize::try_from(count).unwrap_or(0))])
    })
}

fn right(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, count) = (args.text(0)?, args.integers(1)?);
    args.text_slices(|row| {
        let (text, count) = (text.get(row)?, count.get(row)?);
        let skipped = char_count(text).saturating_sub(usize::try_from(count).unwrap_or(0));
        Some(&text[char_offset(text, skipped)..])
    })
}
