//! The four compression codecs of record batches, with Kafka's framing of each.
//!
//! Decompression always has an output limit: a few kilobytes of zstd can claim gigabytes. Contexts that are expensive
//! to create (zstd) are pooled in [`Decompressor`] and [`Compressor`]; create one per thread or task.

mod compressor;
mod lz4;
mod snappy;
mod stream;

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use bytes::Bytes;

pub use compressor::{CompressionLevels, Compressor};
pub use stream::decompress_stream;

/// How much the output of a decoder grows at a time.
const GROWTH_BYTES: usize = 64 * 1024;
/// Factor of the first guess of the decompressed size.
const EXPECTED_RATIO: usize = 4;

/// A codec of record batches; the number is the one in a batch's attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    pub const fn from_id(id: u8) -> Option<Codec> {
        match id {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }

    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name, as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let found = Codec::ALL.into_iter().find(|codec| codec.name() == text);
        found.ok_or_else(|| CompressionError::UnknownName(text.to_owned()))
    }
}

/// Data cannot be compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    #[error("unknown compression type `{0}`; known are none, gzip, snappy, lz4 and zstd")]
    UnknownName(String),
    #[error("{codec} data is corrupt")]
    Corrupt {
        codec: Codec,
        #[source]
        source: std::io::Error,
    },
    #[error("decompressed data exceeds the limit of {limit} bytes")]
    LimitExceeded { limit: usize },
    #[error("{codec} compression failed")]
    Failed {
        codec: Codec,
        #[source]
        source: std::io::Error,
    },
}

impl CompressionError {
    pub(crate) fn corrupt(codec: Codec, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        CompressionError::Corrupt {
            codec,
            source: std::io::Error::other(source),
        }
    }
}

/// Decompresses whole batches, keeping contexts between calls.
#[derive(Default)]
pub struct Decompressor {
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
}

impl Decompressor {
    pub fn new() -> Self {
        Decompressor::default()
    }

    /// Decompresses `data` to at most `limit` bytes. Uncompressed data is returned as it is, whatever its size.
    pub fn decompress(
        &mut self,
        codec: Codec,
        data: &Bytes,
        limit: usize,
    ) -> Result<Bytes, CompressionError> {
        if codec == Codec::None {
            return Ok(data.clone());
        }
        let guess = data.len().saturating_mul(EXPECTED_RATIO).min(limit);
        let mut out = Vec::with_capacity(guess);
        self.decompress_into(codec, data, limit, &mut out)?;
        Ok(Bytes::from(out))
    }

    /// Appends the decompressed form of `data` to `out`, at most `limit` bytes.
    pub fn decompress_into(
        &mut self,
        codec: Codec,
        data: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        match codec {
            Codec::None if data.len() > limit => Err(CompressionError::LimitExceeded { limit }),
            Codec::None => {
                out.extend_from_slice(data);
                Ok(())
            }
            Codec::Gzip => read_limited(codec, &mut flate2::read::MultiGzDecoder::new(data), limit, out),
            Codec::Snappy => snappy::decompress_into(data, limit, out),
            Codec::Lz4 => lz4::decompress_into(data, limit, out),
            Codec::Zstd => self.zstd_into(data, limit, out),
        }
    }

    fn zstd_into(&mut self, data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
        let corrupt = |source| CompressionError::Corrupt {
            codec: Codec::Zstd,
            source,
        };
        let decoder = match &mut self.zstd {
            Some(decoder) => {
                decoder.reinit().map_err(corrupt)?;
                decoder
            }
            none => none.insert(Decoder::new().map_err(corrupt)?),
        };
        let start = out.len();
        let mut input = InBuffer::around(data);
        loop {
            let filled = out.len();
            let room = (limit + 1 - (filled - start)).min(GROWTH_BYTES.max(out.capacity() - filled));
            out.resize(filled + room, 0);
            let mut output = OutBuffer::around(&mut out[filled..]);
            let result = decoder.run(&mut input, &mut output);
            let written = output.pos();
            out.truncate(filled + written);
            // The decoder returns the number of bytes that it would like next; 0 is the end of a frame.
            let frame_ended = result.map_err(corrupt)? == 0;
            if out.len() - start > limit {
                return Err(CompressionError::LimitExceeded { limit });
            }
            if input.pos() == data.len() {
                if frame_ended {
                    return Ok(());
                }
                if written < room {
                    return Err(corrupt(std::io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
}

/// Appends the output of `reader`, at most `limit` bytes.
fn read_limited(
    codec: Codec,
    reader: &mut dyn Read,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let read = reader.take(limit as u64 + 1).read_to_end(out);
    let read = read.map_err(|source| CompressionError::Corrupt { codec, source })?;
    if read > limit {
        return Err(CompressionError::LimitExceeded { limit });
    }
    Ok(())
}
