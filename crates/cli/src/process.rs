//! What every command needs: the runtime, the clock, randomness, the transport to Kafka.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;

use anyhow::Context;
use millstream_server::kafka::{EmbeddedSettings, ProcessClusters};
use millstream_types::{Clock, Rng, SystemClock};
use tokio::runtime::Runtime;

use crate::args::Common;

/// Maximum runtime threads. The runtime only moves bytes between sockets and channels. It gets half of the cores,
/// because handing over between threads costs more than most of this work.
const RUNTIME_THREADS_MAX: usize = 4;

/// Process-wide singletons.
pub struct Process {
    pub runtime: Runtime,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub clusters: Arc<ProcessClusters>,
}

/// Randomness from the operating system.
#[derive(Debug)]
struct SystemRng;

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        // New hash states are seeded from the system's randomness, which avoids another dependency.
        use std::hash::{BuildHasher, Hasher};
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    }
}

impl Process {
    pub fn start(common: &Common) -> anyhow::Result<Self> {
        if let Some(bytes) = machine_memory() {
            millstream_session::set_memory_limit(bytes / 2);
        }
        millstream_session::set_temporary_directory(&common.data_dir.join("spill").to_string_lossy());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(runtime_threads())
            .thread_name("millstream-io")
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(millstream_types::SeededRng::new(SystemRng.next_u64()));
        let settings = EmbeddedSettings {
            data_dir: common.data_dir.clone(),
            properties: broker_properties(&common.define),
            address: common.kafka.clone(),
        };
        let clusters = ProcessClusters::new(
            settings,
            runtime.handle().clone(),
            Arc::clone(&clock),
            Arc::clone(&rng),
        );
        let clusters = Arc::new(clusters.with_map(common.map.iter().cloned().collect()));
        Ok(Self {
            runtime,
            clock,
            rng,
            clusters,
        })
    }
}

/// Memory of the machine or its container limit; `None` if the system does not report it.
fn machine_memory() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let meminfo = read("/proc/meminfo")?;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = total.trim().trim_end_matches("kB").trim().parse().ok()?;
    // "max" means that the container has no limit.
    let container = read("/sys/fs/cgroup/memory.max").and_then(|max| max.trim().parse::<usize>().ok());
    let machine = kib.saturating_mul(1024);
    Some(container.map_or(machine, |container| container.min(machine)))
}

fn runtime_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).clamp(1, RUNTIME_THREADS_MAX)
}

/// The definitions that are Kafka broker configurations; the others are Flink's.
fn broker_properties(define: &[(String, String)]) -> BTreeMap<String, String> {
    define
        .iter()
        .filter(|(key, _)| is_broker_config(key))
        .cloned()
        .collect()
}

/// Whether a key is one of Kafka's broker configurations.
pub fn is_broker_config(key: &str) -> bool {
    millstream_server::kafka::is_broker_config(key)
}
