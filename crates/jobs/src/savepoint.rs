//! Savepoints on request: each waits for the next checkpoint and is a copy of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_dataflow::DataflowError;
use millstream_types::storage::Storage;
use millstream_types::{CheckpointId, ErrorKind, Options, Rng};

use crate::checkpoints::Checkpoints;
use crate::directories::{join, open_directory};
use crate::status::{CheckpointStats, CheckpointStatus, JobId};

/// The progress of a savepoint.
#[derive(Clone, Debug)]
pub enum SavepointStatus {
    InProgress,
    /// Durable at this location; a job can start from it.
    Completed {
        location: String,
    },
    Failed(DataflowError),
}

#[derive(Debug)]
struct Shared {
    status: Mutex<SavepointStatus>,
    changed: Condvar,
}

/// A requested savepoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SavepointHandle(Arc<Shared>);

impl SavepointHandle {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            status: Mutex::new(SavepointStatus::InProgress),
            changed: Condvar::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, SavepointStatus> {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn status(&self) -> SavepointStatus {
        self.lock().clone()
    }

    /// Waits up to `timeout` for the savepoint. Returns the current status.
    pub fn wait(&self, timeout: Duration) -> SavepointStatus {
        let in_progress = |status: &mut SavepointStatus| matches!(status, SavepointStatus::InProgress);
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.lock(), timeout, in_progress);
        let (status, _) = waited.unwrap_or_else(PoisonError::into_inner);
        status.clone()
    }

    /// Only the first outcome counts.
    fn settle(&self, outcome: SavepointStatus) {
        let mut status = self.lock();
        if matches!(*status, SavepointStatus::InProgress) {
            *status = outcome;
            self.0.changed.notify_all();
        }
    }
}

/// The obligation to settle a savepoint. If it is dropped unsettled, for example together with its job, the savepoint
/// fails.
#[derive(Debug)]
pub(crate) struct SavepointPromise(SavepointHandle);

impl SavepointPromise {
    pub fn new(handle: SavepointHandle) -> Self {
        Self(handle)
    }

    pub fn fail(&self, error: DataflowError) {
        self.settle(SavepointStatus::Failed(error));
    }

    pub fn settle(&self, outcome: SavepointStatus) {
        self.0.settle(outcome);
    }
}

impl Drop for SavepointPromise {
    fn drop(&mut self) {
        let message = "the job ended before the savepoint was taken";
        self.fail(DataflowError::new(ErrorKind::Retry, message));
    }
}

/// A savepoint that waits for its checkpoint.
#[derive(Debug)]
pub(crate) struct SavepointRequest {
    promise: SavepointPromise,
    /// Opened at the request, so that an invalid directory is reported before anything else happens.
    storage: Arc<dyn Storage>,
    location: String,
    name: String,
    checkpoint: Option<CheckpointId>,
}

impl SavepointRequest {
    /// A savepoint in a new directory below `directory`.
    pub fn new(
        directory: &str,
        stores: &Options,
        job: JobId,
        rng: &dyn Rng,
        promise: SavepointPromise,
    ) -> Result<Self, DataflowError> {
        // Flink's naming scheme.
        let random = rng.next_u64() & 0xFFFF_FFFF_FFFF;
        let name = format!("savepoint-{}-{random:012x}", &job.to_string()[..6]);
        let storage = match open_directory(directory, stores) {
            Ok(storage) => storage,
            Err(error) => {
                promise.fail(error.clone());
                return Err(error);
            }
        };
        Ok(Self {
            promise,
            storage,
            location: join(directory, &name),
            name,
            checkpoint: None,
        })
    }

    fn fail(&self, error: DataflowError) {
        self.promise.fail(error);
    }
}

/// The savepoints of one job that are in progress.
#[derive(Debug, Default)]
pub(crate) struct Savepoints(Vec<SavepointRequest>);

impl Savepoints {
    pub fn add(&mut self, request: SavepointRequest) {
        self.0.push(request);
    }

    /// A checkpoint starts; the waiting savepoints become copies of it.
    pub fn begin(&mut self, checkpoint: CheckpointId) {
        for request in self.0.iter_mut().filter(|request| request.checkpoint.is_none()) {
            request.checkpoint = Some(checkpoint);
        }
    }

    /// The checkpoint is durable: copies it for the savepoints that wait for it. Returns the location of the last copy.
    pub fn complete(
        &mut self,
        checkpoint: CheckpointId,
        checkpoints: &Checkpoints,
    ) -> Result<Option<String>, DataflowError> {
        let (due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|request| request.checkpoint == Some(checkpoint));
        self.0 = waiting;
        let mut outcome = Ok(None);
        for request in due {
            match checkpoints.export(request.storage.as_ref(), &request.name) {
                Ok(_) => {
                    let location = request.location.clone();
                    request.promise.0.settle(SavepointStatus::Completed {
                        location: location.clone(),
                    });
                    outcome = outcome.map(|_: Option<String>| Some(location));
                }
                Err(error) => {
                    request.fail(error.clone());
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    /// Fails the savepoints whose checkpoint has failed.
    pub fn fail_with(&mut self, stats: &CheckpointStats) {
        self.0.retain(|request| {
            let record = stats
                .history
                .iter()
                .find(|record| Some(record.id) == request.checkpoint.map(|id| id.0));
            let failed = record.filter(|record| record.status == CheckpointStatus::Failed);
            if let Some(record) = failed {
                let reason = record.failure.clone().unwrap_or_default();
                request.fail(DataflowError::new(ErrorKind::Retry, reason));
            }
            failed.is_none()
        });
    }

    pub fn fail_all(&mut self, error: &DataflowError) {
        for request in self.0.drain(..) {
            request.fail(error.clone());
        }
    }
}
