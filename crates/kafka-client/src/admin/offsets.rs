//! Log start and end offsets of partitions, and offsets by time.

use std::collections::BTreeMap;

use millstream_kafka_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

use crate::TopicPartition;
use crate::client::{Attempt, KafkaClient};
use crate::config::IsolationLevel;
use crate::error::ClientError;
use crate::metadata::ClusterMetadata;
use crate::transport::{Call, Target};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// From this version on the maximum timestamp can be requested.
const MAX_TIMESTAMP_VERSION: i16 = 7;

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record that is there.
    Earliest,
    /// Behind the last record that the isolation level shows.
    Latest,
    /// The first record of this time (milliseconds since 1970) or later.
    Timestamp(i64),
    /// The record with the highest timestamp.
    MaxTimestamp,
}

impl OffsetSpec {
    const fn code(self) -> i64 {
        match self {
            OffsetSpec::Earliest => EARLIEST,
            OffsetSpec::Latest => LATEST,
            OffsetSpec::MaxTimestamp => MAX_TIMESTAMP,
            OffsetSpec::Timestamp(timestamp) => timestamp,
        }
    }
}

/// An offset that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// -1: no record has such a timestamp.
    pub offset: i64,
    pub timestamp: i64,
    pub leader_epoch: i32,
}

type Wanted = BTreeMap<TopicPartition, OffsetSpec>;
type Found = BTreeMap<TopicPartition, ListedOffset>;

impl KafkaClient {
    /// Looks up an offset for each partition, asking the leaders. Fails as a whole if one cannot be found out.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
        isolation_level: IsolationLevel,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, ClientError> {
        let mut topics: Vec<KafkaString> = wanted.keys().map(|partition| partition.topic.clone()).collect();
        topics.dedup();
        let mut found = Found::new();
        let mut retries = self.retries("listing offsets");
        loop {
            let attempt: Result<_, Attempt> = async {
                let metadata = self.topics(&topics, false).await.map_err(Attempt::Final)?;
                let missing = wanted
                    .iter()
                    .filter(|(partition, _)| !found.contains_key(partition));
                for (leader, partitions) in by_leader(&metadata, missing)? {
                    let request = request(&metadata, &partitions, isolation_level);
                    let version_min = version_min(&partitions);
                    let call = Call::new(Target::Node(leader), request).version_min(version_min);
                    let (response, _) = self.call_with::<ListOffsetsRequest>(call).await?;
                    collect(response, &mut found)?;
                }
                if found.len() < wanted.len() {
                    return Err(ClientError::Incomplete("ListOffsets").into());
                }
                Ok(())
            }
            .await;
            if let Some(()) = retries.settle(attempt).await? {
                break;
            }
        }
        Ok(found)
    }
}

fn by_leader<'a>(
    metadata: &ClusterMetadata,
    wanted: impl Iterator<Item = (&'a TopicPartition, &'a OffsetSpec)>,
) -> Result<BTreeMap<i32, Wanted>, Attempt> {
    let mut leaders: BTreeMap<i32, Wanted> = BTreeMap::new();
    for (partition, spec) in wanted {
        let Some(leader) = metadata.leader(&partition.topic, partition.partition) else {
            let what = format!("partition {partition}");
            return Err(Attempt::Final(ClientError::broker(
                what,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            )));
        };
        leaders
            .entry(leader)
            .or_default()
            .insert(partition.clone(), *spec);
    }
    Ok(leaders)
}

fn version_min(wanted: &Wanted) -> i16 {
    let max_timestamp = wanted.values().any(|spec| *spec == OffsetSpec::MaxTimestamp);
    if max_timestamp { MAX_TIMESTAMP_VERSION } else { 1 }
}

fn request(
    metadata: &ClusterMetadata,
    wanted: &Wanted,
    isolation_level: IsolationLevel,
) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (partition, spec) in wanted {
        let known = metadata.partition(&partition.topic, partition.partition);
        let asked = ListOffsetsPartition {
            partition_index: partition.partition,
            current_leader_epoch: known.map_or(-1, |known| known.leader_epoch),
            timestamp: spec.code(),
        };
        match topics.last_mut().filter(|topic| topic.name == partition.topic) {
            Some(topic) => topic.partitions.push(asked),
            None => topics.push(ListOffsetsTopic {
                name: partition.topic.clone(),
                partitions: vec![asked],
            }),
        }
    }
    ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation_level.code(),
        topics,
        ..Default::default()
    }
}

fn collect(response: ListOffsetsResponse, found: &mut Found) -> Result<(), Attempt> {
    for topic in response.topics {
        for listed in topic.partitions {
            let partition = TopicPartition {
                topic: topic.name.detached(),
                partition: listed.partition_index,
            };
            if let Err(code) = listed.error_code.check() {
                return Err(ClientError::broker(format!("offset of partition {partition}"), code).into());
            }
            let listed = ListedOffset {
                offset: listed.offset,
                timestamp: listed.timestamp,
                leader_epoch: listed.leader_epoch,
            };
            found.insert(partition, listed);
        }
    }
    Ok(())
}
