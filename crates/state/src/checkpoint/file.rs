//! The file of a checkpoint.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `MSTRCKPT` |
//! | 4 | version, little-endian |
//! | 4 | length of the manifest, little-endian |
//! | 4 | CRC-32C of the manifest, little-endian |
//! | … | manifest, JSON |
//! | … | data: blocks back to back, at the offsets that manifests name |

use millstream_types::storage::{StorageFile, read_full_at};

use crate::error::StateError;

use super::manifest::Manifest;

const MAGIC: &[u8; 8] = b"MSTRCKPT";
const VERSION: u32 = 1;
const PREFIX_BYTES: usize = 20;

/// Everything before the data.
pub(super) fn write_header(manifest: &Manifest) -> Result<Vec<u8>, StateError> {
    let json = serde_json::to_vec(manifest).map_err(|e| StateError::corrupt("manifest", e.to_string()))?;
    let length = u32::try_from(json.len()).map_err(|_| StateError::Limit {
        limit: "bytes of a manifest",
        value: u32::MAX as usize,
    })?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + json.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&json).to_le_bytes());
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// The manifest of a file and the length of its data, without reading the data.
pub(super) fn read_header(path: &str, file: &dyn StorageFile) -> Result<(Manifest, u64), StateError> {
    let fail = |source: std::io::Error| StateError::Storage {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let length = file.len().map_err(fail)?;
    let mut header = vec![0; PREFIX_BYTES];
    let read = read_full_at(file, &mut header, 0).map_err(fail)?;
    header.truncate(read);
    if let Some(manifest) = header.get(12..16).and_then(|b| <[u8; 4]>::try_from(b).ok()) {
        // The length is not trusted beyond what the file has.
        let wanted = PREFIX_BYTES as u64 + u64::from(u32::from_le_bytes(manifest));
        header.resize(usize::try_from(wanted.min(length)).unwrap_or(PREFIX_BYTES), 0);
        read_full_at(file, &mut header, 0).map_err(fail)?;
    }
    let (manifest, data_start) = parse_header(path, &header)?;
    Ok((manifest, length.saturating_sub(data_start)))
}

/// The manifest of a file, and where its data starts.
pub(super) fn parse_header(path: &str, content: &[u8]) -> Result<(Manifest, u64), StateError> {
    let corrupt = |reason: &str| StateError::corrupt(path, reason);
    let word = |at: usize| {
        let bytes = content.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
        bytes
            .map(u32::from_le_bytes)
            .ok_or_else(|| corrupt("it is too short"))
    };
    if !content.starts_with(MAGIC) {
        return Err(corrupt("it is not a checkpoint"));
    }
    let version = word(8)?;
    if version != VERSION {
        return Err(StateError::Version {
            block: path.to_owned(),
            version,
            supported: VERSION,
        });
    }
    let (length, crc) = (word(12)? as usize, word(16)?);
    let json = content
        .get(PREFIX_BYTES..PREFIX_BYTES + length)
        .ok_or_else(|| corrupt("it is too short"))?;
    if crc32c::crc32c(json) != crc {
        return Err(corrupt("the checksum of its manifest is wrong"));
    }
    let manifest = serde_json::from_slice(json).map_err(|e| corrupt(&e.to_string()))?;
    Ok((manifest, (PREFIX_BYTES + length) as u64))
}
