//! A Kafka client for the benches: the same for the broker here and for a real one, so that both hold the same bytes.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use millstream_kafka_client::admin::{NewTopic, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{
    ClientConfig, FetchEvent, Fetcher, KafkaClient, ProduceRecord, Producer, TopicPartition,
};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::record_batch::RecordColumns;
use tokio::runtime::Runtime;

use super::events::Events;

/// Decompressed bytes of a record batch.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// Bytes taken from the fetcher at a time.
const TAKE_BYTES: usize = 4 << 20;

/// A connection to a cluster.
pub struct Cluster {
    runtime: Runtime,
    client: KafkaClient,
    address: String,
}

/// Takes a record.
pub type Send<'a> = &'a mut dyn FnMut(Record<'_>) -> anyhow::Result<()>;

/// A record to send.
pub struct Record<'a> {
    pub partition: i32,
    pub timestamp: i64,
    pub value: &'a [u8],
}

impl Cluster {
    pub fn connect(address: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let config = config(address, &[])?;
        let client = runtime.block_on(async { KafkaClient::connect(&config) })?;
        Ok(Self {
            runtime,
            client,
            address: address.to_owned(),
        })
    }

    pub fn create(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        let topic = NewTopic::new(topic, Some(partitions));
        Ok(self.runtime.block_on(self.client.create_topic(topic))?)
    }

    /// Makes a topic whose name begins like this, and gives its name.
    pub fn create_new(&self, prefix: &str, partitions: i32) -> anyhow::Result<String> {
        let existing = self.runtime.block_on(self.client.list_topics())?;
        let name = format!("{prefix}-{}", existing.topics.len());
        self.create(&name, partitions)?;
        Ok(name)
    }

    /// Sends what `records` gives, with client properties; returns when all is acknowledged.
    pub fn produce(
        &self,
        topic: &str,
        properties: &[(&str, &str)],
        records: impl FnOnce(Send<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let config = config(&self.address, properties)?;
        let topic = KafkaString::from(&topic.to_owned());
        let _inside = self.runtime.enter();
        let producer = Producer::start(self.client.clone(), config.produce);
        records(&mut |record| {
            let record = ProduceRecord {
                topic: &topic,
                partition: Some(record.partition),
                timestamp: record.timestamp,
                key: None,
                value: Some(record.value),
                headers: &[],
            };
            if producer.try_append(&record).is_err() {
                self.runtime.block_on(producer.append(&record))?;
            }
            Ok(())
        })?;
        Ok(self.runtime.block_on(producer.flush())?)
    }

    /// Makes a topic of one partition with events in batches of 512 KiB.
    pub fn load_events(&self, topic: &str, count: u64, keys: u64, codec: &str) -> anyhow::Result<()> {
        self.create(topic, 1)?;
        let properties = [
            ("compression.type", codec),
            ("batch.size", "524288"),
            ("linger.ms", "1000"),
            ("buffer.memory", "67108864"),
        ];
        let (mut events, mut value) = (Events::new(keys), Vec::new());
        self.produce(topic, &properties, |send| {
            for _ in 0..count {
                let timestamp = events.write(&mut value)?;
                send(Record {
                    partition: 0,
                    timestamp,
                    value: &value,
                })?;
            }
            Ok(())
        })
    }

    /// Reads what is in the topic now; `each` gets every value. Returns how many there were.
    pub fn read(&self, topic: &str, partitions: i32, mut each: impl FnMut(&[u8])) -> anyhow::Result<u64> {
        let partitions: Vec<TopicPartition> =
            (0..partitions).map(|p| TopicPartition::new(topic, p)).collect();
        let wanted = partitions
            .iter()
            .map(|p| (p.clone(), OffsetSpec::Latest))
            .collect();
        let isolation = IsolationLevel::ReadUncommitted;
        let ends = self
            .runtime
            .block_on(self.client.list_offsets(&wanted, isolation))?;
        let mut open: BTreeMap<TopicPartition, i64> = ends.into_iter().map(|(p, e)| (p, e.offset)).collect();
        open.retain(|_, end| *end > 0);
        let config = config(&self.address, &[("max.partition.fetch.bytes", "4194304")])?;
        let _inside = self.runtime.enter();
        let fetcher = Fetcher::start(self.client.clone(), config.fetch);
        for partition in open.keys() {
            fetcher.assign(partition.clone(), 0);
        }
        let mut count = 0;
        let (mut decompressor, mut columns) = (Decompressor::new(), RecordColumns::new(false, false));
        while !open.is_empty() {
            self.runtime.block_on(fetcher.ready());
            for event in fetcher.poll(TAKE_BYTES) {
                let FetchEvent::Records(records) = event else {
                    bail!("topic '{topic}' cannot be read: {event:?}");
                };
                for fetched in &records.batches {
                    let data = fetched.batch.records_data(&mut decompressor, BATCH_BYTES_MAX)?;
                    columns.clear();
                    columns.append(&fetched.batch.header, &data, fetched.from_offset)?;
                    columns
                        .values
                        .iter()
                        .filter_map(|v| v.of(&data))
                        .for_each(&mut each);
                    count += columns.len() as u64;
                }
                if open
                    .get(&records.partition)
                    .is_some_and(|end| records.next_offset >= *end)
                {
                    open.remove(&records.partition);
                    fetcher.unassign(&records.partition);
                }
            }
        }
        Ok(count)
    }
}

fn config(address: &str, properties: &[(&str, &str)]) -> anyhow::Result<ClientConfig> {
    let mut settings = BTreeMap::from([("bootstrap.servers".to_owned(), address.to_owned())]);
    settings.extend(properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let parsed = ClientConfig::parse(&settings).context("client properties")?;
    Ok(parsed.config)
}
