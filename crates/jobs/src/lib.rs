//! Plan to running job: workers, checkpoints, restarts, results.
//!
//! [`submit`] takes a plan through [`translate`] (plan to graph) to a [`master`] thread, which runs the graph's workers
//! and decides about checkpoints and restarts; the [`JobHandle`] shows and steers it. [`submit_graph`] does so with a
//! graph that a program built. State returns to the operators that mean the same as before ([`compatibility`]). Operators and connectors come
//! from [`Components`]. There is no SQL here and no knowledge of what rows mean.

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
pub mod registry;
pub mod restart;
pub mod savepoint;
pub mod settings;
pub mod status;
pub mod stepped;
pub mod translate;

pub use checkpoints::{Checkpoints, JobStart};
pub use collect::{Collected, ResultReader};
pub use compatibility::{Comparison, OperatorVerdict, Verdict};
pub use components::{BuiltIn, Components};
pub use coordinator::{CheckpointCoordinator, CheckpointReason};
pub use job::{GraphRequest, JobHandle, JobRequest, VertexInfo, submit, submit_graph};
pub use registry::JobRegistry;
pub use savepoint::{SavepointHandle, SavepointStatus};
pub use settings::{CheckpointSettings, JobSettings, RecoverySettings, RestartSettings};
pub use status::{CheckpointRecord, CheckpointStats, CheckpointStatus, JobId, JobStatus};
pub use stepped::SteppedRun;
