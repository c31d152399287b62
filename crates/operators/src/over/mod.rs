//! OVER windows that end with the current row, over rows that only come.
//!
//! By event time rows wait for the watermark and are then taken in order; late rows are dropped: behind the watermark,
//! or, with a bounded frame, behind the last row that was emitted for the partition. By processing time every row is
//! emitted as it comes.

pub(crate) mod bounded;
pub(crate) mod frames;
mod sliding;
pub(crate) mod updating;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::{DirtyBlocks, GroupTable, StateError};
use millstream_types::{Batch, Watermark};

use crate::buffered::BufferedRows;
use crate::emit::push;
use crate::group_state::{freeze, thaw};
use crate::owned_rows::restore_owned;
use crate::window::input::milliseconds;
use frames::{FrameSpec, Frames, Past};

/// What a plan says about OVER windows.
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
    /// Rows whose time has not come.
    waiting: BufferedRows,
    earliest: i64,
    /// Time of the last row that was emitted for each partition.
    last_ms: Vec<i64>,
    dirty: DirtyBlocks,
    late_rows: u64,
}

impl Over {
    pub(crate) fn new(spec: OverSpec) -> Result<Self, DataflowError> {
        let key_types: Vec<DataType> = spec.partition.iter().map(|k| spec.types[*k].clone()).collect();
        Ok(Self {
            table: GroupTable::new(&key_types)?,
            frames: Frames::new(&spec.frame)?,
            waiting: BufferedRows::default(),
            earliest: i64::MAX,
            last_ms: Vec::new(),
            dirty: DirtyBlocks::default(),
            late_rows: 0,
            spec,
        })
    }

    fn partitions(&mut self, batch: &Batch) -> Result<Vec<u32>, DataflowError> {
        let keys: Vec<ArrayRef> = self
            .spec
            .partition
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.intern(&keys, batch.rows, &mut groups)?;
        self.frames.resize(self.table.end());
        self.last_ms.resize(self.table.end(), i64::MIN);
        Ok(groups)
    }

    fn wait(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.spec.time])?;
        self.earliest = times.iter().copied().fold(self.earliest, i64::min);
        self.waiting.push(batch);
        Ok(())
    }

    /// Drops late rows and keeps the others for the watermark.
    fn hold(&mut self, batch: Batch, context: &Context) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.spec.time])?;
        let watermark = context.watermark.0;
        if times.iter().all(|time| *time > watermark) {
            return self.wait(batch);
        }
        let bounded = self.spec.frame.preceding.is_some();
        let partitions = if bounded {
            self.partitions(&batch)?
        } else {
            Vec::new()
        };
        let is_late = |row: usize| {
            if bounded {
                times[row] <= self.last_ms[partitions[row] as usize]
            } else {
                times[row] <= watermark
            }
        };
        let on_time: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| !is_late(*row as usize))
            .collect();
        self.late_rows += (batch.rows - on_time.len()) as u64;
        self.wait(batch.take(&UInt32Array::from(on_time))?)
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
        let batch = Arc::new(batch);
        let results = self.frames.apply(&batch, &partitions, order)?;
        for (row, partition) in partitions.iter().enumerate() {
            self.last_ms[*partition as usize] = order[row];
        }
        self.dirty.mark_all(&partitions);
        let mut columns = batch.columns.clone();
        columns.extend(results);
        push(Batch::inserts(columns, batch.rows), context, out)
    }

    fn fire(&mut self, watermark: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.earliest > watermark {
            return Ok(());
        }
        let Some(all) = self.waiting.take_all()? else {
            return Ok(());
        };
        let (times, _) = milliseconds(&all.columns[self.spec.time])?;
        let (mut due, rest): (Vec<u32>, Vec<u32>) =
            (0..all.rows as u32).partition(|row| times[*row as usize] <= watermark);
        due.sort_by_key(|row| times[*row as usize]);
        let order: Vec<i64> = due.iter().map(|row| times[*row as usize]).collect();
        self.earliest = i64::MAX;
        self.wait(all.take(&UInt32Array::from(rest))?)?;
        self.emit(all.take(&UInt32Array::from(due))?, &order, context, out)
    }

    /// Rows of frames (or those that LAG looks back at) of all partitions, with their order behind them.
    fn past_rows(
        &self,
        of: impl Fn(&frames::Partition) -> &std::collections::VecDeque<Past>,
    ) -> BufferedRows {
        let mut rows = BufferedRows::default();
        for group in self.table.groups() {
            for past in of(&self.frames.partitions[group as usize]) {
                let mut row = past.batch.slice(past.row as usize, 1);
                row.columns.push(Arc::new(Int64Array::from(vec![past.order])));
                row.kinds = None;
                rows.push(row);
            }
        }
        rows
    }

    fn restore_past(
        &mut self,
        name: &str,
        blocks: &[StateBlocks],
        context: &Context,
    ) -> Result<Vec<(u32, Past)>, DataflowError> {
        let mut rows = BufferedRows::default();
        restore_owned(&mut rows, name, blocks, &self.spec.partition, context)?;
        let mut restored = Vec::new();
        for mut batch in rows.take_batches() {
            let order = batch
                .columns
                .pop()
                .and_then(|c| c.as_primitive_opt::<Int64Type>().cloned());
            let order = order.ok_or_else(|| StateError::corrupt(name, "no order"))?;
            let partitions = self.partitions(&batch)?;
            let batch = Arc::new(batch);
            for (row, partition) in partitions.iter().enumerate() {
                let past = Past {
                    order: order.value(row),
                    batch: Arc::clone(&batch),
                    row: row as u32,
                };
                restored.push((*partition, past));
            }
        }
        Ok(restored)
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
            return self.hold(batch, context);
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
        self.waiting.snapshot("waiting", &mut out)?;
        self.past_rows(|partition| &partition.frame)
            .snapshot("frame", &mut out)?;
        self.past_rows(|partition| &partition.recent)
            .snapshot("recent", &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let maps = self
            .table
            .restore("keys", &blocks, context.key_groups(), context.max_parallelism)?;
        self.frames.resize(self.table.end());
        self.last_ms.resize(self.table.end(), i64::MIN);
        let Self {
            frames,
            last_ms,
            dirty,
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
                frames.partitions[*group as usize].set_counters(counters);
            }
            dirty.mark_all(groups);
            frames.aggregates.merge(groups, &columns[1 + frames::COUNTERS..])
        })?;
        for (partition, past) in self.restore_past("frame", &blocks, context)? {
            self.frames.partitions[partition as usize].frame.push_back(past);
        }
        for (partition, past) in self.restore_past("recent", &blocks, context)? {
            self.frames.partitions[partition as usize].recent.push_back(past);
        }
        let mut waiting = BufferedRows::default();
        restore_owned(&mut waiting, "waiting", &blocks, &self.spec.partition, context)?;
        waiting
            .take_batches()
            .into_iter()
            .try_for_each(|batch| self.wait(batch))
    }

    fn state_bytes(&self) -> usize {
        self.table.memory_size() + self.frames.aggregates.memory_size() + self.waiting.memory_size()
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
