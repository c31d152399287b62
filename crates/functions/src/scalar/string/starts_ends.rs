//! STARTSWITH, ENDSWITH.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "STARTSWITH",
        "STARTSWITH(expr, start)",
        "Whether a character or byte string begins with another; an empty one begins every string.",
        |args| signature("STARTSWITH", args),
        |args| compare(args, |bytes, part| bytes.starts_with(part)),
    ),
    ScalarFunction::new(
        Group::String,
        "ENDSWITH",
        "ENDSWITH(expr, end)",
        "Whether a character or byte string ends with another; an empty one ends every string.",
        |args| signature("ENDSWITH", args),
        |args| compare(args, |bytes, part| bytes.ends_with(part)),
    ),
];

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let forms: &[&[Arg]] = &[&[Arg::Character, Arg::Character], &[Arg::Binary, Arg::Binary]];
    strict(check(function, args, forms)?, LogicalType::BOOLEAN)
}

fn compare(args: &KernelArgs<'_>, test: fn(&[u8], &[u8]) -> bool) -> Result<ArrayRef, EvalError> {
    if args.arg_types.first().is_some_and(LogicalType::is_binary) {
        let (bytes, part) = (args.bytes(0)?, args.bytes(1)?);
        return args.write_booleans(|row| Some(test(bytes.get(row)?, part.get(row)?)));
    }
    let (text, part) = (args.text(0)?, args.text(1)?);
    args.write_booleans(|row| Some(test(text.get(row)?.as_bytes(), part.get(row)?.as_bytes())))
}
