//! Encodes datums.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, StructArray};
use millstream_types::{Batch, LogicalType, Schema, TypeKind};

use super::{AvroOptions, COUNT, json};
use crate::column::is_null;
use crate::{EncodeError, Encoded, Encoder, FormatError, additions_only};

/// Encodes rows of a schema as datums.
pub struct AvroEncoder {
    options: AvroOptions,
    names: Vec<String>,
    types: Vec<LogicalType>,
    has_written: bool,
}

impl AvroEncoder {
    pub fn new(options: AvroOptions, schema: &Schema) -> Result<Self, FormatError> {
        options.check_all(schema)?;
        Ok(Self {
            options,
            names: schema.columns.iter().map(|c| c.name.clone()).collect(),
            types: schema.types().cloned().collect(),
            has_written: false,
        })
    }
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        additions_only(batch, super::NAME)?;
        for row in 0..batch.rows {
            if self.options.json {
                // Avro's JSON encoder writes a separator between datums, and Flink uses one encoder for all messages of
                // a sink.
                if std::mem::replace(&mut self.has_written, true) {
                    out.data.push(b'\n');
                }
                json::write_record(&mut out.data, &self.names, &self.types, &batch.columns, row)?;
            } else {
                for (ty, column) in self.types.iter().zip(&batch.columns) {
                    write(&mut out.data, ty, column, row)?;
                }
            }
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}

pub(super) fn write_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7f {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// The shortest big-endian form of a decimal's unscaled value.
pub(super) fn decimal_bytes(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let spare = |at: usize| bytes[at] == sign && (bytes[at + 1] & 0x80 != 0) == (value < 0);
    let first = (0..bytes.len() - 1)
        .find(|at| !spare(*at))
        .unwrap_or(bytes.len() - 1);
    bytes[first..].to_vec()
}

/// The integer for a value of a type that Avro represents as int or long; `None` for other types.
pub(super) fn integer(ty: &LogicalType, array: &dyn Array, row: usize) -> Option<i64> {
    Some(match &ty.kind {
        TypeKind::TinyInt => i64::from(array.as_primitive::<Int8Type>().value(row)),
        TypeKind::SmallInt => i64::from(array.as_primitive::<Int16Type>().value(row)),
        TypeKind::Int => i64::from(array.as_primitive::<Int32Type>().value(row)),
        TypeKind::BigInt => array.as_primitive::<Int64Type>().value(row),
        TypeKind::Date => i64::from(array.as_primitive::<Date32Type>().value(row)),
        TypeKind::Time(_) => i64::from(array.as_primitive::<Time32MillisecondType>().value(row)),
        TypeKind::Timestamp { precision, .. } | TypeKind::TimestampLtz { precision, .. } => match precision {
            0..=3 => array.as_primitive::<TimestampMillisecondType>().value(row),
            _ => array.as_primitive::<TimestampMicrosecondType>().value(row),
        },
        _ => return None,
    })
}

/// The entries of a map: its keys, and its values with their type.
pub(super) fn entries<'t>(
    ty: &'t LogicalType,
    array: &dyn Array,
    row: usize,
) -> Option<(StructArray, &'t LogicalType)> {
    let value = match &ty.kind {
        TypeKind::Map(_, value) => value,
        TypeKind::Multiset(_) => &COUNT,
        _ => return None,
    };
    Some((array.as_list::<i32>().value(row).as_struct().clone(), value))
}

/// A NULL where the derived schema allows none.
pub(super) fn null_error(ty: &LogicalType) -> EncodeError {
    EncodeError::AvroNull(Box::new(ty.clone()))
}

/// The key of a map's entry.
pub(super) fn key(keys: &ArrayRef, entry: usize) -> Result<&str, EncodeError> {
    if is_null(keys, entry) {
        return Err(EncodeError::AvroNullKey);
    }
    Ok(keys.as_string_view().value(entry))
}

fn write(out: &mut Vec<u8>, ty: &LogicalType, array: &dyn Array, row: usize) -> Result<(), EncodeError> {
    let null = is_null(array, row);
    if ty.nullable {
        write_long(out, i64::from(!null));
    }
    if null {
        return if ty.nullable { Ok(()) } else { Err(null_error(ty)) };
    }
    if let Some(value) = integer(ty, array, row) {
        write_long(out, value);
        return Ok(());
    }
    if let Some((entries, value)) = entries(ty, array, row) {
        return write_map(out, &entries, value);
    }
    match &ty.kind {
        TypeKind::Boolean => out.push(u8::from(array.as_boolean().value(row))),
        TypeKind::Float => {
            out.extend_from_slice(&array.as_primitive::<Float32Type>().value(row).to_le_bytes());
        }
        TypeKind::Double => {
            out.extend_from_slice(&array.as_primitive::<Float64Type>().value(row).to_le_bytes());
        }
        TypeKind::Char(_) | TypeKind::Varchar(_) => {
            write_bytes(out, array.as_string_view().value(row).as_bytes());
        }
        TypeKind::Binary(_) | TypeKind::Varbinary(_) => write_bytes(out, array.as_binary_view().value(row)),
        TypeKind::Decimal { .. } => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            write_bytes(out, &decimal_bytes(value));
        }
        TypeKind::Array(element) => {
            let items = array.as_list::<i32>().value(row);
            if !items.is_empty() {
                write_long(out, items.len() as i64);
            }
            for item in 0..items.len() {
                write(out, element, &items, item)?;
            }
            write_long(out, 0);
        }
        TypeKind::Row(fields) => {
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                write(out, &field.ty, column, row)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn write_map(out: &mut Vec<u8>, entries: &StructArray, value: &LogicalType) -> Result<(), EncodeError> {
    let (keys, values) = (entries.column(0), entries.column(1));
    if !entries.is_empty() {
        write_long(out, entries.len() as i64);
    }
    for entry in 0..entries.len() {
        write_bytes(out, key(keys, entry)?.as_bytes());
        write(out, value, values, entry)?;
    }
    write_long(out, 0);
    Ok(())
}
