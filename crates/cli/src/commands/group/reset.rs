//! `millstream group reset-offsets`: where a group without members goes on.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use millstream_kafka_client::admin::{CommittedOffset, ListedOffset, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use serde_json::json;

use super::named;
use crate::args::{Common, ResetOffsetsArgs};
use crate::commands::columns;
use crate::commands::connect::{Connected, say};
use crate::process::Process;

/// Where to.
enum Target {
    Spec(OffsetSpec),
    Current,
    Offset(i64),
    Shift(i64),
}

type Offsets = BTreeMap<TopicPartition, i64>;

/// Finds the new offsets, shows them, and with `--execute` commits them.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &ResetOffsetsArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    let target = target(args, process.clock.now_ms())?;
    let new = process.runtime.block_on(async {
        let client = &connected.client;
        inactive(client, &args.group).await?;
        let committed = client.committed_offsets(&args.group, None, false).await?;
        let partitions = match args.all_topics {
            true => committed.keys().cloned().collect(),
            false => named(client, &args.topics).await?,
        };
        anyhow::ensure!(
            !partitions.is_empty(),
            "group '{}' has no offsets to reset",
            args.group
        );
        let new = resolve(client, &partitions, &committed, &target).await?;
        if args.execute {
            let offsets = new
                .iter()
                .map(|(p, offset)| (p.clone(), CommittedOffset::new(*offset)));
            client.commit_offsets(&args.group, &offsets.collect()).await?;
        }
        anyhow::Ok(new)
    })?;
    print(&args.group, &new, is_json)?;
    if !args.execute {
        say(common, "nothing was changed; --execute does it");
    }
    Ok(())
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

/// Milliseconds since 1970 of `2024-01-31T12:00:00.000`, in UTC unless it says otherwise.
fn instant_ms(text: &str) -> anyhow::Result<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let civil: Result<jiff::civil::DateTime, _> = text.parse();
    let zoned = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
    let zoned = zoned.map_err(|_| anyhow::anyhow!("'{text}' is no time such as 2024-01-31T12:00:00.000"))?;
    Ok(zoned.timestamp().as_millisecond())
}

/// Milliseconds of `PT1H30M` or `P1D`.
fn duration_ms(text: &str) -> anyhow::Result<i64> {
    let wrong = || anyhow::anyhow!("'{text}' is no duration such as PT1H30M or P1D");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    i64::try_from(duration.as_millis()).map_err(|_| wrong())
}

/// Members would commit over what is set.
async fn inactive(client: &KafkaClient, group: &str) -> anyhow::Result<()> {
    // A group that does not exist yet may get its first offsets.
    let known = client.list_groups().await?;
    let Some(found) = known.iter().find(|g| g.group_id == group) else {
        return Ok(());
    };
    let is_inactive = ["Empty", "Dead"].contains(&found.state.as_str());
    anyhow::ensure!(
        is_inactive,
        "offsets can only be reset if group '{group}' is inactive, but its state is {}; stop its members first",
        found.state
    );
    Ok(())
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
    let at = |offsets: &BTreeMap<TopicPartition, ListedOffset>, p: &TopicPartition| {
        offsets.get(p).map_or(-1, |listed| listed.offset)
    };
    let new = |p: &TopicPartition| {
        let (start, end) = (at(&starts, p), at(&ends, p));
        let current = committed.get(p).map(|c| c.offset);
        let wanted = match target {
            // No record is so young: behind the last.
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

fn print(group: &str, new: &Offsets, is_json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if is_json {
        for (p, offset) in new {
            let value = json!({"group": group, "topic": p.topic.as_str(), "partition": p.partition, "offset": offset});
            writeln!(out, "{value}")?;
        }
        return Ok(());
    }
    let row = |(p, offset): (&TopicPartition, &i64)| {
        [
            Some(group.to_owned()),
            Some(p.topic.to_string()),
            Some(p.partition.to_string()),
            Some(offset.to_string()),
        ]
    };
    let rows: Vec<_> = new.iter().map(row).collect();
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
