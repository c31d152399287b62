//! Checking the last segment of a log after an unclean end, and all segments of a quarantined log.
//!
//! What the manifest says about a segment is durable: a checkpoint syncs the batches before it replaces the manifest. The
//! file may go on behind that with remnants of a checkpoint that did not finish, which are cut off; the write-ahead log has
//! them. Two things may be wrong within what the manifest knows:
//! - The indexes, as they are synced only when the segment is closed or passes a multiple of
//!   [`INDEX_SYNC_BYTES`](crate::limits::INDEX_SYNC_BYTES). If all their entries are those that the manifest has the sum of,
//!   nothing is missing. If only those that had been synced are, the rest is made anew from the batches behind them; else
//!   all are made anew.
//! - The last block, as the checkpoint that did not finish wrote it together with what follows. Its batches are always read
//!   and checked.
//!
//! So a start reads the indexes and the end of a segment; the whole segment only if it finds something wrong, to tell
//! whether it is the index or the log. Batches before that are not read: they are checked by whoever reads them.

use crate::batch::{BatchError, BatchHeader, HEADER_BYTES};
use crate::error::OpenError;
use crate::index::{IndexEntry, IndexSum, Indexes, write_indexes};
use crate::limits::{INDEX_INTERVAL_BYTES, SCAN_BYTES};
use crate::log::LogId;
use crate::segment::{BatchPlace, Segment, directory};
use millstream_types::storage::{DIRECT_ALIGNMENT, OpenMode, Storage, StorageFile, read_full_at};
use std::io;

/// What a check gave.
#[derive(Debug)]
pub(crate) enum Checked {
    /// The segment is as the manifest says, with indexes as this says.
    Sound(Segment),
    /// It must not be used, for this reason.
    Damaged(String),
}

/// Checks a segment; cuts off what does not belong to it, and makes its indexes anew as far as need be.
pub(crate) fn check(storage: &dyn Storage, log: LogId, known: &Segment) -> Result<Checked, OpenError> {
    let path = known.path(log, ".log");
    let file = match storage.open(&path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Checked::Damaged(format!("{} is missing", named(&path))));
        }
        Err(error) => return Err(OpenError::io("open", path)(error)),
    };
    let read = |scan: &mut Scan<'_>| scan.run().map_err(OpenError::io("read", path.clone()));
    let mut trusted = read_trusted(storage, log, known);
    let mut scan = Scan::new(known, file.as_ref(), trusted.resume);
    let mut damage = read(&mut scan)?;
    if damage.is_some() && trusted.resume.is_some() {
        // Whatever the indexes said: the log itself tells whether it is damaged, and where.
        trusted = Trusted::default();
        scan = Scan::new(known, file.as_ref(), None);
        damage = read(&mut scan)?;
    }
    if let Some(damage) = damage {
        let position = scan.found.bytes;
        let reason = format!("{} at byte {position}: {damage}", named(&path));
        return Ok(Checked::Damaged(reason));
    }
    cut(storage, &path, known.bytes).map_err(OpenError::io("truncate", path.clone()))?;
    if trusted.is_whole {
        return Ok(Checked::Sound(*known));
    }
    let made = (scan.kept.entries, &scan.entries[..]);
    write_indexes(storage, (log, known), made)
        .and_then(|_| storage.sync_directory(&directory(log))) // they may have been missing
        .map_err(OpenError::io("index", path))?;
    Ok(Checked::Sound(Segment {
        index: scan.found.index,
        durable_index: scan.kept,
        bytes_since_index: scan.found.bytes_since_index,
        ..*known
    }))
}

/// How the reason for a quarantine begins that is about a segment. Manifests hold it.
const OF_SEGMENT: &str = "segment '";

fn named(path: &str) -> String {
    format!("{OF_SEGMENT}{path}'")
}

/// Whether a quarantine is for a segment, and not for the write-ahead log.
pub(crate) fn is_of_segment(reason: &str) -> bool {
    reason.starts_with(OF_SEGMENT)
}

/// Cuts off what an unfinished checkpoint left behind the end.
fn cut(storage: &dyn Storage, path: &str, bytes: u64) -> io::Result<()> {
    let file = storage.open(path, OpenMode::Write)?;
    match file.len()? > bytes {
        true => file.set_len(bytes),
        false => Ok(()),
    }
}

/// How far a segment's indexes are what the manifest knows.
#[derive(Debug, Default)]
struct Trusted {
    /// Whether all entries are.
    is_whole: bool,
    /// The last entry of those that are from which on the last block can be read, and the sum up to it.
    resume: Option<(IndexSum, IndexEntry)>,
}

/// Reads the indexes and compares them with the manifest. What cannot be read is not trusted.
fn read_trusted(storage: &dyn Storage, log: LogId, known: &Segment) -> Trusted {
    let last_block = known.bytes.saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES;
    let (mut sum, mut resume) = (IndexSum::default(), None);
    let mut durable = Trusted::default();
    let visit = |entry: &IndexEntry| {
        sum.push(entry);
        if u64::from(entry.position) <= last_block {
            resume = Some((sum, *entry));
        }
        if sum == known.durable_index {
            durable.resume = resume;
        }
    };
    let visited =
        Indexes::open(storage, log, known).and_then(|indexes| indexes.visit(known.index.entries, visit));
    match visited.is_ok() && sum == known.index {
        true => Trusted {
            is_whole: true,
            resume,
        },
        false => durable,
    }
}

const BLOCK_BYTES: u64 = DIRECT_ALIGNMENT as u64;

/// Reading a segment to its end, checking every batch.
#[derive(Debug)]
struct Scan<'a> {
    known: &'a Segment,
    file: &'a dyn StorageFile,
    /// The segment up to where it was read.
    found: Segment,
    /// The index entries up to where it was begun.
    kept: IndexSum,
    /// Those behind them.
    entries: Vec<IndexEntry>,
}

impl<'a> Scan<'a> {
    fn new(known: &'a Segment, file: &'a dyn StorageFile, resume: Option<(IndexSum, IndexEntry)>) -> Self {
        let start = Segment {
            generation: known.generation,
            ..Segment::new(known.base_offset, known.created_ms)
        };
        Scan {
            known,
            file,
            found: resume.map_or(start, |(sum, entry)| start.at_entry(sum, &entry)),
            kept: resume.map_or(IndexSum::default(), |(sum, _)| sum),
            entries: Vec::new(),
        }
    }

    /// Reads on to the end; gives what is wrong with the first batch that is not as it should be.
    fn run(&mut self) -> io::Result<Option<String>> {
        let file_len = self.file.len()?;
        // What was read from `found.bytes` on begins at `at`.
        let (mut buffer, mut at) = (Vec::new(), 0);
        while self.found.bytes < self.known.bytes {
            match self.take(&buffer[at..]) {
                Ok(size) => at += size,
                Err(BatchError::Truncated) => {
                    buffer.drain(..std::mem::take(&mut at));
                    let header = BatchHeader::parse(&buffer);
                    let needed = header.map_or(HEADER_BYTES, |header| header.size());
                    self.fill(&mut buffer, needed, file_len)?;
                    if buffer.len() < needed {
                        return Ok(Some(BatchError::Truncated.to_string()));
                    }
                }
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        let (end, known_end) = (self.found.end_offset, self.known.end_offset);
        // What compaction has removed may have been the last of it.
        let is_end = end == known_end || self.known.generation > 0 && end < known_end;
        let damage = (!is_end).then(|| format!("the offset there is {end} instead of {known_end}"));
        Ok(damage)
    }

    /// Reads on until `buffer`, which has the bytes of the file from `found.bytes` on, has those that are `needed` and some
    /// more, as far as they are there.
    fn fill(&self, buffer: &mut Vec<u8>, needed: usize, file_len: u64) -> io::Result<()> {
        let rest = self.known.bytes.min(file_len).saturating_sub(self.found.bytes);
        let (start, end) = (buffer.len(), rest.min(needed.max(SCAN_BYTES) as u64) as usize);
        buffer.resize(end.max(start), 0);
        let read = read_full_at(self.file, &mut buffer[start..], self.found.bytes + start as u64)?;
        buffer.truncate(start + read);
        Ok(())
    }

    /// Takes in the first batch of `bytes`, if all of it is there and it is the next one; gives its size.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, BatchError> {
        let size = BatchHeader::parse(bytes)?.size();
        let header = BatchHeader::check(bytes.get(..size).ok_or(BatchError::Truncated)?)?;
        let next = self.found.end_offset;
        // Compaction (a generation above 0) may leave holes between offsets.
        if header.base_offset < next || self.found.generation == 0 && header.base_offset > next {
            return Err(BatchError::NotNext);
        }
        // The log's settings are not known yet.
        let entry = self.found.extend(&BatchPlace::of(&header), INDEX_INTERVAL_BYTES);
        self.entries.extend(entry);
        Ok(size)
    }
}
