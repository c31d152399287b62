//! [`Storage`] in memory with the faults of real disks: un-synced bytes lost or torn by a crash, failing calls, a full
//! disk. Tests and the simulator run durable code on it and crash it wherever they like.
//!
//! A file has a durable image and a list of un-synced changes; a directory entry is durable after its directory was
//! synced. [`MemStorage::crash`] drops what was not durable and cuts off all open handles. It does not model
//! permissions or a disk that lies about syncing.

use millstream_types::storage::{
    DirectoryEntry, OpenMode, Storage, StorageFile, StorageLock, check_path, parent,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A call that a fault can be set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Opening a file.
    Open,
    /// Writing bytes or changing a length.
    Write,
    /// Reading bytes.
    Read,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDirectory,
    /// Renaming.
    Rename,
    /// Removing a file or directory.
    Remove,
}

/// An error to be returned by the `after`-th next call (0 is the very next one) of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which calls are counted.
    pub operation: Operation,
    /// How many calls still succeed.
    pub after: u64,
    /// The kind of error.
    pub kind: io::ErrorKind,
    /// For writes: how many bytes still reach the file.
    pub torn_bytes: usize,
    /// Whether all later calls fail as well.
    pub sticky: bool,
}

/// What of the un-synced changes a crash leaves behind.
#[derive(Clone, Copy, Debug)]
pub enum Survive {
    /// Nothing: the disk had written no cached page.
    Nothing,
    /// The first bytes, in the order of writing; the write that crosses the border is torn there.
    Prefix(u64),
    /// Each 512-byte sector by the toss of a coin from this seed, and so each un-synced directory entry.
    Sectors(u64),
}

/// The size at which [`Survive::Sectors`] tears.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write {
        stamp: u64,
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLen {
        stamp: u64,
        len: usize,
    },
}

impl Change {
    fn stamp(&self) -> u64 {
        match self {
            Change::Write { stamp, .. } | Change::SetLen { stamp, .. } => *stamp,
        }
    }

    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes, .. } => write_into(content, bytes, *offset),
            Change::SetLen { len, .. } => content.resize(*len, 0),
        }
    }
}

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct Disk {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    directories: BTreeSet<String>,
    durable_directories: BTreeSet<String>,
    locks: BTreeSet<String>,
    next_inode: u64,
    next_stamp: u64,
    generation: u64,
    capacity_bytes: Option<usize>,
    faults: Vec<Fault>,
    calls: BTreeMap<Operation, u64>,
}

/// A disk in memory; clones share it.
#[derive(Clone, Default)]
pub struct MemStorage {
    disk: Arc<Mutex<Disk>>,
}

impl fmt::Debug for MemStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MemStorage")
    }
}

impl MemStorage {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the sum of all file lengths; writes beyond it fail with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.lock().capacity_bytes = bytes;
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// How many calls of an operation were made so far.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// The number of bytes written and not yet synced.
    pub fn unsynced_bytes(&self) -> u64 {
        let disk = self.lock();
        let changes = disk.inodes.values().flat_map(|inode| &inode.changes);
        changes
            .map(|change| match change {
                Change::Write { bytes, .. } => bytes.len() as u64,
                Change::SetLen { .. } => 0,
            })
            .sum()
    }

    /// The machine loses power: what was not durable is lost but for what `survive` says; all handles and locks end.
    pub fn crash(&self, survive: Survive) {
        let mut disk = self.lock();
        disk.generation += 1;
        disk.locks.clear();
        match survive {
            Survive::Nothing => disk.keep_prefix(0),
            Survive::Prefix(bytes) => disk.keep_prefix(bytes),
            Survive::Sectors(seed) => disk.keep_sectors(seed),
        }
        let Disk {
            durable_names,
            durable_directories,
            ..
        } = &mut *disk;
        // A file whose directory was never made durable cannot be reached any more.
        durable_names.retain(|name, _| parent(name).is_empty() || durable_directories.contains(parent(name)));
        disk.names = disk.durable_names.clone();
        disk.directories = disk.durable_directories.clone();
        let Disk { inodes, names, .. } = &mut *disk;
        let live: BTreeSet<u64> = names.values().copied().collect();
        inodes.retain(|inode, _| live.contains(inode));
        for inode in inodes.values_mut() {
            inode.changes.clear();
            inode.content = inode.durable.clone();
        }
    }

    /// The process dies, the machine lives: all handles and locks end, every written byte stays.
    pub fn kill(&self) {
        let mut disk = self.lock();
        disk.generation += 1;
        disk.locks.clear();
    }

    /// An independent copy of the disk as it is now, un-synced changes included.
    pub fn fork(&self) -> MemStorage {
        let disk = self.lock();
        let inodes = disk.inodes.iter().map(|(id, inode)| {
            let copy = Inode {
                content: inode.content.clone(),
                durable: inode.durable.clone(),
                changes: inode.changes.clone(),
            };
            (*id, copy)
        });
        let copy = Disk {
            inodes: inodes.collect(),
            names: disk.names.clone(),
            durable_names: disk.durable_names.clone(),
            directories: disk.directories.clone(),
            durable_directories: disk.durable_directories.clone(),
            next_inode: disk.next_inode,
            next_stamp: disk.next_stamp,
            generation: disk.generation + 1,
            capacity_bytes: disk.capacity_bytes,
            ..Disk::default()
        };
        MemStorage {
            disk: Arc::new(Mutex::new(copy)),
        }
    }

    /// Flips the bits of `mask` in one byte of a file, durably: the disk's own fault.
    pub fn flip(&self, path: &str, offset: usize, mask: u8) -> io::Result<()> {
        let mut disk = self.lock();
        let inode = disk.inode_of(path)?;
        for content in [&mut inode.content, &mut inode.durable] {
            if let Some(byte) = content.get_mut(offset) {
                *byte ^= mask;
            }
        }
        Ok(())
    }

    /// All files with their lengths, sorted by path.
    pub fn files(&self) -> Vec<(String, usize)> {
        let disk = self.lock();
        let length = |inode: &u64| disk.inodes.get(inode).map_or(0, |inode| inode.content.len());
        disk.names
            .iter()
            .map(|(path, inode)| (path.clone(), length(inode)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn inode_of(&mut self, path: &str) -> io::Result<&mut Inode> {
        let inode = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.inodes
            .get_mut(&inode)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn stamp(&mut self) -> u64 {
        self.next_stamp += 1;
        self.next_stamp
    }

    /// Counts a call; returns the fault that it meets, if any.
    fn meet_fault(&mut self, operation: Operation) -> Option<Fault> {
        *self.calls.entry(operation).or_default() += 1;
        let mut met = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation || met.is_some() {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            met = Some(*fault);
            fault.sticky
        });
        met
    }

    fn check(&mut self, operation: Operation) -> io::Result<()> {
        self.meet_fault(operation)
            .map_or(Ok(()), |fault| Err(fault.kind.into()))
    }

    fn free_bytes(&self) -> usize {
        let lengths = self.inodes.values().map(|inode| inode.content.len());
        lengths.fold(self.capacity_bytes.unwrap_or(usize::MAX), usize::saturating_sub)
    }

    fn keep_prefix(&mut self, mut budget: u64) {
        let mut changes: Vec<(u64, Change)> = Vec::new();
        for (id, inode) in &self.inodes {
            changes.extend(inode.changes.iter().map(|change| (*id, change.clone())));
        }
        changes.sort_by_key(|(_, change)| change.stamp());
        for (id, mut change) in changes {
            if budget == 0 {
                break;
            }
            if let Change::Write { bytes, .. } = &mut change {
                let kept = bytes.len().min(usize::try_from(budget).unwrap_or(usize::MAX));
                bytes.truncate(kept);
                budget -= kept as u64;
            }
            if let Some(inode) = self.inodes.get_mut(&id) {
                change.apply(&mut inode.durable);
            }
        }
    }

    fn keep_sectors(&mut self, seed: u64) {
        let mut coin = Coin(seed | 1);
        for inode in self.inodes.values_mut() {
            for change in std::mem::take(&mut inode.changes) {
                match &change {
                    Change::SetLen { .. } if coin.toss() => change.apply(&mut inode.durable),
                    Change::SetLen { .. } => {}
                    Change::Write { offset, bytes, .. } => {
                        for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                            if coin.toss() {
                                write_into(&mut inode.durable, sector, offset + index * SECTOR_BYTES);
                            }
                        }
                    }
                }
            }
        }
        let fresh: Vec<_> = self
            .names
            .iter()
            .filter(|(path, _)| !self.durable_names.contains_key(*path))
            .collect();
        let kept: Vec<_> = fresh
            .into_iter()
            .map(|(path, inode)| (path.clone(), *inode))
            .collect();
        for (path, inode) in kept {
            if self.durable_directories.contains(parent(&path)) && coin.toss() {
                self.durable_names.insert(path, inode);
            }
        }
    }
}

struct Coin(u64);

impl Coin {
    fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
    }
}

fn write_into(content: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Storage for MemStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        check_path(path)?;
        let mut disk = self.lock();
        disk.check(Operation::Open)?;
        if !disk.names.contains_key(path) {
            if matches!(mode, OpenMode::Read | OpenMode::Write) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let directory = parent(path);
            if !directory.is_empty() && !disk.directories.contains(directory) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let id = disk.next_inode;
            disk.next_inode += 1;
            disk.inodes.insert(id, Inode::default());
            disk.names.insert(path.to_owned(), id);
        } else if mode == OpenMode::Truncate {
            let stamp = disk.stamp();
            let inode = disk.inode_of(path)?;
            inode.content.clear();
            inode.changes.push(Change::SetLen { stamp, len: 0 });
        }
        let inode = *disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(MemFile {
            storage: self.clone(),
            inode,
            generation: disk.generation,
            writable,
        }))
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        check_path(path)?;
        let mut disk = self.lock();
        let mut directory = path;
        while !directory.is_empty() {
            disk.directories.insert(directory.to_owned());
            directory = parent(directory);
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>> {
        check_path(path)?;
        let disk = self.lock();
        if !path.is_empty() && !disk.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = disk.names.keys().map(|name| (name, false));
        let directories = disk.directories.iter().map(|name| (name, true));
        let mut entries: Vec<DirectoryEntry> = names
            .chain(directories)
            .filter(|(name, _)| parent(name) == path)
            .map(|(name, is_directory)| {
                let start = if path.is_empty() { 0 } else { path.len() + 1 };
                DirectoryEntry {
                    name: name[start..].to_owned(),
                    is_directory,
                }
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let disk = self.lock();
        Ok(disk.names.contains_key(path) || disk.directories.contains(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_path(from)?;
        check_path(to)?;
        let mut disk = self.lock();
        disk.check(Operation::Rename)?;
        if let Some(inode) = disk.names.remove(from) {
            disk.names.insert(to.to_owned(), inode);
            return Ok(());
        }
        if !disk.directories.remove(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.directories.insert(to.to_owned());
        let prefix = format!("{from}/");
        let inside: Vec<String> = disk
            .names
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .cloned()
            .collect();
        for name in inside {
            if let Some(inode) = disk.names.remove(&name) {
                disk.names
                    .insert(format!("{to}/{}", &name[prefix.len()..]), inode);
            }
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.check(Operation::Remove)?;
        disk.names
            .remove(path)
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_directory(&self, path: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.check(Operation::Remove)?;
        let prefix = format!("{path}/");
        disk.names.retain(|name, _| !name.starts_with(&prefix));
        disk.directories
            .retain(|name| name != path && !name.starts_with(&prefix));
        Ok(())
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        check_path(path)?;
        let mut disk = self.lock();
        disk.check(Operation::SyncDirectory)?;
        let Disk {
            names,
            durable_names,
            directories,
            durable_directories,
            ..
        } = &mut *disk;
        durable_names.retain(|name, _| parent(name) != path || names.contains_key(name));
        for (name, inode) in names.iter().filter(|(name, _)| parent(name) == path) {
            durable_names.insert(name.clone(), *inode);
        }
        let removed =
            durable_directories.extract_if(.., |name| parent(name) == path && !directories.contains(name));
        for directory in removed {
            let prefix = format!("{directory}/");
            durable_names.retain(|name, _| !name.starts_with(&prefix));
        }
        durable_directories.extend(directories.iter().filter(|name| parent(name) == path).cloned());
        Ok(())
    }

    fn try_lock(&self, path: &str) -> io::Result<Box<dyn StorageLock>> {
        check_path(path)?;
        let mut disk = self.lock();
        if !disk.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemLock {
            storage: self.clone(),
            path: path.to_owned(),
            generation: disk.generation,
        }))
    }
}

#[derive(Debug)]
struct MemFile {
    storage: MemStorage,
    inode: u64,
    generation: u64,
    writable: bool,
}

impl MemFile {
    fn lock(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.storage.lock();
        if disk.generation != self.generation {
            return Err(io::Error::other("this handle was opened before the crash"));
        }
        Ok(disk)
    }

    fn lock_for_writing(&self) -> io::Result<MutexGuard<'_, Disk>> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.lock()
    }
}

impl StorageFile for MemFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.lock_for_writing()?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let fault = disk.meet_fault(Operation::Write);
        let mut kept = fault.map_or(bytes.len(), |fault| fault.torn_bytes.min(bytes.len()));
        let mut error = fault.map(|fault| io::Error::from(fault.kind));
        let inode = disk.inodes.get(&self.inode);
        let len = inode.map_or(0, |inode| inode.content.len());
        let room = len.saturating_add(disk.free_bytes()).saturating_sub(offset);
        if kept > room {
            kept = room;
            error = Some(io::ErrorKind::StorageFull.into());
        }
        let stamp = disk.stamp();
        let inode = disk.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let change = Change::Write {
            stamp,
            offset,
            bytes: bytes[..kept].to_vec(),
        };
        change.apply(&mut inode.content);
        inode.changes.push(change);
        error.map_or(Ok(()), Err)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.lock()?;
        disk.check(Operation::Read)?;
        let inode = disk.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(inode.content.len());
        let read = buffer.len().min(inode.content.len() - start);
        buffer[..read].copy_from_slice(&inode.content[start..start + read]);
        Ok(read)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.lock()?;
        if let Some(fault) = disk.meet_fault(Operation::Sync) {
            if let Some(inode) = disk.inodes.get_mut(&self.inode) {
                inode.changes.clear(); // as Linux does: the pages are marked clean though they never reached the disk
            }
            return Err(fault.kind.into());
        }
        let inode = disk.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        for change in std::mem::take(&mut inode.changes) {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let disk = self.lock()?;
        let inode = disk.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        Ok(inode.content.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.lock_for_writing()?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        disk.check(Operation::Write)?;
        let stamp = disk.stamp();
        let free = disk.free_bytes();
        let inode = disk.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        if len.saturating_sub(inode.content.len()) > free {
            return Err(io::ErrorKind::StorageFull.into()); // no holes here
        }
        let change = Change::SetLen { stamp, len };
        change.apply(&mut inode.content);
        inode.changes.push(change);
        Ok(())
    }
}

#[derive(Debug)]
struct MemLock {
    storage: MemStorage,
    path: String,
    generation: u64,
}

impl StorageLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut disk = self.storage.lock();
        if disk.generation == self.generation {
            disk.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(storage: &MemStorage) -> Vec<u8> {
        storage.read("a").unwrap()
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let storage = MemStorage::new();
        let file = storage.open("a", OpenMode::Create).unwrap();
        file.write_at(b"durable", 0).unwrap();
        file.sync_data().unwrap();
        storage.sync_directory("").unwrap();
        file.write_at(b"-lost", 7).unwrap();
        let torn = storage.fork();
        storage.crash(Survive::Nothing);
        assert_eq!(written(&storage), b"durable");
        torn.crash(Survive::Prefix(2));
        assert_eq!(written(&torn), b"durable-l");
        assert!(
            file.write_at(b"x", 0).is_err(),
            "a handle from before the crash is dead"
        );
    }

    #[test]
    fn a_name_survives_only_after_the_directory_was_synced() {
        let storage = MemStorage::new();
        storage.open("a", OpenMode::Create).unwrap().sync_data().unwrap();
        storage.sync_directory("").unwrap();
        storage.rename("a", "b").unwrap();
        storage.crash(Survive::Nothing);
        assert!(storage.exists("a").unwrap() && !storage.exists("b").unwrap());
    }

    #[test]
    fn faults_meet_the_call_they_were_set_on() {
        let storage = MemStorage::new();
        let file = storage.open("a", OpenMode::Create).unwrap();
        let kind = io::ErrorKind::Other;
        storage.fail(Fault {
            operation: Operation::Write,
            after: 1,
            kind,
            torn_bytes: 2,
            sticky: false,
        });
        file.write_at(b"abcd", 0).unwrap();
        assert!(file.write_at(b"efgh", 4).is_err());
        assert_eq!(written(&storage), b"abcdef");
        storage.set_capacity(Some(8));
        assert_eq!(
            file.write_at(b"ghij", 6).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(written(&storage), b"abcdefgh");
    }

    #[test]
    fn a_lock_is_exclusive_until_it_is_dropped() {
        let storage = MemStorage::new();
        let lock = storage.try_lock("lock").unwrap();
        assert_eq!(
            storage.try_lock("lock").unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(lock);
        storage.try_lock("lock").unwrap();
    }
}
