//! A query as a part of a program's graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_connectors::stream::{CONNECTORS, STREAM};
use millstream_dataflow::{
    Context as Instance, DataflowError, Graph, Operator, OperatorFactory, Partitioning,
};
use millstream_jobs::translate::{Enclosing, Entry, Part, translate_into};
use millstream_jobs::{Components, JobSettings};
use millstream_plan::{NodeId, Op, Plan, TableSpec};
use millstream_types::{LogicalType, Schema};

use super::convert::{Dynamic, IntoColumns, StreamToTable, Typed, guarded};
use super::row::{Row, RowType, Shape};
use crate::data::Data;
use crate::error::Result;
use crate::graph::Input;

/// Makes the operator that gives a scan its rows: from the table's columns, those that are wanted, and the types of the
/// metadata columns behind them.
type MakeEntry =
    Arc<dyn Fn(&Schema, &[usize], Vec<LogicalType>) -> Result<Arc<dyn OperatorFactory>> + Send + Sync>;

/// A stream that queries see as a table.
#[derive(Clone)]
pub(crate) struct StreamTable {
    pub inputs: Vec<Input>,
    entry: MakeEntry,
}

impl StreamTable {
    pub fn typed<T: RowType>(inputs: Vec<Input>, shape: Shape) -> Self {
        Self::new::<T>(inputs, move |physical, wanted| {
            Ok(Box::new(Typed::new(&shape, physical, wanted)?))
        })
    }

    pub fn dynamic(inputs: Vec<Input>, changes: bool) -> Self {
        Self::new::<Row>(inputs, move |physical, wanted| {
            Ok(Box::new(Dynamic::new(physical, wanted, changes)?))
        })
    }

    fn new<T: Data>(
        inputs: Vec<Input>,
        columns: impl Fn(&Schema, &[usize]) -> Result<Box<dyn IntoColumns<T>>> + Send + Sync + 'static,
    ) -> Self {
        let columns = Arc::new(columns);
        let entry: MakeEntry = Arc::new(move |physical, wanted, rowtimes| {
            // Types that do not fit are found here, before the job starts.
            columns(physical, wanted)?;
            let (columns, physical, wanted) = (Arc::clone(&columns), physical.clone(), wanted.to_vec());
            let make = move |_: &Instance| -> Result<Box<dyn Operator>, DataflowError> {
                Ok(Box::new(StreamToTable::<T> {
                    columns: columns(&physical, &wanted)?,
                    rowtimes: rowtimes.clone(),
                }))
            };
            Ok(guarded("DataStreamToTable", Arc::new(make)))
        });
        Self { inputs, entry }
    }
}

/// A plan between the nodes of a program.
pub(crate) struct PlanPart {
    pub plan: Arc<Plan>,
    pub components: Arc<dyn Components>,
    /// The streams that the plan reads, by the option that names them. The node's inputs are theirs, in this order; the
    /// port of an input is the place of its stream.
    pub streams: BTreeMap<String, StreamTable>,
    /// What turns the rows of a query into records.
    pub collect: Option<Arc<dyn OperatorFactory>>,
}

/// The stream that a table stands for.
pub(crate) fn stream_of(table: &TableSpec) -> Option<&str> {
    let connector = table.options.get("connector")?;
    CONNECTORS.contains(&connector.as_str()).then_some(())?;
    table.options.get(STREAM).map(String::as_str)
}

/// The streams that a plan reads.
pub(crate) fn streams_of(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.nodes.iter().filter_map(|node| match &node.op {
        Op::Scan { table, .. } => stream_of(table),
        _ => None,
    })
}

impl PlanPart {
    /// Whether the plan was made for BATCH mode, in which all its tables are bounded.
    pub fn is_bounded(&self) -> bool {
        let mode = self.plan.configuration.get("execution.runtime-mode");
        mode.is_some_and(|mode| mode.eq_ignore_ascii_case("batch"))
    }

    /// The inputs of the node that holds this part.
    pub fn inputs(&self) -> Vec<Input> {
        let streams = self.streams.values().enumerate();
        let of_stream = |(port, stream): (usize, &StreamTable)| {
            stream
                .inputs
                .clone()
                .into_iter()
                .map(move |input| Input { port, ..input })
        };
        streams.flat_map(of_stream).collect()
    }

    /// Adds the plan to a graph. `inputs` are vertices by the place of their stream.
    pub fn add_to(
        &self,
        graph: Graph,
        settings: &JobSettings,
        inputs: &[(usize, usize, Partitioning)],
    ) -> Result<Part, DataflowError> {
        let around = Around { part: self, inputs };
        translate_into(graph, &self.plan, self.components.as_ref(), settings, &around)
    }
}

struct Around<'a> {
    part: &'a PlanPart,
    inputs: &'a [(usize, usize, Partitioning)],
}

impl Enclosing for Around<'_> {
    fn scan(&self, plan: &Plan, node: NodeId) -> Result<Option<Entry>, DataflowError> {
        let Op::Scan {
            table,
            columns,
            metadata,
            ..
        } = &plan.node(node).op
        else {
            return Ok(None);
        };
        let Some(name) = stream_of(table) else {
            return Ok(None);
        };
        let mut streams = self.part.streams.iter().enumerate();
        let found = streams.find(|(_, (own, _))| *own == name);
        let Some((port, (_, stream))) = found else {
            return Err(DataflowError::new(
                millstream_types::ErrorKind::Input,
                format!(
                    "table '{}' stands for a stream that the program does not have",
                    table.identifier
                ),
            ));
        };
        let rowtimes = metadata.iter().map(|column| column.ty.clone()).collect();
        let operator = (stream.entry)(&table.physical, columns, rowtimes)?;
        let inputs = self.inputs.iter().filter(|(of, _, _)| *of == port);
        Ok(Some(Entry {
            operator,
            inputs: inputs
                .map(|(_, vertex, partitioning)| (*vertex, partitioning.clone()))
                .collect(),
        }))
    }

    fn collect(&self) -> Option<Arc<dyn OperatorFactory>> {
        self.part.collect.clone()
    }
}
