//! Topics as they are: their names, and the newest records of one, from which a table is inferred.
//!
//! Blocks until the cluster has responded. Records are those that readers of committed records see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use millstream_dataflow::DataflowError;
use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{
    ClientConfig, ClientError, FetchEvent, FetchedBatch, Fetcher, KafkaClient, TopicPartition,
};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_types::limits::{TOPIC_SAMPLE_BYTES_MAX, TOPIC_SAMPLE_PARTITIONS_MAX, TOPIC_SAMPLE_RECORDS};
use millstream_types::{ErrorKind, Rng};

use super::KafkaClusters;
use super::splits::client_failed;

/// How long a cluster may take to give its names or its newest records. Statements wait for this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes taken from the fetcher at a time.
const POLL_BYTES: usize = 1 << 20;

/// Key and value of a record.
pub type SampledRecord = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A cluster whose topics are looked at.
pub struct TopicReader {
    client: KafkaClient,
    config: ClientConfig,
    runtime: tokio::runtime::Handle,
}

impl TopicReader {
    /// `properties` are client properties; without `bootstrap.servers` they mean the embedded broker.
    pub fn new(
        clusters: &dyn KafkaClusters,
        properties: &BTreeMap<String, String>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, DataflowError> {
        let mut settings = properties.clone();
        settings
            .entry("bootstrap.servers".to_owned())
            .or_insert_with(|| "127.0.0.1:9092".to_owned());
        let mut config = ClientConfig::parse(&settings)
            .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))?
            .config;
        config.connection.api_timeout = config.connection.api_timeout.min(PATIENCE);
        config.fetch.isolation_level = IsolationLevel::ReadCommitted;
        let transport = clusters.transport(properties)?;
        Ok(Self {
            client: KafkaClient::new(config.connection.clone(), transport, rng),
            config,
            runtime: clusters.runtime(),
        })
    }

    /// The names of the topics, without internal ones, sorted.
    pub fn names(&self) -> Result<Vec<String>, DataflowError> {
        let client = self.client.clone();
        let listed = self.wait(async move { client.list_topics().await })?;
        let metadata = listed.map_err(|error| client_failed("cannot list the topics", &error))?;
        let named = metadata.topics.iter().filter(|(_, topic)| !topic.is_internal);
        let mut names: Vec<String> = named.map(|(name, _)| name.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// The newest records of each partition; `None` if there is no such topic.
    pub fn sample(&self, topic: &str) -> Result<Option<Vec<SampledRecord>>, DataflowError> {
        let (client, config) = (self.client.clone(), self.config.clone());
        let name = KafkaString::from(topic);
        let sampled = self.wait(async move { sample(client, &config, name).await })?;
        match sampled {
            Ok(records) => Ok(Some(records)),
            Err(error)
                if matches!(
                    error.code(),
                    Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::INVALID_TOPIC_EXCEPTION)
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(client_failed(
                &format!("cannot read the newest records of topic '{topic}'"),
                &error,
            )),
        }
    }

    /// Waits on a thread that may itself belong to a runtime, so nothing is polled here.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, DataflowError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let result = tokio::time::timeout(2 * PATIENCE, work).await;
            _ = sender.send(result);
        });
        match receiver.recv() {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(DataflowError::new(
                ErrorKind::Environment,
                format!(
                    "the Kafka cluster did not respond within {} s",
                    2 * PATIENCE.as_secs()
                ),
            )),
        }
    }
}

async fn sample(
    client: KafkaClient,
    config: &ClientConfig,
    topic: KafkaString,
) -> Result<Vec<SampledRecord>, ClientError> {
    let ranges = ranges(&client, &topic).await?;
    let fetcher = Fetcher::start(client, config.fetch.clone());
    let mut open = BTreeMap::new();
    for (partition, (from, to)) in ranges {
        fetcher.assign(partition.clone(), from);
        open.insert(partition, to);
    }
    let mut sample = Sample::default();
    let read = async {
        while !open.is_empty() && !sample.is_full() {
            fetcher.ready().await;
            for event in fetcher.poll(POLL_BYTES) {
                match event {
                    FetchEvent::Records(records) => {
                        let end = open.get(&records.partition).copied().unwrap_or(0);
                        records.batches.iter().for_each(|batch| sample.take(batch, end));
                        if records.next_offset >= end {
                            fetcher.unassign(&records.partition);
                            open.remove(&records.partition);
                        }
                    }
                    FetchEvent::Reset { .. } => {}
                    FetchEvent::Failed { error, .. } => return Err(error),
                }
            }
        }
        Ok(())
    };
    // What has arrived by then is a sample too.
    tokio::time::timeout(PATIENCE, read).await.unwrap_or(Ok(()))?;
    Ok(sample.records)
}

/// Where the newest records of each partition begin and end.
async fn ranges(
    client: &KafkaClient,
    topic: &KafkaString,
) -> Result<BTreeMap<TopicPartition, (i64, i64)>, ClientError> {
    let metadata = client.topics(std::slice::from_ref(topic), false).await?;
    let partitions: Vec<TopicPartition> = metadata
        .topic(topic)
        .into_iter()
        .flat_map(|found| &found.partitions)
        .take(TOPIC_SAMPLE_PARTITIONS_MAX)
        .map(|found| TopicPartition::new(topic.clone(), found.partition))
        .collect();
    let wanted = |spec: OffsetSpec| partitions.iter().map(|p| (p.clone(), spec)).collect();
    let isolation = IsolationLevel::ReadCommitted;
    let starts = client
        .list_offsets(&wanted(OffsetSpec::Earliest), isolation)
        .await?;
    let ends = client
        .list_offsets(&wanted(OffsetSpec::Latest), isolation)
        .await?;
    let each = (TOPIC_SAMPLE_RECORDS / partitions.len().max(1)).max(1);
    let each = i64::try_from(each).unwrap_or(i64::MAX);
    let mut ranges = BTreeMap::new();
    for (partition, start) in starts {
        let end = ends.get(&partition).map_or(0, |end| end.offset);
        if end > start.offset {
            ranges.insert(partition, ((end - each).max(start.offset), end));
        }
    }
    Ok(ranges)
}

/// Records that were read, up to a number and a size.
#[derive(Default)]
struct Sample {
    records: Vec<SampledRecord>,
    bytes: usize,
}

impl Sample {
    fn is_full(&self) -> bool {
        self.bytes >= TOPIC_SAMPLE_BYTES_MAX
    }

    /// Takes the records of a batch below `end`. A batch that cannot be read gives none: the query reports it.
    fn take(&mut self, fetched: &FetchedBatch, end: i64) {
        let Ok(data) = fetched
            .batch
            .records_data(&mut Decompressor::new(), TOPIC_SAMPLE_BYTES_MAX)
        else {
            return;
        };
        for record in fetched.batch.records(&data).map_while(Result::ok) {
            if record.offset < fetched.from_offset || record.offset >= end || self.is_full() {
                continue;
            }
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            self.bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + 1;
            self.records.push((owned(record.key), owned(record.value)));
        }
    }
}
