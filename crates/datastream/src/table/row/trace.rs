//! Finds the columns that a Rust type has, by having serde read a made-up value of it.
//!
//! Serde types do not describe themselves, but reading one asks for every field by name and kind; [`Tracer`] notes what is
//! asked for and responds with a small value.

use millstream_types::{LogicalType, RowField, TypeKind};
use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use crate::error::{Error, Result};

/// Types that hold themselves are not followed deeper than this.
const DEPTH_MAX: usize = 32;
/// Precision and scale of decimals that do not say more, as in Flink.
const DECIMAL: (u8, u8) = (38, 18);

/// The columns of a row type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A value that is one column.
    Atomic(LogicalType),
    /// A struct or a tuple.
    Fields(Vec<(String, LogicalType)>),
}

impl Shape {
    /// The columns of `T`.
    pub fn of<T: DeserializeOwned>() -> Result<Self> {
        let mut found = LogicalType::NULL;
        let tracer = Tracer {
            found: &mut found,
            depth: 0,
        };
        T::deserialize(tracer).map_err(|error| {
            Error::input(format!(
                "type '{}' has no columns: {error}",
                std::any::type_name::<T>()
            ))
        })?;
        Ok(match found.kind {
            TypeKind::Row(fields) => {
                Self::Fields(fields.into_iter().map(|field| (field.name, field.ty)).collect())
            }
            _ => Self::Atomic(found),
        })
    }

    /// The shape under other names, in the order of the fields. Only tuples and single values have names to give away.
    pub fn renamed(self, names: &[&str]) -> Result<Self> {
        match self {
            Self::Atomic(ty) => Ok(Self::Atomic(ty)),
            Self::Fields(fields)
                if fields
                    .iter()
                    .enumerate()
                    .all(|(i, (name, _))| *name == format!("f{i}")) =>
            {
                let named = fields.into_iter().zip(names);
                Ok(Self::Fields(
                    named.map(|((_, ty), name)| ((*name).to_owned(), ty)).collect(),
                ))
            }
            Self::Fields(fields) => {
                let fields: Vec<String> = fields.into_iter().map(|(name, _)| name).collect();
                Err(Error::input(format!(
                    "the schema names columns ({}) that are not fields of the row type ({})",
                    names.join(", "),
                    fields.join(", ")
                )))
            }
        }
    }

    /// Names and types of the columns; a single value is `f0`, as in Flink.
    pub fn columns(&self) -> Vec<(String, LogicalType)> {
        match self {
            Self::Atomic(ty) => vec![("f0".to_owned(), ty.clone())],
            Self::Fields(fields) => fields.clone(),
        }
    }
}

/// Why a type cannot be traced.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TraceError(String);

impl de::Error for TraceError {
    fn custom<M: std::fmt::Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

struct Tracer<'a> {
    /// Where the type goes.
    found: &'a mut LogicalType,
    depth: usize,
}

impl<'a> Tracer<'a> {
    fn note(self, kind: TypeKind) -> Result<(), TraceError> {
        *self.found = LogicalType::not_null(kind);
        Ok(())
    }

    fn below<'b>(&self, found: &'b mut LogicalType) -> Result<Tracer<'b>, TraceError> {
        if self.depth == DEPTH_MAX {
            return Err(TraceError("it holds itself".to_owned()));
        }
        Ok(Tracer {
            found,
            depth: self.depth + 1,
        })
    }

    /// A text that the visitor takes, and the type of it: dates and times are texts to serde and say what they expect.
    fn text(self, expected: &str) -> &'static str {
        let (text, ty) = if expected.contains("timestamp") || expected.contains("zoned") {
            ("1970-01-01T00:00:00Z", LogicalType::timestamp_ltz(6))
        } else if expected.contains("datetime") || expected.contains("date and time") {
            ("1970-01-01T00:00:00", LogicalType::timestamp(6))
        } else if expected.contains("date") {
            ("1970-01-01", LogicalType::DATE)
        } else if expected.contains("time") {
            ("00:00:00", LogicalType::time(0))
        } else if expected.to_lowercase().contains("decimal") {
            ("0", LogicalType::decimal(DECIMAL.0, DECIMAL.1))
        } else {
            ("", LogicalType::STRING)
        };
        *self.found = ty.with_nullable(false);
        text
    }
}

fn expectation<'de>(visitor: &impl Visitor<'de>) -> String {
    (visitor as &dyn Expected).to_string()
}

macro_rules! traced_numbers {
    ($($method:ident $visit:ident $kind:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
            self.note($kind)?;
            // One, since some types reject zero.
            visitor.$visit(1 as _)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = TraceError;

    traced_numbers! {
        deserialize_i8 visit_i8 TypeKind::TinyInt;
        deserialize_i16 visit_i16 TypeKind::SmallInt;
        deserialize_i32 visit_i32 TypeKind::Int;
        deserialize_i64 visit_i64 TypeKind::BigInt;
        deserialize_u8 visit_u8 TypeKind::SmallInt;
        deserialize_u16 visit_u16 TypeKind::Int;
        deserialize_u32 visit_u32 TypeKind::BigInt;
        deserialize_u64 visit_u64 TypeKind::Decimal { precision: 20, scale: 0 };
        deserialize_f32 visit_f32 TypeKind::Float;
        deserialize_f64 visit_f64 TypeKind::Double;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.note(TypeKind::Boolean)?;
        visitor.visit_bool(false)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.found = LogicalType::STRING.with_nullable(false);
        visitor.visit_char('a')
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let text = self.text(&expectation(&visitor));
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.found = LogicalType::BYTES.with_nullable(false);
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut inner = LogicalType::NULL;
        let value = visitor.visit_some(self.below(&mut inner)?)?;
        *self.found = inner.with_nullable(true);
        Ok(value)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut elements = Elements::new(1, self.depth);
        let value = visitor.visit_seq(&mut elements)?;
        let element = elements.types.pop().unwrap_or(LogicalType::NULL);
        self.note(TypeKind::Array(Box::new(element)))?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, TraceError> {
        let mut elements = Elements::new(len, self.depth);
        let value = visitor.visit_seq(&mut elements)?;
        let fields = elements.types.into_iter().enumerate();
        let fields = fields
            .map(|(index, ty)| row_field(format!("f{index}"), ty))
            .collect();
        self.note(TypeKind::Row(fields))?;
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut entries = Elements::new(2, self.depth);
        let value = visitor.visit_map(&mut entries)?;
        let mut types = entries.types.into_iter();
        let (Some(key), Some(of_value)) = (types.next(), types.next()) else {
            return Err(TraceError("a map reads no entries".to_owned()));
        };
        self.note(TypeKind::Map(Box::new(key), Box::new(of_value)))?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let mut reading = Fields {
            names: fields,
            elements: Elements::new(fields.len(), self.depth),
        };
        let value = visitor.visit_map(&mut reading)?;
        let fields = fields.iter().zip(reading.elements.types);
        let fields = fields
            .map(|(name, ty)| row_field((*name).to_owned(), ty))
            .collect();
        self.note(TypeKind::Row(fields))?;
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        *self.found = LogicalType::STRING.with_nullable(false);
        let first: StrDeserializer<'_, TraceError> =
            variants.first().copied().unwrap_or_default().into_deserializer();
        visitor.visit_enum(first).map_err(|_| {
            TraceError(format!(
                "enum '{name}' has variants with data, which no column type holds"
            ))
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        Err(TraceError(format!(
            "a part of it ({}) takes values of any kind",
            expectation(&visitor)
        )))
    }

    /// Nothing: no columns, as the arguments of a function without any.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.note(TypeKind::Row(Vec::new()))?;
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 unit_struct identifier }
}

fn row_field(name: String, ty: LogicalType) -> RowField {
    RowField {
        name,
        ty,
        description: None,
    }
}

/// Gives so many values and notes their types.
struct Elements {
    left: usize,
    depth: usize,
    types: Vec<LogicalType>,
}

impl Elements {
    fn new(left: usize, depth: usize) -> Self {
        Self {
            left,
            depth,
            types: Vec::with_capacity(left),
        }
    }

    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        let mut ty = LogicalType::NULL;
        let parent = Tracer {
            found: &mut LogicalType::NULL.clone(),
            depth: self.depth,
        };
        let value = seed.deserialize(parent.below(&mut ty)?)?;
        self.types.push(ty);
        self.left -= 1;
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for &mut Elements {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        match self.left {
            0 => Ok(None),
            _ => self.next(seed).map(Some),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Elements {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        self.next(seed)
    }
}

/// Gives a value for each field of a struct.
struct Fields {
    names: &'static [&'static str],
    elements: Elements,
}

impl<'de> MapAccess<'de> for &mut Fields {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        let place = self.elements.types.len();
        let Some(name) = self.names.get(place) else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, TraceError> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        self.elements.next(seed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        x: Option<f64>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Outer {
        id: u64,
        #[serde(rename = "userName")]
        name: String,
        colour: Colour,
        inner: Inner,
        tags: Vec<String>,
        counts: BTreeMap<String, i32>,
        at: Option<i64>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct List {
        next: Option<Box<List>>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Data {
        Of(i32),
    }

    fn shown<T: DeserializeOwned>() -> String {
        let columns = Shape::of::<T>().expect("the type has columns").columns();
        let texts: Vec<String> = columns.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
        texts.join(", ")
    }

    #[test]
    fn fields_become_columns() {
        assert_eq!(
            shown::<Outer>(),
            "id DECIMAL(20, 0) NOT NULL, userName STRING NOT NULL, colour STRING NOT NULL, inner ROW<`x` DOUBLE> NOT NULL, \
             tags ARRAY<STRING NOT NULL> NOT NULL, counts MAP<STRING NOT NULL, INT NOT NULL> NOT NULL, at BIGINT"
        );
        assert_eq!(shown::<(String, i64)>(), "f0 STRING NOT NULL, f1 BIGINT NOT NULL");
        assert_eq!(shown::<i32>(), "f0 INT NOT NULL");
    }

    #[test]
    fn types_without_columns_are_refused() {
        let refused = |shape: Result<Shape>| shape.unwrap_err().message;
        assert!(refused(Shape::of::<List>()).contains("it holds itself"));
        assert!(refused(Shape::of::<Data>()).contains("variants with data"));
        assert!(refused(Shape::of::<serde_json::Value>()).contains("any kind"));
    }
}
