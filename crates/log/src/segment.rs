//! Segments: files of batches with sparse indexes, described by what the manifest keeps about them.

use crate::batch::{BatchError, BatchHeader, HEADER_BYTES};
use crate::codec::{Reader, Writer};
use crate::error::OpenError;
use crate::limits::{INDEX_INTERVAL_BYTES, SCAN_BYTES};
use crate::log::LogId;
use millstream_types::storage::{OpenMode, Storage, StorageFile, read_full_at};
use std::io;
use std::sync::Arc;

pub(crate) const INDEX_ENTRY_BYTES: u64 = 8;

/// What is known about a segment without opening its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub base_offset: i64,
    /// Raised when compaction writes the segment anew.
    pub generation: u32,
    pub bytes: u64,
    /// The offset after the last record.
    pub end_offset: i64,
    pub max_timestamp: i64,
    /// The base offset of the batch with the greatest timestamp.
    pub max_timestamp_offset: i64,
    /// The broker's time of the first append.
    pub created_ms: i64,
    pub index_entries: u32,
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
            index_entries: 0,
            bytes_since_index: 0,
            cleaned_ms: 0,
        }
    }

    /// Takes in a batch at the end; returns the index entry that it deserves after so many bytes without one.
    pub fn extend(&mut self, batch: &BatchPlace, index_interval_bytes: u64) -> Option<IndexEntry> {
        let is_due = self.bytes_since_index >= index_interval_bytes;
        let entry = is_due.then(|| IndexEntry {
            relative_offset: (batch.base_offset - self.base_offset) as u32,
            position: self.bytes as u32,
            max_timestamp_before: self.max_timestamp,
        });
        if is_due {
            self.index_entries += 1;
            self.bytes_since_index = 0;
        }
        self.bytes += batch.len;
        self.bytes_since_index += batch.len;
        self.end_offset = batch.last_offset + 1;
        if batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.max_timestamp_offset = batch.base_offset;
        }
        entry
    }

    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.i64(self.base_offset);
        writer.u32(self.generation);
        writer.u64(self.bytes);
        writer.i64(self.end_offset);
        writer.i64(self.max_timestamp);
        writer.i64(self.max_timestamp_offset);
        writer.i64(self.created_ms);
        writer.u32(self.index_entries);
        writer.u64(self.bytes_since_index);
        writer.i64(self.cleaned_ms);
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Segment {
            base_offset: reader.i64()?,
            generation: reader.u32()?,
            bytes: reader.u64()?,
            end_offset: reader.i64()?,
            max_timestamp: reader.i64()?,
            max_timestamp_offset: reader.i64()?,
            created_ms: reader.i64()?,
            index_entries: reader.u32()?,
            bytes_since_index: reader.u64()?,
            cleaned_ms: reader.i64()?,
        })
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

/// The fields of a batch that a segment takes note of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchPlace {
    pub base_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
    pub len: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub relative_offset: u32,
    pub position: u32,
    pub max_timestamp_before: i64,
}

/// The directory of a log.
pub(crate) fn directory(log: LogId) -> String {
    format!("logs/{:010}", log.0)
}

/// Appends entries to both indexes of a segment, from the `first`-th on.
pub(crate) fn write_indexes(
    storage: &dyn Storage,
    (log, segment): (LogId, &Segment),
    (first, entries): (u32, &[IndexEntry]),
    sync: bool,
) -> io::Result<()> {
    let mut offsets = Vec::with_capacity(entries.len() * 8);
    let mut times = Vec::with_capacity(entries.len() * 8);
    for entry in entries {
        offsets.extend_from_slice(&entry.relative_offset.to_le_bytes());
        offsets.extend_from_slice(&entry.position.to_le_bytes());
        times.extend_from_slice(&entry.max_timestamp_before.to_le_bytes());
    }
    for (suffix, bytes) in [(".index", &offsets), (".timeindex", &times)] {
        let file = storage.open(&segment.path(log, suffix), OpenMode::Create)?;
        file.write_at(bytes, u64::from(first) * INDEX_ENTRY_BYTES)?;
        if sync {
            file.sync_data()?;
        }
    }
    Ok(())
}

/// Finds the position of the last index entry for which `holds` is true, by binary search in the files.
pub(crate) fn seek_index(
    files: (&dyn StorageFile, &dyn StorageFile),
    entries: u32,
    holds: impl Fn(&IndexEntry) -> bool,
) -> io::Result<u64> {
    let (mut low, mut high) = (0, u64::from(entries));
    let mut position = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(entry) = read_index_entry(files, middle)? else {
            high = middle; // the index is shorter than expected: use what is there
            continue;
        };
        if holds(&entry) {
            position = u64::from(entry.position);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(position)
}

fn read_index_entry(files: (&dyn StorageFile, &dyn StorageFile), nth: u64) -> io::Result<Option<IndexEntry>> {
    let (mut offset, mut time) = ([0; 8], [0; 8]);
    let at = nth * INDEX_ENTRY_BYTES;
    if read_full_at(files.0, &mut offset, at)? < 8 || read_full_at(files.1, &mut time, at)? < 8 {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h] = offset;
    Ok(Some(IndexEntry {
        relative_offset: u32::from_le_bytes([a, b, c, d]),
        position: u32::from_le_bytes([e, f, g, h]),
        max_timestamp_before: i64::from_le_bytes(time),
    }))
}

/// Reads a segment from its start, checking every batch; rebuilds its indexes.
pub(crate) struct Scan {
    /// The segment as the file shows it, up to the first damage.
    pub segment: Segment,
    /// Index entries found.
    pub entries: Vec<IndexEntry>,
    /// What is wrong with the first unreadable batch, if any.
    pub damage: Option<(u64, BatchError)>,
}

pub(crate) fn scan(storage: &dyn Storage, log: LogId, known: &Segment) -> Result<Scan, OpenError> {
    let path = known.path(log, ".log");
    let fresh = Segment::new(known.base_offset, known.created_ms);
    let mut found = Segment {
        generation: known.generation,
        cleaned_ms: known.cleaned_ms,
        ..fresh
    };
    let file: Arc<dyn StorageFile> = match storage.open(&path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let damage = Some((0, BatchError::Truncated));
            return Ok(Scan {
                segment: found,
                entries: Vec::new(),
                damage,
            });
        }
        Err(error) => return Err(OpenError::io("open", path)(error)),
    };
    let mut entries = Vec::new();
    let mut buffer = Vec::new();
    let mut buffer_start = 0u64;
    while found.bytes < known.bytes {
        let at = (found.bytes - buffer_start) as usize;
        let needed = BatchHeader::parse(&buffer[at..]).map_or(HEADER_BYTES, |header| header.size());
        if buffer.len() - at < needed {
            buffer_start = found.bytes;
            let len = (known.bytes - buffer_start).min(needed.max(SCAN_BYTES) as u64) as usize;
            buffer.resize(len, 0);
            let read = read_full_at(file.as_ref(), &mut buffer, buffer_start);
            buffer.truncate(read.map_err(OpenError::io("read", path.clone()))?);
            if buffer.len() < needed {
                return Ok(Scan {
                    damage: Some((found.bytes, BatchError::Truncated)),
                    segment: found,
                    entries,
                });
            }
            if needed == HEADER_BYTES && BatchHeader::parse(&buffer).is_ok() {
                continue; // the header is here now: see whether the whole batch is
            }
        }
        let at = (found.bytes - buffer_start) as usize;
        match check_next(&buffer[at..], found.end_offset, known.generation) {
            Ok(header) => {
                let place = BatchPlace {
                    base_offset: header.base_offset,
                    last_offset: header.last_offset(),
                    max_timestamp: header.max_timestamp,
                    len: header.size() as u64,
                };
                // The log's settings are not known yet.
                entries.extend(found.extend(&place, INDEX_INTERVAL_BYTES));
            }
            Err(error) => {
                return Ok(Scan {
                    damage: Some((found.bytes, error)),
                    segment: found,
                    entries,
                });
            }
        }
    }
    Ok(Scan {
        segment: found,
        entries,
        damage: None,
    })
}

/// The next batch of a segment; compaction (a generation above 0) may leave holes between offsets.
fn check_next(bytes: &[u8], expected_offset: i64, generation: u32) -> Result<BatchHeader, BatchError> {
    let size = BatchHeader::parse(bytes)?.size();
    let header = BatchHeader::check(bytes.get(..size).ok_or(BatchError::Truncated)?)?;
    let follows =
        header.base_offset == expected_offset || generation > 0 && header.base_offset > expected_offset;
    if follows {
        Ok(header)
    } else {
        Err(BatchError::Offsets)
    }
}
