//! OVERLAY. Positions count UTF-16 units.

use arrow_array::ArrayRef;

use super::push_utf16;
use crate::scalar::forms::{Arg, check, concatenated, strict, varying};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::String,
    "OVERLAY",
    "OVERLAY(string1 PLACING string2 FROM start [FOR length])",
    "The first string with the characters from a position on (as many as the second string has, by default) replaced by the \
     second. The first string unchanged if the position is outside of it.",
    overlay_signature,
    overlay,
)];

fn overlay_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let from: &[Arg] = &[Arg::Character, Arg::Character, Arg::Integer];
    let from_for: &[Arg] = &[Arg::Character, Arg::Character, Arg::Integer, Arg::Integer];
    let types = check("OVERLAY", args, &[from, from_for])?;
    let result = varying(&concatenated(&types[..2]));
    strict(types, result)
}

fn overlay(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, placed) = (args.text(0)?, args.text(1)?);
    let (start, length) = (args.integers(2)?, args.optional_integers(3)?);
    args.write_text(|row, out| {
        let (text, placed, start) = (text.get(row)?, placed.get(row)?, start.get(row)?);
        let length = match &length {
            Some(length) => length.get(row)?,
            None => placed.encode_utf16().count() as i64,
        };
        let units = text.encode_utf16().count() as i64;
        if start <= 0 || start > units {
            out.push_str(text);
            return Some(());
        }
        let before = text.encode_utf16().take(start as usize - 1);
        // A negative length drops the rest, as Flink does.
        let rest = if length > 0 && start.saturating_add(length) <= units {
            start - 1 + length
        } else {
            units
        };
        let after = text.encode_utf16().skip(rest as usize);
        push_utf16(before.chain(placed.encode_utf16()).chain(after), out);
        Some(())
    })
}
