//! Metadata: brokers, topics and partitions; topics asked for by name may be created by asking.

use crate::api::create_topics::{self, NewTopic};
use crate::broker::Broker;
use crate::context::RequestContext;
use crate::security::{Operation, ResourceKind};
use crate::topics::{Topic, check_topic_name};
use crate::waits::Outcome;
use millstream_kafka_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

/// "Not asked for" in fields of authorized operations.
pub(crate) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
/// All operations on a topic, as bits: read, write, create, delete, alter, describe, and both configs.
const TOPIC_OPERATIONS: i32 = 0x0df8;
/// All operations on the cluster.
pub(crate) const CLUSTER_OPERATIONS: i32 = 0x1fd0 | 0x20;
/// The first version with a flag for creating topics; before it, asking creates.
const FLAG_VERSION: i16 = 4;

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &MetadataRequest,
) -> Outcome {
    let may_create = version < FLAG_VERSION || request.allow_auto_topic_creation;
    let asks_operations = request.include_topic_authorized_operations;
    let topics = match &request.topics {
        None => all(broker, asks_operations),
        Some(topics) if topics.is_empty() && version == 0 => all(broker, asks_operations),
        Some(topics) => topics
            .iter()
            .map(|topic| one(broker, now_ms, topic, may_create, asks_operations))
            .collect(),
    };
    let node_id = broker.node_id();
    let cluster_operations = match request.include_cluster_authorized_operations {
        true => CLUSTER_OPERATIONS,
        false => OPERATIONS_NOT_ASKED,
    };
    Outcome::now(MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id,
            host: context.endpoint.host.clone(),
            port: context.endpoint.port,
            rack: broker.configs.text("broker.rack").map(KafkaString::from),
        }],
        cluster_id: Some(broker.cluster_id.clone()),
        controller_id: node_id,
        topics,
        cluster_authorized_operations: cluster_operations,
        ..Default::default()
    })
}

fn all(broker: &Broker, asks_operations: bool) -> Vec<MetadataResponseTopic> {
    let node_id = broker.node_id();
    let is_visible = |topic: &&Topic| {
        broker
            .access(Operation::Describe, ResourceKind::Topic, &topic.name)
            .is_ok()
    };
    let visible = broker.topics.iter().filter(is_visible);
    visible
        .map(|topic| describe(topic, node_id, asks_operations))
        .collect()
}

fn one(
    broker: &mut Broker,
    now_ms: i64,
    asked: &MetadataRequestTopic,
    may_create: bool,
    asks_operations: bool,
) -> MetadataResponseTopic {
    let node_id = broker.node_id();
    let Some(name) = &asked.name else {
        return match broker.topics.by_id(asked.topic_id) {
            Some(topic) => describe(topic, node_id, asks_operations),
            None => missing(None, asked.topic_id, ErrorCode::UNKNOWN_TOPIC_ID),
        };
    };
    if let Err(code) = broker.access(Operation::Describe, ResourceKind::Topic, name) {
        return missing(Some(name), Uuid::ZERO, code);
    }
    if let Some(topic) = broker.topics.by_name(name) {
        return describe(topic, node_id, asks_operations);
    }
    if check_topic_name(name).is_err() {
        return missing(Some(name), Uuid::ZERO, ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if !may_create || !broker.configs.flag("auto.create.topics.enable") {
        return missing(Some(name), Uuid::ZERO, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    match create_topics::create(broker, now_ms, &NewTopic::with_defaults(name)) {
        Ok(_) => match broker.topics.by_name(name) {
            Some(topic) => describe(topic, node_id, asks_operations),
            None => missing(Some(name), Uuid::ZERO, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        },
        Err((code, _)) => missing(Some(name), Uuid::ZERO, code),
    }
}

fn missing(name: Option<&KafkaString>, topic_id: Uuid, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code,
        name: name.cloned(),
        topic_id,
        topic_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn describe(topic: &Topic, node_id: i32, asks_operations: bool) -> MetadataResponseTopic {
    let partition = |partition_index: i32| MetadataResponsePartition {
        partition_index,
        leader_id: node_id,
        leader_epoch: 0,
        replica_nodes: vec![node_id],
        isr_nodes: vec![node_id],
        ..Default::default()
    };
    MetadataResponseTopic {
        error_code: ErrorCode::NONE,
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: false,
        partitions: (0..topic.partitions.len() as i32).map(partition).collect(),
        topic_authorized_operations: topic_operations(asks_operations),
    }
}

pub(crate) fn topic_operations(is_asked: bool) -> i32 {
    if is_asked {
        TOPIC_OPERATIONS
    } else {
        OPERATIONS_NOT_ASKED
    }
}
