//! What a program says of a job, and what a server requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_dataflow::{DataflowError, JobMetrics, OperatorMetrics};
use millstream_types::{ErrorCode, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::job::{JobHandle, VertexInfo};
use crate::savepoint::SavepointStatus;
use crate::status::{CheckpointRecord, CheckpointStats, CheckpointStatus, JobStatus};

/// Readers ignore reports of another version.
pub(crate) const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub version: u32,
    pub id: String,
    pub name: String,
    pub started_ms: i64,
    pub transitions: Vec<(String, i64)>,
    pub error: Option<String>,
    pub restarts: u32,
    pub vertices: Vec<VertexReport>,
    pub operators: Vec<OperatorReport>,
    pub checkpoints: CheckpointsReport,
    pub savepoint_directory: Option<String>,
    /// The savepoints that were requested by request.
    pub savepoints: BTreeMap<String, SavepointReport>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VertexReport {
    pub uid: String,
    pub name: String,
    pub parallelism: usize,
    pub inputs: Vec<usize>,
}

/// An operator instance, with the values of its metrics under Flink's names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OperatorReport {
    pub vertex: usize,
    pub subtask: usize,
    pub values: Vec<(String, i64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointsReport {
    pub completed: u64,
    pub failed: u64,
    pub restored: u64,
    pub history: Vec<CheckpointReport>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointReport {
    pub id: u64,
    /// `None`: in progress.
    pub is_complete: Option<bool>,
    pub is_requested: bool,
    pub triggered_ms: i64,
    pub ended_ms: Option<i64>,
    pub written_bytes: u64,
    pub full_bytes: u64,
    pub failure: Option<String>,
    pub savepoint: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum SavepointReport {
    InProgress,
    Completed(String),
    Failed(String),
}

impl From<SavepointStatus> for SavepointReport {
    fn from(status: SavepointStatus) -> Self {
        match status {
            SavepointStatus::InProgress => Self::InProgress,
            SavepointStatus::Completed { location } => Self::Completed(location),
            SavepointStatus::Failed(error) => Self::Failed(error.message),
        }
    }
}

/// What a server requests of a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Cancel,
    Stop,
    Checkpoint,
    Savepoint { directory: String },
    StopWithSavepoint { directory: String, drain: bool },
}

impl Report {
    pub fn of(job: &JobHandle, savepoints: BTreeMap<String, SavepointReport>) -> Self {
        let vertices = job.vertices().iter().map(|vertex| VertexReport {
            uid: vertex.uid.clone(),
            name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            inputs: vertex.inputs.clone(),
        });
        let metrics = job.metrics();
        let operators = metrics.operators.iter().map(|operator| OperatorReport {
            vertex: operator.vertex,
            subtask: operator.subtask,
            values: operator
                .values()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        });
        let transitions = job.transitions().into_iter();
        Self {
            version: VERSION,
            id: job.id().to_string(),
            name: job.name().to_owned(),
            started_ms: job.started_ms(),
            transitions: transitions
                .map(|(status, at)| (status.name().to_owned(), at))
                .collect(),
            error: job.error().map(|error| error.message),
            restarts: job.restarts(),
            vertices: vertices.collect(),
            operators: operators.collect(),
            checkpoints: checkpoints_report(job.checkpoints()),
            savepoint_directory: job.savepoint_directory().map(str::to_owned),
            savepoints,
        }
    }

    pub fn vertices(&self) -> Vec<VertexInfo> {
        let info = |vertex: &VertexReport| VertexInfo {
            uid: vertex.uid.clone(),
            name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            inputs: vertex.inputs.clone(),
        };
        self.vertices.iter().map(info).collect()
    }

    pub fn metrics(&self) -> JobMetrics {
        let instance = |operator: &OperatorReport| {
            let vertex = self.vertices.get(operator.vertex)?;
            Some(Arc::new(OperatorMetrics::of_values(
                operator.vertex,
                vertex.uid.as_str().into(),
                vertex.name.as_str().into(),
                operator.subtask,
                &operator.values,
            )))
        };
        JobMetrics {
            operators: self.operators.iter().filter_map(instance).collect(),
        }
    }

    pub fn transitions(&self) -> Vec<(JobStatus, i64)> {
        let known = |(name, at): &(String, i64)| Some((JobStatus::of_name(name)?, *at));
        self.transitions.iter().filter_map(known).collect()
    }

    /// When the job ended, if it has.
    pub fn ended_ms(&self) -> Option<i64> {
        let transitions = self.transitions();
        let (status, at_ms) = transitions.last()?;
        status.is_terminal().then_some(*at_ms)
    }

    pub fn error(&self) -> Option<DataflowError> {
        let message = self.error.clone()?;
        Some(DataflowError {
            kind: ErrorKind::Environment,
            code: ErrorCode::of_kind(ErrorKind::Environment),
            message,
        })
    }

    pub fn checkpoints(&self) -> CheckpointStats {
        let record = |record: &CheckpointReport| CheckpointRecord {
            id: record.id,
            status: match record.is_complete {
                None => CheckpointStatus::InProgress,
                Some(true) => CheckpointStatus::Completed,
                Some(false) => CheckpointStatus::Failed,
            },
            is_requested: record.is_requested,
            triggered_ms: record.triggered_ms,
            ended_ms: record.ended_ms,
            written_bytes: record.written_bytes,
            full_bytes: record.full_bytes,
            failure: record.failure.clone(),
            savepoint: record.savepoint.clone(),
        };
        CheckpointStats {
            completed: self.checkpoints.completed,
            failed: self.checkpoints.failed,
            restored: self.checkpoints.restored,
            history: self.checkpoints.history.iter().map(record).collect(),
        }
    }
}

fn checkpoints_report(stats: CheckpointStats) -> CheckpointsReport {
    let record = |record: CheckpointRecord| CheckpointReport {
        id: record.id,
        is_complete: match record.status {
            CheckpointStatus::InProgress => None,
            CheckpointStatus::Completed => Some(true),
            CheckpointStatus::Failed => Some(false),
        },
        is_requested: record.is_requested,
        triggered_ms: record.triggered_ms,
        ended_ms: record.ended_ms,
        written_bytes: record.written_bytes,
        full_bytes: record.full_bytes,
        failure: record.failure,
        savepoint: record.savepoint,
    };
    CheckpointsReport {
        completed: stats.completed,
        failed: stats.failed,
        restored: stats.restored,
        history: stats.history.into_iter().map(record).collect(),
    }
}
