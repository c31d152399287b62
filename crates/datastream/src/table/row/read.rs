//! Columns to values of Rust types: a serde deserializer over one row.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use arrow_array::{Array, ArrayRef};
use millstream_functions::display::{write_date, write_time, write_timestamp};
use millstream_types::java_text::write_decimal_plain;
use millstream_types::{LogicalType, RowField, TypeKind, timestamp_millis, timestamp_nanos};
use serde::Deserializer;
use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// Digits of a timestamp's text.
const TEXT_PRECISION: u8 = 9;

/// Why a column's value is not a value of a Rust type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ReadError(String);

impl de::Error for ReadError {
    fn custom<M: std::fmt::Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

/// One value of a column.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub ty: &'a LogicalType,
    pub array: &'a dyn Array,
    pub row: usize,
}

impl<'a> Value<'a> {
    fn is_null(&self) -> bool {
        self.array.is_null(self.row) || matches!(self.array.data_type(), arrow_schema::DataType::Null)
    }

    fn number<T: arrow_array::ArrowPrimitiveType>(&self) -> T::Native {
        self.array.as_primitive::<T>().value(self.row)
    }

    /// The text of a decimal, a date or a time.
    fn text(&self) -> Option<String> {
        let mut text = String::new();
        match &self.ty.kind {
            TypeKind::Decimal { scale, .. } => {
                write_decimal_plain(&mut text, self.number::<Decimal128Type>(), *scale);
            }
            TypeKind::Date => write_date(&mut text, i64::from(self.number::<Date32Type>())),
            TypeKind::Time(_) => write_time(&mut text, self.number::<Time32MillisecondType>(), 3),
            TypeKind::Timestamp { .. } => {
                write_timestamp(&mut text, timestamp_nanos(self.array, self.row), TEXT_PRECISION);
            }
            TypeKind::TimestampLtz { .. } => {
                write_timestamp(&mut text, timestamp_nanos(self.array, self.row), TEXT_PRECISION);
                text.push('Z');
            }
            _ => return None,
        }
        Some(text)
    }

    /// Days, milliseconds of the day, milliseconds since the epoch, or a decimal without fraction.
    fn integer(&self) -> Option<i128> {
        match &self.ty.kind {
            TypeKind::Decimal { scale, .. } => {
                let (unscaled, one) = (self.number::<Decimal128Type>(), 10_i128.pow(u32::from(*scale)));
                (unscaled % one == 0).then(|| unscaled / one)
            }
            TypeKind::Date => Some(i128::from(self.number::<Date32Type>())),
            TypeKind::Time(_) => Some(i128::from(self.number::<Time32MillisecondType>())),
            TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
                Some(i128::from(timestamp_millis(self.array, self.row)))
            }
            _ => None,
        }
    }

    /// What holds the items of a list or map, and which of them are of this value.
    fn items(&self) -> (&'a ArrayRef, Range<usize>) {
        let list = self.array.as_list::<i32>();
        let offsets = &list.value_offsets()[self.row..];
        (list.values(), offsets[0] as usize..offsets[1] as usize)
    }

    /// Elements of a list, as values.
    fn elements(&self, element: &'a LogicalType) -> impl Iterator<Item = Value<'a>> + 'a + use<'a> {
        let (values, range) = self.items();
        range.map(move |row| Value {
            ty: element,
            array: values,
            row,
        })
    }

    /// Entries of a map, as values.
    fn entries(
        &self,
        key: &'a LogicalType,
        value: &'a LogicalType,
    ) -> impl Iterator<Item = (Value<'a>, Value<'a>)> + 'a + use<'a> {
        let (entries, range) = self.items();
        let columns: &'a [ArrayRef] = entries.as_struct().columns();
        let at = move |ty: &'a LogicalType, column: usize, row: usize| Value {
            ty,
            array: &columns[column],
            row,
        };
        range.map(move |row| (at(key, 0, row), at(value, 1, row)))
    }

    fn fields(&self, fields: &'a [RowField]) -> RowAccess<'a> {
        RowAccess {
            fields,
            columns: self.array.as_struct().columns(),
            row: self.row,
            next: 0,
        }
    }
}

impl<'de, 'a: 'de> IntoDeserializer<'de, ReadError> for Value<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! integers_too {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            if self.is_null() {
                return self.deserialize_any(visitor);
            }
            match self.integer() {
                Some(value) => match i64::try_from(value) {
                    Ok(value) => visitor.visit_i64(value),
                    Err(_) => match u64::try_from(value) {
                        Ok(value) => visitor.visit_u64(value),
                        Err(_) => visitor.visit_i128(value),
                    },
                },
                None => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de, 'a: 'de> Deserializer<'de> for Value<'a> {
    type Error = ReadError;

    integers_too! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_null() {
            return visitor.visit_unit();
        }
        if let Some(text) = self.text() {
            return visitor.visit_string(text);
        }
        match &self.ty.kind {
            TypeKind::Boolean => visitor.visit_bool(self.array.as_boolean().value(self.row)),
            TypeKind::TinyInt => visitor.visit_i8(self.number::<Int8Type>()),
            TypeKind::SmallInt => visitor.visit_i16(self.number::<Int16Type>()),
            TypeKind::Int => visitor.visit_i32(self.number::<Int32Type>()),
            TypeKind::BigInt => visitor.visit_i64(self.number::<Int64Type>()),
            TypeKind::Float => visitor.visit_f32(self.number::<Float32Type>()),
            TypeKind::Double => visitor.visit_f64(self.number::<Float64Type>()),
            TypeKind::Char(_) | TypeKind::Varchar(_) => {
                visitor.visit_borrowed_str(self.array.as_string_view().value(self.row))
            }
            TypeKind::Binary(_) | TypeKind::Varbinary(_) => {
                visitor.visit_borrowed_bytes(self.array.as_binary_view().value(self.row))
            }
            TypeKind::Array(element) => visitor.visit_seq(SeqDeserializer::new(self.elements(element))),
            TypeKind::Map(key, value) => visitor.visit_map(MapDeserializer::new(self.entries(key, value))),
            TypeKind::Multiset(element) => {
                visitor.visit_map(MapDeserializer::new(self.entries(element, &COUNT)))
            }
            TypeKind::Row(fields) => visitor.visit_map(self.fields(fields)),
            _ => Err(ReadError(format!(
                "a value of type {} has no counterpart in Rust",
                self.ty
            ))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let decimal = matches!(self.ty.kind, TypeKind::Decimal { .. }) && !self.is_null();
        let text = if decimal { self.text() } else { None };
        match text.and_then(|text| text.parse().ok()) {
            Some(value) => visitor.visit_f64(value),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.ty.kind {
            _ if self.is_null() => self.deserialize_any(visitor),
            TypeKind::Row(fields) => visitor.visit_seq(self.fields(fields)),
            TypeKind::Binary(_) | TypeKind::Varbinary(_) => {
                let bytes = self.array.as_binary_view().value(self.row);
                visitor.visit_seq(SeqDeserializer::<_, ReadError>::new(bytes.iter().copied()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.array.as_string_view_opt() {
            Some(texts) if !self.is_null() => {
                let text: StrDeserializer<'_, ReadError> = texts.value(self.row).into_deserializer();
                visitor.visit_enum(text)
            }
            _ => Err(ReadError(format!(
                "a value of type {} is not a variant of enum '{name}'",
                self.ty
            ))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct map struct identifier
    }
}

/// Counts of a MULTISET.
static COUNT: LogicalType = LogicalType::not_null(TypeKind::Int);

/// A row of several columns, by name or by position.
pub(crate) struct RowAccess<'a> {
    pub fields: &'a [RowField],
    pub columns: &'a [ArrayRef],
    pub row: usize,
    pub next: usize,
}

impl<'a> RowAccess<'a> {
    fn value(&self, index: usize) -> Value<'a> {
        Value {
            ty: &self.fields[index].ty,
            array: &self.columns[index],
            row: self.row,
        }
    }
}

impl<'de, 'a: 'de> MapAccess<'de> for RowAccess<'a> {
    type Error = ReadError;

    fn next_key_seed<S: de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some(field) = self.fields.get(self.next) else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, ReadError> = field.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        self.next += 1;
        seed.deserialize(self.value(self.next - 1))
    }
}

impl<'de, 'a: 'de> SeqAccess<'de> for RowAccess<'a> {
    type Error = ReadError;

    fn next_element_seed<S: de::DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        if self.next == self.fields.len() {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(self.value(self.next - 1)).map(Some)
    }
}

/// Reads a whole row: structs by the names of columns, tuples by position.
pub(crate) struct WholeRow<'a>(pub RowAccess<'a>);

macro_rules! only_column {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.0.value(0).$method(visitor)
        })*
    };
}

/// A type that is not a row reads the only column.
impl<'de, 'a: 'de> Deserializer<'de> for WholeRow<'a> {
    type Error = ReadError;

    only_column! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_option deserialize_seq deserialize_map
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_seq(self.0)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_seq(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.0.value(0).deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { unit_struct struct identifier ignored_any }
}
