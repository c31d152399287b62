//! Columns of fixed width as 64-bit words, and back.
//!
//! Keys of numbers, dates and times are all handled as words, so that the hash and the group table have one path
//! for them instead of one for each type. Words keep grouping equality: all NaN are one word, `-0.0` is not `0.0`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType,
    TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};

/// Bits of a value of this type, if words can hold it.
pub(crate) fn width_bits(ty: &DataType) -> Option<u32> {
    match ty {
        DataType::Boolean => Some(1),
        DataType::Int8 => Some(8),
        DataType::Int16 => Some(16),
        DataType::Int32
        | DataType::Float32
        | DataType::Date32
        | DataType::Time32(TimeUnit::Millisecond)
        | DataType::Interval(IntervalUnit::YearMonth) => Some(32),
        DataType::Int64
        | DataType::Float64
        | DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, _)
        | DataType::Duration(TimeUnit::Millisecond) => Some(64),
        _ => None,
    }
}

/// The words of a column; the word of a NULL is arbitrary. `None`: not of fixed width up to 64 bits.
pub(crate) fn bits(array: &dyn Array) -> Option<Cow<'_, [i64]>> {
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().values().iter().map(i64::from).collect(),
        DataType::Int8 => widen::<Int8Type>(array, i64::from),
        DataType::Int16 => widen::<Int16Type>(array, i64::from),
        DataType::Int32 => widen::<Int32Type>(array, i64::from),
        DataType::Date32 => widen::<Date32Type>(array, i64::from),
        DataType::Time32(TimeUnit::Millisecond) => widen::<Time32MillisecondType>(array, i64::from),
        DataType::Interval(IntervalUnit::YearMonth) => widen::<IntervalYearMonthType>(array, i64::from),
        DataType::Float32 => widen::<Float32Type>(array, |v| {
            i64::from(if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() } as i32)
        }),
        DataType::Float64 => {
            widen::<Float64Type>(array, |v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() } as i64)
        }
        DataType::Int64 => Cow::Borrowed(array.as_primitive::<Int64Type>().values()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Cow::Borrowed(array.as_primitive::<TimestampMillisecondType>().values())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cow::Borrowed(array.as_primitive::<TimestampMicrosecondType>().values())
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            Cow::Borrowed(array.as_primitive::<DurationMillisecondType>().values())
        }
        _ => return None,
    })
}

fn widen<T: ArrowPrimitiveType>(array: &dyn Array, word: impl Fn(T::Native) -> i64) -> Cow<'_, [i64]> {
    array
        .as_primitive::<T>()
        .values()
        .iter()
        .map(|v| word(*v))
        .collect()
}

/// A column of `ty` from words; bits above the type's width are ignored. `None` if [`width_bits`] is.
pub(crate) fn array(ty: &DataType, words: Vec<i64>, nulls: Option<NullBuffer>) -> Option<ArrayRef> {
    Some(match ty {
        DataType::Boolean => Arc::new(BooleanArray::new(
            words.iter().map(|w| w & 1 == 1).collect(),
            nulls,
        )),
        DataType::Int8 => narrow::<Int8Type>(ty, &words, nulls, |w| w as i8),
        DataType::Int16 => narrow::<Int16Type>(ty, &words, nulls, |w| w as i16),
        DataType::Int32 => narrow::<Int32Type>(ty, &words, nulls, |w| w as i32),
        DataType::Date32 => narrow::<Date32Type>(ty, &words, nulls, |w| w as i32),
        DataType::Time32(TimeUnit::Millisecond) => {
            narrow::<Time32MillisecondType>(ty, &words, nulls, |w| w as i32)
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            narrow::<IntervalYearMonthType>(ty, &words, nulls, |w| w as i32)
        }
        DataType::Float32 => narrow::<Float32Type>(ty, &words, nulls, |w| f32::from_bits(w as u32)),
        DataType::Float64 => narrow::<Float64Type>(ty, &words, nulls, |w| f64::from_bits(w as u64)),
        DataType::Int64 => whole::<Int64Type>(ty, words, nulls),
        DataType::Timestamp(TimeUnit::Millisecond, _) => whole::<TimestampMillisecondType>(ty, words, nulls),
        DataType::Timestamp(TimeUnit::Microsecond, _) => whole::<TimestampMicrosecondType>(ty, words, nulls),
        DataType::Duration(TimeUnit::Millisecond) => whole::<DurationMillisecondType>(ty, words, nulls),
        _ => return None,
    })
}

fn narrow<T: ArrowPrimitiveType>(
    ty: &DataType,
    words: &[i64],
    nulls: Option<NullBuffer>,
    value: impl Fn(i64) -> T::Native,
) -> ArrayRef {
    let values: ScalarBuffer<T::Native> = words.iter().map(|w| value(*w)).collect();
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(ty.clone()))
}

fn whole<T: ArrowPrimitiveType<Native = i64>>(
    ty: &DataType,
    words: Vec<i64>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(words.into(), nulls).with_data_type(ty.clone()))
}
