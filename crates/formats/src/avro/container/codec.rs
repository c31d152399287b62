//! The compression of blocks.

use std::io::{self, Read, Write};

use flate2::Crc;

use super::{AvroCodecError, BLOCK_BYTES_MAX, ContainerError};

/// Bytes of the checksum behind a block of codec `snappy`.
const CHECKSUM_BYTES: usize = 4;

/// A codec, by its name in the header (option `avro.codec`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AvroCodec {
    Null,
    Deflate,
    Snappy,
    Bzip2,
    Zstandard,
}

impl AvroCodec {
    pub fn parse(name: &str) -> Result<Self, AvroCodecError> {
        match name {
            "null" => Ok(Self::Null),
            "deflate" => Ok(Self::Deflate),
            "snappy" => Ok(Self::Snappy),
            "bzip2" => Ok(Self::Bzip2),
            "zstandard" => Ok(Self::Zstandard),
            "xz" => Err(AvroCodecError::Xz),
            other => Err(AvroCodecError::Unknown(other.to_owned())),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Bzip2 => "bzip2",
            Self::Zstandard => "zstandard",
        }
    }

    pub(super) fn compress(self, data: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Null => Ok(data.to_vec()),
            Self::Deflate => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(data)?;
                encoder.finish()
            }
            Self::Snappy => {
                let mut out = snap::raw::Encoder::new().compress_vec(data)?;
                out.extend_from_slice(&checksum(data));
                Ok(out)
            }
            Self::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
                encoder.write_all(data)?;
                encoder.finish()
            }
            Self::Zstandard => zstd::stream::encode_all(data, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }

    /// Appends what `data` decompresses to.
    pub(super) fn decompress(self, data: &[u8], out: &mut Vec<u8>) -> Result<(), ContainerError> {
        match self {
            Self::Null => out.extend_from_slice(data),
            Self::Deflate => append(flate2::read::DeflateDecoder::new(data), out)?,
            Self::Snappy => snappy(data, out)?,
            Self::Bzip2 => append(bzip2::read::MultiBzDecoder::new(data), out)?,
            Self::Zstandard => append(zstd::stream::read::Decoder::new(data)?, out)?,
        }
        Ok(())
    }
}

fn append(input: impl Read, out: &mut Vec<u8>) -> Result<(), ContainerError> {
    let read = input.take(BLOCK_BYTES_MAX as u64 + 1).read_to_end(out)?;
    if read > BLOCK_BYTES_MAX {
        return Err(ContainerError::BlockSize);
    }
    Ok(())
}

fn snappy(data: &[u8], out: &mut Vec<u8>) -> Result<(), ContainerError> {
    let Some((data, sum)) = data.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(ContainerError::Truncated);
    };
    if snap::raw::decompress_len(data).map_err(io::Error::from)? > BLOCK_BYTES_MAX {
        return Err(ContainerError::BlockSize);
    }
    let plain = snap::raw::Decoder::new()
        .decompress_vec(data)
        .map_err(io::Error::from)?;
    if checksum(&plain) != *sum {
        return Err(ContainerError::Checksum);
    }
    out.extend_from_slice(&plain);
    Ok(())
}

/// CRC-32 of the decompressed data, most significant byte first.
fn checksum(data: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum().to_be_bytes()
}
