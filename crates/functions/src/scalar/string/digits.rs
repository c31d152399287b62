//! IS_ALPHA, IS_DIGIT, IS_DECIMAL.

use std::sync::LazyLock;

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TypeFamily};
use regex::Regex;

use crate::scalar::forms::{Arg, check};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Conditional,
        "IS_ALPHA",
        "IS_ALPHA(string)",
        "Whether the string is not empty and has letters only. FALSE for NULL and for numbers.",
        |args| signature("IS_ALPHA", args),
        |args| test(args, |_| false, |text| ALPHA.is_match(text)),
    ),
    ScalarFunction::new(
        Group::Conditional,
        "IS_DIGIT",
        "IS_DIGIT(string)",
        "Whether the string is not empty and has digits only. FALSE for a NULL string, TRUE for all integers.",
        |args| signature("IS_DIGIT", args),
        |args| {
            test(
                args,
                |family| family == TypeFamily::Integer,
                |text| DIGIT.is_match(text),
            )
        },
    ),
    ScalarFunction::new(
        Group::Conditional,
        "IS_DECIMAL",
        "IS_DECIMAL(string)",
        "Whether the string is a number as Java writes integers and doubles. FALSE for a NULL string and DECIMAL, TRUE for \
         all other numbers.",
        |args| signature("IS_DECIMAL", args),
        |args| test(args, |family| family != TypeFamily::Decimal, is_decimal),
    ),
];

/// Java looks at UTF-16 units, so characters beyond the first plane are neither letters nor digits.
static ALPHA: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[\p{L}&&[\x{0}-\x{FFFF}]]+\z").expect("a fixed pattern is valid"));
static DIGIT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[\p{Nd}&&[\x{0}-\x{FFFF}]]+\z").expect("a fixed pattern is valid"));
static INTEGER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[+-]?[\p{Nd}&&[\x{0}-\x{FFFF}]]+\z").expect("a fixed pattern is valid"));
/// What Java's `Double.parseDouble` takes.
static DOUBLE: LazyLock<Regex> = LazyLock::new(|| {
    let decimal = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?";
    let hexadecimal = r"0[xX](?:[0-9a-fA-F]+\.?|[0-9a-fA-F]*\.[0-9a-fA-F]+)[pP][+-]?[0-9]+[fFdD]?";
    let pattern = format!(r"\A[\x00-\x20]*[+-]?(?:NaN|Infinity|{decimal}|{hexadecimal})[\x00-\x20]*\z");
    Regex::new(&pattern).expect("a fixed pattern is valid")
});

fn is_decimal(text: &str) -> bool {
    INTEGER.is_match(text) || DOUBLE.is_match(text)
}

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check(function, args, &[&[Arg::Character], &[Arg::Numeric]])?;
    Ok(Signature {
        args: types,
        result: LogicalType::BOOLEAN.with_nullable(false),
    })
}

fn test(
    args: &KernelArgs<'_>,
    number: fn(TypeFamily) -> bool,
    text_is: fn(&str) -> bool,
) -> Result<ArrayRef, EvalError> {
    let ty = &args.arg_types[0];
    if !ty.is_character() {
        // Flink looks at the type of a number alone, also where it is NULL.
        let result = number(ty.family());
        return args.write_booleans(|_| Some(result));
    }
    let text = args.text(0)?;
    args.write_booleans(|row| Some(text.get(row).is_some_and(text_is)))
}
