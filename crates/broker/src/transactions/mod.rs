//! Transactional ids and their transactions.

use crate::broker::Broker;
use crate::change::{Change, TransactionState};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Transactions {
    states: BTreeMap<KafkaString, TransactionState>,
}

pub(crate) enum Verified {
    Known,
    Added,
}

impl Transactions {
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Transaction(state) => _ = self.states.insert(state.id.clone(), state.clone()),
            Change::TransactionDeleted { id } => _ = self.states.remove(id),
            _ => {}
        }
    }

    pub fn has_pending_offset(&self, _group: &KafkaString, _partition: (Uuid, i32)) -> bool {
        false
    }

    pub fn forget_topic(&mut self, _topic: Uuid) {}

    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        self.states.values().cloned().map(Change::Transaction)
    }

    pub fn next_timer(&self) -> Option<i64> {
        None
    }
}

pub(crate) fn verify_append(
    _broker: &mut Broker,
    _now_ms: i64,
    _producer: (&KafkaString, (i64, i16)),
    _partition: (Uuid, i32),
    _is_v2: bool,
) -> Result<Verified, ErrorCode> {
    Err(ErrorCode::INVALID_TXN_STATE)
}

pub(crate) fn tick(_broker: &mut Broker, _now_ms: i64) {}
