//! Submitting a job, and the handle to a submitted one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_dataflow::{DataflowError, Graph, JobMetrics, SinkFactory};
use millstream_plan::{Op, Plan};
use millstream_state::OperatorEntry;
use millstream_types::storage::Storage;
use millstream_types::{Clock, ErrorKind, Rng};

use crate::checkpoints::{Checkpoints, JobStart, job_of_savepoint};
use crate::collect::{Collector, ResultReader, collector};
use crate::compatibility::Comparison;
use crate::components::Components;
use crate::directories::open_directory;
use crate::execution::JobDescription;
use crate::identity::describe;
use crate::master::{Master, Message};
use crate::restart::RestartStrategy;
use crate::savepoint::{SavepointHandle, SavepointPromise, Savepoints};
use crate::settings::{JobSettings, RecoverySettings, RestartSettings};
use crate::status::{CheckpointStats, JobId, JobStatus};
use crate::translate::translate;

/// What it takes to run a job.
#[derive(Clone)]
pub struct JobRequest {
    pub plan: Arc<Plan>,
    /// Name of the job, by which it finds its checkpoints again: `pipeline.name`, or the script and the ordinal of the
    /// statement.
    pub identity: String,
    pub components: Arc<dyn Components>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// Where checkpoints are kept; without one they live in memory and serve restarts within the process.
    pub storage: Option<Arc<dyn Storage>>,
    /// Cores of the machine: the parallelism unless it is set.
    pub cores: usize,
    /// Forget the checkpoints of earlier runs.
    pub fresh: bool,
    /// The caller reports how the job ends, so that the log need not, however soon that is.
    pub attended: bool,
    /// Once the job has read all its input, the next submission of the same identity is done at once. For the
    /// statements of a script that was interrupted; [`crate::checkpoints::forget_finished`] ends it.
    pub remembers_end: bool,
}

/// What it takes to run a graph that a program built without a plan.
#[derive(Clone)]
pub struct GraphRequest {
    pub graph: Graph,
    /// By which the job finds its checkpoints again.
    pub identity: String,
    pub settings: JobSettings,
    /// The operators that keep state, as checkpoints name them. Without traits, state returns to the operator of the
    /// same uid, whatever that does.
    pub operators: Vec<OperatorEntry>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// As in [`JobRequest`].
    pub storage: Option<Arc<dyn Storage>>,
    pub fresh: bool,
    pub attended: bool,
}

/// One vertex of a job, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VertexInfo {
    pub uid: String,
    pub name: String,
    pub parallelism: usize,
    /// Positions of the vertices that it reads from.
    pub inputs: Vec<usize>,
}

/// Everything about a job that changes while it runs.
#[derive(Clone, Debug)]
pub(crate) struct JobState {
    pub status: JobStatus,
    /// States with the times at which they were entered.
    pub transitions: Vec<(JobStatus, i64)>,
    pub error: Option<DataflowError>,
    pub metrics: JobMetrics,
    pub checkpoints: CheckpointStats,
    pub restarts: u32,
}

pub(crate) struct Shared {
    state: Mutex<JobState>,
    changed: Condvar,
    waiters: AtomicUsize,
}

impl Shared {
    fn new(now_ms: i64, attended: bool) -> Self {
        let state = JobState {
            status: JobStatus::Created,
            transitions: vec![(JobStatus::Created, now_ms)],
            error: None,
            metrics: JobMetrics::default(),
            checkpoints: CheckpointStats::default(),
            restarts: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            waiters: AtomicUsize::new(usize::from(attended)),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, JobState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a caller waits for the end of the job, now or between two waits.
    pub fn is_awaited(&self) -> bool {
        self.waiters.load(Ordering::SeqCst) > 0
    }

    pub fn enter(&self, status: JobStatus, now_ms: i64) {
        let mut state = self.lock();
        if state.status != status {
            state.status = status;
            state.transitions.push((status, now_ms));
            self.changed.notify_all();
        }
    }
}

/// A submitted job. Cheap to clone; the job goes on without handles.
#[derive(Clone)]
pub struct JobHandle {
    id: JobId,
    name: Arc<str>,
    started_ms: i64,
    vertices: Arc<[VertexInfo]>,
    shared: Arc<Shared>,
    messages: Sender<Message>,
    results: Option<ResultReader>,
    start: Arc<(JobStart, Comparison)>,
    savepoint_directory: Option<Arc<str>>,
}

/// Checks a plan, builds its graph and starts it on threads of its own.
pub fn submit(request: JobRequest) -> Result<JobHandle, DataflowError> {
    let mut settings = JobSettings::read(&request.plan.configuration, request.cores)?;
    let collects = request
        .plan
        .nodes
        .iter()
        .any(|node| matches!(node.op, Op::Collect));
    let (collector, reader) = if collects {
        // The client has seen rows that cannot be taken back: a query neither restarts nor resumes.
        settings.checkpoints = None;
        settings.restart = RestartSettings::None;
        settings.recovery = RecoverySettings::default();
        Some(collector()).unzip()
    } else {
        (None, None)
    };
    let sink = collector
        .clone()
        .map(|collector| Arc::new(collector) as Arc<dyn SinkFactory>);
    let graph = translate(&request.plan, request.components.as_ref(), &settings, sink)?;
    let (operators, fingerprint) = describe(&request.plan);
    let of_graph = GraphRequest {
        graph,
        identity: request.identity,
        settings,
        operators,
        clock: request.clock,
        rng: request.rng,
        storage: request.storage,
        fresh: request.fresh,
        attended: request.attended,
    };
    start(of_graph, collector, reader, request.remembers_end, fingerprint)
}

/// Starts a graph on threads of its own.
pub fn submit_graph(request: GraphRequest) -> Result<JobHandle, DataflowError> {
    start(request, None, None, false, 0)
}

fn start(
    request: GraphRequest,
    collector: Option<Collector>,
    results: Option<ResultReader>,
    remembers_end: bool,
    fingerprint: u64,
) -> Result<JobHandle, DataflowError> {
    let now_ms = request.clock.now_ms();
    let mut checkpoints = open_checkpoints(&request, now_ms)?;
    let (graph, operators, settings) = (request.graph, request.operators, request.settings);
    let max_parallelism = graph.settings.max_parallelism;
    let description = JobDescription::new(&request.identity, operators.clone(), max_parallelism, fingerprint);
    checkpoints.expect(
        operators,
        max_parallelism,
        fingerprint,
        settings.recovery.allow_partial,
    );
    if let Some(savepoint) = choose_savepoint(&settings.recovery, &request.identity)? {
        checkpoints.start_from(savepoint)?;
    }
    let start = checkpoints.preview(remembers_end)?;

    let (sender, inbox) = channel();
    let shared = Arc::new(Shared::new(now_ms, request.attended));
    let handle = JobHandle {
        id: JobId::random(request.rng.as_ref()),
        name: request.identity.as_str().into(),
        started_ms: now_ms,
        vertices: vertex_infos(&graph).into(),
        shared: Arc::clone(&shared),
        messages: sender.clone(),
        results,
        start: Arc::new(start),
        savepoint_directory: settings.savepoint_directory.map(Arc::from),
    };
    if matches!(handle.start(), JobStart::Done { .. }) {
        shared.enter(JobStatus::Finished, now_ms);
        return Ok(handle);
    }
    let master = Master {
        id: handle.id,
        name: request.identity.clone(),
        description,
        graph,
        restart: RestartStrategy::new(settings.restart),
        settings: settings.checkpoints,
        next_checkpoint: checkpoints.next_number(),
        checkpoints,
        shared,
        clock: request.clock,
        rng: request.rng,
        inbox,
        messages: sender,
        collector,
        remembers_end,
        canceled: false,
        stopping: None,
        savepoints: Savepoints::default(),
        attempt: 0,
    };
    spawn(master)?;
    Ok(handle)
}

/// Runs a job on a thread of its own.
fn spawn(master: Master) -> Result<(), DataflowError> {
    let name = master.name.clone();
    let thread = std::thread::Builder::new().name(format!("{}-master", name.replace('\0', "?")));
    let started = thread.spawn(move || master.run()).map_err(|error| {
        DataflowError::new(
            ErrorKind::Environment,
            format!("cannot start a thread for job '{name}': {error}"),
        )
    });
    started.map(|_| ())
}

fn open_checkpoints(request: &GraphRequest, now_ms: i64) -> Result<Checkpoints, DataflowError> {
    let settings = &request.settings;
    let Some(of_job) = settings.checkpoints else {
        return Ok(Checkpoints::in_memory());
    };
    let storage = match (&request.storage, &settings.checkpoint_directory) {
        (Some(_), Some(directory)) => Some(open_directory(directory)?),
        (storage, _) => storage.clone(),
    };
    Checkpoints::open_locked(storage, &request.identity, of_job.retained, request.fresh, now_ms)
}

/// The savepoint that belongs to the job. A single one belongs to any.
fn choose_savepoint<'a>(
    recovery: &'a RecoverySettings,
    identity: &str,
) -> Result<Option<&'a str>, DataflowError> {
    match recovery.savepoints.as_slice() {
        [] => return Ok(None),
        [only] => return Ok(Some(only)),
        _ => {}
    }
    for location in &recovery.savepoints {
        if job_of_savepoint(location)? == identity {
            return Ok(Some(location));
        }
    }
    let message = format!(
        "none of the savepoints '{}' is of job '{identity}'",
        recovery.savepoints.join("', '")
    );
    Err(DataflowError::new(ErrorKind::Input, message))
}

fn vertex_infos(graph: &Graph) -> Vec<VertexInfo> {
    let info = |(index, vertex): (usize, &millstream_dataflow::Vertex)| VertexInfo {
        uid: vertex.uid.to_string(),
        name: vertex.name.to_string(),
        parallelism: vertex.parallelism,
        inputs: graph.inputs(index).map(|edge| edge.from).collect(),
    };
    graph.vertices.iter().enumerate().map(info).collect()
}

impl JobHandle {
    /// The same job under another id and display name: one that continues after a restart of the process keeps both.
    pub(crate) fn known_as(mut self, id: JobId, name: &str) -> Self {
        self.id = id;
        self.name = name.into();
        self
    }

    pub fn id(&self) -> JobId {
        self.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// The operators, in the order of the data flow; metrics refer to their positions.
    pub fn vertices(&self) -> &[VertexInfo] {
        &self.vertices
    }

    pub fn status(&self) -> JobStatus {
        self.shared.lock().status
    }

    /// States with the times at which they were entered.
    pub fn transitions(&self) -> Vec<(JobStatus, i64)> {
        self.shared.lock().transitions.clone()
    }

    /// Why the job failed; while it runs, why it was last restarted.
    pub fn error(&self) -> Option<DataflowError> {
        self.shared.lock().error.clone()
    }

    pub fn restarts(&self) -> u32 {
        self.shared.lock().restarts
    }

    pub fn metrics(&self) -> JobMetrics {
        self.shared.lock().metrics.clone()
    }

    pub fn checkpoints(&self) -> CheckpointStats {
        self.shared.lock().checkpoints.clone()
    }

    /// Rows of a query.
    pub fn results(&self) -> Option<&ResultReader> {
        self.results.as_ref()
    }

    /// What the job started from.
    pub fn start(&self) -> &JobStart {
        &self.start.0
    }

    /// What became of the stored state of each operator when the job started.
    pub fn restored_operators(&self) -> &Comparison {
        &self.start.1
    }

    /// Ends the job now; its checkpoints are removed.
    pub fn cancel(&self) {
        self.send(Message::Cancel);
    }

    /// Ends the job after a last checkpoint, from which the next run continues. If that checkpoint fails the job ends
    /// all the same, as failed, and the next run continues from the checkpoint before.
    pub fn stop(&self) {
        self.send(Message::Stop);
    }

    /// The configured `execution.checkpointing.savepoint-dir`.
    pub fn savepoint_directory(&self) -> Option<&str> {
        self.savepoint_directory.as_deref()
    }

    /// Takes a savepoint in a directory of its own below `directory`, or below `execution.checkpointing.savepoint-dir`.
    /// The job goes on.
    pub fn savepoint(&self, directory: Option<&str>) -> SavepointHandle {
        self.request_savepoint(directory, |directory, promise| Message::Savepoint {
            directory,
            promise,
        })
    }

    /// Ends the job after a savepoint; if that fails the job goes on. With `drain` the input ends first: windows fire
    /// and the job is over for good.
    pub fn stop_with_savepoint(&self, directory: Option<&str>, drain: bool) -> SavepointHandle {
        self.request_savepoint(directory, |directory, promise| Message::StopWithSavepoint {
            directory,
            drain,
            promise,
        })
    }

    fn request_savepoint(
        &self,
        directory: Option<&str>,
        message: impl FnOnce(String, SavepointPromise) -> Message,
    ) -> SavepointHandle {
        let handle = SavepointHandle::new();
        let promise = SavepointPromise::new(handle.clone());
        match directory.or(self.savepoint_directory.as_deref()) {
            Some(directory) => self.send(message(directory.to_owned(), promise)),
            None => promise.fail(DataflowError::new(
                ErrorKind::Input,
                "no directory for the savepoint; name one, or set 'execution.checkpointing.savepoint-dir'",
            )),
        }
        handle
    }

    /// Asks for a checkpoint now.
    pub fn trigger_checkpoint(&self) {
        self.send(Message::Checkpoint);
    }

    fn send(&self, message: Message) {
        // A job that is over takes no orders and needs none.
        let _ = self.messages.send(message);
    }

    /// Waits for the end of the job, at most `timeout`; the status then.
    pub fn wait(&self, timeout: Duration) -> JobStatus {
        let going_on = |state: &mut JobState| !state.status.is_terminal();
        self.shared.waiters.fetch_add(1, Ordering::SeqCst);
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), timeout, going_on);
        self.shared.waiters.fetch_sub(1, Ordering::SeqCst);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.status
    }
}
