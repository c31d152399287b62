//! [`Turns`]: what the broker's thread decides, without the thread.
//!
//! It takes commands (requests, finished disk work, the wish to end) and says which disk work begins, which requests have to
//! wait for a checkpoint, who is answered, and for how long nothing needs to be done. Threads, channels and the clock are
//! [`Surroundings`]: those of [`BrokerHandle`](crate::BrokerHandle) in production, a schedule in a simulation, so that
//! both run the same code. It never blocks and never sleeps.
//!
//! What it is not: the broker's rules, which are in [`Broker`]; nor the order of a connection's answers, which is kept by
//! whoever reads from it.

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::disk_reads::{DiskReadJob, DiskReadOutcome};
use crate::gather::Gather;
use crate::limits::GATHER_PAUSE_MICROS;
use crate::mutants::Mutant;
use crate::waits::{Answer, Reply, Ticket};
use millstream_kafka_wire::Request;
use millstream_log::{
    CheckpointJob, CheckpointOutcome, CommitJob, CommitOutcome, CompactionJob, CompactionOutcome, LogError,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The longest sleep of the broker's thread; timers that are further away are looked at again then.
const SLEEP_MS_MAX: i64 = 60_000;

/// A look at the broker between two requests.
pub type Inspection = Box<dyn FnOnce(&mut Broker) + Send>;

/// What the broker is told, in the order in which it came. `C` stands for who asked and is given back with the reply.
pub enum Command<C> {
    /// A request, of a version that was checked.
    Request(Box<Submitted<C>>),
    /// A look at the broker.
    Inspect(Inspection),
    /// Disk work has ended.
    Done(JobOutcome),
    /// The broker is to end cleanly.
    Stop,
}

/// A request with who asked.
pub struct Submitted<C> {
    /// Where it came from.
    pub context: RequestContext,
    /// Its version.
    pub version: i16,
    /// What is asked for.
    pub request: Request,
    /// Who gets the reply.
    pub caller: C,
}

/// Disk work that is to be run beside the broker.
pub enum Job {
    /// A commit; one at a time.
    Commit(CommitJob),
    /// A checkpoint; one at a time.
    Checkpoint(CheckpointJob),
    /// A compaction; one at a time.
    Compaction(CompactionJob),
    /// Segments are read for a request; any number at a time, in any order.
    Read(DiskReadJob),
}

/// What a [`Job`] gave; it goes back as [`Command::Done`].
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
    /// Does the work.
    pub fn run(self) -> JobOutcome {
        match self {
            Job::Commit(job) => JobOutcome::Commit(job.run()),
            Job::Checkpoint(job) => JobOutcome::Checkpoint(job.run()),
            Job::Compaction(job) => JobOutcome::Compaction(job.run()),
            Job::Read(job) => JobOutcome::Read(job.run()),
        }
    }
}

/// What is around the broker. Its calls return at once.
pub trait Surroundings<C> {
    /// The time.
    fn now_ms(&self) -> i64;

    /// The oldest of the commands that have come already. It is given once.
    fn next_command(&mut self) -> Option<Command<C>>;

    /// Passes on a reply.
    fn answer(&mut self, caller: C, reply: Reply);

    /// Has a job run at any later time, and its outcome come back as a command; false if nobody will.
    fn start(&mut self, job: Job) -> bool;

    /// The log is unusable from now on.
    fn log_failed(&mut self, error: LogError);
}

/// What is to be done when everything at hand is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Wait for a command: [`Turns::take_in`], or [`Turns::nobody_came`] if there is none for so long.
    For(Duration),
    /// The broker has ended, as it was told to.
    End,
}

/// A broker and what it has to do. After each call that takes something in, [`Turns::go_on`] does what follows from it.
pub struct Turns<C> {
    broker: Broker,
    /// Who waits for an answer, and for how long it is asked to wait after it.
    waiting: BTreeMap<Ticket, (C, i32)>,
    /// Whether the next commit waits for more requests.
    gather: Gather,
    /// Requests that came while the disk had fallen behind.
    delayed: VecDeque<Box<Submitted<C>>>,
    /// So many are taken in before disk work is looked at again.
    commands_max: usize,
    is_stopping: bool,
    /// Disk work under way.
    jobs: usize,
}

impl<C> std::fmt::Debug for Turns<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Turns")
            .field("waiting", &self.waiting.len())
            .field("delayed", &self.delayed.len())
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl<C> Turns<C> {
    /// Of an opened broker; so many commands are taken in before disk work is looked at again
    /// ([`REQUESTS_PER_TURN`](crate::limits::REQUESTS_PER_TURN)).
    pub fn new(mut broker: Broker, commands_max: usize) -> Self {
        broker.defer_reads();
        Turns {
            broker,
            waiting: BTreeMap::new(),
            gather: Gather::default(),
            delayed: VecDeque::new(),
            commands_max,
            is_stopping: false,
            jobs: 0,
        }
    }

    /// The broker as it is now.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Whether nobody waits for a checkpoint and no disk work is under way.
    pub fn is_idle(&self) -> bool {
        self.delayed.is_empty() && self.jobs == 0 && self.broker.is_idle()
    }

    /// Does what is due, then says for how long nothing is.
    pub fn go_on(&mut self, around: &mut impl Surroundings<C>) -> Rest {
        loop {
            let now_ms = around.now_ms();
            self.broker.hold_members(!self.delayed.is_empty());
            if self.broker.next_timer() <= now_ms {
                self.broker.tick(now_ms);
            }
            self.start_jobs(now_ms, around);
            self.deliver(around);
            if self.is_stopping && self.jobs == 0 {
                return Rest::End;
            }
            if self.delayed.is_empty() || self.broker.is_backlogged() {
                return Rest::For(self.patience(now_ms));
            }
            self.take_delayed(around);
        }
    }

    /// A command has come; those that came with it are taken as well.
    pub fn take_in(&mut self, command: Command<C>, around: &mut impl Surroundings<C>) {
        self.execute(command, around);
        // What is taken out must be executed: at the end of a turn the next one stays where it is.
        for _ in 1..self.commands_max {
            let Some(command) = around.next_command() else {
                return;
            };
            self.execute(command, around);
        }
        if self.broker.breaks(Mutant::LoseCommand) {
            drop(around.next_command());
        }
    }

    /// No command has come for as long as [`Rest::For`] said.
    pub fn nobody_came(&mut self) {
        self.gather.give_up(self.broker.answers_due());
    }

    /// There is room again for those who had to wait.
    fn take_delayed(&mut self, around: &mut impl Surroundings<C>) {
        for _ in 0..self.commands_max {
            let Some(submitted) = self.delayed.pop_front() else {
                return;
            };
            self.handle(around.now_ms(), *submitted, around);
            if self.broker.is_backlogged() {
                return;
            }
        }
    }

    /// How long nothing needs to be done if nobody sends a command.
    fn patience(&self, now_ms: i64) -> Duration {
        let next = self.broker.next_timer().saturating_sub(now_ms);
        let rest = Duration::from_millis(next.clamp(0, SLEEP_MS_MAX).unsigned_abs());
        match self.gather.is_expecting() {
            true => rest.min(Duration::from_micros(GATHER_PAUSE_MICROS)),
            false => rest,
        }
    }

    fn execute(&mut self, command: Command<C>, around: &mut impl Surroundings<C>) {
        let now_ms = around.now_ms();
        match command {
            Command::Request(_) if self.is_stopping => {}
            Command::Request(submitted) if self.must_wait() => self.delayed.push_back(submitted),
            Command::Request(submitted) => self.handle(now_ms, *submitted, around),
            Command::Inspect(look) => look(&mut self.broker),
            Command::Done(outcome) => {
                self.jobs -= 1;
                if let Err(error) = self.on_done(now_ms, outcome) {
                    around.log_failed(error);
                }
            }
            Command::Stop => {
                self.is_stopping = true;
                self.broker.request_clean_end();
            }
        }
    }

    /// Nobody overtakes those who wait already, also if there is room again since this turn began.
    fn must_wait(&self) -> bool {
        let is_overtaking = self.broker.breaks(Mutant::OvertakeDelayed);
        self.broker.is_backlogged() || (!self.delayed.is_empty() && !is_overtaking)
    }

    fn handle(&mut self, now_ms: i64, submitted: Submitted<C>, around: &mut impl Surroundings<C>) {
        let Submitted {
            context,
            version,
            request,
            caller,
        } = submitted;
        let answer = self.broker.handle(now_ms, &context, version, request);
        let throttle_time_ms = self.charge(now_ms, &context, around);
        match answer {
            Answer::Ready(reply) => around.answer(caller, reply.throttled(throttle_time_ms)),
            Answer::Pending(ticket) => _ = self.waiting.insert(ticket, (caller, throttle_time_ms)),
        }
    }

    /// Counts the time that a request took. The clock tells milliseconds and most requests take less, but as they begin
    /// anywhere within one, the sum over many is right.
    fn charge(&mut self, start_ms: i64, context: &RequestContext, around: &impl Surroundings<C>) -> i32 {
        if !self.broker.has_request_quotas() {
            return 0;
        }
        let now_ms = around.now_ms();
        self.broker
            .throttle_request(now_ms, context, now_ms.saturating_sub(start_ms))
    }

    fn on_done(&mut self, now_ms: i64, outcome: JobOutcome) -> Result<(), LogError> {
        match outcome {
            JobOutcome::Commit(outcome) => {
                self.gather.begin(now_ms, self.broker.answers_due());
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

    fn start_jobs(&mut self, now_ms: i64, around: &mut impl Surroundings<C>) {
        if self.gather.is_late(now_ms) {
            self.gather.give_up(self.broker.answers_due());
        }
        let mut start = |job| self.jobs += usize::from(around.start(job));
        let is_gathering = !self.is_stopping && self.gather.is_waiting(self.broker.answers_due());
        if !is_gathering && let Some(job) = self.broker.take_commit(now_ms) {
            self.gather.end();
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

    fn deliver(&mut self, around: &mut impl Surroundings<C>) {
        for (ticket, reply) in self.broker.take_completed() {
            if let Some((caller, throttle_time_ms)) = self.waiting.remove(&ticket) {
                around.answer(caller, reply.throttled(throttle_time_ms));
            }
        }
    }
}
