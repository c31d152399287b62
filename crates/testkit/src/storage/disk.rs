//! The disk: files with a durable image and unsynced changes, names with and without a synced directory, and the effect
//! of a crash on all of it.

use super::{Fault, Operation, Survive};
use millstream_types::storage::parent;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The size at which [`Survive::Sectors`] tears.
const SECTOR_BYTES: usize = 512;

/// An unsynced change of a file.
#[derive(Clone, Debug)]
pub(super) enum Change {
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

    pub fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes, .. } => write_into(content, bytes, *offset),
            Change::SetLen { len, .. } => content.resize(*len, 0),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub content: Vec<u8>,
    pub durable: Vec<u8>,
    pub changes: Vec<Change>,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub inodes: BTreeMap<u64, Inode>,
    pub names: BTreeMap<String, u64>,
    pub durable_names: BTreeMap<String, u64>,
    pub directories: BTreeSet<String>,
    pub durable_directories: BTreeSet<String>,
    pub locks: BTreeSet<String>,
    pub next_inode: u64,
    pub next_stamp: u64,
    pub generation: u64,
    pub capacity_bytes: Option<usize>,
    pub faults: Vec<Fault>,
    pub calls: BTreeMap<Operation, u64>,
    /// Calls that failed by a fault or for want of room.
    pub failures: u64,
}

impl Disk {
    pub fn inode_of(&mut self, path: &str) -> io::Result<&mut Inode> {
        let inode = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.inodes
            .get_mut(&inode)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn stamp(&mut self) -> u64 {
        self.next_stamp += 1;
        self.next_stamp
    }

    /// Counts a call; returns the fault that it meets, if any.
    pub fn meet_fault(&mut self, operation: Operation) -> Option<Fault> {
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
        self.failures += u64::from(met.is_some());
        met
    }

    pub fn check(&mut self, operation: Operation) -> io::Result<()> {
        self.meet_fault(operation)
            .map_or(Ok(()), |fault| Err(fault.kind.into()))
    }

    pub fn free_bytes(&self) -> usize {
        let lengths = self.inodes.values().map(|inode| inode.content.len());
        lengths.fold(self.capacity_bytes.unwrap_or(usize::MAX), usize::saturating_sub)
    }

    /// Power failure: unsynced changes are lost except for those that `survive` selects; all handles and locks end.
    pub fn crash(&mut self, survive: Survive) {
        self.generation += 1;
        self.locks.clear();
        match survive {
            Survive::Nothing => self.keep_prefix(0),
            Survive::Prefix(bytes) => self.keep_prefix(bytes),
            Survive::Sectors(seed) => self.keep_sectors(seed),
        }
        let Disk {
            durable_names,
            durable_directories,
            ..
        } = self;
        // A file whose directory was never made durable cannot be reached any more.
        durable_names.retain(|name, _| parent(name).is_empty() || durable_directories.contains(parent(name)));
        self.names = self.durable_names.clone();
        self.directories = self.durable_directories.clone();
        let Disk { inodes, names, .. } = self;
        let live: BTreeSet<u64> = names.values().copied().collect();
        inodes.retain(|inode, _| live.contains(inode));
        for inode in inodes.values_mut() {
            inode.changes.clear();
            inode.content = inode.durable.clone();
        }
    }

    pub fn fork(&self) -> Disk {
        let inodes = self.inodes.iter().map(|(id, inode)| (*id, inode.clone()));
        Disk {
            inodes: inodes.collect(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            directories: self.directories.clone(),
            durable_directories: self.durable_directories.clone(),
            next_inode: self.next_inode,
            next_stamp: self.next_stamp,
            generation: self.generation + 1,
            capacity_bytes: self.capacity_bytes,
            ..Disk::default()
        }
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
