//! The SESSION table function without aggregation: rows with their session.
//!
//! Unlike other windows, a session is known only when it closes, so rows wait until then. A row is late if its session
//! would already be closed.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::{GroupTable, RowBuffer, Spill};
use millstream_types::{Batch, Watermark};

use super::input::WindowInput;
use super::wall_clock::WallClock;
use super::{Window, WindowColumns, forget_unused};
use crate::emit::push;
use crate::owned_rows::owner;

/// The parameters of a session table function in a plan.
#[derive(Clone)]
pub(crate) struct SessionRowsSpec {
    pub input: WindowInput,
    pub types: Vec<DataType>,
    pub partition: Vec<usize>,
    pub gap_ms: i64,
    pub event_time: bool,
    pub clock: WallClock,
    pub properties: WindowColumns,
}

/// An open session and its row numbers in arrival order.
struct Session {
    window: Window,
    rows: Vec<u64>,
}

/// The operator; see the module documentation.
pub(crate) struct SessionRows {
    spec: SessionRowsSpec,
    table: GroupTable,
    /// Open sessions of each key.
    sessions: Vec<Vec<Session>>,
    rows: RowBuffer,
    /// Sessions by end, then start, then key.
    due: BTreeSet<(Window, u32)>,
    late: LateRows,
}

impl SessionRows {
    pub(crate) fn new(spec: SessionRowsSpec) -> Result<Self, DataflowError> {
        let key_types: Vec<DataType> = spec.partition.iter().map(|k| spec.types[*k].clone()).collect();
        Ok(Self {
            table: GroupTable::new(&key_types)?,
            sessions: Vec::new(),
            rows: RowBuffer::new(&spec.types),
            due: BTreeSet::new(),
            late: LateRows::default(),
            spec,
        })
    }

    /// Assigns rows to sessions; rows behind `progress` are late.
    fn add(&mut self, batch: &Batch, progress: i64, context: &Context) -> Result<(), DataflowError> {
        let times = self.spec.input.times(batch, &mut self.spec.clock, context)?;
        let numbers = self.rows.push(batch, Some(&times.values))?;
        let keys: Vec<ArrayRef> = self
            .spec
            .partition
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let has_time = |row: usize| times.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let rows = numbers.zip(times.values.iter().copied()).enumerate();
        let rows = rows.map(|(row, (number, time))| (number, has_time(row).then_some(time)));
        let late = self.put_all(&keys, rows.collect(), progress)?;
        self.late.add(0, batch, &late, context)
    }

    /// Assigns rows to sessions, by number and time, and returns the positions of late ones; drops rows without a time.
    fn put_all(
        &mut self,
        keys: &[ArrayRef],
        rows: Vec<(u64, Option<i64>)>,
        progress: i64,
    ) -> Result<Vec<u32>, DataflowError> {
        let mut groups = Vec::new();
        self.table.intern(keys, rows.len(), &mut groups)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        let (mut dropped, mut late) = (Vec::new(), Vec::new());
        for (position, (key, (number, time))) in groups.iter().zip(rows).enumerate() {
            let Some(start) = time else {
                dropped.push(number);
                continue;
            };
            let window = Window {
                start,
                end: start.saturating_add(self.spec.gap_ms),
            };
            if !self.put(*key, window, number, progress) {
                dropped.push(number);
                late.push(position as u32);
            }
        }
        self.rows.remove(dropped)?;
        forget_unused(&mut self.table, &self.sessions, &groups)?;
        Ok(late)
    }

    /// Assigns a row to its session; `false`: it is late.
    fn put(&mut self, key: u32, window: Window, row: u64, progress: i64) -> bool {
        let open = &mut self.sessions[key as usize];
        let touches =
            |session: &Session| session.window.start <= window.end && session.window.end >= window.start;
        let (joined, apart): (Vec<Session>, Vec<Session>) = open.drain(..).partition(touches);
        *open = apart;
        let is_late = progress != i64::MIN && progress >= self.spec.clock.fire_instant(window.end - 1);
        if joined.is_empty() && is_late {
            return false;
        }
        let mut whole = Session {
            window,
            rows: Vec::new(),
        };
        for session in joined {
            self.due.remove(&(session.window, key));
            whole.window.start = whole.window.start.min(session.window.start);
            whole.window.end = whole.window.end.max(session.window.end);
            whole.rows.extend(session.rows);
        }
        whole.rows.push(row);
        self.due.insert((whole.window, key));
        self.sessions[key as usize].push(whole);
        true
    }

    /// Emits the rows of the closed sessions, by end, start and key.
    fn fire(&mut self, progress: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        while let Some((window, key)) = self.due.first().copied() {
            if progress != i64::MAX && progress < self.spec.clock.fire_instant(window.end - 1) {
                break;
            }
            self.due.pop_first();
            let open = &mut self.sessions[key as usize];
            if let Some(at) = open.iter().position(|session| session.window == window) {
                let session = open.swap_remove(at);
                self.emit(&session, context, out)?;
                self.rows.remove(session.rows)?;
            }
            forget_unused(&mut self.table, &self.sessions, &[key])?;
        }
        Ok(())
    }

    fn emit(&self, session: &Session, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let windows = vec![session.window; session.rows.len()];
        let rows = self.rows.rows(&session.rows)?;
        let mut columns = rows.columns;
        columns.extend(self.spec.properties.columns_of(&windows, &self.spec.clock));
        push(Batch { columns, ..rows }, context, out)
    }
}

impl SessionRows {
    /// Lets rows move to disk.
    pub(crate) fn spill_to(mut self, spill: Option<&Spill>) -> Self {
        self.rows.spill_to(spill);
        self
    }
}

impl Operator for SessionRows {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let progress = if self.spec.event_time {
            context.watermark.0
        } else {
            i64::MIN
        };
        if batch.is_empty() {
            Ok(())
        } else {
            self.add(&batch, progress, context)
        }
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if self.spec.event_time {
            self.fire(watermark.0, context, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<i64> {
        if self.spec.event_time {
            return None;
        }
        let due = self.due.first();
        due.map(|(window, _)| self.spec.clock.fire_instant(window.end - 1) + 1)
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.spec.event_time {
            return Ok(());
        }
        self.fire(context.now_ms - 1, context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.rows.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    /// The rows form the same sessions again.
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let mut restored = Vec::new();
        let partition = self.spec.partition.clone();
        self.rows
            .restore("rows", &blocks, &owner(&partition, context), |rows| {
                let keys: Vec<ArrayRef> = partition
                    .iter()
                    .map(|k| Arc::clone(&rows.batch.columns[*k]))
                    .collect();
                let times = rows.times.iter().map(|time| Some(*time));
                restored.push((keys, rows.numbers.zip(times).collect()));
                Ok(())
            })?;
        restored
            .into_iter()
            .try_for_each(|(keys, rows)| self.put_all(&keys, rows, i64::MIN).map(|_| ()))
    }

    fn spilled_bytes(&self) -> u64 {
        self.rows.disk_size()
    }

    fn state_bytes(&self) -> usize {
        let numbers = |session: &Session| session.rows.capacity() * size_of::<u64>() + size_of::<Session>();
        let sessions: usize = self.sessions.iter().flatten().map(numbers).sum();
        self.table.memory_size() + self.rows.memory_size() + sessions
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
