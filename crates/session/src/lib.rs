//! Statements: catalog changes, SHOW, EXPLAIN, submitting jobs, results. The front door of the library.
//!
//! A [`Session`] takes one statement after the other and answers with a [`StatementResult`]. Every door (command line,
//! shell, later REST) opens this room, so that a feature added once is in all of them. It has no sockets, no terminal
//! and no clock of its own: those come in through [`SessionContext`].

mod compiled_plan;
pub mod completion;
mod configuration;
mod durable;
mod error;
mod flink_settings;
mod result;
mod rows;
mod session;

pub use configuration::{Configuration, configuration_options};
pub use durable::{JobDecision, JobKeeper, JobSubmission, forget_checkpoints};
pub use error::SessionError;
pub use flink_settings::{FLINK_SETTINGS, FlinkSetting};
pub use millstream_connectors::PrintTarget;
pub use millstream_dataflow::memory::set_default_limit as set_memory_limit;
pub use millstream_jobs::{
    CheckpointRecord, CheckpointStats, CheckpointStatus, Comparison, JobHandle, JobId, JobRegistry, JobStart,
    JobStatus, SavepointHandle, SavepointStatus, VertexInfo,
};
pub use result::{
    ClientCommand, Polled, PreparedJob, Progress, QueryResult, StatementResult, TextRows, TextTable,
};
pub use rows::ResultRows;
pub use session::{Session, SessionContext, wait_for};
