//! The 61-byte header of a Kafka record batch (format v2), as far as storage and recovery need it.
//!
//! The broker validates records, compression and timestamps. Recovery checks length, magic, CRC, and the two fields
//! ahead of the CRC that the broker stamps: base offset and leader epoch.

use thiserror::Error;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the part that `batch_length` counts.
pub const LENGTH_PREFIX_BYTES: usize = 12;
/// Start of the bytes that the CRC covers.
const CRC_START: usize = 21;
const MAGIC: i8 = 2;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// "No producer id" in a batch.
pub const NO_PRODUCER_ID: i64 = -1;

/// Why bytes are not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Fewer bytes than a header, or than the header says.
    #[error("it is cut off")]
    Truncated,
    /// The length cannot be.
    #[error("its length is impossible")]
    Length,
    /// Not format v2.
    #[error("its magic is not 2")]
    Magic,
    /// The CRC does not match.
    #[error("its checksum does not match")]
    Crc,
    /// Offsets run backwards.
    #[error("its last offset is below its first")]
    Offsets,
    /// It does not continue where the previous batch ends.
    #[error("its first offset is not the next one")]
    NotNext,
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The first record's offset.
    pub base_offset: i64,
    /// Bytes after the length field.
    pub batch_length: i32,
    /// The epoch of the leader that stamped the batch.
    pub leader_epoch: i32,
    /// CRC32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control.
    pub attributes: i16,
    /// Distance from the first to the last offset.
    pub last_offset_delta: i32,
    /// The first record's timestamp.
    pub base_timestamp: i64,
    /// The greatest timestamp.
    pub max_timestamp: i64,
    /// The idempotent producer, or [`NO_PRODUCER_ID`].
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The first record's sequence number, −1 if there is none.
    pub base_sequence: i32,
    /// How many records follow.
    pub record_count: i32,
}

/// Kind of a control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlType {
    /// The producer's transaction is aborted.
    Abort,
    /// The producer's transaction is committed.
    Commit,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        array.copy_from_slice(found);
    }
    array
}

impl BatchHeader {
    /// Reads the header at the start of `bytes` and checks its form; the CRC is left to [`BatchHeader::check`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_BYTES {
            return Err(BatchError::Truncated);
        }
        if i8::from_be_bytes(field(bytes, 16)) != MAGIC {
            return Err(BatchError::Magic);
        }
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            batch_length: i32::from_be_bytes(field(bytes, 8)),
            leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        };
        if header.batch_length < (HEADER_BYTES - LENGTH_PREFIX_BYTES) as i32 {
            return Err(BatchError::Length);
        }
        if header.last_offset_delta < 0 {
            return Err(BatchError::Offsets);
        }
        Ok(header)
    }

    /// Reads the header of a whole batch, which must fill `bytes` exactly, and checks its CRC.
    pub fn check(bytes: &[u8]) -> Result<Self, BatchError> {
        let header = Self::parse(bytes)?;
        if header.size() > bytes.len() {
            return Err(BatchError::Truncated);
        }
        if header.size() < bytes.len() {
            return Err(BatchError::Length);
        }
        if crc32c::crc32c(&bytes[CRC_START..]) != header.crc {
            return Err(BatchError::Crc);
        }
        Ok(header)
    }

    /// Bytes of the whole batch.
    pub fn size(&self) -> usize {
        LENGTH_PREFIX_BYTES + self.batch_length as usize
    }

    /// The last record's offset.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The last record's sequence number; sequences wrap from 2³¹−1 to 0.
    pub fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch is a marker and not data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether an idempotent producer wrote it.
    pub fn has_producer(&self) -> bool {
        self.producer_id != NO_PRODUCER_ID
    }

    /// The kind of a control batch, from the key of its single record; `None` if it is neither commit nor abort.
    pub fn control_type(bytes: &[u8]) -> Option<ControlType> {
        let mut rest = bytes.get(HEADER_BYTES..)?;
        skip_varint(&mut rest)?; // length
        rest = rest.get(1..)?; // attributes
        skip_varint(&mut rest)?; // timestamp delta
        skip_varint(&mut rest)?; // offset delta
        skip_varint(&mut rest)?; // key length, at least 4
        match i16::from_be_bytes(rest.get(2..4)?.try_into().ok()?) {
            0 => Some(ControlType::Abort),
            1 => Some(ControlType::Commit),
            _ => None,
        }
    }
}

fn skip_varint(bytes: &mut &[u8]) -> Option<()> {
    let len = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    *bytes = &bytes[len..];
    Some(())
}

/// The sequence number `steps` after `sequence`.
pub fn sequence_after(sequence: i32, steps: i32) -> i32 {
    ((i64::from(sequence) + i64::from(steps)) & i64::from(i32::MAX)) as i32
}

/// Writes offset and leader epoch into a batch; both lie before the bytes under the CRC.
pub fn stamp(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// The fields of a control batch that the caller decides.
#[derive(Debug, Clone, Copy)]
pub struct Marker {
    /// The producer whose transaction ends.
    pub producer_id: i64,
    /// The epoch that the marker carries.
    pub producer_epoch: i16,
    /// The coordinator's epoch.
    pub coordinator_epoch: i32,
    /// Commit or abort.
    pub control: ControlType,
    /// Its time.
    pub timestamp: i64,
}

impl Marker {
    /// The control batch: one record with key {version 0, type} and value {version 0, coordinator epoch}.
    pub fn encode(&self) -> Vec<u8> {
        const RECORD: usize = 17;
        let mut batch = Vec::with_capacity(HEADER_BYTES + RECORD);
        let length = (HEADER_BYTES - LENGTH_PREFIX_BYTES + RECORD) as i32;
        batch.extend_from_slice(&0i64.to_be_bytes());
        batch.extend_from_slice(&length.to_be_bytes());
        batch.extend_from_slice(&0i32.to_be_bytes());
        batch.push(MAGIC as u8);
        batch.extend_from_slice(&0u32.to_be_bytes());
        batch.extend_from_slice(&(TRANSACTIONAL | CONTROL).to_be_bytes());
        batch.extend_from_slice(&0i32.to_be_bytes());
        batch.extend_from_slice(&self.timestamp.to_be_bytes());
        batch.extend_from_slice(&self.timestamp.to_be_bytes());
        batch.extend_from_slice(&self.producer_id.to_be_bytes());
        batch.extend_from_slice(&self.producer_epoch.to_be_bytes());
        batch.extend_from_slice(&(-1i32).to_be_bytes());
        batch.extend_from_slice(&1i32.to_be_bytes());
        let kind: i16 = if self.control == ControlType::Commit { 1 } else { 0 };
        // Varints are zigzag: 32 is a length of 16, 8 a key of 4, 12 a value of 6; no headers.
        batch.extend_from_slice(&[32, 0, 0, 0, 8]);
        batch.extend_from_slice(&0i16.to_be_bytes());
        batch.extend_from_slice(&kind.to_be_bytes());
        batch.push(12);
        batch.extend_from_slice(&0i16.to_be_bytes());
        batch.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        batch.push(0);
        let crc = crc32c::crc32c(&batch[CRC_START..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }
}
