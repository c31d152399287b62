//! ABS and SIGN.

use arrow_array::ArrayRef;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use millstream_types::{LogicalType, TypeKind};

use crate::cast::power_of_ten;
use crate::scalar::access::internal;
use crate::scalar::arithmetic::lanes;
use crate::scalar::forms::{Arg, check};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// ABS and SIGN.
pub const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Arithmetic,
        "ABS",
        "ABS(x)",
        "The number without its sign; the smallest integer stays as it is.",
        |args| same_type("ABS", args),
        absolute,
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "SIGN",
        "SIGN(x)",
        "1, 0 or -1 in the type of the number.",
        |args| same_type("SIGN", args),
        sign,
    ),
];

/// The result has the type of the only argument, a number.
pub(super) fn same_type(name: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check(name, args, &[&[Arg::Numeric]])?;
    let result = types[0].clone();
    Ok(Signature { args: types, result })
}

fn absolute(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::TinyInt => lanes::unary::<Int8Type, _>(args, i8::wrapping_abs),
        TypeKind::SmallInt => lanes::unary::<Int16Type, _>(args, i16::wrapping_abs),
        TypeKind::Int => lanes::unary::<Int32Type, _>(args, i32::wrapping_abs),
        TypeKind::BigInt => lanes::unary::<Int64Type, _>(args, i64::wrapping_abs),
        TypeKind::Float => lanes::unary::<Float32Type, _>(args, f32::abs),
        TypeKind::Double => lanes::unary::<Float64Type, _>(args, f64::abs),
        TypeKind::Decimal { .. } => lanes::unary::<Decimal128Type, _>(args, i128::wrapping_abs),
        _ => Err(unexpected(&args.arg_types[0])),
    }
}

fn sign(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::TinyInt => lanes::unary::<Int8Type, _>(args, i8::signum),
        TypeKind::SmallInt => lanes::unary::<Int16Type, _>(args, i16::signum),
        TypeKind::Int => lanes::unary::<Int32Type, _>(args, i32::signum),
        TypeKind::BigInt => lanes::unary::<Int64Type, _>(args, i64::signum),
        // Java keeps zeros and NaN, Rust's signum gives a zero the sign 1.
        TypeKind::Float => {
            lanes::unary::<Float32Type, _>(args, |v| if v == 0.0 || v.is_nan() { v } else { v.signum() })
        }
        TypeKind::Double => {
            lanes::unary::<Float64Type, _>(args, |v| if v == 0.0 || v.is_nan() { v } else { v.signum() })
        }
        TypeKind::Decimal { scale, .. } => {
            let one = power_of_ten(u32::from(scale));
            lanes::unary::<Decimal128Type, _>(args, |v| v.signum() * one)
        }
        _ => Err(unexpected(&args.arg_types[0])),
    }
}

fn unexpected(ty: &LogicalType) -> EvalError {
    internal(format!("expected a number, found {ty}"))
}
