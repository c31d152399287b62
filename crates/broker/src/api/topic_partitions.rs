//! DescribeTopicPartitions: metadata of many partitions in pages.

use crate::broker::Broker;
use crate::internal_topics::is_internal;
use crate::purgatory::Outcome;
use crate::security::{OPERATIONS_NOT_ASKED, Operation, ResourceKind};
use crate::topics::{Topic, check_topic_name};
use millstream_kafka_wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, ResponseCursor,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

pub(crate) fn handle(broker: &Broker, request: &DescribeTopicPartitionsRequest) -> Outcome {
    if !is_valid(request) {
        let topics = request.topics.iter();
        let topics = topics.map(|topic| failed(topic.name.clone(), ErrorCode::INVALID_REQUEST));
        return Outcome::now(DescribeTopicPartitionsResponse {
            topics: topics.collect(),
            ..Default::default()
        });
    }
    let (from_topic, from_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.clone(), cursor.partition_index),
        None => (KafkaString::EMPTY, 0),
    };
    let mut names: Vec<KafkaString> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    if names.is_empty() {
        let visible = broker
            .topics
            .iter()
            .filter(|topic| broker.may(Operation::Describe, ResourceKind::Topic, &topic.name));
        names = visible.map(|topic| topic.name.clone()).collect();
    }
    names.sort();
    names.dedup();
    names.retain(|name| *name >= from_topic);
    let page_max = broker.configs.int("max.request.partition.size.limit").max(1);
    let mut left = request.response_partition_limit.clamp(1, page_max);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        let first = if name == from_topic { from_partition } else { 0 };
        if let Err(error_code) = broker.access(Operation::Describe, ResourceKind::Topic, &name) {
            response.topics.push(failed(name, error_code));
            continue;
        }
        let Some(topic) = broker.topics.by_name(&name) else {
            response.topics.push(missing(broker, name));
            continue;
        };
        let count = topic.partitions.len() as i32;
        if left == 0 {
            response.next_cursor = Some(ResponseCursor {
                topic_name: name,
                partition_index: first,
            });
            break;
        }
        let end = count.min(first.saturating_add(left));
        response.topics.push(page(broker, topic, first, end));
        left -= (end - first).max(0);
        if end < count {
            response.next_cursor = Some(ResponseCursor {
                topic_name: name,
                partition_index: end,
            });
            break;
        }
    }
    Outcome::now(response)
}

/// A valid cursor comes from an earlier response for the same topics.
fn is_valid(request: &DescribeTopicPartitionsRequest) -> bool {
    let Some(cursor) = &request.cursor else {
        return true;
    };
    let mut names = request.topics.iter().map(|topic| &topic.name);
    cursor.partition_index >= 0 && (request.topics.is_empty() || names.any(|name| *name == cursor.topic_name))
}

/// A missing topic, with the caller's authorised operations, as in Kafka.
fn missing(broker: &Broker, name: KafkaString) -> DescribeTopicPartitionsResponseTopic {
    let topic_authorized_operations = broker.authorized_operations(true, ResourceKind::Topic, &name);
    let failed = match check_topic_name(&name) {
        Ok(()) => failed(name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        Err(_) => failed(name, ErrorCode::INVALID_TOPIC_EXCEPTION),
    };
    DescribeTopicPartitionsResponseTopic {
        topic_authorized_operations,
        ..failed
    }
}

fn failed(name: KafkaString, error_code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name),
        topic_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn page(broker: &Broker, topic: &Topic, first: i32, end: i32) -> DescribeTopicPartitionsResponseTopic {
    let node_id = broker.node_id();
    let partition = |partition_index: i32| DescribeTopicPartitionsResponsePartition {
        partition_index,
        leader_id: node_id,
        leader_epoch: 0,
        replica_nodes: vec![node_id],
        isr_nodes: vec![node_id],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: (first..end).map(partition).collect(),
        topic_authorized_operations: broker.authorized_operations(true, ResourceKind::Topic, &topic.name),
        ..Default::default()
    }
}
