//! A broker that fits into a test: one node, partitions as lists of batches, idempotence and transactions as far as
//! clients can tell, and a script of faults. It serves typed requests, so it serves both as a transport and behind a
//! socket.

mod refuse;
mod serve;
mod transactions;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use millstream_kafka_client::config::ClientConfig;
use millstream_kafka_client::transport::BoxFuture;
use millstream_kafka_client::{
    Call, KafkaClient, Node, NodeVersions, Reply, Target, Transport, TransportError,
};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{RecordBatch, set_base_offset};
use millstream_kafka_wire::{ErrorCode, Uuid};
use millstream_types::SeededRng;
use tokio::sync::Notify;

pub const NODE: i32 = 1;
const UNLIMITED: usize = 1 << 30;

/// What happens to the next request of an API.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Served without a fault: a place in the order of faults.
    Pass,
    /// The request is lost.
    Lost,
    /// The request is carried out and the response is lost.
    AnswerLost,
    /// The request is carried out and the response is one to something else.
    AnswerMixedUp,
    /// All partitions (or the request itself) fail with this code, and nothing is done.
    Code(ErrorCode),
    /// The response never comes.
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

    /// Carries a request out and returns the response; `None`: silence.
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
            Fault::Code(code) => return Ok(Some(refuse::refuse(&self.lock(), &request, code))),
            Fault::Pass | Fault::AnswerLost | Fault::AnswerMixedUp => {}
        }
        if let Request::Fetch(fetch) = &request {
            self.wait_for_data(fetch).await;
        }
        let response = self.lock().respond(request);
        self.news.notify_waiters();
        match fault {
            Fault::AnswerLost => Err("response lost"),
            Fault::AnswerMixedUp => Ok(Some(EndTxnResponse::default().into())),
            _ => Ok(Some(response)),
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
        // Nothing there within the wait is a response too.
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
            let response_later = async {
                match fake.serve(call.request).await {
                    Ok(Some(response)) => Ok(Reply { version, response }),
                    Ok(None) => std::future::pending().await,
                    Err(reason) => Err(TransportError::Disconnected {
                        address: address.clone(),
                        reason: reason.to_owned(),
                    }),
                }
            };
            match tokio::time::timeout(timeout, response_later).await {
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
