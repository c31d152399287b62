//! LZ4 frames. Frames of independent blocks, which all known producers write, are decoded block by block straight
//! into the output; anything else (linked blocks, dictionaries) goes through the general decoder.

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, Read, Write};

use super::{Codec, CompressionError, read_limited};

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const FLAG_VERSION: u8 = 0b0100_0000;
const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_DICTIONARY: u8 = 0b0000_0001;
/// A block of no size ends a frame.
const END_MARK: [u8; 4] = [0; 4];
const UNCOMPRESSED_BLOCK: u32 = 0x8000_0000;
/// How many bytes LZ4 can make of one.
const RATIO_MAX: usize = 255;

pub(super) fn decompress_into(data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let start = out.len();
    match independent_blocks(data) {
        Some(blocks) => blocks_into(blocks, limit, out).inspect_err(|_| out.truncate(start)),
        None => read_limited(Codec::Lz4, &mut general_decoder(data)?, limit, out),
    }
}

/// A decoder of any frame. It treats the end of the input as the end of the frame, so that is checked here.
fn general_decoder(data: &[u8]) -> Result<FrameDecoder<&[u8]>, CompressionError> {
    let has_checksum = data
        .get(4)
        .is_some_and(|flags| flags & FLAG_CONTENT_CHECKSUM != 0);
    let end = data.len().checked_sub(if has_checksum { 4 } else { 0 });
    if end.is_some_and(|end| data[..end].ends_with(&END_MARK)) {
        Ok(FrameDecoder::new(data))
    } else {
        Err(CompressionError::corrupt(Codec::Lz4, "end mark is missing"))
    }
}

/// Decompression as a stream, by the same rules.
pub(super) fn stream<'a>(data: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
    match independent_blocks(data) {
        Some(blocks) => Ok(Box::new(BlockReader {
            blocks,
            block: Vec::new(),
            position: 0,
        })),
        None => Ok(Box::new(general_decoder(data).map_err(io::Error::other)?)),
    }
}

/// Holds one decoded block at a time.
struct BlockReader<'a> {
    blocks: Blocks<'a>,
    block: Vec<u8>,
    position: usize,
}

impl Read for BlockReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            let Some(block) = self.blocks.next().transpose().map_err(io::Error::other)? else {
                return Ok(0);
            };
            self.block.clear();
            self.position = 0;
            block
                .decode_into(usize::MAX, usize::MAX, &mut self.block)
                .map_err(io::Error::other)?;
        }
        let length = out.len().min(self.block.len() - self.position);
        out[..length].copy_from_slice(&self.block[self.position..self.position + length]);
        self.position += length;
        Ok(length)
    }
}

/// The blocks of a frame if they can be decoded one by one. Checksums (which
/// producers leave out, as batches have their own) also lead to the general decoder.
fn independent_blocks(data: &[u8]) -> Option<Blocks<'_>> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (&flags, rest) = rest.split_first()?;
    let (&descriptor, rest) = rest.split_first()?;
    let plain =
        FLAG_VERSION_MASK | FLAG_INDEPENDENT | FLAG_BLOCK_CHECKSUM | FLAG_DICTIONARY | FLAG_CONTENT_CHECKSUM;
    if flags & plain != FLAG_VERSION | FLAG_INDEPENDENT {
        return None;
    }
    let size_max = match (descriptor >> 4) & 7 {
        size @ 4..=7 => 1 << (8 + 2 * usize::from(size)),
        _ => return None,
    };
    let header_rest = if flags & FLAG_CONTENT_SIZE != 0 { 8 + 1 } else { 1 };
    Some(Blocks {
        rest: rest.get(header_rest..)?,
        size_max,
        is_over: false,
    })
}

/// The blocks of a frame, up to its end mark.
struct Blocks<'a> {
    rest: &'a [u8],
    /// The largest size of a decoded block.
    size_max: usize,
    is_over: bool,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, CompressionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let block = self.read();
        self.is_over = !matches!(block, Ok(Some(_)));
        block.transpose()
    }
}

impl<'a> Blocks<'a> {
    fn read(&mut self) -> Result<Option<Block<'a>>, CompressionError> {
        let corrupt = |what: &'static str| CompressionError::corrupt(Codec::Lz4, what);
        let (size, after) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or_else(|| corrupt("end mark is missing"))?;
        if *size == END_MARK {
            return if after.is_empty() {
                Ok(None)
            } else {
                Err(corrupt("data after the end mark"))
            };
        }
        let size = u32::from_le_bytes(*size);
        let (data, after) = after
            .split_at_checked((size & !UNCOMPRESSED_BLOCK) as usize)
            .ok_or_else(|| corrupt("block is cut off"))?;
        self.rest = after;
        Ok(Some(Block {
            data,
            is_stored: size & UNCOMPRESSED_BLOCK != 0,
            size_max: self.size_max,
        }))
    }
}

/// One block of a frame.
struct Block<'a> {
    data: &'a [u8],
    is_stored: bool,
    size_max: usize,
}

impl Block<'_> {
    /// Appends the decoded block to `out`, which may then hold at most `length_max` bytes.
    fn decode_into(
        &self,
        length_max: usize,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let start = out.len();
        let room = length_max - start;
        if self.is_stored {
            if self.data.len() > room {
                return Err(CompressionError::LimitExceeded { limit });
            }
            out.extend_from_slice(self.data);
            return Ok(());
        }
        let length = self
            .size_max
            .min(self.data.len().saturating_mul(RATIO_MAX))
            .min(room);
        out.resize(start + length, 0);
        match lz4_flex::block::decompress_into(self.data, &mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                Ok(())
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if length == room => {
                Err(CompressionError::LimitExceeded { limit })
            }
            Err(error) => Err(CompressionError::corrupt(Codec::Lz4, error)),
        }
    }
}

fn blocks_into(blocks: Blocks<'_>, limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let length_max = out.len().saturating_add(limit);
    for block in blocks {
        block?.decode_into(length_max, limit, out)?;
    }
    Ok(())
}

pub(super) fn compress_into(data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let failed = |source: std::io::Error| CompressionError::Failed {
        codec: Codec::Lz4,
        source,
    };
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(data).map_err(failed)?;
    encoder.finish().map_err(|error| failed(error.into()))?;
    Ok(())
}
