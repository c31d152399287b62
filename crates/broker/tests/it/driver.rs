//! A broker driven by hand: every request and response goes through its encoding in the requested version.

use bytes::Bytes;
use millstream_broker::{Broker, BrokerConfig, Endpoint, Progress, Reply, RequestContext, Ticket};
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{BatchBuilder, BatchProducer, RecordBatch, batches};
use millstream_kafka_wire::{
    ApiKey, ErrorCode, KafkaString, Reader, Request, RequestMessage, Response, Uuid, Writer,
};
use millstream_log::LogOptions;
use millstream_testkit::storage::{Fault, MemStorage, Operation, Survive};
use millstream_types::SeededRng;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Driver {
    pub storage: MemStorage,
    pub broker: Broker,
    pub now: i64,
    pub completed: BTreeMap<Ticket, Reply>,
    pub context: RequestContext,
    properties: Vec<(String, String)>,
}

/// A client outside of the process.
pub fn context() -> RequestContext {
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: 9092,
    };
    RequestContext {
        is_internal: false,
        ..RequestContext::internal("test", endpoint)
    }
}

/// Asks for a topic of one partition.
pub fn creation(name: &str) -> CreateTopicsRequest {
    let topic = create_topics::CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    }
}

pub fn newest(key: ApiKey) -> i16 {
    key.versions().1
}

impl Driver {
    pub fn new() -> Driver {
        Self::with(&[])
    }

    pub fn with(properties: &[(&str, &str)]) -> Driver {
        let properties = owned(properties);
        let storage = MemStorage::new();
        let now = 1_000_000;
        let broker = open(&storage, &properties, now);
        let mut driver = Driver {
            storage,
            broker,
            now,
            completed: BTreeMap::new(),
            context: context(),
            properties,
        };
        driver.settle();
        driver
    }

    /// Power fails, the broker starts again.
    pub fn crash(&mut self) {
        self.storage.crash(Survive::Nothing);
        self.broker = open(&self.storage, &self.properties, self.now);
        self.settle();
    }

    /// Power fails while a group is being written: only its first bytes reach the disk.
    pub fn crash_while_writing(&mut self, bytes: usize) {
        let (operation, kind) = (Operation::Write, std::io::ErrorKind::Other);
        self.storage.fail(Fault {
            operation,
            after: 0,
            kind,
            torn_bytes: bytes,
            sticky: true,
        });
        if let Some(job) = self.broker.take_commit(self.now) {
            self.broker.on_commit(job.run()).unwrap_err();
        }
        self.storage.heal();
        self.storage.crash(Survive::Prefix(bytes as u64));
        self.broker = open(&self.storage, &self.properties, self.now);
        self.settle();
    }

    /// A clean end, then the broker starts again.
    pub fn restart(&mut self) {
        self.broker.request_clean_end();
        self.settle();
        self.crash();
    }

    /// The same with other properties.
    pub fn restart_with(&mut self, properties: &[(&str, &str)]) {
        self.properties = owned(properties);
        self.restart();
    }

    /// Runs disk work until there is none.
    pub fn settle(&mut self) {
        loop {
            let commit = self.broker.take_commit(self.now).map(|job| job.run());
            let has_commit = commit.is_some();
            if let Some(outcome) = commit {
                self.broker.on_commit(outcome).unwrap();
            }
            let checkpoint = self.broker.take_checkpoint().map(|job| job.run());
            let has_checkpoint = checkpoint.is_some();
            if let Some(outcome) = checkpoint {
                self.broker.on_checkpoint(outcome).unwrap();
            }
            let compaction = self.broker.take_compaction(self.now).map(|job| job.run());
            let has_compaction = compaction.is_some();
            if let Some(outcome) = compaction {
                self.broker.on_compaction(outcome);
            }
            self.completed.extend(self.broker.take_completed());
            if !has_commit && !has_checkpoint && !has_compaction {
                return;
            }
        }
    }

    /// Moves time on, with every timer on the way.
    pub fn advance(&mut self, by_ms: i64) {
        let end = self.now + by_ms;
        while self.broker.next_timer() <= end {
            self.now = self.now.max(self.broker.next_timer());
            self.broker.tick(self.now);
            self.settle();
        }
        self.now = end;
        self.broker.tick(self.now);
        self.settle();
    }

    /// Hands in a request without running disk work.
    pub fn submit(&mut self, version: i16, request: impl Into<Request>) -> Progress {
        let request = request.into();
        let key = request.api_key();
        let mut writer = Writer::new();
        request
            .encode(&mut writer, version)
            .unwrap_or_else(|error| panic!("{key:?} v{version}: {error}"));
        let request = Request::decode(key, version, &mut Reader::new(writer.into_bytes())).unwrap();
        self.broker.handle(self.now, &self.context, version, request)
    }

    pub fn reply(&mut self, version: i16, request: impl Into<Request>) -> Reply {
        let request = request.into();
        let key = request.api_key();
        let reply = match self.submit(version, request) {
            Progress::Ready(reply) => reply,
            Progress::Pending(ticket) => {
                self.settle();
                self.completed
                    .remove(&ticket)
                    .unwrap_or_else(|| panic!("{key:?} is still delayed"))
            }
        };
        round_trip(key, version, reply)
    }

    pub fn call_version<M: RequestMessage>(&mut self, version: i16, request: M) -> M::Response {
        match self.reply(version, request) {
            Reply::Response(response) => {
                M::Response::try_from(*response).unwrap_or_else(|_| panic!("wrong response"))
            }
            other => panic!("{:?}: {other:?}", M::API_KEY),
        }
    }

    pub fn call<M: RequestMessage>(&mut self, request: M) -> M::Response {
        self.call_version(newest(M::API_KEY), request)
    }

    /// Hands in a request that has to wait.
    pub fn park(&mut self, version: i16, request: impl Into<Request>) -> Ticket {
        match self.submit(version, request) {
            Progress::Pending(ticket) => {
                self.settle();
                ticket
            }
            Progress::Ready(reply) => panic!("completed at once: {reply:?}"),
        }
    }

    /// The response to a parked request, if there is one.
    pub fn taken<M: RequestMessage>(&mut self, version: i16, ticket: Ticket) -> Option<M::Response> {
        response::<M>(version, self.completed.remove(&ticket)?)
    }

    /// Deletes the ACLs on exactly this name, of any or of one principal; returns their number.
    pub fn delete_acls_of_topic(&mut self, name: &str, principal: Option<&str>) -> usize {
        let filter = delete_acls::DeleteAclsFilter {
            resource_type_filter: 2,
            resource_name_filter: Some(name.into()),
            pattern_type_filter: 3,
            principal_filter: principal.map(Into::into),
            host_filter: None,
            operation: 1,
            permission_type: 1,
        };
        let deleted = self.call(DeleteAclsRequest {
            filters: vec![filter],
        });
        deleted.filter_results[0].matching_acls.len()
    }

    pub fn create(&mut self, name: &str, partitions: i32) -> Uuid {
        self.create_with(name, partitions, &[])
    }

    pub fn create_with(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let configs = configs
            .iter()
            .map(|(name, value)| create_topics::CreatableTopicConfig {
                name: (*name).into(),
                value: Some((*value).into()),
            });
        let topic = create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 3,
            configs: configs.collect(),
            ..Default::default()
        };
        let response = self.call(CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 1000,
            validate_only: false,
        });
        assert_eq!(
            response.topics[0].error_code,
            ErrorCode::NONE,
            "{:?}",
            response.topics[0].error_message
        );
        response.topics[0].topic_id
    }

    pub fn delete_topic(&mut self, name: &str) -> DeleteTopicsResponse {
        self.call(DeleteTopicsRequest {
            topics: vec![delete_topics::DeleteTopicState {
                name: Some(name.into()),
                ..Default::default()
            }],
            ..Default::default()
        })
    }

    /// Deletes what these partitions have before an offset, −1 for all of it.
    pub fn delete_records(
        &mut self,
        topic: &str,
        partitions: &[i32],
        offset: i64,
    ) -> Vec<delete_records::DeleteRecordsPartitionResult> {
        let partition = |partition: &i32| delete_records::DeleteRecordsPartition {
            partition_index: *partition,
            offset,
        };
        let mut response = self.call(DeleteRecordsRequest {
            topics: vec![delete_records::DeleteRecordsTopic {
                name: topic.into(),
                partitions: partitions.iter().map(partition).collect(),
            }],
            timeout_ms: 1000,
        });
        response.topics.remove(0).partitions
    }

    /// Commits an offset of the group `g`, by a member with its epoch or generation.
    pub fn commit_offset(
        &mut self,
        version: i16,
        topic: &str,
        (member, epoch): (&str, i32),
        (partition, offset): (i32, i64),
    ) -> ErrorCode {
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: epoch,
            member_id: member.into(),
            retention_time_ms: -1,
            topics: vec![offset_commit::OffsetCommitRequestTopic {
                topic_id: self.topic_id(topic),
                name: topic.into(),
                partitions: vec![offset_commit::OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        self.call_version(version, request).topics[0].partitions[0].error_code
    }

    pub fn topic_id(&self, name: &str) -> Uuid {
        self.broker
            .topics()
            .by_name(&name.into())
            .map_or(Uuid::ZERO, |topic| topic.id)
    }

    pub fn produce_request(&self, topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
        let partition_data = vec![produce::PartitionProduceData {
            index: partition,
            records: Some(records),
        }];
        let topic_data = vec![produce::TopicProduceData {
            topic_id: self.topic_id(topic),
            name: topic.into(),
            partition_data,
        }];
        ProduceRequest {
            acks: -1,
            timeout_ms: 1000,
            topic_data,
            ..Default::default()
        }
    }

    pub fn produce(&mut self, topic: &str, partition: i32, records: Bytes) -> (ErrorCode, i64) {
        let mut request = self.produce_request(topic, partition, records);
        request.topic_data[0].name = KafkaString::EMPTY;
        let response = self.call(request);
        let result = &response.responses[0].partition_responses[0];
        (result.error_code, result.base_offset)
    }

    /// Produces and expects success.
    pub fn append(&mut self, topic: &str, partition: i32, values: &[&str]) -> i64 {
        let (code, offset) = self.produce(topic, partition, batch(self.now, values));
        assert_eq!(code, ErrorCode::NONE);
        offset
    }

    pub fn fetch_request(&self, topic: &str, partition: i32, offset: i64) -> FetchRequest {
        let partition = fetch::FetchPartition {
            partition,
            current_leader_epoch: -1,
            fetch_offset: offset,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        FetchRequest {
            max_bytes: 1 << 20,
            topics: vec![fetch::FetchTopic {
                topic: KafkaString::EMPTY,
                topic_id: self.topic_id(topic),
                partitions: vec![partition],
            }],
            ..Default::default()
        }
    }

    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64, isolation: i8) -> fetch::PartitionData {
        let mut request = self.fetch_request(topic, partition, offset);
        request.isolation_level = isolation;
        self.call(request).responses.remove(0).partitions.remove(0)
    }

    /// All values that a reader sees; with `committed` as a client filters them.
    pub fn values(&mut self, topic: &str, partition: i32, committed: bool) -> Vec<String> {
        let mut offset = self.offset_at(topic, partition, -2);
        let mut values = Vec::new();
        loop {
            let data = self.fetch(topic, partition, offset, i8::from(committed));
            assert_eq!(data.error_code, ErrorCode::NONE);
            let found: Vec<RecordBatch> = batches(data.records.unwrap_or_default())
                .map(Result::unwrap)
                .collect();
            let Some(last) = found.last() else {
                return values;
            };
            offset = last.header.base_offset + i64::from(last.header.last_offset_delta) + 1;
            let mut aborted = data.aborted_transactions.unwrap_or_default();
            aborted.sort_by_key(|each| each.first_offset);
            let mut active = std::collections::BTreeSet::new();
            for batch in &found {
                let header = &batch.header;
                while aborted
                    .first()
                    .is_some_and(|each| each.first_offset <= header.base_offset)
                {
                    active.insert(aborted.remove(0).producer_id);
                }
                if header.attributes.is_control() {
                    active.remove(&header.producer_id);
                    continue;
                }
                if header.attributes.is_transactional() && active.contains(&header.producer_id) {
                    continue;
                }
                let data = batch.records_data(&mut Default::default(), 1 << 30).unwrap();
                values.extend(batch.records(&data).map(|record| {
                    String::from_utf8(record.unwrap().value.unwrap_or_default().to_vec()).unwrap()
                }));
            }
        }
    }

    pub fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64, isolation: i8) -> (i64, i64) {
        let partition = list_offsets::ListOffsetsPartition {
            partition_index: partition,
            current_leader_epoch: -1,
            timestamp,
        };
        let response = self.call(ListOffsetsRequest {
            replica_id: -1,
            isolation_level: isolation,
            topics: vec![list_offsets::ListOffsetsTopic {
                name: topic.into(),
                partitions: vec![partition],
            }],
            timeout_ms: 0,
        });
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.error_code, ErrorCode::NONE);
        (found.offset, found.timestamp)
    }

    pub fn offset_at(&mut self, topic: &str, partition: i32, timestamp: i64) -> i64 {
        self.list_offset(topic, partition, timestamp, 0).0
    }
}

fn owned(properties: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    properties.iter().map(owned).collect()
}

fn open(storage: &MemStorage, properties: &[(String, String)], now: i64) -> Broker {
    let mut config = BrokerConfig::new(properties.to_vec());
    config.log = LogOptions {
        tail_cache_bytes: 1000,
        ..LogOptions::default()
    };
    Broker::open(
        config,
        Arc::new(storage.clone()),
        Arc::new(SeededRng::new(now as u64)),
        now,
    )
    .unwrap()
}

fn round_trip(key: ApiKey, version: i16, reply: Reply) -> Reply {
    let Reply::Response(response) = reply else {
        return reply;
    };
    let mut writer = Writer::new();
    response
        .encode(&mut writer, version)
        .unwrap_or_else(|error| panic!("{key:?} v{version}: {error}"));
    Reply::Response(Box::new(
        Response::decode(key, version, &mut Reader::new(writer.into_bytes())).unwrap(),
    ))
}

/// The response in a reply, after being written and read in this version.
pub fn response<M: RequestMessage>(version: i16, reply: Reply) -> Option<M::Response> {
    match round_trip(M::API_KEY, version, reply) {
        Reply::Response(response) => M::Response::try_from(*response).ok(),
        _ => None,
    }
}

pub fn batch(timestamp: i64, values: &[&str]) -> Bytes {
    batch_of(BatchProducer::NONE, Codec::None, timestamp, values)
}

pub fn batch_of(producer: BatchProducer, codec: Codec, timestamp: i64, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(codec).with_producer(producer);
    for value in values {
        builder.append(timestamp, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build(&mut Compressor::default()).unwrap().into()
}

pub fn producer(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> BatchProducer {
    BatchProducer {
        producer_id,
        producer_epoch,
        base_sequence,
        transactional: false,
    }
}
