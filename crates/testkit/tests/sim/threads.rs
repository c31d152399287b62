//! The threads of the broker without threads: the inbox, the sleep and the waking of the one that owns the broker, and the
//! others, which run its disk work.
//!
//! What the broker's thread does when it is awake is decided by [`EventLoop`], as in production; here is only what the machine
//! decides: when a thread is scheduled, how long disk work takes, and what has come into the inbox until then. Commits,
//! checkpoints and compactions have a thread each, reads have several, so that these may end in another order.

use millstream_broker::limits::READ_THREADS;
use millstream_broker::{Command, EventLoop, Host, Job, JobOutcome, Reply, Rest};
use millstream_log::LogError;
use millstream_testkit::network::ConnectionId;
use millstream_types::{Rng, SeededRng};
use std::collections::VecDeque;

/// Who asked: a connection, and the number of its request.
pub type Caller = (ConnectionId, u64);

/// A thread is scheduled.
#[derive(Debug, Clone, Copy)]
pub enum ThreadEvent {
    /// That of the broker; the number says which of its sleeps ends.
    Broker(u64),
    /// One of the others has done its job.
    Worker(usize),
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The longest ordinary disk work.
    pub disk_ms_max: u64,
    /// The longest time in which the broker's thread ordinarily does not come to run.
    pub thread_ms_max: u64,
}

impl Pace {
    fn disk_ms(self, rng: &SeededRng, job: &Job) -> i64 {
        let is_slow = rng.below(60) == 0;
        let once = rng.below(self.disk_ms_max + 1) + if is_slow { rng.below(700) } else { 0 };
        let times = match job {
            Job::Commit(_) | Job::Read(_) => 1,
            Job::Checkpoint(_) | Job::Compaction(_) => 3,
        };
        times * once as i64
    }

    fn thread_ms(self, rng: &SeededRng) -> i64 {
        let is_slow = rng.below(500) == 0;
        (rng.below(self.thread_ms_max + 1) + if is_slow { rng.below(300) } else { 0 }) as i64
    }
}

/// What a thread that runs jobs is at. A read may have completed long before it is reported.
enum Running {
    Job(Job),
    Done(JobOutcome),
}

/// What is around the broker's thread.
struct TestHost {
    now_ms: i64,
    inbox: VecDeque<Command<Caller>>,
    replies: Vec<(Caller, Reply)>,
    commits: VecDeque<Job>,
    checkpoints: VecDeque<Job>,
    compactions: VecDeque<Job>,
    reads: VecDeque<Job>,
    failure: Option<LogError>,
}

impl TestHost {
    /// Where the jobs of a worker wait.
    fn queue(&mut self, worker: usize) -> &mut VecDeque<Job> {
        match worker {
            0 => &mut self.commits,
            1 => &mut self.checkpoints,
            2 => &mut self.compactions,
            _ => &mut self.reads,
        }
    }
}

impl Host<Caller> for TestHost {
    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn next_command(&mut self) -> Option<Command<Caller>> {
        self.inbox.pop_front()
    }

    fn respond(&mut self, caller: Caller, reply: Reply) {
        self.replies.push((caller, reply));
    }

    fn start(&mut self, job: Job) -> bool {
        let queue = match job {
            Job::Commit(_) => 0,
            Job::Checkpoint(_) => 1,
            Job::Compaction(_) => 2,
            Job::Read(_) => 3,
        };
        self.queue(queue).push_back(job);
        true
    }

    fn log_failed(&mut self, error: LogError) {
        self.failure.get_or_insert(error);
    }
}

/// All threads of a broker.
pub struct Threads {
    event_loop: EventLoop<Caller>,
    host: TestHost,
    workers: [Option<Running>; 3 + READ_THREADS],
    pace: Pace,
    sleep: u64,
    /// The broker's thread has something to do already and waits only to come to run.
    is_awake: bool,
    has_ended: bool,
    later: Vec<(i64, ThreadEvent)>,
}

impl Threads {
    /// The threads begin.
    pub fn new(now_ms: i64, rng: &SeededRng, event_loop: EventLoop<Caller>, pace: Pace) -> Threads {
        let mut threads = Threads {
            event_loop,
            host: TestHost {
                now_ms,
                inbox: VecDeque::new(),
                replies: Vec::new(),
                commits: VecDeque::new(),
                checkpoints: VecDeque::new(),
                compactions: VecDeque::new(),
                reads: VecDeque::new(),
                failure: None,
            },
            workers: [const { None }; 3 + READ_THREADS],
            pace,
            sleep: 0,
            is_awake: false,
            has_ended: false,
            later: Vec::new(),
        };
        threads.go_on(rng);
        threads
    }

    /// The broker as it is now.
    pub fn broker(&self) -> &millstream_broker::Broker {
        self.event_loop.broker()
    }

    /// Whether nothing that was sent here has yet to be done.
    pub fn is_idle(&self) -> bool {
        self.host.inbox.is_empty() && self.event_loop.is_idle()
    }

    /// Puts a command into the inbox.
    pub fn submit(&mut self, rng: &SeededRng, command: Command<Caller>) {
        self.host.inbox.push_back(command);
        if !self.is_awake {
            self.wake(rng);
        }
    }

    /// A thread is scheduled.
    pub fn happen(&mut self, now_ms: i64, rng: &SeededRng, event: ThreadEvent) {
        self.host.now_ms = now_ms;
        match event {
            ThreadEvent::Broker(sleep) if sleep == self.sleep => {
                match self.host.inbox.pop_front() {
                    Some(command) => self.event_loop.take_in(command, &mut self.host),
                    None => self.event_loop.on_idle(),
                }
                self.go_on(rng);
            }
            ThreadEvent::Broker(_) => {} // a command has ended that sleep
            ThreadEvent::Worker(worker) => {
                let outcome = match self.workers[worker].take() {
                    Some(Running::Job(job)) => job.run(),
                    Some(Running::Done(outcome)) => outcome,
                    None => return,
                };
                self.submit(rng, Command::Done(outcome));
                self.employ(rng);
            }
        }
    }

    /// The broker's thread does what there is to do, then sleeps, unless there is more already.
    fn go_on(&mut self, rng: &SeededRng) {
        match self.event_loop.go_on(&mut self.host) {
            Rest::End => self.has_ended = true,
            Rest::For(_) if !self.host.inbox.is_empty() => self.wake(rng),
            Rest::For(rest) => {
                self.is_awake = false;
                self.sleep += 1;
                let rest_ms = rest.as_micros().div_ceil(1_000) as i64;
                self.later.push((rest_ms.max(1), ThreadEvent::Broker(self.sleep)));
            }
        }
        self.employ(rng);
    }

    fn wake(&mut self, rng: &SeededRng) {
        self.is_awake = true;
        self.sleep += 1;
        let event = ThreadEvent::Broker(self.sleep);
        self.later.push((self.pace.thread_ms(rng), event));
    }

    /// Threads that have nothing to do take the jobs that wait.
    fn employ(&mut self, rng: &SeededRng) {
        for worker in 0..self.workers.len() {
            if self.workers[worker].is_some() {
                continue;
            }
            let Some(job) = self.host.queue(worker).pop_front() else {
                continue;
            };
            let event = ThreadEvent::Worker(worker);
            self.later.push((self.pace.disk_ms(rng, &job), event));
            let is_early = matches!(job, Job::Read(_)) && rng.below(2) == 0;
            self.workers[worker] = Some(if is_early {
                Running::Done(job.run())
            } else {
                Running::Job(job)
            });
        }
    }

    /// What is to happen later.
    pub fn take_later(&mut self) -> Vec<(i64, ThreadEvent)> {
        std::mem::take(&mut self.later)
    }

    /// Replies to be passed on.
    pub fn take_replies(&mut self) -> Vec<(Caller, Reply)> {
        std::mem::take(&mut self.host.replies)
    }

    /// Why the log is unusable; told once.
    pub fn take_failure(&mut self) -> Option<LogError> {
        self.host.failure.take()
    }

    /// Whether the broker has ended as requested.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The process dies: the jobs that were under way.
    pub fn into_running(self) -> impl Iterator<Item = Job> {
        self.workers.into_iter().filter_map(|running| match running {
            Some(Running::Job(job)) => Some(job),
            Some(Running::Done(_)) | None => None,
        })
    }
}
