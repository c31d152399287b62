//! A Kafka client for the benches: the same for the broker here and for a real one, so that both hold the same bytes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};
use millstream_kafka_client::admin::{NewTopic, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{
    ClientConfig, FetchEvent, FetchedRecords, Fetcher, KafkaClient, ProduceRecord, Producer, TopicPartition,
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

/// How long a reader waits for the next records.
const PATIENCE: Duration = Duration::from_secs(60);
/// ApiVersions in version 0, as the request number 7 of a client without a name: the first request of most clients.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
/// How long a broker that took the connection may take to respond.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

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

    /// Makes a topic that keeps its records: those of the benches have times long ago.
    pub fn create(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        let mut topic = NewTopic::new(topic, Some(partitions));
        topic.configs.insert("retention.ms".to_owned(), "-1".to_owned());
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
        self.load(topic, 1, count, Events::new(keys), codec)
    }

    /// Makes a topic with events in batches of 512 KiB, in turn over its partitions.
    pub fn load(
        &self,
        topic: &str,
        partitions: i32,
        count: u64,
        mut events: Events,
        codec: &str,
    ) -> anyhow::Result<()> {
        self.create(topic, partitions)?;
        let properties = [
            ("compression.type", codec),
            ("batch.size", "524288"),
            ("linger.ms", "1000"),
            ("buffer.memory", "67108864"),
        ];
        let mut value = Vec::new();
        self.produce(topic, &properties, |send| {
            for number in 0..count {
                let timestamp = events.write(&mut value)?;
                send(Record {
                    partition: (number % partitions as u64) as i32,
                    timestamp,
                    value: &value,
                })?;
            }
            Ok(())
        })
    }

    /// How many records were written to a topic.
    pub fn count(&self, topic: &str, partitions: i32) -> anyhow::Result<u64> {
        let ends = self.ends(topic, partitions)?;
        Ok(ends.values().map(|end| end.unsigned_abs()).sum())
    }

    pub fn delete(&self, topic: &str) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.client.delete_topic(topic))?)
    }

    fn ends(&self, topic: &str, partitions: i32) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
        let wanted = (0..partitions)
            .map(|partition| (TopicPartition::new(topic, partition), OffsetSpec::Latest))
            .collect();
        let isolation = IsolationLevel::ReadUncommitted;
        let ends = self
            .runtime
            .block_on(self.client.list_offsets(&wanted, isolation))?;
        Ok(ends.into_iter().map(|(p, e)| (p, e.offset)).collect())
    }

    /// Reads what is in the topic now; `each` gets every value. Returns how many there were.
    pub fn read(&self, topic: &str, partitions: i32, each: impl FnMut(&[u8])) -> anyhow::Result<u64> {
        let mut open = self.ends(topic, partitions)?;
        open.retain(|_, end| *end > 0);
        if open.is_empty() {
            return Ok(0);
        }
        let fetcher = self.fetcher(open.keys(), &[("max.partition.fetch.bytes", "4194304")])?;
        self.fetch(&fetcher, each, |records, _| {
            if open
                .get(&records.partition)
                .is_some_and(|end| records.next_offset >= *end)
            {
                open.remove(&records.partition);
                fetcher.unassign(&records.partition);
            }
            open.is_empty()
        })
    }

    /// Reads that many records of a topic as they come; `each` gets every value.
    pub fn follow(
        &self,
        topic: &str,
        partitions: i32,
        records: u64,
        each: impl FnMut(&[u8]),
    ) -> anyhow::Result<u64> {
        let partitions: Vec<TopicPartition> =
            (0..partitions).map(|p| TopicPartition::new(topic, p)).collect();
        let fetcher = self.fetcher(partitions.iter(), &[])?;
        self.fetch(&fetcher, each, |_, count| count >= records)
    }

    /// Fetches partitions from their beginning.
    fn fetcher<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
        properties: &[(&str, &str)],
    ) -> anyhow::Result<Fetcher> {
        let config = config(&self.address, properties)?;
        let _inside = self.runtime.enter();
        let fetcher = Fetcher::start(self.client.clone(), config.fetch);
        for partition in partitions {
            fetcher.assign(partition.clone(), 0);
        }
        Ok(fetcher)
    }

    /// Takes what a fetcher gives until `is_done`, which is asked after each response with the number of records so far.
    fn fetch(
        &self,
        fetcher: &Fetcher,
        mut each: impl FnMut(&[u8]),
        mut is_done: impl FnMut(&FetchedRecords, u64) -> bool,
    ) -> anyhow::Result<u64> {
        let mut count = 0;
        let (mut decompressor, mut columns) = (Decompressor::new(), RecordColumns::new(false, false));
        loop {
            self.runtime
                .block_on(async { tokio::time::timeout(PATIENCE, fetcher.ready()).await })
                .with_context(|| format!("nothing came for {} s", PATIENCE.as_secs()))?;
            let mut is_last = false;
            for event in fetcher.poll(TAKE_BYTES) {
                let FetchEvent::Records(records) = event else {
                    bail!("a topic cannot be read: {event:?}");
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
                is_last = is_done(&records, count);
            }
            if is_last {
                return Ok(count);
            }
        }
    }
}

/// Whether a server at this address speaks Kafka's protocol.
pub fn responds(address: &str) -> bool {
    let ask = || -> std::io::Result<[u8; 8]> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        socket.write_all(&API_VERSIONS)?;
        let mut response = [0; 8];
        socket.read_exact(&mut response)?;
        Ok(response)
    };
    // Behind the length comes the number of the request.
    ask().is_ok_and(|response| response[4..] == API_VERSIONS[8..12])
}

fn config(address: &str, properties: &[(&str, &str)]) -> anyhow::Result<ClientConfig> {
    let mut settings = BTreeMap::from([("bootstrap.servers".to_owned(), address.to_owned())]);
    settings.extend(properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let parsed = ClientConfig::parse(&settings).context("client properties")?;
    Ok(parsed.config)
}
