//! The broker's validation of a batch. Compressed records are decompressed as a stream, in a window that holds at least
//! one record, so that memory stays small and within the caller's limit.

use std::io::Read;

use super::header::NO_TIMESTAMP;
use super::iterate::{Headers, RecordLayout, read_layout};
use super::{BatchError, BatchHeader, HEADER_SIZE, RecordBatch};
use crate::compression::{Codec, CompressionError, decompress_stream};
use crate::varint::{VARINT_BYTES_MAX, read_varint};

/// How much is decompressed at a time.
const WINDOW_BYTES: usize = 64 * 1024;

/// Facts about the records, collected by validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsSummary {
    /// The lowest timestamp of records that have one.
    pub min_timestamp: Option<i64>,
    /// The highest timestamp of the records; compare it with the header's.
    pub max_timestamp: i64,
    /// The first record with that timestamp.
    pub max_timestamp_offset_delta: i32,
    /// Whether there are records without a key, which compacted topics refuse.
    pub has_null_keys: bool,
    /// The size of the records without compression.
    pub records_bytes: usize,
}

/// Validates a produced batch: checksum, count, and each record's bounds and offset delta. Decompresses at most `limit`
/// bytes.
pub fn validate(batch: &RecordBatch, limit: usize) -> Result<RecordsSummary, BatchError> {
    batch.verify_checksum()?;
    let header = &batch.header;
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(BatchError::CountMismatch {
            count,
            last_offset_delta,
        });
    }
    let mut summary = Summary::new(header);
    let payload = &batch.data()[HEADER_SIZE..];
    match header.attributes.codec()? {
        Codec::None => {
            let mut position = 0;
            while summary.wants_more() {
                let start = position;
                let layout = read_layout(payload, &mut position).map_err(|what| summary.malformed(what))?;
                summary.add(payload, &layout, position - start)?;
            }
            if position != payload.len() {
                return Err(BatchError::TrailingData { count });
            }
        }
        codec => validate_stream(&mut summary, codec, payload, limit)?,
    }
    Ok(summary.result)
}

fn validate_stream(
    summary: &mut Summary,
    codec: Codec,
    payload: &[u8],
    limit: usize,
) -> Result<(), BatchError> {
    let corrupt = |source| BatchError::Compression(CompressionError::Corrupt { codec, source });
    let mut window = Window {
        stream: decompress_stream(codec, payload).map_err(corrupt)?,
        codec,
        buffer: Vec::new(),
        position: 0,
        taken: 0,
        limit,
    };
    while summary.wants_more() {
        window.hold(VARINT_BYTES_MAX)?;
        let mut after_length = window.position;
        let length = read_varint(&window.buffer, &mut after_length)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| summary.malformed("length is cut off or negative"))?;
        window.hold(after_length - window.position + length)?;
        let start = window.position;
        let layout =
            read_layout(&window.buffer, &mut window.position).map_err(|what| summary.malformed(what))?;
        summary.add(&window.buffer, &layout, window.position - start)?;
    }
    window.hold(1)?;
    if window.position < window.buffer.len() {
        return Err(BatchError::TrailingData { count: summary.count });
    }
    Ok(())
}

/// The decompressed bytes in memory.
struct Window<'a> {
    stream: Box<dyn Read + 'a>,
    codec: Codec,
    buffer: Vec<u8>,
    position: usize,
    taken: usize,
    limit: usize,
}

impl Window<'_> {
    /// Reads until `wanted` bytes from the position on are in memory, or the stream ends.
    fn hold(&mut self, wanted: usize) -> Result<(), BatchError> {
        while self.buffer.len() - self.position < wanted {
            if self.position > 0 {
                self.buffer.drain(..self.position);
                self.position = 0;
            }
            let chunk = (self.limit - self.taken + 1).min(WINDOW_BYTES) as u64;
            let read = self.stream.by_ref().take(chunk).read_to_end(&mut self.buffer);
            let read = read.map_err(|source| {
                BatchError::Compression(CompressionError::Corrupt {
                    codec: self.codec,
                    source,
                })
            })?;
            self.taken += read;
            if self.taken > self.limit {
                return Err(BatchError::Compression(CompressionError::LimitExceeded {
                    limit: self.limit,
                }));
            }
            if read == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Collects facts record by record.
struct Summary {
    count: i32,
    seen: i32,
    base_timestamp: i64,
    result: RecordsSummary,
}

impl Summary {
    fn new(header: &BatchHeader) -> Self {
        let result = RecordsSummary {
            min_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset_delta: 0,
            has_null_keys: false,
            records_bytes: 0,
        };
        Summary {
            count: header.record_count,
            seen: 0,
            base_timestamp: header.base_timestamp,
            result,
        }
    }

    fn wants_more(&self) -> bool {
        self.seen < self.count
    }

    fn malformed(&self, what: &'static str) -> BatchError {
        BatchError::MalformedRecord {
            index: self.seen as usize,
            what,
        }
    }

    fn add(&mut self, data: &[u8], layout: &RecordLayout, size: usize) -> Result<(), BatchError> {
        if layout.offset_delta != self.seen {
            return Err(self.malformed("offset delta is out of order"));
        }
        let (start, end) = layout.headers;
        Headers::check(&data[start..end]).map_err(|what| self.malformed(what))?;
        let timestamp = self.base_timestamp.wrapping_add(layout.timestamp_delta);
        if timestamp != NO_TIMESTAMP {
            let lowest = self.result.min_timestamp.unwrap_or(timestamp);
            self.result.min_timestamp = Some(lowest.min(timestamp));
        }
        if timestamp > self.result.max_timestamp {
            self.result.max_timestamp = timestamp;
            self.result.max_timestamp_offset_delta = layout.offset_delta;
        }
        self.result.has_null_keys |= layout.key.is_none();
        self.result.records_bytes += size;
        self.seen += 1;
        Ok(())
    }
}
