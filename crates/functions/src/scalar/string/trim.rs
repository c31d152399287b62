//! TRIM, LTRIM, RTRIM, BTRIM.
//!
//! TRIM is called with three arguments: the constant `'BOTH'`, `'LEADING'` or `'TRAILING'`, the characters to take away
//! (a blank if SQL names none), and the string.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::access::Text;
use crate::scalar::forms::{Arg, check, refused, strict, varying};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

const ONE: &[Arg] = &[Arg::Character];
const TWO: &[Arg] = &[Arg::Character, Arg::Character];
const THREE: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "TRIM",
        "TRIM([BOTH | LEADING | TRAILING] [characters] FROM string)",
        "The string without the given characters (blanks by default) at its ends, each of which is taken away on its own.",
        trim_signature,
        trim,
    ),
    ScalarFunction::new(
        Group::String,
        "LTRIM",
        "LTRIM(string[, characters])",
        "The string without the given characters (blanks by default) at its start.",
        |args| trim_side_signature("LTRIM", args),
        |args| trim_sides(args, true, false),
    ),
    ScalarFunction::new(
        Group::String,
        "RTRIM",
        "RTRIM(string[, characters])",
        "The string without the given characters (blanks by default) at its end.",
        |args| trim_side_signature("RTRIM", args),
        |args| trim_sides(args, false, true),
    ),
    ScalarFunction::new(
        Group::String,
        "BTRIM",
        "BTRIM(string[, characters])",
        "The string without the given characters (blanks by default) at both ends.",
        |args| strict(check("BTRIM", args, &[ONE, TWO])?, LogicalType::STRING),
        |args| trim_sides(args, true, true),
    ),
];

fn trim_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check("TRIM", args, &[THREE])?;
    let side = args[0].literal.and_then(|side| side.as_str());
    if !matches!(side, Some("BOTH" | "LEADING" | "TRAILING")) {
        return Err(refused("TRIM takes the sides BOTH, LEADING or TRAILING"));
    }
    let result = varying(&types[2]);
    strict(types, result)
}

fn trim_side_signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check(function, args, &[ONE, TWO])?;
    let result = varying(&types[0]);
    strict(types, result)
}

fn trimmed<'t>(text: &'t str, characters: &str, leading: bool, trailing: bool) -> &'t str {
    let matches = |c: char| characters.contains(c);
    let text = if leading {
        text.trim_start_matches(matches)
    } else {
        text
    };
    if trailing {
        text.trim_end_matches(matches)
    } else {
        text
    }
}

fn trim(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (side, characters, text) = (args.text(0)?, args.text(1)?, args.text(2)?);
    args.text_slices(|row| {
        let side = side.get(row)?;
        Some(trimmed(
            text.get(row)?,
            characters.get(row)?,
            side != "TRAILING",
            side != "LEADING",
        ))
    })
}

fn trim_sides(args: &KernelArgs<'_>, leading: bool, trailing: bool) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    let characters: Option<Text<'_>> = args.optional_text(1)?;
    args.text_slices(|row| {
        let characters = match &characters {
            Some(characters) => characters.get(row)?,
            None => " ",
        };
        Some(trimmed(text.get(row)?, characters, leading, trailing))
    })
}
