//! Requests that only matter in a cluster, answered for one node: elections, reassignments, the quorum, features, and moving
//! replicas between directories.

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::internal_topics::CLUSTER_METADATA;
use crate::security::Operation;
use crate::topics::TOPIC_NAME_BYTES_MAX;
use crate::waits::Outcome;
use millstream_kafka_wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use millstream_kafka_wire::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use millstream_kafka_wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, ReplicaState, ResponsePartitionData,
    ResponseTopicData,
};
use millstream_kafka_wire::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use millstream_kafka_wire::messages::list_partition_reassignments::ListPartitionReassignmentsResponse;
use millstream_kafka_wire::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// The last version of UpdateFeatures that answers for each feature.
const RESULTS_LAST_VERSION: i16 = 1;

pub(crate) fn elect_leaders(broker: &Broker, request: &ElectLeadersRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Alter) {
        return Outcome::now(ElectLeadersResponse {
            error_code,
            ..Default::default()
        });
    }
    // The one replica leads already. Asked for all partitions, Kafka leaves out those with nothing to do.
    let mut replica_election_results = Vec::new();
    for topic in request.topic_partitions.iter().flatten() {
        let found = broker.topics.by_name(&topic.topic);
        // Said of each partition, whatever the length of the name.
        let shown: String = topic.topic.chars().take(TOPIC_NAME_BYTES_MAX).collect();
        let no_topic = KafkaString::from(format!("No such topic as {shown}"));
        let result = |partition_id: &i32| {
            let (error_code, message) = match found.map(|topic| topic.log(*partition_id)) {
                Some(Some(_)) => (
                    ErrorCode::ELECTION_NOT_NEEDED,
                    KafkaString::from_static("Leader election not needed for topic partition."),
                ),
                Some(None) => (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    KafkaString::from(format!("No such partition as {shown}-{partition_id}")),
                ),
                None => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, no_topic.clone()),
            };
            let error_message = Some(message);
            PartitionResult {
                partition_id: *partition_id,
                error_code,
                error_message,
            }
        };
        let partition_result = topic.partitions.iter().map(result).collect();
        replica_election_results.push(ReplicaElectionResult {
            topic: topic.topic.clone(),
            partition_result,
        });
    }
    Outcome::now(ElectLeadersResponse {
        replica_election_results,
        ..Default::default()
    })
}

pub(crate) fn reassign(broker: &Broker, request: &AlterPartitionReassignmentsRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Alter) {
        return Outcome::now(AlterPartitionReassignmentsResponse {
            error_code,
            ..Default::default()
        });
    }
    let node_id = broker.node_id();
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = broker.topics.by_name(&topic.name);
        let answer = |partition: &ReassignablePartition| {
            let is_here = found
                .and_then(|topic| topic.log(partition.partition_index))
                .is_some();
            let (error_code, message) = match &partition.replicas {
                _ if !is_here => (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some("This server does not host this topic-partition."),
                ),
                None => (
                    ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
                    Some("There is no ongoing reassignment."),
                ),
                Some(replicas) if replicas == &[node_id] => (ErrorCode::NONE, None),
                Some(_) => (
                    ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                    Some("There is only one broker to hold replicas."),
                ),
            };
            let error_message = message.map(KafkaString::from_static);
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code,
                error_message,
            }
        };
        let partitions = topic.partitions.iter().map(answer).collect();
        responses.push(ReassignableTopicResponse {
            name: topic.name.clone(),
            partitions,
        });
    }
    Outcome::now(AlterPartitionReassignmentsResponse {
        responses,
        ..Default::default()
    })
}

pub(crate) fn list_reassignments(broker: &Broker) -> Outcome {
    Outcome::now(ListPartitionReassignmentsResponse {
        error_code: broker
            .cluster_access(Operation::Describe)
            .err()
            .unwrap_or_default(),
        ..Default::default()
    })
}

pub(crate) fn describe_quorum(
    broker: &Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &DescribeQuorumRequest,
) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Describe) {
        return Outcome::now(DescribeQuorumResponse {
            error_code,
            ..Default::default()
        });
    }
    let is_metadata = request.topics.len() == 1
        && request.topics[0].topic_name == *CLUSTER_METADATA
        && request.topics[0]
            .partitions
            .iter()
            .all(|partition| partition.partition_index == 0);
    if !is_metadata {
        let error_code = ErrorCode::INVALID_REQUEST;
        return Outcome::now(DescribeQuorumResponse {
            error_code,
            ..Default::default()
        });
    }
    let node_id = broker.node_id();
    let end = broker.log.last_sequence() as i64;
    let voter = ReplicaState {
        replica_id: node_id,
        log_end_offset: end,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..Default::default()
    };
    let partition = ResponsePartitionData {
        leader_id: node_id,
        leader_epoch: 1,
        high_watermark: broker.log.durable_sequence() as i64,
        current_voters: vec![voter],
        ..Default::default()
    };
    let listener = Listener {
        name: KafkaString::from_static("CONTROLLER"),
        host: context.endpoint.host.clone(),
        port: u16::try_from(context.endpoint.port).unwrap_or_default(),
    };
    let nodes = if version >= 2 {
        vec![Node {
            node_id,
            listeners: vec![listener],
        }]
    } else {
        Vec::new()
    };
    Outcome::now(DescribeQuorumResponse {
        topics: vec![ResponseTopicData {
            topic_name: KafkaString::from_static(CLUSTER_METADATA),
            partitions: vec![partition],
        }],
        nodes,
        ..Default::default()
    })
}

pub(crate) fn update_features(broker: &Broker, version: i16, request: &UpdateFeaturesRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Alter) {
        return Outcome::now(UpdateFeaturesResponse {
            error_code,
            ..Default::default()
        });
    }
    let judge = |update: &FeatureUpdateKey| match crate::api::api_versions::feature_level(&update.feature) {
        Some(level) if level == update.max_version_level => (ErrorCode::NONE, None),
        Some(_) => (ErrorCode::INVALID_UPDATE_VERSION, Some("has one level")),
        None => (ErrorCode::INVALID_UPDATE_VERSION, Some("not found")),
    };
    let explained = |update: &FeatureUpdateKey, reason: &str| {
        let (name, level) = (&update.feature, update.max_version_level);
        let wrong = format!("Invalid update version {level} for feature {name}. Feature {name} {reason}.");
        match version <= RESULTS_LAST_VERSION {
            true => wrong,
            false => format!(
                "The update failed for all features since the following feature had an error: {wrong}"
            ),
        }
    };
    let mut response = UpdateFeaturesResponse::default();
    for update in &request.feature_updates {
        let (error_code, message) = judge(update);
        let error_message = message.map(|reason| KafkaString::from(explained(update, reason)));
        if version <= RESULTS_LAST_VERSION {
            let feature = update.feature.clone();
            response.results.push(UpdatableFeatureResult {
                feature,
                error_code,
                error_message,
            });
        } else if error_code.is_error() {
            (response.error_code, response.error_message) = (error_code, error_message);
        }
    }
    Outcome::now(response)
}

pub(crate) fn alter_log_dirs(broker: &Broker, request: &AlterReplicaLogDirsRequest) -> Outcome {
    let log_dir = broker
        .configs
        .text("log.dirs")
        .or_else(|| broker.configs.text("log.dir"))
        .unwrap_or_default();
    let denied = broker.cluster_access(Operation::Alter).err();
    let mut results = Vec::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let found = broker.topics.by_name(&topic.name);
            let result = |partition_index: &i32| AlterReplicaLogDirPartitionResult {
                partition_index: *partition_index,
                error_code: match found.and_then(|topic| topic.log(*partition_index)) {
                    _ if denied.is_some() => denied.unwrap_or_default(),
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(_) if dir.path == log_dir => ErrorCode::NONE,
                    Some(_) => ErrorCode::LOG_DIR_NOT_FOUND,
                },
            };
            let partitions = topic.partitions.iter().map(result).collect();
            results.push(AlterReplicaLogDirTopicResult {
                topic_name: topic.name.clone(),
                partitions,
            });
        }
    }
    Outcome::now(AlterReplicaLogDirsResponse {
        throttle_time_ms: 0,
        results,
    })
}
