//! A broker behind listeners, and clients of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_broker::{BrokerConfig, BrokerHandle};
use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::{ClientConfig, ClientError, KafkaClient};
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;
use millstream_server::kafka::config::ShellConfig;
use millstream_server::kafka::sasl::SaltSecret;
use millstream_server::kafka::{KafkaListeners, ListenError};
use millstream_server::metrics::ShellMetrics;
use millstream_testkit::storage::MemStorage;
use millstream_types::{Clock, ManualClock, SeededRng};

use crate::raw::Raw;

/// 2027, so that tokens have ordinary times.
pub const START_MS: i64 = 1_800_000_000_000;

pub struct Cluster {
    pub broker: BrokerHandle,
    pub listeners: KafkaListeners,
    pub clock: ManualClock,
    pub metrics: Arc<ShellMetrics>,
    storage: Arc<MemStorage>,
}

impl Cluster {
    pub async fn start(properties: &[(&str, &str)]) -> Self {
        Self::try_start(properties)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Listeners are to be on port 0.
    pub async fn try_start(properties: &[(&str, &str)]) -> Result<Self, ListenError> {
        Self::start_on(Arc::new(MemStorage::new()), properties).await
    }

    /// Ends it and starts it again on the same storage.
    pub async fn restart(self, properties: &[(&str, &str)]) -> Self {
        self.listeners.shutdown().await;
        let broker = self.broker;
        tokio::task::spawn_blocking(move || broker.stop())
            .await
            .unwrap()
            .unwrap();
        Self::start_on(self.storage, properties)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    async fn start_on(storage: Arc<MemStorage>, properties: &[(&str, &str)]) -> Result<Self, ListenError> {
        let given: BTreeMap<String, String> = properties
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let config = ShellConfig::parse(&given, "127.0.0.1:0")?;
        let clock = ManualClock::new(START_MS);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let rng = Arc::new(SeededRng::new(7));
        let started = BrokerHandle::start(
            BrokerConfig::new(config.broker.clone()),
            storage.clone(),
            rng,
            shared.clone(),
        );
        let broker = started.unwrap_or_else(|error| panic!("{error}"));
        let metrics = Arc::new(ShellMetrics::new(shared.clone()));
        let salts = SaltSecret::open(storage.as_ref()).unwrap();
        let listeners = KafkaListeners::open(&config, broker.clone(), shared, metrics.clone(), salts).await?;
        Ok(Self {
            broker,
            listeners,
            clock,
            metrics,
            storage,
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

/// Sets or removes configurations of brokers, by number or (with an empty name) of all; gives what the response says.
pub async fn alter_brokers(
    raw: &mut Raw,
    resource: &str,
    configs: &[(&str, Option<&str>)],
) -> (ErrorCode, String) {
    let config = |(name, value): &(&str, Option<&str>)| incremental_alter_configs::AlterableConfig {
        name: (*name).into(),
        config_operation: i8::from(value.is_none()),
        value: value.map(Into::into),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs::AlterConfigsResource {
            resource_type: 4,
            resource_name: resource.into(),
            configs: configs.iter().map(config).collect(),
        }],
        ..Default::default()
    };
    let response = raw.call(1, request).await.unwrap().responses.remove(0);
    (
        response.error_code,
        response.error_message.unwrap_or_default().to_string(),
    )
}

/// Sets or removes how many connections a second may come from an address, or from all others.
pub async fn limit_address(raw: &mut Raw, address: Option<&str>, limit: Option<f64>) -> ErrorCode {
    let op = alter_client_quotas::OpData {
        key: "connection_creation_rate".into(),
        value: limit.unwrap_or_default(),
        remove: limit.is_none(),
    };
    let request = AlterClientQuotasRequest {
        entries: vec![alter_client_quotas::RequestEntryData {
            entity: vec![alter_client_quotas::RequestEntityData {
                entity_type: "ip".into(),
                entity_name: address.map(Into::into),
            }],
            ops: vec![op],
        }],
        validate_only: false,
    };
    raw.call(1, request).await.unwrap().entries[0].error_code
}

/// A file of the test data.
pub fn data(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    path.display().to_string()
}
