//! The broker's responses, except for transactions.

use bytes::BytesMut;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::RecordBatch;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

use super::{Broker, NODE, Partition, TxnState};

impl Broker {
    pub(super) fn name_of(&self, name: &KafkaString, id: Uuid) -> String {
        let by_id = self
            .topics
            .iter()
            .find(|(_, (topic_id, _))| *topic_id == id)
            .map(|(name, _)| name.clone());
        if id.is_zero() {
            name.to_string()
        } else {
            by_id.unwrap_or_default()
        }
    }

    pub(super) fn partition(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics
            .get_mut(topic)?
            .1
            .get_mut(usize::try_from(partition).ok()?)
    }

    pub(super) fn has_data(&mut self, fetch: &FetchRequest) -> bool {
        let read_committed = fetch.isolation_level == 1;
        fetch.topics.iter().any(|topic| {
            let name = self.name_of(&topic.topic, topic.topic_id);
            topic.partitions.iter().any(|p| {
                let Some(log) = self.partition(&name, p.partition) else {
                    return true;
                };
                let end = if read_committed {
                    log.last_stable_offset()
                } else {
                    log.end
                };
                p.fetch_offset < end || p.fetch_offset < log.start || p.fetch_offset > log.end
            })
        })
    }

    pub(super) fn respond(&mut self, request: Request) -> Response {
        match request {
            Request::ApiVersions(_) => self.api_versions().into(),
            Request::Metadata(request) => self.metadata(&request).into(),
            Request::Produce(request) => self.produce(request).into(),
            Request::Fetch(request) => self.fetch(request).into(),
            Request::ListOffsets(request) => self.list_offsets(request).into(),
            Request::FindCoordinator(request) => {
                let coordinators =
                    request
                        .coordinator_keys
                        .into_iter()
                        .map(|key| find_coordinator::Coordinator {
                            key,
                            node_id: NODE,
                            host: "fake".into(),
                            port: 1,
                            ..Default::default()
                        });
                FindCoordinatorResponse {
                    coordinators: coordinators.collect(),
                    node_id: NODE,
                    ..Default::default()
                }
                .into()
            }
            Request::InitProducerId(request) => self.init_producer_id(request).into(),
            Request::AddPartitionsToTxn(request) => self.add_partitions(request).into(),
            Request::AddOffsetsToTxn(request) => {
                let txn = self
                    .transactions
                    .get_mut(request.transactional_id.as_str())
                    .expect("initialised");
                txn.state = TxnState::Ongoing;
                AddOffsetsToTxnResponse::default().into()
            }
            Request::TxnOffsetCommit(request) => self.txn_offset_commit(request).into(),
            Request::EndTxn(request) => self.end_txn(&request).into(),
            Request::OffsetCommit(request) => self.offset_commit(request).into(),
            Request::OffsetFetch(request) => self.offset_fetch(request).into(),
            Request::CreateTopics(request) => self.create_topics(request).into(),
            other => panic!("the fake does not know {:?}", other.api_key()),
        }
    }

    pub(super) fn api_versions(&self) -> ApiVersionsResponse {
        let keys = self
            .versions
            .apis
            .iter()
            .map(|(key, (min, max))| api_versions::ApiVersion {
                api_key: *key,
                min_version: *min,
                max_version: *max,
            });
        let features = self.versions.finalized_features.iter();
        let features = features.map(|(name, level)| api_versions::FinalizedFeatureKey {
            name: name.into(),
            max_version_level: *level,
            min_version_level: 0,
        });
        ApiVersionsResponse {
            api_keys: keys.collect(),
            finalized_features: features.collect(),
            ..Default::default()
        }
    }

    pub(super) fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let wanted: Vec<String> = match &request.topics {
            None => self.topics.keys().cloned().collect(),
            Some(topics) => topics
                .iter()
                .map(|t| t.name.clone().unwrap_or_default().to_string())
                .collect(),
        };
        let topics = wanted.into_iter().map(|name| {
            let Some((id, partitions)) = self.topics.get(&name) else {
                let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                return metadata::MetadataResponseTopic {
                    name: Some(name.into()),
                    error_code,
                    ..Default::default()
                };
            };
            let partitions = (0..partitions.len()).map(|index| metadata::MetadataResponsePartition {
                partition_index: index as i32,
                leader_id: NODE,
                leader_epoch: self.leader_epoch,
                ..Default::default()
            });
            metadata::MetadataResponseTopic {
                name: Some(name.into()),
                topic_id: *id,
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        let topics = topics.collect();
        let broker = metadata::MetadataResponseBroker {
            node_id: NODE,
            host: self.address.0.as_str().into(),
            port: self.address.1,
            rack: None,
        };
        MetadataResponse {
            brokers: vec![broker],
            controller_id: NODE,
            topics,
            ..Default::default()
        }
    }

    pub(super) fn produce(&mut self, request: ProduceRequest) -> ProduceResponse {
        let mut responses = Vec::new();
        for topic in request.topic_data {
            let name = self.name_of(&topic.name, topic.topic_id);
            let mut partition_responses = Vec::new();
            for data in topic.partition_data {
                let batch = RecordBatch::read(&data.records.unwrap_or_default()).expect("the client's batch");
                let (error_code, base_offset) =
                    match self.append(&name, data.index, &batch, request.transactional_id.as_ref()) {
                        Ok(offset) => (ErrorCode::NONE, offset),
                        Err(code) => (code, -1),
                    };
                partition_responses.push(produce::PartitionProduceResponse {
                    index: data.index,
                    error_code,
                    base_offset,
                    ..Default::default()
                });
            }
            responses.push(produce::TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_responses,
            });
        }
        ProduceResponse {
            responses,
            ..Default::default()
        }
    }

    pub(super) fn append(
        &mut self,
        topic: &str,
        index: i32,
        batch: &RecordBatch,
        transactional_id: Option<&KafkaString>,
    ) -> Result<i64, ErrorCode> {
        let size_max = self.batch_bytes_max;
        batch.verify_checksum().map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
        let header = batch.header;
        if batch.data().len() > size_max {
            return Err(ErrorCode::MESSAGE_TOO_LARGE);
        }
        if let Some(id) = transactional_id {
            let v2 = self.versions.has_transactions_v2();
            let txn = self
                .transactions
                .get_mut(id.as_str())
                .ok_or(ErrorCode::INVALID_TXN_STATE)?;
            if header.producer_epoch < txn.epoch {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            assert!(header.attributes.is_transactional());
            let key = (topic.to_owned(), index);
            if !txn.partitions.contains(&key) {
                if !v2 {
                    return Err(ErrorCode::INVALID_TXN_STATE);
                }
                txn.state = TxnState::Ongoing;
                txn.partitions.push(key);
            }
        }
        let log = self
            .partition(topic, index)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if header.has_producer_id() {
            let known = log.producers.get(&header.producer_id).copied();
            let expected = match known {
                Some((epoch, _)) if header.producer_epoch < epoch => {
                    return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
                }
                Some((epoch, next)) if header.producer_epoch == epoch => next,
                Some(_) => 0,
                // As Kafka: without any state every number is as good as another.
                None => header.base_sequence,
            };
            if header.base_sequence < expected {
                return Err(ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
            }
            if header.base_sequence > expected {
                return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
            }
            let next = (header.producer_epoch, header.last_sequence() + 1);
            log.producers.insert(header.producer_id, next);
        }
        let base = log.append(batch);
        if transactional_id.is_some() {
            log.open.entry(header.producer_id).or_insert(base);
        }
        Ok(base)
    }

    pub(super) fn fetch(&mut self, request: FetchRequest) -> FetchResponse {
        let read_committed = request.isolation_level == 1;
        let mut responses = Vec::new();
        for topic in request.topics {
            let name = self.name_of(&topic.topic, topic.topic_id);
            let partitions = topic.partitions.into_iter().map(|wanted| {
                let mut response = fetch::PartitionData {
                    partition_index: wanted.partition,
                    ..Default::default()
                };
                let Some(log) = self.partition(&name, wanted.partition) else {
                    response.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    return response;
                };
                if wanted.fetch_offset < log.start || wanted.fetch_offset > log.end {
                    response.error_code = ErrorCode::OFFSET_OUT_OF_RANGE;
                    return response;
                }
                response.high_watermark = log.end;
                response.last_stable_offset = log.last_stable_offset();
                response.log_start_offset = log.start;
                let end = if read_committed {
                    log.last_stable_offset()
                } else {
                    log.end
                };
                let mut records = BytesMut::new();
                for batch in log.batches.iter().filter(|batch| {
                    batch.header.last_offset() >= wanted.fetch_offset && batch.header.last_offset() < end
                }) {
                    if !records.is_empty()
                        && records.len() + batch.data().len() > wanted.partition_max_bytes as usize
                    {
                        break;
                    }
                    records.extend_from_slice(batch.data());
                }
                response.records = Some(records.freeze());
                let aborted = log
                    .aborted
                    .iter()
                    .filter(|(_, _, marker)| *marker >= wanted.fetch_offset);
                let aborted = aborted.map(|(producer_id, first_offset, _)| fetch::AbortedTransaction {
                    producer_id: *producer_id,
                    first_offset: *first_offset,
                });
                response.aborted_transactions = read_committed.then(|| aborted.collect());
                response
            });
            let partitions = partitions.collect();
            responses.push(fetch::FetchableTopicResponse {
                topic: topic.topic,
                topic_id: topic.topic_id,
                partitions,
            });
        }
        FetchResponse {
            responses,
            ..Default::default()
        }
    }

    pub(super) fn list_offsets(&mut self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let read_committed = request.isolation_level == 1;
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let mut response = list_offsets::ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    ..Default::default()
                };
                match self.partition(&topic.name, wanted.partition_index) {
                    None => response.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(log) => {
                        response.offset = match wanted.timestamp {
                            -2 => log.start,
                            -1 if read_committed => log.last_stable_offset(),
                            -1 => log.end,
                            time => log
                                .batches
                                .iter()
                                .find(|batch| batch.header.max_timestamp >= time)
                                .map_or(-1, |batch| batch.header.base_offset),
                        }
                    }
                }
                response
            });
            list_offsets::ListOffsetsTopicResponse {
                partitions: partitions.collect(),
                name: topic.name,
            }
        });
        ListOffsetsResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    pub(super) fn offset_commit(&mut self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let group = request.group_id.to_string();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let key = (group.clone(), topic.name.to_string(), p.partition_index);
                self.offsets.insert(key, p.committed_offset);
                offset_commit::OffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: ErrorCode::NONE,
                }
            });
            offset_commit::OffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name.clone(),
                ..Default::default()
            }
        });
        OffsetCommitResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    pub(super) fn offset_fetch(&mut self, request: OffsetFetchRequest) -> OffsetFetchResponse {
        let groups = request.groups.into_iter().map(|group| {
            let mut topics: Vec<offset_fetch::OffsetFetchResponseTopics> = Vec::new();
            for ((_, topic, partition), offset) in self
                .offsets
                .iter()
                .filter(|((each, _, _), _)| group.group_id == *each)
            {
                let partition = offset_fetch::OffsetFetchResponsePartitions {
                    partition_index: *partition,
                    committed_offset: *offset,
                    ..Default::default()
                };
                topics.push(offset_fetch::OffsetFetchResponseTopics {
                    name: topic.into(),
                    partitions: vec![partition],
                    ..Default::default()
                });
            }
            offset_fetch::OffsetFetchResponseGroup {
                group_id: group.group_id,
                topics,
                ..Default::default()
            }
        });
        OffsetFetchResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    pub(super) fn create_topics(&mut self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let topics = request.topics.iter().map(|topic| {
            let exists = self.topics.contains_key(topic.name.as_str());
            if !exists {
                let id = Uuid::from_u128(100 + self.topics.len() as u128);
                let assigned = i32::try_from(topic.assignments.len()).expect("a few");
                let partitions = (0..topic.num_partitions.max(assigned).max(1))
                    .map(|_| Partition::default())
                    .collect();
                self.topics.insert(topic.name.to_string(), (id, partitions));
            }
            let error_code = if exists {
                ErrorCode::TOPIC_ALREADY_EXISTS
            } else {
                ErrorCode::NONE
            };
            create_topics::CreatableTopicResult {
                name: topic.name.clone(),
                error_code,
                ..Default::default()
            }
        });
        CreateTopicsResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }
}
