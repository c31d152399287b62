//! The manifest of a checkpoint: a promise to later versions, stored as JSON.

use std::collections::BTreeSet;

use millstream_types::Watermark;
use serde::{Deserialize, Serialize};

/// What a checkpoint says of itself and of the plan that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    pub checkpoint: u64,
    /// Wall-clock time at which it was triggered, ms since the epoch.
    pub triggered_ms: i64,
    /// Identity of the job (`pipeline.name` or the script's name and statement).
    pub job: String,
    /// Key groups by which keyed state is divided.
    pub max_parallelism: u16,
    /// The operators of the plan.
    pub operators: Vec<OperatorEntry>,
    /// The job had read all its input.
    pub finished: bool,
}

/// An operator, as far as its state must fit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorEntry {
    pub uid: String,
    /// For messages.
    pub name: String,
    /// Equal for operators whose state is interchangeable.
    pub fingerprint: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub header: CheckpointHeader,
    pub instances: Vec<InstanceEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InstanceEntry {
    pub uid: String,
    pub subtask: usize,
    pub parallelism: usize,
    pub watermark: Watermark,
    pub finished: bool,
    pub blocks: Vec<BlockEntry>,
}

/// Where the bytes of a block are: in the data of the file of checkpoint `file`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlockEntry {
    pub name: String,
    pub file: u64,
    pub offset: u64,
    pub length: u64,
    /// CRC-32C of the bytes.
    pub crc: u32,
}

impl Manifest {
    pub fn instance(&self, uid: &str, subtask: usize) -> Option<&InstanceEntry> {
        self.instances
            .iter()
            .find(|instance| instance.uid == uid && instance.subtask == subtask)
    }

    pub fn blocks(&self) -> impl Iterator<Item = &BlockEntry> {
        self.instances.iter().flat_map(|instance| &instance.blocks)
    }

    /// Numbers of the files that hold its blocks.
    pub fn files(&self) -> BTreeSet<u64> {
        self.blocks().map(|block| block.file).collect()
    }
}

impl InstanceEntry {
    pub fn block(&self, name: &str) -> Option<&BlockEntry> {
        self.blocks.iter().find(|block| block.name == name)
    }
}

impl BlockEntry {
    /// The block's bytes within the data of its file, if they are there and whole.
    pub fn within<'a>(&self, data: &'a [u8]) -> Option<&'a [u8]> {
        let (start, length) = (
            usize::try_from(self.offset).ok()?,
            usize::try_from(self.length).ok()?,
        );
        let bytes = data.get(start..start.checked_add(length)?)?;
        (crc32c::crc32c(bytes) == self.crc).then_some(bytes)
    }
}
