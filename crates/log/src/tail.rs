//! Commit groups in memory: those not yet in segments, and a cache of the newest ones that are.
//!
//! A group's buffer is written to the WAL once and then serves tailing readers; batches are slices of it.

use crate::log::LogId;
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct CommitGroup {
    pub id: u64,
    pub bytes: Bytes,
    /// Memory that they hold.
    pub held_bytes: usize,
    pub last_sequence: u64,
    /// The logs with batches in the group, with their end offset after it.
    pub logs: Vec<(LogId, i64)>,
}

/// A batch in a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TailBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
    pub group: u64,
    /// Groups of an earlier process are whole files, and so may be long.
    pub position: usize,
    pub len: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: VecDeque<CommitGroup>,
    next_id: u64,
    held_bytes: u64,
}

impl Groups {
    /// The id of the group that is being filled.
    pub fn pending_id(&self) -> u64 {
        self.next_id
    }

    pub fn push(&mut self, bytes: Bytes, held_bytes: usize, last_sequence: u64, logs: Vec<(LogId, i64)>) {
        self.held_bytes += held_bytes as u64;
        self.groups.push_back(CommitGroup {
            id: self.next_id,
            bytes,
            held_bytes,
            last_sequence,
            logs,
        });
        self.next_id += 1;
    }

    pub fn get(&self, id: u64) -> Option<&CommitGroup> {
        let first = self.groups.front()?.id;
        self.groups.get(usize::try_from(id.checked_sub(first)?).ok()?)
    }

    /// The bytes of a batch; `None` while its group is still being filled.
    pub fn slice(&self, batch: &TailBatch) -> Option<Bytes> {
        let end = batch.position + batch.len as usize;
        self.get(batch.group)
            .filter(|group| end <= group.bytes.len())
            .map(|group| group.bytes.slice(batch.position..end))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &CommitGroup> {
        self.groups.iter()
    }

    /// Lets go of the oldest group if all of it is in segments and the groups take more than `limit`.
    pub fn evict(&mut self, flushed_sequence: u64, limit: u64) -> Option<CommitGroup> {
        let oldest = self.groups.front()?;
        if oldest.last_sequence > flushed_sequence || self.held_bytes <= limit {
            return None;
        }
        self.held_bytes -= oldest.held_bytes as u64;
        self.groups.pop_front()
    }
}
