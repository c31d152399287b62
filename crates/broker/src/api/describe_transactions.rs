//! DescribeTransactions, ListTransactions, DescribeProducers and WriteTxnMarkers: for operators that look for hanging
//! transactions.

use crate::api::{NOT_HOSTED, once_each};
use crate::broker::{Broker, log_error_code};
use crate::change::TransactionState;
use crate::internal_topics::GROUPS;
use crate::patterns::Pattern;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use crate::topics::Topic;
use bytes::Bytes;
use millstream_kafka_wire::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use millstream_kafka_wire::messages::describe_transactions::{
    self as described, DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData,
};
use millstream_kafka_wire::messages::list_transactions::{
    self as listed, ListTransactionsRequest, ListTransactionsResponse,
};
use millstream_kafka_wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_log::batch::Marker;
use millstream_log::{ControlType, Entry};
use millstream_types::java_text::hash_code;
use std::collections::{BTreeMap, BTreeSet};

/// All of Kafka's state names. Filters on states that cannot occur here match nothing.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(crate) fn describe(broker: &Broker, request: &DescribeTransactionsRequest) -> Outcome {
    let describe = |id: &KafkaString| {
        let base = described::TransactionState {
            transactional_id: id.clone(),
            ..Default::default()
        };
        if let Err(error_code) = broker.access(Operation::Describe, ResourceKind::TransactionalId, id) {
            return described::TransactionState { error_code, ..base };
        }
        match broker.transactions.get(id) {
            _ if id.is_empty() => described::TransactionState {
                error_code: ErrorCode::INVALID_REQUEST,
                ..base
            },
            None => described::TransactionState {
                error_code: ErrorCode::TRANSACTIONAL_ID_NOT_FOUND,
                ..base
            },
            Some(state) => describe_one(broker, state, base),
        }
    };
    let transaction_states = once_each(&request.transactional_ids).map(describe).collect();
    Outcome::now(DescribeTransactionsResponse {
        throttle_time_ms: 0,
        transaction_states,
    })
}

/// The partitions of the topic of offsets that would take part in Kafka: each group has one, by the hash that Java has of its
/// name.
fn group_partitions(broker: &Broker, state: &TransactionState) -> Vec<i32> {
    let count = broker.configs.int("offsets.topic.num.partitions").max(1);
    let partition = |name: &KafkaString| hash_code(name).checked_abs().unwrap_or(0) % count;
    let partitions: BTreeSet<i32> = state.groups.iter().map(partition).collect();
    partitions.into_iter().collect()
}

fn describe_one(
    broker: &Broker,
    state: &TransactionState,
    base: described::TransactionState,
) -> described::TransactionState {
    let mut topics: BTreeMap<KafkaString, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &state.partitions {
        let found = broker.topics.by_id(*topic);
        let is_visible = |topic: &&Topic| broker.may(Operation::Describe, ResourceKind::Topic, &topic.name);
        if let Some(topic) = found.filter(is_visible) {
            topics.entry(topic.name.clone()).or_default().push(*partition);
        }
    }
    let of_offsets = group_partitions(broker, state);
    if !of_offsets.is_empty() && broker.may(Operation::Describe, ResourceKind::Topic, GROUPS) {
        topics.insert(KafkaString::from_static(GROUPS), of_offsets);
    }
    // Tools that search for hanging transactions compare this with the producers of each partition.
    let (producer_id, producer_epoch) = state.ongoing_producer();
    described::TransactionState {
        transaction_state: KafkaString::from_static(state.phase.name()),
        transaction_timeout_ms: state.timeout_ms,
        transaction_start_time_ms: state.start_ms,
        producer_id,
        producer_epoch,
        topics: topics
            .into_iter()
            .map(|(topic, partitions)| TopicData { topic, partitions })
            .collect(),
        ..base
    }
}

pub(crate) fn list(broker: &Broker, now_ms: i64, request: &ListTransactionsRequest) -> Outcome {
    let pattern = request
        .transactional_id_pattern
        .as_ref()
        .filter(|pattern| !pattern.is_empty());
    let pattern = pattern.map(Pattern::new);
    if pattern.as_ref().is_some_and(|pattern| !pattern.is_valid()) {
        let error_code = ErrorCode::INVALID_REGULAR_EXPRESSION;
        return Outcome::now(ListTransactionsResponse {
            error_code,
            ..Default::default()
        });
    }
    let producer_ids: BTreeSet<i64> = request.producer_id_filters.iter().copied().collect();
    let states: BTreeSet<&str> = request.state_filters.iter().map(KafkaString::as_str).collect();
    let unknown_state_filters: Vec<KafkaString> = once_each(&request.state_filters)
        .filter(|name| !STATES.contains(&name.as_str()))
        .cloned()
        .collect();
    let has_only_unknown = !states.is_empty() && unknown_state_filters.len() == states.len();
    let wanted = |state: &&TransactionState| {
        let by_state = states.is_empty() || states.contains(state.phase.name());
        let by_id = producer_ids.is_empty() || producer_ids.contains(&state.ongoing_producer().0);
        // As in Kafka, also for transactions that have ended or not started.
        let lasted_ms = now_ms.saturating_sub(state.start_ms);
        let by_duration = request.duration_filter < 0 || lasted_ms > request.duration_filter;
        let by_pattern = pattern.as_ref().is_none_or(|pattern| pattern.matches(&state.id));
        let is_visible = || broker.may(Operation::Describe, ResourceKind::TransactionalId, &state.id);
        by_state && by_id && by_duration && by_pattern && !has_only_unknown && is_visible()
    };
    let state = |state: &TransactionState| listed::TransactionState {
        transactional_id: state.id.clone(),
        producer_id: state.ongoing_producer().0,
        transaction_state: KafkaString::from_static(state.phase.name()),
    };
    let transaction_states = broker.transactions.iter().filter(wanted).map(state).collect();
    Outcome::now(ListTransactionsResponse {
        unknown_state_filters,
        transaction_states,
        ..Default::default()
    })
}

pub(crate) fn producers(broker: &Broker, request: &DescribeProducersRequest) -> Outcome {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut asked = BTreeSet::new();
    for topic in &request.topics {
        let found = broker.topics.by_name(&topic.name);
        let denied = broker
            .access(Operation::Read, ResourceKind::Topic, &topic.name)
            .err();
        let describe = |index: &i32| {
            let partition_index = *index;
            if let Some(error_code) = denied {
                return PartitionResponse {
                    partition_index,
                    error_code,
                    ..Default::default()
                };
            }
            let log = found.and_then(|topic| topic.log(partition_index));
            let Some(producers) = log.and_then(|log| broker.log.producers(log)) else {
                return PartitionResponse {
                    partition_index,
                    error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    error_message: found.is_none().then(|| KafkaString::from_static(NOT_HOSTED)),
                    ..Default::default()
                };
            };
            let state = |(producer_id, state): (i64, &millstream_log::ProducerState)| ProducerState {
                producer_id,
                producer_epoch: i32::from(state.epoch),
                last_sequence: state.last_sequence(),
                last_timestamp: state.last_append_ms,
                coordinator_epoch: state.coordinator_epoch,
                current_txn_start_offset: state.transaction_start.unwrap_or(-1),
            };
            let active_producers = producers.iter().map(state).collect();
            PartitionResponse {
                partition_index,
                active_producers,
                ..Default::default()
            }
        };
        let indexes = topic.partition_indexes.iter();
        let is_new = |index: &&i32| asked.insert((&topic.name, **index));
        let partitions = indexes.filter(is_new).map(describe).collect();
        topics.push(TopicResponse {
            name: topic.name.clone(),
            partitions,
        });
    }
    Outcome::now(DescribeProducersResponse {
        throttle_time_ms: 0,
        topics,
    })
}

pub(crate) fn write_markers(broker: &mut Broker, now_ms: i64, request: &WriteTxnMarkersRequest) -> Outcome {
    let mut sequence = 0;
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in &request.markers {
        let mut topics = Vec::with_capacity(marker.topics.len());
        let mut written = BTreeSet::new();
        for topic in &marker.topics {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            let news = |index: &&i32| written.insert((&topic.name, **index)); // one marker each, as in Kafka
            for index in topic.partition_indexes.iter().filter(news) {
                let written = write_marker(broker, now_ms, marker, (&topic.name, *index));
                sequence = sequence.max(written.unwrap_or(0));
                let error_code = written.err().unwrap_or_default();
                partitions.push(WritableTxnMarkerPartitionResult {
                    partition_index: *index,
                    error_code,
                });
            }
            topics.push(WritableTxnMarkerTopicResult {
                name: topic.name.clone(),
                partitions,
            });
        }
        markers.push(WritableTxnMarkerResult {
            producer_id: marker.producer_id,
            topics,
        });
    }
    Outcome::durable(sequence, WriteTxnMarkersResponse { markers })
}

fn write_marker(
    broker: &mut Broker,
    now_ms: i64,
    marker: &WritableTxnMarker,
    (topic, partition): (&KafkaString, i32),
) -> Result<u64, ErrorCode> {
    // Brokers may, and administrators.
    if !broker.may(Operation::ClusterAction, ResourceKind::Cluster, CLUSTER_NAME) {
        broker.cluster_access(Operation::Alter)?;
    }
    let topic = broker
        .topics
        .by_name(topic)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let log = topic
        .log(partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let known = broker
        .log
        .producers(log)
        .and_then(|producers| producers.get(marker.producer_id));
    if known.is_some_and(|state| state.epoch > marker.producer_epoch) {
        return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
    }
    let batch = Marker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        control: if marker.transaction_result {
            ControlType::Commit
        } else {
            ControlType::Abort
        },
        timestamp: now_ms,
    };
    broker.audit(&format!(
        "{:?} marker of producer {} for log {}",
        batch.control, marker.producer_id, log.0
    ));
    let entry = Entry::Batch {
        log,
        batch: Bytes::from(batch.encode()),
    };
    broker
        .write(now_ms, vec![entry], &[])
        .map_err(|error| log_error_code(&error))
}
