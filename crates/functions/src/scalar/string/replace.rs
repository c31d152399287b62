//! REPLACE, TRANSLATE.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

const THREE: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "REPLACE",
        "REPLACE(string, search, replacement)",
        "The string with every occurrence of the search string replaced. An empty search string is found between all \
         characters.",
        |args| strict(check("REPLACE", args, &[THREE])?, LogicalType::STRING),
        replace,
    ),
    ScalarFunction::new(
        Group::String,
        "TRANSLATE",
        "TRANSLATE(string, from, to)",
        "The string with each character of `from` replaced by the one at the same place of `to`, and taken away if `to` is \
         shorter. A NULL `from` changes nothing, a NULL `to` counts as empty.",
        translate_signature,
        translate,
    )
    .aliases(&["TRANSLATE3"]),
];

fn translate_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check("TRANSLATE", args, &[THREE])?;
    let result = LogicalType::STRING.with_nullable(types[0].nullable);
    Ok(Signature { args: types, result })
}

fn replace(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, search, replacement) = (args.text(0)?, args.text(1)?, args.text(2)?);
    args.write_text(|row, out| {
        let (text, search, replacement) = (text.get(row)?, search.get(row)?, replacement.get(row)?);
        let mut copied = 0;
        for (at, found) in text.match_indices(search) {
            out.push_str(&text[copied..at]);
            out.push_str(replacement);
            copied = at + found.len();
        }
        out.push_str(&text[copied..]);
        Some(())
    })
}

fn translate(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, from, to) = (args.text(0)?, args.text(1)?, args.text(2)?);
    args.write_text(|row, out| {
        let text = text.get(row)?;
        let (from, to) = (from.get(row).unwrap_or(""), to.get(row).unwrap_or(""));
        for c in text.chars() {
            match from.chars().position(|candidate| candidate == c) {
                Some(place) => out.extend(to.chars().nth(place)),
                None => out.push(c),
            }
        }
        Some(())
    })
}
