//! CreateTopics, and creation by asking for metadata.

use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::config::{self, ConfigSource, ResourceType};
use crate::context::RequestContext;
use crate::limits::PARTITIONS_CREATED_MAX;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use crate::throttle::{Mutations, QUOTA_EXCEEDED};
use crate::topics::check_topic_name;
use crate::waits::Outcome;
use millstream_kafka_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::{Entry, LogId};
use std::collections::{BTreeMap, BTreeSet};

/// The first version whose clients repeat what a quota refuses.
const STRICT_QUOTA_VERSION: i16 = 6;

type Refused = (ErrorCode, String);

/// A topic to be created.
#[derive(Debug)]
pub(crate) struct NewTopic {
    name: KafkaString,
    /// −1 for `num.partitions`
    partitions: i32,
    /// Any number that is not 0; there is one replica.
    replication_factor: i16,
    configs: BTreeMap<String, String>,
}

impl NewTopic {
    pub fn with_defaults(name: &KafkaString) -> Self {
        NewTopic {
            name: name.clone(),
            partitions: -1,
            replication_factor: -1,
            configs: BTreeMap::new(),
        }
    }

    pub fn internal(name: KafkaString, partitions: i32, configs: BTreeMap<String, String>) -> Self {
        NewTopic {
            name,
            partitions,
            replication_factor: -1,
            configs,
        }
    }
}

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &CreateTopicsRequest,
) -> Outcome {
    let mut mutations = Mutations::of(context, version >= STRICT_QUOTA_VERSION);
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for topic in &request.topics {
        if !seen.insert(topic.name.clone()) {
            repeated.insert(topic.name.clone());
        }
    }
    let mut sequence = 0;
    let mut topics = Vec::new();
    for topic in &request.topics {
        if repeated.contains(&topic.name) {
            if seen.remove(&topic.name) {
                topics.push(failed(
                    &topic.name,
                    (ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned()),
                ));
            }
            continue;
        }
        topics.push(
            match handle_one(broker, now_ms, topic, request.validate_only, &mut mutations) {
                Ok((result, written)) => {
                    sequence = sequence.max(written);
                    result
                }
                Err(refused) => failed(&topic.name, refused),
            },
        );
    }
    Outcome::durable(
        sequence,
        CreateTopicsResponse {
            throttle_time_ms: mutations.throttle_time_ms,
            topics,
        },
    )
}

fn handle_one(
    broker: &mut Broker,
    now_ms: i64,
    topic: &CreatableTopic,
    validate_only: bool,
    mutations: &mut Mutations,
) -> Result<(CreatableTopicResult, u64), Refused> {
    let new = new_topic(topic)?;
    let partitions = check(broker, &new)?;
    mutations
        .charge(broker, now_ms, partitions.unsigned_abs() as usize)
        .map_err(|code| (code, QUOTA_EXCEEDED.to_owned()))?;
    let (mut topic_id, mut sequence) = (Uuid::ZERO, 0);
    if !validate_only {
        sequence = create(broker, now_ms, &new)?;
        topic_id = broker
            .topics
            .by_name(&topic.name)
            .map_or(Uuid::ZERO, |topic| topic.id);
    }
    let base = CreatableTopicResult {
        name: topic.name.clone(),
        topic_id,
        ..Default::default()
    };
    let result = match broker.may(Operation::DescribeConfigs, ResourceKind::Topic, &topic.name) {
        true => CreatableTopicResult {
            num_partitions: partitions,
            replication_factor: 1,
            configs: Some(configs(broker, &new.configs)),
            ..base
        },
        false => CreatableTopicResult {
            topic_config_error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            num_partitions: -1,
            replication_factor: -1,
            configs: None,
            ..base
        },
    };
    Ok((result, sequence))
}

fn failed(name: &KafkaString, (error_code, message): Refused) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.clone(),
        error_code,
        error_message: Some(message.into()),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}

/// The partitions and factor that are asked for, be it by number or by naming replicas.
fn new_topic(topic: &CreatableTopic) -> Result<NewTopic, Refused> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            return Err((
                ErrorCode::INVALID_CONFIG,
                format!("Null value not supported for topic configs: {}", config.name),
            ));
        };
        configs.insert(config.name.to_string(), value.to_string());
    }
    let name = topic.name.clone();
    if topic.assignments.is_empty() {
        return Ok(NewTopic {
            name,
            partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
            configs,
        });
    }
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "Both numPartitions or replicationFactor and replicasAssignments were set.";
        return Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    }
    let mut indexes: Vec<i32> = topic
        .assignments
        .iter()
        .map(|assignment| assignment.partition_index)
        .collect();
    indexes.sort_unstable();
    let is_row = indexes
        .iter()
        .enumerate()
        .all(|(index, partition)| *partition == index as i32);
    if !is_row
        || topic
            .assignments
            .iter()
            .any(|assignment| assignment.broker_ids.is_empty())
    {
        let message = "partitions must be numbered from 0 without holes, each with a replica";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message.to_owned()));
    }
    Ok(NewTopic {
        name,
        partitions: indexes.len() as i32,
        replication_factor: -1,
        configs,
    })
}

/// Checks everything; gives the number of partitions.
fn check(broker: &Broker, new: &NewTopic) -> Result<i32, Refused> {
    if !broker.may(Operation::Create, ResourceKind::Cluster, CLUSTER_NAME) {
        broker
            .access(Operation::Create, ResourceKind::Topic, &new.name)
            .map_err(|code| (code, "creating topics is denied".to_owned()))?;
    }
    check_topic_name(&new.name).map_err(|message| (ErrorCode::INVALID_TOPIC_EXCEPTION, message))?;
    if broker.topics.by_name(&new.name).is_some() {
        return Err((
            ErrorCode::TOPIC_ALREADY_EXISTS,
            format!("Topic '{}' already exists.", new.name),
        ));
    }
    if let Some(other) = broker.topics.colliding(&new.name) {
        let message = format!("Topic '{}' collides with existing topic: {other}", new.name);
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    }
    let partitions = match new.partitions {
        -1 => broker.configs.int("num.partitions"),
        partitions => partitions,
    };
    if !(1..=PARTITIONS_CREATED_MAX).contains(&partitions) {
        let message =
            format!("Number of partitions must be from 1 to {PARTITIONS_CREATED_MAX}, not {partitions}.");
        return Err((ErrorCode::INVALID_PARTITIONS, message));
    }
    if new.replication_factor == 0 || new.replication_factor < -1 {
        return Err((
            ErrorCode::INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0.".to_owned(),
        ));
    }
    check_configs(&new.configs)?;
    Ok(partitions)
}

/// Checks topic configurations.
pub(crate) fn check_configs(configs: &BTreeMap<String, String>) -> Result<(), Refused> {
    config::check_topic(configs).map_err(|message| (ErrorCode::INVALID_CONFIG, message))
}

/// Creates a topic; gives the sequence that makes it durable.
pub(crate) fn create(broker: &mut Broker, now_ms: i64, new: &NewTopic) -> Result<u64, Refused> {
    let partitions = check(broker, new)?;
    let first = broker.log.next_log_id().0;
    let logs: Vec<u32> = (first..first + partitions as u32).collect();
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
        let found = broker
            .configs
            .resource(decl, set, ConfigSource::Topic)
            .into_iter()
            .next()?;
        Some(CreatableTopicConfigs {
            name: KafkaString::from_static(decl.name),
            value: found.value.map(KafkaString::from),
            read_only: false,
            config_source: found.source as i8,
            is_sensitive: false,
        })
    };
    config::declarations(ResourceType::Topic)
        .iter()
        .filter_map(describe)
        .collect()
}
