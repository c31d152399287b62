//! Window aggregates over TUMBLE, HOP and CUMULATE, and over rows that carry their window already.
//!
//! State is one small table of groups for each *slice* ([`assign`]); a row touches exactly one. A window is emitted once,
//! when the watermark (or the clock, or the end of a bounded input) passes its end, merged from its slices; a slice is
//! dropped whole after the last window that contains it. There are no timers of keys.
//!
//! A late row is dropped only when the last window that contains it was emitted; before that it still counts for the
//! windows to come. SESSION windows belong to keys and are in [`session`].

pub(crate) mod assign;
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
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, Int64Array, PrimitiveArray};
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::WindowProperty;
use millstream_state::{GroupTable, StateError, decode_columns, encode_columns};
use millstream_types::{Batch, LogicalType, TypeFamily, Watermark, arrow_type};

use crate::emit::{push, retractions};
use assign::Slicing;
use hop::RunningWindow;
use input::WindowInput;
use slice::{Slice, SliceSpec};
use wall_clock::WallClock;

/// What a plan says about a window aggregate.
#[derive(Clone)]
pub(crate) struct WindowAggregateSpec {
    pub input: WindowInput,
    pub slices: SliceSpec,
    /// Windows by slices; `None`: rows carry their windows.
    pub slicing: Option<Slicing>,
    pub event_time: bool,
    pub clock: WallClock,
    pub properties: WindowColumns,
    pub bounded: bool,
}

/// Forgets keys that have no session: all their rows were late, or their sessions are over.
fn forget_unused<S>(table: &mut GroupTable, sessions: &[Vec<S>], groups: &[u32]) -> Result<(), StateError> {
    for group in groups {
        if sessions[*group as usize].is_empty() && table.contains(*group) {
            table.remove(*group)?;
        }
    }
    Ok(())
}

/// The columns that a window adds behind keys and results.
#[derive(Clone, Debug)]
pub(crate) struct WindowColumns(pub Vec<(WindowProperty, LogicalType)>);

impl WindowColumns {
    /// The columns for `rows` rows of one window.
    pub(crate) fn columns(&self, window: Window, rows: usize, clock: &WallClock) -> Vec<ArrayRef> {
        self.columns_of(&vec![window; rows], clock)
    }

    /// The columns for rows that each have a window.
    pub(crate) fn columns_of(&self, windows: &[Window], clock: &WallClock) -> Vec<ArrayRef> {
        let column = |(property, ty): &(WindowProperty, LogicalType)| {
            let is_instant = ty.family() == TypeFamily::TimestampLtz;
            let value = |window: &Window| match property {
                WindowProperty::Start => window.start,
                WindowProperty::End => window.end,
                WindowProperty::Time if is_instant => clock.to_instant(window.end - 1),
                WindowProperty::Time => window.end - 1,
            };
            let column =
                PrimitiveArray::<TimestampMillisecondType>::from_iter_values(windows.iter().map(value));
            Arc::new(column.with_data_type(arrow_type(ty))) as ArrayRef
        };
        self.0.iter().map(column).collect()
    }
}

/// A window, in local time. The order is by end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) struct Window {
    pub end: i64,
    pub start: i64,
}

/// The operator; see the module's documentation.
pub(crate) struct WindowAggregate {
    spec: WindowAggregateSpec,
    /// By end and start. Slices of CUMULATE whose end has passed are merged into the first slice of their window, see
    /// `cumulated`.
    slices: BTreeMap<Window, Slice>,
    /// CUMULATE: what the windows with a common start have gathered so far, and the next end to emit, by start.
    cumulated: BTreeMap<i64, (Slice, i64)>,
    /// HOP: the last emitted window, from which the next one follows.
    running: Option<RunningWindow>,
    /// Windows that were over at this watermark or clock time were emitted: late rows do not bring them back.
    fired_until: i64,
    late_rows: u64,
    groups: Vec<u32>,
}

impl WindowAggregate {
    pub(crate) fn new(spec: WindowAggregateSpec) -> Self {
        Self {
            spec,
            slices: BTreeMap::new(),
            cumulated: BTreeMap::new(),
            running: None,
            fired_until: i64::MIN,
            late_rows: 0,
            groups: Vec::new(),
        }
    }

    /// Whether a window that ends at `end` (local time) is over at this watermark or clock time.
    fn is_over(&self, end: i64, progress: i64) -> bool {
        progress == i64::MAX || progress >= self.spec.clock.fire_instant(end - 1)
    }

    /// How far event time is; with processing time and bounded inputs nothing is ever late.
    fn progress(&self, context: &Context) -> i64 {
        if self.spec.event_time && !self.spec.bounded {
            context.watermark.0
        } else {
            i64::MIN
        }
    }

    /// Adds rows of one slice.
    fn add(
        &mut self,
        window: Window,
        columns: &[ArrayRef],
        rows: usize,
        retract: Option<&[bool]>,
        progress: i64,
    ) -> Result<(), DataflowError> {
        let keys = self.spec.slices.key_types.len();
        if progress != i64::MIN && self.is_over(window.end, progress) {
            let last_end = self
                .spec
                .slicing
                .map_or(window.end, |slicing| slicing.last_window_end(window.end));
            if self.is_over(last_end, progress) {
                self.late_rows += rows as u64;
                return Ok(());
            }
            if let Some(slicing) = self.spec.slicing.filter(|s| s.cumulate) {
                return self.add_to_cumulated(slicing, window, columns, rows, retract, progress);
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
        slice.update(keys, columns, rows, retract, &mut self.groups)
    }

    /// A late row of a CUMULATE step counts for the steps to come.
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

    /// Emits all windows that are over, in order of their ends.
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

    /// The window that ends next, among those that have rows.
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
        // Of a slice that is still held, the windows up to the one emitted last are over.
        let end = slice?.end;
        let mut end = self
            .running
            .as_ref()
            .map_or(end, |running| end.max(running.end + slicing.slice_ms));
        while self.fired_until != i64::MIN && self.is_over(end, self.fired_until) {
            end += slicing.slice_ms;
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
        let slice = match (self.cumulated.remove(&window.start), fresh) {
            (Some((mut gathered, _)), Some(fresh)) => {
                gathered.merge(&fresh)?;
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
        let mut running = RunningWindow::advance(running, slicing, window, &self.slices, &self.spec.slices)?;
        self.emit(&running.slice, window, context, out)?;
        // The window after this one no longer contains the oldest slice.
        let oldest = Window {
            end: window.start + slicing.slice_ms,
            start: window.start,
        };
        let oldest = self.slices.remove(&oldest);
        if !self.slices.is_empty() {
            running.leave(slicing, oldest.as_ref(), &self.spec.slices)?;
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
        let retract = retractions(&batch);
        let progress = self.progress(context);
        let parts = self.split(&batch, context)?;
        let columns = self.spec.input.project(&batch);
        for (window, rows) in parts {
            match rows {
                input::Rows::All => self.add(window, &columns, batch.rows, retract.as_deref(), progress)?,
                input::Rows::Some(rows) => {
                    let taken = crate::emit::take_columns(&columns, &rows)?;
                    let retract: Option<Vec<bool>> = retract
                        .as_ref()
                        .map(|r| rows.iter().map(|row| r[*row as usize]).collect());
                    self.add(window, &taken, rows.len(), retract.as_deref(), progress)?;
                }
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
        // The last millisecond of a window must be over: rows of that millisecond may still come.
        self.fire(context.now_ms - 1, context, out)
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        // Windows by the clock that are still open when a stream ends have no result, as in Flink.
        if self.spec.bounded {
            self.fire(i64::MAX, context, out)
        } else {
            Ok(())
        }
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        let mut index: Vec<[i64; 4]> = Vec::new();
        for (window, slice) in &mut self.slices {
            index.push([SLICE, window.end, window.start, 0]);
            slice.snapshot(&part_name(SLICE, window.end, window.start), scope, &mut out)?;
        }
        for (start, (slice, next)) in &mut self.cumulated {
            index.push([CUMULATED, 0, *start, *next]);
            slice.snapshot(&part_name(CUMULATED, 0, *start), scope, &mut out)?;
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
                SLICE if !slice.table.is_empty() => {
                    self.slices.insert(Window { end, start }, slice);
                }
                CUMULATED if !slice.table.is_empty() => {
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

    fn late_rows(&self) -> u64 {
        self.late_rows
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
