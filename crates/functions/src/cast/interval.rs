//! Casts to intervals: a number counts months or milliseconds, whatever the resolution.

use arrow_array::ArrowPrimitiveType;
use arrow_array::types::{Decimal128Type, DurationMillisecondType, IntervalYearMonthType};
use millstream_types::{LogicalType, TypeKind};

use super::Step;
use super::numeric::map;

/// The step from an integer to an interval.
pub(super) fn from_integer<F: ArrowPrimitiveType>(to: &LogicalType) -> Option<Step>
where
    F::Native: Into<i64>,
{
    match to.kind {
        TypeKind::IntervalYearMonth(_) => map::<F, IntervalYearMonthType>(to, move |v| v.into() as i32),
        TypeKind::IntervalDayTime(_) => map::<F, DurationMillisecondType>(to, move |v| v.into()),
        _ => None,
    }
}

/// The step from a DECIMAL whose unscaled values count parts of `decimal_unit` to an interval.
pub(super) fn from_decimal(to: &LogicalType, decimal_unit: i128) -> Option<Step> {
    match to.kind {
        TypeKind::IntervalYearMonth(_) => {
            map::<Decimal128Type, IntervalYearMonthType>(to, move |v| (v / decimal_unit) as i32)
        }
        TypeKind::IntervalDayTime(_) => {
            map::<Decimal128Type, DurationMillisecondType>(to, move |v| (v / decimal_unit) as i64)
        }
        _ => None,
    }
}
