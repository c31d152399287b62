//! The batches of one partition: the open one, those that wait, and those in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use millstream_kafka_wire::compression::{Codec, Compressor, Decompressor};
use millstream_kafka_wire::record_batch::{
    BatchBuilder, BatchError, BatchProducer, Header, RecordBatch, set_producer,
};

use super::outcome::Outcome;
use crate::config::IN_FLIGHT_IDEMPOTENT_MAX;

/// Order of a partition's batches: the number of the batch and, for a part of a split one, its first record.
pub(super) type Order = (u64, i32);

/// The most that a split batch is decompressed to.
const SPLIT_BYTES_MAX: usize = 256 << 20;

/// The most that is kept of buffers for later batches.
const SPARE_BYTES_MAX: usize = 8 << 20;

/// Buffers of batches that were written, for the next ones: fresh memory has to be cleared first.
#[derive(Default)]
pub(super) struct SpareBuffers {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl SpareBuffers {
    pub fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Pools a buffer, unless it is still referenced.
    pub fn put(&mut self, data: Bytes) {
        if !data.is_unique() {
            return;
        }
        let buffer = Vec::from(data);
        if self.bytes + buffer.capacity() <= SPARE_BYTES_MAX {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

/// A batch that is being filled.
pub(super) struct OpenBatch {
    pub builder: BatchBuilder,
    pub order: Order,
    pub created_ms: u64,
    pub outcome: Arc<Outcome>,
}

/// A finished batch.
pub(super) struct Batch {
    pub data: Bytes,
    pub order: Order,
    pub record_count: i32,
    pub created_ms: u64,
    pub outcome: Arc<Outcome>,
    pub attempts: u32,
    /// The sequence number of the first record, once it was sent.
    pub sequence: Option<i32>,
    /// An attempt ended without a response: the batch may have been written.
    pub ambiguous: bool,
    /// Its share of the producer's memory.
    pub accounted_bytes: usize,
}

#[derive(Default)]
pub(super) struct PartitionQueue {
    pub open: Option<OpenBatch>,
    /// How large the last batch was before compression: the next one is likely to be, too.
    pub last_bytes: usize,
    pub waiting: VecDeque<Batch>,
    pub in_flight: Vec<Batch>,
    pub next_sequence: i32,
    /// The broker has written a batch of this producer and epoch. Before that it accepts any number as the first, so
    /// that a second batch on its way could take the place of a first one that was refused.
    pub known_to_broker: bool,
    pub not_before_ms: u64,
    pub failures: u32,
}

impl PartitionQueue {
    pub fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Seals the open batch. Returns by how many bytes it shrank.
    pub fn seal(
        &mut self,
        compressor: &mut Compressor,
    ) -> Result<usize, (Arc<Outcome>, Order, usize, BatchError)> {
        let Some(open) = self.open.take() else {
            return Ok(0);
        };
        let before = open.builder.size();
        self.last_bytes = before;
        let record_count = open.builder.record_count();
        let data = match open.builder.build(compressor) {
            Ok(data) => Bytes::from(data),
            Err(error) => return Err((open.outcome, open.order, before, error)),
        };
        // Small batches may grow by compression; they take no more of the buffer than was reserved for them.
        let accounted_bytes = data.len().min(before);
        self.waiting.push_back(Batch {
            data,
            order: open.order,
            record_count,
            created_ms: open.created_ms,
            outcome: open.outcome,
            attempts: 0,
            sequence: None,
            ambiguous: false,
            accounted_bytes,
        });
        Ok(before - accounted_bytes)
    }

    /// How many batches may be on their way.
    pub fn in_flight_max(&self, ordered: bool) -> usize {
        match (ordered, self.known_to_broker) {
            (false, _) => usize::MAX,
            (true, true) => IN_FLIGHT_IDEMPOTENT_MAX,
            (true, false) => 1,
        }
    }

    /// Whether the first waiting batch may be sent: a repeated one only if no batch before it is on its way, so that
    /// batches arrive in order; a new one only if nothing waits to be repeated.
    pub fn may_send_first(&self, ordered: bool) -> bool {
        let Some(first) = self.waiting.front() else {
            return false;
        };
        if self.in_flight.len() >= self.in_flight_max(ordered) {
            return false;
        }
        let repeated = first.attempts > 0;
        !(ordered && repeated) || self.in_flight.iter().all(|batch| batch.order > first.order)
    }

    /// Puts a batch back to where it belongs.
    pub fn put_back(&mut self, batch: Batch) {
        let position = self.waiting.partition_point(|each| each.order < batch.order);
        self.waiting.insert(position, batch);
    }

    /// Whether a batch before this one is not done yet.
    pub fn has_unfinished_before(&self, order: Order) -> bool {
        self.waiting
            .iter()
            .chain(&self.in_flight)
            .any(|batch| batch.order < order)
    }

    /// Restarts sequences at 0 under a new epoch.
    pub fn restart_sequences(&mut self) {
        self.next_sequence = 0;
        self.known_to_broker = false;
        for batch in &mut self.waiting {
            batch.sequence = None;
        }
    }

    /// Numbers a batch, or keeps its number, and stamps it.
    pub fn stamp(&mut self, batch: &mut Batch, producer_id: i64, producer_epoch: i16, transactional: bool) {
        let base_sequence = match batch.sequence {
            Some(sequence) => sequence,
            None => {
                let sequence = self.next_sequence;
                self.next_sequence = ahead(sequence, batch.record_count);
                batch.sequence = Some(sequence);
                sequence
            }
        };
        let producer = BatchProducer {
            producer_id,
            producer_epoch,
            base_sequence,
            transactional,
        };
        let mut data = Vec::from(std::mem::take(&mut batch.data));
        set_producer(&mut data, producer);
        batch.data = Bytes::from(data);
    }
}

/// Sequence numbers wrap to 0.
fn ahead(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX)) as i32
}

/// Makes two batches of one that the broker found too large. `None` if it holds one record only.
pub(super) fn split(
    batch: &Batch,
    codec: Codec,
    compressor: &mut Compressor,
) -> Result<Option<[Batch; 2]>, BatchError> {
    if batch.record_count < 2 {
        return Ok(None);
    }
    let whole = RecordBatch::read(&batch.data)?;
    let records = whole.records_data(&mut Decompressor::new(), SPLIT_BYTES_MAX)?;
    let middle = batch.record_count / 2;
    let mut builders = [BatchBuilder::new(codec), BatchBuilder::new(codec)];
    for (index, record) in (0..).zip(whole.records(&records)) {
        let record = record?;
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .map(|(key, value)| Header { key, value })
            .collect();
        let half = usize::from(index >= middle);
        builders[half].append(record.timestamp, record.key, record.value, &headers);
    }
    let [first, second] = builders;
    let part = |builder: BatchBuilder, offset: i32, compressor: &mut Compressor| {
        let record_count = builder.record_count();
        let data = Bytes::from(builder.build(compressor)?);
        Ok(Batch {
            accounted_bytes: data.len(),
            data,
            order: (batch.order.0, batch.order.1 + offset),
            record_count,
            created_ms: batch.created_ms,
            outcome: Arc::default(),
            attempts: batch.attempts,
            sequence: batch.sequence.map(|sequence| ahead(sequence, offset)),
            ambiguous: batch.ambiguous,
        })
    };
    Ok(Some([
        part(first, 0, compressor)?,
        part(second, middle, compressor)?,
    ]))
}
