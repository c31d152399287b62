//! A broker that fits into a test: one node, partitions as lists of batches, idempotence and transactions as far as
//! clients can tell, and a script of faults. It answers typed requests, so it serves both as a transport and behind a
//! socket.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use millstream_kafka_client::config::ClientConfig;
use millstream_kafka_client::transport::BoxFuture;
use millstream_kafka_client::{
    Call, KafkaClient, Node, NodeVersions, Reply, Target, Transport, TransportError,
};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{EndTransactionMarker, Marker, RecordBatch, set_base_offset};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_types::SeededRng;
use tokio::sync::Notify;

pub const NODE: i32 = 1;
const UNLIMITED: usize = 1 << 30;

/// What happens to the next request of an API.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answered, unharmed: a place in the order of faults.
    Pass,
    /// The request is lost.
    Lost,
    /// The request is carried out and the answer is lost.
    AnswerLost,
    /// All partitions (or the request itself) are answered with this code, and nothing is done.
    Code(ErrorCode),
    /// The answer never comes.
    Silence,
}

#[derive(Default)]
pub struct Partition {
    pub batches: Vec<RecordBatch>,
    pub end: i64,
    pub start: i64,
    /// By producer: epoch, next sequence.
    pub producers: HashMap<i64, (i16, i32)>,
    /// First offsets of open transactions, by producer.
    pub open: BTreeMap<i64, i64>,
    /// Producer, first offset, offset of the marker.
    pub aborted: Vec<(i64, i64, i64)>,
}

impl Partition {
    pub fn last_stable_offset(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// Values of all records, control records left out.
    pub fn values(&self) -> Vec<String> {
        let mut values = Vec::new();
        for batch in self
            .batches
            .iter()
            .filter(|batch| !batch.header.attributes.is_control())
        {
            let data = batch
                .records_data(&mut Decompressor::new(), UNLIMITED)
                .expect("readable");
            for record in batch.records(&data) {
                let value = record.expect("well-formed").value.unwrap_or_default().to_vec();
                values.push(String::from_utf8(value).expect("text"));
            }
        }
        values
    }

    fn append(&mut self, batch: &RecordBatch) -> i64 {
        let mut bytes = BytesMut::from(&batch.data()[..]);
        set_base_offset(&mut bytes, self.end);
        let batch = RecordBatch::read(&bytes.freeze()).expect("was readable before");
        let base = self.end;
        self.end = batch.header.next_offset();
        self.batches.push(batch);
        base
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnState {
    Empty,
    Ongoing,
    Committed,
    Aborted,
}

pub struct Txn {
    pub producer_id: i64,
    pub epoch: i16,
    pub state: TxnState,
    pub partitions: Vec<(String, i32)>,
    pub pending_offsets: Vec<(String, String, i32, i64)>,
}

#[derive(Default)]
pub struct Broker {
    pub topics: BTreeMap<String, (Uuid, Vec<Partition>)>,
    pub faults: HashMap<ApiKey, VecDeque<Fault>>,
    pub log: Vec<ApiKey>,
    pub next_producer_id: i64,
    pub transactions: HashMap<String, Txn>,
    pub offsets: BTreeMap<(String, String, i32), i64>,
    pub versions: NodeVersions,
    pub batch_bytes_max: usize,
    pub leader_epoch: i32,
    /// Where metadata says that the node is.
    pub address: (String, i32),
}

/// A broker that tests and transports share.
#[derive(Clone)]
pub struct Fake {
    broker: Arc<Mutex<Broker>>,
    /// Told when something was appended or changed.
    news: Arc<Notify>,
}

impl Fake {
    /// With topics and their numbers of partitions; transactions are of the second kind if `v2`.
    pub fn new(topics: &[(&str, usize)], v2: bool) -> Fake {
        let features = if v2 {
            BTreeMap::from([("transaction.version".to_owned(), 2)])
        } else {
            BTreeMap::new()
        };
        let mut broker = Broker {
            versions: NodeVersions::of_this_build(features),
            batch_bytes_max: UNLIMITED,
            next_producer_id: 1000,
            address: ("fake".to_owned(), 1),
            ..Broker::default()
        };
        for (index, (name, count)) in topics.iter().enumerate() {
            let partitions = (0..*count).map(|_| Partition::default()).collect();
            broker.topics.insert(
                (*name).to_owned(),
                (Uuid::from_u128(index as u128 + 1), partitions),
            );
        }
        Fake {
            broker: Arc::new(Mutex::new(broker)),
            news: Arc::default(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Broker> {
        self.broker
            .lock()
            .expect("no test panics while it holds the lock")
    }

    pub fn fault(&self, api: ApiKey, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.entry(api).or_default().extend(faults);
    }

    pub fn client(&self) -> KafkaClient {
        let config = config(&[]);
        KafkaClient::new(
            config.connection,
            Arc::new(self.clone()),
            Arc::new(SeededRng::new(7)),
        )
    }

    pub fn values(&self, topic: &str, partition: usize) -> Vec<String> {
        self.lock().topics[topic].1[partition].values()
    }

    /// Carries a request out and says what is to be answered; `None`: silence.
    pub async fn serve(&self, request: Request) -> Result<Option<Response>, &'static str> {
        let api = request.api_key();
        let fault = {
            let mut broker = self.lock();
            broker.log.push(api);
            broker
                .faults
                .get_mut(&api)
                .and_then(VecDeque::pop_front)
                .unwrap_or(Fault::Pass)
        };
        match fault {
            Fault::Lost => return Err("request lost"),
            Fault::Silence => return Ok(None),
            Fault::Code(code) => return Ok(Some(refuse(&self.lock(), &request, code))),
            Fault::Pass | Fault::AnswerLost => {}
        }
        if let Request::Fetch(fetch) = &request {
            self.wait_for_data(fetch).await;
        }
        let response = self.lock().answer(request);
        self.news.notify_waiters();
        if matches!(fault, Fault::AnswerLost) {
            Err("answer lost")
        } else {
            Ok(Some(response))
        }
    }

    async fn wait_for_data(&self, fetch: &FetchRequest) {
        let wait = std::time::Duration::from_millis(fetch.max_wait_ms.unsigned_abs().into());
        let arrival = async {
            loop {
                let news = self.news.notified();
                if self.lock().has_data(fetch) {
                    return;
                }
                news.await;
            }
        };
        // Nothing there within the wait is an answer too.
        let _ = tokio::time::timeout(wait, arrival).await;
    }
}

/// The settings of a test: short waits, no socket.
pub fn config(settings: &[(&str, &str)]) -> ClientConfig {
    let mut all = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]);
    all.extend(
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let parsed = ClientConfig::parse(&all).expect("the settings of the test are valid");
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    parsed.config
}

impl Transport for Fake {
    fn call(&self, call: Call) -> BoxFuture<Result<Reply, TransportError>> {
        let fake = self.clone();
        Box::pin(async move {
            let api = call.request.api_key();
            let address = "fake".to_owned();
            let chosen = fake
                .lock()
                .versions
                .choose(api, call.version_min, call.version_max);
            let (min, max) = (call.version_min, call.version_max);
            let version = chosen.ok_or(TransportError::UnsupportedApi {
                api,
                address: address.clone(),
                min,
                max,
            })?;
            let timeout = call.timeout.unwrap_or(std::time::Duration::from_secs(30));
            let answer = async {
                match fake.serve(call.request).await {
                    Ok(Some(response)) => Ok(Reply { version, response }),
                    Ok(None) => std::future::pending().await,
                    Err(reason) => Err(TransportError::Disconnected {
                        address: address.clone(),
                        reason: reason.to_owned(),
                    }),
                }
            };
            match tokio::time::timeout(timeout, answer).await {
                Ok(result) => result,
                Err(_) => Err(TransportError::Timeout {
                    api,
                    address: address.clone(),
                    timeout_ms: 0,
                }),
            }
        })
    }

    fn versions(&self, _target: Target) -> BoxFuture<Result<Arc<NodeVersions>, TransportError>> {
        let versions = Arc::new(self.lock().versions.clone());
        Box::pin(async move { Ok(versions) })
    }

    fn set_nodes(&self, _nodes: &[Node]) {}
}

/// An answer in which everything has failed.
fn refuse(broker: &Broker, request: &Request, code: ErrorCode) -> Response {
    match request {
        Request::Produce(request) => {
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
            .into()
        }
        Request::Fetch(request) => {
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
            .into()
        }
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

fn add_partitions_to_txn_result(
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

impl Broker {
    fn name_of(&self, name: &KafkaString, id: Uuid) -> String {
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

    fn partition(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics
            .get_mut(topic)?
            .1
            .get_mut(usize::try_from(partition).ok()?)
    }

    fn has_data(&mut self, fetch: &FetchRequest) -> bool {
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

    fn answer(&mut self, request: Request) -> Response {
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

    fn api_versions(&self) -> ApiVersionsResponse {
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

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
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

    fn produce(&mut self, request: ProduceRequest) -> ProduceResponse {
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

    fn append(
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
                _ => 0,
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

    fn fetch(&mut self, request: FetchRequest) -> FetchResponse {
        let read_committed = request.isolation_level == 1;
        let mut responses = Vec::new();
        for topic in request.topics {
            let name = self.name_of(&topic.topic, topic.topic_id);
            let partitions = topic.partitions.into_iter().map(|wanted| {
                let mut answer = fetch::PartitionData {
                    partition_index: wanted.partition,
                    ..Default::default()
                };
                let Some(log) = self.partition(&name, wanted.partition) else {
                    answer.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    return answer;
                };
                if wanted.fetch_offset < log.start || wanted.fetch_offset > log.end {
                    answer.error_code = ErrorCode::OFFSET_OUT_OF_RANGE;
                    return answer;
                }
                answer.high_watermark = log.end;
                answer.last_stable_offset = log.last_stable_offset();
                answer.log_start_offset = log.start;
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
                answer.records = Some(records.freeze());
                let aborted = log
                    .aborted
                    .iter()
                    .filter(|(_, _, marker)| *marker >= wanted.fetch_offset);
                let aborted = aborted.map(|(producer_id, first_offset, _)| fetch::AbortedTransaction {
                    producer_id: *producer_id,
                    first_offset: *first_offset,
                });
                answer.aborted_transactions = read_committed.then(|| aborted.collect());
                answer
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

    fn list_offsets(&mut self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let read_committed = request.isolation_level == 1;
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let mut answer = list_offsets::ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    ..Default::default()
                };
                match self.partition(&topic.name, wanted.partition_index) {
                    None => answer.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(log) => {
                        answer.offset = match wanted.timestamp {
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
                answer
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

    fn init_producer_id(&mut self, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let Some(id) = request.transactional_id else {
            if request.producer_id >= 0 {
                return InitProducerIdResponse {
                    producer_id: request.producer_id,
                    producer_epoch: request.producer_epoch + 1,
                    ..Default::default()
                };
            }
            self.next_producer_id += 1;
            return InitProducerIdResponse {
                producer_id: self.next_producer_id,
                producer_epoch: 0,
                ..Default::default()
            };
        };
        let id = id.to_string();
        if self
            .transactions
            .get(&id)
            .is_some_and(|txn| txn.state == TxnState::Ongoing)
        {
            self.finish(&id, false);
        }
        self.next_producer_id += 1;
        let fresh = Txn {
            producer_id: self.next_producer_id,
            epoch: -1,
            state: TxnState::Empty,
            partitions: Vec::new(),
            pending_offsets: Vec::new(),
        };
        let txn = self.transactions.entry(id).or_insert(fresh);
        txn.epoch += 1;
        txn.state = TxnState::Empty;
        InitProducerIdResponse {
            producer_id: txn.producer_id,
            producer_epoch: txn.epoch,
            ..Default::default()
        }
    }

    fn add_partitions(&mut self, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
        let id = request.v3_and_below_transactional_id;
        let txn = self.transactions.get_mut(id.as_str()).expect("initialised");
        assert_eq!(txn.epoch, request.v3_and_below_producer_epoch);
        txn.state = TxnState::Ongoing;
        for topic in &request.v3_and_below_topics {
            txn.partitions.extend(
                topic
                    .partitions
                    .iter()
                    .map(|partition| (topic.name.to_string(), *partition)),
            );
        }
        let topics = request.v3_and_below_topics.iter();
        let topics = topics.map(|topic| add_partitions_to_txn_result(topic, ErrorCode::NONE));
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: topics.collect(),
            ..Default::default()
        }
    }

    fn txn_offset_commit(&mut self, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let txn = self
            .transactions
            .get_mut(request.transactional_id.as_str())
            .expect("initialised");
        txn.state = TxnState::Ongoing;
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let group = request.group_id.to_string();
                let offset = (
                    group,
                    topic.name.to_string(),
                    p.partition_index,
                    p.committed_offset,
                );
                txn.pending_offsets.push(offset);
                txn_offset_commit::TxnOffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: ErrorCode::NONE,
                }
            });
            txn_offset_commit::TxnOffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name.clone(),
            }
        });
        TxnOffsetCommitResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    /// Writes the markers and applies the offsets.
    fn finish(&mut self, id: &str, commit: bool) {
        let txn = self.transactions.get_mut(id).expect("initialised");
        let (producer_id, epoch) = (txn.producer_id, txn.epoch);
        txn.state = if commit {
            TxnState::Committed
        } else {
            TxnState::Aborted
        };
        let partitions = std::mem::take(&mut txn.partitions);
        let offsets = std::mem::take(&mut txn.pending_offsets);
        if commit {
            let committed = offsets
                .into_iter()
                .map(|(group, topic, p, offset)| ((group, topic, p), offset));
            self.offsets.extend(committed);
        }
        for (topic, partition) in partitions {
            let log = self.partition(&topic, partition).expect("it was produced to");
            let marker = if commit { Marker::Commit } else { Marker::Abort };
            let marker = EndTransactionMarker {
                marker,
                coordinator_epoch: 0,
            };
            let batch =
                RecordBatch::read(&Bytes::from(marker.to_batch(producer_id, epoch, 0))).expect("fresh");
            let at = log.append(&batch);
            if let Some(first) = log.open.remove(&producer_id)
                && !commit
            {
                log.aborted.push((producer_id, first, at));
            }
        }
    }

    fn end_txn(&mut self, request: &EndTxnRequest) -> EndTxnResponse {
        let error = |error_code| EndTxnResponse {
            error_code,
            ..Default::default()
        };
        let v2 = self.versions.has_transactions_v2();
        let Some(txn) = self.transactions.get(request.transactional_id.as_str()) else {
            return error(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        let wanted = if request.committed {
            TxnState::Committed
        } else {
            TxnState::Aborted
        };
        let repeated_epoch = if v2 { txn.epoch - 1 } else { txn.epoch };
        let same = |txn: &Txn| EndTxnResponse {
            producer_id: if v2 { txn.producer_id } else { -1 },
            producer_epoch: if v2 { txn.epoch } else { -1 },
            ..Default::default()
        };
        if request.producer_epoch == repeated_epoch && txn.state == wanted {
            return same(txn);
        }
        if request.producer_epoch != txn.epoch {
            return error(ErrorCode::PRODUCER_FENCED);
        }
        if txn.state != TxnState::Ongoing {
            return error(ErrorCode::INVALID_TXN_STATE);
        }
        self.finish(&request.transactional_id, request.committed);
        let txn = self
            .transactions
            .get_mut(request.transactional_id.as_str())
            .expect("was there");
        if v2 {
            txn.epoch += 1;
        }
        same(txn)
    }

    fn offset_commit(&mut self, request: OffsetCommitRequest) -> OffsetCommitResponse {
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

    fn offset_fetch(&mut self, request: OffsetFetchRequest) -> OffsetFetchResponse {
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

    fn create_topics(&mut self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let topics = request.topics.iter().map(|topic| {
            let exists = self.topics.contains_key(topic.name.as_str());
            if !exists {
                let id = Uuid::from_u128(100 + self.topics.len() as u128);
                let partitions = (0..topic.num_partitions.max(1))
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
