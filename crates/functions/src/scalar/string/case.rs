//! UPPER, LOWER, INITCAP, REVERSE.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "UPPER",
        "UPPER(string)",
        "The string in upper case.",
        |args| same_type("UPPER", args),
        upper,
    ),
    ScalarFunction::new(
        Group::String,
        "LOWER",
        "LOWER(string)",
        "The string in lower case.",
        |args| same_type("LOWER", args),
        lower,
    ),
    ScalarFunction::new(
        Group::String,
        "INITCAP",
        "INITCAP(string)",
        "The string with the first letter of each word in upper case and the others in lower case. Words are runs of \
         ASCII letters and digits; other letters stay as they are.",
        |args| same_type("INITCAP", args),
        initcap,
    ),
    ScalarFunction::new(
        Group::String,
        "REVERSE",
        "REVERSE(string)",
        "The characters of the string in opposite order.",
        |args| nullable(check("REVERSE", args, &[&[Arg::Character]])?, LogicalType::STRING),
        reverse,
    ),
];

fn same_type(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check(function, args, &[&[Arg::Character]])?;
    let result = types[0].clone();
    strict(types, result)
}

fn upper(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        let text = text.get(row)?;
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_uppercase();
        } else {
            out.push_str(&text.to_uppercase());
        }
        Some(())
    })
}

fn lower(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        let text = text.get(row)?;
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_lowercase();
        } else {
            out.push_str(&text.to_lowercase());
        }
        Some(())
    })
}

fn initcap(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        let mut inside = false;
        for c in text.get(row)?.chars() {
            out.push(if inside {
                c.to_ascii_lowercase()
            } else {
                c.to_ascii_uppercase()
            });
            inside = c.is_ascii_alphanumeric();
        }
        Some(())
    })
}

fn reverse(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        out.extend(text.get(row)?.chars().rev());
        Some(())
    })
}
