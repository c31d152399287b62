//! Buffers of decompressed records, recycled once no batch downstream refers to them.
//!
//! A fresh buffer of a few megabytes for every record batch costs a page fault for each of its pages, which is as much
//! system time as reading from the socket.

use std::collections::VecDeque;

use arrow_buffer::Buffer;

/// Number of tracked buffers. Batches that live longer (in an operator's state) keep theirs, which is freed with them.
const LENT_MAX: usize = 4;
/// Larger buffers are freed: a source holds at most [`LENT_MAX`] times this size.
const RECYCLED_BYTES_MAX: usize = 8 << 20;

/// Lends out buffers.
#[derive(Default)]
pub struct LentBuffers {
    lent: VecDeque<Buffer>,
}

impl LentBuffers {
    /// An empty buffer, recycled if possible.
    pub fn take(&mut self) -> Vec<u8> {
        let free = self.lent.iter().position(|buffer| buffer.strong_count() == 1);
        let Some(buffer) = free.and_then(|index| self.lent.remove(index)) else {
            return Vec::new();
        };
        let mut bytes = buffer.into_vec::<u8>().unwrap_or_default();
        bytes.clear();
        bytes
    }

    /// The filled buffer, shared with its readers.
    pub fn lend(&mut self, bytes: Vec<u8>) -> Buffer {
        let is_kept = (1..=RECYCLED_BYTES_MAX).contains(&bytes.capacity());
        let buffer = Buffer::from(bytes);
        if is_kept {
            self.lent.push_back(buffer.clone());
            if self.lent.len() > LENT_MAX {
                self.lent.pop_front();
            }
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_once_nothing_refers_to_it() {
        let mut buffers = LentBuffers::default();
        let mut bytes = buffers.take();
        bytes.extend_from_slice(&[7; 1000]);
        let place = bytes.as_ptr();
        let lent = buffers.lend(bytes);
        let reader = lent.slice(10);
        drop(lent);
        assert_eq!(buffers.take().capacity(), 0, "the slice still refers to it");
        assert_eq!(reader[0], 7);
        drop(reader);
        let again = buffers.take();
        assert!(again.is_empty() && again.capacity() >= 1000);
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn huge_buffers_are_not_kept() {
        let mut buffers = LentBuffers::default();
        drop(buffers.lend(vec![0; RECYCLED_BYTES_MAX + 1]));
        assert_eq!(buffers.take().capacity(), 0);
    }
}
