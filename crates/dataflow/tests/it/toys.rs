//! Small sources, operators and sinks.

use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::*;
use millstream_state::{GroupTable, decode_columns, encode_columns};
use millstream_types::{Batch, CheckpointId, Watermark};

pub type Rows = Vec<(i64, i64)>;

/// What came to a sink, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Row(i64, i64),
    Watermark(i64),
    Prepare(u64),
    Commit(u64),
    Finish,
}

pub fn batch(rows: &[(i64, i64)]) -> Batch {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1)));
    Batch::inserts(vec![keys, values], rows.len())
}

pub fn rows_of(batch: &Batch) -> Rows {
    let column = |i: usize| batch.columns[i].as_primitive::<Int64Type>().values().to_vec();
    column(0).into_iter().zip(column(1)).collect()
}

/// Emits numbered rows `(n % keys, n)` with watermark n after each batch, for the n of its subtask.
#[derive(Clone)]
pub struct CountingSource {
    pub rows: i64,
    pub keys: i64,
    pub bounded: bool,
    pub splits: usize,
}

struct CountingInstance {
    spec: CountingSource,
    next: i64,
    step: i64,
}

impl SourceFactory for CountingSource {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError> {
        Ok(Box::new(CountingInstance {
            spec: self.clone(),
            next: context.subtask as i64,
            step: context.parallelism as i64,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(self.splits)
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }
}

impl Source for CountingInstance {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let mut rows = Rows::new();
        while rows.len() < context.batch_rows && self.next < self.spec.rows {
            rows.push((self.next % self.spec.keys, self.next));
            self.next += self.step;
        }
        if let Some(last) = rows.last().map(|r| r.1) {
            out.batch(batch(&rows))?;
            out.watermark(Watermark(last))?;
        }
        let ended = self.next >= self.spec.rows;
        Ok(match (ended, self.spec.bounded) {
            (false, _) => SourceStatus::Ready,
            (true, true) => SourceStatus::Finished,
            (true, false) => SourceStatus::Pending { until_ms: None },
        })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        Ok(StateBlocks::single("next", self.next.to_le_bytes()))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        self.next = i64::from_le_bytes(blocks[0].get("next").unwrap().try_into().unwrap());
        Ok(())
    }
}

/// Running sum by key: each row gives `(key, sum so far)`.
pub struct SumByKey {
    table: GroupTable,
    sums: Vec<i64>,
}

pub fn sum_by_key() -> Arc<dyn OperatorFactory> {
    Arc::new(|_: &Context| -> Result<Box<dyn Operator>, DataflowError> {
        Ok(Box::new(SumByKey {
            table: GroupTable::new(&[DataType::Int64])?,
            sums: Vec::new(),
        }))
    })
}

impl Operator for SumByKey {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        _: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let mut groups = Vec::new();
        self.table.intern(&batch.columns[..1], batch.rows, &mut groups)?;
        self.sums.resize(self.table.end(), 0);
        let add = |(row, group): ((i64, i64), &u32)| {
            self.sums[*group as usize] += row.1;
            (row.0, self.sums[*group as usize])
        };
        let sums: Rows = rows_of(&batch).into_iter().zip(&groups).map(add).collect();
        out.batch(self::batch(&sums))
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut blocks = StateBlocks::new();
        self.table.snapshot("keys", scope, &mut blocks)?;
        let sums: ArrayRef = Arc::new(Int64Array::from(self.sums.clone()));
        blocks.push("sums", encode_columns(&[sums], self.sums.len())?);
        Ok(blocks)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let maps = self
            .table
            .restore("keys", &blocks, context.key_groups(), context.max_parallelism)?;
        self.sums.resize(self.table.end(), 0);
        for (part, map) in blocks.iter().zip(maps) {
            let (columns, _) = decode_columns("sums", part.get("sums").unwrap())?;
            let sums = columns[0].as_primitive::<Int64Type>();
            for (old, new) in map.iter().enumerate().filter(|(_, new)| **new != u32::MAX) {
                self.sums[*new as usize] = sums.value(old);
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.table.memory_size() + self.sums.len() * 8
    }
}

/// Passes everything on.
pub struct PassThrough;

impl Operator for PassThrough {
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

pub fn pass_through() -> Arc<dyn OperatorFactory> {
    Arc::new(|_: &Context| -> Result<Box<dyn Operator>, DataflowError> { Ok(Box::new(PassThrough)) })
}

/// Panics at a value.
pub fn panics_at(value: i64) -> Arc<dyn OperatorFactory> {
    struct Panics(i64);
    impl Operator for Panics {
        fn process(
            &mut self,
            _: usize,
            batch: Batch,
            _: &Context,
            out: &mut dyn Output,
        ) -> Result<(), DataflowError> {
            assert!(
                !rows_of(&batch).iter().any(|r| r.1 == self.0),
                "value {} came",
                self.0
            );
            out.batch(batch)
        }
    }
    Arc::new(move |_: &Context| -> Result<Box<dyn Operator>, DataflowError> { Ok(Box::new(Panics(value))) })
}

/// A sink that keeps everything, and takes `room` batches if that is limited.
#[derive(Clone, Default)]
pub struct Collecting {
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub room: Option<Arc<Mutex<usize>>>,
    /// Commits are not done while this is set.
    pub holds_commits: Option<Arc<Mutex<bool>>>,
}

impl Collecting {
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn rows(&self) -> Rows {
        let row = |seen: Seen| {
            if let Seen::Row(key, value) = seen {
                Some((key, value))
            } else {
                None
            }
        };
        self.all().into_iter().filter_map(row).collect()
    }

    pub fn sorted_rows(&self) -> Rows {
        let mut rows = self.rows();
        rows.sort_unstable();
        rows
    }

    fn push(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }
}

impl SinkFactory for Collecting {
    fn create(&self, _: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Collecting {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn write(&mut self, batch: Batch, _: &Context) -> Result<(), DataflowError> {
        if let Some(room) = &self.room {
            *room.lock().unwrap() -= 1;
        }
        rows_of(&batch)
            .into_iter()
            .for_each(|(key, value)| self.push(Seen::Row(key, value)));
        Ok(())
    }

    fn ready(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(self.room.as_ref().is_none_or(|room| *room.lock().unwrap() > 0))
    }

    fn watermark(&mut self, watermark: Watermark, _: &Context) -> Result<(), DataflowError> {
        self.push(Seen::Watermark(watermark.0));
        Ok(())
    }

    fn prepare(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        self.push(Seen::Prepare(checkpoint.0));
        Ok(())
    }

    fn prepared(&mut self, _: CheckpointId, _: &Context) -> Result<Option<SinkCommit>, DataflowError> {
        Ok(Some(SinkCommit::default()))
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        if self
            .holds_commits
            .as_ref()
            .is_some_and(|holds| *holds.lock().unwrap())
        {
            return Ok(false);
        }
        self.push(Seen::Commit(checkpoint.0));
        Ok(true)
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        (self.rows().len() * size_of::<(i64, i64)>()) as u64
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        self.push(Seen::Finish);
        Ok(())
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}

/// Numbers → sum by key → sink, with a keyed exchange.
pub fn sum_graph(source: CountingSource, parallelism: usize, batch_rows: usize, sink: &Collecting) -> Graph {
    let settings = GraphSettings {
        batch_rows,
        ..GraphSettings::default()
    };
    let mut graph = Graph::new(settings);
    let instances = source.splits.min(parallelism);
    let source = graph.add(
        "source",
        "numbers",
        instances,
        VertexKind::Source(Arc::new(source)),
    );
    let sum = graph.add(
        "sum",
        "sum by key",
        parallelism,
        VertexKind::Operator(sum_by_key()),
    );
    let sink = graph.add("sink", "collect", 1, VertexKind::Sink(Arc::new(sink.clone())));
    graph.connect(source, sum, 0, Partitioning::Hash(vec![0]));
    graph.connect(sum, sink, 0, Partitioning::Single);
    graph
}

/// The highest sum of each key: with several sources the sums on the way depend on how their rows interleave.
pub fn final_sums(rows: &[(i64, i64)]) -> Rows {
    let mut last = std::collections::BTreeMap::new();
    for (key, sum) in rows {
        let highest = last.entry(*key).or_insert(*sum);
        *highest = (*highest).max(*sum);
    }
    last.into_iter().collect()
}

/// What [`sum_graph`] must give in all with one source, sorted.
pub fn expected_sums(rows: i64, keys: i64) -> Rows {
    let mut sums = vec![0; keys as usize];
    let mut all = Rows::new();
    for n in 0..rows {
        sums[(n % keys) as usize] += n;
        all.push((n % keys, sums[(n % keys) as usize]));
    }
    all.sort_unstable();
    all
}
