//! CreateTopics, and creation by asking for metadata.

use crate::api::{Rejection, once_each_by, repeated};
use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::config::{self, ConfigSource, ResourceType};
use crate::context::RequestContext;
use crate::internal_topics::CLUSTER_METADATA;
use crate::limits::PARTITIONS_CREATED_MAX;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use crate::throttle::{Mutations, QUOTA_EXCEEDED};
use crate::topics::check_topic_name;
use millstream_kafka_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::{Entry, LogId};
use std::collections::{BTreeMap, BTreeSet};

/// The first version whose clients retry after a quota violation.
const STRICT_QUOTA_VERSION: i16 = 6;

/// Kafka's message for a request that would create too many partitions.
const TOO_LARGE: &str = "Excessively large number of partitions per request.";

/// A topic to be created.
#[derive(Debug)]
pub(crate) struct NewTopic {
    name: KafkaString,
    partitions: i32,
    configs: BTreeMap<String, String>,
}

impl NewTopic {
    pub fn new(name: KafkaString, partitions: i32, configs: BTreeMap<String, String>) -> Self {
        NewTopic {
            name,
            partitions,
            configs,
        }
    }

    /// With `num.partitions`.
    pub fn with_defaults(broker: &Broker, name: &KafkaString) -> Self {
        NewTopic::new(
            name.clone(),
            broker.configs.int("num.partitions"),
            BTreeMap::new(),
        )
    }
}

/// The topics that one request creates, and its remaining budget of partitions.
struct Creation {
    now_ms: i64,
    validate_only: bool,
    mutations: Mutations,
    left: PartitionsLeft,
    /// The sequence that makes it durable.
    sequence: u64,
}

/// How many partitions a request may still create.
pub(crate) struct PartitionsLeft(i32);

impl PartitionsLeft {
    pub fn new() -> Self {
        PartitionsLeft(PARTITIONS_CREATED_MAX)
    }

    pub fn take(&mut self, partitions: i32) -> Result<(), Rejection> {
        if partitions > self.0 {
            return Err((ErrorCode::POLICY_VIOLATION, TOO_LARGE.to_owned()));
        }
        self.0 -= partitions;
        Ok(())
    }
}

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &CreateTopicsRequest,
) -> Outcome {
    let mut creation = Creation {
        now_ms,
        validate_only: request.validate_only,
        mutations: Mutations::of(context, version >= STRICT_QUOTA_VERSION),
        left: PartitionsLeft::new(),
        sequence: 0,
    };
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let mut create = |topic: &CreatableTopic| {
        let created = if repeated.contains(&topic.name) {
            Err(named_twice())
        } else {
            handle_one(broker, topic, &mut creation)
        };
        created.unwrap_or_else(|refused| failed(&topic.name, refused))
    };
    let topics = once_each_by(&request.topics, |topic| &topic.name).map(&mut create);
    let topics = topics.collect();
    Outcome::durable(
        creation.sequence,
        CreateTopicsResponse {
            throttle_time_ms: creation.mutations.throttle_time_ms,
            topics,
        },
    )
}

fn handle_one(
    broker: &mut Broker,
    topic: &CreatableTopic,
    creation: &mut Creation,
) -> Result<CreatableTopicResult, Rejection> {
    let now_ms = creation.now_ms;
    let new = new_topic(broker, topic)?;
    creation.left.take(new.partitions)?;
    charge(broker, now_ms, &new, &mut creation.mutations)?;
    let mut topic_id = Uuid::ZERO;
    if !creation.validate_only {
        let written = write(broker, now_ms, &new)?;
        creation.sequence = creation.sequence.max(written);
        topic_id = broker
            .topics
            .by_name(&topic.name)
            .map_or(Uuid::ZERO, |topic| topic.id);
    }
    let base = CreatableTopicResult {
        name: topic.name.clone(),
        topic_id,
        error_message: None,
        ..Default::default()
    };
    let is_described = broker.may(Operation::DescribeConfigs, ResourceKind::Topic, &topic.name);
    Ok(if is_described {
        CreatableTopicResult {
            num_partitions: new.partitions,
            replication_factor: 1,
            configs: Some(configs(broker, &new.configs)),
            ..base
        }
    } else {
        CreatableTopicResult {
            topic_config_error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            num_partitions: -1,
            replication_factor: -1,
            configs: None,
            ..base
        }
    })
}

/// The error for a topic that a request names more than once.
pub(crate) fn named_twice() -> Rejection {
    (ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned())
}

fn failed(name: &KafkaString, (error_code, message): Rejection) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.clone(),
        error_code,
        error_message: Some(message.into()),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}

/// Checks a requested topic in Kafka's order: name, configurations, replicas.
fn new_topic(broker: &Broker, topic: &CreatableTopic) -> Result<NewTopic, Rejection> {
    check_name(broker, &topic.name)?;
    let nulls = topic.configs.iter().filter(|config| config.value.is_none());
    let nulls: Vec<&str> = nulls.map(|config| config.name.as_str()).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err((ErrorCode::INVALID_CONFIG, message));
    }
    let config = |config: &CreatableTopicConfig| {
        let value = config.value.as_ref().map(ToString::to_string);
        (config.name.to_string(), value.unwrap_or_default())
    };
    let configs: BTreeMap<String, String> = topic.configs.iter().map(config).collect();
    check_configs(&configs)?;
    let partitions = if topic.assignments.is_empty() {
        counted(broker, topic)?
    } else {
        assigned(broker, topic)?
    };
    Ok(NewTopic::new(topic.name.clone(), partitions, configs))
}

/// The number of partitions if no replicas are assigned. Any replication factor is accepted; there is one replica.
fn counted(broker: &Broker, topic: &CreatableTopic) -> Result<i32, Rejection> {
    if topic.replication_factor == 0 || topic.replication_factor < -1 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, message.to_owned()));
    }
    match topic.num_partitions {
        -1 => Ok(broker.configs.int("num.partitions")),
        partitions @ 1.. => Ok(partitions),
        _ => {
            let message = "Number of partitions was set to an invalid non-positive value.";
            Err((ErrorCode::INVALID_PARTITIONS, message.to_owned()))
        }
    }
}

/// The number of partitions where replicas are named.
fn assigned(broker: &Broker, topic: &CreatableTopic) -> Result<i32, Rejection> {
    let invalid = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    if topic.replication_factor != -1 {
        return invalid(
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        );
    }
    if topic.num_partitions != -1 {
        return invalid("A manual partition assignment was specified, but numPartitions was not set to -1.");
    }
    let mut indexes = BTreeSet::new();
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if !indexes.insert(index) {
            let message = format!("Found multiple manual partition assignments for partition {index}");
            return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        check_replicas(broker, &assignment.broker_ids)?;
    }
    if !indexes
        .iter()
        .zip(0..)
        .all(|(index, expected)| *index == expected)
    {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message.to_owned()));
    }
    Ok(i32::try_from(indexes.len()).unwrap_or(i32::MAX))
}

/// Checks the brokers that a client assigns to a partition's replicas: this is the only one.
pub(crate) fn check_replicas(broker: &Broker, replicas: &[i32]) -> Result<(), Rejection> {
    let node_id = broker.node_id();
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let message = match (sorted.iter().find(|id| **id != node_id), sorted.len()) {
        (_, 0) => "The manual partition assignment includes an empty replica list.".to_owned(),
        (None, 1) => return Ok(()),
        // The lesser of two faults is found first.
        (Some(other), _) if *other < node_id || sorted.get(1) != Some(&node_id) => format!(
            "The manual partition assignment includes broker {other}, but no such broker is registered."
        ),
        _ => format!("The manual partition assignment includes the broker {node_id} more than once."),
    };
    Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
}

fn check_name(broker: &Broker, name: &KafkaString) -> Result<(), Rejection> {
    if name == CLUSTER_METADATA {
        let message = format!("Creation of internal topic {name} is prohibited.");
        return Err((ErrorCode::INVALID_REQUEST, message));
    }
    if !broker.may(Operation::Create, ResourceKind::Cluster, CLUSTER_NAME) {
        broker
            .access(Operation::Create, ResourceKind::Topic, name)
            .map_err(|code| (code, "Authorization failed.".to_owned()))?;
    }
    if broker.topics.by_name(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err((ErrorCode::TOPIC_ALREADY_EXISTS, message));
    }
    check_topic_name(name).map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))?;
    if let Some(other) = broker.topics.colliding(name) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    }
    Ok(())
}

fn charge(
    broker: &mut Broker,
    now_ms: i64,
    new: &NewTopic,
    mutations: &mut Mutations,
) -> Result<(), Rejection> {
    let partitions = usize::try_from(new.partitions).unwrap_or_default();
    mutations
        .charge(broker, now_ms, partitions)
        .map_err(|code| (code, QUOTA_EXCEEDED.to_owned()))
}

/// Checks topic configurations.
pub(crate) fn check_configs(configs: &BTreeMap<String, String>) -> Result<(), Rejection> {
    config::check_topic(configs).map_err(|error| (ErrorCode::INVALID_CONFIG, error.to_string()))
}

/// Creates a topic if the caller may. Returns the sequence that makes it durable.
pub(crate) fn create(broker: &mut Broker, now_ms: i64, new: &NewTopic) -> Result<u64, Rejection> {
    check_name(broker, &new.name)?;
    write(broker, now_ms, new)
}

/// The same for a caller with a quota, and no more than one request may create.
pub(crate) fn create_charged(
    broker: &mut Broker,
    now_ms: i64,
    new: &NewTopic,
    (mutations, left): (&mut Mutations, &mut PartitionsLeft),
) -> Result<u64, Rejection> {
    check_name(broker, &new.name)?;
    left.take(new.partitions)?;
    charge(broker, now_ms, new, mutations)?;
    write(broker, now_ms, new)
}

fn write(broker: &mut Broker, now_ms: i64, new: &NewTopic) -> Result<u64, Rejection> {
    let first = broker.log.next_log_id().0;
    let logs: Vec<u32> = (first..)
        .take(usize::try_from(new.partitions).unwrap_or_default())
        .collect();
    let entries = logs.iter().map(|log| Entry::CreateLog(LogId(*log))).collect();
    let change = Change::Topic {
        id: broker.random_uuid(),
        name: new.name.detached(),
        partitions: logs,
        configs: new.configs.clone(),
    };
    broker
        .write(now_ms, entries, &[change])
        .map_err(|error| (log_error_code(&error), error.to_string()))
}

fn configs(broker: &Broker, set: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
    let describe = |decl: &'static config::ConfigDecl| {
        let found = broker.configs.effective(decl, set, ConfigSource::Topic);
        CreatableTopicConfigs {
            name: KafkaString::from_static(decl.name),
            value: found.value.map(KafkaString::from),
            read_only: false,
            config_source: found.source as i8,
            is_sensitive: false,
        }
    };
    config::declarations(ResourceType::Topic)
        .iter()
        .map(describe)
        .collect()
}
