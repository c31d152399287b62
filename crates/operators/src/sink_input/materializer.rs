//! The rows of each primary key in arrival order: the sink should hold the last one.

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, SnapshotScope, StateBlocks};
use millstream_state::{Expiry, RowStore};
use millstream_types::{Batch, RowKind};

use crate::cold::RowRoom;

pub(super) struct Materializer {
    store: RowStore,
    room: RowRoom,
}

impl Materializer {
    pub(super) fn new(types: &[DataType], keys: &[usize], context: &Context) -> Result<Self, DataflowError> {
        let mut store = RowStore::new(types, keys)?;
        store.spill_to(context.spill.as_ref(), Expiry::Never);
        let room = RowRoom::new(context.spill.as_ref(), store.can_spill());
        Ok(Self { store, room })
    }

    /// The changes to send to the sink.
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Batch, DataflowError> {
        self.room.make(&mut self.store)?;
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        let mut changes: Vec<(RowKind, u32)> = Vec::new();
        for row in 0..batch.rows {
            let (key, number) = (keys[row], rows[row]);
            if batch.kind(row).is_addition() {
                let is_first = self.store.rows_in(key) == 0;
                changes.push((
                    if is_first {
                        RowKind::Insert
                    } else {
                        RowKind::UpdateAfter
                    },
                    number,
                ));
                self.add_last(key, number);
            } else {
                self.take_back(key, number, &mut changes);
            }
        }
        let columns = self
            .store
            .columns(&changes.iter().map(|(_, row)| *row).collect::<Vec<_>>())?;
        self.store.end_batch()?;
        Ok(Batch::changes(
            columns,
            changes.into_iter().map(|(kind, _)| kind).collect(),
        ))
    }

    /// The row becomes the last of its key, even if it was stored before.
    fn add_last(&mut self, key: u32, row: u32) {
        let times = self.store.count(row) + 1;
        self.store.remove(row);
        (0..times).for_each(|_| {
            self.store.add(key, row, 0);
        });
    }

    fn take_back(&mut self, key: u32, row: u32, changes: &mut Vec<(RowKind, u32)>) {
        let was_last = self.store.rows_of(key).last() == Some(row);
        let Some(left) = self.store.subtract(row) else {
            return;
        };
        match self.store.rows_of(key).last() {
            None => changes.push((RowKind::Delete, row)),
            Some(last) if was_last && left == 0 => changes.push((RowKind::UpdateAfter, last)),
            Some(_) => {}
        }
    }

    pub(super) fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.store.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    pub(super) fn restore(&mut self, blocks: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        Ok(self
            .store
            .restore("rows", blocks, context.key_groups(), context.max_parallelism)?)
    }

    pub(super) fn memory_size(&self) -> usize {
        self.store.used_bytes()
    }

    pub(super) fn disk_size(&self) -> u64 {
        self.store.disk_size()
    }
}
