//! Plans that sum numbers by key, and the components that run them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_dataflow::*;
use millstream_jobs::{Components, JobRequest};
use millstream_plan::{ChangelogTraits, Distribution, Node, NodeId, ObjectIdentifier, Op, Plan, TableSpec};
use millstream_types::{
    Batch, ChangelogMode, CheckpointId, LogicalType, Options, Schema, SeededRng, SystemClock, TypeKind,
};

use crate::toys::{CountingSource, Rows, panics_at, rows_of, sum_by_key};

/// The external system that a sink writes to. It survives crashes of the job.
#[derive(Clone, Default)]
pub struct Outside {
    pub state: Arc<Mutex<OutsideState>>,
    parallelism_max: Option<usize>,
}

#[derive(Default)]
pub struct OutsideState {
    pub committed: Rows,
    prepared: BTreeMap<(usize, u64), Rows>,
}

impl Outside {
    pub fn sorted_rows(&self) -> Rows {
        let mut rows = self.state.lock().unwrap().committed.clone();
        rows.sort_unstable();
        rows
    }
}

/// Rows become visible when their checkpoint commits, exactly once.
struct TransactionalSink {
    outside: Outside,
    subtask: usize,
    open: Rows,
    /// Transactions of the restored checkpoint, from all former instances.
    restored: Vec<(usize, u64)>,
}

impl SinkFactory for Outside {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(TransactionalSink {
            outside: self.clone(),
            subtask: context.subtask,
            open: Rows::new(),
            restored: Vec::new(),
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.parallelism_max
    }
}

impl Sink for TransactionalSink {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn write(&mut self, batch: Batch, _: &Context) -> Result<(), DataflowError> {
        self.open.extend(rows_of(&batch));
        Ok(())
    }

    fn prepare(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        let rows = std::mem::take(&mut self.open);
        self.outside
            .state
            .lock()
            .unwrap()
            .prepared
            .insert((self.subtask, checkpoint.0), rows);
        Ok(())
    }

    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        _: &Context,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        let mut transaction = checkpoint.0.to_le_bytes().to_vec();
        transaction.push(self.subtask as u8);
        Ok(Some(SinkCommit {
            state: StateBlocks::single("transaction", transaction),
        }))
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        let mut state = self.outside.state.lock().unwrap();
        self.restored.push((self.subtask, checkpoint.0));
        for transaction in self.restored.drain(..) {
            let rows = state.prepared.remove(&transaction).unwrap_or_default();
            state.committed.extend(rows);
        }
        Ok(true)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        let transaction = |block: &StateBlocks| {
            let (subtask, checkpoint) = block.get("transaction")?.split_last()?;
            Some((
                usize::from(*subtask),
                u64::from_le_bytes(checkpoint.try_into().ok()?),
            ))
        };
        self.restored = blocks.iter().filter_map(transaction).collect();
        // Rows prepared after the checkpoint belong to a discarded run.
        let last = self
            .restored
            .iter()
            .map(|(_, checkpoint)| *checkpoint)
            .max()
            .unwrap_or(0);
        self.outside
            .state
            .lock()
            .unwrap()
            .prepared
            .retain(|(_, checkpoint), _| *checkpoint <= last);
        Ok(())
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}

/// Scans generate numbers, aggregates sum by key, sinks write to [`Outside`]; a Calc can panic at a given value a given
/// number of times.
#[derive(Clone)]
pub struct ToyComponents {
    pub source: CountingSource,
    pub outside: Outside,
    pub panics: Arc<Mutex<Vec<i64>>>,
    /// The Calc reports invalid data in its first batch.
    pub wrong_data: Arc<Mutex<bool>>,
    pub sink_parallelism: Option<usize>,
}

struct WrongData;

impl Operator for WrongData {
    fn process(&mut self, _: usize, _: Batch, _: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        Err(DataflowError::data("division by zero"))
    }
}

struct FirstRows {
    left: usize,
}

impl Operator for FirstRows {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        _: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let rows = batch.rows.min(self.left);
        self.left -= rows;
        out.batch(batch.slice(0, rows))
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        Ok(StateBlocks::single("left", (self.left as u64).to_le_bytes()))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        let left = blocks[0].get("left").unwrap();
        self.left = u64::from_le_bytes(left.try_into().unwrap()) as usize;
        Ok(())
    }
}

impl ToyComponents {
    pub fn new(source: CountingSource) -> Self {
        Self {
            source,
            outside: Outside::default(),
            panics: Arc::default(),
            wrong_data: Arc::default(),
            sink_parallelism: None,
        }
    }
}

impl Components for ToyComponents {
    fn source(&self, _: &Plan, _: NodeId) -> Result<Arc<dyn SourceFactory>, DataflowError> {
        Ok(Arc::new(self.source.clone()))
    }

    fn operator(&self, plan: &Plan, node: NodeId) -> Result<Option<Arc<dyn OperatorFactory>>, DataflowError> {
        Ok(match plan.node(node).op {
            Op::Sink { .. } => None,
            Op::Calc { .. } => {
                let (panics, wrong_data) = (Arc::clone(&self.panics), Arc::clone(&self.wrong_data));
                Some(Arc::new(
                    move |context: &Context| -> Result<Box<dyn Operator>, DataflowError> {
                        if *wrong_data.lock().unwrap() {
                            return Ok(Box::new(WrongData));
                        }
                        panics_at(panics.lock().unwrap().pop().unwrap_or(i64::MIN)).create(context)
                    },
                ))
            }
            Op::Limit { fetch, .. } => {
                let rows = fetch.unwrap_or(u64::MAX) as usize;
                Some(Arc::new(
                    move |_: &Context| -> Result<Box<dyn Operator>, DataflowError> {
                        Ok(Box::new(FirstRows { left: rows }))
                    },
                ))
            }
            _ => Some(sum_by_key()),
        })
    }

    fn sink(&self, _: &Plan, _: NodeId) -> Result<Arc<dyn SinkFactory>, DataflowError> {
        Ok(Arc::new(Outside {
            parallelism_max: self.sink_parallelism,
            ..self.outside.clone()
        }))
    }
}

pub fn table(name: &str) -> TableSpec {
    TableSpec {
        identifier: ObjectIdentifier {
            catalog: "c".into(),
            database: "d".into(),
            name: name.into(),
        },
        options: Options::new(),
        physical: schema(),
        primary_key: Vec::new(),
        partition_keys: Vec::new(),
    }
}

pub fn schema() -> Schema {
    let bigint = || LogicalType::not_null(TypeKind::BigInt);
    Schema::new([("k", bigint()), ("v", bigint())])
}

pub fn node(op: Op, inputs: &[NodeId], mode: ChangelogMode) -> Node {
    let traits = ChangelogTraits {
        mode,
        ..ChangelogTraits::default()
    };
    Node {
        op,
        inputs: inputs.to_vec(),
        schema: schema(),
        traits,
    }
}

pub fn scan(name: &str) -> Op {
    Op::Scan {
        table: table(name),
        columns: vec![0, 1],
        metadata: Vec::new(),
        watermark: None,
        limit: None,
        filters: Vec::new(),
    }
}

pub fn sink(name: &str) -> Op {
    Op::Sink {
        table: table(name),
        columns: vec![0, 1],
        metadata: Vec::new(),
        overwrite: false,
        static_partition: Vec::new(),
        materialize: false,
        not_null: Vec::new(),
        not_null_drop: false,
        length_enforcer: Default::default(),
    }
}

pub fn sum(ttl_ms: i64) -> Op {
    Op::GroupAggregate {
        keys: vec![0],
        aggregates: Vec::new(),
        update_before: false,
        retract_input: false,
        bounded: false,
        ttl_ms,
    }
}

pub fn calc() -> Op {
    Op::Calc {
        projections: Vec::new(),
        condition: None,
    }
}

/// scan → calc → sum by key → `root`.
pub fn sum_plan(settings: &[(&str, &str)], ttl_ms: i64, root: Op) -> Plan {
    let all = ChangelogMode::INSERT_ONLY;
    let configuration = settings
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let mut plan = Plan::new(configuration);
    let scan = plan.add(node(scan("numbers"), &[], all));
    let calc = plan.add(node(calc(), &[scan], all));
    let exchange = plan.add(node(
        Op::Exchange {
            distribution: Distribution::Hash(vec![0]),
        },
        &[calc],
        all,
    ));
    let sum = plan.add(node(sum(ttl_ms), &[exchange], all));
    let root = plan.add(node(root, &[sum], all));
    plan.roots.push(root);
    plan
}

pub fn request(plan: Plan, components: &ToyComponents) -> JobRequest {
    JobRequest {
        plan: Arc::new(plan),
        components: Arc::new(components.clone()),
        identity: "toy".into(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(7)),
        storage: None,
        cores: 2,
        fresh: false,
        attended: false,
        remembers_end: false,
    }
}
