//! Data types as they were spelled.

use std::fmt::Write as _;

use super::Printer;
use crate::parse::ast::{DataType, DataTypeKind, RowField, TimeZoneRule};

impl Printer {
    pub(super) fn data_type(&mut self, data_type: &DataType) {
        self.data_type_kind(&data_type.kind);
        match data_type.nullable {
            Some(false) => self.push(" NOT NULL"),
            Some(true) => self.push(" NULL"),
            None => {}
        }
    }

    fn data_type_kind(&mut self, kind: &DataTypeKind) {
        match kind {
            DataTypeKind::Boolean => self.push("BOOLEAN"),
            DataTypeKind::TinyInt => self.push("TINYINT"),
            DataTypeKind::SmallInt => self.push("SMALLINT"),
            DataTypeKind::Int => self.push("INTEGER"),
            DataTypeKind::BigInt => self.push("BIGINT"),
            DataTypeKind::Float => self.push("FLOAT"),
            DataTypeKind::Real => self.push("REAL"),
            DataTypeKind::Double => self.push("DOUBLE"),
            DataTypeKind::Decimal { precision, scale } => self.decimal(*precision, *scale),
            DataTypeKind::Char { length } => self.with_length("CHAR", *length),
            DataTypeKind::VarChar { length } => self.with_length("VARCHAR", *length),
            DataTypeKind::String => self.push("STRING"),
            DataTypeKind::Binary { length } => self.with_length("BINARY", *length),
            DataTypeKind::VarBinary { length } => self.with_length("VARBINARY", *length),
            DataTypeKind::Bytes => self.push("BYTES"),
            DataTypeKind::Date => self.push("DATE"),
            DataTypeKind::Time { precision, zone } => {
                self.with_length("TIME", *precision);
                self.zone(*zone);
            }
            DataTypeKind::Timestamp { precision, zone } => {
                self.with_length("TIMESTAMP", *precision);
                self.zone(*zone);
            }
            DataTypeKind::TimestampLtz { precision } => self.with_length("TIMESTAMP_LTZ", *precision),
            DataTypeKind::Interval(qualifier) => {
                self.push("INTERVAL ");
                self.interval_qualifier(qualifier);
            }
            DataTypeKind::Variant => self.push("VARIANT"),
            DataTypeKind::Bitmap => self.push("BITMAP"),
            DataTypeKind::Null => self.push("NULL"),
            DataTypeKind::Named(name) => self.name(name),
            _ => self.composite_type(kind),
        }
    }

    fn composite_type(&mut self, kind: &DataTypeKind) {
        match kind {
            DataTypeKind::Array(element) => self.element_type("ARRAY< ", element),
            DataTypeKind::Multiset(element) => self.element_type("MULTISET< ", element),
            DataTypeKind::Map { key, value } => {
                self.push("MAP< ");
                self.data_type(key);
                self.element_type(", ", value);
            }
            DataTypeKind::Row(fields) if fields.is_empty() => self.push("ROW<>"),
            DataTypeKind::Row(fields) => {
                self.push("ROW< ");
                self.list(fields, ", ", Self::row_field);
                self.push(" >");
            }
            DataTypeKind::Structured { class, fields } => {
                self.push("STRUCTURED<");
                self.string(&class.value);
                for field in fields {
                    self.push(", ");
                    self.row_field(field);
                }
                self.push(">");
            }
            DataTypeKind::Raw { class, serializer } => {
                self.push("RAW(");
                self.string(&class.value);
                self.push(", ");
                self.string(&serializer.value);
                self.push(")");
            }
            _ => {}
        }
    }

    fn element_type(&mut self, start: &str, element: &DataType) {
        self.push(start);
        self.data_type(element);
        self.push(" >");
    }

    fn row_field(&mut self, field: &RowField) {
        self.identifier(&field.name);
        self.push(" ");
        self.data_type(&field.data_type);
        self.optional(" ", field.comment.as_ref(), |printer, comment| {
            printer.string(&comment.value)
        });
    }

    fn with_length(&mut self, word: &str, length: Option<u32>) {
        self.push(word);
        if let Some(length) = length {
            let _ = write!(self.text, "({length})");
        }
    }

    fn decimal(&mut self, precision: Option<u32>, scale: Option<i32>) {
        self.push("DECIMAL");
        let _ = match (precision, scale) {
            (Some(precision), Some(scale)) => write!(self.text, "({precision}, {scale})"),
            (Some(precision), None) => write!(self.text, "({precision})"),
            (None, _) => Ok(()),
        };
    }

    fn zone(&mut self, zone: TimeZoneRule) {
        self.push(match zone {
            TimeZoneRule::Without => "",
            TimeZoneRule::With => " WITH TIME ZONE",
            TimeZoneRule::WithLocal => " WITH LOCAL TIME ZONE",
        });
    }
}
