//! Data types.

use millstream_types::ErrorCode;

use super::{Parser, Result};
use crate::parse::ast::{DataType, DataTypeKind, RowField, TimeZoneRule};
use crate::parse::token::Sign;
use crate::parse::words;

/// Names of other systems, with the type that is meant.
const FOREIGN_TYPES: [(&str, &str); 27] = [
    ("TEXT", "STRING"),
    ("CLOB", "STRING"),
    ("JSON", "STRING"),
    ("UUID", "STRING"),
    ("NCHAR", "CHAR"),
    ("NVARCHAR", "VARCHAR"),
    ("VARCHAR2", "VARCHAR"),
    ("LONG", "BIGINT"),
    ("INT2", "SMALLINT"),
    ("INT4", "INT"),
    ("INT8", "BIGINT"),
    ("INT64", "BIGINT"),
    ("FLOAT4", "FLOAT"),
    ("FLOAT8", "DOUBLE"),
    ("FLOAT64", "DOUBLE"),
    ("BOOL", "BOOLEAN"),
    ("NUMBER", "DECIMAL"),
    ("BYTEA", "BYTES"),
    ("BLOB", "BYTES"),
    ("MEDIUMINT", "INT"),
    ("SERIAL", "INT"),
    ("DATETIME", "TIMESTAMP(3)"),
    ("DATETIME2", "TIMESTAMP(3)"),
    ("TIMESTAMP_NTZ", "TIMESTAMP"),
    ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"),
    ("TIMESTAMPTZ", "TIMESTAMP_LTZ"),
    ("STRUCT", "ROW"),
];

/// Words that begin a data type.
#[rustfmt::skip]
const TYPE_WORDS: [&str; 32] = [
    "ARRAY", "BIGINT", "BINARY", "BITMAP", "BOOLEAN", "BYTES", "CHAR", "CHARACTER",
    "DATE", "DEC", "DECIMAL", "DOUBLE", "FLOAT", "INT", "INTEGER", "INTERVAL",
    "MULTISET", "NULL", "NUMERIC", "RAW", "REAL", "ROW", "SMALLINT", "STRING",
    "STRUCTURED", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ", "TINYINT", "VARBINARY", "VARCHAR", "VARIANT",
];

impl Parser<'_> {
    /// A type with suffixes (`INT ARRAY`) and nullability.
    pub(in crate::parse) fn data_type(&mut self) -> Result<DataType> {
        self.nested(Self::data_type_unguarded)
    }

    fn data_type_unguarded(&mut self) -> Result<DataType> {
        let start = self.span();
        let kind = self.type_name()?;
        let mut data_type = DataType {
            kind,
            nullable: None,
            span: self.span_from(start),
        };
        loop {
            let nullable = self.nullability();
            let is_collection = self.is_word("ARRAY") || self.is_word("MULTISET");
            if nullable.is_some() {
                data_type.nullable = nullable;
                data_type.span = self.span_from(start);
            }
            if !is_collection {
                return Ok(data_type);
            }
            self.grow()?;
            let is_array = self.eat_word("ARRAY");
            if !is_array {
                self.expect_word("MULTISET")?;
            }
            let element = Box::new(data_type);
            let kind = if is_array {
                DataTypeKind::Array(element)
            } else {
                DataTypeKind::Multiset(element)
            };
            data_type = DataType {
                kind,
                nullable: None,
                span: self.span_from(start),
            };
        }
    }

    /// `[NULL | NOT NULL]`.
    fn nullability(&mut self) -> Option<bool> {
        if self.eat_words(&["NOT", "NULL"]) {
            return Some(false);
        }
        // `RETURNING INTEGER NULL ON EMPTY`: the NULL begins a clause.
        if self.is_words(&["NULL", "ON"]) {
            return None;
        }
        self.eat_word("NULL").then_some(true)
    }

    fn type_name(&mut self) -> Result<DataTypeKind> {
        let word = self.word().unwrap_or("").to_ascii_uppercase();
        if let Some(kind) = self.simple_type(&word)? {
            return Ok(kind);
        }
        match word.as_str() {
            "TIME" => {
                self.advance();
                let precision = self.length()?;
                Ok(DataTypeKind::Time {
                    precision,
                    zone: self.time_zone_rule()?,
                })
            }
            "TIMESTAMP" => {
                self.advance();
                let precision = self.length()?;
                Ok(DataTypeKind::Timestamp {
                    precision,
                    zone: self.time_zone_rule()?,
                })
            }
            "TIMESTAMP_LTZ" => {
                self.advance();
                Ok(DataTypeKind::TimestampLtz {
                    precision: self.length()?,
                })
            }
            "DEC" | "DECIMAL" | "NUMERIC" => self.decimal(),
            "INTERVAL" => {
                self.advance();
                self.interval_qualifier().map(DataTypeKind::Interval)
            }
            "ARRAY" | "MULTISET" | "MAP" | "ROW" | "STRUCTURED" | "RAW" => {
                self.nested(|parser| parser.composite_type(&word))
            }
            _ => self.named_type(&word),
        }
    }

    /// Types that are one word, perhaps with a length.
    fn simple_type(&mut self, word: &str) -> Result<Option<DataTypeKind>> {
        let kind = match word {
            "BOOLEAN" => DataTypeKind::Boolean,
            "TINYINT" => DataTypeKind::TinyInt,
            "SMALLINT" => DataTypeKind::SmallInt,
            "INT" | "INTEGER" => DataTypeKind::Int,
            "BIGINT" => DataTypeKind::BigInt,
            "FLOAT" => DataTypeKind::Float,
            "REAL" => DataTypeKind::Real,
            "DOUBLE" => {
                self.advance();
                self.eat_word("PRECISION");
                return Ok(Some(DataTypeKind::Double));
            }
            "STRING" => DataTypeKind::String,
            "BYTES" => DataTypeKind::Bytes,
            "DATE" => DataTypeKind::Date,
            "VARIANT" => DataTypeKind::Variant,
            "BITMAP" => DataTypeKind::Bitmap,
            "NULL" => DataTypeKind::Null,
            "CHAR" | "CHARACTER" | "VARCHAR" | "BINARY" | "VARBINARY" => {
                self.advance();
                let is_varying = word.starts_with("VAR") || self.eat_word("VARYING");
                let length = self.length()?;
                return Ok(Some(match (word.ends_with("BINARY"), is_varying) {
                    (true, true) => DataTypeKind::VarBinary { length },
                    (true, false) => DataTypeKind::Binary { length },
                    (false, true) => DataTypeKind::VarChar { length },
                    (false, false) => DataTypeKind::Char { length },
                }));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(kind))
    }

    /// `[(n)]`.
    fn length(&mut self) -> Result<Option<u32>> {
        if !self.eat_sign(Sign::LeftParen) {
            return Ok(None);
        }
        let length = self.unsigned_integer()?;
        self.expect_sign(Sign::RightParen)?;
        Ok(Some(length))
    }

    fn time_zone_rule(&mut self) -> Result<TimeZoneRule> {
        if self.eat_word("WITHOUT") {
            self.expect_words(&["TIME", "ZONE"])?;
            return Ok(TimeZoneRule::Without);
        }
        // WITH may belong to what follows the type.
        if self.is_words(&["WITH", "TIME", "ZONE"]) {
            self.expect_words(&["WITH", "TIME", "ZONE"])?;
            return Ok(TimeZoneRule::With);
        }
        if self.eat_words(&["WITH", "LOCAL", "TIME", "ZONE"]) {
            return Ok(TimeZoneRule::WithLocal);
        }
        Ok(TimeZoneRule::Without)
    }

    fn decimal(&mut self) -> Result<DataTypeKind> {
        self.advance();
        let (mut precision, mut scale) = (None, None);
        if self.eat_sign(Sign::LeftParen) {
            precision = Some(self.unsigned_integer()?);
            if self.eat_sign(Sign::Comma) {
                let negative = self.eat_sign(Sign::Minus);
                let span = self.span();
                let value = i32::try_from(self.unsigned_integer()?)
                    .map_err(|_| self.invalid(span, "the scale of a DECIMAL is too large"))?;
                scale = Some(if negative { -value } else { value });
            }
            self.expect_sign(Sign::RightParen)?;
        }
        Ok(DataTypeKind::Decimal { precision, scale })
    }

    fn composite_type(&mut self, word: &str) -> Result<DataTypeKind> {
        self.advance();
        match word {
            "ROW" => self.row_fields().map(DataTypeKind::Row),
            "RAW" => {
                self.expect_sign(Sign::LeftParen)?;
                let class = self.string_literal()?;
                self.expect_sign(Sign::Comma)?;
                let serializer = self.string_literal()?;
                self.expect_sign(Sign::RightParen)?;
                Ok(DataTypeKind::Raw { class, serializer })
            }
            "STRUCTURED" => {
                self.expect_sign(Sign::LessThan)?;
                let class = self.string_literal()?;
                let mut fields = Vec::new();
                while self.eat_sign(Sign::Comma) {
                    fields.push(self.row_field()?);
                }
                self.close_angle()?;
                Ok(DataTypeKind::Structured { class, fields })
            }
            "MAP" => {
                self.expect_sign(Sign::LessThan)?;
                let key = Box::new(self.data_type()?);
                self.expect_sign(Sign::Comma)?;
                let value = Box::new(self.data_type()?);
                self.close_angle()?;
                Ok(DataTypeKind::Map { key, value })
            }
            _ => {
                self.expect_sign(Sign::LessThan)?;
                let element = Box::new(self.data_type()?);
                self.close_angle()?;
                Ok(match word {
                    "ARRAY" => DataTypeKind::Array(element),
                    _ => DataTypeKind::Multiset(element),
                })
            }
        }
    }

    fn close_angle(&mut self) -> Result<()> {
        self.expect_sign(Sign::GreaterThan)
    }

    /// `<name type ['comment'], …>` or the same in parentheses; may be empty.
    fn row_fields(&mut self) -> Result<Vec<RowField>> {
        if self.is_sign(Sign::NotEquals) {
            self.advance();
            return Ok(Vec::new());
        }
        let closing = if self.eat_sign(Sign::LessThan) {
            Sign::GreaterThan
        } else {
            self.expect_sign(Sign::LeftParen)?;
            Sign::RightParen
        };
        if self.eat_sign(closing) {
            return Ok(Vec::new());
        }
        let fields = self.comma_separated(Self::row_field)?;
        self.expect_sign(closing)?;
        Ok(fields)
    }

    fn row_field(&mut self) -> Result<RowField> {
        let name = self.identifier()?;
        let data_type = self.data_type()?;
        let comment = self.eat_string()?;
        let span = self.span_from(name.span);
        Ok(RowField {
            name,
            data_type,
            comment,
            span,
        })
    }

    fn named_type(&mut self, word: &str) -> Result<DataTypeKind> {
        let is_qualified = self.is_sign_at(1, Sign::Dot);
        let meant = FOREIGN_TYPES.iter().find(|(foreign, _)| *foreign == word);
        if let Some((_, meant)) = meant.filter(|_| !is_qualified && self.word().is_some()) {
            let span = self.span();
            let message = format!("encountered the unknown data type '{}'", span.text(self.sql));
            let mut error = self.error(ErrorCode::UnknownType, span, message);
            error.hint = Some(format!("write {meant}"));
            return Err(error);
        }
        if !self.is_identifier_at(0) {
            return Err(self.unexpected_thing("a data type"));
        }
        self.object_name().map(DataTypeKind::Named)
    }

    /// Whether the current word can begin a data type, for telling columns with a type from bare names.
    pub(super) fn at_data_type(&self) -> bool {
        let Some(word) = self.word() else {
            return self.is_identifier_at(0);
        };
        is_type_word(word) || !words::is_reserved(word)
    }
}

/// Whether a word begins a data type, of Flink's or of another system's.
pub(super) fn is_type_word(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    TYPE_WORDS.contains(&upper.as_str()) || FOREIGN_TYPES.iter().any(|(foreign, _)| *foreign == upper)
}
