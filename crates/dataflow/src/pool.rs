//! Threads that the tasks of all jobs of a process share.
//!
//! A thread for each worker of each job would let idle jobs cost stacks and switches: 200 jobs with two workers each
//! are 600 threads. A task here runs when it is woken or when the time comes that it asked for, and gives its thread
//! back when it has nothing to do. A pool has as many threads as the widest job that was started in it has tasks.
//!
//! Tasks should not block, but some do: a user's function that calls a service, a write to a slow disk. The monitor (a
//! thread that also keeps the timers) adds a thread while tasks wait and every thread is stuck in one turn. Tasks that
//! wait for each other in blocking calls therefore go on, only later. An added thread ends when it is idle.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A task that has more to do lets others run after this time.
const SLICE: Duration = Duration::from_millis(1);

/// A turn that takes longer counts as blocked; also the interval at which the monitor looks while tasks wait. A turn
/// processes one batch, which takes a few milliseconds.
const BLOCKED_AFTER: Duration = Duration::from_millis(50);

/// Most threads that are added for blocked ones.
pub const POOL_EXTRA_THREADS_MAX: usize = 64;

/// What a task says at the end of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// There is more to do at once.
    Again,
    /// Nothing to do before a wake-up, or before this time has passed.
    Wait(Duration),
    /// The task is over.
    Done,
}

/// What a pool runs: called again after [`Turn::Again`], after a wake-up, or when its time has come.
pub trait PoolTask: Send {
    fn turn(&mut self) -> Turn;
}

struct Cell {
    id: u64,
    /// Set by a wake-up, taken at the start of a turn, so that no wake-up between turn and parking is lost.
    woken: AtomicBool,
    body: Mutex<Option<Box<dyn PoolTask>>>,
    /// The thread that ran it last, whose caches and allocator know its memory.
    last_thread: AtomicUsize,
}

/// A task in a pool. Cheap to clone.
#[derive(Clone)]
pub struct TaskHandle {
    cell: Arc<Cell>,
    pool: &'static Pool,
}

impl TaskHandle {
    /// Hands the task over to the threads of its pool.
    pub fn start(&self, body: impl PoolTask + 'static) {
        *lock(&self.cell.body) = Some(Box::new(body));
        self.cell.woken.store(true, SeqCst);
        let mut state = self.pool.lock();
        self.pool.enqueue(&mut state, Arc::clone(&self.cell));
    }

    /// Gives the task a turn. One that has not started yet is unaffected.
    pub fn wake(&self) {
        if !self.cell.woken.swap(true, SeqCst) {
            self.pool.activate(&self.cell);
        }
    }

    /// Waits until the task is over, if it was started.
    pub fn join(&self) {
        let state = self.pool.lock();
        let is_alive = |state: &mut State| state.tasks.contains_key(&self.cell.id);
        let waited = self.pool.done.wait_while(state, is_alive);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// See the module's documentation.
pub struct Pool {
    name: &'static str,
    state: Mutex<State>,
    /// A task is over.
    done: Condvar,
    /// The monitor has something new to look at.
    monitor: Condvar,
    /// Length of the queue, read without the lock by running tasks.
    queued: AtomicUsize,
    next_task: AtomicU64,
    epoch: Instant,
}

#[derive(Default)]
struct State {
    next_thread: usize,
    /// Tasks that were started and are not over: a parked one with its time in `timers`, one that is queued or runs
    /// without.
    tasks: BTreeMap<u64, Option<Instant>>,
    queue: VecDeque<Arc<Cell>>,
    timers: BTreeMap<(Instant, u64), Arc<Cell>>,
    /// The one that became idle last is at the end: it is used first, so that the others stay asleep.
    idle: Vec<(usize, Thread)>,
    /// Threads, and since when each is in its present turn: milliseconds after the pool's epoch plus one; 0 between turns.
    threads: BTreeMap<usize, Arc<AtomicU64>>,
    /// Number of threads to keep.
    target: usize,
    monitored: bool,
}

/// Timers of threads that really sleep follow the machine's monotonic clock, like the time-outs of condition variables. Data
/// and state see the clock of their job only.
#[expect(clippy::disallowed_methods, reason = "threads sleep in real time")]
fn now() -> Instant {
    Instant::now()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// The pool of the workers of all jobs.
    pub fn workers() -> &'static Self {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| Self::new("worker"))
    }

    /// The pool of the coordinators of all jobs, which write to disk.
    pub fn coordinators() -> &'static Self {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| Self::new("coordinator"))
    }

    fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
            done: Condvar::new(),
            monitor: Condvar::new(),
            queued: AtomicUsize::new(0),
            next_task: AtomicU64::new(0),
            epoch: now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sees to it that the pool has at least `threads` threads. Fails only if it has none at all.
    pub fn grow_to(&'static self, threads: usize) -> std::io::Result<()> {
        let mut state = self.lock();
        state.target = state.target.max(threads.max(1));
        if !state.monitored {
            let monitor = std::thread::Builder::new().name(format!("{}-monitor", self.name));
            monitor.spawn(|| self.watch())?;
            state.monitored = true;
        }
        while state.threads.len() < state.target {
            if let Err(error) = self.add_thread(&mut state) {
                return if state.threads.is_empty() {
                    Err(error)
                } else {
                    Ok(())
                };
            }
        }
        Ok(())
    }

    /// Makes a task that can be woken from now on and runs once it is started.
    pub fn task(&'static self) -> TaskHandle {
        let cell = Cell {
            id: self.next_task.fetch_add(1, Relaxed),
            woken: AtomicBool::new(false),
            body: Mutex::new(None),
            last_thread: AtomicUsize::new(usize::MAX),
        };
        TaskHandle {
            cell: Arc::new(cell),
            pool: self,
        }
    }

    /// Number of threads that run tasks now.
    pub fn threads(&self) -> usize {
        self.lock().threads.len()
    }

    fn add_thread(&'static self, state: &mut State) -> std::io::Result<()> {
        let id = state.next_thread;
        state.next_thread += 1;
        let busy_since = Arc::new(AtomicU64::new(0));
        state.threads.insert(id, Arc::clone(&busy_since));
        let thread = std::thread::Builder::new().name(format!("{}-{id}", self.name));
        let started = thread.spawn(move || self.serve(id, &busy_since));
        if started.is_err() {
            state.threads.remove(&id);
        }
        started.map(|_| ())
    }

    /// Puts a parked task into the queue.
    fn activate(&self, cell: &Arc<Cell>) {
        let mut state = self.lock();
        if let Some(Some(_)) = state.tasks.get(&cell.id) {
            self.enqueue(&mut state, Arc::clone(cell));
        }
    }

    fn enqueue(&self, state: &mut State, cell: Arc<Cell>) {
        if let Some(Some(deadline)) = state.tasks.insert(cell.id, None) {
            state.timers.remove(&(deadline, cell.id));
        }
        let last_thread = cell.last_thread.load(Relaxed);
        state.queue.push_back(cell);
        self.queued.store(state.queue.len(), Relaxed);
        let position = state.idle.iter().position(|(id, _)| *id == last_thread);
        let chosen = match position {
            Some(position) => Some(state.idle.remove(position)),
            None => state.idle.pop(),
        };
        match chosen {
            Some((_, thread)) => thread.unpark(),
            // All threads are in a turn: the monitor finds out whether that lasts.
            None => self.monitor.notify_one(),
        }
    }

    /// A thread's life.
    fn serve(&self, thread: usize, busy_since: &AtomicU64) {
        let mut state = self.lock();
        loop {
            if let Some(cell) = state.queue.pop_front() {
                self.queued.store(state.queue.len(), Relaxed);
                drop(state);
                cell.last_thread.store(thread, Relaxed);
                let turn = self.run(&cell, busy_since);
                state = self.lock();
                self.settle(&mut state, cell, turn);
                continue;
            }
            if state.threads.len() > state.target {
                state.threads.remove(&thread);
                return;
            }
            state.idle.push((thread, std::thread::current()));
            while state.idle.iter().any(|(id, _)| *id == thread) {
                drop(state);
                std::thread::park();
                state = self.lock();
            }
        }
    }

    /// Gives a task turns until it waits, or until it had its slice and others wait.
    fn run(&self, cell: &Cell, busy_since: &AtomicU64) -> Turn {
        let mut body = lock(&cell.body);
        let Some(task) = body.as_mut() else {
            return Turn::Done;
        };
        let started = now();
        loop {
            let now = self.epoch.elapsed().as_millis();
            busy_since.store(u64::try_from(now).unwrap_or(u64::MAX - 1) + 1, Relaxed);
            cell.woken.store(false, SeqCst);
            let turn = catch_unwind(AssertUnwindSafe(|| task.turn()));
            busy_since.store(0, Relaxed);
            // Tasks catch what they can report. One that panics all the same must not take the thread with it.
            let turn = turn.unwrap_or(Turn::Done);
            let is_due = turn == Turn::Again || (turn != Turn::Done && cell.woken.load(SeqCst));
            if !is_due {
                if turn == Turn::Done {
                    // What it holds goes before those who wait for its end go on.
                    let ended = body.take();
                    drop(catch_unwind(AssertUnwindSafe(|| drop(ended))));
                }
                return turn;
            }
            if self.queued.load(Relaxed) > 0 && started.elapsed() >= SLICE {
                return Turn::Again;
            }
        }
    }

    fn settle(&self, state: &mut State, cell: Arc<Cell>, turn: Turn) {
        match turn {
            Turn::Again => self.requeue(state, cell),
            Turn::Done => {
                state.tasks.remove(&cell.id);
                self.done.notify_all();
            }
            // The wake-up came between the turn and the lock.
            Turn::Wait(_) if cell.woken.load(SeqCst) => self.requeue(state, cell),
            Turn::Wait(wait) => {
                let deadline = now() + wait;
                let is_first = state
                    .timers
                    .keys()
                    .next()
                    .is_none_or(|(first, _)| deadline < *first);
                state.tasks.insert(cell.id, Some(deadline));
                state.timers.insert((deadline, cell.id), cell);
                if is_first {
                    self.monitor.notify_one();
                }
            }
        }
    }

    /// Queues a task for the thread that calls, which looks at the queue next.
    fn requeue(&self, state: &mut State, cell: Arc<Cell>) {
        state.queue.push_back(cell);
        self.queued.store(state.queue.len(), Relaxed);
    }

    /// The monitor's life: fires timers, and adds threads for blocked ones.
    fn watch(&'static self) {
        let mut state = self.lock();
        loop {
            let now = now();
            while let Some(entry) = state.timers.first_entry()
                && entry.key().0 <= now
            {
                let cell = entry.remove();
                self.enqueue(&mut state, cell);
            }
            if !state.queue.is_empty() && state.idle.is_empty() && self.all_blocked(&state) {
                // Without a thread more the tasks wait until one comes back.
                let _ = self.add_thread(&mut state);
            }
            let until_timer = state
                .timers
                .keys()
                .next()
                .map(|(first, _)| first.duration_since(now));
            let until_look = (!state.queue.is_empty()).then_some(BLOCKED_AFTER);
            let wait = [until_timer, until_look].into_iter().flatten().min();
            state = match wait {
                Some(wait) => {
                    let waited = self.monitor.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.monitor.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn all_blocked(&self, state: &State) -> bool {
        if state.threads.len() >= state.target + POOL_EXTRA_THREADS_MAX {
            return false;
        }
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let limit = u64::try_from(BLOCKED_AFTER.as_millis()).unwrap_or(u64::MAX);
        let mut since = state.threads.values().map(|since| since.load(Relaxed));
        since.all(|since| since > 0 && now.saturating_sub(since - 1) >= limit)
    }
}
