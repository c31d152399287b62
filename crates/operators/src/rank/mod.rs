//! Top-N: the first rows of each partition in an order, kept up to date. LIMIT with and without ORDER BY over a
//! changing input is the Top-N of a single partition.
//!
//! What is emitted follows Flink's three strategies, because users see it:
//!
//! | strategy | input | state | without rank | with rank or offset |
//! |---|---|---|---|---|
//! | append | rows only come | the first rows | `-D` of the row pushed out, `+I`; for a single row `-U`/`+U` | by rank |
//! | update fast | `+U` by key, rows only rise | the first rows | `-U`/`+U` of a row that rises, else as append | by rank |
//! | retract | all kinds | all rows | `-D` of the row that goes, `+I` of the row that comes | by rank |
//!
//! "By rank": for each rank whose row changed, `-U`/`+U`, `+I` or `-D`, from the best rank on. Rows with equal sort
//! columns keep the order in which they came. Every row is handled on its own, so steps of any size give the same
//! changes.

pub(crate) mod bounded;
mod by_key;
mod cold;
mod ranking;
pub(crate) mod window;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::{RankRange, SortKey};
use millstream_state::{Expiry, NO_GROUP, RowStore, Spill};
use millstream_types::{Batch, RowKind};

use crate::cold::RowRoom;
use crate::emit::push;
use crate::sort_keys::{SortKeys, key_of};
use by_key::ByKey;
use ranking::Ranking;

/// The changelog strategy, see the module documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Append,
    /// With the columns of the upsert key.
    UpdateFast(Vec<usize>),
    Retract,
}

/// The parameters of a Top-N in a plan.
#[derive(Clone, Debug)]
pub(crate) struct RankSpec {
    pub types: Vec<DataType>,
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub range: RankRange,
    pub rank_output: bool,
    pub update_before: bool,
    pub strategy: Strategy,
    pub ttl_ms: i64,
}

/// The ranks that pass, from 1.
#[derive(Clone, Copy, Debug)]
struct Ranks {
    from: u64,
    to: u64,
}

impl Ranks {
    fn contains(self, rank: u64) -> bool {
        self.from <= rank && rank <= self.to
    }
}

/// A change to emit: its kind, the row, and its rank.
type Change = (RowKind, u32, u64);

/// The operator; see the module documentation.
pub(crate) struct Rank {
    spec: RankSpec,
    keys: SortKeys,
    store: RowStore,
    ranking: Ranking,
    room: RowRoom,
    /// Update fast: rows by key.
    by_key: Option<ByKey>,
    changes: Vec<Change>,
    /// Room for the rows whose rank one row changes.
    moved: Vec<u32>,
    next_sweep_ms: Option<i64>,
}

/// One row of a batch on its way through the ranking.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    partition: u32,
    row: u32,
    sort_key: &'a [u8],
    ranks: Ranks,
    /// Group of its key, with update fast.
    key: Option<u32>,
}

impl Rank {
    /// Checks a plan.
    pub(crate) fn check(spec: &RankSpec) -> Result<(), DataflowError> {
        Self::with_spill(spec.clone(), None).map(|_| ())
    }

    pub(crate) fn new(spec: RankSpec, context: &Context) -> Result<Self, DataflowError> {
        Self::with_spill(spec, context.spill.as_ref())
    }

    fn with_spill(spec: RankSpec, spill: Option<&Spill>) -> Result<Self, DataflowError> {
        let by_key = match &spec.strategy {
            Strategy::UpdateFast(columns) => Some(ByKey::new(columns, &spec.types)?),
            _ => None,
        };
        let mut store = match spec.strategy {
            Strategy::Append => RowStore::of_arrivals(&spec.types, &spec.partition)?,
            _ => RowStore::new(&spec.types, &spec.partition)?,
        };
        let expiry = if spec.ttl_ms > 0 {
            Expiry::Time
        } else {
            Expiry::Never
        };
        store.spill_to(spill, expiry);
        Ok(Self {
            keys: SortKeys::new(&spec.order, &spec.types)?,
            room: RowRoom::new(spill, store.can_spill()),
            store,
            ranking: Ranking::default(),
            by_key,
            changes: Vec::new(),
            moved: Vec::new(),
            next_sweep_ms: None,
            spec,
        })
    }

    fn ranks(&self, batch: &Batch, row: usize) -> Result<Ranks, DataflowError> {
        match self.spec.range {
            RankRange::Constant { from, to } => Ok(Ranks {
                from: from.max(1),
                to,
            }),
            RankRange::Variable { column } => {
                let to = integer(&batch.columns[column], row)?;
                Ok(Ranks {
                    from: 1,
                    to: u64::try_from(to).unwrap_or(0),
                })
            }
        }
    }

    fn by_rank(&self, ranks: Ranks) -> bool {
        self.spec.rank_output || ranks.from > 1
    }

    /// Inserts a row.
    fn add(&mut self, incoming: Incoming<'_>, time_ms: i64) {
        if self.spec.strategy != Strategy::Retract && !self.may_enter(incoming) {
            return;
        }
        self.store.add(incoming.partition, incoming.row, time_ms);
        let rank = self
            .ranking
            .insert(incoming.partition, incoming.sort_key, incoming.row);
        if rank > incoming.ranks.to {
            return;
        }
        if self.by_rank(incoming.ranks) {
            self.shift_down(incoming, rank, None);
        } else {
            self.enter(incoming);
        }
        if self.spec.strategy != Strategy::Retract {
            self.drop_beyond(incoming);
        }
    }

    /// Whether a row ranks above the last passing row, or the Top-N is not full.
    fn may_enter(&self, incoming: Incoming<'_>) -> bool {
        let Incoming {
            partition,
            ranks,
            sort_key,
            ..
        } = incoming;
        ranks.to > 0
            && match self.ranking.at(partition, ranks.to) {
                None => true,
                Some(last) => sort_key < last.sort_key(),
            }
    }

    /// A row enters the Top-N; the row that it displaces is emitted first.
    fn enter(&mut self, incoming: Incoming<'_>) {
        let out = self
            .ranking
            .at(incoming.partition, incoming.ranks.to + 1)
            .map(|slot| slot.row);
        let is_top_1 = incoming.ranks.to == 1 && self.spec.strategy != Strategy::Retract;
        match out {
            Some(out) if is_top_1 => {
                self.change(RowKind::UpdateBefore, out, 1, incoming.ranks);
                self.change(RowKind::UpdateAfter, incoming.row, 1, incoming.ranks);
            }
            Some(out) => {
                self.change(RowKind::Delete, out, 1, incoming.ranks);
                self.change(RowKind::Insert, incoming.row, 1, incoming.ranks);
            }
            None => self.change(RowKind::Insert, incoming.row, 1, incoming.ranks),
        }
    }

    /// A row now has rank `rank`: every row from there on moves down by one, up to `old_rank`, the row's former rank
    /// (with its old content), or to the end.
    fn shift_down(&mut self, incoming: Incoming<'_>, rank: u64, old: Option<(u64, u32)>) {
        let rows = self.moved_rows(incoming, rank);
        let beyond = self
            .ranking
            .at(incoming.partition, incoming.ranks.to + 1)
            .map(|slot| slot.row);
        for (i, row) in rows.iter().enumerate() {
            let here = rank + i as u64;
            // This rank previously belonged to the row that now follows, or to the old content of the row itself.
            let before = match old {
                Some((old_rank, _)) if here > old_rank => break,
                Some((old_rank, old_row)) if here == old_rank => Some(old_row),
                _ => rows.get(i + 1).copied().or(beyond),
            };
            match before {
                Some(before) => {
                    self.change(RowKind::UpdateBefore, before, here, incoming.ranks);
                    self.change(RowKind::UpdateAfter, *row, here, incoming.ranks);
                }
                None => self.change(RowKind::Insert, *row, here, incoming.ranks),
            }
        }
        self.moved = rows;
    }

    /// A row with rank `rank` was removed: every row after it moves up by one.
    fn shift_up(&mut self, incoming: Incoming<'_>, rank: u64) {
        let rows = self.moved_rows(incoming, rank);
        let mut before = incoming.row;
        for (i, row) in rows.iter().enumerate() {
            let here = rank + i as u64;
            self.change(RowKind::UpdateBefore, before, here, incoming.ranks);
            self.change(RowKind::UpdateAfter, *row, here, incoming.ranks);
            before = *row;
        }
        let last = rank + rows.len() as u64;
        self.change(RowKind::Delete, before, last, incoming.ranks);
        self.moved = rows;
    }

    /// The rows from a rank to the last that passes.
    fn moved_rows(&mut self, incoming: Incoming<'_>, rank: u64) -> Vec<u32> {
        let mut rows = std::mem::take(&mut self.moved);
        rows.clear();
        let Incoming { partition, ranks, .. } = incoming;
        rows.extend(self.ranking.rows_from(partition, rank, ranks.to));
        rows
    }

    /// Drops rows that can no longer pass.
    fn drop_beyond(&mut self, incoming: Incoming<'_>) {
        while let Some(row) = self.ranking.pop_beyond(incoming.partition, incoming.ranks.to) {
            self.store.subtract(row);
            if let Some(by_key) = &mut self.by_key {
                by_key.forget(row);
            }
        }
    }

    /// Retracts a row (retract strategy).
    fn take_back(&mut self, incoming: Incoming<'_>) {
        if self.store.subtract(incoming.row).is_none() {
            // The row never existed, or its TTL has expired.
            return;
        }
        let Some(rank) = self
            .ranking
            .remove_row(incoming.partition, incoming.sort_key, incoming.row)
        else {
            return;
        };
        if rank > incoming.ranks.to {
            return;
        }
        if self.by_rank(incoming.ranks) {
            return self.shift_up(incoming, rank);
        }
        self.change(RowKind::Delete, incoming.row, rank, incoming.ranks);
        if let Some(next) = self
            .ranking
            .at(incoming.partition, incoming.ranks.to)
            .map(|slot| slot.row)
        {
            self.change(RowKind::Insert, next, incoming.ranks.to, incoming.ranks);
        }
    }

    /// A row arrives that may be new content for an existing row (update-fast strategy).
    fn upsert(&mut self, incoming: Incoming<'_>, key: u32, time_ms: i64) {
        let held = self.by_key.as_ref().map_or(NO_GROUP, |by_key| by_key.row_of(key));
        let old_slot = if held == NO_GROUP {
            None
        } else {
            self.ranking.find(incoming.partition, held)
        };
        let Some((old_slot, old_rank)) = old_slot else {
            if self.may_enter(incoming) {
                self.set_key(key, incoming.row);
                self.add(incoming, time_ms);
            }
            return;
        };
        if old_slot.sort_key() == incoming.sort_key {
            self.store.subtract(held);
            self.store.add(incoming.partition, incoming.row, time_ms);
            self.ranking
                .replace_row(incoming.partition, &old_slot, incoming.row);
            self.change(RowKind::UpdateBefore, held, old_rank, incoming.ranks);
            self.change(RowKind::UpdateAfter, incoming.row, old_rank, incoming.ranks);
            return self.set_key(key, incoming.row);
        }
        self.ranking.remove(incoming.partition, &old_slot);
        self.store.subtract(held);
        self.store.add(incoming.partition, incoming.row, time_ms);
        let rank = self
            .ranking
            .insert(incoming.partition, incoming.sort_key, incoming.row);
        self.set_key(key, incoming.row);
        if self.by_rank(incoming.ranks) {
            self.shift_down(incoming, rank, Some((old_rank, held)));
        } else {
            self.change(RowKind::UpdateBefore, held, old_rank, incoming.ranks);
            self.change(RowKind::UpdateAfter, incoming.row, rank, incoming.ranks);
        }
    }

    fn set_key(&mut self, key: u32, row: u32) {
        if let Some(by_key) = &mut self.by_key {
            by_key.set(key, row);
        }
    }

    fn change(&mut self, kind: RowKind, row: u32, rank: u64, ranks: Ranks) {
        // Without rank the number is only good for the range of the rank strategy by rank.
        let passes = !self.by_rank(ranks) || ranks.contains(rank);
        if passes && (kind != RowKind::UpdateBefore || self.spec.update_before) {
            self.changes.push((kind, row, rank));
        }
    }

    /// With the append strategy and a constant range the last row that passes only gets better: rows that are not better
    /// now will not be later in the batch, and are left out before anything is stored. `None`: all rows may enter.
    fn may_enter_now(&self, batch: &Batch, partitions: &[u32]) -> Result<Option<Vec<u32>>, DataflowError> {
        let is_constant = matches!(self.spec.range, RankRange::Constant { .. });
        if self.spec.strategy != Strategy::Append || !is_constant {
            return Ok(None);
        }
        let sort_keys = self.keys.encode(&batch.columns)?;
        let mut kept = Vec::with_capacity(batch.rows);
        for (row, partition) in partitions.iter().enumerate() {
            let incoming = Incoming {
                partition: *partition,
                row: NO_GROUP,
                sort_key: key_of(&sort_keys, &self.keys, row),
                ranks: self.ranks(batch, row)?,
                key: None,
            };
            if !batch.kind(row).is_addition() || self.may_enter(incoming) {
                kept.push(row as u32);
            }
        }
        Ok((kept.len() < batch.rows).then_some(kept))
    }

    /// Ranks the rows of a batch one after the other.
    fn rank_rows(
        &mut self,
        batch: &Batch,
        partitions: &[u32],
        context: &Context,
    ) -> Result<(), DataflowError> {
        let mut rows = Vec::new();
        self.store.resolve_rows(&batch.columns, batch.rows, &mut rows)?;
        let keys_of_rows = match &mut self.by_key {
            Some(by_key) => Some(by_key.find(&batch.columns, batch.rows)?),
            None => None,
        };
        let sort_keys = self.keys.encode(&batch.columns)?;
        for (row, partition) in partitions.iter().enumerate() {
            let incoming = Incoming {
                partition: *partition,
                row: rows[row],
                sort_key: key_of(&sort_keys, &self.keys, row),
                ranks: self.ranks(batch, row)?,
                key: keys_of_rows.as_ref().map(|keys| keys[row]),
            };
            match (batch.kind(row).is_addition(), incoming.key) {
                (true, None) => self.add(incoming, context.now_ms),
                (true, Some(key)) => self.upsert(incoming, key, context.now_ms),
                (false, _) => self.take_back(incoming),
            }
        }
        Ok(())
    }

    fn emit(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let rows: Vec<u32> = changes.iter().map(|(_, row, _)| *row).collect();
        let mut columns = self.store.columns(&rows)?;
        if self.spec.rank_output {
            let ranks = Int64Array::from_iter_values(changes.iter().map(|(_, _, rank)| *rank as i64));
            columns.push(Arc::new(ranks));
        }
        push(
            Batch::changes(columns, changes.iter().map(|(kind, _, _)| *kind).collect()),
            context,
            out,
        )
    }

    /// Drops a row whose TTL has expired; as in Flink, this emits nothing.
    fn expire_row(&mut self, row: u32) {
        let partition = self.store.key_of(row);
        while let Some((slot, _)) = self.ranking.find(partition, row) {
            self.ranking.remove(partition, &slot);
        }
        self.store.remove(row);
        if let Some(by_key) = &mut self.by_key {
            by_key.forget(row);
        }
    }

    /// Drops the expired rows of these partitions, so that results do not depend on when a sweep runs.
    fn expire_partitions(&mut self, partitions: &[u32], now_ms: i64) {
        if self.spec.ttl_ms == 0 {
            return;
        }
        let oldest = now_ms.saturating_sub(self.spec.ttl_ms);
        for partition in partitions {
            // The rows of a partition are in write order.
            let expired = |row: &u32| self.store.time_ms(*row) <= oldest;
            let expired: Vec<u32> = self.store.rows_of(*partition).take_while(expired).collect();
            expired.into_iter().for_each(|row| self.expire_row(row));
        }
    }

    /// Takes all expired rows away.
    fn expire(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        let oldest = now_ms.saturating_sub(self.spec.ttl_ms);
        let expired: Vec<u32> = self
            .store
            .rows()
            .filter(|row| self.store.time_ms(*row) <= oldest)
            .collect();
        expired.into_iter().for_each(|row| self.expire_row(row));
        self.store.end_batch()?;
        self.store.expire_cold(oldest);
        if let Some(by_key) = &mut self.by_key {
            by_key.end_batch()?;
        }
        let sweep = now_ms.saturating_add((self.spec.ttl_ms / 4).max(1));
        self.next_sweep_ms = (!self.store.is_empty()).then_some(sweep);
        Ok(())
    }
}

/// The integer at `row` of a column of any integer type.
fn integer(column: &ArrayRef, row: usize) -> Result<i64, DataflowError> {
    if column.is_null(row) {
        return Ok(0);
    }
    Ok(match column.data_type() {
        DataType::Int8 => i64::from(column.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => i64::from(column.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => i64::from(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row),
        other => {
            return Err(DataflowError::internal(format!(
                "a rank is bounded by an integer, not by {other}"
            )));
        }
    })
}

impl Operator for Rank {
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
        self.make_room()?;
        let mut partitions = Vec::new();
        self.store
            .resolve_keys(&batch.columns, batch.rows, &mut partitions)?;
        let recalled: Vec<u32> = self.store.recalled().iter().map(|(row, _)| *row).collect();
        if !recalled.is_empty() {
            self.rank_stored(&recalled)?;
        }
        self.expire_partitions(&partitions, context.now_ms);
        match self.may_enter_now(&batch, &partitions)? {
            None => self.rank_rows(&batch, &partitions, context)?,
            Some(kept) => {
                let partitions: Vec<u32> = kept.iter().map(|row| partitions[*row as usize]).collect();
                self.rank_rows(&batch.take(&UInt32Array::from(kept))?, &partitions, context)?;
            }
        }
        self.emit(context, out)?;
        self.store.end_batch()?;
        if let Some(by_key) = &mut self.by_key {
            by_key.end_batch()?;
        }
        if self.spec.ttl_ms > 0 {
            let sweep = context.now_ms.saturating_add((self.spec.ttl_ms / 4).max(1));
            self.next_sweep_ms.get_or_insert(sweep);
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<i64> {
        self.next_sweep_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if self.next_sweep_ms.is_some_and(|at| at <= context.now_ms) {
            self.expire(context.now_ms)
        } else {
            Ok(())
        }
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.store.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.store
            .restore("rows", &blocks, context.key_groups(), context.max_parallelism)?;
        let partitions: Vec<u32> = self.store.keys().collect();
        for partition in partitions {
            let rows: Vec<u32> = self.store.rows_of(partition).collect();
            self.rank_stored(&rows)?;
        }
        if self.spec.ttl_ms > 0 && !self.store.is_empty() {
            self.next_sweep_ms = Some(context.now_ms);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.used_bytes()
    }

    fn spilled_bytes(&self) -> u64 {
        self.store.disk_size()
    }
}
