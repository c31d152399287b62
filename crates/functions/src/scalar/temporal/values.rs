//! Reading and writing temporal columns whatever their precision: timestamps are nanoseconds since the epoch here.

use std::sync::Arc;

use arrow_array::builder::PrimitiveBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};
use millstream_types::{LogicalType, TypeFamily, arrow_type, timestamp_nanos};

use crate::display::ZoneOffsets;
use crate::scalar::access::internal;
use crate::scalar::{Datum, EvalError, KernelArgs};

pub(crate) const NANOS_PER_MILLI: i128 = 1_000_000;
pub(crate) const NANOS_PER_SECOND: i128 = 1_000_000_000;
pub(crate) const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND;
pub(crate) const MILLIS_PER_DAY: i64 = 86_400_000;

/// A DATE, TIME or timestamp argument.
pub(crate) struct Moments<'a> {
    datum: &'a Datum,
    family: TypeFamily,
}

impl<'a> Moments<'a> {
    pub(crate) fn new(args: &KernelArgs<'a>, index: usize) -> Result<Self, EvalError> {
        let datum = args
            .args
            .get(index)
            .ok_or_else(|| internal(format!("argument {index} is missing")))?;
        Ok(Self {
            datum,
            family: args.arg_types[index].family(),
        })
    }

    pub(crate) fn family(&self) -> TypeFamily {
        self.family
    }

    /// Nanoseconds since the epoch (UTC for TIMESTAMP_LTZ, the wall clock for the others), or of the day for TIME.
    pub(crate) fn nanos(&self, row: usize) -> Option<i128> {
        if self.datum.is_null(row) {
            return None;
        }
        let (array, index) = (self.datum.array(), self.datum.index(row));
        Some(match self.family {
            TypeFamily::Date => i128::from(array.as_primitive::<Date32Type>().value(index)) * NANOS_PER_DAY,
            TypeFamily::Time => {
                i128::from(array.as_primitive::<Time32MillisecondType>().value(index)) * NANOS_PER_MILLI
            }
            _ => timestamp_nanos(array.as_ref(), index),
        })
    }

    /// As [`Self::nanos`], with instants shown on the wall clock of a zone.
    pub(crate) fn local_nanos(&self, row: usize, zone: &mut ZoneOffsets) -> Option<i128> {
        let nanos = self.nanos(row)?;
        Some(if self.family == TypeFamily::TimestampLtz {
            zone.to_local_nanos(nanos)
        } else {
            nanos
        })
    }
}

/// A column of a DATE, TIME or timestamp type from nanoseconds; what is out of range is NULL.
pub(crate) fn write_moments(
    rows: usize,
    ty: &LogicalType,
    mut nanos: impl FnMut(usize) -> Result<Option<i128>, EvalError>,
) -> Result<ArrayRef, EvalError> {
    let data_type = arrow_type(ty);
    match &data_type {
        DataType::Date32 => write::<Date32Type>(rows, &data_type, nanos, |n| {
            i32::try_from(n.div_euclid(NANOS_PER_DAY)).ok()
        }),
        DataType::Time32(_) => write::<Time32MillisecondType>(rows, &data_type, nanos, |n| {
            i32::try_from(n.div_euclid(NANOS_PER_MILLI)).ok()
        }),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            write::<TimestampMillisecondType>(rows, &data_type, nanos, |n| {
                i64::try_from(n.div_euclid(NANOS_PER_MILLI)).ok()
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            write::<TimestampMicrosecondType>(rows, &data_type, nanos, |n| {
                i64::try_from(n.div_euclid(1_000)).ok()
            })
        }
        DataType::Decimal128(..) => write::<Decimal128Type>(rows, &data_type, &mut nanos, Some),
        other => Err(internal(format!("{other} is not a temporal type"))),
    }
}

fn write<T: ArrowPrimitiveType>(
    rows: usize,
    data_type: &DataType,
    mut nanos: impl FnMut(usize) -> Result<Option<i128>, EvalError>,
    native: impl Fn(i128) -> Option<T::Native>,
) -> Result<ArrayRef, EvalError> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(rows).with_data_type(data_type.clone());
    for row in 0..rows {
        builder.append_option(nanos(row)?.and_then(&native));
    }
    Ok(Arc::new(builder.finish()))
}

/// A column with one value in all rows.
pub(crate) fn repeated(rows: usize, ty: &LogicalType, nanos: Option<i128>) -> Result<ArrayRef, EvalError> {
    let column = write_moments(rows, ty, |_| Ok(nanos))?;
    debug_assert_eq!(column.len(), rows);
    Ok(column)
}
