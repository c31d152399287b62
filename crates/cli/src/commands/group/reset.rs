//! `millstream group reset-offsets`: moves groups without members to other offsets.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::Context;
use millstream_kafka_client::admin::{CommittedOffset, ListedOffset, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use serde_json::json;

use super::plan::{self, Offsets, Plan};
use super::{active_state, meant, named};
use crate::args::{Common, ResetOffsetsArgs};
use crate::commands::columns;
use crate::commands::connect::{Connected, say};
use crate::process::Process;

/// The new position.
enum Target {
    Spec(OffsetSpec),
    Current,
    Offset(i64),
    Shift(i64),
}

/// Determines the new offsets of all groups, shows them, and commits them if `--execute` is set. Commits nothing until
/// all offsets are known.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &ResetOffsetsArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    let client = &connected.client;
    let plan = process.runtime.block_on(async {
        let groups = meant(client, &args.names).await?;
        for group in &groups {
            inactive(client, group).await?;
        }
        let plan = match &args.from_file {
            Some(file) => from_file(client, file, &groups).await?,
            None => {
                let target = target(args, process.clock.now_ms())?;
                found(client, args, &groups, &target).await?
            }
        };
        if args.execute {
            for (group, offsets) in &plan {
                let offsets = offsets
                    .iter()
                    .map(|(p, offset)| (p.clone(), CommittedOffset::new(*offset)));
                client.commit_offsets(group, &offsets.collect()).await?;
            }
        }
        anyhow::Ok(plan)
    })?;
    if args.export {
        plan::export(&mut stdout().lock(), &plan, is_single(&args.names.groups))?
    } else {
        print(&plan, is_json)?
    }
    if !args.execute {
        say(common, "nothing was changed; --execute does it");
    }
    Ok(())
}

/// Whether files omit the group because there is only one.
fn is_single(groups: &[String]) -> bool {
    groups.len() == 1
}

/// The offsets of the target for the given partitions.
async fn found(
    client: &KafkaClient,
    args: &ResetOffsetsArgs,
    groups: &[String],
    target: &Target,
) -> anyhow::Result<Plan> {
    let mut plan = Plan::new();
    for group in groups {
        let committed = client.committed_offsets(group, None, false).await?;
        let partitions = if args.all_topics {
            committed.keys().cloned().collect()
        } else {
            named(client, &args.topics).await?
        };
        // With `--all-groups`, a group may have no offsets; a named one must.
        anyhow::ensure!(
            !partitions.is_empty() || args.names.all_groups,
            "group '{group}' has no offsets to reset"
        );
        if partitions.is_empty() {
            continue;
        }
        let offsets = resolve(client, &partitions, &committed, target).await?;
        plan.insert(group.clone(), offsets);
    }
    Ok(plan)
}

/// The offsets that a file contains for the groups, limited to the range of the log.
async fn from_file(client: &KafkaClient, file: &Path, groups: &[String]) -> anyhow::Result<Plan> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))?;
    let only = groups.first().filter(|_| is_single(groups));
    let read =
        plan::import(&text, only.map(String::as_str)).with_context(|| format!("in '{}'", file.display()))?;
    let mut plan = Plan::new();
    for (group, wanted) in read.into_iter().filter(|(group, _)| groups.contains(group)) {
        let partitions: Vec<TopicPartition> = wanted.keys().cloned().collect();
        let starts = listed(client, &partitions, OffsetSpec::Earliest).await?;
        let ends = listed(client, &partitions, OffsetSpec::Latest).await?;
        let within = |(partition, offset): (TopicPartition, i64)| {
            let (start, end) = (at(&starts, &partition), at(&ends, &partition));
            (partition, offset.clamp(start, end.max(start)))
        };
        plan.insert(group, wanted.into_iter().map(within).collect());
    }
    if let Some(missing) = groups.iter().find(|group| !plan.contains_key(*group)) {
        anyhow::bail!("'{}' has no offsets of group '{missing}'", file.display());
    }
    Ok(plan)
}

fn target(args: &ResetOffsetsArgs, now_ms: i64) -> anyhow::Result<Target> {
    if let Some(offset) = args.to_offset {
        return Ok(Target::Offset(offset));
    }
    if let Some(by) = args.shift_by {
        return Ok(Target::Shift(by));
    }
    if let Some(text) = &args.to_datetime {
        return Ok(Target::Spec(OffsetSpec::Timestamp(instant_ms(text)?)));
    }
    if let Some(text) = &args.by_duration {
        return Ok(Target::Spec(OffsetSpec::Timestamp(
            now_ms.saturating_sub(duration_ms(text)?),
        )));
    }
    Ok(match (args.to_earliest, args.to_latest) {
        (true, _) => Target::Spec(OffsetSpec::Earliest),
        (_, true) => Target::Spec(OffsetSpec::Latest),
        _ => Target::Current,
    })
}

/// Parses `2024-01-31T12:00:00.000` to milliseconds since the epoch; UTC unless an offset is given.
fn instant_ms(text: &str) -> anyhow::Result<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let civil: Result<jiff::civil::DateTime, _> = text.parse();
    let zoned = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
    let zoned =
        zoned.map_err(|_| anyhow::anyhow!("'{text}' is not a time such as 2024-01-31T12:00:00.000"))?;
    Ok(zoned.timestamp().as_millisecond())
}

/// Parses `PT1H30M` or `P1D` to milliseconds.
fn duration_ms(text: &str) -> anyhow::Result<i64> {
    let wrong = || anyhow::anyhow!("'{text}' is not a duration such as PT1H30M or P1D");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    i64::try_from(duration.as_millis()).map_err(|_| wrong())
}

/// Members would overwrite the new offsets.
async fn inactive(client: &KafkaClient, group: &str) -> anyhow::Result<()> {
    match active_state(client, group).await? {
        None => Ok(()),
        Some(state) => anyhow::bail!(
            "offsets can only be reset if group '{group}' is inactive, but its state is {state}; stop its members first"
        ),
    }
}

async fn resolve(
    client: &KafkaClient,
    partitions: &[TopicPartition],
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
    target: &Target,
) -> anyhow::Result<Offsets> {
    let starts = listed(client, partitions, OffsetSpec::Earliest).await?;
    let ends = listed(client, partitions, OffsetSpec::Latest).await?;
    let found = match target {
        Target::Spec(spec) => listed(client, partitions, *spec).await?,
        _ => BTreeMap::new(),
    };
    let new = |p: &TopicPartition| {
        let (start, end) = (at(&starts, p), at(&ends, p));
        let current = committed.get(p).map(|c| c.offset);
        let wanted = match target {
            // No record is that recent: use the log end offset.
            Target::Spec(_) => Some(at(&found, p)).filter(|offset| *offset >= 0),
            Target::Offset(offset) => Some(*offset),
            Target::Current => current,
            Target::Shift(by) => current.map(|offset| offset.saturating_add(*by)),
        };
        wanted.unwrap_or(end).clamp(start, end.max(start))
    };
    if let Target::Shift(_) = target
        && let Some(p) = partitions.iter().find(|p| !committed.contains_key(p))
    {
        anyhow::bail!("the group has no offset for {p} that could be shifted; name another target");
    }
    Ok(partitions.iter().map(|p| (p.clone(), new(p))).collect())
}

fn at(offsets: &BTreeMap<TopicPartition, ListedOffset>, p: &TopicPartition) -> i64 {
    offsets.get(p).map_or(-1, |listed| listed.offset)
}

async fn listed(
    client: &KafkaClient,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> anyhow::Result<BTreeMap<TopicPartition, ListedOffset>> {
    let wanted = partitions.iter().map(|p| (p.clone(), spec)).collect();
    Ok(client
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await?)
}

fn print(plan: &Plan, is_json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    let rows = plan
        .iter()
        .flat_map(|(group, offsets)| offsets.iter().map(move |(p, offset)| (group, p, offset)));
    if is_json {
        for (group, p, offset) in rows {
            let value = json!({"group": group, "topic": p.topic.as_str(), "partition": p.partition, "offset": offset});
            writeln!(out, "{value}")?;
        }
        return Ok(());
    }
    let row = |(group, p, offset): (&String, &TopicPartition, &i64)| {
        [
            Some(group.clone()),
            Some(p.topic.to_string()),
            Some(p.partition.to_string()),
            Some(offset.to_string()),
        ]
    };
    let rows: Vec<_> = rows.map(row).collect();
    Ok(columns::print(
        &mut out,
        ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"],
        &rows,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_as_the_kafka_tools_take_them() {
        assert_eq!(instant_ms("1970-01-02T00:00:00.500").expect("a time"), 86_400_500);
        assert_eq!(instant_ms("1970-01-01T01:00:00+01:00").expect("a time"), 0);
        assert_eq!(duration_ms("PT1H30M").expect("a duration"), 5_400_000);
        assert_eq!(duration_ms("P1D").expect("a duration"), 86_400_000);
        assert!(instant_ms("yesterday").is_err() && duration_ms("1 h 2 parsecs").is_err());
    }
}
