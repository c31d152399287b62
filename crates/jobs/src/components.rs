//! Where a job gets the parts of its graph from.
//!
//! The real ones come from `operators` and `connectors`; tests put their own in place.

use std::sync::Arc;

use millstream_connectors::{ConnectorContext, ScanSpec, SinkSpec};
use millstream_dataflow::{DataflowError, OperatorFactory, SinkFactory, SourceFactory};
use millstream_functions::Environment;
use millstream_plan::{NodeId, Op, Plan};

/// Makes factories from plan nodes. Everything that can fail early fails here, on the submitting thread.
pub trait Components: Send + Sync {
    /// For [`Op::Scan`] and [`Op::Values`].
    fn source(&self, plan: &Plan, node: NodeId) -> Result<Arc<dyn SourceFactory>, DataflowError>;

    /// For every other node with inputs and an output, and for what stands before a sink: `None` if a sink needs
    /// nothing before it.
    fn operator(&self, plan: &Plan, node: NodeId) -> Result<Option<Arc<dyn OperatorFactory>>, DataflowError>;

    /// For [`Op::Sink`].
    fn sink(&self, plan: &Plan, node: NodeId) -> Result<Arc<dyn SinkFactory>, DataflowError>;
}

/// The operators and connectors of this build.
#[derive(Clone)]
pub struct BuiltIn {
    pub connectors: ConnectorContext,
    /// Surroundings of the query's expressions, with the session's zone.
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
            return Err(DataflowError::internal("a node that is no sink was used as one"));
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
}
