//! The 61 bytes before the records.

use super::BatchError;
use crate::compression::Codec;

pub const HEADER_SIZE: usize = 61;
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record without a time.
pub const NO_TIMESTAMP: i64 = -1;

/// Base offset and length, which the length does not include.
pub(super) const LENGTH_PREFIX: usize = 12;
/// The least length of a batch or message of any magic.
const LENGTH_MIN: i32 = 14;
pub(super) const MAGIC: i8 = 2;

pub(super) const LENGTH_AT: usize = 8;
pub(super) const LEADER_EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const PRODUCER_ID_AT: usize = 43;
pub(super) const PRODUCER_EPOCH_AT: usize = 51;
pub(super) const BASE_SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;

const CODEC_MASK: i16 = 0x07;
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
pub(super) const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Whether the producer or the broker has set the timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, one time for the whole batch (its maximal timestamp).
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    pub fn new(codec: Codec, timestamps: TimestampType, transactional: bool, control: bool) -> Self {
        let mut bits = i16::from(codec.id());
        if timestamps == TimestampType::LogAppendTime {
            bits |= LOG_APPEND_TIME;
        }
        if transactional {
            bits |= TRANSACTIONAL;
        }
        if control {
            bits |= CONTROL;
        }
        Attributes(bits)
    }

    pub fn codec(self) -> Result<Codec, BatchError> {
        let id = (self.0 & CODEC_MASK) as u8;
        Codec::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// The base timestamp is the time from which the batch's tombstones and markers may go.
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }
}

/// The header of a batch, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes after the length field.
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `data`, of which the rest need not be there.
    pub fn read(data: &[u8]) -> Result<Self, BatchError> {
        let size = batch_size(data)?;
        let Some(header) = data.first_chunk::<HEADER_SIZE>() else {
            return Err(BatchError::Truncated {
                wanted: size,
                remaining: data.len(),
            });
        };
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(bytes_at(header, 0)),
            batch_length: i32::from_be_bytes(bytes_at(header, LENGTH_AT)),
            partition_leader_epoch: i32::from_be_bytes(bytes_at(header, LEADER_EPOCH_AT)),
            crc: u32::from_be_bytes(bytes_at(header, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(bytes_at(header, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(bytes_at(header, LAST_OFFSET_DELTA_AT)),
            base_timestamp: i64::from_be_bytes(bytes_at(header, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(bytes_at(header, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(bytes_at(header, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(bytes_at(header, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(bytes_at(header, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(bytes_at(header, COUNT_AT)),
        })
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0u8; HEADER_SIZE];
        put(&mut bytes, 0, &self.base_offset.to_be_bytes());
        put(&mut bytes, LENGTH_AT, &self.batch_length.to_be_bytes());
        put(
            &mut bytes,
            LEADER_EPOCH_AT,
            &self.partition_leader_epoch.to_be_bytes(),
        );
        put(&mut bytes, MAGIC_AT, &MAGIC.to_be_bytes());
        put(&mut bytes, CRC_AT, &self.crc.to_be_bytes());
        put(&mut bytes, ATTRIBUTES_AT, &self.attributes.0.to_be_bytes());
        put(
            &mut bytes,
            LAST_OFFSET_DELTA_AT,
            &self.last_offset_delta.to_be_bytes(),
        );
        put(&mut bytes, BASE_TIMESTAMP_AT, &self.base_timestamp.to_be_bytes());
        put(&mut bytes, MAX_TIMESTAMP_AT, &self.max_timestamp.to_be_bytes());
        put(&mut bytes, PRODUCER_ID_AT, &self.producer_id.to_be_bytes());
        put(&mut bytes, PRODUCER_EPOCH_AT, &self.producer_epoch.to_be_bytes());
        put(&mut bytes, BASE_SEQUENCE_AT, &self.base_sequence.to_be_bytes());
        put(&mut bytes, COUNT_AT, &self.record_count.to_be_bytes());
        bytes
    }

    /// The size of the whole batch in bytes. Its range was checked when the header was read.
    pub const fn size(&self) -> usize {
        LENGTH_PREFIX + self.batch_length as usize
    }

    pub const fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    pub const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    pub const fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The sequence number of the last record; numbers wrap after `i32::MAX` to 0.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        (self.base_sequence as i64 + self.last_offset_delta as i64).rem_euclid(1 << 31) as i32
    }

    /// Whether the producer or the broker has set the timestamps.
    pub const fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }
}

/// The size of the batch at the start of `data`, from its first 17 bytes; checks the range and the magic.
pub fn batch_size(data: &[u8]) -> Result<usize, BatchError> {
    let Some(prefix) = data.first_chunk::<{ MAGIC_AT + 1 }>() else {
        return Err(BatchError::Truncated {
            wanted: HEADER_SIZE,
            remaining: data.len(),
        });
    };
    let length = i32::from_be_bytes(bytes_at(prefix, LENGTH_AT));
    if length < LENGTH_MIN {
        return Err(BatchError::InvalidLength(length));
    }
    let magic = prefix[MAGIC_AT] as i8;
    if magic != MAGIC {
        return Err(BatchError::UnsupportedMagic(magic));
    }
    let size = usize::try_from(length).ok().map(|length| length + LENGTH_PREFIX);
    size.filter(|size| *size >= HEADER_SIZE)
        .ok_or(BatchError::InvalidLength(length))
}

/// The checksum that a batch of at least a header's size should have.
pub(super) fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default())
}

/// A header field; all positions are constants within its size.
fn bytes_at<const N: usize>(header: &[u8], position: usize) -> [u8; N] {
    let mut bytes = [0u8; N];
    bytes.copy_from_slice(&header[position..position + N]);
    bytes
}

pub(super) fn put(header: &mut [u8], position: usize, bytes: &[u8]) {
    header[position..position + bytes.len()].copy_from_slice(bytes);
}
