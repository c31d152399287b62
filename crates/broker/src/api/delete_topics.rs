//! DeleteTopics: removes a topic, its data and the offsets committed for it in one record of the WAL.
//!
//! Names and ids of the whole request are resolved before anything is deleted. A topic that a request names twice, or
//! both by name and by id, is ambiguous and stays.

use crate::api::NOT_HOSTED;
use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::context::RequestContext;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use crate::throttle::{Mutations, QUOTA_EXCEEDED};
use crate::topics::Topic;
use millstream_kafka_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::{Entry, LogId};
use std::collections::{BTreeMap, BTreeSet};

/// The first version that names topics by id.
const ID_VERSION: i16 = 6;
/// The first version whose clients retry after a quota violation.
const STRICT_QUOTA_VERSION: i16 = 5;
/// The first version whose clients know that deletion may be disabled.
const DISABLED_VERSION: i16 = 3;

const NEITHER: &str = "Neither topic name nor id were specified.";
const BOTH: &str = "You may not specify both topic name and topic id.";
const REPEATED_NAME: &str = "Duplicate topic name.";
const REPEATED_ID: &str = "Duplicate topic id.";
const NAME_AND_ID: &str = "The provided topic name maps to an ID that was already supplied.";

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &DeleteTopicsRequest,
) -> Outcome {
    let by_name = |name: &KafkaString| DeleteTopicState {
        name: Some(name.clone()),
        topic_id: Uuid::ZERO,
    };
    let asked: Vec<DeleteTopicState> = match version {
        ID_VERSION.. => request.topics.clone(),
        _ => request.topic_names.iter().map(by_name).collect(),
    };
    if !broker.configs.flag("delete.topic.enable") {
        return disabled(version, asked);
    }
    let mut mutations = Mutations::of(context, version >= STRICT_QUOTA_VERSION);
    let Sorted {
        mut responses,
        topics,
    } = sort_out(broker, &asked);
    let mut sequence = 0;
    let mut deleted = Vec::new();
    for id in topics {
        let Some(topic) = broker.topics.by_id(id).cloned() else {
            continue;
        };
        responses.push(
            match delete(broker, now_ms, &topic, &mut mutations, &mut deleted) {
                Ok(written) => {
                    sequence = sequence.max(written);
                    DeletableTopicResult {
                        name: Some(topic.name),
                        topic_id: id,
                        ..Default::default()
                    }
                }
                Err(code) => refused(Some(&topic.name), id, code, message_of(code)),
            },
        );
    }
    broker.wake_fetches(&deleted);
    Outcome::durable(
        sequence,
        DeleteTopicsResponse {
            throttle_time_ms: mutations.throttle_time_ms,
            responses,
        },
    )
}

fn disabled(version: i16, asked: Vec<DeleteTopicState>) -> Outcome {
    let error_code = if version >= DISABLED_VERSION {
        ErrorCode::TOPIC_DELETION_DISABLED
    } else {
        ErrorCode::INVALID_REQUEST
    };
    let result = |topic: DeleteTopicState| DeletableTopicResult {
        name: topic.name,
        topic_id: topic.topic_id,
        error_code,
        error_message: None,
    };
    Outcome::now(DeleteTopicsResponse {
        throttle_time_ms: 0,
        responses: asked.into_iter().map(result).collect(),
    })
}

/// The rejected items of a request, and the topics to delete.
#[derive(Default)]
struct Sorted {
    responses: Vec<DeletableTopicResult>,
    topics: Vec<Uuid>,
}

fn sort_out(broker: &Broker, asked: &[DeleteTopicState]) -> Sorted {
    const INVALID: ErrorCode = ErrorCode::INVALID_REQUEST;
    let mut sorted = Sorted::default();
    let (mut names, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for topic in asked {
        let id = topic.topic_id;
        match &topic.name {
            None if id.is_zero() => sorted.responses.push(refused(None, id, INVALID, NEITHER)),
            None => *ids.entry(id).or_insert(0) += 1,
            Some(name) if id.is_zero() => *names.entry(name).or_insert(0) += 1,
            name => sorted.responses.push(refused(name.as_ref(), id, INVALID, BOTH)),
        }
    }
    let (mut repeated, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for (id, count) in ids {
        if count > 1 {
            repeated.insert(id);
            sorted.responses.push(refused(None, id, INVALID, REPEATED_ID));
            continue;
        }
        match by_id(broker, id) {
            Ok(()) => {
                wanted.insert(id);
                sorted.topics.push(id);
            }
            Err((name, code)) => sorted
                .responses
                .push(refused(name.as_ref(), id, code, message_of(code))),
        }
    }
    for (name, count) in names {
        let found = match count {
            1 => by_name(broker, name).map_err(|code| (Uuid::ZERO, code, message_of(code))),
            _ => Err((Uuid::ZERO, INVALID, REPEATED_NAME)),
        };
        // The same topic by its id and by its name: neither counts.
        let found = match found {
            Ok(id) if repeated.contains(&id) || wanted.remove(&id) => {
                repeated.insert(id);
                Err((id, INVALID, NAME_AND_ID))
            }
            found => found,
        };
        match found {
            Ok(id) => {
                wanted.insert(id);
                sorted.topics.push(id);
            }
            Err((id, code, message)) => sorted.responses.push(refused(Some(name), id, code, message)),
        }
    }
    sorted.topics.retain(|id| wanted.contains(id));
    sorted
}

/// A caller that may delete every topic of the cluster needs no ACL on the single topic.
fn may_delete_all(broker: &Broker) -> bool {
    broker.may(Operation::Delete, ResourceKind::Cluster, CLUSTER_NAME)
}

/// The error reveals the topic's name only to callers that may describe it.
fn by_id(broker: &Broker, id: Uuid) -> Result<(), (Option<KafkaString>, ErrorCode)> {
    let topic = broker
        .topics
        .by_id(id)
        .ok_or((None, ErrorCode::UNKNOWN_TOPIC_ID))?;
    if may_delete_all(broker) {
        return Ok(());
    }
    let denied = |code| {
        let is_visible = broker.may(Operation::Describe, ResourceKind::Topic, &topic.name);
        (is_visible.then(|| topic.name.clone()), code)
    };
    broker
        .access(Operation::Delete, ResourceKind::Topic, &topic.name)
        .map_err(denied)
}

/// Callers without DESCRIBE on a topic do not learn whether it exists.
fn by_name(broker: &Broker, name: &KafkaString) -> Result<Uuid, ErrorCode> {
    let may_delete_all = may_delete_all(broker);
    if !may_delete_all {
        broker.access(Operation::Describe, ResourceKind::Topic, name)?;
    }
    let topic = broker
        .topics
        .by_name(name)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !may_delete_all {
        broker.access(Operation::Delete, ResourceKind::Topic, name)?;
    }
    Ok(topic.id)
}

fn delete(
    broker: &mut Broker,
    now_ms: i64,
    topic: &Topic,
    mutations: &mut Mutations,
    deleted: &mut Vec<LogId>,
) -> Result<u64, ErrorCode> {
    mutations.charge(broker, now_ms, topic.partitions.len())?;
    let entries = topic.partitions.iter().map(|log| Entry::DropLog(*log)).collect();
    let sequence = broker
        .write(now_ms, entries, &[Change::TopicDeleted { id: topic.id }])
        .map_err(|error| log_error_code(&error))?;
    deleted.extend(&topic.partitions);
    Ok(sequence)
}

fn refused(
    name: Option<&KafkaString>,
    topic_id: Uuid,
    error_code: ErrorCode,
    message: &'static str,
) -> DeletableTopicResult {
    DeletableTopicResult {
        name: name.cloned(),
        topic_id,
        error_code,
        error_message: (!message.is_empty()).then(|| KafkaString::from_static(message)),
    }
}

/// Kafka's message for a code without a specific one.
fn message_of(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::THROTTLING_QUOTA_EXCEEDED => QUOTA_EXCEEDED,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => "Topic authorization failed.",
        ErrorCode::UNKNOWN_TOPIC_ID => "This server does not host this topic ID.",
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => NOT_HOSTED,
        _ => "",
    }
}
