//! Freezing files of records and taking them back.
//!
//! A file is immutable, so that the checkpoints after the first one only name it; the bitmap of what was taken from it
//! is carried when it has changed. A restore copies the records of its key groups into files of its own.

use std::ops::Range;

use crate::blocks::{BlockContent, SnapshotScope, StateBlocks, StoredBytes};
use crate::error::StateError;
use crate::key_group;

use super::run::{FILE_HEADER, RECORD_HEADER_BYTES, Record};
use super::{ColdStore, Run};

/// Bytes of a block that a restore holds at a time, unless a record is longer.
const WINDOW_BYTES: usize = 1 << 20;

impl ColdStore {
    /// Adds the files to `out`: `prefix/<number>/records` and `prefix/<number>/taken` for each.
    pub fn snapshot(&mut self, prefix: &str, scope: &SnapshotScope, out: &mut StateBlocks) {
        let is_held = |by: Option<millstream_types::CheckpointId>| {
            by.is_some_and(|by| scope.base.is_some_and(|base| by <= base))
        };
        for (number, run) in &mut self.runs {
            let (records, taken) = (
                format!("{prefix}/{number}/records"),
                format!("{prefix}/{number}/taken"),
            );
            if is_held(run.held_by) {
                out.push_unchanged(records);
            } else {
                run.held_by = Some(scope.checkpoint);
                out.push_stored(records, run.stored());
            }
            if is_held(run.taken_held_by) {
                out.push_unchanged(taken);
            } else {
                run.taken_held_by = Some(scope.checkpoint);
                let bytes: Vec<u8> = run.taken.iter().flat_map(|word| word.to_le_bytes()).collect();
                out.push(taken, bytes);
            }
        }
    }

    /// Restores the records that snapshots of one or more instances froze, as far as their key group is in `owned`.
    /// A record that does not fit the operator is an error.
    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: &Range<u16>,
        max_parallelism: u16,
        fits: impl Fn(&Record<'_>) -> bool,
    ) -> Result<(), StateError> {
        debug_assert!(self.is_empty(), "restoring into a store with records");
        for part in parts {
            for (name, content) in files_of(prefix, part) {
                let mut writer = self.writer()?;
                let bitmap = taken_of(prefix, part, name)?;
                each_record(name, content, &bitmap, |record| {
                    if !fits(record) {
                        return Err(StateError::corrupt(name, "a record does not fit the operator"));
                    }
                    if owned.contains(&key_group::of_hash(record.hash, max_parallelism)) {
                        writer.push(record)?;
                    }
                    Ok(())
                })?;
                if !writer.is_empty() {
                    let written = writer.finish()?;
                    self.adopt(written);
                }
            }
        }
        self.merge(0)
    }
}

/// Whether snapshots have records on disk.
pub fn has_cold_records(prefix: &str, parts: &[StateBlocks]) -> bool {
    parts.iter().any(|part| files_of(prefix, part).next().is_some())
}

/// Names and contents of the blocks with records.
fn files_of<'a>(prefix: &'a str, part: &'a StateBlocks) -> impl Iterator<Item = (&'a str, &'a BlockContent)> {
    part.blocks.iter().filter_map(move |block| {
        let rest = block.name.strip_prefix(prefix)?.strip_prefix('/')?;
        let number = rest.strip_suffix("/records")?;
        (!number.contains('/')).then_some((block.name.as_str(), &block.content))
    })
}

/// The bitmap that belongs to a block of records.
fn taken_of(prefix: &str, part: &StateBlocks, records: &str) -> Result<Vec<u8>, StateError> {
    let number = records[prefix.len() + 1..].trim_end_matches("/records");
    let name = format!("{prefix}/{number}/taken");
    let block = part.blocks.iter().find(|block| block.name == name);
    let bytes = block.map(|block| block.bytes()).transpose()?.flatten();
    bytes
        .map(|bytes| bytes.into_owned())
        .ok_or_else(|| StateError::corrupt(name, "it is missing"))
}

/// Calls `each` with the records of a block that were not taken.
fn each_record(
    name: &str,
    content: &BlockContent,
    taken: &[u8],
    mut each: impl FnMut(&Record<'_>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut window = Window::new(content, name)?;
    let mut header = [0; FILE_HEADER.len()];
    header.copy_from_slice(window.at_least(FILE_HEADER.len())?);
    if header[..6] != FILE_HEADER[..6] {
        return Err(StateError::corrupt(name, "it holds no records"));
    }
    if header != FILE_HEADER {
        return Err(StateError::Version {
            block: name.to_owned(),
            version: u32::from(u16::from_le_bytes([header[6], header[7]])),
            supported: u32::from(u16::from_le_bytes([FILE_HEADER[6], FILE_HEADER[7]])),
        });
    }
    window.advance(FILE_HEADER.len());
    let mut ordinal = 0;
    while !window.is_at_end() {
        let lengths = window.at_least(RECORD_HEADER_BYTES)?;
        let length = |at: usize| -> usize {
            lengths[at..at + 4]
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | usize::from(*byte))
        };
        let wanted = RECORD_HEADER_BYTES + length(16) + length(20);
        let bytes = window.at_least(wanted)?;
        let (record, _) =
            Record::parse(bytes).ok_or_else(|| StateError::corrupt(name, "a record is cut off"))?;
        let word = taken.get(ordinal / 8);
        let word = word.ok_or_else(|| StateError::corrupt(name, "it has more records than its bitmap"))?;
        if word >> (ordinal % 8) & 1 == 0 {
            each(&record)?;
        }
        ordinal += 1;
        window.advance(wanted);
    }
    Ok(())
}

/// A part of a block in memory, moved forward over it.
struct Window<'a> {
    name: &'a str,
    source: Source<'a>,
    buffer: Vec<u8>,
    at: usize,
    /// Bytes of the block before the end of the buffer.
    read: u64,
    length: u64,
}

enum Source<'a> {
    Bytes(&'a [u8]),
    Stored(&'a StoredBytes),
}

impl<'a> Window<'a> {
    fn new(content: &'a BlockContent, name: &'a str) -> Result<Self, StateError> {
        let (source, length) = match content {
            BlockContent::Bytes(bytes) => (Source::Bytes(bytes), bytes.len() as u64),
            BlockContent::Stored(stored) => (Source::Stored(stored), stored.length()),
            BlockContent::Unchanged => return Err(StateError::corrupt(name, "its bytes are missing")),
        };
        Ok(Self {
            name,
            source,
            buffer: Vec::new(),
            at: 0,
            read: 0,
            length,
        })
    }

    fn is_at_end(&self) -> bool {
        self.at == self.buffer.len() && self.read == self.length
    }

    /// The next bytes, `wanted` of them.
    fn at_least(&mut self, wanted: usize) -> Result<&[u8], StateError> {
        if self.buffer.len() - self.at < wanted {
            self.buffer.drain(..self.at);
            self.at = 0;
            let held = self.buffer.len();
            let left = usize::try_from(self.length - self.read).unwrap_or(usize::MAX);
            if wanted - held > left {
                return Err(StateError::corrupt(self.name, "a record is cut off"));
            }
            let more = (wanted - held).max(WINDOW_BYTES).min(left);
            self.buffer.resize(held + more, 0);
            match self.source {
                Source::Bytes(bytes) => {
                    let from = self.read as usize;
                    self.buffer[held..].copy_from_slice(&bytes[from..from + more]);
                }
                Source::Stored(stored) => stored.read_exact_at(&mut self.buffer[held..], self.read)?,
            }
            self.read += more as u64;
        }
        Ok(&self.buffer[self.at..self.at + wanted])
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

impl Run {
    fn stored(&self) -> StoredBytes {
        StoredBytes::new(std::sync::Arc::clone(&self.file), 0, self.bytes, self.crc)
    }
}
