//! The files of the WAL: writing groups, and finding where a WAL ends.

use crate::codec::Reader;
use crate::error::OpenError;
use crate::limits::{WAL_ROOM_BYTES_MAX, WAL_ROOM_BYTES_MIN, WAL_SPARE_BYTES_MAX};
use crate::record::{
    ALIGNMENT, GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader, ReadRecord, read_group_header, read_record,
};
use bytes::Bytes;
use millstream_types::storage::{DIRECT_ALIGNMENT, OpenMode, Storage, StorageFile};
use std::io;
use std::sync::Arc;

pub(crate) const DIRECTORY: &str = "wal";
const SALT: &str = "wal-salt";

pub(crate) fn path(first_sequence: u64) -> String {
    format!("{DIRECTORY}/{first_sequence:020}.wal")
}

/// Writes groups to the newest file; travels with the commit job.
#[derive(Debug)]
pub(crate) struct WalWriter {
    storage: Arc<dyn Storage>,
    file: Option<Arc<dyn StorageFile>>,
    position: u64,
    /// Length of the file. Beyond the position it contains zeros, or groups that the manifest covers.
    length: u64,
    /// An obsolete file to recycle, by its first sequence.
    spare: Option<u64>,
    sync: bool,
}

impl WalWriter {
    pub fn new(storage: Arc<dyn Storage>, sync: bool) -> Self {
        WalWriter {
            storage,
            file: None,
            position: 0,
            length: 0,
            spare: None,
            sync,
        }
    }

    /// The next group starts a new file, in place of `spare` if there is one.
    pub fn close_file(&mut self, spare: Option<u64>) {
        self.file = None;
        self.spare = spare;
    }

    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    pub fn write(&mut self, group: &[u8], first_sequence: u64) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.create(first_sequence)?,
        };
        self.make_room(file.as_ref(), group.len() as u64);
        if self.sync {
            file.write_durable_at(group, self.position)?
        } else {
            file.write_at(group, self.position)?
        }
        self.position += group.len() as u64;
        Ok(())
    }

    /// Makes the file longer than it needs to be, so that most syncs need not write a new length of the file, too.
    fn make_room(&mut self, file: &dyn StorageFile, bytes: u64) {
        let end = self.position + bytes;
        if end <= self.length {
            return;
        }
        let length = end + end.clamp(WAL_ROOM_BYTES_MIN, WAL_ROOM_BYTES_MAX);
        // Preallocation only saves time; the write reports whether there is space.
        if file.set_len(length).is_ok() {
            self.length = length;
        }
    }

    fn create(&mut self, first_sequence: u64) -> io::Result<Arc<dyn StorageFile>> {
        let path = path(first_sequence);
        let reused = self.spare.take().and_then(|spare| self.reuse(spare, &path).ok());
        let (file, length) = match reused {
            Some(reused) => reused,
            None => (self.storage.open(&path, OpenMode::Truncate)?, 0),
        };
        if self.sync {
            self.storage.sync_directory(DIRECTORY)?;
        }
        (self.position, self.length) = (0, length);
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Recycles an old file: its blocks are allocated and its pages are in memory, so an fsync writes nothing but the
    /// group. Readers stop at the remaining old groups, because their sequences are too low.
    fn reuse(&self, spare: u64, path: &str) -> io::Result<(Arc<dyn StorageFile>, u64)> {
        self.storage.rename(&self::path(spare), path)?;
        let file = self.storage.open(path, OpenMode::Write)?;
        let length = file.len()?;
        Ok((file, length))
    }
}

/// A WAL file that was read back.
pub(crate) struct ReadFile {
    pub first_sequence: u64,
    pub bytes: Bytes,
    /// Memory that they hold.
    pub held_bytes: usize,
    /// Start of its last group.
    pub last_group: usize,
    pub records: Vec<ReadRecord>,
}

/// First sequences of all files, in order. Leaves out files that the manifest fully covers, which a checkpoint could
/// not remove.
fn list(storage: &dyn Storage, known: u64) -> Result<Vec<u64>, OpenError> {
    let names = storage
        .list(DIRECTORY)
        .map_err(OpenError::io("list", DIRECTORY))?;
    let mut sequences: Vec<u64> = names
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(".wal")?.parse().ok())
        .collect();
    sequences.sort_unstable();
    let covered = sequences
        .partition_point(|first| *first <= known + 1)
        .saturating_sub(1);
    for sequence in sequences.drain(..covered) {
        let _ = storage.remove(&path(sequence)); // what stays is found again by the next start
    }
    Ok(sequences)
}

/// Reads all files, truncates a torn end, and makes the rest durable.
///
/// `known` is the sequence that the manifest covers; records up to it may be missing.
pub(crate) fn read_all(
    storage: &dyn Storage,
    known: u64,
    salt: Option<u64>,
) -> Result<Vec<ReadFile>, OpenError> {
    let sequences = list(storage, known)?;
    let mut contents = Vec::new();
    for sequence in &sequences {
        let path = path(*sequence);
        contents.push(Bytes::from(
            storage.read(&path).map_err(OpenError::io("read", path))?,
        ));
    }
    if let Some(first) = sequences.first().filter(|first| **first > known + 1) {
        return Err(damaged(*first, 0, known + 1, "the file before it is missing"));
    }
    let mut files = Vec::new();
    for (index, first_sequence) in sequences.iter().copied().enumerate() {
        let ReadGroups {
            records,
            end,
            last_group,
            next,
        } = read_file(&contents[index], first_sequence, salt);
        let (bytes, held_bytes) = keep(&contents[index], end);
        files.push(ReadFile {
            first_sequence,
            bytes,
            held_bytes,
            last_group,
            records,
        });
        // Preallocated space or an old group follows the end. Nothing is missing if the next file continues there.
        let is_whole = match sequences.get(index + 1) {
            Some(first) => *first == next,
            None => contents[index][end..].iter().all(|byte| *byte == 0),
        };
        if !is_whole {
            let salts = sequences.iter().zip(&contents).skip(index);
            let salted: Vec<(&Bytes, Option<u64>)> = salts
                .map(|(first, content)| (content, file_salt(content, *first, salt)))
                .collect();
            refuse_if_acknowledged(&salted, (first_sequence, end), next, known)?;
            cut(storage, first_sequence, end, &sequences[index + 1..])?;
            break;
        }
    }
    if let Some(last) = files.last() {
        make_durable(storage, last)?;
        storage
            .sync_directory(DIRECTORY)
            .map_err(OpenError::io("sync", DIRECTORY))?;
    }
    Ok(files)
}

/// The first bytes of a file, and the memory that they hold: a copy if most of the file is preallocated or old.
fn keep(content: &Bytes, end: usize) -> (Bytes, usize) {
    if end < content.len() / 2 {
        (Bytes::copy_from_slice(&content[..end]), end)
    } else {
        (content.slice(..end), content.len())
    }
}

/// Makes the last group durable, the only one that may not be: the previous process may have ended because its fsync
/// failed. After such a failure the kernel considers the pages clean, and another fsync would write nothing, so a later
/// power failure could take back records that readers have seen meanwhile. The group is therefore written again.
fn make_durable(storage: &dyn Storage, last: &ReadFile) -> Result<(), OpenError> {
    let path = path(last.first_sequence);
    let file = storage
        .open(&path, OpenMode::Write)
        .map_err(OpenError::io("open", path.clone()))?;
    let group = &last.bytes[last.last_group..];
    file.write_at(group, last.last_group as u64)
        .map_err(OpenError::io("write", path.clone()))?;
    file.sync_data().map_err(OpenError::io("sync", path))
}

/// Whether an obsolete file should be recycled rather than removed.
pub(crate) fn is_spare(storage: &dyn Storage, first_sequence: u64) -> bool {
    let length = storage
        .open(&path(first_sequence), OpenMode::Read)
        .and_then(|file| file.len());
    length.is_ok_and(|length| length <= WAL_SPARE_BYTES_MAX)
}

/// The valid part of a file.
struct ReadGroups {
    records: Vec<ReadRecord>,
    /// Where it ends.
    end: usize,
    /// Start of its last group.
    last_group: usize,
    /// The next sequence.
    next: u64,
}

/// Reads groups and records as long as they are good.
fn read_file(bytes: &Bytes, mut next: u64, salt: Option<u64>) -> ReadGroups {
    let salt = file_salt(bytes, next, salt);
    let mut records = Vec::new();
    let (mut at, mut last_group) = (0, 0);
    let done = |records, end, last_group, next| ReadGroups {
        records,
        end,
        last_group,
        next,
    };
    while let Some(group) = read_salted(&bytes[at..], salt) {
        let fits =
            usize::try_from(group.length).is_ok_and(|length| length <= bytes.len() - at - GROUP_HEADER_BYTES);
        if group.first_sequence != next {
            break;
        }
        let group_end = if fits {
            at + GROUP_HEADER_BYTES + group.length as usize
        } else {
            bytes.len()
        };
        last_group = at;
        let mut position = at + GROUP_HEADER_BYTES;
        while position < group_end {
            match read_record(bytes, position) {
                Some(record) if record.sequence == next && record.end <= group_end => {
                    position = record.end;
                    next += 1;
                    records.push(record);
                }
                _ if is_padding(&bytes[position..group_end]) => position = group_end,
                _ => return done(records, position, last_group, next),
            }
        }
        if !fits {
            return done(records, position.min(bytes.len()), last_group, next);
        }
        at = group_end;
    }
    done(records, at, last_group, next)
}

/// The salt of a file's groups: that of the first group, whose place cannot contain client data; if it is unreadable or
/// from an older file, the directory's. `None` if neither is known.
fn file_salt(bytes: &[u8], first_sequence: u64, salt: Option<u64>) -> Option<u64> {
    let first = read_group_header(bytes).filter(|group| group.first_sequence == first_sequence);
    first.map(|group| group.salt).or(salt)
}

/// The header of a group, unless it has another salt: then it is data that looks like one.
fn read_salted(bytes: &[u8], salt: Option<u64>) -> Option<GroupHeader> {
    read_group_header(bytes).filter(|group| salt.is_none_or(|salt| salt == group.salt))
}

/// The salt of the directory; `None` if it has none yet, or one that is damaged.
pub(crate) fn read_salt(storage: &dyn Storage) -> Result<Option<u64>, OpenError> {
    let content = match storage.read(SALT) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("read", SALT)(error)),
    };
    let mut reader = Reader::new(&content);
    let (salt, crc) = (reader.u64(), reader.u32());
    Ok(salt.filter(|salt| crc == Some(crc32c::crc32c(&salt.to_le_bytes()))))
}

/// Keeps a salt, before the first group has it.
pub(crate) fn write_salt(storage: &dyn Storage, salt: u64) -> Result<u64, OpenError> {
    if salt != 0 {
        let mut content = salt.to_le_bytes().to_vec();
        content.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
        storage
            .replace(SALT, &content)
            .map_err(OpenError::io("write", SALT))?;
    }
    Ok(salt)
}

/// Whether these bytes pad the last block of a group.
fn is_padding(rest: &[u8]) -> bool {
    rest.len() < DIRECT_ALIGNMENT && rest.iter().all(|byte| *byte == 0)
}

/// Looks for a later group that was written after record `sequence` had been synced.
fn refuse_if_acknowledged(
    contents: &[(&Bytes, Option<u64>)],
    (file, end): (u64, usize),
    sequence: u64,
    known: u64,
) -> Result<(), OpenError> {
    for (index, (bytes, salt)) in contents.iter().enumerate() {
        let mut at = if index == 0 {
            end.next_multiple_of(ALIGNMENT)
        } else {
            0
        };
        while at + GROUP_HEADER_BYTES <= bytes.len() {
            if bytes[at..at + 4] == GROUP_MAGIC {
                let proof = read_salted(&bytes[at..], *salt).is_some_and(|group| group.synced >= sequence);
                if proof && sequence > known {
                    return Err(damaged(file, end as u64, sequence, "a later group follows it"));
                }
            }
            at += ALIGNMENT;
        }
    }
    Ok(())
}

fn damaged(first_sequence: u64, position: u64, sequence: u64, reason: &'static str) -> OpenError {
    OpenError::WalDamaged {
        path: path(first_sequence),
        position,
        sequence,
        reason,
    }
}

/// Removes the torn end of a file and all files after it.
fn cut(storage: &dyn Storage, file: u64, end: usize, later: &[u64]) -> Result<(), OpenError> {
    for sequence in later {
        let path = path(*sequence);
        storage.remove(&path).map_err(OpenError::io("remove", path))?;
    }
    let path = path(file);
    let file = storage
        .open(&path, OpenMode::Write)
        .map_err(OpenError::io("open", path.clone()))?;
    file.set_len(end as u64).map_err(OpenError::io("truncate", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Entry, begin_record, finish_group, finish_record, push_entry};

    fn group(sequence: u64, padded: bool) -> Vec<u8> {
        let mut group = vec![0; GROUP_HEADER_BYTES];
        let start = begin_record(&mut group, sequence, 7);
        push_entry(&mut group, &Entry::Metadata(vec![1; 30].into()));
        finish_record(&mut group, start, 1);
        if padded {
            group.resize(group.len().next_multiple_of(DIRECT_ALIGNMENT), 0);
        }
        finish_group(&mut group, sequence, sequence - 1, 7);
        group
    }

    #[test]
    fn what_is_kept_of_a_file_takes_no_more_than_twice_its_length() {
        let content = Bytes::from(vec![7; 1000]);
        for (end, held, is_copy) in [
            (0, 0, true),
            (499, 499, true),
            (500, 1000, false),
            (1000, 1000, false),
        ] {
            let (bytes, held_bytes) = keep(&content, end);
            assert_eq!((bytes.len(), held_bytes), (end, held));
            assert_eq!(bytes.as_ptr() != content.as_ptr(), is_copy, "{end}");
        }
    }

    #[test]
    fn groups_of_whole_blocks_and_those_of_older_files_are_read() {
        for padded in [[false; 3], [true; 3], [false, false, true], [true, true, false]] {
            let mut bytes: Vec<u8> = (5..)
                .zip(padded)
                .flat_map(|(at, padded)| group(at, padded))
                .collect();
            let whole = bytes.len();
            let last_group = whole - group(7, padded[2]).len();
            bytes.resize(whole + 100, 0);
            let read = read_file(&Bytes::from(bytes.clone()), 5, None);
            assert_eq!(
                (read.records.len(), read.end, read.next),
                (3, whole, 8),
                "{padded:?}"
            );
            assert_eq!(read.last_group, last_group);

            // Where zeros should be there is something else: the group was not written to its end.
            if padded[2] {
                bytes[whole - 1] = 1;
                let read = read_file(&Bytes::from(bytes), 5, Some(8));
                assert_eq!((read.records.len(), read.next), (3, 8));
                assert!(read.end < whole);
            }
        }
    }
}
