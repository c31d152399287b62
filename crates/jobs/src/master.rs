//! The master of a job: a task that starts executions, drives their checkpoints and decides after failures.
//!
//! It stays off the data path: workers report to it, it sends them commands, and it writes checkpoints while they keep
//! running. Pure code makes all decisions ([`crate::coordinator`], [`crate::restart`]). The masters of all jobs share the
//! threads of [`Pool::coordinators`]: each message gives its master a turn.
//!
//! [`Pool::coordinators`]: millstream_dataflow::pool::Pool::coordinators

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use millstream_dataflow::pool::{PoolTask, TaskHandle, Turn};
use millstream_dataflow::threaded::ThreadedJob;
use millstream_dataflow::{Command, DataflowError, EventSink, Graph, WorkerEvent};
use millstream_types::{Clock, ErrorKind, Options, Rng};

use crate::checkpoints::Checkpoints;
use crate::collect::Collector;
use crate::coordinator::{CheckpointReason, Effect};
use crate::execution::{Execution, JobDescription};
use crate::job::Shared;
use crate::restart::RestartStrategy;
use crate::savepoint::{SavepointPromise, SavepointRequest, Savepoints};
use crate::settings::CheckpointSettings;
use crate::status::{JobId, JobStatus};

/// Longest time for which the master waits without checking its timers.
const WAIT_MS_MAX: i64 = 60_000;

/// Requests to the master, and reports from workers.
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

/// Sends messages to a master and gives it a turn.
#[derive(Clone)]
pub(crate) struct Mailbox {
    sender: Sender<Message>,
    master: Option<TaskHandle>,
}

impl Mailbox {
    pub fn new(sender: Sender<Message>, master: TaskHandle) -> Self {
        Self {
            sender,
            master: Some(master),
        }
    }

    /// A mailbox that is looked into from time to time.
    pub fn unattended(sender: Sender<Message>) -> Self {
        Self { sender, master: None }
    }

    pub fn send(&self, message: Message) {
        // A job that is over takes no orders and needs none.
        let _ = self.sender.send(message);
        if let Some(master) = &self.master {
            master.wake();
        }
    }
}

/// What the master does when it gets a turn.
pub(crate) enum Phase {
    /// Start an execution.
    Begin,
    /// Handle the messages about one.
    Running(Box<Running>),
    /// Start the next one when it is time.
    Restarting { until_ms: i64 },
}

pub(crate) struct Running {
    job: ThreadedJob,
    execution: Execution,
    drained: bool,
}

/// How an execution ended.
enum End {
    Finished(CheckpointReason),
    /// Stopped before there was anything to checkpoint.
    Stopped,
    Canceled,
    Failed(DataflowError),
}

/// How the job is being stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stopping {
    /// With a last checkpoint if possible; the job stops in any case.
    Always,
    /// With a savepoint; the job stops only if it succeeds.
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
    pub messages: Mailbox,
    pub phase: Phase,
    pub collector: Option<Collector>,
    pub remembers_end: bool,
    /// Whether periodic checkpoints are put off while nothing is processed.
    pub rests: bool,
    /// No snapshots can be taken of the job.
    pub is_batch: bool,
    pub canceled: bool,
    pub stopping: Option<Stopping>,
    pub savepoints: Savepoints,
    /// Options of object stores, for savepoints.
    pub stores: Options,
    pub attempt: u32,
    pub next_checkpoint: u64,
}

impl PoolTask for Master {
    fn turn(&mut self) -> Turn {
        match std::mem::replace(&mut self.phase, Phase::Begin) {
            Phase::Begin => match self.begin() {
                Ok(running) => self.run_on(running),
                Err(error) => self.ended(End::Failed(error)),
            },
            Phase::Running(running) => self.run_on(running),
            Phase::Restarting { until_ms } => self.await_restart(until_ms),
        }
    }
}

impl Master {
    /// An execution ended: the end of the job, or a wait for the next one.
    fn ended(&mut self, end: End) -> Turn {
        match end {
            End::Finished(reason) => self.finish(reason),
            End::Stopped => self.finish(CheckpointReason::Stop),
            End::Canceled => self.cancel(),
            End::Failed(_) if self.canceled => self.cancel(),
            End::Failed(error) => {
                self.savepoints.fail_all(&error);
                if self.stopping.take() == Some(Stopping::Always) {
                    self.stop_without_checkpoint(error);
                } else {
                    return self.restart_later(error);
                }
            }
        }
        Turn::Done
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The job has ended. Only a stopped job can resume from its checkpoint.
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

    /// The user stopped the job, but its last checkpoint failed: the next run reprocesses everything since the previous
    /// one.
    fn stop_without_checkpoint(&mut self, error: DataflowError) {
        let next = match self.checkpoints.newest_header() {
            Some(header) => format!("continues from checkpoint {}", header.checkpoint),
            None => "starts from scratch".to_owned(),
        };
        let message = format!(
            "stopped without a last checkpoint: {}; the next run {next}",
            error.message
        );
        self.fail(DataflowError::new(error.kind, message));
    }

    fn fail(&mut self, error: DataflowError) {
        self.shared.lock().error = Some(error.clone());
        // A caller that waits for the job reports the error; otherwise it goes to the log.
        if self.collector.is_none() && !self.shared.is_awaited() {
            tracing::error!(job = self.name, %error, "job failed");
        }
        self.end(JobStatus::Failed, Err(error));
    }

    /// Releases the job's resources before it publishes the final status.
    fn end(&mut self, status: JobStatus, result: Result<(), DataflowError>) {
        self.checkpoints.unlock();
        if let Some(collector) = &self.collector {
            collector.end(result);
        }
        self.shared.enter(status, self.now_ms());
    }

    /// After a failure: waits as the restart strategy says, or ends the job.
    fn restart_later(&mut self, error: DataflowError) -> Turn {
        let now_ms = self.now_ms();
        let healable = may_heal(&error).then(|| self.restart.failed(now_ms, self.rng.as_ref()));
        let Some(delay_ms) = healable.flatten() else {
            self.fail(error);
            return Turn::Done;
        };
        tracing::warn!(job = self.name, %error, delay_ms, "job failed and is restarted");
        self.shared.lock().error = Some(error);
        self.shared.enter(JobStatus::Restarting, now_ms);
        self.shared.lock().restarts += 1;
        self.await_restart(now_ms.saturating_add(delay_ms))
    }

    fn await_restart(&mut self, until_ms: i64) -> Turn {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Cancel => {
                    self.cancel();
                    return Turn::Done;
                }
                // Nothing runs that could be checkpointed; a stopped job resumes from the newest checkpoint.
                Message::Stop => {
                    self.finish(CheckpointReason::Stop);
                    return Turn::Done;
                }
                Message::Savepoint { promise, .. } | Message::StopWithSavepoint { promise, .. } => {
                    let message = "the job is restarting; ask again when it runs";
                    promise.fail(DataflowError::new(ErrorKind::Retry, message));
                }
                Message::Checkpoint | Message::Worker { .. } => {}
            }
        }
        if self.now_ms() >= until_ms {
            self.phase = Phase::Begin;
            return Turn::Again;
        }
        self.phase = Phase::Restarting { until_ms };
        Turn::Wait(self.wait_until(Some(until_ms)))
    }

    /// How long the master can wait for messages if it has to act at `until_ms`.
    fn wait_until(&self, until_ms: Option<i64>) -> Duration {
        let wait_ms = until_ms.map_or(WAIT_MS_MAX, |until| until.saturating_sub(self.now_ms()));
        Duration::from_millis(u64::try_from(wait_ms.clamp(0, WAIT_MS_MAX)).unwrap_or(0))
    }

    /// Starts the job from its newest checkpoint.
    fn begin(&mut self) -> Result<Box<Running>, DataflowError> {
        self.attempt += 1;
        let restore = self.checkpoints.load_latest()?;
        if let Some(restore) = &restore {
            self.next_checkpoint = self.next_checkpoint.max(restore.checkpoint.0 + 1);
            self.shared.lock().checkpoints.restored += 1;
            tracing::info!(
                job = self.name,
                checkpoint = restore.checkpoint.0,
                "job resumes from a checkpoint"
            );
        }
        self.shared.enter(JobStatus::Initializing, self.now_ms());
        let (attempt, messages) = (self.attempt, self.messages.clone());
        let events = EventSink::new(move |event| messages.send(Message::Worker { attempt, event }));
        let job = ThreadedJob::start(&self.graph, &self.clock, restore.as_ref(), &events)?;
        let stats = {
            let mut state = self.shared.lock();
            state.metrics = job.metrics().clone();
            state.checkpoints.clone()
        };
        let execution = Execution::new(
            self.description.clone(),
            self.settings,
            job.workers(),
            self.next_checkpoint,
            stats,
            self.now_ms(),
        );
        Ok(Box::new(Running {
            job,
            execution,
            drained: false,
        }))
    }

    /// Handles the messages that have come.
    fn run_on(&mut self, mut running: Box<Running>) -> Turn {
        loop {
            let message = self.inbox.try_recv().ok();
            let was_last = message.is_none();
            match self.handle(message, &mut running) {
                Ok(Some(end)) => return self.leave(*running, end),
                Err(error) => return self.leave(*running, End::Failed(error)),
                Ok(None) if was_last => {
                    let wait = self.wait_until(running.execution.next_deadline_ms());
                    self.phase = Phase::Running(running);
                    return Turn::Wait(wait);
                }
                Ok(None) => {}
            }
        }
    }

    /// Ends the workers of an execution that has ended.
    fn leave(&mut self, running: Running, end: End) -> Turn {
        self.next_checkpoint = running.execution.next_checkpoint();
        if matches!(end, End::Failed(_)) {
            self.shared.enter(JobStatus::Failing, self.now_ms());
        }
        if matches!(end, End::Canceled) {
            running.job.command(&Command::Cancel);
        }
        running.job.close();
        self.ended(end)
    }

    /// Handles a message, and begins what is due; the end of the execution if it has come.
    fn handle(
        &mut self,
        message: Option<Message>,
        running: &mut Running,
    ) -> Result<Option<End>, DataflowError> {
        let Running {
            job,
            execution,
            drained,
        } = running;
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
                    return Ok(Some(end));
                }
            }
        }
        let is_draining = self.stopping == Some(Stopping::WithSavepoint { drain: true });
        if is_draining && !*drained && execution.is_running() {
            *drained = true;
            job.command(&Command::Drain);
        }
        if self.rests {
            execution.observe(job.metrics().records(), self.now_ms());
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
        Ok(over?.map(End::Finished))
    }

    /// A request in place of one that needs a snapshot, for a job that takes none: a stop cancels.
    fn without_snapshots(request: Message) -> Option<Message> {
        match request {
            Message::Stop => Some(Message::Cancel),
            Message::Savepoint { promise, .. } | Message::StopWithSavepoint { promise, .. } => {
                let message = "a job in BATCH mode takes no savepoints";
                promise.fail(DataflowError::new(ErrorKind::Unsupported, message));
                None
            }
            Message::Checkpoint => None,
            Message::Cancel | Message::Worker { .. } => Some(request),
        }
    }

    /// Executes a user's request. Returns the end of the execution if the request ends it at once.
    fn obey(&mut self, request: Message, execution: &mut Execution) -> Option<End> {
        let request = if self.is_batch {
            Self::without_snapshots(request)?
        } else {
            request
        };
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
        let request = SavepointRequest::new(directory, &self.stores, self.id, self.rng.as_ref(), promise);
        let is_valid = request.is_ok();
        if let Ok(request) = request {
            self.savepoints.add(request);
        }
        is_valid
    }
}

/// Whether another attempt can succeed. Wrong statements and invalid data stay wrong; a restart would only hide the
/// error from the user.
fn may_heal(error: &DataflowError) -> bool {
    match error.kind {
        ErrorKind::Retry | ErrorKind::Environment | ErrorKind::Internal => true,
        ErrorKind::Input | ErrorKind::Data | ErrorKind::Unsupported => false,
    }
}
