//! ListGroups, DescribeGroups, DeleteGroups, OffsetDelete.

use crate::api::once_each;
use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use millstream_kafka_wire::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use millstream_kafka_wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};
use millstream_kafka_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use millstream_kafka_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeSet;

/// The first version of DescribeGroups in which an unknown group is an error.
const UNKNOWN_IS_ERROR_VERSION: i16 = 6;

pub(crate) fn list(broker: &Broker, request: &ListGroupsRequest) -> Outcome {
    let lower = |filter: &[KafkaString]| -> BTreeSet<String> {
        filter.iter().map(|each| each.to_ascii_lowercase()).collect()
    };
    let (states, types) = (lower(&request.states_filter), lower(&request.types_filter));
    let passes = |filter: &BTreeSet<String>, value: &str| {
        filter.is_empty() || filter.contains(&value.to_ascii_lowercase())
    };
    // DESCRIBE on the cluster reveals all groups.
    let sees_all = broker.may(Operation::Describe, ResourceKind::Cluster, CLUSTER_NAME);
    let is_visible =
        |name: &KafkaString| sees_all || broker.may(Operation::Describe, ResourceKind::Group, name);
    let visible = broker.groups.iter().filter(|(name, _)| is_visible(name));
    let groups = visible.map(|(name, group)| ListedGroup {
        group_id: name.clone(),
        protocol_type: group.protocol_type(),
        group_state: KafkaString::from_static(group.state_name()),
        group_type: KafkaString::from_static(group.type_name()),
    });
    let wanted =
        groups.filter(|group| passes(&states, &group.group_state) && passes(&types, &group.group_type));
    Outcome::now(ListGroupsResponse {
        groups: wanted.collect(),
        ..Default::default()
    })
}

pub(crate) fn describe(broker: &Broker, version: i16, request: &DescribeGroupsRequest) -> Outcome {
    let asks = request.include_authorized_operations;
    let describe = |name: &KafkaString| {
        let base = DescribedGroup {
            group_id: name.clone(),
            group_state: KafkaString::from_static("Dead"),
            authorized_operations: broker.authorized_operations(asks, ResourceKind::Group, name),
            ..Default::default()
        };
        if let Err(error_code) = broker.access(Operation::Describe, ResourceKind::Group, name) {
            return DescribedGroup { error_code, ..base };
        }
        match broker.groups.get(name) {
            Some(group) if group.is_describable_as_classic() => group.describe_classic(base),
            _ if version >= UNKNOWN_IS_ERROR_VERSION => DescribedGroup {
                error_code: ErrorCode::GROUP_ID_NOT_FOUND,
                error_message: Some(match broker.groups.get(name) {
                    Some(_) => format!("Group {name} is not a classic group.").into(),
                    None => format!("Group {name} not found.").into(),
                }),
                ..base
            },
            _ => base,
        }
    };
    let groups = once_each(&request.groups).map(describe).collect();
    Outcome::now(DescribeGroupsResponse {
        throttle_time_ms: 0,
        groups,
    })
}

pub(crate) fn delete(broker: &mut Broker, now_ms: i64, request: &DeleteGroupsRequest) -> Outcome {
    let mut sequence = 0;
    let mut results = Vec::with_capacity(request.groups_names.len());
    for name in &request.groups_names {
        let mut result = DeletableGroupResult {
            group_id: name.clone(),
            ..Default::default()
        };
        match delete_one(broker, now_ms, name) {
            Ok(written) => sequence = sequence.max(written),
            Err(error_code) => result.error_code = error_code,
        }
        results.push(result);
    }
    Outcome::durable(
        sequence,
        DeleteGroupsResponse {
            throttle_time_ms: 0,
            results,
        },
    )
}

fn delete_one(broker: &mut Broker, now_ms: i64, name: &KafkaString) -> Result<u64, ErrorCode> {
    broker.access(Operation::Delete, ResourceKind::Group, name)?;
    let group = broker.groups.get(name).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    if !group.is_empty() {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    let change = Change::GroupDeleted {
        group: name.detached(),
    };
    broker
        .write(now_ms, Vec::new(), &[change])
        .map_err(|error| log_error_code(&error))
}

pub(crate) fn delete_offsets(broker: &mut Broker, now_ms: i64, request: &OffsetDeleteRequest) -> Outcome {
    if let Err(error_code) = broker.access(Operation::Delete, ResourceKind::Group, &request.group_id) {
        return Outcome::now(OffsetDeleteResponse {
            error_code,
            ..Default::default()
        });
    }
    let Some(group) = broker.groups.get(&request.group_id) else {
        let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
        return Outcome::now(OffsetDeleteResponse {
            error_code,
            ..Default::default()
        });
    };
    if !group.allows_offset_deletion() {
        let error_code = ErrorCode::NON_EMPTY_GROUP;
        return Outcome::now(OffsetDeleteResponse {
            error_code,
            ..Default::default()
        });
    }
    let subscribed = group.subscribed_topics();
    let mut deleted = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = broker.topics.by_name(&topic.name);
        let denied = broker
            .access(Operation::Read, ResourceKind::Topic, &topic.name)
            .err();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let error_code = match found.filter(|found| found.log(index).is_some()) {
                _ if denied.is_some() => denied.unwrap_or_default(),
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(topic) if subscribed.includes(topic) => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
                Some(topic) => {
                    deleted.insert((topic.id, index));
                    ErrorCode::NONE
                }
            };
            partitions.push(OffsetDeleteResponsePartition {
                partition_index: index,
                error_code,
            });
        }
        topics.push(OffsetDeleteResponseTopic {
            name: topic.name.clone(),
            partitions,
        });
    }
    let mut response = OffsetDeleteResponse {
        topics,
        ..Default::default()
    };
    if deleted.is_empty() {
        return Outcome::now(response);
    }
    let change = Change::OffsetsDeleted {
        group: request.group_id.detached(),
        partitions: deleted.into_iter().collect(),
    };
    match broker.write(now_ms, Vec::new(), &[change]) {
        Ok(sequence) => Outcome::durable(sequence, response),
        Err(error) => {
            response.error_code = log_error_code(&error);
            Outcome::now(response)
        }
    }
}
