//! FindCoordinator: it is always this node.

use crate::api::{MALFORMED, NO_ERROR, once_each};
use crate::broker::Broker;
use crate::context::RequestContext;
use crate::internal_topics;
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use millstream_kafka_wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// The first version that asks for several keys.
const BATCH_VERSION: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

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
    let unknown_type = !matches!(request.key_type, GROUP | TRANSACTION | SHARE);
    let response = |key: &KafkaString| {
        let error_code = match request.key_type {
            GROUP => denial(broker, ResourceKind::Group, key),
            TRANSACTION => denial(broker, ResourceKind::TransactionalId, key),
            _ => ErrorCode::INVALID_REQUEST,
        };
        let is_found = error_code.is_none();
        let endpoint = is_found.then_some(&context.endpoint);
        Coordinator {
            key: key.clone(),
            node_id: if is_found { broker.node_id() } else { -1 },
            host: endpoint.map_or(KafkaString::EMPTY, |endpoint| endpoint.host.clone()),
            port: endpoint.map_or(-1, |endpoint| endpoint.port),
            error_code,
            error_message: Some(if unknown_type {
                KafkaString::from_static(MALFORMED)
            } else {
                KafkaString::EMPTY
            }),
        }
    };
    if version >= BATCH_VERSION {
        return Outcome::now(FindCoordinatorResponse {
            coordinators: once_each(&request.coordinator_keys).map(response).collect(),
            ..Default::default()
        });
    }
    let found = response(&request.key);
    let message = match found.error_code {
        ErrorCode::NONE => NO_ERROR,
        ErrorCode::INVALID_REQUEST => MALFORMED,
        ErrorCode::GROUP_AUTHORIZATION_FAILED => "Group authorization failed.",
        _ => "Transactional Id authorization failed.",
    };
    Outcome::now(FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: Some(KafkaString::from_static(message)),
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    })
}

fn denial(broker: &Broker, kind: ResourceKind, key: &str) -> ErrorCode {
    broker
        .access(Operation::Describe, kind, key)
        .err()
        .unwrap_or_default()
}
