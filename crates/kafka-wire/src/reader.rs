//! Reads the protocol's primitive types from a frame. Every length is checked before memory is allocated, and the
//! memory of a message is bounded by its size on the wire, so that a small hostile frame cannot allocate much.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::error_code::ErrorCode;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::varint;

/// How many bytes of memory a byte on the wire may claim in arrays.
pub const MEMORY_PER_WIRE_BYTE: usize = 16;
/// Memory that a message of any size may take.
const MEMORY_ALLOWANCE: usize = 4096;
/// The longest string of the protocol, in every encoding.
const STRING_LENGTH_MAX: usize = i16::MAX as usize;

/// A position in the bytes of a message.
#[derive(Clone, Debug)]
pub struct Reader {
    data: Bytes,
    position: usize,
    memory_left: usize,
}

impl Reader {
    pub fn new(data: Bytes) -> Self {
        let memory_left = data
            .len()
            .saturating_mul(MEMORY_PER_WIRE_BYTE)
            .saturating_add(MEMORY_ALLOWANCE);
        Reader {
            data,
            position: 0,
            memory_left,
        }
    }

    pub fn remaining(&self) -> usize {
        self.data.len() - self.position
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> Bytes {
        self.data.slice(self.position..)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let truncated = DecodeError::Truncated {
            wanted: N,
            remaining: self.remaining(),
        };
        let end = self.position + N;
        let bytes = self
            .data
            .get(self.position..end)
            .and_then(|slice| slice.try_into().ok())
            .ok_or(truncated)?;
        self.position = end;
        Ok(bytes)
    }

    fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.remaining() {
            return Err(DecodeError::Truncated {
                wanted: length,
                remaining: self.remaining(),
            });
        }
        let start = self.position;
        self.position += length;
        Ok(self.data.slice(start..start + length))
    }

    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed::<1>()?[0] != 0)
    }

    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid)
    }

    pub fn error_code(&mut self) -> Result<ErrorCode, DecodeError> {
        self.i16().map(ErrorCode)
    }

    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let start = self.position;
        let value = varint::read_unsigned_varint(&self.data, &mut self.position);
        value.ok_or(if self.position - start >= varint::VARINT_BYTES_MAX {
            DecodeError::VarintTooLong
        } else {
            DecodeError::Truncated {
                wanted: 1,
                remaining: 0,
            }
        })
    }

    /// A length of bytes or elements; any negative one is null, as Kafka has it.
    fn length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        let length = if flexible {
            (self.unsigned_varint()? as i32).wrapping_sub(1)
        } else {
            self.i32()?
        };
        Ok(usize::try_from(length).ok())
    }

    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<KafkaString>, DecodeError> {
        let length = if flexible {
            self.length(true)?
        } else {
            usize::try_from(self.i16()?).ok()
        };
        let Some(length) = length else { return Ok(None) };
        if length > STRING_LENGTH_MAX {
            return Err(DecodeError::InvalidLength(length as i64));
        }
        KafkaString::from_utf8(self.take(length)?).map(Some)
    }

    pub fn string(&mut self, flexible: bool) -> Result<KafkaString, DecodeError> {
        self.nullable_string(flexible)?
            .ok_or(DecodeError::UnexpectedNull(""))
    }

    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        match self.length(flexible)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible)?
            .ok_or(DecodeError::UnexpectedNull(""))
    }

    /// An array whose elements take at least `element_size_min` bytes each.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        element_size_min: usize,
        read: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        match self.length(flexible)? {
            None => Ok(None),
            Some(count) => self.elements(count, element_size_min, read).map(Some),
        }
    }

    pub fn array<T>(
        &mut self,
        flexible: bool,
        element_size_min: usize,
        read: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(flexible, element_size_min, read)?
            .ok_or(DecodeError::UnexpectedNull(""))
    }

    fn elements<T>(
        &mut self,
        count: usize,
        element_size_min: usize,
        mut read: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let remaining = self.remaining();
        if count.saturating_mul(element_size_min) > remaining {
            return Err(DecodeError::ArrayTooLong { count, remaining });
        }
        let memory = count.saturating_mul(size_of::<T>());
        self.memory_left = self
            .memory_left
            .checked_sub(memory)
            .ok_or(DecodeError::MemoryExceeded)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(elements)
    }

    pub fn nullable_struct<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 {
            return Ok(None);
        }
        read(self).map(Some)
    }

    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        self.tagged_fields(|_, _| Ok(false))
    }

    /// Reads the tagged fields; `read` returns whether it has read the field, and unread ones are skipped.
    pub fn tagged_fields(
        &mut self,
        mut read: impl FnMut(&mut Reader, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint()?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            if length > self.remaining() {
                return Err(DecodeError::Truncated {
                    wanted: length,
                    remaining: self.remaining(),
                });
            }
            let end = self.position + length;
            let known = read(self, tag)?;
            if known && self.position != end {
                return Err(DecodeError::TaggedFieldLength { tag, length });
            }
            self.position = end;
        }
        Ok(())
    }
}

/// Refuses versions that a message does not have.
pub(crate) fn check_decode(
    message: &'static str,
    version: i16,
    min: i16,
    max: i16,
) -> Result<(), DecodeError> {
    if (min..=max).contains(&version) {
        return Ok(());
    }
    Err(DecodeError::UnsupportedVersion {
        message,
        version,
        min,
        max,
    })
}

/// Refuses null in versions in which `field` cannot be null.
pub(crate) fn check_null<T>(
    value: Option<T>,
    allowed: bool,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    if value.is_none() && !allowed {
        return Err(DecodeError::UnexpectedNull(field));
    }
    Ok(value)
}
