//! The engine's side of a source of the program's own.

use std::collections::{BTreeMap, BTreeSet};

use millstream_dataflow::alignment::AlignmentGroups;
use millstream_dataflow::source::Waker;
use millstream_dataflow::watermark::SplitWatermarks;
use millstream_dataflow::{
    Context as Instance, DataflowError, Output, Source as EngineSource, SourceFactory, SourceStatus,
    StateBlocks,
};
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{CheckpointId, Records, Watermark};
use serde::{Deserialize, Serialize};

use crate::data::{Data, hash_of};
use crate::operators::simple::Timestamps;
use crate::source::{Boundedness, Source, SplitReader};
use crate::watermark::{Generator, WatermarkStrategy};

const BLOCK: &str = "splits";

/// What a look at a reader found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReaderStatus {
    /// More can be had at once.
    Ready,
    /// Nothing before this time, in milliseconds since the epoch.
    PendingUntil(i64),
    /// All splits were read to their end.
    Finished,
}

/// Takes the records of a reader.
pub struct ReaderOutput<T> {
    room: usize,
    now_ms: i64,
    batches: Vec<Batch<T>>,
    finished: Vec<String>,
}

struct Batch<T> {
    split: String,
    rows: Vec<T>,
    timestamps: Vec<i64>,
}

#[cfg(test)]
impl<T> ReaderOutput<T> {
    pub(super) fn at(now_ms: i64, room: usize) -> Self {
        Self {
            room,
            now_ms,
            batches: Vec::new(),
            finished: Vec::new(),
        }
    }

    pub(super) fn into_rows(self) -> Vec<T> {
        self.batches.into_iter().flat_map(|batch| batch.rows).collect()
    }
}

impl<T> ReaderOutput<T> {
    /// Records that should be emitted before the reader returns.
    pub fn room(&self) -> usize {
        self.room
    }

    /// The clock, in milliseconds since the epoch.
    pub fn current_processing_time(&self) -> i64 {
        self.now_ms
    }

    /// A record of a split.
    pub fn collect(&mut self, split: &str, value: T) {
        self.collect_with_timestamp(split, value, NO_TIMESTAMP);
    }

    /// A record with its event time.
    pub fn collect_with_timestamp(&mut self, split: &str, value: T, timestamp: i64) {
        self.room = self.room.saturating_sub(1);
        if self.batches.last().is_none_or(|batch| batch.split != split) {
            self.batches.push(Batch {
                split: split.to_owned(),
                rows: Vec::new(),
                timestamps: Vec::new(),
            });
        }
        if let Some(batch) = self.batches.last_mut() {
            if timestamp != NO_TIMESTAMP || !batch.timestamps.is_empty() {
                batch.timestamps.resize(batch.rows.len(), NO_TIMESTAMP);
                batch.timestamps.push(timestamp);
            }
            batch.rows.push(value);
        }
    }

    /// A split is at its end; it no longer holds back watermarks.
    pub fn finish_split(&mut self, split: &str) {
        self.finished.push(split.to_owned());
    }
}

pub(super) struct SplitSourceFactory<S: Source> {
    pub source: S,
    pub strategy: WatermarkStrategy<S::Item>,
    pub alignment: AlignmentGroups,
    pub interval_ms: i64,
}

impl<S: Source> SourceFactory for SplitSourceFactory<S> {
    fn create(&self, _: &Instance) -> Result<Box<dyn EngineSource>, DataflowError> {
        let interval_ms = self.interval_ms;
        Ok(Box::new(SplitSource {
            reader: self.source.create_reader()?,
            source: self.source.clone(),
            watermarks: Watermarks::new(self.strategy.clone(), interval_ms, &self.alignment),
            restored: None,
            finished: BTreeSet::new(),
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.source.splits().ok().map(|splits| splits.len().max(1))
    }

    fn is_bounded(&self) -> bool {
        self.source.boundedness() == Boundedness::Bounded
    }
}

#[derive(Serialize, Deserialize)]
struct Saved<S> {
    /// Splits that are not at their end, and their watermarks.
    open: Vec<(S, i64)>,
    finished: BTreeSet<String>,
}

impl<S> Default for Saved<S> {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            finished: BTreeSet::new(),
        }
    }
}

struct SplitSource<S: Source> {
    source: S,
    reader: S::Reader,
    watermarks: Watermarks<S::Item>,
    /// Of the checkpoint that the job continues from.
    restored: Option<Saved<S::Split>>,
    finished: BTreeSet<String>,
}

fn owner(split: &str, instance: &Instance) -> usize {
    (hash_of(split) % instance.parallelism.max(1) as u64) as usize
}

impl<S: Source> EngineSource for SplitSource<S> {
    fn open(&mut self, instance: &Instance, _: Waker) -> Result<(), DataflowError> {
        let restored = self.restored.take();
        let is_complete = restored.is_some() && !self.source.discovers_splits();
        let restored = restored.unwrap_or_default();
        self.finished = restored.finished;
        let mut known = self.finished.clone();
        for (split, watermark) in restored.open {
            let id = self.source.split_id(&split);
            if owner(&id, instance) == instance.subtask {
                self.watermarks.add(&id, watermark, instance.now_ms);
                self.reader.add_split(split)?;
            }
            known.insert(id);
        }
        let found = if is_complete {
            Vec::new()
        } else {
            self.source.splits()?
        };
        for split in found {
            let id = self.source.split_id(&split);
            if !known.contains(&id) && owner(&id, instance) == instance.subtask {
                self.watermarks.add(&id, i64::MIN, instance.now_ms);
                self.reader.add_split(split)?;
            }
        }
        Ok(())
    }

    fn poll(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let paused = self.watermarks.paused(instance.now_ms);
        if self.watermarks.are_all(&paused) {
            return Ok(SourceStatus::Pending {
                until_ms: self.watermarks.alignment_deadline_ms(),
            });
        }
        self.reader.pause_splits(&paused);
        let mut read = ReaderOutput {
            room: instance.batch_rows,
            now_ms: instance.now_ms,
            batches: Vec::new(),
            finished: Vec::new(),
        };
        let status = self.reader.poll(&mut read)?;
        for batch in read.batches {
            let records =
                self.watermarks
                    .records(&batch.split, batch.rows, batch.timestamps, instance.now_ms);
            out.records(records)?;
        }
        for split in read.finished {
            self.watermarks.remove(&split);
            self.finished.insert(split);
        }
        if let Some(watermark) = self.watermarks.next(instance.now_ms) {
            out.watermark(watermark)?;
        }
        Ok(match status {
            ReaderStatus::Ready => SourceStatus::Ready,
            ReaderStatus::Finished => SourceStatus::Finished,
            ReaderStatus::PendingUntil(until_ms) => {
                let deadline = self.watermarks.deadline_ms();
                SourceStatus::Pending {
                    until_ms: Some(deadline.map_or(until_ms, |at| at.min(until_ms))),
                }
            }
        })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let open = self.reader.snapshot()?;
        let with_watermark = |split: S::Split| {
            let watermark = self.watermarks.of(&self.source.split_id(&split));
            (split, watermark)
        };
        let saved = Saved {
            open: open.into_iter().map(with_watermark).collect(),
            finished: self.finished.clone(),
        };
        Ok(StateBlocks::single(BLOCK, encode_value(&saved)?))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Instance) -> Result<(), DataflowError> {
        for part in &blocks {
            let Some(bytes) = part.get(BLOCK) else { continue };
            let saved: Saved<S::Split> = decode_value(BLOCK, bytes)?;
            let restored = self.restored.get_or_insert_default();
            restored.open.extend(saved.open);
            restored.finished.extend(saved.finished);
        }
        Ok(())
    }

    fn checkpoint_complete(&mut self, _: CheckpointId) {
        self.reader.checkpoint_complete();
    }

    fn is_idle(&self, _: &Instance) -> bool {
        self.watermarks.is_idle()
    }

    fn current_watermark(&self) -> Watermark {
        self.watermarks.emitted()
    }
}

/// Timestamps and watermarks of the splits of an instance.
pub(super) struct Watermarks<T> {
    strategy: WatermarkStrategy<T>,
    generators: BTreeMap<String, Generator<T>>,
    merged: Option<SplitWatermarks<String>>,
}

impl<T: Data> Watermarks<T> {
    pub fn new(strategy: WatermarkStrategy<T>, interval_ms: i64, groups: &AlignmentGroups) -> Self {
        let merged = strategy.makes_watermarks().then(|| {
            let member = strategy.alignment().map(|settings| groups.join(settings.clone()));
            SplitWatermarks::new(interval_ms, strategy.idle_timeout_ms()).aligned(member)
        });
        Self {
            strategy,
            generators: BTreeMap::new(),
            merged,
        }
    }

    pub fn add(&mut self, split: &str, watermark: i64, now_ms: i64) {
        if let Some(merged) = &mut self.merged
            && merged.split_watermark(&split.to_owned()).is_none()
        {
            merged.add_split(split.to_owned(), Watermark(watermark), now_ms);
        }
    }

    pub fn remove(&mut self, split: &str) {
        self.generators.remove(split);
        if let Some(merged) = &mut self.merged {
            merged.remove_split(&split.to_owned());
        }
    }

    /// A batch of a split with its timestamps.
    pub fn records(&mut self, split: &str, rows: Vec<T>, timestamps: Vec<i64>, now_ms: i64) -> Records {
        if !self.generators.contains_key(split) {
            self.generators
                .insert(split.to_owned(), Generator::new(self.strategy.clone()));
        }
        let Some(generator) = self.generators.get_mut(split) else {
            return Records::with_timestamps(rows, timestamps);
        };
        let (timestamps, watermark) = generator.assign(&rows, timestamps);
        if let Some(merged) = &mut self.merged {
            let split = split.to_owned();
            if merged.split_watermark(&split).is_none() {
                merged.add_split(split.clone(), Watermark::MIN, now_ms);
            }
            merged.observe(&split, watermark, now_ms);
        }
        Records::with_timestamps(rows, timestamps)
    }

    pub fn next(&mut self, now_ms: i64) -> Option<Watermark> {
        self.merged.as_mut()?.next(now_ms)
    }

    pub fn deadline_ms(&self) -> Option<i64> {
        self.merged.as_ref()?.deadline_ms()
    }

    /// Watermark of a split, for checkpoints.
    pub fn of(&self, split: &str) -> i64 {
        let merged = self.merged.as_ref();
        let watermark = merged.and_then(|merged| merged.split_watermark(&split.to_owned()));
        watermark.map_or(i64::MIN, |watermark| watermark.0)
    }

    /// Splits that wait for the other sources of the group.
    pub fn paused(&mut self, now_ms: i64) -> BTreeSet<String> {
        let merged = self.merged.as_mut();
        merged.map_or_else(BTreeSet::new, |merged| merged.paused(now_ms))
    }

    /// When waiting splits resume.
    pub fn alignment_deadline_ms(&self) -> Option<i64> {
        self.merged.as_ref()?.alignment_deadline_ms()
    }

    /// Whether every split is among these.
    pub fn are_all(&self, splits: &BTreeSet<String>) -> bool {
        let merged = self.merged.as_ref();
        !splits.is_empty() && merged.is_some_and(|merged| merged.len() == splits.len())
    }

    /// Whether no split takes part.
    pub fn is_idle(&self) -> bool {
        self.merged.as_ref().is_some_and(SplitWatermarks::is_idle)
    }

    pub fn emitted(&self) -> Watermark {
        self.merged
            .as_ref()
            .map_or(Watermark::MIN, SplitWatermarks::emitted)
    }
}
