//! One execution of a job as its driver sees it: worker events, checkpoints, the end.
//!
//! Both drivers share it, so it neither waits nor uses threads. An execution ends with an error, or when every sink has
//! committed the last checkpoint. After an error, a new execution may start from the newest checkpoint.

use std::collections::VecDeque;

use millstream_dataflow::{Command, DataflowError, WorkerEvent};
use millstream_state::{CheckpointHeader, CheckpointKind, OperatorEntry};
use millstream_types::{CheckpointId, ErrorKind, failpoint};

use crate::checkpoints::Checkpoints;
use crate::coordinator::{CheckpointCoordinator, CheckpointReason, Effect};
use crate::savepoint::Savepoints;
use crate::settings::CheckpointSettings;
use crate::status::CheckpointStats;

/// The description of the job that every checkpoint contains.
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
    /// Workers whose sinks have all ended.
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

    /// The latest time at which to call [`Execution::tick`].
    pub fn next_deadline_ms(&self) -> Option<i64> {
        if self.is_running() {
            self.coordinator.next_deadline_ms()
        } else {
            None
        }
    }

    /// Puts off a checkpoint that would hold what the last one holds; `activity` counts the records processed.
    pub fn observe(&mut self, activity: u64, now_ms: i64) {
        self.coordinator.observe(activity, now_ms);
    }

    /// Starts checkpoints that are due.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Effect> {
        if self.is_running() {
            self.coordinator.tick(now_ms)
        } else {
            Vec::new()
        }
    }

    /// Handles a worker's report. Returns the error of a worker that failed.
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
                // No row that is still in flight can reach a sink.
                let all_ended = self.sinks_ended == self.workers && self.sinks > 0;
                return Ok(all_ended.then_some(Effect::Drain));
            }
            WorkerEvent::Failed { error, .. } => return Err(error),
            WorkerEvent::Closed { .. } => {}
        }
        Ok(None)
    }

    /// Executes effects and those that follow from them. Returns why the job has ended, if it has.
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
                        // If the savepoint failed, the job must not stop.
                        saved?;
                    }
                    failpoint::hit("checkpoint-complete");
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
                    let result = checkpoints.write(header, states);
                    // Another process runs the job: the next checkpoint would fail as well.
                    if let Err(error) = &result
                        && error.kind == ErrorKind::Input
                    {
                        return Err(error.clone());
                    }
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
