//! The encoder of format `json`: one object for each row.
//!
//! Text is what Jackson writes: no white space, characters beyond the basic plane as escaped surrogates, numbers in
//! Java's forms. Field names and the punctuation around them are laid out once.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType,
};
use arrow_array::{Array, ArrayRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use millstream_types::java_text::{write_decimal_plain, write_decimal_stripped, write_double, write_float};
use millstream_types::{Batch, LogicalType, Schema, TypeKind, timestamp_nanos};

use super::cells::{CellValues, Cells};
use super::{JsonOptions, MapNullKey};
use crate::column::is_null;
use crate::temporal::{write_date, write_time, write_timestamp, write_timestamp_millis};
use crate::{EncodeError, Encoded, Encoder, FormatError, additions_only};

/// Encodes rows of a schema as JSON objects.
pub struct JsonEncoder {
    options: JsonOptions,
    fields: Vec<Field>,
    scratch: String,
}

struct Field {
    /// `,"name":`
    label: Vec<u8>,
    ty: LogicalType,
}

impl JsonEncoder {
    pub fn new(options: JsonOptions, schema: &Schema) -> Result<Self, FormatError> {
        if options.map_null_key == MapNullKey::Unknown {
            return Err(FormatError::MapNullKeyMode(options.map_null_mode));
        }
        let fields = schema
            .columns
            .iter()
            .map(|c| Field {
                label: label(&c.name),
                ty: c.ty.clone(),
            })
            .collect();
        Ok(Self {
            options,
            fields,
            scratch: String::new(),
        })
    }
}

fn label(name: &str) -> Vec<u8> {
    let mut label = Vec::with_capacity(name.len() + 4);
    label.push(b',');
    write_string(&mut label, name);
    label.push(b':');
    label
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        additions_only(batch, "json")?;
        out.ends.reserve(batch.rows);
        let columns = self.cells(&batch.columns);
        for row in 0..batch.rows {
            self.object(&columns, row, &mut out.data)?;
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}

impl JsonEncoder {
    /// The columns of a batch, ready for [`JsonEncoder::object`].
    pub(super) fn cells<'a>(&self, columns: &'a [ArrayRef]) -> Vec<Cells<'a>> {
        let fields = self.fields.iter().zip(columns);
        fields
            .map(|(field, column)| Cells::new(&field.ty, column))
            .collect()
    }

    /// Appends one row as an object.
    pub(super) fn object(
        &mut self,
        columns: &[Cells<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        out.push(b'{');
        for (field, column) in self.fields.iter().zip(columns) {
            let null = column.is_null(row);
            if null && self.options.ignore_null_fields {
                continue;
            }
            // A label begins with the comma, which the first field does not want.
            let comma = usize::from(out.len() == start + 1);
            out.extend_from_slice(&field.label[comma..]);
            if null {
                out.extend_from_slice(b"null");
                continue;
            }
            let mut writer = Writer {
                options: &self.options,
                scratch: &mut self.scratch,
                out,
            };
            writer.cell(&field.ty, column, row)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// Writes values of any type; used by formats that wrap JSON rows too.
pub struct Writer<'a> {
    pub options: &'a JsonOptions,
    pub scratch: &'a mut String,
    pub out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// Appends a value of a top-level column that is not NULL.
    #[inline]
    fn cell(&mut self, ty: &LogicalType, column: &Cells<'_>, row: usize) -> Result<(), EncodeError> {
        match &column.values {
            CellValues::Text(texts) => write_string(self.out, texts.value(row)),
            CellValues::Boolean(values) => self.boolean(values.value(row)),
            CellValues::Int(values) => self.integer(i64::from(values[row])),
            CellValues::BigInt(values) => self.integer(values[row]),
            CellValues::Double(values) => {
                let value = values[row];
                self.number(value.is_finite(), |text| write_double(text, value));
            }
            CellValues::Millis { values, utc } => {
                self.out.push(b'"');
                write_timestamp_millis(self.out, values[row], self.options.standard, *utc);
                self.out.push(b'"');
            }
            CellValues::Other(array) => return self.value(ty, *array, row),
        }
        Ok(())
    }

    fn boolean(&mut self, value: bool) {
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.out.extend_from_slice(word);
    }

    /// Appends the value at `row` of a column of `ty`.
    pub fn value(&mut self, ty: &LogicalType, array: &dyn Array, row: usize) -> Result<(), EncodeError> {
        if is_null(array, row) {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        match &ty.kind {
            TypeKind::Char(_) | TypeKind::Varchar(_) => {
                write_string(self.out, array.as_string_view().value(row))
            }
            TypeKind::Boolean => self.boolean(array.as_boolean().value(row)),
            TypeKind::TinyInt => self.integer(i64::from(array.as_primitive::<Int8Type>().value(row))),
            TypeKind::SmallInt => self.integer(i64::from(array.as_primitive::<Int16Type>().value(row))),
            TypeKind::Int => self.integer(i64::from(array.as_primitive::<Int32Type>().value(row))),
            TypeKind::BigInt => self.integer(array.as_primitive::<Int64Type>().value(row)),
            TypeKind::Float => {
                let value = array.as_primitive::<Float32Type>().value(row);
                self.number(value.is_finite(), |text| write_float(text, value));
            }
            TypeKind::Double => {
                let value = array.as_primitive::<Float64Type>().value(row);
                self.number(value.is_finite(), |text| write_double(text, value));
            }
            TypeKind::Decimal { scale, .. } => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                let plain = self.options.decimal_as_plain_number;
                self.number(true, |text| {
                    if plain {
                        write_decimal_plain(text, value, *scale)
                    } else {
                        write_decimal_stripped(text, value, *scale)
                    }
                });
            }
            TypeKind::IntervalYearMonth(_) => {
                self.integer(i64::from(
                    array.as_primitive::<IntervalYearMonthType>().value(row),
                ));
            }
            TypeKind::IntervalDayTime(_) => {
                self.integer(array.as_primitive::<DurationMillisecondType>().value(row))
            }
            TypeKind::Array(element) => return self.list(element, &array.as_list::<i32>().value(row)),
            TypeKind::Map(_, value) => return self.map(value, array, row),
            TypeKind::Multiset(_) => return self.map(&LogicalType::INT, array, row),
            TypeKind::Row(_) => return self.row(ty, array, row),
            _ => self.quoted(ty, array, row),
        }
        Ok(())
    }

    fn integer(&mut self, value: i64) {
        let mut buffer = [0u8; 20];
        let mut at = buffer.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(&buffer[at..]);
    }

    /// Java's text of a number; NaN and infinities have no JSON form and are quoted.
    fn number(&mut self, finite: bool, write: impl FnOnce(&mut String)) {
        self.scratch.clear();
        write(self.scratch);
        if !finite {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(self.scratch.as_bytes());
        if !finite {
            self.out.push(b'"');
        }
    }

    fn quoted(&mut self, ty: &LogicalType, array: &dyn Array, row: usize) {
        self.out.push(b'"');
        match &ty.kind {
            TypeKind::Date => write_date(self.out, i64::from(array.as_primitive::<Date32Type>().value(row))),
            TypeKind::Time(_) => {
                let millis = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
                write_time(self.out, millis * 1_000_000);
            }
            TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
                let utc = matches!(ty.kind, TypeKind::TimestampLtz { .. });
                write_timestamp(self.out, timestamp_nanos(array, row), self.options.standard, utc);
            }
            TypeKind::Binary(_) | TypeKind::Varbinary(_) => {
                self.out
                    .extend_from_slice(BASE64.encode(array.as_binary_view().value(row)).as_bytes());
            }
            _ => {}
        }
        self.out.push(b'"');
    }

    fn list(&mut self, element: &LogicalType, items: &dyn Array) -> Result<(), EncodeError> {
        self.out.push(b'[');
        for item in 0..items.len() {
            if item > 0 {
                self.out.push(b',');
            }
            self.value(element, items, item)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, value: &LogicalType, array: &dyn Array, row: usize) -> Result<(), EncodeError> {
        let entries = array.as_list::<i32>().value(row);
        let (keys, values) = (entries.as_struct().column(0), entries.as_struct().column(1));
        self.out.push(b'{');
        let mut first = true;
        for entry in 0..entries.len() {
            let key = if is_null(keys, entry) {
                match self.options.map_null_key {
                    MapNullKey::Literal => self.options.map_null_literal.as_str(),
                    MapNullKey::Drop => continue,
                    MapNullKey::Fail | MapNullKey::Unknown => {
                        return Err(EncodeError::NullKey);
                    }
                }
            } else {
                keys.as_string_view().value(entry)
            };
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            write_string(self.out, key);
            self.out.push(b':');
            self.value(value, values, entry)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn row(&mut self, ty: &LogicalType, array: &dyn Array, row: usize) -> Result<(), EncodeError> {
        let TypeKind::Row(fields) = &ty.kind else {
            return Ok(());
        };
        self.out.push(b'{');
        let mut first = true;
        for (field, column) in fields.iter().zip(array.as_struct().columns()) {
            if self.options.ignore_null_fields && is_null(column, row) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            write_string(self.out, &field.name);
            self.out.push(b':');
            self.value(&field.ty, column, row)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// A JSON string as Jackson writes it.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = plain_until(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(byte) = bytes.get(at) else { break };
        from = at + 1;
        if *byte < 0xF0 {
            write_escape(out, *byte);
            continue;
        }
        let character = text[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
        }
        from = at + character.len_utf8();
    }
    out.push(b'"');
}

/// A quote, a backslash or a control character in a string.
pub(super) fn write_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        8 => out.extend_from_slice(b"\\b"),
        12 => out.extend_from_slice(b"\\f"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        control => out.extend_from_slice(format!("\\u{control:04X}").as_bytes()),
    }
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Position of the first byte from `at` on that is not written as it is, or the end: a quote, a backslash, a control
/// character, or 0xF0 and above, which starts a character beyond the basic plane.
#[inline]
fn plain_until(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|c| <[u8; 8]>::try_from(c).ok()) {
        let word = u64::from_le_bytes(chunk);
        let quote = word ^ (LOW_BITS * u64::from(b'"'));
        let backslash = word ^ (LOW_BITS * u64::from(b'\\'));
        // The high bit of a byte is set for certain where it is one of those; borrows may set more behind the first.
        let special = (quote.wrapping_sub(LOW_BITS) & !quote)
            | (backslash.wrapping_sub(LOW_BITS) & !backslash)
            | (word.wrapping_sub(LOW_BITS * 0x20) & !word)
            | (word & (word << 1) & (word << 2) & (word << 3));
        let special = special & HIGH_BITS;
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && !matches!(bytes[at], b'"' | b'\\' | 0..=0x1f | 0xF0..) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_wherever_the_special_character_stands() {
        for special in ["\"", "\\", "\n", "\u{1}", "😀", "\u{10ffff}"] {
            for before in 0..20 {
                for after in 0..20 {
                    let text = format!("{}{special}{}", "é".repeat(before), "z~\u{7f}".repeat(after));
                    let mut out = Vec::new();
                    write_string(&mut out, &text);
                    let read: String = serde_json::from_slice(&out).unwrap();
                    assert_eq!(read, text);
                    assert!(!out[1..out.len() - 1].iter().any(|b| *b < 0x20 || *b >= 0xF0));
                }
            }
        }
    }
}
