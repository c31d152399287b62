//! The partitions that an instance reads, with start and end offsets.

use std::collections::BTreeMap;

use millstream_dataflow::{DataflowError, StateBlocks};
use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::config::{IsolationLevel, OffsetReset};
use millstream_kafka_client::{ClientConfig, ClientError, KafkaClient, TopicPartition};
use millstream_kafka_wire::KafkaString;
use millstream_types::ErrorKind;
use serde::{Deserialize, Serialize};

use super::options::{Bounded, KafkaTable, Startup, Topics};
use super::source::TopicIds;

/// A partition with its range of offsets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Split {
    pub topic: String,
    pub partition: i32,
    /// Offset of the next record.
    pub position: i64,
    /// End offset (exclusive); `None`: unbounded.
    pub stop: Option<i64>,
    /// Last watermark, for restoring.
    pub watermark: i64,
    /// Id of the topic, if the broker gives topics ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
}

impl Split {
    pub fn key(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }

    pub fn is_done(&self) -> bool {
        self.stop.is_some_and(|stop| self.position >= stop)
    }
}

const SPLITS_BLOCK: &str = "splits";
/// The assignment to use until the instance has discovered its partitions.
const PARTLY_BLOCK: &str = "partly";
const SPLITS_VERSION: u8 = 1;

/// An instance's partitions in a checkpoint. `is_complete` says that all partitions that existed at the start are
/// known.
pub fn freeze(splits: &[Split], is_complete: bool) -> Result<StateBlocks, DataflowError> {
    let mut bytes = vec![SPLITS_VERSION];
    serde_json::to_writer(&mut bytes, splits).map_err(|e| DataflowError::internal(e.to_string()))?;
    let block = if is_complete { SPLITS_BLOCK } else { PARTLY_BLOCK };
    Ok(StateBlocks::single(block, bytes))
}

/// The partitions of all former instances, and whether these are all that existed at the start.
pub fn thaw(blocks: &[StateBlocks]) -> Result<(Vec<Split>, bool), DataflowError> {
    let mut splits: Vec<Split> = Vec::new();
    for block in blocks {
        let bytes = block.get(SPLITS_BLOCK).or(block.get(PARTLY_BLOCK));
        let Some([SPLITS_VERSION, json @ ..]) = bytes else {
            let message = "the state of a Kafka source has an unknown version";
            return Err(DataflowError::internal(message));
        };
        let own: Vec<Split> =
            serde_json::from_slice(json).map_err(|e| DataflowError::internal(e.to_string()))?;
        splits.extend(own);
    }
    let is_complete = blocks.iter().all(|block| block.get(SPLITS_BLOCK).is_some());
    Ok((splits, is_complete))
}

/// Parameters of split resolution.
#[derive(Clone)]
pub struct Resolver {
    pub client: KafkaClient,
    pub config: ClientConfig,
    pub table: KafkaTable,
    /// The group whose offsets are read and committed.
    pub group: String,
    /// Whether a metadata request may create a missing topic: for an unbounded read of the embedded broker.
    pub allow_auto_create: bool,
    pub subtask: usize,
    pub parallelism: usize,
}

/// A client's error and the operation that failed.
pub fn client_failed(action: &str, error: &ClientError) -> DataflowError {
    DataflowError::new(error.kind(), with_causes(action, error))
}

/// The operation, the error, and its causes on one line.
pub fn with_causes(action: &str, error: &(dyn std::error::Error + 'static)) -> String {
    format!("{action}: {}", millstream_kafka_client::error::with_causes(error))
}

impl Resolver {
    /// The partitions of this instance, by name, and the ids of their topics; errors name missing topics.
    pub async fn partitions(&self) -> Result<(Vec<TopicPartition>, TopicIds), DataflowError> {
        let failed = |e: &ClientError| client_failed("cannot look up topics", e);
        let (metadata, names) = match &self.table.topics {
            Topics::Names(names) => {
                let names: Vec<KafkaString> = names.iter().map(KafkaString::from).collect();
                let metadata = match self.client.topics(&names, self.allow_auto_create).await {
                    Ok(metadata) => metadata,
                    Err(error) => return Err(self.missing(&error).unwrap_or_else(|| failed(&error))),
                };
                (metadata, names)
            }
            Topics::Pattern(pattern) => {
                let regex = regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|e| {
                    DataflowError::new(
                        ErrorKind::Input,
                        format!("invalid 'topic-pattern' '{pattern}': {e}"),
                    )
                })?;
                let metadata = self.client.list_topics().await.map_err(|e| failed(&e))?;
                let matching = |name: &&KafkaString| regex.is_match(name.as_str());
                let mut names: Vec<KafkaString> = metadata
                    .topics
                    .values()
                    .filter(|t| !t.is_internal)
                    .map(|t| &t.name)
                    .filter(matching)
                    .cloned()
                    .collect();
                names.sort();
                (metadata, names)
            }
        };
        let (mut partitions, mut ids) = (Vec::new(), TopicIds::new());
        for name in &names {
            let Some(topic) = metadata.topic(name.as_str()) else {
                continue;
            };
            if !topic.id.is_zero() {
                ids.insert(name.as_str().to_owned(), topic.id.to_string());
            }
            partitions.extend(
                topic
                    .partitions
                    .iter()
                    .map(|p| TopicPartition::new(name.clone(), p.partition)),
            );
        }
        partitions.retain(|p| owner(p, self.parallelism) == self.subtask);
        partitions.sort();
        Ok((partitions, ids))
    }

    fn missing(&self, error: &ClientError) -> Option<DataflowError> {
        use millstream_kafka_wire::ErrorCode;
        let unknown = matches!(
            error.code(),
            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::INVALID_TOPIC_EXCEPTION)
        );
        unknown.then(|| {
            let Topics::Names(names) = &self.table.topics else {
                return DataflowError::new(ErrorKind::Environment, "a topic is missing");
            };
            let message = format!(
                "topic '{}' does not exist (no partitions to read); create it, for example with: millstream topic create {}",
                names.join("', '"),
                names.first().map_or("NAME", String::as_str)
            );
            DataflowError::new(ErrorKind::Environment, message)
        })
    }

    /// Splits of new partitions: those that existed at the start, or (`discovered`) later ones, which are read from the
    /// beginning.
    pub async fn splits(
        &self,
        partitions: &[TopicPartition],
        discovered: bool,
    ) -> Result<Vec<Split>, DataflowError> {
        let start = if discovered {
            Startup::Earliest
        } else {
            self.table.startup.clone()
        };
        let starts = self.starts(partitions, &start).await?;
        let stops = self.stops(partitions).await?;
        let split = |p: &TopicPartition| Split {
            topic: p.topic.as_str().to_owned(),
            partition: p.partition,
            position: starts.get(p).copied().unwrap_or(0),
            stop: stops.as_ref().map(|stops| stops.get(p).copied().unwrap_or(0)),
            watermark: i64::MIN,
            topic_id: None,
        };
        Ok(partitions.iter().map(split).collect())
    }

    async fn starts(
        &self,
        partitions: &[TopicPartition],
        startup: &Startup,
    ) -> Result<BTreeMap<TopicPartition, i64>, DataflowError> {
        match startup {
            Startup::Earliest => self.listed(partitions, OffsetSpec::Earliest).await,
            Startup::Latest => self.listed(partitions, OffsetSpec::Latest).await,
            Startup::Timestamp(at) => self.at_time(partitions, *at).await,
            Startup::Offsets(offsets) => self.given_or(partitions, offsets, OffsetReset::Earliest).await,
            Startup::GroupOffsets => self.committed_or(partitions, self.reset()).await,
        }
    }

    async fn stops(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Option<BTreeMap<TopicPartition, i64>>, DataflowError> {
        Ok(Some(match &self.table.bounded {
            Bounded::Unbounded => return Ok(None),
            Bounded::Latest => self.listed(partitions, OffsetSpec::Latest).await?,
            Bounded::Timestamp(at) => self.at_time(partitions, *at).await?,
            Bounded::Offsets(offsets) => self.given_or(partitions, offsets, OffsetReset::Earliest).await?,
            Bounded::GroupOffsets => self.committed_or(partitions, OffsetReset::None).await?,
        }))
    }

    /// Flink's default is to fail, unlike the consumer's.
    fn reset(&self) -> OffsetReset {
        if self.table.properties.contains_key("auto.offset.reset") {
            self.config.fetch.offset_reset
        } else {
            OffsetReset::None
        }
    }

    fn isolation(&self) -> IsolationLevel {
        self.config.fetch.isolation_level
    }

    async fn listed(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>, DataflowError> {
        let wanted: BTreeMap<TopicPartition, OffsetSpec> =
            partitions.iter().map(|p| (p.clone(), spec)).collect();
        let found = self.client.list_offsets(&wanted, self.isolation()).await;
        let found = found.map_err(|e| client_failed("cannot look up offsets", &e))?;
        Ok(found.into_iter().map(|(p, listed)| (p, listed.offset)).collect())
    }

    /// The first offset at or after a time, or the end.
    async fn at_time(
        &self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, DataflowError> {
        let mut found = self
            .listed(partitions, OffsetSpec::Timestamp(timestamp_ms.max(0)))
            .await?;
        let ends = self.listed(partitions, OffsetSpec::Latest).await?;
        for (partition, offset) in &mut found {
            if *offset < 0 {
                *offset = ends.get(partition).copied().unwrap_or(0);
            }
        }
        Ok(found)
    }

    async fn given_or(
        &self,
        partitions: &[TopicPartition],
        offsets: &BTreeMap<i32, i64>,
        reset: OffsetReset,
    ) -> Result<BTreeMap<TopicPartition, i64>, DataflowError> {
        let (given, others): (Vec<_>, Vec<_>) = partitions
            .iter()
            .cloned()
            .partition(|p| offsets.contains_key(&p.partition));
        let mut found: BTreeMap<TopicPartition, i64> = given
            .into_iter()
            .filter_map(|p| offsets.get(&p.partition).map(|o| (p.clone(), *o)))
            .collect();
        if !others.is_empty() {
            let reset = if reset == OffsetReset::None {
                OffsetReset::Earliest
            } else {
                reset
            };
            found.extend(self.committed_or(&others, reset).await?);
        }
        Ok(found)
    }

    async fn committed_or(
        &self,
        partitions: &[TopicPartition],
        reset: OffsetReset,
    ) -> Result<BTreeMap<TopicPartition, i64>, DataflowError> {
        let committed = self
            .client
            .committed_offsets(&self.group, Some(partitions), false)
            .await;
        let committed = committed
            .map_err(|e| client_failed(&format!("cannot read the offsets of group '{}'", self.group), &e))?;
        let mut found: BTreeMap<TopicPartition, i64> = committed
            .into_iter()
            .filter(|(_, c)| c.offset >= 0)
            .map(|(p, c)| (p, c.offset))
            .collect();
        let without: Vec<TopicPartition> = partitions
            .iter()
            .filter(|p| !found.contains_key(p))
            .cloned()
            .collect();
        if without.is_empty() {
            return Ok(found);
        }
        let spec = match reset {
            OffsetReset::Earliest => OffsetSpec::Earliest,
            OffsetReset::Latest => OffsetSpec::Latest,
            OffsetReset::None => {
                return Err(DataflowError::new(
                    ErrorKind::Input,
                    format!(
                        "undefined offset with no reset policy for partition {}: group '{}' has committed none; set \
                         'scan.startup.mode' = 'earliest-offset', or 'properties.auto.offset.reset' = 'earliest'",
                        without[0], self.group
                    ),
                ));
            }
        };
        found.extend(self.listed(&without, spec).await?);
        Ok(found)
    }
}

/// The instance that reads a partition: a topic's partitions are assigned round robin, starting at an instance that
/// depends on the topic's name.
pub fn owner(partition: &TopicPartition, parallelism: usize) -> usize {
    let hash = partition
        .topic
        .as_str()
        .bytes()
        .fold(0u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    let start = (hash.wrapping_mul(31) & 0x7FFF_FFFF) as usize;
    (start + partition.partition.unsigned_abs() as usize) % parallelism.max(1)
}
