//! Runs: files of records in the order of their hashes, written once.
//!
//! A file starts with eight bytes: `MSCOLD` and a version (16 bits, little-endian). Then it holds one segment for each
//! partition of the hashes, back to back. A segment is a sequence of blocks of about
//! [`BLOCK_BYTES`]; a record lies in one block. A record, little-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | hash of the key |
//! | 8 | time, ms: when the record was written last |
//! | 4 | length of the key |
//! | 4 | length of the value |
//! | … | key, value |
//!
//! Indexes and filters stay in memory. Blocks have no checksums in the file; the index has them.

use std::ops::Range;
use std::sync::Arc;

use crate::error::StateError;
use crate::spill::{SpillSpace, StoredFile};

use super::filter::Filter;

/// Size at which a block ends.
const BLOCK_BYTES: usize = 4096;
/// Bytes that are written or read at once where access is sequential.
const CHUNK_BYTES: usize = 256 << 10;
/// What a file starts with: its kind and version.
pub(super) const FILE_HEADER: [u8; 8] = *b"MSCOLD\x01\x00";
pub(super) const RECORD_HEADER_BYTES: usize = 24;
/// Partitions of the hashes, by their top bits: merges work on one partition at a time.
pub(super) const PARTITIONS: usize = 32;

pub(super) fn partition_of(hash: u64) -> usize {
    (hash >> (64 - PARTITIONS.trailing_zeros())) as usize
}

/// A record in memory that belongs to someone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub hash: u64,
    pub time_ms: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the start of these bytes, and how long it is.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (header, rest) = bytes.split_at_checked(RECORD_HEADER_BYTES)?;
        let word =
            |at: usize| -> Option<u64> { Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?)) };
        let lengths = word(16)?;
        let (key_bytes, value_bytes) = (lengths as u32 as usize, (lengths >> 32) as usize);
        let (key, rest) = rest.split_at_checked(key_bytes)?;
        let record = Self {
            hash: word(0)?,
            time_ms: word(8)? as i64,
            key,
            value: rest.get(..value_bytes)?,
        };
        Some((record, RECORD_HEADER_BYTES + key_bytes + value_bytes))
    }

    /// Bytes that the record takes in a file.
    pub(super) fn size_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.key.len() + self.value.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&(self.key.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.value.len() as u32).to_le_bytes());
        out.extend_from_slice(self.key);
        out.extend_from_slice(self.value);
    }
}

/// Where a block starts.
#[derive(Clone, Copy, Debug)]
struct BlockStart {
    first_hash: u64,
    offset: u64,
    /// Number of its first record within the file.
    ordinal: u32,
    crc: u32,
}

/// The records of one partition in a file.
#[derive(Debug)]
pub(super) struct Segment {
    pub file: Arc<StoredFile>,
    pub run: u64,
    /// Numbers of its records within the file.
    pub ordinals: Range<u32>,
    pub bytes: Range<u64>,
    pub newest_ms: i64,
    /// Records that are not taken.
    pub live: u32,
    blocks: Vec<BlockStart>,
    filter: Filter,
}

impl Segment {
    pub fn memory_size(&self) -> usize {
        self.filter.memory_size() + self.blocks.capacity() * size_of::<BlockStart>()
    }

    pub fn size_bytes(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    #[inline]
    pub fn may_contain(&self, hash: u64) -> bool {
        self.filter.may_contain(hash)
    }

    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The first block that may hold records of this hash.
    fn first_block(&self, hash: u64) -> usize {
        self.blocks
            .partition_point(|block| block.first_hash < hash)
            .saturating_sub(1)
    }

    fn end_of(&self, block: usize) -> u64 {
        self.blocks
            .get(block + 1)
            .map_or(self.bytes.end, |next| next.offset)
    }
}

/// Reads blocks of a segment in ascending order.
pub(super) struct BlockReader<'a> {
    segment: &'a Segment,
    /// Blocks that are read at once.
    ahead: usize,
    buffer: Vec<u8>,
    loaded: Range<usize>,
}

impl<'a> BlockReader<'a> {
    /// `lookups`: about how many will come; many of them read several blocks at once.
    pub fn new(segment: &'a Segment, lookups: usize) -> Self {
        let is_dense = lookups * 2 > segment.blocks();
        Self {
            segment,
            ahead: if is_dense {
                CHUNK_BYTES / BLOCK_BYTES / 4
            } else {
                1
            },
            buffer: Vec::new(),
            loaded: 0..0,
        }
    }

    /// Reads the whole segment from its start.
    pub fn sequential(segment: &'a Segment) -> Self {
        Self {
            segment,
            ahead: CHUNK_BYTES / BLOCK_BYTES,
            buffer: Vec::new(),
            loaded: 0..0,
        }
    }

    /// The bytes of a block and the number of its first record.
    pub fn block(&mut self, block: usize) -> Result<(&[u8], u32), StateError> {
        if !self.loaded.contains(&block) {
            self.load(block)?;
        }
        let base = self.segment.blocks[self.loaded.start].offset;
        let start = &self.segment.blocks[block];
        let range = (start.offset - base) as usize..(self.segment.end_of(block) - base) as usize;
        Ok((&self.buffer[range], start.ordinal))
    }

    fn load(&mut self, block: usize) -> Result<(), StateError> {
        let segment = self.segment;
        let until = (block + self.ahead).min(segment.blocks.len());
        let start = segment.blocks[block].offset;
        self.buffer
            .resize((segment.end_of(until - 1) - start) as usize, 0);
        self.loaded = 0..0;
        segment.file.read_exact_at(&mut self.buffer, start)?;
        for index in block..until {
            let described = &segment.blocks[index];
            let range = (described.offset - start) as usize..(segment.end_of(index) - start) as usize;
            if crc32c::crc32c(&self.buffer[range]) != described.crc {
                return Err(StateError::corrupt(
                    segment.file.path(),
                    "the checksum of a block is wrong",
                ));
            }
        }
        self.loaded = block..until;
        Ok(())
    }

    /// The record of a key, with its number in the file.
    pub fn find(
        &mut self,
        hash: u64,
        is_wanted: impl Fn(u32, &Record<'_>) -> bool,
    ) -> Result<Option<(u32, Record<'_>)>, StateError> {
        let segment = self.segment;
        let mut found = None;
        for index in segment.first_block(hash)..segment.blocks.len() {
            if segment.blocks[index].first_hash > hash {
                break;
            }
            let (bytes, mut ordinal) = self.block(index)?;
            let mut at = 0;
            while at < bytes.len() {
                let (record, length) = parse(segment, &bytes[at..])?;
                if record.hash > hash {
                    break;
                }
                if record.hash == hash && is_wanted(ordinal, &record) {
                    found = Some((index, at, ordinal));
                    break;
                }
                at += length;
                ordinal += 1;
            }
            if found.is_some() {
                break;
            }
        }
        let Some((index, at, ordinal)) = found else {
            return Ok(None);
        };
        let (bytes, _) = self.block(index)?;
        Ok(Some((ordinal, parse(segment, &bytes[at..])?.0)))
    }
}

fn parse<'b>(segment: &Segment, bytes: &'b [u8]) -> Result<(Record<'b>, usize), StateError> {
    Record::parse(bytes).ok_or_else(|| StateError::corrupt(segment.file.path(), "a record is cut off"))
}

/// Goes through the records of a segment in order.
pub(super) struct Cursor<'a> {
    reader: BlockReader<'a>,
    block: usize,
    at: usize,
    ordinal: u32,
}

impl<'a> Cursor<'a> {
    pub fn new(segment: &'a Segment) -> Self {
        Self {
            reader: BlockReader::sequential(segment),
            block: 0,
            at: 0,
            ordinal: segment.ordinals.start,
        }
    }

    /// The record here, with its number in the file; `None` at the end.
    pub fn record(&mut self) -> Result<Option<(u32, Record<'_>)>, StateError> {
        let segment = self.reader.segment;
        while self.block < segment.blocks.len() {
            let length = (segment.end_of(self.block) - segment.blocks[self.block].offset) as usize;
            if self.at < length {
                let (bytes, _) = self.reader.block(self.block)?;
                return Ok(Some((self.ordinal, parse(segment, &bytes[self.at..])?.0)));
            }
            self.block += 1;
            self.at = 0;
        }
        Ok(None)
    }

    /// Moves behind a record that [`Cursor::record`] gave.
    pub fn advance(&mut self, record_bytes: usize) {
        self.at += record_bytes;
        self.ordinal += 1;
    }
}

/// A file that was written, and its segments.
pub(super) struct WrittenRun {
    pub file: Arc<StoredFile>,
    pub bytes: u64,
    pub crc: u32,
    pub records: u32,
    /// With their partitions.
    pub segments: Vec<(usize, Segment)>,
}

/// A segment as far as it is written.
struct OpenSegment {
    partition: usize,
    first_ordinal: u32,
    start: u64,
    newest_ms: i64,
    blocks: Vec<BlockStart>,
    hashes: Vec<u64>,
}

/// Writes records in the order of partitions and, within one, of hashes.
pub(super) struct RunWriter {
    file: Arc<StoredFile>,
    run: u64,
    /// Bytes before `buffer`.
    flushed: u64,
    buffer: Vec<u8>,
    block_start: usize,
    crc: u32,
    records: u32,
    open: Option<OpenSegment>,
    segments: Vec<(usize, Segment)>,
}

impl RunWriter {
    pub fn new(space: &SpillSpace, run: u64) -> Result<Self, StateError> {
        Ok(Self {
            file: Arc::new(space.create()?),
            run,
            flushed: 0,
            buffer: FILE_HEADER.to_vec(),
            block_start: FILE_HEADER.len(),
            crc: 0,
            records: 0,
            open: None,
            segments: Vec::new(),
        })
    }

    fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    pub fn push(&mut self, record: &Record<'_>) -> Result<(), StateError> {
        if self.records == u32::MAX {
            return Err(StateError::Limit {
                limit: "records of a spill file",
                value: u32::MAX as usize,
            });
        }
        let partition = partition_of(record.hash);
        if self.open.as_ref().is_none_or(|open| open.partition != partition) {
            self.end_segment();
            self.open = Some(OpenSegment {
                partition,
                first_ordinal: self.records,
                start: self.position(),
                newest_ms: i64::MIN,
                blocks: Vec::new(),
                hashes: Vec::new(),
            });
        }
        if self.buffer.len() - self.block_start >= BLOCK_BYTES {
            self.end_block();
        }
        if self.buffer.len() >= CHUNK_BYTES && self.block_start == self.buffer.len() {
            self.flush()?;
        }
        let (starts_block, offset) = (self.block_start == self.buffer.len(), self.position());
        if let Some(open) = &mut self.open {
            if starts_block {
                open.blocks.push(BlockStart {
                    first_hash: record.hash,
                    offset,
                    ordinal: self.records,
                    crc: 0,
                });
            }
            open.newest_ms = open.newest_ms.max(record.time_ms);
            open.hashes.push(record.hash);
        }
        record.write(&mut self.buffer);
        self.records += 1;
        Ok(())
    }

    fn end_block(&mut self) {
        let crc = crc32c::crc32c(&self.buffer[self.block_start..]);
        if let Some(block) = self.open.as_mut().and_then(|open| open.blocks.last_mut()) {
            block.crc = crc;
        }
        self.block_start = self.buffer.len();
    }

    fn end_segment(&mut self) {
        self.end_block();
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.blocks.shrink_to_fit();
        let segment = Segment {
            file: Arc::clone(&self.file),
            run: self.run,
            ordinals: open.first_ordinal..self.records,
            bytes: open.start..self.position(),
            newest_ms: open.newest_ms,
            live: self.records - open.first_ordinal,
            blocks: open.blocks,
            filter: Filter::new(&open.hashes),
        };
        self.segments.push((open.partition, segment));
    }

    /// Writes the blocks that are complete.
    fn flush(&mut self) -> Result<(), StateError> {
        let complete = &self.buffer[..self.block_start];
        self.file.write_at(complete, self.flushed)?;
        self.crc = crc32c::crc32c_append(self.crc, complete);
        self.flushed += complete.len() as u64;
        self.buffer.drain(..self.block_start);
        self.block_start = 0;
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub fn finish(mut self) -> Result<WrittenRun, StateError> {
        self.end_segment();
        self.flush()?;
        Ok(WrittenRun {
            file: self.file,
            bytes: self.flushed,
            crc: self.crc,
            records: self.records,
            segments: self.segments,
        })
    }
}
