//! [`EventLoop`]: the decisions of the broker's thread, without the thread.
//!
//! It takes commands (requests, finished disk jobs, the order to stop) and decides which disk jobs start, which requests wait
//! for a checkpoint, which responses go out, and how long the thread may sleep. Threads, channels and the clock belong to the
//! [`Host`]: [`BrokerHandle`](crate::BrokerHandle) in production, a schedule in the simulation. Both run this code, so the
//! simulation tests the scheduling that production uses. The loop never blocks and never sleeps.
//!
//! The rules of the protocol are not here but in [`Broker`], and the order of responses on a connection is kept by the
//! connection.

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::disk_reads::{DiskReadJob, DiskReadOutcome};
use crate::group_commit::GroupCommit;
use crate::limits::GATHER_PAUSE_MICROS;
use crate::mutants::Mutant;
use crate::purgatory::{Progress, Reply, Ticket};
use millstream_kafka_wire::Request;
use millstream_log::{
    CheckpointJob, CheckpointOutcome, CommitJob, CommitOutcome, CompactionJob, CompactionOutcome, LogError,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Caps the sleep of the broker's thread. A timer that is further away is checked again after it.
const SLEEP_MS_MAX: i64 = 60_000;

/// A closure that runs on the broker's thread between two requests.
pub type Inspection = Box<dyn FnOnce(&mut Broker) + Send>;

/// A command to the broker. `C` identifies the caller and comes back with the reply.
pub enum Command<C> {
    /// A request whose version has been checked.
    Request(Box<Submitted<C>>),
    /// Access to the broker between two requests.
    Inspect(Inspection),
    /// A disk job has finished.
    Done(JobOutcome),
    /// Stops the broker after a clean shutdown of the log.
    Stop,
}

/// A request and its caller.
pub struct Submitted<C> {
    /// The connection and the principal.
    pub context: RequestContext,
    /// The API version.
    pub version: i16,
    /// The decoded request.
    pub request: Request,
    /// Receives the reply.
    pub caller: C,
}

/// Disk work that runs outside of the broker's thread.
pub enum Job {
    /// A commit; one at a time.
    Commit(CommitJob),
    /// A checkpoint; one at a time.
    Checkpoint(CheckpointJob),
    /// A compaction; one at a time.
    Compaction(CompactionJob),
    /// Reads segments for a request; any number at a time, in any order.
    Read(DiskReadJob),
}

/// The result of a [`Job`]; it returns as [`Command::Done`].
#[derive(Debug)]
pub enum JobOutcome {
    /// Of a commit.
    Commit(CommitOutcome),
    /// Of a checkpoint.
    Checkpoint(CheckpointOutcome),
    /// Of a compaction.
    Compaction(CompactionOutcome),
    /// Of a read.
    Read(DiskReadOutcome),
}

impl Job {
    /// Runs the job to its end; blocks on the disk.
    pub fn run(self) -> JobOutcome {
        match self {
            Job::Commit(job) => JobOutcome::Commit(job.run()),
            Job::Checkpoint(job) => JobOutcome::Checkpoint(job.run()),
            Job::Compaction(job) => JobOutcome::Compaction(job.run()),
            Job::Read(job) => JobOutcome::Read(job.run()),
        }
    }
}

/// What the event loop needs from its process. None of the calls may block.
pub trait Host<C> {
    /// Wall-clock time.
    fn now_ms(&self) -> i64;

    /// Takes the oldest command of the inbox, if there is one.
    fn next_command(&mut self) -> Option<Command<C>>;

    /// Sends a reply to its caller.
    fn respond(&mut self, caller: C, reply: Reply);

    /// Schedules a job; its outcome comes back as [`Command::Done`]. Returns false if the job will never run.
    fn start(&mut self, job: Job) -> bool;

    /// The log is poisoned: it accepts no further writes.
    fn log_failed(&mut self, error: LogError);
}

/// What the thread does next, once all work at hand is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Wait for a command and pass it to [`EventLoop::take_in`]; after this long without one, call [`EventLoop::on_idle`].
    For(Duration),
    /// The broker has stopped.
    End,
}

/// Schedules the work of one broker. Call [`EventLoop::go_on`] after each call that takes in a command.
pub struct EventLoop<C> {
    broker: Broker,
    /// Callers of delayed operations, each with its throttle time.
    waiting: BTreeMap<Ticket, (C, i32)>,
    /// Delays the next commit so that one fsync serves more requests.
    group_commit: GroupCommit,
    /// Requests that arrived while the broker was backlogged. They keep their order.
    delayed: VecDeque<Box<Submitted<C>>>,
    /// Commands per turn; then disk jobs get a chance to start.
    commands_max: usize,
    is_stopping: bool,
    /// Disk jobs in flight.
    jobs: usize,
}

impl<C> std::fmt::Debug for EventLoop<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EventLoop")
            .field("waiting", &self.waiting.len())
            .field("delayed", &self.delayed.len())
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl<C> EventLoop<C> {
    /// Takes over an opened broker. `commands_max` commands are taken in before disk jobs get a chance to start
    /// ([`REQUESTS_PER_TURN`](crate::limits::REQUESTS_PER_TURN)).
    pub fn new(mut broker: Broker, commands_max: usize) -> Self {
        broker.defer_reads();
        EventLoop {
            broker,
            waiting: BTreeMap::new(),
            group_commit: GroupCommit::default(),
            delayed: VecDeque::new(),
            commands_max,
            is_stopping: false,
            jobs: 0,
        }
    }

    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Whether no request is delayed and no disk job is in flight.
    pub fn is_idle(&self) -> bool {
        self.delayed.is_empty() && self.jobs == 0 && self.broker.is_idle()
    }

    /// Runs due timers, starts disk jobs and sends replies until the next step needs a command.
    pub fn go_on(&mut self, host: &mut impl Host<C>) -> Rest {
        loop {
            let now_ms = host.now_ms();
            self.broker.hold_members(!self.delayed.is_empty());
            if self.broker.next_timer() <= now_ms {
                self.broker.tick(now_ms);
            }
            self.start_jobs(now_ms, host);
            self.deliver(host);
            if self.is_stopping && self.jobs == 0 {
                return Rest::End;
            }
            if self.delayed.is_empty() || self.broker.is_backlogged() {
                return Rest::For(self.patience(now_ms));
            }
            self.take_delayed(host);
        }
    }

    /// Executes a command, and those that are in the inbox already, up to the cap of a turn.
    pub fn take_in(&mut self, command: Command<C>, host: &mut impl Host<C>) {
        self.execute(command, host);
        // A command that leaves the inbox must be executed, so the next one stays there at the end of the turn.
        for _ in 1..self.commands_max {
            let Some(command) = host.next_command() else {
                return;
            };
            self.execute(command, host);
        }
        if self.broker.breaks(Mutant::LoseCommand) {
            drop(host.next_command());
        }
    }

    /// The inbox stayed empty for the time that [`Rest::For`] named.
    pub fn on_idle(&mut self) {
        self.group_commit.give_up(self.broker.responses_due());
    }

    /// Handles delayed requests until the broker is backlogged again.
    fn take_delayed(&mut self, host: &mut impl Host<C>) {
        for _ in 0..self.commands_max {
            let Some(submitted) = self.delayed.pop_front() else {
                return;
            };
            self.handle(host.now_ms(), *submitted, host);
            if self.broker.is_backlogged() {
                return;
            }
        }
    }

    /// How long the thread may sleep if no command arrives.
    fn patience(&self, now_ms: i64) -> Duration {
        let next = self.broker.next_timer().saturating_sub(now_ms);
        let rest = Duration::from_millis(next.clamp(0, SLEEP_MS_MAX).unsigned_abs());
        if self.group_commit.is_expecting() {
            rest.min(Duration::from_micros(GATHER_PAUSE_MICROS))
        } else {
            rest
        }
    }

    fn execute(&mut self, command: Command<C>, host: &mut impl Host<C>) {
        let now_ms = host.now_ms();
        match command {
            Command::Request(_) if self.is_stopping => {}
            Command::Request(submitted) if self.must_wait() => self.delayed.push_back(submitted),
            Command::Request(submitted) => self.handle(now_ms, *submitted, host),
            Command::Inspect(look) => look(&mut self.broker),
            Command::Done(outcome) => {
                self.jobs -= 1;
                if let Err(error) = self.on_done(now_ms, outcome) {
                    host.log_failed(error);
                }
            }
            Command::Stop => {
                self.is_stopping = true;
                self.broker.request_clean_end();
            }
        }
    }

    /// A new request queues up behind delayed ones even if the backlog has cleared since this turn began; otherwise it would
    /// overtake an earlier request of its own connection.
    fn must_wait(&self) -> bool {
        let is_overtaking = self.broker.breaks(Mutant::OvertakeDelayed);
        self.broker.is_backlogged() || (!self.delayed.is_empty() && !is_overtaking)
    }

    fn handle(&mut self, now_ms: i64, submitted: Submitted<C>, host: &mut impl Host<C>) {
        let Submitted {
            context,
            version,
            request,
            caller,
        } = submitted;
        let progress = self.broker.handle(now_ms, &context, version, request);
        let throttle_time_ms = self.charge(now_ms, &context, host);
        match progress {
            Progress::Ready(reply) => host.respond(caller, reply.throttled(throttle_time_ms)),
            Progress::Pending(ticket) => _ = self.waiting.insert(ticket, (caller, throttle_time_ms)),
        }
    }

    /// Charges the request's CPU time to the client's quota. The clock has millisecond resolution and most requests take
    /// less, but requests start at random points within a millisecond, so the sum over many requests is unbiased.
    fn charge(&mut self, start_ms: i64, context: &RequestContext, host: &impl Host<C>) -> i32 {
        if !self.broker.has_request_quotas() {
            return 0;
        }
        let now_ms = host.now_ms();
        self.broker
            .throttle_request(now_ms, context, now_ms.saturating_sub(start_ms))
    }

    fn on_done(&mut self, now_ms: i64, outcome: JobOutcome) -> Result<(), LogError> {
        match outcome {
            JobOutcome::Commit(outcome) => {
                self.group_commit.begin(now_ms, self.broker.responses_due());
                self.broker.on_commit(outcome)
            }
            JobOutcome::Checkpoint(outcome) => self.broker.on_checkpoint(outcome),
            JobOutcome::Compaction(outcome) => {
                self.broker.on_compaction(outcome);
                Ok(())
            }
            JobOutcome::Read(outcome) => {
                self.broker.on_read(now_ms, outcome);
                Ok(())
            }
        }
    }

    fn start_jobs(&mut self, now_ms: i64, host: &mut impl Host<C>) {
        if self.group_commit.is_late(now_ms) {
            self.group_commit.give_up(self.broker.responses_due());
        }
        let mut start = |job| self.jobs += usize::from(host.start(job));
        let is_held_back = !self.is_stopping && self.group_commit.is_waiting(self.broker.responses_due());
        if !is_held_back && let Some(job) = self.broker.take_commit(now_ms) {
            self.group_commit.end();
            start(Job::Commit(job));
        }
        if let Some(job) = self.broker.take_compaction(now_ms) {
            start(Job::Compaction(job));
        }
        while let Some(job) = self.broker.take_read() {
            start(Job::Read(job));
        }
        if let Some(job) = self.broker.take_checkpoint() {
            start(Job::Checkpoint(job));
        }
    }

    fn deliver(&mut self, host: &mut impl Host<C>) {
        for (ticket, reply) in self.broker.take_completed() {
            if let Some((caller, throttle_time_ms)) = self.waiting.remove(&ticket) {
                host.respond(caller, reply.throttled(throttle_time_ms));
            }
        }
    }
}
