//! Records of the WAL: encoding into a group, and reading back with every check.

use crate::batch;
use crate::codec::{Reader, Writer};
use crate::log::LogId;
use bytes::Bytes;

pub(crate) const GROUP_MAGIC: [u8; 4] = *b"MWG1";
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"MWR1";
pub(crate) const GROUP_HEADER_BYTES: usize = 40;
const RECORD_HEADER_BYTES: usize = 32;
const ENTRY_HEADER_BYTES: usize = 12;
/// Records start at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

const KIND_BATCH: u32 = 1;
const KIND_CREATE: u32 = 2;
const KIND_DROP: u32 = 3;
const KIND_START_OFFSET: u32 = 4;
const KIND_METADATA: u32 = 5;

/// One change inside a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A batch for a log; the offset is stamped by the append.
    Batch {
        /// Where it goes.
        log: LogId,
        /// A whole batch in format v2, already validated.
        batch: Bytes,
    },
    /// A new, empty log.
    CreateLog(LogId),
    /// The end of a log with all its data.
    DropLog(LogId),
    /// The log start offset moves forward.
    StartOffset {
        /// Which log.
        log: LogId,
        /// The first offset kept.
        offset: i64,
    },
    /// Something of the owner's.
    Metadata(Bytes),
}

/// Changes that become durable together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// In the order in which they are applied.
    pub entries: Vec<Entry>,
}

impl Record {
    /// A record of one metadata entry.
    pub fn metadata(bytes: impl Into<Bytes>) -> Self {
        Record {
            entries: vec![Entry::Metadata(bytes.into())],
        }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
}

/// Starts a record at the end of `group`; entries follow, then [`finish_record`].
pub(crate) fn begin_record(group: &mut Vec<u8>, sequence: u64, time_ms: i64) -> usize {
    let start = group.len();
    group.extend_from_slice(&RECORD_MAGIC);
    let mut writer = Writer(group);
    writer.u32(0);
    writer.u64(sequence);
    writer.i64(time_ms);
    writer.u32(0);
    writer.u32(0);
    start
}

pub(crate) fn finish_record(group: &mut Vec<u8>, start: usize, entries: u32) {
    let length = (group.len() - start - RECORD_HEADER_BYTES) as u32;
    group.resize(start + (group.len() - start).next_multiple_of(ALIGNMENT), 0);
    group[start + 24..start + 28].copy_from_slice(&length.to_le_bytes());
    group[start + 28..start + 32].copy_from_slice(&entries.to_le_bytes());
    let end = start + RECORD_HEADER_BYTES + length as usize;
    let crc = crc32c::crc32c(&group[start + 8..end]);
    group[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Writes a batch entry with its offset stamped; returns where the batch lies in the group.
pub(crate) fn push_batch(
    group: &mut Vec<u8>,
    log: LogId,
    batch: &[u8],
    base_offset: i64,
    epoch: i32,
) -> usize {
    entry_header(group, KIND_BATCH, log, batch.len());
    let position = group.len();
    group.extend_from_slice(batch);
    batch::stamp(&mut group[position..], base_offset, epoch);
    position
}

/// Writes any entry that is not a batch.
pub(crate) fn push_entry(group: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::CreateLog(log) => entry_header(group, KIND_CREATE, *log, 0),
        Entry::DropLog(log) => entry_header(group, KIND_DROP, *log, 0),
        Entry::StartOffset { log, offset } => {
            entry_header(group, KIND_START_OFFSET, *log, 8);
            Writer(group).i64(*offset);
        }
        Entry::Metadata(bytes) => {
            entry_header(group, KIND_METADATA, LogId(0), bytes.len());
            group.extend_from_slice(bytes);
        }
        Entry::Batch { .. } => debug_assert!(false, "batches are written by push_batch"),
    }
}

fn entry_header(group: &mut Vec<u8>, kind: u32, log: LogId, len: usize) {
    let mut writer = Writer(group);
    writer.u32(kind);
    writer.u32(log.0);
    writer.u32(len as u32);
}

/// Fills in the header that was left free at the start of a group.
pub(crate) fn finish_group(group: &mut [u8], first_sequence: u64, synced: u64, salt: u64) {
    let length = (group.len() - GROUP_HEADER_BYTES) as u64;
    group[0..4].copy_from_slice(&GROUP_MAGIC);
    group[8..16].copy_from_slice(&first_sequence.to_le_bytes());
    group[16..24].copy_from_slice(&synced.to_le_bytes());
    group[24..32].copy_from_slice(&length.to_le_bytes());
    group[32..40].copy_from_slice(&salt.to_le_bytes());
    let crc = crc32c::crc32c(&group[8..GROUP_HEADER_BYTES]);
    group[4..8].copy_from_slice(&crc.to_le_bytes());
}

pub(crate) struct GroupHeader {
    pub first_sequence: u64,
    pub synced: u64,
    pub length: u64,
    /// 0 in older files.
    pub salt: u64,
}

pub(crate) fn read_group_header(bytes: &[u8]) -> Option<GroupHeader> {
    let header = bytes.get(..GROUP_HEADER_BYTES)?;
    let mut reader = Reader::new(header);
    if reader.bytes(4)? != GROUP_MAGIC || reader.u32()? != crc32c::crc32c(&header[8..]) {
        return None;
    }
    Some(GroupHeader {
        first_sequence: reader.u64()?,
        synced: reader.u64()?,
        length: reader.u64()?,
        salt: reader.u64()?,
    })
}

/// An entry as it was read: the position of a batch, or the change itself.
#[derive(Debug)]
pub(crate) enum ReadEntry {
    Batch { log: LogId, position: usize, len: usize },
    Other(Entry),
}

#[derive(Debug)]
pub(crate) struct ReadRecord {
    pub sequence: u64,
    pub time_ms: i64,
    pub entries: Vec<ReadEntry>,
    pub end: usize,
}

/// Reads the record at `position` of a WAL file; `None` if it is cut off or damaged.
pub(crate) fn read_record(file: &Bytes, position: usize) -> Option<ReadRecord> {
    let mut reader = Reader::new(file.get(position..)?);
    if reader.bytes(4)? != RECORD_MAGIC {
        return None;
    }
    let crc = reader.u32()?;
    let (sequence, time_ms) = (reader.u64()?, reader.i64()?);
    let (length, count) = (reader.u32()? as usize, reader.u32()?);
    let start = position + RECORD_HEADER_BYTES;
    let end = start.checked_add(length)?;
    if crc32c::crc32c(file.get(position + 8..end)?) != crc {
        return None;
    }
    let mut entries = Vec::new();
    let mut at = start;
    for _ in 0..count {
        let mut reader = Reader::new(file.get(at..end)?);
        let (kind, log, len) = (reader.u32()?, LogId(reader.u32()?), reader.u32()? as usize);
        let data = reader.bytes(len)?;
        let position = at + ENTRY_HEADER_BYTES;
        at = position + len;
        entries.push(match kind {
            KIND_BATCH => ReadEntry::Batch { log, position, len },
            KIND_CREATE => ReadEntry::Other(Entry::CreateLog(log)),
            KIND_DROP => ReadEntry::Other(Entry::DropLog(log)),
            KIND_START_OFFSET => ReadEntry::Other(Entry::StartOffset {
                log,
                offset: Reader::new(data).i64()?,
            }),
            KIND_METADATA => ReadEntry::Other(Entry::Metadata(file.slice(position..at))),
            _ => return None,
        });
    }
    Some(ReadRecord {
        sequence,
        time_ms,
        entries,
        end: end.next_multiple_of(ALIGNMENT),
    })
}
