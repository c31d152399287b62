//! Appends batches to a segment in large writes: with direct IO, or through the page cache if readers lag.

use crate::limits::{COLD_BYTES_MIN, SEGMENT_WRITE_BYTES};
use crate::partition::SegmentAppend;
use bytes::Bytes;
use millstream_types::Buffers;
use millstream_types::storage::{DIRECT_ALIGNMENT, StorageFile};
use std::io;

/// Writes the bytes of one [`SegmentAppend`], in order.
pub(crate) struct SegmentWriter<'a> {
    file: &'a dyn StorageFile,
    /// Where in the file the gathered bytes go.
    position: u64,
    /// Gathered bytes, from `start` on.
    gathered: Vec<u8>,
    start: usize,
    /// How many are gathered for the next write.
    room: usize,
    is_cold: bool,
    buffers: &'a Buffers,
}

impl<'a> SegmentWriter<'a> {
    pub fn new(file: &'a dyn StorageFile, append: &SegmentAppend, buffers: &'a Buffers) -> Self {
        let bytes: usize = append.chunks.iter().map(Bytes::len).sum();
        let (gathered, start) = buffers.take_aligned(bytes.min(SEGMENT_WRITE_BYTES));
        // The first write fills the current block, so that direct IO can start at the next one.
        let into_block = (append.position % DIRECT_ALIGNMENT as u64) as usize;
        let is_cold = bytes >= COLD_BYTES_MIN && !append.is_warm;
        let room = if is_cold && into_block > 0 {
            DIRECT_ALIGNMENT - into_block
        } else {
            SEGMENT_WRITE_BYTES
        };
        SegmentWriter {
            file,
            position: append.position,
            gathered,
            start,
            room,
            is_cold,
            buffers,
        }
    }

    pub fn push(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        while !chunk.is_empty() {
            let free = self.room - (self.gathered.len() - self.start);
            let (now, later) = chunk.split_at(chunk.len().min(free));
            self.gathered.extend_from_slice(now);
            chunk = later;
            if now.len() == free {
                self.write()?;
                self.room = SEGMENT_WRITE_BYTES;
            }
        }
        Ok(())
    }

    /// Writes the buffer: whole blocks with direct IO, and the rest of a block through the page cache.
    fn write(&mut self) -> io::Result<()> {
        let bytes = &self.gathered[self.start..];
        let is_at_block = self.position.is_multiple_of(DIRECT_ALIGNMENT as u64);
        let blocks = if self.is_cold && is_at_block {
            bytes.len() / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT
        } else {
            0
        };
        let (cold, rest) = bytes.split_at(blocks);
        if !cold.is_empty() {
            self.file.write_cold_at(cold, self.position)?;
        }
        if !rest.is_empty() {
            self.file.write_at(rest, self.position + cold.len() as u64)?;
        }
        self.position += bytes.len() as u64;
        self.gathered.truncate(self.start);
        Ok(())
    }

    /// Writes the end; the caller syncs.
    pub fn finish(mut self) -> io::Result<()> {
        self.write()?;
        self.buffers.give_back(self.gathered);
        Ok(())
    }
}
