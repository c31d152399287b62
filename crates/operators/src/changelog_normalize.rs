//! Turns upserts, or a changelog with duplicates, into a regular changelog: the last row of each key is kept.
//!
//! A delete may carry only the key (a Kafka tombstone): the row that was kept is emitted in its place. With a condition,
//! a row that no longer satisfies it is deleted.

use arrow_array::BooleanArray;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::{Expiry, RowStore};
use millstream_types::{Batch, RowKind};

use crate::cold::RowRoom;
use crate::emit::push;
use crate::expression::RowExpression;

/// The parameters of a normalisation in a plan.
#[derive(Clone, Debug)]
pub(crate) struct NormalizeSpec {
    pub types: Vec<DataType>,
    pub keys: Vec<usize>,
    pub update_before: bool,
    pub ttl_ms: i64,
}

pub(crate) struct ChangelogNormalize {
    spec: NormalizeSpec,
    condition: Option<RowExpression>,
    /// At most one row per key.
    store: RowStore,
    room: RowRoom,
    next_sweep_ms: Option<i64>,
}

impl ChangelogNormalize {
    pub(crate) fn new(
        spec: NormalizeSpec,
        condition: Option<RowExpression>,
        context: &Context,
    ) -> Result<Self, DataflowError> {
        let mut store = RowStore::new(&spec.types, &spec.keys)?;
        let expiry = if spec.ttl_ms > 0 {
            Expiry::Time
        } else {
            Expiry::Never
        };
        store.spill_to(context.spill.as_ref(), expiry);
        let room = RowRoom::new(context.spill.as_ref(), store.can_spill());
        Ok(Self {
            spec,
            condition,
            store,
            room,
            next_sweep_ms: None,
        })
    }

    /// The row of a key, unless its TTL has expired.
    fn held(&self, key: u32, now_ms: i64) -> Option<u32> {
        let ttl = self.spec.ttl_ms;
        let is_alive = |row: &u32| ttl == 0 || self.store.time_ms(*row) > now_ms.saturating_sub(ttl);
        self.store.rows_of(key).next().filter(is_alive)
    }

    fn changes(
        &mut self,
        batch: &Batch,
        keys: &[u32],
        rows: &[u32],
        passes: Option<&BooleanArray>,
        now_ms: i64,
    ) -> Vec<(RowKind, u32)> {
        let mut changes = Vec::new();
        for row in 0..batch.rows {
            let (key, number) = (keys[row], rows[row]);
            let held = self.held(key, now_ms);
            let stays = batch.kind(row).is_addition() && passes.is_none_or(|passes| passes.value(row));
            match (held, stays) {
                // Without a TTL, an unchanged row carries no information.
                (Some(held), true) if held == number && self.spec.ttl_ms == 0 => continue,
                (Some(held), true) => {
                    if self.spec.update_before {
                        changes.push((RowKind::UpdateBefore, held));
                    }
                    changes.push((RowKind::UpdateAfter, number));
                }
                (None, true) => changes.push((RowKind::Insert, number)),
                (Some(held), false) => changes.push((RowKind::Delete, held)),
                (None, false) => {}
            }
            let all: Vec<u32> = self.store.rows_of(key).collect();
            all.into_iter().for_each(|held| self.store.remove(held));
            if stays {
                self.store.add(key, number, now_ms);
            }
        }
        changes
    }
}

impl Operator for ChangelogNormalize {
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
        let passes = match &mut self.condition {
            Some(condition) => Some(condition.condition(&batch.columns, batch.rows, context)?),
            None => None,
        };
        self.room.make(&mut self.store)?;
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        let changes = self.changes(&batch, &keys, &rows, passes.as_ref(), context.now_ms);
        let columns = self
            .store
            .columns(&changes.iter().map(|(_, row)| *row).collect::<Vec<_>>())?;
        self.store.end_batch()?;
        if self.spec.ttl_ms > 0 {
            self.next_sweep_ms
                .get_or_insert(context.now_ms.saturating_add((self.spec.ttl_ms / 4).max(1)));
        }
        push(
            Batch::changes(columns, changes.into_iter().map(|(kind, _)| kind).collect()),
            context,
            out,
        )
    }

    fn next_timer(&self) -> Option<i64> {
        self.next_sweep_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if self.next_sweep_ms.is_none_or(|at| at > context.now_ms) {
            return Ok(());
        }
        let oldest = context.now_ms.saturating_sub(self.spec.ttl_ms);
        let expired: Vec<u32> = self
            .store
            .rows()
            .filter(|row| self.store.time_ms(*row) <= oldest)
            .collect();
        expired.into_iter().for_each(|row| self.store.remove(row));
        self.store.expire_cold(oldest);
        self.store.end_batch()?;
        let sweep = context.now_ms.saturating_add((self.spec.ttl_ms / 4).max(1));
        self.next_sweep_ms = (!self.store.is_empty()).then_some(sweep);
        Ok(())
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.store.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.store
            .restore("rows", &blocks, context.key_groups(), context.max_parallelism)?;
        if self.spec.ttl_ms > 0 && !self.store.is_empty() {
            self.next_sweep_ms = Some(context.now_ms);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.store.used_bytes()
    }

    fn spilled_bytes(&self) -> u64 {
        self.store.disk_size()
    }
}
