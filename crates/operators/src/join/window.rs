//! Window join: rows of two inputs with the same window and key. A window is joined once, when the watermark passes its
//! end; later rows are dropped as late.

use std::collections::BTreeMap;

use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::{RowBuffer, Spill};
use millstream_types::{Batch, Watermark};

use super::JoinSpec;
use super::bounded::BoundedJoin;
use crate::owned_rows::restore_owned;
use crate::window::input::{Rows, WindowInput, WindowTime, split_by_window};
use crate::window::wall_clock::WallClock;

pub(crate) struct WindowJoin {
    spec: JoinSpec,
    inputs: [WindowInput; 2],
    clock: WallClock,
    /// Left and right rows of each open window, by its end.
    windows: BTreeMap<i64, [RowBuffer; 2]>,
    late: LateRows,
    spill: Option<Spill>,
}

impl WindowJoin {
    pub(crate) fn new(spec: JoinSpec, ends: [usize; 2], clock: WallClock) -> Result<Self, DataflowError> {
        BoundedJoin::new(spec.clone())?;
        let input = |end| {
            let time = WindowTime::Attached {
                start: None,
                end,
                slicing: None,
            };
            WindowInput {
                time,
                columns: Vec::new(),
            }
        };
        let inputs = ends.map(input);
        Ok(Self {
            spec,
            inputs,
            clock,
            windows: BTreeMap::new(),
            late: LateRows::default(),
            spill: None,
        })
    }

    /// Lets rows move to disk.
    pub(crate) fn spill_to(mut self, spill: Option<&Spill>) -> Self {
        self.spill = spill.cloned();
        self
    }

    fn is_over(&self, end: i64, watermark: i64) -> bool {
        watermark == i64::MAX || (watermark != i64::MIN && watermark >= self.clock.fire_instant(end - 1))
    }

    /// The rows of each window; window ends are local times already.
    fn hold(
        &mut self,
        port: usize,
        batch: &Batch,
        watermark: i64,
        context: &Context,
    ) -> Result<(), DataflowError> {
        let times = self.inputs[port].times(batch, &mut WallClock::utc(), context)?;
        for (window, rows) in split_by_window(&times) {
            if self.is_over(window.end, watermark) {
                self.late.add(port, batch, &rows.positions(batch), context)?;
                continue;
            }
            let part = match rows {
                Rows::All => batch.clone(),
                Rows::Some(rows) => batch.take(&rows.into())?,
            };
            let [left, right] = [&self.spec.left.types, &self.spec.right.types];
            let sides = self.windows.entry(window.end);
            let new_rows = |types| {
                let mut rows = RowBuffer::new(types);
                rows.spill_to(self.spill.as_ref());
                rows
            };
            let sides = sides.or_insert_with(|| [new_rows(left), new_rows(right)]);
            sides[port].push(&part, None)?;
        }
        Ok(())
    }

    fn join(
        &self,
        sides: [RowBuffer; 2],
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let mut join = BoundedJoin::of_rows(self.spec.clone(), sides)?;
        join.finish(context, out)
    }
}

impl Operator for WindowJoin {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.hold(port, &batch, context.watermark.0, context)
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
            if let Some((_, sides)) = self.windows.pop_first() {
                self.join(sides, context, out)?;
            }
        }
        out.watermark(watermark)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        for (end, [left, right]) in &mut self.windows {
            left.snapshot(&format!("left/{end}"), scope, &mut out)?;
            right.snapshot(&format!("right/{end}"), scope, &mut out)?;
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let keys = [self.spec.left.keys.clone(), self.spec.right.keys.clone()];
        for (port, name) in ["left", "right"].into_iter().enumerate() {
            let mut rows = RowBuffer::new([&self.spec.left.types, &self.spec.right.types][port]);
            restore_owned(&mut rows, name, &blocks, &keys[port], context)?;
            for batch in rows.take_batches()? {
                self.hold(port, &batch, i64::MIN, context)?;
            }
        }
        Ok(())
    }

    fn spilled_bytes(&self) -> u64 {
        self.windows.values().flatten().map(RowBuffer::disk_size).sum()
    }

    fn state_bytes(&self) -> usize {
        self.windows.values().flatten().map(RowBuffer::memory_size).sum()
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
