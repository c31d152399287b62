//! DescribeLogDirs: one directory with the size of each partition.

use crate::broker::Broker;
use crate::purgatory::Outcome;
use crate::security::Operation;
use crate::topics::Topic;
use millstream_kafka_wire::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn handle(broker: &Broker, request: &DescribeLogDirsRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::Describe) {
        return Outcome::now(DescribeLogDirsResponse {
            error_code,
            ..Default::default()
        });
    }
    let mut topics = Vec::new();
    match &request.topics {
        None => topics.extend(
            broker
                .topics
                .iter()
                .map(|topic| describe(broker, topic, |_| true)),
        ),
        Some(asked) => {
            let mut by_name: BTreeMap<&KafkaString, BTreeSet<i32>> = BTreeMap::new();
            for topic in asked {
                by_name.entry(&topic.topic).or_default().extend(&topic.partitions);
            }
            for (name, partitions) in by_name {
                if let Some(topic) = broker.topics.by_name(name) {
                    topics.push(describe(broker, topic, |partition| {
                        partitions.contains(&partition)
                    }));
                }
            }
        }
    }
    let failure = broker.log.poison_reason().is_some();
    let log_dir = broker
        .configs
        .text("log.dirs")
        .or_else(|| broker.configs.text("log.dir"));
    Outcome::now(DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            error_code: if failure {
                ErrorCode::KAFKA_STORAGE_ERROR
            } else {
                ErrorCode::NONE
            },
            log_dir: log_dir.unwrap_or_default().into(),
            topics,
            total_bytes: -1,
            usable_bytes: -1,
            is_cordoned: false,
        }],
        ..Default::default()
    })
}

fn describe(broker: &Broker, topic: &Topic, wants: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions = topic
        .partitions
        .iter()
        .zip(0..)
        .filter(|(_, partition_index)| wants(*partition_index));
    let partition = |(log, partition_index): (&millstream_log::LogId, i32)| DescribeLogDirsPartition {
        partition_index,
        partition_size: broker.log.bytes(*log) as i64,
        offset_lag: 0,
        is_future_key: false,
    };
    DescribeLogDirsTopic {
        name: topic.name.clone(),
        partitions: partitions.map(partition).collect(),
    }
}
