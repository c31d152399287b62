//! Casts among DATE, TIME, TIMESTAMP and TIMESTAMP_LTZ.
//!
//! A TIMESTAMP is wall-clock time, a TIMESTAMP_LTZ an instant; between the two stands the session's time zone. Lower
//! precisions cut, towards the past.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use millstream_types::{LogicalType, TypeFamily, arrow_type};

use super::Step;
use super::numeric::map;
use crate::display::ZoneOffsets;
use crate::display::calendar::MILLIS_PER_DAY;

/// The step between two datetime types.
pub(super) fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    use TypeFamily as F;
    match (from.family(), to.family()) {
        (F::Time, F::Time) => time_to_time(from, to),
        (F::Date | F::Time, F::Timestamp | F::TimestampLtz) => to_timestamp(from, to),
        (F::Timestamp | F::TimestampLtz, F::Date | F::Time) => from_timestamp(from, to),
        (F::Timestamp | F::TimestampLtz, F::Timestamp | F::TimestampLtz) => timestamp_to_timestamp(from, to),
        _ => None,
    }
}

/// How a timestamp column counts time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unit {
    /// Units of a millisecond: 1, 1,000 or 1,000,000.
    pub(crate) per_milli: i64,
}

impl Unit {
    pub(crate) fn of(ty: &LogicalType) -> Self {
        let per_milli = match ty.precision().unwrap_or(0) {
            0..=3 => 1,
            4..=6 => 1_000,
            _ => 1_000_000,
        };
        Self { per_milli }
    }

    /// Units between two values that a type of this unit and `precision` can hold.
    fn granularity(self, precision: u8) -> i64 {
        let digits = match self.per_milli {
            1 => 3,
            1_000 => 6,
            _ => 9,
        };
        10i64.pow(u32::from(digits - precision.min(digits)))
    }
}

/// Whether and how wall-clock time is moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shift {
    None,
    ToLocal,
    ToUtc,
}

impl Shift {
    fn between(from: &LogicalType, to: &LogicalType) -> Self {
        match (
            from.family() == TypeFamily::TimestampLtz,
            to.family() == TypeFamily::TimestampLtz,
        ) {
            (true, false) => Self::ToLocal,
            (false, true) => Self::ToUtc,
            _ => Self::None,
        }
    }

    /// Milliseconds to add at a time in milliseconds.
    fn millis(self, zone: &mut ZoneOffsets, at_ms: i64) -> i64 {
        match self {
            Self::None => 0,
            Self::ToLocal => zone.offset_ms(at_ms),
            Self::ToUtc => -zone.local_offset_ms(at_ms),
        }
    }
}

fn time_to_time(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let (from_precision, precision) = (from.precision()?, to.precision()?);
    if precision >= from_precision.min(3) {
        return None;
    }
    let granularity = 10i32.pow(u32::from(3 - precision));
    map::<Time32MillisecondType, Time32MillisecondType>(to, move |v| {
        v.wrapping_sub(v.rem_euclid(granularity))
    })
}

fn to_timestamp(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let (unit, shift, data_type) = (Unit::of(to), Shift::between(from, to), arrow_type(to));
    let date = from.family() == TypeFamily::Date;
    Some(Arc::new(move |array, run| {
        let mut millis: Vec<i64> = if date {
            let days = array.as_primitive::<Date32Type>();
            days.values()
                .iter()
                .map(|v| i64::from(*v) * MILLIS_PER_DAY)
                .collect()
        } else {
            array
                .as_primitive::<Time32MillisecondType>()
                .values()
                .iter()
                .map(|v| i64::from(*v))
                .collect()
        };
        if shift == Shift::ToUtc {
            for ms in &mut millis {
                *ms = ms.wrapping_sub(run.zone.local_offset_ms(*ms));
            }
        }
        let nulls = array.nulls().cloned();
        let converted: ArrayRef = match unit.per_milli {
            1 => primitive::<TimestampMillisecondType>(millis, nulls, &data_type),
            1_000 => {
                let micros = millis.iter().map(|ms| ms.wrapping_mul(1_000)).collect();
                primitive::<TimestampMicrosecondType>(micros, nulls, &data_type)
            }
            _ => {
                let nanos = millis.iter().map(|ms| i128::from(*ms) * 1_000_000).collect();
                primitive::<Decimal128Type>(nanos, nulls, &data_type)
            }
        };
        Ok(converted)
    }))
}

fn from_timestamp(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let shift = if from.family() == TypeFamily::TimestampLtz {
        Shift::ToLocal
    } else {
        Shift::None
    };
    let unit = Unit::of(from);
    let data_type = arrow_type(to);
    let time_granularity = to
        .precision()
        .map(|precision| 10i64.pow(u32::from(3 - precision.min(3))));
    Some(Arc::new(move |array, run| {
        let mut millis = milliseconds(array, unit);
        if shift == Shift::ToLocal {
            for ms in &mut millis {
                *ms = ms.wrapping_add(run.zone.offset_ms(*ms));
            }
        }
        let nulls = array.nulls().cloned();
        Ok(match time_granularity {
            None => {
                let days = millis
                    .iter()
                    .map(|ms| ms.div_euclid(MILLIS_PER_DAY) as i32)
                    .collect();
                primitive::<Date32Type>(days, nulls, &data_type)
            }
            Some(granularity) => {
                let of_day = |ms: &i64| {
                    let ms = ms.rem_euclid(MILLIS_PER_DAY);
                    (ms - ms % granularity) as i32
                };
                primitive::<Time32MillisecondType>(millis.iter().map(of_day).collect(), nulls, &data_type)
            }
        })
    }))
}

/// Milliseconds since the epoch of a timestamp column, cut towards the past.
pub(crate) fn milliseconds(array: &ArrayRef, unit: Unit) -> Vec<i64> {
    match unit.per_milli {
        1 => array.as_primitive::<TimestampMillisecondType>().values().to_vec(),
        1_000 => array
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .iter()
            .map(|v| v.div_euclid(1_000))
            .collect(),
        _ => array
            .as_primitive::<Decimal128Type>()
            .values()
            .iter()
            .map(|v| v.div_euclid(1_000_000) as i64)
            .collect(),
    }
}

fn timestamp_to_timestamp(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let (from_precision, precision) = (from.precision()?, to.precision()?);
    let (from_unit, unit) = (Unit::of(from), Unit::of(to));
    let shift = Shift::between(from, to);
    let cuts = precision < from_precision;
    if shift == Shift::None && !cuts && from_unit == unit {
        return None;
    }
    let granularity = if cuts { unit.granularity(precision) } else { 1 };
    let data_type = arrow_type(to);
    Some(Arc::new(move |array, run| {
        let convert = Conversion {
            from: from_unit,
            to: unit,
            granularity,
            shift,
        };
        let nulls = array.nulls().cloned();
        Ok(match (from_unit.per_milli, unit.per_milli) {
            (1_000_000, _) | (_, 1_000_000) => {
                let nanos = convert.wide(array, &mut run.zone);
                narrow(nanos, unit, nulls, &data_type)
            }
            (1, 1) => {
                let values = array.as_primitive::<TimestampMillisecondType>().values();
                primitive::<TimestampMillisecondType>(
                    convert.values(values, &mut run.zone),
                    nulls,
                    &data_type,
                )
            }
            (1, _) => {
                let values = array.as_primitive::<TimestampMillisecondType>().values();
                primitive::<TimestampMicrosecondType>(
                    convert.values(values, &mut run.zone),
                    nulls,
                    &data_type,
                )
            }
            (_, 1) => {
                let values = array.as_primitive::<TimestampMicrosecondType>().values();
                primitive::<TimestampMillisecondType>(
                    convert.values(values, &mut run.zone),
                    nulls,
                    &data_type,
                )
            }
            _ => {
                let values = array.as_primitive::<TimestampMicrosecondType>().values();
                primitive::<TimestampMicrosecondType>(
                    convert.values(values, &mut run.zone),
                    nulls,
                    &data_type,
                )
            }
        })
    }))
}

struct Conversion {
    from: Unit,
    to: Unit,
    granularity: i64,
    shift: Shift,
}

impl Conversion {
    /// Between milliseconds and microseconds, all in 64 bits.
    fn values(&self, values: &[i64], zone: &mut ZoneOffsets) -> Vec<i64> {
        let (from, to) = (self.from.per_milli, self.to.per_milli);
        let mut converted: Vec<i64> = match self.shift {
            Shift::None => values.to_vec(),
            shift => values
                .iter()
                .map(|v| v.wrapping_add(shift.millis(zone, v.div_euclid(from)) * from))
                .collect(),
        };
        if to > from {
            converted.iter_mut().for_each(|v| *v = v.wrapping_mul(to / from));
        } else if to < from {
            converted.iter_mut().for_each(|v| *v = v.div_euclid(from / to));
        }
        if self.granularity > 1 {
            converted
                .iter_mut()
                .for_each(|v| *v = v.wrapping_sub(v.rem_euclid(self.granularity)));
        }
        converted
    }

    /// Values in the target unit, where one side counts nanoseconds.
    fn wide(&self, array: &ArrayRef, zone: &mut ZoneOffsets) -> Vec<i128> {
        let to_nanos = 1_000_000 / i128::from(self.from.per_milli);
        let from_nanos = 1_000_000 / i128::from(self.to.per_milli);
        let mut convert = |value: i128| {
            let nanos = value * to_nanos;
            let at_ms = nanos.div_euclid(1_000_000) as i64;
            let moved = nanos + i128::from(self.shift.millis(zone, at_ms)) * 1_000_000;
            let units = moved.div_euclid(from_nanos);
            units - units.rem_euclid(i128::from(self.granularity))
        };
        match self.from.per_milli {
            1 => array
                .as_primitive::<TimestampMillisecondType>()
                .values()
                .iter()
                .map(|v| convert(i128::from(*v)))
                .collect(),
            1_000 => array
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .iter()
                .map(|v| convert(i128::from(*v)))
                .collect(),
            _ => array
                .as_primitive::<Decimal128Type>()
                .values()
                .iter()
                .map(|v| convert(*v))
                .collect(),
        }
    }
}

fn narrow(
    values: Vec<i128>,
    unit: Unit,
    nulls: Option<arrow_buffer::NullBuffer>,
    data_type: &arrow_schema::DataType,
) -> ArrayRef {
    match unit.per_milli {
        1 => {
            let millis = values.iter().map(|v| *v as i64).collect();
            primitive::<TimestampMillisecondType>(millis, nulls, data_type)
        }
        1_000 => {
            let micros = values.iter().map(|v| *v as i64).collect();
            primitive::<TimestampMicrosecondType>(micros, nulls, data_type)
        }
        _ => primitive::<Decimal128Type>(values, nulls, data_type),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<arrow_buffer::NullBuffer>,
    data_type: &arrow_schema::DataType,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
}
