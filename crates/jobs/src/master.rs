//! The master of a job: a thread that starts executions, drives their checkpoints and decides after failures.
//!
//! It is off the data path: workers report to it, it sends them commands, and it writes checkpoints while they go on. All decisions are made by pure parts ([`crate::coordinator`], [`crate::restart`]).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use millstream_dataflow::threaded::ThreadedJob;
use millstream_dataflow::{Command, DataflowError, EventSink, Graph, WorkerEvent};
use millstream_types::{Clock, ErrorKind, Rng};

use crate::checkpoints::Checkpoints;
use crate::collect::Collector;
use crate::coordinator::{CheckpointReason, Effect};
use crate::execution::{Execution, JobDescription};
use crate::job::Shared;
use crate::restart::RestartStrategy;
use crate::savepoint::{SavepointPromise, SavepointRequest, Savepoints};
use crate::settings::CheckpointSettings;
use crate::status::{JobId, JobStatus};

/// Longest time that the master waits without looking around.
const WAIT_MS_MAX: i64 = 60_000;

/// Requests to the master, and reports of the workers.
pub(crate) enum Message {
    Worker {
        attempt: u32,
        event: WorkerEvent,
    },
    Cancel,
    Stop,
    Checkpoint,
    Savepoint {
        directory: String,
        promise: SavepointPromise,
    },
    StopWithSavepoint {
        directory: String,
        drain: bool,
        promise: SavepointPromise,
    },
}

/// How an execution ended.
enum End {
    Finished(CheckpointReason),
    /// Stopped while there was nothing to take a checkpoint of.
    Stopped,
    Canceled,
    Failed(DataflowError),
}

/// How the job is being stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stopping {
    /// With a last checkpoint if possible, and in any case.
    Always,
    /// With a savepoint, or not at all.
    WithSavepoint { drain: bool },
}

pub(crate) struct Master {
    pub id: JobId,
    pub name: String,
    pub description: JobDescription,
    pub graph: Graph,
    pub restart: RestartStrategy,
    pub settings: Option<CheckpointSettings>,
    pub checkpoints: Checkpoints,
    pub shared: Arc<Shared>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub inbox: Receiver<Message>,
    pub messages: Sender<Message>,
    pub collector: Option<Collector>,
    pub remembers_end: bool,
    pub canceled: bool,
    pub stopping: Option<Stopping>,
    pub savepoints: Savepoints,
    pub attempt: u32,
    pub next_checkpoint: u64,
}

impl Master {
    pub fn run(mut self) {
        loop {
            let end = self.execute().unwrap_or_else(End::Failed);
            match end {
                End::Finished(reason) => return self.finish(reason),
                End::Stopped => return self.finish(CheckpointReason::Stop),
                End::Canceled => return self.cancel(),
                End::Failed(_) if self.canceled => return self.cancel(),
                End::Failed(error) => {
                    self.savepoints.fail_all(&error);
                    if self.stopping.take() == Some(Stopping::Always) {
                        return self.stop_without_checkpoint(error);
                    }
                    if !self.wait_for_restart(error) {
                        return;
                    }
                }
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The job came to its end. Only one that was stopped can go on from its checkpoint.
    fn finish(&mut self, reason: CheckpointReason) {
        if reason == CheckpointReason::Final
            && !self.remembers_end
            && let Err(error) = self.checkpoints.remove_all()
        {
            tracing::warn!(job = self.name, %error, "cannot remove the checkpoints of a finished job");
        }
        self.end(JobStatus::Finished, Ok(()));
    }

    fn cancel(&mut self) {
        if let Err(error) = self.checkpoints.remove_all() {
            tracing::warn!(job = self.name, %error, "cannot remove the checkpoints of a canceled job");
        }
        self.end(JobStatus::Canceled, Ok(()));
    }

    /// The user wants the job to end, and its last checkpoint failed: what came after the one before is read again.
    fn stop_without_checkpoint(&mut self, error: DataflowError) {
        let next = match self.checkpoints.newest_header() {
            Some(header) => format!("continues from checkpoint {}", header.checkpoint),
            None => "starts anew".to_owned(),
        };
        let message = format!(
            "stopped without a last checkpoint: {}; the next run {next}",
            error.message
        );
        self.fail(DataflowError::new(error.kind, message));
    }

    fn fail(&mut self, error: DataflowError) {
        self.shared.lock().error = Some(error.clone());
        // A caller that waits for the job reports the error; otherwise the log has to.
        if self.collector.is_none() && !self.shared.is_awaited() {
            tracing::error!(job = self.name, %error, "job failed");
        }
        self.end(JobStatus::Failed, Err(error));
    }

    /// Releases what the job holds, then lets the outside see that it has ended.
    fn end(&mut self, status: JobStatus, result: Result<(), DataflowError>) {
        self.checkpoints.unlock();
        if let Some(collector) = &self.collector {
            collector.end(result);
        }
        self.shared.enter(status, self.now_ms());
    }

    /// After a failure: waits as the restart strategy says; `false` if the job is over.
    fn wait_for_restart(&mut self, error: DataflowError) -> bool {
        let now_ms = self.now_ms();
        let healable = may_heal(&error).then(|| self.restart.failed(now_ms, self.rng.as_ref()));
        let Some(delay_ms) = healable.flatten() else {
            self.fail(error);
            return false;
        };
        tracing::warn!(job = self.name, %error, delay_ms, "job failed and is restarted");
        self.shared.lock().error = Some(error);
        self.shared.enter(JobStatus::Restarting, now_ms);
        self.shared.lock().restarts += 1;
        let until_ms = now_ms.saturating_add(delay_ms);
        while self.now_ms() < until_ms {
            match self.receive(Some(until_ms)) {
                Some(Message::Cancel) => {
                    self.cancel();
                    return false;
                }
                // There is nothing to take a checkpoint of: the newest one is what a stopped job goes on from.
                Some(Message::Stop) => {
                    self.finish(CheckpointReason::Stop);
                    return false;
                }
                Some(Message::Savepoint { promise, .. } | Message::StopWithSavepoint { promise, .. }) => {
                    let message = "the job is restarting; ask again when it runs";
                    promise.fail(DataflowError::new(ErrorKind::Retry, message));
                }
                Some(Message::Checkpoint | Message::Worker { .. }) | None => {}
            }
        }
        true
    }

    /// The next message, if one comes before `until_ms`.
    fn receive(&self, until_ms: Option<i64>) -> Option<Message> {
        let wait_ms = until_ms.map_or(WAIT_MS_MAX, |until| until.saturating_sub(self.now_ms()));
        let wait_ms = u64::try_from(wait_ms.clamp(0, WAIT_MS_MAX)).unwrap_or(0);
        // The master holds a sender itself, so the only error is that nothing came.
        self.inbox.recv_timeout(Duration::from_millis(wait_ms)).ok()
    }

    /// Runs the job once, from its newest checkpoint.
    fn execute(&mut self) -> Result<End, DataflowError> {
        self.attempt += 1;
        let restore = self.checkpoints.load_latest()?;
        if let Some(restore) = &restore {
            self.next_checkpoint = self.next_checkpoint.max(restore.checkpoint.0 + 1);
            self.shared.lock().checkpoints.restored += 1;
            tracing::info!(
                job = self.name,
                checkpoint = restore.checkpoint.0,
                "job goes on from a checkpoint"
            );
        }
        self.shared.enter(JobStatus::Initializing, self.now_ms());
        let (attempt, messages) = (self.attempt, self.messages.clone());
        let events = EventSink::new(move |event| {
            // The master outlives its workers.
            let _ = messages.send(Message::Worker { attempt, event });
        });
        let job = ThreadedJob::start(&self.name, &self.graph, Arc::clone(&self.clock), restore, events)?;
        let stats = {
            let mut state = self.shared.lock();
            state.metrics = job.metrics().clone();
            state.checkpoints.clone()
        };
        let mut execution = Execution::new(
            self.description.clone(),
            self.settings,
            job.workers(),
            self.next_checkpoint,
            stats,
            self.now_ms(),
        );
        let end = self.drive(&job, &mut execution).unwrap_or_else(End::Failed);
        self.next_checkpoint = execution.next_checkpoint();
        if matches!(end, End::Failed(_)) {
            self.shared.enter(JobStatus::Failing, self.now_ms());
        }
        if matches!(end, End::Canceled) {
            job.command(&Command::Cancel);
        }
        job.close();
        Ok(end)
    }

    /// Handles messages until the execution ends.
    fn drive(&mut self, job: &ThreadedJob, execution: &mut Execution) -> Result<End, DataflowError> {
        let mut drained = false;
        loop {
            let message = self.receive(execution.next_deadline_ms());
            let mut effects: Vec<Effect> = Vec::new();
            match message {
                Some(Message::Worker { attempt, event }) if attempt == self.attempt => {
                    effects.extend(execution.event(event)?);
                    if execution.is_running() {
                        self.shared.enter(JobStatus::Running, self.now_ms());
                    }
                }
                // Left over from an earlier execution.
                Some(Message::Worker { .. }) | None => {}
                Some(request) => {
                    if let Some(end) = self.obey(request, execution) {
                        return Ok(end);
                    }
                }
            }
            let is_draining = self.stopping == Some(Stopping::WithSavepoint { drain: true });
            if is_draining && !drained && execution.is_running() {
                drained = true;
                job.command(&Command::Drain);
            }
            effects.extend(execution.tick(self.now_ms()));
            let clock = Arc::clone(&self.clock);
            let over = execution.carry_out(
                effects,
                &mut self.checkpoints,
                &mut self.savepoints,
                || clock.now_ms(),
                |command: Command| job.command(&command),
            );
            self.shared.lock().checkpoints = execution.stats().clone();
            if let Some(reason) = over? {
                return Ok(End::Finished(reason));
            }
        }
    }

    /// Carries out a request of a user; the end of the execution if that is all there is to do.
    fn obey(&mut self, request: Message, execution: &mut Execution) -> Option<End> {
        match request {
            Message::Worker { .. } => {}
            Message::Cancel => {
                self.canceled = true;
                self.shared.enter(JobStatus::Cancelling, self.now_ms());
                return Some(End::Canceled);
            }
            // Nothing was processed since the checkpoint that the job starts from.
            Message::Stop if !execution.is_running() => return Some(End::Stopped),
            Message::Stop => {
                self.stopping = Some(Stopping::Always);
                execution.request(CheckpointReason::Stop);
            }
            Message::Checkpoint => execution.request(CheckpointReason::Requested),
            Message::Savepoint { directory, promise } => {
                if self.add_savepoint(&directory, promise) {
                    execution.request(CheckpointReason::Requested);
                }
            }
            Message::StopWithSavepoint {
                directory,
                drain,
                promise,
            } => {
                if self.add_savepoint(&directory, promise) {
                    self.stopping.get_or_insert(Stopping::WithSavepoint { drain });
                    if !drain {
                        execution.request(CheckpointReason::Stop);
                    }
                }
            }
        }
        None
    }

    fn add_savepoint(&mut self, directory: &str, promise: SavepointPromise) -> bool {
        let request = SavepointRequest::new(directory, self.id, self.rng.as_ref(), promise);
        let is_valid = request.is_ok();
        if let Ok(request) = request {
            self.savepoints.add(request);
        }
        is_valid
    }
}

/// Whether the job may do better in another attempt. Wrong statements and wrong data stay wrong: restarting would only
/// hide the error from the user.
fn may_heal(error: &DataflowError) -> bool {
    match error.kind {
        ErrorKind::Retry | ErrorKind::Environment | ErrorKind::Internal => true,
        ErrorKind::Input | ErrorKind::Data | ErrorKind::Unsupported => false,
    }
}
