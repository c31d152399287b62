//! ListOffsets: first and next offsets, and offsets by time.

use crate::api::fetch::check_epoch;
use crate::broker::{Broker, log_error_code};
use crate::limits::INFLATED_BYTES_MAX;
use crate::security::Operation;
use crate::waits::Outcome;
use bytes::Bytes;
use millstream_kafka_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use millstream_kafka_wire::record_batch::RecordBatch;
use millstream_kafka_wire::{ErrorCode, Uuid};
use millstream_log::LogId;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// The first version that knows `MAX_TIMESTAMP`.
const MAX_TIMESTAMP_VERSION: i16 = 7;
/// The first version that tells of leader epochs.
const LEADER_EPOCH_VERSION: i16 = 4;

pub(crate) fn handle(broker: &mut Broker, version: i16, request: &ListOffsetsRequest) -> Outcome {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let is_committed = request.isolation_level == 1;
            let found = list(broker, version, is_committed, (topic, partition));
            let none = ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                timestamp: -1,
                offset: -1,
                leader_epoch: -1,
                ..Default::default()
            };
            partitions.push(match found {
                Ok(Some((timestamp, offset))) => ListOffsetsPartitionResponse {
                    timestamp,
                    offset,
                    leader_epoch: if version >= LEADER_EPOCH_VERSION { 0 } else { -1 },
                    ..none
                },
                Ok(None) => none,
                Err(error_code) => ListOffsetsPartitionResponse { error_code, ..none },
            });
        }
        topics.push(ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions,
        });
    }
    Outcome::now(ListOffsetsResponse {
        throttle_time_ms: 0,
        topics,
    })
}

fn list(
    broker: &mut Broker,
    version: i16,
    is_committed: bool,
    (topic, partition): (&ListOffsetsTopic, &ListOffsetsPartition),
) -> Result<Option<(i64, i64)>, ErrorCode> {
    let found = broker.accessible_topic(Operation::Describe, Uuid::ZERO, &topic.name)?;
    let log = found
        .log(partition.partition_index)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_epoch(partition.current_leader_epoch)?;
    let offsets = broker
        .log
        .offsets(log)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if broker.log.quarantine_reason(log).is_some() {
        return Err(ErrorCode::KAFKA_STORAGE_ERROR);
    }
    let end = if is_committed {
        offsets.last_stable
    } else {
        offsets.high_watermark
    };
    match partition.timestamp {
        LATEST => Ok(Some((-1, end))),
        EARLIEST | EARLIEST_LOCAL => Ok(Some((-1, offsets.start))),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        MAX_TIMESTAMP if version >= MAX_TIMESTAMP_VERSION => max_timestamp(broker, log),
        timestamp if timestamp >= 0 => by_time(broker, log, timestamp, end),
        _ => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}

/// The first record with this timestamp or a later one, and not below the log's start.
fn by_time(
    broker: &mut Broker,
    log: LogId,
    timestamp: i64,
    end: i64,
) -> Result<Option<(i64, i64)>, ErrorCode> {
    let start = broker.log.offsets(log).map_or(0, |offsets| offsets.start);
    let mut from = start;
    while let Some(bytes) = broker
        .log
        .find_by_time(log, timestamp, from)
        .map_err(|error| log_error_code(&error))?
    {
        let (found, next) = scan(broker, &bytes, |_, at| at >= timestamp, start)?;
        match found {
            Some((_, offset)) if offset >= end => return Ok(None),
            Some(found) => return Ok(Some(found)),
            None => from = next,
        }
    }
    Ok(None)
}

fn max_timestamp(broker: &mut Broker, log: LogId) -> Result<Option<(i64, i64)>, ErrorCode> {
    let found = broker
        .log
        .find_max_timestamp(log)
        .map_err(|error| log_error_code(&error))?;
    let Some(bytes) = found else {
        return Ok(None);
    };
    let start = broker.log.offsets(log).map_or(0, |offsets| offsets.start);
    let (found, _) = scan(broker, &bytes, |max, at| at == max, start)?;
    Ok(found)
}

/// The first record of a batch that `holds`, given the batch's greatest timestamp and the record's; and the offset
/// after the batch.
fn scan(
    broker: &mut Broker,
    bytes: &Bytes,
    holds: impl Fn(i64, i64) -> bool,
    start: i64,
) -> Result<(Option<(i64, i64)>, i64), ErrorCode> {
    let corrupt = |_| ErrorCode::CORRUPT_MESSAGE;
    let batch = RecordBatch::read(bytes).map_err(corrupt)?;
    let header = &batch.header;
    let next = header.base_offset + i64::from(header.last_offset_delta) + 1;
    if header.attributes.is_control() {
        return Ok((
            Some((header.max_timestamp, header.base_offset)).filter(|_| header.base_offset >= start),
            next,
        ));
    }
    let data = batch
        .records_data(&mut broker.decompressor, INFLATED_BYTES_MAX)
        .map_err(corrupt)?;
    for record in batch.records(&data) {
        let record = record.map_err(corrupt)?;
        if record.offset >= start && holds(header.max_timestamp, record.timestamp) {
            return Ok((Some((record.timestamp, record.offset)), next));
        }
    }
    Ok((None, next))
}
