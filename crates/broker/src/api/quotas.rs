//! DescribeClientQuotas, AlterClientQuotas.

use crate::broker::{Broker, log_error_code};
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::quotas::{
    Entity, IP, Limits, TYPES, check_entity, check_limit, encode_entity, encode_limits,
};
use crate::security::{Operation, ResourceKind, quota_row};
use millstream_kafka_wire::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, RequestEntryData, ResponseEntityData,
    ResponseEntryData,
};
use millstream_kafka_wire::messages::describe_client_quotas::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeSet;

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

pub(crate) fn describe(broker: &Broker, request: &DescribeClientQuotasRequest) -> Outcome {
    let access = broker.access(Operation::DescribeConfigs, ResourceKind::Cluster, CLUSTER_NAME);
    let checked = access.map_err(|code| (code, None));
    let checked = checked.and_then(|()| {
        check_filter(request).map_err(|(code, message)| (code, Some(KafkaString::from(message))))
    });
    if let Err((error_code, error_message)) = checked {
        return Outcome::now(DescribeClientQuotasResponse {
            error_code,
            error_message,
            entries: None,
            ..Default::default()
        });
    }
    let wanted = |(entity, _): &(&Entity, &Limits)| {
        let matches = request.components.iter().all(|component| {
            let found = entity.get(&component.entity_type);
            match component.match_type {
                EXACT => found.is_some_and(|name| name.is_some() && *name == component.r#match),
                DEFAULT => found.is_some_and(Option::is_none),
                _ => found.is_some(),
            }
        });
        matches && (!request.strict || entity.len() == request.components.len())
    };
    let entry = |(entity, limits): (&Entity, &Limits)| EntryData {
        entity: entity
            .iter()
            .map(|(kind, name)| EntityData {
                entity_type: kind.clone(),
                entity_name: name.clone(),
            })
            .collect(),
        values: limits
            .iter()
            .map(|(key, value)| ValueData {
                key: key.clone(),
                value: *value,
            })
            .collect(),
    };
    let entries = broker.security.quotas.iter().filter(wanted).map(entry).collect();
    Outcome::now(DescribeClientQuotasResponse {
        entries: Some(entries),
        ..Default::default()
    })
}

/// Validates a filter in Kafka's order, with its messages.
fn check_filter(request: &DescribeClientQuotasRequest) -> Result<(), (ErrorCode, String)> {
    let invalid = |message: String| Err((ErrorCode::INVALID_REQUEST, message));
    let mut seen = BTreeSet::new();
    for component in &request.components {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return invalid("Unexpected empty filter component entity type.".to_owned());
        }
        if !TYPES.contains(&kind) {
            return Err((
                ErrorCode::UNSUPPORTED_VERSION,
                format!("Unsupported entity type {kind}"),
            ));
        }
        if !seen.insert(kind) {
            return invalid(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
        if !matches!(component.match_type, EXACT | DEFAULT | SPECIFIED) {
            return invalid(format!("Unknown match type {}", component.match_type));
        }
    }
    if seen.contains(IP) && seen.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user \
             or clientId filter component."
                .to_owned(),
        );
    }
    Ok(())
}

pub(crate) fn alter(broker: &mut Broker, now_ms: i64, request: &AlterClientQuotasRequest) -> Outcome {
    let mut sequence = 0;
    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        let mut result = ResponseEntryData {
            entity: entry
                .entity
                .iter()
                .map(|each| ResponseEntityData {
                    entity_type: each.entity_type.clone(),
                    entity_name: each.entity_name.clone(),
                })
                .collect(),
            error_message: None,
            ..Default::default()
        };
        match alter_one(broker, now_ms, entry, request.validate_only) {
            Ok(written) => sequence = sequence.max(written),
            Err((error_code, message)) => {
                result.error_code = error_code;
                result.error_message = Some(message.into());
            }
        }
        entries.push(result);
    }
    Outcome::durable(
        sequence,
        AlterClientQuotasResponse {
            throttle_time_ms: 0,
            entries,
        },
    )
}

fn alter_one(
    broker: &mut Broker,
    now_ms: i64,
    entry: &RequestEntryData,
    validate_only: bool,
) -> Result<u64, (ErrorCode, String)> {
    broker
        .access(Operation::AlterConfigs, ResourceKind::Cluster, CLUSTER_NAME)
        .map_err(|code| (code, "access to the cluster is denied".to_owned()))?;
    let invalid = |message: String| (ErrorCode::INVALID_REQUEST, message);
    let mut entity = Entity::new();
    for each in &entry.entity {
        if !TYPES.contains(&each.entity_type.as_str()) {
            return Err(invalid(format!(
                "Unhandled client quota entity type: {}",
                each.entity_type
            )));
        }
        if each.entity_name.as_ref().is_some_and(|name| name.is_empty()) {
            return Err(invalid(format!("Empty {} not supported", each.entity_type)));
        }
        let name = each.entity_name.as_ref().map(KafkaString::detached);
        if entity.insert(each.entity_type.detached(), name).is_some() {
            return Err(invalid(format!(
                "Client quota entity type {} is given twice",
                each.entity_type
            )));
        }
    }
    check_entity(&entity).map_err(|error| invalid(error.to_string()))?;
    let mut limits = broker.security.quotas.get(&entity);
    let mut seen = BTreeSet::new();
    for op in &entry.ops {
        if !seen.insert(op.key.as_str()) {
            return Err(invalid(format!("Duplicate quota key {}", op.key)));
        }
        if op.remove {
            limits.remove(&op.key);
            continue;
        }
        check_limit(&entity, &op.key, op.value).map_err(|error| invalid(error.to_string()))?;
        limits.insert(op.key.detached(), op.value);
    }
    if validate_only {
        return Ok(0);
    }
    let value = (!limits.is_empty()).then(|| encode_limits(&limits));
    let change = quota_row(encode_entity(&entity), value);
    broker
        .write(now_ms, Vec::new(), &[change])
        .map_err(|error| (log_error_code(&error), error.to_string()))
}
