//! Appends many records at once, as a sink has them: values for one topic, without keys and headers.
//!
//! The decisions that [`append`](super::append) makes for each record (topic, partition, batch) are made once for all
//! records that fit into one batch. The batches are the same as if the records had been appended one by one.

use millstream_kafka_wire::KafkaString;
use millstream_types::Rng;

use super::append::{AppendError, ProduceRecord, size_bound};
use super::core::ProduceCore;
use crate::TopicPartition;
use crate::metadata::ClusterMetadata;

/// Records for one topic: row `i` has a time and a value.
pub struct Run<'a> {
    pub topic: &'a KafkaString,
    /// `None`: wherever a batch is being filled.
    pub partition: Option<i32>,
    /// Number of records.
    pub count: usize,
    /// Milliseconds since 1970 and the value of a record.
    pub record: &'a dyn Fn(usize) -> (i64, Option<&'a [u8]>),
}

impl<'a> Run<'a> {
    fn produce_record(&self, index: usize) -> ProduceRecord<'a> {
        let (timestamp, value) = (self.record)(index);
        ProduceRecord {
            topic: self.topic,
            partition: self.partition,
            timestamp,
            key: None,
            value,
            headers: &[],
        }
    }
}

/// How far a run got.
#[derive(Debug, Default)]
pub struct Taken {
    /// Number of records appended, from the first on.
    pub count: usize,
    /// Why the next one was not appended.
    pub stopped: Option<AppendError>,
}

impl ProduceCore {
    /// Appends the records of a run from `first` on. The second value tells whether a batch has become ready to send.
    pub fn append_run(
        &mut self,
        run: &Run<'_>,
        first: usize,
        metadata: &ClusterMetadata,
        now_ms: u64,
        rng: &dyn Rng,
    ) -> (Taken, bool) {
        let (mut next, mut news) = (first, false);
        while next < run.count {
            match self.append(&run.produce_record(next), metadata, now_ms, rng) {
                Ok((delivery, has_news)) => {
                    news |= has_news;
                    next += 1;
                    let partition = TopicPartition {
                        topic: run.topic.clone(),
                        partition: delivery.partition,
                    };
                    next += self.fill(run, next, &partition);
                    news |= self.seal_if_full(&partition);
                }
                Err(error) => {
                    let taken = Taken {
                        count: next - first,
                        stopped: Some(error),
                    };
                    return (taken, news);
                }
            }
        }
        let taken = Taken {
            count: next - first,
            stopped: None,
        };
        (taken, news)
    }

    /// Adds records to the open batch of a partition as long as nothing has to be decided: they fit into the batch, into
    /// the buffer and into a request, and go to this partition. Returns how many.
    fn fill(&mut self, run: &Run<'_>, first: usize, partition: &TopicPartition) -> usize {
        let open = self.partitions.get_mut(partition).and_then(|q| q.open.as_mut());
        let Some(open) = open else { return 0 };
        let mut sticky = self.sticky.get_mut(run.topic).filter(|_| run.partition.is_none());
        let config = &self.config;
        let before = open.builder.size();
        let mut count = 0;
        for index in first..run.count {
            let record = run.produce_record(index);
            let bound = size_bound(&record);
            let size = open.builder.size();
            let growth = open
                .builder
                .record_size(record.timestamp, None, record.value, &[]);
            let fits = size + growth <= config.batch_size
                && bound <= config.max_request_size
                && self.used_bytes + (size - before) + bound <= config.buffer_memory;
            if !fits {
                break;
            }
            if let Some(sticky) = &mut sticky
                && !sticky.takes(partition.partition, bound, config.batch_size)
            {
                break;
            }
            open.builder.append(record.timestamp, None, record.value, &[]);
            count += 1;
        }
        self.used_bytes += open.builder.size() - before;
        count
    }

    fn seal_if_full(&mut self, partition: &TopicPartition) -> bool {
        let open = self.partitions.get(partition).and_then(|q| q.open.as_ref());
        let is_full = open.is_some_and(|open| open.builder.size() >= self.config.batch_size);
        if is_full {
            self.seal(partition);
        }
        is_full
    }
}
