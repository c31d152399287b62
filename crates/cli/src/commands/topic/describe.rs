//! `millstream topic describe`.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use comfy_table::presets;
use millstream_kafka_client::admin::{ConfigResource, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::metadata::TopicMetadata;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use millstream_kafka_wire::KafkaString;
use serde_json::json;

use crate::commands::connect::Connected;
use crate::process::Process;

/// Where a configuration comes from, in DescribeConfigs: set for this topic.
const SOURCE_TOPIC: i8 = 1;

/// A partition and its offsets.
struct Partition {
    number: i32,
    leader: i32,
    start: i64,
    end: i64,
}

/// What is known of a topic.
struct Description {
    name: String,
    id: String,
    partitions: Vec<Partition>,
    /// Configurations that were set.
    configs: BTreeMap<String, Option<String>>,
}

/// Prints partitions with their offsets, and the configurations that were set.
pub fn run(process: &Process, connected: &Connected, name: &str, is_json: bool) -> anyhow::Result<()> {
    let description = process.runtime.block_on(describe(&connected.client, name))?;
    match is_json {
        true => print_json(&description),
        false => print_table(&description),
    }
}

async fn describe(client: &KafkaClient, name: &str) -> anyhow::Result<Description> {
    let metadata = client.topics(&[KafkaString::from(name)], false).await?;
    let topic = metadata
        .topic(name)
        .ok_or_else(|| anyhow::anyhow!("topic '{name}' does not exist"))?;
    let starts = offsets(client, topic, OffsetSpec::Earliest).await?;
    let ends = offsets(client, topic, OffsetSpec::Latest).await?;
    let configs = client
        .describe_configs(&ConfigResource::Topic(name.into()))
        .await?;
    let partitions = topic.partitions.iter().map(|p| Partition {
        number: p.partition,
        leader: p.leader,
        start: starts.get(&p.partition).copied().unwrap_or(-1),
        end: ends.get(&p.partition).copied().unwrap_or(-1),
    });
    let set = configs.into_iter().filter(|c| c.source == SOURCE_TOPIC);
    Ok(Description {
        name: name.to_owned(),
        id: topic.id.to_string(),
        partitions: partitions.collect(),
        configs: set.map(|c| (c.name, c.value)).collect(),
    })
}

/// One offset of each partition.
async fn offsets(
    client: &KafkaClient,
    topic: &TopicMetadata,
    spec: OffsetSpec,
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let partitions = topic.partitions.iter();
    let wanted = partitions
        .map(|p| (TopicPartition::new(topic.name.clone(), p.partition), spec))
        .collect();
    let found = client
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await?;
    Ok(found
        .into_iter()
        .map(|(p, listed)| (p.partition, listed.offset))
        .collect())
}

fn print_json(topic: &Description) -> anyhow::Result<()> {
    let partition =
        |p: &Partition| json!({"partition": p.number, "leader": p.leader, "start": p.start, "end": p.end});
    let partitions: Vec<_> = topic.partitions.iter().map(partition).collect();
    let value =
        json!({"topic": topic.name, "id": topic.id, "partitions": partitions, "configs": topic.configs});
    Ok(writeln!(stdout(), "{value}")?)
}

fn print_table(topic: &Description) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "topic {}, id {}", topic.name, topic.id)?;
    for (key, value) in &topic.configs {
        writeln!(out, "  {key} = {}", value.as_deref().unwrap_or(""))?;
    }
    let mut table = comfy_table::Table::new();
    let head = ["partition", "leader", "start", "end", "records"];
    table.load_style(presets::ASCII_MARKDOWN).set_header(head);
    for p in &topic.partitions {
        let numbers = [
            i64::from(p.number),
            i64::from(p.leader),
            p.start,
            p.end,
            p.end - p.start,
        ];
        table.add_row(numbers.map(|number| number.to_string()));
    }
    Ok(writeln!(out, "{table}")?)
}
