//! Plan to graph: which nodes become vertices, how many instances each has, how rows get between them.
//!
//! - An exchange is no vertex: it becomes the distribution of the edges around it.
//! - Behind a keyed exchange, operators have the job's parallelism; behind `Single` one instance; a source as many as
//!   it has splits for, up to the job's parallelism; everything else as many as its input has.
//! - A changelog must not be spread anew without a key, since the changes of a row would overtake each other: where
//!   inputs with updates differ in parallelism, one instance takes them all.

use std::sync::Arc;

use millstream_dataflow::{DataflowError, Graph, Partitioning, SinkFactory, VertexKind};
use millstream_plan::uid::{kind_name, uids};
use millstream_plan::{Distribution, NodeId, Op, Plan};
use millstream_types::ErrorKind;

use crate::components::Components;
use crate::settings::JobSettings;

/// Builds the graph of a plan. `collect` takes the rows of a `Collect` root.
pub fn translate(
    plan: &Plan,
    components: &dyn Components,
    settings: &JobSettings,
    collect: Option<Arc<dyn SinkFactory>>,
) -> Result<Graph, DataflowError> {
    let mut translation = Translation {
        plan,
        components,
        parallelism: settings.parallelism,
        collect,
        uids: uids(plan),
        graph: Graph::new(settings.graph),
        outputs: Vec::with_capacity(plan.nodes.len()),
    };
    for index in 0..plan.nodes.len() {
        let output = translation.node(NodeId(index))?;
        translation.outputs.push(output);
    }
    Ok(translation.graph)
}

/// Where the rows of a node come from, and how its consumers must take them.
#[derive(Clone, Debug)]
struct NodeOutput {
    vertex: usize,
    partitioning: Partitioning,
}

struct Translation<'a> {
    plan: &'a Plan,
    components: &'a dyn Components,
    parallelism: usize,
    collect: Option<Arc<dyn SinkFactory>>,
    uids: Vec<String>,
    graph: Graph,
    /// By node.
    outputs: Vec<NodeOutput>,
}

impl Translation<'_> {
    fn node(&mut self, id: NodeId) -> Result<NodeOutput, DataflowError> {
        let node = self.plan.node(id);
        let vertex = match &node.op {
            Op::Exchange { distribution } => return self.exchange(id, distribution),
            Op::Unsupported { name } => {
                return Err(DataflowError::new(
                    ErrorKind::Unsupported,
                    format!("not supported yet: {name}"),
                ));
            }
            Op::Scan { .. } | Op::Values { .. } => {
                let factory = self.components.source(self.plan, id)?;
                let most = factory.parallelism_max().unwrap_or(usize::MAX);
                self.add(id, self.parallelism.min(most), VertexKind::Source(factory))
            }
            Op::Sink { .. } => self.sink(id)?,
            Op::Collect => {
                let factory = self.collect.clone().ok_or_else(|| {
                    DataflowError::internal("a plan that collects rows was started without a collector")
                })?;
                let vertex = self.add(id, 1, VertexKind::Sink(factory));
                self.connect(id, vertex);
                vertex
            }
            _ => {
                let factory = self.components.operator(self.plan, id)?;
                let factory = factory.ok_or_else(|| {
                    DataflowError::internal(format!("{} has no operator", kind_name(&node.op)))
                })?;
                let vertex = self.add(id, self.parallelism_of(id), VertexKind::Operator(factory));
                self.connect(id, vertex);
                vertex
            }
        };
        Ok(NodeOutput {
            vertex,
            partitioning: Partitioning::Forward,
        })
    }

    fn add(&mut self, id: NodeId, parallelism: usize, kind: VertexKind) -> usize {
        let name = kind_name(&self.plan.node(id).op).to_owned();
        self.graph.add(&self.uids[id.0], &name, parallelism, kind)
    }

    fn exchange(&mut self, id: NodeId, distribution: &Distribution) -> Result<NodeOutput, DataflowError> {
        let input = self.plan.node(id).inputs.first();
        let input = input.ok_or_else(|| DataflowError::internal("an exchange without an input"))?;
        let partitioning = match distribution {
            Distribution::Forward => self.outputs[input.0].partitioning.clone(),
            Distribution::Hash(columns) if columns.is_empty() => Partitioning::Single,
            Distribution::Hash(columns) => Partitioning::Hash(columns.clone()),
            Distribution::Single => Partitioning::Single,
            Distribution::Rebalance => Partitioning::Rebalance,
        };
        Ok(NodeOutput {
            vertex: self.outputs[input.0].vertex,
            partitioning,
        })
    }

    /// Instances that an operator has, from how its inputs arrive.
    fn parallelism_of(&self, id: NodeId) -> usize {
        let node = self.plan.node(id);
        let inputs: Vec<&NodeOutput> = node.inputs.iter().map(|input| &self.outputs[input.0]).collect();
        if inputs
            .iter()
            .any(|input| input.partitioning == Partitioning::Single)
        {
            return 1;
        }
        let spread = |input: &&NodeOutput| {
            matches!(
                input.partitioning,
                Partitioning::Hash(_) | Partitioning::Rebalance | Partitioning::Broadcast
            )
        };
        if inputs.iter().any(spread) {
            return self.parallelism;
        }
        let of_inputs: Vec<usize> = inputs
            .iter()
            .map(|input| self.graph.vertices[input.vertex].parallelism)
            .collect();
        let most = of_inputs.iter().copied().max().unwrap_or(1);
        let differ = of_inputs.iter().any(|parallelism| *parallelism != most);
        let has_updates = node
            .inputs
            .iter()
            .any(|i| !self.plan.node(*i).traits.mode.is_insert_only());
        if differ && has_updates { 1 } else { most }
    }

    /// The sink, with what stands before it.
    fn sink(&mut self, id: NodeId) -> Result<usize, DataflowError> {
        let factory = self.components.sink(self.plan, id)?;
        let most = factory.parallelism_max().unwrap_or(usize::MAX).max(1);
        let mut parallelism = self.parallelism_of(id);
        let mut by_key = None;
        if parallelism > most {
            // The changes of a key must stay in order on the way to fewer instances.
            by_key = self.key_of_sink(id).filter(|_| most > 1).map(Partitioning::Hash);
            let may_spread = self.input_is_insert_only(id) || by_key.is_some();
            parallelism = if may_spread { most } else { 1 };
        }
        let Some(guard) = self.components.operator(self.plan, id)? else {
            let vertex = self.add(id, parallelism, VertexKind::Sink(factory));
            self.connect_by(id, vertex, by_key);
            return Ok(vertex);
        };
        let uid = format!("{}-input", self.uids[id.0]);
        let before = self.graph.add(
            &uid,
            "SinkInput",
            self.parallelism_of(id),
            VertexKind::Operator(guard),
        );
        self.connect(id, before);
        let vertex = self.add(id, parallelism, VertexKind::Sink(factory));
        self.graph
            .connect(before, vertex, 0, by_key.unwrap_or(Partitioning::Forward));
        Ok(vertex)
    }

    /// Positions in the input of a sink of its table's primary key, if it has one that is written.
    fn key_of_sink(&self, id: NodeId) -> Option<Vec<usize>> {
        let Op::Sink { table, columns, .. } = &self.plan.node(id).op else {
            return None;
        };
        let position = |key: &usize| columns.iter().position(|column| column == key);
        let keys: Option<Vec<usize>> = table.primary_key.iter().map(position).collect();
        keys.filter(|keys| !keys.is_empty())
    }

    fn input_is_insert_only(&self, id: NodeId) -> bool {
        self.plan
            .node(id)
            .inputs
            .iter()
            .all(|i| self.plan.node(*i).traits.mode.is_insert_only())
    }

    fn connect(&mut self, id: NodeId, vertex: usize) {
        self.connect_by(id, vertex, None);
    }

    /// Connects the inputs of a node; `partitioning` instead of the one of the plan.
    fn connect_by(&mut self, id: NodeId, vertex: usize, partitioning: Option<Partitioning>) {
        let to = self.graph.vertices[vertex].parallelism;
        for (port, input) in self.plan.node(id).inputs.iter().enumerate() {
            let output = self.outputs[input.0].clone();
            let partitioning = match &partitioning {
                _ if to == 1 => Partitioning::Single,
                Some(partitioning) => partitioning.clone(),
                None => output.partitioning,
            };
            self.graph.connect(output.vertex, vertex, port, partitioning);
        }
    }
}
