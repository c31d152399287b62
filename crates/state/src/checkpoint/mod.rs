//! Durable checkpoints: files of blocks and manifests over a `Storage`.
//!
//! A checkpoint is one file. Its manifest names every block of every operator instance and where the bytes are: in this
//! file, or in that of an older checkpoint if the block did not change. The file appears under its name only when it
//! is whole and synced, so a checkpoint exists or does not. Older files stay as long as a manifest that is kept refers
//! to them. When a checkpoint is due, who takes part and what happens after is not decided here.

mod file;
mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use millstream_types::storage::{OpenMode, Storage};
use millstream_types::{CheckpointId, Watermark};

use crate::blocks::{BlockContent, StateBlocks};
use crate::error::StateError;

use file::{parse_header, read_header, write_header};
use manifest::{BlockEntry, InstanceEntry, Manifest};

pub use manifest::{CheckpointHeader, OperatorEntry};

/// State of one operator instance in a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceState {
    /// Stable identity of the operator in the plan.
    pub uid: Arc<str>,
    pub subtask: usize,
    pub parallelism: usize,
    /// Watermark of its input.
    pub watermark: Watermark,
    /// It had seen all its input.
    pub finished: bool,
    pub blocks: StateBlocks,
}

/// What a written checkpoint cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSize {
    /// Bytes of blocks written now.
    pub written_bytes: u64,
    /// Bytes of all blocks of the checkpoint.
    pub full_bytes: u64,
    /// The files behind the checkpoint hold mostly blocks that nobody needs: the next one should refer to nothing.
    pub rewrite_next: bool,
}

/// Garbage below this is not worth a full checkpoint.
const GARBAGE_BYTES_MIN: u64 = 4 << 20;
/// Digits of a number in a file name, so that names sort.
const NAME_DIGITS: usize = 20;
const NAME_SUFFIX: &str = ".checkpoint";

/// The manifest of a checkpoint and the blocks that its file must hold, in order.
type Layout = (Manifest, Vec<Arc<[u8]>>);

/// The checkpoints of one job in one directory.
#[derive(Debug)]
pub struct CheckpointStore {
    storage: Arc<dyn Storage>,
    directory: String,
    /// Completed checkpoints that are kept.
    retained: usize,
    /// Kept manifests by number.
    manifests: BTreeMap<u64, Manifest>,
    /// Lengths of the data in files, by number.
    file_bytes: BTreeMap<u64, u64>,
}

impl CheckpointStore {
    /// Opens a directory, which is made if it is missing. Files that are not whole are left out.
    pub fn open(storage: Arc<dyn Storage>, directory: &str, retained: usize) -> Result<Self, StateError> {
        storage
            .create_directory(directory)
            .map_err(|e| storage_error("make directory", directory, e))?;
        let mut store = Self {
            storage,
            directory: directory.to_owned(),
            retained: retained.max(1),
            manifests: BTreeMap::new(),
            file_bytes: BTreeMap::new(),
        };
        let entries = store
            .storage
            .list(directory)
            .map_err(|e| storage_error("list", directory, e))?;
        for number in entries.iter().filter_map(|entry| number_of(&entry.name)) {
            let path = store.path(number);
            let file = store.storage.open(&path, OpenMode::Read);
            let file = file.map_err(|e| storage_error("open", &path, e))?;
            // A file under its final name is whole unless the disk lost it; an older one may still do.
            if let Ok((manifest, data_bytes)) = read_header(&path, file.as_ref()) {
                store.file_bytes.insert(number, data_bytes);
                store.manifests.insert(number, manifest);
            }
        }
        Ok(store)
    }

    /// The newest checkpoint.
    pub fn latest(&self) -> Option<CheckpointId> {
        self.manifests
            .last_key_value()
            .map(|(number, _)| CheckpointId(*number))
    }

    /// What a checkpoint says of itself.
    pub fn header(&self, checkpoint: CheckpointId) -> Option<&CheckpointHeader> {
        self.manifests.get(&checkpoint.0).map(|manifest| &manifest.header)
    }

    /// The path of a checkpoint's file within the storage.
    pub fn path(&self, number: u64) -> String {
        format!("{}/{number:0NAME_DIGITS$}{NAME_SUFFIX}", self.directory)
    }

    /// Writes a checkpoint; it is durable when this returns. Unchanged blocks are looked up in the newest one before.
    pub fn write(
        &mut self,
        header: CheckpointHeader,
        states: &[InstanceState],
    ) -> Result<CheckpointSize, StateError> {
        let number = header.checkpoint;
        let (manifest, data) = self.lay_out(header, states)?;
        let path = self.path(number);
        self.write_file(&path, &manifest, &data)?;
        let written_bytes: u64 = data.iter().map(|bytes| bytes.len() as u64).sum();
        let full_bytes: u64 = manifest.blocks().map(|block| block.length).sum();
        self.file_bytes.insert(number, written_bytes);
        self.manifests.insert(number, manifest);
        self.remove_unneeded()?;
        let stored: u64 = self.manifests[&number]
            .files()
            .iter()
            .filter_map(|f| self.file_bytes.get(f))
            .sum();
        let rewrite_next = stored > (2 * full_bytes).max(full_bytes + GARBAGE_BYTES_MIN);
        Ok(CheckpointSize {
            written_bytes,
            full_bytes,
            rewrite_next,
        })
    }

    fn lay_out(&self, header: CheckpointHeader, states: &[InstanceState]) -> Result<Layout, StateError> {
        let base = self.manifests.last_key_value().map(|(_, manifest)| manifest);
        let number = header.checkpoint;
        let mut offset = 0u64;
        let mut data = Vec::new();
        let mut instances = Vec::with_capacity(states.len());
        for state in states {
            let known = base.and_then(|base| base.instance(&state.uid, state.subtask));
            let mut blocks = Vec::with_capacity(state.blocks.blocks.len());
            for block in &state.blocks.blocks {
                let entry = match &block.content {
                    BlockContent::Unchanged => {
                        let entry = known.and_then(|known| known.block(&block.name)).cloned();
                        entry.ok_or_else(|| {
                            StateError::corrupt(
                                &block.name,
                                "it is called unchanged, but no checkpoint has it",
                            )
                        })?
                    }
                    BlockContent::Bytes(bytes) => {
                        let length = bytes.len() as u64;
                        let crc = crc32c::crc32c(bytes);
                        let entry = BlockEntry {
                            name: block.name.clone(),
                            file: number,
                            offset,
                            length,
                            crc,
                        };
                        offset += length;
                        data.push(Arc::clone(bytes));
                        entry
                    }
                };
                blocks.push(entry);
            }
            instances.push(InstanceEntry {
                uid: state.uid.to_string(),
                subtask: state.subtask,
                parallelism: state.parallelism,
                watermark: state.watermark,
                finished: state.finished,
                blocks,
            });
        }
        Ok((Manifest { header, instances }, data))
    }

    fn write_file(&self, path: &str, manifest: &Manifest, data: &[Arc<[u8]>]) -> Result<(), StateError> {
        let beside = format!("{path}.tmp");
        let fail = |e: io::Error| storage_error("write checkpoint", path, e);
        let file = self.storage.open(&beside, OpenMode::Truncate).map_err(fail)?;
        let header = write_header(manifest)?;
        file.write_at(&header, 0).map_err(fail)?;
        let mut offset = header.len() as u64;
        for bytes in data {
            file.write_at(bytes, offset).map_err(fail)?;
            offset += bytes.len() as u64;
        }
        file.sync_data().map_err(fail)?;
        self.storage.rename(&beside, path).map_err(fail)?;
        self.storage.sync_directory(&self.directory).map_err(fail)
    }

    /// Removes old checkpoints beyond those retained, and files that no kept manifest refers to.
    fn remove_unneeded(&mut self) -> Result<(), StateError> {
        while self.manifests.len() > self.retained {
            self.manifests.pop_first();
        }
        let needed: BTreeSet<u64> = self
            .manifests
            .iter()
            .flat_map(|(number, m)| m.files().into_iter().chain([*number]))
            .collect();
        let unneeded: Vec<u64> = self
            .file_bytes
            .keys()
            .copied()
            .filter(|file| !needed.contains(file))
            .collect();
        for number in unneeded {
            let path = self.path(number);
            match self.storage.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(storage_error("remove", &path, e));
                }
                _ => _ = self.file_bytes.remove(&number),
            }
        }
        Ok(())
    }

    /// Reads a checkpoint back, every block with its bytes.
    pub fn load(&self, checkpoint: CheckpointId) -> Result<Vec<InstanceState>, StateError> {
        let path = self.path(checkpoint.0);
        let manifest = self.manifests.get(&checkpoint.0);
        let manifest =
            manifest.ok_or_else(|| storage_error("find", &path, io::ErrorKind::NotFound.into()))?;
        let mut files = BTreeMap::new();
        for number in manifest.files() {
            let path = self.path(number);
            let content = self
                .storage
                .read(&path)
                .map_err(|e| storage_error("read", &path, e))?;
            let (_, data_start) = parse_header(&path, &content)?;
            files.insert(number, (content, data_start as usize));
        }
        let state = |instance: &InstanceEntry| {
            let mut blocks = StateBlocks::new();
            for block in &instance.blocks {
                let bytes = files
                    .get(&block.file)
                    .and_then(|(content, start)| block.within(&content[*start..]));
                let bytes = bytes
                    .ok_or_else(|| StateError::corrupt(&block.name, "its bytes are not what was written"))?;
                blocks.push(block.name.as_str(), bytes);
            }
            Ok(InstanceState {
                uid: instance.uid.as_str().into(),
                subtask: instance.subtask,
                parallelism: instance.parallelism,
                watermark: instance.watermark,
                finished: instance.finished,
                blocks,
            })
        };
        manifest.instances.iter().map(state).collect()
    }

    /// Removes all checkpoints.
    pub fn remove_all(&mut self) -> Result<(), StateError> {
        self.manifests.clear();
        self.remove_unneeded()?;
        let directory = &self.directory;
        self.storage
            .sync_directory(directory)
            .map_err(|e| storage_error("sync", directory, e))
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(NAME_SUFFIX)?.parse().ok()
}

fn storage_error(action: &'static str, path: &str, source: io::Error) -> StateError {
    StateError::Storage {
        action,
        path: path.to_owned(),
        source,
    }
}
