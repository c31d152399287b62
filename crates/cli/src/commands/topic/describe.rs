//! `millstream topic describe`.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use comfy_table::presets;
use millstream_kafka_client::admin::{ConfigEntry, ConfigResource, ListedOffset, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::metadata::{ClusterMetadata, PartitionMetadata, TopicMetadata};
use millstream_kafka_client::{KafkaClient, TopicPartition};
use serde_json::{Value, json};

use super::select::TopicFilter;
use crate::args::DescribeTopicArgs;
use crate::commands::connect::Connected;
use crate::process::Process;

/// The source of a configuration in DescribeConfigs: set on this topic.
const SOURCE_TOPIC: i8 = 1;
/// The configuration with the required number of in-sync replicas.
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// A partition and its offsets, which are unknown while it has no leader.
struct Partition<'a> {
    known: &'a PartitionMetadata,
    start: Option<i64>,
    end: Option<i64>,
}

/// What is known of a topic.
struct Description<'a> {
    topic: &'a TopicMetadata,
    partitions: Vec<Partition<'a>>,
    /// Overridden configurations.
    configs: BTreeMap<String, Option<String>>,
}

/// Prints partitions with their offsets, and overridden configurations.
pub fn run(
    process: &Process,
    connected: &Connected,
    args: &DescribeTopicArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    let filter = TopicFilter::new(&args.filter)?;
    process.runtime.block_on(async {
        let client = &connected.client;
        let metadata = client.list_topics().await?;
        if !args.if_exists {
            filter.check(&metadata)?;
        }
        for (position, topic) in describe(client, &metadata, &filter, args)
            .await?
            .iter()
            .enumerate()
        {
            if position > 0 && !is_json {
                writeln!(stdout())?;
            }
            if is_json {
                print_json(topic)?
            } else {
                print_table(topic, args.topics_with_overrides)?
            }
        }
        Ok(())
    })
}

async fn describe<'a>(
    client: &KafkaClient,
    metadata: &'a ClusterMetadata,
    filter: &TopicFilter,
    args: &DescribeTopicArgs,
) -> anyhow::Result<Vec<Description<'a>>> {
    let topics = filter.chosen(metadata);
    let starts = offsets(client, &topics, OffsetSpec::Earliest).await?;
    let ends = offsets(client, &topics, OffsetSpec::Latest).await?;
    let is_report = args.under_replicated_partitions
        || args.unavailable_partitions
        || args.under_min_isr_partitions
        || args.at_min_isr_partitions;
    let mut descriptions = Vec::new();
    for topic in topics {
        let configs = client
            .describe_configs(&ConfigResource::Topic(topic.name.clone()))
            .await?;
        let min_insync = min_insync_replicas(&configs);
        let wanted = topic
            .partitions
            .iter()
            .filter(|p| !args.topics_with_overrides && is_wanted(p, metadata, min_insync, args));
        let at = |offsets: &BTreeMap<TopicPartition, ListedOffset>, p: &PartitionMetadata| {
            let partition = TopicPartition::new(topic.name.clone(), p.partition);
            offsets.get(&partition).map(|listed| listed.offset)
        };
        let partitions: Vec<_> = wanted
            .map(|known| Partition {
                known,
                start: at(&starts, known),
                end: at(&ends, known),
            })
            .collect();
        let set = configs.into_iter().filter(|c| c.source == SOURCE_TOPIC);
        let configs: BTreeMap<_, _> = set.map(|c| (c.name, c.value)).collect();
        let is_empty = is_report && partitions.is_empty() || args.topics_with_overrides && configs.is_empty();
        if !is_empty {
            descriptions.push(Description {
                topic,
                partitions,
                configs,
            });
        }
    }
    Ok(descriptions)
}

fn min_insync_replicas(configs: &[ConfigEntry]) -> usize {
    let entry = configs.iter().find(|config| config.name == MIN_INSYNC_REPLICAS);
    let number = entry.and_then(|config| config.value.as_deref()?.parse().ok());
    number.unwrap_or(1)
}

/// Whether the partition matches the requested report; without a report, all match.
fn is_wanted(
    partition: &PartitionMetadata,
    metadata: &ClusterMetadata,
    min_insync: usize,
    args: &DescribeTopicArgs,
) -> bool {
    let in_sync = partition.in_sync_replicas.len();
    if args.under_replicated_partitions {
        return in_sync < partition.replicas.len();
    }
    if args.unavailable_partitions {
        return metadata.nodes.iter().all(|node| node.id != partition.leader);
    }
    if args.under_min_isr_partitions {
        return in_sync < min_insync;
    }
    !args.at_min_isr_partitions || in_sync == min_insync
}

/// One offset of each partition, for topics whose partitions all have leaders; only leaders know offsets.
async fn offsets(
    client: &KafkaClient,
    topics: &[&TopicMetadata],
    spec: OffsetSpec,
) -> anyhow::Result<BTreeMap<TopicPartition, ListedOffset>> {
    let led = topics
        .iter()
        .filter(|topic| topic.partitions.iter().all(|p| p.leader >= 0));
    let wanted: BTreeMap<TopicPartition, OffsetSpec> = led
        .flat_map(|topic| {
            let numbers = topic.partitions.iter().map(|p| p.partition);
            numbers.map(|number| (TopicPartition::new(topic.name.clone(), number), spec))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(client
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await?)
}

fn print_json(description: &Description<'_>) -> anyhow::Result<()> {
    let partition = |p: &Partition<'_>| {
        json!({
            "partition": p.known.partition, "leader": p.known.leader, "replicas": p.known.replicas,
            "isr": p.known.in_sync_replicas, "start": p.start, "end": p.end,
        })
    };
    let partitions: Vec<Value> = description.partitions.iter().map(partition).collect();
    let topic = description.topic;
    let value = json!({
        "topic": topic.name.as_str(), "id": topic.id.to_string(), "partitions": partitions,
        "configs": description.configs,
    });
    Ok(writeln!(stdout(), "{value}")?)
}

fn print_table(description: &Description<'_>, only_configs: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    let topic = description.topic;
    writeln!(out, "topic {}, id {}", topic.name.as_str(), topic.id)?;
    for (key, value) in &description.configs {
        writeln!(out, "  {key} = {}", value.as_deref().unwrap_or(""))?;
    }
    if only_configs {
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    let head = [
        "partition",
        "leader",
        "replicas",
        "isr",
        "start",
        "end",
        "records",
    ];
    table.load_style(presets::ASCII_MARKDOWN).set_header(head);
    let list = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for p in &description.partitions {
        let leader = Some(i64::from(p.known.leader)).filter(|leader| *leader >= 0);
        let records = p.end.zip(p.start).map(|(end, start)| end - start);
        table.add_row([
            p.known.partition.to_string(),
            number(leader),
            list(&p.known.replicas),
            list(&p.known.in_sync_replicas),
            number(p.start),
            number(p.end),
            number(records),
        ]);
    }
    Ok(writeln!(out, "{table}")?)
}
