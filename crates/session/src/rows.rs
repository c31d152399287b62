//! Result rows before rendering: text for people, JSON for programs.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use millstream_types::calendar::civil_from_days;
use millstream_types::java_text;
use millstream_types::{Batch, LogicalType, RowKind, Scalar, Schema, TypeKind};
use serde_json::{Map, Number, Value};

use crate::result::TextRows;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A part of a query's result, in columns.
#[derive(Clone, Debug)]
pub struct ResultRows {
    pub(crate) schema: Schema,
    pub(crate) batch: Batch,
    pub(crate) zone: TimeZone,
}

impl ResultRows {
    pub fn len(&self) -> usize {
        self.batch.rows
    }

    pub fn is_empty(&self) -> bool {
        self.batch.rows == 0
    }

    pub fn kind(&self, row: usize) -> RowKind {
        self.batch.kind(row)
    }

    /// Splits into the first `rows` rows and the rest.
    pub fn split_at(&self, rows: usize) -> (Self, Self) {
        let part = |offset, length| Self {
            schema: self.schema.clone(),
            batch: self.batch.slice(offset, length),
            zone: self.zone.clone(),
        };
        let rows = rows.min(self.len());
        (part(0, rows), part(rows, self.len() - rows))
    }

    /// The rows as Flink's SQL Client prints them (`rowFormat=PLAIN_TEXT`).
    pub fn texts(&self) -> TextRows {
        TextRows::new(&self.schema, self.batch.clone(), &self.zone)
    }

    /// The fields of a row as Flink's SQL Gateway writes them (`rowFormat=JSON`).
    pub fn json(&self, row: usize) -> Vec<Value> {
        let columns = self.schema.types().zip(&self.batch.columns);
        columns
            .map(|(ty, column)| json_value(ty, &Scalar::from_array(ty, column, row), &self.zone))
            .collect()
    }
}

/// A value in the JSON form of Flink's SQL Gateway.
fn json_value(ty: &LogicalType, value: &Scalar, zone: &TimeZone) -> Value {
    match value {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::TinyInt(value) => Value::from(*value),
        Scalar::SmallInt(value) => Value::from(*value),
        Scalar::Int(value) | Scalar::IntervalYearMonth(value) => Value::from(*value),
        Scalar::BigInt(value) | Scalar::IntervalDayTime(value) => Value::from(*value),
        Scalar::Float(value) => number(printed(|out| java_text::write_float(out, *value))),
        Scalar::Double(value) => number(printed(|out| java_text::write_double(out, *value))),
        Scalar::Decimal(unscaled) => number(printed(|out| {
            java_text::write_decimal_plain(out, *unscaled, scale(ty))
        })),
        Scalar::String(text) => Value::String(text.clone()),
        Scalar::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Scalar::Date(days) => Value::String(date_text(i64::from(*days))),
        Scalar::Time(ms) => Value::String(time_text(i128::from(*ms) * 1_000_000)),
        Scalar::Timestamp(nanos) => Value::String(timestamp_text(ty, *nanos, zone)),
        Scalar::Array(items) => match &ty.kind {
            TypeKind::Array(element) => items.iter().map(|item| json_value(element, item, zone)).collect(),
            _ => Value::Null,
        },
        Scalar::Map(entries) => json_entries(ty, entries, zone),
        Scalar::Row(values) => match &ty.kind {
            TypeKind::Row(fields) => {
                let members = fields.iter().zip(values);
                let member = |(field, value): (&millstream_types::RowField, &Scalar)| {
                    (field.name.clone(), json_value(&field.ty, value, zone))
                };
                Value::Object(members.map(member).collect())
            }
            _ => Value::Null,
        },
    }
}

/// MAP and MULTISET become objects with text keys.
fn json_entries(ty: &LogicalType, entries: &[(Scalar, Scalar)], zone: &TimeZone) -> Value {
    let count = LogicalType::not_null(TypeKind::Int);
    let (key_type, value_type) = match &ty.kind {
        TypeKind::Map(key, value) => (key.as_ref(), value.as_ref()),
        TypeKind::Multiset(element) => (element.as_ref(), &count),
        _ => return Value::Null,
    };
    let mut object = Map::new();
    for (key, value) in entries {
        let key = match json_value(key_type, key, zone) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        object.insert(key, json_value(value_type, value, zone));
    }
    Value::Object(object)
}

/// A number with the digits that Java prints. NaN and infinities are strings because JSON cannot represent them.
fn number(text: String) -> Value {
    text.parse::<Number>().map_or(Value::String(text), Value::Number)
}

fn scale(ty: &LogicalType) -> u8 {
    match ty.kind {
        TypeKind::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

fn printed(write: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    write(&mut text);
    text
}

fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `HH:mm:ss` with as many fraction digits as necessary.
fn time_text(nanos_of_day: i128) -> String {
    let seconds = i64::try_from(nanos_of_day / NANOS_PER_SECOND).unwrap_or(0);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    let fraction = nanos_of_day % NANOS_PER_SECOND;
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        // Writing to a String cannot fail.
        _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text
}

/// A timestamp in ISO 8601. TIMESTAMP_LTZ is shifted to the session's time zone but still ends in `Z`, as in Flink.
fn timestamp_text(ty: &LogicalType, nanos: i128, zone: &TimeZone) -> String {
    let (shown, suffix) = match ty.kind {
        TypeKind::TimestampLtz { .. } => (nanos + zone_offset_nanos(nanos, zone), "Z"),
        _ => (nanos, ""),
    };
    let day_nanos = NANOS_PER_SECOND * i128::from(SECONDS_PER_DAY);
    let days = i64::try_from(shown.div_euclid(day_nanos)).unwrap_or(0);
    format!(
        "{}T{}{suffix}",
        date_text(days),
        time_text(shown.rem_euclid(day_nanos))
    )
}

fn zone_offset_nanos(nanos: i128, zone: &TimeZone) -> i128 {
    // Instants outside of jiff's range (years -9999 to 9999) have no offset in the zone's rules.
    let seconds =
        jiff::Timestamp::from_nanosecond(nanos).map_or(0, |instant| zone.to_offset(instant).seconds());
    i128::from(seconds) * NANOS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ty: LogicalType, value: Scalar) -> String {
        json_value(&ty, &value, &TimeZone::UTC).to_string()
    }

    #[test]
    fn values_are_written_as_flink_writes_them() {
        let cases = [
            (
                shown(LogicalType::decimal(9, 6), Scalar::Decimal(123_456_789)),
                "123.456789",
            ),
            (shown(LogicalType::decimal(3, 2), Scalar::Decimal(-5)), "-0.05"),
            (shown(LogicalType::DOUBLE, Scalar::Double(f64::NAN)), "\"NaN\""),
            (shown(LogicalType::DATE, Scalar::Date(7_591)), "\"1990-10-14\""),
            (
                shown(
                    LogicalType::timestamp_ltz(9),
                    Scalar::Timestamp(655_906_363_123_456_789),
                ),
                "\"1990-10-14T12:12:43.123456789Z\"",
            ),
            (shown(LogicalType::STRING, Scalar::Null), "null"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn instants_are_shifted_to_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let found = json_value(&LogicalType::timestamp_ltz(3), &Scalar::Timestamp(0), &zone);
        assert_eq!(found, Value::from("1970-01-01T02:00:00Z"));
    }
}
