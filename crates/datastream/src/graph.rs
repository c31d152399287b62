//! The graph of a program while it is being written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_dataflow::{Graph, OperatorFactory, Partitioning, SinkFactory, SourceFactory, VertexKind};
use millstream_jobs::JobSettings;
use millstream_state::OperatorEntry;

use crate::error::{Error, Result};
use crate::guard::{GuardedOperator, GuardedSink, GuardedSource};
use crate::operators::batch::Factories;
use crate::output::SideTags;
use crate::sink::FactoryOfJob;
use crate::table::PlanPart;

/// What a node does.
#[derive(Clone)]
pub(crate) enum NodeKind {
    Source(Arc<dyn SourceFactory>),
    Operator(Arc<dyn OperatorFactory>),
    Sink(Arc<dyn SinkFactory>),
    /// A query over streams and tables.
    Plan(Arc<PlanPart>),
}

impl NodeKind {
    /// Whether rows end here.
    fn is_end(&self) -> bool {
        match self {
            Self::Sink(_) => true,
            Self::Plan(part) => part.collect.is_none(),
            Self::Source(_) | Self::Operator(_) => false,
        }
    }
}

/// Where the rows of an input come from.
#[derive(Clone)]
pub(crate) struct Input {
    pub from: usize,
    pub port: usize,
    pub partitioning: Partitioning,
}

/// The operators with state that a program can have. Each is in the test of recovery (`tests/it/coverage.rs`).
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stateful {
    Source,
    Sink,
    AsyncWait,
    /// Lists of a function without a key.
    OperatorState,
    Broadcast,
    KeyedProcess,
    KeyedReduce,
    KeyedCoProcess,
    KeyedBroadcast,
    WindowReduce,
    WindowAggregate,
    WindowRecords,
    EvictingWindow,
}

impl Stateful {
    pub const ALL: [Self; 13] = [
        Self::Source,
        Self::Sink,
        Self::AsyncWait,
        Self::OperatorState,
        Self::Broadcast,
        Self::KeyedProcess,
        Self::KeyedReduce,
        Self::KeyedCoProcess,
        Self::KeyedBroadcast,
        Self::WindowReduce,
        Self::WindowAggregate,
        Self::WindowRecords,
        Self::EvictingWindow,
    ];
}

/// How many instances a node has unless the program says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Instances {
    /// The program's parallelism.
    All,
    /// As many as its first input.
    AsInput,
    One,
}

#[derive(Clone)]
pub(crate) struct Node {
    pub name: String,
    pub uid: Option<String>,
    pub parallelism: Option<usize>,
    pub instances: Instances,
    pub kind: NodeKind,
    /// What the operator is in BATCH mode, if it is something else there.
    pub batch: Option<Arc<dyn OperatorFactory>>,
    pub inputs: Vec<Input>,
    /// What it keeps under its uid.
    pub stateful: Option<Stateful>,
    pub sides: SideTags,
    /// For a sink whose factory depends on the job.
    pub of_job: Option<Arc<dyn FactoryOfJob>>,
}

impl Node {
    pub fn new(name: &str, kind: NodeKind, inputs: Vec<Input>) -> Self {
        Self {
            name: name.to_owned(),
            uid: None,
            parallelism: None,
            instances: Instances::AsInput,
            kind,
            batch: None,
            inputs,
            stateful: None,
            sides: SideTags::default(),
            of_job: None,
        }
    }

    /// An operator, by its factories.
    pub fn operator(name: &str, factories: Factories, inputs: Vec<Input>) -> Self {
        Self {
            batch: factories.batch,
            ..Self::new(name, NodeKind::Operator(factories.streaming), inputs)
        }
    }

    pub fn stateful(mut self, kind: Stateful) -> Self {
        self.stateful = Some(kind);
        self
    }

    pub fn instances(mut self, instances: Instances) -> Self {
        self.instances = instances;
        self
    }
}

/// All nodes of a program, shared by its streams.
#[derive(Clone, Default)]
pub(crate) struct Draft(Arc<Mutex<Vec<Node>>>);

impl Draft {
    pub fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, node: Node) -> usize {
        let mut nodes = self.lock();
        nodes.push(node);
        nodes.len() - 1
    }

    pub fn change(&self, node: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.lock().get_mut(node) {
            change(node);
        }
    }

    /// Takes the nodes: the next job of the program starts with an empty graph.
    pub fn take(&self) -> Nodes {
        std::mem::take(&mut *self.lock())
            .into_iter()
            .enumerate()
            .collect()
    }

    /// Copies of the nodes that rows of these inputs come through, for a job of its own.
    pub fn behind(&self, inputs: &[Input]) -> Nodes {
        let nodes = self.lock();
        let mut open: Vec<usize> = inputs.iter().map(|input| input.from).collect();
        let mut found = BTreeSet::new();
        while let Some(number) = open.pop() {
            if let Some(node) = nodes.get(number).filter(|_| found.insert(number)) {
                open.extend(node.inputs.iter().map(|input| input.from));
            }
        }
        found
            .into_iter()
            .map(|number| (number, nodes[number].clone()))
            .collect()
    }
}

/// The name of a source that never ends, if there is one.
pub(crate) fn unbounded_source(nodes: &Nodes) -> Option<&str> {
    let unbounded = nodes.values().find(|node| match &node.kind {
        NodeKind::Source(factory) => !factory.is_bounded(),
        NodeKind::Plan(part) => !part.is_bounded(),
        NodeKind::Operator(_) | NodeKind::Sink(_) => false,
    });
    unbounded.map(|node| node.name.as_str())
}

/// The nodes of a job by number, inputs before their readers.
pub(crate) type Nodes = BTreeMap<usize, Node>;

/// Adds a node behind the others; returns its number.
pub(crate) fn append(nodes: &mut Nodes, node: Node) -> usize {
    let number = nodes.last_key_value().map_or(0, |(number, _)| number + 1);
    nodes.insert(number, node);
    number
}

/// The engine's graph, and the operators that keep state. `identity` is that of the job, among all jobs anywhere.
pub(crate) fn build(
    nodes: &Nodes,
    settings: &JobSettings,
    identity: &str,
) -> Result<(Graph, Vec<OperatorEntry>)> {
    let mut building = Building {
        nodes,
        settings,
        identity,
        names: BTreeMap::new(),
        graph: Graph::new(settings.graph.clone()),
        operators: Vec::new(),
        vertices: BTreeMap::new(),
    };
    let read: BTreeSet<usize> = nodes
        .values()
        .flat_map(|node| node.inputs.iter().map(|input| input.from))
        .collect();
    for (number, node) in nodes {
        if !node.kind.is_end() && !read.contains(number) {
            if matches!(node.kind, NodeKind::Source(_)) {
                continue;
            }
            tracing::warn!(operator = node.name, "no sink reads the results of this operator");
        }
        building.add(*number, node)?;
    }
    if building.graph.vertices.is_empty() {
        return Err(Error::input(
            "No operators defined in streaming topology. Cannot execute.",
        ));
    }
    Ok((building.graph, building.operators))
}

struct Building<'a> {
    nodes: &'a Nodes,
    settings: &'a JobSettings,
    identity: &'a str,
    /// Names that sinks have outside, and the sinks.
    names: BTreeMap<String, String>,
    graph: Graph,
    operators: Vec<OperatorEntry>,
    /// The vertex with the rows of each node.
    vertices: BTreeMap<usize, usize>,
}

impl Building<'_> {
    fn vertex_of(&self, node: usize) -> Result<usize> {
        self.vertices.get(&node).copied().ok_or_else(|| {
            let name = self.nodes.get(&node).map_or("?", |node| &node.name);
            Error::input(format!("operator '{name}' has no rows for those that read it"))
        })
    }

    fn add(&mut self, number: usize, node: &Node) -> Result<()> {
        if let NodeKind::Plan(part) = &node.kind {
            return self.add_plan(number, node, part);
        }
        let instances = self.instances_of(node)?;
        let uid = node.uid.clone();
        let uid = uid.unwrap_or_else(|| format!("{number}-{}", node.name));
        if self.graph.vertices.iter().any(|vertex| *vertex.uid == *uid) {
            return Err(Error::input(format!(
                "Hash collision on user-specified ID \"{uid}\". Most likely cause is a non-unique ID. Please check that \
                 all IDs specified via `uid` are unique."
            )));
        }
        let Some(kind) = self.kind_of(node, &uid)? else {
            return Ok(());
        };
        let vertex = self.graph.add(&uid, &node.name, instances, kind);
        for input in &node.inputs {
            let partitioning = match &input.partitioning {
                _ if instances == 1 => Partitioning::Single,
                other => other.clone(),
            };
            let from = self.vertex_of(input.from)?;
            self.graph.connect(from, vertex, input.port, partitioning);
        }
        if node.stateful.is_some() {
            self.operators.push(OperatorEntry {
                uid,
                name: node.name.clone(),
                sinks: Vec::new(),
                traits: Vec::new(),
            });
        }
        self.vertices.insert(number, vertex);
        Ok(())
    }

    /// `None` for a plan, which is more than one vertex.
    fn kind_of(&mut self, node: &Node, uid: &str) -> Result<Option<VertexKind>> {
        let Some(of_job) = &node.of_job else {
            return Ok(guarded(node, self.settings.is_batch));
        };
        let made = of_job.factory(self.identity, uid)?;
        if let Some(name) = made.name
            && let Some(other) = self.names.insert(name.clone(), node.name.clone())
        {
            return Err(Error::input(format!(
                "sinks '{other}' and '{}' both have {name}: their transactions would fence each other. Give each a \
                 prefix of its own, or none",
                node.name
            )));
        }
        let mut node = node.clone();
        node.kind = NodeKind::Sink(made.factory);
        Ok(guarded(&node, self.settings.is_batch))
    }

    fn add_plan(&mut self, number: usize, node: &Node, part: &PlanPart) -> Result<()> {
        let vertex = |input: &Input| {
            Ok((
                input.port,
                self.vertex_of(input.from)?,
                input.partitioning.clone(),
            ))
        };
        let inputs = node.inputs.iter().map(vertex).collect::<Result<Vec<_>>>()?;
        let graph = std::mem::take(&mut self.graph);
        let added = part.add_to(graph, self.settings, &inputs)?;
        self.graph = added.graph;
        self.operators.extend(added.operators);
        if let Some(output) = added.output {
            self.vertices.insert(number, output);
        }
        Ok(())
    }

    fn instances_of(&self, node: &Node) -> Result<usize> {
        let first = node.inputs.first();
        let wanted = match (node.parallelism, node.instances, first) {
            (Some(parallelism), _, _) => parallelism,
            (None, Instances::One, _) => 1,
            (None, Instances::AsInput, Some(input)) => {
                self.graph.vertices[self.vertex_of(input.from)?].parallelism
            }
            (None, Instances::All | Instances::AsInput, _) => self.settings.parallelism,
        };
        let most = match &node.kind {
            NodeKind::Source(factory) => factory.parallelism_max(),
            NodeKind::Sink(factory) => factory.parallelism_max(),
            NodeKind::Operator(_) | NodeKind::Plan(_) => None,
        };
        Ok(wanted.min(most.unwrap_or(usize::MAX)).max(1))
    }
}

/// The factory, so that a panic in the user's code names the operator. A plan is more than one vertex and has none.
fn guarded(node: &Node, is_batch: bool) -> Option<VertexKind> {
    let name: Arc<str> = node.name.as_str().into();
    Some(match &node.kind {
        NodeKind::Source(factory) => VertexKind::Source(Arc::new(GuardedSource {
            name,
            inner: Arc::clone(factory),
            is_batch,
        })),
        NodeKind::Operator(factory) => VertexKind::Operator(Arc::new(GuardedOperator {
            name,
            inner: Arc::clone(node.batch.as_ref().filter(|_| is_batch).unwrap_or(factory)),
        })),
        NodeKind::Sink(factory) => VertexKind::Sink(Arc::new(GuardedSink {
            name,
            inner: Arc::clone(factory),
        })),
        NodeKind::Plan(_) => return None,
    })
}
