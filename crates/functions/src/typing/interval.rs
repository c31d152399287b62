//! Result types of arithmetic with intervals and datetimes.

use millstream_types::logical_type::{DEFAULT_TIMESTAMP_PRECISION, DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, TypeFamily, TypeKind};

/// The type of an interval after arithmetic: the resolution that holds every field of its family.
pub fn widest_interval(ty: &LogicalType) -> LogicalType {
    let kind = match ty.kind {
        TypeKind::IntervalYearMonth(_) => TypeKind::IntervalYearMonth(YearMonthResolution::Month),
        TypeKind::IntervalDayTime(_) => TypeKind::IntervalDayTime(DayTimeResolution::Second),
        ref other => other.clone(),
    };
    LogicalType {
        kind,
        nullable: ty.nullable,
    }
}

/// The type of `datetime ± interval`. A DATE stays a DATE under intervals that start with DAY or a longer unit, and
/// becomes a TIMESTAMP under shorter ones.
pub fn datetime_plus_interval(datetime: &LogicalType, interval: &LogicalType) -> Option<LogicalType> {
    let nullable = datetime.nullable || interval.nullable;
    let short = match interval.kind {
        TypeKind::IntervalYearMonth(_) => false,
        TypeKind::IntervalDayTime(resolution) => !matches!(
            resolution,
            DayTimeResolution::Day
                | DayTimeResolution::DayToHour
                | DayTimeResolution::DayToMinute
                | DayTimeResolution::DayToSecond
        ),
        _ => return None,
    };
    match datetime.family() {
        TypeFamily::Date if short => {
            Some(LogicalType::timestamp(DEFAULT_TIMESTAMP_PRECISION).with_nullable(nullable))
        }
        TypeFamily::Date | TypeFamily::Timestamp | TypeFamily::TimestampLtz => {
            Some(datetime.with_nullable(nullable))
        }
        TypeFamily::Time => Some(datetime.with_nullable(nullable)),
        _ => None,
    }
}
