//! Sinks: Kafka, print, collected rows, and the program's own.

mod kafka;
mod simple;
mod two_phase;

use std::sync::Arc;

use millstream_dataflow::SinkFactory;

use crate::environment::Job;
use crate::error::Result;

pub use kafka::{DeliveryGuarantee, KafkaSink, KafkaSinkBuilder, Record, SerializationSchema};
pub use simple::{CollectedRows, Discard, Print, PrintDebug, discard, print, print_debug};
pub(crate) use simple::{collecting, no_columns};
pub use two_phase::{Custom, SinkWriter, TwoPhaseSink, WriterContext, custom};

/// Where a stream can end.
pub trait Sink<T> {
    /// For display.
    fn name(&self) -> String;
    #[doc(hidden)]
    fn factory(self, job: &Job) -> Result<Arc<dyn SinkFactory>>;
    /// For a sink that leaves names outside: makes the factory again when the job is known.
    #[doc(hidden)]
    fn of_job(&self, job: &Job) -> Option<Arc<dyn FactoryOfJob>> {
        let _ = job;
        None
    }
}

/// Makes the factory of a sink for a job.
#[doc(hidden)]
pub trait FactoryOfJob: Send + Sync {
    /// `identity` is what no other job of this installation has, nor one of another; `uid` is that of the sink's operator.
    fn factory(&self, identity: &str, uid: &str) -> Result<NamedFactory>;
}

/// A factory of a sink, and the name outside that no other sink may have.
#[doc(hidden)]
pub struct NamedFactory {
    pub factory: Arc<dyn SinkFactory>,
    pub name: Option<String>,
}
