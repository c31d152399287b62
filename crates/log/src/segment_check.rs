//! Checks the last segment of a log after an unclean shutdown, and all segments of a quarantined log.
//!
//! The manifest's description of a segment is durable: a checkpoint syncs the batches before it replaces the manifest.
//! The file may continue with remnants of an unfinished checkpoint, which are truncated, because the write-ahead log
//! still has those batches. Within the described part two things may be wrong:
//! - The indexes: they are synced only when the segment is closed or passes a multiple of
//!   [`INDEX_SYNC_BYTES`](crate::limits::INDEX_SYNC_BYTES). If the checksum of all entries matches, they are complete.
//!   If only the checksum of the synced entries matches, the rest is rebuilt from the batches behind them; otherwise
//!   all are rebuilt.
//! - The last block: the unfinished checkpoint wrote it again together with what follows. Its batches are always read
//!   and checked.
//!
//! A start therefore reads the indexes and the end of a segment. It reads the whole segment only if something is wrong,
//! to find out whether index or log is damaged. Batches ahead of that are checked when they are read.

use crate::batch::{BatchError, BatchHeader, HEADER_BYTES};
use crate::error::OpenError;
use crate::index::{IndexEntry, IndexSum, Indexes, write_indexes};
use crate::limits::{INDEX_INTERVAL_BYTES, SCAN_BYTES};
use crate::log::LogId;
use crate::segment::{BatchPlace, Segment, directory};
use millstream_types::storage::{DIRECT_ALIGNMENT, OpenMode, Storage, StorageFile, read_full_at};
use std::io;

/// The result of a check.
#[derive(Debug)]
pub(crate) enum Checked {
    /// The segment is as the manifest says, with indexes as this says.
    Sound(Segment),
    /// It must not be used, for this reason.
    Damaged(String),
}

/// Checks a segment, truncates remnants, and rebuilds its indexes as far as necessary.
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
        // The indexes do not matter any more: the batches themselves tell whether and where the log is damaged.
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

/// Prefix of quarantine reasons that are about a segment. Manifests store it.
const OF_SEGMENT: &str = "segment '";

fn named(path: &str) -> String {
    format!("{OF_SEGMENT}{path}'")
}

/// Whether a quarantine is for a segment, and not for the write-ahead log.
pub(crate) fn is_of_segment(reason: &str) -> bool {
    reason.starts_with(OF_SEGMENT)
}

/// Truncates the remnants of an unfinished checkpoint.
fn cut(storage: &dyn Storage, path: &str, bytes: u64) -> io::Result<()> {
    let file = storage.open(path, OpenMode::Write)?;
    if file.len()? > bytes {
        file.set_len(bytes)
    } else {
        Ok(())
    }
}

/// How far a segment's indexes match the manifest.
#[derive(Debug, Default)]
struct Trusted {
    /// Whether all entries are.
    is_whole: bool,
    /// The trusted entry from which the last block can be read, and the checksum up to it.
    resume: Option<(IndexSum, IndexEntry)>,
}

/// Reads the indexes and compares them with the manifest. Unreadable entries are not trusted.
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
    if visited.is_ok() && sum == known.index {
        Trusted {
            is_whole: true,
            resume,
        }
    } else {
        durable
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
    /// The rebuilt entries.
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

    /// Reads to the end. Returns the reason why the first bad batch is damaged, if there is one.
    fn run(&mut self) -> io::Result<Option<String>> {
        let file_len = self.file.len()?;
        // `buffer` starts at `at`; `found.bytes` is the position of the next batch.
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
        // Compaction may have removed the last records of a segment.
        let is_end = end == known_end || self.known.generation > 0 && end < known_end;
        let damage = (!is_end).then(|| format!("the offset there is {end} instead of {known_end}"));
        Ok(damage)
    }

    /// Fills `buffer`, which starts at `found.bytes`, with at least `needed` bytes and some more, as far as the file
    /// has them.
    fn fill(&self, buffer: &mut Vec<u8>, needed: usize, file_len: u64) -> io::Result<()> {
        let rest = self.known.bytes.min(file_len).saturating_sub(self.found.bytes);
        let (start, end) = (buffer.len(), rest.min(needed.max(SCAN_BYTES) as u64) as usize);
        buffer.resize(end.max(start), 0);
        let read = read_full_at(self.file, &mut buffer[start..], self.found.bytes + start as u64)?;
        buffer.truncate(start + read);
        Ok(())
    }

    /// Checks the first batch of `bytes`, if it is complete and continues the offsets. Returns its size.
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
