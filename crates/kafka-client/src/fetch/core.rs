//! The state machine of fetching: decides what to fetch next, and handles responses. No IO, no clock: time is a
//! parameter, in milliseconds since an arbitrary start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use millstream_kafka_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_types::Rng;

use super::FetchEvent;
use crate::TopicPartition;
use crate::admin::OffsetSpec;
use crate::backoff::Backoff;
use crate::config::{ConnectionConfig, FetchConfig, IsolationLevel, OffsetReset};
use crate::error::ClientError;
use crate::metadata::ClusterMetadata;

/// From this version on topics are named by id only.
const TOPIC_ID_VERSION: i16 = 13;
/// A fetch of a broker waits no longer while another of its partitions may become fetchable any moment.
const SHORT_WAIT_MS: i32 = 20;
/// A partition is not fetched while this many full responses of it wait to be consumed.
const RESPONSES_BUFFERED: usize = 2;

/// A fetch to send.
pub(super) struct PlannedFetch {
    pub node: i32,
    pub request: FetchRequest,
    pub version_max: i16,
    pub ticket: Ticket,
}

/// Identifies a fetch in flight; comes back with its response.
pub(super) struct Ticket {
    pub node: i32,
    /// Partitions with the generation of their assignment; a response for an older generation is dropped.
    pub partitions: Vec<(TopicPartition, u64)>,
    pub topic_ids: BTreeMap<Uuid, KafkaString>,
}

/// The next actions.
#[derive(Default)]
pub(super) struct Plan {
    pub fetches: Vec<PlannedFetch>,
    /// Topics of which metadata is wanted.
    pub refresh: BTreeSet<KafkaString>,
    /// Partitions whose position has to be looked up.
    pub resets: BTreeMap<TopicPartition, OffsetSpec>,
    /// When there is something to do even if nothing happens.
    pub wake_at_ms: Option<u64>,
}

impl Plan {
    fn wake_at(&mut self, at_ms: u64) {
        self.wake_at_ms = Some(self.wake_at_ms.map_or(at_ms, |earlier| earlier.min(at_ms)));
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Status {
    Idle,
    InFlight,
    /// The position is out of range and has to be looked up.
    NeedsReset,
    Resetting,
    Failed,
}

pub(super) struct PartitionState {
    pub generation: u64,
    pub position: i64,
    pub last_epoch: i32,
    pub topic_id: Uuid,
    pub status: Status,
    pub paused: bool,
    pub buffered_bytes: usize,
    pub failures: u32,
    pub failing_since_ms: Option<u64>,
    pub not_before_ms: u64,
    pub preferred_replica: Option<(i32, u64)>,
    /// The end offsets reported last.
    pub reported_end: Option<(i64, i64)>,
    /// Partitions that got data last come last.
    pub served: u64,
}

pub(super) struct FetchCore {
    pub config: FetchConfig,
    pub rack: KafkaString,
    pub give_up_after_ms: u64,
    metadata_max_age_ms: u64,
    metadata_at_ms: u64,
    pub backoff: Backoff,
    pub partitions: BTreeMap<TopicPartition, PartitionState>,
    pub busy_nodes: BTreeSet<i32>,
    /// Why fetching fails and is retried at the moment.
    pub trouble: Option<Arc<str>>,
    pub stale_topics: BTreeSet<KafkaString>,
    pub refresh_not_before_ms: u64,
    pub refresh_failures: u32,
    pub events: VecDeque<(u64, FetchEvent)>,
    pub buffered_bytes: usize,
    pub next_generation: u64,
    pub served: u64,
}

impl FetchCore {
    pub fn new(config: FetchConfig, connection: &ConnectionConfig) -> Self {
        FetchCore {
            config,
            rack: (&connection.client_rack).into(),
            give_up_after_ms: millis(connection.api_timeout),
            metadata_max_age_ms: millis(connection.metadata_max_age),
            metadata_at_ms: 0,
            backoff: Backoff::new(connection.retry_backoff, connection.retry_backoff_max),
            partitions: BTreeMap::new(),
            busy_nodes: BTreeSet::new(),
            trouble: None,
            stale_topics: BTreeSet::new(),
            refresh_not_before_ms: 0,
            refresh_failures: 0,
            events: VecDeque::new(),
            buffered_bytes: 0,
            next_generation: 0,
            served: 0,
        }
    }

    pub fn assign(&mut self, partition: TopicPartition, position: i64) {
        self.unassign(&partition);
        self.next_generation += 1;
        let state = PartitionState {
            generation: self.next_generation,
            position,
            last_epoch: -1,
            topic_id: Uuid::ZERO,
            status: Status::Idle,
            paused: false,
            buffered_bytes: 0,
            failures: 0,
            failing_since_ms: None,
            not_before_ms: 0,
            preferred_replica: None,
            reported_end: None,
            served: self.served,
        };
        self.partitions.insert(partition, state);
    }

    pub fn unassign(&mut self, partition: &TopicPartition) {
        let Some(old) = self.partitions.remove(partition) else {
            return;
        };
        self.buffered_bytes -= old.buffered_bytes;
        self.events
            .retain(|(generation, _)| *generation != old.generation);
    }

    pub fn set_paused(&mut self, partition: &TopicPartition, paused: bool) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.paused = paused;
        }
    }

    pub fn allows_auto_create(&self) -> bool {
        self.config.allow_auto_create_topics
    }

    pub fn isolation_level(&self) -> IsolationLevel {
        self.config.isolation_level
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Hands out events, which frees the room that they took.
    pub fn ends(&self) -> Vec<(TopicPartition, i64)> {
        let read_committed = self.config.isolation_level == IsolationLevel::ReadCommitted;
        let end = |(high_watermark, stable): (i64, i64)| if read_committed { stable } else { high_watermark };
        let known = |(partition, state): (&TopicPartition, &PartitionState)| {
            Some((partition.clone(), end(state.reported_end?)))
        };
        self.partitions.iter().filter_map(known).collect()
    }

    pub fn take(&mut self, bytes_max: usize) -> Vec<FetchEvent> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some((_, event)) = self.events.front() {
            let size = event_bytes(event);
            if !taken.is_empty() && bytes + size > bytes_max {
                break;
            }
            bytes += size;
            let Some((_, event)) = self.events.pop_front() else {
                break;
            };
            if let FetchEvent::Records(records) = &event
                && let Some(state) = self.partitions.get_mut(&records.partition)
            {
                state.buffered_bytes -= size;
                self.buffered_bytes -= size;
            }
            taken.push(event);
        }
        taken
    }

    /// Decides the next actions.
    pub fn plan(&mut self, metadata: &ClusterMetadata, now_ms: u64) -> Plan {
        let mut plan = Plan::default();
        let mut by_node: BTreeMap<i32, Vec<(u64, TopicPartition)>> = BTreeMap::new();
        let mut hurried_nodes = BTreeSet::new();
        let full = self.buffered_bytes >= self.config.buffer_bytes;
        let partition_bytes_max = RESPONSES_BUFFERED
            * usize::try_from(self.config.max_partition_fetch_bytes).unwrap_or(usize::MAX / 2);
        for (partition, state) in &mut self.partitions {
            if state.status == Status::NeedsReset && state.not_before_ms <= now_ms {
                let spec = match self.config.offset_reset {
                    OffsetReset::Earliest => OffsetSpec::Earliest,
                    OffsetReset::Latest | OffsetReset::None => OffsetSpec::Latest,
                };
                state.status = Status::Resetting;
                plan.resets.insert(partition.clone(), spec);
            }
            if state.status != Status::Idle && state.status != Status::NeedsReset {
                continue;
            }
            if state.not_before_ms > now_ms {
                plan.wake_at(state.not_before_ms);
                continue;
            }
            let Some(node) = node_to_ask(metadata, partition, state, now_ms) else {
                self.stale_topics.insert(partition.topic.clone());
                continue;
            };
            if state.paused {
                continue;
            }
            if full || state.buffered_bytes >= partition_bytes_max {
                hurried_nodes.insert(node);
                continue;
            }
            if self.config.concurrent || !self.busy_nodes.contains(&node) {
                by_node
                    .entry(node)
                    .or_default()
                    .push((state.served, partition.clone()));
            }
        }
        for (node, mut partitions) in by_node {
            partitions.sort_unstable();
            let hurried = !self.config.concurrent && hurried_nodes.contains(&node);
            let fetch = self.fetch(metadata, node, partitions, hurried);
            plan.fetches.extend(fetch);
        }
        self.plan_refresh(&mut plan, now_ms);
        plan
    }

    fn plan_refresh(&mut self, plan: &mut Plan, now_ms: u64) {
        let too_old_at_ms = self.metadata_at_ms.saturating_add(self.metadata_max_age_ms);
        if now_ms >= too_old_at_ms {
            self.stale_topics
                .extend(self.partitions.keys().map(|partition| partition.topic.clone()));
        } else {
            plan.wake_at(too_old_at_ms);
        }
        if self.stale_topics.is_empty() {
            return;
        }
        if now_ms >= self.refresh_not_before_ms {
            plan.refresh = std::mem::take(&mut self.stale_topics);
            // No further refresh until the response arrives.
            self.refresh_not_before_ms = u64::MAX;
        } else if self.refresh_not_before_ms != u64::MAX {
            plan.wake_at(self.refresh_not_before_ms);
        }
    }

    /// Metadata was requested; topics that still have no leader are requested again after a backoff.
    pub fn metadata_arrived(
        &mut self,
        metadata: &ClusterMetadata,
        error: Option<ClientError>,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        let missing: BTreeSet<KafkaString> = self
            .partitions
            .keys()
            .filter(|partition| metadata.leader(&partition.topic, partition.partition).is_none())
            .map(|partition| partition.topic.clone())
            .collect();
        if error.is_none() {
            self.metadata_at_ms = now_ms;
            // The response covers everything noted while it was in flight.
            self.stale_topics.clear();
            if missing.is_empty() {
                self.refresh_failures = 0;
            }
        }
        let wait = self.backoff.wait(self.refresh_failures, rng);
        self.refresh_failures += 1;
        self.refresh_not_before_ms = now_ms + millis(wait);
        let code = match &error {
            Some(error) if !error.is_retriable() => return self.fail_all(error),
            Some(_) => None,
            None => Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        };
        let affected: Vec<TopicPartition> = self
            .partitions
            .keys()
            .filter(|partition| missing.contains(&partition.topic))
            .cloned()
            .collect();
        for partition in affected {
            if metadata.leader(&partition.topic, partition.partition).is_none() {
                self.note_failure(&partition, code, now_ms, rng);
            }
        }
        self.stale_topics.extend(missing);
    }

    fn fail_all(&mut self, error: &ClientError) {
        let partitions: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        for partition in partitions {
            self.fail(&partition, error.clone());
        }
    }

    fn fetch(
        &mut self,
        metadata: &ClusterMetadata,
        node: i32,
        partitions: Vec<(u64, TopicPartition)>,
        hurried: bool,
    ) -> Option<PlannedFetch> {
        let mut ticket = Ticket {
            node,
            partitions: Vec::new(),
            topic_ids: BTreeMap::new(),
        };
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (_, partition) in partitions {
            let Some((topic_id, generation, wanted)) = self.fetch_of(metadata, &partition) else {
                continue;
            };
            ticket.partitions.push((partition.clone(), generation));
            ticket.topic_ids.insert(topic_id, partition.topic.clone());
            match topics.iter_mut().find(|topic| topic.topic == partition.topic) {
                Some(topic) => topic.partitions.push(wanted),
                None => topics.push(FetchTopic {
                    topic: partition.topic,
                    topic_id,
                    partitions: vec![wanted],
                }),
            }
        }
        if topics.is_empty() {
            return None;
        }
        self.busy_nodes.insert(node);
        let all_have_ids = topics.iter().all(|topic| !topic.topic_id.is_zero());
        let max_wait_ms = i32::try_from(self.config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX);
        let request = FetchRequest {
            max_wait_ms: if hurried {
                max_wait_ms.min(SHORT_WAIT_MS)
            } else {
                max_wait_ms
            },
            min_bytes: self.config.fetch_min_bytes,
            max_bytes: self.config.fetch_max_bytes,
            isolation_level: self.config.isolation_level.code(),
            topics,
            rack_id: self.rack.clone(),
            ..Default::default()
        };
        let version_max = if all_have_ids {
            i16::MAX
        } else {
            TOPIC_ID_VERSION - 1
        };
        Some(PlannedFetch {
            node,
            request,
            version_max,
            ticket,
        })
    }

    /// Plans the fetch of a partition: topic id, generation and offset. A topic that has been deleted and created again
    /// fails instead.
    fn fetch_of(
        &mut self,
        metadata: &ClusterMetadata,
        partition: &TopicPartition,
    ) -> Option<(Uuid, u64, FetchPartition)> {
        let topic_id = metadata
            .topic(&partition.topic)
            .map_or(Uuid::ZERO, |topic| topic.id);
        let state = self.partitions.get_mut(partition)?;
        if !state.topic_id.is_zero() && !topic_id.is_zero() && state.topic_id != topic_id {
            let what = format!("topic '{}' was deleted and recreated", partition.topic);
            self.fail(
                partition,
                ClientError::broker(what, ErrorCode::INCONSISTENT_TOPIC_ID),
            );
            return None;
        }
        state.topic_id = topic_id;
        state.status = Status::InFlight;
        let known = metadata.partition(&partition.topic, partition.partition);
        let wanted = FetchPartition {
            partition: partition.partition,
            current_leader_epoch: known.map_or(-1, |known| known.leader_epoch),
            fetch_offset: state.position,
            last_fetched_epoch: state.last_epoch,
            partition_max_bytes: self.config.max_partition_fetch_bytes,
            ..Default::default()
        };
        Some((topic_id, state.generation, wanted))
    }
}

fn node_to_ask(
    metadata: &ClusterMetadata,
    partition: &TopicPartition,
    state: &PartitionState,
    now_ms: u64,
) -> Option<i32> {
    let leader = metadata.leader(&partition.topic, partition.partition)?;
    let preferred = state.preferred_replica.filter(|(_, until_ms)| now_ms < *until_ms);
    Some(preferred.map_or(leader, |(node, _)| node))
}

fn event_bytes(event: &FetchEvent) -> usize {
    match event {
        FetchEvent::Records(records) => records.bytes(),
        FetchEvent::Reset { .. } | FetchEvent::Failed { .. } => 0,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
