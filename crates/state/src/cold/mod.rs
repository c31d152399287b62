//! Records on a local disk by the hash of their key: the part of keyed state that memory has no room for.
//!
//! A record is either in memory, in a table of its operator, or here, never in both: [`ColdStore::take`] gives records
//! back and forgets them, [`ColdStore::put`] writes those that are evicted from memory. So no record here is ever out of date,
//! lookups stop at the first hit, and any files can be merged in any order.
//!
//! Each `put` writes one immutable file, sorted by hash; what is taken from it is marked in a bitmap. Lookups come in
//! batches, are sorted, and go through a filter for each segment before anything is read. Segments of like size are
//! merged, one partition of the hashes at a time, so that no batch waits for a merge of everything.
//!
//! The values mean nothing here. [`ColdGroups`] keeps groups of a `GroupTable`; `RowStore` keeps rows by key.

mod due;
mod filter;
mod groups;
mod merge;
mod run;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::CheckpointId;

use crate::error::StateError;
use crate::group_table::row_codec::EncodedRows;
use crate::spill::{SpillSpace, StoredFile};

use run::{BlockReader, PARTITIONS, RunWriter, Segment, WrittenRun, partition_of};

pub use due::{DueGroups, has_due_groups};
pub use groups::{ColdGroups, GroupColumns, RecalledGroups};
pub use run::Record;
pub use snapshot::has_cold_records;

/// See the module's documentation.
#[derive(Debug)]
pub struct ColdStore {
    space: SpillSpace,
    next_run: u64,
    runs: BTreeMap<u64, Run>,
    /// The segments of each partition, in the order in which they were written.
    partitions: Vec<Vec<Segment>>,
    records: usize,
    /// Records written at this time or before need not be kept.
    expired_ms: i64,
}

/// A segment of a store.
#[derive(Clone, Copy, Debug)]
pub struct SegmentPlace {
    partition: usize,
    index: usize,
}

/// A file and what became of its records.
#[derive(Debug)]
struct Run {
    file: Arc<StoredFile>,
    bytes: u64,
    crc: u32,
    /// One bit a record: it was taken.
    taken: Vec<u64>,
    segments: usize,
    /// Number of the first checkpoint that holds the file, and that of the first that holds the bitmap as it is.
    held_by: Option<CheckpointId>,
    taken_held_by: Option<CheckpointId>,
}

impl Run {
    fn is_taken(&self, ordinal: u32) -> bool {
        self.taken[ordinal as usize / 64] >> (ordinal % 64) & 1 == 1
    }

    fn mark_taken(&mut self, ordinal: u32) {
        self.taken[ordinal as usize / 64] |= 1 << (ordinal % 64);
        self.taken_held_by = None;
    }
}

/// Records that are encoded at once on their way to disk.
const PORTION_RECORDS: usize = 4096;

/// Records on their way to disk.
#[derive(Debug, Default)]
pub struct ColdRecords {
    entries: Vec<Entry>,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    time_ms: i64,
    start: usize,
    key_bytes: u32,
    value_bytes: u32,
}

impl ColdRecords {
    /// Adds a record; `time_ms`: when it was written last, `i64::MAX` if it never expires.
    pub fn push(&mut self, hash: u64, time_ms: i64, key: &[u8], value: &[u8]) {
        self.entries.push(Entry {
            hash,
            time_ms,
            start: self.data.len(),
            key_bytes: key.len() as u32,
            value_bytes: value.len() as u32,
        });
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.data.clear();
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.entries.iter().map(|entry| self.record(entry))
    }

    fn record(&self, entry: &Entry) -> Record<'_> {
        let (key, value) = self.data[entry.start..].split_at(entry.key_bytes as usize);
        Record {
            hash: entry.hash,
            time_ms: entry.time_ms,
            key,
            value: &value[..entry.value_bytes as usize],
        }
    }
}

/// Values that were taken, each for a row of the lookup.
#[derive(Debug, Default)]
pub struct TakenRecords {
    rows: Vec<u32>,
    ends: Vec<usize>,
    data: Vec<u8>,
}

impl TakenRecords {
    fn clear(&mut self) {
        self.rows.clear();
        self.ends.clear();
        self.data.clear();
    }

    fn push(&mut self, row: u32, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.rows.push(row);
        self.ends.push(self.data.len());
    }

    /// Rows of the lookup that had a record.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The values, in the order of [`TakenRecords::rows`].
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.data[start..*end])
    }
}

impl ColdStore {
    pub fn new(space: SpillSpace) -> Self {
        Self {
            space,
            next_run: 0,
            runs: BTreeMap::new(),
            partitions: (0..PARTITIONS).map(|_| Vec::new()).collect(),
            records: 0,
            expired_ms: i64::MIN,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of indexes, filters and bitmaps.
    pub fn memory_size(&self) -> usize {
        let segments = self.partitions.iter().flatten().map(Segment::memory_size);
        let bitmaps = self
            .runs
            .values()
            .map(|run| run.taken.capacity() * size_of::<u64>());
        segments.sum::<usize>() + bitmaps.sum::<usize>()
    }

    /// Bytes of files.
    pub fn disk_size(&self) -> u64 {
        self.runs.values().map(|run| run.bytes).sum()
    }

    /// Writes records with these hashes, none of which may be here. `fill` is called with positions in `hashes` and adds
    /// their records in that order: a portion at a time, so that the memory an eviction takes does not depend on how much
    /// it frees.
    pub fn put<E: From<StateError>>(
        &mut self,
        hashes: &[u64],
        mut fill: impl FnMut(&[u32], &mut ColdRecords) -> Result<(), E>,
    ) -> Result<(), E> {
        if hashes.is_empty() {
            return Ok(());
        }
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_unstable_by_key(|position| hashes[*position as usize]);
        let mut writer = self.writer()?;
        let mut records = ColdRecords::default();
        for portion in order.chunks(PORTION_RECORDS) {
            records.clear();
            fill(portion, &mut records)?;
            debug_assert_eq!(records.len(), portion.len());
            for record in records.iter() {
                writer.push(&record)?;
            }
        }
        let written = writer.finish()?;
        let bytes = written.bytes;
        self.adopt(written);
        Ok(self.merge(bytes)?)
    }

    fn writer(&mut self) -> Result<RunWriter, StateError> {
        self.next_run += 1;
        RunWriter::new(&self.space, self.next_run)
    }

    fn adopt(&mut self, written: WrittenRun) {
        let run = Run {
            file: written.file,
            bytes: written.bytes,
            crc: written.crc,
            taken: vec![0; (written.records as usize).div_ceil(64)],
            segments: written.segments.len(),
            held_by: None,
            taken_held_by: None,
        };
        self.records += written.records as usize;
        if let Some((_, segment)) = written.segments.first() {
            self.runs.insert(segment.run, run);
        }
        for (partition, segment) in written.segments {
            self.partitions[partition].push(segment);
        }
    }

    /// Gives back the values of those keys that are here, and forgets them. Row `i` has the key `keys.bytes(i)` with the
    /// hash `hashes[i]`; a key that stands in several rows is found for one of them.
    pub fn take(
        &mut self,
        hashes: &[u64],
        keys: &EncodedRows,
        taken: &mut TakenRecords,
    ) -> Result<(), StateError> {
        taken.clear();
        if self.is_empty() {
            return Ok(());
        }
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_unstable_by_key(|row| hashes[*row as usize]);
        let partition_at = |row: &u32| partition_of(hashes[*row as usize]);
        for rows in order.chunk_by(|a, b| partition_at(a) == partition_at(b)) {
            let partition = partition_at(&rows[0]);
            let mut pending = rows.to_vec();
            for index in 0..self.partitions[partition].len() {
                let segment = &mut self.partitions[partition][index];
                if let Some(run) = self.runs.get_mut(&segment.run) {
                    let before = taken.rows.len();
                    take_from(segment, run, hashes, keys, &mut pending, taken)?;
                    self.records -= taken.rows.len() - before;
                }
            }
            self.drop_empty(partition);
        }
        Ok(())
    }

    /// Takes all records of one segment, whichever; `None` if there are no records.
    pub fn take_segment(&mut self) -> Result<Option<ColdRecords>, StateError> {
        let Some(partition) = self.partitions.iter().position(|segments| !segments.is_empty()) else {
            return Ok(None);
        };
        let mut records = ColdRecords::default();
        if let Some(segment) = self.partitions[partition].last_mut()
            && let Some(run) = self.runs.get(&segment.run)
        {
            collect(segment, run, &mut records)?;
            self.records -= segment.live as usize;
            segment.live = 0;
        }
        self.drop_empty(partition);
        Ok(Some(records))
    }

    /// Where the segments are, for [`ColdStore::read_segment`]. Good until the store changes.
    pub fn segments(&self) -> Vec<SegmentPlace> {
        let places = self.partitions.iter().enumerate();
        let of_partition = |(partition, segments): (usize, &Vec<Segment>)| {
            (0..segments.len()).map(move |index| SegmentPlace { partition, index })
        };
        places.flat_map(of_partition).collect()
    }

    /// The records of one segment, which stay here.
    pub fn read_segment(&self, place: SegmentPlace) -> Result<ColdRecords, StateError> {
        let segment = &self.partitions[place.partition][place.index];
        let mut records = ColdRecords::default();
        if let Some(run) = self.runs.get(&segment.run) {
            collect(segment, run, &mut records)?;
        }
        Ok(records)
    }

    /// The next snapshot carries all blocks again, because their prefix has changed.
    pub fn mark_all_changed(&mut self) {
        for run in self.runs.values_mut() {
            (run.held_by, run.taken_held_by) = (None, None);
        }
    }

    /// Records written at this time or before need not be kept: files of nothing else go now, others when they are
    /// merged. A lookup may still give such a record.
    pub fn expire(&mut self, oldest_ms: i64) {
        self.expired_ms = self.expired_ms.max(oldest_ms);
        for partition in 0..PARTITIONS {
            for segment in &mut self.partitions[partition] {
                if segment.newest_ms <= oldest_ms {
                    self.records -= segment.live as usize;
                    segment.live = 0;
                }
            }
            self.drop_empty(partition);
        }
    }

    /// Removes segments without records, and the files that have no other.
    fn drop_empty(&mut self, partition: usize) {
        if self.partitions[partition].iter().all(|segment| segment.live > 0) {
            return;
        }
        let segments = std::mem::take(&mut self.partitions[partition]);
        let (kept, empty): (Vec<_>, Vec<_>) = segments.into_iter().partition(|s| s.live > 0);
        self.partitions[partition] = kept;
        empty.iter().for_each(|segment| self.forget(segment));
    }

    /// The segment is no longer in its partition.
    fn forget(&mut self, segment: &Segment) {
        let Some(run) = self.runs.get_mut(&segment.run) else {
            return;
        };
        run.segments -= 1;
        if run.segments == 0 {
            self.runs.remove(&segment.run);
            return;
        }
        segment
            .ordinals
            .clone()
            .for_each(|ordinal| run.mark_taken(ordinal));
    }

    pub fn clear(&mut self) {
        self.runs.clear();
        self.partitions.iter_mut().for_each(Vec::clear);
        self.records = 0;
    }
}

/// Copies the records of a segment that were not taken.
fn collect(segment: &Segment, run: &Run, records: &mut ColdRecords) -> Result<(), StateError> {
    let mut cursor = run::Cursor::new(segment);
    while let Some((ordinal, record)) = cursor.record()? {
        if !run.is_taken(ordinal) {
            records.push(record.hash, record.time_ms, record.key, record.value);
        }
        let length = record.size_bytes();
        cursor.advance(length);
    }
    Ok(())
}

/// Takes what a segment has of the pending rows, which are in the order of their hashes; the others stay pending.
fn take_from(
    segment: &mut Segment,
    run: &mut Run,
    hashes: &[u64],
    keys: &EncodedRows,
    pending: &mut Vec<u32>,
    taken: &mut TakenRecords,
) -> Result<(), StateError> {
    let mut found_here = 0;
    let mut reader = BlockReader::new(segment, pending.len());
    let mut left = Vec::with_capacity(pending.len());
    for row in pending.iter().copied() {
        let hash = hashes[row as usize];
        if !segment.may_contain(hash) {
            left.push(row);
            continue;
        }
        let is_wanted = |ordinal: u32, record: &Record<'_>| {
            record.key == keys.bytes_of(row as usize) && !run.is_taken(ordinal)
        };
        let found = reader.find(hash, is_wanted)?;
        match found {
            Some((ordinal, record)) => {
                taken.push(row, record.value);
                run.mark_taken(ordinal);
                found_here += 1;
            }
            None => left.push(row),
        }
    }
    segment.live -= found_here;
    *pending = left;
    Ok(())
}
