//! The operators `= <> < <= > >=`, IS [NOT] DISTINCT FROM, and IN over a list.
//!
//! Strings order by UTF-16 code units, as Java's do; floats compare by IEEE rules, so that NaN equals nothing;
//! DECIMALs of any scale compare exactly; an approximate number is ordered with a DECIMAL as `Double.compare` does; nested values compare by `=` alone, and inside them NULL equals NULL.

mod kernels;
mod membership;
mod nested;
mod text;

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::{Comparison, any_nullable, check_count, comparison_types, operator_error, sql_type_name};

pub use text::compare_utf16;

/// The comparison operators.
pub const FUNCTIONS: &[ScalarFunction] = &[
    operator(
        "=",
        "a = b",
        "Whether two values are equal.",
        |args| infix("=", args, Comparison::Equality),
        |args| kernels::compare(args, Operator::Equal),
    ),
    operator(
        "<>",
        "a <> b",
        "Whether two values differ.",
        |args| infix("<>", args, Comparison::Equality),
        |args| kernels::compare(args, Operator::NotEqual),
    ),
    operator(
        "<",
        "a < b",
        "Whether the first value is smaller.",
        |args| infix("<", args, Comparison::Ordering),
        |args| kernels::compare(args, Operator::Less),
    ),
    operator(
        "<=",
        "a <= b",
        "Whether the first value is smaller or equal.",
        |args| infix("<=", args, Comparison::Ordering),
        |args| kernels::compare(args, Operator::LessOrEqual),
    ),
    operator(
        ">",
        "a > b",
        "Whether the first value is greater.",
        |args| infix(">", args, Comparison::Ordering),
        |args| kernels::compare(args, Operator::Greater),
    ),
    operator(
        ">=",
        "a >= b",
        "Whether the first value is greater or equal.",
        |args| infix(">=", args, Comparison::Ordering),
        |args| kernels::compare(args, Operator::GreaterOrEqual),
    ),
    operator(
        "IS DISTINCT FROM",
        "a IS DISTINCT FROM b",
        "Whether two values differ; NULL is equal to NULL and to nothing else.",
        |args| distinct("IS DISTINCT FROM", args),
        |args| kernels::distinct(args, true),
    ),
    operator(
        "IS NOT DISTINCT FROM",
        "a IS NOT DISTINCT FROM b",
        "Whether two values are equal; NULL is equal to NULL and to nothing else.",
        |args| distinct("IS NOT DISTINCT FROM", args),
        |args| kernels::distinct(args, false),
    ),
    operator(
        "IN",
        "a IN (b, c, ...)",
        "Whether the value equals one of the others; NULL if it is NULL, or equals none and one of them is NULL.",
        membership::signature,
        membership::kernel,
    ),
];

/// A comparison of two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Whether two values in this order satisfy the operator.
    pub(crate) fn accepts(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

type SignatureFn = fn(&[ArgInfo<'_>]) -> Result<Signature, SignatureError>;
type KernelFn = fn(&mut KernelArgs<'_>) -> Result<ArrayRef, EvalError>;

const fn operator(
    name: &'static str,
    syntax: &'static str,
    doc: &'static str,
    signature: SignatureFn,
    kernel: KernelFn,
) -> ScalarFunction {
    ScalarFunction::new(Group::Comparison, name, syntax, doc, signature, kernel)
}

fn infix(symbol: &str, args: &[ArgInfo<'_>], comparison: Comparison) -> Result<Signature, SignatureError> {
    let types = operand_types(symbol, args, comparison)?;
    Ok(Signature {
        args: types.into(),
        result: LogicalType::BOOLEAN.with_nullable(any_nullable(args)),
    })
}

fn distinct(name: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = operand_types(name, args, Comparison::Distinction)?;
    Ok(Signature {
        args: types.into(),
        result: LogicalType::BOOLEAN.with_nullable(false),
    })
}

fn operand_types(
    symbol: &str,
    args: &[ArgInfo<'_>],
    comparison: Comparison,
) -> Result<[LogicalType; 2], SignatureError> {
    check_count(symbol, args, 2..=2)?;
    let (a, b) = (args[0].ty, args[1].ty);
    if let Some((a, b)) = comparison_types(a, b, comparison) {
        return Ok([a, b]);
    }
    if (a.is_numeric() && b.is_character()) || (a.is_character() && b.is_numeric()) {
        return Err(SignatureError::Other(format!(
            "implicit type conversion between {} and {} is not supported now, cast one side",
            sql_type_name(a),
            sql_type_name(b)
        )));
    }
    let kind = if comparison == Comparison::Ordering {
        "COMPARABLE_TYPE"
    } else {
        "EQUALS_COMPARABLE_TYPE"
    };
    Err(operator_error(
        symbol,
        args,
        &format!("<{kind}> {symbol} <{kind}>"),
    ))
}

#[cfg(test)]
mod tests;
