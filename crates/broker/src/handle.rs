//! [`BrokerHandle`]: a broker on threads of its own.
//!
//! One thread owns the [`Broker`]; one runs commits, so that requests are taken in while the disk syncs and the next
//! group gathers by itself; one runs checkpoints, one compaction, and a few read segments. Callers hand in typed requests
//! with a function that is called with the reply, on the broker's thread, so it must only pass the reply on.

use crate::broker::{Broker, BrokerConfig, StartError};
use crate::context::RequestContext;
use crate::disk_reads::{DiskReadJob, DiskReadOutcome};
use crate::gather::Gather;
use crate::limits::{GATHER_PAUSE_MICROS, READ_THREADS, REQUESTS_PER_TURN};
use crate::waits::{Answer, Reply, Ticket};
use millstream_kafka_wire::{Request, RequestMessage};
use millstream_log::{
    CheckpointJob, CheckpointOutcome, CommitJob, CommitOutcome, CompactionJob, CompactionOutcome, LogError,
};
use millstream_types::storage::Storage;
use millstream_types::{Clock, Rng};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// The longest sleep of the broker's thread; timers that are further away are looked at again then.
const SLEEP_MS_MAX: i64 = 60_000;

/// The broker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the broker has stopped")]
pub struct BrokerStopped;

/// Why a call gave no response.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The broker has ended.
    #[error(transparent)]
    Stopped(#[from] BrokerStopped),
    /// The broker gave up on the request, as it closes a connection.
    #[error("the broker closed the connection without an answer")]
    Closed,
}

/// Called with the reply.
pub type Completion = Box<dyn FnOnce(Reply) + Send>;
/// A look at the broker from its own thread.
pub type Inspection = Box<dyn FnOnce(&mut Broker) + Send>;

enum Command {
    Request(Box<Submitted>),
    Inspect(Inspection),
    Committed(CommitOutcome),
    Checkpointed(CheckpointOutcome),
    Compacted(CompactionOutcome),
    Read(DiskReadOutcome),
    Stop,
}

struct Submitted {
    context: RequestContext,
    version: i16,
    request: Request,
    done: Completion,
}

/// A running broker. Clones share it; [`BrokerHandle::stop`] ends it.
#[derive(Clone)]
pub struct BrokerHandle {
    commands: Sender<Command>,
    running: Arc<Running>,
}

/// What all clones of a handle share; when the last one goes, the broker ends.
struct Running {
    commands: Sender<Command>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    failure: Arc<Mutex<Option<LogError>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
    }
}

impl std::fmt::Debug for BrokerHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BrokerHandle")
    }
}

impl BrokerHandle {
    /// Opens the directory and starts the threads.
    pub fn start(
        config: BrokerConfig,
        storage: Arc<dyn Storage>,
        rng: Arc<dyn Rng>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let mut broker = Broker::open(config, storage, rng, clock.now_ms())?;
        let (commands, inbox) = channel();
        let failure = Arc::new(Mutex::new(None));
        let (commits, checkpoints) = (channel::<CommitJob>(), channel::<CheckpointJob>());
        let (compactions, reads) = (channel::<CompactionJob>(), channel::<DiskReadJob>());
        broker.defer_reads();
        let core = Core {
            broker,
            clock,
            inbox,
            commits: commits.0,
            checkpoints: checkpoints.0,
            compactions: compactions.0,
            reads: reads.0,
            waiting: BTreeMap::new(),
            gather: Gather::default(),
            delayed: VecDeque::new(),
            is_stopping: false,
            jobs: 0,
            failure: failure.clone(),
        };
        let (committed, checkpointed, compacted) = (commands.clone(), commands.clone(), commands.clone());
        let threads = [
            spawn("broker", move || core.run()),
            spawn("broker-commit", move || {
                for job in commits.1 {
                    let _ = committed.send(Command::Committed(job.run()));
                }
            }),
            spawn("broker-compaction", move || {
                for job in compactions.1 {
                    let _ = compacted.send(Command::Compacted(job.run()));
                }
            }),
            spawn("broker-checkpoint", move || {
                for job in checkpoints.1 {
                    let _ = checkpointed.send(Command::Checkpointed(job.run()));
                }
            }),
        ];
        let reads = Arc::new(Mutex::new(reads.1));
        let readers = (0..READ_THREADS).map(|_| {
            let (reads, commands) = (reads.clone(), commands.clone());
            spawn("broker-read", move || {
                while let Some(job) = next_job(&reads) {
                    let _ = commands.send(Command::Read(job.run()));
                }
            })
        });
        let threads = threads
            .into_iter()
            .chain(readers)
            .collect::<io::Result<Vec<_>>>()
            .map_err(StartError::Thread)?;
        let running = Running {
            commands: commands.clone(),
            threads: Mutex::new(threads),
            failure,
        };
        Ok(BrokerHandle {
            commands,
            running: Arc::new(running),
        })
    }

    /// Hands in a request; `done` is called with the reply, once. It is dropped uncalled if the broker stops first.
    pub fn submit(
        &self,
        context: RequestContext,
        version: i16,
        request: impl Into<Request>,
        done: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), BrokerStopped> {
        let submitted = Submitted {
            context,
            version,
            request: request.into(),
            done: Box::new(done),
        };
        let command = Command::Request(Box::new(submitted));
        self.commands.send(command).map_err(|_| BrokerStopped)
    }

    /// Hands in a request of the newest version and waits for its response, blocking this thread.
    pub fn call<M: RequestMessage>(
        &self,
        context: &RequestContext,
        request: M,
    ) -> Result<M::Response, CallError> {
        let (reply, replies) = channel();
        self.submit(context.clone(), M::API_KEY.versions().1, request, move |given| {
            _ = reply.send(given)
        })?;
        match replies.recv().map_err(|_| BrokerStopped)? {
            Reply::Response(response) => M::Response::try_from(*response).map_err(|_| CallError::Closed),
            Reply::Silent | Reply::Close => Err(CallError::Closed),
        }
    }

    /// Runs a function on the broker's thread and waits for what it gives: for metrics and tests.
    pub fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Broker) -> T + Send + 'static,
    ) -> Result<T, BrokerStopped> {
        let (reply, replies) = channel();
        let inspection: Inspection = Box::new(move |broker| _ = reply.send(look(broker)));
        self.commands
            .send(Command::Inspect(inspection))
            .map_err(|_| BrokerStopped)?;
        replies.recv().map_err(|_| BrokerStopped)
    }

    /// Has a function run on the broker's thread, without waiting for it.
    pub fn post(&self, look: impl FnOnce(&mut Broker) + Send + 'static) -> Result<(), BrokerStopped> {
        self.commands
            .send(Command::Inspect(Box::new(look)))
            .map_err(|_| BrokerStopped)
    }

    /// Ends the broker cleanly: what was appended is committed, a checkpoint is written, the threads end.
    pub fn stop(&self) -> Result<(), LogError> {
        let _ = self.commands.send(Command::Stop);
        let threads = std::mem::take(
            &mut *self
                .running
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for thread in threads {
            let _ = thread.join();
        }
        let failure = self
            .running
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failure.clone().map_or(Ok(()), Err)
    }

    /// The error that made the log unusable, if one did: the process should say so and end.
    pub fn failure(&self) -> Option<LogError> {
        self.running
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The next job of several threads that share a queue; none when its other end is gone.
fn next_job<T>(queue: &Mutex<Receiver<T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// The state of the broker's thread.
struct Core {
    broker: Broker,
    clock: Arc<dyn Clock>,
    inbox: Receiver<Command>,
    commits: Sender<CommitJob>,
    checkpoints: Sender<CheckpointJob>,
    compactions: Sender<CompactionJob>,
    reads: Sender<DiskReadJob>,
    /// Who waits for an answer, and for how long it is asked to wait after it.
    waiting: BTreeMap<Ticket, (Completion, i32)>,
    /// Whether the next commit waits for more requests.
    gather: Gather,
    /// Requests that came while the disk had fallen behind.
    delayed: VecDeque<Box<Submitted>>,
    is_stopping: bool,
    /// Disk work under way.
    jobs: usize,
    failure: Arc<Mutex<Option<LogError>>>,
}

impl Core {
    fn run(mut self) {
        loop {
            let now_ms = self.clock.now_ms();
            if self.broker.next_timer() <= now_ms {
                self.broker.tick(now_ms);
            }
            self.start_jobs(now_ms);
            self.deliver();
            if self.is_stopping && self.jobs == 0 {
                return;
            }
            if !self.take_in(now_ms) {
                return;
            }
        }
    }

    /// Waits for a command, then takes all that are there. False when there is nobody left to send any.
    fn take_in(&mut self, now_ms: i64) -> bool {
        if !self.delayed.is_empty() && !self.broker.is_backlogged() {
            for _ in 0..REQUESTS_PER_TURN {
                let Some(submitted) = self.delayed.pop_front() else {
                    break;
                };
                self.handle(self.clock.now_ms(), *submitted);
                if self.broker.is_backlogged() {
                    break;
                }
            }
            return true;
        }
        match self.inbox.recv_timeout(self.patience(now_ms)) {
            Ok(command) => self.execute(command),
            Err(RecvTimeoutError::Timeout) => {
                self.gather.give_up(self.broker.answers_due());
                return true;
            }
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        // What is taken out must be executed: at the end of a turn the next one stays where it is.
        for _ in 1..REQUESTS_PER_TURN {
            let Ok(command) = self.inbox.try_recv() else {
                break;
            };
            self.execute(command);
        }
        true
    }

    /// How long nothing needs to be done if nobody sends a command.
    fn patience(&self, now_ms: i64) -> Duration {
        let next = self.broker.next_timer().saturating_sub(now_ms);
        let sleep = Duration::from_millis(next.clamp(0, SLEEP_MS_MAX).unsigned_abs());
        match self.gather.is_expecting() {
            true => sleep.min(Duration::from_micros(GATHER_PAUSE_MICROS)),
            false => sleep,
        }
    }

    fn handle(&mut self, now_ms: i64, submitted: Submitted) {
        let Submitted {
            context,
            version,
            request,
            done,
        } = submitted;
        let answer = self.broker.handle(now_ms, &context, version, request);
        let throttle_time_ms = self.charge(now_ms, &context);
        match answer {
            Answer::Ready(reply) => done(reply.throttled(throttle_time_ms)),
            Answer::Pending(ticket) => _ = self.waiting.insert(ticket, (done, throttle_time_ms)),
        }
    }

    fn execute(&mut self, command: Command) {
        let now_ms = self.clock.now_ms();
        match command {
            Command::Request(_) if self.is_stopping => {}
            // Nobody overtakes those who wait already, also if there is room again since this turn began.
            Command::Request(submitted) if self.broker.is_backlogged() || !self.delayed.is_empty() => {
                self.delayed.push_back(submitted);
            }
            Command::Request(submitted) => self.handle(now_ms, *submitted),
            Command::Inspect(look) => look(&mut self.broker),
            Command::Committed(outcome) => {
                self.jobs -= 1;
                self.gather.begin(self.broker.answers_due());
                let result = self.broker.on_commit(outcome);
                self.note(result);
            }
            Command::Checkpointed(outcome) => {
                self.jobs -= 1;
                let result = self.broker.on_checkpoint(outcome);
                self.note(result);
            }
            Command::Compacted(outcome) => {
                self.jobs -= 1;
                self.broker.on_compaction(outcome);
            }
            Command::Read(outcome) => {
                self.jobs -= 1;
                self.broker.on_read(now_ms, outcome);
            }
            Command::Stop => {
                self.is_stopping = true;
                self.broker.request_checkpoint();
            }
        }
    }

    /// Counts the time that a request took. The clock tells milliseconds and most requests take less, but as they begin
    /// anywhere within one, the sum over many is right.
    fn charge(&mut self, start_ms: i64, context: &RequestContext) -> i32 {
        if !self.broker.has_request_quotas() {
            return 0;
        }
        let now_ms = self.clock.now_ms();
        self.broker
            .throttle_request(now_ms, context, now_ms.saturating_sub(start_ms))
    }

    fn note(&mut self, result: Result<(), LogError>) {
        let Err(error) = result else {
            return;
        };
        tracing::error!(%error, "the broker's log failed");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    fn start_jobs(&mut self, now_ms: i64) {
        let is_gathering = !self.is_stopping && self.gather.is_waiting(self.broker.answers_due());
        if !is_gathering && let Some(job) = self.broker.take_commit(now_ms) {
            self.gather.end();
            self.jobs += usize::from(self.commits.send(job).is_ok());
        }
        if !self.is_stopping
            && let Some(job) = self.broker.take_compaction(now_ms)
        {
            self.jobs += usize::from(self.compactions.send(job).is_ok());
        }
        while let Some(job) = self.broker.take_read() {
            self.jobs += usize::from(self.reads.send(job).is_ok());
        }
        if let Some(job) = self.broker.take_checkpoint() {
            self.jobs += usize::from(self.checkpoints.send(job).is_ok());
        }
    }

    fn deliver(&mut self) {
        for (ticket, reply) in self.broker.take_completed() {
            if let Some((done, throttle_time_ms)) = self.waiting.remove(&ticket) {
                done(reply.throttled(throttle_time_ms));
            }
        }
    }
}
