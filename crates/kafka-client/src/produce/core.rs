//! The state machine of producing: collects batches, decides what to send, and handles responses. No IO, no clock: time
//! is a parameter, in milliseconds since an arbitrary start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use millstream_kafka_wire::compression::Compressor;
use millstream_kafka_wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use millstream_kafka_wire::{KafkaString, Uuid};
use millstream_types::Rng;

use super::append::Sticky;
use super::outcome::{Ended, Outcome, ProduceError};
use super::queue::{Batch, Order, PartitionQueue, SpareBuffers};
use super::transaction::{Phase, Transaction};
use crate::TopicPartition;
use crate::backoff::Backoff;
use crate::config::ProduceConfig;
use crate::metadata::ClusterMetadata;

/// From this version on topics are named by id only.
const TOPIC_ID_VERSION: i16 = 13;
/// From this version on producing adds the partition to the transaction.
pub(super) const IMPLICIT_ADD_VERSION: i16 = 12;

/// A produce request to send.
pub(super) struct PlannedSend {
    pub node: i32,
    pub request: ProduceRequest,
    pub version_min: i16,
    pub version_max: i16,
    pub ticket: Ticket,
}

/// Identifies a request in flight.
pub(super) struct Ticket {
    pub node: i32,
    pub batches: Vec<(TopicPartition, Order)>,
    pub topic_ids: BTreeMap<Uuid, KafkaString>,
}

/// The next actions.
#[derive(Default)]
pub(super) struct Plan {
    pub sends: Vec<PlannedSend>,
    pub refresh: BTreeSet<KafkaString>,
    /// Request a producer id; the current pair if its epoch is to be bumped.
    pub init_producer: Option<(i64, i16)>,
    /// Partitions to add to the transaction before sending to them.
    pub add_partitions: Vec<TopicPartition>,
    pub wake_at_ms: Option<u64>,
}

impl Plan {
    pub fn wake_at(&mut self, at_ms: u64) {
        self.wake_at_ms = Some(self.wake_at_ms.map_or(at_ms, |earlier| earlier.min(at_ms)));
    }
}

/// Identity of the producer at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Not idempotent.
    Anonymous,
    Wanted,
    /// Sequences are out of step: the epoch has to be bumped once no request is in flight.
    Renewal {
        producer_id: i64,
        producer_epoch: i16,
    },
    /// Requested.
    Coming,
    Known {
        producer_id: i64,
        producer_epoch: i16,
    },
}

pub(super) struct ProduceCore {
    pub config: ProduceConfig,
    pub backoff: Backoff,
    pub compressor: Compressor,
    pub partitions: BTreeMap<TopicPartition, PartitionQueue>,
    pub in_flight_by_node: BTreeMap<i32, usize>,
    pub identity: Identity,
    pub transaction: Option<Transaction>,
    pub stale_topics: BTreeSet<KafkaString>,
    pub refresh_not_before_ms: u64,
    pub refresh_failures: u32,
    pub identity_not_before_ms: u64,
    /// Batches that are not done, for `flush`.
    pub unfinished: BTreeSet<Order>,
    /// Batches up to this number are sent without lingering.
    pub flush_up_to: u64,
    pub first_error: Option<ProduceError>,
    pub used_bytes: usize,
    pub spare: SpareBuffers,
    pub sticky: BTreeMap<KafkaString, Sticky>,
    pub next_batch: u64,
}

impl ProduceCore {
    pub fn new(config: ProduceConfig, backoff: Backoff) -> Self {
        let transaction = config.transactional_id.clone().map(Transaction::new);
        ProduceCore {
            compressor: Compressor::new(config.compression_levels),
            identity: if config.idempotence {
                Identity::Wanted
            } else {
                Identity::Anonymous
            },
            config,
            backoff,
            partitions: BTreeMap::new(),
            in_flight_by_node: BTreeMap::new(),
            transaction,
            stale_topics: BTreeSet::new(),
            refresh_not_before_ms: 0,
            refresh_failures: 0,
            identity_not_before_ms: 0,
            unfinished: BTreeSet::new(),
            flush_up_to: 0,
            first_error: None,
            used_bytes: 0,
            spare: SpareBuffers::default(),
            sticky: BTreeMap::new(),
            next_batch: 1,
        }
    }

    /// Records the outcome of a batch. Its memory has been released already.
    pub fn end(&mut self, outcome: &Outcome, order: Order, ended: Ended) {
        if let Ended::Failed(error) = &ended {
            self.first_error.get_or_insert_with(|| error.clone());
        }
        self.unfinished.remove(&order);
        outcome.end(ended);
    }

    /// Sends all pending records without lingering. Returns the number of the flush to wait for.
    pub fn start_flush(&mut self) -> u64 {
        self.flush_up_to = self.next_batch - 1;
        self.flush_up_to
    }

    pub fn is_flushed(&self, up_to: u64) -> bool {
        self.unfinished.first().is_none_or(|(first, _)| *first > up_to)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight_by_node.values().sum()
    }

    /// Decides the next actions.
    pub fn plan(&mut self, metadata: &ClusterMetadata, now_ms: u64) -> Plan {
        let mut plan = Plan::default();
        self.expire(now_ms);
        if let Some(error) = self.transaction.as_ref().and_then(Transaction::dead_end) {
            self.fail_waiting(&error);
        }
        self.partitions
            .retain(|_, queue| !queue.is_empty() || queue.next_sequence != 0);
        self.seal_ripe(&mut plan, metadata, now_ms);
        self.plan_identity(&mut plan, now_ms);
        let ready = self.ready_by_node(metadata, &mut plan, now_ms);
        for (node, partitions) in ready {
            while self.in_flight_by_node.get(&node).copied().unwrap_or(0) < self.config.max_in_flight {
                let Some(send) = self.send(metadata, node, &partitions) else {
                    break;
                };
                plan.sends.push(send);
            }
        }
        self.plan_refresh(&mut plan, now_ms);
        plan
    }

    /// Seals batches that have lingered long enough or are being flushed, and with them the other batches for the same
    /// broker, because they share a request. A batch that cannot be sent yet, because too many requests are in flight,
    /// keeps collecting records; the next response leads back here.
    fn seal_ripe(&mut self, plan: &mut Plan, metadata: &ClusterMetadata, now_ms: u64) {
        let linger_ms = millis(self.config.linger);
        let pressed = self.used_bytes >= self.config.buffer_memory / 2;
        let mut ready = BTreeSet::new();
        let mut open_batches = Vec::new();
        for (partition, queue) in &self.partitions {
            let Some(open) = &queue.open else { continue };
            let due_ms = open.created_ms.saturating_add(linger_ms);
            let ripe = due_ms <= now_ms || pressed || open.order.0 <= self.flush_up_to;
            let leader = metadata.leader(&partition.topic, partition.partition);
            if !self.has_turn(queue, leader) {
                continue;
            }
            if ripe {
                ready.insert(leader);
            }
            open_batches.push((partition.clone(), leader, due_ms));
        }
        for (partition, leader, due_ms) in open_batches {
            if ready.contains(&leader) {
                self.seal(&partition);
            } else {
                plan.wake_at(due_ms);
            }
        }
    }

    /// Whether one more batch of a partition may be in flight behind those that wait.
    fn has_turn(&self, queue: &PartitionQueue, leader: Option<i32>) -> bool {
        let in_flight = leader.and_then(|node| self.in_flight_by_node.get(&node).copied());
        let of_node = self.config.max_in_flight.saturating_sub(in_flight.unwrap_or(0));
        let of_partition = queue.in_flight_max(self.config.idempotence);
        let of_partition = of_partition.saturating_sub(queue.in_flight.len());
        queue.waiting.len() < of_node.min(of_partition)
    }

    fn plan_identity(&mut self, plan: &mut Plan, now_ms: u64) {
        // A transactional producer gets its id from `init_transactions`.
        if self.transaction.is_some() || self.partitions.is_empty() {
            return;
        }
        let wanted = match self.identity {
            Identity::Wanted => (-1, -1),
            Identity::Renewal {
                producer_id,
                producer_epoch,
            } if self.in_flight() == 0 => (producer_id, producer_epoch),
            _ => return,
        };
        if now_ms < self.identity_not_before_ms {
            return plan.wake_at(self.identity_not_before_ms);
        }
        self.identity = Identity::Coming;
        plan.init_producer = Some(wanted);
    }

    fn may_send(&self) -> bool {
        let known = matches!(self.identity, Identity::Known { .. } | Identity::Anonymous);
        known
            && self
                .transaction
                .as_ref()
                .is_none_or(|t| matches!(t.phase, Phase::Open))
    }

    /// The partitions with something to send, by leader.
    fn ready_by_node(
        &mut self,
        metadata: &ClusterMetadata,
        plan: &mut Plan,
        now_ms: u64,
    ) -> BTreeMap<i32, Vec<TopicPartition>> {
        let mut ready: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        if !self.may_send() {
            return ready;
        }
        for (partition, queue) in &self.partitions {
            if queue.waiting.is_empty() {
                continue;
            }
            if queue.not_before_ms > now_ms {
                plan.wake_at(queue.not_before_ms);
                continue;
            }
            let Some(leader) = metadata.leader(&partition.topic, partition.partition) else {
                self.stale_topics.insert(partition.topic.clone());
                continue;
            };
            if let Some(transaction) = &mut self.transaction
                && !transaction.may_send_to(partition, &mut plan.add_partitions)
            {
                continue;
            }
            ready.entry(leader).or_default().push(partition.clone());
        }
        if !plan.add_partitions.is_empty()
            && let Some(transaction) = &mut self.transaction
        {
            transaction.adding = true;
        }
        ready
    }

    /// One request with at most one batch of each partition, as the protocol has it.
    fn send(
        &mut self,
        metadata: &ClusterMetadata,
        node: i32,
        partitions: &[TopicPartition],
    ) -> Option<PlannedSend> {
        let mut ticket = Ticket {
            node,
            batches: Vec::new(),
            topic_ids: BTreeMap::new(),
        };
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let mut bytes = 0;
        let mut all_have_ids = true;
        for partition in partitions {
            let room = self.config.max_request_size.saturating_sub(bytes);
            // The first batch goes whatever its size: the broker may still respond that it has to be split.
            let room = if bytes == 0 { usize::MAX } else { room };
            let Some((records, order)) = self.next_batch_of(partition, room) else {
                continue;
            };
            bytes += records.len();
            let topic_id = metadata
                .topic(&partition.topic)
                .map_or(Uuid::ZERO, |topic| topic.id);
            all_have_ids &= !topic_id.is_zero();
            ticket.batches.push((partition.clone(), order));
            ticket.topic_ids.insert(topic_id, partition.topic.clone());
            let data = PartitionProduceData {
                index: partition.partition,
                records: Some(records),
            };
            match topics.last_mut().filter(|topic| topic.name == partition.topic) {
                Some(topic) => topic.partition_data.push(data),
                None => {
                    let name = partition.topic.clone();
                    topics.push(TopicProduceData {
                        name,
                        topic_id,
                        partition_data: vec![data],
                    });
                }
            }
        }
        if topics.is_empty() {
            return None;
        }
        *self.in_flight_by_node.entry(node).or_default() += 1;
        let request = ProduceRequest {
            transactional_id: self.config.transactional_id.as_ref().map(KafkaString::from),
            acks: self.config.acks,
            timeout_ms: PRODUCE_TIMEOUT_MS,
            topic_data: topics,
        };
        let (version_min, version_max) = self.produce_versions(all_have_ids);
        Some(PlannedSend {
            node,
            request,
            version_min,
            version_max,
            ticket,
        })
    }

    /// Puts the next batch of a partition on its way, if one may be sent and has room.
    fn next_batch_of(&mut self, partition: &TopicPartition, room: usize) -> Option<(Bytes, Order)> {
        let ordered = self.config.idempotence;
        let queue = self.partitions.get_mut(partition)?;
        if queue.waiting.front()?.data.len() > room || !queue.may_send_first(ordered) {
            return None;
        }
        let mut batch = queue.waiting.pop_front()?;
        if let Identity::Known {
            producer_id,
            producer_epoch,
        } = self.identity
        {
            queue.stamp(
                &mut batch,
                producer_id,
                producer_epoch,
                self.transaction.is_some(),
            );
        }
        batch.attempts += 1;
        let sent = (batch.data.clone(), batch.order);
        queue.in_flight.push(batch);
        Some(sent)
    }

    fn produce_versions(&self, all_have_ids: bool) -> (i16, i16) {
        let by_id = if all_have_ids {
            i16::MAX
        } else {
            TOPIC_ID_VERSION - 1
        };
        match &self.transaction {
            Some(transaction) if transaction.v2 => (IMPLICIT_ADD_VERSION, by_id),
            Some(_) => (0, IMPLICIT_ADD_VERSION - 1),
            None => (0, by_id),
        }
    }

    fn plan_refresh(&mut self, plan: &mut Plan, now_ms: u64) {
        if self.stale_topics.is_empty() {
            return;
        }
        if now_ms >= self.refresh_not_before_ms {
            plan.refresh = std::mem::take(&mut self.stale_topics);
            self.refresh_not_before_ms = u64::MAX;
        } else if self.refresh_not_before_ms != u64::MAX {
            plan.wake_at(self.refresh_not_before_ms);
        }
    }

    pub fn metadata_arrived(&mut self, failed: bool, now_ms: u64, rng: &dyn Rng) {
        self.refresh_failures = if failed { self.refresh_failures + 1 } else { 0 };
        self.refresh_not_before_ms = now_ms + millis(self.backoff.wait(self.refresh_failures, rng));
    }

    /// Expires batches that are too old and not in flight.
    fn expire(&mut self, now_ms: u64) {
        let timeout_ms = millis(self.config.delivery_timeout);
        let mut expired: Vec<(TopicPartition, Batch)> = Vec::new();
        for (partition, queue) in &mut self.partitions {
            let too_old = |batch: &Batch| batch.created_ms.saturating_add(timeout_ms) <= now_ms;
            // A batch in flight may still succeed, and those behind it with it.
            if queue.in_flight.is_empty() {
                while queue.waiting.front().is_some_and(too_old) {
                    expired.extend(queue.waiting.pop_front().map(|batch| (partition.clone(), batch)));
                }
            }
        }
        for (partition, batch) in expired {
            self.used_bytes -= batch.accounted_bytes;
            let numbered = batch.sequence.is_some();
            let error = ProduceError::Expired {
                partition: partition.clone(),
                timeout_ms,
            };
            self.abort_transaction(&error);
            self.end(&batch.outcome, batch.order, Ended::Failed(error));
            if numbered {
                self.renew_identity();
            }
        }
    }

    /// Numbers are out of step: a new epoch is needed. Within a transaction only an abort helps.
    pub fn renew_identity(&mut self) {
        if let Identity::Known {
            producer_id,
            producer_epoch,
        } = self.identity
            && self.transaction.is_none()
        {
            self.identity = Identity::Renewal {
                producer_id,
                producer_epoch,
            };
        }
    }

    /// The broker has assigned a producer id or an epoch.
    pub fn identity_arrived(&mut self, producer_id: i64, producer_epoch: i16) {
        self.identity = Identity::Known {
            producer_id,
            producer_epoch,
        };
        let mut unknown: Vec<(TopicPartition, Batch)> = Vec::new();
        for (partition, queue) in &mut self.partitions {
            queue.restart_sequences();
            // Under a new epoch the broker would not recognise a duplicate of a batch that it has already.
            while let Some(at) = queue.waiting.iter().position(|batch| batch.ambiguous) {
                unknown.extend(queue.waiting.remove(at).map(|batch| (partition.clone(), batch)));
            }
        }
        for (partition, batch) in unknown {
            self.used_bytes -= batch.accounted_bytes;
            self.end(
                &batch.outcome,
                batch.order,
                Ended::Failed(ProduceError::Unknown(partition)),
            );
        }
    }
}

/// `timeout_ms` of a produce request: the broker's own limit for its replicas.
const PRODUCE_TIMEOUT_MS: i32 = 30_000;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
