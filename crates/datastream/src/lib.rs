//! Flink's DataStream API in Rust: typed streams over the engine.
//!
//! A program builds streams with closures and functions over its own types ([`DataStream`]); [`Environment`] collects them
//! into a graph and runs it as a job with checkpoints, restarts and exactly-once, as SQL has them. Values cross operators
//! in batches ([`millstream_types::Records`]): a closure runs in a loop over a vector of its own type, so a record costs
//! neither an allocation nor a virtual call. User types are encoded by serde only where state leaves memory.
//!
//! This crate opens no sockets and reads no clock: the published crate `millstream` hands them in ([`Host`]).

pub mod asynchronous;
pub mod cep;
pub mod data;
pub mod environment;
pub mod error;
pub mod functions;
mod graph;
mod guard;
mod operators;
pub use operators::context;
pub mod output;
mod runtime_mode;
pub mod sink;
pub mod source;
pub mod state;
pub mod stream;
pub mod table;
pub mod testing;
pub mod time;
pub mod watermark;
pub mod window;

pub use data::{Data, Key};
pub use environment::{Environment, Host, JobClient};
pub use error::{Error, Result};
pub use output::{Collector, OutputTag};
pub use stream::{DataStream, KeyedStream, WindowedStream};
