//! AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit: a producer's transaction.

use crate::api::offset_commit::check_metadata;
use crate::broker::{Broker, log_error_code};
use crate::change::TransactionPhase;
use crate::change::{Change, CommittedOffset};
use crate::groups::{Committer, Permit, check_commit};
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use crate::transactions::{Participants, Producer, end, enlist};
use millstream_kafka_wire::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use millstream_kafka_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};
use millstream_kafka_wire::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use millstream_kafka_wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::BTreeMap;

/// The first version of AddPartitionsToTxn with several transactions.
const ADD_MANY_VERSION: i16 = 4;
/// The first version of each API that knows PRODUCER_FENCED.
const FENCED_VERSION: i16 = 2;
/// The first version of EndTxn and TxnOffsetCommit of transactions version 2.
const V2_VERSION: i16 = 5;
/// From this version of TxnOffsetCommit on, a group that is not in the transaction is a reason to abort.
const ABORTABLE_VERSION: i16 = 4;

/// PRODUCER_FENCED in the words of older versions.
fn worded(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED if version < FENCED_VERSION => ErrorCode::INVALID_PRODUCER_EPOCH,
        code => code,
    }
}

pub(crate) fn add_partitions(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &AddPartitionsToTxnRequest,
) -> Outcome {
    let mut sequence = 0;
    let mut response = AddPartitionsToTxnResponse::default();
    // The newer versions are for brokers.
    if version >= ADD_MANY_VERSION
        && let Err(error_code) = broker.cluster_access(Operation::ClusterAction)
    {
        response.error_code = error_code;
        return Outcome::now(response);
    }
    if version < ADD_MANY_VERSION {
        let producer = Producer {
            transactional_id: &request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            epoch: request.v3_and_below_producer_epoch,
        };
        let topics = &request.v3_and_below_topics;
        response.results_by_topic_v3_and_below =
            add(broker, now_ms, version, (producer, topics, false), &mut sequence);
        return Outcome::durable(sequence, response);
    }
    for transaction in &request.transactions {
        let producer = Producer {
            transactional_id: &transaction.transactional_id,
            producer_id: transaction.producer_id,
            epoch: transaction.producer_epoch,
        };
        let asked = (producer, transaction.topics.as_slice(), transaction.verify_only);
        response.results_by_transaction.push(AddPartitionsToTxnResult {
            transactional_id: transaction.transactional_id.clone(),
            topic_results: add(broker, now_ms, version, asked, &mut sequence),
        });
    }
    Outcome::durable(sequence, response)
}

/// Adds all partitions or none.
fn add(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    (producer, topics, verify_only): (Producer<'_>, &[AddPartitionsToTxnTopic], bool),
    sequence: &mut u64,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut partitions = Vec::new();
    let mut faults = BTreeMap::new();
    for topic in topics {
        let denied = broker
            .access(Operation::Write, ResourceKind::Topic, &topic.name)
            .err();
        for index in &topic.partitions {
            let found = find(broker, &topic.name, *index);
            match (denied, found) {
                (None, Some(found)) => partitions.push(found),
                (denied, _) => {
                    let code = denied.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    faults.insert((topic.name.clone(), *index), code);
                }
            }
        }
    }
    let result = if !faults.is_empty() {
        Err(ErrorCode::OPERATION_NOT_ATTEMPTED)
    } else {
        let participants = Participants {
            partitions,
            groups: Vec::new(),
        };
        enlist(broker, now_ms, producer, participants, false).and_then(|change| match change {
            None => Ok(broker.log.last_sequence()),
            Some(_) if verify_only => {
                faults = outside(broker, producer.transactional_id, topics);
                Ok(0)
            }
            Some(change) => broker
                .write(now_ms, Vec::new(), &[change])
                .map_err(|error| log_error_code(&error)),
        })
    };
    let code = match result {
        Ok(written) => {
            *sequence = (*sequence).max(written);
            ErrorCode::NONE
        }
        Err(code) => worded(code, version),
    };
    let to_result = |topic: &AddPartitionsToTxnTopic| {
        let partition = |index: &i32| AddPartitionsToTxnPartitionResult {
            partition_index: *index,
            partition_error_code: faults.get(&(topic.name.clone(), *index)).copied().unwrap_or(code),
        };
        let results_by_partition = topic.partitions.iter().map(partition).collect();
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition,
        }
    };
    topics.iter().map(to_result).collect()
}

/// The partitions that do not take part in a transaction.
fn outside(
    broker: &Broker,
    id: &KafkaString,
    topics: &[AddPartitionsToTxnTopic],
) -> BTreeMap<(KafkaString, i32), ErrorCode> {
    let open = broker.transactions.get(id);
    let open = open.filter(|state| state.phase == TransactionPhase::Ongoing);
    let takes_part = |name: &KafkaString, index: i32| {
        let found = find(broker, name, index);
        open.is_some_and(|state| found.is_some_and(|found| state.partitions.contains(&found)))
    };
    let asked = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |index| (&topic.name, *index)));
    let outside = asked.filter(|(name, index)| !takes_part(name, *index));
    outside
        .map(|(name, index)| ((name.clone(), index), ErrorCode::TRANSACTION_ABORTABLE))
        .collect()
}

fn find(broker: &Broker, name: &KafkaString, partition: i32) -> Option<(Uuid, i32)> {
    let topic = broker.topics.by_name(name)?;
    topic.log(partition).map(|_| (topic.id, partition))
}

pub(crate) fn add_offsets(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &AddOffsetsToTxnRequest,
) -> Outcome {
    let producer = Producer {
        transactional_id: &request.transactional_id,
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let denied = broker
        .access(Operation::Read, ResourceKind::Group, &request.group_id)
        .err();
    let added = match denied {
        Some(code) => Err(code),
        None => {
            let participants = Participants {
                partitions: Vec::new(),
                groups: vec![request.group_id.clone()],
            };
            enlist(broker, now_ms, producer, participants, false)
        }
    };
    let written = added.and_then(|change| match change {
        None => Ok(broker.log.last_sequence()),
        Some(change) => broker
            .write(now_ms, Vec::new(), &[change])
            .map_err(|error| log_error_code(&error)),
    });
    match written {
        Ok(sequence) => Outcome::durable(sequence, AddOffsetsToTxnResponse::default()),
        Err(code) => {
            let error_code = worded(code, version);
            Outcome::now(AddOffsetsToTxnResponse {
                error_code,
                ..Default::default()
            })
        }
    }
}

pub(crate) fn end_transaction(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &EndTxnRequest,
) -> Outcome {
    let producer = Producer {
        transactional_id: &request.transactional_id,
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let is_v2 = version >= V2_VERSION;
    match end(broker, now_ms, producer, request.committed, is_v2) {
        Ok(ended) => {
            let (producer_id, producer_epoch) = if is_v2 {
                (ended.producer_id, ended.epoch)
            } else {
                (-1, -1)
            };
            Outcome::durable(
                ended.sequence,
                EndTxnResponse {
                    producer_id,
                    producer_epoch,
                    ..Default::default()
                },
            )
        }
        Err(code) => {
            let error_code = worded(code, version);
            Outcome::now(EndTxnResponse {
                error_code,
                ..Default::default()
            })
        }
    }
}

pub(crate) fn commit_offsets(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &TxnOffsetCommitRequest,
) -> Outcome {
    let refused = check_offsets(broker, now_ms, version, request);
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let denied = broker.access(Operation::Read, ResourceKind::Topic, &topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let result = match denied.and(refused.as_ref().map_err(|code| *code)) {
                Err(code) => Err(code),
                Ok((_, permit)) => offset(broker, now_ms, &topic.name, partition)
                    .and_then(|offset| permit.check((offset.topic, offset.partition)).map(|()| offset)),
            };
            let error_code = result.as_ref().err().copied().unwrap_or_default();
            offsets.extend(result);
            partitions.push(TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            });
        }
        topics.push(TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            partitions,
        });
    }
    let mut response = TxnOffsetCommitResponse {
        throttle_time_ms: 0,
        topics,
    };
    let Ok((enlisted, _)) = refused else {
        return Outcome::now(response);
    };
    let mut changes: Vec<Change> = enlisted.into_iter().collect();
    let (id, group) = (request.transactional_id.detached(), request.group_id.detached());
    changes.push(Change::TransactionOffsets { id, group, offsets });
    match broker.write(now_ms, Vec::new(), &changes) {
        Ok(sequence) => Outcome::durable(sequence, response),
        Err(error) => {
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error_code = log_error_code(&error);
            }
            Outcome::now(response)
        }
    }
}

/// Checks whether producer and member may commit offsets in this transaction. Returns the change that enlists the
/// group, if it is not enlisted yet.
fn check_offsets(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &TxnOffsetCommitRequest,
) -> Result<(Option<Change>, Permit), ErrorCode> {
    let producer = Producer {
        transactional_id: &request.transactional_id,
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    broker.access(
        Operation::Write,
        ResourceKind::TransactionalId,
        &request.transactional_id,
    )?;
    broker.access(Operation::Read, ResourceKind::Group, &request.group_id)?;
    let committer = Committer {
        group: &request.group_id,
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_ref(),
        epoch: request.generation_id,
        is_transactional: true,
    };
    let permit = check_commit(broker, now_ms, version, &committer)?;
    let participants = Participants {
        partitions: Vec::new(),
        groups: vec![request.group_id.clone()],
    };
    let enlisted = enlist(broker, now_ms, producer, participants, version >= V2_VERSION);
    let change = enlisted.map_err(|code| match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        code => code,
    })?;
    match change {
        Some(_) if version < ABORTABLE_VERSION => Err(ErrorCode::INVALID_TXN_STATE),
        Some(_) if version < V2_VERSION => Err(ErrorCode::TRANSACTION_ABORTABLE),
        change => Ok((change, permit)),
    }
}

fn offset(
    broker: &Broker,
    now_ms: i64,
    topic: &KafkaString,
    partition: &TxnOffsetCommitRequestPartition,
) -> Result<CommittedOffset, ErrorCode> {
    let (topic, index) =
        find(broker, topic, partition.partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok(CommittedOffset {
        topic,
        partition: index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: check_metadata(broker, partition.committed_metadata.as_ref())?,
        commit_ms: now_ms,
        expire_ms: -1,
        place: 0,
    })
}
