//! The first or the last row of each key by a time attribute.
//!
//! | | by processing time | by event time |
//! |---|---|---|
//! | keep first | the first row that comes, at once, for ever | the row with the least time, when the watermark passes it; late rows are dropped |
//! | keep last | every row replaces the one before | a row replaces one that is not newer, at once; late rows count |

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::{DirtyBlocks, GroupTable, NO_GROUP, RowStore, StateError};
use millstream_types::{Batch, RowKind, Watermark};

use crate::emit::{push, take_columns};
use crate::group_state::{freeze, thaw};
use crate::window::input::milliseconds;

/// What a plan says about a deduplication.
#[derive(Clone, Debug)]
pub(crate) struct DeduplicateSpec {
    pub types: Vec<DataType>,
    pub keys: Vec<usize>,
    pub time: usize,
    pub keep_last: bool,
    pub event_time: bool,
    pub update_before: bool,
    pub ttl_ms: i64,
}

/// Keeps whole rows: keep last, and keep first by event time.
pub(crate) struct Deduplicate {
    spec: DeduplicateSpec,
    /// At most one row for each key, with its time; with a time to live, its stamp says when it was written.
    store: RowStore,
    /// Keep first by event time: keys whose row was emitted.
    emitted: Option<WrittenKeys>,
    sweeps: Sweeps,
    late_rows: u64,
}

/// When to look for what is expired.
struct Sweeps {
    ttl_ms: i64,
    next_ms: Option<i64>,
}

/// A sweep comes after this part of the time to live.
const SWEEPS_PER_TTL: i64 = 4;

impl Sweeps {
    fn new(ttl_ms: i64) -> Self {
        Self {
            ttl_ms,
            next_ms: None,
        }
    }

    fn is_expired(&self, written_ms: i64, now_ms: i64) -> bool {
        self.ttl_ms > 0 && written_ms <= now_ms.saturating_sub(self.ttl_ms)
    }

    /// Something may expire from now on.
    fn start(&mut self, now_ms: i64) {
        if self.ttl_ms > 0 {
            let next = now_ms.saturating_add((self.ttl_ms / SWEEPS_PER_TTL).max(1));
            self.next_ms.get_or_insert(next);
        }
    }

    /// Whether it is time for a sweep; [`Sweeps::start`] follows if something is left.
    fn is_due(&mut self, now_ms: i64) -> bool {
        let due = self.next_ms.is_some_and(|at| at <= now_ms);
        if due {
            self.next_ms = None;
        }
        due
    }
}

/// Keys, and with a time to live when each was written last.
struct WrittenKeys {
    table: GroupTable,
    has_times: bool,
    written_ms: Vec<i64>,
    dirty: DirtyBlocks,
}

impl WrittenKeys {
    fn new(spec: &DeduplicateSpec) -> Result<Self, DataflowError> {
        let types: Vec<DataType> = spec.keys.iter().map(|k| spec.types[*k].clone()).collect();
        Ok(Self {
            table: GroupTable::new(&types)?,
            has_times: spec.ttl_ms > 0,
            written_ms: Vec::new(),
            dirty: DirtyBlocks::default(),
        })
    }

    fn write(&mut self, key: u32, now_ms: i64) {
        if !self.has_times {
            return;
        }
        self.written_ms.resize(self.table.end(), i64::MIN);
        self.written_ms[key as usize] = now_ms;
        self.dirty.mark(key);
    }

    fn written_ms(&self, key: u32) -> i64 {
        self.written_ms.get(key as usize).copied().unwrap_or(i64::MIN)
    }

    fn sweep(&mut self, sweeps: &Sweeps, now_ms: i64) -> Result<(), DataflowError> {
        let is_expired = |key: &u32| sweeps.is_expired(self.written_ms(*key), now_ms);
        let expired: Vec<u32> = self.table.groups().filter(is_expired).collect();
        for key in expired {
            self.dirty.mark(key);
            self.table.remove(key)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, scope: &SnapshotScope, out: &mut StateBlocks) -> Result<(), DataflowError> {
        self.table.snapshot("keys", scope, out)?;
        if !self.has_times {
            return Ok(());
        }
        self.written_ms.resize(self.table.end(), i64::MIN);
        let written_ms = &self.written_ms;
        freeze("written", &self.table, &mut self.dirty, scope, out, |keys| {
            let times = keys.iter().map(|key| written_ms[*key as usize]);
            Ok(vec![Arc::new(Int64Array::from_iter_values(times))])
        })
    }

    fn restore(&mut self, blocks: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        let (groups, most) = (context.key_groups(), context.max_parallelism);
        let maps = self.table.restore("keys", blocks, groups, most)?;
        thaw("written", blocks, &maps, |keys, columns| {
            let times = columns.first().and_then(|c| c.as_primitive_opt::<Int64Type>());
            let times = times.ok_or_else(|| StateError::corrupt("written", "times are missing"))?;
            keys.iter()
                .zip(times.values())
                .for_each(|(key, time)| self.write(*key, *time));
            Ok(())
        })
    }

    fn memory_size(&self) -> usize {
        self.table.memory_size() + self.written_ms.capacity() * size_of::<i64>()
    }
}

impl Deduplicate {
    pub(crate) fn new(spec: DeduplicateSpec) -> Result<Self, DataflowError> {
        let emitted = match spec.keep_last {
            true => None,
            false => Some(WrittenKeys::new(&spec)?),
        };
        Ok(Self {
            store: RowStore::new(&spec.types, &spec.keys)?,
            emitted,
            sweeps: Sweeps::new(spec.ttl_ms),
            late_rows: 0,
            spec,
        })
    }

    fn times(&self, batch: &Batch) -> Result<Vec<i64>, DataflowError> {
        if !self.spec.event_time {
            return Ok(vec![0; batch.rows]);
        }
        Ok(milliseconds(&batch.columns[self.spec.time])?.0.to_vec())
    }

    /// The row of a key. One whose time to live is over goes now.
    fn held(&mut self, key: u32, now_ms: i64) -> Option<u32> {
        let held = self.store.rows_of(key).next()?;
        if self.sweeps.is_expired(self.store.stamp(held), now_ms) {
            self.store.remove(held);
            return None;
        }
        Some(held)
    }

    fn keep_last(
        &mut self,
        batch: &Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let times = self.times(batch)?;
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        let mut changes: Vec<(RowKind, u32)> = Vec::new();
        for row in 0..batch.rows {
            let held = self.held(keys[row], context.now_ms);
            if !batch.kind(row).is_addition() {
                if held == Some(rows[row]) {
                    self.store.remove(rows[row]);
                    changes.push((RowKind::Delete, rows[row]));
                }
                continue;
            }
            match held {
                Some(held) if self.store.time_ms(held) > times[row] => continue,
                Some(held) => {
                    if self.spec.update_before {
                        changes.push((RowKind::UpdateBefore, held));
                    }
                    self.store.remove(held);
                    changes.push((RowKind::UpdateAfter, rows[row]));
                }
                None => changes.push((RowKind::Insert, rows[row])),
            }
            self.store.add(keys[row], rows[row], times[row]);
            if self.spec.ttl_ms > 0 {
                self.store.set_stamp(rows[row], context.now_ms);
            }
        }
        self.sweeps.start(context.now_ms);
        let columns = self
            .store
            .columns(&changes.iter().map(|(_, row)| *row).collect::<Vec<_>>())?;
        self.store.end_batch()?;
        push(
            Batch::changes(columns, changes.into_iter().map(|(kind, _)| kind).collect()),
            context,
            out,
        )
    }

    fn keep_first(&mut self, batch: &Batch, context: &Context) -> Result<(), DataflowError> {
        let times = self.times(batch)?;
        let columns: Vec<ArrayRef> = self
            .spec
            .keys
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let mut done = Vec::new();
        if let Some(emitted) = &mut self.emitted {
            emitted.table.find(&columns, batch.rows, &mut done)?;
            for key in done.iter_mut().filter(|key| **key != NO_GROUP) {
                if self.sweeps.is_expired(emitted.written_ms(*key), context.now_ms) {
                    *key = NO_GROUP;
                }
            }
        }
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        for row in 0..batch.rows {
            if done.get(row).is_some_and(|group| *group != NO_GROUP) {
                continue;
            }
            if times[row] < context.watermark.0 {
                self.late_rows += 1;
                continue;
            }
            let held = self.store.rows_of(keys[row]).next();
            if held.is_some_and(|held| self.store.time_ms(held) <= times[row]) {
                continue;
            }
            if let Some(held) = held {
                self.store.remove(held);
            }
            self.store.add(keys[row], rows[row], times[row]);
        }
        self.store.end_batch()?;
        Ok(())
    }

    /// Emits the rows whose time the watermark has passed, by time, then by arrival.
    fn emit_due(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let mut due: Vec<u32> = self
            .store
            .rows()
            .filter(|row| self.store.time_ms(*row) <= watermark.0)
            .collect();
        due.sort_by_key(|row| (self.store.time_ms(*row), *row));
        let columns = self.store.columns(&due)?;
        if let Some(emitted) = &mut self.emitted {
            let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|k| Arc::clone(&columns[*k])).collect();
            let mut groups = Vec::new();
            emitted.table.intern(&keys, due.len(), &mut groups)?;
            groups
                .iter()
                .for_each(|group| emitted.write(*group, context.now_ms));
            if !due.is_empty() {
                self.sweeps.start(context.now_ms);
            }
        }
        due.iter().for_each(|row| self.store.remove(*row));
        self.store.end_batch()?;
        push(Batch::inserts(columns, due.len()), context, out)
    }
}

impl Operator for Deduplicate {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.spec.keep_last {
            self.keep_last(&batch, context, out)
        } else {
            self.keep_first(&batch, context)
        }
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if !self.spec.keep_last {
            self.emit_due(watermark, context, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<i64> {
        self.sweeps.next_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if !self.sweeps.is_due(context.now_ms) {
            return Ok(());
        }
        let is_empty = match &mut self.emitted {
            Some(emitted) => {
                emitted.sweep(&self.sweeps, context.now_ms)?;
                emitted.table.is_empty()
            }
            None => {
                let is_expired = |row: &u32| self.sweeps.is_expired(self.store.stamp(*row), context.now_ms);
                let expired: Vec<u32> = self.store.rows().filter(is_expired).collect();
                expired.into_iter().for_each(|row| self.store.remove(row));
                self.store.end_batch()?;
                self.store.is_empty()
            }
        };
        if !is_empty {
            self.sweeps.start(context.now_ms);
        }
        Ok(())
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.store.snapshot("rows", scope, &mut out)?;
        if let Some(emitted) = &mut self.emitted {
            emitted.snapshot(scope, &mut out)?;
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.store
            .restore("rows", &blocks, context.key_groups(), context.max_parallelism)?;
        if let Some(emitted) = &mut self.emitted {
            emitted.restore(&blocks, context)?;
        }
        self.sweeps.start(context.now_ms);
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.store.memory_size() + self.emitted.as_ref().map_or(0, WrittenKeys::memory_size)
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}

/// Keep first by processing time: only keys are kept.
pub(crate) struct FirstArrival {
    columns: Vec<usize>,
    keys: WrittenKeys,
    sweeps: Sweeps,
    groups: Vec<u32>,
}

impl FirstArrival {
    pub(crate) fn new(spec: &DeduplicateSpec) -> Result<Self, DataflowError> {
        Ok(Self {
            columns: spec.keys.clone(),
            keys: WrittenKeys::new(spec)?,
            sweeps: Sweeps::new(spec.ttl_ms),
            groups: Vec::new(),
        })
    }
}

impl Operator for FirstArrival {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let columns: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        self.keys.table.intern(&columns, batch.rows, &mut self.groups)?;
        let created = self.keys.table.created().to_vec();
        let mut created = created.into_iter().peekable();
        let mut first = Vec::new();
        for (row, group) in self.groups.iter().enumerate() {
            // Groups are created in the order in which their first rows stand in the batch.
            let is_new = created.next_if_eq(group).is_some();
            if is_new
                || self
                    .sweeps
                    .is_expired(self.keys.written_ms(*group), context.now_ms)
            {
                self.keys.write(*group, context.now_ms);
                first.push(row as u32);
            }
        }
        self.sweeps.start(context.now_ms);
        push(
            Batch::inserts(take_columns(&batch.columns, &first)?, first.len()),
            context,
            out,
        )
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.keys.snapshot(scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.keys.restore(&blocks, context)?;
        self.sweeps.start(context.now_ms);
        Ok(())
    }

    fn next_timer(&self) -> Option<i64> {
        self.sweeps.next_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if !self.sweeps.is_due(context.now_ms) {
            return Ok(());
        }
        self.keys.sweep(&self.sweeps, context.now_ms)?;
        if !self.keys.table.is_empty() {
            self.sweeps.start(context.now_ms);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.keys.memory_size()
    }
}
