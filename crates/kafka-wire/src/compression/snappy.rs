//! Snappy as Kafka has it: the framing of the Java library (xerial) around raw blocks. Some clients send one raw block
//! without framing, which is read as well.

use super::{Codec, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version and lowest compatible version.
const HEADER_SIZE: usize = 16;
const VERSION: i32 = 1;
/// How many bytes snappy can make of one: the best that it can do is a copy of 64 bytes in 3.
const RATIO_MAX: usize = 22;
/// How much goes into a block when writing; the Java library's default.
const BLOCK_SIZE: usize = 32 * 1024;

/// The blocks of framed data, or the whole of unframed data as its only block.
pub(super) struct Blocks<'a> {
    rest: &'a [u8],
    framed: bool,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let framed = data.len() >= HEADER_SIZE && data.starts_with(&MAGIC);
        Blocks {
            rest: if framed { &data[HEADER_SIZE..] } else { data },
            framed,
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<&'a [u8], CompressionError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Frames may be concatenated: headers in the middle are skipped, however many follow each other.
        while self.framed && self.rest.len() >= HEADER_SIZE && self.rest.starts_with(&MAGIC) {
            self.rest = &self.rest[HEADER_SIZE..];
        }
        if self.rest.is_empty() {
            return None;
        }
        if !self.framed {
            return Some(Ok(std::mem::take(&mut self.rest)));
        }
        let Some((length, rest)) = self.rest.split_first_chunk::<4>() else {
            self.rest = &[];
            return Some(Err(CompressionError::corrupt(
                Codec::Snappy,
                "block length is cut off",
            )));
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some((block, rest)) = rest.split_at_checked(length) else {
            self.rest = &[];
            return Some(Err(CompressionError::corrupt(Codec::Snappy, "block is cut off")));
        };
        self.rest = rest;
        Some(Ok(block))
    }
}

/// Appends one decompressed block to `out`, which may then hold at most `length_max` bytes.
pub(super) fn block_into(
    block: &[u8],
    length_max: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let corrupt = |error: snap::Error| CompressionError::corrupt(Codec::Snappy, error);
    let length = snap::raw::decompress_len(block).map_err(corrupt)?;
    let start = out.len();
    if length > length_max.saturating_sub(start) {
        return Err(CompressionError::LimitExceeded { limit });
    }
    // The claimed size is checked before memory is allocated for it.
    if length > block.len().saturating_mul(RATIO_MAX) {
        return Err(CompressionError::corrupt(
            Codec::Snappy,
            "block claims an impossible length",
        ));
    }
    out.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut out[start..])
        .map_err(corrupt)?;
    out.truncate(start + written);
    Ok(())
}

pub(super) fn decompress_into(data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let length_max = out.len().saturating_add(limit);
    for block in Blocks::new(data) {
        block_into(block?, length_max, limit, out)?;
    }
    Ok(())
}

pub(super) fn compress_into(data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(BLOCK_SIZE) {
        let length_at = out.len();
        let start = length_at + 4;
        out.resize(start + snap::raw::max_compress_len(block.len()), 0);
        let written =
            encoder
                .compress(block, &mut out[start..])
                .map_err(|error| CompressionError::Failed {
                    codec: Codec::Snappy,
                    source: std::io::Error::other(error),
                })?;
        out[length_at..start].copy_from_slice(&(written as u32).to_be_bytes());
        out.truncate(start + written);
    }
    Ok(())
}
