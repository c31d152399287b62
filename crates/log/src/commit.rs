//! Group commit: one write and one fsync for everything appended since the previous commit.

use crate::error::LogError;
use crate::log::{Log, LogId};
use crate::wal::WalWriter;
use bytes::Bytes;
use millstream_types::failpoint;
use std::io;

/// A frozen group on its way to the disk. Run it on any thread and give the outcome back.
#[derive(Debug)]
pub struct CommitJob {
    pub(crate) writer: WalWriter,
    pub(crate) bytes: Bytes,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
}

/// The result of a [`CommitJob`].
#[derive(Debug)]
pub struct CommitOutcome {
    pub(crate) writer: WalWriter,
    pub(crate) last_sequence: u64,
    pub(crate) result: io::Result<()>,
}

/// What a commit has made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Everything up to this WAL sequence.
    pub sequence: u64,
    /// The logs whose high watermark moved.
    pub logs: Vec<LogId>,
}

impl CommitJob {
    /// Writes and syncs the group: the only blocking call of the append path.
    pub fn run(mut self) -> CommitOutcome {
        failpoint::hit("broker-group-closed");
        let result = self.writer.write(&self.bytes, self.first_sequence);
        failpoint::hit("broker-group-durable");
        CommitOutcome {
            writer: self.writer,
            last_sequence: self.last_sequence,
            result,
        }
    }

    /// Bytes to be written.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl Log {
    /// Applies the result of a commit. An error poisons the log: a failed fsync must not be retried, because the kernel
    /// may have marked the dirty pages clean and would report success.
    pub fn on_commit(&mut self, outcome: CommitOutcome) -> Result<Durable, LogError> {
        if let Err(error) = outcome.result {
            return Err(self.poison(&format!("write-ahead log: {error}")));
        }
        self.writer = Some(outcome.writer);
        self.durable_sequence = outcome.last_sequence;
        let mut moved = Vec::new();
        if let Some(group) = self
            .groups
            .iter()
            .rev()
            .find(|group| group.last_sequence == outcome.last_sequence)
        {
            for (id, end) in &group.logs {
                if let Some(partition) = self.partitions.get_mut(id) {
                    partition.high_watermark = partition.high_watermark.max(*end);
                    partition.producers.on_durable(partition.high_watermark);
                    moved.push(*id);
                }
            }
        }
        self.evict();
        Ok(Durable {
            sequence: outcome.last_sequence,
            logs: moved,
        })
    }
}
