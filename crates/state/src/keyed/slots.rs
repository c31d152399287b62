//! Slots: small dense numbers for keys.

use std::ops::Range;

use hashbrown::HashTable;

/// No slot.
pub const NO_SLOT: u32 = u32::MAX;

/// Keys and their slots. Slots of removed keys are given to later ones; their order depends on the calls alone.
pub struct KeySlots<K> {
    table: HashTable<u32>,
    keys: Vec<Option<K>>,
    hashes: Vec<u64>,
    free: Vec<u32>,
}

impl<K> KeySlots<K> {
    pub fn new() -> Self {
        Self {
            table: HashTable::new(),
            keys: Vec::new(),
            hashes: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The slot of the key with this hash that `is` accepts.
    #[inline]
    pub fn find(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<u32> {
        let (keys, hashes) = (&self.keys, &self.hashes);
        let same = |slot: &u32| {
            let slot = *slot as usize;
            hashes[slot] == hash && keys[slot].as_ref().is_some_and(&is)
        };
        self.table.find(hash, same).copied()
    }

    /// The slot of the key, a new one if there is none.
    #[inline]
    pub fn intern(&mut self, hash: u64, is: impl Fn(&K) -> bool, make: impl FnOnce() -> K) -> u32 {
        match self.find(hash, is) {
            Some(slot) => slot,
            None => self.insert(hash, make()),
        }
    }

    /// A slot for a key that has none.
    pub fn insert(&mut self, hash: u64, key: K) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.keys[slot as usize] = Some(key);
                self.hashes[slot as usize] = hash;
                slot
            }
            None => {
                self.keys.push(Some(key));
                self.hashes.push(hash);
                (self.keys.len() - 1) as u32
            }
        };
        let hashes = &self.hashes;
        self.table
            .insert_unique(hash, slot, |slot| hashes[*slot as usize]);
        slot
    }

    /// Removes a key.
    pub fn remove(&mut self, slot: u32) {
        let Some(key) = self.keys.get_mut(slot as usize) else {
            return;
        };
        if key.take().is_none() {
            return;
        }
        if let Ok(entry) = self
            .table
            .find_entry(self.hashes[slot as usize], |other| *other == slot)
        {
            entry.remove();
        }
        self.free.push(slot);
    }

    #[inline]
    pub fn key(&self, slot: u32) -> Option<&K> {
        self.keys.get(slot as usize)?.as_ref()
    }

    #[inline]
    pub fn hash(&self, slot: u32) -> u64 {
        self.hashes.get(slot as usize).copied().unwrap_or(0)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the highest slot ever used.
    pub fn end(&self) -> usize {
        self.keys.len()
    }

    /// Slots in use within `range`, ascending.
    pub fn iter(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let end = range.end.min(self.keys.len());
        (range.start..end)
            .filter(|slot| self.keys[*slot].is_some())
            .map(|slot| slot as u32)
    }

    pub fn memory_size(&self) -> usize {
        self.keys.capacity() * size_of::<Option<K>>()
            + self.hashes.capacity() * size_of::<u64>()
            + self.table.capacity() * 5
    }
}

impl<K> Default for KeySlots<K> {
    fn default() -> Self {
        Self::new()
    }
}
