//! Reads containers block by block.

use std::io::{self, Read, Seek, SeekFrom};

use millstream_types::Schema;

use super::resolve::ContainerDecoder;
use super::schema::WriterSchema;
use super::{
    AvroCodec, BLOCK_BYTES_MAX, CODEC_KEY, ContainerError, HEADER_ENTRIES_MAX, HEADER_VALUE_BYTES_MAX, MAGIC,
    SCHEMA_KEY, SYNC_BYTES,
};
use crate::avro::AvroOptions;
use crate::avro::decode::{LONG_BYTES_MAX, zigzag};
use crate::avro::encode::write_long;
use crate::{Decoder, FormatError};

/// A container that is being read.
pub struct ContainerReader<R> {
    input: Counted<R>,
    codec: AvroCodec,
    schema: WriterSchema,
    sync: [u8; SYNC_BYTES],
}

impl<R: Read + Seek> ContainerReader<R> {
    /// Reads the header.
    pub fn open(input: R) -> Result<Self, ContainerError> {
        let mut input = Counted { input, position: 0 };
        let mut magic = [0; MAGIC.len()];
        let is_container = input.read_exact(&mut magic).is_ok() && magic == MAGIC;
        if !is_container {
            return Err(ContainerError::NoContainer);
        }
        let (mut schema, mut codec) = (None, AvroCodec::Null);
        for (key, value) in metadata(&mut input)? {
            match key.as_slice() {
                key if key == SCHEMA_KEY.as_bytes() => schema = Some(value),
                key if key == CODEC_KEY.as_bytes() => {
                    codec = AvroCodec::parse(&String::from_utf8_lossy(&value))?;
                }
                _ => {}
            }
        }
        let schema = schema.ok_or(ContainerError::NoSchema)?;
        let schema = WriterSchema::parse(&schema)?;
        let mut sync = [0; SYNC_BYTES];
        fill(&mut input, &mut sync)?;
        Ok(Self {
            input,
            codec,
            schema,
            sync,
        })
    }

    /// A decoder of the columns of `schema` from the blocks of this file, each of them a message.
    pub fn decoder(&self, options: AvroOptions, schema: &Schema) -> Result<Box<dyn Decoder>, FormatError> {
        Ok(Box::new(ContainerDecoder::new(&self.schema, options, schema)?))
    }

    /// Where the next block starts.
    pub fn position(&self) -> u64 {
        self.input.position
    }

    /// Continues at a position from [`ContainerReader::position`].
    pub fn seek(&mut self, position: u64) -> io::Result<()> {
        self.input.position = self.input.input.seek(SeekFrom::Start(position))?;
        Ok(())
    }

    /// The next block: the number of its records, then their datums; `None` at the end of the file.
    pub fn block(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        let mut first = [0];
        if self.input.read(&mut first)? == 0 {
            return Ok(None);
        }
        let start = self.position() - 1;
        let at = |cause| ContainerError::Block {
            at: start,
            cause: Box::new(cause),
        };
        self.rest_of_block(first[0]).map(Some).map_err(at)
    }

    fn rest_of_block(&mut self, first: u8) -> Result<Vec<u8>, ContainerError> {
        let count = long(&mut self.input, Some(first))?;
        let size = long(&mut self.input, None)?;
        let size = usize::try_from(size).map_err(|_| ContainerError::NegativeSize)?;
        if count < 0 || size > BLOCK_BYTES_MAX {
            return Err(ContainerError::BlockSize);
        }
        let data = bytes(&mut self.input, size)?;
        let mut sync = [0; SYNC_BYTES];
        fill(&mut self.input, &mut sync)?;
        if sync != self.sync {
            return Err(ContainerError::Sync);
        }
        let mut out = Vec::with_capacity(size + LONG_BYTES_MAX);
        write_long(&mut out, count);
        self.codec.decompress(&data, &mut out)?;
        Ok(out)
    }
}

/// Counts what was read.
struct Counted<R> {
    input: R,
    position: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

fn metadata(input: &mut impl Read) -> Result<Vec<Entry>, ContainerError> {
    let mut entries = Vec::new();
    loop {
        let count = long(input, None)?;
        if count == 0 {
            return Ok(entries);
        }
        if count < 0 {
            long(input, None)?; // the size of the entries, for readers that skip them
        }
        let count = count.unsigned_abs();
        if entries.len() as u64 + count.min(u64::from(u32::MAX)) > HEADER_ENTRIES_MAX as u64 {
            return Err(ContainerError::HeaderEntries);
        }
        for _ in 0..count {
            entries.push((text(input)?, text(input)?));
        }
    }
}

fn text(input: &mut impl Read) -> Result<Vec<u8>, ContainerError> {
    let length = usize::try_from(long(input, None)?).unwrap_or(usize::MAX);
    if length > HEADER_VALUE_BYTES_MAX {
        return Err(ContainerError::HeaderValue);
    }
    bytes(input, length)
}

/// The next `length` bytes. Memory is taken as they come, so that a wrong length costs none.
fn bytes(input: &mut impl Read, length: usize) -> Result<Vec<u8>, ContainerError> {
    let mut out = Vec::new();
    input.take(length as u64).read_to_end(&mut out)?;
    if out.len() < length {
        return Err(ContainerError::Truncated);
    }
    Ok(out)
}

/// Reads as many bytes as fit.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), ContainerError> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ContainerError::Truncated,
        _ => ContainerError::Io(error),
    })
}

/// A long whose first byte may have been read before.
fn long(input: &mut impl Read, mut first: Option<u8>) -> Result<i64, ContainerError> {
    let value = zigzag(|| match first.take() {
        Some(byte) => Ok(byte),
        None => {
            let mut next = [0];
            fill(input, &mut next).map(|()| next[0])
        }
    })?;
    value.ok_or(ContainerError::Long)
}
