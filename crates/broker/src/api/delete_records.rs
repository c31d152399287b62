//! DeleteRecords: moves the log start offset of a partition forward.

use crate::broker::{Broker, log_error_code};
use crate::mutants::Mutant;
use crate::purgatory::Outcome;
use crate::security::Operation;
use millstream_kafka_wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopic, DeleteRecordsTopicResult,
};
use millstream_kafka_wire::{ErrorCode, Uuid};
use millstream_log::Entry;

/// Offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(crate) fn handle(broker: &mut Broker, now_ms: i64, request: &DeleteRecordsRequest) -> Outcome {
    let mut sequence = 0;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let partition_index = partition.partition_index;
            partitions.push(match delete(broker, now_ms, topic, partition) {
                Ok((low_watermark, written)) => {
                    sequence = sequence.max(written);
                    DeleteRecordsPartitionResult {
                        partition_index,
                        low_watermark,
                        ..Default::default()
                    }
                }
                Err(error_code) => DeleteRecordsPartitionResult {
                    partition_index,
                    low_watermark: -1,
                    error_code,
                },
            });
        }
        topics.push(DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions,
        });
    }
    Outcome::durable(
        sequence,
        DeleteRecordsResponse {
            throttle_time_ms: 0,
            topics,
        },
    )
}

fn delete(
    broker: &mut Broker,
    now_ms: i64,
    topic: &DeleteRecordsTopic,
    partition: &DeleteRecordsPartition,
) -> Result<(i64, u64), ErrorCode> {
    let found = broker.accessible_topic(Operation::Delete, Uuid::ZERO, &topic.name)?;
    let log = found
        .log(partition.partition_index)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !found.settings.log.delete && found.settings.compact {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let offsets = broker
        .log
        .offsets(log)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let offset = match partition.offset {
        HIGH_WATERMARK => offsets.high_watermark,
        offset => offset,
    };
    if offset < 0 || offset > offsets.high_watermark {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    if offset <= offsets.start {
        return Ok((offsets.start, broker.log.last_sequence()));
    }
    if broker.breaks(Mutant::ForgetDeletion) {
        return Ok((offset, broker.log.last_sequence()));
    }
    broker.audit(&format!(
        "records of '{}' partition {} deleted before offset {offset}",
        topic.name, partition.partition_index
    ));
    let sequence = broker
        .write(now_ms, vec![Entry::StartOffset { log, offset }], &[])
        .map_err(|error| log_error_code(&error))?;
    Ok((offset, sequence))
}
