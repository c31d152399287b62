//! One execution of a job, seen from the outside: the events of its workers, its checkpoints, its end.
//!
//! Both drivers share it: it neither waits nor knows threads. An execution ends when its last checkpoint is committed
//! everywhere, or with an error; then a new one may begin from the newest checkpoint.

use std::collections::VecDeque;

use millstream_dataflow::{Command, DataflowError, WorkerEvent};
use millstream_state::{CheckpointHeader, CheckpointKind, OperatorEntry};
use millstream_types::{CheckpointId, ErrorKind};

use crate::checkpoints::Checkpoints;
use crate::coordinator::{CheckpointCoordinator, CheckpointReason, Effect};
use crate::savepoint::Savepoints;
use crate::settings::CheckpointSettings;
use crate::status::CheckpointStats;

/// What all checkpoints of a job say of it.
#[derive(Clone, Debug)]
pub(crate) struct JobDescription {
    identity: String,
    max_parallelism: u16,
    fingerprint: u64,
    operators: Vec<OperatorEntry>,
}

impl JobDescription {
    pub fn new(
        identity: &str,
        operators: Vec<OperatorEntry>,
        max_parallelism: u16,
        fingerprint: u64,
    ) -> Self {
        Self {
            identity: identity.to_owned(),
            max_parallelism,
            fingerprint,
            operators,
        }
    }

    fn header(
        &self,
        checkpoint: CheckpointId,
        triggered_ms: i64,
        reason: CheckpointReason,
        origin: Option<String>,
    ) -> CheckpointHeader {
        CheckpointHeader {
            checkpoint: checkpoint.0,
            triggered_ms,
            job: self.identity.clone(),
            max_parallelism: self.max_parallelism,
            fingerprint: self.fingerprint,
            operators: self.operators.clone(),
            finished: reason == CheckpointReason::Final,
            kind: CheckpointKind::Checkpoint,
            origin,
        }
    }
}

pub(crate) struct Execution {
    description: JobDescription,
    coordinator: CheckpointCoordinator,
    workers: usize,
    running: usize,
    finished: usize,
    /// Sinks of the workers whose sinks have all ended.
    sinks: usize,
    sinks_ended: usize,
}

impl Execution {
    pub fn new(
        description: JobDescription,
        settings: Option<CheckpointSettings>,
        workers: usize,
        next_checkpoint: u64,
        stats: CheckpointStats,
        now_ms: i64,
    ) -> Self {
        let coordinator =
            CheckpointCoordinator::new(settings, workers, next_checkpoint, now_ms).with_stats(stats);
        Self {
            description,
            coordinator,
            workers,
            running: 0,
            finished: 0,
            sinks: 0,
            sinks_ended: 0,
        }
    }

    pub fn stats(&self) -> &CheckpointStats {
        self.coordinator.stats()
    }

    pub fn next_checkpoint(&self) -> u64 {
        self.coordinator.next_number()
    }

    /// Whether every worker has opened its sources and sinks.
    pub fn is_running(&self) -> bool {
        self.running == self.workers
    }

    pub fn request(&mut self, reason: CheckpointReason) {
        self.coordinator.request(reason);
    }

    /// When [`Execution::tick`] should be called at the latest.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        if self.is_running() {
            self.coordinator.next_deadline_ms()
        } else {
            None
        }
    }

    /// Begins what is due.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Effect> {
        if self.is_running() {
            self.coordinator.tick(now_ms)
        } else {
            Vec::new()
        }
    }

    /// A worker reported something; the error is that of a worker that failed.
    pub fn event(&mut self, event: WorkerEvent) -> Result<Option<Effect>, DataflowError> {
        match event {
            WorkerEvent::Running { .. } => self.running += 1,
            WorkerEvent::Finished { .. } => {
                self.finished += 1;
                if self.finished == self.workers {
                    self.coordinator.request(CheckpointReason::Final);
                }
            }
            WorkerEvent::Acknowledged {
                worker,
                checkpoint,
                states,
            } => {
                return Ok(self.coordinator.acknowledged(worker, checkpoint, states));
            }
            WorkerEvent::Committed { worker, checkpoint } => {
                return Ok(self.coordinator.committed(worker, checkpoint));
            }
            WorkerEvent::SinksEnded { sinks, .. } => {
                self.sinks += sinks;
                self.sinks_ended += 1;
                // No row that is still read can reach a table.
                let all_ended = self.sinks_ended == self.workers && self.sinks > 0;
                return Ok(all_ended.then_some(Effect::Drain));
            }
            WorkerEvent::Failed { error, .. } => return Err(error),
            WorkerEvent::Closed { .. } => {}
        }
        Ok(None)
    }

    /// Carries out effects and what follows from them; tells why the job is over, if it is.
    pub fn carry_out(
        &mut self,
        effects: impl IntoIterator<Item = Effect>,
        checkpoints: &mut Checkpoints,
        savepoints: &mut Savepoints,
        now_ms: impl Fn() -> i64,
        mut command: impl FnMut(Command),
    ) -> Result<Option<CheckpointReason>, DataflowError> {
        let mut effects = VecDeque::from_iter(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Trigger { checkpoint, stop } => {
                    savepoints.begin(checkpoint);
                    command(Command::Trigger { checkpoint, stop });
                }
                Effect::Complete { checkpoint, is_base } => {
                    let saved = savepoints.complete(checkpoint, checkpoints);
                    if let Ok(Some(location)) = &saved {
                        self.coordinator.saved(checkpoint, location.clone());
                    }
                    if self.coordinator.is_closing() {
                        // Without the savepoint the job must not stop.
                        saved?;
                    }
                    command(Command::Completed { checkpoint, is_base });
                }
                Effect::Write {
                    checkpoint,
                    triggered_ms,
                    reason,
                    states,
                } => {
                    let origin = checkpoints.origin();
                    let header = self.description.header(checkpoint, triggered_ms, reason, origin);
                    let result = checkpoints
                        .write(header, states)
                        .map_err(|error| error.to_string());
                    effects.extend(self.coordinator.written(checkpoint, result, now_ms()));
                }
                Effect::Drain => command(Command::Drain),
                Effect::Finished { reason } => return Ok(Some(reason)),
                Effect::FailJob { reason } => {
                    let message = format!("exceeded checkpoint tolerable failure threshold: {reason}");
                    return Err(DataflowError::new(ErrorKind::Environment, message));
                }
            }
        }
        savepoints.fail_with(self.coordinator.stats());
        Ok(None)
    }
}
