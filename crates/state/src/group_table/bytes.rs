//! Stored keys of variable length: one 16-byte view a group, long keys in an arena.
//!
//! A view is Arrow's: up to 12 bytes inside, else length, prefix and a place. Most keys are short, so that a
//! comparison is one of two words and the arena is not touched. The arena is rewritten when most of it is garbage.

use arrow_array::builder::make_view;

use crate::hash::VIEW_INLINE_BYTES;

use super::row_codec::EncodedRows;
use super::slots::KeyRows;

/// Size of an arena block.
const ARENA_BLOCK_BYTES: usize = 64 << 10;

/// Rows of a batch as bytes.
pub(super) trait ByteRows {
    fn is_null(&self, row: usize) -> bool;
    /// The view of the row; of a long one only length and prefix (the low 64 bits) count.
    fn view(&self, row: usize) -> u128;
    fn bytes(&self, row: usize) -> &[u8];
}

#[derive(Debug, Default)]
pub(super) struct BytesKeys {
    views: Vec<u128>,
    blocks: Vec<Vec<u8>>,
    arena_bytes: usize,
    garbage_bytes: usize,
}

fn is_inline(view: u128) -> bool {
    view as u32 as usize <= VIEW_INLINE_BYTES
}

fn length(view: u128) -> usize {
    view as u32 as usize
}

impl BytesKeys {
    pub fn memory_size(&self) -> usize {
        self.views.capacity() * size_of::<u128>() + self.arena_bytes
    }

    /// The bytes of a long key.
    fn long(&self, view: u128) -> &[u8] {
        let (block, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
        &self.blocks[block][offset..offset + length(view)]
    }

    pub fn view(&self, group: u32) -> u128 {
        self.views[group as usize]
    }

    /// The bytes of a key; `inline` lends room for a short one.
    pub fn bytes<'a>(&'a self, group: u32, inline: &'a mut [u8; 16]) -> &'a [u8] {
        let view = self.view(group);
        if !is_inline(view) {
            return self.long(view);
        }
        *inline = view.to_le_bytes();
        &inline[4..4 + length(view)]
    }

    /// The bytes of many keys; `inline` lends room for short ones, one for each.
    pub fn all_bytes<'a>(&'a self, groups: &[u32], inline: &'a mut [[u8; 16]]) -> Vec<&'a [u8]> {
        let keys = groups.iter().zip(inline);
        keys.map(|(group, inline)| self.bytes(*group, inline)).collect()
    }

    pub fn store(&mut self, group: u32, bytes: &[u8]) {
        let view = if bytes.len() <= VIEW_INLINE_BYTES {
            make_view(bytes, 0, 0)
        } else {
            self.append(bytes)
        };
        self.store_view(group, view);
    }

    /// Stores rows of a batch under new numbers. Many bytes become a block of the arena as they are, without a copy.
    pub fn store_all(&mut self, groups: &[u32], rows: EncodedRows) {
        let is_block = rows.data.len() >= ARENA_BLOCK_BYTES / 4 && u32::try_from(rows.data.len()).is_ok();
        if !is_block {
            for (row, group) in groups.iter().enumerate() {
                self.store(*group, rows.bytes(row));
            }
            return;
        }
        let block = self.blocks.len() as u128;
        for ((group, view), offset) in groups.iter().zip(&rows.views).zip(&rows.offsets) {
            let place = block << 64 | (*offset as u128) << 96;
            let view = if is_inline(*view) {
                *view
            } else {
                view & u128::from(u64::MAX) | place
            };
            self.store_view(*group, view);
        }
        self.arena_bytes += rows.data.capacity();
        self.blocks.push(rows.data);
    }

    /// Stores a place holder, for the group of NULL.
    pub fn store_nothing(&mut self, group: u32) {
        self.store_view(group, 0);
    }

    fn store_view(&mut self, group: u32, view: u128) {
        let group = group as usize;
        if group == self.views.len() {
            self.views.push(view);
        } else {
            self.views[group] = view;
        }
    }

    fn append(&mut self, bytes: &[u8]) -> u128 {
        let fits = |block: &Vec<u8>| block.len() + bytes.len() <= block.capacity();
        if !self.blocks.last().is_some_and(fits) {
            self.blocks
                .push(Vec::with_capacity(bytes.len().max(ARENA_BLOCK_BYTES)));
            self.arena_bytes += bytes.len().max(ARENA_BLOCK_BYTES);
        }
        let index = self.blocks.len() - 1;
        let block = &mut self.blocks[index];
        let offset = block.len();
        block.extend_from_slice(bytes);
        make_view(bytes, index as u32, offset as u32)
    }

    /// Removes the key of a group.
    pub fn remove(&mut self, group: u32) {
        let view = std::mem::take(&mut self.views[group as usize]);
        if !is_inline(view) {
            self.garbage_bytes += length(view);
        }
        if self.garbage_bytes > ARENA_BLOCK_BYTES.max(self.arena_bytes / 2) {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let old = std::mem::take(&mut self.blocks);
        (self.arena_bytes, self.garbage_bytes) = (0, 0);
        for group in 0..self.views.len() {
            let view = self.views[group];
            if !is_inline(view) {
                let (block, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
                self.views[group] = self.append(&old[block][offset..offset + length(view)]);
            }
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A batch of rows beside the stored keys.
pub(super) struct BytesInput<'a, R> {
    pub keys: &'a BytesKeys,
    pub rows: &'a R,
}

impl<R: ByteRows> KeyRows for BytesInput<'_, R> {
    #[inline]
    fn is_apart(&self, row: usize) -> bool {
        self.rows.is_null(row)
    }

    #[inline]
    fn matches(&self, group: u32, row: usize) -> bool {
        let (stored, wanted) = (self.keys.views[group as usize], self.rows.view(row));
        if is_inline(wanted) {
            return stored == wanted;
        }
        stored as u64 == wanted as u64 && self.keys.long(stored) == self.rows.bytes(row)
    }
}
