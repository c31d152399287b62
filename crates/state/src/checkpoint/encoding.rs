//! Bytes of a manifest: little-endian integers, strings with their length before them.
//!
//! The layout is a promise to later versions and documented in `docs/internals/checkpoints.md`. Reading trusts no
//! length: nothing is allocated beyond the bytes that are there.

use std::string::FromUtf8Error;

use millstream_types::Watermark;

use super::manifest::{
    BlockEntry, CheckpointHeader, CheckpointKind, InstanceEntry, Manifest, OperatorEntry, OperatorTrait,
};

const FLAG_FINISHED: u8 = 1;
const FLAG_SAVEPOINT: u8 = 2;
const FLAG_ORIGIN: u8 = 4;

/// Encodes a manifest.
pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(256));
    let header = &manifest.header;
    let mut flags = 0;
    flags |= if header.finished { FLAG_FINISHED } else { 0 };
    flags |= if header.kind == CheckpointKind::Savepoint {
        FLAG_SAVEPOINT
    } else {
        0
    };
    flags |= if header.origin.is_some() { FLAG_ORIGIN } else { 0 };
    writer.0.push(flags);
    writer.u64(header.checkpoint);
    writer.u64(header.triggered_ms as u64);
    writer.string(&header.job);
    writer.u32(u32::from(header.max_parallelism));
    writer.u64(header.fingerprint);
    if let Some(origin) = &header.origin {
        writer.string(origin);
    }
    writer.count(header.operators.len());
    for operator in &header.operators {
        writer.string(&operator.uid);
        writer.string(&operator.name);
        writer.count(operator.sinks.len());
        operator.sinks.iter().for_each(|sink| writer.string(sink));
        writer.count(operator.traits.len());
        for OperatorTrait { name, value } in &operator.traits {
            writer.string(name);
            writer.string(value);
        }
    }
    writer.count(manifest.instances.len());
    manifest
        .instances
        .iter()
        .for_each(|entry| instance(&mut writer, entry));
    writer.0
}

fn instance(writer: &mut Writer, entry: &InstanceEntry) {
    writer.string(&entry.uid);
    writer.count(entry.subtask);
    writer.count(entry.parallelism);
    writer.u64(entry.watermark.0 as u64);
    writer.0.push(u8::from(entry.finished));
    writer.count(entry.blocks.len());
    for block in &entry.blocks {
        writer.string(&block.name);
        writer.u64(block.file);
        writer.u64(block.offset);
        writer.u64(block.length);
        writer.u32(block.crc);
    }
}

/// What is wrong with the bytes of a manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ManifestError {
    #[error("its flags {0:#04x} are unknown")]
    Flags(u8),
    #[error("its key groups are out of range")]
    KeyGroups,
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    #[error("{wanted} bytes are wanted, {left} are left")]
    Truncated { wanted: usize, left: usize },
    #[error("a count is out of range")]
    Count,
    #[error("a name is not UTF-8")]
    Name(#[from] FromUtf8Error),
}

/// Decodes a manifest.
pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let mut reader = Reader { bytes };
    let flags = reader.u8()?;
    if flags & !(FLAG_FINISHED | FLAG_SAVEPOINT | FLAG_ORIGIN) != 0 {
        return Err(ManifestError::Flags(flags));
    }
    let checkpoint = reader.u64()?;
    let triggered_ms = reader.u64()? as i64;
    let job = reader.string()?;
    let max_parallelism = u16::try_from(reader.u32()?).map_err(|_| ManifestError::KeyGroups)?;
    let fingerprint = reader.u64()?;
    let origin = match flags & FLAG_ORIGIN {
        0 => None,
        _ => Some(reader.string()?),
    };
    let operators = reader.list(Reader::operator)?;
    let instances = reader.list(Reader::instance)?;
    if !reader.bytes.is_empty() {
        return Err(ManifestError::Trailing(reader.bytes.len()));
    }
    let kind = match flags & FLAG_SAVEPOINT {
        0 => CheckpointKind::Checkpoint,
        _ => CheckpointKind::Savepoint,
    };
    let header = CheckpointHeader {
        checkpoint,
        triggered_ms,
        job,
        max_parallelism,
        fingerprint,
        operators,
        finished: flags & FLAG_FINISHED != 0,
        kind,
        origin,
    };
    Ok(Manifest { header, instances })
}

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Counts and lengths in a manifest are far below 2^32; a greater one is caught by the length of the manifest.
    fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn string(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Result<&[u8], ManifestError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(ManifestError::Truncated {
                wanted: length,
                left: self.bytes.len(),
            })?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ManifestError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, ManifestError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, ManifestError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, ManifestError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self) -> Result<usize, ManifestError> {
        usize::try_from(self.u32()?).map_err(|_| ManifestError::Count)
    }

    fn string(&mut self) -> Result<String, ManifestError> {
        let length = self.count()?;
        Ok(String::from_utf8(self.take(length)?.to_vec())?)
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ManifestError>,
    ) -> Result<Vec<T>, ManifestError> {
        let count = self.count()?;
        // Every item takes at least four bytes; a count beyond that is a lie.
        let mut items = Vec::with_capacity(count.min(self.bytes.len() / 4));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn operator(&mut self) -> Result<OperatorEntry, ManifestError> {
        Ok(OperatorEntry {
            uid: self.string()?,
            name: self.string()?,
            sinks: self.list(Self::string)?,
            traits: self.list(|reader| {
                Ok(OperatorTrait {
                    name: reader.string()?,
                    value: reader.string()?,
                })
            })?,
        })
    }

    fn instance(&mut self) -> Result<InstanceEntry, ManifestError> {
        Ok(InstanceEntry {
            uid: self.string()?,
            subtask: self.count()?,
            parallelism: self.count()?,
            watermark: Watermark(self.u64()? as i64),
            finished: self.u8()? != 0,
            blocks: self.list(Self::block)?,
        })
    }

    fn block(&mut self) -> Result<BlockEntry, ManifestError> {
        Ok(BlockEntry {
            name: self.string()?,
            file: self.u64()?,
            offset: self.u64()?,
            length: self.u64()?,
            crc: self.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let operator = OperatorEntry {
            uid: "agg".to_owned(),
            name: "GroupAggregate".to_owned(),
            sinks: vec!["c.d.s".to_owned()],
            traits: vec![OperatorTrait {
                name: "keys".to_owned(),
                value: "k BIGINT".to_owned(),
            }],
        };
        let block = BlockEntry {
            name: "keys/0".to_owned(),
            file: 3,
            offset: 16,
            length: 5,
            crc: 7,
        };
        Manifest {
            header: CheckpointHeader {
                checkpoint: 4,
                triggered_ms: -1,
                job: "ü".to_owned(),
                max_parallelism: 128,
                fingerprint: 9,
                operators: vec![operator],
                finished: true,
                kind: CheckpointKind::Savepoint,
                origin: Some("/s".to_owned()),
            },
            instances: vec![InstanceEntry {
                uid: "agg".to_owned(),
                subtask: 1,
                parallelism: 2,
                watermark: Watermark::MIN,
                finished: false,
                blocks: vec![block],
            }],
        }
    }

    #[test]
    fn a_manifest_reads_back() {
        assert_eq!(decode(&encode(&manifest())), Ok(manifest()));
    }

    #[test]
    fn a_manifest_that_is_cut_or_continued_is_refused() {
        let bytes = encode(&manifest());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        let mut lie = bytes;
        let at = lie.len() - 40;
        lie[at..].fill(0xFF);
        assert!(decode(&lie).is_err());
    }
}
