//! The production driver: workers are tasks on the threads that all jobs share, parked when there is nothing to do.
//!
//! A worker that fails or panics reports it and ends; the process and other jobs go on. The caller reads
//! their events and sends commands; the driver itself decides nothing.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use millstream_types::{Clock, ErrorKind};

use crate::control::{Command, EventSink, RestoredState, WorkerEvent};
use crate::deploy::{WorkerParts, WorkerPlan, deploy};
use crate::graph::Graph;
use crate::metrics::JobMetrics;
use crate::operator::DataflowError;
use crate::pool::{Pool, PoolTask, TaskHandle, Turn};
use crate::source::Waker;
use crate::worker::{StepOutcome, Worker};

/// Longest time that a worker is parked: its metrics are brought up to date that often.
const PARK_MS_MAX: i64 = 1000;

/// The running workers of one execution of a job.
pub struct ThreadedJob {
    commands: Vec<Sender<Command>>,
    tasks: Vec<TaskHandle>,
    metrics: JobMetrics,
}

impl ThreadedJob {
    /// Starts the workers of a graph. Events of all workers go to `events`.
    pub fn start(
        graph: &Graph,
        clock: &Arc<dyn Clock>,
        restore: Option<&Arc<RestoredState>>,
        events: &EventSink,
    ) -> Result<Self, DataflowError> {
        let pool = Pool::workers();
        pool.grow_to(graph.workers()).map_err(|error| {
            let message = format!("cannot start a thread: {error}; lower 'parallelism.default'");
            DataflowError::new(ErrorKind::Environment, message)
        })?;
        let tasks: Vec<TaskHandle> = (0..graph.workers()).map(|_| pool.task()).collect();
        let wakers: Vec<Waker> = tasks.iter().map(waker_of).collect();
        let (plans, metrics) = deploy(graph, &wakers)?;
        let mut job = Self {
            commands: Vec::new(),
            tasks: Vec::new(),
            metrics,
        };
        for (plan, task) in plans.into_iter().zip(tasks) {
            let (sender, commands) = channel();
            let parts = WorkerParts {
                commands,
                events: events.clone(),
                clock: Arc::clone(clock),
                restore: restore.cloned(),
            };
            job.commands.push(sender);
            task.start(WorkerTask::new(plan, parts));
            job.tasks.push(task);
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
        for (sender, task) in self.commands.iter().zip(&self.tasks) {
            // A worker that ended takes no commands and needs none.
            let _ = sender.send(command.clone());
            task.wake();
        }
    }

    /// Closes the workers and waits for their end.
    pub fn close(mut self) {
        self.close_and_join();
    }

    fn close_and_join(&mut self) {
        self.command(&Command::Close);
        for task in self.tasks.drain(..) {
            task.join();
        }
    }
}

impl Drop for ThreadedJob {
    fn drop(&mut self) {
        self.close_and_join();
    }
}

fn waker_of(task: &TaskHandle) -> Waker {
    let task = task.clone();
    Waker::new(move || task.wake())
}

/// A worker and its way from plan to end.
struct WorkerTask {
    index: usize,
    events: EventSink,
    clock: Arc<dyn Clock>,
    life: Life,
}

enum Life {
    Planned(Box<(WorkerPlan, WorkerParts)>),
    Running(Box<Worker>),
    Over,
}

impl WorkerTask {
    fn new(plan: WorkerPlan, parts: WorkerParts) -> Self {
        Self {
            index: plan.index(),
            events: parts.events.clone(),
            clock: Arc::clone(&parts.clock),
            life: Life::Planned(Box::new((plan, parts))),
        }
    }

    /// Builds the worker, or steps it; how long it can wait then, `None` once it was closed.
    fn advance(&mut self) -> Result<Option<Turn>, DataflowError> {
        match std::mem::replace(&mut self.life, Life::Over) {
            Life::Planned(planned) => {
                let (plan, parts) = *planned;
                self.life = Life::Running(Box::new(catching(|| plan.build(parts))?));
                Ok(Some(Turn::Again))
            }
            Life::Running(mut worker) => {
                let outcome = catching(|| worker.step());
                self.life = Life::Running(worker);
                Ok(match outcome? {
                    StepOutcome::Progress => Some(Turn::Again),
                    StepOutcome::Closed => None,
                    StepOutcome::Waiting { until_ms } => Some(self.wait_until(until_ms)),
                })
            }
            Life::Over => Ok(None),
        }
    }

    fn wait_until(&self, until_ms: Option<i64>) -> Turn {
        let now_ms = self.clock.now_ms();
        let wait_ms = until_ms.map_or(PARK_MS_MAX, |until| until.saturating_sub(now_ms));
        let wait_ms = if wait_ms < PARK_MS_MAX {
            wait_ms
        } else {
            // Workers of many idle jobs wake together: at most one wake-up a second for each thread.
            PARK_MS_MAX - now_ms.rem_euclid(PARK_MS_MAX)
        };
        match u64::try_from(wait_ms) {
            Ok(wait_ms) if wait_ms > 0 => Turn::Wait(Duration::from_millis(wait_ms)),
            _ => Turn::Again,
        }
    }

    fn end(&mut self, result: Result<(), DataflowError>) {
        // Tries to release what a failed worker holds outside (files, transactions).
        let closed = match std::mem::replace(&mut self.life, Life::Over) {
            Life::Running(mut worker) => catching(|| {
                worker.close();
                Ok(())
            }),
            Life::Planned(_) | Life::Over => Ok(()),
        };
        if let Err(error) = result.and(closed) {
            let worker = self.index;
            self.events.send(WorkerEvent::Failed { worker, error });
        }
        self.events.send(WorkerEvent::Closed { worker: self.index });
    }
}

impl PoolTask for WorkerTask {
    fn turn(&mut self) -> Turn {
        let result = match self.advance() {
            Ok(Some(turn)) => return turn,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        self.end(result);
        Turn::Done
    }
}

/// Runs `body`; a panic becomes an error.
pub(crate) fn catching<T>(body: impl FnOnce() -> Result<T, DataflowError>) -> Result<T, DataflowError> {
    // The state that `body` may leave inconsistent belongs to a worker that is discarded.
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
