//! OVER windows of a stream that are ordered by something other than time: a row may come anywhere, so the results of
//! the rows behind it change.
//!
//! All rows are kept. The touched partitions of a batch are computed before and after it, and the differences are
//! emitted: rows that went, then in order rows that came (`+I`) and rows whose results changed (`-U`, `+U`).

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::SortKey;
use millstream_state::{Expiry, RowStore};
use millstream_types::{Batch, RowKind};

use super::frames::{FrameSpec, Frames};
use crate::cold::RowRoom;
use crate::emit::{push, rows_differ, stack, take_columns};
use crate::sort_keys::{SortKeys, key_of};

/// The parameters of these OVER windows in a plan. The frame is all rows up to the current one.
#[derive(Clone, Debug)]
pub(crate) struct UpdatingOverSpec {
    pub types: Vec<DataType>,
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub frame: FrameSpec,
}

pub(crate) struct UpdatingOver {
    spec: UpdatingOverSpec,
    keys: SortKeys,
    store: RowStore,
    room: RowRoom,
}

/// A snapshot of a partition: its rows in order, each as often as it occurs, with the columns and the results.
struct Moment {
    rows: Vec<u32>,
    columns: Vec<ArrayRef>,
}

impl UpdatingOver {
    pub(crate) fn new(spec: UpdatingOverSpec, context: &Context) -> Result<Self, DataflowError> {
        Frames::new(&spec.frame, &spec.types, &[])?;
        let mut store = RowStore::new(&spec.types, &spec.partition)?;
        let spill = context.spill.as_ref();
        store.spill_to(spill, Expiry::Never);
        Ok(Self {
            keys: SortKeys::new(&spec.order, &spec.types)?,
            room: RowRoom::new(spill, store.can_spill()),
            store,
            spec,
        })
    }

    fn moment(&self, partition: u32) -> Result<Moment, DataflowError> {
        let times = |row: u32| std::iter::repeat_n(row, self.store.count(row) as usize);
        let rows: Vec<u32> = self.store.rows_of(partition).flat_map(times).collect();
        let columns = self.store.columns(&rows)?;
        let sort_keys = self.keys.encode(&columns)?;
        let key = |row: u32| key_of(&sort_keys, &self.keys, row as usize);
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by(|a, b| key(*a).cmp(key(*b)));
        let mut runs: Vec<i64> = Vec::with_capacity(order.len());
        for (i, row) in order.iter().enumerate() {
            let same = i > 0 && key(order[i - 1]) == key(*row);
            let before = runs.last().copied().unwrap_or(0);
            runs.push(if same { before } else { before + 1 });
        }
        let mut columns = take_columns(&columns, &order)?;
        let batch = Batch::inserts(columns.clone(), order.len());
        let mut frames = Frames::new(&self.spec.frame, &self.spec.types, &[])?;
        frames.resize(1);
        columns.extend(frames.apply(&batch, &vec![0; order.len()], &runs)?);
        Ok(Moment {
            rows: order.iter().map(|i| rows[*i as usize]).collect(),
            columns,
        })
    }

    fn push_changes(
        &self,
        before: &Moment,
        after: &Moment,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        // Pairs the rows of both snapshots by number; equal rows in order.
        let mut paired: Vec<Option<u32>> = vec![None; after.rows.len()];
        let mut gone: Vec<u32> = Vec::new();
        let mut by_row: std::collections::BTreeMap<u32, Vec<u32>> = std::collections::BTreeMap::new();
        for (place, row) in after.rows.iter().enumerate().rev() {
            by_row.entry(*row).or_default().push(place as u32);
        }
        for (place, row) in before.rows.iter().enumerate() {
            match by_row.get_mut(row).and_then(Vec::pop) {
                Some(now) => paired[now as usize] = Some(place as u32),
                None => gone.push(place as u32),
            }
        }
        let below = before.rows.len() as u32;
        let (olds, news): (Vec<u32>, Vec<u32>) = paired
            .iter()
            .enumerate()
            .filter_map(|(new, old)| old.map(|old| (old, new as u32)))
            .unzip();
        let differ = rows_differ(
            &take_columns(&before.columns, &olds)?,
            &take_columns(&after.columns, &news)?,
            olds.len(),
        )?;
        let mut differ = differ.into_iter();
        let (mut indices, mut kinds) = (gone.clone(), vec![RowKind::Delete; gone.len()]);
        for (new, old) in paired.iter().enumerate() {
            let new = new as u32 + below;
            match old {
                None => {
                    indices.push(new);
                    kinds.push(RowKind::Insert);
                }
                Some(old) if differ.next().unwrap_or(false) => {
                    indices.extend([*old, new]);
                    kinds.extend([RowKind::UpdateBefore, RowKind::UpdateAfter]);
                }
                Some(_) => {}
            }
        }
        let columns = take_columns(&stack(&before.columns, &after.columns)?, &indices)?;
        push(Batch::changes(columns, kinds), context, out)
    }
}

impl Operator for UpdatingOver {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.room.make(&mut self.store)?;
        let (mut partitions, mut rows) = (Vec::new(), Vec::new());
        self.store
            .resolve(&batch.columns, batch.rows, &mut partitions, &mut rows)?;
        let mut touched = partitions.clone();
        touched.sort_unstable();
        touched.dedup();
        let before: Vec<Moment> = touched
            .iter()
            .map(|p| self.moment(*p))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.rows {
            if batch.kind(row).is_addition() {
                self.store.add(partitions[row], rows[row], context.now_ms);
            } else {
                self.store.subtract(rows[row]);
            }
        }
        for (partition, before) in touched.iter().zip(&before) {
            let after = self.moment(*partition)?;
            self.push_changes(before, &after, context, out)?;
        }
        Ok(self.store.end_batch()?)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.store.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        Ok(self
            .store
            .restore("rows", &blocks, context.key_groups(), context.max_parallelism)?)
    }

    fn state_bytes(&self) -> usize {
        self.store.used_bytes()
    }

    fn spilled_bytes(&self) -> u64 {
        self.store.disk_size()
    }
}
