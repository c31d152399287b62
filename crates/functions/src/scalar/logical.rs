//! NOT, and the tests IS [NOT] NULL, TRUE, FALSE and UNKNOWN.
//!
//! AND and OR are no functions but expressions of their own, because they do not evaluate all of their operands.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use millstream_types::{LogicalType, TypeFamily};

use super::access::internal;
use super::{Datum, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::{check_count, operator_error};

/// The logical operators.
pub const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Logical,
        "NOT",
        "NOT condition",
        "TRUE for FALSE, FALSE for TRUE, NULL for NULL.",
        not_signature,
        not_kernel,
    ),
    test(
        "IS NULL",
        "a IS NULL",
        "Whether the value is NULL.",
        |args| any_value("IS NULL", args),
        |args| null_test(args, true),
    ),
    test(
        "IS NOT NULL",
        "a IS NOT NULL",
        "Whether the value is not NULL.",
        |args| any_value("IS NOT NULL", args),
        |args| null_test(args, false),
    ),
    test(
        "IS TRUE",
        "condition IS TRUE",
        "TRUE for TRUE, else FALSE.",
        |args| condition("IS TRUE", args),
        |args| truth_test(args, Truth::True, true),
    ),
    test(
        "IS NOT TRUE",
        "condition IS NOT TRUE",
        "FALSE for TRUE, else TRUE.",
        |args| condition("IS NOT TRUE", args),
        |args| truth_test(args, Truth::True, false),
    ),
    test(
        "IS FALSE",
        "condition IS FALSE",
        "TRUE for FALSE, else FALSE.",
        |args| condition("IS FALSE", args),
        |args| truth_test(args, Truth::False, true),
    ),
    test(
        "IS NOT FALSE",
        "condition IS NOT FALSE",
        "FALSE for FALSE, else TRUE.",
        |args| condition("IS NOT FALSE", args),
        |args| truth_test(args, Truth::False, false),
    ),
    test(
        "IS UNKNOWN",
        "condition IS UNKNOWN",
        "Whether the condition is NULL.",
        |args| condition("IS UNKNOWN", args),
        |args| null_test(args, true),
    ),
    test(
        "IS NOT UNKNOWN",
        "condition IS NOT UNKNOWN",
        "Whether the condition is TRUE or FALSE.",
        |args| condition("IS NOT UNKNOWN", args),
        |args| null_test(args, false),
    ),
];

type SignatureFn = fn(&[ArgInfo<'_>]) -> Result<Signature, SignatureError>;
type KernelFn = fn(&mut KernelArgs<'_>) -> Result<ArrayRef, EvalError>;

const fn test(
    name: &'static str,
    syntax: &'static str,
    doc: &'static str,
    signature: SignatureFn,
    kernel: KernelFn,
) -> ScalarFunction {
    ScalarFunction::new(Group::Logical, name, syntax, doc, signature, kernel)
}

fn any_value(name: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count(name, args, 1..=1)?;
    Ok(Signature {
        args: vec![args[0].ty.clone()],
        result: LogicalType::BOOLEAN.with_nullable(false),
    })
}

fn condition(name: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count(name, args, 1..=1)?;
    let input =
        boolean(args[0].ty).ok_or_else(|| operator_error(name, args, &format!("<BOOLEAN> {name}")))?;
    Ok(Signature {
        args: vec![input],
        result: LogicalType::BOOLEAN.with_nullable(false),
    })
}

fn not_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("NOT", args, 1..=1)?;
    let input = boolean(args[0].ty).ok_or_else(|| operator_error("NOT", args, "NOT <BOOLEAN>"))?;
    Ok(Signature {
        args: vec![input.clone()],
        result: input,
    })
}

fn boolean(ty: &LogicalType) -> Option<LogicalType> {
    let fits = ty.is_null() || ty.family() == TypeFamily::Boolean;
    fits.then(|| LogicalType::BOOLEAN.with_nullable(ty.nullable || ty.is_null()))
}

fn not_kernel(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let input = booleans(&args.args[0])?;
    let inverted: ArrayRef = Arc::new(BooleanArray::new(!input.values(), input.nulls().cloned()));
    Ok(match &args.args[0] {
        Datum::Column(_) => inverted,
        Datum::Constant(_) => repeated(&inverted, args.rows)?,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    True,
    False,
}

fn truth_test(args: &mut KernelArgs<'_>, truth: Truth, positive: bool) -> Result<ArrayRef, EvalError> {
    let input = booleans(&args.args[0])?;
    let wanted = if truth == Truth::True {
        input.values().clone()
    } else {
        !input.values()
    };
    let holds = match input.nulls() {
        Some(nulls) => &wanted & nulls.inner(),
        None => wanted,
    };
    let result: ArrayRef = Arc::new(BooleanArray::new(if positive { holds } else { !&holds }, None));
    Ok(match &args.args[0] {
        Datum::Column(_) => result,
        Datum::Constant(_) => repeated(&result, args.rows)?,
    })
}

fn null_test(args: &mut KernelArgs<'_>, positive: bool) -> Result<ArrayRef, EvalError> {
    let datum = &args.args[0];
    let array = datum.array();
    let uniform = |null: bool| {
        if null == positive {
            BooleanBuffer::new_set(args.rows)
        } else {
            BooleanBuffer::new_unset(args.rows)
        }
    };
    let bits = match (datum, array.nulls()) {
        _ if matches!(array.data_type(), DataType::Null) => uniform(true),
        (Datum::Constant(_), _) => uniform(array.is_null(0)),
        (Datum::Column(_), None) => uniform(false),
        (Datum::Column(_), Some(nulls)) if positive => !nulls.inner(),
        (Datum::Column(_), Some(nulls)) => nulls.inner().clone(),
    };
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

fn booleans(datum: &Datum) -> Result<&BooleanArray, EvalError> {
    datum
        .array()
        .as_boolean_opt()
        .ok_or_else(|| internal("expected a BOOLEAN"))
}

/// A column that repeats the single value of `array`.
pub(crate) fn repeated(array: &ArrayRef, rows: usize) -> Result<ArrayRef, EvalError> {
    if rows == 1 {
        return Ok(Arc::clone(array));
    }
    let indices = arrow_array::UInt32Array::from(vec![0u32; rows]);
    Ok(arrow_select::take::take(array, &indices, None)?)
}
