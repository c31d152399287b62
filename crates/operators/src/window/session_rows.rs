//! The SESSION table function on its own: rows with the session that they turn out to be in.
//!
//! Unlike other windows a session is known only when it is over: rows wait until then. A row is late if the session
//! that it would be in has passed.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::GroupTable;
use millstream_types::{Batch, Watermark};

use super::input::WindowInput;
use super::wall_clock::WallClock;
use super::{Window, WindowColumns, forget_unused};
use crate::buffered::BufferedRows;
use crate::emit::push;
use crate::owned_rows::restore_owned;

/// What a plan says about a session table function.
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

/// A row of a batch.
type Row = (Arc<Batch>, usize);

/// An open session with its rows, in the order in which they came.
struct Session {
    window: Window,
    rows: Vec<Row>,
}

/// The operator; see the module's documentation.
pub(crate) struct SessionRows {
    spec: SessionRowsSpec,
    table: GroupTable,
    /// Open sessions of each key.
    sessions: Vec<Vec<Session>>,
    /// Sessions by end, then start, then key.
    due: BTreeSet<(Window, u32)>,
    late_rows: u64,
}

impl SessionRows {
    pub(crate) fn new(spec: SessionRowsSpec) -> Result<Self, DataflowError> {
        let key_types: Vec<DataType> = spec.partition.iter().map(|k| spec.types[*k].clone()).collect();
        Ok(Self {
            table: GroupTable::new(&key_types)?,
            sessions: Vec::new(),
            due: BTreeSet::new(),
            late_rows: 0,
            spec,
        })
    }

    /// Puts rows into sessions; behind `progress` they are late.
    fn add(&mut self, batch: Batch, progress: i64, context: &Context) -> Result<(), DataflowError> {
        let times = self.spec.input.times(&batch, &mut self.spec.clock, context)?;
        let keys: Vec<ArrayRef> = self
            .spec
            .partition
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.intern(&keys, batch.rows, &mut groups)?;
        self.sessions.resize_with(self.table.end(), Vec::new);
        let batch = Arc::new(batch);
        for (row, key) in groups.iter().enumerate() {
            if times.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let start = times.values[row];
            let window = Window {
                start,
                end: start.saturating_add(self.spec.gap_ms),
            };
            self.put(*key, window, (Arc::clone(&batch), row), progress);
        }
        forget_unused(&mut self.table, &self.sessions, &groups)?;
        Ok(())
    }

    fn put(&mut self, key: u32, window: Window, row: Row, progress: i64) {
        let open = &mut self.sessions[key as usize];
        let touches =
            |session: &Session| session.window.start <= window.end && session.window.end >= window.start;
        let (joined, apart): (Vec<Session>, Vec<Session>) = open.drain(..).partition(touches);
        *open = apart;
        let is_late = progress != i64::MIN && progress >= self.spec.clock.fire_instant(window.end - 1);
        if joined.is_empty() && is_late {
            self.late_rows += 1;
            return;
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
    }

    /// Emits the rows of the sessions that are over, by end, start and key.
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
            }
            forget_unused(&mut self.table, &self.sessions, &[key])?;
        }
        Ok(())
    }

    fn emit(&self, session: &Session, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let windows = vec![session.window; session.rows.len()];
        let rows = self.gather(&session.rows)?;
        let mut columns = rows.columns;
        columns.extend(self.spec.properties.columns_of(&windows, &self.spec.clock));
        push(Batch { columns, ..rows }, context, out)
    }

    fn gather(&self, rows: &[Row]) -> Result<Batch, DataflowError> {
        let places: Vec<(usize, usize)> = rows.iter().enumerate().map(|(i, (_, row))| (i, *row)).collect();
        let column = |column: usize| {
            let arrays: Vec<&dyn Array> = rows.iter().map(|(b, _)| b.columns[column].as_ref()).collect();
            interleave(&arrays, &places)
        };
        let columns = (0..self.spec.types.len())
            .map(column)
            .collect::<Result<Vec<_>, _>>()?;
        let has_kinds = rows.iter().any(|(batch, _)| batch.kinds.is_some());
        let kinds = || rows.iter().map(|(batch, row)| batch.kind(*row)).collect();
        Ok(Batch {
            columns,
            kinds: has_kinds.then(kinds),
            rows: rows.len(),
        })
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
        match batch.is_empty() {
            true => Ok(()),
            false => self.add(batch, progress, context),
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

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut rows = BufferedRows::default();
        for (window, key) in &self.due {
            let mut open = self.sessions[*key as usize].iter();
            if let Some(session) = open.find(|session| session.window == *window) {
                rows.push(self.gather(&session.rows)?);
            }
        }
        let mut out = StateBlocks::new();
        rows.snapshot("rows", &mut out)?;
        Ok(out)
    }

    /// The rows make the same sessions again.
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let mut rows = BufferedRows::default();
        restore_owned(&mut rows, "rows", &blocks, &self.spec.partition, context)?;
        rows.take_batches()
            .into_iter()
            .try_for_each(|batch| self.add(batch, i64::MIN, context))
    }

    fn state_bytes(&self) -> usize {
        let rows: usize = self
            .sessions
            .iter()
            .flatten()
            .map(|session| session.rows.len())
            .sum();
        self.table.memory_size() + rows * size_of::<Row>()
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
