//! Interval join: rows of two inputs whose times are within bounds of each other.
//!
//! Each side keeps its rows until the other side's time can no longer reach them; then an outer side pads rows that
//! never matched. The rows of a side that is not outer move to disk if memory has no room for them: nothing has to be
//! done when they expire. Late rows are not dropped: they still match what is kept. Rows may leave with times far behind the
//! watermark, so the watermark is held back by the larger bound.

use std::collections::BTreeSet;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_functions::Environment;
use millstream_plan::{Expr, JoinKind, TimeBounds};
use millstream_state::{Expiry, NO_GROUP, RowStore, Spill};
use millstream_types::{Batch, RowKind, Watermark};

use super::pairs::{Pairs, SideRow, gather};
use crate::cold::{RowRoom, part_of};
use crate::emit::{push, take_columns};
use crate::expression::RowExpression;
use crate::window::input::milliseconds;

/// The parameters of an interval join in a plan.
#[derive(Clone)]
pub(crate) struct IntervalJoinSpec {
    pub kind: JoinKind,
    pub types: [Vec<DataType>; 2],
    pub keys: [Vec<usize>; 2],
    pub bounds: TimeBounds,
    pub condition: Option<Expr>,
    pub env: Environment,
}

struct Side {
    store: RowStore,
    types: Vec<DataType>,
    keys: Vec<usize>,
    time: usize,
    /// How far the other side's time must pass a row's time before the row is dropped.
    reach_ms: i64,
    outer: bool,
    /// Rows by time. Rows of an outer side are marked when they match.
    by_time: BTreeSet<(i64, u32)>,
}

impl Side {
    fn new(spec: &IntervalJoinSpec, port: usize, spill: Option<&Spill>) -> Result<Self, DataflowError> {
        let bounds = spec.bounds;
        let (time, reach_ms) = if port == 0 {
            (bounds.left_time, -bounds.lower_ms)
        } else {
            (bounds.right_time, bounds.upper_ms)
        };
        let outer = super::rules::counts_associations(spec.kind, port);
        let mut store = RowStore::new(&spec.types[port], &spec.keys[port])?;
        store.spill_to(spill.filter(|_| !outer), Expiry::Time);
        Ok(Self {
            store,
            types: spec.types[port].clone(),
            keys: spec.keys[port].clone(),
            time,
            reach_ms,
            outer,
            by_time: BTreeSet::new(),
        })
    }

    /// Marks a row as matched; needed only for outer sides.
    fn set_matched(&mut self, row: u32) {
        if self.outer {
            self.store.mark(row);
        }
    }

    fn keep(&mut self, key: u32, row: u32, time: i64, matched: bool) {
        if self.store.add(key, row, time) == 1 {
            self.by_time.insert((time, row));
        }
        if matched {
            self.set_matched(row);
        }
    }

    /// The latest time of rows that can no longer match when the other side is complete up to `progress`.
    fn expired_ms(&self, progress: i64) -> i64 {
        match progress {
            i64::MAX => i64::MAX,
            _ => progress.saturating_sub(self.reach_ms).saturating_sub(1),
        }
    }

    /// Moves whole keys to disk that take about this many bytes.
    fn evict(&mut self, bytes: usize) -> Result<(), DataflowError> {
        let keys = self.store.least_used(bytes, self.used_bytes());
        for row in keys.iter().flat_map(|key| self.store.rows_of(*key)) {
            self.by_time.remove(&(self.store.time_ms(row), row));
        }
        Ok(self.store.evict(&keys, |_| 0)?)
    }

    /// Takes note of rows that a lookup brought back from disk. Some may have expired there.
    fn adopt_recalled(&mut self, progress: i64) {
        let expired_ms = self.expired_ms(progress);
        for (row, _) in self.store.recalled() {
            let time = self.store.time_ms(row);
            if time <= expired_ms {
                self.store.remove(row);
            } else {
                self.by_time.insert((time, row));
            }
        }
    }

    fn used_bytes(&self) -> usize {
        self.store.used_bytes() + self.by_time.len() * size_of::<(i64, u32)>()
    }
}

pub(crate) struct IntervalJoin {
    spec: IntervalJoinSpec,
    condition: Option<RowExpression>,
    sides: [Side; 2],
    room: RowRoom,
}

impl IntervalJoin {
    pub(crate) fn new(spec: IntervalJoinSpec, context: &Context) -> Result<Self, DataflowError> {
        let condition = spec
            .condition
            .as_ref()
            .map(|c| RowExpression::new(c, &spec.env))
            .transpose()?;
        let spill = context.spill.as_ref();
        let sides = [Side::new(&spec, 0, spill)?, Side::new(&spec, 1, spill)?];
        let room = RowRoom::new(spill, sides.iter().any(|side| side.store.can_spill()));
        Ok(Self {
            spec,
            condition,
            sides,
            room,
        })
    }

    /// Moves rows of sides that are not outer to disk if there is no more room in memory.
    fn make_room(&mut self) -> Result<(), DataflowError> {
        let excess = self.room.excess(self.sides.iter().map(Side::used_bytes).sum());
        if excess == 0 {
            return Ok(());
        }
        let movable = self.sides.iter().filter(|side| side.store.can_spill());
        let all: usize = movable.map(Side::used_bytes).sum();
        for side in self.sides.iter_mut().filter(|side| side.store.can_spill()) {
            side.evict(part_of(side.used_bytes(), excess.min(all), all))?;
        }
        Ok(())
    }

    /// The bounds on the other side's times for a row of `port` at `time`.
    fn window(&self, port: usize, time: i64) -> (i64, i64) {
        let TimeBounds {
            lower_ms, upper_ms, ..
        } = self.spec.bounds;
        if port == 0 {
            (time.saturating_sub(upper_ms), time.saturating_sub(lower_ms))
        } else {
            (time.saturating_add(lower_ms), time.saturating_add(upper_ms))
        }
    }

    fn pairs(
        &mut self,
        port: usize,
        batch: &Batch,
        times: &[i64],
        context: &Context,
    ) -> Result<Pairs, DataflowError> {
        let columns: Vec<ArrayRef> = self.sides[port]
            .keys
            .iter()
            .map(|k| ArrayRef::clone(&batch.columns[*k]))
            .collect();
        let mut keys = Vec::new();
        self.sides[1 - port]
            .store
            .find_keys(&columns, batch.rows, &mut keys)?;
        let progress = self.progress(context);
        self.sides[1 - port].adopt_recalled(progress);
        let mut pairs = Pairs::new(0..batch.rows);
        for (row, key) in keys.iter().enumerate() {
            if *key != NO_GROUP && columns.iter().all(|c| c.is_valid(row)) {
                let (from, until) = self.window(port, times[row]);
                let other = &self.sides[1 - port].store;
                let within = |other_row: &u32| (from..=until).contains(&other.time_ms(*other_row));
                other
                    .rows_of(*key)
                    .filter(within)
                    .for_each(|other_row| pairs.add(row, other_row));
            }
            pairs.end_row();
        }
        if let Some(condition) = self.condition.as_mut().filter(|_| !pairs.is_empty()) {
            let own = take_columns(&batch.columns, pairs.own())?;
            let other = self.sides[1 - port].store.columns(pairs.others())?;
            let columns = if port == 0 {
                [own, other].concat()
            } else {
                [other, own].concat()
            };
            let keep = condition.condition(&columns, pairs.len(), context)?;
            pairs.retain(&keep);
        }
        Ok(pairs)
    }

    /// The time up to which the other side is complete.
    fn progress(&self, context: &Context) -> i64 {
        if self.spec.bounds.event_time {
            context.watermark.0
        } else {
            context.now_ms - 1
        }
    }

    /// Removes rows that can no longer match; an outer side emits those that never matched.
    fn expire(
        &mut self,
        progress: i64,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        for port in 0..2 {
            let side = &mut self.sides[port];
            let expired_ms = side.expired_ms(progress);
            side.store.expire_cold(expired_ms);
            let mut padded = Vec::new();
            while let Some((time, row)) = side.by_time.first().copied() {
                if time > expired_ms {
                    break;
                }
                side.by_time.pop_first();
                if side.outer && !side.store.is_marked(row) {
                    padded.extend(std::iter::repeat_n(Some(row), side.store.count(row) as usize));
                }
                side.store.remove(row);
            }
            let side = &self.sides[port];
            let own = gather(&SideRow::Stored(&side.store, &side.types), &padded)?;
            self.push_padded(port, own, padded.len(), context, out)?;
            self.sides[port].store.end_batch()?;
        }
        Ok(())
    }

    /// Emits rows of one side, padded with NULLs.
    fn push_padded(
        &self,
        port: usize,
        own: Vec<ArrayRef>,
        rows: usize,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if rows == 0 {
            return Ok(());
        }
        let null = |ty| arrow_array::new_null_array(ty, rows);
        let other: Vec<ArrayRef> = self.sides[1 - port].types.iter().map(null).collect();
        let columns = if port == 0 {
            [own, other].concat()
        } else {
            [other, own].concat()
        };
        push(Batch::inserts(columns, rows), context, out)
    }

    /// Emits pairs, stores the rows of the batch that may still match, and pads those that never will.
    fn apply(
        &mut self,
        port: usize,
        batch: &Batch,
        times: &[i64],
        pairs: &Pairs,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for row in 0..batch.rows {
            for other_row in pairs.of_row(row) {
                self.sides[1 - port].set_matched(*other_row);
                for _ in 0..self.sides[1 - port].store.count(*other_row) {
                    own.push(Some(row as u32));
                    other.push(Some(*other_row));
                }
            }
        }
        let own_columns = gather(&SideRow::Batch(&batch.columns), &own)?;
        let other_side = &self.sides[1 - port];
        let other_columns = gather(&SideRow::Stored(&other_side.store, &other_side.types), &other)?;
        let parts = if port == 0 {
            [own_columns, other_columns]
        } else {
            [other_columns, own_columns]
        };
        push(
            Batch::changes(parts.concat(), vec![RowKind::Insert; own.len()]),
            context,
            out,
        )?;
        let progress = self.progress(context);
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.sides[port]
            .store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        self.sides[port].adopt_recalled(progress);
        let mut alone = Vec::new();
        for (row, time) in times.iter().enumerate() {
            let matched = !pairs.of_row(row).is_empty();
            let side = &mut self.sides[port];
            if time.saturating_add(side.reach_ms) > progress {
                side.keep(keys[row], rows[row], *time, matched);
            } else if side.outer && !matched {
                alone.push(row as u32);
            }
        }
        let columns = take_columns(&batch.columns, &alone)?;
        self.push_padded(port, columns, alone.len(), context, out)?;
        Ok(self.sides[port].store.end_batch()?)
    }
}

impl Operator for IntervalJoin {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        let times: Vec<i64> = if self.spec.bounds.event_time {
            milliseconds(&batch.columns[self.sides[port].time])?.0.to_vec()
        } else {
            vec![context.now_ms; batch.rows]
        };
        self.make_room()?;
        let pairs = self.pairs(port, &batch, &times, context)?;
        self.apply(port, &batch, &times, &pairs, context, out)
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if self.spec.bounds.event_time {
            self.expire(watermark.0, context, out)?;
        }
        if watermark == Watermark::MAX || !self.spec.bounds.event_time {
            return out.watermark(watermark);
        }
        let delay = self.sides.iter().map(|side| side.reach_ms).fold(0, i64::max);
        out.watermark(Watermark(watermark.0.saturating_sub(delay)))
    }

    fn next_timer(&self) -> Option<i64> {
        if self.spec.bounds.event_time {
            return None;
        }
        let due = |side: &Side| {
            side.by_time
                .first()
                .map(|(time, _)| time.saturating_add(side.reach_ms) + 2)
        };
        self.sides.iter().filter_map(due).min()
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.spec.bounds.event_time {
            return Ok(());
        }
        self.expire(context.now_ms - 1, context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        for (side, name) in self.sides.iter_mut().zip(["left", "right"]) {
            side.store.snapshot(name, scope, &mut out)?;
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        for (side, name) in self.sides.iter_mut().zip(["left", "right"]) {
            side.store
                .restore(name, &blocks, context.key_groups(), context.max_parallelism)?;
            let all: Vec<u32> = side.store.rows().collect();
            all.iter().for_each(|row| {
                side.by_time.insert((side.store.time_ms(*row), *row));
            });
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.sides.iter().map(Side::used_bytes).sum()
    }

    fn spilled_bytes(&self) -> u64 {
        self.sides.iter().map(|side| side.store.disk_size()).sum()
    }
}
