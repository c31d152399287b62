//! A pool of large buffers. Clearing fresh memory for each megabyte that is read or written costs as much as copying
//! the megabyte.
//!
//! A buffer is lent as [`Bytes`] and returns to the pool when its last slice is dropped, on any thread.

use crate::storage::DIRECT_ALIGNMENT;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};

/// Capacities are multiples of this, larger ones of an eighth of themselves.
const CAPACITY_STEP: usize = 4 << 10;

/// The free buffers, up to a cap. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Buffers {
    free: Arc<Mutex<Free>>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Free {
    by_capacity: BTreeMap<usize, Vec<Vec<u8>>>,
    bytes: usize,
}

impl Free {
    /// Takes the smallest buffer with a capacity in `range`; among equals the one returned last, because it may still
    /// be in the CPU cache.
    fn pop(&mut self, range: impl RangeBounds<usize>) -> Option<Vec<u8>> {
        let (capacity, buffers) = self.by_capacity.range_mut(range).next()?;
        let capacity = *capacity;
        let data = buffers.pop();
        if buffers.is_empty() {
            self.by_capacity.remove(&capacity);
        }
        self.bytes -= data.as_ref().map_or(0, Vec::capacity);
        data
    }
}

/// A buffer on its way.
struct Lent {
    data: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.data));
    }
}

impl Buffers {
    /// Keeps up to `bytes_max` of free buffers.
    pub fn new(bytes_max: usize) -> Self {
        Buffers {
            free: Arc::default(),
            bytes_max,
        }
    }

    /// A buffer with capacity for `capacity` bytes. Its content is left from an earlier use.
    pub fn take(&self, capacity: usize) -> Vec<u8> {
        // Few sizes, so that a buffer fits the next use, too.
        let capacity = capacity.next_multiple_of((capacity.next_power_of_two() / 8).max(CAPACITY_STEP));
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // A much larger one would be missing where it is needed.
        let found = free.pop(capacity..=2 * capacity);
        drop(free);
        found.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    /// A buffer with capacity for `bytes` from the returned position on, up to which it is filled: that position is
    /// aligned for direct IO.
    pub fn take_aligned(&self, bytes: usize) -> (Vec<u8>, usize) {
        let mut data = self.take(bytes + DIRECT_ALIGNMENT);
        data.clear();
        // An address may have no known alignment; then the write is an ordinary one.
        let start = data.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let start = if start < DIRECT_ALIGNMENT { start } else { 0 };
        data.resize(start, 0);
        (data, start)
    }

    /// Lends a buffer until its last slice is dropped.
    pub fn lend(&self, data: Vec<u8>) -> Bytes {
        let home = self.clone();
        Bytes::from_owner(Lent { data, home })
    }

    /// Reads into a buffer of `length`; `read` says how many bytes it has filled.
    pub fn fill<E>(
        &self,
        length: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Bytes, E> {
        let mut data = self.take(length);
        // The previous content is overwritten or truncated; only the missing part is cleared.
        data.resize(length, 0);
        let filled = read(&mut data)?;
        data.truncate(filled);
        Ok(self.lend(data))
    }

    /// Returns a buffer to the pool. Beyond the cap, small buffers are dropped in favour of larger ones.
    pub fn give_back(&self, data: Vec<u8>) {
        let capacity = data.capacity();
        if capacity == 0 {
            return;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let smaller = free.by_capacity.range(..capacity / 2);
        let smaller_bytes: usize = smaller.map(|(each, buffers)| each * buffers.len()).sum();
        if free.bytes - smaller_bytes + capacity > self.bytes_max {
            return;
        }
        while free.bytes + capacity > self.bytes_max {
            free.pop(..capacity / 2);
        }
        free.bytes += capacity;
        free.by_capacity.entry(capacity).or_default().push(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The capacities of free buffers.
    fn free(buffers: &Buffers) -> Vec<usize> {
        let free = buffers.free.lock().unwrap();
        let capacities = free.by_capacity.values().flatten().map(Vec::capacity);
        let capacities: Vec<usize> = capacities.collect();
        assert_eq!(capacities.iter().sum::<usize>(), free.bytes);
        capacities
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_goes() {
        let buffers = Buffers::new(20_000);
        let read = |byte: u8, length: usize| {
            let fill = |data: &mut [u8]| {
                data[..length / 2].fill(byte);
                Ok::<usize, ()>(length / 2)
            };
            buffers.fill(length, fill).unwrap()
        };
        let first = read(1, 100);
        let slice = first.slice(10..20);
        drop(first);
        let second = read(2, 50);
        assert_eq!((&slice[..], second.len()), (&[1u8; 10][..], 25));
        assert_eq!(free(&buffers), []);
        drop(slice);
        drop(second);
        assert_eq!(free(&buffers), [4096, 4096]);
        assert_eq!(&read(3, 200)[..], [3u8; 100]);
    }

    #[test]
    fn no_more_than_the_limit_is_kept_and_of_that_the_larger() {
        let buffers = Buffers::new(40 << 10);
        let give = |kib: usize| drop(buffers.lend(Vec::with_capacity(kib << 10)));
        for (kib, expected) in [
            (4, &[4][..]),
            (4, &[4, 4]),
            (4, &[4, 4, 4]),
            (16, &[4, 4, 4, 16]),
            (4, &[4, 4, 4, 4, 16]),
            (16, &[4, 4, 16, 16]),
            (4, &[4, 4, 16, 16]),
            (12, &[4, 4, 16, 16]),
            (44, &[4, 4, 16, 16]),
        ] {
            give(kib);
            let expected: Vec<usize> = expected.iter().map(|kib| kib << 10).collect();
            assert_eq!(free(&buffers), expected, "after {kib} KiB");
        }
    }

    #[test]
    fn a_buffer_is_taken_for_what_nearly_fills_it() {
        let buffers = Buffers::new(1 << 20);
        drop([8, 64].map(|kib| buffers.lend(Vec::with_capacity(kib << 10))));
        assert_eq!(buffers.take(9 << 10).capacity(), 12 << 10);
        assert_eq!(buffers.take(5 << 10).capacity(), 8 << 10);
        assert_eq!(buffers.take(60 << 10).capacity(), 64 << 10);
        assert_eq!(free(&buffers), []);
    }
}
