//! Sinks: Kafka, print, collected rows, and the program's own.

mod kafka;
mod simple;
mod two_phase;

use std::sync::Arc;

use millstream_dataflow::SinkFactory;

use crate::environment::Job;
use crate::error::Result;

pub use kafka::{DeliveryGuarantee, KafkaSink, KafkaSinkBuilder, Record, SerializationSchema};
pub(crate) use simple::collecting;
pub use simple::{CollectedRows, Discard, Print, PrintDebug, discard, print, print_debug};
pub use two_phase::{Custom, SinkWriter, TwoPhaseSink, WriterContext, custom};

/// Where a stream can end.
pub trait Sink<T> {
    /// For display.
    fn name(&self) -> String;
    #[doc(hidden)]
    fn factory(self, job: &Job) -> Result<Arc<dyn SinkFactory>>;
}
