// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! Any response of the protocol.

use super::AddOffsetsToTxnResponse;
use super::AddPartitionsToTxnResponse;
use super::AlterClientQuotasResponse;
use super::AlterConfigsResponse;
use super::AlterPartitionReassignmentsResponse;
use super::AlterReplicaLogDirsResponse;
use super::AlterUserScramCredentialsResponse;
use super::ApiKey;
use super::ApiVersionsResponse;
use super::ConsumerGroupDescribeResponse;
use super::ConsumerGroupHeartbeatResponse;
use super::CreateAclsResponse;
use super::CreateDelegationTokenResponse;
use super::CreatePartitionsResponse;
use super::CreateTopicsResponse;
use super::DeleteAclsResponse;
use super::DeleteGroupsResponse;
use super::DeleteRecordsResponse;
use super::DeleteTopicsResponse;
use super::DescribeAclsResponse;
use super::DescribeClientQuotasResponse;
use super::DescribeClusterResponse;
use super::DescribeConfigsResponse;
use super::DescribeDelegationTokenResponse;
use super::DescribeGroupsResponse;
use super::DescribeLogDirsResponse;
use super::DescribeProducersResponse;
use super::DescribeQuorumResponse;
use super::DescribeTopicPartitionsResponse;
use super::DescribeTransactionsResponse;
use super::DescribeUserScramCredentialsResponse;
use super::ElectLeadersResponse;
use super::EndTxnResponse;
use super::ExpireDelegationTokenResponse;
use super::FetchResponse;
use super::FindCoordinatorResponse;
use super::HeartbeatResponse;
use super::IncrementalAlterConfigsResponse;
use super::InitProducerIdResponse;
use super::JoinGroupResponse;
use super::LeaveGroupResponse;
use super::ListConfigResourcesResponse;
use super::ListGroupsResponse;
use super::ListOffsetsResponse;
use super::ListPartitionReassignmentsResponse;
use super::ListTransactionsResponse;
use super::MetadataResponse;
use super::OffsetCommitResponse;
use super::OffsetDeleteResponse;
use super::OffsetFetchResponse;
use super::OffsetForLeaderEpochResponse;
use super::ProduceResponse;
use super::RenewDelegationTokenResponse;
use super::SaslAuthenticateResponse;
use super::SaslHandshakeResponse;
use super::SyncGroupResponse;
use super::TxnOffsetCommitResponse;
use super::UnregisterBrokerResponse;
use super::UpdateFeaturesResponse;
use super::WriteTxnMarkersResponse;
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::writer::Writer;

/// The body of a response of any API.
#[allow(
    clippy::large_enum_variant,
    reason = "lives for one call; a box would cost more"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    Produce(ProduceResponse),
    Fetch(FetchResponse),
    ListOffsets(ListOffsetsResponse),
    Metadata(MetadataResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponse),
    FindCoordinator(FindCoordinatorResponse),
    JoinGroup(JoinGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    SyncGroup(SyncGroupResponse),
    DescribeGroups(DescribeGroupsResponse),
    ListGroups(ListGroupsResponse),
    SaslHandshake(SaslHandshakeResponse),
    ApiVersions(ApiVersionsResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    DeleteRecords(DeleteRecordsResponse),
    InitProducerId(InitProducerIdResponse),
    OffsetForLeaderEpoch(OffsetForLeaderEpochResponse),
    AddPartitionsToTxn(AddPartitionsToTxnResponse),
    AddOffsetsToTxn(AddOffsetsToTxnResponse),
    EndTxn(EndTxnResponse),
    WriteTxnMarkers(WriteTxnMarkersResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    DescribeAcls(DescribeAclsResponse),
    CreateAcls(CreateAclsResponse),
    DeleteAcls(DeleteAclsResponse),
    DescribeConfigs(DescribeConfigsResponse),
    AlterConfigs(AlterConfigsResponse),
    AlterReplicaLogDirs(AlterReplicaLogDirsResponse),
    DescribeLogDirs(DescribeLogDirsResponse),
    SaslAuthenticate(SaslAuthenticateResponse),
    CreatePartitions(CreatePartitionsResponse),
    CreateDelegationToken(CreateDelegationTokenResponse),
    RenewDelegationToken(RenewDelegationTokenResponse),
    ExpireDelegationToken(ExpireDelegationTokenResponse),
    DescribeDelegationToken(DescribeDelegationTokenResponse),
    DeleteGroups(DeleteGroupsResponse),
    ElectLeaders(ElectLeadersResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    OffsetDelete(OffsetDeleteResponse),
    DescribeClientQuotas(DescribeClientQuotasResponse),
    AlterClientQuotas(AlterClientQuotasResponse),
    DescribeUserScramCredentials(DescribeUserScramCredentialsResponse),
    AlterUserScramCredentials(AlterUserScramCredentialsResponse),
    DescribeQuorum(DescribeQuorumResponse),
    UpdateFeatures(UpdateFeaturesResponse),
    DescribeCluster(DescribeClusterResponse),
    DescribeProducers(DescribeProducersResponse),
    UnregisterBroker(UnregisterBrokerResponse),
    DescribeTransactions(DescribeTransactionsResponse),
    ListTransactions(ListTransactionsResponse),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(ConsumerGroupDescribeResponse),
    ListConfigResources(ListConfigResourcesResponse),
    DescribeTopicPartitions(DescribeTopicPartitionsResponse),
}

impl Response {
    /// The API that this belongs to.
    pub fn api_key(&self) -> ApiKey {
        match self {
            Response::Produce(_) => ApiKey::Produce,
            Response::Fetch(_) => ApiKey::Fetch,
            Response::ListOffsets(_) => ApiKey::ListOffsets,
            Response::Metadata(_) => ApiKey::Metadata,
            Response::OffsetCommit(_) => ApiKey::OffsetCommit,
            Response::OffsetFetch(_) => ApiKey::OffsetFetch,
            Response::FindCoordinator(_) => ApiKey::FindCoordinator,
            Response::JoinGroup(_) => ApiKey::JoinGroup,
            Response::Heartbeat(_) => ApiKey::Heartbeat,
            Response::LeaveGroup(_) => ApiKey::LeaveGroup,
            Response::SyncGroup(_) => ApiKey::SyncGroup,
            Response::DescribeGroups(_) => ApiKey::DescribeGroups,
            Response::ListGroups(_) => ApiKey::ListGroups,
            Response::SaslHandshake(_) => ApiKey::SaslHandshake,
            Response::ApiVersions(_) => ApiKey::ApiVersions,
            Response::CreateTopics(_) => ApiKey::CreateTopics,
            Response::DeleteTopics(_) => ApiKey::DeleteTopics,
            Response::DeleteRecords(_) => ApiKey::DeleteRecords,
            Response::InitProducerId(_) => ApiKey::InitProducerId,
            Response::OffsetForLeaderEpoch(_) => ApiKey::OffsetForLeaderEpoch,
            Response::AddPartitionsToTxn(_) => ApiKey::AddPartitionsToTxn,
            Response::AddOffsetsToTxn(_) => ApiKey::AddOffsetsToTxn,
            Response::EndTxn(_) => ApiKey::EndTxn,
            Response::WriteTxnMarkers(_) => ApiKey::WriteTxnMarkers,
            Response::TxnOffsetCommit(_) => ApiKey::TxnOffsetCommit,
            Response::DescribeAcls(_) => ApiKey::DescribeAcls,
            Response::CreateAcls(_) => ApiKey::CreateAcls,
            Response::DeleteAcls(_) => ApiKey::DeleteAcls,
            Response::DescribeConfigs(_) => ApiKey::DescribeConfigs,
            Response::AlterConfigs(_) => ApiKey::AlterConfigs,
            Response::AlterReplicaLogDirs(_) => ApiKey::AlterReplicaLogDirs,
            Response::DescribeLogDirs(_) => ApiKey::DescribeLogDirs,
            Response::SaslAuthenticate(_) => ApiKey::SaslAuthenticate,
            Response::CreatePartitions(_) => ApiKey::CreatePartitions,
            Response::CreateDelegationToken(_) => ApiKey::CreateDelegationToken,
            Response::RenewDelegationToken(_) => ApiKey::RenewDelegationToken,
            Response::ExpireDelegationToken(_) => ApiKey::ExpireDelegationToken,
            Response::DescribeDelegationToken(_) => ApiKey::DescribeDelegationToken,
            Response::DeleteGroups(_) => ApiKey::DeleteGroups,
            Response::ElectLeaders(_) => ApiKey::ElectLeaders,
            Response::IncrementalAlterConfigs(_) => ApiKey::IncrementalAlterConfigs,
            Response::AlterPartitionReassignments(_) => ApiKey::AlterPartitionReassignments,
            Response::ListPartitionReassignments(_) => ApiKey::ListPartitionReassignments,
            Response::OffsetDelete(_) => ApiKey::OffsetDelete,
            Response::DescribeClientQuotas(_) => ApiKey::DescribeClientQuotas,
            Response::AlterClientQuotas(_) => ApiKey::AlterClientQuotas,
            Response::DescribeUserScramCredentials(_) => ApiKey::DescribeUserScramCredentials,
            Response::AlterUserScramCredentials(_) => ApiKey::AlterUserScramCredentials,
            Response::DescribeQuorum(_) => ApiKey::DescribeQuorum,
            Response::UpdateFeatures(_) => ApiKey::UpdateFeatures,
            Response::DescribeCluster(_) => ApiKey::DescribeCluster,
            Response::DescribeProducers(_) => ApiKey::DescribeProducers,
            Response::UnregisterBroker(_) => ApiKey::UnregisterBroker,
            Response::DescribeTransactions(_) => ApiKey::DescribeTransactions,
            Response::ListTransactions(_) => ApiKey::ListTransactions,
            Response::ConsumerGroupHeartbeat(_) => ApiKey::ConsumerGroupHeartbeat,
            Response::ConsumerGroupDescribe(_) => ApiKey::ConsumerGroupDescribe,
            Response::ListConfigResources(_) => ApiKey::ListConfigResources,
            Response::DescribeTopicPartitions(_) => ApiKey::DescribeTopicPartitions,
        }
    }

    /// Reads a body of the given API and version.
    pub fn decode(api_key: ApiKey, version: i16, r: &mut Reader) -> Result<Self, DecodeError> {
        match api_key {
            ApiKey::Produce => ProduceResponse::decode(r, version).map(Response::Produce),
            ApiKey::Fetch => FetchResponse::decode(r, version).map(Response::Fetch),
            ApiKey::ListOffsets => ListOffsetsResponse::decode(r, version).map(Response::ListOffsets),
            ApiKey::Metadata => MetadataResponse::decode(r, version).map(Response::Metadata),
            ApiKey::OffsetCommit => OffsetCommitResponse::decode(r, version).map(Response::OffsetCommit),
            ApiKey::OffsetFetch => OffsetFetchResponse::decode(r, version).map(Response::OffsetFetch),
            ApiKey::FindCoordinator => {
                FindCoordinatorResponse::decode(r, version).map(Response::FindCoordinator)
            }
            ApiKey::JoinGroup => JoinGroupResponse::decode(r, version).map(Response::JoinGroup),
            ApiKey::Heartbeat => HeartbeatResponse::decode(r, version).map(Response::Heartbeat),
            ApiKey::LeaveGroup => LeaveGroupResponse::decode(r, version).map(Response::LeaveGroup),
            ApiKey::SyncGroup => SyncGroupResponse::decode(r, version).map(Response::SyncGroup),
            ApiKey::DescribeGroups => {
                DescribeGroupsResponse::decode(r, version).map(Response::DescribeGroups)
            }
            ApiKey::ListGroups => ListGroupsResponse::decode(r, version).map(Response::ListGroups),
            ApiKey::SaslHandshake => SaslHandshakeResponse::decode(r, version).map(Response::SaslHandshake),
            ApiKey::ApiVersions => ApiVersionsResponse::decode(r, version).map(Response::ApiVersions),
            ApiKey::CreateTopics => CreateTopicsResponse::decode(r, version).map(Response::CreateTopics),
            ApiKey::DeleteTopics => DeleteTopicsResponse::decode(r, version).map(Response::DeleteTopics),
            ApiKey::DeleteRecords => DeleteRecordsResponse::decode(r, version).map(Response::DeleteRecords),
            ApiKey::InitProducerId => {
                InitProducerIdResponse::decode(r, version).map(Response::InitProducerId)
            }
            ApiKey::OffsetForLeaderEpoch => {
                OffsetForLeaderEpochResponse::decode(r, version).map(Response::OffsetForLeaderEpoch)
            }
            ApiKey::AddPartitionsToTxn => {
                AddPartitionsToTxnResponse::decode(r, version).map(Response::AddPartitionsToTxn)
            }
            ApiKey::AddOffsetsToTxn => {
                AddOffsetsToTxnResponse::decode(r, version).map(Response::AddOffsetsToTxn)
            }
            ApiKey::EndTxn => EndTxnResponse::decode(r, version).map(Response::EndTxn),
            ApiKey::WriteTxnMarkers => {
                WriteTxnMarkersResponse::decode(r, version).map(Response::WriteTxnMarkers)
            }
            ApiKey::TxnOffsetCommit => {
                TxnOffsetCommitResponse::decode(r, version).map(Response::TxnOffsetCommit)
            }
            ApiKey::DescribeAcls => DescribeAclsResponse::decode(r, version).map(Response::DescribeAcls),
            ApiKey::CreateAcls => CreateAclsResponse::decode(r, version).map(Response::CreateAcls),
            ApiKey::DeleteAcls => DeleteAclsResponse::decode(r, version).map(Response::DeleteAcls),
            ApiKey::DescribeConfigs => {
                DescribeConfigsResponse::decode(r, version).map(Response::DescribeConfigs)
            }
            ApiKey::AlterConfigs => AlterConfigsResponse::decode(r, version).map(Response::AlterConfigs),
            ApiKey::AlterReplicaLogDirs => {
                AlterReplicaLogDirsResponse::decode(r, version).map(Response::AlterReplicaLogDirs)
            }
            ApiKey::DescribeLogDirs => {
                DescribeLogDirsResponse::decode(r, version).map(Response::DescribeLogDirs)
            }
            ApiKey::SaslAuthenticate => {
                SaslAuthenticateResponse::decode(r, version).map(Response::SaslAuthenticate)
            }
            ApiKey::CreatePartitions => {
                CreatePartitionsResponse::decode(r, version).map(Response::CreatePartitions)
            }
            ApiKey::CreateDelegationToken => {
                CreateDelegationTokenResponse::decode(r, version).map(Response::CreateDelegationToken)
            }
            ApiKey::RenewDelegationToken => {
                RenewDelegationTokenResponse::decode(r, version).map(Response::RenewDelegationToken)
            }
            ApiKey::ExpireDelegationToken => {
                ExpireDelegationTokenResponse::decode(r, version).map(Response::ExpireDelegationToken)
            }
            ApiKey::DescribeDelegationToken => {
                DescribeDelegationTokenResponse::decode(r, version).map(Response::DescribeDelegationToken)
            }
            ApiKey::DeleteGroups => DeleteGroupsResponse::decode(r, version).map(Response::DeleteGroups),
            ApiKey::ElectLeaders => ElectLeadersResponse::decode(r, version).map(Response::ElectLeaders),
            ApiKey::IncrementalAlterConfigs => {
                IncrementalAlterConfigsResponse::decode(r, version).map(Response::IncrementalAlterConfigs)
            }
            ApiKey::AlterPartitionReassignments => AlterPartitionReassignmentsResponse::decode(r, version)
                .map(Response::AlterPartitionReassignments),
            ApiKey::ListPartitionReassignments => ListPartitionReassignmentsResponse::decode(r, version)
                .map(Response::ListPartitionReassignments),
            ApiKey::OffsetDelete => OffsetDeleteResponse::decode(r, version).map(Response::OffsetDelete),
            ApiKey::DescribeClientQuotas => {
                DescribeClientQuotasResponse::decode(r, version).map(Response::DescribeClientQuotas)
            }
            ApiKey::AlterClientQuotas => {
                AlterClientQuotasResponse::decode(r, version).map(Response::AlterClientQuotas)
            }
            ApiKey::DescribeUserScramCredentials => DescribeUserScramCredentialsResponse::decode(r, version)
                .map(Response::DescribeUserScramCredentials),
            ApiKey::AlterUserScramCredentials => {
                AlterUserScramCredentialsResponse::decode(r, version).map(Response::AlterUserScramCredentials)
            }
            ApiKey::DescribeQuorum => {
                DescribeQuorumResponse::decode(r, version).map(Response::DescribeQuorum)
            }
            ApiKey::UpdateFeatures => {
                UpdateFeaturesResponse::decode(r, version).map(Response::UpdateFeatures)
            }
            ApiKey::DescribeCluster => {
                DescribeClusterResponse::decode(r, version).map(Response::DescribeCluster)
            }
            ApiKey::DescribeProducers => {
                DescribeProducersResponse::decode(r, version).map(Response::DescribeProducers)
            }
            ApiKey::UnregisterBroker => {
                UnregisterBrokerResponse::decode(r, version).map(Response::UnregisterBroker)
            }
            ApiKey::DescribeTransactions => {
                DescribeTransactionsResponse::decode(r, version).map(Response::DescribeTransactions)
            }
            ApiKey::ListTransactions => {
                ListTransactionsResponse::decode(r, version).map(Response::ListTransactions)
            }
            ApiKey::ConsumerGroupHeartbeat => {
                ConsumerGroupHeartbeatResponse::decode(r, version).map(Response::ConsumerGroupHeartbeat)
            }
            ApiKey::ConsumerGroupDescribe => {
                ConsumerGroupDescribeResponse::decode(r, version).map(Response::ConsumerGroupDescribe)
            }
            ApiKey::ListConfigResources => {
                ListConfigResourcesResponse::decode(r, version).map(Response::ListConfigResources)
            }
            ApiKey::DescribeTopicPartitions => {
                DescribeTopicPartitionsResponse::decode(r, version).map(Response::DescribeTopicPartitions)
            }
        }
    }

    /// Writes the body in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        match self {
            Response::Produce(message) => message.encode(w, version),
            Response::Fetch(message) => message.encode(w, version),
            Response::ListOffsets(message) => message.encode(w, version),
            Response::Metadata(message) => message.encode(w, version),
            Response::OffsetCommit(message) => message.encode(w, version),
            Response::OffsetFetch(message) => message.encode(w, version),
            Response::FindCoordinator(message) => message.encode(w, version),
            Response::JoinGroup(message) => message.encode(w, version),
            Response::Heartbeat(message) => message.encode(w, version),
            Response::LeaveGroup(message) => message.encode(w, version),
            Response::SyncGroup(message) => message.encode(w, version),
            Response::DescribeGroups(message) => message.encode(w, version),
            Response::ListGroups(message) => message.encode(w, version),
            Response::SaslHandshake(message) => message.encode(w, version),
            Response::ApiVersions(message) => message.encode(w, version),
            Response::CreateTopics(message) => message.encode(w, version),
            Response::DeleteTopics(message) => message.encode(w, version),
            Response::DeleteRecords(message) => message.encode(w, version),
            Response::InitProducerId(message) => message.encode(w, version),
            Response::OffsetForLeaderEpoch(message) => message.encode(w, version),
            Response::AddPartitionsToTxn(message) => message.encode(w, version),
            Response::AddOffsetsToTxn(message) => message.encode(w, version),
            Response::EndTxn(message) => message.encode(w, version),
            Response::WriteTxnMarkers(message) => message.encode(w, version),
            Response::TxnOffsetCommit(message) => message.encode(w, version),
            Response::DescribeAcls(message) => message.encode(w, version),
            Response::CreateAcls(message) => message.encode(w, version),
            Response::DeleteAcls(message) => message.encode(w, version),
            Response::DescribeConfigs(message) => message.encode(w, version),
            Response::AlterConfigs(message) => message.encode(w, version),
            Response::AlterReplicaLogDirs(message) => message.encode(w, version),
            Response::DescribeLogDirs(message) => message.encode(w, version),
            Response::SaslAuthenticate(message) => message.encode(w, version),
            Response::CreatePartitions(message) => message.encode(w, version),
            Response::CreateDelegationToken(message) => message.encode(w, version),
            Response::RenewDelegationToken(message) => message.encode(w, version),
            Response::ExpireDelegationToken(message) => message.encode(w, version),
            Response::DescribeDelegationToken(message) => message.encode(w, version),
            Response::DeleteGroups(message) => message.encode(w, version),
            Response::ElectLeaders(message) => message.encode(w, version),
            Response::IncrementalAlterConfigs(message) => message.encode(w, version),
            Response::AlterPartitionReassignments(message) => message.encode(w, version),
            Response::ListPartitionReassignments(message) => message.encode(w, version),
            Response::OffsetDelete(message) => message.encode(w, version),
            Response::DescribeClientQuotas(message) => message.encode(w, version),
            Response::AlterClientQuotas(message) => message.encode(w, version),
            Response::DescribeUserScramCredentials(message) => message.encode(w, version),
            Response::AlterUserScramCredentials(message) => message.encode(w, version),
            Response::DescribeQuorum(message) => message.encode(w, version),
            Response::UpdateFeatures(message) => message.encode(w, version),
            Response::DescribeCluster(message) => message.encode(w, version),
            Response::DescribeProducers(message) => message.encode(w, version),
            Response::UnregisterBroker(message) => message.encode(w, version),
            Response::DescribeTransactions(message) => message.encode(w, version),
            Response::ListTransactions(message) => message.encode(w, version),
            Response::ConsumerGroupHeartbeat(message) => message.encode(w, version),
            Response::ConsumerGroupDescribe(message) => message.encode(w, version),
            Response::ListConfigResources(message) => message.encode(w, version),
            Response::DescribeTopicPartitions(message) => message.encode(w, version),
        }
    }

    /// For how long the client is asked to wait, 0 if it is not.
    pub fn throttle_time_ms(&self) -> i32 {
        match self {
            Response::Produce(message) => message.throttle_time_ms,
            Response::Fetch(message) => message.throttle_time_ms,
            Response::ListOffsets(message) => message.throttle_time_ms,
            Response::Metadata(message) => message.throttle_time_ms,
            Response::OffsetCommit(message) => message.throttle_time_ms,
            Response::OffsetFetch(message) => message.throttle_time_ms,
            Response::FindCoordinator(message) => message.throttle_time_ms,
            Response::JoinGroup(message) => message.throttle_time_ms,
            Response::Heartbeat(message) => message.throttle_time_ms,
            Response::LeaveGroup(message) => message.throttle_time_ms,
            Response::SyncGroup(message) => message.throttle_time_ms,
            Response::DescribeGroups(message) => message.throttle_time_ms,
            Response::ListGroups(message) => message.throttle_time_ms,
            Response::ApiVersions(message) => message.throttle_time_ms,
            Response::CreateTopics(message) => message.throttle_time_ms,
            Response::DeleteTopics(message) => message.throttle_time_ms,
            Response::DeleteRecords(message) => message.throttle_time_ms,
            Response::InitProducerId(message) => message.throttle_time_ms,
            Response::OffsetForLeaderEpoch(message) => message.throttle_time_ms,
            Response::AddPartitionsToTxn(message) => message.throttle_time_ms,
            Response::AddOffsetsToTxn(message) => message.throttle_time_ms,
            Response::EndTxn(message) => message.throttle_time_ms,
            Response::TxnOffsetCommit(message) => message.throttle_time_ms,
            Response::DescribeAcls(message) => message.throttle_time_ms,
            Response::CreateAcls(message) => message.throttle_time_ms,
            Response::DeleteAcls(message) => message.throttle_time_ms,
            Response::DescribeConfigs(message) => message.throttle_time_ms,
            Response::AlterConfigs(message) => message.throttle_time_ms,
            Response::AlterReplicaLogDirs(message) => message.throttle_time_ms,
            Response::DescribeLogDirs(message) => message.throttle_time_ms,
            Response::CreatePartitions(message) => message.throttle_time_ms,
            Response::CreateDelegationToken(message) => message.throttle_time_ms,
            Response::RenewDelegationToken(message) => message.throttle_time_ms,
            Response::ExpireDelegationToken(message) => message.throttle_time_ms,
            Response::DescribeDelegationToken(message) => message.throttle_time_ms,
            Response::DeleteGroups(message) => message.throttle_time_ms,
            Response::ElectLeaders(message) => message.throttle_time_ms,
            Response::IncrementalAlterConfigs(message) => message.throttle_time_ms,
            Response::AlterPartitionReassignments(message) => message.throttle_time_ms,
            Response::ListPartitionReassignments(message) => message.throttle_time_ms,
            Response::OffsetDelete(message) => message.throttle_time_ms,
            Response::DescribeClientQuotas(message) => message.throttle_time_ms,
            Response::AlterClientQuotas(message) => message.throttle_time_ms,
            Response::DescribeUserScramCredentials(message) => message.throttle_time_ms,
            Response::AlterUserScramCredentials(message) => message.throttle_time_ms,
            Response::UpdateFeatures(message) => message.throttle_time_ms,
            Response::DescribeCluster(message) => message.throttle_time_ms,
            Response::DescribeProducers(message) => message.throttle_time_ms,
            Response::UnregisterBroker(message) => message.throttle_time_ms,
            Response::DescribeTransactions(message) => message.throttle_time_ms,
            Response::ListTransactions(message) => message.throttle_time_ms,
            Response::ConsumerGroupHeartbeat(message) => message.throttle_time_ms,
            Response::ConsumerGroupDescribe(message) => message.throttle_time_ms,
            Response::ListConfigResources(message) => message.throttle_time_ms,
            Response::DescribeTopicPartitions(message) => message.throttle_time_ms,
            _ => 0,
        }
    }

    /// The same to be written, if responses of this API have it.
    pub fn throttle_time_ms_mut(&mut self) -> Option<&mut i32> {
        match self {
            Response::Produce(message) => Some(&mut message.throttle_time_ms),
            Response::Fetch(message) => Some(&mut message.throttle_time_ms),
            Response::ListOffsets(message) => Some(&mut message.throttle_time_ms),
            Response::Metadata(message) => Some(&mut message.throttle_time_ms),
            Response::OffsetCommit(message) => Some(&mut message.throttle_time_ms),
            Response::OffsetFetch(message) => Some(&mut message.throttle_time_ms),
            Response::FindCoordinator(message) => Some(&mut message.throttle_time_ms),
            Response::JoinGroup(message) => Some(&mut message.throttle_time_ms),
            Response::Heartbeat(message) => Some(&mut message.throttle_time_ms),
            Response::LeaveGroup(message) => Some(&mut message.throttle_time_ms),
            Response::SyncGroup(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeGroups(message) => Some(&mut message.throttle_time_ms),
            Response::ListGroups(message) => Some(&mut message.throttle_time_ms),
            Response::ApiVersions(message) => Some(&mut message.throttle_time_ms),
            Response::CreateTopics(message) => Some(&mut message.throttle_time_ms),
            Response::DeleteTopics(message) => Some(&mut message.throttle_time_ms),
            Response::DeleteRecords(message) => Some(&mut message.throttle_time_ms),
            Response::InitProducerId(message) => Some(&mut message.throttle_time_ms),
            Response::OffsetForLeaderEpoch(message) => Some(&mut message.throttle_time_ms),
            Response::AddPartitionsToTxn(message) => Some(&mut message.throttle_time_ms),
            Response::AddOffsetsToTxn(message) => Some(&mut message.throttle_time_ms),
            Response::EndTxn(message) => Some(&mut message.throttle_time_ms),
            Response::TxnOffsetCommit(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeAcls(message) => Some(&mut message.throttle_time_ms),
            Response::CreateAcls(message) => Some(&mut message.throttle_time_ms),
            Response::DeleteAcls(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeConfigs(message) => Some(&mut message.throttle_time_ms),
            Response::AlterConfigs(message) => Some(&mut message.throttle_time_ms),
            Response::AlterReplicaLogDirs(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeLogDirs(message) => Some(&mut message.throttle_time_ms),
            Response::CreatePartitions(message) => Some(&mut message.throttle_time_ms),
            Response::CreateDelegationToken(message) => Some(&mut message.throttle_time_ms),
            Response::RenewDelegationToken(message) => Some(&mut message.throttle_time_ms),
            Response::ExpireDelegationToken(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeDelegationToken(message) => Some(&mut message.throttle_time_ms),
            Response::DeleteGroups(message) => Some(&mut message.throttle_time_ms),
            Response::ElectLeaders(message) => Some(&mut message.throttle_time_ms),
            Response::IncrementalAlterConfigs(message) => Some(&mut message.throttle_time_ms),
            Response::AlterPartitionReassignments(message) => Some(&mut message.throttle_time_ms),
            Response::ListPartitionReassignments(message) => Some(&mut message.throttle_time_ms),
            Response::OffsetDelete(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeClientQuotas(message) => Some(&mut message.throttle_time_ms),
            Response::AlterClientQuotas(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeUserScramCredentials(message) => Some(&mut message.throttle_time_ms),
            Response::AlterUserScramCredentials(message) => Some(&mut message.throttle_time_ms),
            Response::UpdateFeatures(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeCluster(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeProducers(message) => Some(&mut message.throttle_time_ms),
            Response::UnregisterBroker(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeTransactions(message) => Some(&mut message.throttle_time_ms),
            Response::ListTransactions(message) => Some(&mut message.throttle_time_ms),
            Response::ConsumerGroupHeartbeat(message) => Some(&mut message.throttle_time_ms),
            Response::ConsumerGroupDescribe(message) => Some(&mut message.throttle_time_ms),
            Response::ListConfigResources(message) => Some(&mut message.throttle_time_ms),
            Response::DescribeTopicPartitions(message) => Some(&mut message.throttle_time_ms),
            _ => None,
        }
    }
}
