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

/// Reports of jobs that have ended, the newest; older ones are removed when a job starts. Flink's JobManager keeps jobs that
/// have ended for an hour.
const ENDED_REPORTS_MAX: usize = 100;

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

    /// Locks the files of a job, and removes those of earlier runs of it and of jobs that ended long ago.
    fn begin(&mut self, job: &JobHandle) -> io::Result<()> {
        self.prune(job.name());
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

    /// Removes the reports of earlier runs of a job, and of other jobs that have ended those beyond the newest.
    fn prune(&self, name: &str) {
        let mut ended = Vec::new();
        for id in names(self.storage.as_ref(), REPORT) {
            if !self.is_over(&id) && is_alive(self.storage.as_ref(), &id) {
                continue;
            }
            let content = self.storage.read(&format!("{id}{REPORT}")).unwrap_or_default();
            match serde_json::from_slice::<Report>(&content) {
                // A job without an end was killed: it is shown until it is run again.
                Ok(report) if report.name != name => ended.extend(report.ended_ms().map(|at_ms| (at_ms, id))),
                Ok(_) | Err(_) => self.forget(&id),
            }
        }
        ended.sort_unstable();
        let surplus = ended.len().saturating_sub(ENDED_REPORTS_MAX);
        ended[..surplus].iter().for_each(|(_, id)| self.forget(id));
    }

    /// Whether this is a job of this process that has ended.
    fn is_over(&self, id: &str) -> bool {
        let reported = JobId::parse(id).and_then(|id| self.reported.get(&id));
        reported.is_some_and(|reported| reported.is_over)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use millstream_types::storage::{OpenMode, OsStorage};

    use super::*;
    use crate::master::Mailbox;
    use crate::programs::report::{CheckpointsReport, VERSION};
    use crate::status::JobStatus;

    fn report(number: usize, name: &str, status: JobStatus) -> Report {
        Report {
            version: VERSION,
            id: format!("{number:032x}"),
            name: name.to_owned(),
            started_ms: 0,
            transitions: vec![(status.name().to_owned(), number as i64)],
            error: None,
            restarts: 0,
            vertices: Vec::new(),
            operators: Vec::new(),
            checkpoints: CheckpointsReport {
                completed: 0,
                failed: 0,
                restored: 0,
                history: Vec::new(),
            },
            savepoint_directory: None,
            savepoints: BTreeMap::new(),
        }
    }

    fn write(storage: &dyn Storage, report: &Report) {
        let content = serde_json::to_vec(report).unwrap();
        let file = storage
            .open(&format!("{}{REPORT}", report.id), OpenMode::Truncate)
            .unwrap();
        file.write_at(&content, 0).unwrap();
    }

    #[test]
    fn old_reports_of_ended_jobs_are_removed_when_a_job_starts() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Arc::new(OsStorage::open(directory.path()).unwrap());
        for number in 0..ENDED_REPORTS_MAX + 3 {
            write(
                storage.as_ref(),
                &report(number, &format!("job {number}"), JobStatus::Finished),
            );
        }
        write(storage.as_ref(), &report(5000, "killed", JobStatus::Running));
        write(storage.as_ref(), &report(6000, "new", JobStatus::Running));
        let mut reporter = Reporter::new(storage.clone(), JobRegistry::default());
        let new = report(7000, "new", JobStatus::Running);
        let (sender, _requests) = channel();
        let id = JobId::parse(&new.id).unwrap();
        reporter
            .begin(&JobHandle::mirror(id, &new, Mailbox::unattended(sender)))
            .unwrap();
        let left = names(storage.as_ref(), REPORT);
        let id_of = |number: usize| format!("{number:032x}");
        assert_eq!(left.len(), ENDED_REPORTS_MAX + 1, "{left:?}");
        assert!(!left.contains(&id_of(2)), "the oldest have gone");
        assert!(left.contains(&id_of(3)));
        assert!(
            left.contains(&id_of(5000)),
            "a killed job is shown until it is run again"
        );
        assert!(!left.contains(&id_of(6000)), "an earlier run of the job has gone");
    }
}
