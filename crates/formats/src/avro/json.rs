//! Avro's JSON encoding: a union value that is not null is an object with the name of its type.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use millstream_types::java_text::{write_double, write_float};
use millstream_types::{LogicalType, TypeKind};
use serde_json::Value;

use super::decode::{decimal, nested_of};
use super::encode::{decimal_bytes, entries, integer, key, null_error};
use super::{COUNT, type_name};
use crate::column::{ColumnBuilder, Values, is_null};
use crate::json::write_string;
use crate::{EncodeError, ValueError};

/// Flink's name for the record of a table; nested records append the names of their fields.
pub(super) const RECORD: &str = "org.apache.flink.avro.generated.record";

/// The name of a type within a union.
fn name_of(ty: &LogicalType, record: &str) -> String {
    let name = match &ty.kind {
        TypeKind::Row(_) => record,
        _ => type_name(ty),
    };
    name.to_owned()
}

/// Appends the record of a row.
pub(super) fn write_record(
    out: &mut Vec<u8>,
    names: &[String],
    types: &[LogicalType],
    columns: &[ArrayRef],
    row: usize,
) -> Result<(), EncodeError> {
    out.push(b'{');
    for (index, ((name, ty), column)) in names.iter().zip(types).zip(columns).enumerate() {
        separate(out, index);
        write_string(out, name);
        out.push(b':');
        write(out, ty, column, row, &format!("{RECORD}_{name}"))?;
    }
    out.push(b'}');
    Ok(())
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// `record` is the name of a record at this position.
fn write(
    out: &mut Vec<u8>,
    ty: &LogicalType,
    array: &dyn Array,
    row: usize,
    record: &str,
) -> Result<(), EncodeError> {
    if is_null(array, row) {
        if !ty.nullable {
            return Err(null_error(ty));
        }
        out.extend_from_slice(b"null");
        return Ok(());
    }
    if !ty.nullable {
        return write_value(out, ty, array, row, record);
    }
    out.push(b'{');
    write_string(out, &name_of(ty, record));
    out.push(b':');
    write_value(out, ty, array, row, record)?;
    out.push(b'}');
    Ok(())
}

fn write_value(
    out: &mut Vec<u8>,
    ty: &LogicalType,
    array: &dyn Array,
    row: usize,
    record: &str,
) -> Result<(), EncodeError> {
    if let Some(value) = integer(ty, array, row) {
        out.extend_from_slice(value.to_string().as_bytes());
        return Ok(());
    }
    if let Some((entries, value)) = entries(ty, array, row) {
        let (keys, values) = (entries.column(0), entries.column(1));
        out.push(b'{');
        for entry in 0..entries.len() {
            separate(out, entry);
            write_string(out, key(keys, entry)?);
            out.push(b':');
            write(out, value, values, entry, record)?;
        }
        out.push(b'}');
        return Ok(());
    }
    match &ty.kind {
        TypeKind::Boolean => out.extend_from_slice(array.as_boolean().value(row).to_string().as_bytes()),
        TypeKind::Float => {
            let value = array.as_primitive::<Float32Type>().value(row);
            write_number(out, value.is_finite(), |text| write_float(text, value));
        }
        TypeKind::Double => {
            let value = array.as_primitive::<Float64Type>().value(row);
            write_number(out, value.is_finite(), |text| write_double(text, value));
        }
        TypeKind::Char(_) | TypeKind::Varchar(_) => write_string(out, array.as_string_view().value(row)),
        TypeKind::Binary(_) | TypeKind::Varbinary(_) => write_latin(out, array.as_binary_view().value(row)),
        TypeKind::Decimal { .. } => {
            write_latin(
                out,
                &decimal_bytes(array.as_primitive::<Decimal128Type>().value(row)),
            );
        }
        TypeKind::Array(element) => {
            let items = array.as_list::<i32>().value(row);
            out.push(b'[');
            for item in 0..items.len() {
                separate(out, item);
                write(out, element, &items, item, record)?;
            }
            out.push(b']');
        }
        TypeKind::Row(fields) => {
            out.push(b'{');
            for (index, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                separate(out, index);
                write_string(out, &field.name);
                out.push(b':');
                write(out, &field.ty, column, row, &format!("{record}_{}", field.name))?;
            }
            out.push(b'}');
        }
        _ => {}
    }
    Ok(())
}

/// Java's text of a number; NaN and infinities are quoted.
fn write_number(out: &mut Vec<u8>, finite: bool, write: impl FnOnce(&mut String)) {
    let mut text = String::new();
    write(&mut text);
    if finite {
        out.extend_from_slice(text.as_bytes())
    } else {
        write_string(out, &text)
    }
}

/// Bytes as a text with one character per byte.
fn write_latin(out: &mut Vec<u8>, bytes: &[u8]) {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    write_string(out, &text);
}

fn read_latin(text: &str) -> Result<Vec<u8>, ValueError> {
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
    bytes
        .collect::<Result<_, _>>()
        .map_err(|_| ValueError::Syntax("bytes have a character beyond U+00FF"))
}

/// Reads a value of `ty` into a column.
pub(super) fn read(value: &Value, ty: &LogicalType, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    if !ty.nullable {
        return read_value(value, ty, column);
    }
    let inner = match value {
        Value::Null => {
            column.push_null();
            return Ok(());
        }
        Value::Object(members) if members.len() == 1 => members.values().next(),
        _ => None,
    };
    let inner = inner.ok_or(ValueError::Syntax(
        "null or an object with the name of its type is expected",
    ))?;
    read_value(inner, ty, column)
}

fn read_value(value: &Value, ty: &LogicalType, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    let wrong = |expected| ValueError::Json {
        expected,
        found: value.to_string().into(),
    };
    let int = |value: &Value| {
        let int = value.as_i64().and_then(|value| i32::try_from(value).ok());
        int.ok_or_else(|| wrong("an int"))
    };
    let text = |value: &'_ Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong("a text"));
    match &mut column.values {
        Values::Boolean(slots) => slots.push(value.as_bool().ok_or_else(|| wrong("a boolean"))?),
        Values::I8(slots) => slots.push(int(value)? as i8),
        Values::I16(slots) => slots.push(int(value)? as i16),
        Values::I32(slots) => slots.push(int(value)?),
        Values::I64(slots) => slots.push(value.as_i64().ok_or_else(|| wrong("a long"))?),
        Values::F32(slots) => slots.push(double(value).ok_or_else(|| wrong("a float"))? as f32),
        Values::F64(slots) => slots.push(double(value).ok_or_else(|| wrong("a double"))?),
        Values::I128(slots) => slots.push(decimal(&read_latin(&text(value)?)?)?),
        Values::String(texts) => texts.push(text(value)?.as_bytes()),
        Values::Binary(texts) => texts.push(&read_latin(&text(value)?)?),
        Values::Null(rows) => *rows += 1,
        Values::List(_) | Values::Map(_) | Values::Row(_) => return read_nested(value, ty, column),
    }
    Ok(())
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    }
}

fn read_nested(value: &Value, ty: &LogicalType, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    let wrong = |expected| ValueError::Json {
        expected,
        found: value.to_string().into(),
    };
    let nested = nested_of(column).ok_or_else(|| wrong("another type"))?;
    let length = match &ty.kind {
        TypeKind::Array(element) => {
            let items = value.as_array().ok_or_else(|| wrong("an array"))?;
            for item in items {
                read(item, element, &mut nested.children[0])?;
            }
            items.len()
        }
        TypeKind::Row(fields) => {
            nested.open_row();
            for (field, column) in fields.iter().zip(&mut nested.children) {
                let value = value.get(&field.name);
                let value = value.ok_or_else(|| ValueError::MissingField(field.name.as_str().into()))?;
                read(value, &field.ty, column)?;
            }
            return Ok(());
        }
        _ => {
            let members = value.as_object().ok_or_else(|| wrong("an object"))?;
            let value_type = match &ty.kind {
                TypeKind::Map(_, value) => value,
                _ => &COUNT,
            };
            for (key, value) in members {
                read_value(
                    &Value::String(key.clone()),
                    &LogicalType::STRING,
                    &mut nested.children[0],
                )?;
                read(value, value_type, &mut nested.children[1])?;
            }
            members.len()
        }
    };
    nested.push_items(length as u32);
    Ok(())
}
