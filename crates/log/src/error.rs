//! Errors of opening and of running a log.

use crate::log::LogId;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// Why a log directory was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process works on the directory.
    #[error("log directory is in use by another process; stop it or choose another directory")]
    Locked,
    /// A call to the storage failed.
    #[error("cannot {action} '{path}'")]
    Io {
        /// The failed operation.
        action: &'static str,
        /// The file or directory.
        path: String,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The manifest is unreadable.
    #[error("manifest 'checkpoint' is damaged ({reason}); restore the log directory from a copy")]
    Manifest {
        /// The violated rule.
        reason: &'static str,
    },
    /// The manifest was written by a later version.
    #[error(
        "manifest 'checkpoint' has format {found}, this version reads up to {known}; use a newer version"
    )]
    Version {
        /// The format found.
        found: u32,
        /// The last format known here.
        known: u32,
    },
    /// Acknowledged data in the WAL is unreadable.
    #[error(
        "write-ahead log '{path}' is damaged at byte {position}: record {sequence} had been acknowledged and is \
         unreadable ({reason}); restore the log directory from a copy"
    )]
    WalDamaged {
        /// The file.
        path: String,
        /// Where reading stopped.
        position: u64,
        /// The record that should be there.
        sequence: u64,
        /// The violated rule.
        reason: &'static str,
    },
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { action, path, source }
    }
}

/// Why an append or a read was refused.
#[derive(Debug, Clone, Error)]
pub enum LogError {
    /// A write or sync failed earlier: the state of the disk is unknown until the process starts again.
    #[error(
        "log directory is closed after a failed write: {reason}; free or repair the disk and start again"
    )]
    Poisoned {
        /// The first error.
        reason: Arc<str>,
    },
    /// The log's segments are damaged.
    #[error(
        "log {log:?} is quarantined: {reason}; restore that from a copy and start again, or delete the topic"
    )]
    Quarantined {
        /// Which log.
        log: LogId,
        /// The damage found.
        reason: Arc<str>,
    },
    /// No log has this id.
    #[error("log {0:?} does not exist")]
    UnknownLog(LogId),
    /// The offset is below the start or above the end.
    #[error("offset {offset} is outside of {start}..={end}")]
    OffsetOutOfRange {
        /// The requested offset.
        offset: i64,
        /// The first offset kept.
        start: i64,
        /// The log end offset.
        end: i64,
    },
    /// The batch's header is not acceptable.
    #[error("batch is malformed: {0}")]
    Batch(#[from] crate::batch::BatchError),
    /// The owner keeps appending while far too much waits for the next commit.
    #[error("{bytes} bytes wait for the write-ahead log already; send the batch again later")]
    Overfull {
        /// How much waits.
        bytes: usize,
    },
    /// The owner's change does not fit its record format; nothing was changed.
    #[error("change cannot be recorded: {reason}")]
    Unrecordable {
        /// The reason.
        reason: Arc<str>,
    },
    /// Reading a segment failed.
    #[error("cannot read segment '{path}': {reason}")]
    Read {
        /// The file.
        path: String,
        /// The operating system's error.
        reason: Arc<str>,
    },
}
