//! Plan to running job: workers, checkpoints, restarts, results.
//!
//! [`submit`] takes a plan through [`translate`] (plan to graph) to a [`master`] thread, which runs the graph's workers
//! and decides about checkpoints and restarts; the [`JobHandle`] shows and steers it. Operators and connectors come
//! from [`Components`]. There is no SQL here and no knowledge of what rows mean.

pub mod checkpoints;
pub mod collect;
pub mod components;
pub mod coordinator;
mod execution;
pub mod job;
mod master;
pub mod registry;
pub mod restart;
pub mod settings;
pub mod status;
pub mod stepped;
pub mod translate;

pub use checkpoints::Checkpoints;
pub use collect::{Collected, ResultReader};
pub use components::{BuiltIn, Components};
pub use coordinator::{CheckpointCoordinator, CheckpointReason};
pub use job::{GraphRequest, JobHandle, JobRequest, VertexInfo, submit, submit_graph};
pub use registry::JobRegistry;
pub use settings::{CheckpointSettings, JobSettings, RestartSettings};
pub use status::{CheckpointRecord, CheckpointStats, CheckpointStatus, JobId, JobStatus};
pub use stepped::SteppedRun;
