//! The manifest of a checkpoint: what it belongs to, and where its blocks are. The bytes are [`super::encoding`]'s.

use std::collections::BTreeSet;

use millstream_types::Watermark;

/// What a checkpoint says of itself and of the job that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointHeader {
    pub checkpoint: u64,
    /// Wall-clock time at which it was triggered, ms since the epoch.
    pub triggered_ms: i64,
    /// Identity of the job (`pipeline.name` or the script's name and statement).
    pub job: String,
    /// Key groups by which keyed state is divided.
    pub max_parallelism: u16,
    /// Fingerprint of all that the job computes, the parts without state included; 0 if it is not known.
    pub fingerprint: u64,
    /// The operators that keep state.
    pub operators: Vec<OperatorEntry>,
    /// The job had read all its input.
    pub finished: bool,
    pub kind: CheckpointKind,
    /// The savepoint from which the job was started, if it was.
    pub origin: Option<String>,
}

/// Who owns the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKind {
    /// The job, which deletes it when newer ones are complete. It may refer to files of older checkpoints.
    Checkpoint,
    /// The user. It holds every block itself.
    Savepoint,
}

/// An operator that keeps state, as far as its state must fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorEntry {
    pub uid: String,
    /// For messages.
    pub name: String,
    /// The tables that its rows end in, sorted.
    pub sinks: Vec<String>,
    /// What its state depends on. State fits an operator whose traits are equal.
    pub traits: Vec<OperatorTrait>,
}

/// One thing that the state of an operator depends on, such as its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorTrait {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    pub header: CheckpointHeader,
    pub instances: Vec<InstanceEntry>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct InstanceEntry {
    pub uid: String,
    pub subtask: usize,
    pub parallelism: usize,
    pub watermark: Watermark,
    pub finished: bool,
    pub blocks: Vec<BlockEntry>,
}

/// Where the bytes of a block are: in the file of checkpoint `file`, at `offset` from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockEntry {
    pub name: String,
    pub file: u64,
    pub offset: u64,
    pub length: u64,
    /// CRC-32C of the bytes.
    pub crc: u32,
}

impl Manifest {
    pub fn blocks(&self) -> impl Iterator<Item = &BlockEntry> {
        self.instances.iter().flat_map(|instance| &instance.blocks)
    }

    /// Numbers of the files that hold its blocks.
    pub fn files(&self) -> BTreeSet<u64> {
        self.blocks().map(|block| block.file).collect()
    }
}
