//! What stands before a sink: constraints that rows must satisfy, and the materialiser that leaves the right last row of
//! each key when changes of different keys overtake each other.

mod constraints;
mod materializer;

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::node::LengthEnforcer;
use millstream_types::{Batch, Schema, arrow_type};

use constraints::Constraints;
use materializer::Materializer;

/// What a plan says about a sink's input.
#[derive(Clone, Debug)]
pub(crate) struct SinkInputSpec {
    /// Columns as the sink declares them.
    pub schema: Schema,
    pub not_null: Vec<usize>,
    pub not_null_drop: bool,
    pub lengths: LengthEnforcer,
    /// Columns of the primary key, if rows are to be materialised.
    pub materialize: Option<Vec<usize>>,
}

impl SinkInputSpec {
    /// Whether there is anything to do.
    pub(crate) fn is_needed(&self) -> bool {
        !self.not_null.is_empty() || self.lengths != LengthEnforcer::Ignore || self.materialize.is_some()
    }
}

/// The operator.
pub(crate) struct SinkInput {
    constraints: Constraints,
    materializer: Option<Materializer>,
}

impl SinkInput {
    pub(crate) fn new(spec: &SinkInputSpec) -> Result<Self, DataflowError> {
        let types: Vec<DataType> = spec.schema.types().map(arrow_type).collect();
        let materializer = spec
            .materialize
            .as_ref()
            .map(|keys| Materializer::new(&types, keys))
            .transpose()?;
        Ok(Self {
            constraints: Constraints::new(spec),
            materializer,
        })
    }
}

impl Operator for SinkInput {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let batch = self.constraints.apply(batch)?;
        let batch = match &mut self.materializer {
            Some(materializer) => materializer.apply(&batch)?,
            None => batch,
        };
        crate::emit::push(batch, context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        match &mut self.materializer {
            Some(materializer) => materializer.snapshot(scope),
            None => Ok(StateBlocks::new()),
        }
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        match &mut self.materializer {
            Some(materializer) => materializer.restore(&blocks, context),
            None => Ok(()),
        }
    }

    fn state_bytes(&self) -> usize {
        self.materializer.as_ref().map_or(0, Materializer::memory_size)
    }
}
