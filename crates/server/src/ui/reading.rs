//! Reading a range of one partition with what became of each record's transaction.
//!
//! Below the last stable offset the broker names the aborted transactions, so records are committed or aborted. Above it they
//! are open: readers of committed records do not see them yet.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use millstream_kafka_client::KafkaClient;
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::transport::{Call, Target};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::messages::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchTopic, PartitionData,
};
use millstream_kafka_wire::record_batch::{
    BatchError, ControlRecord, Marker, Record, RecordBatch, TimestampType, batches,
};
use serde_json::{Value, json};

use super::error::{UiError, UiResult};
use super::payload::{Filter, shown};
use crate::limits::{UI_BATCH_BYTES_MAX, UI_FETCH_BYTES};

/// The last version of Fetch that names topics; later ones have ids.
const FETCH_BY_NAME: i16 = 12;

/// A record that is shown.
pub struct Found {
    pub offset: i64,
    pub timestamp: i64,
    pub message: Value,
}

/// One request's way through a topic.
pub struct Reading<'a> {
    pub client: &'a KafkaClient,
    pub topic: &'a str,
    pub filter: Option<Filter>,
    pub committed_only: bool,
    /// Records that may still be read.
    pub left: usize,
}

impl Reading<'_> {
    /// The first `wanted` records of `[low, high)`, and where the rest begins.
    pub async fn forwards(
        &mut self,
        partition: i32,
        low: i64,
        high: i64,
        wanted: usize,
    ) -> UiResult<(Vec<Found>, i64)> {
        let mut found = Vec::new();
        let mut at = low;
        while at < high && found.len() < wanted && self.left > 0 {
            let next = self.chunk(partition, at, high, &mut found).await?;
            if next <= at {
                break;
            }
            at = next;
        }
        // A batch may hold more than was requested.
        if let Some(extra) = found.get(wanted) {
            at = extra.offset;
            found.truncate(wanted);
        }
        Ok((found, at))
    }

    /// The last `wanted` records of `[low, high)`, newest first, and where the rest ends.
    pub async fn backwards(
        &mut self,
        partition: i32,
        low: i64,
        high: i64,
        wanted: usize,
    ) -> UiResult<(Vec<Found>, i64)> {
        let mut found: Vec<Found> = Vec::new();
        let mut high = high;
        let mut step = i64::try_from(wanted).unwrap_or(i64::MAX);
        while high > low && found.len() < wanted && self.left > 0 {
            let from = high.saturating_sub(step).max(low);
            let mut window = Vec::new();
            let mut at = from;
            while at < high {
                let next = self.chunk(partition, at, high, &mut window).await?;
                if next <= at {
                    break;
                }
                at = next;
            }
            window.reverse();
            found.append(&mut window);
            high = from;
            // Where little passes, looking back in small steps would take one request for each.
            step = step
                .saturating_mul(4)
                .min(i64::try_from(self.left.max(1)).unwrap_or(i64::MAX));
        }
        if let Some(extra) = found.get(wanted) {
            high = extra.offset + 1;
            found.truncate(wanted);
        }
        Ok((found, high))
    }

    /// Reads what one fetch gives of `[from, to)`; the offset behind it.
    async fn chunk(&mut self, partition: i32, from: i64, to: i64, found: &mut Vec<Found>) -> UiResult<i64> {
        let mut data = self.fetch(partition, from, IsolationLevel::ReadCommitted).await?;
        let is_stable = from < data.last_stable_offset;
        if !is_stable {
            if self.committed_only {
                return Ok(to);
            }
            data = self
                .fetch(partition, from, IsolationLevel::ReadUncommitted)
                .await?;
        }
        let aborted = data.aborted_transactions.take().unwrap_or_default();
        let mut transactions = Transactions::new(&aborted, is_stable);
        let mut decompressor = Decompressor::new();
        let mut next = from;
        for batch in batches(data.records.take().unwrap_or_default()) {
            let batch = batch.map_err(|error| damaged(&error))?;
            if batch.header.last_offset() < from {
                continue;
            }
            if batch.header.base_offset >= to {
                break;
            }
            let state = transactions.state(&batch).map_err(|error| damaged(&error))?;
            next = batch.header.next_offset();
            if let Some(state) = state.filter(|state| !(self.committed_only && *state == "aborted")) {
                let part = (partition, from, to);
                self.records(&batch, part, state, &mut decompressor, found)
                    .map_err(|error| damaged(&error))?;
            }
        }
        Ok(next)
    }

    fn records(
        &mut self,
        batch: &RecordBatch,
        (partition, from, to): (i32, i64, i64),
        state: &'static str,
        decompressor: &mut Decompressor,
        found: &mut Vec<Found>,
    ) -> Result<(), BatchError> {
        let data = batch.records_data(decompressor, UI_BATCH_BYTES_MAX)?;
        for record in batch.records(&data) {
            let record = record?;
            if record.offset < from || record.offset >= to {
                continue;
            }
            self.left = self.left.saturating_sub(1);
            let passes = self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.passes(record.key, record.value));
            if passes {
                found.push(Found {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    message: message(batch, partition, &record, state),
                });
            }
        }
        Ok(())
    }

    async fn fetch(&self, partition: i32, offset: i64, isolation: IsolationLevel) -> UiResult<PartitionData> {
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: UI_FETCH_BYTES,
            isolation_level: isolation.code(),
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: self.topic.into(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: UI_FETCH_BYTES,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let call = Call::new(Target::Any, request).version_max(FETCH_BY_NAME);
        let (response, _) = self.client.call_with::<FetchRequest>(call).await?;
        let topic = response.responses.into_iter().next();
        let data = topic.and_then(|topic| topic.partitions.into_iter().next());
        let data = data.ok_or_else(|| {
            let missing = format!(
                "the broker's response lacks partition {partition} of topic '{}'",
                self.topic
            );
            UiError::new(StatusCode::BAD_GATEWAY, missing)
        })?;
        let refused = |code| {
            UiError::new(
                StatusCode::CONFLICT,
                format!("reading partition {partition} of topic '{}': {code}", self.topic),
            )
        };
        data.error_code.check().map_err(refused)?;
        Ok(data)
    }
}

fn damaged(error: &BatchError) -> UiError {
    UiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("a record batch cannot be read: {error}"),
    )
}

fn message(batch: &RecordBatch, partition: i32, record: &Record<'_>, transaction: &str) -> Value {
    let header = &batch.header;
    let headers = record.headers.iter().map(
        |(key, value)| json!({ "key": key, "value": value.map(|value| shown(Some(value))["text"].clone()) }),
    );
    let mut message = json!({
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "timestamp_type": match header.attributes.timestamp_type() {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        },
        "key": shown(record.key),
        "value": shown(record.value),
        "headers": headers.collect::<Vec<_>>(),
        "transaction": transaction,
        "compression": header.attributes.codec().map_or("unknown", |codec| codec.name()),
    });
    if header.producer_id >= 0 {
        message["producer_id"] = header.producer_id.into();
    }
    message
}

/// What became of the transactions at the current place of a log.
struct Transactions {
    /// Aborted ones by first offset, the lowest last.
    to_come: Vec<(i64, i64)>,
    aborted: BTreeSet<i64>,
    is_stable: bool,
}

impl Transactions {
    fn new(aborted: &[AbortedTransaction], is_stable: bool) -> Self {
        let mut to_come: Vec<(i64, i64)> = aborted.iter().map(|t| (t.first_offset, t.producer_id)).collect();
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            to_come,
            aborted: BTreeSet::new(),
            is_stable,
        }
    }

    /// The state of a batch's records; `None` if it has none to show.
    fn state(&mut self, batch: &RecordBatch) -> Result<Option<&'static str>, BatchError> {
        let header = &batch.header;
        while let Some((_, producer)) = self.to_come.pop_if(|(first, _)| *first <= header.last_offset()) {
            self.aborted.insert(producer);
        }
        if header.record_count == 0 {
            return Ok(None);
        }
        if header.attributes.is_control() {
            if let ControlRecord::EndTransaction(end) = ControlRecord::read(header, &batch.payload())?
                && end.marker == Marker::Abort
            {
                self.aborted.remove(&header.producer_id);
            }
            return Ok(None);
        }
        Ok(Some(if !header.attributes.is_transactional() {
            "none"
        } else if !self.is_stable {
            "open"
        } else if self.aborted.contains(&header.producer_id) {
            "aborted"
        } else {
            "committed"
        }))
    }
}
