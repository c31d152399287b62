//! ApiVersions: the APIs that this broker serves, with their version ranges.

use crate::purgatory::Outcome;
use millstream_kafka_wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use millstream_kafka_wire::{ApiKey, ErrorCode, KafkaString};

/// The level of `metadata.version` that is claimed: Kafka 4.3's.
const METADATA_VERSION: i16 = 30;
const METADATA_VERSION_MIN: i16 = 7;
/// Finalized features with their greatest level, all supported from 0 but the first.
const FEATURES: &[(&str, i16, i16)] = &[
    ("group.version", 0, 1),
    ("metadata.version", METADATA_VERSION_MIN, METADATA_VERSION),
    ("transaction.version", 0, 2),
];

/// The APIs that are served, with the versions served.
const SERVED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::SaslHandshake,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::WriteTxnMarkers,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::SaslAuthenticate,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::DescribeDelegationToken,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeCluster,
    ApiKey::UnregisterBroker,
    ApiKey::DescribeProducers,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::ListConfigResources,
    ApiKey::DescribeTopicPartitions,
];

/// The versions of an API that are served, `None` if it is not.
pub fn served(key: ApiKey) -> Option<(i16, i16)> {
    SERVED.contains(&key).then(|| key.versions())
}

pub(crate) fn handle(version: i16, request: &ApiVersionsRequest) -> Outcome {
    let is_named = version < 3
        || is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version);
    if !is_named {
        return Outcome::now(ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..Default::default()
        });
    }
    Outcome::now(response())
}

/// Kafka accepts letters, digits, dots and dashes; dots and dashes not at either end.
fn is_software_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(is_inner) && is_end(name.chars().next()) && is_end(name.chars().next_back())
}

/// The response to an unsupported version of ApiVersions. It is encoded as version 0 and holds only the supported range
/// (KIP-511).
pub fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![advertised(ApiKey::ApiVersions)],
        ..Default::default()
    }
}

/// The least and the greatest level of a feature; it has the greatest.
pub(crate) fn feature_levels(name: &str) -> Option<(i16, i16)> {
    let mut features = FEATURES.iter();
    let (_, least, greatest) = features.find(|(feature, ..)| *feature == name)?;
    Some((*least, *greatest))
}

fn advertised(key: ApiKey) -> ApiVersion {
    let (min_version, max_version) = key.versions();
    // Old librdkafka turns compression off unless version 0 of Produce seems to be there (KAFKA-18659).
    let min_version = if key == ApiKey::Produce { 0 } else { min_version };
    ApiVersion {
        api_key: key as i16,
        min_version,
        max_version,
    }
}

fn response() -> ApiVersionsResponse {
    let supported = FEATURES
        .iter()
        .map(|(name, min_version, max_version)| SupportedFeatureKey {
            name: KafkaString::from_static(name),
            min_version: *min_version,
            max_version: *max_version,
        });
    let finalized = FEATURES.iter().map(|(name, _, max_version)| FinalizedFeatureKey {
        name: KafkaString::from_static(name),
        max_version_level: *max_version,
        min_version_level: *max_version,
    });
    ApiVersionsResponse {
        error_code: ErrorCode::NONE,
        api_keys: SERVED.iter().map(|key| advertised(*key)).collect(),
        throttle_time_ms: 0,
        supported_features: supported.collect(),
        finalized_features_epoch: 1,
        finalized_features: finalized.collect(),
        zk_migration_ready: false,
    }
}
