//! Taking records: which partition, which batch, and when a batch is full.

use std::sync::Arc;

use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::partitioner::partition_for_key;
use millstream_kafka_wire::record_batch::{BatchBuilder, HEADER_SIZE, Header};
use millstream_types::Rng;

use super::core::ProduceCore;
use super::outcome::{Delivery, Ended, Outcome, ProduceError};
use super::queue::OpenBatch;
use crate::TopicPartition;
use crate::metadata::ClusterMetadata;

/// A record to be written; nothing of it is kept but its bytes in the batch.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRecord<'a> {
    pub topic: &'a KafkaString,
    /// `None`: by the key, or without one wherever a batch is being filled.
    pub partition: Option<i32>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header<'a>],
}

/// Why a record was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// Not enough memory for a record of this size; see [`Producer::room`](super::Producer::room).
    Full {
        size: usize,
    },
    /// It is not known how many partitions the topic has; ask for metadata.
    UnknownTopic,
    Failed(ProduceError),
}

/// Where records without a key go for now.
pub(super) struct Sticky {
    partition: i32,
    bytes: usize,
}

impl Sticky {
    /// Records the partition choice; `false` means that the partitioner has to choose again.
    pub fn takes(&mut self, partition: i32, size: usize, batch_size: usize) -> bool {
        let stays = self.partition == partition && self.bytes + size <= batch_size;
        self.bytes += if stays { size } else { 0 };
        stays
    }
}

impl ProduceCore {
    /// Appends a record to a batch. The second value tells whether a batch has become ready to send.
    pub fn append(
        &mut self,
        record: &ProduceRecord<'_>,
        metadata: &ClusterMetadata,
        now_ms: u64,
        rng: &dyn Rng,
    ) -> Result<(Delivery, bool), AppendError> {
        if let Some(transaction) = &self.transaction {
            transaction.check_open().map_err(AppendError::Failed)?;
        }
        let size = size_bound(record);
        let limit = self.config.max_request_size;
        if size > limit {
            return Err(AppendError::Failed(ProduceError::RecordTooLarge { size, limit }));
        }
        if self.used_bytes > 0 && self.used_bytes + size > self.config.buffer_memory {
            return Err(AppendError::Full { size });
        }
        let partition = self.choose_partition(record, metadata, size, rng)?;
        Ok(self.append_to(
            TopicPartition {
                topic: record.topic.clone(),
                partition,
            },
            record,
            now_ms,
        ))
    }

    fn choose_partition(
        &mut self,
        record: &ProduceRecord<'_>,
        metadata: &ClusterMetadata,
        size: usize,
        rng: &dyn Rng,
    ) -> Result<i32, AppendError> {
        let count = metadata
            .topic(record.topic)
            .map_or(0, |topic| topic.partitions.len());
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        if count == 0 {
            return Err(AppendError::UnknownTopic);
        }
        if let Some(partition) = record.partition {
            if !(0..count).contains(&partition) {
                let partition = TopicPartition {
                    topic: record.topic.clone(),
                    partition,
                };
                return Err(AppendError::Failed(ProduceError::NoSuchPartition(partition)));
            }
            return Ok(partition);
        }
        if let Some(partition) = record.key.and_then(|key| partition_for_key(key, count)) {
            return Ok(partition);
        }
        let random = || rng.below(u64::from(count.unsigned_abs())) as i32;
        if !self.sticky.contains_key(record.topic) {
            self.sticky.insert(
                record.topic.clone(),
                Sticky {
                    partition: random(),
                    bytes: 0,
                },
            );
        }
        let Some(sticky) = self.sticky.get_mut(record.topic) else {
            return Ok(0);
        };
        if sticky.bytes + size > self.config.batch_size || sticky.partition >= count {
            *sticky = Sticky {
                partition: random(),
                bytes: 0,
            };
        }
        sticky.bytes += size;
        Ok(sticky.partition)
    }

    fn append_to(
        &mut self,
        partition: TopicPartition,
        record: &ProduceRecord<'_>,
        now_ms: u64,
    ) -> (Delivery, bool) {
        let number = partition.partition;
        let mut news = self.make_room(&partition, record);
        let queue = self.partitions.entry(partition.clone()).or_default();
        let open = match &mut queue.open {
            Some(open) => open,
            none => {
                let order = (self.next_batch, 0);
                self.next_batch += 1;
                self.unfinished.insert(order);
                // The driver has to know when the batch has lingered long enough.
                news = true;
                none.insert(OpenBatch {
                    builder: BatchBuilder::new(self.config.compression)
                        .with_buffer(self.spare.take())
                        .with_capacity(queue.last_bytes + queue.last_bytes / 8),
                    order,
                    created_ms: now_ms,
                    outcome: Arc::<Outcome>::default(),
                })
            }
        };
        let before = if open.builder.is_empty() {
            0
        } else {
            open.builder.size()
        };
        let index = open.builder.record_count();
        open.builder
            .append(record.timestamp, record.key, record.value, record.headers);
        self.used_bytes += open.builder.size() - before;
        let delivery = Delivery {
            partition: number,
            outcome: open.outcome.clone(),
            index,
        };
        if open.builder.size() >= self.config.batch_size {
            self.seal(&partition);
            news = true;
        }
        (delivery, news)
    }

    /// Finishes the batch that is being filled if the record does not fit into it.
    fn make_room(&mut self, partition: &TopicPartition, record: &ProduceRecord<'_>) -> bool {
        let Some(open) = self
            .partitions
            .get(partition)
            .and_then(|queue| queue.open.as_ref())
        else {
            return false;
        };
        let growth = open
            .builder
            .record_size(record.timestamp, record.key, record.value, record.headers);
        if open.builder.size() + growth <= self.config.batch_size {
            return false;
        }
        self.seal(partition);
        true
    }

    pub fn seal(&mut self, partition: &TopicPartition) {
        let Some(queue) = self.partitions.get_mut(partition) else {
            return;
        };
        match queue.seal(&mut self.compressor) {
            Ok(shrunk) => self.used_bytes -= shrunk,
            Err((outcome, order, size, error)) => {
                self.used_bytes -= size;
                self.end(
                    &outcome,
                    order,
                    Ended::Failed(ProduceError::Batch(error.to_string())),
                );
            }
        }
    }
}

/// The most bytes that the fixed parts of a record get: its length, attributes, deltas, and the lengths within.
const RECORD_OVERHEAD_MAX: usize = 36;
/// The most bytes that the two lengths of a record's header get.
const HEADER_OVERHEAD_MAX: usize = 10;

/// How large a batch of this record alone gets at most, without compression.
pub(super) fn size_bound(record: &ProduceRecord<'_>) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers = record
        .headers
        .iter()
        .map(|each| HEADER_OVERHEAD_MAX + each.key.len() + length(each.value));
    HEADER_SIZE + RECORD_OVERHEAD_MAX + length(record.key) + length(record.value) + headers.sum::<usize>()
}
