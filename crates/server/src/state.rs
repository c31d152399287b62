//! What every door of `millstream serve` shares: jobs, sessions, the broker, the data directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_session::{
    CatalogStore, FileAccess, JobHandle, JobId, JobKeeper, JobRegistry, Session, SessionContext, SessionError,
};
use millstream_types::{Options, Rng};

use crate::access::{Caller, RemoteAccess};
use crate::http::job_rest::Triggers;
use crate::jobs::{JobStore, JobView};
use crate::kafka::ProcessClusters;
use crate::kafka::clusters::LimitedClusters;
use crate::lines::LastLines;
use crate::metrics::jobs::Rates;
use crate::sessions::{SessionManager, SessionSettings};

/// The state of a running server. Handlers hold it in an [`Arc`].
pub struct ServerState {
    context: SessionContext,
    defaults: Options,
    clusters: Arc<ProcessClusters>,
    data_dir: PathBuf,
    started_ms: i64,
    sessions: SessionManager,
    store: Option<Arc<JobStore>>,
    stopping: AtomicBool,
    triggers: Triggers,
    rates: Rates,
    log_lines: Arc<LastLines>,
    print_lines: Arc<LastLines>,
    access: RemoteAccess,
    catalog: Option<Arc<CatalogStore>>,
}

/// The property by which a client names the jobs of a session after a script.
pub const SCRIPT_PROPERTY: &str = "millstream.script.name";

/// What a server keeps for its doors beside the jobs themselves.
#[derive(Default)]
pub struct Kept {
    /// Where jobs are remembered; without one they end with the process.
    pub store: Option<Arc<JobStore>>,
    /// The newest lines of the log.
    pub log_lines: Arc<LastLines>,
    /// The newest lines of the `print` connector.
    pub print_lines: Arc<LastLines>,
    /// What callers who are not the owner may name in statements.
    pub access: RemoteAccess,
    /// The catalog that all sessions share; without one each begins with an empty one.
    pub catalog: Option<Arc<CatalogStore>>,
}

impl ServerState {
    /// `context` is that of every session of the server; `defaults` is the configuration that sessions begin with.
    pub fn new(
        context: SessionContext,
        defaults: Options,
        clusters: Arc<ProcessClusters>,
        data_dir: PathBuf,
        kept: Kept,
    ) -> Self {
        let started_ms = context.clock.now_ms();
        let sessions = SessionManager::new(SessionSettings::read(&defaults));
        Self {
            sessions,
            store: kept.store,
            stopping: AtomicBool::new(false),
            triggers: Triggers::default(),
            rates: Rates::default(),
            log_lines: kept.log_lines,
            print_lines: kept.print_lines,
            access: kept.access,
            catalog: kept.catalog,
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

    pub fn rng(&self) -> Arc<dyn Rng> {
        Arc::clone(&self.context.rng)
    }

    pub fn random(&self) -> u64 {
        self.context.rng.next_u64()
    }

    /// Task slots shown to clients: one for each core, as Millstream schedules by cores.
    pub fn slots(&self) -> usize {
        self.context.cores
    }

    /// A new session over the server's jobs and clusters. Sessions block: use them on threads that may wait.
    pub fn session(&self, properties: &Options, caller: &Caller) -> Result<Session, SessionError> {
        let mut defaults = self.defaults.clone();
        defaults.extend(properties.iter().map(|(key, value)| (key.clone(), value.clone())));
        let mut session = Session::new(self.context_of(caller), defaults)?;
        session.limit_files(self.files(caller));
        session.leave_waiting_to_caller();
        session.offer_topics();
        if let Some(script) = properties.get(SCRIPT_PROPERTY) {
            session.name_jobs_after(script.clone());
        }
        if let Some(store) = &self.store {
            session.keep_jobs(Arc::clone(store) as Arc<dyn JobKeeper>);
        }
        if let Some(catalog) = &self.catalog {
            session.keep_catalog(Arc::clone(catalog))?;
        }
        Ok(session)
    }

    /// Files that a caller may name.
    pub fn files(&self, caller: &Caller) -> FileAccess {
        if caller.is_owner {
            FileAccess::Everything
        } else {
            self.access.files.clone()
        }
    }

    /// What the sessions of a caller share.
    pub fn context_of(&self, caller: &Caller) -> SessionContext {
        let mut context = self.context.clone();
        if !caller.is_owner {
            context.kafka = Arc::new(LimitedClusters {
                clusters: Arc::clone(&self.clusters),
                destinations: self.access.destinations.clone(),
                files: self.access.files.clone(),
            });
        }
        context
    }

    /// What all sessions share.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Where jobs are remembered.
    pub fn store(&self) -> Option<&Arc<JobStore>> {
        self.store.as_ref()
    }

    /// From now on jobs end only to resume with the next start.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub fn triggers(&self) -> &Triggers {
        &self.triggers
    }

    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// The newest lines of the log.
    pub fn log_lines(&self) -> &LastLines {
        &self.log_lines
    }

    /// The newest lines of the `print` connector.
    pub fn print_lines(&self) -> &LastLines {
        &self.print_lines
    }

    /// All jobs, oldest first: those of this process, and those that the store remembers.
    pub fn job_views(&self) -> Vec<JobView> {
        let running = self.jobs().list();
        let mut views: Vec<JobView> = running.iter().map(|job| self.running_view(job)).collect();
        if let Some(store) = &self.store {
            let known: BTreeSet<String> = views.iter().map(|view| view.id.clone()).collect();
            let others = store.list().into_iter().filter(|job| !known.contains(&job.id));
            views.extend(others.map(|job| JobView::stored(&job)));
        }
        views.sort_by(|a, b| (a.started_ms, &a.id).cmp(&(b.started_ms, &b.id)));
        views
    }

    /// One job.
    pub fn job_view(&self, id: JobId) -> Option<JobView> {
        match self.jobs().get(id) {
            Some(job) => Some(self.running_view(&job)),
            None => self
                .store
                .as_ref()?
                .get(&id.to_string())
                .map(|job| JobView::stored(&job)),
        }
    }

    fn running_view(&self, job: &JobHandle) -> JobView {
        let stored = self
            .store
            .as_ref()
            .and_then(|store| store.get(&job.id().to_string()));
        JobView::running(job, stored.as_ref())
    }
}
