//! The encoder of format `csv`.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use millstream_types::java_text::{write_decimal_plain, write_decimal_stripped, write_double, write_float};
use millstream_types::{Batch, LogicalType, Schema, TypeKind, timestamp_nanos};

use super::CsvOptions;
use crate::column::is_null;
use crate::error::ColumnError;
use crate::temporal::{TimestampStandard, write_date, write_time, write_timestamp};
use crate::{EncodeError, Encoded, Encoder, FormatError, additions_only};

/// Texts longer than this are quoted without a look at them (Jackson's `maxQuoteCheckChars`).
const QUOTE_CHECK_CHARS_MAX: usize = 24;

/// Encodes rows of a schema as lines, without line breaks.
pub struct CsvEncoder {
    options: CsvOptions,
    types: Vec<LogicalType>,
    text: String,
}

impl CsvEncoder {
    pub fn new(options: CsvOptions, schema: &Schema) -> Result<Self, FormatError> {
        let unsupported = |ty: &LogicalType| matches!(ty.kind, TypeKind::Map(..) | TypeKind::Multiset(_));
        if let Some(column) = schema.columns.iter().find(|c| unsupported(&c.ty)) {
            return Err(ColumnError::CsvMap {
                column: column.name.clone(),
                ty: column.ty.clone(),
            }
            .into());
        }
        Ok(Self {
            options,
            types: schema.types().cloned().collect(),
            text: String::new(),
        })
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        additions_only(batch, "csv")?;
        let mut delimiter = [0; 4];
        let delimiter = self.options.delimiter.encode_utf8(&mut delimiter).as_bytes();
        for row in 0..batch.rows {
            for (index, (ty, column)) in self.types.iter().zip(&batch.columns).enumerate() {
                if index > 0 {
                    out.data.extend_from_slice(delimiter);
                }
                self.text.clear();
                let quotable = value(&mut self.text, ty, column, row, &self.options)?;
                field(&mut out.data, &self.text, quotable, &self.options);
            }
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}

/// Appends the text of a value; whether it is text that may need quotes (numbers, booleans and NULL never do).
fn value(
    out: &mut String,
    ty: &LogicalType,
    array: &dyn Array,
    row: usize,
    options: &CsvOptions,
) -> Result<bool, EncodeError> {
    use std::fmt::Write;
    if is_null(array, row) {
        out.push_str(options.null_literal.as_deref().unwrap_or(""));
        return Ok(false);
    }
    let written = match &ty.kind {
        TypeKind::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        TypeKind::TinyInt => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        TypeKind::SmallInt => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        TypeKind::Int => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        TypeKind::BigInt => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        TypeKind::Float => {
            write_float(out, array.as_primitive::<Float32Type>().value(row));
            Ok(())
        }
        TypeKind::Double => {
            write_double(out, array.as_primitive::<Float64Type>().value(row));
            Ok(())
        }
        TypeKind::Decimal { scale, .. } => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(row);
            if options.strip_decimals {
                write_decimal_stripped(out, unscaled, *scale)
            } else {
                write_decimal_plain(out, unscaled, *scale)
            }
            Ok(())
        }
        _ => {
            text(out, ty, array, row, options)?;
            return Ok(true);
        }
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
    Ok(false)
}

fn text(
    out: &mut String,
    ty: &LogicalType,
    array: &dyn Array,
    row: usize,
    options: &CsvOptions,
) -> Result<(), EncodeError> {
    let mut bytes = Vec::new();
    match &ty.kind {
        TypeKind::Char(_) | TypeKind::Varchar(_) => out.push_str(array.as_string_view().value(row)),
        TypeKind::Binary(_) | TypeKind::Varbinary(_) => {
            BASE64.encode_string(array.as_binary_view().value(row), out);
        }
        TypeKind::Date => write_date(
            &mut bytes,
            i64::from(array.as_primitive::<Date32Type>().value(row)),
        ),
        TypeKind::Time(_) => {
            let millis = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
            write_time(&mut bytes, millis * 1_000_000);
        }
        TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
            let utc = matches!(ty.kind, TypeKind::TimestampLtz { .. });
            write_timestamp(
                &mut bytes,
                timestamp_nanos(array, row),
                TimestampStandard::Sql,
                utc,
            );
        }
        TypeKind::Array(element) => {
            let items = array.as_list::<i32>().value(row);
            for item in 0..items.len() {
                if item > 0 {
                    out.push_str(&options.array_delimiter);
                }
                value(out, element, &items, item, options)?;
            }
        }
        TypeKind::Row(fields) => {
            for (index, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if index > 0 {
                    out.push_str(&options.array_delimiter);
                }
                value(out, &field.ty, column, row, options)?;
            }
        }
        _ => {
            return Err(EncodeError::Type {
                format: "csv",
                ty: Box::new(ty.clone()),
            });
        }
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// Appends a field, quoted if it might need it.
fn field(out: &mut Vec<u8>, text: &str, quotable: bool, options: &CsvOptions) {
    let Some(quote) = options
        .quote
        .filter(|quote| quotable && needs_quotes(text, *quote, options))
    else {
        out.extend_from_slice(text.as_bytes());
        return;
    };
    let mut encoded = String::with_capacity(text.len() + 2);
    encoded.push(quote);
    for c in text.chars() {
        // A quote is doubled, and so is the escape character.
        if c == quote || Some(c) == options.escape {
            encoded.push(c);
        }
        encoded.push(c);
    }
    encoded.push(quote);
    out.extend_from_slice(encoded.as_bytes());
}

/// Jackson's loose check: any character up to the greatest of delimiter, quote and line break may need quotes, and so may
/// a backslash.
fn needs_quotes(text: &str, quote: char, options: &CsvOptions) -> bool {
    let unsafe_up_to = options.delimiter.max(quote).max('\n');
    text.encode_utf16().count() > QUOTE_CHECK_CHARS_MAX
        || text
            .chars()
            .any(|c| c <= unsafe_up_to || c == '\\' || Some(c) == options.escape)
}
