//! Browsing records: pages of them, forwards from a place or backwards from the newest, with a filter.
//!
//! Each partition is read on its own and the pages are merged by time. A request reads a bounded number of records
//! whatever the filter; the page asks for the next with the offsets that it was given.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use millstream_kafka_client::admin::{ListedOffset, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::{UiError, UiResult};
use super::payload::Filter;
use super::reading::{Found, Reading};
use crate::limits::{UI_RECORDS_MAX, UI_SCANNED_RECORDS_MAX};

const PAGE_RECORDS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Browse {
    partition: Option<i32>,
    /// `latest`, `earliest`, `offset:N` or `timestamp:MILLISECONDS`.
    from: Option<String>,
    limit: Option<usize>,
    filter: Option<String>,
    /// `read_uncommitted` or `read_committed`.
    isolation: Option<String>,
    /// Where to continue: `partition:offset`, separated by commas.
    next: Option<String>,
}

/// Where a reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Latest,
    Earliest,
    Offset(i64),
    Timestamp(i64),
}

impl From {
    fn parse(text: &str) -> UiResult<Self> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        let parsed = match text.split_once(':') {
            None if text == "latest" => Some(Self::Latest),
            None if text == "earliest" => Some(Self::Earliest),
            Some(("offset", offset)) => number(offset).map(Self::Offset),
            Some(("timestamp", time)) => number(time).map(Self::Timestamp),
            _ => None,
        };
        parsed.ok_or_else(|| {
            UiError::input(format!(
                "'from' is '{text}'; write latest, earliest, offset:N or timestamp:MILLISECONDS"
            ))
        })
    }
}

/// A partition and the part of it that is still to be read: `[low, high)`.
struct Part {
    partition: i32,
    low: i64,
    high: i64,
    found: Vec<Found>,
}

pub async fn browse(
    State(ui): Shared,
    topic: Result<Path<String>, PathRejection>,
    query: Result<Query<Browse>, QueryRejection>,
) -> UiResult<Json<Value>> {
    let (Path(topic), Query(query)) = (topic?, query?);
    let from = From::parse(query.from.as_deref().unwrap_or("latest"))?;
    let committed_only = match query.isolation.as_deref() {
        None | Some("read_uncommitted") => false,
        Some("read_committed") => true,
        Some(other) => return Err(UiError::input(format!("there is no isolation level '{other}'"))),
    };
    let limit = query.limit.unwrap_or(PAGE_RECORDS).clamp(1, UI_RECORDS_MAX);
    let next = query.next.as_deref().map(parse_next).transpose()?;
    let client = ui.kafka.client().await?;
    let mut parts = parts(client, &topic, from, query.partition, next.as_ref()).await?;
    let mut reading = Reading {
        client,
        topic: &topic,
        filter: query.filter.as_deref().and_then(Filter::parse),
        committed_only,
        left: UI_SCANNED_RECORDS_MAX,
    };
    let backwards = from == From::Latest;
    for part in &mut parts {
        if backwards {
            let (found, high) = reading
                .backwards(part.partition, part.low, part.high, limit)
                .await?;
            (part.found, part.high) = (found, high);
        } else {
            let (found, low) = reading
                .forwards(part.partition, part.low, part.high, limit)
                .await?;
            (part.found, part.low) = (found, low);
        }
    }
    let scanned = UI_SCANNED_RECORDS_MAX - reading.left;
    let messages = merge(&mut parts, limit, backwards);
    let left = parts.iter().filter(|part| part.low < part.high);
    let next: BTreeMap<i32, i64> = left
        .map(|part| (part.partition, if backwards { part.high } else { part.low }))
        .collect();
    let exhausted = next.is_empty();
    Ok(Json(
        json!({ "messages": messages, "scanned": scanned, "next": next, "exhausted": exhausted }),
    ))
}

fn parse_next(text: &str) -> UiResult<BTreeMap<i32, i64>> {
    let pair = |pair: &str| {
        let (partition, offset) = pair.split_once(':')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    let parsed: Option<BTreeMap<i32, i64>> = text
        .split(',')
        .filter(|part| !part.is_empty())
        .map(pair)
        .collect();
    parsed.ok_or_else(|| {
        UiError::input(format!(
            "'next' is '{text}'; write partition:offset,partition:offset"
        ))
    })
}

/// The range of each partition that a request is about.
async fn parts(
    client: &KafkaClient,
    topic: &str,
    from: From,
    only: Option<i32>,
    next: Option<&BTreeMap<i32, i64>>,
) -> UiResult<Vec<Part>> {
    let metadata = client.list_topics().await?;
    let described = metadata
        .topic(topic)
        .ok_or_else(|| UiError::not_found(format!("topic '{topic}' does not exist")))?;
    let numbers = described.partitions.iter().map(|partition| partition.partition);
    let chosen: Vec<TopicPartition> = numbers
        .filter(|number| only.is_none_or(|only| only == *number))
        .filter(|number| next.is_none_or(|next| next.contains_key(number)))
        .map(|number| TopicPartition::new(topic, number))
        .collect();
    if chosen.is_empty() && next.is_none() {
        let partitions = described.partitions.len();
        return Err(UiError::not_found(format!(
            "topic '{topic}' has {partitions} partitions, numbered from 0"
        )));
    }
    let uncommitted = IsolationLevel::ReadUncommitted;
    let all = |spec: OffsetSpec| chosen.iter().map(|partition| (partition.clone(), spec)).collect();
    let starts = client
        .list_offsets(&all(OffsetSpec::Earliest), uncommitted)
        .await?;
    let ends = client.list_offsets(&all(OffsetSpec::Latest), uncommitted).await?;
    let times = match from {
        From::Timestamp(time) => {
            client
                .list_offsets(&all(OffsetSpec::Timestamp(time)), uncommitted)
                .await?
        }
        _ => BTreeMap::new(),
    };
    let offset = |found: &BTreeMap<TopicPartition, ListedOffset>, partition: &TopicPartition| {
        found.get(partition).map(|listed| listed.offset)
    };
    let part = |partition: &TopicPartition| {
        let start = offset(&starts, partition).unwrap_or_default();
        let end = offset(&ends, partition).unwrap_or_default();
        let resumed = next
            .and_then(|next| next.get(&partition.partition))
            .map(|at| (*at).clamp(start, end));
        let (low, high) = match from {
            From::Latest => (start, resumed.unwrap_or(end)),
            From::Earliest => (resumed.unwrap_or(start), end),
            From::Offset(at) => (resumed.unwrap_or(at.clamp(start, end)), end),
            // No record is as new.
            From::Timestamp(_) => {
                let at = offset(&times, partition).filter(|at| *at >= 0).unwrap_or(end);
                (resumed.unwrap_or(at), end)
            }
        };
        Part {
            partition: partition.partition,
            low,
            high,
            found: Vec::new(),
        }
    };
    Ok(chosen.iter().map(part).collect())
}

/// Takes the first `limit` records of all partitions by time; what is left of a partition begins at its first record that was
/// not taken. Records of one partition stay in the order of their offsets.
fn merge(parts: &mut [Part], limit: usize, backwards: bool) -> Vec<Value> {
    let mut queues: Vec<std::collections::VecDeque<Found>> = parts
        .iter_mut()
        .map(|part| std::mem::take(&mut part.found).into())
        .collect();
    let mut messages = Vec::new();
    while messages.len() < limit {
        let heads = queues
            .iter()
            .enumerate()
            .filter_map(|(at, queue)| Some((queue.front()?.timestamp, at)));
        let chosen = if backwards {
            heads.max_by_key(|(time, at)| (*time, std::cmp::Reverse(*at)))
        } else {
            heads.min()
        };
        let Some((_, at)) = chosen else { break };
        messages.extend(queues[at].pop_front().map(|found| found.message));
    }
    for (part, queue) in parts.iter_mut().zip(&queues) {
        match queue.front() {
            Some(found) if backwards => part.high = found.offset + 1,
            Some(found) => part.low = found.offset,
            None => {}
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(partition: i32, records: &[(i64, i64)]) -> Part {
        let found = records.iter().map(|(offset, timestamp)| Found {
            offset: *offset,
            timestamp: *timestamp,
            message: json!([partition, offset]),
        });
        Part {
            partition,
            low: 0,
            high: 100,
            found: found.collect(),
        }
    }

    #[test]
    fn pages_are_merged_by_time_and_go_on_where_they_ended() {
        let mut parts = [
            part(0, &[(9, 90), (8, 50), (7, 40)]),
            part(1, &[(5, 80), (4, 70)]),
        ];
        let page = merge(&mut parts, 3, true);
        assert_eq!(page, [json!([0, 9]), json!([1, 5]), json!([1, 4])]);
        assert_eq!((parts[0].high, parts[1].high), (9, 100));
        let mut parts = [part(0, &[(1, 10), (2, 50)]), part(1, &[(3, 20), (4, 15)])];
        let page = merge(&mut parts, 3, false);
        assert_eq!(page, [json!([0, 1]), json!([1, 3]), json!([1, 4])]);
        assert_eq!((parts[0].low, parts[1].low), (2, 0));
    }

    #[test]
    fn places_are_read_and_nonsense_is_refused() {
        assert_eq!(From::parse("offset:7").unwrap(), From::Offset(7));
        assert_eq!(
            From::parse("timestamp:1700000000000").unwrap(),
            From::Timestamp(1_700_000_000_000)
        );
        for wrong in ["", "newest", "offset:", "offset:-1", "offset:x", "latest:1"] {
            assert!(From::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_next("0:5,3:9").unwrap(), BTreeMap::from([(0, 5), (3, 9)]));
        assert!(parse_next("0").is_err() && parse_next("a:1").is_err());
    }
}
