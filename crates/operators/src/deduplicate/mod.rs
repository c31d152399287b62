//! The first or the last row of each key by a time attribute.
//!
//! | | by processing time | by event time |
//! |---|---|---|
//! | keep first | the first row that comes, at once, forever | the row with the least time, when the watermark passes it; late rows are dropped |
//! | keep last | every row replaces the previous one | a row replaces one that is not newer, at once; late rows count |

mod written_keys;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_state::owned::with_names_of;
use millstream_state::{Expiry, NO_GROUP, RowStore};
use millstream_types::{Batch, RowKind, Watermark};

use crate::cold::RowRoom;
use crate::emit::{push, take_columns};
use crate::window::input::milliseconds;

use written_keys::WrittenKeys;

/// The parameters of a deduplication in a plan.
#[derive(Clone, Debug)]
pub(crate) struct DeduplicateSpec {
    pub types: Vec<DataType>,
    pub keys: Vec<usize>,
    pub time: usize,
    pub keep_last: bool,
    pub event_time: bool,
    pub update_before: bool,
    /// Whether rows only come.
    pub insert_only: bool,
    pub ttl_ms: i64,
}

/// Stores whole rows: keep last, and keep first by event time.
pub(crate) struct Deduplicate {
    spec: DeduplicateSpec,
    /// At most one row per key, with its time; with a TTL, the stamp is the time of the last write.
    store: RowStore,
    room: RowRoom,
    /// Keep first by event time: keys whose row was emitted.
    emitted: Option<WrittenKeys>,
    /// The row of the current batch that is the last of each key so far, [`NO_GROUP`] if there is none.
    in_batch: Vec<u32>,
    sweeps: Sweeps,
    late: LateRows,
}

/// The last row of a key.
#[derive(Clone, Copy)]
enum Held {
    Stored(u32),
    InBatch(u32),
}

/// Schedules the sweeps for expired state.
struct Sweeps {
    ttl_ms: i64,
    next_ms: Option<i64>,
}

/// A sweep runs after this fraction of the TTL.
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

    /// From now on, something may expire.
    fn start(&mut self, now_ms: i64) {
        if self.ttl_ms > 0 {
            let next = now_ms.saturating_add((self.ttl_ms / SWEEPS_PER_TTL).max(1));
            self.next_ms.get_or_insert(next);
        }
    }

    /// Whether a sweep is due. The caller calls [`Sweeps::start`] afterwards if state remains.
    fn is_due(&mut self, now_ms: i64) -> bool {
        let due = self.next_ms.is_some_and(|at| at <= now_ms);
        if due {
            self.next_ms = None;
        }
        due
    }
}

impl Deduplicate {
    pub(crate) fn new(spec: DeduplicateSpec, context: &Context) -> Result<Self, DataflowError> {
        let emitted = if spec.keep_last {
            None
        } else {
            Some(WrittenKeys::new(&spec, context)?)
        };
        let mut store = if spec.insert_only {
            RowStore::of_arrivals(&spec.types, &spec.keys)?
        } else {
            RowStore::new(&spec.types, &spec.keys)?
        };
        // Rows that wait for the watermark are looked at together, so they stay in memory.
        let spill = context.spill.as_ref().filter(|_| spec.keep_last);
        let expiry = if spec.ttl_ms > 0 {
            Expiry::Stamp
        } else {
            Expiry::Never
        };
        store.spill_to(spill, expiry);
        let room = RowRoom::new(spill, store.can_spill());
        Ok(Self {
            store,
            room,
            emitted,
            in_batch: Vec::new(),
            sweeps: Sweeps::new(spec.ttl_ms),
            late: LateRows::default(),
            spec,
        })
    }

    fn times(&self, batch: &Batch) -> Result<Vec<i64>, DataflowError> {
        if !self.spec.event_time {
            return Ok(vec![0; batch.rows]);
        }
        Ok(milliseconds(&batch.columns[self.spec.time])?.0.to_vec())
    }

    /// The row of a key. Drops the row if its TTL has expired.
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
        self.room.make(&mut self.store)?;
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

    /// As [`Deduplicate::keep_last`] for rows that only come. Rows that a later one of the batch replaces are not
    /// stored, and what is emitted of the batch is taken from it.
    fn keep_last_arrival(
        &mut self,
        batch: &Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let times = self.times(batch)?;
        self.room.make(&mut self.store)?;
        let mut keys = Vec::new();
        self.store.resolve_keys(&batch.columns, batch.rows, &mut keys)?;
        self.in_batch.resize(self.store.keys_end(), NO_GROUP);
        let mut changes: Vec<(RowKind, Held)> = Vec::with_capacity(batch.rows);
        let mut replaced: Vec<u32> = Vec::new();
        for (row, key) in keys.iter().enumerate() {
            let held = match self.in_batch[*key as usize] {
                NO_GROUP => self.held(*key, context.now_ms).map(Held::Stored),
                last => Some(Held::InBatch(last)),
            };
            let held_time = held.map(|held| match held {
                Held::Stored(held) => self.store.time_ms(held),
                Held::InBatch(held) => times[held as usize],
            });
            if held_time.is_some_and(|held| held > times[row]) {
                continue;
            }
            if let Some(Held::Stored(held)) = held {
                replaced.push(held);
            }
            if let Some(held) = held.filter(|_| self.spec.update_before) {
                changes.push((RowKind::UpdateBefore, held));
            }
            let kind = held.map_or(RowKind::Insert, |_| RowKind::UpdateAfter);
            changes.push((kind, Held::InBatch(row as u32)));
            self.in_batch[*key as usize] = row as u32;
        }
        let columns = self.changed_columns(batch, &changes)?;
        replaced.into_iter().for_each(|row| self.store.remove(row));
        self.store_last(batch, &keys, &times, context.now_ms)?;
        self.sweeps.start(context.now_ms);
        let kinds = changes.into_iter().map(|(kind, _)| kind).collect();
        push(Batch::changes(columns, kinds), context, out)
    }

    /// The rows of changes, some of the batch, some of the store.
    fn changed_columns(
        &self,
        batch: &Batch,
        changes: &[(RowKind, Held)],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let mut stored: Vec<u32> = Vec::new();
        let place = |(_, held): &(RowKind, Held)| match held {
            Held::InBatch(row) => (0, *row as usize),
            Held::Stored(row) => {
                stored.push(*row);
                (1, stored.len() - 1)
            }
        };
        let places: Vec<(usize, usize)> = changes.iter().map(place).collect();
        if stored.is_empty() {
            let rows: Vec<u32> = places.iter().map(|(_, row)| *row as u32).collect();
            return take_columns(&batch.columns, &rows);
        }
        let stored = self.store.columns(&stored)?;
        let column = |(fresh, stored): (&ArrayRef, &ArrayRef)| {
            // The names inside of a nested type may differ between an input and what was stored of it.
            let fresh = with_names_of(stored.data_type(), fresh)?;
            Ok(interleave(&[fresh.as_ref(), stored.as_ref()], &places)?)
        };
        batch.columns.iter().zip(&stored).map(column).collect()
    }

    /// Stores the last row of each key of a batch.
    fn store_last(
        &mut self,
        batch: &Batch,
        keys: &[u32],
        times: &[i64],
        now_ms: i64,
    ) -> Result<(), DataflowError> {
        let is_last = |row: &u32| self.in_batch[keys[*row as usize] as usize] == *row;
        let last: Vec<u32> = (0..batch.rows as u32).filter(is_last).collect();
        let mut rows = Vec::new();
        self.store
            .resolve_rows(&take_columns(&batch.columns, &last)?, last.len(), &mut rows)?;
        for (row, stored) in last.iter().map(|row| *row as usize).zip(rows) {
            self.store.add(keys[row], stored, times[row]);
            if self.spec.ttl_ms > 0 {
                self.store.set_stamp(stored, now_ms);
            }
        }
        keys.iter()
            .for_each(|key| self.in_batch[*key as usize] = NO_GROUP);
        Ok(self.store.end_batch()?)
    }

    fn keep_first(&mut self, batch: &Batch, context: &Context) -> Result<(), DataflowError> {
        let times = self.times(batch)?;
        let keys = self.spec.keys.iter();
        let columns: Vec<ArrayRef> = keys.map(|k| Arc::clone(&batch.columns[*k])).collect();
        let mut done = Vec::new();
        if let Some(emitted) = &mut self.emitted {
            emitted.make_room()?;
            emitted.find(&columns, batch.rows, &mut done)?;
            for key in done.iter_mut().filter(|key| **key != NO_GROUP) {
                if self.sweeps.is_expired(emitted.written_ms(*key), context.now_ms) {
                    *key = NO_GROUP;
                }
            }
        }
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        let mut late = Vec::new();
        for row in 0..batch.rows {
            if done.get(row).is_some_and(|group| *group != NO_GROUP) {
                continue;
            }
            if times[row] < context.watermark.0 {
                late.push(row as u32);
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
        self.late.add(0, batch, &late, context)?;
        Ok(self.store.end_batch()?)
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
        match (self.spec.keep_last, self.spec.insert_only) {
            (true, true) => self.keep_last_arrival(&batch, context, out),
            (true, false) => self.keep_last(&batch, context, out),
            (false, _) => self.keep_first(&batch, context),
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
                emitted.is_empty()
            }
            None => {
                let is_expired = |row: &u32| self.sweeps.is_expired(self.store.stamp(*row), context.now_ms);
                let expired: Vec<u32> = self.store.rows().filter(is_expired).collect();
                expired.into_iter().for_each(|row| self.store.remove(row));
                let oldest = context.now_ms.saturating_sub(self.spec.ttl_ms);
                self.store.expire_cold(oldest);
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
        self.store.used_bytes()
            + self.in_batch.capacity() * size_of::<u32>()
            + self.emitted.as_ref().map_or(0, WrittenKeys::memory_size)
    }

    fn spilled_bytes(&self) -> u64 {
        self.store.disk_size() + self.emitted.as_ref().map_or(0, WrittenKeys::disk_size)
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}

/// Keep first by processing time: stores only keys.
pub(crate) struct FirstArrival {
    columns: Vec<usize>,
    keys: WrittenKeys,
    sweeps: Sweeps,
    groups: Vec<u32>,
}

impl FirstArrival {
    pub(crate) fn new(spec: &DeduplicateSpec, context: &Context) -> Result<Self, DataflowError> {
        Ok(Self {
            columns: spec.keys.clone(),
            keys: WrittenKeys::new(spec, context)?,
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
        self.keys.make_room()?;
        let created = self.keys.intern(&columns, batch.rows, &mut self.groups)?;
        let mut created = created.into_iter().peekable();
        let mut first = Vec::new();
        for (row, group) in self.groups.iter().enumerate() {
            // Groups are created in the order in which their first rows appear in the batch.
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
        if !self.keys.is_empty() {
            self.sweeps.start(context.now_ms);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.keys.memory_size()
    }

    fn spilled_bytes(&self) -> u64 {
        self.keys.disk_size()
    }
}
