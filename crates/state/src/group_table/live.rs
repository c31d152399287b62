//! Which group numbers are in use, and in which blocks of groups something changed.

use millstream_types::CheckpointId;

/// Groups in a block, the unit in which state is written to a checkpoint.
pub const GROUPS_PER_BLOCK: usize = 4096;

/// A set of group numbers with a list of free ones below its end.
#[derive(Debug, Default)]
pub(super) struct LiveGroups {
    words: Vec<u64>,
    free: Vec<u32>,
    end: u32,
}

impl LiveGroups {
    /// Number of groups in use.
    pub fn len(&self) -> usize {
        self.end as usize - self.free.len()
    }

    /// One more than the highest group number ever used.
    pub fn end(&self) -> usize {
        self.end as usize
    }

    /// A free number.
    pub fn allocate(&mut self) -> u32 {
        let group = self.free.pop().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        });
        let word = group as usize / 64;
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] |= 1 << (group % 64);
        group
    }

    pub fn release(&mut self, group: u32) {
        debug_assert!(self.contains(group));
        self.words[group as usize / 64] &= !(1 << (group % 64));
        self.free.push(group);
    }

    pub fn contains(&self, group: u32) -> bool {
        self.words
            .get(group as usize / 64)
            .is_some_and(|word| word >> (group % 64) & 1 == 1)
    }

    /// Numbers in use within `range`, ascending.
    pub fn iter(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let end = range.end.min(self.end());
        (range.start as u32..end as u32).filter(|group| self.contains(*group))
    }

    pub fn memory_size(&self) -> usize {
        self.words.capacity() * 8 + self.free.capacity() * 4
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// For each block of [`GROUPS_PER_BLOCK`] groups, whether it changed since a checkpoint.
///
/// Accumulator arrays that are indexed by group number use one of these too, so that keys and values of a group are
/// written together or not at all.
#[derive(Debug, Default)]
pub struct DirtyBlocks {
    /// Number of the first checkpoint that holds the block's content of today; `None`: not in any.
    held_by: Vec<Option<CheckpointId>>,
}

impl DirtyBlocks {
    /// Something of this group changed.
    #[inline]
    pub fn mark(&mut self, group: u32) {
        self.mark_block(group as usize / GROUPS_PER_BLOCK);
    }

    /// Something in this block changed, for operators with blocks of another size.
    #[inline]
    pub fn mark_block(&mut self, block: usize) {
        if block >= self.held_by.len() {
            self.held_by.resize(block + 1, None);
        }
        self.held_by[block] = None;
    }

    /// Something of all these groups changed.
    pub fn mark_all(&mut self, groups: &[u32]) {
        groups.iter().for_each(|group| self.mark(*group));
    }

    /// Whether a snapshot must carry the block; if so, it counts as held by that checkpoint from now on.
    pub fn freeze(&mut self, block: usize, scope: &crate::SnapshotScope) -> bool {
        if block >= self.held_by.len() {
            self.held_by.resize(block + 1, None);
        }
        let held = self.held_by[block].is_some_and(|by| scope.base.is_some_and(|base| by <= base));
        if !held {
            self.held_by[block] = Some(scope.checkpoint);
        }
        !held
    }

    /// Everything changed.
    pub fn clear(&mut self) {
        self.held_by.clear();
    }
}
