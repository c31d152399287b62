//! An in-process broker over in-memory storage, and the directives by which conformance files create topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_broker::{BrokerConfig, BrokerHandle, Endpoint};
use millstream_connectors::kafka::KafkaClusters;
use millstream_connectors::kafka::embedded::EmbeddedTransport;
use millstream_dataflow::DataflowError;
use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::{ClientConfig, KafkaClient, ProduceRecord, Producer, TcpTransport, Transport};
use millstream_kafka_wire::KafkaString;
use millstream_testkit::storage::MemStorage;
use millstream_types::{Clock, ErrorKind, SeededRng, SystemClock};
use tokio::runtime::Handle;

/// The address by which files name the broker. No socket listens on it.
pub const BOOTSTRAP: &str = "127.0.0.1:9";

pub struct Clusters {
    runtime: Handle,
    broker: BrokerHandle,
}

impl Clusters {
    pub fn start(runtime: Handle) -> Arc<Self> {
        let properties = BTreeMap::from([("num.partitions".to_owned(), "1".to_owned())]);
        let storage = Arc::new(MemStorage::new());
        let rng = Arc::new(SeededRng::new(7));
        let broker = BrokerHandle::start(BrokerConfig::new(properties), storage, rng, Arc::new(SystemClock));
        Arc::new(Self {
            runtime,
            broker: broker.unwrap(),
        })
    }

    fn embedded(&self) -> Arc<dyn Transport> {
        let (host, port) = BOOTSTRAP.split_once(':').unwrap();
        let endpoint = Endpoint {
            host: host.into(),
            port: port.parse().unwrap(),
        };
        Arc::new(EmbeddedTransport::new(self.broker.clone(), "test", endpoint))
    }

    /// Executes `kafka-topic NAME PARTITIONS` or `kafka-produce TOPIC PARTITION KEY VALUE`.
    pub fn direct(&self, directive: &str) {
        let properties = BTreeMap::from([("bootstrap.servers".to_owned(), BOOTSTRAP.to_owned())]);
        let config = ClientConfig::parse(&properties).unwrap().config;
        let _inside = self.runtime.enter();
        let client = KafkaClient::new(
            config.connection.clone(),
            self.embedded(),
            Arc::new(SeededRng::new(5)),
        );
        let words: Vec<&str> = directive.splitn(4, ' ').collect();
        match words[..] {
            ["kafka-topic", name, partitions] => {
                let topic = NewTopic::new(name, Some(partitions.parse().unwrap()));
                self.runtime.block_on(client.create_topic(topic)).unwrap();
            }
            ["kafka-produce", topic, partition, record] => {
                let mut values = serde_json::Deserializer::from_str(record).into_iter::<Option<String>>();
                let (key, value) = (values.next().unwrap().unwrap(), values.next().unwrap().unwrap());
                let record = ProduceRecord {
                    topic: &KafkaString::from(topic),
                    partition: Some(partition.parse().unwrap()),
                    timestamp: SystemClock.now_ms(),
                    key: key.as_deref().map(str::as_bytes),
                    value: value.as_deref().map(str::as_bytes),
                    headers: &[],
                };
                self.runtime.block_on(async {
                    let producer = Producer::start(client, config.produce.clone());
                    producer.append(&record).await.unwrap();
                    producer.flush().await.unwrap();
                });
            }
            _ => panic!("unknown directive: {directive}"),
        }
    }
}

impl KafkaClusters for Clusters {
    fn transport(&self, properties: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        let servers = properties.get("bootstrap.servers");
        if servers.is_none_or(|servers| servers == BOOTSTRAP) {
            return Ok(self.embedded());
        }
        let input = |error: &dyn std::error::Error| DataflowError::new(ErrorKind::Input, error.to_string());
        let parsed = ClientConfig::parse(properties).map_err(|e| input(&e))?;
        let _inside = self.runtime.enter();
        let transport = TcpTransport::new(parsed.config.connection, Arc::new(SeededRng::new(3)));
        Ok(Arc::new(transport.map_err(|e| input(&e))?))
    }

    /// The files were recorded with an external Kafka.
    fn is_embedded(&self, _: &BTreeMap<String, String>) -> bool {
        false
    }

    fn runtime(&self) -> Handle {
        self.runtime.clone()
    }
}
