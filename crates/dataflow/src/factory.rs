//! How the engine gets its parts: one factory for each vertex of a graph, asked once for each instance.
//!
//! Factories are made on the submitting thread from a plan and do everything that can fail early there (parse options,
//! compile expressions). `create` runs on the worker's thread, again after each restart of the job.

use crate::operator::{Context, DataflowError, Operator};
use crate::sink::Sink;
use crate::source::Source;

/// Creates the instances of an operator.
pub trait OperatorFactory: Send + Sync {
    /// The instance `context.subtask` of `context.parallelism`.
    fn create(&self, context: &Context) -> Result<Box<dyn Operator>, DataflowError>;

    /// Whether each instance is given the state of all instances, and not only at another parallelism.
    fn restores_all(&self) -> bool {
        false
    }
}

/// Creates the instances of a source.
pub trait SourceFactory: Send + Sync {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError>;

    /// The largest useful parallelism, if known (the number of files, 1 for a sequence); further instances get no
    /// splits.
    fn parallelism_max(&self) -> Option<usize> {
        None
    }

    /// Whether the source ends by itself.
    fn is_bounded(&self) -> bool;
}

/// Creates the instances of a sink.
pub trait SinkFactory: Send + Sync {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError>;

    /// The largest useful parallelism (1 for a terminal).
    fn parallelism_max(&self) -> Option<usize> {
        None
    }

    /// Whether the sink takes a side output. A job whose other sinks need no more rows does not wait for this one.
    fn is_side(&self) -> bool {
        false
    }

    /// Whether only rows and checkpoints change what the sink has written. If that is so for all sinks of a job, its
    /// checkpoints may be put off while no record is processed; a sink that finishes files by the clock needs them.
    fn rests_without_rows(&self) -> bool {
        false
    }
}

/// A closure is a factory of operators, for tests and trivial operators.
impl<F> OperatorFactory for F
where
    F: Fn(&Context) -> Result<Box<dyn Operator>, DataflowError> + Send + Sync,
{
    fn create(&self, context: &Context) -> Result<Box<dyn Operator>, DataflowError> {
        self(context)
    }
}
