//! Counters of the broker, and gauges that can be sampled at any time: for operators, not for clients.

use crate::broker::Broker;
use millstream_kafka_wire::{KafkaString, Uuid};
use std::collections::BTreeMap;

/// Activity since startup, of one topic or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicCounters {
    /// Records appended.
    pub messages_in: u64,
    /// Bytes appended, as they are stored.
    pub bytes_in: u64,
    /// Bytes sent to consumers.
    pub bytes_out: u64,
    /// Partitions of produce requests.
    pub produce_requests: u64,
    /// Produce requests that were rejected.
    pub failed_produce_requests: u64,
    /// Partitions of completed fetch requests.
    pub fetch_requests: u64,
    /// Partitions of fetch requests that failed.
    pub failed_fetch_requests: u64,
}

/// Counters of all topics; deleted topics count in the sum only.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    all: TopicCounters,
    topics: BTreeMap<Uuid, TopicCounters>,
}

impl Counters {
    /// Counts for all topics, and for one if it is known.
    pub fn count(&mut self, topic: Option<Uuid>, add: impl Fn(&mut TopicCounters)) {
        add(&mut self.all);
        if let Some(topic) = topic {
            add(self.topics.entry(topic).or_default());
        }
    }

    pub fn forget(&mut self, topic: Uuid) {
        self.topics.remove(&topic);
    }
}

/// A topic as it is now.
#[derive(Debug, Clone)]
pub struct TopicMeasure {
    /// Its name.
    pub name: KafkaString,
    /// Its activity.
    pub counters: TopicCounters,
    /// Its partitions in order.
    pub partitions: Vec<PartitionMeasure>,
}

/// A partition as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionMeasure {
    /// The first offset.
    pub start_offset: i64,
    /// The next offset.
    pub end_offset: i64,
    /// Bytes of its records.
    pub size: u64,
}

/// A group as it is now.
#[derive(Debug, Clone)]
pub struct GroupMeasure {
    /// Its name.
    pub name: KafkaString,
    /// How many members it has.
    pub members: usize,
    /// How far it has read: topic, partition, committed offset, and how many records are behind that.
    pub offsets: Vec<(KafkaString, i32, i64, i64)>,
}

/// The broker as it is now.
#[derive(Debug, Clone)]
pub struct Measure {
    /// The sum over all topics, including deleted ones.
    pub all: TopicCounters,
    /// Topics by name.
    pub topics: Vec<TopicMeasure>,
    /// Groups by name.
    pub groups: Vec<GroupMeasure>,
    /// Whether the log is poisoned.
    pub is_poisoned: bool,
}

impl Broker {
    /// Looks at everything that is measured.
    pub fn measure(&self) -> Measure {
        let partition = |log: &millstream_log::LogId| {
            let offsets = self.log.offsets(*log);
            PartitionMeasure {
                start_offset: offsets.as_ref().map_or(0, |offsets| offsets.start),
                end_offset: offsets.as_ref().map_or(0, |offsets| offsets.high_watermark),
                size: self.log.bytes(*log),
            }
        };
        let topics = self.topics.iter().map(|topic| TopicMeasure {
            name: topic.name.clone(),
            counters: self.counters.topics.get(&topic.id).copied().unwrap_or_default(),
            partitions: topic.partitions.iter().map(partition).collect(),
        });
        let groups = self.groups.iter().map(|(name, group)| {
            let offsets = group
                .offsets
                .iter()
                .filter_map(|((topic, partition), committed)| {
                    let topic = self.topics.by_id(*topic)?;
                    let end = self.log.offsets(topic.log(*partition)?)?.high_watermark;
                    let lag = (end - committed.offset).max(0);
                    Some((topic.name.clone(), *partition, committed.offset, lag))
                });
            GroupMeasure {
                name: name.clone(),
                members: group.member_count(),
                offsets: offsets.collect(),
            }
        });
        Measure {
            all: self.counters.all,
            topics: topics.collect(),
            groups: groups.collect(),
            is_poisoned: self.log.poison_reason().is_some(),
        }
    }
}
