//! The open-addressing index of a group table: hashes to group numbers.
//!
//! A slot is one word: 32 bits of the hash as a tag, and the group number plus one. The home of a hash is its tag,
//! scaled to the number of slots, so that growing needs nothing but the slots themselves and moves them in order, and a
//! removal closes its gap instead of leaving a tombstone. The index grows by half: while it moves, the old slots and the
//! new ones are in memory, and for large state that is the peak which the memory limit has to leave room for.
//! Probing works on runs of rows: all home slots are loaded first (the misses overlap), then tags are compared, then all
//! keys behind matching tags; what is left is searched one by one.

/// Rows whose loads overlap.
const PROBE_RUN: usize = 128;
const SLOTS_MIN: usize = 16;
/// Most slots that are used, in eighths.
const LOAD_EIGHTHS: usize = 5;

/// No group.
pub const NO_GROUP: u32 = u32::MAX;

/// Keys of a batch against the stored keys.
pub(super) trait KeyRows {
    /// Whether the key of `row` has a place of its own outside of the index (a NULL).
    fn is_apart(&self, row: usize) -> bool;
    /// Whether the stored key of `group` equals the key of `row`.
    fn matches(&self, group: u32, row: usize) -> bool;
}

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<u64>,
    used: usize,
}

/// Without the highest bits, which keys that come back from disk together have in common (`cold::run::partition_of`):
/// their homes would lie side by side, and searches would become as long as the table.
#[inline]
fn tag_of(hash: u64) -> u32 {
    (hash >> 24) as u32
}

#[inline]
fn slot_of(tag: u32, group: u32) -> u64 {
    (u64::from(tag) << 32) | u64::from(group + 1)
}

#[inline]
fn tag_in(slot: u64) -> u32 {
    (slot >> 32) as u32
}

#[inline]
fn group_in(slot: u64) -> u32 {
    (slot as u32).wrapping_sub(1)
}

impl Slots {
    pub fn new() -> Self {
        Self {
            slots: vec![0; SLOTS_MIN],
            used: 0,
        }
    }

    pub fn memory_size(&self) -> usize {
        self.slots.len() * size_of::<u64>()
    }

    pub fn clear(&mut self) {
        *self = Self::new();
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, index: usize) -> usize {
        let next = index + 1;
        if next == self.slots.len() { 0 } else { next }
    }

    /// The number of steps of a search from one slot to the other.
    #[inline]
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.slots.len() - from
        }
    }

    /// Makes room for `more` groups.
    pub fn reserve(&mut self, more: usize) {
        let needed = (self.used + more) * 8 / LOAD_EIGHTHS + 1;
        if needed <= self.slots.len() {
            return;
        }
        let size = needed.max(self.slots.len() / 2 * 3);
        let old = std::mem::replace(&mut self.slots, vec![0; size]);
        for slot in old {
            if slot != 0 {
                self.place(slot);
            }
        }
    }

    fn place(&mut self, slot: u64) {
        let mut index = self.home(tag_in(slot));
        while self.slots[index] != 0 {
            index = self.after(index);
        }
        self.slots[index] = slot;
    }

    /// Adds a group that is known to be absent.
    pub fn insert(&mut self, hash: u64, group: u32) {
        self.reserve(1);
        self.place(slot_of(tag_of(hash), group));
        self.used += 1;
    }

    /// The group of one key.
    #[inline]
    pub fn search<K: KeyRows>(&self, hash: u64, row: usize, keys: &K) -> u32 {
        let tag = tag_of(hash);
        let mut index = self.home(tag);
        loop {
            let slot = self.slots[index];
            if slot == 0 {
                return NO_GROUP;
            }
            if tag_in(slot) == tag && keys.matches(group_in(slot), row) {
                return group_in(slot);
            }
            index = self.after(index);
        }
    }

    /// Finds the groups of one run of rows, `first` being the number of the first. Rows that are apart, absent, or
    /// whose tag another key has are left as [`NO_GROUP`] and added to `left`.
    ///
    /// In three passes, so that the cache misses of a run overlap: the home slots, the rest of each search by tags
    /// alone (mostly in the lines that are there by now), the stored keys.
    #[inline]
    fn probe_run<K: KeyRows>(
        &self,
        hashes: &[u64],
        first: usize,
        keys: &K,
        groups: &mut [u32],
        left: &mut Vec<u32>,
    ) {
        let mut homes = [0u64; PROBE_RUN];
        for (home, hash) in homes.iter_mut().zip(hashes) {
            *home = self.slots[self.home(tag_of(*hash))];
        }
        for ((home, hash), group) in homes.iter().zip(hashes).zip(groups.iter_mut()) {
            *group = self.search_tag(*home, tag_of(*hash));
        }
        for (i, group) in groups.iter_mut().enumerate() {
            let row = first + i;
            let is_found = *group != NO_GROUP && !keys.is_apart(row) && keys.matches(*group, row);
            if !is_found {
                *group = NO_GROUP;
                left.push(row as u32);
            }
        }
    }

    /// The first group with this tag, from the content of its home on.
    #[inline]
    fn search_tag(&self, home: u64, tag: u32) -> u32 {
        if tag_in(home) == tag || home == 0 {
            return group_in(home);
        }
        let mut index = self.after(self.home(tag));
        loop {
            let slot = self.slots[index];
            if tag_in(slot) == tag || slot == 0 {
                return group_in(slot);
            }
            index = self.after(index);
        }
    }

    /// Finds the groups of all rows; rows not found at home are in `left`, in order.
    pub fn probe<K: KeyRows>(&self, hashes: &[u64], keys: &K, groups: &mut [u32], left: &mut Vec<u32>) {
        left.clear();
        let runs = hashes.chunks(PROBE_RUN).zip(groups.chunks_mut(PROBE_RUN));
        for (run, (hashes, groups)) in runs.enumerate() {
            self.probe_run(hashes, run * PROBE_RUN, keys, groups, left);
        }
    }

    /// Takes a group out; it must be there under this hash.
    pub fn remove(&mut self, hash: u64, group: u32) {
        let wanted = slot_of(tag_of(hash), group);
        let mut gap = self.home(tag_of(hash));
        while self.slots[gap] != wanted {
            if self.slots[gap] == 0 {
                debug_assert!(false, "group {group} is not in the index");
                return;
            }
            gap = self.after(gap);
        }
        self.used -= 1;
        self.close_gap(gap);
    }

    /// Moves later slots of the run back so that no search stops early.
    fn close_gap(&mut self, mut gap: usize) {
        let mut next = self.after(gap);
        while self.slots[next] != 0 {
            let home = self.home(tag_in(self.slots[next]));
            let reaches_gap = self.distance(home, next) >= self.distance(gap, next);
            if reaches_gap {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
            next = self.after(next);
        }
        self.slots[gap] = 0;
    }
}
