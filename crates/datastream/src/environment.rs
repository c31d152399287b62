//! The environment of a program: its settings, its sources, and the jobs that it starts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use millstream_connectors::kafka::KafkaClusters;
use millstream_connectors::{ConnectorContext, PrintTarget};
use millstream_dataflow::Graph;
use millstream_dataflow::alignment::AlignmentGroups;
use millstream_jobs::{
    GraphRequest, JobHandle, JobRegistry, JobSettings, JobStatus, RestartSettings, SavepointHandle,
    SavepointStatus,
};
use millstream_state::OperatorEntry;
use millstream_types::options::parse_duration;
use millstream_types::storage::Storage;
use millstream_types::{Clock, ErrorKind, Options, Rng};

pub use crate::runtime_mode::RuntimeExecutionMode;

use crate::data::Data;
use crate::error::{Error, Result};
#[doc(hidden)]
pub use crate::graph::Stateful;
use crate::graph::{Draft, Instances, Node, NodeKind, Nodes, build};
use crate::runtime_mode::RUNTIME_MODE;
use crate::source::{CollectionSource, SequenceSource, StreamSource, TextFileSource};
use crate::stream::DataStream;
use crate::watermark::WatermarkStrategy;

/// How long one look at a running job takes.
const LOOK: Duration = Duration::from_millis(100);
const WATERMARK_INTERVAL_MS_DEFAULT: i64 = 200;

/// What the process gives a program: time, chance, the way to Kafka, where checkpoints lie.
#[derive(Clone)]
pub struct Host {
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub kafka: Arc<dyn KafkaClusters>,
    /// Where futures of asynchronous functions run.
    pub runtime: tokio::runtime::Handle,
    pub print: Arc<dyn PrintTarget>,
    pub jobs: JobRegistry,
    /// Where checkpoints are kept; without one they live in memory and serve restarts within the process.
    pub checkpoints: Option<Arc<dyn Storage>>,
    /// Cores of the machine: the parallelism unless it is set.
    pub cores: usize,
    /// IANA name of the machine's time zone: that of SQL unless `table.local-time-zone` is set.
    pub zone_name: Arc<str>,
    /// Forget the checkpoints of earlier runs.
    pub fresh: bool,
    /// Whether the user wants the program to end, after a last checkpoint.
    pub interrupted: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Settings from arguments and files.
    pub configuration: Options,
}

/// What streams and their environment share.
#[derive(Clone)]
pub struct Job(Arc<Inner>);

struct Inner {
    host: Host,
    draft: Draft,
    configuration: Mutex<Options>,
    /// What went wrong while the program was written down; told when it is executed.
    failed: Mutex<Option<Error>>,
    /// The sources of the next job that wait for each other.
    alignment: Mutex<AlignmentGroups>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    pub(crate) fn draft(&self) -> &Draft {
        &self.0.draft
    }

    pub(crate) fn add<T>(&self, node: Node) -> DataStream<T> {
        DataStream::new(self.clone(), self.0.draft.add(node))
    }

    /// Only the first mistake is reported.
    pub(crate) fn fail(&self, error: Error) {
        lock(&self.0.failed).get_or_insert(error);
    }

    fn option(&self, key: &str) -> Option<String> {
        lock(&self.0.configuration).get(key).cloned()
    }

    pub(crate) fn watermark_interval_ms(&self) -> i64 {
        let set = self.option("pipeline.auto-watermark-interval");
        let set = set.and_then(|text| parse_duration(&text));
        set.map_or(WATERMARK_INTERVAL_MS_DEFAULT, |interval| {
            i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// Groups of sources that wait for each other.
    pub(crate) fn alignment(&self) -> AlignmentGroups {
        lock(&self.0.alignment).clone()
    }

    pub(crate) fn print_target(&self) -> Arc<dyn PrintTarget> {
        Arc::clone(&self.0.host.print)
    }

    pub(crate) fn connectors(&self) -> ConnectorContext {
        let host = &self.0.host;
        ConnectorContext {
            clock: Arc::clone(&host.clock),
            rng: Arc::clone(&host.rng),
            print: Arc::clone(&host.print),
            kafka: Arc::clone(&host.kafka),
            zone: TimeZone::UTC,
            zone_name: "UTC".into(),
            alignment: self.alignment(),
            batch: false,
        }
    }

    fn settings(&self) -> Result<JobSettings> {
        let configuration = lock(&self.0.configuration).clone();
        Ok(JobSettings::read(&configuration, self.0.host.cores)?)
    }

    /// The settings of a job of these nodes. In BATCH mode there are no checkpoints; a restart begins from scratch, so it
    /// is up to a strategy that the program has set.
    fn settings_of(&self, nodes: &Nodes) -> Result<JobSettings> {
        let mut configuration = lock(&self.0.configuration).clone();
        let mode = RuntimeExecutionMode::read(&configuration)?;
        if !mode.is_batch(nodes)? {
            return Ok(JobSettings::read(&configuration, self.0.host.cores)?);
        }
        configuration.insert("execution.checkpointing.enabled".to_owned(), "false".to_owned());
        let mut settings = JobSettings::read(&configuration, self.0.host.cores)?;
        settings.is_batch = true;
        if !settings.recovery.savepoints.is_empty() {
            return Err(Error::input(
                "a job in BATCH mode cannot start from a savepoint: remove 'execution.state-recovery.path', or set \
                 'execution.runtime-mode' to STREAMING",
            ));
        }
        Ok(settings)
    }

    pub(crate) fn execute_async(&self, name: &str) -> Result<JobClient> {
        self.submit(name, true)
    }

    /// The nodes that were added so far, unless a mistake was made while they were written down.
    fn take_nodes(&self) -> Result<Nodes> {
        let nodes = self.0.draft.take();
        // Sources of the next job do not wait for those of this one.
        *lock(&self.0.alignment) = AlignmentGroups::default();
        match lock(&self.0.failed).take() {
            Some(error) => Err(error),
            None => Ok(nodes),
        }
    }

    /// The first mistake that was made while the program was written down.
    pub(crate) fn check(&self) -> Result<()> {
        match lock(&self.0.failed).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0.host
    }

    pub(crate) fn configuration(&self) -> Options {
        lock(&self.0.configuration).clone()
    }

    pub(crate) fn set_configuration(&self, configuration: Options) {
        *lock(&self.0.configuration) = configuration;
    }

    fn submit(&self, name: &str, collects: bool) -> Result<JobClient> {
        let nodes = self.take_nodes()?;
        let storage = self.0.host.checkpoints.clone();
        self.submit_nodes(name, &nodes, collects, storage)
    }

    /// Starts a job of these nodes. `collects`: the program sees its rows.
    pub(crate) fn submit_nodes(
        &self,
        name: &str,
        nodes: &Nodes,
        collects: bool,
        storage: Option<Arc<dyn Storage>>,
    ) -> Result<JobClient> {
        let mut settings = self.settings_of(nodes)?;
        if collects {
            // The program has seen records that cannot be retracted: the job neither restarts nor resumes.
            settings.checkpoints = None;
            settings.restart = RestartSettings::None;
        }
        let host = &self.0.host;
        let identity = settings.name.clone().unwrap_or_else(|| name.to_owned());
        let everywhere = match storage.as_deref() {
            Some(storage) => format!("{identity}-{}", installation(storage, host.rng.as_ref())?),
            None => identity.clone(),
        };
        let (graph, operators) = build(nodes, &settings, &everywhere)?;
        let request = GraphRequest {
            graph,
            identity,
            settings,
            operators,
            clock: Arc::clone(&host.clock),
            rng: Arc::clone(&host.rng),
            storage,
            fresh: host.fresh,
            attended: true,
        };
        let handle = host.jobs.submit_graph(request)?;
        Ok(JobClient { handle })
    }
}

/// Where a program begins: settings, sources, and [`Environment::execute`].
///
/// The published crate wraps it as `StreamExecutionEnvironment`.
#[derive(Clone)]
pub struct Environment {
    pub(crate) job: Job,
}

impl Environment {
    pub fn new(host: Host) -> Self {
        let configuration = Mutex::new(host.configuration.clone());
        Self {
            job: Job(Arc::new(Inner {
                host,
                draft: Draft::default(),
                configuration,
                failed: Mutex::new(None),
                alignment: Mutex::default(),
            })),
        }
    }

    /// Sets a configuration key, as `SET` does in SQL.
    pub fn set(&self, key: &str, value: impl Into<String>) -> &Self {
        lock(&self.job.0.configuration).insert(key.to_owned(), value.into());
        self
    }

    /// Instances of operators; the number of cores unless set.
    pub fn set_parallelism(&self, parallelism: usize) -> &Self {
        self.set("parallelism.default", parallelism.max(1).to_string())
    }

    /// Key groups of the jobs: the most instances that keyed state can be spread over. It cannot be changed as long as a
    /// job has checkpoints.
    pub fn set_max_parallelism(&self, max_parallelism: u16) -> &Self {
        self.set("pipeline.max-parallelism", max_parallelism.to_string())
    }

    /// Time between checkpoints; one second unless set.
    pub fn enable_checkpointing(&self, interval: Duration) -> &Self {
        self.set(
            "execution.checkpointing.interval",
            format!("{} ms", interval.as_millis()),
        )
    }

    /// Whether the program is executed as a stream or as a batch. Better set from outside, by
    /// `-D execution.runtime-mode=BATCH`: the same program runs in either mode.
    ///
    /// ```
    /// # use millstream_datastream::environment::RuntimeExecutionMode;
    /// # use millstream_datastream::testing::environment;
    /// # use millstream_datastream::Result;
    /// # fn main() -> Result<()> {
    /// let env = environment(2);
    /// env.set_runtime_mode(RuntimeExecutionMode::Batch);
    /// let sums = env.from_collection([("a", 1), ("a", 2)]).map(|(key, n)| (key.to_owned(), n));
    /// let sums = sums.key_by_ref(|(key, _)| key).reduce(|a, b| (a.0, a.1 + b.1));
    /// let rows = sums.execute_and_collect("sums")?.collect::<Result<Vec<_>>>()?;
    /// assert_eq!(rows, [("a".to_owned(), 3)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_runtime_mode(&self, mode: RuntimeExecutionMode) -> &Self {
        self.set(RUNTIME_MODE, mode.name())
    }

    /// Time between watermarks.
    pub fn set_auto_watermark_interval(&self, interval: Duration) -> &Self {
        self.set(
            "pipeline.auto-watermark-interval",
            format!("{} ms", interval.as_millis()),
        )
    }

    pub fn parallelism(&self) -> Result<usize> {
        Ok(self.job.settings()?.parallelism)
    }

    /// A stream of a source.
    ///
    /// ```no_run
    /// # use millstream_datastream::*;
    /// # use millstream_datastream::source::*;
    /// # use millstream_datastream::watermark::WatermarkStrategy;
    /// # fn example(env: &Environment, source: KafkaSource<String>) {
    /// let lines = env.from_source(source, WatermarkStrategy::no_watermarks(), "lines");
    /// # }
    /// ```
    pub fn from_source<T: Data>(
        &self,
        source: impl StreamSource<T>,
        strategy: WatermarkStrategy<T>,
        name: &str,
    ) -> DataStream<T> {
        match source.factory(&self.job, strategy) {
            Ok(factory) => {
                let node = Node::new(&format!("Source: {name}"), NodeKind::Source(factory), Vec::new());
                self.job
                    .add(node.stateful(Stateful::Source).instances(Instances::All))
            }
            Err(error) => {
                self.job.fail(error);
                self.placeholder()
            }
        }
    }

    /// Stands for a source that could not be made, so that the program can be written to its end; it is never run.
    fn placeholder<T: Data>(&self) -> DataStream<T> {
        let factory = Empty;
        let node = Node::new("Source", NodeKind::Source(Arc::new(factory)), Vec::new());
        self.job.add(node)
    }

    /// A stream of the elements of a collection, in order.
    ///
    /// ```no_run
    /// # fn example(env: &millstream_datastream::Environment) {
    /// let numbers = env.from_collection([1, 2, 3]);
    /// # }
    /// ```
    pub fn from_collection<T: Data + Sync>(&self, elements: impl IntoIterator<Item = T>) -> DataStream<T> {
        let source = CollectionSource::new(elements);
        self.from_source(source, WatermarkStrategy::no_watermarks(), "Collection Source")
    }

    /// The numbers from one to another, both included, shared out over the instances.
    pub fn from_sequence(&self, from: i64, to: i64) -> DataStream<i64> {
        let splits = self.parallelism().unwrap_or(1);
        let source = SequenceSource::new(from, to, splits);
        self.from_source(source, WatermarkStrategy::no_watermarks(), "Sequence Source")
    }

    /// The lines of a file, or of the files of a directory.
    pub fn read_text_file(&self, path: impl Into<std::path::PathBuf>) -> DataStream<String> {
        let source = TextFileSource::new(path);
        self.from_source(source, WatermarkStrategy::no_watermarks(), "File Source")
    }

    /// Runs the program, and waits for its end. The job's checkpoints are found again by `name`: a program that was
    /// stopped continues where it was.
    pub fn execute(&self, name: &str) -> Result<JobExecutionResult> {
        let client = self.execute_async(name)?;
        let mut stopping = false;
        loop {
            if !stopping && (self.job.0.host.interrupted)() {
                stopping = true;
                client.stop();
            }
            if client.handle.wait(LOOK).is_terminal() {
                return client.result();
            }
        }
    }

    /// The engine's graph of the program, and its operators with state, for tests that step a job themselves.
    #[doc(hidden)]
    pub fn into_graph(self) -> Result<(Graph, Vec<OperatorEntry>)> {
        let nodes = self.job.take_nodes()?;
        build(&nodes, &self.job.settings_of(&nodes)?, "job")
    }

    /// The kinds of operators with state that the program has so far.
    #[doc(hidden)]
    pub fn stateful_kinds(&self) -> BTreeSet<Stateful> {
        let nodes = self.job.draft().lock();
        nodes.iter().filter_map(|node| node.stateful).collect()
    }

    /// Starts the program and gives the handle to its job. A new program may be written down meanwhile.
    pub fn execute_async(&self, name: &str) -> Result<JobClient> {
        self.job.submit(name, false)
    }
}

/// A file with a name that tells this installation from others. What jobs leave outside is called by it, so that programs of
/// one name in two directories do not fence each other's transactions.
const INSTALLATION_FILE: &str = "installation";

fn installation(storage: &dyn Storage, rng: &dyn Rng) -> Result<String> {
    let broken = |error| {
        Error::environment(format!(
            "the file '{INSTALLATION_FILE}' of the checkpoints: {error}"
        ))
    };
    if storage.exists(INSTALLATION_FILE).map_err(broken)? {
        let content = storage.read(INSTALLATION_FILE).map_err(broken)?;
        return Ok(String::from_utf8_lossy(&content).trim().to_owned());
    }
    let name = format!("{:08x}", rng.below(1 << 32));
    storage
        .replace(INSTALLATION_FILE, name.as_bytes())
        .map_err(broken)?;
    Ok(name)
}

struct Empty;

impl millstream_dataflow::SourceFactory for Empty {
    fn create(
        &self,
        _: &millstream_dataflow::Context,
    ) -> std::result::Result<Box<dyn millstream_dataflow::Source>, millstream_dataflow::DataflowError> {
        Err(millstream_dataflow::DataflowError::internal(
            "a source that could not be made was run",
        ))
    }

    fn is_bounded(&self) -> bool {
        true
    }
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobExecutionResult {
    pub job_id: String,
    pub net_runtime: Duration,
    /// The program was stopped after a last checkpoint, from which the next run continues.
    pub status: JobStatus,
}

/// A running job.
#[derive(Clone)]
pub struct JobClient {
    handle: JobHandle,
}

impl From<JobHandle> for JobClient {
    fn from(handle: JobHandle) -> Self {
        Self { handle }
    }
}

impl JobClient {
    pub fn job_id(&self) -> String {
        self.handle.id().to_string()
    }

    pub fn status(&self) -> JobStatus {
        self.handle.status()
    }

    /// Ends the job now; its checkpoints are removed.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Ends the job after a last checkpoint, from which the next run continues.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Takes a savepoint in a directory of its own below `directory`, or below `execution.checkpointing.savepoint-dir`, and
    /// gives its location. The job continues.
    pub fn trigger_savepoint(&self, directory: Option<&str>) -> Result<String> {
        self.location_of(&self.handle.savepoint(directory))
    }

    /// Ends the job after a savepoint and gives its location; if that fails the job continues. With `drain` the input ends
    /// first: windows fire, and the job is over for good. A later run starts from it with `--from-savepoint`.
    pub fn stop_with_savepoint(&self, directory: Option<&str>, drain: bool) -> Result<String> {
        let location = self.location_of(&self.handle.stop_with_savepoint(directory, drain))?;
        self.wait()?;
        Ok(location)
    }

    /// Waits for a savepoint. A job that ended before it was asked never takes one.
    fn location_of(&self, savepoint: &SavepointHandle) -> Result<String> {
        loop {
            let was_over = self.is_over();
            match savepoint.wait(LOOK) {
                SavepointStatus::Completed { location } => return Ok(location),
                SavepointStatus::Failed(error) => return Err(error.into()),
                SavepointStatus::InProgress if was_over => {
                    let name = self.handle.name();
                    return Err(Error::input(format!(
                        "job '{name}' is over and takes no savepoints"
                    )));
                }
                SavepointStatus::InProgress => {}
            }
        }
    }

    /// Asks for a checkpoint now.
    pub fn trigger_checkpoint(&self) {
        self.handle.trigger_checkpoint();
    }

    /// The engine's handle: operators, metrics, checkpoints.
    pub fn handle(&self) -> &JobHandle {
        &self.handle
    }

    /// Waits for the end of the job.
    pub fn wait(&self) -> Result<JobExecutionResult> {
        while !self.handle.wait(LOOK).is_terminal() {}
        self.result()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.handle.status().is_terminal()
    }

    /// Why the job failed.
    pub fn error(&self) -> Option<Error> {
        match self.handle.status() {
            JobStatus::Failed => self.handle.error().map(Error::from),
            _ => None,
        }
    }

    fn result(&self) -> Result<JobExecutionResult> {
        let status = self.handle.status();
        if status == JobStatus::Failed {
            let error = self.error();
            return Err(
                error.unwrap_or_else(|| Error::environment(format!("job '{}' failed", self.handle.name())))
            );
        }
        if status == JobStatus::Canceled {
            return Err(Error {
                kind: ErrorKind::Input,
                message: format!("job '{}' was canceled", self.handle.name()),
            });
        }
        let ended_ms = self.handle.transitions().last().map_or(0, |(_, at)| *at);
        let runtime_ms = ended_ms.saturating_sub(self.handle.started_ms());
        Ok(JobExecutionResult {
            job_id: self.job_id(),
            net_runtime: Duration::from_millis(u64::try_from(runtime_ms).unwrap_or(0)),
            status,
        })
    }
}
