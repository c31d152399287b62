//! What a snapshot of state is made of: named blocks of opaque bytes.
//!
//! State freezes itself into blocks at a barrier; a background thread writes them; a manifest says where they are. A
//! block that did not change since a checkpoint that is already durable is named without its bytes, so that a
//! checkpoint writes only what changed. Nothing here knows what the bytes mean.

use std::borrow::Cow;
use std::sync::Arc;

use millstream_types::CheckpointId;

use crate::error::StateError;
use crate::spill::{SpillSpace, StoredFile};

/// Which snapshot is taken, and what it may refer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotScope {
    pub checkpoint: CheckpointId,
    /// The newest durable checkpoint of this instance: a block that did not change since may be
    /// [`BlockContent::Unchanged`]. `None`: every block must carry its bytes.
    pub base: Option<CheckpointId>,
}

impl SnapshotScope {
    /// A snapshot that refers to nothing older.
    pub const fn full(checkpoint: CheckpointId) -> Self {
        Self {
            checkpoint,
            base: None,
        }
    }
}

/// Content of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockContent {
    Bytes(Arc<[u8]>),
    /// Bytes in a file: state that does not fit into memory, or that need not be there yet.
    Stored(StoredBytes),
    /// As in the base checkpoint of the scope, under the same name.
    Unchanged,
}

/// A piece of a file.
#[derive(Clone, Debug)]
pub struct StoredBytes {
    file: Arc<StoredFile>,
    offset: u64,
    length: u64,
    /// CRC-32C of the bytes.
    crc: u32,
}

impl PartialEq for StoredBytes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file) && (self.offset, self.length) == (other.offset, other.length)
    }
}

impl Eq for StoredBytes {}

impl StoredBytes {
    pub fn new(file: Arc<StoredFile>, offset: u64, length: u64, crc: u32) -> Self {
        Self {
            file,
            offset,
            length,
            crc,
        }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Fills the buffer with the bytes from `at` on.
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> Result<(), StateError> {
        self.file.read_exact_at(buffer, self.offset + at)
    }

    /// Calls `each` with the bytes, piece by piece, and checks them.
    pub fn each_chunk(
        &self,
        mut each: impl FnMut(&[u8]) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(self.length).unwrap_or(CHUNK_BYTES))];
        let (mut at, mut crc) = (0, 0);
        while at < self.length {
            let left = usize::try_from(self.length - at).unwrap_or(usize::MAX);
            let length = buffer.len().min(left);
            let chunk = &mut buffer[..length];
            self.read_exact_at(chunk, at)?;
            crc = crc32c::crc32c_append(crc, chunk);
            each(chunk)?;
            at += length as u64;
        }
        if crc == self.crc {
            return Ok(());
        }
        Err(StateError::corrupt(
            self.file.path(),
            "the checksum of a block in it is wrong",
        ))
    }

    pub(crate) fn load(&self) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        self.each_chunk(|chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(bytes)
    }
}

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of blocks that a snapshot keeps in memory; the others wait for the checkpoint in a file.
const IN_MEMORY_BYTES: usize = 4 << 20;

/// Where the blocks of a large snapshot wait.
#[derive(Debug)]
struct Overflow {
    space: SpillSpace,
    file: Option<Arc<StoredFile>>,
    offset: u64,
    in_memory_bytes: usize,
}

/// A named piece of frozen state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBlock {
    pub name: String,
    pub content: BlockContent,
}

/// Frozen state: named blocks, cheap to clone. Names are unique within an operator; the order is the operator's own.
/// The content of a block starts with a version byte or is self-describing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateBlocks {
    pub blocks: Vec<StateBlock>,
}

/// Makes the blocks of a snapshot that may be as large as the budget of memory: what does not fit beside the state that
/// it was taken of goes to disk at once.
#[derive(Debug)]
pub struct LargeBlocks(Option<Overflow>);

impl LargeBlocks {
    /// Without a space all blocks stay in memory.
    pub fn new(space: Option<&SpillSpace>) -> Self {
        Self(space.map(|space| Overflow {
            space: space.clone(),
            file: None,
            offset: 0,
            in_memory_bytes: 0,
        }))
    }

    /// Moves blocks that were added last to disk, if there are too many bytes in memory.
    pub fn relieve(&mut self, out: &mut StateBlocks) -> Result<(), StateError> {
        let Some(overflow) = &mut self.0 else {
            return Ok(());
        };
        let Some(block) = out.blocks.last_mut() else {
            return Ok(());
        };
        let BlockContent::Bytes(bytes) = &block.content else {
            return Ok(());
        };
        if overflow.in_memory_bytes + bytes.len() <= IN_MEMORY_BYTES {
            overflow.in_memory_bytes += bytes.len();
            return Ok(());
        }
        let file = match &overflow.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(overflow.file.insert(Arc::new(overflow.space.create()?))),
        };
        file.write_at(bytes, overflow.offset)?;
        let length = bytes.len() as u64;
        let stored = StoredBytes::new(file, overflow.offset, length, crc32c::crc32c(bytes));
        block.content = BlockContent::Stored(stored);
        overflow.offset += length;
        Ok(())
    }
}

impl StateBlocks {
    pub fn new() -> Self {
        Self::default()
    }

    /// One block with its bytes.
    pub fn single(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let mut blocks = Self::new();
        blocks.push(name, bytes);
        blocks
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Adds a block with its bytes.
    pub fn push(&mut self, name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.blocks.push(StateBlock {
            name: name.into(),
            content: BlockContent::Bytes(bytes.into()),
        });
    }

    /// Adds a block that is as it was in the base checkpoint.
    pub fn push_unchanged(&mut self, name: impl Into<String>) {
        self.blocks.push(StateBlock {
            name: name.into(),
            content: BlockContent::Unchanged,
        });
    }

    /// Adds a block whose bytes are in a file.
    pub fn push_stored(&mut self, name: impl Into<String>, bytes: StoredBytes) {
        self.blocks.push(StateBlock {
            name: name.into(),
            content: BlockContent::Stored(bytes),
        });
    }

    /// The bytes of a block in memory. Blocks given to `restore` have theirs there, except for those of tables
    /// ([`StateBlocks::with_prefix`]) and of cold state.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let block = self.blocks.iter().find(|b| b.name == name)?;
        match &block.content {
            BlockContent::Bytes(bytes) => Some(bytes),
            BlockContent::Stored(_) | BlockContent::Unchanged => None,
        }
    }

    /// Name and bytes of the blocks whose name starts with `prefix`, in order. Those in a file are read one by one.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = Result<(&'a str, Cow<'a, [u8]>), StateError>> {
        let named = self.blocks.iter().filter(move |b| b.name.starts_with(prefix));
        named.filter_map(|b| Some(b.bytes().transpose()?.map(|bytes| (b.name.as_str(), bytes))))
    }

    /// The blocks whose name starts with `prefix` and a slash, without them: the state of a part of an operator.
    pub fn part(&self, prefix: &str) -> StateBlocks {
        let stripped = |b: &StateBlock| {
            let name = b.name.strip_prefix(prefix)?.strip_prefix('/')?;
            Some(StateBlock {
                name: name.to_owned(),
                content: b.content.clone(),
            })
        };
        Self {
            blocks: self.blocks.iter().filter_map(stripped).collect(),
        }
    }

    /// Adds the blocks of a part of an operator under `prefix` and a slash.
    pub fn push_part(&mut self, prefix: &str, part: StateBlocks) {
        let prefixed = |b: StateBlock| StateBlock {
            name: format!("{prefix}/{}", b.name),
            content: b.content,
        };
        self.blocks.extend(part.blocks.into_iter().map(prefixed));
    }

    /// Bytes that are carried (unchanged blocks count nothing).
    pub fn size_bytes(&self) -> usize {
        self.blocks.iter().map(StateBlock::size_bytes).sum()
    }
}

impl StateBlock {
    /// The bytes; `None` for a block that did not change.
    pub fn bytes(&self) -> Result<Option<Cow<'_, [u8]>>, StateError> {
        match &self.content {
            BlockContent::Bytes(bytes) => Ok(Some(Cow::Borrowed(bytes))),
            BlockContent::Stored(stored) => Ok(Some(Cow::Owned(stored.load()?))),
            BlockContent::Unchanged => Ok(None),
        }
    }

    fn size_bytes(&self) -> usize {
        match &self.content {
            BlockContent::Bytes(bytes) => bytes.len(),
            BlockContent::Stored(stored) => usize::try_from(stored.length).unwrap_or(usize::MAX),
            BlockContent::Unchanged => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_names() {
        let mut blocks = StateBlocks::single("rows", *b"r");
        blocks.push_part("left", StateBlocks::single("rows", *b"l"));
        assert_eq!(blocks.get("rows"), Some(&b"r"[..]));
        assert_eq!(blocks.part("left").get("rows"), Some(&b"l"[..]));
        assert_eq!(blocks.size_bytes(), 2);
    }
}
