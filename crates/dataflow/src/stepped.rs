//! The driver for tests and simulation: all workers on the caller's thread, under the caller's clock.
//!
//! It runs the same workers as a threaded run, stepped in order of their numbers. The same graph, input and times give
//! the same output byte for byte: nothing here reads a clock or races.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use millstream_types::ManualClock;

use crate::control::{Command, EventSink, RestoredState, WorkerEvent};
use crate::deploy::{WorkerParts, deploy};
use crate::graph::Graph;
use crate::metrics::JobMetrics;
use crate::operator::DataflowError;
use crate::source::Waker;
use crate::threaded::catching;
use crate::worker::{StepOutcome, Worker};

/// A job that moves only when stepped.
pub struct SteppedJob {
    workers: Vec<Worker>,
    commands: Vec<Sender<Command>>,
    events: Receiver<WorkerEvent>,
    clock: ManualClock,
    metrics: JobMetrics,
}

impl SteppedJob {
    pub fn start(
        graph: &Graph,
        now_ms: i64,
        restore: Option<Arc<RestoredState>>,
    ) -> Result<Self, DataflowError> {
        let clock = ManualClock::new(now_ms);
        // Every step polls everything, so no waker is needed.
        let wakers: Vec<Waker> = (0..graph.workers()).map(|_| Waker::new(|| {})).collect();
        let (plans, metrics) = deploy(graph, &wakers)?;
        let (event_sender, events) = channel();
        let reported = EventSink::new(move |event| _ = event_sender.send(event));
        let (mut workers, mut senders) = (Vec::new(), Vec::new());
        for plan in plans {
            let (sender, commands) = channel();
            let parts = WorkerParts {
                commands,
                events: reported.clone(),
                clock: Arc::new(clock.clone()),
                restore: restore.clone(),
            };
            workers.push(catching(|| plan.build(parts))?);
            senders.push(sender);
        }
        Ok(Self {
            workers,
            commands: senders,
            events,
            clock,
            metrics,
        })
    }

    /// Runs one step of every worker at this time.
    pub fn step(&mut self, now_ms: i64) -> Result<StepOutcome, DataflowError> {
        self.clock.set(now_ms);
        let (mut progress, mut closed, mut wake) = (false, true, None);
        for worker in &mut self.workers {
            let outcome = catching(|| worker.step())?;
            closed &= outcome == StepOutcome::Closed;
            progress |= outcome == StepOutcome::Progress;
            if let StepOutcome::Waiting { until_ms } = outcome {
                wake = [wake, until_ms].into_iter().flatten().min();
            }
        }
        Ok(match (closed, progress) {
            (true, _) => StepOutcome::Closed,
            (false, true) => StepOutcome::Progress,
            (false, false) => StepOutcome::Waiting { until_ms: wake },
        })
    }

    /// Steps until nothing is left to do at this time.
    pub fn run(&mut self, now_ms: i64) -> Result<StepOutcome, DataflowError> {
        loop {
            let outcome = self.step(now_ms)?;
            if outcome != StepOutcome::Progress {
                return Ok(outcome);
            }
        }
    }

    /// Sends a command to all workers, which execute it in the next step.
    pub fn command(&self, command: &Command) {
        for sender in &self.commands {
            // The worker lives as long as `self`, so sending cannot fail.
            let _ = sender.send(command.clone());
        }
    }

    /// Events reported since the last call, in order.
    pub fn events(&self) -> Vec<WorkerEvent> {
        self.events.try_iter().collect()
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    pub fn metrics(&self) -> &JobMetrics {
        &self.metrics
    }
}
