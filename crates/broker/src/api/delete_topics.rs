//! DeleteTopics: topic, data, and what groups committed for it, in one record.

use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::context::RequestContext;
use crate::security::Operation;
use crate::throttle::{Mutations, QUOTA_EXCEEDED};
use crate::waits::Outcome;
use millstream_kafka_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::{Entry, LogId};

/// The first version that names topics by id.
const ID_VERSION: i16 = 6;
/// The first version whose clients repeat what a quota refuses.
const STRICT_QUOTA_VERSION: i16 = 5;

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
    let topics: Vec<DeleteTopicState> = match version {
        ID_VERSION.. => request.topics.clone(),
        _ => request.topic_names.iter().map(by_name).collect(),
    };
    let mut mutations = Mutations::of(context, version >= STRICT_QUOTA_VERSION);
    let mut sequence = 0;
    let mut responses = Vec::with_capacity(topics.len());
    let mut deleted = Vec::new();
    for topic in topics {
        let result = delete(broker, now_ms, &topic, &mut mutations, &mut deleted);
        let mut response = DeletableTopicResult {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            ..Default::default()
        };
        match result {
            Ok((name, topic_id, written)) => {
                sequence = sequence.max(written);
                response.name = Some(name);
                response.topic_id = topic_id;
            }
            Err(error_code) => {
                let is_quota = error_code == ErrorCode::THROTTLING_QUOTA_EXCEEDED;
                response.error_message = is_quota.then(|| KafkaString::from_static(QUOTA_EXCEEDED));
                response.error_code = error_code;
            }
        }
        responses.push(response);
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

fn delete(
    broker: &mut Broker,
    now_ms: i64,
    asked: &DeleteTopicState,
    mutations: &mut Mutations,
    deleted: &mut Vec<LogId>,
) -> Result<(KafkaString, Uuid, u64), ErrorCode> {
    if !broker.configs.flag("delete.topic.enable") {
        return Err(ErrorCode::TOPIC_DELETION_DISABLED);
    }
    let topic = match &asked.name {
        Some(name) => broker.accessible_topic(Operation::Delete, Uuid::ZERO, name)?,
        None if asked.topic_id.is_zero() => return Err(ErrorCode::UNKNOWN_TOPIC_ID),
        None => broker.accessible_topic(Operation::Delete, asked.topic_id, &KafkaString::EMPTY)?,
    };
    let (id, name, logs) = (topic.id, topic.name.clone(), topic.partitions.clone());
    mutations.charge(broker, now_ms, logs.len())?;
    let entries = logs.iter().map(|log| Entry::DropLog(*log)).collect();
    let sequence = broker
        .write(now_ms, entries, &[Change::TopicDeleted { id }])
        .map_err(|error| log_error_code(&error))?;
    deleted.extend(logs);
    Ok((name, id, sequence))
}
