//! OffsetForLeaderEpoch: where an epoch ends. There is one epoch, 0, and it ends at the high watermark.

use crate::api::fetch::check_epoch;
use crate::broker::Broker;
use crate::purgatory::Outcome;
use crate::security::Operation;
use millstream_kafka_wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic, OffsetForLeaderTopicResult,
};
use millstream_kafka_wire::{ErrorCode, Uuid};

pub(crate) fn handle(broker: &mut Broker, request: &OffsetForLeaderEpochRequest) -> Outcome {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let response = |partition: &OffsetForLeaderPartition| {
            let none = EpochEndOffset {
                partition: partition.partition,
                leader_epoch: -1,
                end_offset: -1,
                ..Default::default()
            };
            match end_of(broker, topic, partition) {
                Ok(Some(end_offset)) => EpochEndOffset {
                    leader_epoch: 0,
                    end_offset,
                    ..none
                },
                Ok(None) => none,
                Err(error_code) => EpochEndOffset { error_code, ..none },
            }
        };
        let partitions = topic.partitions.iter().map(response).collect();
        topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions,
        });
    }
    Outcome::now(OffsetForLeaderEpochResponse {
        throttle_time_ms: 0,
        topics,
    })
}

fn end_of(
    broker: &Broker,
    topic: &OffsetForLeaderTopic,
    partition: &OffsetForLeaderPartition,
) -> Result<Option<i64>, ErrorCode> {
    let found = broker.accessible_topic(Operation::Describe, Uuid::ZERO, &topic.topic)?;
    let log = found
        .log(partition.partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_epoch(partition.current_leader_epoch)?;
    let offsets = broker
        .log
        .offsets(log)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok((partition.leader_epoch == 0).then_some(offsets.high_watermark))
}
