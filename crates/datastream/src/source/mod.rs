//! Sources: collections, sequences, Kafka, and the program's own.

mod generator;
pub(crate) mod kafka;
mod kafka_record;
mod reader;
mod schema;
mod simple;

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_dataflow::SourceFactory;
use millstream_state::StateValue;

use crate::data::Data;
use crate::environment::Job;
use crate::error::Result;
use crate::watermark::WatermarkStrategy;

pub use generator::{DataGeneratorReader, DataGeneratorSource};
pub(crate) use kafka::table_name;
pub use kafka::{KafkaSource, KafkaSourceBuilder, OffsetsInitializer};
pub use kafka_record::{Headers, KafkaRecord};
pub use reader::{ReaderOutput, ReaderStatus};
pub use schema::{BytesSchema, DeserializationSchema, JsonSchema, SimpleStringSchema};
pub use simple::{CollectionSource, SequenceSource, SequenceSplit, TextFileSource};

/// Whether a source ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boundedness {
    Bounded,
    ContinuousUnbounded,
}

/// A source of the program's own: it is cut into splits, each of which is read in order by one instance.
///
/// Positions are kept in checkpoints; a restart, at whatever parallelism, continues from them. Splits are looked for when the
/// job starts. Watermarks are made for each split on its own.
pub trait Source: Clone + Send + Sync + 'static {
    type Item: Data;
    /// A split with the position up to which it was read.
    type Split: StateValue + Clone;
    type Reader: SplitReader<Self::Item, Self::Split>;

    /// For display.
    fn name(&self) -> String;
    fn boundedness(&self) -> Boundedness;
    /// All splits that there are now, at their beginning.
    fn splits(&self) -> Result<Vec<Self::Split>>;
    /// Whether a job that continues from a checkpoint looks for splits that are not in it. `false` where the first start
    /// fixes all splits.
    fn discovers_splits(&self) -> bool {
        true
    }
    /// The identity of a split, the same before and after it was read.
    fn split_id(&self, split: &Self::Split) -> String;
    /// A reader for an instance.
    fn create_reader(&self) -> Result<Self::Reader>;
}

/// Reads the splits of one instance.
pub trait SplitReader<T, S>: Send + 'static {
    /// One more split to read.
    fn add_split(&mut self, split: S) -> Result<()>;
    /// Emits some records, at most [`ReaderOutput::room`], and does not wait.
    fn poll(&mut self, out: &mut ReaderOutput<T>) -> Result<ReaderStatus>;
    /// The splits that are not at their end, with the positions after what was emitted.
    fn snapshot(&mut self) -> Result<Vec<S>>;
    /// From now on, splits with these identities are too far ahead of other sources and should wait (watermark
    /// alignment). A reader that cannot let single splits wait is not polled while all of them should.
    fn pause_splits(&mut self, paused: &BTreeSet<String>) {
        let _ = paused;
    }
    /// What was emitted before the last snapshot is durable.
    fn checkpoint_complete(&mut self) {}
}

/// What can be read into a stream.
pub trait StreamSource<T> {
    #[doc(hidden)]
    fn factory(self, job: &Job, strategy: WatermarkStrategy<T>) -> Result<Arc<dyn SourceFactory>>;
}

impl<S: Source> StreamSource<S::Item> for S {
    fn factory(self, job: &Job, strategy: WatermarkStrategy<S::Item>) -> Result<Arc<dyn SourceFactory>> {
        Ok(Arc::new(reader::SplitSourceFactory {
            source: self,
            strategy,
            alignment: job.alignment(),
            interval_ms: job.watermark_interval_ms(),
        }))
    }
}
