//! [`BrokerHandle`]: a broker on threads of its own.
//!
//! One thread owns the [`Broker`]; one runs commits, so that requests are accepted while the disk syncs and the next
//! group commit fills up; one runs checkpoints, one compactions, and a few read segments. Callers submit typed requests
//! with a callback for the reply. The callback runs on the broker's thread, so it must only pass the reply on.
//! [`EventLoop`] decides what runs when; this module owns the threads and channels.

use crate::broker::{Broker, BrokerConfig, StartError};
use crate::context::RequestContext;
use crate::event_loop::{self, EventLoop, Host, Inspection, Job, Rest, Submitted};
use crate::limits::{READ_THREADS, REQUESTS_PER_TURN};
use crate::purgatory::Reply;
use millstream_kafka_wire::{Request, RequestMessage};
use millstream_log::LogError;
use millstream_types::storage::Storage;
use millstream_types::{Clock, Rng};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use thiserror::Error;

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
    #[error("the broker closed the connection without a response")]
    Closed,
}

/// Called with the reply.
pub type Completion = Box<dyn FnOnce(Reply) + Send>;
type Command = event_loop::Command<Completion>;

/// A running broker. Clones share it; [`BrokerHandle::stop`] ends it.
#[derive(Clone)]
pub struct BrokerHandle {
    commands: Sender<Command>,
    running: Arc<Running>,
}

/// State shared by all clones of a handle. Dropping the last clone stops the broker.
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
        let broker = Broker::open(config, storage, rng, clock.now_ms())?;
        let (commands, inbox) = channel();
        let failure = Arc::new(Mutex::new(None));
        let [commits, checkpoints, compactions, reads] = [(); 4].map(|()| channel::<Job>());
        let host = Threads {
            clock,
            inbox,
            commits: commits.0,
            checkpoints: checkpoints.0,
            compactions: compactions.0,
            reads: reads.0,
            failure: failure.clone(),
        };
        let event_loop = EventLoop::new(broker, REQUESTS_PER_TURN);
        let runs = |jobs: Receiver<Job>| {
            let commands = commands.clone();
            move || {
                for job in jobs {
                    let _ = commands.send(Command::Done(job.run()));
                }
            }
        };
        let threads = [
            spawn("broker", move || host.run(event_loop)),
            spawn("broker-commit", runs(commits.1)),
            spawn("broker-compaction", runs(compactions.1)),
            spawn("broker-checkpoint", runs(checkpoints.1)),
        ];
        let reads = Arc::new(Mutex::new(reads.1));
        let readers = (0..READ_THREADS).map(|_| {
            let (reads, commands) = (reads.clone(), commands.clone());
            spawn("broker-read", move || {
                while let Some(job) = next_job(&reads) {
                    let _ = commands.send(Command::Done(job.run()));
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
            caller: Box::new(done) as Completion,
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

    /// Runs a function on the broker's thread and waits for its result: for metrics and tests.
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

    /// Stops the broker cleanly: commits what was appended, writes a checkpoint, joins the threads.
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

/// The [`Host`] of the event loop in production.
struct Threads {
    clock: Arc<dyn Clock>,
    inbox: Receiver<Command>,
    commits: Sender<Job>,
    checkpoints: Sender<Job>,
    compactions: Sender<Job>,
    reads: Sender<Job>,
    failure: Arc<Mutex<Option<LogError>>>,
}

impl Threads {
    /// The life of the broker's thread.
    fn run(mut self, mut event_loop: EventLoop<Completion>) {
        while let Rest::For(patience) = event_loop.go_on(&mut self) {
            match self.inbox.recv_timeout(patience) {
                Ok(command) => event_loop.take_in(command, &mut self),
                Err(RecvTimeoutError::Timeout) => event_loop.on_idle(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

impl Host<Completion> for Threads {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn next_command(&mut self) -> Option<Command> {
        self.inbox.try_recv().ok()
    }

    fn respond(&mut self, done: Completion, reply: Reply) {
        done(reply);
    }

    fn start(&mut self, job: Job) -> bool {
        let thread = match job {
            Job::Commit(_) => &self.commits,
            Job::Checkpoint(_) => &self.checkpoints,
            Job::Compaction(_) => &self.compactions,
            Job::Read(_) => &self.reads,
        };
        thread.send(job).is_ok()
    }

    fn log_failed(&mut self, error: LogError) {
        tracing::error!(%error, "the broker's log failed");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }
}
