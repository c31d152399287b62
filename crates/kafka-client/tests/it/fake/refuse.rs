//! Responses in which everything has failed.

use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;

use super::Broker;

/// A response in which everything has failed.
pub(super) fn refuse(broker: &Broker, request: &Request, code: ErrorCode) -> Response {
    match request {
        Request::Produce(request) => refuse_produce(request, code).into(),
        Request::Fetch(request) => refuse_fetch(request, code).into(),
        Request::Metadata(request) => {
            let mut response = broker.metadata(request);
            for topic in &mut response.topics {
                topic.error_code = code;
                topic.partitions.clear();
            }
            response.into()
        }
        Request::EndTxn(_) => EndTxnResponse {
            error_code: code,
            ..Default::default()
        }
        .into(),
        Request::InitProducerId(_) => InitProducerIdResponse {
            error_code: code,
            ..Default::default()
        }
        .into(),
        Request::CreateTopics(request) => {
            let topics = request
                .topics
                .iter()
                .map(|topic| create_topics::CreatableTopicResult {
                    name: topic.name.clone(),
                    error_code: code,
                    ..Default::default()
                });
            CreateTopicsResponse {
                topics: topics.collect(),
                ..Default::default()
            }
            .into()
        }
        Request::AddPartitionsToTxn(request) => {
            let topics = request
                .v3_and_below_topics
                .iter()
                .map(|topic| add_partitions_to_txn_result(topic, code));
            AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: topics.collect(),
                ..Default::default()
            }
            .into()
        }
        other => panic!("the script refuses {:?}, which the fake cannot", other.api_key()),
    }
}

pub(super) fn add_partitions_to_txn_result(
    topic: &add_partitions_to_txn::AddPartitionsToTxnTopic,
    code: ErrorCode,
) -> add_partitions_to_txn::AddPartitionsToTxnTopicResult {
    let partition = |partition: &i32| add_partitions_to_txn::AddPartitionsToTxnPartitionResult {
        partition_index: *partition,
        partition_error_code: code,
    };
    add_partitions_to_txn::AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic.partitions.iter().map(partition).collect(),
    }
}

fn refuse_produce(request: &ProduceRequest, code: ErrorCode) -> ProduceResponse {
    let topics = request
        .topic_data
        .iter()
        .map(|topic| produce::TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic
                .partition_data
                .iter()
                .map(|p| produce::PartitionProduceResponse {
                    index: p.index,
                    error_code: code,
                    base_offset: -1,
                    ..Default::default()
                })
                .collect(),
        });
    ProduceResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}

fn refuse_fetch(request: &FetchRequest, code: ErrorCode) -> FetchResponse {
    let topics = request.topics.iter().map(|topic| fetch::FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|p| fetch::PartitionData {
                partition_index: p.partition,
                error_code: code,
                ..Default::default()
            })
            .collect(),
    });
    FetchResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}
