//! The sparse indexes of a segment: entries in two files, one by offset and one by timestamp.
//!
//! Readers trust the indexes: a wrong entry would hide records from a lookup by offset or time. They are written with
//! every checkpoint but synced only now and then, so after a crash they may be missing, short or torn. The manifest
//! therefore holds an [`IndexSum`] of all entries that it describes, and one of the synced entries; see
//! [`crate::segment_check`] for how they are verified.

use crate::log::LogId;
use crate::segment::Segment;
use millstream_types::storage::{OpenMode, Storage, StorageFile, read_full_at};
use std::io;
use std::sync::Arc;

pub(crate) const INDEX_ENTRY_BYTES: u64 = 8;
/// Bytes of each index that are read at once when all entries are.
const READ_BYTES: usize = 64 << 10;
/// The ends of the names of the two files.
const SUFFIXES: [&str; 2] = [".index", ".timeindex"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub relative_offset: u32,
    pub position: u32,
    pub max_timestamp_before: i64,
}

impl IndexEntry {
    /// The encoded entry for each of the two files.
    fn encode(&self) -> [[u8; 8]; 2] {
        let offset = u64::from(self.relative_offset) | u64::from(self.position) << 32;
        [offset.to_le_bytes(), self.max_timestamp_before.to_le_bytes()]
    }

    fn decode(offset: [u8; 8], time: [u8; 8]) -> Self {
        let offset = u64::from_le_bytes(offset);
        IndexEntry {
            relative_offset: offset as u32,
            position: (offset >> 32) as u32,
            max_timestamp_before: i64::from_le_bytes(time),
        }
    }
}

/// A number of leading entries of an index, and their crc32c: for each entry its bytes in the offset index, then its
/// bytes in the time index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct IndexSum {
    pub entries: u32,
    pub crc: u32,
}

impl IndexSum {
    pub fn push(&mut self, entry: &IndexEntry) {
        self.entries = self.entries.saturating_add(1);
        self.crc = crc32c::crc32c_append(self.crc, entry.encode().as_flattened());
    }
}

/// Writes entries from the `first`-th on to both indexes of a segment. Returns the files, which are not synced.
pub(crate) fn write_indexes(
    storage: &dyn Storage,
    (log, segment): (LogId, &Segment),
    (first, entries): (u32, &[IndexEntry]),
) -> io::Result<[Arc<dyn StorageFile>; 2]> {
    let write = |which: usize| {
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.encode()[which]).collect();
        let file = storage.open(&segment.path(log, SUFFIXES[which]), OpenMode::Create)?;
        file.write_at(&bytes, u64::from(first) * INDEX_ENTRY_BYTES)?;
        Ok::<_, io::Error>(file)
    };
    Ok([write(0)?, write(1)?])
}

/// The open indexes of a segment.
#[derive(Debug)]
pub(crate) struct Indexes {
    offsets: Arc<dyn StorageFile>,
    times: Arc<dyn StorageFile>,
}

impl Indexes {
    pub fn open(storage: &dyn Storage, log: LogId, segment: &Segment) -> io::Result<Self> {
        let open = |suffix: &str| storage.open(&segment.path(log, suffix), OpenMode::Read);
        let [offsets, times] = SUFFIXES.map(open);
        Ok(Indexes {
            offsets: offsets?,
            times: times?,
        })
    }

    /// Finds the position of the last entry, among the first `entries`, for which `holds` is true: a binary search in
    /// the files.
    pub fn seek(&self, entries: u32, holds: impl Fn(&IndexEntry) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, u64::from(entries));
        let mut position = 0;
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(entry) = self.entry(middle)? else {
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

    fn entry(&self, nth: u64) -> io::Result<Option<IndexEntry>> {
        let (mut offset, mut time) = ([0; 8], [0; 8]);
        let at = nth * INDEX_ENTRY_BYTES;
        let is_there = read_full_at(self.offsets.as_ref(), &mut offset, at)? == offset.len()
            && read_full_at(self.times.as_ref(), &mut time, at)? == time.len();
        Ok(is_there.then(|| IndexEntry::decode(offset, time)))
    }

    /// Visits the first `entries` entries, as far as they exist.
    pub fn visit(&self, entries: u32, mut visit: impl FnMut(&IndexEntry)) -> io::Result<()> {
        let end = u64::from(entries) * INDEX_ENTRY_BYTES;
        let (mut offsets, mut times) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            for (buffer, file) in [(&mut offsets, &self.offsets), (&mut times, &self.times)] {
                buffer.resize(len, 0);
                let read = read_full_at(file.as_ref(), buffer, at)?;
                buffer.truncate(read);
            }
            let both = offsets.as_chunks().0.iter().zip(times.as_chunks().0);
            both.for_each(|(offset, time)| visit(&IndexEntry::decode(*offset, *time)));
            if offsets.len().min(times.len()) < len {
                return Ok(());
            }
            at += len as u64;
        }
        Ok(())
    }
}
