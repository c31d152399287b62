//! Ensures that only one process at a time runs a job, by a lock file next to its checkpoints.
//!
//! The operating system releases the lock when the process ends, however it ends. The file names its owner for the
//! error message of a second process.

use millstream_dataflow::DataflowError;
use millstream_types::ErrorKind;
use millstream_types::calendar::civil_from_days;
use millstream_types::storage::{OpenMode, Storage, StorageLock};

const DIRECTORY: &str = "locks";
const MS_PER_DAY: i64 = 86_400_000;

/// Held while a job runs.
#[derive(Debug)]
pub struct JobLock {
    _lock: Box<dyn StorageLock>,
}

impl JobLock {
    /// Locks the job whose checkpoints are in `directory`.
    pub fn take(
        storage: &dyn Storage,
        identity: &str,
        directory: &str,
        now_ms: i64,
    ) -> Result<Self, DataflowError> {
        let path = format!("{DIRECTORY}/{}.lock", directory.replace('/', "."));
        let failed = |error: std::io::Error| {
            let message = format!("cannot lock job '{identity}' ('{path}'): {error}");
            DataflowError::new(ErrorKind::Environment, message)
        };
        storage.create_directory(DIRECTORY).map_err(failed)?;
        let lock = match storage.try_lock(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let holder = storage.read(&path).unwrap_or_default();
                let holder = String::from_utf8_lossy(&holder);
                let holder = match holder.trim() {
                    "" => "another process",
                    holder => holder,
                };
                let message = format!(
                    "job '{identity}' is already running in {holder}; stop it first, or give this one another \
                     'pipeline.name' or '--data-dir'"
                );
                return Err(DataflowError::new(ErrorKind::Input, message));
            }
            Err(error) => return Err(failed(error)),
        };
        let holder = format!("process {} since {}", std::process::id(), utc_time(now_ms));
        let file = storage.open(&path, OpenMode::Create).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        file.write_at(holder.as_bytes(), 0).map_err(failed)?;
        Ok(Self { _lock: lock })
    }
}

/// `2026-11-22 20:31:05 UTC`.
pub fn utc_time(ms: i64) -> String {
    let (year, month, day) = civil_from_days(ms.div_euclid(MS_PER_DAY));
    let seconds = ms.rem_euclid(MS_PER_DAY) / 1_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use millstream_testkit::storage::MemStorage;

    use super::*;

    #[test]
    fn the_second_is_told_who_runs_the_job() {
        let storage = MemStorage::new();
        let take = || JobLock::take(&storage, "orders", "jobs/orders", 1_357_016_523_999);
        let first = take().expect("the lock is free");
        let error = take().expect_err("it runs").message;
        let expected = format!("process {} since 2013-01-01 05:02:03 UTC", std::process::id());
        assert!(error.contains(&expected) && error.contains("'orders'"), "{error}");
        drop(first);
        take().expect("it was released");
    }
}
