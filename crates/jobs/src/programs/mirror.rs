//! The server's side: jobs of other processes, shown by handles like those of its own.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use millstream_dataflow::DataflowError;
use millstream_types::ErrorKind;
use millstream_types::storage::Storage;

use super::report::{Report, Request, SavepointReport, VERSION};
use super::{REPORT, REQUEST, is_alive, names, replace};
use crate::job::JobHandle;
use crate::master::{Mailbox, Message};
use crate::registry::JobRegistry;
use crate::savepoint::{SavepointPromise, SavepointStatus};
use crate::status::{JobId, JobStatus};

/// Shows the jobs of other processes in a registry.
pub struct Mirrors {
    storage: Arc<dyn Storage>,
    jobs: JobRegistry,
    mirrors: BTreeMap<JobId, Mirror>,
}

/// A job of another process.
struct Mirror {
    handle: JobHandle,
    requests: Receiver<Message>,
    /// Savepoints that were requested and are not there yet.
    savepoints: BTreeMap<String, SavepointPromise>,
    next_request: u64,
}

impl Mirrors {
    /// `storage` is the directory of the files ([`super::PROGRAMS_DIRECTORY`]).
    pub fn new(storage: Arc<dyn Storage>, jobs: JobRegistry) -> Self {
        Self {
            storage,
            jobs,
            mirrors: BTreeMap::new(),
        }
    }

    /// Reads what programs report, and hands requests on to them. Called about twice a second.
    pub fn look(&mut self, now_ms: i64) -> io::Result<()> {
        let found = names(self.storage.as_ref(), REPORT);
        for name in &found {
            // A program may remove the files of an earlier run at any time.
            let Ok(content) = self.storage.read(&format!("{name}{REPORT}")) else {
                continue;
            };
            let report = serde_json::from_slice::<Report>(&content).ok();
            let report = report.filter(|report| report.version == VERSION);
            if let (Some(report), Some(id)) = (report, JobId::parse(name)) {
                self.show(id, &report, now_ms);
            }
        }
        let gone = self.mirrors.keys().filter(|id| !found.contains(&id.to_string()));
        for id in gone.copied().collect::<Vec<_>>() {
            self.mirrors.remove(&id);
            self.jobs.forget(id);
        }
        for (id, mirror) in &mut self.mirrors {
            mirror.hand_on(self.storage.as_ref(), *id, now_ms)?;
        }
        Ok(())
    }

    fn show(&mut self, id: JobId, report: &Report, now_ms: i64) {
        // Looked at before the report is used: a process that ends in between has written its last report.
        let is_alive = is_alive(self.storage.as_ref(), &report.id);
        let jobs = &self.jobs;
        let mirror = self.mirrors.entry(id).or_insert_with(|| {
            let (sender, requests) = channel();
            let handle = JobHandle::mirror(id, report, Mailbox::unattended(sender));
            Mirror {
                handle: jobs.adopt(handle),
                requests,
                savepoints: BTreeMap::new(),
                next_request: 0,
            }
        });
        let mut transitions = report.transitions();
        let has_ended = transitions.last().is_some_and(|(status, _)| status.is_terminal());
        if !is_alive && !has_ended {
            let before = mirror.handle.transitions();
            let mut suspended = before
                .iter()
                .filter(|(status, _)| *status == JobStatus::Suspended);
            let since = suspended.next_back().map_or(now_ms, |(_, at)| *at);
            transitions.push((JobStatus::Suspended, since));
        }
        mirror.handle.update(report, transitions);
        mirror.settle(report, is_alive);
    }
}

impl Mirror {
    /// Writes what was requested of the handle.
    fn hand_on(&mut self, storage: &dyn Storage, id: JobId, now_ms: i64) -> io::Result<()> {
        while let Ok(message) = self.requests.try_recv() {
            // Sorted by name, requests are in their order, also those of a server that was started again.
            let name = format!("{id}.{now_ms:016}-{:06}", self.next_request);
            self.next_request += 1;
            let mut promised = |promise| self.savepoints.insert(name.clone(), promise);
            let request = match message {
                Message::Worker { .. } => continue,
                Message::Cancel => Request::Cancel,
                Message::Stop => Request::Stop,
                Message::Checkpoint => Request::Checkpoint,
                Message::Savepoint { directory, promise } => {
                    promised(promise);
                    Request::Savepoint { directory }
                }
                Message::StopWithSavepoint {
                    directory,
                    drain,
                    promise,
                } => {
                    promised(promise);
                    Request::StopWithSavepoint { directory, drain }
                }
            };
            let content = serde_json::to_vec(&request).map_err(io::Error::other)?;
            replace(storage, &format!("{name}{REQUEST}"), &content)?;
        }
        Ok(())
    }

    /// Tells those who wait for savepoints.
    fn settle(&mut self, report: &Report, is_alive: bool) {
        self.savepoints
            .retain(|name, promise| match report.savepoints.get(name) {
                Some(SavepointReport::Completed(location)) => {
                    promise.settle(SavepointStatus::Completed {
                        location: location.clone(),
                    });
                    false
                }
                Some(SavepointReport::Failed(message)) => {
                    promise.fail(DataflowError::new(ErrorKind::Retry, message.clone()));
                    false
                }
                // A promise that is dropped fails.
                Some(SavepointReport::InProgress) | None => is_alive,
            });
    }
}
