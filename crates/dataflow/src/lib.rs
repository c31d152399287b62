//! The engine without SQL: operators, chains, exchanges, watermarks, barriers, a deterministic scheduler, metrics.
//!
//! Operators are synchronous and push elements; everything that orders (watermarks, barriers, end of input) flows
//! in-band with the data. This crate knows no expressions, no tables and no Kafka.
//!
//! The way of a job: a [`Graph`] of factories is cut into [`Worker`]s ([`deploy`]), each of which runs one instance of
//! every chain; a [`ThreadedJob`] runs them in the [`pool`] of the process, a [`SteppedJob`] runs them by hand. Commands and events
//! ([`control`]) connect them with a coordinator, which lives elsewhere.

pub mod alignment;
mod chain;
pub mod control;
pub mod deploy;
pub mod exchange;
pub mod factory;
mod gate;
pub mod graph;
pub mod memory;
pub mod metrics;
pub mod operator;
pub mod pool;
pub mod side;
pub mod sink;
pub mod source;
pub mod stepped;
mod task;
pub mod threaded;
pub mod valve;
pub mod watermark;
pub mod worker;

pub use control::{Command, EventSink, InstanceState, RestoredState, WorkerEvent};
pub use exchange::Partitioning;
pub use factory::{OperatorFactory, SinkFactory, SourceFactory};
pub use graph::{Edge, Graph, GraphSettings, Vertex, VertexKind};
pub use metrics::{JobMetrics, OperatorMetrics};
pub use millstream_state::{SnapshotScope, StateBlocks};
pub use operator::{Context, DataflowError, Operator, Output};
pub use side::{DEAD_LETTERS, LATE_ROWS, LateBatch, LateRows};
pub use sink::{Sink, SinkCommit, Unbuffered, UnbufferedSink};
pub use source::{Source, SourceNotice, SourceStatus, Waker};
pub use stepped::SteppedJob;
pub use threaded::ThreadedJob;
pub use worker::{StepOutcome, Worker};
