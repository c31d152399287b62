//! Job submission, and the handle of a submitted job.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_dataflow::pool::{Pool, TaskHandle};
use millstream_dataflow::{DataflowError, Graph, JobMetrics, SinkFactory, Vertex, VertexKind};
use millstream_plan::{Op, Plan};
use millstream_state::OperatorEntry;
use millstream_types::storage::Storage;
use millstream_types::{Clock, ErrorKind, Rng};

use crate::checkpoints::{Checkpoints, Claim, JobStart, job_of_savepoint};
use crate::collect::{Collector, ResultReader, collector};
use crate::compatibility::Comparison;
use crate::components::Components;
use crate::directories::open_directory;
use crate::execution::JobDescription;
use crate::identity::describe;
use crate::master::{Mailbox, Master, Message, Phase};
use crate::programs::Report;
use crate::restart::RestartStrategy;
use crate::savepoint::{SavepointHandle, SavepointPromise, Savepoints};
use crate::settings::{CHECKPOINT_INTERVAL, JobSettings, RecoverySettings, RestartSettings};
use crate::status::{CheckpointStats, JobId, JobStatus};
use crate::translate::translate_job;

/// Threads for the masters of all jobs; they write checkpoints, one after the other on each.
const COORDINATOR_THREADS: usize = 2;
/// Threads of masters once a job keeps its checkpoints in an object store: a master waits for its requests.
const COORDINATOR_THREADS_REMOTE: usize = 8;

/// Everything needed to run a job.
#[derive(Clone)]
pub struct JobRequest {
    pub plan: Arc<Plan>,
    /// Identifies the job across runs, so that it finds its checkpoints: `pipeline.name`, or the script and the ordinal
    /// of the statement.
    pub identity: String,
    pub components: Arc<dyn Components>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// Storage for checkpoints. Without one, they live in memory and serve only restarts within the process.
    pub storage: Option<Arc<dyn Storage>>,
    /// Cores of the machine: the default parallelism.
    pub cores: usize,
    /// Discard the checkpoints of earlier runs.
    pub fresh: bool,
    /// The caller reports how the job ends, so the log does not have to, even if the job ends at once.
    pub attended: bool,
    /// Once the job has read all its input, the next submission of the same identity completes at once. This serves
    /// statements of an interrupted script; [`crate::checkpoints::forget_finished`] clears the mark.
    pub remembers_end: bool,
}

/// Everything needed to run a graph that a program built without a plan.
#[derive(Clone)]
pub struct GraphRequest {
    pub graph: Graph,
    /// Identifies the job across runs, so that it finds its checkpoints.
    pub identity: String,
    pub settings: JobSettings,
    /// The stateful operators, as checkpoints record them. An operator without traits gets the state with its uid,
    /// whatever the operator does now.
    pub operators: Vec<OperatorEntry>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// As in [`JobRequest`].
    pub storage: Option<Arc<dyn Storage>>,
    pub fresh: bool,
    pub attended: bool,
}

/// A vertex of a job, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VertexInfo {
    pub uid: String,
    pub name: String,
    pub parallelism: usize,
    /// Positions of its input vertices.
    pub inputs: Vec<usize>,
}

/// The mutable state of a job.
#[derive(Clone, Debug)]
pub(crate) struct JobState {
    pub status: JobStatus,
    /// States, with the times at which the job entered them.
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

    /// Whether a caller is waiting for the end of the job, or polls for it.
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

/// A handle to a submitted job. Cheap to clone; dropping all handles does not end the job.
#[derive(Clone)]
pub struct JobHandle {
    id: JobId,
    name: Arc<str>,
    started_ms: i64,
    vertices: Arc<[VertexInfo]>,
    shared: Arc<Shared>,
    messages: Mailbox,
    results: Option<ResultReader>,
    start: Arc<(JobStart, Comparison)>,
    savepoint_directory: Option<Arc<str>>,
    /// It runs in another process.
    is_mirror: bool,
}

/// Validates a plan, builds its graph and starts it on the threads of the process.
pub fn submit(request: JobRequest) -> Result<JobHandle, DataflowError> {
    let mut settings = JobSettings::read(&request.plan.configuration, request.cores)?;
    let collects = request
        .plan
        .nodes
        .iter()
        .any(|node| matches!(node.op, Op::Collect));
    let (collector, reader) = if collects {
        // Rows that the client has seen cannot be retracted: a query neither restarts nor resumes.
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
    let components = request.components.as_ref();
    let (graph, of_sides) = translate_job(&request.plan, components, &settings, sink, &request.identity)?;
    let (mut operators, fingerprint) = describe(&request.plan);
    operators.extend(of_sides);
    let traits = Traits {
        remembers_end: request.remembers_end,
        rests: rests(&request.plan, &graph),
    };
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
    start(of_graph, collector, reader, traits, fingerprint)
}

/// Starts a graph on the threads of the process.
pub fn submit_graph(request: GraphRequest) -> Result<JobHandle, DataflowError> {
    start(request, None, None, Traits::default(), 0)
}

/// What a plan says about its job beside its graph.
#[derive(Clone, Copy, Default)]
struct Traits {
    remembers_end: bool,
    /// See [`Master::rests`].
    rests: bool,
}

/// Whether checkpoints may be put off while no record is processed. An interval that the user has set is kept.
fn rests(plan: &Plan, graph: &Graph) -> bool {
    let rests_without_rows = |vertex: &Vertex| match &vertex.kind {
        VertexKind::Sink(sink) => sink.rests_without_rows(),
        VertexKind::Source(_) | VertexKind::Operator(_) => true,
    };
    !plan.configuration.contains_key(CHECKPOINT_INTERVAL) && graph.vertices.iter().all(rests_without_rows)
}

fn start(
    request: GraphRequest,
    collector: Option<Collector>,
    results: Option<ResultReader>,
    traits: Traits,
    fingerprint: u64,
) -> Result<JobHandle, DataflowError> {
    let now_ms = request.clock.now_ms();
    let mut checkpoints = open_checkpoints(&request, now_ms)?;
    let (graph, operators, settings) = (request.graph, request.operators, request.settings);
    let max_parallelism = graph.settings.max_parallelism;
    let description = JobDescription::new(&request.identity, operators.clone(), max_parallelism, fingerprint);
    let allow_partial = settings.recovery.allow_partial;
    checkpoints.expect(operators, max_parallelism, fingerprint, allow_partial);
    if let Some(savepoint) = choose_savepoint(&settings, &request.identity)? {
        checkpoints.start_from(savepoint, &settings.object_stores)?;
    }
    let start = checkpoints.preview(traits.remembers_end)?;

    let task = master_task(&request.identity)?;
    let (sender, inbox) = channel();
    let messages = Mailbox::new(sender, task.clone());
    let shared = Arc::new(Shared::new(now_ms, request.attended));
    let handle = JobHandle {
        id: JobId::random(request.rng.as_ref()),
        name: request.identity.as_str().into(),
        started_ms: now_ms,
        vertices: vertex_infos(&graph).into(),
        shared: Arc::clone(&shared),
        messages: messages.clone(),
        results,
        start: Arc::new(start),
        savepoint_directory: settings.savepoint_directory.map(Arc::from),
        is_mirror: false,
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
        messages,
        phase: Phase::Begin,
        collector,
        remembers_end: traits.remembers_end,
        rests: traits.rests,
        is_batch: settings.is_batch,
        canceled: false,
        stopping: None,
        savepoints: Savepoints::default(),
        stores: settings.object_stores,
        attempt: 0,
    };
    task.start(master);
    Ok(handle)
}

/// A task for the master of a job.
fn master_task(job: &str) -> Result<TaskHandle, DataflowError> {
    let pool = Pool::coordinators();
    let grown = pool.grow_to(COORDINATOR_THREADS);
    grown
        .map(|()| pool.task())
        .map_err(|error| no_thread(job, &error))
}

fn no_thread(job: &str, error: &dyn std::error::Error) -> DataflowError {
    let message = format!("cannot start a thread for job '{job}': {error}");
    DataflowError::new(ErrorKind::Environment, message)
}

fn open_checkpoints(request: &GraphRequest, now_ms: i64) -> Result<Checkpoints, DataflowError> {
    let settings = &request.settings;
    let Some(of_job) = settings.checkpoints else {
        return Ok(Checkpoints::in_memory());
    };
    let storage = match (&request.storage, &settings.checkpoint_directory) {
        (Some(_), Some(directory)) => Some(open_directory(directory, &settings.object_stores)?),
        (storage, _) => storage.clone(),
    };
    if storage.as_ref().is_some_and(|storage| storage.is_shared()) {
        Pool::coordinators()
            .grow_to(COORDINATOR_THREADS_REMOTE)
            .map_err(|error| no_thread(&request.identity, &error))?;
    }
    let claim = Claim {
        local: request.storage.as_ref(),
        now_ms,
        rng: request.rng.as_ref(),
    };
    Checkpoints::open_locked(storage, &claim, &request.identity, of_job.retained, request.fresh)
}

/// The savepoint that matches the job. A single savepoint matches any job.
fn choose_savepoint<'a>(settings: &'a JobSettings, identity: &str) -> Result<Option<&'a str>, DataflowError> {
    let recovery = &settings.recovery;
    match recovery.savepoints.as_slice() {
        [] => return Ok(None),
        [only] => return Ok(Some(only)),
        _ => {}
    }
    for location in &recovery.savepoints {
        if job_of_savepoint(location, &settings.object_stores)? == identity {
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
    /// The same job under another id and display name; a job that resumes after a restart of the process keeps both.
    pub(crate) fn known_as(mut self, id: JobId, name: &str) -> Self {
        self.id = id;
        self.name = name.into();
        self
    }

    /// A job of another process.
    pub(crate) fn mirror(id: JobId, report: &Report, messages: Mailbox) -> Self {
        Self {
            id,
            name: report.name.as_str().into(),
            started_ms: report.started_ms,
            vertices: report.vertices().into(),
            shared: Arc::new(Shared::new(report.started_ms, false)),
            messages,
            results: None,
            start: Arc::new((JobStart::Fresh, Comparison::default())),
            savepoint_directory: report.savepoint_directory.as_deref().map(Arc::from),
            is_mirror: true,
        }
    }

    /// Takes over what another process reports.
    pub(crate) fn update(&self, report: &Report, transitions: Vec<(JobStatus, i64)>) {
        let mut state = self.shared.lock();
        state.status = transitions
            .last()
            .map_or(JobStatus::Created, |(status, _)| *status);
        state.transitions = transitions;
        state.error = report.error();
        state.metrics = report.metrics();
        state.checkpoints = report.checkpoints();
        state.restarts = report.restarts;
        self.shared.changed.notify_all();
    }

    /// Whether the job runs in another process, which ends it when it ends.
    pub fn is_mirror(&self) -> bool {
        self.is_mirror
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

    /// The operators in data flow order; metrics refer to their positions.
    pub fn vertices(&self) -> &[VertexInfo] {
        &self.vertices
    }

    pub fn status(&self) -> JobStatus {
        self.shared.lock().status
    }

    /// States, with the times at which the job entered them.
    pub fn transitions(&self) -> Vec<(JobStatus, i64)> {
        self.shared.lock().transitions.clone()
    }

    /// Why the job failed; while it runs, the cause of its last restart.
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

    /// The rows of a query.
    pub fn results(&self) -> Option<&ResultReader> {
        self.results.as_ref()
    }

    /// What the job started from.
    pub fn start(&self) -> &JobStart {
        &self.start.0
    }

    /// What happened to the stored state of each operator when the job started.
    pub fn restored_operators(&self) -> &Comparison {
        &self.start.1
    }

    /// Ends the job immediately and removes its checkpoints.
    pub fn cancel(&self) {
        self.send(Message::Cancel);
    }

    /// Ends the job after a last checkpoint, from which the next run continues. If that checkpoint fails, the job still
    /// ends, as failed, and the next run continues from the previous checkpoint.
    pub fn stop(&self) {
        self.send(Message::Stop);
    }

    /// The configured `execution.checkpointing.savepoint-dir`.
    pub fn savepoint_directory(&self) -> Option<&str> {
        self.savepoint_directory.as_deref()
    }

    /// Takes a savepoint in a new directory below `directory` or `execution.checkpointing.savepoint-dir`. The job keeps
    /// running.
    pub fn savepoint(&self, directory: Option<&str>) -> SavepointHandle {
        self.request_savepoint(directory, |directory, promise| Message::Savepoint {
            directory,
            promise,
        })
    }

    /// Ends the job after a savepoint; if the savepoint fails, the job keeps running. With `drain`, the input ends
    /// first: windows fire, and the job cannot be resumed.
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

    /// Requests a checkpoint now.
    pub fn trigger_checkpoint(&self) {
        self.send(Message::Checkpoint);
    }

    fn send(&self, message: Message) {
        self.messages.send(message);
    }

    /// Waits up to `timeout` for the end of the job. Returns the current status.
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
