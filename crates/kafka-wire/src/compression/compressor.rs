//! Compression of whole batches, with the levels that Kafka lets one choose.

use std::io::Write;

use super::{Codec, CompressionError, lz4, snappy};

/// How hard to try. Snappy has no levels, and this LZ4 has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionLevels {
    /// 1 to 9; -1 is the library's default.
    pub gzip: i32,
    pub zstd: i32,
}

impl Default for CompressionLevels {
    fn default() -> Self {
        CompressionLevels { gzip: -1, zstd: 3 }
    }
}

/// Compresses batches, keeping contexts between calls.
#[derive(Default)]
pub struct Compressor {
    levels: CompressionLevels,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    pub fn new(levels: CompressionLevels) -> Self {
        Compressor { levels, zstd: None }
    }

    /// Appends the compressed form of `data` to `out`.
    pub fn compress_into(
        &mut self,
        codec: Codec,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        match codec {
            Codec::None => {
                out.extend_from_slice(data);
                Ok(())
            }
            Codec::Gzip => self.gzip_into(data, out),
            Codec::Snappy => snappy::compress_into(data, out),
            Codec::Lz4 => lz4::compress_into(data, out),
            Codec::Zstd => self.zstd_into(data, out),
        }
    }

    fn gzip_into(&self, data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let failed = |source| CompressionError::Failed {
            codec: Codec::Gzip,
            source,
        };
        let level = match u32::try_from(self.levels.gzip) {
            Ok(level @ 1..=9) => flate2::Compression::new(level),
            _ => flate2::Compression::default(),
        };
        let mut encoder = flate2::write::GzEncoder::new(out, level);
        encoder.write_all(data).map_err(failed)?;
        encoder.finish().map_err(failed)?;
        Ok(())
    }

    fn zstd_into(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let failed = |source| CompressionError::Failed {
            codec: Codec::Zstd,
            source,
        };
        let compressor = match &mut self.zstd {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(self.levels.zstd).map_err(failed)?),
        };
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(data.len()), 0);
        let written = compressor
            .compress_to_buffer(data, &mut out[start..])
            .map_err(failed)?;
        out.truncate(start + written);
        Ok(())
    }
}
