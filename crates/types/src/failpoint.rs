//! Named places where a test stops the process: between two steps of a protocol, so that a kill hits exactly there.
//!
//! `millstream chaos` and the tests arm one place by name (`millstream` reads the variable `MILLSTREAM_FAILPOINT`, see its
//! `failpoints` module). The thread that passes the armed place for the n-th time creates a file and waits until it is
//! gone. The observer sees the file, and kills what it wants to kill; other threads run on until then, as at a kill at any
//! time. A process in which nothing is armed loads one word at each place; no place is passed once a record.
//!
//! [`ALL`] lists the places in the order in which a row passes them; `docs/internals/exactly-once.md` describes them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A place, and what has happened before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failpoint {
    pub name: &'static str,
    pub doc: &'static str,
}

const fn place(name: &'static str, doc: &'static str) -> Failpoint {
    Failpoint { name, doc }
}

/// Every place. [`hit`] takes the names of this list.
pub const ALL: &[Failpoint] = &[
    place(
        "source-positions-frozen",
        "a worker has frozen the positions of its sources for a checkpoint",
    ),
    place(
        "sink-barrier",
        "the barrier has reached a sink; nothing is flushed",
    ),
    place(
        "transaction-begun",
        "the first row of a transaction was handed to the producer",
    ),
    place(
        "transaction-flushed",
        "all rows of a transaction are written; the checkpoint's number is not",
    ),
    place(
        "transaction-proved",
        "the checkpoint's number is written into the transaction",
    ),
    place(
        "transaction-prepared",
        "a transaction is closed for more rows; the checkpoint does not name it yet",
    ),
    place(
        "worker-acknowledged",
        "a worker has handed over the state of its operators",
    ),
    place(
        "checkpoint-written",
        "the checkpoint is in its temporary file, synced",
    ),
    place(
        "checkpoint-renamed",
        "the checkpoint has its name; its directory is not synced",
    ),
    place(
        "checkpoint-complete",
        "the checkpoint is durable; no sink knows of it",
    ),
    place("commit-begun", "a sink is about to commit a transaction"),
    place(
        "commit-ended",
        "the transaction is committed; the sink has not begun its next epoch",
    ),
    place(
        "epoch-begun",
        "the transactional id has its next epoch; the commit is not reported",
    ),
    place(
        "file-closed",
        "files of the filesystem sink are written and synced under hidden names",
    ),
    place("file-renamed", "a file of the filesystem sink has its final name"),
    place(
        "checkpoints-removed",
        "checkpoints that are not needed any more are removed",
    ),
    place(
        "recovery-loaded",
        "a restart has read its checkpoint; nothing is opened",
    ),
    place(
        "recovery-committed",
        "a restart has committed what the checkpoint names",
    ),
    place(
        "recovery-fenced",
        "a restart has fenced the ids of the execution before",
    ),
    place(
        "broker-end-appended",
        "the coordinator has appended the end of a transaction; it is not durable",
    ),
    place(
        "broker-group-closed",
        "a group of the write-ahead log is about to be written",
    ),
    place(
        "broker-group-durable",
        "a group of the write-ahead log is durable; no client knows of it",
    ),
];

struct Armed {
    name: String,
    /// Passes before the one that stops.
    passes: AtomicU64,
    file: PathBuf,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// How often a stopped thread checks for its release.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Why a place cannot be armed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailpointError {
    #[error("there is no failpoint '{0}'")]
    Unknown(String),
    #[error("a failpoint is armed already")]
    Armed,
}

/// Arms a place: its pass number `pass`, counted from 1, creates `file` and waits until that is removed. Once for a
/// process; an unknown name is an error.
pub fn arm(name: &str, pass: u64, file: PathBuf) -> Result<(), FailpointError> {
    if !ALL.iter().any(|known| known.name == name) {
        return Err(FailpointError::Unknown(name.to_owned()));
    }
    let armed = Armed {
        name: name.to_owned(),
        passes: AtomicU64::new(pass.max(1)),
        file,
    };
    ARMED.set(armed).map_err(|_| FailpointError::Armed)
}

/// A thread passes a place.
#[inline]
pub fn hit(name: &'static str) {
    if let Some(armed) = ARMED.get() {
        armed.pass(name);
    }
}

impl Armed {
    fn pass(&self, name: &'static str) {
        debug_assert!(ALL.iter().any(|known| known.name == name), "{name} is not listed");
        if self.name != name || self.passes.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // A test that cannot see the file fails by its own deadline.
        if std::fs::write(&self.file, name).is_ok() {
            while self.file.exists() {
                std::thread::park_timeout(LOOK_INTERVAL);
            }
        }
    }
}
