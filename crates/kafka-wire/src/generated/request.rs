// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! Any request of the protocol.

use super::AddOffsetsToTxnRequest;
use super::AddPartitionsToTxnRequest;
use super::AlterClientQuotasRequest;
use super::AlterConfigsRequest;
use super::AlterPartitionReassignmentsRequest;
use super::AlterReplicaLogDirsRequest;
use super::AlterUserScramCredentialsRequest;
use super::ApiKey;
use super::ApiVersionsRequest;
use super::ConsumerGroupDescribeRequest;
use super::ConsumerGroupHeartbeatRequest;
use super::CreateAclsRequest;
use super::CreateDelegationTokenRequest;
use super::CreatePartitionsRequest;
use super::CreateTopicsRequest;
use super::DeleteAclsRequest;
use super::DeleteGroupsRequest;
use super::DeleteRecordsRequest;
use super::DeleteTopicsRequest;
use super::DescribeAclsRequest;
use super::DescribeClientQuotasRequest;
use super::DescribeClusterRequest;
use super::DescribeConfigsRequest;
use super::DescribeDelegationTokenRequest;
use super::DescribeGroupsRequest;
use super::DescribeLogDirsRequest;
use super::DescribeProducersRequest;
use super::DescribeQuorumRequest;
use super::DescribeTopicPartitionsRequest;
use super::DescribeTransactionsRequest;
use super::DescribeUserScramCredentialsRequest;
use super::ElectLeadersRequest;
use super::EndTxnRequest;
use super::ExpireDelegationTokenRequest;
use super::FetchRequest;
use super::FindCoordinatorRequest;
use super::HeartbeatRequest;
use super::IncrementalAlterConfigsRequest;
use super::InitProducerIdRequest;
use super::JoinGroupRequest;
use super::LeaveGroupRequest;
use super::ListConfigResourcesRequest;
use super::ListGroupsRequest;
use super::ListOffsetsRequest;
use super::ListPartitionReassignmentsRequest;
use super::ListTransactionsRequest;
use super::MetadataRequest;
use super::OffsetCommitRequest;
use super::OffsetDeleteRequest;
use super::OffsetFetchRequest;
use super::OffsetForLeaderEpochRequest;
use super::ProduceRequest;
use super::RenewDelegationTokenRequest;
use super::SaslAuthenticateRequest;
use super::SaslHandshakeRequest;
use super::SyncGroupRequest;
use super::TxnOffsetCommitRequest;
use super::UnregisterBrokerRequest;
use super::UpdateFeaturesRequest;
use super::WriteTxnMarkersRequest;
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::writer::Writer;

/// The body of a request of any API.
#[allow(
    clippy::large_enum_variant,
    reason = "lives for one call; a box would cost more"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Produce(ProduceRequest),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    OffsetCommit(OffsetCommitRequest),
    OffsetFetch(OffsetFetchRequest),
    FindCoordinator(FindCoordinatorRequest),
    JoinGroup(JoinGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    SyncGroup(SyncGroupRequest),
    DescribeGroups(DescribeGroupsRequest),
    ListGroups(ListGroupsRequest),
    SaslHandshake(SaslHandshakeRequest),
    ApiVersions(ApiVersionsRequest),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    DeleteRecords(DeleteRecordsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    AddPartitionsToTxn(AddPartitionsToTxnRequest),
    AddOffsetsToTxn(AddOffsetsToTxnRequest),
    EndTxn(EndTxnRequest),
    WriteTxnMarkers(WriteTxnMarkersRequest),
    TxnOffsetCommit(TxnOffsetCommitRequest),
    DescribeAcls(DescribeAclsRequest),
    CreateAcls(CreateAclsRequest),
    DeleteAcls(DeleteAclsRequest),
    DescribeConfigs(DescribeConfigsRequest),
    AlterConfigs(AlterConfigsRequest),
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest),
    DescribeLogDirs(DescribeLogDirsRequest),
    SaslAuthenticate(SaslAuthenticateRequest),
    CreatePartitions(CreatePartitionsRequest),
    CreateDelegationToken(CreateDelegationTokenRequest),
    RenewDelegationToken(RenewDelegationTokenRequest),
    ExpireDelegationToken(ExpireDelegationTokenRequest),
    DescribeDelegationToken(DescribeDelegationTokenRequest),
    DeleteGroups(DeleteGroupsRequest),
    ElectLeaders(ElectLeadersRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    OffsetDelete(OffsetDeleteRequest),
    DescribeClientQuotas(DescribeClientQuotasRequest),
    AlterClientQuotas(AlterClientQuotasRequest),
    DescribeUserScramCredentials(DescribeUserScramCredentialsRequest),
    AlterUserScramCredentials(AlterUserScramCredentialsRequest),
    DescribeQuorum(DescribeQuorumRequest),
    UpdateFeatures(UpdateFeaturesRequest),
    DescribeCluster(DescribeClusterRequest),
    DescribeProducers(DescribeProducersRequest),
    UnregisterBroker(UnregisterBrokerRequest),
    DescribeTransactions(DescribeTransactionsRequest),
    ListTransactions(ListTransactionsRequest),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest),
    ListConfigResources(ListConfigResourcesRequest),
    DescribeTopicPartitions(DescribeTopicPartitionsRequest),
}

impl Request {
    /// The API that this belongs to.
    pub fn api_key(&self) -> ApiKey {
        match self {
            Request::Produce(_) => ApiKey::Produce,
            Request::Fetch(_) => ApiKey::Fetch,
            Request::ListOffsets(_) => ApiKey::ListOffsets,
            Request::Metadata(_) => ApiKey::Metadata,
            Request::OffsetCommit(_) => ApiKey::OffsetCommit,
            Request::OffsetFetch(_) => ApiKey::OffsetFetch,
            Request::FindCoordinator(_) => ApiKey::FindCoordinator,
            Request::JoinGroup(_) => ApiKey::JoinGroup,
            Request::Heartbeat(_) => ApiKey::Heartbeat,
            Request::LeaveGroup(_) => ApiKey::LeaveGroup,
            Request::SyncGroup(_) => ApiKey::SyncGroup,
            Request::DescribeGroups(_) => ApiKey::DescribeGroups,
            Request::ListGroups(_) => ApiKey::ListGroups,
            Request::SaslHandshake(_) => ApiKey::SaslHandshake,
            Request::ApiVersions(_) => ApiKey::ApiVersions,
            Request::CreateTopics(_) => ApiKey::CreateTopics,
            Request::DeleteTopics(_) => ApiKey::DeleteTopics,
            Request::DeleteRecords(_) => ApiKey::DeleteRecords,
            Request::InitProducerId(_) => ApiKey::InitProducerId,
            Request::OffsetForLeaderEpoch(_) => ApiKey::OffsetForLeaderEpoch,
            Request::AddPartitionsToTxn(_) => ApiKey::AddPartitionsToTxn,
            Request::AddOffsetsToTxn(_) => ApiKey::AddOffsetsToTxn,
            Request::EndTxn(_) => ApiKey::EndTxn,
            Request::WriteTxnMarkers(_) => ApiKey::WriteTxnMarkers,
            Request::TxnOffsetCommit(_) => ApiKey::TxnOffsetCommit,
            Request::DescribeAcls(_) => ApiKey::DescribeAcls,
            Request::CreateAcls(_) => ApiKey::CreateAcls,
            Request::DeleteAcls(_) => ApiKey::DeleteAcls,
            Request::DescribeConfigs(_) => ApiKey::DescribeConfigs,
            Request::AlterConfigs(_) => ApiKey::AlterConfigs,
            Request::AlterReplicaLogDirs(_) => ApiKey::AlterReplicaLogDirs,
            Request::DescribeLogDirs(_) => ApiKey::DescribeLogDirs,
            Request::SaslAuthenticate(_) => ApiKey::SaslAuthenticate,
            Request::CreatePartitions(_) => ApiKey::CreatePartitions,
            Request::CreateDelegationToken(_) => ApiKey::CreateDelegationToken,
            Request::RenewDelegationToken(_) => ApiKey::RenewDelegationToken,
            Request::ExpireDelegationToken(_) => ApiKey::ExpireDelegationToken,
            Request::DescribeDelegationToken(_) => ApiKey::DescribeDelegationToken,
            Request::DeleteGroups(_) => ApiKey::DeleteGroups,
            Request::ElectLeaders(_) => ApiKey::ElectLeaders,
            Request::IncrementalAlterConfigs(_) => ApiKey::IncrementalAlterConfigs,
            Request::AlterPartitionReassignments(_) => ApiKey::AlterPartitionReassignments,
            Request::ListPartitionReassignments(_) => ApiKey::ListPartitionReassignments,
            Request::OffsetDelete(_) => ApiKey::OffsetDelete,
            Request::DescribeClientQuotas(_) => ApiKey::DescribeClientQuotas,
            Request::AlterClientQuotas(_) => ApiKey::AlterClientQuotas,
            Request::DescribeUserScramCredentials(_) => ApiKey::DescribeUserScramCredentials,
            Request::AlterUserScramCredentials(_) => ApiKey::AlterUserScramCredentials,
            Request::DescribeQuorum(_) => ApiKey::DescribeQuorum,
            Request::UpdateFeatures(_) => ApiKey::UpdateFeatures,
            Request::DescribeCluster(_) => ApiKey::DescribeCluster,
            Request::DescribeProducers(_) => ApiKey::DescribeProducers,
            Request::UnregisterBroker(_) => ApiKey::UnregisterBroker,
            Request::DescribeTransactions(_) => ApiKey::DescribeTransactions,
            Request::ListTransactions(_) => ApiKey::ListTransactions,
            Request::ConsumerGroupHeartbeat(_) => ApiKey::ConsumerGroupHeartbeat,
            Request::ConsumerGroupDescribe(_) => ApiKey::ConsumerGroupDescribe,
            Request::ListConfigResources(_) => ApiKey::ListConfigResources,
            Request::DescribeTopicPartitions(_) => ApiKey::DescribeTopicPartitions,
        }
    }

    /// Reads a body of the given API and version.
    pub fn decode(api_key: ApiKey, version: i16, r: &mut Reader) -> Result<Self, DecodeError> {
        match api_key {
            ApiKey::Produce => ProduceRequest::decode(r, version).map(Request::Produce),
            ApiKey::Fetch => FetchRequest::decode(r, version).map(Request::Fetch),
            ApiKey::ListOffsets => ListOffsetsRequest::decode(r, version).map(Request::ListOffsets),
            ApiKey::Metadata => MetadataRequest::decode(r, version).map(Request::Metadata),
            ApiKey::OffsetCommit => OffsetCommitRequest::decode(r, version).map(Request::OffsetCommit),
            ApiKey::OffsetFetch => OffsetFetchRequest::decode(r, version).map(Request::OffsetFetch),
            ApiKey::FindCoordinator => {
                FindCoordinatorRequest::decode(r, version).map(Request::FindCoordinator)
            }
            ApiKey::JoinGroup => JoinGroupRequest::decode(r, version).map(Request::JoinGroup),
            ApiKey::Heartbeat => HeartbeatRequest::decode(r, version).map(Request::Heartbeat),
            ApiKey::LeaveGroup => LeaveGroupRequest::decode(r, version).map(Request::LeaveGroup),
            ApiKey::SyncGroup => SyncGroupRequest::decode(r, version).map(Request::SyncGroup),
            ApiKey::DescribeGroups => DescribeGroupsRequest::decode(r, version).map(Request::DescribeGroups),
            ApiKey::ListGroups => ListGroupsRequest::decode(r, version).map(Request::ListGroups),
            ApiKey::SaslHandshake => SaslHandshakeRequest::decode(r, version).map(Request::SaslHandshake),
            ApiKey::ApiVersions => ApiVersionsRequest::decode(r, version).map(Request::ApiVersions),
            ApiKey::CreateTopics => CreateTopicsRequest::decode(r, version).map(Request::CreateTopics),
            ApiKey::DeleteTopics => DeleteTopicsRequest::decode(r, version).map(Request::DeleteTopics),
            ApiKey::DeleteRecords => DeleteRecordsRequest::decode(r, version).map(Request::DeleteRecords),
            ApiKey::InitProducerId => InitProducerIdRequest::decode(r, version).map(Request::InitProducerId),
            ApiKey::OffsetForLeaderEpoch => {
                OffsetForLeaderEpochRequest::decode(r, version).map(Request::OffsetForLeaderEpoch)
            }
            ApiKey::AddPartitionsToTxn => {
                AddPartitionsToTxnRequest::decode(r, version).map(Request::AddPartitionsToTxn)
            }
            ApiKey::AddOffsetsToTxn => {
                AddOffsetsToTxnRequest::decode(r, version).map(Request::AddOffsetsToTxn)
            }
            ApiKey::EndTxn => EndTxnRequest::decode(r, version).map(Request::EndTxn),
            ApiKey::WriteTxnMarkers => {
                WriteTxnMarkersRequest::decode(r, version).map(Request::WriteTxnMarkers)
            }
            ApiKey::TxnOffsetCommit => {
                TxnOffsetCommitRequest::decode(r, version).map(Request::TxnOffsetCommit)
            }
            ApiKey::DescribeAcls => DescribeAclsRequest::decode(r, version).map(Request::DescribeAcls),
            ApiKey::CreateAcls => CreateAclsRequest::decode(r, version).map(Request::CreateAcls),
            ApiKey::DeleteAcls => DeleteAclsRequest::decode(r, version).map(Request::DeleteAcls),
            ApiKey::DescribeConfigs => {
                DescribeConfigsRequest::decode(r, version).map(Request::DescribeConfigs)
            }
            ApiKey::AlterConfigs => AlterConfigsRequest::decode(r, version).map(Request::AlterConfigs),
            ApiKey::AlterReplicaLogDirs => {
                AlterReplicaLogDirsRequest::decode(r, version).map(Request::AlterReplicaLogDirs)
            }
            ApiKey::DescribeLogDirs => {
                DescribeLogDirsRequest::decode(r, version).map(Request::DescribeLogDirs)
            }
            ApiKey::SaslAuthenticate => {
                SaslAuthenticateRequest::decode(r, version).map(Request::SaslAuthenticate)
            }
            ApiKey::CreatePartitions => {
                CreatePartitionsRequest::decode(r, version).map(Request::CreatePartitions)
            }
            ApiKey::CreateDelegationToken => {
                CreateDelegationTokenRequest::decode(r, version).map(Request::CreateDelegationToken)
            }
            ApiKey::RenewDelegationToken => {
                RenewDelegationTokenRequest::decode(r, version).map(Request::RenewDelegationToken)
            }
            ApiKey::ExpireDelegationToken => {
                ExpireDelegationTokenRequest::decode(r, version).map(Request::ExpireDelegationToken)
            }
            ApiKey::DescribeDelegationToken => {
                DescribeDelegationTokenRequest::decode(r, version).map(Request::DescribeDelegationToken)
            }
            ApiKey::DeleteGroups => DeleteGroupsRequest::decode(r, version).map(Request::DeleteGroups),
            ApiKey::ElectLeaders => ElectLeadersRequest::decode(r, version).map(Request::ElectLeaders),
            ApiKey::IncrementalAlterConfigs => {
                IncrementalAlterConfigsRequest::decode(r, version).map(Request::IncrementalAlterConfigs)
            }
            ApiKey::AlterPartitionReassignments => AlterPartitionReassignmentsRequest::decode(r, version)
                .map(Request::AlterPartitionReassignments),
            ApiKey::ListPartitionReassignments => {
                ListPartitionReassignmentsRequest::decode(r, version).map(Request::ListPartitionReassignments)
            }
            ApiKey::OffsetDelete => OffsetDeleteRequest::decode(r, version).map(Request::OffsetDelete),
            ApiKey::DescribeClientQuotas => {
                DescribeClientQuotasRequest::decode(r, version).map(Request::DescribeClientQuotas)
            }
            ApiKey::AlterClientQuotas => {
                AlterClientQuotasRequest::decode(r, version).map(Request::AlterClientQuotas)
            }
            ApiKey::DescribeUserScramCredentials => DescribeUserScramCredentialsRequest::decode(r, version)
                .map(Request::DescribeUserScramCredentials),
            ApiKey::AlterUserScramCredentials => {
                AlterUserScramCredentialsRequest::decode(r, version).map(Request::AlterUserScramCredentials)
            }
            ApiKey::DescribeQuorum => DescribeQuorumRequest::decode(r, version).map(Request::DescribeQuorum),
            ApiKey::UpdateFeatures => UpdateFeaturesRequest::decode(r, version).map(Request::UpdateFeatures),
            ApiKey::DescribeCluster => {
                DescribeClusterRequest::decode(r, version).map(Request::DescribeCluster)
            }
            ApiKey::DescribeProducers => {
                DescribeProducersRequest::decode(r, version).map(Request::DescribeProducers)
            }
            ApiKey::UnregisterBroker => {
                UnregisterBrokerRequest::decode(r, version).map(Request::UnregisterBroker)
            }
            ApiKey::DescribeTransactions => {
                DescribeTransactionsRequest::decode(r, version).map(Request::DescribeTransactions)
            }
            ApiKey::ListTransactions => {
                ListTransactionsRequest::decode(r, version).map(Request::ListTransactions)
            }
            ApiKey::ConsumerGroupHeartbeat => {
                ConsumerGroupHeartbeatRequest::decode(r, version).map(Request::ConsumerGroupHeartbeat)
            }
            ApiKey::ConsumerGroupDescribe => {
                ConsumerGroupDescribeRequest::decode(r, version).map(Request::ConsumerGroupDescribe)
            }
            ApiKey::ListConfigResources => {
                ListConfigResourcesRequest::decode(r, version).map(Request::ListConfigResources)
            }
            ApiKey::DescribeTopicPartitions => {
                DescribeTopicPartitionsRequest::decode(r, version).map(Request::DescribeTopicPartitions)
            }
        }
    }

    /// Writes the body in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        match self {
            Request::Produce(message) => message.encode(w, version),
            Request::Fetch(message) => message.encode(w, version),
            Request::ListOffsets(message) => message.encode(w, version),
            Request::Metadata(message) => message.encode(w, version),
            Request::OffsetCommit(message) => message.encode(w, version),
            Request::OffsetFetch(message) => message.encode(w, version),
            Request::FindCoordinator(message) => message.encode(w, version),
            Request::JoinGroup(message) => message.encode(w, version),
            Request::Heartbeat(message) => message.encode(w, version),
            Request::LeaveGroup(message) => message.encode(w, version),
            Request::SyncGroup(message) => message.encode(w, version),
            Request::DescribeGroups(message) => message.encode(w, version),
            Request::ListGroups(message) => message.encode(w, version),
            Request::SaslHandshake(message) => message.encode(w, version),
            Request::ApiVersions(message) => message.encode(w, version),
            Request::CreateTopics(message) => message.encode(w, version),
            Request::DeleteTopics(message) => message.encode(w, version),
            Request::DeleteRecords(message) => message.encode(w, version),
            Request::InitProducerId(message) => message.encode(w, version),
            Request::OffsetForLeaderEpoch(message) => message.encode(w, version),
            Request::AddPartitionsToTxn(message) => message.encode(w, version),
            Request::AddOffsetsToTxn(message) => message.encode(w, version),
            Request::EndTxn(message) => message.encode(w, version),
            Request::WriteTxnMarkers(message) => message.encode(w, version),
            Request::TxnOffsetCommit(message) => message.encode(w, version),
            Request::DescribeAcls(message) => message.encode(w, version),
            Request::CreateAcls(message) => message.encode(w, version),
            Request::DeleteAcls(message) => message.encode(w, version),
            Request::DescribeConfigs(message) => message.encode(w, version),
            Request::AlterConfigs(message) => message.encode(w, version),
            Request::AlterReplicaLogDirs(message) => message.encode(w, version),
            Request::DescribeLogDirs(message) => message.encode(w, version),
            Request::SaslAuthenticate(message) => message.encode(w, version),
            Request::CreatePartitions(message) => message.encode(w, version),
            Request::CreateDelegationToken(message) => message.encode(w, version),
            Request::RenewDelegationToken(message) => message.encode(w, version),
            Request::ExpireDelegationToken(message) => message.encode(w, version),
            Request::DescribeDelegationToken(message) => message.encode(w, version),
            Request::DeleteGroups(message) => message.encode(w, version),
            Request::ElectLeaders(message) => message.encode(w, version),
            Request::IncrementalAlterConfigs(message) => message.encode(w, version),
            Request::AlterPartitionReassignments(message) => message.encode(w, version),
            Request::ListPartitionReassignments(message) => message.encode(w, version),
            Request::OffsetDelete(message) => message.encode(w, version),
            Request::DescribeClientQuotas(message) => message.encode(w, version),
            Request::AlterClientQuotas(message) => message.encode(w, version),
            Request::DescribeUserScramCredentials(message) => message.encode(w, version),
            Request::AlterUserScramCredentials(message) => message.encode(w, version),
            Request::DescribeQuorum(message) => message.encode(w, version),
            Request::UpdateFeatures(message) => message.encode(w, version),
            Request::DescribeCluster(message) => message.encode(w, version),
            Request::DescribeProducers(message) => message.encode(w, version),
            Request::UnregisterBroker(message) => message.encode(w, version),
            Request::DescribeTransactions(message) => message.encode(w, version),
            Request::ListTransactions(message) => message.encode(w, version),
            Request::ConsumerGroupHeartbeat(message) => message.encode(w, version),
            Request::ConsumerGroupDescribe(message) => message.encode(w, version),
            Request::ListConfigResources(message) => message.encode(w, version),
            Request::DescribeTopicPartitions(message) => message.encode(w, version),
        }
    }
}
