//! Top-N and deduplication within windows: stores a window's rows until the watermark passes its end, then emits the
//! passing ones once.

use std::collections::BTreeMap;

use arrow_array::UInt32Array;
use arrow_schema::DataType;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_plan::{RankKind, RankRange, SortKey};
use millstream_state::{RowBuffer, Spill};
use millstream_types::{Batch, Watermark};

use super::bounded::{BoundedRankSpec, ranked};
use crate::emit::push;
use crate::owned_rows::restore_owned;
use crate::window::input::{Rows, WindowInput, WindowTime, split_by_window};
use crate::window::wall_clock::WallClock;

/// Size of a window above which rows that cannot pass are dropped.
const PRUNE_ROWS: usize = 16_384;

/// The operator. The partition includes the window columns.
pub(crate) struct WindowRank {
    spec: BoundedRankSpec,
    input: WindowInput,
    clock: WallClock,
    /// The best rows so far of each open window, by its end.
    windows: BTreeMap<i64, (RowBuffer, usize)>,
    /// Among rows that compare equal, the last one to arrive is first.
    last_of_equals: bool,
    late: LateRows,
    spill: Option<Spill>,
}

/// The first or last row of a key within its window, expressed as a rank.
pub(crate) fn deduplicate_spec(
    types: &[DataType],
    keys: &[usize],
    time: usize,
    keep_last: bool,
) -> BoundedRankSpec {
    BoundedRankSpec {
        kind: RankKind::RowNumber,
        types: types.to_vec(),
        partition: keys.to_vec(),
        order: vec![SortKey {
            column: time,
            ascending: !keep_last,
            nulls_first: !keep_last,
        }],
        range: RankRange::Constant { from: 1, to: 1 },
        rank_output: false,
    }
}

impl WindowRank {
    pub(crate) fn new(spec: BoundedRankSpec, window_end: usize, clock: WallClock) -> Self {
        let time = WindowTime::Attached {
            start: None,
            end: window_end,
            slicing: None,
        };
        let input = WindowInput {
            time,
            columns: Vec::new(),
        };
        Self {
            spec,
            input,
            clock,
            windows: BTreeMap::new(),
            last_of_equals: false,
            late: LateRows::default(),
            spill: None,
        }
    }

    /// Lets rows move to disk.
    pub(crate) fn spill_to(mut self, spill: Option<&Spill>) -> Self {
        self.spill = spill.cloned();
        self
    }

    fn new_rows(&self) -> RowBuffer {
        let mut rows = RowBuffer::new(&self.spec.types);
        rows.spill_to(self.spill.as_ref());
        rows
    }

    pub(crate) fn last_of_equals(mut self, last: bool) -> Self {
        self.last_of_equals = last;
        self
    }

    /// The rows of a window that pass.
    fn best(&self, spec: &BoundedRankSpec, rows: &Batch) -> Result<Batch, DataflowError> {
        if !self.last_of_equals {
            return ranked(spec, rows);
        }
        let backwards = UInt32Array::from_iter_values((0..rows.rows as u32).rev());
        ranked(spec, &rows.take(&backwards)?)
    }

    fn is_over(&self, end: i64, watermark: i64) -> bool {
        watermark == i64::MAX || (watermark != i64::MIN && watermark >= self.clock.fire_instant(end - 1))
    }

    fn add(&mut self, end: i64, batch: Batch) -> Result<(), DataflowError> {
        let held = self.windows.remove(&end);
        let (mut rows, mut pruned) = held.unwrap_or_else(|| (self.new_rows(), 0));
        rows.push(&batch, None)?;
        if rows.len() > PRUNE_ROWS.max(pruned * 2) {
            let without_rank = BoundedRankSpec {
                rank_output: false,
                ..self.spec.clone()
            };
            // All ranks up to the last passing one are needed until the end.
            let spec = BoundedRankSpec {
                range: from_first(without_rank.range),
                ..without_rank
            };
            if let Some(all) = rows.take_all()? {
                rows.push(&self.best(&spec, &all)?, None)?;
            }
            pruned = rows.len();
        }
        self.windows.insert(end, (rows, pruned));
        Ok(())
    }
}

fn from_first(range: RankRange) -> RankRange {
    match range {
        RankRange::Constant { to, .. } => RankRange::Constant { from: 1, to },
        variable => variable,
    }
}

impl Operator for WindowRank {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        // Window ends are already local times.
        let times = self.input.times(&batch, &mut WallClock::utc(), context)?;
        for (window, rows) in split_by_window(&times) {
            if self.is_over(window.end, context.watermark.0) {
                self.late.add(0, &batch, &rows.positions(&batch), context)?;
                continue;
            }
            let part = match rows {
                Rows::All => batch.clone(),
                Rows::Some(rows) => batch.take(&rows.into())?,
            };
            self.add(window.end, part)?;
        }
        Ok(())
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        while let Some((end, _)) = self.windows.first_key_value() {
            if !self.is_over(*end, watermark.0) {
                break;
            }
            if let Some((_, (mut rows, _))) = self.windows.pop_first()
                && let Some(all) = rows.take_all()?
            {
                push(self.best(&self.spec, &all)?, context, out)?;
            }
        }
        out.watermark(watermark)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        for (end, (rows, _)) in &mut self.windows {
            rows.snapshot(&format!("window/{end}"), scope, &mut out)?;
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let mut rows = RowBuffer::new(&self.spec.types);
        restore_owned(&mut rows, "window", &blocks, &self.spec.partition, context)?;
        for batch in rows.take_batches()? {
            let times = self.input.times(&batch, &mut WallClock::utc(), context)?;
            for (window, rows) in split_by_window(&times) {
                let part = match rows {
                    Rows::All => batch.clone(),
                    Rows::Some(rows) => batch.take(&rows.into())?,
                };
                self.add(window.end, part)?;
            }
        }
        Ok(())
    }

    fn spilled_bytes(&self) -> u64 {
        self.windows.values().map(|(rows, _)| rows.disk_size()).sum()
    }

    fn state_bytes(&self) -> usize {
        self.windows.values().map(|(rows, _)| rows.memory_size()).sum()
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
