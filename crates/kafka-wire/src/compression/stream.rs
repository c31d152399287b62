//! Streaming decompression: validates a batch in constant memory, however large its decompressed form is.

use std::io::{self, Read};

use super::{Codec, lz4, snappy};

/// A reader of the decompressed form of `data`. The caller caps the bytes that it reads.
pub fn decompress_stream<'a>(codec: Codec, data: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match codec {
        Codec::None => Box::new(data),
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(data)),
        Codec::Snappy => Box::new(SnappyReader {
            blocks: snappy::Blocks::new(data),
            block: Vec::new(),
            position: 0,
        }),
        Codec::Lz4 => lz4::stream(data)?,
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(data)?),
    })
}

/// Snappy decodes whole blocks; one of them is held at a time.
struct SnappyReader<'a> {
    blocks: snappy::Blocks<'a>,
    block: Vec<u8>,
    position: usize,
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            let Some(block) = self.blocks.next() else {
                return Ok(0);
            };
            self.block.clear();
            self.position = 0;
            let block = block.map_err(io::Error::other)?;
            snappy::block_into(block, usize::MAX, usize::MAX, &mut self.block).map_err(io::Error::other)?;
        }
        let length = out.len().min(self.block.len() - self.position);
        out[..length].copy_from_slice(&self.block[self.position..self.position + length]);
        self.position += length;
        Ok(length)
    }
}
