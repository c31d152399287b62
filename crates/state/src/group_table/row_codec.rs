//! Several key columns as one run of bytes a row, and back.
//!
//! Layout of a row: one bit for each column (set: not NULL) in whole bytes, then the columns in order: values of fixed
//! width as little-endian bytes of that width (zeros for NULL), others as a 32-bit length and the bytes. Equal rows
//! have equal bytes. Nested columns go through Arrow's row format. Records of cold state in
//! checkpoints hold such rows (`cold::run` has the version).

use std::sync::Arc;

use arrow_array::builder::make_view;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, Decimal128Array, StringArray, StringViewArray,
    new_null_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

use crate::error::StateError;
use crate::fixed_width;

use super::bytes::ByteRows;

#[derive(Debug)]
pub(crate) struct RowCodec {
    columns: Vec<ColumnCodec>,
}

#[derive(Debug)]
struct ColumnCodec {
    ty: DataType,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Bytes of a word.
    Word(usize),
    Decimal,
    Text,
    Bytes,
    /// Always NULL.
    Nothing,
    Nested(RowConverter),
}

/// A column of a batch, ready to be copied from.
enum Input<'a> {
    Words {
        words: std::borrow::Cow<'a, [i64]>,
        width: usize,
    },
    Decimals(&'a ScalarBuffer<i128>),
    Variable(BinaryLike<'a>),
    Nothing,
}

enum BinaryLike<'a> {
    Text(&'a StringViewArray),
    Bytes(&'a BinaryViewArray),
    Encoded(BinaryArray),
}

impl BinaryLike<'_> {
    fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Text(array) => array.value(row).as_bytes(),
            Self::Bytes(array) => array.value(row),
            Self::Encoded(array) => array.value(row),
        }
    }

    fn length(&self, row: usize) -> usize {
        match self {
            // The low half of a view's low word is the length.
            Self::Text(array) => array.views()[row] as u32 as usize,
            Self::Bytes(array) => array.views()[row] as u32 as usize,
            Self::Encoded(array) => array.value_length(row) as usize,
        }
    }
}

/// Rows of a batch, encoded.
#[derive(Debug, Default)]
pub struct EncodedRows {
    pub(super) data: Vec<u8>,
    /// Where each row starts, and the end.
    pub(super) offsets: Vec<usize>,
    pub(super) views: Vec<u128>,
}

impl ByteRows for EncodedRows {
    fn is_null(&self, _row: usize) -> bool {
        false
    }

    #[inline]
    fn view(&self, row: usize) -> u128 {
        self.views[row]
    }

    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        &self.data[self.offsets[row]..self.offsets[row + 1]]
    }
}

impl EncodedRows {
    /// The bytes of a row.
    #[inline]
    pub fn bytes_of(&self, row: usize) -> &[u8] {
        &self.data[self.offsets[row]..self.offsets[row + 1]]
    }
}

impl RowCodec {
    pub fn new(types: &[DataType]) -> Result<Self, StateError> {
        let codec = |ty: &DataType| {
            let form = match ty {
                DataType::Decimal128(..) => Form::Decimal,
                DataType::Utf8View => Form::Text,
                DataType::BinaryView => Form::Bytes,
                DataType::Null => Form::Nothing,
                _ => match fixed_width::width_bits(ty) {
                    Some(bits) => Form::Word(bits.div_ceil(8) as usize),
                    None => Form::Nested(RowConverter::new(vec![SortField::new(ty.clone())])?),
                },
            };
            Ok(ColumnCodec { ty: ty.clone(), form })
        };
        Ok(Self {
            columns: types.iter().map(codec).collect::<Result<_, StateError>>()?,
        })
    }

    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<EncodedRows, StateError> {
        let inputs = self.columns.iter().zip(columns).map(|(codec, c)| codec.input(c));
        let inputs: Vec<Input<'_>> = inputs.collect::<Result<_, _>>()?;
        let nulls: Vec<Option<&NullBuffer>> = columns.iter().map(|c| c.nulls()).collect();
        let mut encoded = EncodedRows::default();
        self.lay_out(&inputs, &nulls, rows, &mut encoded);
        // Column by column: one kind of copy at a time.
        let mut cursors: Vec<usize> = encoded.offsets[..rows]
            .iter()
            .map(|start| start + self.columns.len().div_ceil(8))
            .collect();
        for (column, (input, nulls)) in inputs.iter().zip(&nulls).enumerate() {
            input.mark_valid(column, *nulls, &encoded.offsets[..rows], &mut encoded.data);
            input.copy(*nulls, &mut cursors, &mut encoded.data);
        }
        let bytes = |row: usize| &encoded.data[encoded.offsets[row]..encoded.offsets[row + 1]];
        encoded.views = (0..rows).map(|row| make_view(bytes(row), 0, 0)).collect();
        Ok(encoded)
    }

    /// Where each row starts, and room for all of them.
    fn lay_out(
        &self,
        inputs: &[Input<'_>],
        nulls: &[Option<&NullBuffer>],
        rows: usize,
        encoded: &mut EncodedRows,
    ) {
        let fixed: usize = inputs.iter().map(Input::fixed_bytes).sum();
        let mut lengths = vec![self.columns.len().div_ceil(8) + fixed; rows];
        for (input, nulls) in inputs.iter().zip(nulls) {
            if let Input::Variable(values) = input {
                for (row, length) in lengths.iter_mut().enumerate() {
                    *length += if is_valid(*nulls, row) {
                        values.length(row)
                    } else {
                        0
                    };
                }
            }
        }
        encoded.offsets.reserve(rows + 1);
        encoded.offsets.push(0);
        let mut end = 0;
        encoded.offsets.extend(lengths.iter().map(|length| {
            end += length;
            end
        }));
        encoded.data = vec![0; end];
    }

    /// Whether the bytes have the form of a row, so that [`RowCodec::decode`] can read them.
    pub fn can_decode(&self, row: &[u8]) -> bool {
        let mut at = self.columns.len().div_ceil(8);
        for codec in &self.columns {
            at += match &codec.form {
                Form::Word(width) => *width,
                Form::Decimal => size_of::<i128>(),
                Form::Nothing => 0,
                Form::Text | Form::Bytes | Form::Nested(_) => {
                    let Some(length) = row.get(at..at + LENGTH_BYTES) else {
                        return false;
                    };
                    let length = length
                        .iter()
                        .rev()
                        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                    LENGTH_BYTES + length
                }
            };
        }
        at == row.len()
    }

    /// The columns of encoded rows.
    pub fn decode(&self, rows: &[&[u8]]) -> Result<Vec<ArrayRef>, StateError> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.decode_some(rows, &all)
    }

    /// Some columns of encoded rows, in the order of `wanted`.
    pub fn decode_some(&self, rows: &[&[u8]], wanted: &[usize]) -> Result<Vec<ArrayRef>, StateError> {
        let mut cursors = vec![self.columns.len().div_ceil(8); rows.len()];
        let mut decoded: Vec<Option<ArrayRef>> = vec![None; self.columns.len()];
        let end = wanted.iter().max().map_or(0, |last| last + 1);
        for (i, codec) in self.columns[..end].iter().enumerate() {
            if !wanted.contains(&i) {
                codec.skip(rows, &mut cursors);
                continue;
            }
            let valid = rows.iter().map(|row| row[i / 8] >> (i % 8) & 1 == 1).collect();
            let nulls = Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0);
            decoded[i] = Some(codec.decode(rows, &mut cursors, nulls)?);
        }
        Ok(wanted
            .iter()
            .filter_map(|column| decoded[*column].clone())
            .collect())
    }
}

#[inline]
fn is_valid(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
}

/// Bytes of the length before a value of variable length.
const LENGTH_BYTES: usize = 4;

impl Input<'_> {
    /// Bytes that every row has for the column.
    fn fixed_bytes(&self) -> usize {
        match self {
            Self::Words { width, .. } => *width,
            Self::Decimals(_) => size_of::<i128>(),
            Self::Variable(_) => LENGTH_BYTES,
            Self::Nothing => 0,
        }
    }

    /// Sets the column's bit in every row where it is not NULL.
    fn mark_valid(&self, column: usize, nulls: Option<&NullBuffer>, starts: &[usize], data: &mut [u8]) {
        if matches!(self, Self::Nothing) {
            return;
        }
        for (row, start) in starts.iter().enumerate() {
            data[start + column / 8] |= u8::from(is_valid(nulls, row)) << (column % 8);
        }
    }

    /// Copies the values to the cursors and moves these behind them; NULL leaves zeros.
    fn copy(&self, nulls: Option<&NullBuffer>, cursors: &mut [usize], data: &mut [u8]) {
        match self {
            Self::Words { words, width: 8 } => {
                copy_fixed(nulls, cursors, data, |row| words[row].to_le_bytes())
            }
            Self::Words { words, width } => {
                for (row, cursor) in cursors.iter_mut().enumerate() {
                    let word = if is_valid(nulls, row) { words[row] } else { 0 };
                    data[*cursor..*cursor + width].copy_from_slice(&word.to_le_bytes()[..*width]);
                    *cursor += width;
                }
            }
            Self::Decimals(values) => copy_fixed(nulls, cursors, data, |row| values[row].to_le_bytes()),
            Self::Variable(values) => {
                for (row, cursor) in cursors.iter_mut().enumerate() {
                    let value = if is_valid(nulls, row) {
                        values.value(row)
                    } else {
                        &[]
                    };
                    let (length, rest) = data[*cursor..].split_at_mut(LENGTH_BYTES);
                    length.copy_from_slice(&(value.len() as u32).to_le_bytes());
                    rest[..value.len()].copy_from_slice(value);
                    *cursor += LENGTH_BYTES + value.len();
                }
            }
            Self::Nothing => {}
        }
    }
}

#[inline]
fn copy_fixed<const N: usize>(
    nulls: Option<&NullBuffer>,
    cursors: &mut [usize],
    data: &mut [u8],
    bytes: impl Fn(usize) -> [u8; N],
) {
    for (row, cursor) in cursors.iter_mut().enumerate() {
        if is_valid(nulls, row) {
            data[*cursor..*cursor + N].copy_from_slice(&bytes(row));
        }
        *cursor += N;
    }
}

impl ColumnCodec {
    fn input<'a>(&self, column: &'a ArrayRef) -> Result<Input<'a>, StateError> {
        let shape = || StateError::Shape {
            expected: self.ty.to_string(),
            found: column.data_type().to_string(),
        };
        Ok(match &self.form {
            Form::Word(width) => Input::Words {
                words: fixed_width::bits(column.as_ref()).ok_or_else(shape)?,
                width: *width,
            },
            Form::Decimal => {
                let array = column.as_primitive_opt::<Decimal128Type>().ok_or_else(shape)?;
                Input::Decimals(array.values())
            }
            Form::Text => Input::Variable(BinaryLike::Text(column.as_string_view_opt().ok_or_else(shape)?)),
            Form::Bytes => Input::Variable(BinaryLike::Bytes(column.as_binary_view_opt().ok_or_else(shape)?)),
            Form::Nothing => Input::Nothing,
            Form::Nested(converter) => {
                let rows = converter.convert_columns(std::slice::from_ref(column))?;
                Input::Variable(BinaryLike::Encoded(rows.try_into_binary()?))
            }
        })
    }

    /// Moves the cursors behind the column.
    fn skip(&self, rows: &[&[u8]], cursors: &mut [usize]) {
        match &self.form {
            Form::Nothing => {}
            Form::Word(width) => cursors.iter_mut().for_each(|cursor| *cursor += width),
            Form::Decimal => cursors.iter_mut().for_each(|cursor| *cursor += size_of::<i128>()),
            Form::Text | Form::Bytes | Form::Nested(_) => {
                for (row, cursor) in rows.iter().zip(cursors) {
                    *cursor += LENGTH_BYTES + length_at(row, *cursor);
                }
            }
        }
    }

    fn decode(
        &self,
        rows: &[&[u8]],
        cursors: &mut [usize],
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, StateError> {
        match &self.form {
            Form::Word(width) => {
                let word = |(row, cursor): (&&[u8], &mut usize)| {
                    let mut bytes = [0u8; 8];
                    bytes[..*width].copy_from_slice(&row[*cursor..*cursor + width]);
                    *cursor += width;
                    i64::from_le_bytes(bytes)
                };
                let words = rows.iter().zip(cursors).map(word).collect();
                fixed_width::array(&self.ty, words, nulls).ok_or_else(|| StateError::KeyType(self.ty.clone()))
            }
            Form::Decimal => {
                let value = |(row, cursor): (&&[u8], &mut usize)| {
                    let mut bytes = [0u8; 16];
                    bytes.copy_from_slice(&row[*cursor..*cursor + 16]);
                    *cursor += 16;
                    i128::from_le_bytes(bytes)
                };
                let values: ScalarBuffer<i128> = rows.iter().zip(cursors).map(value).collect();
                Ok(Arc::new(
                    Decimal128Array::new(values, nulls).with_data_type(self.ty.clone()),
                ))
            }
            Form::Nothing => Ok(new_null_array(&DataType::Null, rows.len())),
            // Views of an array of bytes share its buffer, and its UTF-8 is checked in one run.
            Form::Text => {
                let (offsets, data) = variable(rows, cursors);
                let text = StringArray::try_new(offsets, data, nulls)?;
                Ok(Arc::new(StringViewArray::from(&text)))
            }
            Form::Bytes => {
                let (offsets, data) = variable(rows, cursors);
                let bytes = BinaryArray::try_new(offsets, data, nulls)?;
                Ok(Arc::new(BinaryViewArray::from(&bytes)))
            }
            Form::Nested(converter) => {
                let (offsets, data) = variable(rows, cursors);
                let bytes = BinaryArray::try_new(offsets, data, None)?;
                self.nested(converter, &bytes, nulls.as_ref())
            }
        }
    }

    /// NULL rows were stored without bytes; Arrow's format requires its own NULL there.
    fn nested(
        &self,
        converter: &RowConverter,
        binary: &BinaryArray,
        nulls: Option<&NullBuffer>,
    ) -> Result<ArrayRef, StateError> {
        let null = converter.convert_columns(&[new_null_array(&self.ty, 1)])?;
        let null = null.row(0);
        let parser = converter.parser();
        let row = |i: usize| {
            if is_valid(nulls, i) {
                parser.parse(binary.value(i))
            } else {
                null
            }
        };
        let columns = converter.convert_rows((0..binary.len()).map(row))?;
        columns
            .into_iter()
            .next()
            .ok_or_else(|| StateError::KeyType(self.ty.clone()))
    }
}

/// The length before a value of variable length.
#[inline]
fn length_at(row: &[u8], cursor: usize) -> usize {
    let mut bytes = [0u8; LENGTH_BYTES];
    bytes.copy_from_slice(&row[cursor..cursor + LENGTH_BYTES]);
    u32::from_le_bytes(bytes) as usize
}

/// Length-prefixed values at the cursors, one after the other.
fn variable(rows: &[&[u8]], cursors: &mut [usize]) -> (OffsetBuffer<i32>, Buffer) {
    let places = || rows.iter().zip(cursors.iter());
    let lengths: Vec<usize> = places().map(|(row, cursor)| length_at(row, *cursor)).collect();
    let mut data = Vec::with_capacity(lengths.iter().sum());
    for ((row, cursor), length) in rows.iter().zip(cursors).zip(&lengths) {
        let start = *cursor + LENGTH_BYTES;
        *cursor = start + length;
        data.extend_from_slice(&row[start..*cursor]);
    }
    (OffsetBuffer::from_lengths(lengths), data.into())
}
