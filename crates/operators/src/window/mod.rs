//! Window aggregates over TUMBLE, HOP and CUMULATE, and over rows that carry their window already.
//!
//! State is one small table of groups for each *slice* ([`assign`]); a row touches exactly one. A window is emitted once,
//! when the watermark (or the clock, or the end of a bounded input) passes its end, merged from its slices; a slice is
//! dropped whole after the last window that contains it. There are no timers of keys.
//!
//! A late row is dropped only when the last window that contains it was emitted; before that it still counts for the
//! windows to come. SESSION windows belong to keys and are in [`session`].

pub(crate) mod assign;
mod columns;
pub(crate) mod hop;
pub(crate) mod input;
pub(crate) mod session;
pub(crate) mod session_rows;
pub(crate) mod slice;
pub(crate) mod table_function;
pub(crate) mod wall_clock;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::{GroupTable, LargeBlocks, MemoryShare, StateError, decode_columns, encode_columns};
use millstream_types::{Batch, Watermark};

use crate::emit::{push, retractions};
use assign::Slicing;
pub(crate) use columns::WindowColumns;
use hop::RunningWindow;
use input::WindowInput;
use slice::{Room, Slice, SliceSpec};
use wall_clock::WallClock;

/// The parameters of a window aggregate in a plan.
#[derive(Clone)]
pub(crate) struct WindowAggregateSpec {
    pub input: WindowInput,
    pub slices: SliceSpec,
    /// Slicing of windows; `None`: rows have attached windows.
    pub slicing: Option<Slicing>,
    pub event_time: bool,
    pub clock: WallClock,
    pub properties: WindowColumns,
    pub bounded: bool,
}

/// Drops keys without a session: all their rows were late, or their sessions have closed.
fn forget_unused<S>(table: &mut GroupTable, sessions: &[Vec<S>], groups: &[u32]) -> Result<(), StateError> {
    for group in groups {
        if sessions[*group as usize].is_empty() && table.contains(*group) {
            table.remove(*group)?;
        }
    }
    Ok(())
}

/// A window in local time, ordered by end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) struct Window {
    pub end: i64,
    pub start: i64,
}

/// The operator; see the module documentation.
pub(crate) struct WindowAggregate {
    spec: WindowAggregateSpec,
    /// By end and start. Closed slices of CUMULATE are merged into the first slice of their window, see
    /// `cumulated`.
    slices: BTreeMap<Window, Slice>,
    /// CUMULATE: the accumulated result of the windows with a common start and the next end to emit, by start.
    cumulated: BTreeMap<i64, (Slice, i64)>,
    /// HOP: the last emitted window, from which the next one is derived.
    running: Option<RunningWindow>,
    /// Windows that ended before this watermark or clock time were emitted; late rows do not reopen them.
    fired_until: i64,
    late: LateRows,
    groups: Vec<u32>,
    /// Of the memory for slices that can move groups to disk.
    share: Option<MemoryShare>,
}

impl WindowAggregate {
    pub(crate) fn new(mut spec: WindowAggregateSpec, context: &Context) -> Result<Self, DataflowError> {
        let mut share = None;
        if let Some(spill) = &context.spill
            && Slice::cold_groups(&spec.slices, &spill.space)?.is_some()
        {
            spec.slices.space = Some(spill.space.clone());
            share = Some(spill.share());
        }
        Ok(Self {
            spec,
            share,
            slices: BTreeMap::new(),
            cumulated: BTreeMap::new(),
            running: None,
            fired_until: i64::MIN,
            late: LateRows::default(),
            groups: Vec::new(),
        })
    }

    fn slices_mut(&mut self) -> impl Iterator<Item = &mut Slice> {
        let cumulated = self.cumulated.values_mut().map(|(slice, _)| slice);
        let running = self.running.as_mut().map(|running| &mut running.slice);
        self.slices.values_mut().chain(cumulated).chain(running)
    }

    /// Moves groups to disk if there is no more room in memory, those of the largest slices first.
    fn make_room(&mut self) -> Result<(), DataflowError> {
        if self.share.is_none() {
            return Ok(());
        }
        let used = self.slices_mut().map(Slice::used_bytes).sum();
        let mut excess = self.share.as_mut().map_or(0, |share| share.report(used));
        if excess == 0 {
            return Ok(());
        }
        let mut slices: Vec<(usize, &mut Slice)> = self
            .slices_mut()
            .map(|slice| (slice.used_bytes(), slice))
            .collect();
        slices.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (bytes, slice) in slices {
            let part = excess.min(bytes);
            slice.evict(part)?;
            excess -= part;
            if excess == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of all slices in memory, if some of them can go to disk.
    fn used_bytes(&mut self) -> usize {
        if self.share.is_none() {
            return 0;
        }
        self.slices_mut().map(Slice::used_bytes).sum()
    }

    /// Whether a window that ends at `end` (local time) is closed at this watermark or clock time.
    fn is_over(&self, end: i64, progress: i64) -> bool {
        progress == i64::MAX || progress >= self.spec.clock.fire_instant(end - 1)
    }

    /// The current event time; with processing time and bounded inputs, nothing is ever late.
    fn progress(&self, context: &Context) -> i64 {
        if self.spec.event_time && !self.spec.bounded {
            context.watermark.0
        } else {
            i64::MIN
        }
    }

    /// Adds rows of one slice; `false`: they came too late.
    fn add(
        &mut self,
        window: Window,
        columns: &[ArrayRef],
        rows: usize,
        retract: Option<&[bool]>,
        progress: i64,
    ) -> Result<bool, DataflowError> {
        let keys = self.spec.slices.key_types.len();
        if self
            .spec
            .slicing
            .is_some_and(|slicing| !slicing.is_covered(window.end))
        {
            return Ok(true);
        }
        if progress != i64::MIN && self.is_over(window.end, progress) {
            let last_end = self
                .spec
                .slicing
                .map_or(window.end, |slicing| slicing.last_window_end(window.end));
            if self.is_over(last_end, progress) {
                return Ok(false);
            }
            if let Some(slicing) = self.spec.slicing.filter(|s| s.cumulate) {
                self.add_to_cumulated(slicing, window, columns, rows, retract, progress)?;
                return Ok(true);
            }
            if let Some(running) = self
                .running
                .as_mut()
                .filter(|running| running.contains(window.end))
            {
                running
                    .slice
                    .update(keys, columns, rows, retract, &mut self.groups)?;
            }
        }
        let slice = match self.slices.entry(window) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Slice::new(&self.spec.slices)?),
        };
        slice.update(keys, columns, rows, retract, &mut self.groups)?;
        Ok(true)
    }

    /// A late row of a CUMULATE step counts for later steps.
    fn add_to_cumulated(
        &mut self,
        slicing: Slicing,
        window: Window,
        columns: &[ArrayRef],
        rows: usize,
        retract: Option<&[bool]>,
        progress: i64,
    ) -> Result<(), DataflowError> {
        let keys = self.spec.slices.key_types.len();
        let start = slicing.window_start(window.end);
        if !self.cumulated.contains_key(&start) {
            let mut next = window.end;
            while self.is_over(next, progress) {
                next += slicing.slice_ms;
            }
            self.cumulated
                .insert(start, (Slice::new(&self.spec.slices)?, next));
        }
        match self.cumulated.get_mut(&start) {
            Some((slice, _)) => slice.update(keys, columns, rows, retract, &mut self.groups),
            None => Ok(()),
        }
    }

    /// Emits all closed windows, ordered by end.
    fn fire(&mut self, progress: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        while let Some(window) = self.next_window() {
            if !self.is_over(window.end, progress) {
                break;
            }
            match self.spec.slicing {
                Some(slicing) if slicing.cumulate => self.fire_cumulate(slicing, window, context, out)?,
                Some(slicing) if !slicing.is_tumble() => self.fire_hop(slicing, window, context, out)?,
                _ => {
                    if let Some(slice) = self.slices.remove(&window) {
                        self.emit(&slice, window, context, out)?;
                    }
                }
            }
        }
        self.fired_until = progress;
        Ok(())
    }

    /// The next window to end, among those with rows.
    fn next_window(&self) -> Option<Window> {
        let slice = self.slices.first_key_value().map(|(window, _)| *window);
        let Some(slicing) = self.spec.slicing.filter(|slicing| !slicing.is_tumble()) else {
            return slice;
        };
        if slicing.cumulate {
            let open = self.cumulated.iter().map(|(start, (_, end))| Window {
                end: *end,
                start: *start,
            });
            let first = slice.map(|w| Window {
                end: w.end,
                start: slicing.window_start(w.end),
            });
            return open.chain(first).min();
        }
        // The windows of a stored slice up to the last emitted one are closed.
        let end = slice?.end;
        let mut end = self
            .running
            .as_ref()
            .map_or(end, |running| end.max(running.end + slicing.slice_ms));
        end = slicing.next_window_end(end);
        while self.fired_until != i64::MIN && self.is_over(end, self.fired_until) {
            end += slicing.slide_ms;
        }
        Some(Window {
            end,
            start: end - slicing.size_ms,
        })
    }

    fn fire_cumulate(
        &mut self,
        slicing: Slicing,
        window: Window,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let key = Window {
            end: window.end,
            start: window.end - slicing.slice_ms,
        };
        let fresh = self.slices.remove(&key);
        let others_bytes = self.used_bytes();
        let mut room = Room {
            share: self.share.as_mut(),
            others_bytes,
        };
        let slice = match (self.cumulated.remove(&window.start), fresh) {
            (Some((mut gathered, _)), Some(fresh)) => {
                gathered.merge(&fresh, &self.spec.slices, &mut room)?;
                gathered
            }
            (Some((slice, _)), None) | (None, Some(slice)) => slice,
            (None, None) => return Ok(()),
        };
        self.emit(&slice, window, context, out)?;
        let next = window.end + slicing.slice_ms;
        if next <= window.start + slicing.size_ms {
            self.cumulated.insert(window.start, (slice, next));
        }
        Ok(())
    }

    fn fire_hop(
        &mut self,
        slicing: Slicing,
        window: Window,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let running = self.running.take();
        let others_bytes = self.used_bytes();
        let mut room = Room {
            share: self.share.as_mut(),
            others_bytes,
        };
        let spec = &self.spec.slices;
        let mut running = RunningWindow::advance(running, slicing, window, &self.slices, spec, &mut room)?;
        self.emit(&running.slice, window, context, out)?;
        // The next window no longer contains the oldest slice, or the oldest ones if slices are shorter than the slide.
        let next_start = window.start + slicing.slide_ms;
        let mut oldest = None;
        while let Some(entry) = self
            .slices
            .first_entry()
            .filter(|entry| entry.key().end <= next_start)
        {
            oldest = Some(entry.remove());
        }
        if !self.slices.is_empty() {
            let mut room = Room {
                share: self.share.as_mut(),
                others_bytes,
            };
            running.leave(slicing, oldest.as_ref(), &self.spec.slices, &mut room)?;
            self.running = Some(running);
        }
        Ok(())
    }

    fn emit(
        &self,
        slice: &Slice,
        window: Window,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.emit_in_memory(slice, window, context, out)?;
        for part in slice.parts_on_disk() {
            let part = slice.load(part, &self.spec.slices)?;
            self.emit_in_memory(&part, window, context, out)?;
        }
        Ok(())
    }

    fn emit_in_memory(
        &self,
        slice: &Slice,
        window: Window,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let portion = context.batch_rows.max(1);
        for start in (0..slice.table.end()).step_by(portion) {
            let groups = slice.groups_in(start..start + portion);
            let mut columns = slice.table.keys(&groups)?;
            columns.extend(slice.calls.evaluate(&groups)?);
            columns.extend(
                self.spec
                    .properties
                    .columns(window, groups.len(), &self.spec.clock),
            );
            push(Batch::inserts(columns, groups.len()), context, out)?;
        }
        Ok(())
    }

    /// The windows of the rows of a batch, and the rows of each.
    fn split(
        &mut self,
        batch: &Batch,
        context: &Context,
    ) -> Result<Vec<(Window, input::Rows)>, DataflowError> {
        let spec = &mut self.spec;
        let times = spec.input.times(batch, &mut spec.clock, context)?;
        Ok(match spec.slicing {
            Some(slicing) => input::split_by_slice(&times, slicing),
            None => input::split_by_window(&times),
        })
    }
}

impl Operator for WindowAggregate {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.make_room()?;
        let retract = retractions(&batch);
        let progress = self.progress(context);
        let parts = self.split(&batch, context)?;
        let columns = self.spec.input.project(&batch);
        for (window, rows) in parts {
            let is_added = match &rows {
                input::Rows::All => self.add(window, &columns, batch.rows, retract.as_deref(), progress)?,
                input::Rows::Some(rows) => {
                    let taken = crate::emit::take_columns(&columns, rows)?;
                    let retract: Option<Vec<bool>> = retract
                        .as_ref()
                        .map(|r| rows.iter().map(|row| r[*row as usize]).collect());
                    self.add(window, &taken, rows.len(), retract.as_deref(), progress)?
                }
            };
            if !is_added {
                self.late.add(0, &batch, &rows.positions(&batch), context)?;
            }
        }
        Ok(())
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
        self.next_window()
            .map(|window| self.spec.clock.fire_instant(window.end - 1) + 1)
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.spec.event_time || self.spec.bounded {
            return Ok(());
        }
        // The last millisecond of a window must have passed: more rows of that millisecond may arrive.
        self.fire(context.now_ms - 1, context, out)
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        // As in Flink, processing-time windows that are open at the end of the stream are not emitted.
        if self.spec.bounded {
            self.fire(i64::MAX, context, out)
        } else {
            Ok(())
        }
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        let mut index: Vec<[i64; 4]> = Vec::new();
        let mut large = LargeBlocks::new(self.spec.slices.space.as_ref());
        for (window, slice) in &mut self.slices {
            index.push([SLICE, window.end, window.start, 0]);
            slice.snapshot(
                &part_name(SLICE, window.end, window.start),
                scope,
                &mut out,
                &mut large,
            )?;
        }
        for (start, (slice, next)) in &mut self.cumulated {
            index.push([CUMULATED, 0, *start, *next]);
            slice.snapshot(&part_name(CUMULATED, 0, *start), scope, &mut out, &mut large)?;
        }
        index.push([FIRED, self.fired_until, 0, 0]);
        let column =
            |i: usize| Arc::new(Int64Array::from_iter_values(index.iter().map(|row| row[i]))) as ArrayRef;
        out.push(
            "index",
            encode_columns(&(0..4).map(column).collect::<Vec<_>>(), index.len())?,
        );
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let mut entries: Vec<[i64; 4]> = Vec::new();
        for part in &blocks {
            if let Some(bytes) = part.get("index") {
                entries.extend(read_index(bytes)?);
            }
        }
        entries.sort_unstable();
        entries.dedup();
        let fired = entries
            .iter()
            .filter(|[kind, ..]| *kind == FIRED)
            .map(|[_, until, ..]| *until);
        self.fired_until = fired.min().unwrap_or(i64::MIN);
        for [kind, end, start, next] in entries {
            if kind == FIRED {
                continue;
            }
            let name = part_name(kind, end, start);
            let parts: Vec<StateBlocks> = blocks.iter().map(|b| b.part(&name)).collect();
            let mut slice = Slice::new(&self.spec.slices)?;
            slice.restore(&parts, context)?;
            match kind {
                SLICE if !slice.is_empty() => {
                    self.slices.insert(Window { end, start }, slice);
                }
                CUMULATED if !slice.is_empty() => {
                    self.cumulated.insert(start, (slice, next));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let slices = self.slices.values().map(Slice::memory_size).sum::<usize>();
        let cumulated = self
            .cumulated
            .values()
            .map(|(slice, _)| slice.memory_size())
            .sum::<usize>();
        slices
            + cumulated
            + self
                .running
                .as_ref()
                .map_or(0, |running| running.slice.memory_size())
    }

    fn spilled_bytes(&self) -> u64 {
        let cumulated = self.cumulated.values().map(|(slice, _)| slice.disk_size());
        let running = self
            .running
            .as_ref()
            .map_or(0, |running| running.slice.disk_size());
        self.slices.values().map(Slice::disk_size).sum::<u64>() + cumulated.sum::<u64>() + running
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}

/// Kinds of entries in the index of a snapshot. The running window of HOP is not in it: it follows from the slices.
const SLICE: i64 = 0;
const CUMULATED: i64 = 1;
const FIRED: i64 = 2;

fn part_name(kind: i64, end: i64, start: i64) -> String {
    match kind {
        CUMULATED => format!("cumulated/{start}"),
        _ => format!("slice/{end}/{start}"),
    }
}

fn read_index(bytes: &[u8]) -> Result<Vec<[i64; 4]>, DataflowError> {
    let (columns, rows) = decode_columns("index", bytes)?;
    let number = |i: usize| columns.get(i).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let (Some(a), Some(b), Some(c), Some(d)) = (number(0), number(1), number(2), number(3)) else {
        return Err(millstream_state::StateError::corrupt("index", "window bounds are missing").into());
    };
    Ok((0..rows)
        .map(|row| [a.value(row), b.value(row), c.value(row), d.value(row)])
        .collect())
}
