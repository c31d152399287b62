//! The jobs of a process, by id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_dataflow::DataflowError;

use crate::job::{GraphRequest, JobHandle, JobRequest, submit, submit_graph};
use crate::status::JobId;

/// Ended jobs that stay listed.
const ENDED_JOBS_MAX: usize = 100;

/// All jobs submitted through it. Cheap to clone.
#[derive(Clone, Default)]
pub struct JobRegistry {
    jobs: Arc<Mutex<BTreeMap<JobId, JobHandle>>>,
}

impl JobRegistry {
    pub fn submit(&self, request: JobRequest) -> Result<JobHandle, DataflowError> {
        Ok(self.remember(submit(request)?))
    }

    /// Like [`Self::submit`], with an id and a display name from the caller.
    pub fn submit_as(&self, id: JobId, name: &str, request: JobRequest) -> Result<JobHandle, DataflowError> {
        Ok(self.remember(submit(request)?.known_as(id, name)))
    }

    pub fn submit_graph(&self, request: GraphRequest) -> Result<JobHandle, DataflowError> {
        Ok(self.remember(submit_graph(request)?))
    }

    fn remember(&self, handle: JobHandle) -> JobHandle {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.insert(handle.id(), handle.clone());
        let mut ended: Vec<(i64, JobId)> = jobs
            .values()
            .filter(|job| job.status().is_terminal())
            .map(|job| (job.started_ms(), job.id()))
            .collect();
        ended.sort_unstable();
        for (_, id) in ended.iter().take(ended.len().saturating_sub(ENDED_JOBS_MAX)) {
            jobs.remove(id);
        }
        handle
    }

    /// Shows a job of another process.
    pub(crate) fn adopt(&self, handle: JobHandle) -> JobHandle {
        self.remember(handle)
    }

    /// Shows a job no more.
    pub(crate) fn forget(&self, id: JobId) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.remove(&id);
    }

    pub fn get(&self, id: JobId) -> Option<JobHandle> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// Oldest first.
    pub fn list(&self) -> Vec<JobHandle> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<JobHandle> = jobs.values().cloned().collect();
        all.sort_by_key(|job| (job.started_ms(), job.id()));
        all
    }
}
