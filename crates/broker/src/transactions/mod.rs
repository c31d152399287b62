//! Transactional ids and their transactions.
//!
//! Coordinator, partitions and groups are on one node and share one log, so the end of a transaction (markers in all
//! its partitions, its offsets, the coordinator's state) is a single record: there is no state between "prepare" and
//! "complete" that a crash could leave behind. With transactions version 2 (KIP-890) every end raises the epoch, so
//! that a delayed request of an earlier transaction is recognised; partitions are added by producing to them.

mod end;

pub(crate) use end::{abort, end};

use crate::broker::Broker;
use crate::change::{Change, CommittedOffset, TransactionPhase, TransactionState};
use crate::groups::TopicPartition;
use crate::mutants::Mutant;
use crate::security::{Operation, ResourceKind};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// The greatest epoch of a producer; the next one only occurs in markers.
pub(crate) const EPOCH_MAX: i16 = i16::MAX - 1;

type PendingOffsets = BTreeMap<TopicPartition, CommittedOffset>;

/// All transactional ids.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    states: BTreeMap<KafkaString, TransactionState>,
    /// Offsets that open transactions want to commit, by transactional id and group.
    offsets: BTreeMap<(KafkaString, KafkaString), PendingOffsets>,
    /// When open transactions are aborted.
    deadlines: BTreeSet<(i64, KafkaString)>,
}

/// The producer of a transactional request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Producer<'a> {
    pub transactional_id: &'a KafkaString,
    pub producer_id: i64,
    pub epoch: i16,
}

impl Transactions {
    pub fn get(&self, id: &KafkaString) -> Option<&TransactionState> {
        self.states.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &TransactionState> {
        self.states.values()
    }

    /// Applies a change; its pending offsets get this place, unless they have one.
    pub fn apply(&mut self, change: &Change, place: u64) {
        match change {
            Change::Transaction(state) => self.replace(state.clone()),
            Change::TransactionOffsets { id, group, offsets } if !offsets.is_empty() => {
                let pending = self.offsets.entry((id.clone(), group.clone())).or_default();
                for offset in offsets {
                    pending.insert((offset.topic, offset.partition), offset.placed(place));
                }
            }
            Change::OffsetsDeleted { group, partitions } => {
                let gone: BTreeSet<&TopicPartition> = partitions.iter().collect();
                self.forget_offsets(|of, partition| of == group && gone.contains(partition));
            }
            Change::GroupDeleted { group } => self.forget_offsets(|of, _| of == group),
            Change::TransactionDeleted { id } => {
                self.forget_open(id);
                self.states.remove(id);
            }
            _ => {}
        }
    }

    fn replace(&mut self, state: TransactionState) {
        let is_open = state.phase == TransactionPhase::Ongoing;
        if let Some(earlier) = self.states.get(&state.id).and_then(deadline) {
            self.deadlines.remove(&(earlier, state.id.clone()));
        }
        if is_open {
            self.deadlines
                .extend(deadline(&state).map(|deadline| (deadline, state.id.clone())));
        } else {
            self.forget_open(&state.id);
        }
        self.states.insert(state.id.clone(), state);
    }

    fn forget_open(&mut self, id: &KafkaString) {
        if let Some(earlier) = self.states.get(id).and_then(deadline) {
            self.deadlines.remove(&(earlier, id.clone()));
        }
        self.offsets.retain(|(of, _), _| of != id);
    }

    pub fn forget_topic(&mut self, topic: Uuid) {
        for state in self.states.values_mut() {
            state.partitions.retain(|(of, _)| *of != topic);
        }
        self.forget_offsets(|_, (of, _)| *of == topic);
    }

    /// Offsets that were removed do not come back with the end of a transaction.
    fn forget_offsets(&mut self, is_gone: impl Fn(&KafkaString, &TopicPartition) -> bool) {
        self.offsets.retain(|(_, group), pending| {
            pending.retain(|partition, _| !is_gone(group, partition));
            !pending.is_empty()
        });
    }

    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        let offsets = self
            .offsets
            .iter()
            .map(|((id, group), offsets)| Change::TransactionOffsets {
                id: id.clone(),
                group: group.clone(),
                offsets: offsets.values().cloned().collect(),
            });
        self.states
            .values()
            .cloned()
            .map(Change::Transaction)
            .chain(offsets)
    }

    pub fn next_timer(&self) -> Option<i64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Whether an open transaction may still change this offset.
    pub fn has_pending_offset(&self, group: &KafkaString, partition: TopicPartition) -> bool {
        self.offsets
            .iter()
            .any(|((_, of), offsets)| of == group && offsets.contains_key(&partition))
    }

    pub fn has_pending_group(&self, group: &KafkaString) -> bool {
        self.offsets.keys().any(|(_, of)| of == group)
    }

    pub fn pending_offsets(&self, id: &KafkaString) -> Vec<(KafkaString, Vec<CommittedOffset>)> {
        let own = self.offsets.iter().filter(|((of, _), _)| of == id);
        own.map(|((_, group), offsets)| (group.clone(), offsets.values().cloned().collect()))
            .collect()
    }

    /// The state of a transactional id, if this is its producer and the newest instance of it, and it may add to the
    /// transaction: one that was prepared can only be ended.
    pub fn check(&self, producer: Producer<'_>) -> Result<&TransactionState, ErrorCode> {
        if producer.transactional_id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let state = self
            .states
            .get(producer.transactional_id)
            .ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        if state.producer_id != producer.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if state.epoch != producer.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if state.prepared.is_some() {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        Ok(state)
    }
}

/// When an open transaction is aborted; never for two-phase commit.
fn deadline(state: &TransactionState) -> Option<i64> {
    let times_out = state.phase == TransactionPhase::Ongoing && !state.two_phase;
    times_out.then(|| state.start_ms.saturating_add(i64::from(state.timeout_ms)))
}

/// The participants of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Participants {
    pub partitions: Vec<TopicPartition>,
    pub groups: Vec<KafkaString>,
}

/// Adds participants to a producer's transaction and opens it if necessary. Returns the change, if there is one to
/// make.
pub(crate) fn enlist(
    broker: &Broker,
    now_ms: i64,
    producer: Producer<'_>,
    participants: Participants,
    is_v2: bool,
) -> Result<Option<Change>, ErrorCode> {
    broker.access(
        Operation::Write,
        ResourceKind::TransactionalId,
        producer.transactional_id,
    )?;
    let state = broker.transactions.check(producer)?;
    let is_open = state.phase == TransactionPhase::Ongoing;
    let known = |partition: &TopicPartition| is_open && state.partitions.contains(partition);
    let knows_all = participants.partitions.iter().all(known)
        && participants
            .groups
            .iter()
            .all(|group| is_open && state.groups.contains(group));
    if knows_all && is_open {
        return Ok(None);
    }
    let mut next = state.clone();
    if !is_open {
        next.phase = TransactionPhase::Ongoing;
        next.start_ms = now_ms;
        next.partitions.clear();
        next.groups.clear();
    }
    for partition in participants.partitions {
        if !next.partitions.contains(&partition) {
            next.partitions.push(partition);
        }
    }
    for group in participants.groups {
        if !next.groups.contains(&group) {
            next.groups.push(group.detached());
        }
    }
    next.update_ms = now_ms;
    next.is_v2 = is_v2;
    Ok(Some(Change::Transaction(next)))
}

/// The first version of Produce that adds partitions to the transaction by itself.
pub(crate) const ENLISTING_VERSION: i16 = 12;

/// Sees to it that a transactional batch belongs to an open transaction of its producer that knows the partition.
/// With version 2 of transactions the partition is added; before, it must have been.
pub(crate) fn verify_append(
    broker: &mut Broker,
    now_ms: i64,
    producer: Producer<'_>,
    partition: TopicPartition,
    version: i16,
) -> Result<(), ErrorCode> {
    /// The first version that knows TRANSACTION_ABORTABLE.
    const ABORTABLE_VERSION: i16 = 11;
    let checked = broker.transactions.check(producer);
    if checked.is_err() && broker.breaks(Mutant::ForgetFence) {
        return Ok(());
    }
    let state = checked.map_err(|code| match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        code => code,
    })?;
    let is_known = state.phase == TransactionPhase::Ongoing && state.partitions.contains(&partition);
    if is_known {
        return Ok(());
    }
    if version < ENLISTING_VERSION {
        let is_abortable = version >= ABORTABLE_VERSION;
        return Err(if is_abortable {
            ErrorCode::TRANSACTION_ABORTABLE
        } else {
            ErrorCode::INVALID_TXN_STATE
        });
    }
    let participants = Participants {
        partitions: vec![partition],
        groups: Vec::new(),
    };
    if let Some(change) = enlist(broker, now_ms, producer, participants, true)? {
        broker
            .write(now_ms, Vec::new(), &[change])
            .map_err(|error| crate::broker::log_error_code(&error))?;
    }
    Ok(())
}

/// Aborts transactions that have timed out.
pub(crate) fn tick(broker: &mut Broker, now_ms: i64) {
    while let Some((_, id)) = broker
        .transactions
        .deadlines
        .first()
        .filter(|(at, _)| *at <= now_ms)
        .cloned()
    {
        if abort(broker, now_ms, &id).is_err() {
            return; // the log is poisoned; nothing is aborted any more
        }
    }
}

/// Expires ids that were not used for `transactional.id.expiration.ms`.
pub(crate) fn expire_ids(broker: &mut Broker, now_ms: i64) {
    let expiration_ms = broker.configs.long("transactional.id.expiration.ms");
    let is_expired = |state: &&TransactionState| {
        state.phase != TransactionPhase::Ongoing && state.update_ms.saturating_add(expiration_ms) <= now_ms
    };
    let expired: Vec<Change> = broker
        .transactions
        .iter()
        .filter(is_expired)
        .map(|state| Change::TransactionDeleted { id: state.id.clone() })
        .collect();
    if !expired.is_empty() {
        let _ = broker.write(now_ms, Vec::new(), &expired);
    }
}
