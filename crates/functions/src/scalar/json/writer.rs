//! SQL values as JSON.
//!
//! A [`JsonWriter`] is made once for a type. Character strings, numbers, booleans, bytes (Base64), timestamps (ISO), arrays,
//! rows, maps with character keys and multisets have a JSON form; dates, times and intervals have none.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{Array, ArrayRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millstream_types::java_text::write_double;
use millstream_types::{LogicalType, TypeKind, timestamp_nanos};

use super::number::BigDecimal;
use super::tree::write_string;
use crate::scalar::temporal::iso::write_json_timestamp;

/// Writes values of one type as JSON.
pub(crate) enum JsonWriter {
    Null,
    Text,
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal(u8),
    Bytes,
    /// The value is JSON already.
    Raw,
    Timestamp,
    TimestampLtz,
    Array(Box<JsonWriter>),
    Map(Box<JsonWriter>),
    /// Fields by name, with their place.
    Row(Vec<(String, usize, JsonWriter)>),
}

impl JsonWriter {
    /// The writer for a type, or the part of the type that has no JSON form.
    pub(crate) fn new(ty: &LogicalType) -> Result<Self, LogicalType> {
        Ok(match &ty.kind {
            TypeKind::Null => Self::Null,
            TypeKind::Char(_) | TypeKind::Varchar(_) => Self::Text,
            TypeKind::Boolean => Self::Boolean,
            TypeKind::TinyInt => Self::TinyInt,
            TypeKind::SmallInt => Self::SmallInt,
            TypeKind::Int => Self::Int,
            TypeKind::BigInt => Self::BigInt,
            TypeKind::Float => Self::Float,
            TypeKind::Double => Self::Double,
            TypeKind::Decimal { scale, .. } => Self::Decimal(*scale),
            TypeKind::Binary(_) | TypeKind::Varbinary(_) => Self::Bytes,
            TypeKind::Variant => Self::Raw,
            TypeKind::Timestamp { .. } => Self::Timestamp,
            TypeKind::TimestampLtz { .. } => Self::TimestampLtz,
            TypeKind::Array(element) => Self::Array(Box::new(Self::new(element)?)),
            TypeKind::Map(key, value) if key.is_character() => Self::Map(Box::new(Self::new(value)?)),
            TypeKind::Multiset(element) if element.is_character() => Self::Map(Box::new(Self::Int)),
            TypeKind::Row(fields) => {
                let mut writers = Vec::with_capacity(fields.len());
                for (i, field) in fields.iter().enumerate() {
                    writers.push((field.name.clone(), i, Self::new(&field.ty)?));
                }
                writers.sort_by(|(a, _, _), (b, _, _)| a.encode_utf16().cmp(b.encode_utf16()));
                Self::Row(writers)
            }
            _ => return Err(ty.clone()),
        })
    }

    /// Appends the value at `row`; NULL is `null`.
    pub(crate) fn write(&self, array: &dyn Array, row: usize, out: &mut String) {
        if array.is_null(row) {
            return out.push_str("null");
        }
        match self {
            Self::Null => out.push_str("null"),
            Self::Text => write_string(array.as_string_view().value(row), out),
            Self::Boolean => out.push_str(if array.as_boolean().value(row) {
                "true"
            } else {
                "false"
            }),
            Self::TinyInt => out.push_str(&array.as_primitive::<Int8Type>().value(row).to_string()),
            Self::SmallInt => out.push_str(&array.as_primitive::<Int16Type>().value(row).to_string()),
            Self::Int => out.push_str(&array.as_primitive::<Int32Type>().value(row).to_string()),
            Self::BigInt => out.push_str(&array.as_primitive::<Int64Type>().value(row).to_string()),
            Self::Float => write_json_double(f64::from(array.as_primitive::<Float32Type>().value(row)), out),
            Self::Double => write_json_double(array.as_primitive::<Float64Type>().value(row), out),
            Self::Decimal(scale) => {
                let unscaled = array.as_primitive::<Decimal128Type>().value(row);
                let text = format!("{unscaled}e-{scale}");
                BigDecimal::parse(&text)
                    .iter()
                    .for_each(|number| number.write(out));
            }
            Self::Bytes => {
                out.push('"');
                STANDARD.encode_string(array.as_binary_view().value(row), out);
                out.push('"');
            }
            Self::Raw => out.push_str(&String::from_utf8_lossy(array.as_binary_view().value(row))),
            Self::Timestamp => quoted(out, |out| write_json_timestamp(out, timestamp_nanos(array, row))),
            Self::TimestampLtz => quoted(out, |out| {
                write_json_timestamp(out, timestamp_nanos(array, row));
                out.push('Z');
            }),
            Self::Array(element) => {
                let items = array.as_list::<i32>().value(row);
                out.push('[');
                for i in 0..items.len() {
                    separate(i, out);
                    element.write(&items, i, out);
                }
                out.push(']');
            }
            Self::Map(value) => write_map(value, array, row, out),
            Self::Row(fields) => {
                let columns = array.as_struct().columns();
                out.push('{');
                for (i, (name, place, writer)) in fields.iter().enumerate() {
                    separate(i, out);
                    write_string(name, out);
                    out.push(':');
                    match columns.get(*place) {
                        Some(column) => writer.write(column, row, out),
                        None => out.push_str("null"),
                    }
                }
                out.push('}');
            }
        }
    }
}

fn separate(i: usize, out: &mut String) {
    if i > 0 {
        out.push(',');
    }
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

/// A double as the `BigDecimal` of its shortest text: `1.0E+10`.
fn write_json_double(value: f64, out: &mut String) {
    let mut text = String::new();
    write_double(&mut text, value);
    match BigDecimal::parse(&text) {
        Some(number) => number.write(out),
        None => quoted(out, |out| out.push_str(&text)),
    }
}

/// Entries ordered by key; of equal keys the last.
fn write_map(value: &JsonWriter, array: &dyn Array, row: usize, out: &mut String) {
    let entries = array.as_list::<i32>().value(row);
    let entries = entries.as_struct();
    let keys = entries.column(0).as_string_view();
    let values: &ArrayRef = entries.column(1);
    let mut order: Vec<usize> = (0..entries.len()).filter(|i| keys.is_valid(*i)).collect();
    order.sort_by(|a, b| keys.value(*a).encode_utf16().cmp(keys.value(*b).encode_utf16()));
    out.push('{');
    let mut written = 0;
    for (at, i) in order.iter().enumerate() {
        let repeated = order
            .get(at + 1)
            .is_some_and(|next| keys.value(*next) == keys.value(*i));
        if repeated {
            continue;
        }
        separate(written, out);
        written += 1;
        write_string(keys.value(*i), out);
        out.push(':');
        value.write(values, *i, out);
    }
    out.push('}');
}
