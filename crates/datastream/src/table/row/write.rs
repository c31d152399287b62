//! Values of Rust types to columns. How serde drives a writer is in [`super::serialize`].

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, BooleanBuilder, PrimitiveBuilder, StringViewBuilder};
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use jiff::civil;
use millstream_types::{LogicalType, NANOS_PER_MS, TypeKind, arrow_type, map_array, struct_array};
use serde::ser::{self, Serialize};

use super::dynamic::Value;
use crate::error::{Error, Result};

const NANOS_PER_MICRO: i128 = 1_000;
const MS_PER_DAY: i64 = 86_400_000;

/// Why a value does not become a column's value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WriteError(pub(super) String);

impl ser::Error for WriteError {
    fn custom<M: std::fmt::Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

pub(super) type Written = std::result::Result<(), WriteError>;

pub(super) enum Builder {
    Boolean(BooleanBuilder),
    TinyInt(PrimitiveBuilder<Int8Type>),
    SmallInt(PrimitiveBuilder<Int16Type>),
    Int(PrimitiveBuilder<Int32Type>),
    BigInt(PrimitiveBuilder<Int64Type>),
    Float(PrimitiveBuilder<Float32Type>),
    Double(PrimitiveBuilder<Float64Type>),
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder),
    Decimal {
        builder: PrimitiveBuilder<Decimal128Type>,
        precision: u8,
        scale: u8,
    },
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time32MillisecondType>),
    Millis(PrimitiveBuilder<TimestampMillisecondType>),
    Micros(PrimitiveBuilder<TimestampMicrosecondType>),
    /// Timestamps of nanoseconds lie in decimals.
    Nanos(PrimitiveBuilder<Decimal128Type>),
    List {
        element: Box<ColumnWriter>,
        lengths: Vec<usize>,
        valid: Vec<bool>,
    },
    Map {
        key: Box<ColumnWriter>,
        value: Box<ColumnWriter>,
        lengths: Vec<usize>,
        valid: Vec<bool>,
    },
    Row {
        fields: Vec<ColumnWriter>,
        valid: Vec<bool>,
    },
}

/// Collects the values of a column.
pub(crate) struct ColumnWriter {
    pub(super) name: String,
    ty: LogicalType,
    pub(super) builder: Builder,
}

impl ColumnWriter {
    /// Fails for types that no Rust value becomes.
    pub fn new(name: &str, ty: &LogicalType) -> Result<Self> {
        let child = |name: &str, ty: &LogicalType| Self::new(name, ty).map(Box::new);
        let builder = match &ty.kind {
            TypeKind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            TypeKind::TinyInt => Builder::TinyInt(PrimitiveBuilder::new()),
            TypeKind::SmallInt => Builder::SmallInt(PrimitiveBuilder::new()),
            TypeKind::Int => Builder::Int(PrimitiveBuilder::new()),
            TypeKind::BigInt => Builder::BigInt(PrimitiveBuilder::new()),
            TypeKind::Float => Builder::Float(PrimitiveBuilder::new()),
            TypeKind::Double => Builder::Double(PrimitiveBuilder::new()),
            TypeKind::Char(_) | TypeKind::Varchar(_) => Builder::Text(StringViewBuilder::new()),
            TypeKind::Binary(_) | TypeKind::Varbinary(_) => Builder::Bytes(BinaryViewBuilder::new()),
            TypeKind::Decimal { precision, scale } => Builder::Decimal {
                builder: PrimitiveBuilder::new().with_data_type(arrow_type(ty)),
                precision: *precision,
                scale: *scale,
            },
            TypeKind::Date => Builder::Date(PrimitiveBuilder::new()),
            TypeKind::Time(_) => Builder::Time(PrimitiveBuilder::new()),
            TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => timestamp_builder(ty),
            TypeKind::Array(element) => Builder::List {
                element: child(name, element)?,
                lengths: Vec::new(),
                valid: Vec::new(),
            },
            TypeKind::Map(key, value) => Builder::Map {
                key: child(name, key)?,
                value: child(name, value)?,
                lengths: Vec::new(),
                valid: Vec::new(),
            },
            TypeKind::Row(fields) => Builder::Row {
                fields: fields
                    .iter()
                    .map(|field| Self::new(&field.name, &field.ty))
                    .collect::<Result<_>>()?,
                valid: Vec::new(),
            },
            _ => {
                return Err(Error::unsupported(format!(
                    "column '{name}' of type {ty} has no counterpart in Rust; cast it to another type"
                )));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            ty: ty.clone(),
            builder,
        })
    }

    /// Appends a value.
    pub fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(self)
    }

    /// The column; the writer is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        let ty = &self.ty;
        match &mut self.builder {
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::TinyInt(builder) => Arc::new(builder.finish()),
            Builder::SmallInt(builder) => Arc::new(builder.finish()),
            Builder::Int(builder) => Arc::new(builder.finish()),
            Builder::BigInt(builder) => Arc::new(builder.finish()),
            Builder::Float(builder) => Arc::new(builder.finish()),
            Builder::Double(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Bytes(builder) => Arc::new(builder.finish()),
            Builder::Decimal { builder, .. } | Builder::Nanos(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Time(builder) => Arc::new(builder.finish()),
            Builder::Millis(builder) => Arc::new(builder.finish()),
            Builder::Micros(builder) => Arc::new(builder.finish()),
            Builder::List {
                element,
                lengths,
                valid,
            } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let nulls = NullBuffer::from(std::mem::take(valid));
                match arrow_type(ty) {
                    DataType::List(field) => {
                        Arc::new(ListArray::new(field, offsets, element.finish(), Some(nulls)))
                    }
                    other => arrow_array::new_null_array(&other, nulls.len()),
                }
            }
            Builder::Map {
                key,
                value,
                lengths,
                valid,
            } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let nulls = NullBuffer::from(std::mem::take(valid));
                map_array(ty, key.finish(), value.finish(), offsets, Some(nulls))
            }
            Builder::Row { fields, valid } => {
                let nulls = NullBuffer::from(std::mem::take(valid));
                let rows = nulls.len();
                struct_array(
                    ty,
                    fields.iter_mut().map(Self::finish).collect(),
                    Some(nulls),
                    rows,
                )
            }
        }
    }

    pub(super) fn refuse(&self, what: impl std::fmt::Display) -> WriteError {
        WriteError(format!(
            "column '{}' is {} and takes no {what}",
            self.name, self.ty
        ))
    }

    /// Appends NULL.
    pub fn null(&mut self) -> Written {
        if !self.ty.nullable {
            return Err(self.refuse("NULL"));
        }
        self.absent();
        Ok(())
    }

    /// A place without a value, below a NULL row or as NULL itself.
    fn absent(&mut self) {
        match &mut self.builder {
            Builder::Boolean(builder) => builder.append_null(),
            Builder::TinyInt(builder) => builder.append_null(),
            Builder::SmallInt(builder) => builder.append_null(),
            Builder::Int(builder) => builder.append_null(),
            Builder::BigInt(builder) => builder.append_null(),
            Builder::Float(builder) => builder.append_null(),
            Builder::Double(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
            Builder::Bytes(builder) => builder.append_null(),
            Builder::Decimal { builder, .. } | Builder::Nanos(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Time(builder) => builder.append_null(),
            Builder::Millis(builder) => builder.append_null(),
            Builder::Micros(builder) => builder.append_null(),
            Builder::List { lengths, valid, .. } | Builder::Map { lengths, valid, .. } => {
                lengths.push(0);
                valid.push(false);
            }
            Builder::Row { fields, valid } => {
                fields.iter_mut().for_each(Self::absent);
                valid.push(false);
            }
        }
    }

    pub(super) fn boolean(&mut self, value: bool) -> Written {
        match &mut self.builder {
            Builder::Boolean(builder) => builder.append_value(value),
            _ => return Err(self.refuse(value)),
        }
        Ok(())
    }

    /// An integer, also as a decimal, a floating point number, days, or milliseconds since the epoch.
    pub(super) fn integer(&mut self, value: i128) -> Written {
        let fits = match &mut self.builder {
            Builder::TinyInt(builder) => append(builder, i8::try_from(value).ok()),
            Builder::SmallInt(builder) => append(builder, i16::try_from(value).ok()),
            Builder::Int(builder) => append(builder, i32::try_from(value).ok()),
            Builder::BigInt(builder) => append(builder, i64::try_from(value).ok()),
            Builder::Float(builder) => append(builder, Some(value as f32)),
            Builder::Double(builder) => append(builder, Some(value as f64)),
            Builder::Decimal {
                builder,
                precision,
                scale,
            } => {
                let unscaled = value.checked_mul(10_i128.pow(u32::from(*scale)));
                append(
                    builder,
                    unscaled.filter(|value| fits_precision(*value, *precision)),
                )
            }
            Builder::Date(builder) => append(builder, i32::try_from(value).ok()),
            Builder::Time(builder) => append(builder, i32::try_from(value).ok()),
            Builder::Millis(_) | Builder::Micros(_) | Builder::Nanos(_) => {
                return match value.checked_mul(NANOS_PER_MS) {
                    Some(nanos) => self.nanos(nanos),
                    None => Err(self.refuse(value)),
                };
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.refuse(value)) }
    }

    pub(super) fn float(&mut self, value: f64) -> Written {
        match &mut self.builder {
            Builder::Float(builder) => builder.append_value(value as f32),
            Builder::Double(builder) => builder.append_value(value),
            Builder::Decimal { .. } => return self.text(&value.to_string()),
            _ => return Err(self.refuse(value)),
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> Written {
        match &mut self.builder {
            Builder::Bytes(builder) => builder.append_value(value),
            _ => return Err(self.refuse("bytes")),
        }
        Ok(())
    }

    /// A text, also that of a number, a date or a time.
    pub(super) fn text(&mut self, value: &str) -> Written {
        let fits = match &mut self.builder {
            Builder::Text(builder) => {
                builder.append_value(value);
                true
            }
            Builder::Decimal {
                builder,
                precision,
                scale,
            } => {
                let parsed = unscaled(value, *scale).filter(|value| fits_precision(*value, *precision));
                append(builder, parsed)
            }
            Builder::Date(builder) => append(builder, value.parse().ok().map(days_of)),
            Builder::Time(builder) => append(builder, value.parse().ok().map(millis_of_day)),
            Builder::Millis(_) | Builder::Micros(_) | Builder::Nanos(_) => {
                let parsed = match self.ty.kind {
                    TypeKind::TimestampLtz { .. } => {
                        value.parse::<jiff::Timestamp>().ok().map(|at| at.as_nanosecond())
                    }
                    _ => value.parse::<civil::DateTime>().ok().map(nanos_of),
                };
                return match parsed {
                    Some(nanos) => self.nanos(nanos),
                    None => Err(self.refuse(format!("'{value}'"))),
                };
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(self.refuse(format!("'{value}'")))
        }
    }

    fn nanos(&mut self, nanos: i128) -> Written {
        let fits = match &mut self.builder {
            Builder::Millis(builder) => append(builder, i64::try_from(nanos.div_euclid(NANOS_PER_MS)).ok()),
            Builder::Micros(builder) => {
                append(builder, i64::try_from(nanos.div_euclid(NANOS_PER_MICRO)).ok())
            }
            Builder::Nanos(builder) => append(builder, Some(nanos)),
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(self.refuse("timestamp"))
        }
    }

    /// Appends a value of a dynamic row.
    pub fn value(&mut self, value: &Value) -> Written {
        match value {
            Value::Null => self.null(),
            Value::Boolean(value) => self.boolean(*value),
            Value::TinyInt(value) => self.integer(i128::from(*value)),
            Value::SmallInt(value) => self.integer(i128::from(*value)),
            Value::Int(value) | Value::Date(value) | Value::Time(value) => self.integer(i128::from(*value)),
            Value::BigInt(value) => self.integer(i128::from(*value)),
            Value::Float(value) => self.float(f64::from(*value)),
            Value::Double(value) => self.float(*value),
            Value::Decimal { .. } => self.text(&value.to_string()),
            Value::String(value) => self.text(value),
            Value::Bytes(value) => self.bytes(value),
            Value::Timestamp(nanos) => self.nanos(*nanos),
            Value::Array(_) | Value::Map(_) | Value::Row(_) => self.nested(value),
        }
    }

    fn nested(&mut self, value: &Value) -> Written {
        match (value, &mut self.builder) {
            (
                Value::Array(items),
                Builder::List {
                    element,
                    lengths,
                    valid,
                },
            ) => {
                lengths.push(items.len());
                valid.push(true);
                items.iter().try_for_each(|item| element.value(item))
            }
            (
                Value::Map(entries),
                Builder::Map {
                    key,
                    value,
                    lengths,
                    valid,
                },
            ) => {
                lengths.push(entries.len());
                valid.push(true);
                entries.iter().try_for_each(|(k, v)| {
                    key.value(k)?;
                    value.value(v)
                })
            }
            (Value::Row(items), Builder::Row { fields, valid }) if fields.len() == items.len() => {
                valid.push(true);
                let mut fields = fields.iter_mut().zip(items);
                fields.try_for_each(|(field, item)| field.value(item))
            }
            _ => Err(self.refuse(value)),
        }
    }
}

fn timestamp_builder(ty: &LogicalType) -> Builder {
    let data_type = arrow_type(ty);
    match ty.precision() {
        Some(0..=3) => Builder::Millis(PrimitiveBuilder::new().with_data_type(data_type)),
        Some(4..=6) => Builder::Micros(PrimitiveBuilder::new().with_data_type(data_type)),
        _ => Builder::Nanos(PrimitiveBuilder::new().with_data_type(data_type)),
    }
}

fn append<T: arrow_array::ArrowPrimitiveType>(
    builder: &mut PrimitiveBuilder<T>,
    value: Option<T::Native>,
) -> bool {
    if let Some(value) = value {
        builder.append_value(value);
    }
    value.is_some()
}

fn fits_precision(unscaled: i128, precision: u8) -> bool {
    unscaled.unsigned_abs() < 10_u128.pow(u32::from(precision))
}

/// A decimal text without its point; digits beyond the scale are rounded half up, as casts do.
fn unscaled(text: &str, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = fraction.len().min(usize::from(scale));
    let mut value: i128 = format!("0{whole}{}", &fraction[..kept]).parse().ok()?;
    value = value.checked_mul(10_i128.checked_pow(u32::from(scale) - kept as u32)?)?;
    if fraction.as_bytes().get(kept).is_some_and(|digit| *digit >= b'5') {
        value = value.checked_add(1)?;
    }
    Some(if negative { -value } else { value })
}

fn days_of(date: civil::Date) -> i32 {
    nanos_of(date.to_datetime(civil::Time::midnight())).div_euclid(i128::from(MS_PER_DAY) * NANOS_PER_MS)
        as i32
}

fn millis_of_day(time: civil::Time) -> i32 {
    let seconds = (i32::from(time.hour()) * 60 + i32::from(time.minute())) * 60 + i32::from(time.second());
    seconds * 1000 + i32::from(time.millisecond())
}

fn nanos_of(at: civil::DateTime) -> i128 {
    let zoned = jiff::tz::TimeZone::UTC.to_timestamp(at);
    zoned.map_or(0, |timestamp| timestamp.as_nanosecond())
}
