//! Checks and errors that the signatures of functions share.

use std::ops::RangeInclusive;

use millstream_types::LogicalType;

use crate::signature::{ArgInfo, SignatureError};
use crate::typing::names::sql_type_name;

/// Whether any argument may be NULL: the usual nullability of a result.
pub fn any_nullable(args: &[ArgInfo<'_>]) -> bool {
    args.iter().any(|arg| arg.ty.nullable)
}

/// Refuses a call with too few or too many arguments.
pub fn check_count(
    function: &str,
    args: &[ArgInfo<'_>],
    allowed: RangeInclusive<usize>,
) -> Result<(), SignatureError> {
    if allowed.contains(&args.len()) {
        return Ok(());
    }
    let (low, high) = (*allowed.start(), *allowed.end());
    let expected = match (low, high) {
        (low, high) if low == high => low.to_string(),
        (low, usize::MAX) => format!("at least {low}"),
        (low, high) => format!("{low} to {high}"),
    };
    Err(SignatureError::Count {
        function: function.to_owned(),
        expected,
        found: args.len(),
    })
}

/// The error of a call whose arguments have the wrong types.
pub fn call_error(function: &str, args: &[ArgInfo<'_>], expected: &str) -> SignatureError {
    SignatureError::Types {
        function: function.to_owned(),
        found: bracketed(args).join(", "),
        expected: expected.to_owned(),
    }
}

/// The error of an infix or prefix operator whose operands have the wrong types.
pub fn operator_error(symbol: &str, args: &[ArgInfo<'_>], expected: &str) -> SignatureError {
    let operands = bracketed(args);
    let form = match operands.as_slice() {
        [operand] => format!("{symbol}{operand}"),
        operands => operands.join(&format!(" {symbol} ")),
    };
    SignatureError::Other(format!(
        "cannot apply '{symbol}' to arguments of type '{form}'. supported form(s): {expected}"
    ))
}

fn bracketed(args: &[ArgInfo<'_>]) -> Vec<String> {
    args.iter().map(|arg| bracketed_type(arg.ty)).collect()
}

fn bracketed_type(ty: &LogicalType) -> String {
    format!("<{}>", sql_type_name(ty))
}
