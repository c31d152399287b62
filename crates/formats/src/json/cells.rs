//! The columns of a batch, looked at once before its rows are written: what each holds, and its values at hand.
//!
//! Rows are written one after the other, over all columns; asking every value for its type would cost more than writing
//! it. Types that are rare in messages stay with [`Writer`](super::encode::Writer), which does ask.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, StringViewArray};
use arrow_buffer::NullBuffer;
use millstream_types::{LogicalType, TypeKind};

/// A column ready for writing.
pub(super) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    pub values: CellValues<'a>,
}

/// Values by how they are written.
pub(super) enum CellValues<'a> {
    Text(&'a StringViewArray),
    Boolean(&'a BooleanArray),
    Int(&'a [i32]),
    BigInt(&'a [i64]),
    Double(&'a [f64]),
    /// TIMESTAMP and TIMESTAMP_LTZ of milliseconds.
    Millis {
        values: &'a [i64],
        utc: bool,
    },
    /// Whatever else; NULLs are the column's own business.
    Other(&'a dyn Array),
}

impl<'a> Cells<'a> {
    pub fn new(ty: &LogicalType, column: &'a ArrayRef) -> Self {
        let utc = matches!(ty.kind, TypeKind::TimestampLtz { .. });
        let values = match &ty.kind {
            TypeKind::Char(_) | TypeKind::Varchar(_) => column.as_string_view_opt().map(CellValues::Text),
            TypeKind::Boolean => column.as_boolean_opt().map(CellValues::Boolean),
            TypeKind::Int => column
                .as_primitive_opt::<Int32Type>()
                .map(|c| CellValues::Int(c.values())),
            TypeKind::BigInt => column
                .as_primitive_opt::<Int64Type>()
                .map(|c| CellValues::BigInt(c.values())),
            TypeKind::Double => column
                .as_primitive_opt::<Float64Type>()
                .map(|c| CellValues::Double(c.values())),
            TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => column
                .as_primitive_opt::<TimestampMillisecondType>()
                .map(|c| CellValues::Millis {
                    values: c.values(),
                    utc,
                }),
            _ => None,
        };
        match values {
            Some(values) => Self {
                nulls: column.nulls().filter(|nulls| nulls.null_count() > 0),
                values,
            },
            None => Self {
                nulls: None,
                values: CellValues::Other(column.as_ref()),
            },
        }
    }

    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        match &self.values {
            CellValues::Other(array) => crate::column::is_null(*array, row),
            _ => self.nulls.is_some_and(|nulls| nulls.is_null(row)),
        }
    }
}
