//! OffsetCommit: a group notes how far it has read.

use crate::broker::{Broker, log_error_code};
use crate::change::{Change, CommittedOffset};
use crate::groups::{Committer, Permit, check_commit};
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use millstream_kafka_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &OffsetCommitRequest,
) -> Outcome {
    let permit = check_group(broker, now_ms, version, request);
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let permit = permit.as_ref().map_err(|code| *code);
            let result = permit.and_then(|permit| {
                let offset = check(broker, now_ms, request, topic, partition)?;
                permit.check((offset.topic, offset.partition)).map(|()| offset)
            });
            let error_code = result.as_ref().err().copied().unwrap_or_default();
            offsets.extend(result);
            partitions.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            });
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions,
        });
    }
    let mut response = OffsetCommitResponse {
        throttle_time_ms: 0,
        topics,
    };
    if offsets.is_empty() {
        return Outcome::now(response);
    }
    let change = Change::Offsets {
        group: request.group_id.detached(),
        offsets,
    };
    match broker.write(now_ms, Vec::new(), &[change]) {
        Ok(sequence) => Outcome::durable(sequence, response),
        Err(error) => {
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error_code = log_error_code(&error);
            }
            Outcome::now(response)
        }
    }
}

/// Whether this member may commit for the group now.
fn check_group(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &OffsetCommitRequest,
) -> Result<Permit, ErrorCode> {
    broker.access(Operation::Read, ResourceKind::Group, &request.group_id)?;
    let member = Committer {
        group: &request.group_id,
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_ref(),
        epoch: request.generation_id_or_member_epoch,
        is_transactional: false,
    };
    check_commit(broker, now_ms, version, &member)
}

fn check(
    broker: &Broker,
    now_ms: i64,
    request: &OffsetCommitRequest,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
) -> Result<CommittedOffset, ErrorCode> {
    let found = broker.accessible_topic(Operation::Read, topic.topic_id, &topic.name)?;
    found
        .log(partition.partition_index)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let expire_ms = match request.retention_time_ms {
        ..=-1 => -1,
        retention_ms => now_ms.saturating_add(retention_ms),
    };
    let metadata = check_metadata(broker, partition.committed_metadata.as_ref())?;
    Ok(CommittedOffset {
        topic: found.id,
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
        commit_ms: now_ms,
        expire_ms,
        place: 0,
    })
}

/// A client's text for an offset, if it is not too long.
pub(crate) fn check_metadata(
    broker: &Broker,
    metadata: Option<&KafkaString>,
) -> Result<KafkaString, ErrorCode> {
    let metadata = metadata.map(KafkaString::detached).unwrap_or_default();
    let limit = usize::try_from(broker.configs.int("offset.metadata.max.bytes")).unwrap_or_default();
    if metadata.len() > limit {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(metadata)
}
