//! Comparison of two operands.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Scalar, new_null_array};
use arrow_buffer::{BooleanBuffer, NullBuffer, i256};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType};
use millstream_types::{LogicalType, TypeFamily, TypeKind};

use super::text::compare_utf16;
use super::{Operator, nested};
use crate::cast::{cast, power_of_ten, to_double};
use crate::scalar::arithmetic::lanes::{Operand, column_nulls, operand};
use crate::scalar::logical::repeated;
use crate::scalar::{Datum, EvalError, KernelArgs};

/// Digits that `i128` always holds.
const SAFE_DIGITS: u8 = 38;

/// The kernel of an infix comparison.
pub(super) fn compare(args: &mut KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    let (operands, types) = moments(args)?;
    let result = compare_data(
        [&operands[0], &operands[1]],
        [&types[0], &types[1]],
        operator,
        args.rows,
    )?;
    Ok(Arc::new(result))
}

/// The two operands. A text beside a date, a time or a timestamp becomes one; it is NULL if it stands for none.
fn moments(args: &KernelArgs<'_>) -> Result<([Datum; 2], [LogicalType; 2]), EvalError> {
    let mut operands = [args.args[0].clone(), args.args[1].clone()];
    let mut types = [args.arg_types[0].clone(), args.arg_types[1].clone()];
    for (text, moment) in [(0, 1), (1, 0)] {
        if types[text].is_character() && types[moment].is_datetime() {
            let to = types[moment].with_nullable(true);
            let array = cast(operands[text].array(), &types[text], &to, true, args.env)?;
            operands[text] = match &operands[text] {
                Datum::Column(_) => Datum::Column(array),
                Datum::Constant(_) => Datum::Constant(array),
            };
            types[text] = to;
        }
    }
    Ok((operands, types))
}

/// The kernel of IS DISTINCT FROM, or of its negation.
pub(super) fn distinct(args: &mut KernelArgs<'_>, positive: bool) -> Result<ArrayRef, EvalError> {
    let (read, types) = moments(args)?;
    let equal = compare_data(
        [&read[0], &read[1]],
        [&types[0], &types[1]],
        Operator::Equal,
        args.rows,
    )?;
    let [a, b] = [&args.args[0], &args.args[1]].map(|datum| validity(datum, args.rows));
    let [has_a, has_b] = [&read[0], &read[1]].map(|datum| validity(datum, args.rows));
    let both_null = &!&a & &!&b;
    let same = &(equal.values() & &(&has_a & &has_b)) | &both_null;
    Ok(Arc::new(BooleanArray::new(
        if positive { !&same } else { same },
        None,
    )))
}

fn validity(datum: &Datum, rows: usize) -> BooleanBuffer {
    let null_type = matches!(datum.array().data_type(), DataType::Null);
    match datum {
        Datum::Column(array) if !null_type => array
            .nulls()
            .map_or_else(|| BooleanBuffer::new_set(rows), |nulls| nulls.inner().clone()),
        Datum::Constant(array) if !null_type && array.is_valid(0) => BooleanBuffer::new_set(rows),
        _ => BooleanBuffer::new_unset(rows),
    }
}

/// Compares two operands whose types [`crate::typing::comparison_types`] made comparable.
pub(crate) fn compare_data(
    operands: [&Datum; 2],
    types: [&LogicalType; 2],
    operator: Operator,
    rows: usize,
) -> Result<BooleanArray, EvalError> {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let scales = |ty: &LogicalType| match ty.kind {
        TypeKind::Decimal { precision, scale } => Some((precision, scale)),
        _ => None,
    };
    let is_decimal = types.map(|ty| ty.family() == TypeFamily::Decimal);
    let is_approximate = types.map(|ty| ty.family() == TypeFamily::Approximate);
    if (is_decimal[0] && is_approximate[1]) || (is_approximate[0] && is_decimal[1]) {
        return decimal_with_double(operands, types, operator, rows);
    }
    if types[0].is_character() != types[1].is_character() {
        return unlike(operands, operator == Operator::NotEqual, rows);
    }
    match types[0].family() {
        TypeFamily::Approximate if types[0].kind == TypeKind::Float => {
            floats::<Float32Type>(operands, operator, rows)
        }
        TypeFamily::Approximate => floats::<Float64Type>(operands, operator, rows),
        TypeFamily::CharacterString if !equality => texts(operands, operator, rows),
        TypeFamily::Decimal if scales(types[0]).map(|s| s.1) != scales(types[1]).map(|s| s.1) => {
            match (scales(types[0]), scales(types[1])) {
                (Some(a), Some(b)) => decimals(operands, a, b, operator, rows),
                _ => arrow(operands, operator, rows),
            }
        }
        TypeFamily::Decimal => same_scale(operands, operator, rows),
        TypeFamily::Array | TypeFamily::Map | TypeFamily::Multiset | TypeFamily::Row => {
            nested::equal(operands, types[0], operator == Operator::NotEqual, rows)
        }
        _ => arrow(operands, operator, rows),
    }
}

/// A text equals no BOOLEAN and no interval, whatever it says: Flink converts neither.
fn unlike(operands: [&Datum; 2], result: bool, rows: usize) -> Result<BooleanArray, EvalError> {
    let [a, b] = operands.map(|datum| validity(datum, rows));
    let values = if result {
        BooleanBuffer::new_set(rows)
    } else {
        BooleanBuffer::new_unset(rows)
    };
    Ok(BooleanArray::new(values, Some(NullBuffer::new(&a & &b))))
}

/// Arrow's kernels, for types in which Arrow and Flink agree.
fn arrow(operands: [&Datum; 2], operator: Operator, rows: usize) -> Result<BooleanArray, EvalError> {
    let compare =
        |a: &dyn arrow_array::Datum, b: &dyn arrow_array::Datum| -> Result<BooleanArray, ArrowError> {
            match operator {
                Operator::Equal => cmp::eq(a, b),
                Operator::NotEqual => cmp::neq(a, b),
                Operator::Less => cmp::lt(a, b),
                Operator::LessOrEqual => cmp::lt_eq(a, b),
                Operator::Greater => cmp::gt(a, b),
                Operator::GreaterOrEqual => cmp::gt_eq(a, b),
            }
        };
    Ok(match operands {
        [Datum::Column(a), Datum::Column(b)] => compare(a, b)?,
        [Datum::Column(a), Datum::Constant(b)] => compare(a, &Scalar::new(Arc::clone(b)))?,
        [Datum::Constant(a), Datum::Column(b)] => compare(&Scalar::new(Arc::clone(a)), b)?,
        [Datum::Constant(a), Datum::Constant(b)] => {
            let one: ArrayRef = Arc::new(compare(a, b)?);
            repeated(&one, rows)?.as_boolean().clone()
        }
    })
}

/// The bits of a predicate over rows that are not NULL in either operand.
fn collect(operands: [&Datum; 2], rows: usize, f: impl FnMut(usize) -> bool) -> BooleanArray {
    let nulls = NullBuffer::union(column_nulls(operands[0]), column_nulls(operands[1]));
    BooleanArray::new(BooleanBuffer::collect_bool(rows, f), nulls)
}

fn all_null(rows: usize) -> BooleanArray {
    new_null_array(&DataType::Boolean, rows).as_boolean().clone()
}

/// Applies a predicate to primitive operands; the loops have no branch on the operands' forms.
fn primitives<T: ArrowPrimitiveType>(
    operands: [&Datum; 2],
    rows: usize,
    f: impl Fn(T::Native, T::Native) -> bool,
) -> Result<BooleanArray, EvalError> {
    let (Some(a), Some(b)) = (operand::<T>(operands[0])?, operand::<T>(operands[1])?) else {
        return Ok(all_null(rows));
    };
    Ok(match (a, b) {
        (Operand::Column(a), Operand::Column(b)) => collect(operands, rows, |row| f(a[row], b[row])),
        (Operand::Column(a), Operand::Constant(b)) => collect(operands, rows, |row| f(a[row], b)),
        (Operand::Constant(a), Operand::Column(b)) => collect(operands, rows, |row| f(a, b[row])),
        (Operand::Constant(a), Operand::Constant(b)) => {
            let result = f(a, b);
            collect(operands, rows, |_| result)
        }
    })
}

fn floats<T: ArrowPrimitiveType>(
    operands: [&Datum; 2],
    operator: Operator,
    rows: usize,
) -> Result<BooleanArray, EvalError>
where
    T::Native: PartialOrd,
{
    match operator {
        Operator::Equal => primitives::<T>(operands, rows, |a, b| a == b),
        Operator::NotEqual => primitives::<T>(operands, rows, |a, b| a != b),
        Operator::Less => primitives::<T>(operands, rows, |a, b| a < b),
        Operator::LessOrEqual => primitives::<T>(operands, rows, |a, b| a <= b),
        Operator::Greater => primitives::<T>(operands, rows, |a, b| a > b),
        Operator::GreaterOrEqual => primitives::<T>(operands, rows, |a, b| a >= b),
    }
}

/// A DECIMAL and a DOUBLE, as `Double.compare` orders them: -0.0 is below 0.0, and NaN is above everything.
fn decimal_with_double(
    operands: [&Datum; 2],
    types: [&LogicalType; 2],
    operator: Operator,
    rows: usize,
) -> Result<BooleanArray, EvalError> {
    let double = |index: usize| -> Result<Datum, EvalError> {
        let TypeKind::Decimal { scale, .. } = types[index].kind else {
            return Ok(operands[index].clone());
        };
        let widen = |array: &ArrayRef| -> Result<ArrayRef, EvalError> {
            let values = array.as_primitive_opt::<Decimal128Type>();
            Ok(match values {
                Some(values) => Arc::new(values.unary::<_, Float64Type>(|value| to_double(value, scale))),
                None => new_null_array(&DataType::Float64, array.len()),
            })
        };
        Ok(match operands[index] {
            Datum::Column(array) => Datum::Column(widen(array)?),
            Datum::Constant(array) => Datum::Constant(widen(array)?),
        })
    };
    let (a, b) = (double(0)?, double(1)?);
    let order = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(&b),
        (a, b) => a.cmp(&b),
    };
    primitives::<Float64Type>([&a, &b], rows, |a, b| operator.accepts(order(a, b)))
}

fn texts(operands: [&Datum; 2], operator: Operator, rows: usize) -> Result<BooleanArray, EvalError> {
    let [a, b] = operands;
    if (a.is_constant() && a.is_null(0)) || (b.is_constant() && b.is_null(0)) {
        return Ok(all_null(rows));
    }
    let (x, y) = (a.array().as_string_view(), b.array().as_string_view());
    Ok(collect(operands, rows, |row| {
        operator.accepts(compare_utf16(x.value(a.index(row)), y.value(b.index(row))))
    }))
}

/// DECIMALs of one scale; their precisions may differ, which Arrow's kernels would refuse.
fn same_scale(operands: [&Datum; 2], operator: Operator, rows: usize) -> Result<BooleanArray, EvalError> {
    type T = Decimal128Type;
    match operator {
        Operator::Equal => primitives::<T>(operands, rows, |a, b| a == b),
        Operator::NotEqual => primitives::<T>(operands, rows, |a, b| a != b),
        Operator::Less => primitives::<T>(operands, rows, |a, b| a < b),
        Operator::LessOrEqual => primitives::<T>(operands, rows, |a, b| a <= b),
        Operator::Greater => primitives::<T>(operands, rows, |a, b| a > b),
        Operator::GreaterOrEqual => primitives::<T>(operands, rows, |a, b| a >= b),
    }
}

/// DECIMALs of different scales, brought to the larger one.
fn decimals(
    operands: [&Datum; 2],
    (p1, s1): (u8, u8),
    (p2, s2): (u8, u8),
    operator: Operator,
    rows: usize,
) -> Result<BooleanArray, EvalError> {
    let scale = s1.max(s2);
    let (up1, up2) = (scale - s1, scale - s2);
    let (by1, by2) = (power_of_ten(u32::from(up1)), power_of_ten(u32::from(up2)));
    if p1 + up1 <= SAFE_DIGITS && p2 + up2 <= SAFE_DIGITS {
        return primitives::<Decimal128Type>(operands, rows, |a, b| {
            operator.accepts(a.wrapping_mul(by1).cmp(&b.wrapping_mul(by2)))
        });
    }
    let (by1, by2) = (i256::from_i128(by1), i256::from_i128(by2));
    primitives::<Decimal128Type>(operands, rows, |a, b| {
        let (a, b) = (
            i256::from_i128(a).wrapping_mul(by1),
            i256::from_i128(b).wrapping_mul(by2),
        );
        operator.accepts(a.cmp(&b))
    })
}
