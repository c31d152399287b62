//! The operator in front of a sink: enforces constraints, and materialises the last row of each key where changes can
//! arrive out of order.

mod constraints;
mod materializer;

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::node::LengthEnforcer;
use millstream_types::{Batch, Schema, arrow_type};

use constraints::Constraints;
use materializer::Materializer;

/// The parameters of a sink's input in a plan.
#[derive(Clone, Debug)]
pub(crate) struct SinkInputSpec {
    /// Columns as declared by the sink.
    pub schema: Schema,
    pub not_null: Vec<usize>,
    pub not_null_drop: bool,
    pub lengths: LengthEnforcer,
    /// Columns of the primary key, if rows are to be materialised.
    pub materialize: Option<Vec<usize>>,
}

impl SinkInputSpec {
    /// Whether the operator is needed.
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
    pub(crate) fn new(spec: &SinkInputSpec, context: &Context) -> Result<Self, DataflowError> {
        let types: Vec<DataType> = spec.schema.types().map(arrow_type).collect();
        let materializer = spec
            .materialize
            .as_ref()
            .map(|keys| Materializer::new(&types, keys, context))
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

    fn spilled_bytes(&self) -> u64 {
        self.materializer.as_ref().map_or(0, Materializer::disk_size)
    }
}
