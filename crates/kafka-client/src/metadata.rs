//! Metadata of a cluster: brokers, topics, leaders. A snapshot is immutable; a newer one replaces it.

use std::collections::BTreeMap;

use millstream_kafka_wire::messages::metadata::{MetadataResponse, MetadataResponseTopic};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

use crate::transport::Node;

/// A partition and its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    pub partition: i32,
    pub error_code: ErrorCode,
    /// -1 if there is none for the moment.
    pub leader: i32,
    /// -1 if the broker is too old to say.
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync_replicas: Vec<i32>,
}

/// A topic with its partitions, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    pub name: KafkaString,
    /// Zero if the broker is too old to have ids.
    pub id: Uuid,
    pub is_internal: bool,
    pub error_code: ErrorCode,
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    pub fn partition(&self, partition: i32) -> Option<&PartitionMetadata> {
        self.partitions.iter().find(|p| p.partition == partition)
    }
}

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterMetadata {
    pub cluster_id: Option<KafkaString>,
    pub controller_id: i32,
    pub nodes: Vec<Node>,
    pub topics: BTreeMap<KafkaString, TopicMetadata>,
}

impl ClusterMetadata {
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<&TopicMetadata> {
        self.topics.values().find(|topic| topic.id == id)
    }

    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        self.topic(topic)?.partition(partition)
    }

    /// The leader of a partition, if there is one.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.partition(topic, partition)
            .map(|p| p.leader)
            .filter(|leader| *leader >= 0)
    }

    /// The next snapshot after a response. Topics that were not requested are kept, unless `all` were.
    pub fn updated(&self, response: &MetadataResponse, all: bool) -> ClusterMetadata {
        let mut topics = if all { BTreeMap::new() } else { self.topics.clone() };
        for topic in &response.topics {
            let Some(name) = topic.name.as_ref().map(KafkaString::detached) else {
                continue;
            };
            let new = topic_metadata(&name, topic);
            match topics.get(&name) {
                Some(old) => topics.insert(name, not_older(old, new)),
                None => topics.insert(name, new),
            };
        }
        ClusterMetadata {
            cluster_id: response.cluster_id.as_ref().map(KafkaString::detached),
            controller_id: response.controller_id,
            nodes: nodes(response),
            topics,
        }
    }
}

fn nodes(response: &MetadataResponse) -> Vec<Node> {
    let brokers = response.brokers.iter().map(|broker| Node {
        id: broker.node_id,
        host: broker.host.detached(),
        port: broker.port,
        rack: broker.rack.as_ref().map(KafkaString::detached),
    });
    brokers.collect()
}

fn topic_metadata(name: &KafkaString, topic: &MetadataResponseTopic) -> TopicMetadata {
    let mut partitions: Vec<PartitionMetadata> = topic
        .partitions
        .iter()
        .map(|p| PartitionMetadata {
            partition: p.partition_index,
            error_code: p.error_code,
            leader: p.leader_id,
            leader_epoch: p.leader_epoch,
            replicas: p.replica_nodes.clone(),
            in_sync_replicas: p.isr_nodes.clone(),
        })
        .collect();
    partitions.sort_by_key(|p| p.partition);
    TopicMetadata {
        name: name.clone(),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        error_code: topic.error_code,
        partitions,
    }
}

/// A lagging broker may report a leader with an older epoch; the newer one is kept. A topic that was created again has
/// another id, and its epochs start over.
fn not_older(old: &TopicMetadata, mut new: TopicMetadata) -> TopicMetadata {
    if old.id != new.id {
        return new;
    }
    for partition in &mut new.partitions {
        if let Some(known) = old.partition(partition.partition)
            && partition.leader_epoch >= 0
            && known.leader_epoch > partition.leader_epoch
        {
            *partition = known.clone();
        }
    }
    new
}
