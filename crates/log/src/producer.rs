//! The state of a log's producers: the last batches of idempotent ones, and open and aborted transactions.
//!
//! It is a function of the appended batches (and of time, for expiry), so replaying the WAL over a snapshot restores
//! it. Snapshots hold every producer, including those whose data retention has deleted, because a lost duplicate check
//! is a duplicated record. Transactions without data in a log leave no trace here: they belong to the coordinator.

use crate::batch::{BatchHeader, ControlType, sequence_after};
use crate::codec::{Reader, Writer};
use crate::limits::PRODUCER_BATCHES;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A batch that a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedBatch {
    /// The sequence of its first record.
    pub first_sequence: i32,
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// Its greatest timestamp.
    pub timestamp: i64,
}

/// The state of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    /// The epoch of its last batch or marker.
    pub epoch: i16,
    /// Its last batches of this epoch, oldest first; none after a marker raised the epoch.
    pub batches: VecDeque<ProducedBatch>,
    /// When it last appended (the broker's time).
    pub last_append_ms: i64,
    /// The first offset of its open transaction.
    pub transaction_start: Option<i64>,
    /// The epoch of the coordinator that wrote the last marker, −1 before one.
    pub coordinator_epoch: i32,
}

impl ProducerState {
    /// The sequence of the last record, −1 if this epoch has written none.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }
}

/// An aborted transaction with data in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
}

/// The result of checking a producer's batch without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceCheck {
    /// It is the next one.
    Append,
    /// It is there already.
    Duplicate(ProducedBatch),
}

/// Why a producer's batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceError {
    /// It is not the next one.
    OutOfOrder {
        /// The sequence that would be next.
        expected: i32,
    },
    /// A newer instance of the producer has written.
    FencedEpoch {
        /// The newest epoch.
        current: i16,
    },
    /// Data outside of the transaction while one is open.
    NotTransactional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Undurable {
    first_offset: i64,
    marker_offset: i64,
}

/// The producers of one log.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Producers {
    states: BTreeMap<i64, ProducerState>,
    /// Open transactions by their first offset.
    open: BTreeMap<i64, i64>,
    /// Ended transactions whose marker is not durable yet: they still hold the last stable offset.
    undurable: VecDeque<Undurable>,
    /// By last offset.
    aborted: Vec<AbortedTransaction>,
}

impl Producers {
    /// All producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &ProducerState)> {
        self.states.iter().map(|(id, state)| (*id, state))
    }

    /// One producer.
    pub fn get(&self, producer_id: i64) -> Option<&ProducerState> {
        self.states.get(&producer_id)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty() && self.aborted.is_empty()
    }

    /// Checks a data batch of an idempotent producer against its predecessors. Without any (retention may have dropped
    /// them) every sequence is accepted, unless the producer has to start at 0 (`begins`).
    ///
    /// A batch that is neither the next one nor a remembered one is out of order, even if its sequence is low:
    /// producers take a duplicate for written, and this batch may have been rejected before, for example as too large.
    pub fn check(&self, header: &BatchHeader, begins: bool) -> Result<SequenceCheck, SequenceError> {
        let is_first = || {
            if begins && header.base_sequence != 0 {
                Err(SequenceError::OutOfOrder { expected: 0 })
            } else {
                Ok(SequenceCheck::Append)
            }
        };
        let Some(state) = self.states.get(&header.producer_id) else {
            return is_first();
        };
        if header.producer_epoch < state.epoch {
            return Err(SequenceError::FencedEpoch { current: state.epoch });
        }
        if header.producer_epoch > state.epoch {
            return match header.base_sequence {
                0 => self.check_transactional(state, header),
                _ => Err(SequenceError::OutOfOrder { expected: 0 }),
            };
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let same = |batch: &&ProducedBatch| batch.first_sequence == first && batch.last_sequence == last;
        if let Some(batch) = state.batches.iter().find(same) {
            return Ok(SequenceCheck::Duplicate(*batch));
        }
        let known = state.last_sequence();
        let expected = if known < 0 { 0 } else { sequence_after(known, 1) };
        if first != expected {
            return Err(SequenceError::OutOfOrder { expected });
        }
        self.check_transactional(state, header)
    }

    fn check_transactional(
        &self,
        state: &ProducerState,
        header: &BatchHeader,
    ) -> Result<SequenceCheck, SequenceError> {
        if state.transaction_start.is_some() && !header.is_transactional() {
            return Err(SequenceError::NotTransactional);
        }
        Ok(SequenceCheck::Append)
    }

    /// Applies an appended batch; `batch` is read only for markers.
    pub fn apply(&mut self, header: &BatchHeader, batch: &[u8], now_ms: i64) {
        if !header.has_producer() {
            return;
        }
        if header.is_control() {
            if let Some(control) = BatchHeader::control_type(batch) {
                self.apply_marker(header, control, now_ms);
            }
            return;
        }
        let state = self.state_mut(header, now_ms);
        if header.base_sequence >= 0 {
            if state.batches.len() == PRODUCER_BATCHES {
                state.batches.pop_front();
            }
            state.batches.push_back(ProducedBatch {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset: header.base_offset,
                last_offset: header.last_offset(),
                timestamp: header.max_timestamp,
            });
        }
        if header.is_transactional() && state.transaction_start.is_none() {
            state.transaction_start = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    fn state_mut(&mut self, header: &BatchHeader, now_ms: i64) -> &mut ProducerState {
        let fresh = || ProducerState {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            last_append_ms: now_ms,
            transaction_start: None,
            coordinator_epoch: -1,
        };
        let state = self.states.entry(header.producer_id).or_insert_with(fresh);
        if state.epoch != header.producer_epoch {
            state.epoch = header.producer_epoch;
            state.batches.clear();
        }
        state.last_append_ms = now_ms;
        state
    }

    fn apply_marker(&mut self, header: &BatchHeader, control: ControlType, now_ms: i64) {
        let state = self.state_mut(header, now_ms);
        state.coordinator_epoch = 0;
        let Some(first_offset) = state.transaction_start.take() else {
            return;
        };
        self.open.remove(&first_offset);
        let marker_offset = header.base_offset;
        self.undurable.push_back(Undurable {
            first_offset,
            marker_offset,
        });
        if control == ControlType::Abort {
            let producer_id = header.producer_id;
            self.aborted.push(AbortedTransaction {
                producer_id,
                first_offset,
                last_offset: marker_offset,
            });
        }
    }

    /// The last stable offset, given the high watermark.
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let open = self.open.keys().next().copied();
        let undurable = self
            .undurable
            .iter()
            .filter(|ended| ended.marker_offset >= high_watermark);
        let ended = undurable.map(|ended| ended.first_offset).min();
        open.into_iter().chain(ended).fold(high_watermark, i64::min)
    }

    /// Everything below `high_watermark` is durable.
    pub fn on_durable(&mut self, high_watermark: i64) {
        while self
            .undurable
            .front()
            .is_some_and(|ended| ended.marker_offset < high_watermark)
        {
            self.undurable.pop_front();
        }
    }

    /// The aborted transactions with data in `from..to`.
    pub fn aborted_in(&self, from: i64, to: i64) -> Vec<AbortedTransaction> {
        let start = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let overlapping = self.aborted[start..]
            .iter()
            .filter(|aborted| aborted.first_offset < to);
        overlapping.copied().collect()
    }

    /// Drops aborted transactions that lie wholly below the log's start. Producers stay.
    pub fn forget_below(&mut self, start_offset: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= start_offset);
    }

    /// Drops aborted transactions with a marker below `end`, except those whose marker, by producer and offset, is
    /// kept: compaction drops a marker when nothing of its transaction is left. Returns whether there were any.
    pub(crate) fn forget_without_marker(&mut self, end: i64, kept: &BTreeSet<(i64, i64)>) -> bool {
        let before = self.aborted.len();
        self.aborted
            .retain(|each| each.last_offset >= end || kept.contains(&(each.producer_id, each.last_offset)));
        self.aborted.len() < before
    }

    /// Expires producers that have neither an open transaction nor appended since `before_ms`.
    pub fn expire(&mut self, before_ms: i64) {
        self.states
            .retain(|_, state| state.transaction_start.is_some() || state.last_append_ms >= before_ms);
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.states.len() as u32);
        for (id, state) in &self.states {
            writer.i64(*id);
            writer.i16(state.epoch);
            writer.i64(state.last_append_ms);
            writer.i64(state.transaction_start.unwrap_or(-1));
            writer.i32(state.coordinator_epoch);
            writer.u8(state.batches.len() as u8);
            for batch in &state.batches {
                writer.i32(batch.first_sequence);
                writer.i32(batch.last_sequence);
                writer.i64(batch.base_offset);
                writer.i64(batch.last_offset);
                writer.i64(batch.timestamp);
            }
        }
        writer.u32(self.aborted.len() as u32);
        for aborted in &self.aborted {
            writer.i64(aborted.producer_id);
            writer.i64(aborted.first_offset);
            writer.i64(aborted.last_offset);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut producers = Producers::default();
        for _ in 0..reader.u32()? {
            let id = reader.i64()?;
            let mut state = ProducerState {
                epoch: reader.i16()?,
                last_append_ms: reader.i64()?,
                transaction_start: Some(reader.i64()?).filter(|offset| *offset >= 0),
                coordinator_epoch: reader.i32()?,
                batches: VecDeque::new(),
            };
            for _ in 0..reader.u8()? {
                state.batches.push_back(ProducedBatch {
                    first_sequence: reader.i32()?,
                    last_sequence: reader.i32()?,
                    base_offset: reader.i64()?,
                    last_offset: reader.i64()?,
                    timestamp: reader.i64()?,
                });
            }
            if let Some(start) = state.transaction_start {
                producers.open.insert(start, id);
            }
            producers.states.insert(id, state);
        }
        for _ in 0..reader.u32()? {
            let (producer_id, first_offset) = (reader.i64()?, reader.i64()?);
            producers.aborted.push(AbortedTransaction {
                producer_id,
                first_offset,
                last_offset: reader.i64()?,
            });
        }
        Some(producers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Marker;

    fn data(producer_id: i64, epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset: offset,
            batch_length: 60,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: count,
        }
    }

    fn transactional(header: BatchHeader) -> BatchHeader {
        BatchHeader {
            attributes: 1 << 4,
            ..header
        }
    }

    fn marker(producers: &mut Producers, producer_id: i64, epoch: i16, control: ControlType, offset: i64) {
        let batch = Marker {
            producer_id,
            producer_epoch: epoch,
            coordinator_epoch: 0,
            control,
            timestamp: 0,
        };
        let bytes = batch.encode();
        let mut header = BatchHeader::check(&bytes).unwrap();
        header.base_offset = offset;
        producers.apply(&header, &bytes, 0);
    }

    #[test]
    fn the_last_five_batches_are_recognised_and_all_others_are_out_of_order() {
        let mut producers = Producers::default();
        for index in 0..7 {
            producers.apply(&data(1, 0, index, 1, i64::from(index)), &[], 0);
        }
        assert_eq!(
            producers.check(&data(1, 0, 1, 1, 0), false),
            Err(SequenceError::OutOfOrder { expected: 7 })
        );
        match producers.check(&data(1, 0, 2, 1, 0), false).unwrap() {
            SequenceCheck::Duplicate(batch) => assert_eq!(batch.base_offset, 2),
            SequenceCheck::Append => panic!("sequence 2 was appended before"),
        }
        assert_eq!(
            producers.check(&data(1, 0, 7, 1, 0), false),
            Ok(SequenceCheck::Append)
        );
        assert_eq!(
            producers.check(&data(1, 0, 9, 1, 0), false),
            Err(SequenceError::OutOfOrder { expected: 7 })
        );
        assert_eq!(
            producers.check(&data(2, 3, 9, 1, 0), false),
            Ok(SequenceCheck::Append),
            "no state: any sequence"
        );
        assert_eq!(
            producers.check(&data(2, 3, 9, 1, 0), true),
            Err(SequenceError::OutOfOrder { expected: 0 }),
            "no state, and the first batch of a transaction with an epoch of its own"
        );
        assert_eq!(
            producers.check(&data(2, 3, 0, 1, 0), true),
            Ok(SequenceCheck::Append)
        );
        assert_eq!(
            producers.check(&data(1, 1, 0, 1, 0), false),
            Ok(SequenceCheck::Append),
            "new epoch from 0"
        );
        assert_eq!(
            producers.check(&data(1, 1, 7, 1, 0), false),
            Err(SequenceError::OutOfOrder { expected: 0 })
        );
    }

    #[test]
    fn sequences_wrap() {
        let mut producers = Producers::default();
        producers.apply(&data(1, 0, i32::MAX - 1, 2, 0), &[], 0);
        assert_eq!(
            producers.check(&data(1, 0, 0, 1, 2), false),
            Ok(SequenceCheck::Append)
        );
        producers.apply(&data(1, 0, 0, 1, 2), &[], 0);
        assert_eq!(
            producers.check(&data(1, 0, i32::MAX, 1, 3), false),
            Err(SequenceError::OutOfOrder { expected: 1 })
        );
    }

    #[test]
    fn a_marker_above_the_high_watermark_does_not_release_its_data() {
        let mut producers = Producers::default();
        producers.apply(&transactional(data(1, 0, 0, 3, 10)), &[], 0);
        producers.apply(&data(2, 0, 0, 1, 13), &[], 0);
        assert_eq!(producers.last_stable_offset(14), 10);
        marker(&mut producers, 1, 0, ControlType::Abort, 14);
        assert_eq!(producers.last_stable_offset(14), 10, "marker not durable");
        assert_eq!(producers.last_stable_offset(15), 15);
        let aborted = AbortedTransaction {
            producer_id: 1,
            first_offset: 10,
            last_offset: 14,
        };
        assert_eq!(producers.aborted_in(0, 11), vec![aborted]);
        assert_eq!(producers.aborted_in(0, 10), vec![]);
        assert_eq!(producers.aborted_in(15, 20), vec![]);
    }

    #[test]
    fn a_snapshot_gives_back_everything() {
        let mut producers = Producers::default();
        producers.apply(&transactional(data(1, 0, 0, 3, 10)), &[], 7);
        marker(&mut producers, 1, 1, ControlType::Abort, 13);
        producers.on_durable(14);
        producers.apply(&transactional(data(1, 1, 0, 3, 14)), &[], 8);
        let mut bytes = Vec::new();
        producers.write(&mut Writer(&mut bytes));
        assert_eq!(Producers::read(&mut Reader::new(&bytes)).unwrap(), producers);
        for len in 0..bytes.len() {
            assert!(Producers::read(&mut Reader::new(&bytes[..len])).is_none());
        }
    }
}
