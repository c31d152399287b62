//! CreatePartitions: more partitions for a topic.

use crate::api::create_topics::{PartitionsLeft, check_replicas, named_twice};
use crate::api::{Rejection, once_each_by, repeated};
use crate::broker::{Broker, log_error_code, topic_change};
use crate::context::RequestContext;
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use crate::throttle::{Mutations, QUOTA_EXCEEDED};
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use millstream_log::{Entry, LogId};

/// The first version whose clients retry after a quota violation.
const STRICT_QUOTA_VERSION: i16 = 3;

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &CreatePartitionsRequest,
) -> Outcome {
    let mut mutations = Mutations::of(context, version >= STRICT_QUOTA_VERSION);
    let mut left = PartitionsLeft::new();
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let mut sequence = 0;
    let mut results = Vec::new();
    for topic in once_each_by(&request.topics, |topic| &topic.name) {
        let added = if repeated.contains(&topic.name) {
            Err(named_twice())
        } else {
            add(
                broker,
                now_ms,
                topic,
                request.validate_only,
                (&mut mutations, &mut left),
            )
        };
        let mut result = CreatePartitionsTopicResult {
            name: topic.name.clone(),
            ..Default::default()
        };
        match added {
            Ok(written) => sequence = sequence.max(written),
            Err((error_code, message)) => {
                result.error_code = error_code;
                result.error_message = (!message.is_empty()).then(|| message.into());
            }
        }
        results.push(result);
    }
    Outcome::durable(
        sequence,
        CreatePartitionsResponse {
            throttle_time_ms: mutations.throttle_time_ms,
            results,
        },
    )
}

fn add(
    broker: &mut Broker,
    now_ms: i64,
    asked: &CreatePartitionsTopic,
    validate_only: bool,
    (mutations, left): (&mut Mutations, &mut PartitionsLeft),
) -> Result<u64, Rejection> {
    let unknown = || {
        (
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            String::new(), // the code says it
        )
    };
    broker
        .access(Operation::Alter, ResourceKind::Topic, &asked.name)
        .map_err(|code| (code, "Topic authorization failed.".to_owned()))?;
    let mut topic = broker.topics.by_name(&asked.name).ok_or_else(unknown)?.clone();
    let current = topic.partitions.len() as i32;
    if asked.count <= current {
        let message = if asked.count == current {
            format!("Topic already has {current} partition(s).")
        } else {
            format!(
                "The topic {} currently has {current} partition(s); {} would not be an increase.",
                topic.name, asked.count
            )
        };
        return Err((ErrorCode::INVALID_PARTITIONS, message));
    }
    let added = asked.count - current;
    let assignments = asked.assignments.as_deref();
    if let Some(assignments) = assignments.filter(|given| given.len() != added.unsigned_abs() as usize) {
        let message = format!(
            "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    left.take(added)?;
    mutations
        .charge(broker, now_ms, added.unsigned_abs() as usize)
        .map_err(|code| (code, QUOTA_EXCEEDED.to_owned()))?;
    for assignment in assignments.into_iter().flatten() {
        check_replicas(broker, &assignment.broker_ids)?;
    }
    if validate_only {
        return Ok(0);
    }
    let first = broker.log.next_log_id().0;
    let logs: Vec<LogId> = (first..first + added as u32).map(LogId).collect();
    topic.partitions.extend(&logs);
    let entries = logs.iter().map(|log| Entry::CreateLog(*log)).collect();
    broker
        .write(now_ms, entries, &[topic_change(&topic)])
        .map_err(|error| (log_error_code(&error), error.to_string()))
}
