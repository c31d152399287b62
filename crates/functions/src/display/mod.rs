//! The one printer of values: the text that Flink's SQL Client shows, which is also the text of CAST to STRING.
//!
//! A [`Printer`] is made once for a type and prints single values into a string, or a whole column into a `Utf8View`
//! column without looking at the type again for each row. It knows nothing of lengths: padding and cutting for CHAR
//! and VARCHAR is the business of [`crate::cast`].

pub mod calendar;
mod java;
mod temporal;
pub mod zone;

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType,
    TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use jiff::tz::TimeZone;
use millstream_types::java_text::{write_decimal_plain, write_double, write_float};
use millstream_types::{LogicalType, TypeKind, timestamp_nanos};

use crate::display::temporal::{write_integer, write_timestamp_units};
use crate::scalar::collection::bitmap::write_bitmap;

pub use temporal::{write_date, write_day_time, write_time, write_timestamp, write_year_month};
pub use zone::ZoneOffsets;

/// What stands for NULL inside a nested value, and in the tables of the SQL Client.
pub const NULL_TEXT: &str = "NULL";

/// Where the text goes; the places differ in a few spellings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// The SQL Client and every result that is shown: bytes as `x'00ff'`.
    Client,
    /// CAST to STRING: bytes are decoded as UTF-8.
    Cast,
    /// CAST to STRING under `table.exec.legacy-cast-behaviour`: `true`, `(1,a)`, `null`.
    LegacyCast,
    /// The `print` connector: Java objects, `+I[1, null]`. Timestamps with a local zone are in UTC.
    Java,
}

/// Prints values of one type.
#[derive(Clone, Debug)]
pub struct Printer {
    kind: Kind,
    style: Style,
}

#[derive(Clone, Debug)]
enum Kind {
    Null,
    Text,
    Bytes,
    Variant,
    Bitmap,
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal { scale: u8 },
    Date,
    Time { precision: u8 },
    Timestamp { precision: u8 },
    TimestampLtz { precision: u8 },
    YearMonth,
    DayTime,
    Array(Box<Printer>),
    Map(Box<Printer>, Box<Printer>),
    Row(Vec<Printer>),
}

impl Printer {
    pub fn new(ty: &LogicalType, style: Style) -> Self {
        let part = |ty: &LogicalType| Box::new(Self::new(ty, style));
        let kind = match &ty.kind {
            TypeKind::Char(_) | TypeKind::Varchar(_) => Kind::Text,
            TypeKind::Binary(_) | TypeKind::Varbinary(_) | TypeKind::Raw { .. } => Kind::Bytes,
            TypeKind::Variant => Kind::Variant,
            TypeKind::Bitmap => Kind::Bitmap,
            TypeKind::Boolean => Kind::Boolean,
            TypeKind::TinyInt => Kind::TinyInt,
            TypeKind::SmallInt => Kind::SmallInt,
            TypeKind::Int => Kind::Int,
            TypeKind::BigInt => Kind::BigInt,
            TypeKind::Float => Kind::Float,
            TypeKind::Double => Kind::Double,
            TypeKind::Decimal { scale, .. } => Kind::Decimal { scale: *scale },
            TypeKind::Date => Kind::Date,
            TypeKind::Time(precision) => Kind::Time {
                precision: *precision,
            },
            TypeKind::Timestamp { precision, .. } => Kind::Timestamp {
                precision: *precision,
            },
            TypeKind::TimestampLtz { precision, .. } => Kind::TimestampLtz {
                precision: *precision,
            },
            TypeKind::IntervalYearMonth(_) => Kind::YearMonth,
            TypeKind::IntervalDayTime(_) => Kind::DayTime,
            TypeKind::Array(element) => Kind::Array(part(element)),
            TypeKind::Map(key, value) => Kind::Map(part(key), part(value)),
            TypeKind::Multiset(element) => Kind::Map(part(element), part(&LogicalType::INT)),
            TypeKind::Row(fields) => Kind::Row(fields.iter().map(|f| Self::new(&f.ty, style)).collect()),
            TypeKind::Null | TypeKind::Descriptor => Kind::Null,
        };
        Self { kind, style }
    }

    /// The text of the value at `row`; `None` for NULL.
    pub fn value(&self, array: &dyn Array, row: usize, zone: &TimeZone) -> Option<String> {
        if is_null(array, row) {
            return None;
        }
        let mut out = String::new();
        self.write(&mut out, array, row, &mut ZoneOffsets::new(zone.clone()));
        Some(out)
    }

    /// The texts of a column, as a `Utf8View` column; NULL stays NULL.
    pub fn column(&self, array: &ArrayRef, zone: &TimeZone) -> ArrayRef {
        let mut zone = ZoneOffsets::new(zone.clone());
        match &self.kind {
            _ if self.style == Style::Java => texts(array, |out, row| self.write(out, array, row, &mut zone)),
            Kind::Text => Arc::clone(array),
            Kind::Null => new_null_array(&DataType::Utf8View, array.len()),
            Kind::TinyInt => self.integers::<Int8Type>(array),
            Kind::SmallInt => self.integers::<Int16Type>(array),
            Kind::Int => self.integers::<Int32Type>(array),
            Kind::BigInt => self.integers::<Int64Type>(array),
            Kind::Float => self.primitives::<Float32Type>(array, write_float),
            Kind::Double => self.primitives::<Float64Type>(array, write_double),
            Kind::Decimal { scale } => {
                self.primitives::<Decimal128Type>(array, |out, v| write_decimal_plain(out, v, *scale))
            }
            Kind::Date => self.primitives::<Date32Type>(array, |out, v| write_date(out, i64::from(v))),
            Kind::Time { precision } => {
                self.primitives::<Time32MillisecondType>(array, |out, v| write_time(out, v, *precision))
            }
            Kind::YearMonth => self.primitives::<IntervalYearMonthType>(array, write_year_month),
            Kind::DayTime => self.primitives::<DurationMillisecondType>(array, write_day_time),
            Kind::Timestamp { precision } => timestamps(array, *precision, |_| 0),
            Kind::TimestampLtz { precision } => {
                timestamps(array, *precision, |utc_ms| zone.offset_ms(utc_ms))
            }
            _ => texts(array, |out, row| self.write(out, array, row, &mut zone)),
        }
    }

    /// Appends the text of the value at `row`, or `NULL`.
    pub fn write(&self, out: &mut String, array: &dyn Array, row: usize, zone: &mut ZoneOffsets) {
        if self.style == Style::Java && java::write(self, out, array, row) {
            return;
        }
        if is_null(array, row) {
            out.push_str(if self.style == Style::LegacyCast {
                "null"
            } else {
                NULL_TEXT
            });
            return;
        }
        match &self.kind {
            Kind::Null => {}
            Kind::Text => out.push_str(array.as_string_view().value(row)),
            Kind::Bytes => self.write_bytes(out, array.as_binary_view().value(row)),
            Kind::Variant => out.push_str(&String::from_utf8_lossy(array.as_binary_view().value(row))),
            Kind::Bitmap => write_bitmap(out, array.as_binary_view().value(row)),
            Kind::Boolean => self.write_boolean(out, array.as_boolean().value(row)),
            Kind::TinyInt => write_integer(out, array.as_primitive::<Int8Type>().value(row).into()),
            Kind::SmallInt => write_integer(out, array.as_primitive::<Int16Type>().value(row).into()),
            Kind::Int => write_integer(out, array.as_primitive::<Int32Type>().value(row).into()),
            Kind::BigInt => write_integer(out, array.as_primitive::<Int64Type>().value(row)),
            Kind::Float => write_float(out, array.as_primitive::<Float32Type>().value(row)),
            Kind::Double => write_double(out, array.as_primitive::<Float64Type>().value(row)),
            Kind::Decimal { scale } => {
                write_decimal_plain(out, array.as_primitive::<Decimal128Type>().value(row), *scale)
            }
            Kind::Date => write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
            Kind::Time { precision } => {
                write_time(
                    out,
                    array.as_primitive::<Time32MillisecondType>().value(row),
                    *precision,
                );
            }
            Kind::Timestamp { precision } => write_timestamp(out, timestamp_nanos(array, row), *precision),
            Kind::TimestampLtz { precision } => {
                write_timestamp(out, zone.to_local_nanos(timestamp_nanos(array, row)), *precision);
            }
            Kind::YearMonth => {
                write_year_month(out, array.as_primitive::<IntervalYearMonthType>().value(row))
            }
            Kind::DayTime => write_day_time(out, array.as_primitive::<DurationMillisecondType>().value(row)),
            Kind::Array(_) | Kind::Map(..) | Kind::Row(_) => self.write_nested(out, array, row, zone),
        }
    }

    fn write_nested(&self, out: &mut String, array: &dyn Array, row: usize, zone: &mut ZoneOffsets) {
        match &self.kind {
            Kind::Array(element) => {
                let items = array.as_list::<i32>().value(row);
                enclosed(out, ["[", ", ", "]"], items.len(), |out, i| {
                    element.write(out, &items, i, zone)
                });
            }
            Kind::Map(key, value) => {
                let entries = array.as_list::<i32>().value(row);
                let columns = entries.as_struct().columns();
                let order = match self.style {
                    Style::Java => java::map_order(&columns[0]),
                    _ => (0..entries.len()).collect(),
                };
                enclosed(out, ["{", ", ", "}"], entries.len(), |out, i| {
                    let i = order[i];
                    key.write(out, &columns[0], i, zone);
                    out.push('=');
                    value.write(out, &columns[1], i, zone);
                });
            }
            Kind::Row(fields) => {
                let marks = match self.style {
                    Style::LegacyCast => ["(", ",", ")"],
                    Style::Java => ["+I[", ", ", "]"],
                    Style::Client | Style::Cast => ["(", ", ", ")"],
                };
                let columns = array.as_struct().columns();
                enclosed(out, marks, fields.len(), |out, i| match columns.get(i) {
                    Some(column) => fields[i].write(out, column, row, zone),
                    None => out.push_str(NULL_TEXT),
                });
            }
            _ => {}
        }
    }

    fn write_boolean(&self, out: &mut String, value: bool) {
        out.push_str(match (self.style, value) {
            (Style::LegacyCast, true) => "true",
            (Style::LegacyCast, false) => "false",
            (_, true) => "TRUE",
            (_, false) => "FALSE",
        });
    }

    fn write_bytes(&self, out: &mut String, bytes: &[u8]) {
        if self.style == Style::Client {
            write_hex(out, bytes)
        } else {
            out.push_str(&String::from_utf8_lossy(bytes))
        }
    }

    fn integers<T: ArrowPrimitiveType>(&self, array: &ArrayRef) -> ArrayRef
    where
        T::Native: Into<i64>,
    {
        self.primitives::<T>(array, |out, v| write_integer(out, v.into()))
    }

    fn primitives<T: ArrowPrimitiveType>(
        &self,
        array: &ArrayRef,
        write: impl Fn(&mut String, T::Native),
    ) -> ArrayRef {
        let values = array.as_primitive::<T>().values();
        texts(array, |out, row| write(out, values[row]))
    }
}

fn is_null(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || matches!(array.data_type(), DataType::Null)
}

/// The texts of timestamps of any precision; `offset_ms` moves an instant to local time.
fn timestamps(array: &ArrayRef, precision: u8, mut offset_ms: impl FnMut(i64) -> i64) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let values = array.as_primitive::<TimestampMillisecondType>().values();
            texts(array, |out, row| {
                let ms = values[row];
                write_timestamp_units(out, ms.wrapping_add(offset_ms(ms)), 1_000_000, precision);
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            texts(array, |out, row| {
                let micros = values[row];
                let local = micros.wrapping_add(offset_ms(micros.div_euclid(1_000)) * 1_000);
                write_timestamp_units(out, local, 1_000, precision);
            })
        }
        _ => {
            let values = array.as_primitive::<Decimal128Type>().values();
            texts(array, |out, row| {
                let nanos = values[row];
                let offset = i128::from(offset_ms(nanos.div_euclid(1_000_000) as i64)) * 1_000_000;
                write_timestamp(out, nanos + offset, precision);
            })
        }
    }
}

/// A `Utf8View` column whose value at each row that is not NULL in `array` is what `write` appends.
fn texts(array: &ArrayRef, mut write: impl FnMut(&mut String, usize)) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut buffer = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        buffer.clear();
        write(&mut buffer, row);
        builder.append_value(&buffer);
    }
    Arc::new(builder.finish())
}

fn display(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a string takes every text");
}

fn write_hex(out: &mut String, bytes: &[u8]) {
    out.push_str("x'");
    for byte in bytes {
        display(out, format_args!("{byte:02x}"));
    }
    out.push('\'');
}

fn enclosed(
    out: &mut String,
    [open, separator, close]: [&str; 3],
    parts: usize,
    mut part: impl FnMut(&mut String, usize),
) {
    out.push_str(open);
    for i in 0..parts {
        if i > 0 {
            out.push_str(separator);
        }
        part(out, i);
    }
    out.push_str(close);
}

#[cfg(test)]
mod tests;
