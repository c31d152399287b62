//! FindCoordinator: it is always this node.

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::internal_topics;
use crate::security::{Operation, ResourceKind};
use crate::waits::Outcome;
use millstream_kafka_wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// The first version that asks for several keys.
const BATCH_VERSION: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &FindCoordinatorRequest,
) -> Outcome {
    match request.key_type {
        _ if context.is_internal => {}
        GROUP => broker.ensure_internal_topic(now_ms, internal_topics::GROUPS),
        TRANSACTION => broker.ensure_internal_topic(now_ms, internal_topics::TRANSACTIONS),
        _ => {}
    }
    let broker = &*broker;
    let answer = |key: &KafkaString| {
        let error_code = match request.key_type {
            GROUP => denial(broker, ResourceKind::Group, key),
            TRANSACTION => denial(broker, ResourceKind::TransactionalId, key),
            _ => ErrorCode::INVALID_REQUEST,
        };
        let is_found = error_code.is_none();
        Coordinator {
            key: key.clone(),
            node_id: if is_found { broker.node_id() } else { -1 },
            host: if is_found {
                context.endpoint.host.clone()
            } else {
                KafkaString::EMPTY
            },
            port: if is_found { context.endpoint.port } else { -1 },
            error_code,
            error_message: (!is_found)
                .then(|| KafkaString::from_static("denied, or unknown type of coordinator")),
        }
    };
    if version >= BATCH_VERSION {
        let coordinators = request.coordinator_keys.iter().map(answer).collect();
        return Outcome::now(FindCoordinatorResponse {
            coordinators,
            ..Default::default()
        });
    }
    let Coordinator {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..
    } = answer(&request.key);
    Outcome::now(FindCoordinatorResponse {
        error_code,
        error_message,
        node_id,
        host,
        port,
        ..Default::default()
    })
}

fn denial(broker: &Broker, kind: ResourceKind, key: &str) -> ErrorCode {
    broker
        .access(Operation::Describe, kind, key)
        .err()
        .unwrap_or_default()
}
