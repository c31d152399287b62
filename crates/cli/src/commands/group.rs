//! `millstream group`: administration of consumer groups.

mod describe;
mod plan;
mod reset;

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use millstream_kafka_client::admin::GroupListing;
use millstream_kafka_client::error::with_causes;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use serde_json::json;

use crate::args::{Common, GroupArgs, GroupCommand, GroupNamesArgs, Names};
use crate::commands::columns;
use crate::commands::connect::{Connected, connect, say};
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;

pub fn run(process: &Process, common: &Common, args: &GroupArgs) -> Outcome {
    let connected = connect(process, common, &args.client, &[])?;
    let is_json = common.output == Some(OutputFormat::Json);
    match &args.command {
        GroupCommand::List {
            state,
            group_type,
            internal,
        } => {
            let keeps = |group: &GroupListing| *internal || !marks_commits(group);
            list(
                process,
                &connected,
                state.as_ref(),
                group_type.as_ref(),
                keeps,
                is_json,
            )?;
        }
        GroupCommand::Describe(args) => describe::run(process, common, &connected, args, is_json)?,
        GroupCommand::ResetOffsets(args) => reset::run(process, common, &connected, args, is_json)?,
        GroupCommand::DeleteOffsets { group, topics } => {
            process.runtime.block_on(async {
                let partitions = named(&connected.client, topics).await?;
                connected.client.delete_offsets(group, &partitions).await?;
                let count = partitions.len();
                let noun = if count == 1 { "partition" } else { "partitions" };
                say(
                    common,
                    &format!("deleted the offsets of group {group} for {count} {noun}"),
                );
                anyhow::Ok(())
            })?;
        }
        GroupCommand::Delete { groups } => process.runtime.block_on(async {
            let names = meant(&connected.client, groups).await?;
            delete(common, &connected.client, &names).await
        })?,
    }
    Ok(())
}

/// The named groups, or all consumer groups.
async fn meant(client: &KafkaClient, args: &GroupNamesArgs) -> anyhow::Result<Vec<String>> {
    if !args.all_groups {
        return Ok(args.groups.clone());
    }
    let mut groups = client.list_groups().await?;
    groups.retain(is_of_consumers);
    Ok(groups.into_iter().map(|g| g.group_id).collect())
}

/// Whether `kafka-consumer-groups` would list the group, which excludes groups of Kafka Connect, Kafka Streams and
/// share consumers. Groups that only have offsets have no protocol type, and older brokers do not report group types.
fn is_of_consumers(group: &GroupListing) -> bool {
    let is_one_of = |text: &str, names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
    is_one_of(&group.group_type, &["", "classic", "consumer"])
        && is_one_of(&group.protocol_type, &["", "consumer"])
}

/// Whether an exactly-once sink records its last commit in this group. Such a group never has members.
fn marks_commits(group: &GroupListing) -> bool {
    let prefix = group.group_id.strip_suffix("-committed");
    let subtask = prefix
        .and_then(|prefix| prefix.rsplit_once('-'))
        .map(|(_, subtask)| subtask);
    subtask.is_some_and(|subtask| !subtask.is_empty() && subtask.bytes().all(|b| b.is_ascii_digit()))
}

/// Deletes all groups that can be deleted, and reports the others as an error.
async fn delete(common: &Common, client: &KafkaClient, groups: &[String]) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for group in groups {
        match client.delete_group(group).await {
            Ok(()) => say(common, &format!("deleted group {group}")),
            Err(error) => failures.push(with_causes(&error)),
        }
    }
    anyhow::ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

fn list(
    process: &Process,
    connected: &Connected,
    states: Option<&Names>,
    types: Option<&Names>,
    keeps: impl Fn(&GroupListing) -> bool,
    is_json: bool,
) -> anyhow::Result<()> {
    let has = |wanted: Option<&Names>, name: &str| {
        wanted.is_none_or(|n| n.0.is_empty() || n.0.iter().any(|n| n.eq_ignore_ascii_case(name)))
    };
    let mut groups = process.runtime.block_on(connected.client.list_groups())?;
    // An empty list would claim that no groups exist.
    let is_silent = |wanted: Option<&Names>, is_told: fn(&GroupListing) -> bool| {
        wanted.is_some_and(|n| !n.0.is_empty()) && !groups.iter().all(is_told)
    };
    anyhow::ensure!(
        !is_silent(states, |g| !g.state.is_empty()) && !is_silent(types, |g| !g.group_type.is_empty()),
        "the broker is too old to tell the states or types of groups; `millstream group describe --state` asks for each"
    );
    groups.retain(|g| has(states, &g.state) && has(types, &g.group_type) && keeps(g));
    let mut out = stdout().lock();
    if (states.is_some() || types.is_some()) && !is_json {
        let row = |g: &GroupListing| {
            [&g.group_id, &g.group_type, &g.protocol_type, &g.state].map(|text| Some(text.clone()))
        };
        let rows: Vec<_> = groups.iter().map(row).collect();
        return Ok(columns::print(
            &mut out,
            ["GROUP", "TYPE", "PROTOCOL", "STATE"],
            &rows,
        )?);
    }
    for group in groups {
        if is_json {
            writeln!(
                out,
                "{}",
                json!({
                    "group": group.group_id, "type": group.group_type, "protocol": group.protocol_type,
                    "state": group.state,
                })
            )?
        } else {
            writeln!(out, "{}", group.group_id)?
        }
    }
    Ok(())
}

/// States of groups without members.
const WITHOUT_MEMBERS: [&str; 2] = ["Empty", "Dead"];

/// The state of a group that may have members, which would overwrite commits of others. A group that does not exist has
/// no members and may receive its first offsets.
pub async fn active_state(client: &KafkaClient, group: &str) -> anyhow::Result<Option<String>> {
    let groups = client.list_groups().await?;
    let found = groups.into_iter().find(|g| g.group_id == group);
    Ok(found
        .map(|g| g.state)
        .filter(|state| !WITHOUT_MEMBERS.contains(&state.as_str())))
}

/// The partitions named by `topic` or `topic:0,2`.
async fn named(client: &KafkaClient, texts: &[String]) -> anyhow::Result<Vec<TopicPartition>> {
    let mut wanted: BTreeMap<&str, Option<Vec<i32>>> = BTreeMap::new();
    for text in texts {
        let (topic, list) = match text.rsplit_once(':') {
            None => (text.as_str(), None),
            Some((topic, numbers)) => {
                let numbers: Result<Vec<i32>, _> = numbers.split(',').map(|n| n.trim().parse()).collect();
                let numbers =
                    numbers.map_err(|_| anyhow::anyhow!("'{text}' is not of the form TOPIC or TOPIC:0,1"))?;
                (topic, Some(numbers))
            }
        };
        match (wanted.get_mut(topic), list) {
            (Some(Some(known)), Some(more)) => known.extend(more),
            (_, list) => {
                wanted.insert(topic, list);
            }
        }
    }
    let names: Vec<_> = wanted.keys().map(|name| (*name).into()).collect();
    let metadata = client.topics(&names, false).await?;
    let mut partitions = Vec::new();
    for (topic, list) in wanted {
        let Some(known) = metadata.topic(topic) else {
            continue;
        };
        match list {
            None => partitions.extend(
                known
                    .partitions
                    .iter()
                    .map(|p| TopicPartition::new(topic, p.partition)),
            ),
            Some(numbers) => {
                for number in numbers {
                    let exists = known.partition(number).is_some();
                    anyhow::ensure!(
                        exists,
                        "topic '{topic}' has no partition {number}; it has {}",
                        known.partitions.len()
                    );
                    partitions.push(TopicPartition::new(topic, number));
                }
            }
        }
    }
    partitions.sort();
    partitions.dedup();
    Ok(partitions)
}
