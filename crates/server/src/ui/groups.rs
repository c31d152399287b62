//! Consumer groups: members, lag, moving their offsets.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use millstream_broker::GroupMeasure;
use millstream_kafka_client::admin::{CommittedOffset, ListedOffset, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::{UiError, UiResult};

type GroupPath = Result<Path<String>, PathRejection>;

pub async fn list(State(ui): Shared) -> UiResult<Json<Value>> {
    let listed = ui.kafka.client().await?.list_groups().await?;
    let measure = ui.kafka.measure().await?;
    let measured: BTreeMap<&str, &GroupMeasure> = measure
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group))
        .collect();
    let row = |group: &millstream_kafka_client::admin::GroupListing| {
        let found = measured.get(group.group_id.as_str());
        let offsets = found.map_or(&[][..], |found| found.offsets.as_slice());
        let mut topics: Vec<&str> = offsets.iter().map(|(topic, ..)| topic.as_str()).collect();
        topics.dedup();
        json!({
            "group": group.group_id,
            "state": group.state,
            "type": group.group_type,
            "protocol": group.protocol_type,
            "members": found.map_or(0, |found| found.members),
            "topics": topics.len(),
            "lag": offsets.iter().map(|(.., lag)| lag).sum::<i64>(),
        })
    };
    Ok(Json(
        json!({ "groups": listed.iter().map(row).collect::<Vec<_>>() }),
    ))
}

async fn bounds(
    client: &KafkaClient,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> UiResult<BTreeMap<TopicPartition, ListedOffset>> {
    let wanted = partitions
        .iter()
        .map(|partition| (partition.clone(), spec))
        .collect();
    Ok(client
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await?)
}

pub async fn describe(State(ui): Shared, group: GroupPath) -> UiResult<Json<Value>> {
    let Path(name) = group?;
    let client = ui.kafka.client().await?;
    let listed = client.list_groups().await?;
    if !listed.iter().any(|group| group.group_id == name) {
        return Err(UiError::not_found(format!("group '{name}' does not exist")));
    }
    let described = client.describe_consumer_group(&name).await?;
    let committed = client.committed_offsets(&name, None, false).await?;
    let mut members_of: BTreeMap<TopicPartition, &str> = BTreeMap::new();
    for member in &described.members {
        members_of.extend(
            member
                .partitions
                .iter()
                .map(|partition| (partition.clone(), member.client_id.as_str())),
        );
    }
    let metadata = client.list_topics().await?;
    let mut partitions: Vec<TopicPartition> = committed.keys().chain(members_of.keys()).cloned().collect();
    // Offsets outlive their topics for a while.
    partitions.retain(|partition| {
        metadata
            .partition(partition.topic.as_str(), partition.partition)
            .is_some()
    });
    partitions.sort();
    partitions.dedup();
    let starts = bounds(client, &partitions, OffsetSpec::Earliest).await?;
    let ends = bounds(client, &partitions, OffsetSpec::Latest).await?;
    let offset = |partition: &TopicPartition| {
        let committed = committed.get(partition).map(|committed| committed.offset);
        let end = ends.get(partition).map_or(0, |listed| listed.offset);
        json!({
            "topic": partition.topic.as_str(),
            "partition": partition.partition,
            "committed": committed,
            "start": starts.get(partition).map_or(0, |listed| listed.offset),
            "end": end,
            "lag": committed.map(|committed| (end - committed).max(0)),
            "member": members_of.get(partition),
        })
    };
    let members = described.members.iter().map(|member| {
        json!({
            "id": member.member_id,
            "instance_id": member.instance_id,
            "client_id": member.client_id,
            "host": member.host,
            "partitions": member.partitions.iter().map(|partition| json!({
                "topic": partition.topic.as_str(), "partition": partition.partition,
            })).collect::<Vec<_>>(),
        })
    });
    Ok(Json(json!({
        "group": name,
        "state": described.state,
        "type": described.group_type,
        "assignor": described.assignor,
        "members": members.collect::<Vec<_>>(),
        "offsets": partitions.iter().map(offset).collect::<Vec<_>>(),
    })))
}

pub async fn delete(State(ui): Shared, group: GroupPath) -> UiResult<Json<Value>> {
    let Path(name) = group?;
    ui.kafka.client().await?.delete_group(&name).await?;
    tracing::info!(group = name, "group deleted from the Web UI");
    Ok(Json(json!({})))
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum To {
    Earliest,
    Latest,
    Offset,
    Shift,
    Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// `None`: all topics in which the group has offsets.
    topic: Option<String>,
    to: To,
    /// The offset, the distance or the milliseconds.
    value: Option<i64>,
    dry_run: bool,
}

pub async fn reset(
    State(ui): Shared,
    group: GroupPath,
    body: Result<Json<Reset>, JsonRejection>,
) -> UiResult<Json<Value>> {
    let (Path(name), Json(wanted)) = (group?, body?);
    let needs_value = !matches!(wanted.to, To::Earliest | To::Latest);
    let value = match wanted.value {
        None if needs_value => {
            return Err(UiError::input(
                "'value' is missing: the offset, distance or time to move to",
            ));
        }
        value => value.unwrap_or_default(),
    };
    let client = ui.kafka.client().await?;
    let committed = client.committed_offsets(&name, None, false).await?;
    let partitions = chosen(client, &committed, wanted.topic.as_deref()).await?;
    let starts = bounds(client, &partitions, OffsetSpec::Earliest).await?;
    let ends = bounds(client, &partitions, OffsetSpec::Latest).await?;
    let times = match wanted.to {
        To::Timestamp => bounds(client, &partitions, OffsetSpec::Timestamp(value)).await?,
        _ => BTreeMap::new(),
    };
    let mut moves = BTreeMap::new();
    for partition in &partitions {
        let of =
            |found: &BTreeMap<TopicPartition, ListedOffset>| found.get(partition).map(|listed| listed.offset);
        let (start, end) = (of(&starts).unwrap_or_default(), of(&ends).unwrap_or_default());
        let present = committed.get(partition).map(|committed| committed.offset);
        let target = match wanted.to {
            To::Earliest => start,
            To::Latest => end,
            To::Offset => value,
            To::Shift => present.unwrap_or(start).saturating_add(value),
            // No record is as new: behind the last one.
            To::Timestamp => of(&times).filter(|offset| *offset >= 0).unwrap_or(end),
        };
        moves.insert(partition.clone(), (present, target.clamp(start, end)));
    }
    if !wanted.dry_run {
        let offsets: BTreeMap<_, _> = moves
            .iter()
            .map(|(partition, (_, to))| (partition.clone(), CommittedOffset::new(*to)))
            .collect();
        client.commit_offsets(&name, &offsets).await?;
        tracing::info!(group = name, "offsets of a group moved from the Web UI");
    }
    let offsets = moves.iter().map(|(partition, (from, to))| {
        json!({ "topic": partition.topic.as_str(), "partition": partition.partition, "from": from, "to": to })
    });
    Ok(Json(
        json!({ "offsets": offsets.collect::<Vec<_>>(), "applied": !wanted.dry_run }),
    ))
}

/// The partitions whose offsets move: of one topic all, otherwise those that the group has committed.
async fn chosen(
    client: &KafkaClient,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
    topic: Option<&str>,
) -> UiResult<Vec<TopicPartition>> {
    let metadata = client.list_topics().await?;
    let partitions: Vec<TopicPartition> = match topic {
        None => committed
            .keys()
            .filter(|partition| {
                metadata
                    .partition(partition.topic.as_str(), partition.partition)
                    .is_some()
            })
            .cloned()
            .collect(),
        Some(name) => {
            let topic = metadata.topic(name);
            let topic = topic.ok_or_else(|| UiError::not_found(format!("topic '{name}' does not exist")))?;
            let numbers = topic.partitions.iter().map(|partition| partition.partition);
            numbers.map(|number| TopicPartition::new(name, number)).collect()
        }
    };
    if partitions.is_empty() {
        Err(UiError::input("the group has no offsets that could be moved"))
    } else {
        Ok(partitions)
    }
}
