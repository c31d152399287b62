//! Topics: list, create, delete, grow, truncate.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_kafka_wire::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use millstream_kafka_wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use millstream_kafka_wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use millstream_kafka_wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use millstream_kafka_wire::{ErrorCode, KafkaString, RequestMessage};

use crate::TopicPartition;
use crate::client::{Attempt, KafkaClient};
use crate::error::ClientError;
use crate::metadata::ClusterMetadata;
use crate::transport::{Call, Target};

/// The topic part of an error message.
fn topic_named(name: &str) -> String {
    format!("topic '{name}'")
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: KafkaString,
    /// `None`: the broker's default.
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// The brokers of each partition, the preferred leader first, instead of the two numbers above; empty: the cluster
    /// chooses.
    pub assignments: Vec<Vec<i32>>,
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    pub fn new(name: impl Into<KafkaString>, partitions: Option<i32>) -> Self {
        NewTopic {
            name: name.into(),
            partitions,
            replication_factor: None,
            assignments: Vec::new(),
            configs: BTreeMap::new(),
        }
    }
}

impl KafkaClient {
    /// All topics of the cluster.
    pub async fn list_topics(&self) -> Result<Arc<ClusterMetadata>, ClientError> {
        let mut retries = self.retries("listing topics");
        loop {
            let attempt: Result<_, Attempt> = async { Ok(self.refresh_metadata(None, false).await?) }.await;
            if let Some(value) = retries.settle(attempt).await? {
                return Ok(value);
            }
        }
    }

    /// Sends a request to each broker of the cluster, because each knows only its part. `what` names the operation in
    /// messages.
    pub(super) async fn call_every_node<R: RequestMessage + Clone>(
        &self,
        what: &str,
        request: &R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<Vec<R::Response>, ClientError> {
        let metadata = self.list_topics().await?;
        let mut responses = Vec::with_capacity(metadata.nodes.len());
        for node in &metadata.nodes {
            let mut retries = self.retries(what);
            let response = loop {
                let attempt: Result<_, Attempt> = async {
                    let response = self.call(Target::Node(node.id), request.clone()).await?;
                    code(&response)
                        .check()
                        .map_err(|code| ClientError::broker(what, code))?;
                    Ok(response)
                }
                .await;
                if let Some(value) = retries.settle(attempt).await? {
                    break value;
                }
            };
            responses.push(response);
        }
        Ok(responses)
    }

    /// A request to the controller, repeated if it has moved.
    pub(super) async fn call_controller<R: RequestMessage + Clone>(
        &self,
        request: R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, ClientError> {
        let mut retries = self.retries(R::API_KEY.name());
        loop {
            let attempt: Result<_, Attempt> = async {
                let mut metadata = self.metadata();
                if metadata.nodes.is_empty() {
                    metadata = self.refresh_metadata(Some(&[]), false).await?;
                }
                let controller = metadata.controller_id;
                let known = metadata.nodes.iter().any(|node| node.id == controller);
                let target = if known {
                    Target::Node(controller)
                } else {
                    Target::Any
                };
                let response = self.call(target, request.clone()).await?;
                if code(&response) == ErrorCode::NOT_CONTROLLER {
                    self.refresh_metadata(Some(&[]), false).await?;
                    return Err(ClientError::broker(R::API_KEY.name(), ErrorCode::NOT_CONTROLLER).into());
                }
                Ok(response)
            }
            .await;
            if let Some(value) = retries.settle(attempt).await? {
                return Ok(value);
            }
        }
    }

    fn operation_timeout_ms(&self) -> i32 {
        i32::try_from(self.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Makes topics; the results are in the order of the input.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<Result<(), ClientError>>, ClientError> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.operation_timeout_ms(),
            validate_only,
        };
        let response = self
            .call_controller(request, |response| {
                let first = response.topics.first();
                first.map(|topic| topic.error_code).unwrap_or_default()
            })
            .await?;
        let result = |new: &NewTopic| match response.topics.iter().find(|topic| topic.name == new.name) {
            None => Err(ClientError::Incomplete("CreateTopics")),
            Some(topic) => topic.error_code.check().map_err(|code| {
                ClientError::broker_with(topic_named(&new.name), code, topic.error_message.clone())
            }),
        };
        Ok(topics.iter().map(result).collect())
    }

    pub async fn create_topic(&self, topic: NewTopic) -> Result<(), ClientError> {
        let results = self.create_topics(&[topic], false).await?;
        results
            .into_iter()
            .next()
            .unwrap_or(Err(ClientError::Incomplete("CreateTopics")))
    }

    pub async fn delete_topic(&self, name: &str) -> Result<(), ClientError> {
        let name = KafkaString::from(name);
        // Older versions take names, newer ones a list of names or ids.
        let versions = self.versions(Target::Any).await?;
        let by_state = versions
            .choose(DeleteTopicsRequest::API_KEY, 6, i16::MAX)
            .is_some();
        let mut request = DeleteTopicsRequest {
            timeout_ms: self.operation_timeout_ms(),
            ..Default::default()
        };
        if by_state {
            request.topics = vec![DeleteTopicState {
                name: Some(name.clone()),
                ..Default::default()
            }];
        } else {
            request.topic_names = vec![name.clone()];
        }
        let response = self
            .call_controller(request, |r| {
                r.responses
                    .first()
                    .map_or(ErrorCode::NONE, |topic| topic.error_code)
            })
            .await?;
        let result = response
            .responses
            .into_iter()
            .next()
            .ok_or(ClientError::Incomplete("DeleteTopics"))?;
        let error = |code| ClientError::broker_with(topic_named(&name), code, result.error_message);
        result.error_code.check().map_err(error)
    }

    /// Increases the number of partitions of a topic. `assignments` lists the replicas of each new one; without it the
    /// cluster assigns them.
    pub async fn create_partitions(
        &self,
        topic: &str,
        total: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<(), ClientError> {
        let assignment = |broker_ids: &Vec<i32>| CreatePartitionsAssignment {
            broker_ids: broker_ids.clone(),
        };
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: topic.into(),
                count: total,
                assignments: assignments.map(|each| each.iter().map(assignment).collect()),
            }],
            timeout_ms: self.operation_timeout_ms(),
            validate_only: false,
        };
        let response = self
            .call_controller(request, |r| {
                r.results
                    .first()
                    .map_or(ErrorCode::NONE, |topic| topic.error_code)
            })
            .await?;
        let result = response
            .results
            .into_iter()
            .next()
            .ok_or(ClientError::Incomplete("CreatePartitions"))?;
        let error = |code| ClientError::broker_with(topic_named(topic), code, result.error_message);
        result.error_code.check().map_err(error)
    }

    /// Deletes the records of a partition below an offset (-1: all). Returns its new log start offset.
    pub async fn delete_records(
        &self,
        partition: &TopicPartition,
        before_offset: i64,
    ) -> Result<i64, ClientError> {
        let topics = [partition.topic.clone()];
        let mut retries = self.retries("deleting records");
        loop {
            let attempt: Result<_, Attempt> = async {
                let metadata = self.topics(&topics, false).await?;
                let leader = metadata.leader(&partition.topic, partition.partition);
                let what = format!("partition {partition}");
                let missing = || ClientError::broker(what.clone(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                let leader = leader.ok_or_else(missing).map_err(Attempt::Final)?;
                let wanted = DeleteRecordsPartition {
                    partition_index: partition.partition,
                    offset: before_offset,
                };
                let request = DeleteRecordsRequest {
                    topics: vec![DeleteRecordsTopic {
                        name: partition.topic.clone(),
                        partitions: vec![wanted],
                    }],
                    timeout_ms: self.operation_timeout_ms(),
                };
                let call = Call::new(Target::Node(leader), request);
                let (response, _) = self.call_with::<DeleteRecordsRequest>(call).await?;
                let result = response.topics.first().and_then(|topic| topic.partitions.first());
                let result = result.ok_or(ClientError::Incomplete("DeleteRecords"))?;
                result
                    .error_code
                    .check()
                    .map_err(|code| ClientError::broker(what, code))?;
                Ok(result.low_watermark)
            }
            .await;
            if let Some(value) = retries.settle(attempt).await? {
                return Ok(value);
            }
        }
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): (&String, &String)| CreatableTopicConfig {
        name: name.into(),
        value: Some(value.into()),
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: (0..)
            .zip(&topic.assignments)
            .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: broker_ids.clone(),
            })
            .collect(),
        configs: topic.configs.iter().map(config).collect(),
    }
}
