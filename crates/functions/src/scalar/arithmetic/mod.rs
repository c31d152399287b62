//! The operators `+ - * / %`, unary minus, and the difference of two datetimes.
//!
//! Integers wrap, as in Java; division by zero is an error for exact numbers; DECIMAL results follow the derivations of
//! [`crate::typing::decimal`] and overflow to NULL. Loops run over whole buffers: values and null bitmaps are combined
//! apart from each other, so that the compiler vectorises them.

mod decimal;
mod interval;
pub(crate) mod lanes;
pub(crate) mod primitive;

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TimeAttribute, TypeFamily, TypeKind};

use super::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::decimal as derive;
use crate::typing::{call_error, check_count, common_type_of, integer_as_decimal, operator_error};

/// The arithmetic operators.
pub const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Arithmetic,
        "+",
        "a + b",
        "Sum of numbers or intervals, or a datetime moved by an interval. Integers wrap around.",
        |args| {
            infix(
                "+",
                args,
                "<NUMERIC> + <NUMERIC>, <INTERVAL> + <INTERVAL>, <DATETIME> + <INTERVAL>",
            )
        },
        |args| kernel(args, Operator::Add),
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "-",
        "a - b",
        "Difference of numbers or intervals, or a datetime moved back by an interval. Integers wrap around. With one \
         operand, its opposite.",
        |args| {
            if args.len() == 1 {
                return negation_signature(args);
            }
            infix(
                "-",
                args,
                "<NUMERIC> - <NUMERIC>, <INTERVAL> - <INTERVAL>, <DATETIME> - <INTERVAL>",
            )
        },
        |args| {
            if args.args.len() == 1 {
                negation_kernel(args)
            } else {
                kernel(args, Operator::Subtract)
            }
        },
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "*",
        "a * b",
        "Product of numbers, or an interval times a number. Integers wrap around.",
        |args| infix("*", args, "<NUMERIC> * <NUMERIC>, <INTERVAL> * <NUMERIC>"),
        |args| kernel(args, Operator::Multiply),
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "/",
        "a / b",
        "Quotient; of integers it is cut towards zero. Division by zero fails, for approximate numbers it is infinite.",
        |args| infix("/", args, "<NUMERIC> / <NUMERIC>, <INTERVAL> / <NUMERIC>"),
        |args| kernel(args, Operator::Divide),
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "%",
        "a % b",
        "Remainder with the sign of the dividend; of integers it has the type of the divisor. Division by zero fails.",
        |args| {
            modulo_signature(args)
                .unwrap_or_else(|| Err(operator_error("%", args, "<EXACT_NUMERIC> % <EXACT_NUMERIC>")))
        },
        |args| kernel(args, Operator::Modulo),
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "MOD",
        "MOD(a, b)",
        "Remainder with the sign of the dividend; of integers it has the type of the divisor. Division by zero fails.",
        |args| {
            check_count("MOD", args, 2..=2)?;
            let expected = "MOD(<EXACT_NUMERIC>, <EXACT_NUMERIC>)";
            modulo_signature(args).unwrap_or_else(|| Err(call_error("MOD", args, expected)))
        },
        |args| kernel(args, Operator::Modulo),
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "NEG",
        "-a",
        "The number or interval with the opposite sign; the smallest integer stays as it is.",
        negation_signature,
        negation_kernel,
    ),
    interval::MINUS_DATE,
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

fn infix(symbol: &str, args: &[ArgInfo<'_>], expected: &str) -> Result<Signature, SignatureError> {
    let refused = || operator_error(symbol, args, expected);
    let [a, b] = args else { return Err(refused()) };
    let operator = match symbol {
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        _ => Operator::Divide,
    };
    let (a, b) = without_bare_nulls(a.ty, b.ty);
    let signature = if a.is_numeric() && b.is_numeric() {
        numeric_signature(operator, &a, &b)
    } else {
        interval::signature(operator, &a, &b)
    };
    signature.ok_or_else(refused)
}

/// A bare NULL takes the type of the other operand.
fn without_bare_nulls(a: &LogicalType, b: &LogicalType) -> (LogicalType, LogicalType) {
    match (a.is_null(), b.is_null()) {
        (true, true) => (LogicalType::INT, LogicalType::INT),
        (true, false) if b.is_datetime() => (a.clone(), b.clone()),
        (false, true) if a.is_datetime() => (a.clone(), b.clone()),
        (true, false) => (b.with_nullable(true), b.clone()),
        (false, true) => (a.clone(), a.with_nullable(true)),
        (false, false) => (without_proctime(a), without_proctime(b)),
    }
}

/// Event time moved by an interval is still event time; processing time is a plain timestamp from there on.
fn without_proctime(ty: &LogicalType) -> LogicalType {
    if ty.time_attribute() == TimeAttribute::Proctime {
        ty.without_time_attribute()
    } else {
        ty.clone()
    }
}

fn numeric_signature(operator: Operator, a: &LogicalType, b: &LogicalType) -> Option<Signature> {
    let nullable = a.nullable || b.nullable;
    let exact = a.is_exact_numeric() && b.is_exact_numeric();
    let decimal = matches!(a.family(), TypeFamily::Decimal) || matches!(b.family(), TypeFamily::Decimal);
    if exact && decimal {
        let derive = match operator {
            Operator::Add | Operator::Subtract => derive::addition,
            Operator::Multiply => derive::multiplication,
            Operator::Divide => derive::division,
            Operator::Modulo => derive::modulo,
        };
        let result = LogicalType {
            kind: derive(&a.kind, &b.kind)?,
            nullable,
        };
        return Some(Signature {
            args: vec![integer_as_decimal(a), integer_as_decimal(b)],
            result,
        });
    }
    let common = match (a.family(), b.family()) {
        (TypeFamily::Decimal, TypeFamily::Approximate) => LogicalType::DOUBLE.with_nullable(nullable),
        // Of FLOAT and DOUBLE, Calcite takes the one on the left.
        (TypeFamily::Approximate, TypeFamily::Approximate) => a.clone(),
        _ => common_type_of(a, b)?,
    };
    let args = vec![common.with_nullable(a.nullable), common.with_nullable(b.nullable)];
    Some(Signature {
        args,
        result: common.with_nullable(nullable),
    })
}

/// `None` if the operands are not exact numbers.
fn modulo_signature(args: &[ArgInfo<'_>]) -> Option<Result<Signature, SignatureError>> {
    let [a, b] = args else { return None };
    let (a, b) = without_bare_nulls(a.ty, b.ty);
    if !a.is_exact_numeric() || !b.is_exact_numeric() {
        return None;
    }
    let mut signature = numeric_signature(Operator::Modulo, &a, &b)?;
    if b.is_integer() && a.is_integer() {
        signature.result = b.with_nullable(a.nullable || b.nullable);
    }
    Some(Ok(signature))
}

fn negation_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let refused = || operator_error("-", args, "-<NUMERIC>, -<INTERVAL>");
    let [a] = args else { return Err(refused()) };
    let ty = if a.ty.is_null() {
        LogicalType::INT
    } else {
        a.ty.clone()
    };
    if !ty.is_numeric() && !ty.is_interval() {
        return Err(refused());
    }
    Ok(Signature {
        args: vec![ty.clone()],
        result: ty,
    })
}

fn kernel(args: &mut KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::Decimal { .. } if args.arg_types[1].family() == TypeFamily::Decimal => {
            decimal::kernel(args, operator)
        }
        TypeKind::TinyInt
        | TypeKind::SmallInt
        | TypeKind::Int
        | TypeKind::BigInt
        | TypeKind::Float
        | TypeKind::Double
            if args.arg_types[1].is_numeric() =>
        {
            primitive::kernel(args, operator)
        }
        _ => interval::kernel(args, operator),
    }
}

fn negation_kernel(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::Decimal { .. } => {
            lanes::unary::<arrow_array::types::Decimal128Type, _>(args, i128::wrapping_neg)
        }
        TypeKind::IntervalYearMonth(_) | TypeKind::IntervalDayTime(_) => interval::negate(args),
        _ => primitive::negate(args),
    }
}

#[cfg(test)]
pub(crate) mod tests;
