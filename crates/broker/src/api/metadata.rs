//! Metadata: brokers, topics and partitions; requesting topics by name may create them.

use crate::api::create_topics::{self, NewTopic, PartitionsLeft};
use crate::api::once_each_by;
use crate::broker::Broker;
use crate::context::RequestContext;
use crate::internal_topics::is_internal;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{OPERATIONS_NOT_ASKED, Operation, ResourceKind};
use crate::throttle::Mutations;
use crate::topics::{Topic, check_topic_name};
use millstream_kafka_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

/// The first version with a flag for creating topics; before it, asking creates.
const FLAG_VERSION: i16 = 4;
/// The first version that can request topics by id, although older ones have the field.
const TOPIC_ID_VERSION: i16 = 12;

/// Whether asking for a topic creates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    No,
    /// The response does not include the topic yet. Kafka behaves the same, because the controller creates it; clients
    /// retry, and some mistake a response with the new topic for an old one.
    Later,
    AtOnce,
}

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &MetadataRequest,
) -> Outcome {
    let topics = request.topics.iter().flatten();
    let is_by_id = |topic: &MetadataRequestTopic| topic.name.is_none() || topic.topic_id != Uuid::ZERO;
    if version < TOPIC_ID_VERSION && topics.clone().any(is_by_id) {
        let topics = topics.map(refused).collect();
        return Outcome::now(MetadataResponse {
            topics,
            ..Default::default()
        });
    }
    let creation = if version >= FLAG_VERSION && !request.allow_auto_topic_creation {
        Creation::No
    } else if context.is_internal {
        Creation::AtOnce
    } else {
        Creation::Later
    };
    let asks_operations = request.include_topic_authorized_operations;
    let topics = match &request.topics {
        None => all(broker, asks_operations),
        Some(topics) if topics.is_empty() && version == 0 => all(broker, asks_operations),
        Some(topics) => {
            // The newest versions of CreateTopics are refused above the quota, and so is creation by asking.
            let mut creator = Creator {
                creation,
                mutations: Mutations::of(context, true),
                left: PartitionsLeft::new(),
            };
            // A request that sets any topic id is a lookup by ids; its names are ignored (Java's client sends empty
            // ones).
            let is_by_id = topics.iter().any(|topic| !topic.topic_id.is_zero());
            once_each_by(topics, asked_by)
                .filter(|topic| !is_by_id || !topic.topic_id.is_zero())
                .map(|topic| one(broker, now_ms, topic, &mut creator, asks_operations))
                .collect()
        }
    };
    let node_id = broker.node_id();
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
        cluster_authorized_operations: cluster_operations(
            broker,
            request.include_cluster_authorized_operations,
        ),
        ..Default::default()
    })
}

fn all(broker: &Broker, asks_operations: bool) -> Vec<MetadataResponseTopic> {
    let is_visible = |topic: &&Topic| broker.may(Operation::Describe, ResourceKind::Topic, &topic.name);
    let visible = broker.topics.iter().filter(is_visible);
    visible
        .map(|topic| describe(broker, topic, asks_operations))
        .collect()
}

/// Identifies a requested topic, to drop duplicates.
fn asked_by(topic: &MetadataRequestTopic) -> (Option<&KafkaString>, Uuid) {
    match &topic.name {
        Some(name) if topic.topic_id.is_zero() => (Some(name), Uuid::ZERO),
        _ => (None, topic.topic_id),
    }
}

/// Creates topics for one request, if it does.
struct Creator {
    creation: Creation,
    mutations: Mutations,
    left: PartitionsLeft,
}

impl Creator {
    /// Creates a topic. The response may include it for callers in the process; remote clients find it on their next
    /// request.
    fn create(&mut self, broker: &mut Broker, now_ms: i64, name: &KafkaString) -> Result<(), ErrorCode> {
        if check_topic_name(name).is_err() {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if self.creation == Creation::No || !broker.configs.flag("auto.create.topics.enable") {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let new = match broker.internal_topic(name) {
            Some(internal) => internal,
            None => NewTopic::with_defaults(broker, name),
        };
        let limits = (&mut self.mutations, &mut self.left);
        match create_topics::create_charged(broker, now_ms, &new, limits) {
            Ok(_) if self.creation == Creation::AtOnce => Ok(()),
            Ok(_) => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            // The controller's reason is not part of a metadata response.
            Err((
                ErrorCode::THROTTLING_QUOTA_EXCEEDED
                | ErrorCode::POLICY_VIOLATION
                | ErrorCode::INVALID_REQUEST,
                _,
            )) => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Err((code, _)) => Err(code),
        }
    }
}

fn one(
    broker: &mut Broker,
    now_ms: i64,
    asked: &MetadataRequestTopic,
    creator: &mut Creator,
    asks_operations: bool,
) -> MetadataResponseTopic {
    let (Some(name), _) = asked_by(asked) else {
        return match broker.topics.by_id(asked.topic_id) {
            None => missing(None, asked.topic_id, ErrorCode::UNKNOWN_TOPIC_ID),
            Some(topic) => match broker.access(Operation::Describe, ResourceKind::Topic, &topic.name) {
                Ok(()) => describe(broker, topic, asks_operations),
                Err(code) => missing(None, asked.topic_id, code),
            },
        };
    };
    if let Err(code) = broker.access(Operation::Describe, ResourceKind::Topic, name) {
        return missing(Some(name), Uuid::ZERO, code);
    }
    if let Some(topic) = broker.topics.by_name(name) {
        return describe(broker, topic, asks_operations);
    }
    if let Err(code) = creator.create(broker, now_ms, name) {
        return MetadataResponseTopic {
            topic_authorized_operations: broker.authorized_operations(
                asks_operations,
                ResourceKind::Topic,
                name,
            ),
            ..missing(Some(name), Uuid::ZERO, code)
        };
    }
    match broker.topics.by_name(name) {
        Some(topic) => describe(broker, topic, asks_operations),
        None => missing(Some(name), Uuid::ZERO, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// A rejection that older versions can encode: their names are not nullable.
fn refused(asked: &MetadataRequestTopic) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(asked.name.clone().unwrap_or_default()),
        ..missing(None, asked.topic_id, ErrorCode::INVALID_REQUEST)
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

fn describe(broker: &Broker, topic: &Topic, asks_operations: bool) -> MetadataResponseTopic {
    let node_id = broker.node_id();
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
        is_internal: is_internal(&topic.name),
        partitions: (0..topic.partitions.len() as i32).map(partition).collect(),
        topic_authorized_operations: broker.authorized_operations(
            asks_operations,
            ResourceKind::Topic,
            &topic.name,
        ),
    }
}

/// The cluster operations that the caller may perform; empty without DESCRIBE on the cluster.
pub(crate) fn cluster_operations(broker: &Broker, is_asked: bool) -> i32 {
    if is_asked && !broker.may(Operation::Describe, ResourceKind::Cluster, CLUSTER_NAME) {
        0
    } else {
        broker.authorized_operations(is_asked, ResourceKind::Cluster, CLUSTER_NAME)
    }
}
