//! Compaction: keeps the newest record of each key.
//!
//! Only closed segments below the last stable offset are cleaned, so every transaction in them is decided: records of
//! aborted ones are dropped and never shadow committed ones. Markers are not keyed records. A marker is dropped once no
//! data of its transaction is left and, like a tombstone, only `delete.retention.ms` after its segment was first
//! cleaned, so that a reader that has seen the old value also sees its end. Offsets never change; a batch keeps its
//! place with fewer records.
//!
//! A cleaned segment is a new file of the next generation beside the old one. The next checkpoint's manifest names it,
//! and the old file is removed after that. Producers are in the manifest and not rebuilt from segments, so no empty
//! batches have to be kept for them. An aborted transaction is remembered as long as its marker exists; without the
//! marker a reader would take the producer's next transaction for the aborted one.
//!
//! Keys are read from the first uncleaned segment on, for as many segments as the memory budget allows; everything up
//! to there is then cleaned with them. Each compaction therefore gets further than the previous one, however many keys
//! there are.
//!
//! A failed compaction removes its own output before it reports the error, because the next one uses the same file
//! names. Keys and records are read by the owner: see [`RecordCleaner`].

use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::index::{IndexEntry, write_indexes};
use crate::log::{Log, LogId};
use crate::partition::Partition;
use crate::producer::AbortedTransaction;
use crate::segment::{BatchPlace, Segment, directory};
use millstream_types::storage::{OpenMode, Storage, StorageFile, read_full_at};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

/// A record as compaction sees it.
#[derive(Debug, Clone, Copy)]
pub struct CleanRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its key; records without one do not survive compaction.
    pub key: Option<&'a [u8]>,
    /// Whether its value is null: it deletes its key.
    pub is_tombstone: bool,
}

/// Reads and rewrites the records of batches for compaction.
pub trait RecordCleaner: Send {
    /// Calls `visit` for each record.
    fn visit(&mut self, batch: &[u8], visit: &mut dyn FnMut(CleanRecord<'_>)) -> io::Result<()>;
    /// The batch with only the records that `keep` accepts, its offsets unchanged.
    fn retain(&mut self, batch: &[u8], keep: &mut dyn FnMut(i64) -> bool) -> io::Result<Vec<u8>>;
}

/// How a log is compacted.
#[derive(Debug, Clone, Copy)]
pub struct CompactionRules {
    /// `min.cleanable.dirty.ratio`
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_lag_ms: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// How much memory keys may take (`log.cleaner.dedupe.buffer.size`).
    pub key_bytes_max: usize,
}

/// The scope of a compaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cleanable {
    /// Whether something has been dirty for longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
    /// The share of dirty bytes.
    pub dirty_ratio: f64,
}

/// Compaction of one log. Run it on any thread and give the outcome back.
pub struct CompactionJob {
    log: LogId,
    /// The keys up to here were read before.
    keyed_offset: i64,
    storage: Arc<dyn Storage>,
    cleaner: Box<dyn RecordCleaner>,
    segments: Vec<Segment>,
    aborted: Vec<AbortedTransaction>,
    rules: CompactionRules,
    index_interval_bytes: u64,
    now_ms: i64,
}

/// The result of a [`CompactionJob`].
#[derive(Debug)]
pub struct CompactionOutcome {
    log: LogId,
    /// Its input.
    segments: Vec<Segment>,
    /// Nothing if it has failed.
    cleaned: Cleaned,
    result: io::Result<()>,
}

impl CompactionOutcome {
    /// The log that was compacted.
    pub fn log(&self) -> LogId {
        self.log
    }
}

/// The output of a compaction.
#[derive(Debug, Default)]
struct Cleaned {
    /// Old segments and their replacements; `None` if nothing is left of one.
    replaced: Vec<(Segment, Option<Segment>)>,
    /// The markers that are left in them, by producer and offset.
    markers: BTreeSet<(i64, i64)>,
    /// The end of the last one.
    end: i64,
    /// Up to where keys were read.
    keyed: i64,
}

/// A rough price of an entry of the key map beside the key itself.
const KEY_OVERHEAD_BYTES: usize = 64;

impl Log {
    /// The scope of a compaction of a log, if its dirty ratio or the age of its dirty records demands one.
    pub fn cleanable(&self, now_ms: i64, log: LogId, rules: &CompactionRules) -> Option<Cleanable> {
        let partition = self.partitions.get(&log)?;
        let segments = partition.closed_segments(now_ms, rules);
        let is_dirty = |segment: &&Segment| segment.end_offset > partition.keyed_offset;
        let dirty_bytes: u64 = segments
            .iter()
            .filter(is_dirty)
            .map(|segment| segment.bytes)
            .sum();
        let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        // When its oldest record arrived, whatever timestamp the record has.
        let since_ms = segments.iter().find(is_dirty)?.created_ms;
        let is_overdue = now_ms.saturating_sub(since_ms) > rules.max_lag_ms;
        let dirty_ratio = dirty_bytes as f64 / bytes.max(1) as f64;
        (dirty_bytes > 0 && (is_overdue || dirty_ratio >= rules.min_dirty_ratio)).then_some(Cleanable {
            is_overdue,
            dirty_ratio,
        })
    }

    /// Prepares the compaction of a log if it is cleanable and no other compaction runs.
    pub fn compaction(
        &mut self,
        now_ms: i64,
        log: LogId,
        rules: CompactionRules,
        cleaner: impl FnOnce() -> Box<dyn RecordCleaner>,
    ) -> Option<CompactionJob> {
        if self.compaction_running {
            return None;
        }
        self.cleanable(now_ms, log, &rules)?;
        let partition = self.partitions.get(&log)?;
        let segments = partition.closed_segments(now_ms, &rules).to_vec();
        let (from, to) = (segments.first()?.base_offset, segments.last()?.end_offset);
        let aborted = partition.producers.aborted_in(from, to);
        let index_interval_bytes = partition.settings.index_interval_bytes;
        let keyed_offset = partition.keyed_offset;
        self.compaction_running = true;
        let (storage, cleaner) = (self.storage.clone(), cleaner());
        Some(CompactionJob {
            log,
            keyed_offset,
            storage,
            cleaner,
            segments,
            aborted,
            rules,
            index_interval_bytes,
            now_ms,
        })
    }

    /// Applies a compaction. A failed one changes nothing and can be retried. Segments that were dropped meanwhile do
    /// not count as a failure: their files may have been removed before the compaction reached them.
    pub fn on_compaction(&mut self, outcome: CompactionOutcome) -> io::Result<()> {
        self.compaction_running = false;
        if outcome.result.is_err() && !self.has_segments(outcome.log, &outcome.segments) {
            return Ok(());
        }
        outcome.result?;
        let (log, cleaned) = (outcome.log, outcome.cleaned);
        for (old, new) in cleaned.replaced {
            let partition = self.partitions.get_mut(&log);
            let place = partition.and_then(|partition| {
                partition.read_hint = None;
                let same =
                    |each: &Segment| each.base_offset == old.base_offset && each.generation == old.generation;
                let index = partition.segments.iter().position(same)?;
                Some((partition, index))
            });
            match (place, new) {
                (Some((partition, index)), Some(new)) => partition.segments[index] = new,
                (Some((partition, index)), None) => _ = partition.segments.remove(index),
                (None, new) => {
                    self.garbage.extend(new.iter().flat_map(|new| new.files(log)));
                    continue;
                }
            }
            self.reader.forget(log, old.base_offset);
            self.garbage.extend(old.files(log));
        }
        if let Some(partition) = self.partitions.get_mut(&log) {
            partition.cleaned_offset = partition.cleaned_offset.max(cleaned.end);
            partition.keyed_offset = partition.keyed_offset.max(cleaned.keyed);
            let producers = &mut partition.producers;
            if producers.forget_without_marker(cleaned.end, &cleaned.markers) {
                partition.aborted_changes += 1;
            }
        }
        Ok(())
    }
}

impl Log {
    /// Whether none of these segments has been replaced or dropped.
    pub(crate) fn has_segments(&self, log: LogId, segments: &[Segment]) -> bool {
        let partition = self.partitions.get(&log);
        let kept = partition.map_or(&[][..], |partition| &partition.segments);
        segments.iter().all(|wanted| {
            let found = kept.binary_search_by_key(&wanted.base_offset, |each| each.base_offset);
            found.is_ok_and(|index| kept[index].generation == wanted.generation)
        })
    }
}

impl Partition {
    /// The segments that may be cleaned: they get no more batches, every transaction in them is decided, and all of their
    /// records are old enough.
    fn closed_segments(&self, now_ms: i64, rules: &CompactionRules) -> &[Segment] {
        if self.quarantine.is_some() {
            return &[];
        }
        let stable = self.offsets().last_stable;
        let newest_ms = now_ms.saturating_sub(rules.min_lag_ms);
        let may_clean = |segment: &&Segment| {
            segment.end_offset <= stable && (rules.min_lag_ms == 0 || segment.max_timestamp <= newest_ms)
        };
        let closed = &self.segments[..self.segments.len().saturating_sub(1)];
        &closed[..closed.iter().take_while(may_clean).count()]
    }
}

impl CompactionJob {
    /// Reads keys, then rewrites each segment without the records that they supersede.
    pub fn run(mut self) -> CompactionOutcome {
        let (cleaned, result) = match self.clean() {
            Ok(cleaned) => (cleaned, Ok(())),
            Err(error) => {
                self.remove_output();
                (Cleaned::default(), Err(error))
            }
        };
        CompactionOutcome {
            log: self.log,
            segments: self.segments,
            cleaned,
            result,
        }
    }

    fn clean(&mut self) -> io::Result<Cleaned> {
        let aborted = Aborted::new(&self.aborted);
        let keys = self.read_keys(&aborted)?;
        let mut alive = BTreeSet::new();
        let mut cleaned = Cleaned {
            keyed: keys.end,
            ..Cleaned::default()
        };
        for segment in self.segments.clone() {
            if segment.base_offset >= keys.end {
                break; // there was no room for any of its keys
            }
            let new = self.clean_segment(&segment, &keys, &aborted, &mut alive, &mut cleaned.markers)?;
            cleaned.replaced.push((segment, new));
            cleaned.end = segment.end_offset;
        }
        self.storage.sync_directory(&directory(self.log))?;
        Ok(cleaned)
    }

    /// Removes the output of a failed compaction. The next one overwrites files that cannot be removed now.
    fn remove_output(&self) {
        for segment in &self.segments {
            for path in self.output_segment(segment).files(self.log) {
                let _ = self.storage.remove(&path);
            }
        }
    }

    /// The empty segment into which a segment is rewritten.
    fn output_segment(&self, segment: &Segment) -> Segment {
        Segment {
            generation: segment.generation + 1,
            cleaned_ms: match segment.cleaned_ms {
                0 => self.now_ms.max(1),
                cleaned_ms => cleaned_ms,
            },
            ..Segment::new(segment.base_offset, segment.created_ms)
        }
    }

    /// The last offset of each key, of batches whose keys were not read yet, as far as there is room; of one in any case.
    fn read_keys(&mut self, aborted: &Aborted) -> io::Result<Keys> {
        let mut keys = Keys {
            last: HashMap::new(),
            end: 0,
        };
        let mut bytes = 0usize;
        for segment in self.segments.clone() {
            if segment.end_offset <= self.keyed_offset {
                continue;
            }
            let mut batches = Batches::open(self.storage.as_ref(), self.log, &segment)?;
            while let Some((header, batch)) = batches.next()? {
                let is_known = header.base_offset < self.keyed_offset;
                if is_known || header.is_control() || aborted.has(&header) {
                    continue;
                }
                if bytes > self.rules.key_bytes_max {
                    return Ok(keys);
                }
                self.cleaner.visit(batch, &mut |record| {
                    if let Some(key) = record.key
                        && keys.last.insert(key.to_vec(), record.offset).is_none()
                    {
                        bytes += key.len() + KEY_OVERHEAD_BYTES;
                    }
                })?;
                keys.end = header.last_offset() + 1;
            }
            keys.end = segment.end_offset;
        }
        Ok(keys)
    }

    /// Writes the surviving batches of a segment. `alive` are producers with data since their last marker; `markers`
    /// collects the surviving ones.
    fn clean_segment(
        &mut self,
        segment: &Segment,
        keys: &Keys,
        aborted: &Aborted,
        alive: &mut BTreeSet<i64>,
        markers: &mut BTreeSet<(i64, i64)>,
    ) -> io::Result<Option<Segment>> {
        let is_expired = segment.cleaned_ms > 0
            && segment.cleaned_ms.saturating_add(self.rules.delete_retention_ms) <= self.now_ms;
        let mut new = self.output_segment(segment);
        if segment.end_offset > keys.end {
            // Tombstones of keys that are not read yet must stay until the values that they delete are gone.
            new.cleaned_ms = segment.cleaned_ms;
        }
        let storage = self.storage.clone();
        let mut output = Output::create(storage.as_ref(), self.log, new, self.index_interval_bytes)?;
        let mut batches = Batches::open(self.storage.as_ref(), self.log, segment)?;
        while let Some((header, batch)) = batches.next()? {
            if header.is_control() {
                let ends_data = alive.remove(&header.producer_id);
                if ends_data || !is_expired {
                    markers.insert((header.producer_id, header.base_offset));
                    output.push(batch)?;
                }
                continue;
            }
            if aborted.has(&header) {
                continue;
            }
            let kept = self.clean_batch(&header, batch, keys, is_expired)?;
            if header.is_transactional() && kept.is_some() {
                alive.insert(header.producer_id);
            }
            match kept {
                None => {}
                Some(None) => output.push(batch)?,
                Some(Some(rewritten)) => output.push(&rewritten)?,
            }
        }
        output.finish(segment.end_offset)
    }

    /// `None` if the whole batch is dropped, `Some(None)` if it survives unchanged, otherwise the rewritten batch.
    fn clean_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        keys: &Keys,
        is_expired: bool,
    ) -> io::Result<Option<Option<Vec<u8>>>> {
        let mut kept = BTreeSet::new();
        let mut count = 0;
        self.cleaner.visit(batch, &mut |record| {
            count += 1;
            // A key that was not read has no later record up to `keys.end`.
            let is_last_of = |key| keys.last.get(key).is_none_or(|last| *last <= record.offset);
            let is_last = record.key.is_some_and(is_last_of);
            if is_last && !(record.is_tombstone && is_expired) {
                kept.insert(record.offset);
            }
        })?;
        if kept.is_empty() {
            return Ok(None);
        }
        if kept.len() == count && count == header.record_count as usize {
            return Ok(Some(None));
        }
        self.cleaner
            .retain(batch, &mut |offset| kept.contains(&offset))
            .map(|rewritten| Some(Some(rewritten)))
    }
}

/// Aborted transactions by producer: first and last offset, in the order of their markers, which is also the order of
/// insertion. Those of one producer do not overlap.
#[derive(Default)]
struct Aborted(HashMap<i64, Vec<(i64, i64)>>);

impl Aborted {
    fn new(transactions: &[AbortedTransaction]) -> Self {
        let mut aborted = Aborted::default();
        for each in transactions {
            let of_producer = aborted.0.entry(each.producer_id).or_default();
            of_producer.push((each.first_offset, each.last_offset));
        }
        aborted
    }

    /// Whether a batch belongs to one of them.
    fn has(&self, header: &BatchHeader) -> bool {
        if !header.is_transactional() {
            return false;
        }
        let ranges = self.0.get(&header.producer_id).map_or(&[][..], Vec::as_slice);
        let next = ranges.partition_point(|(_, last)| *last < header.base_offset);
        ranges
            .get(next)
            .is_some_and(|(first, _)| *first <= header.base_offset)
    }
}

struct Keys {
    last: HashMap<Vec<u8>, i64>,
    /// The offset up to which all keys are known.
    end: i64,
}

/// The batches of a segment, one after the other.
struct Batches {
    file: Arc<dyn StorageFile>,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl Batches {
    fn open(storage: &dyn Storage, log: LogId, segment: &Segment) -> io::Result<Self> {
        let file = storage.open(&segment.path(log, ".log"), OpenMode::Read)?;
        Ok(Batches {
            file,
            position: 0,
            end: segment.bytes,
            buffer: Vec::new(),
        })
    }

    fn next(&mut self) -> io::Result<Option<(BatchHeader, &[u8])>> {
        if self.position >= self.end {
            return Ok(None);
        }
        self.read(HEADER_BYTES)?;
        let size = BatchHeader::parse(&self.buffer).map_err(io::Error::other)?.size();
        if size as u64 > self.end - self.position {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read(size)?;
        let header = BatchHeader::check(&self.buffer).map_err(io::Error::other)?;
        self.position += size as u64;
        Ok(Some((header, &self.buffer)))
    }

    fn read(&mut self, len: usize) -> io::Result<()> {
        self.buffer.resize(len, 0);
        let read = read_full_at(self.file.as_ref(), &mut self.buffer, self.position)?;
        if read == len {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// A segment that is being written.
struct Output<'a> {
    storage: &'a dyn Storage,
    log: LogId,
    segment: Segment,
    file: Arc<dyn StorageFile>,
    entries: Vec<IndexEntry>,
    index_interval_bytes: u64,
}

impl<'a> Output<'a> {
    fn create(
        storage: &'a dyn Storage,
        log: LogId,
        segment: Segment,
        index_interval_bytes: u64,
    ) -> io::Result<Self> {
        let file = storage.open(&segment.path(log, ".log"), OpenMode::Truncate)?;
        Ok(Output {
            storage,
            log,
            segment,
            file,
            entries: Vec::new(),
            index_interval_bytes,
        })
    }

    fn push(&mut self, batch: &[u8]) -> io::Result<()> {
        let header = BatchHeader::parse(batch).map_err(io::Error::other)?;
        self.file.write_at(batch, self.segment.bytes)?;
        let place = BatchPlace::of(&header);
        self.entries
            .extend(self.segment.extend(&place, self.index_interval_bytes));
        Ok(())
    }

    fn finish(mut self, end_offset: i64) -> io::Result<Option<Segment>> {
        if self.segment.bytes == 0 {
            self.storage.remove(&self.segment.path(self.log, ".log"))?;
            return Ok(None);
        }
        self.segment.end_offset = end_offset;
        self.segment.durable_index = self.segment.index;
        self.file.sync_data()?;
        let indexes = write_indexes(self.storage, (self.log, &self.segment), (0, &self.entries))?;
        indexes.iter().try_for_each(|index| index.sync_data())?;
        Ok(Some(self.segment))
    }
}
