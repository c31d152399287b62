//! OVER windows that end with the current row, over rows that only come.
//!
//! By event time rows wait for the watermark and are then taken in order; late rows are dropped: behind the watermark,
//! or, with a bounded frame, behind the last row that was emitted for the partition. By processing time every row is
//! emitted as it comes. A partition whose last row has left a RANGE frame is forgotten when the watermark passes.

pub(crate) mod bounded;
pub(crate) mod frames;
mod sliding;
pub(crate) mod updating;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::{DirtyBlocks, GroupTable, NO_GROUP, RowBuffer, Spill, StateError};
use millstream_types::{Batch, Watermark};

use crate::emit::push;
use crate::group_state::{freeze, thaw};
use crate::owned_rows::{owner, restore_owned};
use crate::window::input::milliseconds;
use frames::{FrameSpec, Frames, Past, Place};

/// The parameters of OVER windows in a plan.
#[derive(Clone, Debug)]
pub(crate) struct OverSpec {
    pub types: Vec<DataType>,
    pub partition: Vec<usize>,
    /// The time column.
    pub time: usize,
    pub event_time: bool,
    pub frame: FrameSpec,
}

pub(crate) struct Over {
    spec: OverSpec,
    table: GroupTable,
    frames: Frames,
    /// Rows that wait for the watermark.
    waiting: RowBuffer,
    /// Time of the last row that was emitted for each partition.
    last_ms: Vec<i64>,
    /// RANGE frames by event time: the times of partitions' last rows, oldest first. A partition is dropped when the
    /// watermark passes the frame of its last row.
    idle: VecDeque<(i64, u32)>,
    dirty: DirtyBlocks,
    late: LateRows,
}

impl Over {
    pub(crate) fn new(mut spec: OverSpec) -> Result<Self, DataflowError> {
        let key_types: Vec<DataType> = spec.partition.iter().map(|k| spec.types[*k].clone()).collect();
        if !spec.event_time && spec.frame.preceding.is_none() {
            // Rows with the same processing time are not peers: each sees only those that arrived before it.
            spec.frame.rows = true;
        }
        Ok(Self {
            table: GroupTable::new(&key_types)?,
            frames: Frames::new(&spec.frame, &spec.types, &spec.partition)?,
            waiting: RowBuffer::new(&spec.types),
            last_ms: Vec::new(),
            idle: VecDeque::new(),
            dirty: DirtyBlocks::default(),
            late: LateRows::default(),
            spec,
        })
    }

    fn keys(&self, batch: &Batch) -> Vec<ArrayRef> {
        let columns = self.spec.partition.iter();
        columns.map(|k| Arc::clone(&batch.columns[*k])).collect()
    }

    fn partitions(&mut self, batch: &Batch) -> Result<Vec<u32>, DataflowError> {
        let mut groups = Vec::new();
        let keys = self.keys(batch);
        self.table.intern(&keys, batch.rows, &mut groups)?;
        self.frames.resize(self.table.end());
        self.last_ms.resize(self.table.end(), i64::MIN);
        Ok(groups)
    }

    fn wait(&mut self, batch: &Batch) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.spec.time])?;
        self.waiting.push(batch, Some(&times))?;
        Ok(())
    }

    /// Drops late rows and stores the others until the watermark passes them.
    fn hold(&mut self, batch: &Batch, context: &Context) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.spec.time])?;
        let watermark = context.watermark.0;
        if times.iter().all(|time| *time > watermark) {
            return self.wait(batch);
        }
        let bounded = self.spec.frame.preceding.is_some();
        let mut partitions = Vec::new();
        if bounded {
            self.table.find(&self.keys(batch), batch.rows, &mut partitions)?;
        }
        let is_late = |row: usize| match partitions.get(row) {
            None => times[row] <= watermark,
            Some(&NO_GROUP) => false,
            Some(partition) => times[row] <= self.last_ms[*partition as usize],
        };
        let on_time = self.late.divide(0, batch, context, is_late)?;
        self.wait(on_time.as_ref().unwrap_or(batch))
    }

    /// Emits rows in order.
    fn emit(
        &mut self,
        batch: Batch,
        order: &[i64],
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let partitions = self.partitions(&batch)?;
        let results = self.frames.apply(&batch, &partitions, order)?;
        self.frames.keep(&batch, &partitions)?;
        let forgets = self.frame_ms().is_some();
        for (partition, order) in partitions.iter().zip(order) {
            let last = std::mem::replace(&mut self.last_ms[*partition as usize], *order);
            if forgets && last != *order {
                self.idle.push_back((*order, *partition));
            }
        }
        self.dirty.mark_all(&partitions);
        let mut columns = batch.columns;
        columns.extend(results);
        push(Batch::inserts(columns, batch.rows), context, out)
    }

    /// Length of a RANGE frame by event time, after which a partition can be dropped.
    fn frame_ms(&self) -> Option<i64> {
        let is_range = self.spec.event_time && !self.spec.frame.rows;
        self.spec.frame.preceding.filter(|_| is_range)
    }

    fn fire(&mut self, watermark: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        match self.waiting.take_due(watermark)? {
            Some((due, order)) => self.emit(due, &order, context, out),
            None => Ok(()),
        }
    }

    /// Drops partitions whose last row has left every future frame.
    fn forget_idle(&mut self, watermark: i64) -> Result<(), DataflowError> {
        let Some(frame_ms) = self.frame_ms() else {
            return Ok(());
        };
        while let Some((last, partition)) = self.idle.front().copied()
            && last.saturating_add(frame_ms) < watermark
        {
            self.idle.pop_front();
            if self.last_ms[partition as usize] == last && self.table.contains(partition) {
                self.frames.clear(partition);
                self.last_ms[partition as usize] = i64::MIN;
                self.dirty.mark(partition);
                self.table.remove(partition)?;
            }
        }
        self.frames.forget_gone()
    }

    /// The rows of frames by partition, in order.
    fn restore_past(
        &mut self,
        blocks: &[StateBlocks],
        context: &Context,
    ) -> Result<BTreeMap<u32, Vec<Past>>, DataflowError> {
        // The partition columns stand first.
        let keys: Vec<usize> = (0..self.spec.partition.len()).collect();
        let mut restored: BTreeMap<u32, Vec<Past>> = BTreeMap::new();
        let table = &mut self.table;
        self.frames
            .past
            .restore("past", blocks, &owner(&keys, context), |rows| {
                let columns = &rows.batch.columns[..keys.len()];
                let mut partitions = Vec::new();
                table.find(columns, rows.batch.rows, &mut partitions)?;
                for ((partition, number), order) in partitions.iter().zip(rows.numbers).zip(rows.times) {
                    let past = Past {
                        order: *order,
                        place: Place::Kept(number),
                    };
                    restored.entry(*partition).or_default().push(past);
                }
                Ok(())
            })?;
        Ok(restored)
    }
}

impl Over {
    /// Lets rows move to disk.
    pub(crate) fn spill_to(mut self, spill: Option<&Spill>) -> Self {
        self.waiting.spill_to(spill);
        self.frames.past.spill_to(spill);
        self
    }
}

impl Operator for Over {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.spec.event_time {
            return self.hold(&batch, context);
        }
        let order = vec![context.now_ms; batch.rows];
        self.emit(batch, &order, context, out)
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if self.spec.event_time {
            self.fire(watermark.0, context, out)?;
            self.forget_idle(watermark.0)?;
        }
        out.watermark(watermark)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.table.snapshot("keys", scope, &mut out)?;
        let (frames, last) = (&self.frames, &self.last_ms);
        freeze(
            "partitions",
            &self.table,
            &mut self.dirty,
            scope,
            &mut out,
            |groups| {
                let number = |value: &dyn Fn(u32) -> i64| -> ArrayRef {
                    Arc::new(Int64Array::from_iter_values(
                        groups.iter().map(|group| value(*group)),
                    ))
                };
                let counters = |group: u32| frames.partitions[group as usize].counters();
                let mut columns = vec![number(&|group| last[group as usize])];
                for i in 0..frames::COUNTERS {
                    columns.push(number(&|group| counters(group)[i]));
                }
                columns.extend(frames.aggregates.state(groups)?);
                Ok(columns)
            },
        )?;
        self.waiting.snapshot("waiting", scope, &mut out)?;
        self.frames.past.snapshot("past", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let maps = self
            .table
            .restore("keys", &blocks, context.key_groups(), context.max_parallelism)?;
        self.frames.resize(self.table.end());
        self.last_ms.resize(self.table.end(), i64::MIN);
        let past = self.restore_past(&blocks, context)?;
        let Self {
            frames,
            last_ms,
            dirty,
            idle,
            ..
        } = self;
        thaw("partitions", &blocks, &maps, |groups, columns| {
            let number = |i: usize| {
                let column = columns.get(i).and_then(|c| c.as_primitive_opt::<Int64Type>());
                column.ok_or_else(|| StateError::corrupt("partitions", "counters are missing"))
            };
            for (i, group) in groups.iter().enumerate() {
                last_ms[*group as usize] = number(0)?.value(i);
                let mut counters = [0; frames::COUNTERS];
                for (n, counter) in counters.iter_mut().enumerate() {
                    *counter = number(n + 1)?.value(i);
                }
                let kept = past.get(group).map_or(&[][..], Vec::as_slice);
                frames.partitions[*group as usize].restore(counters, kept);
                idle.push_back((last_ms[*group as usize], *group));
            }
            dirty.mark_all(groups);
            frames.aggregates.merge(groups, &columns[1 + frames::COUNTERS..])
        })?;
        self.idle.make_contiguous().sort_unstable();
        restore_owned(
            &mut self.waiting,
            "waiting",
            &blocks,
            &self.spec.partition,
            context,
        )
    }

    fn spilled_bytes(&self) -> u64 {
        self.waiting.disk_size() + self.frames.past.disk_size()
    }

    fn state_bytes(&self) -> usize {
        let partitions =
            self.last_ms.capacity() * size_of::<i64>() + self.idle.capacity() * size_of::<(i64, u32)>();
        self.table.memory_size() + self.frames.memory_size() + self.waiting.memory_size() + partitions
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
