//! OffsetFetch: how far groups have read.

use crate::broker::Broker;
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use millstream_kafka_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// The first version that asks for several groups.
const GROUPS_VERSION: i16 = 8;
/// The first version that names topics by id.
const ID_VERSION: i16 = 10;

pub(crate) fn handle(broker: &Broker, version: i16, request: &OffsetFetchRequest) -> Outcome {
    if version >= GROUPS_VERSION {
        let by_id = version >= ID_VERSION;
        let mut once = Once::default();
        let groups = request
            .groups
            .iter()
            .filter_map(|group| fetch(broker, group, request.require_stable, by_id, &mut once))
            .collect();
        return Outcome::now(OffsetFetchResponse {
            groups,
            ..Default::default()
        });
    }
    let topics = request.topics.as_ref().map(|topics| {
        let topic = |topic: &millstream_kafka_wire::messages::offset_fetch::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: topic.name.clone(),
                topic_id: Uuid::ZERO,
                partition_indexes: topic.partition_indexes.clone(),
            }
        };
        topics.iter().map(topic).collect()
    });
    let asked = OffsetFetchRequestGroup {
        group_id: request.group_id.clone(),
        topics,
        member_epoch: -1,
        ..Default::default()
    };
    let group = fetch(
        broker,
        &asked,
        request.require_stable,
        false,
        &mut Once::default(),
    );
    Outcome::now(single(group.unwrap_or_default()))
}

/// Groups and partitions that are in the response already. Offsets carry metadata of up to `offset.metadata.max.bytes`,
/// so repeating them would let a small request force a very large response.
#[derive(Default)]
struct Once<'a> {
    whole_groups: BTreeSet<&'a KafkaString>,
    partitions: BTreeSet<(&'a KafkaString, &'a KafkaString, Uuid, i32)>,
}

/// The response for one group in the layout of older versions.
fn single(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code: group.error_code,
        ..Default::default()
    }
}

fn fetch<'a>(
    broker: &Broker,
    asked: &'a OffsetFetchRequestGroup,
    require_stable: bool,
    by_id: bool,
    once: &mut Once<'a>,
) -> Option<OffsetFetchResponseGroup> {
    if asked.topics.is_none() && !once.whole_groups.insert(&asked.group_id) {
        return None;
    }
    let group_id = asked.group_id.clone();
    let allowed = broker.access(Operation::Describe, ResourceKind::Group, &group_id);
    if let Err(error_code) = allowed.and_then(|()| crate::groups::check_fetch(broker, asked)) {
        return Some(OffsetFetchResponseGroup {
            group_id,
            error_code,
            topics: Vec::new(),
        });
    }
    let topics = match &asked.topics {
        None => all(broker, &group_id, require_stable),
        Some(topics) => topics
            .iter()
            .map(|topic| one_topic(broker, (&asked.group_id, topic), require_stable, by_id, once))
            .collect(),
    };
    Some(OffsetFetchResponseGroup {
        group_id,
        topics,
        error_code: ErrorCode::NONE,
    })
}

fn all(broker: &Broker, group: &KafkaString, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
    let mut partitions: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in broker
        .groups
        .get(group)
        .into_iter()
        .flat_map(|group| group.offsets.keys())
    {
        partitions.entry(*topic).or_default().push(*partition);
    }
    let topic = |(id, partitions): (Uuid, Vec<i32>)| {
        let name = broker.topics.by_id(id)?.name.clone();
        if !broker.may(Operation::Describe, ResourceKind::Topic, &name) {
            return None;
        }
        let offset = |partition| offset(broker, group, (id, partition), require_stable);
        let partitions = partitions.into_iter().map(offset).collect();
        Some(OffsetFetchResponseTopics {
            name,
            topic_id: id,
            partitions,
        })
    };
    partitions.into_iter().filter_map(topic).collect()
}

fn one_topic<'a>(
    broker: &Broker,
    (group, asked): (&'a KafkaString, &'a OffsetFetchRequestTopics),
    require_stable: bool,
    by_id: bool,
    once: &mut Once<'a>,
) -> OffsetFetchResponseTopics {
    let found = if by_id {
        broker.topics.by_id(asked.topic_id)
    } else {
        broker.topics.by_name(&asked.name)
    };
    let name = found.map_or(&asked.name, |topic| &topic.name);
    let denied = broker
        .access(Operation::Describe, ResourceKind::Topic, name)
        .err();
    let denied = denied.filter(|_| !by_id || found.is_some());
    let partition = |index: &i32| match found {
        _ if denied.is_some() => none(*index, denied.unwrap_or_default()),
        Some(topic) => offset(broker, group, (topic.id, *index), require_stable),
        None => none(
            *index,
            if by_id {
                ErrorCode::UNKNOWN_TOPIC_ID
            } else {
                ErrorCode::NONE
            },
        ),
    };
    let is_new = |index: &&i32| {
        once.partitions
            .insert((group, &asked.name, asked.topic_id, **index))
    };
    let indexes = asked.partition_indexes.iter().filter(is_new);
    OffsetFetchResponseTopics {
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        partitions: indexes.map(partition).collect(),
    }
}

fn none(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(KafkaString::EMPTY),
        error_code,
    }
}

fn offset(
    broker: &Broker,
    group: &KafkaString,
    partition: (Uuid, i32),
    require_stable: bool,
) -> OffsetFetchResponsePartitions {
    if require_stable && broker.transactions.has_pending_offset(group, partition) {
        return none(partition.1, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    }
    let committed = broker
        .groups
        .get(group)
        .and_then(|group| group.offsets.get(&partition));
    committed.map_or(none(partition.1, ErrorCode::NONE), |committed| {
        OffsetFetchResponsePartitions {
            partition_index: partition.1,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            metadata: Some(committed.metadata.clone()),
            error_code: ErrorCode::NONE,
        }
    })
}
