//! The job store: one JSON file for each job below `jobs/` of the data directory, replaced atomically.
//!
//! A file is written before its job starts and whenever the job enters a new state, so that after a crash every job
//! that had not ended is submitted again. A file that cannot be read is set aside, with a warning that names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_session::{JobDecision, JobId, JobKeeper, JobStatus, JobSubmission, SessionError};
use millstream_types::storage::Storage;
use millstream_types::{Clock, ErrorKind, Options};
use serde::{Deserialize, Serialize};

use crate::limits::{ENDED_JOBS_MAX, JOB_EXCEPTIONS_MAX};

/// Version of the files' form.
const FORMAT: u32 = 1;
const DIRECTORY: &str = "jobs";
/// What a file that cannot be read is renamed to.
const DAMAGED: &str = ".damaged";

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the job store")]
pub struct JobStoreError(#[from] std::io::Error);

/// A failure of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredException {
    pub at_ms: i64,
    /// The stable code of the error; empty in records of versions that had none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    pub message: String,
}

/// A job as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredJob {
    format: u32,
    pub id: String,
    pub name: String,
    pub identity: String,
    pub statements: Vec<String>,
    pub catalog: Vec<String>,
    pub configuration: Options,
    /// See [`JobSubmission::unlimited`].
    #[serde(default)]
    pub unlimited: bool,
    pub submitted_ms: i64,
    /// Flink's name of the last state.
    pub state: String,
    /// States with the times at which they were entered.
    pub transitions: Vec<(String, i64)>,
    #[serde(default)]
    pub exceptions: Vec<StoredException>,
    #[serde(default)]
    pub restarts: u32,
    /// What a user decided; the job ends, and must not run again if the server dies first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<StoredDecision>,
}

/// A [`JobDecision`] as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredDecision {
    Cancel,
    Stop,
    Stopped,
}

impl StoredJob {
    /// Enters the last state of a job.
    pub fn end(&mut self, status: JobStatus, at_ms: i64) {
        status.name().clone_into(&mut self.state);
        self.transitions.push((self.state.clone(), at_ms));
    }

    /// Whether the job is over for good.
    pub fn has_ended(&self) -> bool {
        [JobStatus::Finished, JobStatus::Canceled, JobStatus::Failed]
            .iter()
            .any(|status| status.name() == self.state)
    }

    pub fn submission(&self) -> Option<JobSubmission> {
        Some(JobSubmission {
            id: JobId::parse(&self.id)?,
            name: self.name.clone(),
            identity: self.identity.clone(),
            statements: self.statements.clone(),
            catalog: self.catalog.clone(),
            configuration: self.configuration.clone(),
            unlimited: self.unlimited,
        })
    }

    /// Remembers a failure; the oldest ones are forgotten.
    pub fn add_exception(&mut self, exception: StoredException) {
        if self.exceptions.len() >= JOB_EXCEPTIONS_MAX {
            self.exceptions.remove(0);
        }
        self.exceptions.push(exception);
    }
}

/// All kept jobs. Implements [`JobKeeper`] for sessions.
pub struct JobStore {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    jobs: Mutex<BTreeMap<String, StoredJob>>,
    /// Jobs of an earlier process that have yet to be resumed.
    waiting: Mutex<BTreeSet<String>>,
}

impl JobStore {
    /// Reads every job of the data directory.
    pub fn open(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> Result<Self, JobStoreError> {
        storage.create_directory(DIRECTORY)?;
        let mut jobs = BTreeMap::new();
        for entry in storage.list(DIRECTORY)? {
            let Some(id) = entry.name.strip_suffix(".json") else {
                continue;
            };
            let path = format!("{DIRECTORY}/{}", entry.name);
            match read(storage.as_ref(), &path) {
                Ok(job) if job.id == id && JobId::parse(id).is_some() => {
                    jobs.insert(id.to_owned(), job);
                }
                Ok(_) => set_aside(storage.as_ref(), &path, "it does not name its own job")?,
                Err(error) => set_aside(storage.as_ref(), &path, &error.to_string())?,
            }
        }
        let waiting = jobs.values().filter(|job| !job.has_ended());
        Ok(Self {
            storage,
            clock,
            waiting: Mutex::new(waiting.map(|job| job.id.clone()).collect()),
            jobs: Mutex::new(jobs),
        })
    }

    /// Jobs of an earlier process that have yet to be resumed, oldest first.
    pub fn waiting(&self) -> Vec<StoredJob> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = self.lock();
        oldest_first(waiting.iter().filter_map(|id| jobs.get(id)))
    }

    /// The job was resumed, or will never be.
    pub fn settle(&self, id: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(id);
    }

    /// Oldest first.
    pub fn list(&self) -> Vec<StoredJob> {
        oldest_first(self.lock().values())
    }

    pub fn get(&self, id: &str) -> Option<StoredJob> {
        self.lock().get(id).cloned()
    }

    /// Changes a job and writes it if anything changed. A failed write is logged: the job itself continues.
    pub fn update(&self, id: &str, change: impl FnOnce(&mut StoredJob)) {
        let mut jobs = self.lock();
        let Some(job) = jobs.get_mut(id) else { return };
        let before = job.clone();
        change(job);
        if *job == before {
            return;
        }
        if let Err(error) = self.write(job) {
            tracing::error!(job = id, %error, "cannot write the job store");
        }
        self.forget_oldest(&mut jobs);
    }

    /// Ended jobs beyond the limit are removed, oldest first.
    fn forget_oldest(&self, jobs: &mut BTreeMap<String, StoredJob>) {
        let mut ended: Vec<(i64, String)> = jobs
            .values()
            .filter(|job| job.has_ended())
            .map(|job| (job.submitted_ms, job.id.clone()))
            .collect();
        ended.sort_unstable();
        for (_, id) in ended.iter().take(ended.len().saturating_sub(ENDED_JOBS_MAX)) {
            jobs.remove(id);
            self.remove_file(id);
        }
    }

    fn remove_file(&self, id: &str) {
        if let Err(error) = self.storage.remove(&path_of(id)) {
            tracing::warn!(job = id, %error, "cannot remove a job from the job store");
        }
    }

    fn write(&self, job: &StoredJob) -> std::io::Result<()> {
        let content = serde_json::to_vec_pretty(job).map_err(std::io::Error::other)?;
        self.storage.replace(&path_of(&job.id), &content)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StoredJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobKeeper for JobStore {
    fn submitted(&self, submission: &JobSubmission) -> Result<(), SessionError> {
        if let Some(job) = self
            .waiting()
            .iter()
            .find(|job| job.identity == submission.identity)
        {
            return Err(SessionError::new(
                ErrorKind::Input,
                format!(
                    "job '{}' of an earlier run of this server has the same name and is about to be resumed; to replace it, \
                     cancel it first: millstream job cancel {}",
                    job.name, job.id
                ),
            ));
        }
        let now_ms = self.clock.now_ms();
        let state = JobStatus::Created.name().to_owned();
        let job = StoredJob {
            format: FORMAT,
            id: submission.id.to_string(),
            name: submission.name.clone(),
            identity: submission.identity.clone(),
            statements: submission.statements.clone(),
            catalog: submission.catalog.clone(),
            configuration: submission.configuration.clone(),
            unlimited: submission.unlimited,
            submitted_ms: now_ms,
            transitions: vec![(state.clone(), now_ms)],
            state,
            exceptions: Vec::new(),
            restarts: 0,
            decision: None,
        };
        let mut jobs = self.lock();
        self.write(&job).map_err(|error| {
            SessionError::new(
                ErrorKind::Environment,
                format!("cannot write the job store: {error}; the job was not started"),
            )
        })?;
        jobs.insert(job.id.clone(), job);
        Ok(())
    }

    fn rejected(&self, id: JobId) {
        let id = id.to_string();
        if self.lock().remove(&id).is_some() {
            self.remove_file(&id);
        }
    }

    fn decided(&self, id: JobId, decision: JobDecision) -> Result<(), SessionError> {
        let mut jobs = self.lock();
        let Some(job) = jobs.get_mut(&id.to_string()) else {
            return Ok(());
        };
        let mut decided = job.clone();
        decided.decision = Some(match decision {
            JobDecision::Cancel => StoredDecision::Cancel,
            JobDecision::Stop => StoredDecision::Stop,
            JobDecision::Stopped => StoredDecision::Stopped,
        });
        self.write(&decided).map_err(|error| {
            SessionError::new(
                ErrorKind::Environment,
                format!("cannot write the job store: {error}; the job continues"),
            )
        })?;
        *job = decided;
        Ok(())
    }
}

fn oldest_first<'a>(jobs: impl Iterator<Item = &'a StoredJob>) -> Vec<StoredJob> {
    let mut jobs: Vec<StoredJob> = jobs.cloned().collect();
    jobs.sort_by(|a, b| (a.submitted_ms, &a.id).cmp(&(b.submitted_ms, &b.id)));
    jobs
}

fn path_of(id: &str) -> String {
    format!("{DIRECTORY}/{id}.json")
}

/// Why a file of the job store cannot be used.
#[derive(Debug, thiserror::Error)]
enum UnusableFile {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Content(#[from] serde_json::Error),
    #[error("its format {0} is not known to this version")]
    Format(u32),
}

fn read(storage: &dyn Storage, path: &str) -> Result<StoredJob, UnusableFile> {
    let content = storage.read(path)?;
    let job: StoredJob = serde_json::from_slice(&content)?;
    match job.format {
        FORMAT => Ok(job),
        other => Err(UnusableFile::Format(other)),
    }
}

fn set_aside(storage: &dyn Storage, path: &str, reason: &str) -> std::io::Result<()> {
    tracing::error!(
        path,
        reason,
        "a file of the job store cannot be used and is set aside; its job is not resumed"
    );
    storage.rename(path, &format!("{path}{DAMAGED}"))?;
    storage.sync_directory(DIRECTORY)
}

#[cfg(test)]
mod tests {
    use millstream_types::ManualClock;
    use millstream_types::storage::OsStorage;

    use super::*;

    fn submission(id: u128) -> JobSubmission {
        JobSubmission {
            id: JobId(id),
            name: "n".to_owned(),
            identity: "i".to_owned(),
            statements: vec!["INSERT INTO t SELECT 1".to_owned()],
            catalog: vec!["CREATE TABLE t (a INT)".to_owned()],
            configuration: Options::from([("k".to_owned(), "v".to_owned())]),
            unlimited: true,
        }
    }

    fn open(directory: &std::path::Path) -> JobStore {
        let storage = Arc::new(OsStorage::open(directory).expect("a directory"));
        JobStore::open(storage, Arc::new(ManualClock::new(7))).expect("a store")
    }

    #[test]
    fn jobs_are_read_back_with_their_states() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        store.submitted(&submission(1)).expect("written");
        store.submitted(&submission(2)).expect("written");
        store.rejected(JobId(2));
        store.update(&JobId(1).to_string(), |job| job.state = "FINISHED".to_owned());
        let again = open(directory.path()).list();
        assert_eq!(again.len(), 1);
        assert!(again[0].has_ended());
        assert_eq!(again[0].submission(), Some(submission(1)));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_the_others_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        store.submitted(&submission(1)).expect("written");
        let bad = directory.path().join("jobs").join(format!("{}.json", JobId(3)));
        std::fs::write(&bad, "{\"format\": 1").expect("a file");
        assert_eq!(open(directory.path()).list().len(), 1);
        assert!(!bad.exists());
        assert_eq!(open(directory.path()).list().len(), 1);
    }

    #[test]
    fn ended_jobs_beyond_the_limit_are_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        for id in 0..ENDED_JOBS_MAX as u128 + 3 {
            store.submitted(&submission(id)).expect("written");
            store.update(&JobId(id).to_string(), |job| job.state = "CANCELED".to_owned());
        }
        assert_eq!(open(directory.path()).list().len(), ENDED_JOBS_MAX);
    }
}
