//! The rows of partitions in order.
//!
//! A partition is a sorted vector: Top-N keeps few rows, and where it keeps all, the cost of a change is a move of
//! memory. Rows with equal sort columns stand in the order in which they came.

use hashbrown::HashMap;

/// A row in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub sort_key: Box<[u8]>,
    pub row: u32,
}

/// Rows of each partition, best first. Partitions are found by number and never listed.
#[derive(Default)]
pub(super) struct Ranking {
    partitions: HashMap<u32, Vec<Slot>, foldhash::fast::FixedState>,
    heap_bytes: usize,
}

impl Ranking {
    fn slots(&self, partition: u32) -> &[Slot] {
        self.partitions.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// The row at a rank, from 1.
    pub(super) fn at(&self, partition: u32, rank: u64) -> Option<&Slot> {
        let index = usize::try_from(rank.checked_sub(1)?).ok()?;
        self.slots(partition).get(index)
    }

    pub(super) fn sort_key<'a>(&self, slot: &'a Slot) -> &'a [u8] {
        &slot.sort_key
    }

    /// Puts a row behind those with the same sort columns; returns its rank.
    pub(super) fn insert(&mut self, partition: u32, sort_key: &[u8], row: u32) -> Option<u64> {
        let slots = self.partitions.entry(partition).or_default();
        let index = slots.partition_point(|slot| slot.sort_key.as_ref() <= sort_key);
        slots.insert(
            index,
            Slot {
                sort_key: sort_key.into(),
                row,
            },
        );
        self.heap_bytes += sort_key.len() + size_of::<Slot>();
        Some(index as u64 + 1)
    }

    /// Takes the first place of a row away; returns its rank.
    pub(super) fn remove_row(&mut self, partition: u32, sort_key: &[u8], row: u32) -> Option<u64> {
        let slots = self.slots(partition);
        let first = slots.partition_point(|slot| slot.sort_key.as_ref() < sort_key);
        let equal = slots[first..]
            .iter()
            .take_while(|slot| slot.sort_key.as_ref() == sort_key);
        let index = first + equal.into_iter().position(|slot| slot.row == row)?;
        self.remove_at(partition, index);
        Some(index as u64 + 1)
    }

    pub(super) fn remove(&mut self, partition: u32, slot: &Slot) {
        self.remove_row(partition, &slot.sort_key, slot.row);
    }

    fn remove_at(&mut self, partition: u32, index: usize) {
        let Some(slots) = self.partitions.get_mut(&partition) else {
            return;
        };
        let slot = slots.remove(index);
        self.heap_bytes -= slot.sort_key.len() + size_of::<Slot>();
        if slots.is_empty() {
            self.partitions.remove(&partition);
        }
    }

    /// The place of a row, wherever it stands.
    pub(super) fn find(&self, partition: u32, row: u32) -> Option<Slot> {
        self.slots(partition).iter().find(|slot| slot.row == row).cloned()
    }

    pub(super) fn rank_of(&self, partition: u32, slot: &Slot) -> u64 {
        let position = self.slots(partition).iter().position(|held| held == slot);
        position.map_or(0, |index| index as u64 + 1)
    }

    /// Another row in the same place.
    pub(super) fn replace_row(&mut self, partition: u32, slot: &Slot, row: u32) {
        let slots = self.partitions.get_mut(&partition);
        let held = slots.and_then(|slots| slots.iter_mut().find(|held| *held == slot));
        if let Some(held) = held {
            held.row = row;
        }
    }

    /// The rows from one rank to another, both included.
    pub(super) fn rows_from(&self, partition: u32, from: u64, to: u64) -> Vec<u32> {
        let slots = self.slots(partition);
        let start = usize::try_from(from.saturating_sub(1))
            .unwrap_or(usize::MAX)
            .min(slots.len());
        let end = usize::try_from(to)
            .unwrap_or(usize::MAX)
            .clamp(start, slots.len());
        slots[start..end].iter().map(|slot| slot.row).collect()
    }

    pub(super) fn memory_size(&self) -> usize {
        self.heap_bytes
    }
}
