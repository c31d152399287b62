//! `millstream topic offsets`: start and end offsets of partitions, in the format of `kafka-get-offsets`.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::ops::Range;

use millstream_kafka_client::TopicPartition;
use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::metadata::{ClusterMetadata, TopicMetadata};
use serde_json::json;

use super::select::{TopicFilter, TopicPattern};
use crate::args::{Common, OffsetsArgs};
use crate::commands::connect::{Connected, say};
use crate::process::Process;

/// Prints `topic:partition:offset` of the selected partitions.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &OffsetsArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    let spec = spec(&args.time)?;
    let choice = Choice::new(args)?;
    let found = process.runtime.block_on(async {
        let client = &connected.client;
        let metadata = client.list_topics().await?;
        let mut wanted: BTreeMap<TopicPartition, OffsetSpec> = BTreeMap::new();
        for topic in choice.topics(&metadata)? {
            // Only leaders know offsets, and a missing leader prevents the lookup of its whole topic.
            if let Some(leaderless) = topic.partitions.iter().find(|p| p.leader < 0) {
                let (name, number) = (topic.name.as_str(), leaderless.partition);
                say(
                    common,
                    &format!("topic {name} is left out: its partition {number} has no leader"),
                );
                continue;
            }
            let numbers = topic.partitions.iter().map(|p| p.partition);
            let chosen = numbers.filter(|number| choice.has(&metadata, topic.name.as_str(), *number));
            wanted.extend(chosen.map(|number| (TopicPartition::new(topic.name.clone(), number), spec)));
        }
        if wanted.is_empty() {
            anyhow::ensure!(
                choice.is_everything(),
                "no topic has a requested partition; `millstream topic describe` shows what there is"
            );
            return Ok(BTreeMap::new());
        }
        let isolation = connected.config.fetch.isolation_level;
        Ok(client.list_offsets(&wanted, isolation).await?)
    })?;
    let mut out = stdout().lock();
    for (partition, offset) in found {
        let (topic, number, offset) = (partition.topic.as_str(), partition.partition, offset.offset);
        if is_json {
            let line = json!({"topic": topic, "partition": number, "offset": offset});
            writeln!(out, "{line}")?;
        } else if offset < 0 {
            // No record is that recent: kafka-get-offsets prints an empty offset.
            writeln!(out, "{topic}:{number}:")?;
        } else {
            writeln!(out, "{topic}:{number}:{offset}")?;
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
            let wrong = "is not a time; expected latest, earliest, max-timestamp or milliseconds since 1970";
            OffsetSpec::Timestamp(ms.ok_or_else(|| anyhow::anyhow!("'{other}' {wrong}"))?)
        }
    })
}

/// The selected partitions.
struct Choice<'a> {
    filter: TopicFilter,
    /// Of every topic; empty selects all.
    partitions: &'a [i32],
    /// `--topic-partitions`; a partition must match one of them, if there are any.
    patterns: Vec<(TopicPattern, Range<i32>)>,
}

impl<'a> Choice<'a> {
    fn new(args: &'a OffsetsArgs) -> anyhow::Result<Self> {
        let patterns = args.topic_partitions.iter().flat_map(|list| list.split(','));
        Ok(Self {
            filter: TopicFilter::new(&args.filter)?,
            partitions: &args.partitions,
            patterns: patterns.map(topic_partitions).collect::<anyhow::Result<_>>()?,
        })
    }

    fn topics<'m>(&self, metadata: &'m ClusterMetadata) -> anyhow::Result<Vec<&'m TopicMetadata>> {
        self.filter.check(metadata)?;
        Ok(self.filter.chosen(metadata))
    }

    fn has(&self, metadata: &ClusterMetadata, topic: &str, number: i32) -> bool {
        let is_listed = self.partitions.is_empty() || self.partitions.contains(&number);
        let matches = |(pattern, range): &(TopicPattern, Range<i32>)| {
            range.contains(&number) && pattern.is_match(metadata, topic)
        };
        is_listed && (self.patterns.is_empty() || self.patterns.iter().any(matches))
    }

    fn is_everything(&self) -> bool {
        self.partitions.is_empty() && self.patterns.is_empty()
    }
}

/// `t`, `t:1`, `t:0-3` (3 excluded), `t:2-`, `t:-3`; without a topic, matches every topic.
fn topic_partitions(text: &str) -> anyhow::Result<(TopicPattern, Range<i32>)> {
    let (topic, range) = match text.rsplit_once(':') {
        None => (text, None),
        Some((topic, range)) => (topic, Some(range)),
    };
    let number = |digits: &str| {
        let number = digits.parse().ok().filter(|n: &i32| *n >= 0);
        number.ok_or_else(|| anyhow::anyhow!("'{text}' is not of the form TOPIC:N or TOPIC:FROM-BEFORE"))
    };
    let range = match range {
        None | Some("") => 0..i32::MAX,
        Some(range) => match range.split_once('-') {
            None => number(range)?..number(range)?.saturating_add(1),
            Some((from, before)) => {
                let from = if from.is_empty() { 0 } else { number(from)? };
                let before = if before.is_empty() {
                    i32::MAX
                } else {
                    number(before)?
                };
                from..before
            }
        },
    };
    let topic = if topic.is_empty() { ".*" } else { topic };
    Ok((TopicPattern::parse(topic)?, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_as_with_kafka_get_offsets() {
        let range = |text: &str| topic_partitions(text).map(|(_, range)| range);
        for (text, expected) in [
            ("t", 0..i32::MAX),
            ("t:1", 1..2),
            ("t:0-3", 0..3),
            ("t:2-", 2..i32::MAX),
            (":-3", 0..3),
        ] {
            assert_eq!(range(text).expect(text), expected, "{text}");
        }
        for wrong in ["t:x", "t:1-x", "t:--1", "t(:1"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
