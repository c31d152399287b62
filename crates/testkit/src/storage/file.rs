//! An open file of a [`MemStorage`].

use super::disk::{Change, Disk};
use super::{MemStorage, Operation};
use millstream_types::storage::StorageFile;
use std::io;
use std::sync::MutexGuard;

#[derive(Debug)]
pub(super) struct MemFile {
    pub storage: MemStorage,
    pub inode: u64,
    pub generation: u64,
    pub writable: bool,
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
            disk.failures += 1;
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
            disk.failures += 1;
            return Err(io::ErrorKind::StorageFull.into()); // no holes here
        }
        let change = Change::SetLen { stamp, len };
        change.apply(&mut inode.content);
        inode.changes.push(change);
        Ok(())
    }
}
