//! SESSION windows: rows of a key that follow each other within a gap.
//!
//! A row opens a session from its time to its time plus the gap; sessions of a key that touch become one, so that a
//! row may join two. State is a list of open sessions for each key, with an accumulator slot each. A row is late only
//! if the session that it would be in has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::group_table::block_name;
use millstream_state::{DirtyBlocks, GROUPS_PER_BLOCK, GroupTable, StateError, encode_columns};
use millstream_types::{Batch, Watermark};

use super::input::WindowInput;
use super::slice::SliceSpec;
use super::wall_clock::WallClock;
use super::{Window, WindowColumns, forget_unused};
use crate::aggregate::AggregateCalls;
use crate::emit::{push, retractions, take_columns};
use crate::group_state::thaw;

/// The parameters of a session aggregate in a plan.
#[derive(Clone)]
pub(crate) struct SessionSpec {
    pub input: WindowInput,
    pub slices: SliceSpec,
    pub gap_ms: i64,
    pub event_time: bool,
    pub clock: WallClock,
    pub properties: WindowColumns,
    pub bounded: bool,
}

/// An open session and its accumulator slot.
#[derive(Clone, Copy, Debug)]
struct Session {
    window: Window,
    slot: u32,
}

/// The operator; see the module documentation.
pub(crate) struct SessionAggregate {
    spec: SessionSpec,
    table: GroupTable,
    calls: AggregateCalls,
    /// Open sessions of each key, unordered.
    sessions: Vec<Vec<Session>>,
    /// Rows of each slot.
    rows: Vec<i64>,
    /// Key and session of each used slot.
    owners: Vec<Option<(u32, Window)>>,
    free: Vec<u32>,
    /// Blocks of slots that changed since a checkpoint.
    dirty: DirtyBlocks,
    /// Sessions by end, then start, then key.
    due: BTreeSet<(Window, u32)>,
    late: LateRows,
    groups: Vec<u32>,
}

/// Accumulator slots of a batch's rows while sessions merge.
#[derive(Default)]
struct Assigned {
    rows: Vec<u32>,
    slots: Vec<u32>,
    /// Merged slots, and their targets.
    merged: BTreeMap<u32, u32>,
}

impl SessionAggregate {
    pub(crate) fn new(spec: SessionSpec) -> Result<Self, DataflowError> {
        Ok(Self {
            table: GroupTable::new(&spec.slices.key_types)?,
            calls: spec.slices.aggregates.instantiate(),
            sessions: Vec::new(),
            rows: Vec::new(),
            owners: Vec::new(),
            dirty: DirtyBlocks::default(),
            free: Vec::new(),
            due: BTreeSet::new(),
            late: LateRows::default(),
            groups: Vec::new(),
            spec,
        })
    }

    fn new_slot(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.rows.push(0);
            self.owners.push(None);
            self.calls.resize(self.rows.len());
            (self.rows.len() - 1) as u32
        })
    }

    /// The slot of a row with this window; `None` if it is late.
    fn assign(
        &mut self,
        key: u32,
        window: Window,
        progress: i64,
        assigned: &mut Assigned,
    ) -> Result<Option<u32>, DataflowError> {
        let open = &mut self.sessions[key as usize];
        let touches =
            |session: &Session| session.window.start <= window.end && session.window.end >= window.start;
        let (joined, apart): (Vec<Session>, Vec<Session>) = open.drain(..).partition(touches);
        *open = apart;
        let whole = joined.iter().fold(window, |whole, session| Window {
            start: whole.start.min(session.window.start),
            end: whole.end.max(session.window.end),
        });
        let Some((first, others)) = joined.split_first() else {
            if progress != i64::MIN && progress >= self.spec.clock.fire_instant(window.end - 1) {
                return Ok(None);
            }
            let slot = self.new_slot();
            self.open(key, Session { window, slot });
            return Ok(Some(slot));
        };
        for session in &joined {
            self.due.remove(&(session.window, key));
        }
        for other in others {
            let state = self.calls.state(&[other.slot])?;
            self.calls.merge(&[first.slot], &state)?;
            self.calls.clear(&[other.slot]);
            self.rows[first.slot as usize] += std::mem::take(&mut self.rows[other.slot as usize]);
            self.owners[other.slot as usize] = None;
            self.dirty.mark(other.slot);
            assigned.merged.insert(other.slot, first.slot);
        }
        let session = Session {
            window: whole,
            slot: first.slot,
        };
        self.open(key, session);
        Ok(Some(session.slot))
    }

    fn open(&mut self, key: u32, session: Session) {
        self.sessions[key as usize].push(session);
        self.due.insert((session.window, key));
        self.owners[session.slot as usize] = Some((key, session.window));
        self.dirty.mark(session.slot);
    }

    fn add(&mut self, batch: &Batch, context: &Context) -> Result<(), DataflowError> {
        let times = self.spec.input.times(batch, &mut self.spec.clock, context)?;
        let columns = self.spec.input.project(batch);
        let keys = self.spec.slices.key_types.len();
        let mut groups = std::mem::take(&mut self.groups);
        self.table.intern(&columns[..keys], batch.rows, &mut groups)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        let is_event_stream = self.spec.event_time && !self.spec.bounded;
        let progress = if is_event_stream {
            context.watermark.0
        } else {
            i64::MIN
        };
        let retract = retractions(batch);
        let (mut assigned, mut late) = (Assigned::default(), Vec::new());
        for (row, key) in groups.iter().enumerate() {
            if times.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let start = times.values[row];
            let window = Window {
                start,
                end: start.saturating_add(self.spec.gap_ms),
            };
            match self.assign(*key, window, progress, &mut assigned)? {
                None => late.push(row as u32),
                Some(slot) => {
                    let back = retract.as_ref().is_some_and(|r| r[row]);
                    self.rows[slot as usize] += if back { -1 } else { 1 };
                    assigned.rows.push(row as u32);
                    assigned.slots.push(slot);
                }
            }
        }
        self.late.add(0, batch, &late, context)?;
        self.accumulate(&columns, assigned, retract.as_deref())?;
        forget_unused(&mut self.table, &self.sessions, &groups)?;
        self.groups = groups;
        Ok(())
    }

    fn accumulate(
        &mut self,
        columns: &[ArrayRef],
        assigned: Assigned,
        retract: Option<&[bool]>,
    ) -> Result<(), DataflowError> {
        let Assigned {
            rows,
            mut slots,
            merged,
        } = assigned;
        for slot in &mut slots {
            while let Some(into) = merged.get(slot) {
                *slot = *into;
            }
        }
        let retract: Option<Vec<bool>> = retract.map(|r| rows.iter().map(|row| r[*row as usize]).collect());
        self.calls
            .update(&slots, &take_columns(columns, &rows)?, retract.as_deref())?;
        self.free.extend(merged.into_keys());
        Ok(())
    }

    /// Emits the closed sessions, by end, start and key.
    fn fire(&mut self, progress: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        loop {
            let (mut keys, mut slots, mut windows) = (Vec::new(), Vec::new(), Vec::new());
            while let Some((window, key)) = self.due.first().copied() {
                let is_over =
                    progress == i64::MAX || progress >= self.spec.clock.fire_instant(window.end - 1);
                if !is_over || keys.len() >= context.batch_rows.max(1) {
                    break;
                }
                self.due.pop_first();
                let open = &mut self.sessions[key as usize];
                if let Some(at) = open.iter().position(|session| session.window == window) {
                    keys.push(key);
                    slots.push(open.swap_remove(at).slot);
                    windows.push(window);
                }
            }
            if keys.is_empty() {
                return Ok(());
            }
            self.emit(&keys, &slots, &windows, context, out)?;
            self.calls.clear(&slots);
            for slot in &slots {
                self.rows[*slot as usize] = 0;
                self.owners[*slot as usize] = None;
                self.dirty.mark(*slot);
            }
            self.free.extend(slots);
            forget_unused(&mut self.table, &self.sessions, &keys)?;
        }
    }

    fn emit(
        &self,
        keys: &[u32],
        slots: &[u32],
        windows: &[Window],
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let kept: Vec<usize> = (0..slots.len())
            .filter(|i| self.rows[slots[*i] as usize] > 0)
            .collect();
        let of = |values: &[u32]| kept.iter().map(|i| values[*i]).collect::<Vec<u32>>();
        let windows: Vec<Window> = kept.iter().map(|i| windows[*i]).collect();
        let mut columns = self.table.keys(&of(keys))?;
        columns.extend(self.calls.evaluate(&of(slots))?);
        columns.extend(self.spec.properties.columns_of(&windows, &self.spec.clock));
        push(Batch::inserts(columns, kept.len()), context, out)
    }
}

impl SessionAggregate {
    /// The sessions of a block of slots: key, start, end, rows, partial results.
    fn block(&self, block: usize) -> Result<(Vec<ArrayRef>, usize), DataflowError> {
        let first = block * GROUPS_PER_BLOCK;
        let end = self.owners.len().min(first + GROUPS_PER_BLOCK);
        let open = (first..end).filter_map(|slot| self.owners[slot].map(|owner| (slot as u32, owner)));
        let open: Vec<(u32, (u32, Window))> = open.collect();
        let slots: Vec<u32> = open.iter().map(|(slot, _)| *slot).collect();
        let numbers = |value: &dyn Fn(u32, Window) -> i64| -> ArrayRef {
            let values = open.iter().map(|(slot, (_, window))| value(*slot, *window));
            Arc::new(Int64Array::from_iter_values(values))
        };
        let keys = open.iter().map(|(_, (key, _))| *key);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(keys)),
            numbers(&|_, window| window.start),
            numbers(&|_, window| window.end),
            numbers(&|slot, _| self.rows[slot as usize]),
        ];
        columns.extend(self.calls.state(&slots)?);
        Ok((columns, slots.len()))
    }
}

impl Operator for SessionAggregate {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            Ok(())
        } else {
            self.add(&batch, context)
        }
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if self.spec.event_time && !self.spec.bounded {
            self.fire(watermark.0, context, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<i64> {
        if self.spec.event_time || self.spec.bounded {
            return None;
        }
        self.due
            .first()
            .map(|(window, _)| self.spec.clock.fire_instant(window.end - 1) + 1)
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.spec.event_time || self.spec.bounded {
            return Ok(());
        }
        self.fire(context.now_ms - 1, context, out)
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.spec.bounded {
            self.fire(i64::MAX, context, out)
        } else {
            Ok(())
        }
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.table.snapshot("keys", scope, &mut out)?;
        for block in 0..self.owners.len().div_ceil(GROUPS_PER_BLOCK) {
            let name = block_name("sessions", block);
            if self.dirty.freeze(block, scope) {
                let (columns, rows) = self.block(block)?;
                out.push(name, encode_columns(&columns, rows)?);
            } else {
                out.push_unchanged(name);
            }
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let maps = self
            .table
            .restore("keys", &blocks, context.key_groups(), context.max_parallelism)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        thaw("sessions", &blocks, &maps, |keys, columns| {
            let number = |i: usize| columns.get(i).and_then(|c| c.as_primitive_opt::<Int64Type>());
            let (Some(starts), Some(ends), Some(rows)) = (number(0), number(1), number(2)) else {
                return Err(StateError::corrupt("sessions", "session bounds are missing").into());
            };
            let mut slots = Vec::with_capacity(keys.len());
            for (i, key) in keys.iter().enumerate() {
                let window = Window {
                    start: starts.value(i),
                    end: ends.value(i),
                };
                let slot = self.rows.len() as u32;
                self.rows.push(rows.value(i));
                self.owners.push(None);
                self.open(*key, Session { window, slot });
                slots.push(slot);
            }
            self.calls.resize(self.rows.len());
            self.calls.merge(&slots, &columns[3..])
        })
    }

    fn state_bytes(&self) -> usize {
        let sessions: usize = self
            .sessions
            .iter()
            .map(|open| open.capacity() * size_of::<Session>())
            .sum();
        let slots = self.rows.capacity() * (size_of::<i64>() + size_of::<Option<(u32, Window)>>());
        self.table.memory_size() + self.calls.memory_size() + sessions + slots
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
