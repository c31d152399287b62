//! Schemas: named and typed columns of a batch, and how logical types map to Arrow.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema as ArrowSchema, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::logical_type::{LogicalType, TypeKind};

/// Name and type of one column.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub ty: LogicalType,
}

/// Columns in order. Names need not be unique (a join may repeat them); positions identify columns.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
pub struct Schema {
    pub columns: Vec<Column>,
}

impl Schema {
    pub fn new(columns: impl IntoIterator<Item = (impl Into<String>, LogicalType)>) -> Self {
        Self {
            columns: columns
                .into_iter()
                .map(|(name, ty)| Column {
                    name: name.into(),
                    ty,
                })
                .collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Position of the first column called `name` (exact case).
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    pub fn types(&self) -> impl Iterator<Item = &LogicalType> {
        self.columns.iter().map(|c| &c.ty)
    }

    /// The columns at `indices`, in that order.
    pub fn project(&self, indices: &[usize]) -> Schema {
        Self {
            columns: indices.iter().map(|&i| self.columns[i].clone()).collect(),
        }
    }

    /// The Arrow schema with the physical types of [`arrow_type`].
    pub fn to_arrow(&self) -> ArrowSchema {
        ArrowSchema::new(
            self.columns
                .iter()
                .map(|c| arrow_field(&c.name, &c.ty))
                .collect::<Vec<_>>(),
        )
    }
}

/// The one Arrow type in which columns of `ty` are held.
///
/// | logical | Arrow |
/// |---|---|
/// | CHAR, VARCHAR | `Utf8View` |
/// | BINARY, VARBINARY, VARIANT, BITMAP, RAW | `BinaryView` |
/// | BOOLEAN, integers, FLOAT, DOUBLE | the same |
/// | DECIMAL(p, s) | `Decimal128(p, s)` |
/// | DATE | `Date32` |
/// | TIME(p) | `Time32(Millisecond)` |
/// | TIMESTAMP(0..=3), (4..=6) | `Timestamp(Millisecond)`, `Timestamp(Microsecond)`, no zone |
/// | TIMESTAMP_LTZ(0..=3), (4..=6) | the same with zone `UTC` |
/// | TIMESTAMP(7..=9), TIMESTAMP_LTZ(7..=9) | `Decimal128(38, 9)`: nanoseconds since the epoch, because 64 bits of nanoseconds end in 2262 and Flink's end in 9999 |
/// | INTERVAL YEAR TO MONTH | `Interval(YearMonth)` |
/// | INTERVAL DAY TO SECOND | `Duration(Millisecond)` |
/// | ARRAY | `List` with child `item` |
/// | MAP, MULTISET | `List` of `Struct(key, value)`: Arrow's `Map` refuses NULL keys, Flink has them; MULTISET counts are `Int32` |
/// | ROW | `Struct` |
/// | NULL, DESCRIPTOR | `Null` |
pub fn arrow_type(ty: &LogicalType) -> DataType {
    match &ty.kind {
        TypeKind::Char(_) | TypeKind::Varchar(_) => DataType::Utf8View,
        TypeKind::Binary(_)
        | TypeKind::Varbinary(_)
        | TypeKind::Variant
        | TypeKind::Bitmap
        | TypeKind::Raw { .. } => DataType::BinaryView,
        TypeKind::Boolean => DataType::Boolean,
        TypeKind::TinyInt => DataType::Int8,
        TypeKind::SmallInt => DataType::Int16,
        TypeKind::Int => DataType::Int32,
        TypeKind::BigInt => DataType::Int64,
        TypeKind::Float => DataType::Float32,
        TypeKind::Double => DataType::Float64,
        TypeKind::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
        TypeKind::Date => DataType::Date32,
        TypeKind::Time(_) => DataType::Time32(TimeUnit::Millisecond),
        TypeKind::Timestamp { precision, .. } => timestamp_arrow_type(*precision, None),
        TypeKind::TimestampLtz { precision, .. } => timestamp_arrow_type(*precision, Some("UTC".into())),
        TypeKind::IntervalYearMonth(_) => DataType::Interval(IntervalUnit::YearMonth),
        TypeKind::IntervalDayTime(_) => DataType::Duration(TimeUnit::Millisecond),
        TypeKind::Array(element) => DataType::List(Arc::new(child_field("item", element))),
        TypeKind::Map(key, value) => map_arrow_type(key, value),
        TypeKind::Multiset(element) => map_arrow_type(element, &LogicalType::not_null(TypeKind::Int)),
        TypeKind::Row(fields) => {
            let fields: Fields = fields.iter().map(|f| child_field(&f.name, &f.ty)).collect();
            DataType::Struct(fields)
        }
        TypeKind::Null | TypeKind::Descriptor => DataType::Null,
    }
}

/// The Arrow field of a column.
pub fn arrow_field(name: &str, ty: &LogicalType) -> Field {
    child_field(name, ty)
}

/// Arrow children are always nullable: NOT NULL is a promise of the logical type, and expressions may pass through
/// intermediate NULLs (a NULL row hides NULL children) that Arrow's validation would refuse.
fn child_field(name: &str, ty: &LogicalType) -> Field {
    Field::new(name, arrow_type(ty), true)
}

fn timestamp_arrow_type(precision: u8, zone: Option<Arc<str>>) -> DataType {
    match precision {
        0..=3 => DataType::Timestamp(TimeUnit::Millisecond, zone),
        4..=6 => DataType::Timestamp(TimeUnit::Microsecond, zone),
        _ => DataType::Decimal128(38, 9),
    }
}

fn map_arrow_type(key: &LogicalType, value: &LogicalType) -> DataType {
    let entries = Fields::from(vec![child_field("key", key), child_field("value", value)]);
    DataType::List(Arc::new(Field::new("entries", DataType::Struct(entries), true)))
}
