//! The engine without SQL: operators, chains, exchanges, watermarks, barriers, a deterministic scheduler, metrics.
//!
//! Operators are synchronous and push elements; everything that orders (watermarks, barriers, end of input) flows
//! in-band with the data. This crate knows no expressions, no tables and no Kafka.

pub mod factory;
pub mod operator;
pub mod sink;
pub mod source;
pub mod valve;
pub mod watermark;

pub use factory::{OperatorFactory, SinkFactory, SourceFactory};
pub use millstream_state::{SnapshotScope, StateBlocks};
pub use operator::{Context, DataflowError, Operator, Output};
pub use sink::{Sink, SinkCommit};
pub use source::{Source, SourceStatus};
