//! `millstream topic alter` and `delete-records`.

use std::io::{Write, stdout};

use millstream_kafka_client::admin::{ConfigChange, ConfigResource};
use millstream_kafka_client::{ClientError, KafkaClient, TopicPartition};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use serde_json::json;

use crate::args::{AlterTopicArgs, Common};
use crate::commands::connect::{Connected, say};
use crate::process::Process;

/// Alters configurations first: if the broker rejects them, nothing has changed.
pub fn alter(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &AlterTopicArgs,
) -> anyhow::Result<()> {
    let set = args
        .configs
        .iter()
        .map(|(key, value)| ConfigChange::Set(key.clone(), value.clone()));
    let deleted = args
        .delete_configs
        .iter()
        .map(|key| ConfigChange::Delete(key.clone()));
    let changes: Vec<ConfigChange> = set.chain(deleted).collect();
    let name = args.name.as_str();
    match process
        .runtime
        .block_on(change(&connected.client, args, &changes))
    {
        Err(error) if args.if_exists && error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
            say(common, &format!("topic {name} does not exist"));
        }
        other => {
            other?;
            say(common, &format!("altered topic {name}"));
        }
    }
    Ok(())
}

async fn change(
    client: &KafkaClient,
    args: &AlterTopicArgs,
    changes: &[ConfigChange],
) -> Result<(), ClientError> {
    let name = KafkaString::from(args.name.as_str());
    // For a topic that does not exist, some brokers return a different error from AlterConfigs.
    let metadata = client.topics(std::slice::from_ref(&name), false).await?;
    if !changes.is_empty() {
        let topic = ConfigResource::Topic(name.clone());
        client.alter_configs(&topic, changes).await?;
    }
    let Some(total) = args.partitions else {
        return Ok(());
    };
    let known = metadata.topic(&name).map_or(0, |topic| topic.partitions.len());
    let assignment = args.replica_assignment.as_ref();
    let of_new = assignment.map(|each| each.0.get(known..).unwrap_or_default());
    client.create_partitions(&name, total, of_new).await
}

/// Deletes the records of a partition before an offset.
pub fn delete_records(
    process: &Process,
    connected: &Connected,
    partition: &TopicPartition,
    before: i64,
    is_json: bool,
) -> anyhow::Result<()> {
    let start = process
        .runtime
        .block_on(connected.client.delete_records(partition, before))?;
    let mut out = stdout().lock();
    if is_json {
        let (topic, number) = (partition.topic.as_str(), partition.partition);
        writeln!(
            out,
            "{}",
            json!({"topic": topic, "partition": number, "low_watermark": start})
        )?;
    } else {
        writeln!(out, "partition: {partition}\tlow_watermark: {start}")?
    }
    Ok(())
}
