//! The client of the embedded broker that all handlers share, and looks at the broker itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use millstream_broker::Measure;
use millstream_connectors::kafka::KafkaClusters;
use millstream_kafka_client::{ClientConfig, KafkaClient};
use tokio::sync::{OnceCell, oneshot};

use super::error::{UiError, UiResult};
use crate::state::ServerState;

/// Connected at the first request that needs it.
pub struct Kafka {
    server: Arc<ServerState>,
    connected: OnceCell<(KafkaClient, ClientConfig)>,
}

impl Kafka {
    pub fn new(server: Arc<ServerState>) -> Self {
        Self {
            server,
            connected: OnceCell::new(),
        }
    }

    pub async fn client(&self) -> UiResult<&KafkaClient> {
        Ok(&self.connected().await?.0)
    }

    /// The client with its settings for producing.
    pub async fn connected(&self) -> UiResult<&(KafkaClient, ClientConfig)> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> UiResult<(KafkaClient, ClientConfig)> {
        // An address has to be there for the settings to parse; the embedded broker is meant whatever it is.
        let settings = BTreeMap::from([
            ("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned()),
            ("client.id".to_owned(), "millstream-ui".to_owned()),
        ]);
        let unavailable = |message: String| UiError::new(StatusCode::SERVICE_UNAVAILABLE, message);
        let config = ClientConfig::parse(&settings)
            .map_err(|e| unavailable(e.to_string()))?
            .config;
        let clusters = Arc::clone(self.server.clusters());
        let embedded = BTreeMap::from([("client.id".to_owned(), "millstream-ui".to_owned())]);
        // Starting the broker blocks, if it does not run yet.
        let transport = tokio::task::spawn_blocking(move || clusters.transport(&embedded))
            .await
            .map_err(|e| unavailable(e.to_string()))?
            .map_err(|e| unavailable(e.message))?;
        let client = KafkaClient::new(config.connection.clone(), transport, self.server.rng());
        Ok((client, config))
    }

    /// Everything that the broker measures, at one moment.
    pub async fn measure(&self) -> UiResult<Measure> {
        let stopped = || UiError::new(StatusCode::SERVICE_UNAVAILABLE, "the broker has stopped");
        let broker = self.server.clusters().embedded_handle().ok_or_else(stopped)?;
        let (found, measured) = oneshot::channel();
        let look = move |broker: &mut millstream_broker::Broker| _ = found.send(broker.measure());
        broker.post(look).map_err(|_| stopped())?;
        measured.await.map_err(|_| stopped())
    }
}
