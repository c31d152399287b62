//! Which process owns the checkpoints of a job in a storage that several machines reach.
//!
//! There is no lock there that would go with a process that dies. So the process that starts the job last owns its
//! checkpoints: it replaces the file `owner`, and every process looks into that file before it writes a checkpoint. One
//! that finds another owner ends its job. This is how Kafka fences producers of one transactional id; between the look and
//! the write, a process that is being replaced can still write one checkpoint, which its successor does not read.

use std::io;
use std::sync::Arc;

use millstream_dataflow::DataflowError;
use millstream_types::storage::{Storage, parent};
use millstream_types::{ErrorKind, Rng};

use crate::lock::utc_time;

/// The claim of this process on the checkpoints of a job.
#[derive(Debug)]
pub struct Ownership {
    storage: Arc<dyn Storage>,
    identity: String,
    path: String,
    /// A random number, which tells processes apart, and in words who it is.
    owner: String,
}

impl Ownership {
    /// Becomes the owner.
    pub fn take(
        storage: Arc<dyn Storage>,
        identity: &str,
        directory: &str,
        now_ms: i64,
        rng: &dyn Rng,
    ) -> Result<Self, DataflowError> {
        let taken = Self {
            storage,
            identity: identity.to_owned(),
            path: format!("{directory}/owner"),
            owner: format!(
                "{:016x} process {} since {}",
                rng.next_u64(),
                std::process::id(),
                utc_time(now_ms)
            ),
        };
        taken.claim()?;
        Ok(taken)
    }

    /// Says in the storage that this process is the owner, again after the directory was cleared.
    pub fn claim(&self) -> Result<(), DataflowError> {
        let made = self.storage.create_directory(parent(&self.path));
        let replaced = made.and_then(|()| self.storage.replace(&self.path, self.owner.as_bytes()));
        replaced.map_err(|error| self.failed("write", &error))
    }

    /// An error that no restart heals if another process has become the owner.
    pub fn check(&self) -> Result<(), DataflowError> {
        let found = match self.storage.read(&self.path) {
            Ok(found) => String::from_utf8_lossy(&found).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(self.failed("read", &error)),
        };
        if found == self.owner {
            return Ok(());
        }
        let other = found
            .split_once(' ')
            .map_or("a process that removed its checkpoints", |(_, other)| other);
        let message = format!(
            "job '{}' was taken over by {other}; it ends here, and continues there",
            self.identity
        );
        Err(DataflowError::new(ErrorKind::Input, message))
    }

    fn failed(&self, action: &str, error: &io::Error) -> DataflowError {
        let message = format!(
            "cannot {action} '{}', which says who owns the checkpoints of job '{}': {error}",
            self.path, self.identity
        );
        DataflowError::new(ErrorKind::Environment, message)
    }
}

#[cfg(test)]
mod tests {
    use millstream_testkit::storage::MemStorage;
    use millstream_types::SeededRng;

    use super::*;

    #[test]
    fn the_last_one_owns_the_checkpoints() {
        let storage: Arc<dyn Storage> = Arc::new(MemStorage::new());
        let rng = SeededRng::new(1);
        let take = || {
            Ownership::take(
                Arc::clone(&storage),
                "orders",
                "jobs/orders",
                1_357_016_523_999,
                &rng,
            )
        };
        let first = take().expect("it is new");
        first.check().expect("no other process started the job");
        let second = take().expect("it takes over");
        second.check().expect("it owns the checkpoints");
        let error = first.check().expect_err("it was replaced");
        let expected = format!("process {} since 2013-01-01 05:02:03 UTC", std::process::id());
        assert!(
            error.message.contains(&expected) && error.kind == ErrorKind::Input,
            "{error}"
        );
    }
}
