//! Casts from character strings: what reads as a number, a BOOLEAN or a point in time.
//!
//! The accepted spellings are Flink's, odd ones included: `' 12 '` is an INT and `'1.9'` is the INT 1, `'2024'` is a
//! DATE, `'0x1p3'` is a DOUBLE; but no blanks are allowed around BOOLEAN and TIMESTAMP.

mod number;
mod temporal;

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use millstream_types::{LogicalType, TypeFamily, TypeKind, arrow_type};

pub use number::{parse_decimal, parse_double, parse_float, parse_integer};
pub use temporal::{parse_date, parse_time, parse_timestamp};

use super::temporal::Unit;
use super::{Run, Step};
use crate::display::ZoneOffsets;

/// Why a text is not a value of the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    Empty,
    OnlySign,
    InvalidCharacter,
    Overflow,
    NotABoolean,
    NotADate,
    NotATime,
    /// The byte at which a timestamp stops making sense.
    NotATimestamp(usize),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("input is empty"),
            Self::OnlySign => f.write_str("input has only positive or negative symbol"),
            Self::InvalidCharacter => f.write_str("invalid character found"),
            Self::Overflow => f.write_str("overflow"),
            Self::NotABoolean => f.write_str("expected true, t, yes, y, 1, false, f, no, n or 0"),
            Self::NotADate => f.write_str("expected a date as in '2024-02-29'"),
            Self::NotATime => f.write_str("expected a time as in '12:34:56.789'"),
            Self::NotATimestamp(at) => {
                write!(
                    f,
                    "the text could not be parsed at index {at}, expected a timestamp as in '2024-02-29 12:34:56.789'"
                )
            }
        }
    }
}

/// The step from CHAR or VARCHAR to any type that is not a string.
pub(super) fn compile(to: &LogicalType) -> Option<Step> {
    Some(match to.kind {
        TypeKind::Boolean => return Some(booleans()),
        TypeKind::TinyInt => values::<Int8Type>(to, narrowed),
        TypeKind::SmallInt => values::<Int16Type>(to, narrowed),
        TypeKind::Int => values::<Int32Type>(to, narrowed),
        TypeKind::BigInt => values::<Int64Type>(to, parse_integer),
        TypeKind::Float => values::<Float32Type>(to, parse_float),
        TypeKind::Double => values::<Float64Type>(to, parse_double),
        TypeKind::Decimal { precision, scale } => {
            values::<Decimal128Type>(to, move |text| parse_decimal(text, precision, scale))
        }
        TypeKind::Date => values::<Date32Type>(to, parse_date),
        TypeKind::Time(_) => values::<Time32MillisecondType>(to, parse_time),
        TypeKind::Timestamp { precision, .. } | TypeKind::TimestampLtz { precision, .. } => {
            timestamps(to, precision)
        }
        _ => return None,
    })
}

/// TRUE and FALSE in the spellings that CAST takes, in any case.
pub fn parse_boolean(text: &str) -> Result<bool, Reason> {
    const TRUE: [&str; 5] = ["true", "t", "yes", "y", "1"];
    const FALSE: [&str; 5] = ["false", "f", "no", "n", "0"];
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if TRUE.iter().any(is) {
        return Ok(true);
    }
    if FALSE.iter().any(is) {
        Ok(false)
    } else {
        Err(Reason::NotABoolean)
    }
}

fn narrowed<T: TryFrom<i64>>(text: &str) -> Result<T, Reason> {
    T::try_from(parse_integer(text)?).map_err(|_| Reason::Overflow)
}

fn booleans() -> Step {
    Arc::new(|array, run| {
        let (values, nulls) = parsed(array, "BOOLEAN", run, parse_boolean);
        Ok(Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)))
    })
}

fn values<T: ArrowPrimitiveType>(
    to: &LogicalType,
    parse: impl Fn(&str) -> Result<T::Native, Reason> + Send + Sync + 'static,
) -> Step {
    let (data_type, name) = (arrow_type(to), to.with_nullable(true).to_string());
    Arc::new(move |array, run| {
        let (values, nulls) = parsed(array, &name, run, &parse);
        Ok(Arc::new(
            PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()),
        ))
    })
}

fn timestamps(to: &LogicalType, precision: u8) -> Step {
    let (data_type, name) = (arrow_type(to), to.with_nullable(true).to_string());
    let (unit, local) = (Unit::of(to), to.family() == TypeFamily::TimestampLtz);
    Arc::new(move |array, run| {
        let mut zone: Option<ZoneOffsets> = local.then(|| run.zone.clone());
        let parse = |text: &str| {
            let wall_clock = parse_timestamp(text, precision)?;
            Ok(zone
                .as_mut()
                .map_or(wall_clock, |zone| zone.to_utc_nanos(wall_clock)))
        };
        let (nanos, nulls) = parsed(array, &name, run, parse);
        let nanos_per_unit = 1_000_000 / i128::from(unit.per_milli);
        let units = || nanos.iter().map(|v: &i128| v.div_euclid(nanos_per_unit) as i64);
        let column: ArrayRef = match unit.per_milli {
            1 => {
                let values: Vec<i64> = units().collect();
                let column = PrimitiveArray::<TimestampMillisecondType>::new(values.into(), nulls);
                Arc::new(column.with_data_type(data_type.clone()))
            }
            1_000 => {
                let values: Vec<i64> = units().collect();
                let column = PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls);
                Arc::new(column.with_data_type(data_type.clone()))
            }
            _ => {
                let column = PrimitiveArray::<Decimal128Type>::new(nanos.into(), nulls);
                Arc::new(column.with_data_type(data_type.clone()))
            }
        };
        Ok(column)
    })
}

/// Parses a column; NULLs and failures hold the default value.
fn parsed<T: Default>(
    array: &ArrayRef,
    type_name: &str,
    run: &mut Run<'_>,
    mut parse: impl FnMut(&str) -> Result<T, Reason>,
) -> (Vec<T>, Option<NullBuffer>) {
    let texts = array.as_string_view();
    let mut values = Vec::with_capacity(texts.len());
    let mut failed = Vec::new();
    for row in 0..texts.len() {
        if texts.is_null(row) {
            values.push(T::default());
            continue;
        }
        match parse(texts.value(row)) {
            Ok(value) => values.push(value),
            Err(reason) => {
                run.fail(row, || refusal(texts.value(row), type_name, reason));
                failed.push(row);
                values.push(T::default());
            }
        }
    }
    if failed.is_empty() {
        return (values, texts.nulls().cloned());
    }
    let mut valid: Vec<bool> = (0..texts.len()).map(|row| texts.is_valid(row)).collect();
    failed.iter().for_each(|row| valid[*row] = false);
    (values, Some(NullBuffer::from(valid)))
}

fn refusal(text: &str, type_name: &str, reason: Reason) -> String {
    match reason {
        Reason::NotABoolean => format!("cannot parse '{text}' as BOOLEAN: {reason}"),
        Reason::NotATimestamp(_) => format!("cannot cast '{text}' to {type_name}: {reason}"),
        _ => format!("cannot cast to {type_name}: for input string: '{text}'. {reason}"),
    }
}
