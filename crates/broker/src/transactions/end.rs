//! The end of transactions: by their producer, by a newer instance of it, or by time.

use super::{EPOCH_MAX, Producer};
use crate::api::init_producer_id::next_producer_id;
use crate::broker::{Broker, log_error_code};
use crate::change::{Change, TransactionPhase, TransactionState};
use crate::mutants::Mutant;
use crate::security::{Operation, ResourceKind};
use bytes::Bytes;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::batch::Marker;
use millstream_log::{ControlType, Entry, LogError};
use millstream_types::failpoint;

/// Why a transaction was not ended.
pub(crate) type EndError = ErrorCode;

/// The result of ending a transaction: the producer's new id and epoch, and the sequence that makes it durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub producer_id: i64,
    pub epoch: i16,
    pub sequence: u64,
}

/// Ends a transaction on behalf of its producer. With `is_v2` (KIP-890) the epoch is raised, and a retry with the
/// previous epoch gets the original response.
pub(crate) fn end(
    broker: &mut Broker,
    now_ms: i64,
    producer: Producer<'_>,
    commit: bool,
    is_v2: bool,
) -> Result<Ended, EndError> {
    if producer.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    broker.access(
        Operation::Write,
        ResourceKind::TransactionalId,
        producer.transactional_id,
    )?;
    let found = broker.transactions.get(producer.transactional_id);
    let state = found.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?.clone();
    let is_current = state.producer_id == producer.producer_id && state.epoch == producer.epoch;
    let is_repeat = is_v2
        && state.last_producer_id == producer.producer_id
        && state.last_epoch == producer.epoch
        && !is_current;
    if !is_current && !is_repeat {
        let is_other =
            state.producer_id != producer.producer_id && state.last_producer_id != producer.producer_id;
        return Err(if is_other {
            ErrorCode::INVALID_PRODUCER_ID_MAPPING
        } else {
            ErrorCode::PRODUCER_FENCED
        });
    }
    let wanted = if commit {
        TransactionPhase::CompleteCommit
    } else {
        TransactionPhase::CompleteAbort
    };
    let done = Ended {
        producer_id: state.producer_id,
        epoch: state.epoch,
        sequence: broker.log.last_sequence(),
    };
    match state.phase {
        TransactionPhase::Ongoing | TransactionPhase::Empty if is_repeat => Err(ErrorCode::PRODUCER_FENCED),
        TransactionPhase::Ongoing => finish(broker, now_ms, &state, commit, is_v2),
        phase if phase == wanted && (is_repeat || !is_v2) => Ok(done),
        // A producer of version 2 may abort without knowing whether anything had begun.
        _ if is_v2 && !commit && is_current => finish(broker, now_ms, &state, commit, is_v2),
        _ => Err(ErrorCode::INVALID_TXN_STATE),
    }
}

/// Aborts an open transaction from outside. The epoch rises, so that its producer can do nothing more with the one it has,
/// but may ask for the new one as if it had ended the transaction itself, as with Kafka. A new instance must therefore get
/// one that is greater still.
pub(crate) fn abort(broker: &mut Broker, now_ms: i64, id: &KafkaString) -> Result<Ended, EndError> {
    let state = broker
        .transactions
        .get(id)
        .ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?
        .clone();
    finish(broker, now_ms, &state, false, true)
}

/// Writes markers, offsets and state as one record.
fn finish(
    broker: &mut Broker,
    now_ms: i64,
    state: &TransactionState,
    commit: bool,
    raises_epoch: bool,
) -> Result<Ended, EndError> {
    let (producer_id, epoch) = if !raises_epoch {
        (state.producer_id, state.epoch)
    } else if state.epoch >= EPOCH_MAX {
        (next_producer_id(broker, now_ms)?.0, 0)
    } else {
        (state.producer_id, state.epoch + 1)
    };
    let mut entries = markers(broker, now_ms, state, commit, raises_epoch);
    if broker.breaks(Mutant::ForgetMarker) {
        entries.pop();
    }
    let mut changes = Vec::new();
    if commit && !broker.breaks(Mutant::ForgetOffsets) {
        changes.extend(offsets(broker, &state.id));
    }
    let (last_producer_id, last_epoch) = if raises_epoch {
        (state.producer_id, state.epoch)
    } else {
        (state.last_producer_id, state.last_epoch)
    };
    changes.push(Change::Transaction(TransactionState {
        producer_id,
        epoch,
        last_producer_id,
        last_epoch,
        phase: if commit {
            TransactionPhase::CompleteCommit
        } else {
            TransactionPhase::CompleteAbort
        },
        partitions: Vec::new(),
        groups: Vec::new(),
        update_ms: now_ms,
        prepared: None,
        ..state.clone()
    }));
    let sequence = write(broker, now_ms, entries, &changes).map_err(|error| log_error_code(&error))?;
    failpoint::hit("broker-end-appended");
    Ok(Ended {
        producer_id,
        epoch,
        sequence,
    })
}

/// The offsets that a transaction commits, except those that a newer commit has replaced since.
fn offsets(broker: &Broker, id: &KafkaString) -> Vec<Change> {
    let mut changes = Vec::new();
    for (group, mut offsets) in broker.transactions.pending_offsets(id) {
        let committed = broker.groups.get(&group).map(|group| &group.offsets);
        offsets.retain(|offset| {
            let committed = committed.and_then(|offsets| offsets.get(&(offset.topic, offset.partition)));
            committed.is_none_or(|committed| committed.place < offset.place)
        });
        if !offsets.is_empty() {
            changes.push(Change::Offsets { group, offsets });
        }
    }
    changes
}

/// The producer id and epoch that markers carry: the id under which the records stand, and an epoch that fences all
/// instances that had one before.
fn marker_producer(state: &TransactionState, raises_epoch: bool) -> (i64, i16) {
    match state.ongoing_producer() {
        // The transaction was prepared and kept until its id had no epochs left.
        (producer_id, _) if producer_id != state.producer_id => (producer_id, EPOCH_MAX + 1),
        (producer_id, _) => (producer_id, state.epoch.saturating_add(i16::from(raises_epoch))),
    }
}

/// All of it is one record, so that a crash leaves all or nothing.
fn write(broker: &mut Broker, now_ms: i64, entries: Vec<Entry>, changes: &[Change]) -> Result<u64, LogError> {
    #[cfg(feature = "mutants")]
    if broker.breaks(Mutant::TearTransaction) {
        return broker.write_torn(now_ms, entries, changes);
    }
    broker.write(now_ms, entries, changes)
}

/// A marker for each partition of a transaction that is still there, also for quarantined ones: they may be readable again
/// one day.
fn markers(
    broker: &Broker,
    now_ms: i64,
    state: &TransactionState,
    commit: bool,
    raises_epoch: bool,
) -> Vec<Entry> {
    let (producer_id, producer_epoch) = marker_producer(state, raises_epoch);
    let marker = Marker {
        producer_id,
        producer_epoch,
        coordinator_epoch: 0,
        control: if commit {
            ControlType::Commit
        } else {
            ControlType::Abort
        },
        timestamp: now_ms,
    };
    let batch = Bytes::from(marker.encode());
    let log = |(topic, partition): &(Uuid, i32)| broker.topics.by_id(*topic)?.log(*partition);
    let logs = state.partitions.iter().filter_map(log);
    logs.map(|log| Entry::Batch {
        log,
        batch: batch.clone(),
    })
    .collect()
}
