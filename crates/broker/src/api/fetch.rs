//! Fetch: whole batches from the log, waiting for them if there are too few.
//!
//! Sessions (KIP-227) are answered with id 0, which tells a client to go on with full requests. A fetch that waits is
//! woken when the high watermark or the last stable offset of one of its partitions moves.

use crate::broker::{Broker, log_error_code};
use crate::limits::FETCH_WAIT_MS_MAX;
use crate::security::{Operation, ResourceKind};
use crate::waits::{Outcome, Reply, Ticket, WaitingFetch};
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
    PartitionData,
};
use millstream_log::{Isolation, LogId, ReadLimit};

const READ_COMMITTED: i8 = 1;

pub(crate) fn handle(broker: &mut Broker, now_ms: i64, request: FetchRequest) -> Outcome {
    if request.session_id != 0 {
        let response = FetchResponse {
            error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
            ..Default::default()
        };
        return Outcome::now(response);
    }
    let read = read(broker, &request);
    let must_wait = read.bytes < request.min_bytes.max(0) as usize
        && !read.has_error
        && request.max_wait_ms > 0
        && !read.logs.is_empty();
    if !must_wait {
        return Outcome::now(read.response);
    }
    let wait_ms = i64::from(request.max_wait_ms).min(FETCH_WAIT_MS_MAX);
    let deadline_ms = now_ms.saturating_add(wait_ms);
    let waiting = WaitingFetch {
        request,
        deadline_ms,
        logs: read.logs,
    };
    Outcome::Waiting(broker.waits.add_fetch(waiting))
}

/// Looks again at a fetch that waits, as one of its logs has moved.
pub(crate) fn wake(broker: &mut Broker, ticket: Ticket) {
    let Some(request) = broker.waits.fetch(ticket).map(|fetch| fetch.request.clone()) else {
        return;
    };
    let read = read(broker, &request);
    if read.bytes >= request.min_bytes.max(0) as usize || read.has_error {
        broker.waits.remove_fetch(ticket);
        broker.waits.complete(
            ticket,
            Reply::from(millstream_kafka_wire::Response::from(read.response)),
        );
    }
}

/// A fetch has waited long enough: it gets what there is.
pub(crate) fn expire(broker: &mut Broker, ticket: Ticket) {
    if let Some(fetch) = broker.waits.remove_fetch(ticket) {
        let read = read(broker, &fetch.request);
        broker.waits.complete(
            ticket,
            Reply::from(millstream_kafka_wire::Response::from(read.response)),
        );
    }
}

struct FetchRead {
    response: FetchResponse,
    bytes: usize,
    has_error: bool,
    logs: Vec<LogId>,
}

fn read(broker: &mut Broker, request: &FetchRequest) -> FetchRead {
    let mut result = FetchRead {
        response: FetchResponse::default(),
        bytes: 0,
        has_error: false,
        logs: Vec::new(),
    };
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let data = match read_partition(broker, request, (topic, partition), &mut result) {
                Ok(data) => data,
                Err(code) => {
                    result.has_error = true;
                    failed(partition.partition, code)
                }
            };
            partitions.push(data);
        }
        let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
        result.response.responses.push(FetchableTopicResponse {
            topic,
            topic_id,
            partitions,
        });
    }
    result
}

fn failed(partition_index: i32, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        preferred_read_replica: -1,
        aborted_transactions: None,
        records: Some(bytes::Bytes::new()),
        ..Default::default()
    }
}

fn read_partition(
    broker: &mut Broker,
    request: &FetchRequest,
    (topic, partition): (&FetchTopic, &FetchPartition),
    result: &mut FetchRead,
) -> Result<PartitionData, ErrorCode> {
    if request.max_bytes < 0 {
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    let found = broker.topics.find(topic.topic_id, &topic.topic)?;
    broker.access(Operation::Read, ResourceKind::Topic, &found.name)?;
    let log = found
        .log(partition.partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_epoch(partition.current_leader_epoch)?;
    result.logs.push(log);
    let isolation = match request.isolation_level {
        READ_COMMITTED => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let left = (request.max_bytes as usize).saturating_sub(result.bytes);
    let max_bytes = left.min(partition.partition_max_bytes.max(0) as usize);
    let limit = ReadLimit {
        max_bytes,
        at_least_one: result.bytes == 0,
    };
    let read = broker
        .log
        .read(log, partition.fetch_offset, limit, isolation)
        .map_err(|error| log_error_code(&error))?;
    result.bytes += read.bytes();
    let aborted = read.aborted.as_ref().map(|aborted| {
        let entry = |each: &millstream_log::AbortedTransaction| AbortedTransaction {
            producer_id: each.producer_id,
            first_offset: each.first_offset,
        };
        aborted.iter().map(entry).collect()
    });
    Ok(PartitionData {
        partition_index: partition.partition,
        high_watermark: read.offsets.high_watermark,
        last_stable_offset: read.offsets.last_stable,
        log_start_offset: read.offsets.start,
        aborted_transactions: aborted,
        preferred_read_replica: -1,
        records: Some(read.into_contiguous()),
        ..Default::default()
    })
}

/// There is one leader epoch, 0; −1 stands for "not checked".
pub(crate) fn check_epoch(epoch: i32) -> Result<(), ErrorCode> {
    match epoch {
        ..=-1 | 0 => Ok(()),
        _ => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
}
