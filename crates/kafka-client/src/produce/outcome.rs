//! The outcome of a record. Records share the outcome of their batch, so that a record costs nothing but a reference.

use std::sync::{Arc, OnceLock};

use millstream_kafka_wire::ErrorCode;
use tokio::sync::Notify;

use crate::TopicPartition;
use crate::error::ClientError;

/// Why records were not written, or are not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProduceError {
    #[error("writing to partition {partition}: the broker responded with {code}{}", detail(.message))]
    Broker {
        partition: TopicPartition,
        code: ErrorCode,
        message: Option<String>,
    },
    #[error(
        "records for partition {partition} could not be written within {timeout_ms} ms ('delivery.timeout.ms')"
    )]
    Expired {
        partition: TopicPartition,
        timeout_ms: u64,
    },
    #[error(
        "it is not known whether records for partition {0} were written; they are not repeated, so as not to double them"
    )]
    Unknown(TopicPartition),
    #[error("record of {size} bytes exceeds the limit of {limit} ('max.request.size')")]
    RecordTooLarge { size: usize, limit: usize },
    #[error("no room for more records within {timeout_ms} ms; raise 'buffer.memory' or 'max.block.ms'")]
    BufferFull { timeout_ms: u64 },
    #[error("partition {0} does not exist")]
    NoSuchPartition(TopicPartition),
    #[error("the transaction was aborted")]
    Aborted,
    #[error("transaction '{transactional_id}' must be aborted: {reason}")]
    AbortableTransaction {
        transactional_id: String,
        reason: String,
    },
    #[error(
        "producer '{transactional_id}' was fenced by a newer one with the same id, or its transaction timed out"
    )]
    Fenced { transactional_id: String },
    #[error("producer is not usable: {0}")]
    State(&'static str),
    #[error("batch cannot be built: {0}")]
    Batch(String),
    #[error(transparent)]
    Client(#[from] ClientError),
}

fn detail(message: &Option<String>) -> String {
    message
        .as_ref()
        .map(|message| format!(" ({message})"))
        .unwrap_or_default()
}

impl ProduceError {
    /// Whether the producer is unusable, even for another transaction.
    pub fn is_fatal(&self) -> bool {
        matches!(self, ProduceError::Fenced { .. })
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPosition {
    pub partition: i32,
    /// -1 if the broker did not say: `acks=0`, or a repeated batch that it had already.
    pub offset: i64,
    /// The time of the append if the topic uses that, else -1.
    pub append_time_ms: i64,
}

/// How a batch ended.
#[derive(Debug)]
pub(super) enum Ended {
    Written {
        base_offset: i64,
        append_time_ms: i64,
    },
    Failed(ProduceError),
    /// It was too large: the records from each index on went into a batch of their own.
    Split(Vec<(i32, Arc<Outcome>)>),
}

/// Shared by the records of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    ended: OnceLock<Ended>,
    news: Notify,
}

impl Outcome {
    pub fn end(&self, ended: Ended) {
        // The first outcome counts; by construction there is no second one.
        let _ = self.ended.set(ended);
        self.news.notify_waiters();
    }

    async fn wait(&self) -> &Ended {
        loop {
            let news = self.news.notified();
            if let Some(ended) = self.ended.get() {
                return ended;
            }
            news.await;
        }
    }
}

/// A record on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(super) partition: i32,
    pub(super) outcome: Arc<Outcome>,
    pub(super) index: i32,
}

impl Delivery {
    /// Waits until the record is written or has failed.
    pub async fn wait(&self) -> Result<RecordPosition, ProduceError> {
        let mut outcome = self.outcome.clone();
        let mut index = self.index;
        loop {
            let next = match outcome.wait().await {
                Ended::Written {
                    base_offset,
                    append_time_ms,
                } => {
                    let offset = if *base_offset < 0 {
                        -1
                    } else {
                        base_offset + i64::from(index)
                    };
                    return Ok(RecordPosition {
                        partition: self.partition,
                        offset,
                        append_time_ms: *append_time_ms,
                    });
                }
                Ended::Failed(error) => return Err(error.clone()),
                Ended::Split(parts) => {
                    let part = parts.iter().rev().find(|(first, _)| *first <= index);
                    part.map(|(first, part)| (index - first, part.clone()))
                }
            };
            let Some((index_of_part, part)) = next else {
                return Err(ProduceError::State("a record was lost in a split batch"));
            };
            (index, outcome) = (index_of_part, part);
        }
    }

    /// The result if there is one by now.
    pub fn is_done(&self) -> bool {
        self.outcome.ended.get().is_some()
    }
}
