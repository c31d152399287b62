//! ORDER BY an event time: rows are held until the watermark passes them, then emitted in order. Rows behind the
//! watermark are dropped.

use arrow_array::UInt32Array;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::SortKey;
use millstream_types::{Batch, Watermark};

use crate::buffered::BufferedRows;
use crate::emit::push;
use crate::sort_keys::SortKeys;
use crate::window::input::milliseconds;

pub(crate) struct TemporalSort {
    /// The time column is the first sort column.
    time: usize,
    keys: SortKeys,
    /// Processing time: rows are in order already, unless further columns sort.
    event_time: bool,
    rows: BufferedRows,
    earliest: i64,
    late_rows: u64,
}

impl TemporalSort {
    pub(crate) fn new(keys: &[SortKey], types: &[DataType], event_time: bool) -> Result<Self, DataflowError> {
        let time = keys.first().map(|key| key.column);
        let time = time.ok_or_else(|| DataflowError::internal("a temporal sort has a time column"))?;
        Ok(Self {
            time,
            keys: SortKeys::new(keys, types)?,
            event_time,
            rows: BufferedRows::default(),
            earliest: i64::MAX,
            late_rows: 0,
        })
    }

    fn hold(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.time])?;
        self.earliest = times.iter().copied().fold(self.earliest, i64::min);
        self.rows.push(batch);
        Ok(())
    }

    /// Emits the rows whose time has come and holds the others.
    fn emit_due(
        &mut self,
        all: &Batch,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&all.columns[self.time])?;
        let (mut due, rest): (Vec<u32>, Vec<u32>) =
            (0..all.rows as u32).partition(|row| times[*row as usize] <= watermark.0);
        let keys = self.keys.encode(&all.columns)?;
        due.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
        push(all.take(&UInt32Array::from(due))?, context, out)?;
        self.earliest = i64::MAX;
        self.hold(all.take(&UInt32Array::from(rest))?)
    }
}

impl Operator for TemporalSort {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if !self.event_time {
            let keys = self.keys.encode(&batch.columns)?;
            let mut order: Vec<u32> = (0..batch.rows as u32).collect();
            order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
            return push(batch.take(&UInt32Array::from(order))?, context, out);
        }
        let (times, _) = milliseconds(&batch.columns[self.time])?;
        let watermark = context.watermark.0;
        let on_time: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| times[*row as usize] > watermark)
            .collect();
        if on_time.len() == batch.rows {
            return self.hold(batch);
        }
        self.late_rows += (batch.rows - on_time.len()) as u64;
        self.hold(batch.take(&UInt32Array::from(on_time))?)
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if self.earliest <= watermark.0
            && let Some(all) = self.rows.take_all()?
        {
            self.emit_due(&all, watermark, context, out)?;
        }
        out.watermark(watermark)
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.rows.snapshot("rows", &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        if context.subtask > 0 {
            return Ok(());
        }
        let mut rows = BufferedRows::default();
        rows.restore("rows", &blocks)?;
        rows.take_batches()
            .into_iter()
            .try_for_each(|batch| self.hold(batch))
    }

    fn state_bytes(&self) -> usize {
        self.rows.memory_size()
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
