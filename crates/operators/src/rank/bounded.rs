//! Ranks over a bounded input: all rows are sorted by partition and order at the end.

use std::sync::Arc;

use arrow_array::{Int64Array, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::{RankKind, RankRange, SortKey};
use millstream_state::RowBuffer;
use millstream_types::Batch;

use super::integer;
use crate::emit::push;
use crate::owned_rows::restore_owned;
use crate::sort_keys::{SortKeys, key_of};

/// The parameters of ranks over a bounded input in a plan.
#[derive(Clone, Debug)]
pub(crate) struct BoundedRankSpec {
    pub kind: RankKind,
    pub types: Vec<DataType>,
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub range: RankRange,
    pub rank_output: bool,
}

impl BoundedRankSpec {
    /// The partition columns as sort columns.
    fn partition_keys(&self) -> Result<SortKeys, DataflowError> {
        let key = |column: &usize| SortKey {
            column: *column,
            ascending: true,
            nulls_first: true,
        };
        SortKeys::new(&self.partition.iter().map(key).collect::<Vec<_>>(), &self.types)
    }
}

/// The passing rows of a batch, by partition, in order, optionally with their ranks appended.
pub(crate) fn ranked(spec: &BoundedRankSpec, batch: &Batch) -> Result<Batch, DataflowError> {
    let partition_keys = spec.partition_keys()?;
    let order_keys = SortKeys::new(&spec.order, &spec.types)?;
    let partitions = partition_keys.encode(&batch.columns)?;
    let orders = order_keys.encode(&batch.columns)?;
    let partition = |row: u32| key_of(&partitions, &partition_keys, row as usize);
    let order = |row: u32| key_of(&orders, &order_keys, row as usize);
    let mut rows: Vec<u32> = (0..batch.rows as u32).collect();
    rows.sort_by(|a, b| {
        partition(*a)
            .cmp(partition(*b))
            .then_with(|| order(*a).cmp(order(*b)))
    });
    let (mut kept, mut ranks) = (Vec::new(), Vec::new());
    let mut counter = RankCounter::default();
    let mut previous: Option<u32> = None;
    for row in rows {
        let same_partition = previous.is_some_and(|p| partition(p) == partition(row));
        let tie = same_partition && previous.is_some_and(|p| order(p) == order(row));
        let rank = counter.next(spec.kind, same_partition, tie);
        previous = Some(row);
        let (from, to) = match spec.range {
            RankRange::Constant { from, to } => (from, to),
            RankRange::Variable { column } => (
                1,
                u64::try_from(integer(&batch.columns[column], row as usize)?).unwrap_or(0),
            ),
        };
        if from <= rank && rank <= to {
            kept.push(row);
            ranks.push(rank as i64);
        }
    }
    let mut result = batch.take(&UInt32Array::from(kept))?;
    if spec.rank_output {
        result.columns.push(Arc::new(Int64Array::from(ranks)));
    }
    Ok(result)
}

/// Ranks of rows in order.
#[derive(Default)]
struct RankCounter {
    row_number: u64,
    rank: u64,
    dense: u64,
}

impl RankCounter {
    fn next(&mut self, kind: RankKind, same_partition: bool, tie: bool) -> u64 {
        if !same_partition {
            *self = Self::default();
        }
        self.row_number += 1;
        if !tie {
            self.rank = self.row_number;
            self.dense += 1;
        }
        match kind {
            RankKind::RowNumber => self.row_number,
            RankKind::Rank => self.rank,
            RankKind::DenseRank => self.dense,
        }
    }
}

/// The operator.
pub(crate) struct BoundedRank {
    spec: BoundedRankSpec,
    rows: RowBuffer,
}

impl BoundedRank {
    pub(crate) fn new(spec: BoundedRankSpec) -> Self {
        Self {
            rows: RowBuffer::new(&spec.types),
            spec,
        }
    }
}

impl Operator for BoundedRank {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        _: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.rows.push(&batch, None)?;
        Ok(())
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        match self.rows.take_all()? {
            Some(batch) => push(ranked(&self.spec, &batch)?, context, out),
            None => Ok(()),
        }
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.rows.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        restore_owned(&mut self.rows, "rows", &blocks, &self.spec.partition, context)
    }

    fn state_bytes(&self) -> usize {
        self.rows.memory_size()
    }
}
