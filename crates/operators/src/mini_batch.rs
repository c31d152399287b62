//! Mini-batches (`table.exec.mini-batch.*`): rows are held back and reach an aggregation or a normalisation as one batch,
//! whose changes then fold into one for each key.
//!
//! With two phases, as Flink plans them where all functions can merge partial results, a local bundle counts input rows
//! and the global bundle counts partial results: one for each key of a local bundle. The rows themselves are passed
//! on, so that both ways share one aggregation. A bundle ends when it is full, when the latency has passed, before a
//! barrier and at the end of the input. Watermarks do not end it: results of a group aggregate carry no event time.

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::GroupTable;
use millstream_types::{Batch, Watermark};

use crate::emit::take_columns;

/// Rows behind partial results at which the global bundle ends early. Flink holds one partial result for each key, here the
/// rows wait: with few keys and a long latency they would be millions.
const HELD_ROWS_MAX: usize = 65_536;

/// The size and age at which a bundle ends.
#[derive(Clone, Debug)]
pub(crate) struct MiniBatchSpec {
    pub rows: usize,
    pub latency_ms: i64,
    pub content: BundleRows,
}

/// What reaches the operator of the rows of a bundle.
#[derive(Clone, Debug)]
pub(crate) enum BundleRows {
    All,
    /// All rows, in bundles of partial results by these keys.
    PartialResults(Keys),
    /// The last row of each key.
    Last(Keys),
}

/// Columns and their types.
#[derive(Clone, Debug)]
pub(crate) struct Keys(pub Vec<usize>, pub Vec<DataType>);

/// An aggregation that receives its input in bundles.
pub(crate) struct MiniBatch<O> {
    inner: O,
    spec: MiniBatchSpec,
    /// Input rows that have not been counted for the global bundle.
    local: Bundle,
    /// Rows behind the partial results that wait.
    global: Vec<Batch>,
    partial_results: usize,
    held_rows: usize,
    due_ms: Option<i64>,
}

#[derive(Default)]
struct Bundle {
    batches: Vec<Batch>,
    rows: usize,
}

impl<O: Operator> MiniBatch<O> {
    pub(crate) fn new(inner: O, spec: MiniBatchSpec) -> Self {
        Self {
            inner,
            spec,
            local: Bundle::default(),
            global: Vec::new(),
            partial_results: 0,
            held_rows: 0,
            due_ms: None,
        }
    }

    fn end_local(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let bundle = std::mem::take(&mut self.local);
        let Some(batch) = Batch::concat(&bundle.batches)? else {
            return Ok(());
        };
        match &self.spec.content {
            BundleRows::All => self.inner.process(0, batch, context, out),
            BundleRows::Last(keys) => {
                let groups = rows_by_key(&batch, keys)?;
                let last: Vec<u32> = groups.iter().filter_map(|rows| rows.last().copied()).collect();
                self.inner.process(0, part_of(&batch, &last)?, context, out)
            }
            BundleRows::PartialResults(keys) => {
                let mut rows = Vec::with_capacity(batch.rows);
                for of_key in rows_by_key(&batch, keys)? {
                    rows.extend(of_key);
                    self.partial_results += 1;
                    if self.partial_results >= self.spec.rows {
                        self.hold(&batch, &mut rows)?;
                        self.end_global(context, out)?;
                    }
                }
                self.hold(&batch, &mut rows)?;
                if self.held_rows >= HELD_ROWS_MAX {
                    self.end_global(context, out)?;
                }
                Ok(())
            }
        }
    }

    /// Adds rows of a batch to the global bundle.
    fn hold(&mut self, batch: &Batch, rows: &mut Vec<u32>) -> Result<(), DataflowError> {
        if !rows.is_empty() {
            self.global.push(part_of(batch, rows)?);
            self.held_rows += rows.len();
            rows.clear();
        }
        Ok(())
    }

    fn end_global(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        (self.partial_results, self.held_rows) = (0, 0);
        match Batch::concat(&std::mem::take(&mut self.global))? {
            Some(batch) => self.inner.process(0, batch, context, out),
            None => Ok(()),
        }
    }

    fn end_all(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.due_ms = None;
        self.end_local(context, out)?;
        self.end_global(context, out)
    }
}

/// The rows of each key, keys in order of first appearance.
fn rows_by_key(batch: &Batch, Keys(keys, types): &Keys) -> Result<Vec<Vec<u32>>, DataflowError> {
    let mut table = GroupTable::new(types)?;
    let mut groups = Vec::new();
    let columns: Vec<_> = keys.iter().map(|key| batch.columns[*key].clone()).collect();
    table.intern(&columns, batch.rows, &mut groups)?;
    let mut rows = vec![Vec::new(); table.end()];
    for (row, group) in groups.iter().enumerate() {
        rows[*group as usize].push(row as u32);
    }
    Ok(rows)
}

fn part_of(batch: &Batch, rows: &[u32]) -> Result<Batch, DataflowError> {
    Ok(Batch {
        columns: take_columns(&batch.columns, rows)?,
        rows: rows.len(),
        kinds: batch.kinds_at(rows),
    })
}

impl<O: Operator> Operator for MiniBatch<O> {
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
        self.due_ms
            .get_or_insert(context.now_ms.saturating_add(self.spec.latency_ms));
        let mut start = 0;
        while start < batch.rows {
            let rows = (self.spec.rows - self.local.rows).min(batch.rows - start);
            self.local.batches.push(batch.slice(start, rows));
            self.local.rows += rows;
            start += rows;
            if self.local.rows >= self.spec.rows {
                self.end_local(context, out)?;
            }
        }
        Ok(())
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if watermark == Watermark::MAX {
            self.end_all(context, out)?;
        }
        self.inner.watermark(watermark, context, out)
    }

    fn next_timer(&self) -> Option<i64> {
        [self.due_ms, self.inner.next_timer()].into_iter().flatten().min()
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.due_ms.is_some_and(|due| due <= context.now_ms) {
            self.end_all(context, out)?;
        }
        if self.inner.next_timer().is_some_and(|due| due <= context.now_ms) {
            self.inner.timer(context, out)?;
        }
        Ok(())
    }

    fn before_barrier(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.end_all(context, out)?;
        self.inner.before_barrier(context, out)
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.end_all(context, out)?;
        self.inner.finish(context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        debug_assert!(self.local.batches.is_empty() && self.global.is_empty());
        self.inner.snapshot(scope)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.inner.restore(blocks, context)
    }

    fn state_bytes(&self) -> usize {
        let waiting = self.local.batches.iter().chain(&self.global);
        self.inner.state_bytes() + waiting.map(Batch::memory_size).sum::<usize>()
    }

    fn spilled_bytes(&self) -> u64 {
        self.inner.spilled_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int32Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;

    use super::*;

    /// Passes batches on as they come.
    struct Pass;

    impl Operator for Pass {
        fn process(
            &mut self,
            _: usize,
            batch: Batch,
            _: &Context,
            out: &mut dyn Output,
        ) -> Result<(), DataflowError> {
            out.batch(batch)
        }
    }

    #[derive(Default)]
    struct Bundles(Vec<Vec<i32>>);

    impl Output for Bundles {
        fn batch(&mut self, batch: Batch) -> Result<(), DataflowError> {
            self.0
                .push(batch.columns[0].as_primitive::<Int32Type>().values().to_vec());
            Ok(())
        }

        fn watermark(&mut self, _: Watermark) -> Result<(), DataflowError> {
            Ok(())
        }
    }

    /// The bundles of the keys 1 1 2 3 1 in bundles of two rows, the fifth row flushed by a barrier.
    fn bundles(content: BundleRows) -> Vec<Vec<i32>> {
        let spec = MiniBatchSpec {
            rows: 2,
            latency_ms: 1000,
            content,
        };
        let (mut operator, mut out) = (MiniBatch::new(Pass, spec), Bundles::default());
        let context = Context::new(0, 1);
        for rows in [vec![1], vec![1, 2, 3], vec![1]] {
            let batch = Batch::inserts(vec![Arc::new(Int32Array::from(rows.clone()))], rows.len());
            operator.process(0, batch, &context, &mut out).unwrap();
        }
        assert_eq!(operator.next_timer(), Some(1000));
        operator.before_barrier(&context, &mut out).unwrap();
        assert_eq!(operator.next_timer(), None);
        out.0
    }

    #[test]
    fn bundles_hold_rows_partial_results_or_last_rows() {
        let keys = Keys(vec![0], vec![DataType::Int32]);
        assert_eq!(bundles(BundleRows::All), [vec![1, 1], vec![2, 3], vec![1]]);
        assert_eq!(
            bundles(BundleRows::PartialResults(keys.clone())),
            [vec![1, 1, 2], vec![3, 1]]
        );
        assert_eq!(bundles(BundleRows::Last(keys)), [vec![1], vec![2, 3], vec![1]]);
    }
}
