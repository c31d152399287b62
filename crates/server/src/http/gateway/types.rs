//! Logical types in the JSON form of Flink's REST API.

use millstream_types::logical_type::{DayTimeResolution, TimeAttribute, YearMonthResolution};
use millstream_types::{LogicalType, RowField, TypeKind};
use serde_json::{Value, json};

const DAY_PRECISION: u8 = 2;
const FRACTIONAL_PRECISION: u8 = 6;
const YEAR_PRECISION: u8 = 2;
/// Nesting of a type that is read.
const DEPTH_MAX: usize = 64;

/// A type as the gateway writes it.
pub fn logical_type_json(ty: &LogicalType) -> Value {
    let root = |name: &str| json!({"type": name, "nullable": ty.nullable});
    let with = |name: &str, members: Value| {
        let mut value = root(name);
        if let (Some(object), Value::Object(members)) = (value.as_object_mut(), members) {
            object.extend(members);
        }
        value
    };
    match &ty.kind {
        TypeKind::Char(length) => with("CHAR", json!({"length": length})),
        TypeKind::Varchar(length) => with("VARCHAR", json!({"length": length})),
        TypeKind::Binary(length) => with("BINARY", json!({"length": length})),
        TypeKind::Varbinary(length) => with("VARBINARY", json!({"length": length})),
        TypeKind::Boolean => root("BOOLEAN"),
        TypeKind::TinyInt => root("TINYINT"),
        TypeKind::SmallInt => root("SMALLINT"),
        TypeKind::Int => root("INTEGER"),
        TypeKind::BigInt => root("BIGINT"),
        TypeKind::Float => root("FLOAT"),
        TypeKind::Double => root("DOUBLE"),
        TypeKind::Decimal { precision, scale } => {
            with("DECIMAL", json!({"precision": precision, "scale": scale}))
        }
        TypeKind::Date => root("DATE"),
        TypeKind::Time(precision) => with("TIME_WITHOUT_TIME_ZONE", json!({"precision": precision})),
        TypeKind::Timestamp { precision, .. } => {
            with("TIMESTAMP_WITHOUT_TIME_ZONE", json!({"precision": precision}))
        }
        TypeKind::TimestampLtz { precision, .. } => {
            with("TIMESTAMP_WITH_LOCAL_TIME_ZONE", json!({"precision": precision}))
        }
        TypeKind::IntervalYearMonth(resolution) => with(
            "INTERVAL_YEAR_MONTH",
            json!({"precision": YEAR_PRECISION, "resolution": year_month(*resolution)}),
        ),
        TypeKind::IntervalDayTime(resolution) => with(
            "INTERVAL_DAY_TIME",
            json!({
                "precision": DAY_PRECISION,
                "fractionalPrecision": FRACTIONAL_PRECISION,
                "resolution": day_time(*resolution),
            }),
        ),
        TypeKind::Array(element) => with("ARRAY", json!({"elementType": logical_type_json(element)})),
        TypeKind::Multiset(element) => with("MULTISET", json!({"elementType": logical_type_json(element)})),
        TypeKind::Map(key, value) => with(
            "MAP",
            json!({"keyType": logical_type_json(key), "valueType": logical_type_json(value)}),
        ),
        TypeKind::Row(fields) => with(
            "ROW",
            json!({"fields": fields.iter().map(field).collect::<Vec<_>>()}),
        ),
        TypeKind::Null | TypeKind::Descriptor => json!({"type": "NULL"}),
        TypeKind::Variant => root("VARIANT"),
        TypeKind::Bitmap => root("BITMAP"),
        TypeKind::Raw { class, serializer } => with("RAW", json!({"class": class, "serializer": serializer})),
    }
}

fn field(field: &RowField) -> Value {
    let mut value = json!({"name": field.name, "fieldType": logical_type_json(&field.ty)});
    if let Some(description) = &field.description {
        value["description"] = json!(description);
    }
    value
}

const fn year_month(resolution: YearMonthResolution) -> &'static str {
    match resolution {
        YearMonthResolution::Year => "YEAR",
        YearMonthResolution::Month => "MONTH",
        YearMonthResolution::YearToMonth => "YEAR_TO_MONTH",
    }
}

const fn day_time(resolution: DayTimeResolution) -> &'static str {
    match resolution {
        DayTimeResolution::Day => "DAY",
        DayTimeResolution::DayToHour => "DAY_TO_HOUR",
        DayTimeResolution::DayToMinute => "DAY_TO_MINUTE",
        DayTimeResolution::DayToSecond => "DAY_TO_SECOND",
        DayTimeResolution::Hour => "HOUR",
        DayTimeResolution::HourToMinute => "HOUR_TO_MINUTE",
        DayTimeResolution::HourToSecond => "HOUR_TO_SECOND",
        DayTimeResolution::Minute => "MINUTE",
        DayTimeResolution::MinuteToSecond => "MINUTE_TO_SECOND",
        DayTimeResolution::Second => "SECOND",
    }
}

/// Reads a type that a gateway wrote; `None` if it is of no known form. Intervals are read as their widest resolution,
/// which prints the same.
pub fn logical_type_from_json(value: &Value) -> Option<LogicalType> {
    read(value, 0)
}

fn read(value: &Value, depth: usize) -> Option<LogicalType> {
    if depth > DEPTH_MAX {
        return None;
    }
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let length = || number("length").and_then(|n| u32::try_from(n).ok());
    let precision = || number("precision").and_then(|n| u8::try_from(n).ok());
    let inner = |name: &str| value.get(name).and_then(|ty| read(ty, depth + 1)).map(Box::new);
    let attribute = TimeAttribute::None;
    let kind = match value.get("type")?.as_str()? {
        "CHAR" => TypeKind::Char(length()?),
        "VARCHAR" => TypeKind::Varchar(length()?),
        "BINARY" => TypeKind::Binary(length()?),
        "VARBINARY" => TypeKind::Varbinary(length()?),
        "BOOLEAN" => TypeKind::Boolean,
        "TINYINT" => TypeKind::TinyInt,
        "SMALLINT" => TypeKind::SmallInt,
        "INTEGER" => TypeKind::Int,
        "BIGINT" => TypeKind::BigInt,
        "FLOAT" => TypeKind::Float,
        "DOUBLE" => TypeKind::Double,
        "DECIMAL" => TypeKind::Decimal {
            precision: precision()?,
            scale: number("scale").and_then(|n| u8::try_from(n).ok())?,
        },
        "DATE" => TypeKind::Date,
        "TIME_WITHOUT_TIME_ZONE" => TypeKind::Time(precision()?),
        "TIMESTAMP_WITHOUT_TIME_ZONE" => TypeKind::Timestamp {
            precision: precision()?,
            attribute,
        },
        "TIMESTAMP_WITH_LOCAL_TIME_ZONE" => TypeKind::TimestampLtz {
            precision: precision()?,
            attribute,
        },
        "INTERVAL_YEAR_MONTH" => TypeKind::IntervalYearMonth(YearMonthResolution::YearToMonth),
        "INTERVAL_DAY_TIME" => TypeKind::IntervalDayTime(DayTimeResolution::DayToSecond),
        "ARRAY" => TypeKind::Array(inner("elementType")?),
        "MULTISET" => TypeKind::Multiset(inner("elementType")?),
        "MAP" => TypeKind::Map(inner("keyType")?, inner("valueType")?),
        "ROW" => TypeKind::Row(
            value
                .get("fields")?
                .as_array()?
                .iter()
                .map(|field| {
                    Some(RowField {
                        name: field.get("name")?.as_str()?.to_owned(),
                        ty: read(field.get("fieldType")?, depth + 1)?,
                        description: None,
                    })
                })
                .collect::<Option<_>>()?,
        ),
        "NULL" => return Some(LogicalType::NULL),
        "VARIANT" => TypeKind::Variant,
        "BITMAP" => TypeKind::Bitmap,
        _ => return None,
    };
    Some(LogicalType {
        kind,
        nullable: value.get("nullable").and_then(Value::as_bool).unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_in_flinks_form_and_read_back() {
        let ty = LogicalType::row([
            ("a".to_owned(), LogicalType::decimal(9, 2)),
            (
                "b".to_owned(),
                LogicalType::map(LogicalType::STRING, LogicalType::array(LogicalType::INT)),
            ),
            ("c".to_owned(), LogicalType::timestamp_ltz(3)),
        ]);
        let json = logical_type_json(&ty);
        assert_eq!(
            json["fields"][0]["fieldType"],
            json!({"type": "DECIMAL", "nullable": true, "precision": 9, "scale": 2})
        );
        assert_eq!(logical_type_from_json(&json), Some(ty));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut json = json!({"type": "INTEGER", "nullable": true});
        for _ in 0..100 {
            json = json!({"type": "ARRAY", "nullable": true, "elementType": json});
        }
        assert_eq!(logical_type_from_json(&json), None);
    }
}
