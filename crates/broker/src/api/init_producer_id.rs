//! InitProducerId: ids for idempotent producers, and fencing for transactional ones.

use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::limits::PRODUCER_ID_BLOCK;
use crate::waits::Outcome;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    _version: i16,
    request: &InitProducerIdRequest,
) -> Outcome {
    match &request.transactional_id {
        None => match next_producer_id(broker, now_ms) {
            Ok((producer_id, sequence)) => {
                Outcome::durable(sequence, response(ErrorCode::NONE, producer_id, 0))
            }
            Err(code) => Outcome::now(response(code, -1, -1)),
        },
        Some(_) => Outcome::now(response(ErrorCode::COORDINATOR_NOT_AVAILABLE, -1, -1)),
    }
}

fn response(error_code: ErrorCode, producer_id: i64, producer_epoch: i16) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code,
        producer_id,
        producer_epoch,
        ..Default::default()
    }
}

/// An id that was never given out before, and the sequence from which on that holds after a crash too.
pub(crate) fn next_producer_id(broker: &mut Broker, now_ms: i64) -> Result<(i64, u64), ErrorCode> {
    if broker.reserved_producer_ids == 0 {
        let next = broker.next_producer_id + PRODUCER_ID_BLOCK;
        let first = broker.next_producer_id;
        broker
            .write(now_ms, Vec::new(), &[Change::ProducerIds { next }])
            .map_err(|error| log_error_code(&error))?;
        broker.reserved_producer_ids = PRODUCER_ID_BLOCK;
        debug_assert_eq!(broker.next_producer_id, first + PRODUCER_ID_BLOCK);
    }
    let id = broker.next_producer_id - broker.reserved_producer_ids;
    broker.reserved_producer_ids -= 1;
    Ok((id, broker.log.last_sequence()))
}
