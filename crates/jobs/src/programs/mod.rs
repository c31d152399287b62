//! Jobs of other processes in one data directory.
//!
//! A program runs its jobs in a process of its own. So that a server of the same directory can show and end them, the
//! program keeps a file for each job in a directory that both see, and reads requests from it:
//!
//! | file | content |
//! |---|---|
//! | `<job>.json` | the job's state, metrics and checkpoints ([`report`]), replaced about twice a second |
//! | `<job>.lock` | held by the process; a report whose lock is free is of a process that has ended |
//! | `<job>.<request>.request` | a request, written by the server and removed by the program when it is carried out |
//!
//! Neither needs the other to be there: a server that starts later finds the jobs, and a program without a server writes
//! files that nothing reads. The server shows such a job by a [`JobHandle`](crate::JobHandle) like its own, which is not
//! connected to a master but to a [`Mirror`].

mod mirror;
mod report;
mod reporter;

pub use mirror::Mirrors;
pub(crate) use report::Report;
pub use reporter::Reporter;

use millstream_types::storage::{OpenMode, Storage};

/// The directory of these files below a data directory.
pub const PROGRAMS_DIRECTORY: &str = "programs";

const REPORT: &str = ".json";
const LOCK: &str = ".lock";
const REQUEST: &str = ".request";

/// Replaces a file at once. Nothing waits for the disk: after a crash of the machine the process is gone, too.
fn replace(storage: &dyn Storage, path: &str, content: &[u8]) -> std::io::Result<()> {
    let beside = format!("{path}.tmp");
    storage.open(&beside, OpenMode::Truncate)?.write_at(content, 0)?;
    storage.rename(&beside, path)
}

/// Whether the process that holds the lock of a job is alive.
fn is_alive(storage: &dyn Storage, job: &str) -> bool {
    storage
        .try_lock(&format!("{job}{LOCK}"))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Names of the files that end so, without the ending, sorted.
fn names(storage: &dyn Storage, ending: &str) -> Vec<String> {
    let entries = storage.list("").unwrap_or_default();
    let name = |name: String| name.strip_suffix(ending).map(str::to_owned);
    entries.into_iter().filter_map(|entry| name(entry.name)).collect()
}
