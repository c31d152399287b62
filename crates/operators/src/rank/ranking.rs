//! Ordered rows of partitions.
//!
//! A partition is a sorted vector. Top-N keeps few rows, and where it keeps all, a change costs one memory move. Rows
//! with equal sort columns stay in arrival order.

/// Longest sort columns that need no allocation: two of 64 bits, with their NULL bytes.
const INLINE_BYTES: usize = 22;

/// Sort columns as bytes.
#[derive(Clone, Debug)]
enum SortBytes {
    Inline(u8, [u8; INLINE_BYTES]),
    Long(Box<[u8]>),
}

impl SortBytes {
    fn new(bytes: &[u8]) -> Self {
        if bytes.len() > INLINE_BYTES {
            return Self::Long(bytes.into());
        }
        let mut inline = [0; INLINE_BYTES];
        inline[..bytes.len()].copy_from_slice(bytes);
        Self::Inline(bytes.len() as u8, inline)
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline(..) => 0,
            Self::Long(bytes) => bytes.len(),
        }
    }
}

/// A row in its place.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    sort_key: SortBytes,
    pub row: u32,
}

impl Slot {
    pub(super) fn sort_key(&self) -> &[u8] {
        match &self.sort_key {
            SortBytes::Inline(length, bytes) => &bytes[..usize::from(*length)],
            SortBytes::Long(bytes) => bytes,
        }
    }
}

/// Rows of each partition, best first. Partitions are looked up by number and never iterated.
#[derive(Default)]
pub(super) struct Ranking {
    partitions: Vec<Vec<Slot>>,
    heap_bytes: usize,
}

impl Ranking {
    fn slots(&self, partition: u32) -> &[Slot] {
        self.partitions.get(partition as usize).map_or(&[], Vec::as_slice)
    }

    /// The row at a rank, from 1.
    pub(super) fn at(&self, partition: u32, rank: u64) -> Option<&Slot> {
        let index = usize::try_from(rank.checked_sub(1)?).ok()?;
        self.slots(partition).get(index)
    }

    /// Puts a row behind those with the same sort columns; returns its rank.
    pub(super) fn insert(&mut self, partition: u32, sort_key: &[u8], row: u32) -> u64 {
        if partition as usize >= self.partitions.len() {
            self.partitions.resize_with(partition as usize + 1, Vec::new);
        }
        let slots = &mut self.partitions[partition as usize];
        let index = slots.partition_point(|slot| slot.sort_key() <= sort_key);
        let (sort_key, before) = (SortBytes::new(sort_key), slots.capacity());
        self.heap_bytes += sort_key.heap_bytes();
        slots.insert(index, Slot { sort_key, row });
        self.heap_bytes += (slots.capacity() - before) * size_of::<Slot>();
        index as u64 + 1
    }

    /// Removes the first entry of a row; returns its rank.
    pub(super) fn remove_row(&mut self, partition: u32, sort_key: &[u8], row: u32) -> Option<u64> {
        let slots = self.slots(partition);
        let first = slots.partition_point(|slot| slot.sort_key() < sort_key);
        let equal = slots[first..]
            .iter()
            .take_while(|slot| slot.sort_key() == sort_key);
        let index = first + equal.into_iter().position(|slot| slot.row == row)?;
        self.remove_at(partition, index);
        Some(index as u64 + 1)
    }

    pub(super) fn remove(&mut self, partition: u32, slot: &Slot) {
        self.remove_row(partition, slot.sort_key(), slot.row);
    }

    fn remove_at(&mut self, partition: u32, index: usize) {
        let Some(slots) = self.partitions.get_mut(partition as usize) else {
            return;
        };
        let slot = slots.remove(index);
        self.heap_bytes -= slot.sort_key.heap_bytes();
        if slots.is_empty() {
            self.heap_bytes -= slots.capacity() * size_of::<Slot>();
            *slots = Vec::new();
        }
    }

    /// Forgets all rows of a partition.
    pub(super) fn clear(&mut self, partition: u32) {
        let Some(slots) = self.partitions.get_mut(partition as usize) else {
            return;
        };
        let slots = std::mem::take(slots);
        let keys: usize = slots.iter().map(|slot| slot.sort_key.heap_bytes()).sum();
        self.heap_bytes -= keys + slots.capacity() * size_of::<Slot>();
    }

    /// Takes the rows beyond a rank away, the last first.
    pub(super) fn pop_beyond(&mut self, partition: u32, rank: u64) -> Option<u32> {
        let slots = self.partitions.get_mut(partition as usize)?;
        if slots.len() as u64 <= rank {
            return None;
        }
        let slot = slots.pop()?;
        self.heap_bytes -= slot.sort_key.heap_bytes();
        Some(slot.row)
    }

    /// The place of a row, wherever it stands, and its rank.
    pub(super) fn find(&self, partition: u32, row: u32) -> Option<(Slot, u64)> {
        let slots = self.slots(partition);
        let index = slots.iter().position(|slot| slot.row == row)?;
        Some((slots[index].clone(), index as u64 + 1))
    }

    /// Replaces the row of an entry.
    pub(super) fn replace_row(&mut self, partition: u32, slot: &Slot, row: u32) {
        let slots = self.partitions.get_mut(partition as usize);
        let held = slots.and_then(|slots| slots.iter_mut().find(|held| held.row == slot.row));
        if let Some(held) = held {
            held.row = row;
        }
    }

    /// The rows from one rank to another, both included.
    pub(super) fn rows_from(&self, partition: u32, from: u64, to: u64) -> impl Iterator<Item = u32> {
        let slots = self.slots(partition);
        let start = usize::try_from(from.saturating_sub(1))
            .unwrap_or(usize::MAX)
            .min(slots.len());
        let end = usize::try_from(to)
            .unwrap_or(usize::MAX)
            .clamp(start, slots.len());
        slots[start..end].iter().map(|slot| slot.row)
    }

    pub(super) fn memory_size(&self) -> usize {
        self.heap_bytes + self.partitions.capacity() * size_of::<Vec<Slot>>()
    }
}
