//! Casts between intervals and numbers: a number counts the first unit of the interval's resolution.

use arrow_array::ArrowPrimitiveType;
use arrow_array::types::{
    Decimal128Type, DurationMillisecondType, Int8Type, Int16Type, Int32Type, Int64Type, IntervalYearMonthType,
};
use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, TypeKind};

use super::Step;
use super::numeric::map;

/// The step from an interval to an integer, or to an interval of another resolution (which changes nothing).
pub(super) fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let unit = unit(from)?;
    match (&from.kind, &to.kind) {
        (TypeKind::IntervalYearMonth(_), _) => to_integer::<IntervalYearMonthType>(to, unit),
        (TypeKind::IntervalDayTime(_), _) => to_integer::<DurationMillisecondType>(to, unit),
        _ => None,
    }
}

fn to_integer<F: ArrowPrimitiveType>(to: &LogicalType, unit: i64) -> Option<Step>
where
    F::Native: Into<i64>,
{
    match to.kind {
        TypeKind::TinyInt => map::<F, Int8Type>(to, move |v| (v.into() / unit) as i8),
        TypeKind::SmallInt => map::<F, Int16Type>(to, move |v| (v.into() / unit) as i16),
        TypeKind::Int => map::<F, Int32Type>(to, move |v| (v.into() / unit) as i32),
        TypeKind::BigInt => map::<F, Int64Type>(to, move |v| v.into() / unit),
        _ => None,
    }
}

/// The step from an integer to an interval.
pub(super) fn from_integer<F: ArrowPrimitiveType>(to: &LogicalType) -> Option<Step>
where
    F::Native: Into<i64>,
{
    let unit = unit(to)?;
    match to.kind {
        TypeKind::IntervalYearMonth(_) => {
            map::<F, IntervalYearMonthType>(to, move |v| v.into().wrapping_mul(unit) as i32)
        }
        _ => map::<F, DurationMillisecondType>(to, move |v| v.into().wrapping_mul(unit)),
    }
}

/// The step from a DECIMAL whose unscaled values count parts of `decimal_unit` to an interval.
pub(super) fn from_decimal(to: &LogicalType, decimal_unit: i128) -> Option<Step> {
    let unit = i128::from(unit(to)?);
    match to.kind {
        TypeKind::IntervalYearMonth(_) => {
            map::<Decimal128Type, IntervalYearMonthType>(to, move |v| (v / decimal_unit * unit) as i32)
        }
        _ => map::<Decimal128Type, DurationMillisecondType>(to, move |v| (v / decimal_unit * unit) as i64),
    }
}

/// Months or milliseconds of the first unit of a resolution.
fn unit(ty: &LogicalType) -> Option<i64> {
    use DayTimeResolution as D;
    Some(match ty.kind {
        TypeKind::IntervalYearMonth(YearMonthResolution::Month) => 1,
        TypeKind::IntervalYearMonth(_) => 12,
        TypeKind::IntervalDayTime(resolution) => match resolution {
            D::Day | D::DayToHour | D::DayToMinute | D::DayToSecond => 86_400_000,
            D::Hour | D::HourToMinute | D::HourToSecond => 3_600_000,
            D::Minute | D::MinuteToSecond => 60_000,
            D::Second => 1_000,
        },
        _ => return None,
    })
}
