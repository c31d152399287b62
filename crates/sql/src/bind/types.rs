//! Type syntax → logical types.

use millstream_types::logical_type::{
    DEFAULT_TIMESTAMP_PRECISION, DayTimeResolution, MAX_DECIMAL_PRECISION, MAX_LENGTH,
    MAX_TIMESTAMP_PRECISION, YearMonthResolution,
};
use millstream_types::{ErrorCode, LogicalType, RowField, TimeAttribute, TypeKind};

use super::error::{SqlError, SqlResult};
use crate::parse::ast::{DataType, DataTypeKind, IntervalQualifier, TimeUnit, TimeZoneRule};
use crate::parse::span::Span;

/// Precision of DECIMAL without arguments.
const DEFAULT_DECIMAL_PRECISION: u32 = 10;
/// Largest precision of TIME at run time.
const MAX_TIME_PRECISION: u32 = 3;

/// The logical type of `written`.
pub fn bind_type(written: &DataType) -> SqlResult<LogicalType> {
    let kind = bind_kind(written)?;
    Ok(LogicalType {
        kind,
        nullable: written.nullable.unwrap_or(true),
    })
}

fn bind_kind(written: &DataType) -> SqlResult<TypeKind> {
    let span = written.span;
    let child = |ty: &DataType| bind_type(ty).map(Box::new);
    Ok(match &written.kind {
        DataTypeKind::Boolean => TypeKind::Boolean,
        DataTypeKind::TinyInt => TypeKind::TinyInt,
        DataTypeKind::SmallInt => TypeKind::SmallInt,
        DataTypeKind::Int => TypeKind::Int,
        DataTypeKind::BigInt => TypeKind::BigInt,
        DataTypeKind::Float | DataTypeKind::Real => TypeKind::Float,
        DataTypeKind::Double => TypeKind::Double,
        DataTypeKind::Decimal { precision, scale } => bind_decimal(span, *precision, *scale)?,
        DataTypeKind::Char { length } => TypeKind::Char(length.unwrap_or(1)),
        DataTypeKind::VarChar { length } => TypeKind::Varchar(length.unwrap_or(MAX_LENGTH)),
        DataTypeKind::String => TypeKind::Varchar(MAX_LENGTH),
        DataTypeKind::Binary { length } => TypeKind::Binary(length.unwrap_or(1)),
        DataTypeKind::VarBinary { length } => TypeKind::Varbinary(length.unwrap_or(MAX_LENGTH)),
        DataTypeKind::Bytes => TypeKind::Varbinary(MAX_LENGTH),
        DataTypeKind::Date => TypeKind::Date,
        DataTypeKind::Time {
            precision,
            zone: TimeZoneRule::Without,
        } => TypeKind::Time(precision.unwrap_or(0).min(MAX_TIME_PRECISION) as u8),
        DataTypeKind::Time { .. } => return Err(with_time_zone(span, "TIME")),
        DataTypeKind::Timestamp { precision, zone } => match zone {
            TimeZoneRule::Without => timestamp_kind(*precision),
            TimeZoneRule::WithLocal => timestamp_ltz_kind(*precision),
            TimeZoneRule::With => return Err(with_time_zone(span, "TIMESTAMP")),
        },
        DataTypeKind::TimestampLtz { precision } => timestamp_ltz_kind(*precision),
        DataTypeKind::Interval(qualifier) => interval_kind(qualifier)?,
        DataTypeKind::Array(element) => TypeKind::Array(child(element)?),
        DataTypeKind::Multiset(element) => TypeKind::Multiset(child(element)?),
        DataTypeKind::Map { key, value } => TypeKind::Map(child(key)?, child(value)?),
        DataTypeKind::Row(fields) | DataTypeKind::Structured { fields, .. } => {
            let field = |field: &crate::parse::ast::RowField| {
                let description = field.comment.as_ref().map(|comment| comment.value.clone());
                Ok(RowField {
                    name: field.name.value.clone(),
                    ty: bind_type(&field.data_type)?,
                    description,
                })
            };
            TypeKind::Row(fields.iter().map(field).collect::<SqlResult<_>>()?)
        }
        DataTypeKind::Raw { class, serializer } => TypeKind::Raw {
            class: class.value.clone(),
            serializer: serializer.value.clone(),
        },
        DataTypeKind::Variant => TypeKind::Variant,
        DataTypeKind::Bitmap => TypeKind::Bitmap,
        DataTypeKind::Null => TypeKind::Null,
        DataTypeKind::Named(name) => {
            let error = SqlError::at(
                name.span,
                format!("unknown identifier '{name}': no data type has this name"),
            )
            .with_code(ErrorCode::UnknownType);
            return Err(error.offering(&name.to_string().to_uppercase(), TYPE_NAMES.iter().copied()));
        }
    })
}

/// Names suggested for an unknown type.
const TYPE_NAMES: [&str; 22] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "CHAR",
    "VARCHAR",
    "STRING",
    "BINARY",
    "VARBINARY",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "ARRAY",
    "MAP",
    "ROW",
    "VARIANT",
];

fn with_time_zone(span: Span, name: &str) -> SqlError {
    SqlError::at(span, format!("type {name} WITH TIME ZONE is not supported"))
        .with_code(ErrorCode::UnknownType)
        .with_hint("use TIMESTAMP_LTZ for an instant, or TIMESTAMP for a wall-clock time")
}

fn bind_decimal(span: Span, precision: Option<u32>, scale: Option<i32>) -> SqlResult<TypeKind> {
    let max = u32::from(MAX_DECIMAL_PRECISION);
    let precision = precision.unwrap_or(DEFAULT_DECIMAL_PRECISION);
    if precision == 0 {
        let message = format!("Decimal precision must be between 1 and {max} (both inclusive)");
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidSchema));
    }
    let precision = precision.min(max);
    let scale = scale.unwrap_or(0);
    if scale < 0 || scale as u32 > precision {
        let message =
            format!("decimal scale must be between 0 and the precision {precision} (both inclusive)");
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidSchema));
    }
    Ok(TypeKind::Decimal {
        precision: precision as u8,
        scale: scale as u8,
    })
}

fn timestamp_precision(precision: Option<u32>) -> u8 {
    precision.map_or(DEFAULT_TIMESTAMP_PRECISION, |p| {
        p.min(u32::from(MAX_TIMESTAMP_PRECISION)) as u8
    })
}

fn timestamp_kind(precision: Option<u32>) -> TypeKind {
    TypeKind::Timestamp {
        precision: timestamp_precision(precision),
        attribute: TimeAttribute::None,
    }
}

fn timestamp_ltz_kind(precision: Option<u32>) -> TypeKind {
    TypeKind::TimestampLtz {
        precision: timestamp_precision(precision),
        attribute: TimeAttribute::None,
    }
}

/// The interval type of a qualifier.
pub fn interval_kind(qualifier: &IntervalQualifier) -> SqlResult<TypeKind> {
    use TimeUnit as U;
    Ok(match (qualifier.start, qualifier.end) {
        (U::Year, None) => TypeKind::IntervalYearMonth(YearMonthResolution::Year),
        (U::Year, Some(U::Month)) => TypeKind::IntervalYearMonth(YearMonthResolution::YearToMonth),
        (U::Month | U::Quarter, None) => TypeKind::IntervalYearMonth(YearMonthResolution::Month),
        (U::Day | U::Week, None) => TypeKind::IntervalDayTime(DayTimeResolution::Day),
        (U::Day, Some(U::Hour)) => TypeKind::IntervalDayTime(DayTimeResolution::DayToHour),
        (U::Day, Some(U::Minute)) => TypeKind::IntervalDayTime(DayTimeResolution::DayToMinute),
        (U::Day, Some(U::Second)) => TypeKind::IntervalDayTime(DayTimeResolution::DayToSecond),
        (U::Hour, None) => TypeKind::IntervalDayTime(DayTimeResolution::Hour),
        (U::Hour, Some(U::Minute)) => TypeKind::IntervalDayTime(DayTimeResolution::HourToMinute),
        (U::Hour, Some(U::Second)) => TypeKind::IntervalDayTime(DayTimeResolution::HourToSecond),
        (U::Minute, None) => TypeKind::IntervalDayTime(DayTimeResolution::Minute),
        (U::Minute, Some(U::Second)) => TypeKind::IntervalDayTime(DayTimeResolution::MinuteToSecond),
        (U::Second | U::Millisecond | U::Microsecond | U::Nanosecond, None) => {
            TypeKind::IntervalDayTime(DayTimeResolution::Second)
        }
        (start, _) => {
            let message = format!("an interval cannot be counted in {}", start.word());
            return Err(SqlError::at(qualifier.span, message).with_code(ErrorCode::InvalidSchema));
        }
    })
}
