//! Record batches (magic 2): the unit in which records are produced, stored and fetched.
//!
//! A batch is a header of 61 bytes and records, compressed as a whole. The checksum covers the bytes from the
//! attributes on, so that a broker can stamp the base offset and the leader epoch without computing it again. Records
//! never become objects here: they are iterated over, or their positions are written to columns.

mod builder;
mod columns;
mod control;
mod header;
mod iterate;
mod rewrite;
mod validate;

use bytes::Bytes;

use crate::compression::{Codec, CompressionError, Decompressor};
use crate::error_code::ErrorCode;

pub use builder::{BatchBuilder, BatchProducer, Header};
pub use columns::{RecordColumns, Slice};
pub use control::{ControlRecord, EndTransactionMarker, Marker};
pub use header::{
    Attributes, BatchHeader, HEADER_SIZE, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType,
    batch_size,
};
pub use iterate::{Headers, Record, RecordIterator};
pub use rewrite::{
    recompute_crc, set_base_offset, set_log_append_time, set_max_timestamp, set_partition_leader_epoch,
    set_producer,
};
pub use validate::{RecordsSummary, validate};

/// The fewest bytes of a record: length, attributes, two deltas, two lengths and the count of headers.
pub const RECORD_SIZE_MIN: usize = 7;

/// The magics before [`BatchHeader`]'s.
const OLD_MAGICS: std::ops::RangeInclusive<i8> = 0..=1;

/// Why bytes are not a proper batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("batch is cut off: {wanted} bytes wanted, {remaining} at hand")]
    Truncated { wanted: usize, remaining: usize },
    #[error("batch length {0} is out of range")]
    InvalidLength(i32),
    #[error("batch has magic {0}, only 2 is supported; the producer is too old")]
    UnsupportedMagic(i8),
    #[error("checksum is {computed:08x}, the batch says {stored:08x}")]
    ChecksumMismatch { stored: u32, computed: u32 },
    #[error("unknown compression codec {0}")]
    UnknownCodec(u8),
    #[error("batch claims {count} records and a last offset delta of {last_offset_delta}")]
    CountMismatch { count: i32, last_offset_delta: i32 },
    #[error("record {index} is malformed: {what}")]
    MalformedRecord { index: usize, what: &'static str },
    #[error("data follows the last of {count} records")]
    TrailingData { count: i32 },
    #[error("a control batch must hold exactly one well-formed control record")]
    MalformedControl,
    #[error("records cannot be decompressed")]
    Compression(#[source] CompressionError),
}

impl BatchError {
    /// Kafka's error code for such a batch.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            BatchError::InvalidLength(_) | BatchError::ChecksumMismatch { .. } => ErrorCode::CORRUPT_MESSAGE,
            BatchError::UnsupportedMagic(magic) if !OLD_MAGICS.contains(magic) => ErrorCode::CORRUPT_MESSAGE,
            BatchError::UnsupportedMagic(_)
            | BatchError::Truncated { .. }
            | BatchError::CountMismatch { .. }
            | BatchError::MalformedRecord { .. }
            | BatchError::TrailingData { .. }
            | BatchError::MalformedControl => ErrorCode::INVALID_RECORD,
            BatchError::UnknownCodec(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            BatchError::Compression(CompressionError::LimitExceeded { .. }) => ErrorCode::MESSAGE_TOO_LARGE,
            BatchError::Compression(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}

/// One batch: its parsed header, and its bytes as a slice of the frame.
#[derive(Clone, Debug)]
pub struct RecordBatch {
    pub header: BatchHeader,
    data: Bytes,
}

impl RecordBatch {
    /// Reads the batch at the start of `data` and ignores what follows. Checks sizes and the magic, not the checksum.
    pub fn read(data: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::read(data)?;
        let size = header.size();
        if data.len() < size {
            return Err(BatchError::Truncated {
                wanted: size,
                remaining: data.len(),
            });
        }
        Ok(RecordBatch {
            header,
            data: data.slice(..size),
        })
    }

    /// All bytes of the batch, header included.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The records as they are stored: compressed if the header says so.
    pub fn payload(&self) -> Bytes {
        self.data.slice(HEADER_SIZE..)
    }

    pub fn verify_checksum(&self) -> Result<(), BatchError> {
        let computed = header::checksum(&self.data);
        let stored = self.header.crc;
        if computed == stored {
            Ok(())
        } else {
            Err(BatchError::ChecksumMismatch { stored, computed })
        }
    }

    /// The decompressed records in one piece, at most `limit` bytes. [`RecordIterator`] and [`RecordColumns`] read it.
    pub fn records_data(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Bytes, BatchError> {
        let codec = self.header.attributes.codec()?;
        decompressor
            .decompress(codec, &self.payload(), limit)
            .map_err(BatchError::Compression)
    }

    /// Appends the decompressed records to `out`, at most `limit` bytes of them.
    pub fn records_into(
        &self,
        decompressor: &mut Decompressor,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BatchError> {
        let codec = self.header.attributes.codec()?;
        decompressor
            .decompress_into(codec, &self.data[HEADER_SIZE..], limit, out)
            .map_err(BatchError::Compression)
    }

    /// Whether the records are stored as they are.
    pub fn is_uncompressed(&self) -> bool {
        matches!(self.header.attributes.codec(), Ok(Codec::None))
    }

    /// Iterates over records that [`records_data`](Self::records_data) has decompressed.
    pub fn records<'a>(&self, records_data: &'a [u8]) -> RecordIterator<'a> {
        RecordIterator::new(&self.header, records_data)
    }
}

/// The batches that stand one after the other in `data`, as in a fetch response. A batch that is cut off at the end
/// is left out, as brokers may cut there; a malformed one is an error and ends the iteration.
pub fn batches(data: Bytes) -> Batches {
    Batches { rest: data }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match RecordBatch::read(&self.rest) {
            Ok(batch) => {
                self.rest = self.rest.slice(batch.header.size()..);
                Some(Ok(batch))
            }
            Err(BatchError::Truncated { .. }) => None,
            Err(error) => {
                self.rest = Bytes::new();
                Some(Err(error))
            }
        }
    }
}
