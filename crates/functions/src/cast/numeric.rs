//! Casts from BOOLEAN, integers, FLOAT and DOUBLE.
//!
//! Java's conversions: integers wrap, floats saturate at INT and BIGINT, NaN is 0, and smaller integers take the low
//! bits of an INT.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::BooleanBuffer;
use millstream_types::{LogicalType, TypeKind, arrow_type};

use super::Step;
use super::decimal::{fits, power_of_ten};
use super::interval;
use super::parse::parse_decimal;

/// The step from BOOLEAN, an integer, FLOAT or DOUBLE to a number or a BOOLEAN.
pub(super) fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    match from.kind {
        TypeKind::Boolean => from_boolean(to),
        TypeKind::TinyInt => from_integer::<Int8Type>(to),
        TypeKind::SmallInt => from_integer::<Int16Type>(to),
        TypeKind::Int => from_integer::<Int32Type>(to),
        TypeKind::BigInt => from_integer::<Int64Type>(to),
        TypeKind::Float => from_float::<Float32Type>(to),
        TypeKind::Double => from_float::<Float64Type>(to),
        _ => None,
    }
}

/// A step that applies a function to every value; NULLs stay.
pub(super) fn map<F: ArrowPrimitiveType, T: ArrowPrimitiveType>(
    to: &LogicalType,
    f: impl Fn(F::Native) -> T::Native + Send + Sync + 'static,
) -> Option<Step> {
    let data_type = arrow_type(to);
    Some(Arc::new(move |array, _| {
        let array = array.as_primitive::<F>();
        let values: Vec<T::Native> = array.values().iter().map(|v| f(*v)).collect();
        let mapped = PrimitiveArray::<T>::new(values.into(), array.nulls().cloned());
        Ok(Arc::new(mapped.with_data_type(data_type.clone())))
    }))
}

/// A step that applies a function to every value; `None` is NULL.
pub(super) fn map_option<F: ArrowPrimitiveType, T: ArrowPrimitiveType>(
    to: &LogicalType,
    f: impl Fn(F::Native) -> Option<T::Native> + Send + Sync + 'static,
) -> Option<Step> {
    let data_type = arrow_type(to);
    Some(Arc::new(move |array, _| {
        let mapped: PrimitiveArray<T> = array.as_primitive::<F>().unary_opt(&f);
        Ok(Arc::new(mapped.with_data_type(data_type.clone())))
    }))
}

/// A step to BOOLEAN.
pub(super) fn test<F: ArrowPrimitiveType>(
    f: impl Fn(F::Native) -> bool + Send + Sync + 'static,
) -> Option<Step> {
    Some(Arc::new(move |array, _| {
        let array = array.as_primitive::<F>();
        let values = array.values();
        let bits = BooleanBuffer::collect_bool(values.len(), |i| f(values[i]));
        Ok(Arc::new(BooleanArray::new(bits, array.nulls().cloned())))
    }))
}

fn from_boolean(to: &LogicalType) -> Option<Step> {
    match to.kind {
        TypeKind::TinyInt => boolean_as::<Int8Type>(to, 1),
        TypeKind::SmallInt => boolean_as::<Int16Type>(to, 1),
        TypeKind::Int => boolean_as::<Int32Type>(to, 1),
        TypeKind::BigInt => boolean_as::<Int64Type>(to, 1),
        TypeKind::Float => boolean_as::<Float32Type>(to, 1.0),
        TypeKind::Double => boolean_as::<Float64Type>(to, 1.0),
        TypeKind::Decimal { scale, .. } => boolean_as::<Decimal128Type>(to, power_of_ten(u32::from(scale))),
        _ => None,
    }
}

fn boolean_as<T: ArrowPrimitiveType>(to: &LogicalType, one: T::Native) -> Option<Step> {
    let data_type = arrow_type(to);
    Some(Arc::new(move |array, _| {
        let array = array.as_boolean();
        let values: Vec<T::Native> = array
            .values()
            .iter()
            .map(|b| if b { one } else { T::Native::default() })
            .collect();
        let mapped = PrimitiveArray::<T>::new(values.into(), array.nulls().cloned());
        Ok(Arc::new(mapped.with_data_type(data_type.clone())))
    }))
}

fn from_integer<F: ArrowPrimitiveType>(to: &LogicalType) -> Option<Step>
where
    F::Native: Into<i64>,
{
    match to.kind {
        TypeKind::TinyInt => map::<F, Int8Type>(to, |v| v.into() as i8),
        TypeKind::SmallInt => map::<F, Int16Type>(to, |v| v.into() as i16),
        TypeKind::Int => map::<F, Int32Type>(to, |v| v.into() as i32),
        TypeKind::BigInt => map::<F, Int64Type>(to, |v| v.into()),
        TypeKind::Float => map::<F, Float32Type>(to, |v| v.into() as f32),
        TypeKind::Double => map::<F, Float64Type>(to, |v| v.into() as f64),
        TypeKind::Boolean => test::<F>(|v| v.into() != 0),
        TypeKind::Decimal { precision, scale } => integer_to_decimal::<F>(to, precision, scale),
        TypeKind::IntervalYearMonth(_) | TypeKind::IntervalDayTime(_) => interval::from_integer::<F>(to),
        _ => None,
    }
}

fn integer_to_decimal<F: ArrowPrimitiveType>(to: &LogicalType, precision: u8, scale: u8) -> Option<Step>
where
    F::Native: Into<i64>,
{
    let unit = power_of_ten(u32::from(scale));
    // Twenty digits hold every BIGINT.
    if precision - scale >= 20 {
        return map::<F, Decimal128Type>(to, move |v| i128::from(v.into()) * unit);
    }
    map_option::<F, Decimal128Type>(to, move |v| {
        let unscaled = i128::from(v.into()).checked_mul(unit)?;
        fits(unscaled, precision).then_some(unscaled)
    })
}

fn from_float<F: ArrowPrimitiveType>(to: &LogicalType) -> Option<Step>
where
    F::Native: Into<f64>,
{
    match to.kind {
        TypeKind::TinyInt => map::<F, Int8Type>(to, |v| v.into() as i32 as i8),
        TypeKind::SmallInt => map::<F, Int16Type>(to, |v| v.into() as i32 as i16),
        TypeKind::Int => map::<F, Int32Type>(to, |v| v.into() as i32),
        TypeKind::BigInt => map::<F, Int64Type>(to, |v| v.into() as i64),
        TypeKind::Float => map::<F, Float32Type>(to, |v| v.into() as f32),
        TypeKind::Double => map::<F, Float64Type>(to, |v| v.into()),
        TypeKind::Boolean => test::<F>(|v| v.into() != 0.0),
        TypeKind::Decimal { precision, scale } => float_to_decimal::<F>(to, precision, scale),
        _ => None,
    }
}

/// Through the shortest decimal digits of the float, as Java's `BigDecimal.valueOf` does.
fn float_to_decimal<F: ArrowPrimitiveType>(to: &LogicalType, precision: u8, scale: u8) -> Option<Step>
where
    F::Native: Into<f64>,
{
    let data_type = arrow_type(to);
    let name = to.with_nullable(true).to_string();
    Some(Arc::new(move |array, run| {
        let array = array.as_primitive::<F>();
        let mut builder =
            PrimitiveArray::<Decimal128Type>::builder(array.len()).with_data_type(data_type.clone());
        for row in 0..array.len() {
            let value: f64 = array.value(row).into();
            if array.is_null(row) {
                builder.append_null();
            } else if value.is_finite() {
                builder.append_option(double_to_decimal(value, precision, scale));
            } else {
                builder.append_null();
                run.fail(row, || {
                    format!("cannot cast {value} to {name}: it is not a decimal number")
                });
            }
        }
        Ok(Arc::new(builder.finish()))
    }))
}

/// A finite DOUBLE as unscaled DECIMAL, rounded half up; `None` when it does not fit.
pub(crate) fn double_to_decimal(value: f64, precision: u8, scale: u8) -> Option<i128> {
    parse_decimal(&format!("{value:e}"), precision, scale).ok()
}
