//! The decoder of format `csv`.

use arrow_buffer::Buffer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use millstream_types::{LogicalType, Schema, TypeKind};

use super::CsvOptions;
use super::line::{Field, split};
use crate::column::{ColumnBuilder, Nested, Values, finish_all};
use crate::json::number;
use crate::temporal::{self, TimestampStandard};
use crate::{DecodeError, Decoded, Decoder, FormatError, MessageRange, Subject, ValueError};

/// Decodes lines into the columns of a schema.
pub struct CsvDecoder {
    options: CsvOptions,
    columns: Vec<ColumnBuilder>,
    /// Position in the line of each column.
    positions: Vec<usize>,
    names: Vec<String>,
    /// Columns that a line should have.
    arity: usize,
}

impl CsvDecoder {
    /// A decoder for the columns of `schema`, which are found by name in `all`, the layout of a line.
    pub fn new(options: CsvOptions, schema: &Schema, all: &Schema) -> Result<Self, FormatError> {
        let position = |name: &str| {
            all.index_of(name)
                .ok_or_else(|| FormatError::NotInLine(name.to_owned()))
        };
        let positions: Result<Vec<_>, _> = schema.columns.iter().map(|c| position(&c.name)).collect();
        Ok(Self {
            options,
            columns: schema.types().map(ColumnBuilder::new).collect(),
            positions: positions?,
            names: schema.columns.iter().map(|c| c.name.clone()).collect(),
            arity: all.len(),
        })
    }

    /// Decodes a line; `Ok(false)` when it holds no row (a comment).
    fn line(&mut self, bytes: &[u8]) -> Result<bool, ValueError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ValueError::Utf8)?;
        let line = text.trim_end_matches(['\r', '\n']);
        if self.options.allow_comments && line.starts_with('#') {
            return Ok(false);
        }
        let mut fields = Vec::new();
        split(line, &self.options, &mut fields)?;
        self.check_arity(&fields)?;
        for ((column, position), name) in self.columns.iter_mut().zip(&self.positions).zip(&self.names) {
            let rows = column.len();
            let outcome = match fields.get(*position) {
                None => {
                    column.push_null();
                    Ok(())
                }
                Some(field) => value(field, column, &self.options),
            };
            if let Err(reason) = outcome {
                if !self.options.ignore_parse_errors {
                    return Err(ValueError::Field {
                        name: name.as_str().into(),
                        reason: Box::new(reason),
                    });
                }
                column.truncate(rows);
                column.push_null();
            }
        }
        Ok(true)
    }

    fn check_arity(&self, fields: &[Field<'_>]) -> Result<(), ValueError> {
        let found = fields.len();
        if found > self.arity && !self.options.ignore_trailing {
            let surplus = &fields[self.arity];
            let only_trailing = found == self.arity + 1 && surplus.text.is_empty() && !surplus.quoted;
            if !(only_trailing && self.options.allow_trailing_comma) {
                return Err(ValueError::TooManyFields {
                    expected: self.arity,
                    surplus: surplus.text.as_ref().into(),
                });
            }
        }
        if found < self.arity {
            if self.options.fail_on_missing {
                return Err(ValueError::TooFewFields {
                    expected: self.arity,
                    found,
                });
            }
            let (expected, present) = if self.options.checks_read_columns {
                let present = self.positions.iter().filter(|position| **position < found);
                (self.positions.len(), present.count())
            } else {
                (self.arity, found)
            };
            // A line of a file that has none of the columns is a row of NULLs.
            if present > 0 && present < expected && !self.options.ignore_parse_errors {
                return Err(ValueError::RowLength {
                    expected,
                    found: present,
                });
            }
        }
        Ok(())
    }
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        let mut origins = Vec::with_capacity(messages.len());
        for (index, range) in messages.iter().enumerate() {
            let Some(bytes) = range.slice(data) else { continue };
            let rows = origins.len();
            match self.line(bytes) {
                Ok(true) => origins.push(index as u32),
                Ok(false) => {}
                Err(_) if self.options.ignore_parse_errors => {
                    self.columns.iter_mut().for_each(|c| c.truncate(rows))
                }
                Err(reason) => {
                    self.columns.iter_mut().for_each(|c| c.truncate(0));
                    return Err(DecodeError {
                        message: index,
                        subject: Some(Subject::csv_row(bytes)),
                        reason,
                    });
                }
            }
        }
        let rows = origins.len();
        let columns = finish_all(&mut self.columns)?;
        Ok(Decoded {
            columns,
            rows,
            kinds: None,
            messages: (rows != messages.len()).then_some(origins),
        })
    }
}

fn value(field: &Field<'_>, column: &mut ColumnBuilder, options: &CsvOptions) -> Result<(), ValueError> {
    let text = field.text.as_ref();
    // In an ARRAY the literal stands for an element.
    let is_list = matches!(column.values, Values::List(_));
    let is_literal = options.null_literal.as_deref() == Some(text) && !is_list;
    let is_null = is_literal || (options.empty_as_null && text.is_empty());
    if is_null {
        column.push_null();
        return Ok(());
    }
    convert(text, column, options)
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, ValueError> {
    text.trim().parse().map_err(|_| ValueError::Number(text.into()))
}

fn convert(text: &str, column: &mut ColumnBuilder, options: &CsvOptions) -> Result<(), ValueError> {
    let wrong = |expected| ValueError::Text {
        text: text.into(),
        expected,
    };
    match &mut column.values {
        Values::String(texts) => texts.push(text.as_bytes()),
        Values::Binary(texts) => texts.push(&BASE64.decode(text).map_err(|_| wrong("Base64 text"))?),
        Values::Boolean(slots) => slots.push(text.trim().eq_ignore_ascii_case("true")),
        Values::I8(slots) => slots.push(parse(text)?),
        Values::I16(slots) => slots.push(parse(text)?),
        Values::I32(slots) => slots.push(match column.ty.kind {
            TypeKind::Date => temporal::parse_lenient_date(text.as_bytes()).ok_or_else(|| wrong("a date"))?,
            TypeKind::Time(_) => {
                temporal::parse_time_of_minutes(text.as_bytes()).ok_or_else(|| wrong("a time"))?
            }
            _ => parse(text)?,
        }),
        Values::I64(slots) => slots.push(match timestamp_divisor(&column.ty) {
            None => parse(text)?,
            Some((divisor, utc)) => {
                let nanos = temporal::parse_timestamp(text.as_bytes(), TimestampStandard::Sql, utc);
                let units = nanos.and_then(|n| i64::try_from(n.div_euclid(divisor)).ok());
                units.ok_or_else(|| wrong("a timestamp"))?
            }
        }),
        Values::I128(slots) => match column.ty.kind {
            TypeKind::Decimal { precision, scale } => match number::decimal(text.trim(), precision, scale) {
                Ok(Some(value)) => slots.push(value),
                Ok(None) => slots.push_null(),
                Err(_) => return Err(wrong("a decimal")),
            },
            _ => {
                let utc = matches!(column.ty.kind, TypeKind::TimestampLtz { .. });
                let nanos = temporal::parse_timestamp(text.as_bytes(), TimestampStandard::Sql, utc);
                slots.push(nanos.ok_or_else(|| wrong("a timestamp"))?);
            }
        },
        Values::F32(slots) => slots.push(parse(text)?),
        Values::F64(slots) => slots.push(parse(text)?),
        Values::List(nested) => list(text, nested, options)?,
        Values::Row(nested) => row(text, nested, options)?,
        Values::Map(_) => {
            return Err(ValueError::Type {
                format: "csv",
                ty: Box::new(column.ty.clone()),
            });
        }
        Values::Null(rows) => *rows += 1,
    }
    Ok(())
}

fn timestamp_divisor(ty: &LogicalType) -> Option<(i128, bool)> {
    let (precision, utc) = match ty.kind {
        TypeKind::Timestamp { precision, .. } => (precision, false),
        TypeKind::TimestampLtz { precision, .. } => (precision, true),
        _ => return None,
    };
    Some((if precision <= 3 { 1_000_000 } else { 1_000 }, utc))
}

fn list(text: &str, nested: &mut Nested, options: &CsvOptions) -> Result<(), ValueError> {
    let mut length = 0;
    if !text.is_empty() {
        for item in text.split(options.array_delimiter.as_str()) {
            value(
                &Field {
                    text: item.into(),
                    quoted: false,
                },
                &mut nested.children[0],
                options,
            )?;
            length += 1;
        }
    }
    nested.push_items(length);
    Ok(())
}

fn row(text: &str, nested: &mut Nested, options: &CsvOptions) -> Result<(), ValueError> {
    let items: Vec<&str> = text.split(options.array_delimiter.as_str()).collect();
    if items.len() != nested.children.len() {
        return Err(ValueError::RowLength {
            expected: nested.children.len(),
            found: items.len(),
        });
    }
    nested.open_row();
    for (item, child) in items.into_iter().zip(&mut nested.children) {
        value(
            &Field {
                text: item.into(),
                quoted: false,
            },
            child,
            options,
        )?;
    }
    Ok(())
}
