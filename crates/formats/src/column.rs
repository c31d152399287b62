//! Column builders that decoders append to, one for each physical type, with the means to take a record back.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType,
    TimestampMillisecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, LargeBinaryArray, LargeStringArray,
    ListArray, NullArray, PrimitiveArray, StringViewArray, UInt32Array, new_null_array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use arrow_select::take::take;
use millstream_types::{LogicalType, TypeKind, arrow_type, map_array, struct_array};

use crate::{DecodeError, ValueError};

/// Values, and which of them are NULL; NULL slots hold the default value.
#[derive(Debug, Default)]
pub struct Slots<T> {
    pub values: Vec<T>,
    nulls: NullRuns,
}

impl<T: Default + Copy> Slots<T> {
    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
    }

    #[inline]
    pub fn push_null(&mut self) {
        self.push_nulls(1);
    }

    #[inline]
    fn push_nulls(&mut self, count: usize) {
        let start = self.values.len();
        self.nulls.push(start, count);
        self.values.resize(start + count, T::default());
    }

    fn truncate(&mut self, rows: usize) {
        self.nulls.truncate(rows);
        self.values.truncate(rows);
    }

    fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        // The next batch is likely as large as this one: growing would copy it several times.
        let next = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, next);
        let nulls = self.nulls.take(values.len());
        (values, nulls)
    }
}

/// The NULL rows of a column as ascending, disjoint runs: most columns have none, and the columns of an absent object
/// have long ones.
#[derive(Debug, Default)]
struct NullRuns {
    runs: Vec<(u32, u32)>,
    /// Rows in all runs.
    rows: usize,
}

impl NullRuns {
    /// Rows `start..start + count` are NULL; they lie behind all known runs.
    #[inline]
    fn push(&mut self, start: usize, count: usize) {
        self.rows += count;
        let (start, end) = (start as u32, (start + count) as u32);
        match self.runs.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => self.runs.push((start, end)),
        }
    }

    fn truncate(&mut self, rows: usize) {
        let rows = rows as u32;
        while let Some(last) = self.runs.last_mut() {
            if last.0 < rows {
                self.rows -= last.1.saturating_sub(rows) as usize;
                last.1 = last.1.min(rows);
                break;
            }
            self.rows -= (last.1 - last.0) as usize;
            self.runs.pop();
        }
    }

    fn take(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.runs.is_empty() {
            return None;
        }
        self.rows = 0;
        let (mut valid, mut at) = (BooleanBufferBuilder::new(rows), 0);
        for (start, end) in self.runs.drain(..) {
            valid.append_n((start - at) as usize, true);
            valid.append_n((end - start) as usize, false);
            at = end;
        }
        valid.append_n(rows - at as usize, true);
        Some(NullBuffer::new(valid.finish()))
    }
}

/// Strings or bytes, one behind the other. The bytes are copied out of the messages: a column then keeps its own values in
/// memory and not whole messages, and Arrow checks one text for each column instead of one for each value.
#[derive(Debug)]
pub struct Texts {
    bytes: Vec<u8>,
    /// Where the values begin, and the end of the last; NULL rows have none.
    offsets: Vec<i64>,
    nulls: NullRuns,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            offsets: vec![0],
            nulls: NullRuns::default(),
        }
    }
}

/// The values of [`Texts`] without the NULL rows, and the NULL rows of the column.
type DenseTexts = (OffsetBuffer<i64>, Buffer, NullRuns);

impl Texts {
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(value));
    }

    /// Appends the value that `write` appends to the bytes.
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.offsets.push(self.bytes.len() as i64);
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1 + self.nulls.rows
    }

    #[inline]
    fn push_nulls(&mut self, count: usize) {
        self.nulls.push(self.len(), count);
    }

    fn truncate(&mut self, rows: usize) {
        if rows >= self.len() {
            return;
        }
        self.nulls.truncate(rows);
        self.offsets.truncate(rows - self.nulls.rows + 1);
        self.bytes
            .truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    fn take(&mut self) -> DenseTexts {
        let next = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            offsets: Vec::with_capacity(self.offsets.len()),
            nulls: NullRuns::default(),
        };
        let taken = std::mem::replace(self, next);
        self.offsets.push(0);
        (
            OffsetBuffer::new(taken.offsets.into()),
            taken.bytes.into(),
            taken.nulls,
        )
    }
}

/// Columns below a list, map or row.
///
/// The children of a row may lag behind it: rows that are NULL append nothing to them until the next row that is not.
#[derive(Debug, Default)]
pub struct Nested {
    /// For each row the end of its items in the children; 0 for the rows of a ROW.
    ends: Vec<u32>,
    nulls: NullRuns,
    pub children: Vec<ColumnBuilder>,
    /// Rows of a ROW up to which all children are complete.
    complete: usize,
}

impl Nested {
    fn new(children: Vec<&LogicalType>) -> Self {
        Self {
            children: children.into_iter().map(ColumnBuilder::new).collect(),
            ..Self::default()
        }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Appends a list or map whose `length` items are in the children already.
    pub fn push_items(&mut self, length: u32) {
        self.ends.push(self.items() + length);
    }

    fn items(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }

    #[inline]
    fn push_nulls(&mut self, count: usize) {
        let (start, end) = (self.ends.len(), self.items());
        self.nulls.push(start, count);
        self.ends.resize(start + count, end);
    }

    /// Appends a row whose fields follow: each child must get one value. Returns the position of the row.
    #[inline]
    pub fn open_row(&mut self) -> usize {
        let row = self.ends.len();
        if self.complete < row {
            self.pad(row);
        }
        self.complete = row + 1;
        self.ends.push(0);
        row
    }

    /// Fills the children of a row up to `rows` with NULLs.
    fn pad(&mut self, rows: usize) {
        for child in &mut self.children {
            let missing = rows.saturating_sub(child.len());
            if missing > 0 {
                child.push_nulls(missing);
            }
        }
        self.complete = rows;
    }

    fn truncate_items(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.nulls.truncate(rows);
        // A list that was not completed has items beyond the last end.
        let kept = self.items() as usize;
        self.children.iter_mut().for_each(|child| child.truncate(kept));
    }

    fn truncate_rows(&mut self, rows: usize) {
        // A row is appended before its fields are.
        if self.ends.len() <= rows {
            return;
        }
        self.ends.truncate(rows);
        self.nulls.truncate(rows);
        self.complete = self.complete.min(rows);
        self.children.iter_mut().for_each(|child| child.truncate(rows));
    }

    fn take(&mut self) -> (Vec<u32>, Option<NullBuffer>) {
        let ends = std::mem::take(&mut self.ends);
        self.complete = 0;
        let nulls = self.nulls.take(ends.len());
        (ends, nulls)
    }
}

/// A column under construction.
#[derive(Debug)]
pub struct ColumnBuilder {
    pub ty: LogicalType,
    pub values: Values,
}

/// The values of a [`ColumnBuilder`], by physical type.
#[derive(Debug)]
pub enum Values {
    Boolean(Slots<bool>),
    I8(Slots<i8>),
    I16(Slots<i16>),
    /// INT, DATE, TIME and year-month intervals.
    I32(Slots<i32>),
    /// BIGINT, day-time intervals, and timestamps of milliseconds or microseconds.
    I64(Slots<i64>),
    /// DECIMAL (unscaled) and timestamps of nanoseconds.
    I128(Slots<i128>),
    F32(Slots<f32>),
    F64(Slots<f64>),
    String(Texts),
    Binary(Texts),
    /// One child.
    List(Nested),
    /// Two children: keys and values.
    Map(Nested),
    /// A child for each field.
    Row(Nested),
    /// A type without values (NULL).
    Null(usize),
}

impl ColumnBuilder {
    pub fn new(ty: &LogicalType) -> Self {
        let nested = Nested::new;
        let values = match &ty.kind {
            TypeKind::Char(_) | TypeKind::Varchar(_) => Values::String(Texts::default()),
            TypeKind::Binary(_)
            | TypeKind::Varbinary(_)
            | TypeKind::Variant
            | TypeKind::Bitmap
            | TypeKind::Raw { .. } => Values::Binary(Texts::default()),
            TypeKind::Boolean => Values::Boolean(Slots::default()),
            TypeKind::TinyInt => Values::I8(Slots::default()),
            TypeKind::SmallInt => Values::I16(Slots::default()),
            TypeKind::Int | TypeKind::Date | TypeKind::Time(_) | TypeKind::IntervalYearMonth(_) => {
                Values::I32(Slots::default())
            }
            TypeKind::BigInt | TypeKind::IntervalDayTime(_) => Values::I64(Slots::default()),
            TypeKind::Timestamp { precision, .. } | TypeKind::TimestampLtz { precision, .. } => {
                if *precision <= 6 {
                    Values::I64(Slots::default())
                } else {
                    Values::I128(Slots::default())
                }
            }
            TypeKind::Decimal { .. } => Values::I128(Slots::default()),
            TypeKind::Float => Values::F32(Slots::default()),
            TypeKind::Double => Values::F64(Slots::default()),
            TypeKind::Array(_) => Values::List(nested(ty.children())),
            TypeKind::Map(..) => Values::Map(nested(ty.children())),
            TypeKind::Multiset(element) => Values::Map(nested(vec![element, &LogicalType::INT])),
            TypeKind::Row(_) => Values::Row(nested(ty.children())),
            TypeKind::Null | TypeKind::Descriptor => Values::Null(0),
        };
        Self {
            ty: ty.clone(),
            values,
        }
    }

    pub fn len(&self) -> usize {
        match &self.values {
            Values::Boolean(s) => s.values.len(),
            Values::I8(s) => s.values.len(),
            Values::I16(s) => s.values.len(),
            Values::I32(s) => s.values.len(),
            Values::I64(s) => s.values.len(),
            Values::I128(s) => s.values.len(),
            Values::F32(s) => s.values.len(),
            Values::F64(s) => s.values.len(),
            Values::String(s) | Values::Binary(s) => s.len(),
            Values::List(n) | Values::Map(n) | Values::Row(n) => n.rows(),
            Values::Null(rows) => *rows,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn push_null(&mut self) {
        self.push_nulls(1);
    }

    fn push_nulls(&mut self, count: usize) {
        match &mut self.values {
            Values::Boolean(s) => s.push_nulls(count),
            Values::I8(s) => s.push_nulls(count),
            Values::I16(s) => s.push_nulls(count),
            Values::I32(s) => s.push_nulls(count),
            Values::I64(s) => s.push_nulls(count),
            Values::I128(s) => s.push_nulls(count),
            Values::F32(s) => s.push_nulls(count),
            Values::F64(s) => s.push_nulls(count),
            Values::String(s) | Values::Binary(s) => s.push_nulls(count),
            Values::List(n) | Values::Map(n) | Values::Row(n) => n.push_nulls(count),
            Values::Null(rows) => *rows += count,
        }
    }

    /// Removes the rows from `rows` on, and what a failed value left below a list or row.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Boolean(s) => s.truncate(rows),
            Values::I8(s) => s.truncate(rows),
            Values::I16(s) => s.truncate(rows),
            Values::I32(s) => s.truncate(rows),
            Values::I64(s) => s.truncate(rows),
            Values::I128(s) => s.truncate(rows),
            Values::F32(s) => s.truncate(rows),
            Values::F64(s) => s.truncate(rows),
            Values::String(s) | Values::Binary(s) => s.truncate(rows),
            Values::List(n) | Values::Map(n) => n.truncate_items(rows),
            Values::Row(n) => n.truncate_rows(rows),
            Values::Null(held) => *held = rows.min(*held),
        }
    }

    /// The column; the builder is empty afterwards. It fails where bytes are not UTF-8.
    pub fn finish(&mut self) -> Result<ArrayRef, ValueError> {
        let data_type = arrow_type(&self.ty);
        Ok(match &mut self.values {
            Values::Boolean(s) => {
                let (values, nulls) = s.take();
                Arc::new(BooleanArray::new(values.into(), nulls))
            }
            Values::I8(s) => primitive::<Int8Type>(s, data_type),
            Values::I16(s) => primitive::<Int16Type>(s, data_type),
            Values::I32(s) => match data_type {
                DataType::Date32 => primitive::<Date32Type>(s, data_type),
                DataType::Time32(_) => primitive::<Time32MillisecondType>(s, data_type),
                DataType::Interval(_) => primitive::<IntervalYearMonthType>(s, data_type),
                _ => primitive::<Int32Type>(s, data_type),
            },
            Values::I64(s) => match data_type {
                DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, _) => {
                    primitive::<TimestampMillisecondType>(s, data_type)
                }
                DataType::Timestamp(..) => primitive::<TimestampMicrosecondType>(s, data_type),
                DataType::Duration(_) => primitive::<DurationMillisecondType>(s, data_type),
                _ => primitive::<Int64Type>(s, data_type),
            },
            Values::I128(s) => primitive::<Decimal128Type>(s, data_type),
            Values::F32(s) => primitive::<Float32Type>(s, data_type),
            Values::F64(s) => primitive::<Float64Type>(s, data_type),
            Values::String(s) => strings(s)?,
            Values::Binary(s) => binaries(s)?,
            Values::List(n) => {
                let (ends, nulls) = n.take();
                let items = n.children[0].finish()?;
                let DataType::List(field) = data_type else {
                    unreachable!("a builder of items belongs to a type whose Arrow type is a list");
                };
                let offsets = offsets(&ends)?;
                Arc::new(ListArray::new(field, offsets, items, nulls))
            }
            Values::Map(n) => {
                let (ends, nulls) = n.take();
                let offsets = offsets(&ends)?;
                let keys = n.children[0].finish()?;
                let values = n.children[1].finish()?;
                map_array(&self.ty, keys, values, offsets, nulls)
            }
            Values::Row(n) => {
                n.pad(n.rows());
                let (ends, nulls) = n.take();
                let columns: Result<Vec<_>, _> = n.children.iter_mut().map(ColumnBuilder::finish).collect();
                struct_array(&self.ty, columns?, nulls, ends.len())
            }
            Values::Null(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
        })
    }
}

/// The columns of a decoder; the builders are empty afterwards.
pub fn finish_all(columns: &mut [ColumnBuilder]) -> Result<Vec<ArrayRef>, DecodeError> {
    let finished = columns.iter_mut().map(ColumnBuilder::finish);
    finished
        .map(|column| column.map_err(DecodeError::of_column))
        .collect()
}

/// Offsets of lists that end at `ends`.
fn offsets(ends: &[u32]) -> Result<OffsetBuffer<i32>, ValueError> {
    let ends = ends
        .iter()
        .map(|end| i32::try_from(*end).map_err(|_| ValueError::ListItems));
    let offsets: Vec<i32> = std::iter::once(Ok(0)).chain(ends).collect::<Result<_, _>>()?;
    Ok(OffsetBuffer::new(offsets.into()))
}

fn primitive<T: ArrowPrimitiveType>(slots: &mut Slots<T::Native>, data_type: DataType) -> ArrayRef
where
    T::Native: Default,
{
    let (values, nulls) = slots.take();
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type))
}

fn strings(texts: &mut Texts) -> Result<ArrayRef, ValueError> {
    let (offsets, bytes, nulls) = texts.take();
    let array = LargeStringArray::try_new(offsets, bytes, None)?;
    spread(Arc::new(StringViewArray::from(&array)), nulls)
}

fn binaries(texts: &mut Texts) -> Result<ArrayRef, ValueError> {
    let (offsets, bytes, nulls) = texts.take();
    let array = LargeBinaryArray::try_new(offsets, bytes, None)?;
    spread(Arc::new(BinaryViewArray::from(&array)), nulls)
}

/// Puts the NULL rows between `values`.
fn spread(values: ArrayRef, mut nulls: NullRuns) -> Result<ArrayRef, ValueError> {
    if nulls.runs.is_empty() {
        return Ok(values);
    }
    if values.is_empty() {
        return Ok(new_null_array(values.data_type(), nulls.rows));
    }
    let rows = values.len() + nulls.rows;
    let mut places = Vec::with_capacity(rows);
    let mut next = 0;
    for (start, end) in &nulls.runs {
        let count = *start - places.len() as u32;
        places.extend(next..next + count);
        next += count;
        places.resize(*end as usize, u32::MAX);
    }
    places.extend(next..values.len() as u32);
    let places = UInt32Array::new(places.into(), nulls.take(rows));
    Ok(take(&values, &places, None)?)
}

/// Whether a column array has a value at `row` (a NULL type has none).
pub fn is_null(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || matches!(array.data_type(), DataType::Null)
}
