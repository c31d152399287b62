//! Transactional producers of both versions of the protocol (TV1 and TV2), with everything that happens to them: lost
//! responses, death in the middle, a second instance with the same id, transactions that time out.
//!
//! They are correct clients: a request without a response is repeated with the same sequence until there is one; with TV1
//! the epoch is raised by InitProducerId whenever the response to anything was lost, as a late request could otherwise
//! meet a later transaction.

use crate::history::{Order, PARTITIONS, TransactionId};
use crate::producers::{acknowledge, batch, produce_request, produced, write};
use crate::reader::{Reader, TOPIC};
use crate::world::{Client, Handle};
use millstream_kafka_wire::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use millstream_kafka_wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use millstream_kafka_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest,
    InitProducerIdRequest, TxnOffsetCommitRequest,
};
use millstream_kafka_wire::record_batch::BatchProducer;
use millstream_kafka_wire::{ErrorCode, KafkaString, RequestMessage, Uuid};
use std::collections::BTreeSet;

const TIMEOUT_MS: i32 = 8_000;
const COORDINATOR_OF_TRANSACTIONS: i8 = 1;

/// Which version of the protocol a producer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

/// Why a transaction does not continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// It must be aborted.
    Abort,
    /// Another instance or the broker's timer has ended it; this one must begin again.
    Fenced,
}

struct Producer {
    world: Handle,
    client: Client,
    version: Version,
    writer: usize,
    id: KafkaString,
    topic_id: Uuid,
    producer_id: i64,
    epoch: i16,
    sequences: [i32; PARTITIONS],
    /// Something got no response since the epoch was raised.
    is_in_doubt: bool,
    /// The request that raised the epoch was sent more than once; a copy of it may arrive still.
    may_be_raised_late: bool,
    /// When the transaction began at the earliest.
    began_ms: i64,
    added: BTreeSet<usize>,
}

/// The name of the group whose offsets a transactional writer commits.
pub fn group_of(writer: usize) -> String {
    format!("of-writer-{writer}")
}

/// A number for a transactional id that all its instances share.
pub fn writer(world: &Handle) -> usize {
    world.history(|history| history.writer(Order::Sorted))
}

/// One instance of a producer; it begins again when it is fenced.
pub async fn transactional(world: Handle, topic_id: Uuid, writer: usize, version: Version) {
    world.sleep(world.below(3_000)).await;
    let mut producer = Producer {
        client: Client::new(&world),
        version,
        writer,
        id: format!("transactional-{writer}").into(),
        topic_id,
        producer_id: -1,
        epoch: -1,
        sequences: [0; PARTITIONS],
        is_in_doubt: false,
        may_be_raised_late: false,
        began_ms: 0,
        added: BTreeSet::new(),
        world: world.clone(),
    };
    producer.init(true).await;
    while !world.is_ending() {
        let reads = producer.look().await;
        let transaction = world.history(|history| history.begin(writer, reads));
        let result = producer.run(transaction).await;
        world.history(|history| history.given_up(transaction));
        let must_raise = version == Version::One && producer.is_in_doubt;
        if result == Err(Stopped::Fenced) {
            world.sleep(world.below(500)).await;
            producer.init(true).await;
        } else if must_raise {
            producer.init(false).await;
        }
        world.sleep(world.below(200)).await;
    }
}

impl Producer {
    async fn find_coordinator(&mut self) {
        let version = self.world.below(7) as i16;
        let mut request = FindCoordinatorRequest {
            key_type: COORDINATOR_OF_TRANSACTIONS,
            ..Default::default()
        };
        match version {
            0 => (request.key, request.key_type) = (self.id.clone(), 0),
            1..=3 => request.key = self.id.clone(),
            _ => request.coordinator_keys = vec![self.id.clone()],
        }
        self.client.insist(version, request).await;
    }

    /// A new instance, or only a new epoch for this one.
    async fn init(&mut self, is_new: bool) {
        self.find_coordinator().await;
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id: if is_new { -1 } else { self.producer_id },
            producer_epoch: if is_new { -1 } else { self.epoch },
            ..Default::default()
        };
        let mut is_repeated = false;
        loop {
            let Ok(response) = self.client.call(5, request.clone()).await else {
                is_repeated = true;
                continue;
            };
            match response.error_code {
                ErrorCode::NONE => {
                    (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
                    (self.sequences, self.is_in_doubt) = ([0; PARTITIONS], false);
                    self.may_be_raised_late = is_repeated && !is_new;
                    self.added.clear();
                    return;
                }
                ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::CONCURRENT_TRANSACTIONS => {}
                ErrorCode::PRODUCER_FENCED if !is_new => return Box::pin(self.init(true)).await,
                code => self.unexpected("InitProducerId", code),
            }
            self.world.sleep(100).await;
        }
    }

    fn unexpected(&self, what: &str, code: ErrorCode) {
        let (version, id) = (self.version, &self.id);
        self.world.violation(
            "unexpected-error",
            format!("{what} of '{id}' ({version:?}) gets {code}"),
        );
    }

    /// Sends until there is a response.
    async fn insist<M: RequestMessage + Clone>(&mut self, version: i16, request: M) -> M::Response {
        loop {
            match self.client.call(version, request.clone()).await {
                Ok(response) => return response,
                Err(_) => self.is_in_doubt = true,
            }
        }
    }

    /// Reads some committed records, as an application does that makes its output of them.
    async fn look(&mut self) -> BTreeSet<TransactionId> {
        let mut found = BTreeSet::new();
        if self.world.once_in(4) {
            let mut reader = Reader::new(&self.world, self.topic_id, true);
            for _ in 0..3 {
                reader.poll().await;
            }
            let ids = reader.shown.iter().flatten().map(|(_, id)| *id);
            self.world
                .history(|history| found.extend(ids.filter_map(|id| history.transaction_of(id))));
        }
        found
    }

    async fn run(&mut self, transaction: TransactionId) -> Result<(), Stopped> {
        let world = self.world.clone();
        self.added.clear();
        self.began_ms = world.now_ms();
        let mut result = Ok(());
        for _ in 0..=world.below(4) {
            result = self.produce(transaction).await;
            if result.is_err() {
                break;
            }
            if world.once_in(12) {
                world.sleep(world.below(2 * TIMEOUT_MS as u64)).await; // long enough to time out, at times
            }
        }
        if result.is_ok() && world.once_in(2) {
            result = self.commit_offset(transaction).await;
        }
        if result == Err(Stopped::Fenced) {
            return result;
        }
        if world.once_in(15) {
            // The instance dies; what it has sent may still arrive.
            self.client.forget_connection();
            return Err(Stopped::Fenced);
        }
        let commits = result.is_ok() && !world.once_in(4);
        self.end(transaction, commits).await
    }

    async fn produce(&mut self, transaction: TransactionId) -> Result<(), Stopped> {
        let world = self.world.clone();
        let partition = world.below(PARTITIONS as u64) as usize;
        self.add_partition(partition).await?;
        let ids = write(&world, self.writer, partition, Some(transaction));
        let by = BatchProducer {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence: self.sequences[partition],
            transactional: true,
        };
        let version = match self.version {
            Version::One => 9 + world.below(3) as i16,
            Version::Two => 12 + world.below(2) as i16,
        };
        let records = batch(&world, by, &ids);
        let mut request = produce_request(version, self.topic_id, partition, records);
        request.transactional_id = Some(self.id.clone());
        loop {
            let response = self.insist(version, request.clone()).await;
            match produced(&response) {
                (ErrorCode::NONE, offset) => {
                    acknowledge(&world, &ids, offset);
                    self.sequences[partition] += ids.len() as i32;
                    return Ok(());
                }
                (ErrorCode::KAFKA_STORAGE_ERROR, _) => world.sleep(50).await,
                (ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED, _) => {
                    return Err(Stopped::Fenced);
                }
                (code, _) => {
                    self.unexpected("Produce", code);
                    return Err(Stopped::Abort);
                }
            }
        }
    }

    /// With version 1 a partition must be added before it is produced to.
    async fn add_partition(&mut self, partition: usize) -> Result<(), Stopped> {
        if self.version == Version::Two || !self.added.insert(partition) {
            return Ok(());
        }
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: KafkaString::from_static(TOPIC),
                partitions: vec![partition as i32],
            }],
            ..Default::default()
        };
        loop {
            let response = self.insist(self.world.below(4) as i16, request.clone()).await;
            let code = response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
            if self.goes_on("AddPartitionsToTxn", code).await? {
                return Ok(());
            }
        }
    }

    /// Whether a response is a good one; false if the request is to be repeated.
    async fn goes_on(&mut self, what: &str, code: ErrorCode) -> Result<bool, Stopped> {
        match code {
            ErrorCode::NONE => Ok(true),
            ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::CONCURRENT_TRANSACTIONS => {
                self.world.sleep(50).await;
                Ok(false)
            }
            ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH => Err(Stopped::Fenced),
            code => {
                self.unexpected(what, code);
                Err(Stopped::Abort)
            }
        }
    }

    /// Commits the transaction's own number as offset, so that it can be seen whether that is as atomic as its records.
    async fn commit_offset(&mut self, transaction: TransactionId) -> Result<(), Stopped> {
        let group_id = KafkaString::from(group_of(self.writer));
        self.world
            .history(|history| history.add_offset(transaction, transaction as i64));
        if self.version == Version::One {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.id.clone(),
                producer_id: self.producer_id,
                producer_epoch: self.epoch,
                group_id: group_id.clone(),
            };
            loop {
                let response = self.insist(self.world.below(5) as i16, request.clone()).await;
                if self.goes_on("AddOffsetsToTxn", response.error_code).await? {
                    break;
                }
            }
        }
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id,
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: KafkaString::from_static(TOPIC),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: transaction as i64,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let version = match self.version {
            Version::One => self.world.below(5) as i16,
            Version::Two => 5,
        };
        loop {
            let response = self.insist(version, request.clone()).await;
            let code = response.topics[0].partitions[0].error_code;
            if self.goes_on("TxnOffsetCommit", code).await? {
                return Ok(());
            }
        }
    }

    async fn end(&mut self, transaction: TransactionId, commits: bool) -> Result<(), Stopped> {
        let now_ms = self.world.now_ms();
        if commits {
            self.world
                .history(|history| history.ask_commit(now_ms, transaction, &group_of(self.writer)));
        }
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed: commits,
        };
        let version = match self.version {
            Version::One => self.world.below(5) as i16,
            Version::Two => 5,
        };
        let mut is_repeated = false;
        loop {
            let Ok(response) = self.client.call(version, request.clone()).await else {
                (self.is_in_doubt, is_repeated) = (true, true);
                continue;
            };
            if response.error_code == ErrorCode::INVALID_TXN_STATE
                && let Some(result) = self.ended_without_response(transaction, commits, is_repeated)
            {
                return result;
            }
            is_repeated = true;
            if self.goes_on("EndTxn", response.error_code).await? {
                if self.version == Version::Two {
                    (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
                    self.sequences = [0; PARTITIONS];
                }
                break;
            }
        }
        if commits {
            let now_ms = self.world.now_ms();
            self.world
                .history(|history| history.committed(now_ms, transaction));
        }
        Ok(())
    }

    /// Whether INVALID_TXN_STATE may be the response to an end, and what it means for the producer.
    fn ended_without_response(
        &self,
        transaction: TransactionId,
        commits: bool,
        is_repeated: bool,
    ) -> Option<Result<(), Stopped>> {
        match self.version {
            // An abort of nothing, or of what the broker has aborted, needs no response that says so.
            Version::One if !commits => Some(Ok(())),
            // A late copy of the request that raised the epoch comes between the commit and its repetition. Kafka, too,
            // takes it for one whose response was lost, leaves the epoch, and has the producer start over (its state is
            // Empty), so that the outcome can no longer be queried: how the transaction ended: it stays as one whose commit was asked
            // for, seen as a whole or not at all.
            Version::One => (is_repeated && self.may_be_raised_late).then_some(Ok(())),
            // The broker has aborted it, and says so to who would commit it.
            Version::Two if commits && self.world.now_ms() - self.began_ms >= i64::from(TIMEOUT_MS) => {
                self.world
                    .history(|history| history.commit_came_late(transaction));
                Some(Err(Stopped::Fenced))
            }
            Version::Two => None,
        }
    }
}
