//! A broker behind listeners, and clients of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_broker::{BrokerConfig, BrokerHandle};
use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::{ClientConfig, ClientError, KafkaClient};
use millstream_server::kafka::config::ShellConfig;
use millstream_server::kafka::{KafkaListeners, ListenError};
use millstream_server::metrics::ShellMetrics;
use millstream_testkit::storage::MemStorage;
use millstream_types::{Clock, ManualClock, SeededRng};

/// 2027, so that tokens have ordinary times.
pub const START_MS: i64 = 1_800_000_000_000;

pub struct Cluster {
    pub broker: BrokerHandle,
    pub listeners: KafkaListeners,
    pub clock: ManualClock,
    pub metrics: Arc<ShellMetrics>,
}

impl Cluster {
    pub async fn start(properties: &[(&str, &str)]) -> Self {
        Self::try_start(properties)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Listeners are to be on port 0.
    pub async fn try_start(properties: &[(&str, &str)]) -> Result<Self, ListenError> {
        let given: BTreeMap<String, String> = properties
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let config = ShellConfig::parse(&given, "127.0.0.1:0")?;
        let clock = ManualClock::new(START_MS);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let rng = Arc::new(SeededRng::new(7));
        let storage = Arc::new(MemStorage::new());
        let started = BrokerHandle::start(
            BrokerConfig::new(config.broker.clone()),
            storage,
            rng,
            shared.clone(),
        );
        let broker = started.unwrap_or_else(|error| panic!("{error}"));
        let metrics = Arc::new(ShellMetrics::new(shared.clone()));
        let listeners = KafkaListeners::open(&config, broker.clone(), shared, metrics.clone()).await?;
        Ok(Self {
            broker,
            listeners,
            clock,
            metrics,
        })
    }

    /// The port of a listener.
    pub fn port(&self, listener: &str) -> u16 {
        let open = self.listeners.all().iter().find(|open| open.name == listener);
        open.expect("a listener of this name").address.port()
    }

    /// A client with these settings.
    pub fn client(&self, listener: &str, settings: &[(&str, &str)]) -> KafkaClient {
        let address = format!("127.0.0.1:{}", self.port(listener));
        let mut all = vec![
            ("bootstrap.servers", address.as_str()),
            ("default.api.timeout.ms", "20000"),
            ("reconnect.backoff.ms", "1"),
        ];
        all.extend(settings);
        let all = all
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let parsed = ClientConfig::parse(&all).unwrap_or_else(|error| panic!("{error}"));
        KafkaClient::connect(&parsed.config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Creates a topic, which only super users may where there is an authorizer.
    pub async fn create(
        &self,
        listener: &str,
        settings: &[(&str, &str)],
        topic: &str,
    ) -> Result<(), ClientError> {
        self.client(listener, settings)
            .create_topic(NewTopic::new(topic, Some(1)))
            .await
    }
}

/// A file of the test data.
pub fn data(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    path.display().to_string()
}
