//! The table that a topic's records suggest.
//!
//! If every value is a JSON object, its fields become columns, nested objects become ROW and lists ARRAY. Otherwise the
//! value is one column of text, or of bytes. A column is as wide as the samples demand, and what they disagree on is
//! text, which format `json` reads from any value. All columns allow NULL, because a later record may lack the field.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use millstream_types::limits::{INFERRED_DEPTH_MAX, INFERRED_FIELDS_MAX};
use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{LogicalType, Options};
use serde_json::{Map, Value};

use super::topics::SampledRecord;

/// The column of a value that is not JSON.
const VALUE_COLUMN: &str = "message";
/// The column of keys.
const KEY_COLUMN: &str = "message_key";

/// Columns and options of a table; the options do not name the topic and the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct InferredTable {
    pub columns: Vec<(String, LogicalType)>,
    pub options: Options,
}

/// The table over these records.
pub fn infer(records: &[SampledRecord]) -> InferredTable {
    let (mut columns, format, iso) = of_values(records);
    let key = of_keys(records, &columns);
    let mut options = Options::new();
    let mut put = |key: &str, value: &str| _ = options.insert(key.to_owned(), value.to_owned());
    let prefix = if key.is_some() { "value." } else { "" };
    put(&format!("{prefix}format"), format);
    if iso {
        put(&format!("{prefix}json.timestamp-format.standard"), "ISO-8601");
    }
    if let Some(ty) = key {
        put("key.format", "raw");
        put("key.fields", KEY_COLUMN);
        put("value.fields-include", "EXCEPT_KEY");
        columns.insert(0, (KEY_COLUMN.to_owned(), ty));
    }
    InferredTable { columns, options }
}

/// The columns of the values, their format, and whether its timestamps are those of ISO 8601.
fn of_values(records: &[SampledRecord]) -> (Vec<(String, LogicalType)>, &'static str, bool) {
    let values = || records.iter().filter_map(|(_, value)| value.as_deref());
    if let Some(Shape::Row(fields)) = object_shape(values())
        && !fields.is_empty()
        && fields.len() <= INFERRED_FIELDS_MAX
    {
        let standard = Standard::of(&fields);
        let column = |(name, shape): (String, Shape)| (name, shape.into_type(standard));
        return (
            fields.into_iter().map(column).collect(),
            "json",
            standard == Standard::Iso,
        );
    }
    let is_text = values().all(|value| std::str::from_utf8(value).is_ok());
    let ty = if is_text {
        LogicalType::STRING
    } else {
        LogicalType::BYTES
    };
    (vec![(VALUE_COLUMN.to_owned(), ty)], "raw", false)
}

/// The shape of all values together, if there are some and each is a JSON object.
fn object_shape<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Shape> {
    let mut shape: Option<Shape> = None;
    for value in values {
        let object: Map<String, Value> = serde_json::from_slice(value).ok()?;
        let found = Shape::of_object(&object, 1);
        shape = Some(match shape {
            None => found,
            Some(known) => known.with(found),
        });
    }
    shape
}

/// The type of the column of keys. There is none if records have no keys, or if keys repeat a field of the value.
fn of_keys(records: &[SampledRecord], columns: &[(String, LogicalType)]) -> Option<LogicalType> {
    let keys: Vec<&[u8]> = records.iter().filter_map(|(key, _)| key.as_deref()).collect();
    let is_taken = columns.iter().any(|(name, _)| name == KEY_COLUMN);
    if keys.is_empty() || is_taken || repeats_field(records) {
        return None;
    }
    let is_text = keys.iter().all(|key| std::str::from_utf8(key).is_ok());
    Some(if is_text {
        LogicalType::STRING
    } else {
        LogicalType::BYTES
    })
}

/// Whether one field of the values holds the key in every record.
fn repeats_field(records: &[SampledRecord]) -> bool {
    let mut fields: Option<BTreeSet<String>> = None;
    for (key, value) in records {
        let (Some(key), Some(value)) = (key, value) else {
            continue;
        };
        let (Ok(key), Ok(object)) = (
            std::str::from_utf8(key),
            serde_json::from_slice::<Map<String, Value>>(value),
        ) else {
            return false;
        };
        let same = object.iter().filter(|(_, value)| match value {
            Value::String(text) => text == key,
            Value::Number(number) => number.to_string() == key,
            _ => false,
        });
        let same: BTreeSet<String> = same.map(|(name, _)| name.clone()).collect();
        fields = Some(match fields {
            None => same,
            Some(known) => known.intersection(&same).cloned().collect(),
        });
    }
    fields.is_some_and(|fields| !fields.is_empty())
}

/// How timestamps are written; a table reads one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standard {
    Sql,
    Iso,
}

impl Standard {
    /// ISO 8601 if all timestamps are written so.
    fn of(fields: &[(String, Shape)]) -> Self {
        let (mut sql, mut iso) = (false, false);
        fields.iter().for_each(|(_, shape)| {
            shape.visit(&mut |standard| match standard {
                Standard::Sql => sql = true,
                Standard::Iso => iso = true,
            });
        });
        if iso && !sql { Standard::Iso } else { Standard::Sql }
    }
}

/// What the samples of one field have in common.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Null,
    Boolean,
    Integer,
    /// Beyond 64 bits.
    Large,
    Double,
    Date,
    Timestamp {
        standard: Standard,
        /// With a `Z`.
        zoned: bool,
        digits: u8,
    },
    Text,
    Array(Box<Shape>),
    Row(Vec<(String, Shape)>),
}

impl Shape {
    fn of(value: &Value, depth: usize) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) => number_shape(&number.to_string()),
            Value::String(text) => text_shape(text),
            Value::Array(_) | Value::Object(_) if depth >= INFERRED_DEPTH_MAX => Self::Text,
            Value::Array(items) => {
                let shapes = items.iter().map(|item| Self::of(item, depth + 1));
                Self::Array(Box::new(shapes.reduce(Self::with).unwrap_or(Self::Null)))
            }
            Value::Object(object) => Self::of_object(object, depth + 1),
        }
    }

    fn of_object(object: &Map<String, Value>, depth: usize) -> Self {
        let field = |(name, value): (&String, &Value)| (name.clone(), Self::of(value, depth));
        Self::Row(object.iter().map(field).collect())
    }

    /// What both are.
    fn with(self, other: Self) -> Self {
        use Shape::{Array, Double, Integer, Large, Null, Row, Timestamp};
        match (self, other) {
            (Null, shape) | (shape, Null) => shape,
            (Integer, Large) | (Large, Integer) => Large,
            (Integer | Large, Double) | (Double, Integer | Large) => Double,
            (Array(a), Array(b)) => Array(Box::new(a.with(*b))),
            (Row(a), Row(b)) => Row(merged(a, b)),
            (
                Timestamp {
                    standard,
                    zoned,
                    digits: a,
                },
                Timestamp {
                    standard: other_standard,
                    zoned: other_zoned,
                    digits: b,
                },
            ) if standard == other_standard && zoned == other_zoned => Timestamp {
                standard,
                zoned,
                digits: a.max(b),
            },
            (a, b) if a == b => a,
            _ => Self::Text,
        }
    }

    /// Calls `seen` with the way each timestamp is written.
    fn visit(&self, seen: &mut impl FnMut(Standard)) {
        match self {
            Self::Timestamp { standard, .. } => seen(*standard),
            Self::Array(element) => element.visit(seen),
            Self::Row(fields) => fields.iter().for_each(|(_, field)| field.visit(seen)),
            _ => {}
        }
    }

    fn into_type(self, standard: Standard) -> LogicalType {
        match self {
            Self::Boolean => LogicalType::BOOLEAN,
            Self::Integer => LogicalType::BIGINT,
            Self::Large => LogicalType::decimal(MAX_DECIMAL_PRECISION, 0),
            Self::Double => LogicalType::DOUBLE,
            Self::Date => LogicalType::DATE,
            Self::Timestamp {
                standard: written,
                zoned,
                digits,
            } if written == standard => {
                let precision = digits.div_ceil(3).max(1) * 3;
                if zoned {
                    LogicalType::timestamp_ltz(precision)
                } else {
                    LogicalType::timestamp(precision)
                }
            }
            Self::Array(element) => LogicalType::array(element.into_type(standard)),
            Self::Row(fields) if !fields.is_empty() && fields.len() <= INFERRED_FIELDS_MAX => {
                let field = |(name, shape): (String, Self)| (name, shape.into_type(standard));
                LogicalType::row(fields.into_iter().map(field))
            }
            Self::Null | Self::Text | Self::Timestamp { .. } | Self::Row(_) => LogicalType::STRING,
        }
    }
}

/// The fields of both, in the order in which they were first seen.
fn merged(mut fields: Vec<(String, Shape)>, others: Vec<(String, Shape)>) -> Vec<(String, Shape)> {
    for (name, shape) in others {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = std::mem::replace(known, Shape::Null).with(shape),
            None => fields.push((name, shape)),
        }
    }
    fields
}

fn number_shape(text: &str) -> Shape {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Shape::Double;
    }
    if text.parse::<i64>().is_ok() {
        return Shape::Integer;
    }
    if digits.len() <= usize::from(MAX_DECIMAL_PRECISION) {
        Shape::Large
    } else {
        Shape::Double
    }
}

/// `2024-02-29`, and `2024-02-29 12:00:00.123`, or with `T` between, each perhaps with `Z` behind.
fn text_shape(text: &str) -> Shape {
    const DATE: usize = "2024-02-29".len();
    const SECONDS: usize = "2024-02-29 12:00:00".len();
    let is_digit = |place: usize| text.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
    if !text.is_ascii() || text.len() < DATE || !is_digit(0) {
        return Shape::Text;
    }
    if text.len() == DATE {
        let is_date = text.parse::<Date>().is_ok() && &text[4..5] == "-";
        return if is_date { Shape::Date } else { Shape::Text };
    }
    let standard = match &text[DATE..=DATE] {
        " " => Standard::Sql,
        "T" => Standard::Iso,
        _ => return Shape::Text,
    };
    let (civil, zoned) = match text.strip_suffix('Z') {
        Some(civil) => (civil, true),
        None => (text, false),
    };
    let fraction = match civil.get(SECONDS..) {
        Some("") => "",
        Some(rest) => rest.strip_prefix('.').unwrap_or("?"),
        None => return Shape::Text,
    };
    let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_fraction || civil.parse::<DateTime>().is_err() {
        return Shape::Text;
    }
    Shape::Timestamp {
        standard,
        zoned,
        digits: u8::try_from(fraction.len()).unwrap_or(9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inferred columns and format of records, each a key and a value.
    fn inferred(records: &[(Option<&str>, &str)]) -> String {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        let records: Vec<SampledRecord> = records
            .iter()
            .map(|(key, value)| (key.and_then(bytes), bytes(value)))
            .collect();
        let table = infer(&records);
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|(name, ty)| format!("{name} {ty}"))
            .collect();
        let options: Vec<String> = table
            .options
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!("{} | {}", columns.join(", "), options.join(" "))
    }

    #[test]
    fn json_objects_give_typed_columns() {
        for (values, expected) in [
            (
                &[
                    r#"{"id": 1, "price": 2, "ok": true}"#,
                    r#"{"id": 2, "price": 2.5, "name": "x"}"#,
                ][..],
                "id BIGINT, price DOUBLE, ok BOOLEAN, name STRING | format=json",
            ),
            (
                &[r#"{"a": [1, 2], "b": {"c": {"d": "x"}, "e": null}, "f": {}}"#],
                "a ARRAY<BIGINT>, b ROW<`c` ROW<`d` STRING>, `e` STRING>, f STRING | format=json",
            ),
            (
                &[
                    r#"{"x": 1}"#,
                    r#"{"x": "one"}"#,
                    r#"{"x": null, "y": 18446744073709551615}"#,
                ],
                "x STRING, y DECIMAL(38, 0) | format=json",
            ),
            (
                &[r#"{"d": "2024-02-29", "t": "2024-02-29 12:00:00", "z": "2024-02-29 12:00:00.1234Z"}"#],
                "d DATE, t TIMESTAMP(3), z TIMESTAMP_LTZ(6) | format=json",
            ),
            (
                &[r#"{"t": "2024-02-29T12:00:00Z", "no": "2024-02-30", "off": "2024-02-29T12:00:00+01:00"}"#],
                "t TIMESTAMP_LTZ(3), no STRING, off STRING | format=json json.timestamp-format.standard=ISO-8601",
            ),
            (
                &[r#"{"a": "2024-02-29T12:00:00", "b": "2024-02-29 12:00:00"}"#],
                "a STRING, b TIMESTAMP(3) | format=json",
            ),
        ] {
            let records: Vec<(Option<&str>, &str)> = values.iter().map(|value| (None, *value)).collect();
            assert_eq!(inferred(&records), expected);
        }
    }

    #[test]
    fn other_values_are_one_column() {
        assert_eq!(inferred(&[]), "message STRING | format=raw");
        assert_eq!(
            inferred(&[(None, "a"), (None, "{}")]),
            "message STRING | format=raw"
        );
        assert_eq!(inferred(&[(None, "[1]")]), "message STRING | format=raw");
        let binary = infer(&[(None, Some(vec![0, 255]))]);
        assert_eq!(binary.columns, [(VALUE_COLUMN.to_owned(), LogicalType::BYTES)]);
    }

    #[test]
    fn keys_are_a_column_unless_the_value_repeats_them() {
        let keyed = inferred(&[(Some("k"), r#"{"id": 1}"#), (None, r#"{"id": 2}"#)]);
        assert_eq!(
            keyed,
            "message_key STRING, id BIGINT | key.fields=message_key key.format=raw value.fields-include=EXCEPT_KEY \
             value.format=json"
        );
        assert_eq!(
            inferred(&[(Some("1"), r#"{"id": 1}"#)]),
            "id BIGINT | format=json"
        );
    }
}
