//! Connector `blackhole`: takes every row and keeps none, for measuring a query without its sink.

use millstream_dataflow::{Context, DataflowError, Sink, SinkCommit, SinkFactory};
use millstream_state::StateBlocks;
use millstream_types::{
    Batch, ChangelogMode, CheckpointId, ConnectorDecl, FormatUse, OptionDecl, OptionType,
};

/// The declaration of connector `blackhole`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "blackhole",
    doc: "Takes every row and keeps none.",
    options: &[OptionDecl::new(
        "property-version",
        OptionType::Int,
        "Accepted for Flink's sake.",
    )],
    metadata: &[],
    formats: FormatUse::None,
    source: None,
    sink: Some(ChangelogMode::ALL),
    strict: true,
    bounded: |_| true,
    validate: |_| Ok(()),
};

/// Makes blackhole sinks.
pub struct BlackholeFactory;

impl SinkFactory for BlackholeFactory {
    fn create(&self, _: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(Blackhole))
    }
}

struct Blackhole;

impl Sink for Blackhole {
    fn open(&mut self, _: &Context, _: millstream_dataflow::source::Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn write(&mut self, _: Batch, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn prepare(&mut self, _: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn prepared(&mut self, _: CheckpointId, _: &Context) -> Result<Option<SinkCommit>, DataflowError> {
        Ok(Some(SinkCommit::default()))
    }

    fn commit(&mut self, _: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}
