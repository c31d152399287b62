//! The engine without SQL: operators, chains, exchanges, watermarks, barriers, a deterministic scheduler, metrics.
//!
//! Operators are synchronous and push elements; everything that orders (watermarks, barriers, end of input) flows
//! in-band with the data. This crate knows no expressions, no tables and no Kafka.

pub mod operator;
pub mod sink;
pub mod source;

pub use operator::{Context, DataflowError, Operator, Output, StateBlocks};
pub use sink::{Sink, SinkCommit};
pub use source::{Source, SourceStatus};
