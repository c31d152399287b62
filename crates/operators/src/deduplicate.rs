//! The first or the last row of each key by a time attribute.
//!
//! | | by processing time | by event time |
//! |---|---|---|
//! | keep first | the first row that comes, at once, for ever | the row with the least time, when the watermark passes it; late rows are dropped |
//! | keep last | every row replaces the one before | a row replaces one that is not newer, at once; late rows count |

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::{GroupTable, NO_GROUP, RowStore};
use millstream_types::{Batch, RowKind, Watermark};

use crate::emit::{push, take_columns};
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
    /// At most one row for each key, with its time.
    store: RowStore,
    /// Keep first by event time: keys whose row was emitted.
    emitted: Option<GroupTable>,
    ttl: TimeToLive,
    late_rows: u64,
}

/// When keys were written last, by number, and when to look for expired ones.
#[derive(Default)]
struct TimeToLive {
    ttl_ms: i64,
    written_ms: Vec<i64>,
    next_sweep_ms: Option<i64>,
}

/// A sweep for expired keys comes after this part of the time to live.
const SWEEPS_PER_TTL: i64 = 4;

impl TimeToLive {
    fn new(ttl_ms: i64) -> Self {
        Self {
            ttl_ms,
            ..Self::default()
        }
    }

    fn write(&mut self, key: u32, now_ms: i64) {
        if self.ttl_ms == 0 {
            return;
        }
        if key as usize >= self.written_ms.len() {
            self.written_ms.resize(key as usize + 1, i64::MIN);
        }
        self.written_ms[key as usize] = now_ms;
        self.next_sweep_ms
            .get_or_insert(now_ms.saturating_add((self.ttl_ms / SWEEPS_PER_TTL).max(1)));
    }

    fn is_expired(&self, key: u32, now_ms: i64) -> bool {
        let written = self.written_ms.get(key as usize).copied().unwrap_or(i64::MAX);
        self.ttl_ms > 0 && written <= now_ms.saturating_sub(self.ttl_ms)
    }

    /// Whether it is time for a sweep; the next one comes if something is left.
    fn sweeps(&mut self, now_ms: i64) -> bool {
        let due = self.next_sweep_ms.is_some_and(|at| at <= now_ms);
        if due {
            self.next_sweep_ms = None;
        }
        due
    }

    fn sweep_again(&mut self, now_ms: i64) {
        self.next_sweep_ms = Some(now_ms.saturating_add((self.ttl_ms / SWEEPS_PER_TTL).max(1)));
    }

    /// After a restore the time to live begins anew.
    fn restart(&mut self, keys: impl Iterator<Item = u32>, now_ms: i64) {
        keys.for_each(|key| self.write(key, now_ms));
    }
}

impl Deduplicate {
    pub(crate) fn new(spec: DeduplicateSpec) -> Result<Self, DataflowError> {
        let key_types: Vec<DataType> = spec.keys.iter().map(|k| spec.types[*k].clone()).collect();
        let emitted = if spec.keep_last {
            None
        } else {
            Some(GroupTable::new(&key_types)?)
        };
        Ok(Self {
            store: RowStore::new(&spec.types, &spec.keys)?,
            emitted,
            ttl: TimeToLive::new(spec.ttl_ms),
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
        if self.ttl.is_expired(key, now_ms) {
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
            self.ttl.write(keys[row], context.now_ms);
        }
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
            emitted.find(&columns, batch.rows, &mut done)?;
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
            emitted.intern(&keys, due.len(), &mut groups)?;
            groups
                .iter()
                .for_each(|group| self.ttl.write(*group, context.now_ms));
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
        self.ttl.next_sweep_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if !self.ttl.sweeps(context.now_ms) {
            return Ok(());
        }
        let keys: Vec<u32> = match &self.emitted {
            Some(emitted) => emitted.groups().collect(),
            None => self.store.keys().collect(),
        };
        let mut left = false;
        for key in keys {
            let is_expired = self.ttl.is_expired(key, context.now_ms);
            left |= !is_expired;
            match &mut self.emitted {
                Some(emitted) if is_expired => emitted.remove(key)?,
                None if is_expired => {
                    self.held(key, context.now_ms);
                }
                _ => {}
            }
        }
        if left {
            self.ttl.sweep_again(context.now_ms);
        }
        Ok(self.store.end_batch()?)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.store.snapshot("rows", scope, &mut out)?;
        if let Some(emitted) = &mut self.emitted {
            emitted.snapshot("emitted", scope, &mut out)?;
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.store
            .restore("rows", &blocks, context.key_groups(), context.max_parallelism)?;
        if let Some(emitted) = &mut self.emitted {
            emitted.restore("emitted", &blocks, context.key_groups(), context.max_parallelism)?;
        }
        let keys: Vec<u32> = match &self.emitted {
            Some(emitted) => emitted.groups().collect(),
            None => self.store.keys().collect(),
        };
        self.ttl.restart(keys.into_iter(), context.now_ms);
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.store.memory_size() + self.emitted.as_ref().map_or(0, GroupTable::memory_size)
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}

/// Keep first by processing time: only keys are kept.
pub(crate) struct FirstArrival {
    keys: Vec<usize>,
    table: GroupTable,
    ttl: TimeToLive,
    groups: Vec<u32>,
}

impl FirstArrival {
    pub(crate) fn new(spec: &DeduplicateSpec) -> Result<Self, DataflowError> {
        let key_types: Vec<DataType> = spec.keys.iter().map(|k| spec.types[*k].clone()).collect();
        Ok(Self {
            keys: spec.keys.clone(),
            table: GroupTable::new(&key_types)?,
            ttl: TimeToLive::new(spec.ttl_ms),
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
        let columns: Vec<ArrayRef> = self.keys.iter().map(|k| Arc::clone(&batch.columns[*k])).collect();
        self.table.intern(&columns, batch.rows, &mut self.groups)?;
        let mut created = self.table.created().iter().copied().peekable();
        let mut first = Vec::new();
        for (row, group) in self.groups.iter().enumerate() {
            // Groups are created in the order in which their first rows stand in the batch.
            let is_new = created.next_if_eq(group).is_some();
            if is_new || self.ttl.is_expired(*group, context.now_ms) {
                self.ttl.write(*group, context.now_ms);
                first.push(row as u32);
            }
        }
        push(
            Batch::inserts(take_columns(&batch.columns, &first)?, first.len()),
            context,
            out,
        )
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.table.snapshot("keys", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.table
            .restore("keys", &blocks, context.key_groups(), context.max_parallelism)?;
        self.ttl.restart(self.table.groups(), context.now_ms);
        Ok(())
    }

    fn next_timer(&self) -> Option<i64> {
        self.ttl.next_sweep_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if !self.ttl.sweeps(context.now_ms) {
            return Ok(());
        }
        let all: Vec<u32> = self.table.groups().collect();
        let expired: Vec<u32> = all
            .into_iter()
            .filter(|group| self.ttl.is_expired(*group, context.now_ms))
            .collect();
        expired.iter().try_for_each(|group| self.table.remove(*group))?;
        if !self.table.is_empty() {
            self.ttl.sweep_again(context.now_ms);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.table.memory_size()
    }
}
