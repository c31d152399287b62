//! The program's side: it reports its jobs and carries out requests.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use millstream_types::storage::{Storage, StorageLock};

use super::report::{Report, Request};
use super::{LOCK, REPORT, REQUEST, is_alive, names, replace};
use crate::job::JobHandle;
use crate::registry::JobRegistry;
use crate::savepoint::SavepointHandle;
use crate::status::JobId;

/// Savepoints whose outcome a report names.
const SAVEPOINTS_MAX: usize = 16;

/// Reports the jobs of this process to a server of the same data directory.
pub struct Reporter {
    storage: Arc<dyn Storage>,
    jobs: JobRegistry,
    reported: BTreeMap<JobId, Reported>,
}

struct Reported {
    _lock: Box<dyn StorageLock>,
    savepoints: Vec<(String, SavepointHandle)>,
    /// The report says how the job ended.
    is_over: bool,
}

impl Reporter {
    /// `storage` is the directory of the files ([`super::PROGRAMS_DIRECTORY`]).
    pub fn new(storage: Arc<dyn Storage>, jobs: JobRegistry) -> Self {
        Self {
            storage,
            jobs,
            reported: BTreeMap::new(),
        }
    }

    /// Carries out requests and writes reports. Called about twice a second, and when the process ends.
    pub fn report(&mut self) -> io::Result<()> {
        let requests = names(self.storage.as_ref(), REQUEST);
        for job in self.jobs.list() {
            if !self.reported.contains_key(&job.id()) {
                self.begin(&job)?;
            }
            let storage = Arc::clone(&self.storage);
            let Some(reported) = self
                .reported
                .get_mut(&job.id())
                .filter(|reported| !reported.is_over)
            else {
                continue;
            };
            reported.obey(storage.as_ref(), &requests, &job)?;
            // Read before the report is made: a report of the end is complete.
            let is_over = job.status().is_terminal();
            let savepoints = reported.savepoints.iter();
            let savepoints =
                savepoints.map(|(request, savepoint)| (request.clone(), savepoint.status().into()));
            let report = Report::of(&job, savepoints.collect());
            let content = serde_json::to_vec(&report).map_err(io::Error::other)?;
            replace(storage.as_ref(), &format!("{}{REPORT}", job.id()), &content)?;
            reported.is_over = is_over;
        }
        Ok(())
    }

    /// Locks the files of a job, and removes those of earlier runs of it.
    fn begin(&mut self, job: &JobHandle) -> io::Result<()> {
        for id in names(self.storage.as_ref(), REPORT) {
            let content = self.storage.read(&format!("{id}{REPORT}")).unwrap_or_default();
            let report: Option<Report> = serde_json::from_slice(&content).ok();
            let is_earlier = report.is_none_or(|report| report.name == job.name());
            if is_earlier && !is_alive(self.storage.as_ref(), &id) {
                self.forget(&id);
            }
        }
        let lock = self.storage.try_lock(&format!("{}{LOCK}", job.id()))?;
        self.reported.insert(
            job.id(),
            Reported {
                _lock: lock,
                savepoints: Vec::new(),
                is_over: false,
            },
        );
        Ok(())
    }

    fn forget(&self, id: &str) {
        for request in names(self.storage.as_ref(), REQUEST) {
            if request.starts_with(id) {
                let _ = self.storage.remove(&format!("{request}{REQUEST}"));
            }
        }
        // Another process may remove the same files.
        for ending in [REPORT, LOCK] {
            let _ = self.storage.remove(&format!("{id}{ending}"));
        }
    }
}

impl Reported {
    /// Carries out the requests for a job, in the order in which they were written. `requests` are those for all jobs.
    fn obey(&mut self, storage: &dyn Storage, requests: &[String], job: &JobHandle) -> io::Result<()> {
        let id = job.id().to_string();
        for name in requests.iter().filter(|name| name.starts_with(&id)) {
            let path = format!("{name}{REQUEST}");
            let content = storage.read(&path)?;
            storage.remove(&path)?;
            match serde_json::from_slice(&content) {
                Ok(request) => self.carry_out(name.clone(), request, job),
                Err(error) => tracing::warn!(request = name, %error, "a request of a server cannot be read"),
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, name: String, request: Request, job: &JobHandle) {
        let savepoint = match request {
            Request::Cancel => return job.cancel(),
            Request::Stop => return job.stop(),
            Request::Checkpoint => return job.trigger_checkpoint(),
            Request::Savepoint { directory } => job.savepoint(Some(&directory)),
            Request::StopWithSavepoint { directory, drain } => {
                job.stop_with_savepoint(Some(&directory), drain)
            }
        };
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            self.savepoints.remove(0);
        }
        self.savepoints.push((name, savepoint));
    }
}
