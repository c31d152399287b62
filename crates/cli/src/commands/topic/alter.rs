//! `millstream topic alter`, `offsets` and `delete-records`.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use millstream_kafka_client::TopicPartition;
use millstream_kafka_client::admin::{ConfigChange, ConfigResource, OffsetSpec};
use millstream_kafka_wire::KafkaString;
use serde_json::json;

use crate::args::{AlterTopicArgs, Common};
use crate::commands::connect::{Connected, say};
use crate::process::Process;

/// Configurations first: if they are refused, nothing has changed.
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
    let (client, name) = (&connected.client, args.name.as_str());
    process.runtime.block_on(async {
        if !changes.is_empty() {
            client
                .alter_configs(&ConfigResource::Topic(name.into()), &changes)
                .await?;
        }
        if let Some(total) = args.partitions {
            client.create_partitions(name, total).await?;
        }
        anyhow::Ok(())
    })?;
    say(common, &format!("altered topic {name}"));
    Ok(())
}

/// Prints `topic:partition:offset` of topics, or of all.
pub fn offsets(
    process: &Process,
    connected: &Connected,
    names: &[String],
    time: &str,
    is_json: bool,
) -> anyhow::Result<()> {
    let spec = spec(time)?;
    let found = process.runtime.block_on(async {
        let client = &connected.client;
        let metadata = match names {
            [] => client.list_topics().await?,
            names => {
                let names: Vec<KafkaString> = names.iter().map(Into::into).collect();
                client.topics(&names, false).await?
            }
        };
        let is_asked = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
        let wanted: BTreeMap<TopicPartition, OffsetSpec> = metadata
            .topics
            .values()
            .filter(|topic| is_asked(topic.name.as_str()))
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|p| TopicPartition::new(topic.name.clone(), p.partition))
            })
            .map(|partition| (partition, spec))
            .collect();
        if wanted.is_empty() {
            return anyhow::Ok(BTreeMap::new());
        }
        let isolation = connected.config.fetch.isolation_level;
        Ok(client.list_offsets(&wanted, isolation).await?)
    })?;
    let mut out = stdout().lock();
    for (partition, offset) in found {
        let (topic, number, offset) = (partition.topic.as_str(), partition.partition, offset.offset);
        match is_json {
            true => writeln!(
                out,
                "{}",
                json!({"topic": topic, "partition": number, "offset": offset})
            )?,
            // No record is so young: kafka-get-offsets leaves the place empty.
            false if offset < 0 => writeln!(out, "{topic}:{number}:")?,
            false => writeln!(out, "{topic}:{number}:{offset}")?,
        }
    }
    Ok(())
}

fn spec(time: &str) -> anyhow::Result<OffsetSpec> {
    Ok(match time {
        "-1" | "latest" => OffsetSpec::Latest,
        "-2" | "earliest" => OffsetSpec::Earliest,
        "-3" | "max-timestamp" => OffsetSpec::MaxTimestamp,
        other => {
            let ms = other.parse().ok().filter(|ms: &i64| *ms >= 0);
            let wrong = "is no time; expected latest, earliest, max-timestamp or milliseconds since 1970";
            OffsetSpec::Timestamp(ms.ok_or_else(|| anyhow::anyhow!("'{other}' {wrong}"))?)
        }
    })
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
    match is_json {
        true => {
            let (topic, number) = (partition.topic.as_str(), partition.partition);
            writeln!(
                out,
                "{}",
                json!({"topic": topic, "partition": number, "low_watermark": start})
            )?;
        }
        false => writeln!(out, "partition: {partition}\tlow_watermark: {start}")?,
    }
    Ok(())
}
