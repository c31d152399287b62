//! The bytes of a block of slots, see [`super`].

use crate::error::StateError;

const VERSION: u8 = 1;
/// Length of a value that is not there.
const NONE: u32 = u32::MAX;

pub(super) struct BlockWriter {
    bytes: Vec<u8>,
    count_at: usize,
    entries: u32,
}

impl BlockWriter {
    pub fn new() -> Self {
        Self {
            bytes: vec![VERSION],
            count_at: 0,
            entries: 0,
        }
    }

    /// The header; entries follow.
    pub fn columns<'a>(&mut self, columns: impl ExactSizeIterator<Item = (&'a str, u8, u32)>) {
        self.word(columns.len() as u32);
        for (name, kind, version) in columns {
            self.text(name.as_bytes());
            self.bytes.push(kind);
            self.word(version);
        }
        self.count_at = self.bytes.len();
        self.word(0);
    }

    pub fn entry(&mut self, slot: u32, hash: u64, key: &[u8]) {
        self.entries += 1;
        self.word(slot);
        self.bytes.extend_from_slice(&hash.to_le_bytes());
        self.text(key);
    }

    /// A value; `write` says whether there is one.
    pub fn value(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<bool, StateError>,
    ) -> Result<(), StateError> {
        let at = self.bytes.len();
        self.word(NONE);
        if write(&mut self.bytes)? {
            let length = (self.bytes.len() - at - 4) as u32;
            self.bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    pub fn finish(mut self) -> Vec<u8> {
        let at = self.count_at;
        self.bytes[at..at + 4].copy_from_slice(&self.entries.to_le_bytes());
        self.bytes
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn text(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u32);
        self.bytes.extend_from_slice(bytes);
    }
}

pub(super) struct BlockReader<'a> {
    name: &'a str,
    rest: &'a [u8],
}

impl<'a> BlockReader<'a> {
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self, StateError> {
        let mut reader = Self { name, rest: bytes };
        let version = reader.take(1)?[0];
        if version != VERSION {
            return Err(StateError::Version {
                block: name.to_owned(),
                version: u32::from(version),
                supported: u32::from(VERSION),
            });
        }
        Ok(reader)
    }

    pub fn count(&mut self) -> Result<u32, StateError> {
        let word = self.take(4)?.try_into().unwrap_or_default();
        Ok(u32::from_le_bytes(word))
    }

    pub fn column(&mut self) -> Result<(&'a str, u8, u32), StateError> {
        let length = self.count()?;
        let name = std::str::from_utf8(self.take(length as usize)?);
        let name = name.map_err(|_| StateError::corrupt(self.name, "a state's name is not UTF-8"))?;
        Ok((name, self.take(1)?[0], self.count()?))
    }

    /// Slot, hash and key.
    pub fn entry(&mut self) -> Result<(u32, u64, &'a [u8]), StateError> {
        let slot = self.count()?;
        let hash = u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default());
        let length = self.count()?;
        Ok((slot, hash, self.take(length as usize)?))
    }

    pub fn value(&mut self) -> Result<Option<&'a [u8]>, StateError> {
        match self.count()? {
            NONE => Ok(None),
            length => self.take(length as usize).map(Some),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], StateError> {
        let parts = self.rest.split_at_checked(length);
        let (taken, rest) = parts.ok_or_else(|| StateError::corrupt(self.name, "it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }
}
