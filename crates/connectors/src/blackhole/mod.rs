//! Connector `blackhole`: discards all rows, for measuring a query without its sink.

use millstream_dataflow::{Context, DataflowError, Sink, SinkFactory, Unbuffered, UnbufferedSink};
use millstream_types::{
    Batch, ChangelogMode, ConnectorDecl, FormatUse, OptionDecl, OptionType, SinkAdaptation, SourceAbilities,
};

/// The declaration of connector `blackhole`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "blackhole",
    doc: "Discards all rows.",
    options: &[OptionDecl::new(
        "property-version",
        OptionType::Int,
        "Accepted for compatibility with Flink; has no effect.",
    )],
    metadata: &[],
    formats: FormatUse::None,
    source: None,
    // As in Flink, -U is not even asked for: the operators before the sink make none.
    sink: Some(ChangelogMode::UPSERT),
    source_abilities: SourceAbilities::NONE,
    sink_adaptation: SinkAdaptation::AsProducedByKey,
    strict: true,
    bounded: |_| true,
    validate: |_| Ok(()),
};

/// Creates blackhole sinks.
pub struct BlackholeFactory;

impl SinkFactory for BlackholeFactory {
    fn create(&self, _: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(Unbuffered(Blackhole)))
    }

    fn rests_without_rows(&self) -> bool {
        true
    }
}

struct Blackhole;

impl UnbufferedSink for Blackhole {
    fn write(&mut self, _: Batch) -> Result<(), DataflowError> {
        Ok(())
    }
}
