//! Rows whose columns are known only at run time.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use millstream_functions::display::{write_date, write_time, write_timestamp};
use millstream_types::java_text::{write_decimal_plain, write_double, write_float};
use millstream_types::{LogicalType, RowKind, Scalar, TypeKind};
use serde::{Deserialize, Serialize};

/// Digits after the seconds when a timestamp is printed.
const PRINTED_PRECISION: u8 = 3;

/// A value of a [`Row`].
///
/// ```
/// use millstream_datastream::table::Value;
///
/// assert_eq!(Value::from("flink"), Value::String("flink".to_owned()));
/// assert_eq!(Value::from(None::<i64>), Value::Null);
/// ```
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    TinyInt(i8),
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    Float(f32),
    Double(f64),
    /// `unscaled` divided by ten to the power of `scale`.
    Decimal {
        unscaled: i128,
        scale: u8,
    },
    String(String),
    Bytes(Vec<u8>),
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds of the day.
    Time(i32),
    /// Nanoseconds since the epoch: of the wall clock for TIMESTAMP, of UTC for TIMESTAMP_LTZ.
    Timestamp(i128),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Row(Vec<Value>),
}

impl Value {
    /// The value of an integer of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::TinyInt(value) => Some(i64::from(*value)),
            Self::SmallInt(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(i64::from(*value)),
            Self::BigInt(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(f64::from(*value)),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value at `row` of a column.
    pub(crate) fn of(ty: &LogicalType, array: &ArrayRef, row: usize) -> Self {
        if array.is_null(row) {
            return Self::Null;
        }
        match &ty.kind {
            TypeKind::Array(element) => {
                let items = array.as_list::<i32>().value(row);
                Self::Array(
                    (0..items.len())
                        .map(|item| Self::of(element, &items, item))
                        .collect(),
                )
            }
            TypeKind::Map(key, value) => Self::entries(key, value, array, row),
            TypeKind::Multiset(element) => {
                Self::entries(element, &LogicalType::not_null(TypeKind::Int), array, row)
            }
            TypeKind::Row(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                Self::Row(
                    columns
                        .map(|(field, column)| Self::of(&field.ty, column, row))
                        .collect(),
                )
            }
            TypeKind::Decimal { scale, .. } => match Scalar::from_array(ty, array, row) {
                Scalar::Decimal(unscaled) => Self::Decimal {
                    unscaled,
                    scale: *scale,
                },
                _ => Self::Null,
            },
            _ => Self::of_scalar(Scalar::from_array(ty, array, row)),
        }
    }

    fn entries(key: &LogicalType, value: &LogicalType, array: &ArrayRef, row: usize) -> Self {
        let entries = array.as_list::<i32>().value(row);
        let columns = entries.as_struct().columns();
        let entry = |at| (Self::of(key, &columns[0], at), Self::of(value, &columns[1], at));
        Self::Map((0..entries.len()).map(entry).collect())
    }

    fn of_scalar(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Boolean(value) => Self::Boolean(value),
            Scalar::TinyInt(value) => Self::TinyInt(value),
            Scalar::SmallInt(value) => Self::SmallInt(value),
            Scalar::Int(value) | Scalar::IntervalYearMonth(value) => Self::Int(value),
            Scalar::BigInt(value) | Scalar::IntervalDayTime(value) => Self::BigInt(value),
            Scalar::Float(value) => Self::Float(value),
            Scalar::Double(value) => Self::Double(value),
            Scalar::String(value) => Self::String(value),
            Scalar::Bytes(value) => Self::Bytes(value),
            Scalar::Date(value) => Self::Date(value),
            Scalar::Time(value) => Self::Time(value),
            Scalar::Timestamp(value) => Self::Timestamp(value),
            _ => Self::Null,
        }
    }
}

macro_rules! values_from {
    ($($ty:ty => $variant:ident;)*) => {
        $(impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

values_from! {
    bool => Boolean; i8 => TinyInt; i16 => SmallInt; i32 => Int; i64 => BigInt; f32 => Float; f64 => Double;
    &str => String; String => String;
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// As SQL prints it, but for strings without quotes and NULL as `null`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        match self {
            Self::Null => text.push_str("null"),
            Self::Boolean(value) => return write!(f, "{value}"),
            Self::TinyInt(value) => return write!(f, "{value}"),
            Self::SmallInt(value) => return write!(f, "{value}"),
            Self::Int(value) => return write!(f, "{value}"),
            Self::BigInt(value) => return write!(f, "{value}"),
            Self::Float(value) => write_float(&mut text, *value),
            Self::Double(value) => write_double(&mut text, *value),
            Self::Decimal { unscaled, scale } => write_decimal_plain(&mut text, *unscaled, *scale),
            Self::String(value) => return f.write_str(value),
            Self::Bytes(value) => return write!(f, "{value:?}"),
            Self::Date(days) => write_date(&mut text, i64::from(*days)),
            Self::Time(millis) => write_time(&mut text, *millis, PRINTED_PRECISION),
            Self::Timestamp(nanos) => write_timestamp(&mut text, *nanos, PRINTED_PRECISION),
            Self::Array(values) | Self::Row(values) => return write_list(f, values),
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{key}={value}")?;
                }
                return f.write_str("}");
            }
        }
        f.write_str(&text)
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, values: &[Value]) -> fmt::Result {
    f.write_str("[")?;
    for (index, value) in values.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{value}")?;
    }
    f.write_str("]")
}

/// A row of a table with its kind: an insertion, one side of an update, or a deletion.
///
/// ```
/// use millstream_datastream::table::{Row, RowKind, Value};
///
/// let row = Row::of_kind(RowKind::UpdateAfter, ["flink".into(), 3_i64.into()]);
/// assert_eq!(row.field(1).and_then(Value::as_i64), Some(3));
/// assert_eq!(row.to_string(), "+U[flink, 3]");
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    pub kind: RowKind,
    pub fields: Vec<Value>,
}

impl Row {
    /// An inserted row.
    pub fn of(fields: impl IntoIterator<Item = Value>) -> Self {
        Self::of_kind(RowKind::Insert, fields)
    }

    pub fn of_kind(kind: RowKind, fields: impl IntoIterator<Item = Value>) -> Self {
        Self {
            kind,
            fields: fields.into_iter().collect(),
        }
    }

    /// The value at a position, from 0.
    pub fn field(&self, position: usize) -> Option<&Value> {
        self.fields.get(position)
    }

    pub fn arity(&self) -> usize {
        self.fields.len()
    }
}

/// Kind and values, as Flink prints rows; dates and times are printed as SQL prints them.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.symbol())?;
        write_list(f, &self.fields)
    }
}
