//! [`Storage`] in memory with the faults of real disks: un-synced bytes lost or torn by a crash, failing calls, a full
//! disk. Tests and the simulator run durable code on it and crash it wherever they like.
//!
//! A file has a durable image and a list of un-synced changes; a directory entry is durable after its directory was
//! synced. [`MemStorage::crash`] drops what was not durable and cuts off all open handles. It does not model
//! permissions or a disk that lies about syncing.

mod directory;
mod disk;
mod faults;
mod file;

pub use faults::{Fault, Operation, Survive};

use disk::{Change, Disk};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// How many calls failed by a fault or for want of room so far.
    pub fn failures(&self) -> u64 {
        self.lock().failures
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

    /// The machine loses power: unsynced changes are lost except for those that `survive` selects; all handles and
    /// locks end.
    pub fn crash(&self, survive: Survive) {
        self.lock().crash(survive);
    }

    /// The process dies, the machine lives: all handles and locks end, every written byte stays.
    pub fn kill(&self) {
        let mut disk = self.lock();
        disk.generation += 1;
        disk.locks.clear();
    }

    /// An independent copy of the disk as it is now, un-synced changes included.
    pub fn fork(&self) -> MemStorage {
        MemStorage {
            disk: Arc::new(Mutex::new(self.lock().fork())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::storage::{OpenMode, Storage};

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
        assert_eq!(storage.failures(), 2);
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
