//! The factories for the parts of a job's graph.
//!
//! `operators` and `connectors` provide the real ones; tests substitute their own.

use std::sync::Arc;

use millstream_connectors::side_output::{DeadLetterCollector, LateRowCollector, SideTopic, side_sink};
use millstream_connectors::{ConnectorContext, ScanSpec, SinkSpec};
use millstream_dataflow::{DataflowError, OperatorFactory, SinkFactory, SourceFactory};
use millstream_functions::Environment;
use millstream_plan::{NodeId, Op, Plan};
use millstream_types::Schema;

use crate::settings::DEAD_LETTER_TOPIC;
use crate::side_outputs;

/// Creates factories from plan nodes. Everything that can fail early fails here, on the submitting thread.
pub trait Components: Send + Sync {
    /// For [`Op::Scan`] and [`Op::Values`].
    fn source(&self, plan: &Plan, node: NodeId) -> Result<Arc<dyn SourceFactory>, DataflowError>;

    /// For every other node with inputs and an output, and for the operator in front of a sink; `None` if a sink needs
    /// none.
    fn operator(&self, plan: &Plan, node: NodeId) -> Result<Option<Arc<dyn OperatorFactory>>, DataflowError>;

    /// For [`Op::Sink`].
    fn sink(&self, plan: &Plan, node: NodeId) -> Result<Arc<dyn SinkFactory>, DataflowError>;

    /// What turns a side output into messages.
    fn side_collector(&self, side: SideOutput<'_>) -> Result<Arc<dyn OperatorFactory>, DataflowError> {
        Ok(match side {
            SideOutput::DeadLetters { table } => Arc::new(DeadLetterCollector {
                table: table.to_owned(),
            }),
            SideOutput::LateRows {
                operator,
                uid,
                inputs,
            } => Arc::new(LateRowCollector::new(operator, uid, inputs)?),
        })
    }

    /// What writes the messages of side outputs.
    fn side_sink(&self, topic: &SideTopic) -> Result<Arc<dyn SinkFactory>, DataflowError> {
        let message = format!(
            "these components cannot write side outputs to topic '{}'",
            topic.topic
        );
        Err(DataflowError::internal(message))
    }
}

/// A side output that a collector is made for.
pub enum SideOutput<'a> {
    /// Of the source of this table.
    DeadLetters { table: &'a str },
    /// Of the operator of this name and identity, with these inputs.
    LateRows {
        operator: &'a str,
        uid: &'a str,
        inputs: Vec<Schema>,
    },
}

/// The operators and connectors of this build.
#[derive(Clone)]
pub struct BuiltIn {
    pub connectors: ConnectorContext,
    /// The environment of the query's expressions, with the session's time zone.
    pub environment: Environment,
}

impl Components for BuiltIn {
    fn source(&self, plan: &Plan, node: NodeId) -> Result<Arc<dyn SourceFactory>, DataflowError> {
        match &plan.node(node).op {
            Op::Scan {
                table,
                columns,
                metadata,
                watermark,
                limit,
                ..
            } => {
                let spec = ScanSpec {
                    table: table.clone(),
                    columns: columns.clone(),
                    metadata: metadata.clone(),
                    watermark: watermark.clone(),
                    limit: *limit,
                    dead_letters: plan.configuration.contains_key(DEAD_LETTER_TOPIC)
                        && side_outputs::is_wanted(plan)
                        && side_outputs::has_dead_letters(plan.node(node)),
                };
                millstream_connectors::source(spec, &self.connectors)
            }
            Op::Values { rows } => Ok(millstream_operators::values_source(rows, &plan.node(node).schema)),
            _ => Err(DataflowError::internal("a node with inputs was used as a source")),
        }
    }

    fn operator(&self, plan: &Plan, node: NodeId) -> Result<Option<Arc<dyn OperatorFactory>>, DataflowError> {
        match &plan.node(node).op {
            Op::Sink { .. } => millstream_operators::sink_input(plan, node),
            _ => millstream_operators::operator_factory(plan, node, &self.environment).map(Some),
        }
    }

    fn sink(&self, plan: &Plan, node: NodeId) -> Result<Arc<dyn SinkFactory>, DataflowError> {
        let Op::Sink {
            table,
            columns,
            metadata,
            overwrite,
            static_partition,
            ..
        } = &plan.node(node).op
        else {
            return Err(DataflowError::internal(
                "a node that is not a sink was used as one",
            ));
        };
        let spec = SinkSpec {
            table: table.clone(),
            columns: columns.clone(),
            metadata: metadata.clone(),
            overwrite: *overwrite,
            static_partition: static_partition.clone(),
        };
        millstream_connectors::sink(spec, &self.connectors)
    }

    fn side_sink(&self, topic: &SideTopic) -> Result<Arc<dyn SinkFactory>, DataflowError> {
        side_sink(topic, &self.connectors)
    }
}
