//! Decodes datums in the binary encoding: variable-length integers, length-prefixed texts, blocks of items.

use arrow_buffer::Buffer;
use millstream_types::{LogicalType, Schema, TypeKind};

use super::{AvroOptions, COUNT, json};
use crate::column::{ColumnBuilder, Nested, Values, finish_all};
use crate::{DecodeError, Decoded, Decoder, FormatError, MessageRange, Subject, ValueError};

/// Maximum bytes of an Avro integer.
pub(super) const LONG_BYTES_MAX: usize = 10;
/// The widest DECIMAL, in bytes.
const DECIMAL_BYTES_MAX: usize = 16;

/// Decodes datums into the columns of a schema.
pub struct AvroDecoder {
    options: AvroOptions,
    /// Every field of the record, and its target column.
    fields: Vec<(String, LogicalType, Option<usize>)>,
    columns: Vec<ColumnBuilder>,
}

impl AvroDecoder {
    /// A decoder for the columns of `schema`, which are fields of the record `all`.
    pub fn new(options: AvroOptions, schema: &Schema, all: &Schema) -> Result<Self, FormatError> {
        options.check_all(all)?;
        let field = |name: &str, ty: &LogicalType| (name.to_owned(), ty.clone(), schema.index_of(name));
        Ok(Self {
            options,
            fields: all.columns.iter().map(|c| field(&c.name, &c.ty)).collect(),
            columns: schema.types().map(ColumnBuilder::new).collect(),
        })
    }

    fn record(&mut self, data: &[u8], range: MessageRange, bytes: &[u8]) -> Result<(), ValueError> {
        if self.options.json {
            let value: serde_json::Value = serde_json::from_slice(bytes)?;
            for (name, ty, column) in &self.fields {
                let field = value
                    .get(name)
                    .ok_or_else(|| ValueError::MissingField(name.as_str().into()))?;
                if let Some(column) = column {
                    json::read(field, ty, &mut self.columns[*column])?;
                }
            }
            return Ok(());
        }
        let start = range.offset as usize;
        let mut input = Input {
            data: &data[..start + bytes.len()],
            at: start,
        };
        for (_, ty, column) in &self.fields {
            let column = column.map(|column| &mut self.columns[column]);
            read(&mut input, ty, column)?;
        }
        Ok(())
    }
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        let mut origins = Vec::with_capacity(messages.len());
        for (index, range) in messages.iter().enumerate() {
            let Some(bytes) = range.slice(data) else { continue };
            if let Err(reason) = self.record(data, *range, bytes) {
                self.columns.iter_mut().for_each(|column| column.truncate(0));
                return Err(DecodeError {
                    message: index,
                    subject: Some(Subject::AvroRecord),
                    reason,
                });
            }
            origins.push(index as u32);
        }
        let rows = origins.len();
        Ok(Decoded {
            columns: finish_all(&mut self.columns)?,
            rows,
            kinds: None,
            messages: (rows != messages.len()).then_some(origins),
        })
    }
}

/// The bytes of a datum. Positions are those of the message buffer.
pub(super) struct Input<'a> {
    /// Up to the end of the datum.
    pub data: &'a [u8],
    pub at: usize,
}

impl<'a> Input<'a> {
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], ValueError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.data.len());
        let end = end.ok_or(ValueError::Syntax("the datum ends too early"))?;
        let bytes = &self.data[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let bytes = self.take(N)?;
        bytes
            .try_into()
            .map_err(|_| ValueError::Syntax("the datum ends too early"))
    }

    pub fn long(&mut self) -> Result<i64, ValueError> {
        let value = zigzag(|| self.fixed().map(|[byte]| byte))?;
        value.ok_or(ValueError::Syntax("invalid long encoding"))
    }

    pub fn int(&mut self) -> Result<i32, ValueError> {
        i32::try_from(self.long()?).map_err(|_| ValueError::Syntax("invalid int encoding"))
    }

    /// Reads a length and that many bytes. Returns the bytes with their position.
    pub fn bytes(&mut self) -> Result<&'a [u8], ValueError> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| ValueError::Length(length))?;
        self.take(length)
    }

    /// The number of items in the next block of an array or a map; 0 after the last one.
    fn block(&mut self) -> Result<u64, ValueError> {
        let count = self.long()?;
        if count < 0 {
            self.long()?; // the size of the block, for readers that skip it
        }
        let count = count.unsigned_abs();
        if count > (self.data.len() - self.at) as u64 {
            return Err(ValueError::Block(count));
        }
        Ok(count)
    }
}

/// An integer of variable length from the bytes that `next` gives; `None`: it does not end.
pub(super) fn zigzag<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<i64>, E> {
    let mut value = 0u64;
    for index in 0..LONG_BYTES_MAX {
        let byte = next()?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value >> 1) as i64 ^ -((value & 1) as i64)));
        }
    }
    Ok(None)
}

/// Decodes a value of `ty` into a column, or skips it.
fn read(input: &mut Input<'_>, ty: &LogicalType, out: Option<&mut ColumnBuilder>) -> Result<(), ValueError> {
    if ty.nullable {
        match input.long()? {
            0 => {
                if let Some(column) = out {
                    column.push_null();
                }
                return Ok(());
            }
            1 => {}
            other => return Err(ValueError::UnionBranch(other)),
        }
    }
    match &ty.kind {
        TypeKind::Array(element) => return read_array(input, element, out),
        TypeKind::Map(_, value) => return read_map(input, value, out),
        TypeKind::Multiset(_) => return read_map(input, &COUNT, out),
        TypeKind::Row(_) => return read_row(input, ty, out),
        _ => {}
    }
    match out {
        Some(column) => read_scalar(input, column),
        None => skip_scalar(input, ty),
    }
}

pub(super) fn read_scalar(input: &mut Input<'_>, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    match &mut column.values {
        Values::Boolean(slots) => slots.push(input.fixed::<1>()? == [1]),
        Values::I8(slots) => slots.push(input.int()? as i8),
        Values::I16(slots) => slots.push(input.int()? as i16),
        Values::I32(slots) => slots.push(input.int()?),
        Values::I64(slots) => slots.push(input.long()?),
        Values::F32(slots) => slots.push(f32::from_le_bytes(input.fixed()?)),
        Values::F64(slots) => slots.push(f64::from_le_bytes(input.fixed()?)),
        Values::I128(slots) => {
            let bytes = input.bytes()?;
            slots.push(decimal(bytes)?);
        }
        Values::String(texts) => texts.push(String::from_utf8_lossy(input.bytes()?).as_bytes()),
        Values::Binary(texts) => texts.push(input.bytes()?),
        Values::Null(rows) => *rows += 1,
        Values::List(_) | Values::Map(_) | Values::Row(_) => {
            unreachable!("callers take nested types apart, and the keys of maps are texts")
        }
    }
    Ok(())
}

fn skip_scalar(input: &mut Input<'_>, ty: &LogicalType) -> Result<(), ValueError> {
    match &ty.kind {
        TypeKind::Null => Ok(()),
        TypeKind::Boolean => input.take(1).map(|_| ()),
        TypeKind::Float => input.take(4).map(|_| ()),
        TypeKind::Double => input.take(8).map(|_| ()),
        TypeKind::Char(_)
        | TypeKind::Varchar(_)
        | TypeKind::Binary(_)
        | TypeKind::Varbinary(_)
        | TypeKind::Decimal { .. } => input.bytes().map(|_| ()),
        _ => input.long().map(|_| ()),
    }
}

/// The unscaled value of a decimal: big-endian two's complement.
pub(super) fn decimal(bytes: &[u8]) -> Result<i128, ValueError> {
    if bytes.len() > DECIMAL_BYTES_MAX {
        return Err(ValueError::DecimalBytes(bytes.len()));
    }
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; DECIMAL_BYTES_MAX];
    whole[DECIMAL_BYTES_MAX - bytes.len()..].copy_from_slice(bytes);
    Ok(i128::from_be_bytes(whole))
}

/// Decodes the items of all blocks of an array or a map; returns their number.
pub(super) fn read_items(
    input: &mut Input<'_>,
    mut item: impl FnMut(&mut Input<'_>) -> Result<(), ValueError>,
) -> Result<u32, ValueError> {
    let mut length = 0;
    loop {
        let count = input.block()?;
        if count == 0 {
            return Ok(length);
        }
        for _ in 0..count {
            item(input)?;
            length += 1;
        }
    }
}

fn read_array(
    input: &mut Input<'_>,
    element: &LogicalType,
    out: Option<&mut ColumnBuilder>,
) -> Result<(), ValueError> {
    let mut nested = out.and_then(nested_of);
    let length = read_items(input, |input| {
        let items = nested.as_deref_mut().map(|nested| &mut nested.children[0]);
        read(input, element, items)
    })?;
    if let Some(nested) = nested {
        nested.push_items(length);
    }
    Ok(())
}

fn read_map(
    input: &mut Input<'_>,
    value: &LogicalType,
    out: Option<&mut ColumnBuilder>,
) -> Result<(), ValueError> {
    let mut nested = out.and_then(nested_of);
    let length = read_items(input, |input| {
        match nested.as_deref_mut().map(|nested| nested.children.as_mut_slice()) {
            Some([keys, values]) => {
                read_scalar(input, keys)?;
                read(input, value, Some(values))
            }
            _ => {
                input.bytes()?;
                read(input, value, None)
            }
        }
    })?;
    if let Some(nested) = nested {
        nested.push_items(length);
    }
    Ok(())
}

fn read_row(
    input: &mut Input<'_>,
    ty: &LogicalType,
    out: Option<&mut ColumnBuilder>,
) -> Result<(), ValueError> {
    let mut nested = out.and_then(nested_of);
    if let Some(nested) = nested.as_deref_mut() {
        nested.open_row();
    }
    for (index, field) in ty.children().into_iter().enumerate() {
        let column = nested.as_deref_mut().map(|nested| &mut nested.children[index]);
        read(input, field, column)?;
    }
    Ok(())
}

pub(super) fn nested_of(column: &mut ColumnBuilder) -> Option<&mut Nested> {
    match &mut column.values {
        Values::List(nested) | Values::Map(nested) | Values::Row(nested) => Some(nested),
        _ => None,
    }
}
