//! The state machine of a transactional producer, for both versions of transactions. In version 1 a request adds
//! partitions before anything is sent to them; in version 2 (KIP-890) producing adds them, and every transaction has
//! its own epoch.

use std::collections::BTreeSet;

use millstream_kafka_wire::ErrorCode;

use super::outcome::ProduceError;
use crate::TopicPartition;

/// State of a transactional producer.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// `init_transactions` has not been called, or not since the last transaction was prepared.
    Uninitialized,
    Ready,
    Open,
    /// A commit, abort or preparation is in flight.
    Ending,
    /// Prepared: only the prepared transaction itself may be ended now.
    Prepared,
    /// Only an abort is left.
    MustAbort(ProduceError),
    /// Nothing is left.
    Fatal(ProduceError),
}

pub(super) struct Transaction {
    pub id: String,
    pub phase: Phase,
    pub v2: bool,
    /// The broker knows of the transaction: there is something to end.
    pub started: bool,
    pub added: BTreeSet<TopicPartition>,
    pub adding: bool,
    /// An error has left the epoch in doubt: the next transaction needs another.
    pub renew_epoch: bool,
}

impl Transaction {
    pub fn new(id: String) -> Self {
        Transaction {
            id,
            phase: Phase::Uninitialized,
            v2: false,
            started: false,
            added: BTreeSet::new(),
            adding: false,
            renew_epoch: false,
        }
    }

    /// Fails unless the transaction is open for records.
    pub fn check_open(&self) -> Result<(), ProduceError> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Uninitialized => Err(ProduceError::State("init_transactions must be called first")),
            Phase::Ready => Err(ProduceError::State("no transaction has begun")),
            Phase::Ending => Err(ProduceError::State("the transaction is being ended")),
            Phase::Prepared => Err(ProduceError::State(
                "the transaction is prepared and takes no more records",
            )),
            Phase::MustAbort(error) | Phase::Fatal(error) => Err(error.clone()),
        }
    }

    /// Whether a partition is part of the transaction; if not, it is noted to be added.
    pub fn may_send_to(&mut self, partition: &TopicPartition, to_add: &mut Vec<TopicPartition>) -> bool {
        if self.v2 {
            // Sending adds it, so from now on the broker may know.
            self.started = true;
            return true;
        }
        if self.added.contains(partition) {
            return true;
        }
        if !self.adding {
            to_add.push(partition.clone());
        }
        false
    }

    pub fn begin(&mut self) -> Result<(), ProduceError> {
        match &self.phase {
            Phase::Ready => {
                self.phase = Phase::Open;
                self.started = false;
                self.added.clear();
                Ok(())
            }
            Phase::Open => Err(ProduceError::State("a transaction has begun already")),
            _ => self.check_open(),
        }
    }

    /// The error after which nothing of the transaction is sent any more.
    pub fn dead_end(&self) -> Option<ProduceError> {
        match &self.phase {
            Phase::MustAbort(error) | Phase::Fatal(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Moves to the state that an error leaves possible.
    pub fn note_error(&mut self, error: &ProduceError) {
        self.renew_epoch = true;
        if matches!(self.phase, Phase::Fatal(_) | Phase::MustAbort(_)) {
            return;
        }
        let code = match error {
            ProduceError::Broker { code, .. } => Some(*code),
            ProduceError::Client(error) => error.code(),
            _ => None,
        };
        self.phase = if code.is_some_and(is_fatal) {
            Phase::Fatal(ProduceError::Fenced {
                transactional_id: self.id.clone(),
            })
        } else {
            Phase::MustAbort(ProduceError::AbortableTransaction {
                transactional_id: self.id.clone(),
                reason: error.to_string(),
            })
        };
    }
}

/// Errors after which this producer id and epoch cannot be used any more.
fn is_fatal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PRODUCER_FENCED
            | ErrorCode::TRANSACTION_COORDINATOR_FENCED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
    )
}
