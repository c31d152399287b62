//! The broker inside: one for the process, started when somebody needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millstream_broker::{BrokerConfig, BrokerHandle, Endpoint, StartError};
use millstream_types::storage::OsStorage;
use millstream_types::{Clock, Rng};

use super::listener::{KafkaListener, ListenError, endpoint_of};

/// Directory of the broker's log below the data directory.
pub const BROKER_DIRECTORY: &str = "broker";

/// Why the broker inside could not be started.
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
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// A running broker with its open port.
#[derive(Debug)]
pub struct EmbeddedBroker {
    pub handle: BrokerHandle,
    listener: KafkaListener,
}

impl EmbeddedBroker {
    /// Starts a broker on `data_dir` with Kafka's broker configurations `properties`, listening on `address`. Must be
    /// called inside a tokio runtime.
    pub async fn start(
        data_dir: &Path,
        properties: BTreeMap<String, String>,
        address: &str,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, EmbeddedError> {
        let directory = data_dir.join(BROKER_DIRECTORY);
        let path = directory.display().to_string();
        let io = |source| EmbeddedError::Directory {
            path: data_dir.display().to_string(),
            source,
        };
        std::fs::create_dir_all(&directory).map_err(io)?;
        let storage = OsStorage::open(&directory).map_err(io)?;
        let mut properties = properties;
        // Administrators are told where the log is, whatever the directory was called on the command line.
        let shown = std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
        properties
            .entry("log.dirs".to_owned())
            .or_insert_with(|| shown.display().to_string());
        // Opening recovers the log, which may take seconds after a crash: not on a thread of the runtime.
        let start = move || BrokerHandle::start(BrokerConfig::new(properties), Arc::new(storage), rng, clock);
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
        let listener = KafkaListener::open(address, handle.clone()).await?;
        Ok(Self { handle, listener })
    }

    /// Where clients reach the broker.
    pub fn endpoint(&self) -> Endpoint {
        endpoint_of(self.listener.address())
    }

    /// Ends the broker cleanly: what was appended is durable, the next start needs no recovery. Blocks.
    pub fn stop(self) -> Result<(), millstream_log::LogError> {
        drop(self.listener);
        self.handle.stop()
    }
}
