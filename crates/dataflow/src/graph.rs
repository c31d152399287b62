//! The logical graph of a job: vertices with factories, edges with distributions.
//!
//! A graph is data and factories only. [`crate::deploy`] cuts it into chains and workers.

use std::sync::Arc;

use millstream_types::limits::{BATCH_ROWS_DEFAULT, EXCHANGE_CREDIT_BYTES, KEY_GROUPS_DEFAULT};

use crate::exchange::Partitioning;
use crate::factory::{OperatorFactory, SinkFactory, SourceFactory};
use crate::operator::DataflowError;

/// Limits under which a graph runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphSettings {
    /// Target size of a batch in rows (`millstream.batch.max-rows`).
    pub batch_rows: usize,
    /// Key groups (`pipeline.max-parallelism`).
    pub max_parallelism: u16,
    /// Bytes in flight on a channel.
    pub credit_bytes: usize,
    /// Bytes of state of all jobs of the process (`millstream.memory.size`) beyond which state moves to disk, and the
    /// largest job fails if it cannot; `None`: the limit of the process.
    pub memory_bytes: Option<usize>,
    /// Directories for state on disk (`io.tmp.dirs`); none: that of the process.
    pub temporary_directories: Vec<String>,
    /// Operators hand over rows that come too late (`millstream.late-rows.topic`).
    pub keeps_late_rows: bool,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self {
            batch_rows: BATCH_ROWS_DEFAULT,
            max_parallelism: KEY_GROUPS_DEFAULT,
            credit_bytes: EXCHANGE_CREDIT_BYTES,
            memory_bytes: None,
            keeps_late_rows: false,
            temporary_directories: Vec::new(),
        }
    }
}

/// What a vertex does.
#[derive(Clone)]
pub enum VertexKind {
    Source(Arc<dyn SourceFactory>),
    Operator(Arc<dyn OperatorFactory>),
    Sink(Arc<dyn SinkFactory>),
}

#[derive(Clone)]
pub struct Vertex {
    /// Stable identity, unique in the graph.
    pub uid: Arc<str>,
    /// For display.
    pub name: Arc<str>,
    pub parallelism: usize,
    pub kind: VertexKind,
}

/// Rows from one vertex to an input port of another. Several edges may lead to one port: their rows are mixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub port: usize,
    pub partitioning: Partitioning,
}

/// Vertices in topological order, and edges.
#[derive(Clone, Default)]
pub struct Graph {
    pub vertices: Vec<Vertex>,
    pub edges: Vec<Edge>,
    pub settings: GraphSettings,
}

impl Graph {
    pub fn new(settings: GraphSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Adds a vertex and returns its position.
    pub fn add(&mut self, uid: &str, name: &str, parallelism: usize, kind: VertexKind) -> usize {
        self.vertices.push(Vertex {
            uid: uid.into(),
            name: name.into(),
            parallelism: parallelism.max(1),
            kind,
        });
        self.vertices.len() - 1
    }

    pub fn connect(&mut self, from: usize, to: usize, port: usize, partitioning: Partitioning) {
        self.edges.push(Edge {
            from,
            to,
            port,
            partitioning,
        });
    }

    /// Edges into a vertex, in the order in which they were added.
    pub fn inputs(&self, vertex: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == vertex)
    }

    /// Edges out of a vertex, in the order in which they were added.
    pub fn outputs(&self, vertex: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == vertex)
    }

    /// Workers that the graph needs.
    pub fn workers(&self) -> usize {
        self.vertices.iter().map(|v| v.parallelism).max().unwrap_or(1)
    }

    /// Whether all sources are bounded.
    pub fn is_bounded(&self) -> bool {
        self.vertices.iter().all(|v| match &v.kind {
            VertexKind::Source(factory) => factory.is_bounded(),
            VertexKind::Operator(_) | VertexKind::Sink(_) => true,
        })
    }

    /// The distribution of an edge under the actual parallelism of both ends.
    pub fn effective_partitioning(&self, edge: &Edge) -> Partitioning {
        let (from, to) = (
            self.vertices[edge.from].parallelism,
            self.vertices[edge.to].parallelism,
        );
        match &edge.partitioning {
            _ if from == 1 && to == 1 => Partitioning::Forward,
            Partitioning::Forward if from != to => Partitioning::Rebalance,
            Partitioning::Hash(_) | Partitioning::Rebalance if to == 1 => Partitioning::Single,
            other => other.clone(),
        }
    }

    /// Whether the target runs inside the chain of the edge's origin.
    pub fn is_fused(&self, edge: &Edge) -> bool {
        self.effective_partitioning(edge) == Partitioning::Forward && self.inputs(edge.to).count() == 1
    }

    pub(crate) fn check(&self) -> Result<(), DataflowError> {
        let broken = |reason: String| Err(DataflowError::internal(format!("broken graph: {reason}")));
        for edge in &self.edges {
            if edge.from >= edge.to || edge.to >= self.vertices.len() {
                return broken(format!(
                    "edge from {} to {} does not go forward",
                    edge.from, edge.to
                ));
            }
            if matches!(self.vertices[edge.from].kind, VertexKind::Sink(_)) {
                return broken(format!("sink '{}' has an output", self.vertices[edge.from].name));
            }
            let wants_one = edge.partitioning == Partitioning::Single;
            if wants_one && self.vertices[edge.to].parallelism != 1 {
                return broken(format!(
                    "'{}' must have one instance",
                    self.vertices[edge.to].name
                ));
            }
        }
        for (index, vertex) in self.vertices.iter().enumerate() {
            let is_source = matches!(vertex.kind, VertexKind::Source(_));
            if is_source != (self.inputs(index).count() == 0) {
                return broken(format!("'{}' has inputs that do not fit it", vertex.name));
            }
            if self.vertices[..index].iter().any(|other| other.uid == vertex.uid) {
                return broken(format!("two operators are called '{}'", vertex.uid));
            }
        }
        Ok(())
    }
}
