//! Reads segments. This code touches the disk and nothing of the log's state except the open files, so it can run on
//! any thread: see [`ReadJob`].

use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::error::LogError;
use crate::index::{IndexEntry, Indexes};
use crate::limits::{OPEN_FILES, READ_BYTES_MIN, SCAN_BYTES};
use crate::log::LogId;
use crate::read::{Isolation, ReadLimit};
use crate::segment::Segment;
use bytes::Bytes;
use millstream_types::Buffers;
use millstream_types::storage::{OpenMode, Storage, StorageFile, read_full_at};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct SegmentFiles {
    path: String,
    batches: Arc<dyn StorageFile>,
    indexes: Indexes,
}

impl SegmentFiles {
    fn open(storage: &dyn Storage, log: LogId, segment: &Segment) -> Result<Self, LogError> {
        let path = segment.path(log, ".log");
        let error = |error| read_error(&path, &error);
        Ok(SegmentFiles {
            batches: storage.open(&path, OpenMode::Read).map_err(error)?,
            indexes: Indexes::open(storage, log, segment).map_err(error)?,
            path,
        })
    }
}

/// A segment by its log, base offset and generation.
type FileKey = (LogId, i64, u32);

/// Open files of segments, the least recently used closed first.
#[derive(Debug, Default)]
struct FileCache {
    open: BTreeMap<FileKey, (u64, Arc<SegmentFiles>)>,
    uses: u64,
    /// Number of times that files of deleted segments were closed.
    forgotten: u64,
}

impl FileCache {
    fn get(&mut self, key: FileKey) -> Option<Arc<SegmentFiles>> {
        self.uses += 1;
        let (used, files) = self.open.get_mut(&key)?;
        *used = self.uses;
        Some(files.clone())
    }

    fn insert(&mut self, key: FileKey, files: Arc<SegmentFiles>) {
        if self.open.len() >= OPEN_FILES {
            let oldest = self
                .open
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| *key);
            oldest.and_then(|key| self.open.remove(&key));
        }
        self.open.insert(key, (self.uses, files));
    }

    fn forget(&mut self, is_meant: impl Fn(&FileKey) -> bool) {
        self.open.retain(|key, _| !is_meant(key));
        self.forgotten += 1;
    }
}

fn read_error(path: &str, error: &io::Error) -> LogError {
    LogError::Read {
        path: path.to_owned(),
        reason: error.to_string().into(),
    }
}

/// A batch is large if fewer than this many fit into a read.
const LARGE_BATCH_SHARE: usize = 8;

/// The size of a read that starts with a batch of `first_size`. The batches of a log are mostly alike, so for large
/// ones it is a multiple of that size: the rest of a partial batch would be read in vain.
fn bytes_to_read(first_size: usize, limit: ReadLimit) -> usize {
    let max_bytes = limit.max_bytes;
    if first_size > max_bytes {
        return if limit.at_least_one { first_size } else { 0 };
    }
    if first_size > max_bytes / LARGE_BATCH_SHARE {
        return max_bytes - max_bytes % first_size;
    }
    max_bytes
}

/// A whole batch found in a segment.
pub(crate) struct Found {
    pub segment: Segment,
    pub position: u64,
    pub header: BatchHeader,
}

/// Reads segments through a cache of open files. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SegmentReader {
    storage: Arc<dyn Storage>,
    files: Arc<Mutex<FileCache>>,
    buffers: Buffers,
}

/// Where a reader of segments went on last: offset, segment's base offset, position.
pub(crate) type ReadHint = (i64, i64, u64);

impl SegmentReader {
    pub fn new(storage: Arc<dyn Storage>, buffers: Buffers) -> Self {
        SegmentReader {
            storage,
            files: Arc::default(),
            buffers,
        }
    }

    fn cache(&self) -> MutexGuard<'_, FileCache> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opening a file may wait for a free handle. The lock is not held meanwhile, so readers of open files are not
    /// delayed.
    fn files(&self, log: LogId, segment: &Segment) -> Result<Arc<SegmentFiles>, LogError> {
        let key = (log, segment.base_offset, segment.generation);
        let mut cache = self.cache();
        if let Some(files) = cache.get(key) {
            return Ok(files);
        }
        let forgotten = cache.forgotten;
        drop(cache);
        let files = Arc::new(SegmentFiles::open(self.storage.as_ref(), log, segment)?);
        let mut cache = self.cache();
        // It may have been forgotten meanwhile, and must not stay open then.
        if cache.forgotten == forgotten {
            cache.insert(key, files.clone());
        }
        Ok(files)
    }

    /// Closes the files of a segment, in all generations.
    pub fn forget(&self, log: LogId, base_offset: i64) {
        self.cache()
            .forget(|(id, base, _)| (*id, *base) == (log, base_offset));
    }

    pub fn forget_log(&self, log: LogId) {
        self.cache().forget(|(id, _, _)| *id == log);
    }

    /// The batch in these segments that holds `offset`, or the next one after it.
    pub fn find_offset(
        &self,
        log: LogId,
        segments: &[Segment],
        hint: Option<ReadHint>,
        offset: i64,
    ) -> Result<Option<Found>, LogError> {
        let hint = hint.filter(|hint| hint.0 == offset);
        for segment in segments {
            let relative = offset.saturating_sub(segment.base_offset);
            let start = match hint {
                Some((_, base, position)) if base == segment.base_offset => position,
                _ => self.seek(log, segment, |entry| i64::from(entry.relative_offset) <= relative)?,
            };
            let holds = |header: &BatchHeader| header.last_offset() >= offset;
            if let Some(found) = self.walk(log, segment, start, holds)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    pub fn seek(
        &self,
        log: LogId,
        segment: &Segment,
        holds: impl Fn(&IndexEntry) -> bool,
    ) -> Result<u64, LogError> {
        let files = self.files(log, segment)?;
        let found = files.indexes.seek(segment.index.entries, holds);
        found.map_err(|error| read_error(&files.path, &error))
    }

    /// Goes over the headers of a segment from a batch's position on, to the first that `holds`.
    pub fn walk(
        &self,
        log: LogId,
        segment: &Segment,
        start: u64,
        mut holds: impl FnMut(&BatchHeader) -> bool,
    ) -> Result<Option<Found>, LogError> {
        let mut found = None;
        self.walk_all(log, segment, start, |position, header| {
            if holds(header) {
                found = Some(Found {
                    segment: *segment,
                    position,
                    header: *header,
                });
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    pub fn walk_all(
        &self,
        log: LogId,
        segment: &Segment,
        start: u64,
        mut visit: impl FnMut(u64, &BatchHeader) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        let files = self.files(log, segment)?;
        let (mut position, mut buffer, mut buffer_start) = (start, Vec::new(), start);
        let mut window = READ_BYTES_MIN;
        while position < segment.bytes {
            let at = usize::try_from(position - buffer_start).unwrap_or(usize::MAX);
            if at.saturating_add(HEADER_BYTES) > buffer.len() {
                buffer_start = position;
                buffer.resize(window, 0);
                let read = read_full_at(files.batches.as_ref(), &mut buffer, position);
                buffer.truncate(read.map_err(|error| read_error(&files.path, &error))?);
                window = (window * 2).min(SCAN_BYTES);
                if buffer.len() < HEADER_BYTES {
                    return Ok(());
                }
                continue;
            }
            let header = BatchHeader::parse(&buffer[at..]).map_err(|error| LogError::Read {
                path: files.path.clone(),
                reason: error.to_string().into(),
            })?;
            if visit(position, &header).is_break() {
                return Ok(());
            }
            position += header.size() as u64;
        }
        Ok(())
    }

    pub fn read_batch(&self, log: LogId, found: &Found) -> Result<Bytes, LogError> {
        let files = self.files(log, &found.segment)?;
        let available = usize::try_from(found.segment.bytes - found.position).unwrap_or(usize::MAX);
        let mut buffer = vec![0; found.header.size().min(available)];
        let read = read_full_at(files.batches.as_ref(), &mut buffer, found.position);
        buffer.truncate(read.map_err(|error| read_error(&files.path, &error))?);
        Ok(Bytes::from(buffer))
    }
}

/// A read of segments, to be run on any thread; [`Log::finish_read`](crate::Log::finish_read) applies its result.
#[derive(Debug)]
pub struct ReadJob {
    pub(crate) reader: SegmentReader,
    pub(crate) log: LogId,
    /// From the one that may hold the offset on.
    pub(crate) segments: Vec<Segment>,
    pub(crate) hint: Option<ReadHint>,
    pub(crate) offset: i64,
    /// Upper bound of the offsets returned.
    pub(crate) end: i64,
    pub(crate) limit: ReadLimit,
    pub(crate) isolation: Isolation,
    /// How often aborted transactions had been let go when it was planned.
    pub(crate) aborted_changes: u64,
    /// Whether the same has failed once.
    pub(crate) is_second: bool,
}

/// The result of a [`ReadJob`].
#[derive(Debug)]
pub struct ReadOutcome {
    pub(crate) log: LogId,
    pub(crate) segments: Vec<Segment>,
    pub(crate) offset: i64,
    pub(crate) end: i64,
    pub(crate) limit: ReadLimit,
    pub(crate) isolation: Isolation,
    pub(crate) aborted_changes: u64,
    pub(crate) is_second: bool,
    /// `None` if none of the segments holds the offset or a later one.
    pub(crate) result: Result<Option<SegmentData>, LogError>,
}

/// Whole batches of a segment.
#[derive(Debug)]
pub(crate) struct SegmentData {
    pub segment: Segment,
    /// Empty if the first batch is too large.
    pub bytes: Bytes,
    pub next_offset: i64,
    /// The position in the segment after them.
    pub position: u64,
}

impl ReadJob {
    /// Upper bound of the bytes returned, except for a first batch that must be returned.
    pub fn bytes_max(&self) -> usize {
        let available: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        usize::try_from(available).map_or(self.limit.max_bytes, |available| {
            self.limit.max_bytes.min(available)
        })
    }

    pub(crate) fn again(mut self) -> Self {
        self.is_second = true;
        self
    }

    /// Reads.
    pub fn run(self) -> ReadOutcome {
        let result = self.read();
        ReadOutcome {
            log: self.log,
            segments: self.segments,
            offset: self.offset,
            end: self.end,
            limit: self.limit,
            isolation: self.isolation,
            aborted_changes: self.aborted_changes,
            is_second: self.is_second,
            result,
        }
    }

    fn read(&self) -> Result<Option<SegmentData>, LogError> {
        let found = self
            .reader
            .find_offset(self.log, &self.segments, self.hint, self.offset)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let wanted = bytes_to_read(found.header.size(), self.limit);
        let available = usize::try_from(found.segment.bytes - found.position).unwrap_or(usize::MAX);
        let files = self.reader.files(self.log, &found.segment)?;
        let fill = |buffer: &mut [u8]| read_full_at(files.batches.as_ref(), buffer, found.position);
        let buffer = self.reader.buffers.fill(wanted.min(available), fill);
        let buffer = buffer.map_err(|error| read_error(&files.path, &error))?;
        let (mut len, mut next_offset) = (0, self.offset);
        while let Ok(header) = BatchHeader::parse(&buffer[len..]) {
            if buffer.len() - len < header.size() || header.base_offset >= self.end {
                break;
            }
            len += header.size();
            next_offset = header.last_offset() + 1;
        }
        Ok(Some(SegmentData {
            segment: found.segment,
            bytes: buffer.slice(..len),
            next_offset,
            position: found.position + len as u64,
        }))
    }
}
