//! Large buffers that are used again. Clearing fresh memory for each megabyte that is read or written costs as much as
//! copying the megabyte.
//!
//! A buffer is lent as [`Bytes`] and comes back by itself when the last slice of it is dropped, on whatever thread.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that nobody uses at the moment, up to a limit. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Buffers {
    free: Arc<Mutex<Free>>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
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

    /// A buffer with room for `capacity` bytes. What it holds is left from an earlier use.
    pub fn take(&self, capacity: usize) -> Vec<u8> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let sizes = free.buffers.iter().map(Vec::capacity).enumerate();
        let smallest = sizes
            .filter(|(_, size)| *size >= capacity)
            .min_by_key(|(_, size)| *size);
        let Some((at, _)) = smallest else {
            return Vec::with_capacity(capacity);
        };
        let data = free.buffers.swap_remove(at);
        free.bytes -= data.capacity();
        data
    }

    /// Shares a buffer until nobody needs it.
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
        // What the buffer held before is overwritten or cut off; only what it lacks is cleared.
        data.resize(length, 0);
        let filled = read(&mut data)?;
        data.truncate(filled);
        Ok(self.lend(data))
    }

    fn give_back(&self, data: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.bytes + data.capacity() <= self.bytes_max {
            free.bytes += data.capacity();
            free.buffers.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_goes() {
        let buffers = Buffers::new(1000);
        let read = |byte: u8, length: usize| {
            let fill = |data: &mut [u8]| {
                data[..length / 2].fill(byte);
                Ok::<usize, ()>(length / 2)
            };
            buffers.fill(length, fill).unwrap()
        };
        let free = || buffers.free.lock().unwrap().buffers.len();
        let first = read(1, 100);
        let slice = first.slice(10..20);
        drop(first);
        let second = read(2, 50);
        assert_eq!((&slice[..], second.len()), (&[1u8; 10][..], 25));
        assert_eq!(free(), 0);
        drop(slice);
        drop(second);
        assert_eq!(free(), 2);
        assert_eq!(&read(3, 200)[..], [3u8; 100]);
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let buffers = Buffers::new(100);
        drop([40, 50, 60, 101].map(|size| buffers.lend(Vec::with_capacity(size))));
        let free = buffers.free.lock().unwrap();
        assert_eq!((free.buffers.len(), free.bytes), (2, 90));
    }
}
