//! Segments: files of batches with sparse indexes, described by the manifest.

use crate::batch::BatchHeader;
use crate::codec::{Reader, Writer};
use crate::index::{IndexEntry, IndexSum};
use crate::log::LogId;

/// The description of a segment, sufficient without opening its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub base_offset: i64,
    /// Raised when compaction rewrites the segment.
    pub generation: u32,
    pub bytes: u64,
    /// The offset after the last record.
    pub end_offset: i64,
    pub max_timestamp: i64,
    /// The base offset of the batch with the greatest timestamp.
    pub max_timestamp_offset: i64,
    /// The broker's time of the first append.
    pub created_ms: i64,
    /// All entries of its indexes.
    pub index: IndexSum,
    /// The synced entries.
    pub durable_index: IndexSum,
    pub bytes_since_index: u64,
    /// When compaction first went over it, 0 if it has not.
    pub cleaned_ms: i64,
}

impl Segment {
    pub fn new(base_offset: i64, created_ms: i64) -> Self {
        Segment {
            base_offset,
            generation: 0,
            bytes: 0,
            end_offset: base_offset,
            max_timestamp: -1,
            max_timestamp_offset: base_offset,
            created_ms,
            index: IndexSum::default(),
            durable_index: IndexSum::default(),
            bytes_since_index: 0,
            cleaned_ms: 0,
        }
    }

    /// Adds a batch at the end. Returns an index entry for it if `index_interval_bytes` have passed without one.
    pub fn extend(&mut self, batch: &BatchPlace, index_interval_bytes: u64) -> Option<IndexEntry> {
        let is_due = self.bytes_since_index >= index_interval_bytes;
        let entry = is_due.then(|| IndexEntry {
            relative_offset: batch.base_offset.wrapping_sub(self.base_offset) as u32,
            position: self.bytes as u32,
            max_timestamp_before: self.max_timestamp,
        });
        if let Some(entry) = &entry {
            self.index.push(entry);
            self.bytes_since_index = 0;
        }
        self.bytes += batch.len;
        self.bytes_since_index += batch.len;
        self.end_offset = batch.last_offset.saturating_add(1);
        if batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.max_timestamp_offset = batch.base_offset;
        }
        entry
    }

    /// The segment as it was when this entry was made, which is the last one of `index`.
    pub fn at_entry(self, index: IndexSum, entry: &IndexEntry) -> Self {
        Segment {
            bytes: u64::from(entry.position),
            end_offset: self.base_offset.saturating_add(i64::from(entry.relative_offset)),
            max_timestamp: entry.max_timestamp_before,
            index,
            bytes_since_index: 0,
            ..self
        }
    }

    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.i64(self.base_offset);
        writer.u32(self.generation);
        writer.u64(self.bytes);
        writer.i64(self.end_offset);
        writer.i64(self.max_timestamp);
        writer.i64(self.max_timestamp_offset);
        writer.i64(self.created_ms);
        writer.u32(self.index.entries);
        writer.u64(self.bytes_since_index);
        writer.i64(self.cleaned_ms);
        writer.u32(self.index.crc);
        writer.u32(self.durable_index.entries);
        writer.u32(self.durable_index.crc);
    }

    /// Reads a segment from a manifest of this version. Version 1 has no checksums of indexes, so its indexes are
    /// rebuilt.
    pub fn read(reader: &mut Reader<'_>, version: u32) -> Option<Self> {
        let mut segment = Segment {
            base_offset: reader.i64()?,
            generation: reader.u32()?,
            bytes: reader.u64()?,
            end_offset: reader.i64()?,
            max_timestamp: reader.i64()?,
            max_timestamp_offset: reader.i64()?,
            created_ms: reader.i64()?,
            index: IndexSum {
                entries: reader.u32()?,
                crc: 0,
            },
            durable_index: IndexSum::default(),
            bytes_since_index: reader.u64()?,
            cleaned_ms: reader.i64()?,
        };
        if version > 1 {
            segment.index.crc = reader.u32()?;
            segment.durable_index = IndexSum {
                entries: reader.u32()?,
                crc: reader.u32()?,
            };
        }
        Some(segment)
    }

    pub fn path(&self, log: LogId, suffix: &str) -> String {
        format!(
            "{}/{:020}-{}{suffix}",
            directory(log),
            self.base_offset,
            self.generation
        )
    }

    /// All files of the segment.
    pub fn files(&self, log: LogId) -> [String; 3] {
        [".log", ".index", ".timeindex"].map(|suffix| self.path(log, suffix))
    }
}

/// The fields of a batch that a segment records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchPlace {
    pub base_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
    pub len: u64,
}

impl BatchPlace {
    pub fn of(header: &BatchHeader) -> Self {
        BatchPlace {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            len: header.size() as u64,
        }
    }
}

/// The directory of a log.
pub(crate) fn directory(log: LogId) -> String {
    format!("logs/{:010}", log.0)
}
