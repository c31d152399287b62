//! The process of a program: the runtime, the clock, signals, the embedded broker, the directory for what must survive.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millstream_connectors::PrintTarget;
use millstream_datastream::{Error, Host, Result};
use millstream_jobs::JobRegistry;
use millstream_jobs::programs::{PROGRAMS_DIRECTORY, Reporter};
use millstream_server::kafka::{EmbeddedSettings, ProcessClusters, is_broker_config};
use millstream_types::storage::{OsStorage, Storage};
use millstream_types::{Clock, Rng, SeededRng, SystemClock};
use tokio::runtime::Runtime;

const DATA_DIR_DEFAULT: &str = "./.millstream";
const KAFKA_DEFAULT: &str = "127.0.0.1:9092";
/// Directory of checkpoints below the data directory.
const CHECKPOINT_DIRECTORY: &str = "checkpoints";
/// Time between two reports of jobs to a server of the same data directory.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// Threads of the runtime at most; it only moves bytes between sockets and channels.
const RUNTIME_THREADS_MAX: usize = 4;

/// Settings of a program's process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory for everything that must survive: topics of the embedded broker, checkpoints.
    pub data_dir: PathBuf,
    /// Address of the embedded broker.
    pub kafka: String,
    /// Forget the checkpoints of earlier runs.
    pub fresh: bool,
    /// Configuration keys: Flink's, and for the embedded broker Kafka's.
    pub configuration: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_dir: DATA_DIR_DEFAULT.into(),
            kafka: KAFKA_DEFAULT.to_owned(),
            fresh: false,
            configuration: BTreeMap::new(),
        }
    }
}

impl Options {
    /// The defaults, but for what `MILLSTREAM_DATA_DIR` and `MILLSTREAM_KAFKA` say.
    pub fn from_environment() -> Self {
        let mut options = Self::default();
        if let Ok(directory) = std::env::var("MILLSTREAM_DATA_DIR") {
            options.data_dir = directory.into();
        }
        if let Ok(address) = std::env::var("MILLSTREAM_KAFKA") {
            options.kafka = address;
        }
        options
    }

    /// Reads arguments; those that are not Millstream's are the program's own and are left alone.
    pub fn from_args(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self::from_environment();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (argument.clone(), None),
            };
            let mut value = || {
                let next = value.clone().or_else(|| arguments.next());
                next.ok_or_else(|| Error::input(format!("argument '{name}' needs a value")))
            };
            match name.as_str() {
                "--data-dir" => options.data_dir = value()?.into(),
                "--kafka" => options.kafka = value()?,
                "--fresh" => options.fresh = true,
                "--from-savepoint" => {
                    let path = value()?;
                    options
                        .configuration
                        .insert("execution.state-recovery.path".to_owned(), path);
                }
                "--config" => options.read_file(&value()?)?,
                "-D" => options.define(&value()?)?,
                other => {
                    if let Some(definition) = other.strip_prefix("-D") {
                        options.define(definition)?;
                    }
                }
            }
        }
        Ok(options)
    }

    fn define(&mut self, definition: &str) -> Result<()> {
        let (key, value) = definition
            .split_once('=')
            .ok_or_else(|| Error::input(format!("'-D {definition}' is not of the form KEY=VALUE")))?;
        self.configuration
            .insert(key.trim().to_owned(), value.trim().to_owned());
        Ok(())
    }

    /// A TOML file of configuration keys; tables are parts of keys.
    fn read_file(&mut self, path: &str) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::input(format!("cannot read the configuration '{path}': {error}")))?;
        let table: toml::Table = text
            .parse()
            .map_err(|error| Error::input(format!("'{path}' is not TOML: {error}")))?;
        flatten(String::new(), table, &mut self.configuration);
        Ok(())
    }
}

fn flatten(prefix: String, table: toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(table) => flatten(key, table, into),
            toml::Value::String(text) => _ = into.insert(key, text),
            other => _ = into.insert(key, other.to_string()),
        }
    }
}

/// Randomness of the operating system.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

struct Standard;

impl PrintTarget for Standard {
    fn print_line(&self, line: &str, to_stderr: bool) {
        // A reader that has gone is not a failure of the job.
        let _ = if to_stderr {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }
}

/// Keeps the runtime and the embedded broker for as long as the environment.
pub(crate) struct Process {
    clusters: Arc<ProcessClusters>,
    reporter: Arc<Mutex<Reporter>>,
    _runtime: Runtime,
}

impl Process {
    pub fn start(options: Options) -> Result<(Host, Self)> {
        log();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads((cores / 2).clamp(1, RUNTIME_THREADS_MAX))
            .thread_name("millstream-io")
            .enable_all()
            .build()
            .map_err(|error| Error::environment(format!("cannot start the runtime: {error}")))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed()));
        let (of_broker, configuration) = options
            .configuration
            .into_iter()
            .partition(|(key, _)| is_broker_config(key));
        let settings = EmbeddedSettings {
            data_dir: options.data_dir.clone(),
            properties: of_broker,
            address: options.kafka,
        };
        let clusters = Arc::new(ProcessClusters::new(
            settings,
            runtime.handle().clone(),
            Arc::clone(&clock),
            Arc::clone(&rng),
        ));
        let place = options.data_dir.display();
        let open = |directory| {
            OsStorage::open(options.data_dir.join(directory)).map_err(|error| {
                Error::environment(format!("cannot open the data directory '{place}': {error}"))
            })
        };
        let checkpoints: Arc<dyn Storage> = Arc::new(open(CHECKPOINT_DIRECTORY)?);
        let jobs = JobRegistry::default();
        let reporter = Reporter::new(Arc::new(open(PROGRAMS_DIRECTORY)?), jobs.clone());
        let reporter = Arc::new(Mutex::new(reporter));
        runtime.spawn(keep_reporting(Arc::clone(&reporter)));
        let host = Host {
            clock,
            rng,
            kafka: Arc::clone(&clusters) as _,
            runtime: runtime.handle().clone(),
            print: Arc::new(Standard),
            jobs,
            checkpoints: Some(checkpoints),
            cores,
            zone_name: millstream_server::machine::zone_name(),
            fresh: options.fresh,
            interrupted: interrupt(&runtime),
            configuration,
        };
        let process = Self {
            clusters,
            reporter,
            _runtime: runtime,
        };
        Ok((host, process))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        report(&self.reporter);
        if let Err(error) = self.clusters.stop() {
            let _ = writeln!(
                std::io::stderr(),
                "the embedded broker did not end cleanly: {error}"
            );
        }
    }
}

/// Tells a server of the same data directory of the jobs, and carries out what it requests.
fn report(reporter: &Mutex<Reporter>) {
    let mut reporter = reporter.lock().unwrap_or_else(PoisonError::into_inner);
    // The program runs on without a report; a server shows the one before.
    let _ = reporter.report();
}

async fn keep_reporting(reporter: Arc<Mutex<Reporter>>) {
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reporter = Arc::clone(&reporter);
        _ = tokio::task::spawn_blocking(move || report(&reporter)).await;
    }
}

/// Says on standard error what goes wrong; `RUST_LOG` says what else. A program that logs by itself keeps its own way.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Whether Ctrl-C or a service manager has requested the program to end. A second signal ends it at once.
fn interrupt(runtime: &Runtime) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    runtime.spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return;
        };
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if set.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        }
    });
    Arc::new(move || flag.load(Ordering::SeqCst))
}
