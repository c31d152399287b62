//! ORDER BY event time: holds rows until the watermark passes them, then emits them in order. Late rows are dropped.

use arrow_array::UInt32Array;
use arrow_schema::DataType;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_plan::SortKey;
use millstream_state::{RowBuffer, Spill};
use millstream_types::{Batch, Watermark};

use crate::emit::push;
use crate::owned_rows::restore_owned;
use crate::sort_keys::SortKeys;
use crate::window::input::milliseconds;

pub(crate) struct TemporalSort {
    /// The time column is the first sort column.
    time: usize,
    keys: SortKeys,
    /// Processing time: rows are already in order, unless there are further sort columns.
    event_time: bool,
    rows: RowBuffer,
    late: LateRows,
}

impl TemporalSort {
    pub(crate) fn new(keys: &[SortKey], types: &[DataType], event_time: bool) -> Result<Self, DataflowError> {
        let time = keys.first().map(|key| key.column);
        let time = time.ok_or_else(|| DataflowError::internal("a temporal sort has a time column"))?;
        Ok(Self {
            time,
            keys: SortKeys::new(keys, types)?,
            event_time,
            rows: RowBuffer::new(types),
            late: LateRows::default(),
        })
    }

    fn hold(&mut self, batch: &Batch) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.time])?;
        self.rows.push(batch, Some(&times))?;
        Ok(())
    }

    /// Rows in the order of all sort columns.
    fn sorted(&self, batch: &Batch) -> Result<Batch, DataflowError> {
        let keys = self.keys.encode(&batch.columns)?;
        let mut order: Vec<u32> = (0..batch.rows as u32).collect();
        order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
        Ok(batch.take(&UInt32Array::from(order))?)
    }
}

impl TemporalSort {
    /// Lets rows move to disk.
    pub(crate) fn spill_to(mut self, spill: Option<&Spill>) -> Self {
        self.rows.spill_to(spill);
        self
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
            return push(self.sorted(&batch)?, context, out);
        }
        let (times, _) = milliseconds(&batch.columns[self.time])?;
        let watermark = context.watermark.0;
        let on_time = self
            .late
            .divide(0, &batch, context, |row| times[row] <= watermark)?;
        self.hold(&on_time.unwrap_or(batch))
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if let Some((due, _)) = self.rows.take_due(watermark.0)? {
            push(self.sorted(&due)?, context, out)?;
        }
        out.watermark(watermark)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.rows.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        restore_owned(&mut self.rows, "rows", &blocks, &[], context)
    }

    fn spilled_bytes(&self) -> u64 {
        self.rows.disk_size()
    }

    fn state_bytes(&self) -> usize {
        self.rows.memory_size()
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
