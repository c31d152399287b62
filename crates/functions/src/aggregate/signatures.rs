//! What the type inferences of aggregates have in common.

use std::ops::RangeInclusive;

use millstream_types::LogicalType;

use crate::signature::{ArgInfo, Signature, SignatureError};

/// Refuses a number of arguments outside of `allowed`.
pub(super) fn check_count(
    function: &str,
    args: &[ArgInfo<'_>],
    allowed: RangeInclusive<usize>,
) -> Result<(), SignatureError> {
    if allowed.contains(&args.len()) {
        return Ok(());
    }
    let expected = if allowed.start() == allowed.end() {
        allowed.start().to_string()
    } else {
        format!("{} to {}", allowed.start(), allowed.end())
    };
    Err(SignatureError::Count {
        function: function.to_owned(),
        expected,
        found: args.len(),
    })
}

/// The error for arguments of the wrong types; `expected` is the supported form.
pub(super) fn refuse(function: &str, args: &[ArgInfo<'_>], expected: &str) -> SignatureError {
    let found: Vec<String> = args.iter().map(|a| format!("<{}>", a.ty.kind)).collect();
    SignatureError::Types {
        function: function.to_owned(),
        found: found.join(", "),
        expected: format!("'{expected}'"),
    }
}

/// The type of the one numeric argument.
pub(super) fn one_numeric<'a>(
    function: &str,
    args: &[ArgInfo<'a>],
) -> Result<&'a LogicalType, SignatureError> {
    check_count(function, args, 1..=1)?;
    match args {
        [arg] if arg.ty.is_numeric() => Ok(arg.ty),
        _ => Err(refuse(function, args, &format!("{function}(<NUMERIC>)"))),
    }
}

/// A signature that takes its arguments as they are.
pub(super) fn as_given(args: &[ArgInfo<'_>], result: LogicalType) -> Signature {
    Signature {
        args: args.iter().map(|a| a.ty.clone()).collect(),
        result,
    }
}
