//! Topics: list, describe, create, change, delete.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use millstream_broker::TopicMeasure;
use millstream_kafka_client::TopicPartition;
use millstream_kafka_client::admin::{ConfigChange, ConfigEntry, ConfigResource, NewTopic, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::{UiError, UiResult};
use crate::kafka::{ResourceType, meaning};

/// The number by which Kafka says that a setting is the topic's own.
const SET_ON_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

type TopicPath = Result<Path<String>, PathRejection>;
type Body<T> = Result<Json<T>, JsonRejection>;

fn bytes(topic: &TopicMeasure) -> u64 {
    topic.partitions.iter().map(|partition| partition.size).sum()
}

fn records(topic: &TopicMeasure) -> i64 {
    let partitions = topic.partitions.iter();
    partitions
        .map(|partition| (partition.end_offset - partition.start_offset).max(0))
        .sum()
}

pub async fn list(State(ui): Shared) -> UiResult<Json<Value>> {
    let measure = ui.kafka.measure().await?;
    let metadata = ui.kafka.client().await?.list_topics().await?;
    let measured: BTreeMap<&str, &TopicMeasure> = measure
        .topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic))
        .collect();
    let mut rows = Vec::new();
    for (name, topic) in &metadata.topics {
        let found = measured.get(name.as_str());
        rows.push(json!({
            "name": name.as_str(),
            "partitions": topic.partitions.len(),
            "internal": topic.is_internal,
            "bytes": found.map_or(0, |topic| bytes(topic)),
            "records": found.map_or(0, |topic| records(topic)),
        }));
    }
    Ok(Json(json!({ "topics": rows })))
}

pub async fn describe(State(ui): Shared, topic: TopicPath) -> UiResult<Json<Value>> {
    let Path(name) = topic?;
    let client = ui.kafka.client().await?;
    let metadata = client.list_topics().await?;
    let topic = metadata.topic(&name).ok_or_else(|| no_such_topic(&name))?;
    let all: BTreeMap<TopicPartition, OffsetSpec> = topic
        .partitions
        .iter()
        .map(|partition| {
            (
                TopicPartition::new(name.as_str(), partition.partition),
                OffsetSpec::Latest,
            )
        })
        .collect();
    let stable = client.list_offsets(&all, IsolationLevel::ReadCommitted).await?;
    let configs = client
        .describe_configs(&ConfigResource::Topic(name.as_str().into()))
        .await?;
    let measure = ui.kafka.measure().await?;
    let measured = measure.topics.iter().find(|measured| measured.name == topic.name);
    let mut partitions = Vec::new();
    for partition in &topic.partitions {
        let number = usize::try_from(partition.partition).unwrap_or(usize::MAX);
        let found = measured.and_then(|topic| topic.partitions.get(number));
        let end = found.map_or(0, |found| found.end_offset);
        let stable = stable.get(&TopicPartition::new(name.as_str(), partition.partition));
        partitions.push(json!({
            "partition": partition.partition,
            "leader": partition.leader,
            "start": found.map_or(0, |found| found.start_offset),
            "end": end,
            // Taken a moment earlier than the end.
            "stable": stable.map_or(end, |stable| stable.offset.min(end)),
            "bytes": found.map_or(0, |found| found.size),
        }));
    }
    let reads =
        |group: &&millstream_broker::GroupMeasure| group.offsets.iter().any(|(read, ..)| *read == topic.name);
    let groups: Vec<&str> = measure
        .groups
        .iter()
        .filter(reads)
        .map(|group| group.name.as_str())
        .collect();
    Ok(Json(json!({
        "name": name,
        "internal": topic.is_internal,
        "bytes": measured.map_or(0, bytes),
        "partitions": partitions,
        "configs": configs.iter().map(config).collect::<Vec<_>>(),
        "groups": groups,
    })))
}

fn config(entry: &ConfigEntry) -> Value {
    json!({
        "name": entry.name,
        "value": entry.value,
        "default": entry.source != SET_ON_TOPIC,
        "read_only": entry.is_read_only,
        "sensitive": entry.is_sensitive,
        "source": match entry.source { SET_ON_TOPIC => "topic", DEFAULT => "default", _ => "broker" },
        "doc": meaning(ResourceType::Topic, &entry.name),
    })
}

fn no_such_topic(name: &str) -> UiError {
    UiError::not_found(format!("topic '{name}' does not exist"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTopic {
    name: String,
    /// `None`: as the broker is configured.
    partitions: Option<i32>,
    #[serde(default)]
    configs: BTreeMap<String, String>,
}

pub async fn create(State(ui): Shared, body: Body<CreateTopic>) -> UiResult<(StatusCode, Json<Value>)> {
    let Json(wanted) = body?;
    let mut topic = NewTopic::new(wanted.name.as_str(), wanted.partitions);
    topic.configs = wanted.configs;
    ui.kafka.client().await?.create_topic(topic).await?;
    tracing::info!(topic = wanted.name, "topic created from the Web UI");
    Ok((StatusCode::CREATED, Json(json!({ "name": wanted.name }))))
}

pub async fn delete(State(ui): Shared, topic: TopicPath) -> UiResult<Json<Value>> {
    let Path(name) = topic?;
    ui.kafka.client().await?.delete_topic(&name).await?;
    tracing::info!(topic = name, "topic deleted from the Web UI");
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterConfigs {
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Back to the default.
    #[serde(default)]
    reset: Vec<String>,
}

pub async fn alter_configs(
    State(ui): Shared,
    topic: TopicPath,
    body: Body<AlterConfigs>,
) -> UiResult<Json<Value>> {
    let (Path(name), Json(wanted)) = (topic?, body?);
    let set = wanted
        .set
        .into_iter()
        .map(|(key, value)| ConfigChange::Set(key, value));
    let reset = wanted.reset.into_iter().map(ConfigChange::Delete);
    let changes: Vec<ConfigChange> = set.chain(reset).collect();
    let topic = ConfigResource::Topic(name.as_str().into());
    ui.kafka.client().await?.alter_configs(&topic, &changes).await?;
    tracing::info!(topic = name, "configuration of a topic changed from the Web UI");
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPartitions {
    /// How many there are afterwards.
    count: i32,
}

pub async fn add_partitions(
    State(ui): Shared,
    topic: TopicPath,
    body: Body<AddPartitions>,
) -> UiResult<Json<Value>> {
    let (Path(name), Json(wanted)) = (topic?, body?);
    ui.kafka
        .client()
        .await?
        .create_partitions(&name, wanted.count, None)
        .await?;
    tracing::info!(
        topic = name,
        count = wanted.count,
        "partitions added from the Web UI"
    );
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteRecords {
    /// By partition; everything before the offset goes.
    offsets: BTreeMap<i32, i64>,
}

pub async fn delete_records(
    State(ui): Shared,
    topic: TopicPath,
    body: Body<DeleteRecords>,
) -> UiResult<Json<Value>> {
    let (Path(name), Json(wanted)) = (topic?, body?);
    let client = ui.kafka.client().await?;
    let mut starts = BTreeMap::new();
    for (partition, offset) in wanted.offsets {
        let start = client
            .delete_records(&TopicPartition::new(name.as_str(), partition), offset)
            .await?;
        starts.insert(partition, start);
    }
    tracing::info!(topic = name, "records deleted from the Web UI");
    Ok(Json(json!({ "starts": starts })))
}
