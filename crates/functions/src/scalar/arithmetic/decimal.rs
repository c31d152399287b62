//! Arithmetic of DECIMALs.
//!
//! A result type that was not cut to 38 digits holds every exact result, so most queries compute in 128 bits without
//! a check. The others compute exactly in 256 bits, round half up to the result's scale, and give NULL on overflow.

use arrow_array::ArrayRef;
use arrow_array::types::Decimal128Type;
use arrow_buffer::i256;
use millstream_types::{LogicalType, TypeKind};

use super::{Operator, lanes};
use crate::cast::power_of_ten;
use crate::scalar::access::internal;
use crate::scalar::{EvalError, KernelArgs};

/// Digits that `i128` always holds.
const SAFE_DIGITS: i32 = 38;

/// Precision and scale of the operands and the result.
#[derive(Clone, Copy, Debug)]
struct Shape {
    p1: i32,
    s1: i32,
    p2: i32,
    s2: i32,
    precision: i32,
    scale: i32,
}

pub(super) fn kernel(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    let digits = |ty: &LogicalType| match ty.kind {
        TypeKind::Decimal { precision, scale } => Ok((i32::from(precision), i32::from(scale))),
        ref other => Err(internal(format!("DECIMAL arithmetic on {other}"))),
    };
    let ((p1, s1), (p2, s2)) = (digits(&args.arg_types[0])?, digits(&args.arg_types[1])?);
    let (precision, scale) = digits(args.result)?;
    let shape = Shape {
        p1,
        s1,
        p2,
        s2,
        precision,
        scale,
    };
    match operator {
        Operator::Add => add(args, shape, 1),
        Operator::Subtract => add(args, shape, -1),
        Operator::Multiply => multiply(args, shape),
        Operator::Divide => divide(args, shape),
        Operator::Modulo => remainder(args, shape),
    }
}

fn add(args: &KernelArgs<'_>, shape: Shape, sign: i128) -> Result<ArrayRef, EvalError> {
    let scale = shape.s1.max(shape.s2);
    let (up1, up2) = (power(scale - shape.s1), power(scale - shape.s2) * sign);
    let operands = [&args.args[0], &args.args[1]];
    let exact_digits = (shape.p1 - shape.s1).max(shape.p2 - shape.s2) + scale + 1;
    if exact_digits <= SAFE_DIGITS && shape.scale == scale {
        return binary(args, operands, move |x, y| {
            x.wrapping_mul(up1).wrapping_add(y.wrapping_mul(up2))
        });
    }
    let (up1, up2) = (i256::from_i128(up1), i256::from_i128(up2));
    try_binary(args, operands, move |x, y| {
        let exact = i256::from_i128(x)
            .wrapping_mul(up1)
            .wrapping_add(i256::from_i128(y).wrapping_mul(up2));
        Ok(rounded(exact, scale, shape))
    })
}

fn multiply(args: &KernelArgs<'_>, shape: Shape) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[0], &args.args[1]];
    let scale = shape.s1 + shape.s2;
    if shape.p1 + shape.p2 <= SAFE_DIGITS && shape.scale == scale {
        return binary(args, operands, i128::wrapping_mul);
    }
    try_binary(args, operands, move |x, y| {
        Ok(rounded(
            i256::from_i128(x).wrapping_mul(i256::from_i128(y)),
            scale,
            shape,
        ))
    })
}

/// The quotient at the result's scale, rounded half up.
fn divide(args: &KernelArgs<'_>, shape: Shape) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[0], &args.args[1]];
    let shift = shape.scale + shape.s2 - shape.s1;
    if shift >= 0 && shape.p1 + shift <= SAFE_DIGITS {
        let up = power(shift);
        return try_binary(args, operands, move |x, y| {
            if y == 0 {
                return Err(EvalError::DivisionByZero);
            }
            let numerator = x * up;
            let (quotient, rest) = (numerator / y, numerator % y);
            let away = rest.unsigned_abs() >= y.unsigned_abs() - rest.unsigned_abs();
            let quotient = if away {
                quotient + numerator.signum() * y.signum()
            } else {
                quotient
            };
            Ok(within(quotient, shape.precision))
        });
    }
    let (up, down) = (wide_power(shift.max(0)), wide_power((-shift).max(0)));
    try_binary(args, operands, move |x, y| {
        if y == 0 {
            return Err(EvalError::DivisionByZero);
        }
        let numerator = i256::from_i128(x).wrapping_mul(up);
        let denominator = i256::from_i128(y).wrapping_mul(down);
        let quotient = wide_divide_half_up(numerator, denominator);
        Ok(quotient
            .to_i128()
            .and_then(|quotient| within(quotient, shape.precision)))
    })
}

fn remainder(args: &KernelArgs<'_>, shape: Shape) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[0], &args.args[1]];
    let scale = shape.s1.max(shape.s2);
    let (up1, up2) = (scale - shape.s1, scale - shape.s2);
    if shape.p1 + up1 <= SAFE_DIGITS && shape.p2 + up2 <= SAFE_DIGITS && shape.scale == scale {
        let (up1, up2) = (power(up1), power(up2));
        return try_binary(args, operands, move |x, y| match y {
            0 => Err(EvalError::DivisionByZero),
            y => Ok(Some((x * up1) % (y * up2))),
        });
    }
    let (up1, up2) = (wide_power(up1), wide_power(up2));
    try_binary(args, operands, move |x, y| {
        if y == 0 {
            return Err(EvalError::DivisionByZero);
        }
        let rest = i256::from_i128(x)
            .wrapping_mul(up1)
            .wrapping_rem(i256::from_i128(y).wrapping_mul(up2));
        Ok(rounded(rest, scale, shape))
    })
}

fn binary(
    args: &KernelArgs<'_>,
    operands: [&crate::scalar::Datum; 2],
    f: impl Fn(i128, i128) -> i128,
) -> Result<ArrayRef, EvalError> {
    lanes::binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, operands, f)
}

fn try_binary(
    args: &KernelArgs<'_>,
    operands: [&crate::scalar::Datum; 2],
    f: impl Fn(i128, i128) -> Result<Option<i128>, EvalError>,
) -> Result<ArrayRef, EvalError> {
    lanes::try_binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, operands, f)
}

/// An exact value of some scale at the result's scale; `None` on overflow.
fn rounded(exact: i256, scale: i32, shape: Shape) -> Option<i128> {
    let moved = match scale - shape.scale {
        0 => exact,
        down if down > 0 => wide_divide_half_up(exact, wide_power(down)),
        up => exact.checked_mul(wide_power(-up))?,
    };
    within(moved.to_i128()?, shape.precision)
}

fn within(value: i128, precision: i32) -> Option<i128> {
    (value.unsigned_abs() < power(precision).unsigned_abs()).then_some(value)
}

fn power(exponent: i32) -> i128 {
    power_of_ten(exponent.max(0) as u32)
}

/// 10 to an exponent of at most 76.
fn wide_power(exponent: i32) -> i256 {
    let low = exponent.min(SAFE_DIGITS);
    i256::from_i128(power(low)).wrapping_mul(i256::from_i128(power(exponent - low)))
}

fn wide_divide_half_up(value: i256, divisor: i256) -> i256 {
    let (quotient, rest) = (value.wrapping_div(divisor), value.wrapping_rem(divisor));
    let (rest, magnitude) = (rest.wrapping_abs(), divisor.wrapping_abs());
    if rest < magnitude.wrapping_sub(rest) {
        return quotient;
    }
    let same_sign = value.is_negative() == divisor.is_negative();
    if same_sign {
        quotient.wrapping_add(i256::ONE)
    } else {
        quotient.wrapping_sub(i256::ONE)
    }
}
