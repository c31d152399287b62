//! `millstream group describe`: offsets and lag, members, or state.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stdout};

use millstream_kafka_client::admin::{CommittedOffset, ConsumerGroup, ConsumerMember, OffsetSpec};
use millstream_kafka_client::client::CoordinatorType;
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use millstream_kafka_wire::ErrorCode;
use serde_json::{Value, json};

use super::{WITHOUT_MEMBERS, meant};
use crate::args::{Common, DescribeGroupArgs};
use crate::commands::columns;
use crate::commands::connect::{Connected, say};
use crate::process::Process;

/// Describes groups.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &DescribeGroupArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    process.runtime.block_on(async {
        let client = &connected.client;
        let names = meant(client, &args.names).await?;
        for (position, name) in names.iter().enumerate() {
            let group = existing(client, name).await?;
            if position > 0 && !is_json {
                writeln!(stdout())?;
            }
            if group.members.is_empty() && WITHOUT_MEMBERS.contains(&group.state.as_str()) && !args.state {
                say(common, &format!("group {name} has no members"));
            }
            match (args.state, args.members) {
                (true, _) => state(client, &group, is_json).await?,
                (_, true) => members(&group, args.verbose, is_json)?,
                _ => offsets(client, &group, is_json).await?,
            }
        }
        Ok(())
    })
}

async fn existing(client: &KafkaClient, name: &str) -> anyhow::Result<ConsumerGroup> {
    // Older brokers describe an unknown group as dead.
    match client.describe_consumer_group(name).await {
        Ok(group) if group.state != "Dead" => Ok(group),
        Err(error) if error.code() != Some(ErrorCode::GROUP_ID_NOT_FOUND) => Err(error.into()),
        _ => anyhow::bail!("group '{name}' does not exist; `millstream group list` lists them"),
    }
}

async fn state(client: &KafkaClient, group: &ConsumerGroup, is_json: bool) -> anyhow::Result<()> {
    let id = client
        .coordinator(CoordinatorType::Group, &group.group_id)
        .await?;
    let metadata = client.metadata();
    let node = metadata.nodes.iter().find(|node| node.id == id);
    let address = node.map(|node| format!("{}:{}", node.host, node.port));
    let mut out = stdout().lock();
    if is_json {
        let value = json!({
            "group": group.group_id, "coordinator": id, "address": address, "assignor": group.assignor,
            "type": group.group_type, "state": group.state, "members": group.members.len(),
        });
        return Ok(writeln!(out, "{value}")?);
    }
    let row = [
        Some(group.group_id.clone()),
        address.map(|address| format!("{address} ({id})")),
        Some(group.assignor.clone()),
        Some(group.state.clone()),
        Some(group.members.len().to_string()),
    ];
    let head = [
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "#MEMBERS",
    ];
    Ok(columns::print(&mut out, head, &[row])?)
}

fn members(group: &ConsumerGroup, verbose: bool, is_json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if is_json {
        for member in &group.members {
            let partitions: Vec<Value> = member
                .partitions
                .iter()
                .map(|p| json!({"topic": p.topic.as_str(), "partition": p.partition}))
                .collect();
            let value = json!({
                "group": group.group_id, "member": member.member_id, "instance": member.instance_id,
                "host": member.host, "client": member.client_id, "partitions": partitions,
            });
            writeln!(out, "{value}")?;
        }
        return Ok(());
    }
    let row = |member: &ConsumerMember| {
        [
            Some(group.group_id.clone()),
            Some(member.member_id.clone()),
            Some(member.host.clone()),
            Some(member.client_id.clone()),
            Some(member.partitions.len().to_string()),
        ]
    };
    let head = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"];
    if !verbose {
        let rows: Vec<_> = group.members.iter().map(row).collect();
        return Ok(columns::print(&mut out, head, &rows)?);
    }
    let with_assignment = |member: &ConsumerMember| {
        let [a, b, c, d, e] = row(member);
        [a, b, c, d, e, Some(assignment(&member.partitions))]
    };
    let rows: Vec<_> = group.members.iter().map(with_assignment).collect();
    let [a, b, c, d, e] = head;
    Ok(columns::print(&mut out, [a, b, c, d, e, "ASSIGNMENT"], &rows)?)
}

/// `orders(0,1), refunds(0)`
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for partition in partitions {
        let numbers = topics.entry(partition.topic.as_str()).or_default();
        numbers.push(partition.partition.to_string());
    }
    let texts: Vec<String> = topics
        .iter()
        .map(|(topic, numbers)| format!("{topic}({})", numbers.join(",")))
        .collect();
    texts.join(", ")
}

/// A partition with the group's offset and member.
struct Row<'a> {
    partition: TopicPartition,
    committed: Option<i64>,
    end: Option<i64>,
    member: Option<&'a ConsumerMember>,
}

impl Row<'_> {
    fn lag(&self) -> Option<i64> {
        Some(self.end? - self.committed?)
    }
}

async fn offsets(client: &KafkaClient, group: &ConsumerGroup, is_json: bool) -> anyhow::Result<()> {
    let committed = client.committed_offsets(&group.group_id, None, false).await?;
    let rows = rows(client, group, &committed).await?;
    let mut out = stdout().lock();
    if is_json {
        for row in &rows {
            let value = json!({
                "group": group.group_id, "topic": row.partition.topic.as_str(), "partition": row.partition.partition,
                "offset": row.committed, "end": row.end, "lag": row.lag(),
                "member": row.member.map(|m| &m.member_id), "host": row.member.map(|m| &m.host),
                "client": row.member.map(|m| &m.client_id),
            });
            writeln!(out, "{value}")?;
        }
        return Ok(());
    }
    let cells = |row: &Row<'_>| {
        let number = |n: Option<i64>| n.map(|n| n.to_string());
        [
            Some(group.group_id.clone()),
            Some(row.partition.topic.to_string()),
            Some(row.partition.partition.to_string()),
            number(row.committed),
            number(row.end),
            number(row.lag()),
            row.member.map(|m| m.member_id.clone()),
            row.member.map(|m| m.host.clone()),
            row.member.map(|m| m.client_id.clone()),
        ]
    };
    let head = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ];
    let rows: Vec<_> = rows.iter().map(cells).collect();
    Ok(columns::print(&mut out, head, &rows)?)
}

/// The partitions that the group has committed or reads, sorted. A deleted topic has no end offset.
async fn rows<'a>(
    client: &KafkaClient,
    group: &'a ConsumerGroup,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> anyhow::Result<Vec<Row<'a>>> {
    let assigned = group.members.iter().flat_map(|m| m.partitions.iter().cloned());
    let partitions: BTreeSet<TopicPartition> = committed.keys().cloned().chain(assigned).collect();
    let known = client.list_topics().await?;
    let wanted: BTreeMap<TopicPartition, OffsetSpec> = partitions
        .iter()
        .filter(|p| known.partition(&p.topic, p.partition).is_some())
        .map(|p| (p.clone(), OffsetSpec::Latest))
        .collect();
    let ends = if wanted.is_empty() {
        BTreeMap::new()
    } else {
        client
            .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
            .await?
    };
    let row = |partition: TopicPartition| Row {
        committed: committed.get(&partition).map(|c| c.offset),
        end: ends.get(&partition).map(|o| o.offset),
        member: group.members.iter().find(|m| m.partitions.contains(&partition)),
        partition,
    };
    Ok(partitions.into_iter().map(row).collect())
}
