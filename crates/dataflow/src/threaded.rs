//! The driver for real: a thread for each worker, parked when there is nothing to do.
//!
//! A worker that fails or panics reports it and ends; the process and other jobs go on. Whoever started the workers
//! reads their events and sends commands; the driver itself decides nothing.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use millstream_types::{Clock, ErrorKind};

use crate::control::{Command, EventSink, RestoredState, WorkerEvent};
use crate::deploy::{WorkerParts, WorkerPlan, deploy};
use crate::graph::Graph;
use crate::metrics::JobMetrics;
use crate::operator::DataflowError;
use crate::source::Waker;
use crate::worker::{StepOutcome, Worker};

/// Longest time that a worker is parked: its metrics are brought up to date that often.
const PARK_MS_MAX: i64 = 1000;

/// Something to wait on that remembers a wake-up that came early.
#[derive(Debug, Default)]
pub struct Parker {
    woken: std::sync::atomic::AtomicBool,
    parked: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    /// Lets the parked thread go on, or the next `park` return at once.
    pub fn wake(&self) {
        use std::sync::atomic::Ordering::SeqCst;
        if self.woken.swap(true, SeqCst) {
            return;
        }
        let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        if *parked {
            self.changed.notify_one();
        }
    }

    /// Waits for a wake-up, at most `timeout`.
    pub fn park(&self, timeout: Duration) {
        use std::sync::atomic::Ordering::SeqCst;
        if self.woken.swap(false, SeqCst) {
            return;
        }
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        *parked = true;
        let still = |_: &mut bool| !self.woken.load(SeqCst);
        let waited = self.changed.wait_timeout_while(parked, timeout, still);
        let (mut parked, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *parked = false;
        self.woken.store(false, SeqCst);
    }
}

/// The running workers of one execution of a job.
pub struct ThreadedJob {
    commands: Vec<Sender<Command>>,
    parkers: Vec<Arc<Parker>>,
    threads: Vec<JoinHandle<()>>,
    metrics: JobMetrics,
}

impl ThreadedJob {
    /// Starts the workers of a graph. Events of all workers go to `events`; `name` names the threads.
    pub fn start(
        name: &str,
        graph: &Graph,
        clock: Arc<dyn Clock>,
        restore: Option<Arc<RestoredState>>,
        events: EventSink,
    ) -> Result<Self, DataflowError> {
        let parkers: Vec<Arc<Parker>> = (0..graph.workers()).map(|_| Arc::default()).collect();
        let wakers: Vec<Waker> = parkers.iter().map(waker_of).collect();
        let (plans, metrics) = deploy(graph, &wakers)?;
        let mut job = Self {
            commands: Vec::new(),
            parkers: parkers.clone(),
            threads: Vec::new(),
            metrics,
        };
        for (plan, parker) in plans.into_iter().zip(parkers) {
            let (sender, commands) = channel();
            let parts = WorkerParts {
                commands,
                events: events.clone(),
                clock: Arc::clone(&clock),
                restore: restore.clone(),
            };
            let thread_name = thread_name(name, plan.index());
            let thread = std::thread::Builder::new().name(thread_name);
            let started = thread.spawn(move || run_worker(plan, parts, &parker));
            let started = started.map_err(|error| {
                let message = format!("cannot start a thread: {error}; lower 'parallelism.default'");
                DataflowError::new(ErrorKind::Environment, message)
            });
            job.commands.push(sender);
            job.threads.push(started?);
        }
        Ok(job)
    }

    pub fn workers(&self) -> usize {
        self.commands.len()
    }

    pub fn metrics(&self) -> &JobMetrics {
        &self.metrics
    }

    /// Sends a command to all workers.
    pub fn command(&self, command: &Command) {
        for (sender, parker) in self.commands.iter().zip(&self.parkers) {
            // A worker that ended takes no commands and needs none.
            let _ = sender.send(command.clone());
            parker.wake();
        }
    }

    /// Closes the workers and waits for their threads.
    pub fn close(mut self) {
        self.close_and_join();
    }

    fn close_and_join(&mut self) {
        self.command(&Command::Close);
        for thread in self.threads.drain(..) {
            // A panic was caught and reported inside.
            let _ = thread.join();
        }
    }
}

impl Drop for ThreadedJob {
    fn drop(&mut self) {
        self.close_and_join();
    }
}

/// Names of jobs are the user's; a thread's name must not hold a zero byte.
fn thread_name(job: &str, worker: usize) -> String {
    format!("{}-{worker}", job.replace('\0', "?"))
}

fn waker_of(parker: &Arc<Parker>) -> Waker {
    let parker = Arc::clone(parker);
    Waker::new(move || parker.wake())
}

fn run_worker(plan: WorkerPlan, parts: WorkerParts, parker: &Parker) {
    let worker = plan.index();
    let events = parts.events.clone();
    let clock = Arc::clone(&parts.clock);
    let result = catching(|| {
        let mut running = plan.build(parts)?;
        let result = catching(|| step_until_closed(&mut running, clock.as_ref(), parker));
        // What a failed worker held outside (files, transactions) is given up in an orderly way if that still works.
        let closed = catching(|| {
            running.close();
            Ok(())
        });
        result.and(closed)
    });
    if let Err(error) = result {
        events.send(WorkerEvent::Failed { worker, error });
    }
    events.send(WorkerEvent::Closed { worker });
}

fn step_until_closed(worker: &mut Worker, clock: &dyn Clock, parker: &Parker) -> Result<(), DataflowError> {
    loop {
        match worker.step()? {
            StepOutcome::Progress => {}
            StepOutcome::Closed => return Ok(()),
            StepOutcome::Waiting { until_ms } => {
                let wait_ms = until_ms.map_or(PARK_MS_MAX, |until| until.saturating_sub(clock.now_ms()));
                let wait_ms = u64::try_from(wait_ms.clamp(0, PARK_MS_MAX)).unwrap_or(0);
                parker.park(Duration::from_millis(wait_ms));
            }
        }
    }
}

/// Runs `body`; a panic becomes an error.
pub(crate) fn catching<T>(body: impl FnOnce() -> Result<T, DataflowError>) -> Result<T, DataflowError> {
    // What `body` leaves half done belongs to a worker that is given up.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(DataflowError::internal(format!(
            "a worker panicked: {}",
            panic_message(panic.as_ref())
        )))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
