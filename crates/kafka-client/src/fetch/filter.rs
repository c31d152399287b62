//! From the bytes of a fetch to the batches that an application may see.

use std::collections::BTreeSet;

use bytes::Bytes;
use millstream_kafka_wire::messages::fetch::AbortedTransaction;
use millstream_kafka_wire::record_batch::{BatchError, ControlRecord, Marker, RecordBatch, batches};

use super::FetchedBatch;

/// Selects the visible batches of a fetch.
pub(super) struct Filter<'a> {
    /// The first record that is wanted.
    pub position: i64,
    pub check_crcs: bool,
    /// Aborted transactions that overlap the batches; `None` shows all records.
    pub aborted: Option<&'a [AbortedTransaction]>,
}

/// The visible batches, and the next position.
#[derive(Debug)]
pub(super) struct Visible {
    pub batches: Vec<FetchedBatch>,
    pub next_offset: i64,
    /// The leader epoch of the last batch, -1 if there was none.
    pub last_epoch: i32,
}

impl Filter<'_> {
    pub fn apply(&self, records: Bytes) -> Result<Visible, BatchError> {
        let mut visible = Visible {
            batches: Vec::new(),
            next_offset: self.position,
            last_epoch: -1,
        };
        let mut aborted = AbortedProducers::new(self.aborted);
        for batch in batches(records) {
            let batch = batch?;
            // Brokers return whole batches; the first ones may end before the position.
            if batch.header.last_offset() < self.position {
                continue;
            }
            if self.check_crcs {
                batch.verify_checksum()?;
            }
            visible.next_offset = batch.header.next_offset();
            visible.last_epoch = batch.header.partition_leader_epoch;
            if !aborted.hides(&batch)? {
                visible.batches.push(FetchedBatch {
                    batch,
                    from_offset: self.position,
                });
            }
        }
        Ok(visible)
    }
}

/// Producers whose transaction at the current place of the log was aborted.
struct AbortedProducers {
    /// By first offset, the lowest last.
    to_come: Vec<(i64, i64)>,
    now: BTreeSet<i64>,
}

impl AbortedProducers {
    fn new(transactions: Option<&[AbortedTransaction]>) -> Self {
        let transactions = transactions.unwrap_or_default().iter();
        let mut to_come: Vec<(i64, i64)> = transactions.map(|t| (t.first_offset, t.producer_id)).collect();
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        AbortedProducers {
            to_come,
            now: BTreeSet::new(),
        }
    }

    fn hides(&mut self, batch: &RecordBatch) -> Result<bool, BatchError> {
        let header = &batch.header;
        while let Some((_, producer)) = self.to_come.pop_if(|(first, _)| *first <= header.last_offset()) {
            self.now.insert(producer);
        }
        // Kafka's compaction keeps the header of a producer's last batch, also of a marker, when its records go.
        if header.record_count == 0 {
            return Ok(true);
        }
        if header.attributes.is_control() {
            if let ControlRecord::EndTransaction(end) = ControlRecord::read(header, &batch.payload())?
                && end.marker == Marker::Abort
            {
                self.now.remove(&header.producer_id);
            }
            return Ok(true);
        }
        Ok(header.attributes.is_transactional() && self.now.contains(&header.producer_id))
    }
}
