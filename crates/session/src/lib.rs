//! Statements: catalog changes, SHOW, EXPLAIN, job submission, results. The front door of the library.
//!
//! A [`Session`] executes one statement at a time and returns a [`StatementResult`]. The command line, the shell and
//! the SQL Gateway all go through it, so a feature added here reaches all of them. A session has no sockets, no
//! terminal and no clock of its own; [`SessionContext`] provides them.

mod catalog_store;
mod compiled_plan;
pub mod completion;
mod configuration;
mod durable;
mod error;
mod files;
mod flink_settings;
mod jobs;
mod prepare;
mod result;
mod rows;
mod session;
mod shared_catalog;
mod topics;

pub use catalog_store::CatalogStore;
pub use configuration::{Configuration, configuration_options};
pub use durable::{JobDecision, JobKeeper, JobSubmission, forget_checkpoints};
pub use error::{ErrorSpan, SessionError, check_syntax};
pub use files::{ALLOWED_DIRECTORIES, FileAccess};
pub use flink_settings::{FLINK_SETTINGS, FlinkSetting, flink_setting};
pub use jobs::wait_for;
pub use millstream_connectors::PrintTarget;
pub use millstream_dataflow::memory::{set_default_limit as set_memory_limit, set_temporary_directory};
pub use millstream_jobs::programs;
pub use millstream_jobs::{
    CheckpointRecord, CheckpointStats, CheckpointStatus, Comparison, JobHandle, JobId, JobRegistry, JobStart,
    JobStatus, SavepointHandle, SavepointStatus, VertexInfo,
};
pub use result::{
    ClientCommand, Polled, PreparedJob, Progress, QueryResult, StatementResult, TextRows, TextTable,
};
pub use rows::ResultRows;
pub use session::{Session, SessionContext};
