//! SESSION windows: rows of a key that follow each other within a gap.
//!
//! A row opens a session from its time to its time plus the gap; sessions of a key that touch become one, so that a
//! row may join two. State is a list of open sessions for each key, with an accumulator slot each. A row is late only
//! if the session that it would be in has passed.
//!
//! Keys that memory has no room for go to disk with all their sessions. A row brings its key back, and so does the time
//! at which the first of its sessions closes, together with the keys that are due shortly after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::cold::has_due_groups;
use millstream_state::group_table::block_name;
use millstream_state::{
    DirtyBlocks, DueGroups, GROUPS_PER_BLOCK, GroupTable, LargeBlocks, MemoryShare, Spill, SpillSpace,
    StateError, encode_columns, share_in_use,
};
use millstream_types::{Batch, Watermark};

use super::columns::session_values;
use super::input::WindowInput;
use super::slice::SliceSpec;
use super::wall_clock::WallClock;
use super::{Window, WindowColumns, forget_unused};
use crate::aggregate::AggregateCalls;
use crate::cold::part_of;
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

/// Prefix of the blocks with sessions on disk.
const COLD: &str = "cold/due";

/// A key comes back from disk up to this part of the gap before its session closes: that part of all sessions is in memory.
const BUCKETS_PER_GAP: i64 = 32;

/// About the bytes of an open session in the lists by key and by end: a list has room for four.
const SESSION_BYTES: usize = 4 * size_of::<Session>() + 2 * size_of::<(Window, u32)>();

/// Keys on disk with their sessions: start, end, rows, partial results.
struct ColdSessions {
    groups: DueGroups,
    space: SpillSpace,
    share: MemoryShare,
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
    /// Sessions that memory has no room for.
    cold: Option<ColdSessions>,
    /// Bytes of the accumulators, and the rows since they were asked: some count theirs group by group.
    calls_bytes: usize,
    rows_since: usize,
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
    pub(crate) fn new(spec: SessionSpec, spill: Option<&Spill>) -> Result<Self, DataflowError> {
        let mut table = GroupTable::new(&spec.slices.key_types)?;
        let calls = spec.slices.aggregates.instantiate();
        let mut value_types = vec![DataType::Int64; 3];
        value_types.extend(calls.state(&[])?.iter().map(|column| column.data_type().clone()));
        // In batch mode, no session closes before the end of the input.
        let bucket_ms = if spec.bounded {
            i64::MAX
        } else {
            spec.gap_ms / BUCKETS_PER_GAP
        };
        let cold = spill.and_then(|spill| {
            Some(ColdSessions {
                groups: DueGroups::new(spill.space.clone(), table.types(), &value_types, bucket_ms)?,
                space: spill.space.clone(),
                share: spill.share(),
            })
        });
        if cold.is_some() {
            table.track_use();
        }
        Ok(Self {
            table,
            calls,
            sessions: Vec::new(),
            rows: Vec::new(),
            owners: Vec::new(),
            dirty: DirtyBlocks::default(),
            free: Vec::new(),
            due: BTreeSet::new(),
            late: LateRows::default(),
            groups: Vec::new(),
            cold,
            calls_bytes: 0,
            rows_since: 0,
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
        self.make_room(batch.rows)?;
        self.table.intern(&columns[..keys], batch.rows, &mut groups)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        self.recall()?;
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

    /// Emits the closed sessions: first those in memory.
    fn fire(&mut self, progress: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.fire_in_memory(progress, context, out)?;
        while self.load_due(progress)? {
            self.fire_in_memory(progress, context, out)?;
        }
        Ok(())
    }

    /// Emits the closed sessions in memory, by end, start and key.
    fn fire_in_memory(
        &mut self,
        progress: i64,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
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
            self.release(slots);
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
    /// Opens sessions with what [`session_values`] returned.
    fn take_back(&mut self, keys: &[u32], columns: &[ArrayRef]) -> Result<(), DataflowError> {
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
            let slot = self.new_slot();
            self.rows[slot as usize] = rows.value(i);
            self.open(*key, Session { window, slot });
            slots.push(slot);
        }
        self.calls.merge(&slots, &columns[3..])
    }

    /// The sessions of a block of slots: key, start, end, rows, partial results.
    fn block(&self, block: usize) -> Result<(Vec<ArrayRef>, usize), DataflowError> {
        let first = block * GROUPS_PER_BLOCK;
        let end = self.owners.len().min(first + GROUPS_PER_BLOCK);
        let open = (first..end).filter_map(|slot| self.owners[slot].map(|(key, _)| (slot as u32, key)));
        let (slots, keys): (Vec<u32>, Vec<u32>) = open.unzip();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(keys))];
        columns.extend(session_values(&self.owners, &self.rows, &self.calls, &slots)?);
        Ok((columns, slots.len()))
    }
}

/// Sessions on disk.
impl SessionAggregate {
    /// Moves keys to disk if there is no more room for them. Slots change hands.
    fn make_room(&mut self, rows: usize) -> Result<(), DataflowError> {
        if self.cold.is_none() {
            return Ok(());
        }
        self.rows_since += rows;
        if self.rows_since >= self.due.len() / 16 {
            (self.calls_bytes, self.rows_since) = (self.calls.memory_size(), 0);
        }
        let used = self.used_bytes(self.calls_bytes);
        let excess = self.cold.as_mut().map_or(0, |cold| {
            cold.share.report(used + cold.groups.memory_size()).min(used)
        });
        if excess == 0 {
            return Ok(());
        }
        let keys = self.table.least_used(part_of(self.table.len(), excess, used));
        self.evict(&keys)
    }

    /// Moves those of the keys to disk that are not due soon.
    fn evict(&mut self, keys: &[u32]) -> Result<(), DataflowError> {
        let Some(cold) = &self.cold else { return Ok(()) };
        let (mut moved, mut due_ms) = (Vec::new(), Vec::new());
        for key in keys {
            let open = &self.sessions[*key as usize];
            let due = |session: &Session| self.spec.clock.fire_instant(session.window.end - 1);
            let Some(due) = open
                .iter()
                .map(due)
                .min()
                .filter(|due| cold.groups.can_evict(*due))
            else {
                continue;
            };
            moved.push(*key);
            due_ms.push(due);
        }
        if moved.is_empty() {
            return Ok(());
        }
        let Some(mut cold) = self.cold.take() else {
            return Ok(());
        };
        let (sessions, owners, rows, calls) = (&self.sessions, &self.owners, &self.rows, &self.calls);
        let evicted = cold.groups.evict(&mut self.table, &moved, &due_ms, |positions| {
            let open = |at: &u32| &sessions[moved[*at as usize] as usize];
            let lengths = positions.iter().map(|at| open(at).len()).collect();
            let numbers: Vec<u32> = positions
                .iter()
                .flat_map(open)
                .map(|session| session.slot)
                .collect();
            Ok::<_, DataflowError>((lengths, session_values(owners, rows, calls, &numbers)?))
        });
        self.cold = Some(cold);
        evicted?;
        let mut slots = Vec::new();
        for key in moved {
            for session in std::mem::take(&mut self.sessions[key as usize]) {
                self.due.remove(&(session.window, key));
                slots.push(session.slot);
            }
        }
        self.release(slots);
        self.calls_bytes = self.calls.memory_size();
        Ok(())
    }

    /// Reloads the keys of the batch that are on disk.
    fn recall(&mut self) -> Result<(), DataflowError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        for recalled in cold.groups.recall(&self.table)? {
            self.take_back(&recalled.groups, &recalled.columns)?;
        }
        Ok(())
    }

    /// Reloads some of the keys with a session that closes at `progress` or before; `false` if there are none.
    fn load_due(&mut self, progress: i64) -> Result<bool, DataflowError> {
        let Some(cold) = &mut self.cold else {
            return Ok(false);
        };
        let Some(due) = cold.groups.take_due(progress)? else {
            return Ok(false);
        };
        let rows = due.values.first().map_or(0, |column| column.len());
        let mut keys = Vec::new();
        self.table.intern(&due.keys, rows, &mut keys)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        self.take_back(&keys, &due.values)?;
        Ok(true)
    }

    /// Frees the slots of sessions that are no longer open here.
    fn release(&mut self, slots: Vec<u32>) {
        self.calls.clear(&slots);
        for slot in &slots {
            self.rows[*slot as usize] = 0;
            self.owners[*slot as usize] = None;
            self.dirty.mark(*slot);
        }
        self.free.extend(slots);
    }

    /// Bytes of sessions in memory, `calls_bytes` of them in accumulators.
    fn used_bytes(&self, calls_bytes: usize) -> usize {
        let by_key = self.table.memory_size() + self.sessions.capacity() * size_of::<Vec<Session>>();
        let by_slot =
            self.rows.capacity() * (size_of::<i64>() + size_of::<Option<(u32, Window)>>()) + calls_bytes;
        let used_slots = self.rows.len() - self.free.len();
        let open = self.due.len() * SESSION_BYTES;
        match &self.cold {
            Some(_) => {
                share_in_use(by_key, &self.table) + part_of(by_slot, used_slots, self.rows.len()) + open
            }
            None => by_key + by_slot + open,
        }
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
        let due = self.due.first();
        let due = due.map(|(window, _)| self.spec.clock.fire_instant(window.end - 1) + 1);
        let on_disk = self.cold.as_ref().and_then(|cold| cold.groups.next_due_ms());
        due.into_iter()
            .chain(on_disk.map(|at| at.saturating_add(1)))
            .min()
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
        let mut large = LargeBlocks::new(self.cold.as_ref().map(|cold| &cold.space));
        if let Some(cold) = &mut self.cold {
            cold.groups.snapshot(COLD, scope, &mut out);
        }
        self.table.snapshot_large("keys", scope, &mut out, &mut large)?;
        for block in 0..self.owners.len().div_ceil(GROUPS_PER_BLOCK) {
            let name = block_name("sessions", block);
            if self.dirty.freeze(block, scope) {
                let (columns, rows) = self.block(block)?;
                out.push(name, encode_columns(&columns, rows)?);
                large.relieve(&mut out)?;
            } else {
                out.push_unchanged(name);
            }
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let (owned, most) = (context.key_groups(), context.max_parallelism);
        if has_due_groups(COLD, &blocks) {
            let cold = self.cold.as_mut().ok_or(StateError::NoSpill)?;
            cold.groups.restore(COLD, &blocks, &owned, most)?;
        }
        let maps = self.table.restore("keys", &blocks, owned, most)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        thaw("sessions", &blocks, &maps, |keys, columns| {
            self.take_back(keys, columns)
        })
    }

    fn state_bytes(&self) -> usize {
        let on_disk = self.cold.as_ref().map_or(0, |cold| cold.groups.memory_size());
        self.used_bytes(self.calls.memory_size()) + on_disk
    }

    fn spilled_bytes(&self) -> u64 {
        self.cold.as_ref().map_or(0, |cold| cold.groups.disk_size())
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
