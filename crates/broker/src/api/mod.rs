//! One file for an API (or for a few that share everything), each with functions from a request to an [`Outcome`].

pub(crate) mod acls;
pub(crate) mod alter_configs;
pub mod api_versions;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod consumer_group;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
mod delegation_tokens;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_transactions;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod groups;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leader_epoch;
pub(crate) mod list_offsets;
pub(crate) mod log_dirs;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_fetch;
pub(crate) mod one_node;
pub(crate) mod produce;
pub(crate) mod quotas;
pub(crate) mod scram;
pub(crate) mod topic_partitions;
pub(crate) mod transactions;

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::purgatory::{Outcome, Reply};
use millstream_kafka_wire::{ApiKey, ErrorCode, Request};
use std::collections::BTreeSet;

/// Why a request, or one item of it, is rejected: the error code and Kafka's message.
pub(crate) type Rejection = (ErrorCode, String);

/// Whether a response may reveal changes that are not durable yet. It then waits for them: a client must not act on a state
/// that a power failure undoes.
pub(crate) fn shows_state(key: ApiKey) -> bool {
    !matches!(
        key,
        ApiKey::Produce
            | ApiKey::Fetch
            | ApiKey::ListOffsets
            | ApiKey::ApiVersions
            | ApiKey::FindCoordinator
            | ApiKey::Heartbeat
            | ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::ConsumerGroupHeartbeat
    )
}

/// Kafka's name of "no error".
pub(crate) const NO_ERROR: &str = "NONE";
/// Kafka's message for UNKNOWN_TOPIC_OR_PARTITION, where it has one.
pub(crate) const NOT_HOSTED: &str = "This server does not host this topic-partition.";
/// Kafka's generic message for INVALID_REQUEST.
pub(crate) const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or \
                                    the message was sent to an incompatible broker. See the broker logs for more details.";

/// The distinct resources of a request, so that duplicates cost nothing. Kafka repeats them in most of these responses;
/// a small request could otherwise force an arbitrarily large response.
pub(crate) fn once_each<T: Ord>(asked: &[T]) -> impl Iterator<Item = &T> {
    once_each_by(asked, |each| each)
}

/// Like [`once_each`], with a key that identifies each item.
pub(crate) fn once_each_by<'a, T, K: Ord>(
    asked: &'a [T],
    name: impl Fn(&'a T) -> K,
) -> impl Iterator<Item = &'a T> {
    let mut seen = BTreeSet::new();
    asked.iter().filter(move |each| seen.insert(name(each)))
}

/// The keys that occur more than once.
pub(crate) fn repeated<K: Ord + Copy>(names: impl Iterator<Item = K>) -> BTreeSet<K> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// Hands a request to the file of its API.
pub(crate) fn dispatch(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: Request,
) -> Outcome {
    match request {
        Request::Produce(request) => produce::handle(broker, now_ms, context, version, &request),
        Request::Fetch(request) => fetch::handle(broker, now_ms, context, version, &request),
        Request::ListOffsets(request) => list_offsets::handle(broker, version, &request),
        Request::Metadata(request) => metadata::handle(broker, now_ms, context, version, &request),
        Request::OffsetCommit(request) => offset_commit::handle(broker, now_ms, version, &request),
        Request::OffsetFetch(request) => offset_fetch::handle(broker, version, &request),
        Request::FindCoordinator(request) => {
            find_coordinator::handle(broker, now_ms, context, version, &request)
        }
        Request::JoinGroup(request) => join_group::join(broker, now_ms, context, version, &request),
        Request::SyncGroup(request) => join_group::sync(broker, now_ms, version, &request),
        Request::Heartbeat(request) => join_group::heartbeat(broker, now_ms, &request),
        Request::LeaveGroup(request) => join_group::leave(broker, now_ms, version, &request),
        Request::ConsumerGroupHeartbeat(request) => {
            consumer_group::heartbeat(broker, now_ms, context, version, &request)
        }
        Request::ConsumerGroupDescribe(request) => consumer_group::describe(broker, &request),
        Request::ListGroups(request) => groups::list(broker, &request),
        Request::DescribeGroups(request) => groups::describe(broker, version, &request),
        Request::DeleteGroups(request) => groups::delete(broker, now_ms, &request),
        Request::OffsetDelete(request) => groups::delete_offsets(broker, now_ms, &request),
        Request::InitProducerId(request) => {
            init_producer_id::handle(broker, now_ms, context, version, &request)
        }
        Request::AddPartitionsToTxn(request) => {
            transactions::add_partitions(broker, now_ms, version, &request)
        }
        Request::AddOffsetsToTxn(request) => transactions::add_offsets(broker, now_ms, version, &request),
        Request::EndTxn(request) => transactions::end_transaction(broker, now_ms, version, &request),
        Request::TxnOffsetCommit(request) => transactions::commit_offsets(broker, now_ms, version, &request),
        Request::OffsetForLeaderEpoch(request) => leader_epoch::handle(broker, &request),
        other => administer(broker, now_ms, context, version, other),
    }
}

/// The same for requests that look after the broker rather than use it.
fn administer(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: Request,
) -> Outcome {
    match request {
        Request::ApiVersions(request) => api_versions::handle(version, &request),
        Request::CreateDelegationToken(_) => delegation_tokens::create(context, version),
        Request::RenewDelegationToken(_) => delegation_tokens::renew(context),
        Request::ExpireDelegationToken(_) => delegation_tokens::expire(context),
        Request::DescribeDelegationToken(_) => delegation_tokens::describe(context),
        Request::UnregisterBroker(request) => one_node::unregister(broker, &request),
        Request::CreateTopics(request) => create_topics::handle(broker, now_ms, context, version, &request),
        Request::DeleteTopics(request) => delete_topics::handle(broker, now_ms, context, version, &request),
        Request::DeleteRecords(request) => delete_records::handle(broker, now_ms, &request),
        Request::CreatePartitions(request) => {
            create_partitions::handle(broker, now_ms, context, version, &request)
        }
        Request::WriteTxnMarkers(request) => describe_transactions::write_markers(broker, now_ms, &request),
        Request::DescribeProducers(request) => describe_transactions::producers(broker, &request),
        Request::DescribeTransactions(request) => describe_transactions::describe(broker, &request),
        Request::ListTransactions(request) => describe_transactions::list(broker, now_ms, &request),
        Request::DescribeConfigs(request) => configs::describe(broker, context, &request),
        Request::AlterConfigs(request) => alter_configs::alter(broker, now_ms, &request),
        Request::IncrementalAlterConfigs(request) => {
            alter_configs::alter_incrementally(broker, now_ms, &request)
        }
        Request::ListConfigResources(request) => configs::list(broker, version, &request),
        Request::DescribeLogDirs(request) => log_dirs::handle(broker, &request),
        Request::DescribeCluster(request) => cluster::describe(broker, context, &request),
        Request::DescribeTopicPartitions(request) => topic_partitions::handle(broker, &request),
        Request::DescribeAcls(request) => acls::describe(broker, &request),
        Request::CreateAcls(request) => acls::create(broker, now_ms, &request),
        Request::DeleteAcls(request) => acls::delete(broker, now_ms, &request),
        Request::DescribeUserScramCredentials(request) => scram::describe(broker, &request),
        Request::AlterUserScramCredentials(request) => scram::alter(broker, now_ms, &request),
        Request::DescribeClientQuotas(request) => quotas::describe(broker, &request),
        Request::AlterClientQuotas(request) => quotas::alter(broker, now_ms, &request),
        Request::ElectLeaders(request) => one_node::elect_leaders(broker, &request),
        Request::AlterPartitionReassignments(request) => one_node::reassign(broker, &request),
        Request::ListPartitionReassignments(_) => one_node::list_reassignments(broker),
        Request::DescribeQuorum(request) => {
            one_node::describe_quorum(broker, now_ms, context, version, &request)
        }
        Request::UpdateFeatures(request) => one_node::update_features(broker, version, &request),
        Request::AlterReplicaLogDirs(request) => one_node::alter_log_dirs(broker, &request),
        _ => Outcome::Now(Reply::Close),
    }
}
