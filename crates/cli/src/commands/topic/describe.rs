//! `millstream topic describe`.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use comfy_table::presets;
use millstream_kafka_client::TopicPartition;
use millstream_kafka_client::admin::{ConfigResource, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_wire::KafkaString;
use serde_json::json;

use super::Connected;
use crate::process::Process;

/// Where a configuration comes from, in DescribeConfigs: set for this topic.
const SOURCE_TOPIC: i8 = 1;

/// Prints partitions with their offsets, and the configurations that were set.
pub fn run(process: &Process, connected: &Connected, name: &str, is_json: bool) -> anyhow::Result<()> {
    process.runtime.block_on(async {
        let client = &connected.client;
        let metadata = client.topics(&[KafkaString::from(name)], false).await?;
        let topic = metadata
            .topic(name)
            .ok_or_else(|| anyhow::anyhow!("topic '{name}' does not exist"))?;
        let offsets = |spec: OffsetSpec| -> BTreeMap<TopicPartition, OffsetSpec> {
            topic
                .partitions
                .iter()
                .map(|p| (TopicPartition::new(name, p.partition), spec))
                .collect()
        };
        let starts = client
            .list_offsets(&offsets(OffsetSpec::Earliest), IsolationLevel::ReadUncommitted)
            .await?;
        let ends = client
            .list_offsets(&offsets(OffsetSpec::Latest), IsolationLevel::ReadUncommitted)
            .await?;
        let configs = client
            .describe_configs(&ConfigResource::Topic(name.into()))
            .await?;
        let set: BTreeMap<String, Option<String>> = configs
            .into_iter()
            .filter(|c| c.source == SOURCE_TOPIC)
            .map(|c| (c.name, c.value))
            .collect();
        let row = |partition: i32| {
            let key = TopicPartition::new(name, partition);
            (
                starts.get(&key).map_or(-1, |o| o.offset),
                ends.get(&key).map_or(-1, |o| o.offset),
            )
        };
        let mut out = stdout().lock();
        if is_json {
            let partitions: Vec<_> = topic
                .partitions
                .iter()
                .map(|p| {
                    let (start, end) = row(p.partition);
                    json!({"partition": p.partition, "leader": p.leader, "start": start, "end": end})
                })
                .collect();
            let id = topic.id.to_string();
            writeln!(
                out,
                "{}",
                json!({"topic": name, "id": id, "partitions": partitions, "configs": set})
            )?;
            return Ok(());
        }
        writeln!(out, "topic {name}, id {}", topic.id)?;
        for (key, value) in &set {
            writeln!(out, "  {key} = {}", value.as_deref().unwrap_or(""))?;
        }
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header([
            "partition",
            "leader",
            "start",
            "end",
            "records",
        ]);
        for partition in &topic.partitions {
            let (start, end) = row(partition.partition);
            table.add_row([
                partition.partition.to_string(),
                partition.leader.to_string(),
                start.to_string(),
                end.to_string(),
                (end - start).to_string(),
            ]);
        }
        writeln!(out, "{table}")?;
        Ok(())
    })
}
