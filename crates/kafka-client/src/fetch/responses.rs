//! Handles fetch responses: records to hand out, positions to look up, partitions to retry or to give up.

use std::collections::BTreeMap;

use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::fetch::{FetchResponse, PartitionData};
use millstream_types::Rng;

use super::core::{FetchCore, Status, Ticket, millis};
use super::filter::Filter;
use super::{FetchEvent, FetchedRecords};
use crate::TopicPartition;
use crate::admin::ListedOffset;
use crate::config::{IsolationLevel, OffsetReset};
use crate::error::{ClientError, with_causes};

/// How often a damaged batch is fetched again before it is believed that it lies there damaged.
const CORRUPT_ATTEMPTS_MAX: u32 = 3;
/// How long the hint to fetch from another replica (KIP-392) is valid.
const PREFERRED_REPLICA_MS: u64 = 300_000;

impl FetchCore {
    /// Handles a response or its failure.
    pub fn complete(
        &mut self,
        ticket: Ticket,
        result: Result<FetchResponse, ClientError>,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        self.busy_nodes.remove(&ticket.node);
        let mut waiting: BTreeMap<TopicPartition, u64> = ticket.partitions.into_iter().collect();
        waiting.retain(|partition, generation| {
            self.partitions
                .get(partition)
                .is_some_and(|state| state.generation == *generation)
        });
        let response = match result.and_then(|response| match response.error_code.check() {
            Ok(()) => Ok(response),
            Err(code) => Err(ClientError::broker("fetching", code)),
        }) {
            Ok(response) => response,
            Err(error) => {
                for partition in waiting.into_keys() {
                    self.settle_failure(&partition, &error, now_ms, rng);
                }
                return;
            }
        };
        for topic in response.responses {
            let name = if topic.topic.is_empty() {
                ticket.topic_ids.get(&topic.topic_id)
            } else {
                Some(&topic.topic)
            };
            let Some(name) = name.cloned() else { continue };
            for data in topic.partitions {
                let partition = TopicPartition {
                    topic: name.clone(),
                    partition: data.partition_index,
                };
                // Reuses the topic name of the assignment, so that the response's buffer is not pinned.
                if let Some((partition, _)) = waiting.remove_entry(&partition) {
                    self.complete_partition(&partition, data, now_ms, rng);
                }
            }
        }
        // Partitions missing from the response are fetched again.
        for partition in waiting.into_keys() {
            self.note_failure(&partition, None, now_ms, rng);
        }
    }

    pub(super) fn complete_partition(
        &mut self,
        partition: &TopicPartition,
        data: PartitionData,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        if let Err(code) = data.error_code.check() {
            if code == ErrorCode::OFFSET_OUT_OF_RANGE {
                return self.out_of_range(partition);
            }
            let error = ClientError::broker(format!("fetching partition {partition}"), code);
            return self.settle_failure(partition, &error, now_ms, rng);
        }
        state.status = Status::Idle;
        self.trouble = None;
        if data.preferred_read_replica >= 0 {
            state.preferred_replica = Some((data.preferred_read_replica, now_ms + PREFERRED_REPLICA_MS));
            return;
        }
        if data.diverging_epoch.end_offset >= 0 {
            let (from, to) = (state.position, data.diverging_epoch.end_offset);
            state.position = to;
            state.last_epoch = -1;
            return self.push(partition, |partition| FetchEvent::Reset { partition, from, to });
        }
        self.accept(partition, data, now_ms, rng);
    }

    pub(super) fn accept(
        &mut self,
        partition: &TopicPartition,
        data: PartitionData,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        let read_committed = self.config.isolation_level == IsolationLevel::ReadCommitted;
        let filter = Filter {
            position: state.position,
            check_crcs: self.config.check_crcs,
            aborted: data.aborted_transactions.as_deref().filter(|_| read_committed),
        };
        let visible = match filter.apply(data.records.unwrap_or_default()) {
            Ok(visible) => visible,
            Err(error) => {
                let what = format!(
                    "partition {partition}, a batch from offset {} on: {error}",
                    state.position
                );
                let error = ClientError::broker(what, ErrorCode::CORRUPT_MESSAGE);
                if state.failures >= CORRUPT_ATTEMPTS_MAX {
                    return self.fail(partition, error);
                }
                return self.settle_failure(partition, &error, now_ms, rng);
            }
        };
        state.failures = 0;
        state.failing_since_ms = None;
        let end = (data.high_watermark, data.last_stable_offset);
        let moved = visible.next_offset > state.position;
        if !moved && state.reported_end == Some(end) {
            return;
        }
        if moved {
            self.served += 1;
            state.served = self.served;
            state.last_epoch = visible.last_epoch;
        }
        state.reported_end = Some(end);
        state.position = visible.next_offset;
        let records = FetchedRecords {
            partition: partition.clone(),
            batches: visible.batches,
            next_offset: visible.next_offset,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
        };
        let bytes = records.bytes();
        state.buffered_bytes += bytes;
        self.buffered_bytes += bytes;
        self.push(partition, |_| FetchEvent::Records(records));
    }

    pub(super) fn push(
        &mut self,
        partition: &TopicPartition,
        event: impl FnOnce(TopicPartition) -> FetchEvent,
    ) {
        let generation = self.partitions.get(partition).map_or(0, |state| state.generation);
        self.events.push_back((generation, event(partition.clone())));
    }

    pub(super) fn out_of_range(&mut self, partition: &TopicPartition) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        if self.config.offset_reset == OffsetReset::None {
            let what = format!("partition {partition} has no offset {}", state.position);
            return self.fail(
                partition,
                ClientError::broker(what, ErrorCode::OFFSET_OUT_OF_RANGE),
            );
        }
        state.status = Status::NeedsReset;
    }

    /// Handles looked-up positions or their failure.
    pub fn reset_arrived(
        &mut self,
        asked: Vec<TopicPartition>,
        result: Result<BTreeMap<TopicPartition, ListedOffset>, ClientError>,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        for partition in asked {
            let Some(state) = self.partitions.get_mut(&partition) else {
                continue;
            };
            if state.status != Status::Resetting {
                continue;
            }
            match &result {
                Ok(found) => {
                    let Some(listed) = found.get(&partition) else {
                        continue;
                    };
                    let (from, to) = (state.position, listed.offset);
                    state.position = to;
                    state.last_epoch = -1;
                    state.status = Status::Idle;
                    self.push(&partition, |partition| FetchEvent::Reset { partition, from, to });
                }
                Err(error) if error.is_retriable() => {
                    state.status = Status::NeedsReset;
                    self.note_failure(&partition, error.code(), now_ms, rng);
                }
                Err(error) => self.fail(&partition, error.clone()),
            }
        }
    }

    /// Decides whether an error is retriable, and what to do before the retry.
    pub(super) fn settle_failure(
        &mut self,
        partition: &TopicPartition,
        error: &ClientError,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        if !error.is_retriable() {
            return self.fail(partition, error.clone());
        }
        if let Some(state) = self.partitions.get_mut(partition) {
            state.status = Status::Idle;
            state.preferred_replica = None;
        }
        self.stale_topics.insert(partition.topic.clone());
        self.trouble = Some(with_causes(error).into());
        self.note_failure(partition, error.code(), now_ms, rng);
    }

    /// Backs off before the next attempt; a topic that stays missing fails.
    pub(super) fn note_failure(
        &mut self,
        partition: &TopicPartition,
        code: Option<ErrorCode>,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        if state.status == Status::Failed {
            return;
        }
        if state.status == Status::InFlight {
            state.status = Status::Idle;
        }
        let wait = self.backoff.wait(state.failures, rng);
        state.failures += 1;
        state.not_before_ms = now_ms + millis(wait);
        let since = *state.failing_since_ms.get_or_insert(now_ms);
        let gone = matches!(
            code,
            Some(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    | ErrorCode::UNKNOWN_TOPIC_ID
                    | ErrorCode::INCONSISTENT_TOPIC_ID
            )
        );
        if gone && now_ms - since >= self.give_up_after_ms {
            let code = code.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            self.fail(
                partition,
                ClientError::broker(format!("partition {partition}"), code),
            );
        }
    }

    pub(super) fn fail(&mut self, partition: &TopicPartition, error: ClientError) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        if state.status != Status::Failed {
            state.status = Status::Failed;
            self.push(partition, |partition| FetchEvent::Failed { partition, error });
        }
    }
}
