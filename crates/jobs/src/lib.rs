//! From a plan to a running job: workers, checkpoints, restarts, results.
//!
//! [`submit`] translates a plan into a graph ([`translate`]) and passes it to a [`master`] thread, which runs the
//! graph's workers and decides about checkpoints and restarts. The [`JobHandle`] observes and controls the job.
//! [`submit_graph`] does the same with a graph that a program built. State returns to the operators that mean the same
//! as before ([`compatibility`]). [`Components`] provides operators and connectors. This crate knows no SQL and does
//! not interpret rows.

pub mod checkpoints;
pub mod collect;
pub mod compatibility;
pub mod components;
pub mod coordinator;
mod directories;
mod execution;
pub mod identity;
pub mod job;
mod lock;
mod master;
mod ownership;
pub mod programs;
pub mod registry;
pub mod restart;
pub mod savepoint;
pub mod settings;
mod side_outputs;
pub mod status;
pub mod stepped;
pub mod translate;

pub use checkpoints::{Checkpoints, JobStart, Written};
pub use collect::{Collected, ResultReader};
pub use compatibility::{Comparison, OperatorVerdict, Verdict};
pub use components::{BuiltIn, Components, SideOutput};
pub use coordinator::{CheckpointCoordinator, CheckpointReason};
pub use job::{GraphRequest, JobHandle, JobRequest, VertexInfo, submit, submit_graph};
pub use millstream_object_storage::{OPTIONS as OBJECT_STORE_OPTIONS, is_object_store};
pub use registry::JobRegistry;
pub use savepoint::{SavepointHandle, SavepointStatus};
pub use settings::{CheckpointSettings, JobSettings, RecoverySettings, RestartSettings};
pub use status::{CheckpointRecord, CheckpointStats, CheckpointStatus, JobId, JobStatus};
pub use stepped::SteppedRun;
