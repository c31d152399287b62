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

use crate::checkpoints::{Checkpoints, operator_entries};
use crate::collect::{Collector, ResultReader, collector};
use crate::components::Components;
use crate::execution::JobDescription;
use crate::master::{Master, Message};
use crate::restart::RestartStrategy;
use crate::settings::{JobSettings, RestartSettings};
use crate::status::{CheckpointStats, JobId, JobStatus};
use crate::translate::translate;

/// What it takes to run a plan.
#[derive(Clone)]
pub struct JobRequest {
    pub plan: Arc<Plan>,
    /// By which the job finds its checkpoints again: `pipeline.name`, or the script and the ordinal of the statement.
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
    /// The caller tells how the job ends, so that the log need not, however soon that is.
    pub attended: bool,
}

/// What it takes to run a graph that was made without a plan: a program's.
#[derive(Clone)]
pub struct GraphRequest {
    pub graph: Graph,
    /// By which the job finds its checkpoints again.
    pub identity: String,
    pub settings: JobSettings,
    /// The operators that keep state, as checkpoints name them.
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

    /// Whether somebody waits for the end of the job, now or between two waits.
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
        Some(collector()).unzip()
    } else {
        (None, None)
    };
    if collects {
        // The client has seen rows that cannot be taken back: a query neither restarts nor resumes.
        settings.checkpoints = None;
        settings.restart = RestartSettings::None;
    }
    let sink = collector
        .clone()
        .map(|collector| Arc::new(collector) as Arc<dyn SinkFactory>);
    let graph = translate(&request.plan, request.components.as_ref(), &settings, sink)?;
    let identity = settings.name.clone().unwrap_or_else(|| request.identity.clone());
    let request = GraphRequest {
        graph,
        identity,
        settings,
        operators: operator_entries(&request.plan),
        clock: request.clock,
        rng: request.rng,
        storage: request.storage,
        fresh: request.fresh,
        attended: request.attended,
    };
    start(request, collector, reader)
}

/// Starts a graph on threads of its own.
pub fn submit_graph(request: GraphRequest) -> Result<JobHandle, DataflowError> {
    start(request, None, None)
}

fn start(
    request: GraphRequest,
    collector: Option<Collector>,
    results: Option<ResultReader>,
) -> Result<JobHandle, DataflowError> {
    let (graph, identity, settings) = (request.graph, request.identity, request.settings);
    let max_parallelism = graph.settings.max_parallelism;
    let storage = if settings.checkpoints.is_some() {
        request.storage
    } else {
        None
    };
    let retained = settings.checkpoints.map_or(1, |c| c.retained);
    let checkpoints = Checkpoints::open(storage, &identity, retained, request.fresh)?;
    checkpoints.check_fit(&identity, &request.operators, max_parallelism)?;

    let now_ms = request.clock.now_ms();
    let (sender, inbox) = channel();
    let shared = Arc::new(Shared::new(now_ms, request.attended));
    let handle = JobHandle {
        id: JobId::random(request.rng.as_ref()),
        name: identity.as_str().into(),
        started_ms: now_ms,
        vertices: vertex_infos(&graph).into(),
        shared: Arc::clone(&shared),
        messages: sender.clone(),
        results,
    };
    let master = Master {
        name: identity.clone(),
        description: JobDescription::new(&identity, request.operators, max_parallelism),
        graph,
        restart: RestartStrategy::new(settings.restart),
        settings: settings.checkpoints,
        checkpoints,
        shared,
        clock: request.clock,
        rng: request.rng,
        inbox,
        messages: sender,
        collector,
        canceled: false,
        attempt: 0,
        next_checkpoint: 1,
    };
    let thread = std::thread::Builder::new().name(format!("{}-master", identity.replace('\0', "?")));
    thread.spawn(move || master.run()).map_err(|error| {
        DataflowError::new(
            ErrorKind::Environment,
            format!("cannot start a thread for job '{identity}': {error}"),
        )
    })?;
    Ok(handle)
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

    /// Ends the job now; its checkpoints are removed.
    pub fn cancel(&self) {
        self.send(Message::Cancel);
    }

    /// Ends the job after a last checkpoint, from which the next run goes on.
    pub fn stop(&self) {
        self.send(Message::Stop);
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
