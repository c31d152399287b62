//! The graph of a program while it is being written down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_dataflow::{
    Graph, GraphSettings, OperatorFactory, Partitioning, SinkFactory, SourceFactory, VertexKind,
};
use millstream_state::OperatorEntry;

use crate::error::{Error, Result};
use crate::guard::{GuardedOperator, GuardedSink, GuardedSource};
use crate::output::SideTags;

/// What a node does.
#[derive(Clone)]
pub(crate) enum NodeKind {
    Source(Arc<dyn SourceFactory>),
    Operator(Arc<dyn OperatorFactory>),
    Sink(Arc<dyn SinkFactory>),
}

/// Where the rows of an input come from.
#[derive(Clone)]
pub(crate) struct Input {
    pub from: usize,
    pub port: usize,
    pub partitioning: Partitioning,
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

pub(crate) struct Node {
    pub name: String,
    pub uid: Option<String>,
    pub parallelism: Option<usize>,
    pub instances: Instances,
    pub kind: NodeKind,
    pub inputs: Vec<Input>,
    /// Keeps state under its uid.
    pub stateful: bool,
    pub sides: SideTags,
}

impl Node {
    pub fn new(name: &str, kind: NodeKind, inputs: Vec<Input>) -> Self {
        Self {
            name: name.to_owned(),
            uid: None,
            parallelism: None,
            instances: Instances::AsInput,
            kind,
            inputs,
            stateful: false,
            sides: SideTags::default(),
        }
    }

    pub fn stateful(mut self) -> Self {
        self.stateful = true;
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

    /// Takes the nodes: the next job of the program begins anew.
    pub fn take(&self) -> Vec<Node> {
        std::mem::take(&mut *self.lock())
    }
}

/// The engine's graph, and the operators that keep state.
pub(crate) fn build(
    nodes: Vec<Node>,
    parallelism: usize,
    settings: GraphSettings,
) -> Result<(Graph, Vec<OperatorEntry>)> {
    if nodes.is_empty() {
        return Err(Error::input(
            "No operators defined in streaming topology. Cannot execute.",
        ));
    }
    let mut graph = Graph::new(settings);
    let mut entries = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let instances = instances_of(node, &graph, parallelism);
        let uid = node
            .uid
            .clone()
            .unwrap_or_else(|| format!("{number}-{}", node.name));
        if graph.vertices.iter().any(|vertex| *vertex.uid == *uid) {
            return Err(Error::input(format!(
                "Hash collision on user-specified ID \"{uid}\". Most likely cause is a non-unique ID. Please check that \
                 all IDs specified via `uid` are unique."
            )));
        }
        let is_sink = matches!(node.kind, NodeKind::Sink(_));
        let has_reader = nodes
            .iter()
            .any(|other| other.inputs.iter().any(|input| input.from == number));
        if !is_sink && !has_reader {
            tracing::warn!(operator = node.name, "no sink reads the results of this operator");
        }
        let kind = guarded(node);
        let vertex = graph.add(&uid, &node.name, instances, kind);
        for input in &node.inputs {
            let partitioning = match &input.partitioning {
                _ if instances == 1 => Partitioning::Single,
                other => other.clone(),
            };
            graph.connect(input.from, vertex, input.port, partitioning);
        }
        if node.stateful {
            entries.push(OperatorEntry {
                uid,
                name: node.name.clone(),
                sinks: Vec::new(),
                traits: Vec::new(),
            });
        }
    }
    Ok((graph, entries))
}

fn instances_of(node: &Node, graph: &Graph, parallelism: usize) -> usize {
    let wanted = node.parallelism.unwrap_or(match node.instances {
        Instances::All => parallelism,
        Instances::One => 1,
        Instances::AsInput => node
            .inputs
            .first()
            .map_or(parallelism, |input| graph.vertices[input.from].parallelism),
    });
    let most = match &node.kind {
        NodeKind::Source(factory) => factory.parallelism_max(),
        NodeKind::Sink(factory) => factory.parallelism_max(),
        NodeKind::Operator(_) => None,
    };
    wanted.min(most.unwrap_or(usize::MAX)).max(1)
}

/// The factory, so that a panic in the user's code names the operator.
fn guarded(node: &Node) -> VertexKind {
    let name: Arc<str> = node.name.as_str().into();
    match &node.kind {
        NodeKind::Source(factory) => VertexKind::Source(Arc::new(GuardedSource {
            name,
            inner: Arc::clone(factory),
        })),
        NodeKind::Operator(factory) => VertexKind::Operator(Arc::new(GuardedOperator {
            name,
            inner: Arc::clone(factory),
        })),
        NodeKind::Sink(factory) => VertexKind::Sink(Arc::new(GuardedSink {
            name,
            inner: Arc::clone(factory),
        })),
    }
}
