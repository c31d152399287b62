//! Side outputs of a plan: collectors behind sources and operators, and the sinks that write what they collect.
//!
//! A plan knows nothing of them; the configuration asks for them. Each source of a table with a format gets a collector
//! of dead letters, each operator that drops late rows one of those. Collectors run inside of the chain they stand
//! behind. One sink for each kind and cluster has a single instance, because little should come.

use std::collections::BTreeMap;

use millstream_connectors::side_output::{SideTopic, cluster_of};
use millstream_dataflow::{DataflowError, Graph, Partitioning, VertexKind};
use millstream_plan::uid::kind_name;
use millstream_plan::{Node, NodeId, Op, Plan};
use millstream_state::{OperatorEntry, OperatorTrait};
use millstream_types::{ErrorKind, Options, Schema};

use crate::components::{Components, SideOutput};
use crate::settings::{JobSettings, SideTopics};

/// Name of the vertices for records that cannot be decoded.
const DEAD_LETTERS: &str = "DeadLetters";
/// Name of the vertices for rows that came too late.
const LATE_ROWS: &str = "LateRows";

/// Whether a stored operator is the sink of a side output. One that is new misses nothing: it keeps only what is to be
/// committed.
pub(crate) fn is_side_output(name: &str) -> bool {
    [DEAD_LETTERS, LATE_ROWS].contains(&name)
}

/// Whether the job of a plan writes side outputs. A SELECT does not: its client sees the error.
pub(crate) fn is_wanted(plan: &Plan) -> bool {
    plan.nodes.iter().any(|node| matches!(node.op, Op::Sink { .. }))
}

/// Adds the side outputs that the settings ask for; returns what a checkpoint says of their sinks. `vertices` has the
/// vertex of each node, and `uids` their identities.
pub(crate) fn attach(
    graph: &mut Graph,
    plan: &Plan,
    (vertices, uids): (&[usize], &[String]),
    components: &dyn Components,
    (settings, identity): (&JobSettings, &str),
) -> Result<Vec<OperatorEntry>, DataflowError> {
    if !is_wanted(plan) {
        return Ok(Vec::new());
    }
    let mut attachment = Attachment {
        graph,
        plan,
        components,
        sources: BTreeMap::new(),
    };
    let SideTopics {
        dead_letters,
        late_rows,
    } = &settings.side_topics;
    let mut kinds = Vec::new();
    if let Some(topic) = dead_letters {
        kinds.push((DEAD_LETTERS, topic, attachment.dead_letters(vertices)?));
    }
    if let Some(topic) = late_rows {
        kinds.push((LATE_ROWS, topic, attachment.late_rows(vertices, uids)?));
        attachment.graph.settings.keeps_late_rows = true;
    }
    let exactly_once = settings.checkpoints.is_some() && is_exactly_once(plan);
    let mut entries = Vec::new();
    for (name, topic, collectors) in kinds {
        for (cluster, collectors) in collectors {
            let uid = uid_of(name, &cluster);
            let side = SideTopic {
                topic: topic.clone(),
                transactional_id_prefix: exactly_once.then(|| format!("{identity}-{uid}")),
                cluster,
            };
            attachment.sink(name, &uid, &side, &collectors)?;
            entries.push(entry(name, &uid, &side));
        }
    }
    Ok(entries)
}

/// Side outputs belong to a job of SQL alone. The sources of a plan inside of a program would drop what nothing collects.
pub(crate) fn refuse(plan: &Plan, settings: &JobSettings) -> Result<(), DataflowError> {
    let topics = &settings.side_topics;
    if !is_wanted(plan) || (topics.dead_letters.is_none() && topics.late_rows.is_none()) {
        return Ok(());
    }
    let message = "'millstream.dead-letter.topic' and 'millstream.late-rows.topic' do not work for statements inside of a \
                   program; reset them, or run the statement on its own";
    Err(DataflowError::new(ErrorKind::Unsupported, message))
}

/// Vertices of collectors, by cluster.
type Collectors = BTreeMap<Options, Vec<usize>>;

struct Attachment<'a> {
    graph: &'a mut Graph,
    plan: &'a Plan,
    components: &'a dyn Components,
    /// The cluster of the first Kafka table that a node reads, by node.
    sources: BTreeMap<usize, Options>,
}

impl Attachment<'_> {
    fn dead_letters(&mut self, vertices: &[usize]) -> Result<Collectors, DataflowError> {
        let mut collectors = Collectors::new();
        for (index, node) in self.plan.nodes.iter().enumerate() {
            let Op::Scan { table, .. } = &node.op else {
                continue;
            };
            if !has_dead_letters(node) {
                continue;
            }
            let table_name = table.identifier.to_string();
            let side = SideOutput::DeadLetters { table: &table_name };
            let uid = format!("{}-dead-letters", self.graph.vertices[vertices[index]].uid);
            let collector = self.collector(&uid, DEAD_LETTERS, vertices[index], side)?;
            collectors.entry(cluster_of(table)).or_default().push(collector);
        }
        Ok(collectors)
    }

    fn late_rows(&mut self, vertices: &[usize], uids: &[String]) -> Result<Collectors, DataflowError> {
        let mut collectors = Collectors::new();
        for (index, node) in self.plan.nodes.iter().enumerate() {
            let inputs: Vec<Schema> = node
                .inputs
                .iter()
                .map(|i| self.plan.node(*i).schema.clone())
                .collect();
            let cluster = self.cluster(index);
            if !drops_late_rows(&node.op) {
                continue;
            }
            let side = SideOutput::LateRows {
                operator: kind_name(&node.op),
                uid: &uids[index],
                inputs,
            };
            let uid = format!("{}-late-rows", uids[index]);
            let collector = self.collector(&uid, LATE_ROWS, vertices[index], side)?;
            collectors.entry(cluster).or_default().push(collector);
        }
        Ok(collectors)
    }

    /// The cluster that the rows of a node come from: that of the first Kafka table below it, otherwise the broker
    /// inside.
    fn cluster(&mut self, index: usize) -> Options {
        let node = &self.plan.nodes[index];
        let cluster = match &node.op {
            Op::Scan { table, .. } if is_kafka(&table.options) => Some(cluster_of(table)),
            _ => node
                .inputs
                .iter()
                .find_map(|NodeId(input)| self.sources.get(input).cloned()),
        };
        if let Some(cluster) = &cluster {
            self.sources.insert(index, cluster.clone());
        }
        cluster.unwrap_or_default()
    }

    /// Adds a collector inside of the chain of `vertex`.
    fn collector(
        &mut self,
        uid: &str,
        name: &str,
        vertex: usize,
        side: SideOutput<'_>,
    ) -> Result<usize, DataflowError> {
        let factory = self.components.side_collector(side)?;
        let parallelism = self.graph.vertices[vertex].parallelism;
        let collector = self
            .graph
            .add(uid, name, parallelism, VertexKind::Operator(factory));
        self.graph.connect(vertex, collector, 0, Partitioning::Forward);
        Ok(collector)
    }

    fn sink(
        &mut self,
        name: &str,
        uid: &str,
        side: &SideTopic,
        collectors: &[usize],
    ) -> Result<(), DataflowError> {
        let factory = self.components.side_sink(side)?;
        let sink = self.graph.add(uid, name, 1, VertexKind::Sink(factory));
        for collector in collectors {
            self.graph.connect(*collector, sink, 0, Partitioning::Single);
        }
        Ok(())
    }
}

/// The identity of the sink of a cluster: the same for as long as the cluster's address is.
fn uid_of(name: &str, cluster: &Options) -> String {
    let kind = if name == DEAD_LETTERS {
        "dead-letters"
    } else {
        "late-rows"
    };
    match cluster.get("properties.bootstrap.servers") {
        Some(address) => format!("{kind}-{address}"),
        None => kind.to_owned(),
    }
}

fn entry(name: &str, uid: &str, side: &SideTopic) -> OperatorEntry {
    let address = side.cluster.get("properties.bootstrap.servers");
    OperatorEntry {
        uid: uid.to_owned(),
        name: name.to_owned(),
        sinks: vec![format!("topic {}", side.topic)],
        traits: vec![OperatorTrait {
            name: "cluster".to_owned(),
            value: address
                .cloned()
                .unwrap_or_else(|| "the embedded broker".to_owned()),
        }],
    }
}

fn is_kafka(options: &Options) -> bool {
    options
        .get("connector")
        .is_some_and(|c| c == "kafka" || c == "upsert-kafka")
}

/// Whether the source of a scan decodes records that may be malformed.
pub(crate) fn has_dead_letters(node: &Node) -> bool {
    let Op::Scan { table, .. } = &node.op else {
        return false;
    };
    is_kafka(&table.options) || table.options.get("connector").is_some_and(|c| c == "filesystem")
}

/// Whether a sink of the plan writes every row once, so that the side outputs should, too.
fn is_exactly_once(plan: &Plan) -> bool {
    let is_exact = |options: &Options| {
        let guarantee = options
            .get("sink.delivery-guarantee")
            .or(options.get("sink.semantic"));
        let is_file = options.get("connector").is_some_and(|c| c == "filesystem");
        is_file || guarantee.is_some_and(|g| g.eq_ignore_ascii_case("exactly-once"))
    };
    plan.nodes.iter().any(|node| match &node.op {
        Op::Sink { table, .. } => is_exact(&table.options),
        _ => false,
    })
}

/// Whether an operator may drop rows because they come too late.
fn drops_late_rows(op: &Op) -> bool {
    match op {
        Op::WindowAggregate { bounded, .. } => !bounded,
        Op::WindowTableFunction { window, .. } => window.kind.is_session(),
        Op::Rank { window_end, .. } => window_end.is_some(),
        Op::Deduplicate {
            event_time,
            window_end,
            ..
        } => *event_time || window_end.is_some(),
        Op::Over { event_time, .. } => *event_time == Some(true),
        Op::Match { event_time, .. } => *event_time,
        Op::TemporalSort { .. } | Op::WindowJoin { .. } | Op::TemporalJoin { .. } => true,
        _ => false,
    }
}
