//! [`Storage`] on a [`MemStorage`]: names, directories, locks.

use super::disk::{Change, Disk, Inode};
use super::file::MemFile;
use super::{MemStorage, Operation};
use millstream_types::storage::{
    DirectoryEntry, OpenMode, Storage, StorageFile, StorageLock, check_path, parent,
};
use std::io;
use std::sync::Arc;

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
