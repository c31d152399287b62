//! A job as doors show it, whether it runs or was read from the store.

use millstream_dataflow::JobMetrics;
use millstream_session::{CheckpointStats, JobHandle, JobStatus, VertexInfo};
use ring::digest::{SHA256, digest};

use super::store::{StoredException, StoredJob};

/// A vertex with the id that Flink's clients expect: 32 hexadecimal digits.
#[derive(Clone, Debug)]
pub struct VertexView {
    pub id: String,
    pub info: VertexInfo,
}

/// Everything that is known of a job at one moment.
#[derive(Clone)]
pub struct JobView {
    pub id: String,
    pub name: String,
    /// Flink's name of the state.
    pub state: &'static str,
    pub has_ended: bool,
    pub started_ms: i64,
    /// States with the times at which they were entered.
    pub transitions: Vec<(&'static str, i64)>,
    /// Oldest first.
    pub exceptions: Vec<StoredException>,
    pub restarts: u32,
    pub vertices: Vec<VertexView>,
    pub metrics: JobMetrics,
    pub checkpoints: CheckpointStats,
    /// The statements, if the store knows them.
    pub statements: Vec<String>,
    /// The configuration, if the store knows it.
    pub configuration: millstream_types::Options,
    /// The running job.
    pub handle: Option<JobHandle>,
}

/// The id of a vertex: the same for the same uid.
pub fn vertex_id(uid: &str) -> String {
    let hash = digest(&SHA256, uid.as_bytes());
    hash.as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

const STATUSES: [JobStatus; 11] = [
    JobStatus::Initializing,
    JobStatus::Created,
    JobStatus::Running,
    JobStatus::Failing,
    JobStatus::Failed,
    JobStatus::Cancelling,
    JobStatus::Canceled,
    JobStatus::Finished,
    JobStatus::Restarting,
    JobStatus::Suspended,
    JobStatus::Reconciling,
];

fn known(state: &str) -> &'static str {
    let found = STATUSES.iter().find(|status| status.name() == state);
    found.map_or(JobStatus::Suspended.name(), |status| status.name())
}

impl JobView {
    /// A job of this process; `stored` adds what only the store knows.
    pub fn running(job: &JobHandle, stored: Option<&StoredJob>) -> Self {
        let status = job.status();
        let vertex = |info: &VertexInfo| VertexView {
            id: vertex_id(&info.uid),
            info: info.clone(),
        };
        let own = job
            .transitions()
            .into_iter()
            .map(|(status, at)| (status.name(), at));
        let transitions: Vec<(&'static str, i64)> = own.collect();
        let mut exceptions = stored.map_or_else(Vec::new, |stored| stored.exceptions.clone());
        if exceptions.is_empty()
            && let Some(error) = job.error()
        {
            exceptions.push(StoredException {
                at_ms: transitions.last().map_or(job.started_ms(), |(_, at)| *at),
                code: error.code.name().to_owned(),
                message: error.message,
            });
        }
        Self {
            id: job.id().to_string(),
            name: job.name().to_owned(),
            state: status.name(),
            has_ended: status.is_terminal(),
            started_ms: stored.map_or(job.started_ms(), |stored| stored.submitted_ms),
            transitions,
            exceptions,
            restarts: job.restarts(),
            vertices: job.vertices().iter().map(vertex).collect(),
            metrics: job.metrics(),
            checkpoints: job.checkpoints(),
            statements: stored.map_or_else(Vec::new, |stored| stored.statements.clone()),
            configuration: stored.map_or_else(Default::default, |stored| stored.configuration.clone()),
            handle: Some(job.clone()),
        }
    }

    /// A job of an earlier process, which has ended or waits to be resumed.
    pub fn stored(job: &StoredJob) -> Self {
        let state = if job.has_ended() {
            known(&job.state)
        } else if job.decision.is_some() {
            JobStatus::Cancelling.name()
        } else {
            JobStatus::Initializing.name()
        };
        Self {
            id: job.id.clone(),
            name: job.name.clone(),
            state,
            has_ended: job.has_ended(),
            started_ms: job.submitted_ms,
            transitions: job
                .transitions
                .iter()
                .map(|(state, at)| (known(state), *at))
                .collect(),
            exceptions: job.exceptions.clone(),
            restarts: job.restarts,
            vertices: Vec::new(),
            metrics: JobMetrics::default(),
            checkpoints: CheckpointStats::default(),
            statements: job.statements.clone(),
            configuration: job.configuration.clone(),
            handle: None,
        }
    }

    /// When the present state was entered.
    pub fn modified_ms(&self) -> i64 {
        self.transitions.last().map_or(self.started_ms, |(_, at)| *at)
    }

    /// When the job ended; -1 while it runs, as Flink has it.
    pub fn ended_ms(&self) -> i64 {
        if self.has_ended { self.modified_ms() } else { -1 }
    }

    pub fn duration_ms(&self, now_ms: i64) -> i64 {
        let until = if self.has_ended {
            self.modified_ms()
        } else {
            now_ms
        };
        until.saturating_sub(self.started_ms).max(0)
    }

    /// The position of a vertex.
    pub fn vertex(&self, id: &str) -> Option<usize> {
        self.vertices.iter().position(|vertex| vertex.id == id)
    }
}
