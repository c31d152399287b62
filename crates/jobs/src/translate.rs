//! Plan to graph: which nodes become vertices, how many instances each has, how rows get between them.
//!
//! - An exchange is not a vertex: it becomes the distribution of the edges around it.
//! - Behind a keyed exchange, operators have the job's parallelism; behind `Single` one instance; a source as many as
//!   it has splits for, up to the job's parallelism; everything else as many as its input has.
//! - A changelog must not be redistributed without a key, since the changes of a row would overtake each other: where
//!   inputs with updates differ in parallelism, one instance takes them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_dataflow::{DataflowError, Graph, OperatorFactory, Partitioning, SinkFactory, VertexKind};
use millstream_plan::uid::{kind_name, uids};
use millstream_plan::{Distribution, NodeId, Op, Plan};
use millstream_state::OperatorEntry;
use millstream_types::ErrorKind;

use crate::components::Components;
use crate::identity::operator_entries;
use crate::settings::JobSettings;
use crate::side_outputs;

/// Builds the graph of a plan. `collect` receives the rows of a `Collect` root.
pub fn translate(
    plan: &Plan,
    components: &dyn Components,
    settings: &JobSettings,
    collect: Option<Arc<dyn SinkFactory>>,
) -> Result<Graph, DataflowError> {
    Ok(translate_job(plan, components, settings, collect, "")?.0)
}

/// As [`translate`], with what a checkpoint says of the side outputs. `identity` is that of the job.
pub(crate) fn translate_job(
    plan: &Plan,
    components: &dyn Components,
    settings: &JobSettings,
    collect: Option<Arc<dyn SinkFactory>>,
    identity: &str,
) -> Result<(Graph, Vec<OperatorEntry>), DataflowError> {
    check_transactional_ids(plan)?;
    let mut translation = Translation {
        plan,
        components,
        parallelism: settings.parallelism,
        collect,
        enclosing: None,
        uids: uids(plan),
        graph: Graph::new(settings.graph.clone()),
        outputs: Vec::with_capacity(plan.nodes.len()),
        collected: None,
    };
    translation.run()?;
    let Translation {
        mut graph,
        uids,
        outputs,
        ..
    } = translation;
    let vertices: Vec<usize> = outputs.iter().map(|output| output.vertex).collect();
    let job = (settings, identity);
    let entries = side_outputs::attach(&mut graph, plan, (&vertices, &uids), components, job)?;
    Ok((graph, entries))
}

/// Two sinks under one transactional id would fence each other at every restart.
fn check_transactional_ids(plan: &Plan) -> Result<(), DataflowError> {
    let mut seen = BTreeSet::new();
    for node in &plan.nodes {
        let Op::Sink { table, .. } = &node.op else {
            continue;
        };
        let Some(prefix) = table.options.get("sink.transactional-id-prefix") else {
            continue;
        };
        let cluster = table.options.get("properties.bootstrap.servers");
        if !seen.insert((prefix, cluster)) {
            let message = format!(
                "two INSERTs of the statement set write with 'sink.transactional-id-prefix' '{prefix}', table '{}' among \
                 them: their transactions would fence each other. Combine the INSERTs with UNION ALL, or give one another \
                 prefix with an OPTIONS hint",
                table.identifier
            );
            return Err(DataflowError::new(ErrorKind::Input, message));
        }
    }
    Ok(())
}

/// The graph around a plan that is a part of a larger graph.
pub trait Enclosing {
    /// What gives the rows of a scan in place of a source; `None`: the scan has a source of its own.
    fn scan(&self, plan: &Plan, node: NodeId) -> Result<Option<Entry>, DataflowError>;

    /// What takes the rows of a `Collect` root and hands them to the rest of the graph.
    fn collect(&self) -> Option<Arc<dyn OperatorFactory>>;
}

/// An operator that turns the rows of vertices around a plan into those of a scan.
pub struct Entry {
    pub operator: Arc<dyn OperatorFactory>,
    /// Vertices of the graph and how their rows are distributed.
    pub inputs: Vec<(usize, Partitioning)>,
}

/// A graph to which a plan was added.
pub struct Part {
    pub graph: Graph,
    /// The operators of the plan that keep state.
    pub operators: Vec<OperatorEntry>,
    /// The vertex with the rows of a `Collect` root.
    pub output: Option<usize>,
}

/// Adds a plan to a graph.
pub fn translate_into(
    graph: Graph,
    plan: &Plan,
    components: &dyn Components,
    settings: &JobSettings,
    enclosing: &dyn Enclosing,
) -> Result<Part, DataflowError> {
    side_outputs::refuse(plan, settings)?;
    let mut uids = uids(plan);
    let mut operators = operator_entries(plan);
    number_apart(&graph, &mut uids, &mut operators);
    let mut translation = Translation {
        plan,
        components,
        parallelism: settings.parallelism,
        collect: None,
        enclosing: Some(enclosing),
        uids,
        graph,
        outputs: Vec::with_capacity(plan.nodes.len()),
        collected: None,
    };
    translation.run()?;
    Ok(Part {
        graph: translation.graph,
        operators,
        output: translation.collected,
    })
}

/// Operators of several parts of a graph may mean the same; they are numbered, as those of one plan are.
fn number_apart(graph: &Graph, uids: &mut [String], operators: &mut [OperatorEntry]) {
    let around = graph.vertices.iter().map(|vertex| vertex.uid.to_string());
    let mut taken: BTreeSet<String> = around.collect();
    let own: BTreeSet<String> = uids.iter().cloned().collect();
    for uid in uids {
        if taken.insert(uid.clone()) {
            continue;
        }
        let mut numbered = (2..).map(|number| format!("{uid}-{number}"));
        let free = numbered.find(|name| !taken.contains(name) && !own.contains(name));
        let free = free.unwrap_or_else(|| uid.clone());
        let entries = operators.iter_mut().filter(|entry| entry.uid == *uid);
        entries.for_each(|entry| entry.uid.clone_from(&free));
        taken.insert(free.clone());
        *uid = free;
    }
}

/// Where a node's rows come from, and how its consumers must partition them.
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
    enclosing: Option<&'a dyn Enclosing>,
    uids: Vec<String>,
    graph: Graph,
    /// By node.
    outputs: Vec<NodeOutput>,
    /// The vertex with the rows of a `Collect` root, within an enclosing graph.
    collected: Option<usize>,
}

impl Translation<'_> {
    fn run(&mut self) -> Result<(), DataflowError> {
        for index in 0..self.plan.nodes.len() {
            let output = self.node(NodeId(index))?;
            self.outputs.push(output);
        }
        Ok(())
    }

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
            Op::Scan { .. } | Op::Values { .. } => self.source(id)?,
            Op::Sink { .. } => self.sink(id)?,
            Op::Collect if self.enclosing.is_some() => self.hand_over(id)?,
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

    fn source(&mut self, id: NodeId) -> Result<usize, DataflowError> {
        let entry = match self.enclosing {
            Some(enclosing) => enclosing.scan(self.plan, id)?,
            None => None,
        };
        let Some(entry) = entry else {
            let factory = self.components.source(self.plan, id)?;
            let most = factory.parallelism_max().unwrap_or(usize::MAX);
            return Ok(self.add(id, self.parallelism.min(most), VertexKind::Source(factory)));
        };
        let of_inputs = entry
            .inputs
            .iter()
            .map(|(vertex, partitioning)| match partitioning {
                Partitioning::Single => 1,
                Partitioning::Forward => self.graph.vertices[*vertex].parallelism,
                _ => self.parallelism,
            });
        let parallelism = of_inputs.max().unwrap_or(1);
        let vertex = self.add(id, parallelism, VertexKind::Operator(entry.operator));
        for (from, partitioning) in entry.inputs {
            let partitioning = if parallelism == 1 {
                Partitioning::Single
            } else {
                partitioning
            };
            self.graph.connect(from, vertex, 0, partitioning);
        }
        Ok(vertex)
    }

    /// The rows of the root, for the vertices that are added behind the plan.
    fn hand_over(&mut self, id: NodeId) -> Result<usize, DataflowError> {
        let factory = self.enclosing.and_then(|enclosing| enclosing.collect());
        let factory = factory.ok_or_else(|| {
            DataflowError::internal("a plan that collects rows is part of a graph without a reader")
        })?;
        // What is behind need not be one instance, as a client is: the exchange before the root is passed over.
        let mut below = id;
        while let Some(input) = self.plan.node(below).inputs.first() {
            below = *input;
            if !matches!(self.plan.node(below).op, Op::Exchange { .. }) {
                break;
            }
        }
        let origin = self.outputs[below.0].vertex;
        let parallelism = self.graph.vertices[origin].parallelism;
        let vertex = self.add(id, parallelism, VertexKind::Operator(factory));
        self.graph.connect(origin, vertex, 0, Partitioning::Forward);
        self.collected = Some(vertex);
        Ok(vertex)
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

    /// The parallelism of an operator, derived from how its inputs arrive.
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

    /// A sink, with the operator in front of it.
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

    /// Positions of the table's primary key in the sink's input, if the table has a key and all of it is written.
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

    /// Connects the inputs of a node; `partitioning` overrides the plan's.
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
