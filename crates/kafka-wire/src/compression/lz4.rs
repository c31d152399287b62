//! LZ4 frames. Frames of independent blocks, which all known producers write, are decoded block by block straight
//! into the output; anything else (linked blocks, dictionaries) goes through the general decoder.

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::Write;

use super::{Codec, CompressionError, read_limited};

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const FLAG_VERSION: u8 = 0b0100_0000;
const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_DICTIONARY: u8 = 0b0000_0001;
const UNCOMPRESSED_BLOCK: u32 = 0x8000_0000;
/// LZ4 cannot do better than this.
const RATIO_MAX: usize = 255;

pub(super) fn decompress_into(data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let start = out.len();
    match independent_blocks(data) {
        Some((blocks, block_size_max)) => {
            blocks_into(blocks, block_size_max, limit, out).inspect_err(|_| out.truncate(start))
        }
        None => read_limited(Codec::Lz4, &mut FrameDecoder::new(data), limit, out),
    }
}

/// The blocks of a frame that can be decoded one by one, and the largest size of a decoded one. Checksums (which
/// producers leave out, as batches have their own) also lead to the general decoder.
fn independent_blocks(data: &[u8]) -> Option<(&[u8], usize)> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (&flags, rest) = rest.split_first()?;
    let (&descriptor, rest) = rest.split_first()?;
    let plain =
        FLAG_VERSION_MASK | FLAG_INDEPENDENT | FLAG_BLOCK_CHECKSUM | FLAG_DICTIONARY | FLAG_CONTENT_CHECKSUM;
    if flags & plain != FLAG_VERSION | FLAG_INDEPENDENT {
        return None;
    }
    let block_size_max = match (descriptor >> 4) & 7 {
        size @ 4..=7 => 1 << (8 + 2 * usize::from(size)),
        _ => return None,
    };
    let header_rest = if flags & FLAG_CONTENT_SIZE != 0 { 8 + 1 } else { 1 };
    Some((rest.get(header_rest..)?, block_size_max))
}

fn blocks_into(
    mut rest: &[u8],
    block_size_max: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let corrupt = |what: &'static str| CompressionError::corrupt(Codec::Lz4, what);
    let length_max = out.len().saturating_add(limit);
    loop {
        let (size, after) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| corrupt("end mark is missing"))?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            return if after.is_empty() {
                Ok(())
            } else {
                Err(corrupt("data after the end mark"))
            };
        }
        let stored = size & UNCOMPRESSED_BLOCK != 0;
        let size = (size & !UNCOMPRESSED_BLOCK) as usize;
        let (block, after) = after
            .split_at_checked(size)
            .ok_or_else(|| corrupt("block is cut off"))?;
        rest = after;
        let start = out.len();
        let room = length_max - start;
        if stored {
            if block.len() > room {
                return Err(CompressionError::LimitExceeded { limit });
            }
            out.extend_from_slice(block);
            continue;
        }
        let length = block_size_max
            .min(block.len().saturating_mul(RATIO_MAX))
            .min(room);
        out.resize(start + length, 0);
        match lz4_flex::block::decompress_into(block, &mut out[start..]) {
            Ok(written) => out.truncate(start + written),
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if length == room => {
                return Err(CompressionError::LimitExceeded { limit });
            }
            Err(error) => return Err(CompressionError::corrupt(Codec::Lz4, error)),
        }
    }
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
