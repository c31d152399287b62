//! Exactly once in the sink of connector `kafka`: transactions that outlive the process.
//!
//! The rows between two barriers go into one transaction. At the barrier everything is written and the transaction is
//! closed for more; its identity goes into the checkpoint. When the checkpoint is durable the transaction is committed,
//! after a restart by its identity alone, for as long as it takes. So nothing is committed that a checkpoint does not
//! hold, and what a checkpoint holds is committed.
//!
//! - **Ids.** Each instance owns [`SLOTS`] transactional ids `<prefix>-<subtask>-<slot>` and uses them in turn. An id
//!   begins a new epoch before it is used again, so a request that was late cannot touch a later transaction.
//! - **Proof.** Inside the transaction the number of the checkpoint is committed as an offset of the group
//!   `<prefix>-<subtask>-committed`. If after a restart the coordinator no longer knows the transaction (it timed out, or
//!   it was committed and its id was used again) the group tells which, once nothing else of the instance is open. If it
//!   was aborted the job stops: its records are gone, and going on would hide that.
//! - **Time.** The embedded broker never times out transactions of its jobs. Elsewhere `transaction.timeout.ms` counts from
//!   the first record; it must be longer than a checkpoint and the longest absence of the job.
//! - **Another parallelism.** What belonged to a subtask that is no more is committed, and its ids are fenced, by the
//!   subtask with the remainder as its number. What an execution with more subtasks left open without a checkpoint is
//!   found by its prefix and aborted by the first subtask.
//!
//! `state` is what a checkpoint holds, `recovery` what happens after a restart, `rivals` finds other jobs with the prefix.
//!
//! Sources: the rules of EndTxn by KIP-890, and what Flink's connector does in the same place.

mod recovery;
mod rivals;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_dataflow::{Context, DataflowError, SinkCommit, StateBlocks, Waker};
use millstream_kafka_client::admin::CommittedOffset;
use millstream_kafka_client::config::ProduceConfig;
use millstream_kafka_client::produce::{EndOutcome, InitOptions};
use millstream_kafka_client::{ClientError, KafkaClient, ProduceError, Producer, TopicPartition};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_types::{CheckpointId, ErrorKind, Rng, failpoint};
use tokio::runtime::Handle;

use self::recovery::{Recovery, end};
use self::rivals::Rivals;
use self::state::{Prepared, Saved, read, transactional_id, written};
use super::background::Background;
use super::splits::with_causes;

/// Transactional ids per instance: one accepts rows, one waits for its checkpoint, one is being committed.
const SLOTS: usize = 3;
/// Default of `transaction.timeout.ms`: the longest that a Kafka cluster with default settings accepts.
pub(super) const TRANSACTION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// How long a cancel waits for the aborts of its transactions.
const ABORT_TIME_MAX: Duration = Duration::from_secs(5);

enum State {
    /// The id needs a new epoch.
    Stale,
    Opening(Background<Result<(), DataflowError>>),
    Ready,
    Open {
        records: u64,
        topic: KafkaString,
    },
    Closing(Background<Result<Prepared, DataflowError>>),
    Prepared(Prepared),
    /// Commits and begins a new epoch.
    Committing(Prepared, Background<Result<(), DataflowError>>),
}

struct Slot {
    producer: Arc<Producer>,
    id: String,
    state: State,
}

/// How a table's transactions are named and started.
#[derive(Clone)]
pub(super) struct TransactionSettings {
    pub prefix: String,
    pub produce: ProduceConfig,
    /// The broker keeps transactions open until they are committed or aborted.
    pub outlive: bool,
}

/// The transactions of one sink instance.
pub(super) struct Transactions {
    settings: TransactionSettings,
    client: KafkaClient,
    runtime: Handle,
    waker: Option<Waker>,
    subtask: usize,
    /// Distinguishes this job's checkpoints from those of another job with the same prefix.
    incarnation: String,
    slots: Vec<Slot>,
    current: usize,
    /// Until the transaction starts.
    recovery: Option<Recovery>,
    recovering: Option<Background<Result<(), DataflowError>>>,
    rivals: Option<Rivals>,
}

impl Transactions {
    /// Must be called inside the runtime.
    pub fn new(
        settings: TransactionSettings,
        client: KafkaClient,
        runtime: Handle,
        rng: &dyn Rng,
        subtask: usize,
    ) -> Self {
        let slot = |number: usize| {
            let id = transactional_id(&settings.prefix, subtask, number);
            let config = ProduceConfig {
                transactional_id: Some(id.clone()),
                idempotence: true,
                ..settings.produce.clone()
            };
            Slot {
                producer: Arc::new(Producer::start(client.clone(), config)),
                id,
                state: State::Stale,
            }
        };
        let slots = (0..SLOTS).map(slot).collect();
        Self {
            slots,
            settings,
            client,
            runtime,
            waker: None,
            subtask,
            incarnation: format!("{:016x}", rng.next_u64()),
            current: 0,
            recovery: Some(Recovery::default()),
            recovering: None,
            rivals: None,
        }
    }

    pub fn restore(&mut self, blocks: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        let recovery = self.recovery.get_or_insert_default();
        for blocks in blocks {
            let Some(saved) = read(blocks)? else { continue };
            let ids = (0..saved.slots).map(|slot| transactional_id(&saved.prefix, saved.subtask, slot));
            // After a change of parallelism, every instance receives the state of all former ones.
            if saved.subtask % context.parallelism.max(1) != self.subtask {
                recovery.of_others.extend(ids);
                continue;
            }
            // After a savepoint, another run may have used the same checkpoint numbers.
            if saved.subtask == self.subtask && !context.is_branch {
                self.incarnation = saved.incarnation;
            }
            recovery.ids.extend(ids);
            recovery.prepared.extend(saved.transactions);
        }
        Ok(())
    }

    pub fn open(&mut self, context: &Context, waker: Waker) {
        self.waker = Some(waker);
        // Instances clean up their own ids by initialising them, which fences the earlier execution.
        if let Some(recovery) = &mut self.recovery {
            recovery.parallelism = (self.subtask == 0).then_some(context.parallelism);
            if recovery.prepared.is_empty() && recovery.ids.is_empty() {
                self.start_recovery();
            }
        }
    }

    /// Whether [`Transactions::producer`] accepts the next row, which goes to `topic`. If not, the worker is woken
    /// later.
    pub fn takes_rows(&mut self, topic: &KafkaString) -> Result<bool, DataflowError> {
        if !self.recover()? {
            return Ok(false);
        }
        self.poll_slot(self.current)?;
        // Closed for a checkpoint that was aborted: new rows belong to the next one.
        if matches!(self.slots[self.current].state, State::Prepared(_)) {
            self.current = (self.current + 1) % self.slots.len();
            self.poll_slot(self.current)?;
        }
        let slot = &mut self.slots[self.current];
        match &slot.state {
            State::Open { .. } => {}
            State::Ready => {
                slot.producer
                    .begin_transaction()
                    .map_err(|e| failed(&format!("cannot begin transaction '{}'", slot.id), &e))?;
                slot.state = State::Open {
                    records: 0,
                    topic: topic.clone(),
                };
            }
            State::Stale => {
                self.renew(self.current);
                return Ok(false);
            }
            State::Opening(_) | State::Closing(_) | State::Prepared(_) | State::Committing(..) => {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The producer of the open transaction.
    pub fn producer(&self) -> &Arc<Producer> {
        &self.slots[self.current].producer
    }

    /// Records that the current producer accepted rows.
    pub fn count(&mut self, rows: usize) {
        if let State::Open { records, .. } = &mut self.slots[self.current].state {
            if *records == 0 && rows > 0 {
                failpoint::hit("transaction-begun");
            }
            *records += rows as u64;
        }
    }

    /// The group under which the numbers of checkpoints are committed.
    fn group(&self) -> String {
        format!("{}-{}-committed", self.settings.prefix, self.subtask)
    }

    fn rivals(&mut self) -> Rivals {
        let group = self.group();
        let (client, prefix, incarnation) = (&self.client, &self.settings.prefix, &self.incarnation);
        let rivals = self
            .rivals
            .get_or_insert_with(|| Rivals::new(client.clone(), prefix, &group, incarnation));
        rivals.clone()
    }

    /// Closes the transaction for `checkpoint`. Once that is done, returns all uncommitted transactions.
    pub fn close(&mut self, checkpoint: CheckpointId) -> Result<Option<SinkCommit>, DataflowError> {
        self.poll_slot(self.current)?;
        let (group, rivals) = (self.group(), self.rivals());
        let slot = &mut self.slots[self.current];
        match &slot.state {
            State::Open { records, topic } => {
                let closing = Closing {
                    producer: Arc::clone(&slot.producer),
                    checkpoint: checkpoint.0,
                    records: *records,
                    topic: topic.clone(),
                    group,
                    incarnation: self.incarnation.clone(),
                    rivals,
                };
                let work = Background::start(&self.runtime, self.waker.clone(), closing.run());
                slot.state = State::Closing(work);
                return Ok(None);
            }
            State::Closing(_) => return Ok(None),
            State::Prepared(_) => self.current = (self.current + 1) % self.slots.len(),
            // The transaction is empty.
            State::Stale | State::Opening(_) | State::Ready | State::Committing(..) => {}
        }
        self.saved().map(Some)
    }

    fn saved(&self) -> Result<SinkCommit, DataflowError> {
        let waiting = self.slots.iter().filter_map(|slot| match &slot.state {
            State::Prepared(prepared) | State::Committing(prepared, _) => Some(prepared),
            _ => None,
        });
        let saved = Saved {
            subtask: self.subtask,
            slots: self.slots.len(),
            prefix: self.settings.prefix.clone(),
            incarnation: self.incarnation.clone(),
            transactions: waiting.cloned().collect(),
        };
        written(&saved)
    }

    /// Commits the transactions of `checkpoint` and of earlier ones. Returns `true` when done.
    pub fn commit(&mut self, checkpoint: CheckpointId) -> Result<bool, DataflowError> {
        if !self.recover()? {
            return Ok(false);
        }
        let mut done = true;
        for index in 0..self.slots.len() {
            self.poll_slot(index)?;
            let slot = &mut self.slots[index];
            let due = matches!(&slot.state, State::Prepared(prepared) if prepared.checkpoint <= checkpoint.0);
            if due && let State::Prepared(prepared) = std::mem::replace(&mut slot.state, State::Stale) {
                let work = finish(
                    self.client.clone(),
                    prepared.clone(),
                    Arc::clone(&slot.producer),
                    self.settings.outlive,
                );
                let work = Background::start(&self.runtime, self.waker.clone(), work);
                slot.state = State::Committing(prepared, work);
            }
            let waiting =
                matches!(&slot.state, State::Committing(prepared, _) if prepared.checkpoint <= checkpoint.0);
            done &= !waiting;
        }
        Ok(done)
    }

    /// Continues recovery from an earlier execution. Returns `true` when nothing is left to do.
    fn recover(&mut self) -> Result<bool, DataflowError> {
        self.start_recovery();
        let Some(work) = &self.recovering else {
            return Ok(true);
        };
        let Some(outcome) = work.poll() else {
            return Ok(false);
        };
        outcome?;
        self.recovering = None;
        self.renew_all();
        Ok(true)
    }

    /// Starts recovery once.
    fn start_recovery(&mut self) {
        let Some(recovery) = self.recovery.take() else {
            return;
        };
        let timeout = self.settings.produce.transaction_timeout;
        let work = recovery.run(
            self.client.clone(),
            self.settings.prefix.clone(),
            i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        );
        self.recovering = Some(Background::start(&self.runtime, self.waker.clone(), work));
    }

    /// Initialises ids that have no epoch yet, which aborts transactions that an earlier execution left open under
    /// them.
    fn renew_all(&mut self) {
        for index in 0..self.slots.len() {
            if matches!(self.slots[index].state, State::Stale) {
                self.renew(index);
            }
        }
    }

    fn renew(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let work = begin_epoch(Arc::clone(&slot.producer), slot.id.clone(), self.settings.outlive);
        slot.state = State::Opening(Background::start(&self.runtime, self.waker.clone(), work));
    }

    /// Collects the results of background tasks.
    fn poll_slot(&mut self, index: usize) -> Result<(), DataflowError> {
        let slot = &mut self.slots[index];
        match &slot.state {
            State::Opening(work) | State::Committing(_, work) => {
                if let Some(outcome) = work.poll() {
                    outcome?;
                    slot.state = State::Ready;
                }
            }
            State::Closing(work) => {
                if let Some(outcome) = work.poll() {
                    slot.state = State::Prepared(outcome?);
                }
            }
            State::Stale | State::Ready | State::Open { .. } | State::Prepared(_) => {}
        }
        Ok(())
    }

    /// The job was canceled: nothing open or prepared will be committed, so readers must not wait for it. Waits for the
    /// aborts, because the process may end next.
    pub fn abort_all(&mut self) {
        let mut aborts = tokio::task::JoinSet::new();
        for slot in &mut self.slots {
            let (producer, id) = (Arc::clone(&slot.producer), slot.id.clone());
            match std::mem::replace(&mut slot.state, State::Stale) {
                State::Open { .. } | State::Closing(_) => {
                    let abort = async move { producer.abort_transaction().await.map_err(AbortError::from) };
                    aborts.spawn_on(named(id, abort), &self.runtime);
                }
                State::Prepared(prepared) => {
                    let client = self.client.clone();
                    let abort = async move {
                        let ended = client.end_transaction(&prepared.identity(), false).await;
                        ended.map(|_| ()).map_err(AbortError::from)
                    };
                    aborts.spawn_on(named(id, abort), &self.runtime);
                }
                // A commit that has started cannot be undone.
                other @ (State::Stale | State::Opening(_) | State::Ready | State::Committing(..)) => {
                    slot.state = other;
                }
            }
        }
        let all = async move {
            while let Some(outcome) = aborts.join_next().await {
                if let Ok(Err((id, error))) = outcome {
                    tracing::warn!(
                        transactional_id = id,
                        %error,
                        "a transaction of a canceled job was not aborted; it ends with 'transaction.timeout.ms', or \
                         with the next job that uses its id"
                    );
                }
            }
        };
        let limited = async { tokio::time::timeout(ABORT_TIME_MAX, all).await };
        if self.runtime.block_on(limited).is_err() {
            tracing::warn!("not all transactions of a canceled job were aborted in time");
        }
    }

    /// Aborts the open transaction, so that readers need not wait for its timeout. Prepared transactions stay.
    pub fn abandon(&mut self) {
        for slot in &mut self.slots {
            if matches!(slot.state, State::Open { .. }) {
                let (producer, id) = (Arc::clone(&slot.producer), slot.id.clone());
                slot.state = State::Stale;
                self.runtime.spawn(async move {
                    if let Err(error) = producer.abort_transaction().await {
                        tracing::debug!(transactional_id = id, %error, "an open transaction was not aborted");
                    }
                });
            }
        }
    }
}

/// Why a transaction of a canceled job was not aborted.
#[derive(Debug, thiserror::Error)]
enum AbortError {
    #[error(transparent)]
    Producer(#[from] ProduceError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// An abort whose error names the transaction.
async fn named(
    id: String,
    abort: impl Future<Output = Result<(), AbortError>>,
) -> Result<(), (String, AbortError)> {
    abort.await.map_err(|error| (id, error))
}

/// The parameters of closing a transaction.
struct Closing {
    producer: Arc<Producer>,
    checkpoint: u64,
    records: u64,
    topic: KafkaString,
    group: String,
    incarnation: String,
    rivals: Rivals,
}

impl Closing {
    /// Flushes, writes the checkpoint number, and accepts no more rows.
    async fn run(self) -> Result<Prepared, DataflowError> {
        let topic = self.topic.to_string();
        self.rivals.look(&topic).await;
        match self.prepare().await {
            Ok(prepared) => Ok(prepared),
            Err(error) => {
                let rival = self.rivals.explain(&topic, &error).await;
                Err(rival.unwrap_or_else(|| self.failed(&error)))
            }
        }
    }

    fn failed(&self, error: &ProduceError) -> DataflowError {
        let action = format!(
            "cannot write topic '{}' for checkpoint {}",
            self.topic, self.checkpoint
        );
        failed(&action, error)
    }

    async fn prepare(&self) -> Result<Prepared, ProduceError> {
        self.producer.flush().await?;
        failpoint::hit("transaction-flushed");
        let number = CommittedOffset {
            offset: i64::try_from(self.checkpoint).unwrap_or(i64::MAX),
            leader_epoch: -1,
            metadata: Some(self.incarnation.clone()),
        };
        let offsets = BTreeMap::from([(TopicPartition::new(self.topic.clone(), 0), number)]);
        self.producer.send_offsets(&self.group, &offsets).await?;
        failpoint::hit("transaction-proved");
        let prepared = self.producer.prepare().await?;
        failpoint::hit("transaction-prepared");
        Ok(Prepared {
            checkpoint: self.checkpoint,
            transactional_id: prepared.transactional_id,
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
            transactions_v2: prepared.transactions_v2,
            records: self.records,
            group: self.group.clone(),
            topic: self.topic.to_string(),
            incarnation: self.incarnation.clone(),
        })
    }
}

/// Starts a new epoch of a transactional id, which aborts its open transaction.
async fn begin_epoch(producer: Arc<Producer>, id: String, outlive: bool) -> Result<(), DataflowError> {
    let options = InitOptions {
        two_phase_commit: outlive,
        keep_prepared: false,
    };
    let outcome = producer.init_transactions(options).await;
    outcome.map(|_| ()).map_err(|error| {
        let action = format!("cannot begin with transactional id '{id}'");
        let code = match &error {
            ProduceError::Client(error) => error.code(),
            _ => None,
        };
        if code == Some(ErrorCode::INVALID_TRANSACTION_TIMEOUT) {
            let text = with_causes(&action, &error);
            let remedy = "set 'properties.transaction.timeout.ms' to at most the broker's \
                          'transaction.max.timeout.ms'";
            return DataflowError::new(ErrorKind::Input, format!("{text}; {remedy}"));
        }
        failed(&action, &error)
    })
}

/// Commits, then initialises the id for its next transaction.
async fn finish(
    client: KafkaClient,
    prepared: Prepared,
    producer: Arc<Producer>,
    outlive: bool,
) -> Result<(), DataflowError> {
    failpoint::hit("commit-begun");
    let ended = end(&client, &prepared).await?;
    failpoint::hit("commit-ended");
    if let EndOutcome::Doubtful(code) = ended {
        let message = format!(
            "the coordinator does not know transaction '{}' of checkpoint {} any more ({code}); whether it was \
             committed is found out when the job restarts",
            prepared.transactional_id, prepared.checkpoint
        );
        return Err(DataflowError::new(ErrorKind::Environment, message));
    }
    begin_epoch(producer, prepared.transactional_id, outlive).await?;
    failpoint::hit("epoch-begun");
    Ok(())
}

fn failed(action: &str, error: &ProduceError) -> DataflowError {
    DataflowError::new(ErrorKind::Environment, with_causes(action, error))
}
