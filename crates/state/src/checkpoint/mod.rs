//! Durable checkpoints: files of blocks and manifests over a `Storage`.
//!
//! A checkpoint is one file. Its manifest names every block of every operator instance and where the bytes are: in this
//! file, or in that of an older checkpoint if the block did not change. The file appears under its name only when it
//! is whole and synced, so a checkpoint exists or does not. Older files stay as long as a manifest that is kept refers
//! to them. A savepoint is the same file with every block inside, so that it can be copied and moved.
//! When a checkpoint is due, who takes part and what happens after is not decided here.

mod encoding;
mod file;
mod manifest;
mod savepoint;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use millstream_types::storage::{OpenMode, Storage, StorageFile};
use millstream_types::{CheckpointId, Watermark, failpoint};

use crate::blocks::{BlockContent, StateBlocks, StoredBytes};
use crate::error::StateError;
use crate::spill::StoredFile;

use manifest::{BlockEntry, InstanceEntry, Manifest};

pub use manifest::{CheckpointHeader, CheckpointKind, OperatorEntry, OperatorTrait};
pub use savepoint::{SAVEPOINT_FILE, read_savepoint, write_savepoint};

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
    /// The files behind the checkpoint hold mostly blocks that no manifest needs: the next one should be full.
    pub rewrite_next: bool,
}

/// Garbage below this is not worth a full checkpoint.
const GARBAGE_BYTES_MIN: u64 = 4 << 20;
/// Checkpoints that are kept at least: one to fall back on when the newest turns out to be damaged.
const RETAINED_MIN: usize = 2;
/// Blocks of this size and above stay in their file until they are restored.
const LARGE_BLOCK_BYTES: u64 = 256 << 10;
/// Digits of a number in a file name, so that names sort.
const NAME_DIGITS: usize = 20;
const NAME_SUFFIX: &str = ".checkpoint";

/// The manifest of a checkpoint and the blocks that its file must hold, in order.
type Layout = (Manifest, Vec<BlockContent>);

/// The checkpoints of one job in one directory.
#[derive(Debug)]
pub struct CheckpointStore {
    storage: Arc<dyn Storage>,
    directory: String,
    /// Completed checkpoints that are kept.
    retained: usize,
    /// Kept manifests by number.
    manifests: BTreeMap<u64, Manifest>,
    /// Bytes of the blocks in files, by number.
    file_bytes: BTreeMap<u64, u64>,
    /// Files that cannot be read, and why. They are not checkpoints to start from, but they are not absent either.
    damaged: BTreeMap<u64, StateError>,
    /// Old files that could not be removed; tried again with the next checkpoint.
    cleanup_failure: Option<StateError>,
}

impl CheckpointStore {
    /// Opens a directory, which is made if it is missing. A damaged file is set aside; one of another version is an
    /// error, since it may well be the newest state of the job.
    pub fn open(storage: Arc<dyn Storage>, directory: &str, retained: usize) -> Result<Self, StateError> {
        storage
            .create_directory(directory)
            .map_err(|e| storage_error("make directory", directory, e))?;
        let mut store = Self {
            storage,
            directory: directory.to_owned(),
            retained: retained.max(RETAINED_MIN),
            manifests: BTreeMap::new(),
            file_bytes: BTreeMap::new(),
            damaged: BTreeMap::new(),
            cleanup_failure: None,
        };
        for number in store.numbers()? {
            let path = store.path(number);
            let file = store.storage.open(&path, OpenMode::Read);
            let file = file.map_err(|e| storage_error("open", &path, e))?;
            match file::read_manifest(&path, file.as_ref()) {
                Ok((manifest, block_bytes)) => {
                    store.file_bytes.insert(number, block_bytes);
                    store.manifests.insert(number, manifest);
                }
                Err(error @ StateError::Corrupt { .. }) => _ = store.damaged.insert(number, error),
                Err(error) => return Err(error),
            }
        }
        Ok(store)
    }

    /// Removes every checkpoint of a directory, those of other versions included.
    pub fn clear(storage: &dyn Storage, directory: &str) -> Result<(), StateError> {
        storage
            .remove_directory(directory)
            .map_err(|e| storage_error("remove directory", directory, e))
    }

    fn numbers(&self) -> Result<Vec<u64>, StateError> {
        let entries = self
            .storage
            .list(&self.directory)
            .map_err(|e| storage_error("list", &self.directory, e))?;
        Ok(entries
            .iter()
            .filter_map(|entry| number_of(&entry.name))
            .collect())
    }

    /// The newest checkpoint that can be read, as far as its manifest tells.
    pub fn latest(&self) -> Option<CheckpointId> {
        self.manifests
            .last_key_value()
            .map(|(number, _)| CheckpointId(*number))
    }

    /// The greatest number that a file has, damaged ones included: new checkpoints are numbered from there.
    pub fn newest_number(&self) -> Option<u64> {
        let last = |numbers: Option<&u64>| numbers.copied();
        last(self.manifests.keys().next_back()).max(last(self.damaged.keys().next_back()))
    }

    /// Numbers and faults of the files that cannot be read.
    pub fn damaged(&self) -> impl Iterator<Item = (CheckpointId, &StateError)> {
        self.damaged
            .iter()
            .map(|(number, error)| (CheckpointId(*number), error))
    }

    /// Sets a checkpoint aside whose blocks turned out to be damaged.
    pub fn set_aside(&mut self, checkpoint: CheckpointId, error: StateError) {
        if self.manifests.remove(&checkpoint.0).is_some() {
            self.damaged.insert(checkpoint.0, error);
        }
    }

    /// Why old files could not be removed with the last checkpoint.
    pub fn take_cleanup_failure(&mut self) -> Option<StateError> {
        self.cleanup_failure.take()
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
        let base = self.manifests.last_key_value().map(|(_, manifest)| manifest);
        let (manifest, data) = lay_out(header, states, base)?;
        let path = self.path(number);
        write_file(self.storage.as_ref(), &path, &manifest, &data)?;
        let written_bytes = data.iter().map(length_of).sum();
        let full_bytes: u64 = manifest.blocks().map(|block| block.length).sum();
        let files = manifest.files();
        self.file_bytes.insert(number, written_bytes);
        self.manifests.insert(number, manifest);
        // The checkpoint is durable, whatever becomes of the old files.
        self.cleanup_failure = self.remove_unneeded().err();
        failpoint::hit("checkpoints-removed");
        let stored: u64 = files.iter().filter_map(|f| self.file_bytes.get(f)).sum();
        let rewrite_next = stored > (2 * full_bytes).max(full_bytes + GARBAGE_BYTES_MIN);
        Ok(CheckpointSize {
            written_bytes,
            full_bytes,
            rewrite_next,
        })
    }

    /// Removes old checkpoints beyond those retained, and files that no kept manifest refers to.
    fn remove_unneeded(&mut self) -> Result<(), StateError> {
        while self.manifests.len() > self.retained {
            self.manifests.pop_first();
        }
        let mut unneeded: Vec<u64> = Vec::new();
        let oldest = self.manifests.first_key_value().map(|(number, _)| *number);
        if self.manifests.len() >= self.retained || oldest.is_none() {
            let is_older = |number: &&u64| oldest.is_none_or(|oldest| **number < oldest);
            unneeded.extend(self.damaged.keys().filter(is_older));
        }
        let needed: BTreeSet<u64> = self
            .manifests
            .iter()
            .flat_map(|(number, m)| m.files().into_iter().chain([*number]))
            .collect();
        let is_unneeded = |file: &&u64| !needed.contains(file) && !self.damaged.contains_key(file);
        unneeded.extend(self.file_bytes.keys().filter(is_unneeded));
        for number in unneeded {
            let path = self.path(number);
            match self.storage.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(storage_error("remove", &path, e));
                }
                _ => {
                    self.file_bytes.remove(&number);
                    self.damaged.remove(&number);
                }
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
            match self.storage.open(&path, OpenMode::Read) {
                Ok(file) => _ = files.insert(number, (path, file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err(StateError::corrupt(path, "the file is gone"));
                }
                Err(e) => return Err(storage_error("read", &path, e)),
            }
        }
        load_states(manifest, |number| files.get(&number))
    }

    /// Removes all checkpoints but one, which must refer to no other.
    pub fn retain_only(&mut self, checkpoint: CheckpointId) -> Result<(), StateError> {
        self.manifests.retain(|number, _| *number == checkpoint.0);
        self.remove_unneeded()
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

/// Blocks of one instance in the checkpoint before, by name.
type KnownBlocks<'a> = HashMap<&'a str, &'a BlockEntry>;

/// Names the blocks of a checkpoint whose own blocks start behind the header of its file.
fn lay_out(
    header: CheckpointHeader,
    states: &[InstanceState],
    base: Option<&Manifest>,
) -> Result<Layout, StateError> {
    let instances = base.map_or(&[][..], |base| &base.instances);
    let by_instance: HashMap<(&str, usize), &InstanceEntry> = instances
        .iter()
        .map(|instance| ((instance.uid.as_str(), instance.subtask), instance))
        .collect();
    let number = header.checkpoint;
    let mut offset = file::HEADER_BYTES;
    let mut data = Vec::new();
    let mut instances = Vec::with_capacity(states.len());
    for state in states {
        let known = by_instance.get(&(&*state.uid, state.subtask));
        let known_blocks = known.map_or(&[][..], |known| &known.blocks);
        let known: KnownBlocks<'_> = known_blocks.iter().map(|b| (b.name.as_str(), b)).collect();
        let mut blocks = Vec::with_capacity(state.blocks.blocks.len());
        for block in &state.blocks.blocks {
            let entry = match &block.content {
                BlockContent::Unchanged => {
                    let entry = known.get(block.name.as_str()).copied().cloned();
                    entry.ok_or_else(|| {
                        let reason =
                            "it is reported as unchanged, but the checkpoint before does not have it";
                        StateError::corrupt(&block.name, reason)
                    })?
                }
                content => {
                    let entry = BlockEntry {
                        name: block.name.clone(),
                        file: number,
                        offset,
                        length: length_of(content),
                        crc: crc_of(content),
                    };
                    offset += entry.length;
                    data.push(content.clone());
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

fn length_of(content: &BlockContent) -> u64 {
    match content {
        BlockContent::Bytes(bytes) => bytes.len() as u64,
        BlockContent::Stored(stored) => stored.length(),
        BlockContent::Unchanged => 0,
    }
}

fn crc_of(content: &BlockContent) -> u32 {
    match content {
        BlockContent::Bytes(bytes) => crc32c::crc32c(bytes),
        BlockContent::Stored(stored) => stored.crc(),
        BlockContent::Unchanged => 0,
    }
}

/// The file is whole under its name or not there.
fn write_file(
    storage: &dyn Storage,
    path: &str,
    manifest: &Manifest,
    data: &[BlockContent],
) -> Result<(), StateError> {
    // A block that cannot be read is another failure than a file that cannot be written.
    let mut unreadable = None;
    let published = storage.publish(path, &mut |write| {
        write(&file::header())?;
        for content in data {
            match content {
                BlockContent::Bytes(bytes) => write(bytes)?,
                BlockContent::Stored(stored) => copy_stored(stored, write, &mut unreadable)?,
                BlockContent::Unchanged => {}
            }
        }
        write(&file::footer(manifest))
    });
    match unreadable {
        Some(error) => Err(error),
        None => published.map_err(|e| storage_error("write checkpoint", path, e)),
    }
}

/// Copies a block from its file. Why it could not be read is in `unreadable`.
fn copy_stored(
    stored: &StoredBytes,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    unreadable: &mut Option<StateError>,
) -> io::Result<()> {
    let mut failed = None;
    let copied = stored.each_chunk(|chunk| {
        write(chunk).map_err(|error| {
            failed = Some(error);
            StateError::corrupt("", "not written")
        })
    });
    match (copied, failed) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => {
            *unreadable = Some(error);
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// The states of a manifest. The bytes of a block come from the file that `open` gives for its number; large blocks are
/// checked here and read when they are restored, so that they are in memory one at a time.
fn load_states<'a>(
    manifest: &Manifest,
    open: impl Fn(u64) -> Option<&'a (String, Arc<dyn StorageFile>)>,
) -> Result<Vec<InstanceState>, StateError> {
    let state = |instance: &InstanceEntry| {
        let mut blocks = StateBlocks::new();
        for block in &instance.blocks {
            let missing = || StateError::corrupt(&block.name, "its file is gone");
            let (path, file) = open(block.file).ok_or_else(missing)?;
            if block.length >= LARGE_BLOCK_BYTES && is_read_piecewise(&block.name) {
                let stored = Arc::new(StoredFile::new(path.clone(), Arc::clone(file)));
                let stored = StoredBytes::new(stored, block.offset, block.length, block.crc);
                stored.each_chunk(|_| Ok(()))?;
                blocks.push_stored(block.name.as_str(), stored);
                continue;
            }
            let bytes = file::read_bytes(path, file.as_ref(), block.offset, block.length)?;
            if crc32c::crc32c(&bytes) != block.crc {
                return Err(StateError::corrupt(
                    &block.name,
                    format!("its checksum in '{path}' is wrong"),
                ));
            }
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

/// Whether operators read the block on its own: blocks of tables, which are numbered, and of cold state.
fn is_read_piecewise(name: &str) -> bool {
    let is_numbered = |(_, number): (&str, &str)| number.bytes().all(|byte| byte.is_ascii_digit());
    name.starts_with("cold/") || name.contains("/cold/") || name.rsplit_once('/').is_some_and(is_numbered)
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
