//! Arithmetic of integers, FLOAT and DOUBLE.

use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType};
use millstream_types::TypeKind;

use super::{Operator, lanes};
use crate::cast::cast;
use crate::scalar::access::internal;
use crate::scalar::{EvalError, KernelArgs};

/// Both arguments have the type of the first.
pub(super) fn kernel(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    if args.arg_types[0].kind == args.result.kind {
        return same_type(args, operator);
    }
    // The remainder of integers has the divisor's type, which may be narrower than the common one.
    let common = args.arg_types[0].with_nullable(true);
    let mut cache = crate::scalar::CallCache::default();
    let wide = KernelArgs {
        function: args.function,
        args: args.args,
        arg_types: args.arg_types,
        result: &common,
        rows: args.rows,
        env: args.env,
        cache: &mut cache,
    };
    cast(
        &same_type(&wide, operator)?,
        &common,
        args.result,
        false,
        args.env,
    )
}

fn same_type(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::TinyInt => integers::<Int8Type>(args, operator),
        TypeKind::SmallInt => integers::<Int16Type>(args, operator),
        TypeKind::Int => integers::<Int32Type>(args, operator),
        TypeKind::BigInt => integers::<Int64Type>(args, operator),
        TypeKind::Float => floats::<Float32Type>(args, operator),
        TypeKind::Double => floats::<Float64Type>(args, operator),
        ref other => Err(internal(format!("arithmetic on {other}"))),
    }
}

fn integers<T: ArrowPrimitiveType>(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[0], &args.args[1]];
    match operator {
        Operator::Add => lanes::binary::<T, T, T>(args, operands, |x, y| x.add_wrapping(y)),
        Operator::Subtract => lanes::binary::<T, T, T>(args, operands, |x, y| x.sub_wrapping(y)),
        Operator::Multiply => lanes::binary::<T, T, T>(args, operands, |x, y| x.mul_wrapping(y)),
        Operator::Divide | Operator::Modulo => divide::<T>(args, operator),
    }
}

fn divide<T: ArrowPrimitiveType>(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[0], &args.args[1]];
    let divisor = lanes::operand::<T>(operands[1])?;
    if let Some(lanes::Operand::Constant(divisor)) = divisor
        && !divisor.is_zero()
    {
        return match operator {
            Operator::Divide => lanes::binary::<T, T, T>(args, operands, |x, _| x.div_wrapping(divisor)),
            _ => lanes::binary::<T, T, T>(args, operands, |x, _| x.mod_wrapping(divisor)),
        };
    }
    lanes::try_binary::<T, T, T>(args, operands, |x, y| match operator {
        _ if y.is_zero() => Err(EvalError::DivisionByZero),
        Operator::Divide => Ok(Some(x.div_wrapping(y))),
        _ => Ok(Some(x.mod_wrapping(y))),
    })
}

/// Numbers of which the processor makes NaNs of either sign. Only the positive one is above all numbers in the order of bits,
/// in which rows are sorted and minima are found.
pub(crate) trait Approximate {
    /// The number, or the one NaN.
    fn one_nan(self) -> Self;
}

impl Approximate for f32 {
    fn one_nan(self) -> Self {
        if self.is_nan() { Self::NAN } else { self }
    }
}

impl Approximate for f64 {
    fn one_nan(self) -> Self {
        if self.is_nan() { Self::NAN } else { self }
    }
}

fn floats<T>(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError>
where
    T: ArrowPrimitiveType<Native: Approximate>,
{
    let operands = [&args.args[0], &args.args[1]];
    match operator {
        Operator::Add => lanes::binary::<T, T, T>(args, operands, |x, y| x.add_wrapping(y).one_nan()),
        Operator::Subtract => lanes::binary::<T, T, T>(args, operands, |x, y| x.sub_wrapping(y).one_nan()),
        Operator::Multiply => lanes::binary::<T, T, T>(args, operands, |x, y| x.mul_wrapping(y).one_nan()),
        Operator::Divide => lanes::binary::<T, T, T>(args, operands, |x, y| x.div_wrapping(y).one_nan()),
        Operator::Modulo => Err(internal("remainder of approximate numbers")),
    }
}

/// Unary minus of a number that is not a DECIMAL.
pub(super) fn negate(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::TinyInt => lanes::unary::<Int8Type, _>(args, |v| v.wrapping_neg()),
        TypeKind::SmallInt => lanes::unary::<Int16Type, _>(args, |v| v.wrapping_neg()),
        TypeKind::Int => lanes::unary::<Int32Type, _>(args, |v| v.wrapping_neg()),
        TypeKind::BigInt => lanes::unary::<Int64Type, _>(args, |v| v.wrapping_neg()),
        TypeKind::Float => lanes::unary::<Float32Type, _>(args, |v| (-v).one_nan()),
        TypeKind::Double => lanes::unary::<Float64Type, _>(args, |v| (-v).one_nan()),
        ref other => Err(internal(format!("unary minus of {other}"))),
    }
}
