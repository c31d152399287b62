//! Records into a batch, for producing.

use super::header::{
    Attributes, BatchHeader, HEADER_SIZE, LENGTH_PREFIX, NO_PRODUCER_ID, NO_SEQUENCE, TimestampType,
};
use super::{BatchError, header, rewrite};
use crate::compression::{Codec, Compressor};
use crate::varint::{Encoded, varint_size, varlong_size, write_varint};

/// A header of a record: a name and a value that may be null.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    pub key: &'a str,
    pub value: Option<&'a [u8]>,
}

/// Identity and sequence of an idempotent or transactional producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchProducer {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
}

impl BatchProducer {
    /// A producer that is not idempotent.
    pub const NONE: BatchProducer = BatchProducer {
        producer_id: NO_PRODUCER_ID,
        producer_epoch: -1,
        base_sequence: NO_SEQUENCE,
        transactional: false,
    };
}

/// Collects records. Offsets start at 0; the broker assigns the final ones.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    codec: Codec,
    producer: BatchProducer,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    /// Room for the header, then the records, not compressed.
    buffer: Vec<u8>,
}

impl BatchBuilder {
    pub fn new(codec: Codec) -> Self {
        BatchBuilder {
            codec,
            producer: BatchProducer::NONE,
            base_timestamp: 0,
            max_timestamp: -1,
            count: 0,
            buffer: vec![0; HEADER_SIZE],
        }
    }

    /// Reuses a buffer; its content is discarded.
    pub fn with_buffer(mut self, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER_SIZE, 0);
        self.buffer = buffer;
        self
    }

    /// Reserves capacity for this many bytes of records.
    pub fn with_capacity(mut self, bytes: usize) -> Self {
        self.buffer.reserve(bytes);
        self
    }

    pub fn with_producer(mut self, producer: BatchProducer) -> Self {
        self.producer = producer;
        self
    }

    pub fn record_count(&self) -> i32 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of the batch without compression.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// How much the batch would grow by a record, without compression.
    pub fn record_size(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> usize {
        let base = if self.count == 0 {
            timestamp
        } else {
            self.base_timestamp
        };
        let body = body_size(timestamp.wrapping_sub(base), self.count, key, value, headers);
        varint_size(body as i32) + body
    }

    /// Adds a record. `timestamp` is in milliseconds since 1970.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let body = body_size(timestamp_delta, self.count, key, value, headers);
        let out = &mut self.buffer;
        out.reserve(body + crate::varint::VARINT_BYTES_MAX);
        let mut fixed = Encoded::default();
        fixed.varint(body as i32);
        fixed.byte(0);
        fixed.varlong(timestamp_delta);
        fixed.varint(self.count);
        fixed.varint(length_of(key));
        if let Some(key) = key {
            out.extend_from_slice(fixed.as_slice());
            out.extend_from_slice(key);
            fixed.clear();
        }
        fixed.varint(length_of(value));
        out.extend_from_slice(fixed.as_slice());
        out.extend_from_slice(value.unwrap_or_default());
        write_varint(out, headers.len() as i32);
        for header in headers {
            write_slice(out, Some(header.key.as_bytes()));
            write_slice(out, header.value);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
    }

    /// Finishes the batch.
    pub fn build(mut self, compressor: &mut Compressor) -> Result<Vec<u8>, BatchError> {
        let mut batch = match self.codec {
            Codec::None => std::mem::take(&mut self.buffer),
            codec => {
                let mut batch = Vec::with_capacity(HEADER_SIZE + self.buffer.len() / 2);
                batch.resize(HEADER_SIZE, 0);
                let records = &self.buffer[HEADER_SIZE..];
                compressor
                    .compress_into(codec, records, &mut batch)
                    .map_err(BatchError::Compression)?;
                batch
            }
        };
        let length = batch.len() - LENGTH_PREFIX;
        let header = BatchHeader {
            base_offset: 0,
            batch_length: i32::try_from(length).map_err(|_| BatchError::InvalidLength(i32::MAX))?,
            partition_leader_epoch: -1,
            crc: 0,
            attributes: Attributes::new(
                self.codec,
                TimestampType::CreateTime,
                self.producer.transactional,
                false,
            ),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.producer_epoch,
            base_sequence: self.producer.base_sequence,
            record_count: self.count,
        };
        header::put(&mut batch, 0, &header.to_bytes());
        rewrite::recompute_crc(&mut batch);
        Ok(batch)
    }
}

fn body_size(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> usize {
    let headers_size: usize = headers
        .iter()
        .map(|each| slice_size(Some(each.key.as_bytes())) + slice_size(each.value))
        .sum();
    1 + varlong_size(timestamp_delta)
        + varint_size(offset_delta)
        + slice_size(key)
        + slice_size(value)
        + varint_size(headers.len() as i32)
        + headers_size
}

fn slice_size(slice: Option<&[u8]>) -> usize {
    match slice {
        None => 1,
        Some(bytes) => varint_size(bytes.len() as i32) + bytes.len(),
    }
}

/// As it is written: -1 for null.
fn length_of(slice: Option<&[u8]>) -> i32 {
    slice.map_or(-1, |bytes| bytes.len() as i32)
}

fn write_slice(out: &mut Vec<u8>, slice: Option<&[u8]>) {
    write_varint(out, length_of(slice));
    out.extend_from_slice(slice.unwrap_or_default());
}
