//! What every door of `millstream serve` shares: jobs, sessions, the broker, the data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_session::{JobRegistry, Session, SessionContext, SessionError};
use millstream_types::Options;

use crate::kafka::ProcessClusters;
use crate::sessions::{SessionManager, SessionSettings};

/// The state of a running server. Handlers hold it in an [`Arc`].
pub struct ServerState {
    context: SessionContext,
    defaults: Options,
    clusters: Arc<ProcessClusters>,
    data_dir: PathBuf,
    started_ms: i64,
    sessions: SessionManager,
}

impl ServerState {
    /// `context` is that of every session of the server; `defaults` is the configuration that sessions begin with.
    pub fn new(
        context: SessionContext,
        defaults: Options,
        clusters: Arc<ProcessClusters>,
        data_dir: PathBuf,
    ) -> Self {
        let started_ms = context.clock.now_ms();
        let sessions = SessionManager::new(SessionSettings::read(&defaults));
        Self {
            sessions,
            context,
            defaults,
            clusters,
            data_dir,
            started_ms,
        }
    }

    /// All jobs: running, and those that ended a while ago.
    pub fn jobs(&self) -> &JobRegistry {
        &self.context.jobs
    }

    /// Sessions that clients have opened.
    pub fn sessions(&self) -> &SessionManager {
        &self.sessions
    }

    /// The Kafka clusters of the process; the embedded broker is among them.
    pub fn clusters(&self) -> &Arc<ProcessClusters> {
        &self.clusters
    }

    /// The configuration that sessions begin with.
    pub fn defaults(&self) -> &Options {
        &self.defaults
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    pub fn now_ms(&self) -> i64 {
        self.context.clock.now_ms()
    }

    pub fn random(&self) -> u64 {
        self.context.rng.next_u64()
    }

    /// Task slots shown to clients: one for each core, as Millstream schedules by cores.
    pub fn slots(&self) -> usize {
        self.context.cores
    }

    /// A new session over the server's jobs and clusters. Sessions block: use them on threads that may wait.
    pub fn session(&self, properties: &Options) -> Result<Session, SessionError> {
        let mut defaults = self.defaults.clone();
        defaults.extend(properties.iter().map(|(key, value)| (key.clone(), value.clone())));
        let mut session = Session::new(self.context.clone(), defaults)?;
        session.leave_waiting_to_caller();
        Ok(session)
    }
}
