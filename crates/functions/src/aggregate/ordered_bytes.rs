//! Values of any type as bytes that compare like the values: keys of maps, sorted sets, stored rows.
//!
//! The bytes live in memory only. A snapshot holds the values themselves, as columns: the encoding may change from one
//! version to the next.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, Field};
use millstream_types::{LogicalType, RowField, TypeKind, arrow_type};

use super::rows::defect;
use crate::scalar::EvalError;

/// Encodes columns of fixed types as bytes for each row, and back. NULLs come first; NaN equals NaN and is the highest;
/// `-0.0` comes before `0.0`.
pub struct OrderedBytes {
    /// `None` with the reason: a type that cannot be encoded.
    converter: Result<RowConverter, ArrowError>,
    types: Vec<LogicalType>,
}

impl OrderedBytes {
    pub fn new(types: &[LogicalType]) -> Self {
        let fields = types.iter().map(|ty| SortField::new(arrow_type(ty))).collect();
        Self {
            converter: RowConverter::new(fields),
            types: types.to_vec(),
        }
    }

    fn converter(&self) -> Result<&RowConverter, EvalError> {
        self.converter
            .as_ref()
            .map_err(|error| EvalError::Data(error.to_string()))
    }

    pub fn types(&self) -> &[LogicalType] {
        &self.types
    }

    /// One row of bytes for each row of `columns`.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows, EvalError> {
        let matches =
            |(ty, column): (&LogicalType, &ArrayRef)| arrow_type(ty).equals_datatype(column.data_type());
        if columns.len() != self.types.len() || !self.types.iter().zip(columns).all(matches) {
            let found: Vec<String> = columns.iter().map(|c| c.data_type().to_string()).collect();
            return Err(EvalError::Data(format!(
                "columns of {} do not match {:?}",
                found.join(", "),
                self.types
            )));
        }
        let columns: Vec<ArrayRef> = columns.iter().map(canonical_floats).collect();
        Ok(self.converter()?.convert_columns(&columns)?)
    }

    /// The columns of encoded rows, which were made by this encoder.
    pub fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, EvalError> {
        let converter = self.converter()?;
        let parser = converter.parser();
        Ok(converter.convert_rows(rows.map(|row| parser.parse(row)))?)
    }
}

/// The column with one bit pattern for all NaNs, so that they are equal and compare highest.
pub fn canonical_floats(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            if values.values().iter().any(|v| v.is_nan()) {
                return Arc::new(values.unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v }));
            }
            Arc::clone(column)
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            if values.values().iter().any(|v| v.is_nan()) {
                return Arc::new(values.unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v }));
            }
            Arc::clone(column)
        }
        _ => Arc::clone(column),
    }
}

/// Java's order of strings: by UTF-16 code units.
pub fn java_string_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// The type of a state column that lists values with a number each: `ARRAY<ROW<v0, v1, …, n BIGINT>>`.
pub fn counted_list_type(types: &[LogicalType]) -> LogicalType {
    let field = |(i, ty): (usize, &LogicalType)| RowField {
        name: format!("v{i}"),
        ty: ty.with_nullable(true),
        description: None,
    };
    let mut fields: Vec<RowField> = types.iter().enumerate().map(field).collect();
    fields.push(RowField {
        name: "n".to_owned(),
        ty: LogicalType::not_null(TypeKind::BigInt),
        description: None,
    });
    LogicalType::not_null(TypeKind::Array(Box::new(LogicalType::not_null(TypeKind::Row(
        fields,
    )))))
}

/// A column of [`counted_list_type`]: for each group its encoded values with their numbers, in the given order.
pub fn counted_lists<'a>(
    codec: &OrderedBytes,
    groups: impl Iterator<Item = Vec<(&'a [u8], i64)>>,
) -> Result<ArrayRef, EvalError> {
    let (mut rows, mut numbers, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for entries in groups {
        lengths.push(entries.len());
        for (row, number) in entries {
            rows.push(row);
            numbers.push(number);
        }
    }
    let columns = codec.decode(rows.into_iter())?;
    counted_list_column(codec.types(), columns, numbers, lengths)
}

/// A column of [`counted_list_type`] from the values of all groups, one after the other, their numbers, and how many
/// each group has.
pub fn counted_list_column(
    types: &[LogicalType],
    mut columns: Vec<ArrayRef>,
    numbers: Vec<i64>,
    lengths: Vec<usize>,
) -> Result<ArrayRef, EvalError> {
    columns.push(Arc::new(Int64Array::from(numbers)));
    let DataType::List(item) = arrow_type(&counted_list_type(types)) else {
        return Err(defect("state", "a counted list is a list"));
    };
    let DataType::Struct(fields) = item.data_type() else {
        return Err(defect("state", "a counted list holds rows"));
    };
    let entries = StructArray::new(fields.clone(), columns, None);
    Ok(Arc::new(ListArray::new(
        item,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(entries),
        None,
    )))
}

/// What [`counted_lists`] holds, flattened: the value columns, the numbers, and for each row of the column the range of
/// its entries.
pub struct CountedLists {
    pub values: Vec<ArrayRef>,
    pub numbers: Int64Array,
    pub offsets: OffsetBuffer<i32>,
}

impl CountedLists {
    pub fn open(function: &str, state: &[ArrayRef]) -> Result<Self, EvalError> {
        let wrong = || defect(function, "the partial result is not a list of counted values");
        let list = state
            .first()
            .and_then(|c| c.as_list_opt::<i32>())
            .ok_or_else(wrong)?;
        let entries = list.values().as_struct_opt().ok_or_else(wrong)?;
        let (numbers, values) = entries.columns().split_last().ok_or_else(wrong)?;
        let numbers = numbers.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?.clone();
        Ok(Self {
            values: values.to_vec(),
            numbers,
            offsets: list.offsets().clone(),
        })
    }

    /// Entries of a row of the state column.
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// Position of the first entry of all.
    pub fn start(&self) -> usize {
        self.offsets[0] as usize
    }

    /// Group number of each entry, when row `i` of the state column belongs to `groups[i]`.
    pub fn entry_groups(&self, groups: &[u32]) -> Vec<u32> {
        groups
            .iter()
            .enumerate()
            .flat_map(|(row, group)| self.range(row).map(move |_| *group))
            .collect()
    }
}

/// An ARRAY column from encoded single values; a `None` is a NULL array.
pub(super) fn value_lists<'a>(
    codec: &OrderedBytes,
    element: &LogicalType,
    groups: impl Iterator<Item = Option<Vec<&'a [u8]>>>,
) -> Result<ArrayRef, EvalError> {
    let (mut rows, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for values in groups {
        valid.push(values.is_some());
        let values = values.unwrap_or_default();
        lengths.push(values.len());
        rows.extend(values);
    }
    let items = codec.decode(rows.into_iter())?.into_iter().next();
    let items = items.ok_or_else(|| defect("ARRAY_AGG", "a value has one column"))?;
    let field = Arc::new(Field::new("item", arrow_type(element), true));
    let nulls = arrow_buffer::NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Ok(Arc::new(ListArray::new(
        field,
        OffsetBuffer::from_lengths(lengths),
        items,
        nulls,
    )))
}
