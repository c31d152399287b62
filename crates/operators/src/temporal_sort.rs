//! ORDER BY an event time: rows are held until the watermark passes them, then emitted in order. Rows behind the
//! watermark are dropped.

use arrow_array::UInt32Array;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::SortKey;
use millstream_state::RowBuffer;
use millstream_types::{Batch, Watermark};

use crate::emit::push;
use crate::owned_rows::restore_owned;
use crate::sort_keys::SortKeys;
use crate::window::input::milliseconds;

pub(crate) struct TemporalSort {
    /// The time column is the first sort column.
    time: usize,
    keys: SortKeys,
    /// Processing time: rows are in order already, unless further columns sort.
    event_time: bool,
    rows: RowBuffer,
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
            rows: RowBuffer::new(types),
            late_rows: 0,
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
        let on_time: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| times[*row as usize] > watermark)
            .collect();
        if on_time.len() == batch.rows {
            return self.hold(&batch);
        }
        self.late_rows += (batch.rows - on_time.len()) as u64;
        self.hold(&batch.take(&UInt32Array::from(on_time))?)
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

    fn state_bytes(&self) -> usize {
        self.rows.memory_size()
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
