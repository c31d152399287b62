//! Writes the protocol's primitive types. Long byte values (record batches) are not copied: the result is a list of
//! chunks that share the original memory.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::varint;

/// Byte values from this size become a chunk of their own.
const CHUNK_SIZE_MIN: usize = 4096;

/// The bytes of a message in the making.
#[derive(Debug, Default)]
pub struct Writer {
    chunks: Vec<Bytes>,
    chunks_length: usize,
    tail: BytesMut,
}

impl Writer {
    pub fn new() -> Self {
        Writer::default()
    }

    pub fn len(&self) -> usize {
        self.chunks_length + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All bytes in order, ready for a vectored write.
    pub fn into_chunks(mut self) -> Vec<Bytes> {
        self.close_tail();
        self.chunks
    }

    /// The chunks with the frame's length (an `int32`) before them, as a message travels on a connection.
    pub fn into_frame(self) -> Result<Vec<Bytes>, EncodeError> {
        let length = i32::try_from(self.len()).map_err(|_| EncodeError::TooLong(self.len()))?;
        let mut chunks = vec![Bytes::copy_from_slice(&length.to_be_bytes())];
        chunks.extend(self.into_chunks());
        Ok(chunks)
    }

    /// All bytes in one piece.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chunks.is_empty() {
            return self.tail.freeze();
        }
        self.close_tail();
        let mut whole = BytesMut::with_capacity(self.chunks_length);
        for chunk in &self.chunks {
            whole.extend_from_slice(chunk);
        }
        whole.freeze()
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks_length += self.tail.len();
            self.chunks.push(self.tail.split().freeze());
        }
    }

    fn append(&mut self, other: Writer) {
        for chunk in other.into_chunks() {
            self.raw(&chunk);
        }
    }

    /// Appends bytes as they are, without a length.
    pub fn raw(&mut self, value: &Bytes) {
        if value.len() < CHUNK_SIZE_MIN {
            self.tail.extend_from_slice(value);
            return;
        }
        self.close_tail();
        self.chunks_length += value.len();
        self.chunks.push(value.clone());
    }

    pub fn bool(&mut self, value: bool) {
        self.tail.put_u8(u8::from(value));
    }

    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    pub fn f64(&mut self, value: f64) {
        self.tail.put_f64(value);
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.tail.extend_from_slice(&value.0);
    }

    pub fn error_code(&mut self, value: ErrorCode) {
        self.i16(value.0);
    }

    pub fn unsigned_varint(&mut self, value: u32) {
        varint::write_unsigned_varint(&mut self.tail, value);
    }

    fn length(&mut self, length: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
        let length = match length {
            None => -1,
            Some(length) => i32::try_from(length).map_err(|_| EncodeError::TooLong(length))?,
        };
        if flexible {
            self.unsigned_varint((length as u32).wrapping_add(1));
        } else {
            self.i32(length);
        }
        Ok(())
    }

    pub fn nullable_string(
        &mut self,
        value: Option<&KafkaString>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        let length = value.map(KafkaString::len);
        if let Some(length) = length.filter(|length| *length > i16::MAX as usize) {
            return Err(EncodeError::TooLong(length));
        }
        if flexible {
            self.length(length, true)?;
        } else {
            self.i16(length.map_or(-1, |length| length as i16));
        }
        if let Some(text) = value {
            self.tail.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }

    pub fn string(&mut self, value: &KafkaString, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_string(Some(value), flexible)
    }

    pub fn nullable_bytes(&mut self, value: Option<&Bytes>, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.map(Bytes::len), flexible)?;
        if let Some(bytes) = value {
            self.raw(bytes);
        }
        Ok(())
    }

    pub fn bytes(&mut self, value: &Bytes, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_bytes(Some(value), flexible)
    }

    pub fn nullable_array<T>(
        &mut self,
        elements: Option<&[T]>,
        flexible: bool,
        mut write: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(elements.map(<[T]>::len), flexible)?;
        for element in elements.unwrap_or_default() {
            write(self, element)?;
        }
        Ok(())
    }

    pub fn array<T>(
        &mut self,
        elements: &[T],
        flexible: bool,
        write: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(Some(elements), flexible, write)
    }

    pub fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        write: impl FnOnce(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.i8(if value.is_some() { 1 } else { -1 });
        match value {
            Some(value) => write(self, value),
            None => Ok(()),
        }
    }

    pub fn no_tagged_fields(&mut self) {
        self.tail.put_u8(0);
    }

    pub fn tagged_fields(&mut self, fields: TaggedFields) -> Result<(), EncodeError> {
        self.unsigned_varint(fields.0.len() as u32);
        for (tag, value) in fields.0 {
            self.unsigned_varint(tag);
            self.unsigned_varint(u32::try_from(value.len()).map_err(|_| EncodeError::TooLong(value.len()))?);
            self.append(value);
        }
        Ok(())
    }
}

/// The tagged fields of a structure that differ from their defaults, in the order of their tags.
#[derive(Debug, Default)]
pub struct TaggedFields(Vec<(u32, Writer)>);

impl TaggedFields {
    pub fn add(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut value = Writer::new();
        write(&mut value)?;
        self.0.push((tag, value));
        Ok(())
    }
}

/// Refuses versions that a message does not have.
pub(crate) fn check_encode(
    message: &'static str,
    version: i16,
    min: i16,
    max: i16,
) -> Result<(), EncodeError> {
    if (min..=max).contains(&version) {
        return Ok(());
    }
    Err(EncodeError::UnsupportedVersion {
        message,
        version,
        min,
        max,
    })
}
