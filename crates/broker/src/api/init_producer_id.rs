//! InitProducerId: ids for idempotent producers, and new instances of transactional ones.
//!
//! A new instance fences the previous one and aborts its open transaction, unless it asks to keep a prepared
//! transaction (KIP-939). Kafka responds with CONCURRENT_TRANSACTIONS while it aborts; here the abort is a single
//! record, so the first response is final.

use crate::broker::{Broker, log_error_code};
use crate::change::{Change, TransactionPhase, TransactionState};
use crate::context::RequestContext;
use crate::limits::PRODUCER_ID_BLOCK;
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use crate::transactions::{EPOCH_MAX, abort};
use millstream_kafka_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// The first version that knows PRODUCER_FENCED.
const FENCED_VERSION: i16 = 4;
const NONE: i64 = -1;
const NO_EPOCH: i16 = -1;

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &InitProducerIdRequest,
) -> Outcome {
    let result = match &request.transactional_id {
        None => check_idempotent(broker)
            .and_then(|()| check_pair(request))
            .and_then(|()| next_producer_id(broker, now_ms))
            .map(|(id, sequence)| (response(ErrorCode::NONE, id, 0), sequence)),
        Some(id) => check(broker, context, request, id).and_then(|()| init(broker, now_ms, request, id)),
    };
    match result {
        Ok((response, sequence)) => Outcome::durable(sequence, response),
        Err(ErrorCode::PRODUCER_FENCED) if version < FENCED_VERSION => {
            Outcome::now(response(ErrorCode::INVALID_PRODUCER_EPOCH, NONE, -1))
        }
        Err(code) => Outcome::now(response(code, NONE, -1)),
    }
}

fn response(error_code: ErrorCode, producer_id: i64, producer_epoch: i16) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code,
        producer_id,
        producer_epoch,
        ongoing_txn_producer_id: NONE,
        ongoing_txn_producer_epoch: -1,
        ..Default::default()
    }
}

/// The response with the producer's new epoch, and with the prepared transaction that it is about to complete.
fn producer_of(state: &TransactionState, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    let ongoing = state.prepared.filter(|_| request.keep_prepared_txn);
    let (ongoing_txn_producer_id, ongoing_txn_producer_epoch) = ongoing.unwrap_or((NONE, NO_EPOCH));
    InitProducerIdResponse {
        ongoing_txn_producer_id,
        ongoing_txn_producer_epoch,
        ..response(ErrorCode::NONE, state.producer_id, state.epoch)
    }
}

/// Allocates a producer id that was never used. The sequence makes the allocation durable.
pub(crate) fn next_producer_id(broker: &mut Broker, now_ms: i64) -> Result<(i64, u64), ErrorCode> {
    if broker.reserved_producer_ids == 0 {
        let next = broker.next_producer_id.saturating_add(PRODUCER_ID_BLOCK);
        broker
            .write(now_ms, Vec::new(), &[Change::ProducerIds { next }])
            .map_err(|error| log_error_code(&error))?;
        broker.reserved_producer_ids = PRODUCER_ID_BLOCK;
    }
    let id = broker.next_producer_id - broker.reserved_producer_ids;
    broker.reserved_producer_ids -= 1;
    Ok((id, broker.log.last_sequence()))
}

/// Producer id and epoch must both be set or both be absent.
fn check_pair(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    if (request.producer_id == NONE) == (request.producer_epoch == NO_EPOCH) {
        Ok(())
    } else {
        Err(ErrorCode::INVALID_REQUEST)
    }
}

/// A principal that may write to any topic may write idempotently.
fn check_idempotent(broker: &Broker) -> Result<(), ErrorCode> {
    if broker.may_to_any(Operation::Write, ResourceKind::Topic) {
        Ok(())
    } else {
        broker.cluster_access(Operation::IdempotentWrite)
    }
}

fn check(
    broker: &Broker,
    context: &RequestContext,
    request: &InitProducerIdRequest,
    id: &KafkaString,
) -> Result<(), ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    broker.access(Operation::Write, ResourceKind::TransactionalId, id)?;
    check_pair(request)?;
    if request.enable2_pc {
        broker.access(Operation::TwoPhaseCommit, ResourceKind::TransactionalId, id)?;
        let is_allowed = context.is_internal || broker.configs.flag("transaction.two.phase.commit.enable");
        return if is_allowed {
            Ok(())
        } else {
            Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        };
    }
    if request.keep_prepared_txn {
        return Err(ErrorCode::INVALID_REQUEST); // nothing can be prepared without two-phase commit
    }
    let max_ms = broker.configs.long("transaction.max.timeout.ms");
    let is_valid = request.transaction_timeout_ms > 0 && i64::from(request.transaction_timeout_ms) <= max_ms;
    if is_valid {
        Ok(())
    } else {
        Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT)
    }
}

type Initialised = Result<(InitProducerIdResponse, u64), ErrorCode>;

fn init(broker: &mut Broker, now_ms: i64, request: &InitProducerIdRequest, id: &KafkaString) -> Initialised {
    let Some(state) = broker.transactions.get(id).cloned() else {
        // Also for a producer that names an id: its transactional id has expired, and only a new id helps.
        let (producer_id, _) = next_producer_id(broker, now_ms)?;
        return store(broker, now_ms, request, fresh(id, producer_id));
    };
    if request.producer_id != NONE {
        let asked = (request.producer_id, request.producer_epoch);
        if asked == (state.last_producer_id, state.last_epoch) && asked != (state.producer_id, state.epoch) {
            return again(broker, now_ms, request, state);
        }
        if asked != (state.producer_id, state.epoch) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
    }
    if state.phase == TransactionPhase::Ongoing {
        if request.keep_prepared_txn && state.two_phase {
            return keep(broker, now_ms, request, state);
        }
        abort(broker, now_ms, id)?;
        let aborted = broker.transactions.get(id).cloned();
        let mut aborted = aborted.ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        if request.producer_id != NONE {
            aborted.phase = TransactionPhase::Empty;
            return store(broker, now_ms, request, aborted);
        }
        // The aborted producer itself may get the epoch of the abort.
        let raised = raise(broker, now_ms, request, aborted)?;
        return store(broker, now_ms, request, raised);
    }
    let raised = raise(broker, now_ms, request, state)?;
    store(broker, now_ms, request, raised)
}

/// The epoch has risen without the producer's knowledge: the response was lost, or the transaction timed out.
fn again(
    broker: &mut Broker,
    now_ms: i64,
    request: &InitProducerIdRequest,
    mut state: TransactionState,
) -> Initialised {
    let is_ended = matches!(
        state.phase,
        TransactionPhase::CompleteCommit | TransactionPhase::CompleteAbort
    );
    if is_ended {
        // After this, the outcome of that transaction can no longer be queried.
        state.phase = TransactionPhase::Empty;
        return store(broker, now_ms, request, state);
    }
    let sequence = broker.log.last_sequence();
    Ok((producer_of(&state, request), sequence))
}

fn fresh(id: &KafkaString, producer_id: i64) -> TransactionState {
    TransactionState {
        id: id.detached(),
        producer_id,
        epoch: 0,
        last_producer_id: NONE,
        last_epoch: -1,
        timeout_ms: 0,
        phase: TransactionPhase::Empty,
        partitions: Vec::new(),
        groups: Vec::new(),
        start_ms: -1,
        update_ms: 0,
        two_phase: false,
        is_v2: false,
        prepared: None,
    }
}

/// The next epoch, or a new producer id when there is none left.
fn raise(
    broker: &mut Broker,
    now_ms: i64,
    request: &InitProducerIdRequest,
    mut state: TransactionState,
) -> Result<TransactionState, ErrorCode> {
    // Only a producer that names its previous epoch may retry with it. For a new instance, the epoch before belongs to
    // the fenced producer.
    (state.last_producer_id, state.last_epoch) = match request.producer_id {
        NONE => (NONE, -1),
        _ => (state.producer_id, state.epoch),
    };
    if state.epoch >= EPOCH_MAX {
        state.producer_id = next_producer_id(broker, now_ms)?.0;
        state.epoch = 0;
    } else {
        state.epoch += 1;
    }
    if state.phase != TransactionPhase::Ongoing {
        state.phase = TransactionPhase::Empty;
    }
    Ok(state)
}

fn store(
    broker: &mut Broker,
    now_ms: i64,
    request: &InitProducerIdRequest,
    mut state: TransactionState,
) -> Initialised {
    state.timeout_ms = if request.enable2_pc {
        i32::MAX
    } else {
        request.transaction_timeout_ms
    };
    state.two_phase = request.enable2_pc;
    state.update_ms = now_ms;
    if state.phase != TransactionPhase::Ongoing {
        state.start_ms = -1; // until then an ended transaction is described with its time
    }
    let response = producer_of(&state, request);
    let sequence = broker
        .write(now_ms, Vec::new(), &[Change::Transaction(state)])
        .map_err(|error| log_error_code(&error))?;
    Ok((response, sequence))
}

/// Keeps the prepared transaction open under a raised epoch or a new producer id (KIP-939). The previous instance is
/// fenced and the new one decides. However often that happens, the response names the producer that wrote the records,
/// because the decision is recorded under its id.
fn keep(
    broker: &mut Broker,
    now_ms: i64,
    request: &InitProducerIdRequest,
    mut state: TransactionState,
) -> Initialised {
    state.prepared = Some(state.ongoing_producer());
    let raised = raise(broker, now_ms, request, state)?;
    store(broker, now_ms, request, raised)
}
