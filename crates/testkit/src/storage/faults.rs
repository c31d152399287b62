//! Faults: which call fails how, and what survives a crash.

use std::io;

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

/// The unsynced changes that survive a crash.
#[derive(Clone, Copy, Debug)]
pub enum Survive {
    /// Nothing: the disk had written no cached page.
    Nothing,
    /// The first bytes, in the order of writing; the write that crosses the border is torn there.
    Prefix(u64),
    /// Each 512-byte sector by the toss of a coin from this seed, and so each un-synced directory entry.
    Sectors(u64),
}
