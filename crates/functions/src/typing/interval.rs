//! Result types of arithmetic with intervals and datetimes.

use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, TypeKind};

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

/// The type of `datetime ± interval`: that of the datetime. A DATE moves by the whole days of a shorter interval.
pub fn datetime_plus_interval(datetime: &LogicalType, interval: &LogicalType) -> Option<LogicalType> {
    let nullable = datetime.nullable || interval.nullable;
    (datetime.is_datetime() && interval.is_interval()).then(|| datetime.with_nullable(nullable))
}
