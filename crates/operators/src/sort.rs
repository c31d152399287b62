//! ORDER BY over a bounded input, with or without a limit: stores rows and sorts them at the end. Equal rows stay in
//! arrival order.

use arrow_array::UInt32Array;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::SortKey;
use millstream_state::RowBuffer;
use millstream_types::Batch;

use crate::emit::push;
use crate::owned_rows::restore_owned;
use crate::sort_keys::SortKeys;

/// Rows held beyond the limit before those that cannot pass are dropped.
const SLACK_ROWS: usize = 65_536;

pub(crate) struct Sort {
    keys: SortKeys,
    rows: RowBuffer,
    offset: usize,
    /// Rows that can pass at all.
    end: usize,
}

impl Sort {
    pub(crate) fn new(
        keys: &[SortKey],
        types: &[arrow_schema::DataType],
        offset: u64,
        fetch: Option<u64>,
    ) -> Result<Self, DataflowError> {
        let end = fetch.map_or(u64::MAX, |fetch| offset.saturating_add(fetch));
        Ok(Self {
            keys: SortKeys::new(keys, types)?,
            rows: RowBuffer::new(types),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
            end: usize::try_from(end).unwrap_or(usize::MAX),
        })
    }

    /// All rows that can pass, in order.
    fn sorted(&mut self) -> Result<Option<Batch>, DataflowError> {
        let Some(batch) = self.rows.take_all()? else {
            return Ok(None);
        };
        let mut order: Vec<u32> = (0..batch.rows as u32).collect();
        if !self.keys.is_empty() {
            let keys = self.keys.encode(&batch.columns)?;
            order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
        }
        order.truncate(self.end);
        Ok(Some(batch.take(&UInt32Array::from(order))?))
    }
}

impl Operator for Sort {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        _: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.rows.push(&batch, None)?;
        if self.rows.len() > self.end.saturating_mul(2).saturating_add(SLACK_ROWS)
            && let Some(best) = self.sorted()?
        {
            self.rows.push(&best, None)?;
        }
        Ok(())
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some(batch) = self.sorted()? else {
            return Ok(());
        };
        let from = self.offset.min(batch.rows);
        push(batch.slice(from, batch.rows - from), context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.rows.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        // A sort has a single instance.
        restore_owned(&mut self.rows, "rows", &blocks, &[], context)
    }

    fn state_bytes(&self) -> usize {
        self.rows.memory_size()
    }
}
