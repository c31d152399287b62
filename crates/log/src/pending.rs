//! The pending commit group, in the buffer that is written as it is: start and end are aligned for direct IO
//! ([`DIRECT_ALIGNMENT`]).

use crate::limits::PENDING_BYTES_AHEAD;
use crate::log::LogId;
use crate::record::{self, Entry, GROUP_HEADER_BYTES, Record};
use bytes::Bytes;
use millstream_types::Buffers;
use millstream_types::storage::DIRECT_ALIGNMENT;

/// Upper bound for the framing of one entry.
const ENTRY_ROOM: usize = 32;
/// Upper bound for the framing of one record.
const RECORD_ROOM: usize = 64;

#[derive(Debug)]
pub(crate) struct Pending {
    /// Empty as long as the group is.
    data: Vec<u8>,
    /// Start of the group in `data`.
    start: usize,
    /// Capacity for the next group: what the last ones needed, because growing copies.
    bytes_ahead: usize,
    first_sequence: u64,
    /// The salt in every group header.
    salt: u64,
    buffers: Buffers,
}

/// A group that gets no more records.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// The bytes to write.
    pub bytes: Bytes,
    /// The same to stay in memory; a small group leaves its buffer for that.
    pub kept: Bytes,
    /// Memory that the buffer holds.
    pub held_bytes: usize,
    pub first_sequence: u64,
}

impl Pending {
    pub fn new(buffers: Buffers, salt: u64) -> Self {
        Pending {
            data: Vec::new(),
            start: 0,
            bytes_ahead: 0,
            first_sequence: 0,
            salt,
            buffers,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Bytes of the group so far.
    pub fn len(&self) -> usize {
        self.data.len().saturating_sub(self.start)
    }

    /// Starts a record whose entries have `data_bytes` of data; entries follow, then [`Self::finish_record`].
    pub fn begin_record(
        &mut self,
        (sequence, now_ms): (u64, i64),
        entries: usize,
        data_bytes: usize,
    ) -> usize {
        let record_bytes = data_bytes + entries * ENTRY_ROOM + RECORD_ROOM;
        if self.data.is_empty() {
            self.first_sequence = sequence;
            let room = self.bytes_ahead.max(GROUP_HEADER_BYTES + record_bytes);
            (self.data, self.start) = self.buffers.take_aligned(room + DIRECT_ALIGNMENT);
            self.data.resize(self.start + GROUP_HEADER_BYTES, 0);
        } else if self.data.capacity() < self.len() + record_bytes + 2 * DIRECT_ALIGNMENT {
            // Independent of the alignment of the start: the address of the buffer must not influence the sizes of
            // buffers and checkpoints, or simulations would not replay.
            let room = self.len() + record_bytes.max(self.len());
            let (mut larger, start) = self.buffers.take_aligned(room + DIRECT_ALIGNMENT);
            larger.extend_from_slice(&self.data[self.start..]);
            self.buffers.give_back(std::mem::replace(&mut self.data, larger));
            self.start = start;
        }
        record::begin_record(&mut self.data, sequence, now_ms)
    }

    /// Size of a record's entries, for [`Self::begin_record`].
    pub fn data_bytes(record: &Record) -> usize {
        let data_bytes = |entry: &Entry| match entry {
            Entry::Batch { batch, .. } => batch.len(),
            Entry::Metadata(bytes) => bytes.len(),
            Entry::CreateLog(_) | Entry::DropLog(_) | Entry::StartOffset { .. } => 0,
        };
        record.entries.iter().map(data_bytes).sum()
    }

    /// Writes a batch with its offset stamped; returns where it lies in the group.
    pub fn push_batch(&mut self, log: LogId, batch: &[u8], base_offset: i64, epoch: i32) -> usize {
        record::push_batch(&mut self.data, log, batch, base_offset, epoch) - self.start
    }

    /// Writes any entry that is not a batch.
    pub fn push_entry(&mut self, entry: &Entry) {
        record::push_entry(&mut self.data, entry);
    }

    /// Ends the record that began at `start`.
    pub fn finish_record(&mut self, start: usize, entries: usize) {
        record::finish_record(&mut self.data, start, entries as u32);
    }

    /// Ends the group; `synced` is the sequence up to which everything is durable by now.
    pub fn freeze(&mut self, synced: u64) -> Frozen {
        let mut data = std::mem::take(&mut self.data);
        let mut start = self.start;
        let len = data.len() - start;
        let bytes = len.next_multiple_of(DIRECT_ALIGNMENT);
        data.resize(start + bytes, 0);
        record::finish_group(&mut data[start..], self.first_sequence, synced, self.salt);
        let decayed = self.bytes_ahead - self.bytes_ahead / 8;
        self.bytes_ahead = (bytes + bytes / 8).max(decayed).min(PENDING_BYTES_AHEAD);
        if data.capacity() > 2 * (bytes + DIRECT_ALIGNMENT) {
            let (mut smaller, smaller_start) = self.buffers.take_aligned(bytes);
            smaller.extend_from_slice(&data[start..]);
            self.buffers.give_back(std::mem::replace(&mut data, smaller));
            start = smaller_start;
        }
        let capacity = data.capacity();
        let bytes = self.buffers.lend(data).slice(start..);
        let (kept, held_bytes) = if len < capacity / 4 {
            (Bytes::copy_from_slice(&bytes[..len]), len)
        } else {
            (bytes.clone(), capacity)
        };
        Frozen {
            bytes,
            kept,
            held_bytes,
            first_sequence: self.first_sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ReadEntry, read_group_header, read_record};

    #[test]
    fn a_group_begins_and_ends_at_blocks_however_it_grew() {
        let mut pending = Pending::new(Buffers::new(1 << 20), 9);
        for (nth, sizes) in [
            &[10usize][..],
            &[3000, 2000],
            &[100; 90],
            &[70_000, 1, 200_000],
            &[1],
        ]
        .into_iter()
        .enumerate()
        {
            let sequence = 1 + nth as u64;
            for size in sizes {
                let start = pending.begin_record((sequence, 7), 1, *size);
                pending.push_entry(&Entry::Metadata(vec![5; *size].into()));
                pending.finish_record(start, 1);
            }
            let len = pending.len();
            let frozen = pending.freeze(sequence - 1);
            assert!(pending.is_empty());
            assert_eq!(frozen.first_sequence, sequence);
            assert_eq!(frozen.bytes.len(), len.next_multiple_of(DIRECT_ALIGNMENT));
            assert_eq!(frozen.bytes.as_ptr().align_offset(DIRECT_ALIGNMENT), 0);
            assert_eq!(frozen.kept[..len], frozen.bytes[..len]);
            assert!(frozen.held_bytes <= 4 * len, "{} for {len}", frozen.held_bytes);

            let header = read_group_header(&frozen.bytes).unwrap();
            assert_eq!((header.first_sequence, header.synced), (sequence, sequence - 1));
            let mut at = GROUP_HEADER_BYTES;
            for size in sizes {
                let record = read_record(&frozen.bytes, at).unwrap();
                assert!(
                    matches!(&record.entries[..], [ReadEntry::Other(Entry::Metadata(bytes))] if bytes.len() == *size)
                );
                at = record.end;
            }
            assert_eq!(at, len);
        }
    }

    #[test]
    fn what_a_group_takes_does_not_depend_on_addresses() {
        let held = |records: u64| {
            let mut pending = Pending::new(Buffers::new(1 << 20), 9);
            for sequence in 1..=records {
                let start = pending.begin_record((sequence, 7), 1, 100);
                pending.push_entry(&Entry::Metadata(vec![5; 100].into()));
                pending.finish_record(start, 1);
            }
            pending.freeze(0).held_bytes
        };
        let take = || (1..300).map(held).collect::<Vec<usize>>();
        let expected = take();
        let mut between = Vec::new();
        for nth in 0..50 {
            between.push(vec![0u8; 1 + nth * 112]);
            assert_eq!(take(), expected, "with {nth} other allocations");
        }
    }
}
