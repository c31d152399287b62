//! APIs that only matter in a cluster, served for a single node: elections, reassignments, the quorum, features, and
//! moving replicas between directories.

use crate::api::api_versions::feature_levels;
use crate::api::create_topics::check_replicas;
use crate::api::{NO_ERROR, NOT_HOSTED};
use crate::broker::Broker;
use crate::context::RequestContext;
use crate::internal_topics::CLUSTER_METADATA;
use crate::purgatory::Outcome;
use crate::security::Operation;
use crate::topics::{TOPIC_NAME_BYTES_MAX, Topic};
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
use millstream_kafka_wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// Types of elections.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;
/// The kind of update of a feature that never lowers its level.
const UPGRADE: i8 = 1;
/// The last version of UpdateFeatures that reports a result for each feature.
const RESULTS_LAST_VERSION: i16 = 1;

/// A topic's name, shortened for messages that are repeated for each of its partitions.
fn shown(name: &str) -> String {
    name.chars().take(TOPIC_NAME_BYTES_MAX).collect()
}

pub(crate) fn elect_leaders(broker: &Broker, request: &ElectLeadersRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Alter) {
        return Outcome::now(ElectLeadersResponse {
            error_code,
            ..Default::default()
        });
    }
    if !matches!(request.election_type, PREFERRED | UNCLEAN) {
        return Outcome::now(unknown_election(request));
    }
    let mut replica_election_results = Vec::new();
    if request.topic_partitions.is_none() {
        // The single replica is already the leader. For requests on all partitions, Kafka leaves out those with nothing
        // to do.
        let idle = |topic: &Topic| ReplicaElectionResult {
            topic: topic.name.clone(),
            partition_result: Vec::new(),
        };
        replica_election_results.extend(broker.topics.iter().map(idle));
    }
    for topic in request.topic_partitions.iter().flatten() {
        let found = broker.topics.by_name(&topic.topic);
        let shown = shown(&topic.topic);
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

fn unknown_election(request: &ElectLeadersRequest) -> ElectLeadersResponse {
    let message = KafkaString::from(format!("Unknown election type {}", request.election_type));
    let result = |partition_id: &i32| PartitionResult {
        partition_id: *partition_id,
        error_code: ErrorCode::INVALID_REQUEST,
        error_message: Some(message.clone()),
    };
    let topics = request.topic_partitions.iter().flatten();
    let results = topics.map(|topic| ReplicaElectionResult {
        topic: topic.topic.clone(),
        partition_result: topic.partitions.iter().map(result).collect(),
    });
    ElectLeadersResponse {
        error_code: ErrorCode::INVALID_REQUEST,
        replica_election_results: results.collect(),
        ..Default::default()
    }
}

pub(crate) fn reassign(broker: &Broker, request: &AlterPartitionReassignmentsRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Alter) {
        return Outcome::now(AlterPartitionReassignmentsResponse {
            error_code,
            ..Default::default()
        });
    }
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = broker.topics.by_name(&topic.name);
        let shown = shown(&topic.name);
        let judge = |partition: &ReassignablePartition| {
            let index = partition.partition_index;
            let unknown = |message| Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Some(message)));
            let Some(found) = found else {
                return unknown(format!("Unable to find a topic named {shown}."));
            };
            if found.log(index).is_none() {
                return unknown(format!("Unable to find partition {shown}:{index}."));
            }
            match &partition.replicas {
                None => Err((ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, None)),
                Some(replicas) => {
                    check_replicas(broker, replicas).map_err(|(code, message)| (code, Some(message)))
                }
            }
        };
        let to_result = |partition: &ReassignablePartition| {
            let (error_code, message) = judge(partition).err().unwrap_or_default();
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code,
                error_message: message.map(KafkaString::from),
            }
        };
        let partitions = topic.partitions.iter().map(to_result).collect();
        responses.push(ReassignableTopicResponse {
            name: topic.name.clone(),
            partitions,
        });
    }
    Outcome::now(AlterPartitionReassignmentsResponse {
        error_message: None,
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
        error_message: None,
        ..Default::default()
    })
}

/// The quorum of the cluster's metadata: this node alone. Other partitions have none.
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
    if !is_about_metadata(request) {
        return Outcome::now(no_quorum(request));
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

/// Other partitions than that of the metadata have no quorum.
fn no_quorum(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let unknown = |partition_index| ResponsePartitionData {
        partition_index,
        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        error_message: Some(KafkaString::from_static(NOT_HOSTED)),
        ..Default::default()
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        ResponseTopicData {
            topic_name: topic.topic_name.clone(),
            partitions: partitions.map(|each| unknown(each.partition_index)).collect(),
        }
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn is_about_metadata(request: &DescribeQuorumRequest) -> bool {
    let [topic] = request.topics.as_slice() else {
        return false;
    };
    let mut partitions = topic.partitions.iter();
    topic.topic_name == *CLUSTER_METADATA && partitions.all(|partition| partition.partition_index == 0)
}

pub(crate) fn update_features(broker: &Broker, version: i16, request: &UpdateFeaturesRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Alter) {
        return Outcome::now(UpdateFeaturesResponse {
            error_code,
            ..Default::default()
        });
    }
    let node_id = broker.node_id();
    let judge = |update: &FeatureUpdateKey| {
        let Some((least, level)) = feature_levels(&update.feature) else {
            return Some(match update.max_version_level {
                ..=0 => format!("Feature {} not found.", update.feature),
                _ => format!("Local controller {node_id} does not support this feature."),
            });
        };
        match update.max_version_level {
            wanted if wanted == level => None,
            wanted if wanted < least || wanted > level => Some(format!(
                "Local controller {node_id} only supports versions {least}-{level}"
            )),
            _ if update.upgrade_type == UPGRADE => Some(
                "Can't downgrade the version of this feature without setting the upgrade type to either \
                 safe or unsafe downgrade."
                    .to_owned(),
            ),
            _ => Some("This broker has it at one level.".to_owned()),
        }
    };
    let explained = |update: &FeatureUpdateKey, reason: &str| {
        let (name, level) = (&update.feature, update.max_version_level);
        let wrong = format!("Invalid update version {level} for feature {name}. {reason}");
        if version <= RESULTS_LAST_VERSION {
            wrong
        } else {
            format!("The update failed for all features since the following feature had an error: {wrong}")
        }
    };
    let mut response = UpdateFeaturesResponse {
        error_message: None,
        ..Default::default()
    };
    for update in &request.feature_updates {
        let (error_code, error_message) = match judge(update) {
            None if version <= RESULTS_LAST_VERSION => {
                (ErrorCode::NONE, Some(KafkaString::from_static(NO_ERROR)))
            }
            None => continue,
            Some(reason) => {
                let message = KafkaString::from(explained(update, &reason));
                (ErrorCode::INVALID_UPDATE_VERSION, Some(message))
            }
        };
        if version <= RESULTS_LAST_VERSION {
            let feature = update.feature.clone();
            response.results.push(UpdatableFeatureResult {
                feature,
                error_code,
                error_message,
            });
        } else {
            (response.error_code, response.error_message) = (error_code, error_message);
        }
    }
    Outcome::now(response)
}

/// There is one broker, and it stays.
pub(crate) fn unregister(broker: &Broker, request: &UnregisterBrokerRequest) -> Outcome {
    let id = request.broker_id;
    let (error_code, message) = match broker.cluster_access(Operation::Alter) {
        Err(code) => (code, None),
        Ok(()) if id == broker.node_id() => (
            ErrorCode::INVALID_REQUEST,
            Some("The only broker cannot be unregistered.".to_owned()),
        ),
        Ok(()) => (
            ErrorCode::BROKER_ID_NOT_REGISTERED,
            Some(format!("Broker ID {id} is not currently registered")),
        ),
    };
    Outcome::now(UnregisterBrokerResponse {
        error_code,
        error_message: message.map(KafkaString::from),
        ..Default::default()
    })
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
                    _ if dir.path != log_dir => ErrorCode::LOG_DIR_NOT_FOUND,
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(_) => ErrorCode::NONE,
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
