//! Values, types and durations in the notation of plans.

use std::fmt::Write;

use millstream_types::calendar::civil_from_days;
use millstream_types::java_text::write_decimal_plain;
use millstream_types::logical_type::DayTimeResolution;
use millstream_types::{LogicalType, RowField, Scalar, TimeAttribute, TypeKind};

const MS_PER_SECOND: i64 = 1_000;
const MS_PER_MINUTE: i64 = 60 * MS_PER_SECOND;
const MS_PER_HOUR: i64 = 60 * MS_PER_MINUTE;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;
const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A value. `typed` adds the type where the text alone is ambiguous, as syntax trees do.
pub fn literal(value: &Scalar, ty: &LogicalType, typed: bool) -> String {
    let mut text = String::new();
    write_literal(&mut text, value, ty, typed);
    text
}

pub(super) fn write_literal(out: &mut String, value: &Scalar, ty: &LogicalType, typed: bool) {
    if value.is_null() {
        out.push_str("null:");
        return out.push_str(&type_name(&ty.with_nullable(true), typed));
    }
    write_value(out, value, ty, typed);
    let shows_type = match (value, &ty.kind) {
        (Scalar::IntervalDayTime(_) | Scalar::IntervalYearMonth(_), _) => true,
        (Scalar::String(text), TypeKind::Char(length)) => {
            typed && usize::try_from(*length).is_ok_and(|length| text.chars().count() != length)
        }
        (Scalar::TinyInt(_) | Scalar::SmallInt(_) | Scalar::BigInt(_), _)
        | (Scalar::Float(_) | Scalar::Double(_) | Scalar::Decimal(_) | Scalar::String(_), _) => typed,
        _ => false,
    };
    if shows_type {
        out.push(':');
        out.push_str(&type_name(&ty.with_nullable(true), typed));
    }
}

fn write_value(out: &mut String, value: &Scalar, ty: &LogicalType, typed: bool) {
    match value {
        Scalar::Null => out.push_str("null"),
        Scalar::Boolean(v) => put(out, v),
        Scalar::TinyInt(v) => put(out, v),
        Scalar::SmallInt(v) => put(out, v),
        Scalar::Int(v) => put(out, v),
        Scalar::BigInt(v) => put(out, v),
        Scalar::Float(v) => put(out, format_args!("{v:E}")),
        Scalar::Double(v) => put(out, format_args!("{v:E}")),
        Scalar::Decimal(v) => {
            let scale = if let TypeKind::Decimal { scale, .. } = &ty.kind {
                *scale
            } else {
                0
            };
            write_decimal_plain(out, *v, scale);
        }
        Scalar::String(v) => {
            out.push_str(if typed { "_UTF-16LE'" } else { "'" });
            out.push_str(&v.replace('\'', "''"));
            out.push('\'');
        }
        Scalar::Bytes(v) => {
            out.push_str("X'");
            v.iter().for_each(|byte| put(out, format_args!("{byte:02X}")));
            out.push('\'');
        }
        Scalar::Date(days) => write_date(out, i64::from(*days)),
        Scalar::Time(ms) => write_time(out, i128::from(*ms) * 1_000_000),
        Scalar::Timestamp(nanos) => write_timestamp(out, *nanos),
        Scalar::IntervalYearMonth(v) => put(out, v),
        Scalar::IntervalDayTime(v) => put(out, v),
        Scalar::Array(items) => {
            let of = if let TypeKind::Array(element) = &ty.kind {
                (**element).clone()
            } else {
                unknown()
            };
            write_items(out, "ARRAY", items.iter().map(|item| (item, of.clone())), typed);
        }
        Scalar::Map(entries) => {
            let (key, of) = match &ty.kind {
                TypeKind::Map(key, value) => ((**key).clone(), (**value).clone()),
                TypeKind::Multiset(element) => ((**element).clone(), LogicalType::not_null(TypeKind::Int)),
                _ => (unknown(), unknown()),
            };
            let items = entries
                .iter()
                .flat_map(|(k, v)| [(k, key.clone()), (v, of.clone())]);
            write_items(out, "MAP", items, typed);
        }
        Scalar::Row(items) => {
            let fields: &[RowField] = if let TypeKind::Row(fields) = &ty.kind {
                fields
            } else {
                &[]
            };
            let of = |i: usize| fields.get(i).map_or_else(unknown, |field| field.ty.clone());
            write_items(
                out,
                "ROW",
                items.iter().enumerate().map(|(i, item)| (item, of(i))),
                typed,
            );
        }
    }
}

fn write_items<'s>(
    out: &mut String,
    name: &str,
    items: impl Iterator<Item = (&'s Scalar, LogicalType)>,
    typed: bool,
) {
    out.push_str(name);
    out.push('(');
    for (i, (item, ty)) in items.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_literal(out, item, &ty, typed);
    }
    out.push(')');
}

/// The type of a value whose type is unknown here; prints nothing beyond the value.
fn unknown() -> LogicalType {
    LogicalType::not_null(TypeKind::Null)
}

fn put(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

fn write_date(out: &mut String, days: i64) {
    let (year, month, day) = civil_from_days(days);
    put(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

fn write_time(out: &mut String, nanos: i128) {
    let seconds = nanos.div_euclid(NANOS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    put(out, format_args!("{hour:02}:{minute:02}:{second:02}"));
    let fraction = nanos.rem_euclid(NANOS_PER_SECOND);
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        put(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

fn write_timestamp(out: &mut String, nanos: i128) {
    let per_day = NANOS_PER_SECOND * i128::from(SECONDS_PER_DAY);
    write_date(out, i64::try_from(nanos.div_euclid(per_day)).unwrap_or(i64::MAX));
    out.push(' ');
    write_time(out, nanos.rem_euclid(per_day));
}

/// A type by its SQL standard name, such as `INTEGER ARRAY`; `full` adds the character set of strings.
pub fn type_name(ty: &LogicalType, full: bool) -> String {
    let mut name = kind_name(&ty.kind, full);
    if full && !ty.nullable {
        name.push_str(" NOT NULL");
    }
    name
}

fn kind_name(kind: &TypeKind, full: bool) -> String {
    let text = |name: String| {
        if full {
            format!("{name} CHARACTER SET \"UTF-16LE\"")
        } else {
            name
        }
    };
    match kind {
        TypeKind::Char(n) => text(format!("CHAR({n})")),
        TypeKind::Varchar(n) => text(format!("VARCHAR({n})")),
        TypeKind::Varbinary(n) => format!("VARBINARY({n})"),
        TypeKind::Int => "INTEGER".to_owned(),
        TypeKind::Timestamp { precision, attribute } => {
            format!("TIMESTAMP({precision}){}", indicator(*attribute))
        }
        TypeKind::TimestampLtz {
            precision,
            attribute: TimeAttribute::None,
        } => {
            format!("TIMESTAMP_WITH_LOCAL_TIME_ZONE({precision})")
        }
        TypeKind::TimestampLtz { precision, attribute } => {
            format!("TIMESTAMP_LTZ({precision}){}", indicator(*attribute))
        }
        // Calcite omits the precisions of intervals: INTERVAL DAY TO SECOND.
        TypeKind::IntervalYearMonth(_) | TypeKind::IntervalDayTime(_) => {
            without_precisions(&kind.to_string())
        }
        TypeKind::Array(element) => format!("{} ARRAY", type_name(element, full)),
        TypeKind::Multiset(element) => format!("{} MULTISET", type_name(element, full)),
        TypeKind::Map(key, value) => format!("({}, {}) MAP", type_name(key, full), type_name(value, full)),
        TypeKind::Row(fields) => record(fields.iter().map(|field| (field.name.as_str(), &field.ty)), full),
        other => other.to_string(),
    }
}

fn indicator(attribute: TimeAttribute) -> &'static str {
    match attribute {
        TimeAttribute::None => "",
        TimeAttribute::Rowtime => " *ROWTIME*",
        TimeAttribute::Proctime => " *PROCTIME*",
    }
}

/// `RecordType(INTEGER a, BIGINT b)`
pub fn record<'f>(fields: impl Iterator<Item = (&'f str, &'f LogicalType)>, full: bool) -> String {
    let fields: Vec<String> = fields
        .map(|(name, ty)| format!("{} {name}", type_name(ty, full)))
        .collect();
    format!("RecordType({})", fields.join(", "))
}

fn without_precisions(text: &str) -> String {
    let mut depth = 0;
    let mut kept = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

/// A duration in the largest unit that leaves no remainder: `10 s`, `1 h`.
pub fn duration(ms: i64) -> String {
    let (length, unit, _) = largest_unit(ms);
    format!("{length} {unit}")
}

/// A duration as an interval literal: `5000:INTERVAL SECOND`.
pub fn interval(ms: i64) -> String {
    let resolution = largest_unit(ms).2;
    literal(
        &Scalar::IntervalDayTime(ms),
        &LogicalType::not_null(TypeKind::IntervalDayTime(resolution)),
        false,
    )
}

fn largest_unit(ms: i64) -> (i64, &'static str, DayTimeResolution) {
    let units = [
        (MS_PER_DAY, "d", DayTimeResolution::Day),
        (MS_PER_HOUR, "h", DayTimeResolution::Hour),
        (MS_PER_MINUTE, "min", DayTimeResolution::Minute),
        (MS_PER_SECOND, "s", DayTimeResolution::Second),
    ];
    let fits = units.into_iter().find(|(unit, ..)| ms != 0 && ms % unit == 0);
    fits.map_or(
        (ms, "ms", DayTimeResolution::Second),
        |(unit, name, resolution)| (ms / unit, name, resolution),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_and_without_types() {
        let second = LogicalType::not_null(TypeKind::IntervalDayTime(DayTimeResolution::DayToSecond));
        let cases = [
            (Scalar::Int(7), LogicalType::not_null(TypeKind::Int), "7", "7"),
            (
                Scalar::BigInt(7),
                LogicalType::not_null(TypeKind::BigInt),
                "7",
                "7:BIGINT",
            ),
            (
                Scalar::Null,
                LogicalType::STRING,
                "null:VARCHAR(2147483647)",
                "null:VARCHAR(2147483647) CHARACTER SET \"UTF-16LE\"",
            ),
            (
                Scalar::String("it's".to_owned()),
                LogicalType::not_null(TypeKind::Char(4)),
                "'it''s'",
                "_UTF-16LE'it''s'",
            ),
            (
                Scalar::Decimal(150),
                LogicalType::not_null(TypeKind::Decimal {
                    precision: 3,
                    scale: 2,
                }),
                "1.50",
                "1.50:DECIMAL(3, 2)",
            ),
            (
                Scalar::Double(1.5),
                LogicalType::not_null(TypeKind::Double),
                "1.5E0",
                "1.5E0:DOUBLE",
            ),
            (
                Scalar::IntervalDayTime(5000),
                second,
                "5000:INTERVAL DAY TO SECOND",
                "5000:INTERVAL DAY TO SECOND",
            ),
            (
                Scalar::Date(5306),
                LogicalType::not_null(TypeKind::Date),
                "1984-07-12",
                "1984-07-12",
            ),
            (
                Scalar::Timestamp(458_490_864_120_000_000),
                LogicalType::not_null(TypeKind::Timestamp {
                    precision: 3,
                    attribute: TimeAttribute::None,
                }),
                "1984-07-12 14:34:24.12",
                "1984-07-12 14:34:24.12",
            ),
        ];
        for (value, ty, plain, typed) in cases {
            assert_eq!(literal(&value, &ty, false), plain);
            assert_eq!(literal(&value, &ty, true), typed);
        }
    }

    #[test]
    fn durations_take_the_largest_unit() {
        let texts: Vec<String> = [0, 250, 10_000, 90_000, 900_000, 3_600_000, 172_800_000]
            .map(duration)
            .into();
        assert_eq!(texts, ["0 ms", "250 ms", "10 s", "90 s", "15 min", "1 h", "2 d"]);
        assert_eq!(interval(900_000), "900000:INTERVAL MINUTE");
    }

    #[test]
    fn nested_types_by_their_standard_names() {
        let int = LogicalType::not_null(TypeKind::Int);
        let row = TypeKind::Row(vec![RowField {
            name: "a".to_owned(),
            ty: int,
            description: None,
        }]);
        let array = LogicalType::not_null(TypeKind::Array(Box::new(LogicalType::not_null(row))));
        assert_eq!(type_name(&array, false), "RecordType(INTEGER a) ARRAY");
        assert_eq!(
            type_name(&array, true),
            "RecordType(INTEGER NOT NULL a) NOT NULL ARRAY NOT NULL"
        );
    }
}
