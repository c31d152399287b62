//! The embedded broker: one for the process, started on first use.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millstream_broker::{BrokerConfig, BrokerHandle, Endpoint, StartError};
use millstream_types::storage::OsStorage;
use millstream_types::{Clock, Rng};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Handle;

use super::config::{ShellConfig, ShellConfigError};
use super::gate::Gate;
use super::listener::{KafkaListeners, ListenError, OpenListener};
use super::sasl::SaltSecret;
use crate::metrics::ShellMetrics;
use crate::open_files;

/// Directory of the broker's log below the data directory.
pub const BROKER_DIRECTORY: &str = "broker";

/// Why the embedded broker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("cannot use the data directory '{path}'")]
    Directory {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the broker on '{path}'")]
    Start {
        path: String,
        #[source]
        source: Box<StartError>,
    },
    #[error("cannot start the broker")]
    Config(#[from] ShellConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// A number that no client can guess, even one that has seen the process's other random numbers.
fn wal_salt() -> std::io::Result<u64> {
    let mut salt = [0; 8];
    let filled = SystemRandom::new().fill(&mut salt);
    filled.map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    Ok(u64::from_le_bytes(salt))
}

/// A running broker with its open ports.
#[derive(Debug)]
pub struct EmbeddedBroker {
    pub handle: BrokerHandle,
    listeners: KafkaListeners,
    metrics: Arc<ShellMetrics>,
    runtime: Handle,
}

impl EmbeddedBroker {
    /// Starts a broker on `data_dir` with Kafka's broker configurations `properties`. It listens on `address`, without
    /// authentication, unless `listeners` is among them. Must be called inside a tokio runtime.
    pub async fn start(
        data_dir: &Path,
        properties: BTreeMap<String, String>,
        address: &str,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, EmbeddedError> {
        let config = ShellConfig::parse(&properties, address)?;
        // Before the log is opened, because recovery has many files open.
        open_files::raise();
        let directory = data_dir.join(BROKER_DIRECTORY);
        let path = directory.display().to_string();
        let io = |source| EmbeddedError::Directory {
            path: data_dir.display().to_string(),
            source,
        };
        let storage = OsStorage::open(&directory).map_err(io)?;
        let mut properties = config.broker.clone();
        // Administrators see the absolute path of the log, however the command line named it.
        let shown = std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
        properties
            .entry("log.dirs".to_owned())
            .or_insert_with(|| shown.display().to_string());
        // Opening recovers the log, which may take seconds after a crash: not on a thread of the runtime.
        let storage = Arc::new(storage);
        let of_log = storage.clone();
        let of_broker = clock.clone();
        let mut of_start = BrokerConfig::new(properties);
        of_start.log.wal_salt = wal_salt().map_err(io)?;
        let start = move || BrokerHandle::start(of_start, of_log, rng, of_broker);
        let handle = tokio::task::spawn_blocking(start)
            .await
            .map_err(|e| EmbeddedError::Directory {
                path: path.clone(),
                source: std::io::Error::other(e),
            })?
            .map_err(|source| EmbeddedError::Start {
                path,
                source: Box::new(source),
            })?;
        // Behind the log's lock: no other process does the same.
        let salts = SaltSecret::open(storage.as_ref()).map_err(io)?;
        let metrics = Arc::new(ShellMetrics::new(clock.clone()));
        let listeners = KafkaListeners::open(&config, handle.clone(), clock, metrics.clone(), salts).await?;
        Ok(Self {
            handle,
            listeners,
            metrics,
            runtime: Handle::current(),
        })
    }

    /// Where clients reach the first of the listeners.
    pub fn endpoint(&self) -> Endpoint {
        let first = self.listeners.all().first();
        first.map_or_else(no_endpoint, |listener| listener.endpoint.clone())
    }

    /// All open ports.
    pub fn listeners(&self) -> &[OpenListener] {
        self.listeners.all()
    }

    /// Counters of the listeners.
    pub fn metrics(&self) -> Arc<ShellMetrics> {
        self.metrics.clone()
    }

    /// How many connections there are.
    pub fn gate(&self) -> Arc<Gate> {
        self.listeners.gate()
    }

    /// Stops the broker cleanly: completes requests in flight, makes all appends durable, and writes a checkpoint so
    /// that the next start needs no recovery. Blocks, and must not be called on a thread of the runtime.
    pub fn stop(self) -> Result<(), millstream_log::LogError> {
        self.runtime.block_on(self.listeners.shutdown());
        self.handle.stop()
    }
}

/// Placeholder for an address; there is always a listener.
fn no_endpoint() -> Endpoint {
    Endpoint {
        host: millstream_kafka_wire::KafkaString::EMPTY,
        port: -1,
    }
}
