//! What a snapshot of state is made of: named blocks of opaque bytes.
//!
//! State freezes itself into blocks at a barrier; a background thread writes them; a manifest says where they are. A
//! block that did not change since a checkpoint that is already durable is named without its bytes, so that a
//! checkpoint writes only what changed. Nothing here knows what the bytes mean.

use std::sync::Arc;

use millstream_types::CheckpointId;

/// Which snapshot is taken, and what it may refer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotScope {
    pub checkpoint: CheckpointId,
    /// The newest durable checkpoint of this very instance: a block that did not change since may be
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
    /// As in the base checkpoint of the scope, under the same name.
    Unchanged,
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

    /// The bytes of a block. Blocks given to `restore` always carry theirs.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.blocks
            .iter()
            .find(|b| b.name == name)
            .and_then(StateBlock::bytes)
    }

    /// Name and bytes of the blocks whose name starts with `prefix`, in order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let named = self.blocks.iter().filter(move |b| b.name.starts_with(prefix));
        named.filter_map(|b| b.bytes().map(|bytes| (b.name.as_str(), bytes)))
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
        self.blocks
            .iter()
            .filter_map(StateBlock::bytes)
            .map(<[u8]>::len)
            .sum()
    }
}

impl StateBlock {
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            BlockContent::Bytes(bytes) => Some(bytes),
            BlockContent::Unchanged => None,
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
