//! The operations of a transactional producer: begin, add offsets, prepare, commit, abort.

use std::collections::BTreeMap;

use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use millstream_kafka_wire::messages::init_producer_id::InitProducerIdRequest;
use millstream_kafka_wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};

use super::Producer;
use super::core::{Identity, ProduceCore};
use super::driver::INIT_PRODUCER_LAST_VERSION;
use super::outcome::ProduceError;
use super::resume::{EndOutcome, PreparedTransaction};
use super::transaction::Phase;
use crate::TopicPartition;
use crate::admin::CommittedOffset;
use crate::client::{CoordinatorType, lock};
use crate::error::ClientError;
use crate::transport::Target;

/// From this version on committing offsets adds the group to the transaction.
const IMPLICIT_OFFSETS_VERSION: i16 = 5;
/// From this version on transactions can be prepared to outlive their timeout.
const TWO_PHASE_VERSION: i16 = 6;

/// Options for taking over a transactional id.
#[derive(Clone, Copy, Debug, Default)]
pub struct InitOptions {
    /// Prepared transactions do not time out (KIP-939; not every broker can).
    pub two_phase_commit: bool,
    /// A transaction that was prepared before is kept, to be ended by its identity.
    pub keep_prepared: bool,
}

/// The coordinator's response to InitProducerId.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitOutcome {
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// The identity of the transaction that was kept.
    pub ongoing: Option<(i64, i16)>,
}

impl ProduceCore {
    /// The transactional id and its current identity.
    pub(super) fn transactional_identity(&self) -> Option<(String, i64, i16)> {
        let transaction = self.transaction.as_ref()?;
        match self.identity {
            Identity::Known {
                producer_id,
                producer_epoch,
            } => Some((transaction.id.clone(), producer_id, producer_epoch)),
            _ => None,
        }
    }

    pub(super) fn partitions_added(
        &mut self,
        partitions: Vec<TopicPartition>,
        result: Result<(), ClientError>,
    ) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.adding = false;
        match result {
            Ok(()) => {
                transaction.started = true;
                transaction.added.extend(partitions);
            }
            Err(error) => {
                let error = ProduceError::Client(error);
                transaction.note_error(&error);
                self.fail_waiting(&error);
            }
        }
    }

    fn set_phase(&mut self, phase: Phase) {
        if let Some(transaction) = &mut self.transaction {
            transaction.phase = phase;
        }
    }
}

impl Producer {
    /// Takes over the transactional id: fences its previous user, aborts its open transaction, and gets a new epoch.
    /// Call once before the first transaction, and again after a prepared one.
    pub async fn init_transactions(&self, options: InitOptions) -> Result<InitOutcome, ProduceError> {
        let (id, timeout) = {
            let core = lock(&self.shared.core);
            let transaction = core.transaction.as_ref();
            let transaction = transaction.ok_or(ProduceError::State("it has no 'transactional.id'"))?;
            (transaction.id.clone(), core.config.transaction_timeout)
        };
        let client = &self.shared.client;
        let of = CoordinatorType::Transaction;
        let request = InitProducerIdRequest {
            transactional_id: Some(id.as_str().into()),
            transaction_timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            producer_id: -1,
            producer_epoch: -1,
            enable2_pc: options.two_phase_commit,
            keep_prepared_txn: options.keep_prepared,
        };
        let two_phase = options.two_phase_commit || options.keep_prepared;
        let versions = if two_phase {
            (TWO_PHASE_VERSION, i16::MAX)
        } else {
            (0, INIT_PRODUCER_LAST_VERSION)
        };
        let response = client
            .call_coordinator(of, &id, versions, request, |r| r.error_code)
            .await?;
        if let Err(code) = response.error_code.check() {
            return Err(ClientError::broker(format!("taking over transactional id '{id}'"), code).into());
        }
        let node = client.coordinator(of, &id).await?;
        let v2 = client.versions(Target::Node(node)).await?.has_transactions_v2();
        let mut core = lock(&self.shared.core);
        core.first_error = None;
        core.identity_arrived(response.producer_id, response.producer_epoch);
        if let Some(transaction) = &mut core.transaction {
            transaction.v2 = v2;
            transaction.phase = Phase::Ready;
            transaction.started = false;
            transaction.renew_epoch = false;
            transaction.adding = false;
            transaction.added.clear();
        }
        let ongoing = (response.ongoing_txn_producer_id >= 0).then_some((
            response.ongoing_txn_producer_id,
            response.ongoing_txn_producer_epoch,
        ));
        let (producer_id, producer_epoch) = (response.producer_id, response.producer_epoch);
        Ok(InitOutcome {
            producer_id,
            producer_epoch,
            ongoing,
        })
    }

    pub fn begin_transaction(&self) -> Result<(), ProduceError> {
        let mut core = lock(&self.shared.core);
        let transaction = core
            .transaction
            .as_mut()
            .ok_or(ProduceError::State("it has no 'transactional.id'"))?;
        transaction.begin()?;
        core.first_error = None;
        Ok(())
    }

    /// Commits offsets of a group as part of the transaction.
    pub async fn send_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<(), ProduceError> {
        let result = self.try_send_offsets(group, offsets).await;
        let mut core = lock(&self.shared.core);
        match result {
            Ok(()) => {
                if let Some(transaction) = &mut core.transaction {
                    transaction.started = true;
                }
                Ok(())
            }
            Err(error) => {
                core.abort_transaction(&error);
                Err(error)
            }
        }
    }

    async fn try_send_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<(), ProduceError> {
        let (id, producer_id, producer_epoch, v2) = self.open_identity()?;
        let client = &self.shared.client;
        if !v2 {
            let request = AddOffsetsToTxnRequest {
                transactional_id: id.as_str().into(),
                producer_id,
                producer_epoch,
                group_id: group.into(),
            };
            let of = CoordinatorType::Transaction;
            let reply = client
                .call_coordinator(of, &id, (0, i16::MAX), request, |r| r.error_code)
                .await?;
            let what = || format!("adding group '{group}' to transaction '{id}'");
            reply
                .error_code
                .check()
                .map_err(|code| ClientError::broker(what(), code))?;
            // From here on the transaction has to be ended, whatever becomes of the offsets.
            if let Some(transaction) = &mut lock(&self.shared.core).transaction {
                transaction.started = true;
            }
        }
        let request = TxnOffsetCommitRequest {
            transactional_id: id.as_str().into(),
            group_id: group.into(),
            producer_id,
            producer_epoch,
            topics: offset_topics(offsets),
            ..Default::default()
        };
        let versions = if v2 {
            (IMPLICIT_OFFSETS_VERSION, i16::MAX)
        } else {
            (0, IMPLICIT_OFFSETS_VERSION - 1)
        };
        let of = CoordinatorType::Group;
        let reply = client
            .call_coordinator(of, group, versions, request, offsets_error)
            .await?;
        let what = || format!("committing offsets of group '{group}' in transaction '{id}'");
        Ok(offsets_error(&reply)
            .check()
            .map_err(|code| ClientError::broker(what(), code))?)
    }

    fn open_identity(&self) -> Result<(String, i64, i16, bool), ProduceError> {
        let core = lock(&self.shared.core);
        let transaction = core
            .transaction
            .as_ref()
            .ok_or(ProduceError::State("it has no 'transactional.id'"))?;
        transaction.check_open()?;
        let (id, producer_id, producer_epoch) = core
            .transactional_identity()
            .ok_or(ProduceError::State("init_transactions must be called first"))?;
        Ok((id, producer_id, producer_epoch, transaction.v2))
    }

    /// Writes all records and closes the transaction for more, without ending it.
    /// [`KafkaClient::end_transaction`](crate::KafkaClient::end_transaction) ends it, in any process that has the
    /// returned value.
    pub async fn prepare(&self) -> Result<PreparedTransaction, ProduceError> {
        self.open_identity()?;
        self.flush().await?;
        let (transactional_id, producer_id, producer_epoch, transactions_v2) = self.open_identity()?;
        let mut core = lock(&self.shared.core);
        let is_empty = core
            .transaction
            .as_ref()
            .is_none_or(|transaction| !transaction.started);
        core.set_phase(Phase::Prepared);
        Ok(PreparedTransaction {
            transactional_id,
            producer_id,
            producer_epoch,
            transactions_v2,
            is_empty,
        })
    }

    /// Writes all records and commits.
    pub async fn commit_transaction(&self) -> Result<(), ProduceError> {
        let prepared = self.prepare().await?;
        self.end(&prepared, true).await
    }

    /// Drops the pending records of the transaction and aborts it. This also recovers from errors that allow nothing
    /// else.
    pub async fn abort_transaction(&self) -> Result<(), ProduceError> {
        let prepared = {
            let mut core = lock(&self.shared.core);
            let (transactional_id, producer_id, producer_epoch) = core
                .transactional_identity()
                .ok_or(ProduceError::State("init_transactions must be called first"))?;
            let transaction = core
                .transaction
                .as_ref()
                .ok_or(ProduceError::State("it has no 'transactional.id'"))?;
            match &transaction.phase {
                Phase::Open | Phase::MustAbort(_) => {}
                Phase::Fatal(error) => return Err(error.clone()),
                _ => return Err(ProduceError::State("no transaction has begun")),
            }
            let prepared = PreparedTransaction {
                transactional_id,
                producer_id,
                producer_epoch,
                transactions_v2: transaction.v2,
                is_empty: false,
            };
            core.set_phase(Phase::Ending);
            core.fail_waiting(&ProduceError::Aborted);
            prepared
        };
        self.wait_for_responses().await;
        let (started, renew_epoch) = {
            let mut core = lock(&self.shared.core);
            // Batches that came back for a retry meanwhile are dropped too.
            core.fail_waiting(&ProduceError::Aborted);
            core.first_error = None;
            let transaction = core.transaction.as_ref();
            transaction.map_or((false, false), |t| (t.started, t.renew_epoch))
        };
        let prepared = PreparedTransaction {
            is_empty: !started,
            ..prepared
        };
        self.end(&prepared, false).await?;
        let unchanged = Identity::Known {
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
        };
        if renew_epoch && lock(&self.shared.core).identity == unchanged {
            self.init_transactions(InitOptions::default()).await?;
        }
        Ok(())
    }

    async fn wait_for_responses(&self) {
        loop {
            let progressed = self.shared.progressed.notified();
            let idle = {
                let core = lock(&self.shared.core);
                core.in_flight() == 0
                    && core
                        .transaction
                        .as_ref()
                        .is_none_or(|transaction| !transaction.adding)
            };
            if idle {
                return;
            }
            progressed.await;
        }
    }

    async fn end(&self, prepared: &PreparedTransaction, commit: bool) -> Result<(), ProduceError> {
        let result = self.shared.client.end_transaction(prepared, commit).await;
        let mut core = lock(&self.shared.core);
        match result {
            Ok(EndOutcome::Ended {
                producer_id,
                producer_epoch,
            }) => {
                let new = Identity::Known {
                    producer_id,
                    producer_epoch,
                };
                if core.identity != new {
                    core.identity_arrived(producer_id, producer_epoch);
                }
                core.set_phase(Phase::Ready);
                Ok(())
            }
            // The coordinator has aborted the transaction already, which is what was requested.
            Ok(EndOutcome::Doubtful(ErrorCode::INVALID_TXN_STATE)) if !commit => {
                core.set_phase(Phase::Ready);
                Ok(())
            }
            Ok(EndOutcome::Doubtful(_)) => {
                let error = ProduceError::Fenced {
                    transactional_id: prepared.transactional_id.clone(),
                };
                core.set_phase(Phase::Fatal(error.clone()));
                Err(error)
            }
            Err(error) => {
                // The outcome is unknown. Only the coordinator can tell, by a new epoch.
                core.set_phase(Phase::Uninitialized);
                Err(error.into())
            }
        }
    }
}

fn offset_topics(offsets: &BTreeMap<TopicPartition, CommittedOffset>) -> Vec<TxnOffsetCommitRequestTopic> {
    let mut topics: Vec<TxnOffsetCommitRequestTopic> = Vec::new();
    for (partition, committed) in offsets {
        let offset = TxnOffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(committed.metadata.as_deref().unwrap_or_default().into()),
        };
        match topics.last_mut().filter(|topic| topic.name == partition.topic) {
            Some(topic) => topic.partitions.push(offset),
            None => {
                topics.push(TxnOffsetCommitRequestTopic {
                    name: partition.topic.clone(),
                    partitions: vec![offset],
                });
            }
        }
    }
    topics
}

fn offsets_error(response: &TxnOffsetCommitResponse) -> ErrorCode {
    let codes = response
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| p.error_code));
    codes.into_iter().find(|code| code.is_error()).unwrap_or_default()
}
