//! One value of any logical type, outside of a column.
//!
//! Scalars are literals in plans, defaults, small results. The data path works on columns; a scalar there is a smell.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryViewBuilder, BooleanBuilder, Decimal128Builder, PrimitiveBuilder, StringViewBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, ListArray, NullArray, StructArray, new_null_array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::logical_type::{LogicalType, TypeKind};
use crate::schema::arrow_type;

/// A value. It is read together with its [`LogicalType`], which gives scale, precision and field names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Scalar {
    Null,
    Boolean(bool),
    TinyInt(i8),
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    Float(f32),
    Double(f64),
    /// Unscaled value of a DECIMAL.
    Decimal(i128),
    String(String),
    Bytes(Vec<u8>),
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds of the day.
    Time(i32),
    /// Nanoseconds since the epoch, for TIMESTAMP (wall clock) and TIMESTAMP_LTZ (UTC) of every precision.
    Timestamp(i128),
    /// Months.
    IntervalYearMonth(i32),
    /// Milliseconds.
    IntervalDayTime(i64),
    Array(Vec<Scalar>),
    /// Entries of a MAP, or of a MULTISET with INT counts, in order.
    Map(Vec<(Scalar, Scalar)>),
    Row(Vec<Scalar>),
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a character string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The value of an integer of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::TinyInt(v) => Some(i64::from(*v)),
            Self::SmallInt(v) => Some(i64::from(*v)),
            Self::Int(v) => Some(i64::from(*v)),
            Self::BigInt(v) => Some(*v),
            _ => None,
        }
    }

    /// A column of `rows` equal values. A value that does not fit `ty` becomes NULL: scalars are made by code that
    /// knows the type, so this is checked in debug builds only.
    pub fn to_array(&self, ty: &LogicalType, rows: usize) -> ArrayRef {
        scalars_to_array(ty, std::iter::repeat_n(self, rows))
    }

    /// The value at `row` of a column of `ty`.
    pub fn from_array(ty: &LogicalType, array: &dyn Array, row: usize) -> Scalar {
        if array.is_null(row) || matches!(array.data_type(), DataType::Null) {
            return Self::Null;
        }
        match &ty.kind {
            TypeKind::Char(_) | TypeKind::Varchar(_) => {
                Self::String(array.as_string_view().value(row).to_owned())
            }
            TypeKind::Binary(_)
            | TypeKind::Varbinary(_)
            | TypeKind::Variant
            | TypeKind::Bitmap
            | TypeKind::Raw { .. } => Self::Bytes(array.as_binary_view().value(row).to_vec()),
            TypeKind::Boolean => Self::Boolean(array.as_boolean().value(row)),
            TypeKind::TinyInt => Self::TinyInt(array.as_primitive::<Int8Type>().value(row)),
            TypeKind::SmallInt => Self::SmallInt(array.as_primitive::<Int16Type>().value(row)),
            TypeKind::Int => Self::Int(array.as_primitive::<Int32Type>().value(row)),
            TypeKind::BigInt => Self::BigInt(array.as_primitive::<Int64Type>().value(row)),
            TypeKind::Float => Self::Float(array.as_primitive::<Float32Type>().value(row)),
            TypeKind::Double => Self::Double(array.as_primitive::<Float64Type>().value(row)),
            TypeKind::Decimal { .. } => Self::Decimal(
                array
                    .as_primitive::<arrow_array::types::Decimal128Type>()
                    .value(row),
            ),
            TypeKind::Date => Self::Date(array.as_primitive::<Date32Type>().value(row)),
            TypeKind::Time(_) => Self::Time(array.as_primitive::<Time32MillisecondType>().value(row)),
            TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
                Self::Timestamp(timestamp_nanos(array, row))
            }
            TypeKind::IntervalYearMonth(_) => {
                Self::IntervalYearMonth(array.as_primitive::<IntervalYearMonthType>().value(row))
            }
            TypeKind::IntervalDayTime(_) => {
                Self::IntervalDayTime(array.as_primitive::<DurationMillisecondType>().value(row))
            }
            TypeKind::Array(element) => {
                let items = array.as_list::<i32>().value(row);
                Self::Array(
                    (0..items.len())
                        .map(|i| Self::from_array(element, &items, i))
                        .collect(),
                )
            }
            TypeKind::Map(key, value) => Self::entries(key, value, array, row),
            TypeKind::Multiset(element) => {
                Self::entries(element, &LogicalType::not_null(TypeKind::Int), array, row)
            }
            TypeKind::Row(fields) => {
                let columns = array.as_struct().columns();
                Self::Row(
                    fields
                        .iter()
                        .zip(columns)
                        .map(|(f, c)| Self::from_array(&f.ty, c, row))
                        .collect(),
                )
            }
            TypeKind::Null | TypeKind::Descriptor => Self::Null,
        }
    }

    fn entries(key: &LogicalType, value: &LogicalType, array: &dyn Array, row: usize) -> Scalar {
        let entries = array.as_list::<i32>().value(row);
        let columns = entries.as_struct().columns();
        let entry = |i| {
            (
                Self::from_array(key, &columns[0], i),
                Self::from_array(value, &columns[1], i),
            )
        };
        Self::Map((0..entries.len()).map(entry).collect())
    }
}

/// Nanoseconds in a millisecond, in the type of [`timestamp_nanos`].
pub const NANOS_PER_MS: i128 = 1_000_000;

/// Nanoseconds since the epoch at `row` of a timestamp column of any precision.
pub fn timestamp_nanos(array: &dyn Array, row: usize) -> i128 {
    match array.data_type() {
        DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, _) => {
            i128::from(array.as_primitive::<TimestampMillisecondType>().value(row)) * NANOS_PER_MS
        }
        DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, _) => {
            i128::from(array.as_primitive::<TimestampMicrosecondType>().value(row)) * 1_000
        }
        _ => array
            .as_primitive::<arrow_array::types::Decimal128Type>()
            .value(row),
    }
}

/// Milliseconds since the epoch at `row` of a timestamp column of any precision, rounded down.
pub fn timestamp_millis(array: &dyn Array, row: usize) -> i64 {
    i64::try_from(timestamp_nanos(array, row).div_euclid(NANOS_PER_MS)).unwrap_or(i64::MAX)
}

/// A column of `ty` from values in order.
pub fn scalars_to_array<'a>(ty: &LogicalType, values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    match &ty.kind {
        TypeKind::Char(_) | TypeKind::Varchar(_) => texts(values),
        TypeKind::Binary(_)
        | TypeKind::Varbinary(_)
        | TypeKind::Variant
        | TypeKind::Bitmap
        | TypeKind::Raw { .. } => bytes(values),
        TypeKind::Boolean => booleans(values),
        TypeKind::TinyInt => primitive::<Int8Type>(ty, values, |v| v.as_i64().map(|i| i as i8)),
        TypeKind::SmallInt => primitive::<Int16Type>(ty, values, |v| v.as_i64().map(|i| i as i16)),
        TypeKind::Int => primitive::<Int32Type>(ty, values, |v| v.as_i64().map(|i| i as i32)),
        TypeKind::BigInt => primitive::<Int64Type>(ty, values, Scalar::as_i64),
        TypeKind::Float => primitive::<Float32Type>(ty, values, |v| match v {
            Scalar::Float(x) => Some(*x),
            _ => None,
        }),
        TypeKind::Double => primitive::<Float64Type>(ty, values, |v| match v {
            Scalar::Double(x) => Some(*x),
            _ => None,
        }),
        TypeKind::Decimal { .. } => decimals(ty, values),
        TypeKind::Date => primitive::<Date32Type>(ty, values, |v| match v {
            Scalar::Date(d) => Some(*d),
            _ => None,
        }),
        TypeKind::Time(_) => primitive::<Time32MillisecondType>(ty, values, |v| match v {
            Scalar::Time(t) => Some(*t),
            _ => None,
        }),
        TypeKind::Timestamp { precision, .. } | TypeKind::TimestampLtz { precision, .. } => {
            timestamps(ty, *precision, values)
        }
        TypeKind::IntervalYearMonth(_) => primitive::<IntervalYearMonthType>(ty, values, |v| match v {
            Scalar::IntervalYearMonth(m) => Some(*m),
            _ => None,
        }),
        TypeKind::IntervalDayTime(_) => primitive::<DurationMillisecondType>(ty, values, |v| match v {
            Scalar::IntervalDayTime(ms) => Some(*ms),
            _ => None,
        }),
        TypeKind::Array(element) => lists(ty, element, values),
        TypeKind::Map(key, value) => maps(ty, key, value, values),
        TypeKind::Multiset(element) => maps(ty, element, &LogicalType::not_null(TypeKind::Int), values),
        TypeKind::Row(fields) => {
            let field_types: Vec<&LogicalType> = fields.iter().map(|f| &f.ty).collect();
            rows(ty, &field_types, values)
        }
        TypeKind::Null | TypeKind::Descriptor => Arc::new(NullArray::new(values.count())),
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let mut builder = StringViewBuilder::new();
    values.for_each(|v| builder.append_option(v.as_str()));
    Arc::new(builder.finish())
}

fn bytes<'a>(values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let mut builder = BinaryViewBuilder::new();
    values.for_each(|v| match v {
        Scalar::Bytes(b) => builder.append_value(b),
        _ => builder.append_null(),
    });
    Arc::new(builder.finish())
}

fn booleans<'a>(values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let mut builder = BooleanBuilder::new();
    values.for_each(|v| {
        builder.append_option(if let Scalar::Boolean(b) = v {
            Some(*b)
        } else {
            None
        })
    });
    Arc::new(builder.finish())
}

fn primitive<'a, T: ArrowPrimitiveType>(
    ty: &LogicalType,
    values: impl Iterator<Item = &'a Scalar>,
    native: impl Fn(&Scalar) -> Option<T::Native>,
) -> ArrayRef {
    let mut builder = PrimitiveBuilder::<T>::new().with_data_type(arrow_type(ty));
    values.for_each(|v| builder.append_option(native(v)));
    Arc::new(builder.finish())
}

fn decimals<'a>(ty: &LogicalType, values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let mut builder = Decimal128Builder::new().with_data_type(arrow_type(ty));
    values.for_each(|v| {
        builder.append_option(if let Scalar::Decimal(d) = v {
            Some(*d)
        } else {
            None
        })
    });
    Arc::new(builder.finish())
}

fn timestamps<'a>(ty: &LogicalType, precision: u8, values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let nanos = |v: &Scalar| {
        if let Scalar::Timestamp(n) = v {
            Some(*n)
        } else {
            None
        }
    };
    match precision {
        0..=3 => primitive::<TimestampMillisecondType>(ty, values, |v| {
            nanos(v).and_then(|n| i64::try_from(n.div_euclid(NANOS_PER_MS)).ok())
        }),
        4..=6 => primitive::<TimestampMicrosecondType>(ty, values, |v| {
            nanos(v).and_then(|n| i64::try_from(n.div_euclid(1_000)).ok())
        }),
        _ => {
            let mut builder = Decimal128Builder::new().with_data_type(arrow_type(ty));
            values.for_each(|v| builder.append_option(nanos(v)));
            Arc::new(builder.finish())
        }
    }
}

fn lists<'a>(ty: &LogicalType, element: &LogicalType, values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let (mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        let list: &[Scalar] = if let Scalar::Array(list) = value {
            list
        } else {
            &[]
        };
        items.extend(list.iter());
        lengths.push(list.len());
        valid.push(matches!(value, Scalar::Array(_)));
    }
    let items = scalars_to_array(element, items.into_iter());
    let DataType::List(field) = arrow_type(ty) else {
        return new_null_array(&arrow_type(ty), valid.len());
    };
    Arc::new(ListArray::new(
        field,
        OffsetBuffer::from_lengths(lengths),
        items,
        Some(NullBuffer::from(valid)),
    ))
}

fn maps<'a>(
    ty: &LogicalType,
    key: &LogicalType,
    value: &LogicalType,
    values: impl Iterator<Item = &'a Scalar>,
) -> ArrayRef {
    let (mut keys, mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for v in values {
        let entries: &[(Scalar, Scalar)] = if let Scalar::Map(entries) = v {
            entries
        } else {
            &[]
        };
        for (k, item) in entries {
            keys.push(k);
            items.push(item);
        }
        lengths.push(entries.len());
        valid.push(matches!(v, Scalar::Map(_)));
    }
    let keys = scalars_to_array(key, keys.into_iter());
    let items = scalars_to_array(value, items.into_iter());
    map_array(
        ty,
        keys,
        items,
        OffsetBuffer::from_lengths(lengths),
        Some(NullBuffer::from(valid)),
    )
}

/// A MAP or MULTISET column of `ty` from its flattened keys and values.
pub fn map_array(
    ty: &LogicalType,
    keys: ArrayRef,
    values: ArrayRef,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let data_type = arrow_type(ty);
    let rows = offsets.len().saturating_sub(1);
    let DataType::List(field) = &data_type else {
        return new_null_array(&data_type, rows);
    };
    let DataType::Struct(fields) = field.data_type() else {
        return new_null_array(&data_type, rows);
    };
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    Arc::new(ListArray::new(field.clone(), offsets, Arc::new(entries), nulls))
}

fn rows<'a>(ty: &LogicalType, fields: &[&LogicalType], values: impl Iterator<Item = &'a Scalar>) -> ArrayRef {
    let values: Vec<&Scalar> = values.collect();
    let valid: Vec<bool> = values.iter().map(|v| matches!(v, Scalar::Row(_))).collect();
    let column = |i: usize, field: &LogicalType| {
        let nth = values.iter().map(|v| match v {
            Scalar::Row(items) => items.get(i).unwrap_or(&Scalar::Null),
            _ => &Scalar::Null,
        });
        let nth: Vec<&Scalar> = nth.collect(); // a closure's type would nest without end
        scalars_to_array(field, nth.into_iter())
    };
    let columns: Vec<ArrayRef> = fields.iter().enumerate().map(|(i, f)| column(i, f)).collect();
    struct_array(ty, columns, Some(NullBuffer::from(valid)), values.len())
}

/// A ROW column of `ty` from its field columns.
pub fn struct_array(
    ty: &LogicalType,
    columns: Vec<ArrayRef>,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> ArrayRef {
    let data_type = arrow_type(ty);
    let DataType::Struct(fields) = &data_type else {
        return new_null_array(&data_type, rows);
    };
    if fields.is_empty() {
        return Arc::new(StructArray::new_empty_fields(rows, nulls));
    }
    Arc::new(StructArray::new(fields.clone(), columns, nulls))
}
