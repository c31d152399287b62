//! The file of a checkpoint or savepoint, manifest last.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `MSTRCKPT` |
//! | 4 | version, little-endian |
//! | 4 | zero |
//! | … | blocks back to back, at the offsets that manifests name |
//! | … | manifest ([`super::encoding`]) |
//! | 8 | length of the manifest, little-endian |
//! | 4 | CRC-32C of the manifest, little-endian |
//! | 4 | version once more |
//! | 8 | `MSTRCEND` |
//!
//! A version is found at the same place in every later layout, so that a newer file is recognised as one.

use millstream_types::storage::{StorageFile, read_full_at};

use crate::error::StateError;

use super::encoding;
use super::manifest::Manifest;

const MAGIC: &[u8; 8] = b"MSTRCKPT";
const END_MAGIC: &[u8; 8] = b"MSTRCEND";
pub(super) const VERSION: u32 = 2;
pub(super) const HEADER_BYTES: u64 = 16;
const TRAILER_BYTES: u64 = 24;

/// What stands before the blocks.
pub(super) fn header() -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// The manifest and the trailer after it.
pub(super) fn footer(manifest: &Manifest) -> Vec<u8> {
    let mut bytes = encoding::encode(manifest);
    let (length, crc) = (bytes.len() as u64, crc32c::crc32c(&bytes));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(END_MAGIC);
    bytes
}

/// The manifest of a file and the number of bytes of its blocks; the blocks are not read.
pub(super) fn read_manifest(path: &str, file: &dyn StorageFile) -> Result<(Manifest, u64), StateError> {
    let corrupt = |reason: &str| StateError::corrupt(path, reason);
    let length = file.len().map_err(|source| storage_error(path, source))?;
    let header: [u8; HEADER_BYTES as usize] = read_array(path, file, 0)?;
    if !header.starts_with(MAGIC) {
        return Err(corrupt("it is not a checkpoint"));
    }
    let version = word(&header, 8);
    if version != VERSION {
        return Err(StateError::Version {
            block: path.to_owned(),
            version,
            supported: VERSION,
        });
    }
    let trailer_at = length
        .checked_sub(TRAILER_BYTES)
        .filter(|at| *at >= HEADER_BYTES)
        .ok_or_else(|| corrupt("it is too short"))?;
    let trailer: [u8; TRAILER_BYTES as usize] = read_array(path, file, trailer_at)?;
    if !trailer.ends_with(END_MAGIC) || word(&trailer, 12) != VERSION || word(&header, 12) != 0 {
        return Err(corrupt("its end is missing"));
    }
    let manifest_bytes = u64::from(word(&trailer, 0)) | u64::from(word(&trailer, 4)) << 32;
    // The length is not trusted beyond what the file has.
    let manifest_at = trailer_at
        .checked_sub(manifest_bytes)
        .filter(|at| *at >= HEADER_BYTES)
        .ok_or_else(|| corrupt("its manifest is longer than the file"))?;
    let encoded = read_bytes(path, file, manifest_at, manifest_bytes)?;
    if crc32c::crc32c(&encoded) != word(&trailer, 8) {
        return Err(corrupt("the checksum of its manifest is wrong"));
    }
    let manifest = encoding::decode(&encoded).map_err(|error| corrupt(&error.to_string()))?;
    Ok((manifest, manifest_at - HEADER_BYTES))
}

/// Exactly `length` bytes at `offset`. The length must be known to be within the file.
pub(super) fn read_bytes(
    path: &str,
    file: &dyn StorageFile,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, StateError> {
    let available = file.len().map_err(|source| storage_error(path, source))?;
    let ends_within = offset.checked_add(length).is_some_and(|end| end <= available);
    let size = usize::try_from(length).ok().filter(|_| ends_within);
    let mut bytes = vec![0; size.ok_or_else(|| StateError::corrupt(path, "it is too short"))?];
    let read = read_full_at(file, &mut bytes, offset).map_err(|source| storage_error(path, source))?;
    if read < bytes.len() {
        return Err(StateError::corrupt(path, "it is too short"));
    }
    Ok(bytes)
}

fn read_array<const N: usize>(
    path: &str,
    file: &dyn StorageFile,
    offset: u64,
) -> Result<[u8; N], StateError> {
    let mut array = [0; N];
    let read = read_full_at(file, &mut array, offset).map_err(|source| storage_error(path, source))?;
    if read < N {
        return Err(StateError::corrupt(path, "it is too short"));
    }
    Ok(array)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn storage_error(path: &str, source: std::io::Error) -> StateError {
    StateError::Storage {
        action: "read",
        path: path.to_owned(),
        source,
    }
}
