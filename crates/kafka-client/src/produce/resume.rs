//! Ending a transaction by its identity alone: from the producer that wrote it, or after a restart from another
//! process that has kept the identity.

use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::end_txn::EndTxnRequest;
use millstream_kafka_wire::messages::init_producer_id::InitProducerIdRequest;

use super::driver::INIT_PRODUCER_LAST_VERSION;
use crate::client::{CoordinatorType, KafkaClient};
use crate::error::ClientError;

/// From this version on, ending a transaction also bumps the epoch (KIP-890).
const EPOCH_PER_TRANSACTION_VERSION: i16 = 5;

/// A transaction whose records are all written. Any holder of this value can end it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreparedTransaction {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// The kind of the transaction (KIP-890), which must not change before it ends.
    pub transactions_v2: bool,
    /// Nothing was written: there is nothing to end.
    pub is_empty: bool,
}

/// The coordinator's response to the end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndOutcome {
    /// It has ended so, now or before. The identity for the next transaction of this producer.
    Ended { producer_id: i64, producer_epoch: i16 },
    /// The coordinator does not know the transaction: it was aborted, or it has ended and the id was used again. Only
    /// data written within the transaction can tell which.
    Doubtful(ErrorCode),
}

impl KafkaClient {
    /// Commits or aborts a prepared transaction, repeating the request for `default.api.timeout.ms`. A retriable error
    /// means that it is still to be done.
    pub async fn end_transaction(
        &self,
        prepared: &PreparedTransaction,
        commit: bool,
    ) -> Result<EndOutcome, ClientError> {
        let same = EndOutcome::Ended {
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
        };
        if prepared.is_empty {
            return Ok(same);
        }
        let id = prepared.transactional_id.as_str();
        let request = EndTxnRequest {
            transactional_id: id.into(),
            producer_id: prepared.producer_id,
            producer_epoch: prepared.producer_epoch,
            committed: commit,
        };
        let versions = if prepared.transactions_v2 {
            (EPOCH_PER_TRANSACTION_VERSION, i16::MAX)
        } else {
            (0, EPOCH_PER_TRANSACTION_VERSION - 1)
        };
        let of = CoordinatorType::Transaction;
        let response = self
            .call_coordinator(of, id, versions, request, |r| r.error_code)
            .await?;
        match response.error_code {
            ErrorCode::NONE if prepared.transactions_v2 && response.producer_id >= 0 => {
                Ok(EndOutcome::Ended {
                    producer_id: response.producer_id,
                    producer_epoch: response.producer_epoch,
                })
            }
            ErrorCode::NONE => Ok(same),
            code @ (ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::INVALID_TXN_STATE
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::TRANSACTIONAL_ID_NOT_FOUND) => Ok(EndOutcome::Doubtful(code)),
            code => Err(ClientError::broker(format!("ending transaction '{id}'"), code)),
        }
    }

    /// Fences the current user of a transactional id, and aborts its open transaction.
    pub async fn fence_producer(&self, transactional_id: &str, timeout_ms: i32) -> Result<(), ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id.into()),
            transaction_timeout_ms: timeout_ms,
            ..Default::default()
        };
        let versions = (0, INIT_PRODUCER_LAST_VERSION);
        let of = CoordinatorType::Transaction;
        let response = self
            .call_coordinator(of, transactional_id, versions, request, |r| r.error_code)
            .await?;
        let what = || format!("fencing '{transactional_id}'");
        response
            .error_code
            .check()
            .map_err(|code| ClientError::broker(what(), code))
    }
}
