//! A task: one source or one gate, and its chain.
//!
//! A task takes input only while the end of its chain accepts output. It never blocks: a step does what is possible now
//! and reports it, and the worker decides when to step again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_state::SnapshotScope;
use millstream_types::{CheckpointId, Element, Watermark};

use crate::chain::{Collected, Stage, StageOutput, all_ready, bytes_sent};
use crate::control::InstanceState;
use crate::gate::{GateEvent, InputGate};
use crate::metrics::{LoadMetrics, LoadState, OperatorMetrics};
use crate::operator::{Context, DataflowError};
use crate::source::{Source, SourceStatus};

/// Events that a task takes from its gate before it yields to other tasks of the worker.
const EVENTS_PER_STEP: usize = 64;

pub(crate) enum Head {
    Source(SourceHead),
    Gate(InputGate),
}

pub(crate) struct SourceHead {
    pub source: Box<dyn Source>,
    pub context: Context,
    pub metrics: Arc<OperatorMetrics>,
    pub status: SourceStatus,
    pub woken: Arc<AtomicBool>,
    pub idle: bool,
    /// Nothing is read after the barrier of a last checkpoint.
    pub stopped: bool,
}

pub(crate) struct Task {
    pub head: Head,
    pub stages: Vec<Stage>,
    pub load: Arc<LoadMetrics>,
    pub state: LoadState,
    /// All input was read, and the end was passed downstream.
    pub finished: bool,
    pub last_snapshot: Option<CheckpointId>,
}

/// Receives the barriers that a task reaches during a step.
pub(crate) trait Barriers {
    /// The task reached the barrier. Returns the scope of the snapshot and where to collect it.
    fn reached(&mut self, checkpoint: CheckpointId) -> Option<(SnapshotScope, &mut Collected)>;
}

impl Task {
    /// Does some work and reports barriers to `barriers`.
    pub fn step(&mut self, now_ms: i64, barriers: &mut dyn Barriers) -> Result<LoadState, DataflowError> {
        let timers_fired = self.fire_timers(now_ms)?;
        let state = if self.finished {
            LoadState::Idle
        } else {
            self.work(now_ms, barriers)?
        };
        self.state = if timers_fired && state == LoadState::Idle {
            LoadState::Busy
        } else {
            state
        };
        Ok(self.state)
    }

    /// The sinks of a task whose input has ended may still be flushing and may have timers.
    fn fire_timers(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        let is_due = self.next_timer().is_some_and(|due| due <= now_ms);
        if is_due {
            self.stages
                .iter_mut()
                .try_for_each(|stage| stage.fire_timers(now_ms))?;
        }
        Ok(is_due)
    }

    fn work(&mut self, now_ms: i64, barriers: &mut dyn Barriers) -> Result<LoadState, DataflowError> {
        if !all_ready(&mut self.stages, now_ms)? {
            return Ok(LoadState::Backpressured);
        }
        let worked = match &mut self.head {
            Head::Source(_) => self.poll_source(now_ms)?,
            Head::Gate(_) => self.drain_gate(now_ms, barriers)?,
        };
        Ok(if worked { LoadState::Busy } else { LoadState::Idle })
    }

    fn poll_source(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        let Head::Source(head) = &mut self.head else {
            return Ok(false);
        };
        if !head.is_due(now_ms) {
            return Ok(false);
        }
        head.context.now_ms = now_ms;
        let mut out = StageOutput {
            next: &mut self.stages,
            metrics: &head.metrics,
            now_ms,
        };
        head.status = head.source.poll(&head.context, &mut out)?;
        match head.status {
            SourceStatus::Finished => {
                self.end_source(now_ms)?;
                Ok(true)
            }
            SourceStatus::Ready | SourceStatus::Pending { .. } => {
                let idle = head.source.is_idle(&head.context);
                if idle != head.idle {
                    head.idle = idle;
                    let element = if idle { Element::Idle } else { Element::Active };
                    self.stages.iter_mut().for_each(|stage| stage.status(&element));
                }
                Ok(head.status == SourceStatus::Ready)
            }
        }
    }

    /// Ends a source before it has read everything.
    pub fn drain(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        match &mut self.head {
            Head::Source(head) if !self.finished => head.status = SourceStatus::Finished,
            Head::Source(_) | Head::Gate(_) => return Ok(()),
        }
        self.end_source(now_ms)
    }

    fn end_source(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        self.finished = true;
        self.stages
            .iter_mut()
            .try_for_each(|stage| stage.watermark(Watermark::MAX, now_ms))?;
        self.stages.iter_mut().try_for_each(|stage| stage.end(now_ms))
    }

    fn drain_gate(&mut self, now_ms: i64, barriers: &mut dyn Barriers) -> Result<bool, DataflowError> {
        let mut worked = false;
        for _ in 0..EVENTS_PER_STEP {
            let Head::Gate(gate) = &mut self.head else {
                return Ok(worked);
            };
            let Some(event) = gate.next()? else {
                return Ok(worked);
            };
            worked = true;
            self.handle(event, now_ms, barriers)?;
            if self.finished || !all_ready(&mut self.stages, now_ms)? {
                return Ok(true);
            }
        }
        Ok(worked)
    }

    fn handle(
        &mut self,
        event: GateEvent,
        now_ms: i64,
        barriers: &mut dyn Barriers,
    ) -> Result<(), DataflowError> {
        // A task with a gate has at least one stage: its root.
        let Some(root) = self.stages.first_mut() else {
            return Ok(());
        };
        match event {
            GateEvent::Batch { port, batch } => root.batch(port, batch, now_ms),
            GateEvent::Records { port, records } => root.records(port, records, now_ms),
            GateEvent::Watermark(watermark) => root.watermark(watermark, now_ms),
            GateEvent::Active => {
                root.status(&Element::Active);
                Ok(())
            }
            GateEvent::Idle => {
                root.status(&Element::Idle);
                Ok(())
            }
            GateEvent::EndOfPort(port) => root.finish_port(port, now_ms),
            GateEvent::EndOfInput => {
                self.finished = true;
                root.end(now_ms)
            }
            GateEvent::Barrier(checkpoint) => self.snapshot(checkpoint, now_ms, barriers),
        }
    }

    /// Takes the snapshots of the whole chain, unless it did so for this or a newer checkpoint.
    pub fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        now_ms: i64,
        barriers: &mut dyn Barriers,
    ) -> Result<(), DataflowError> {
        if self.last_snapshot.is_some_and(|last| checkpoint <= last) {
            return Ok(());
        }
        self.last_snapshot = Some(checkpoint);
        let Some((scope, collected)) = barriers.reached(checkpoint) else {
            return Ok(());
        };
        if let Head::Source(head) = &mut self.head {
            collected.states.push(head.snapshot()?);
        }
        self.stages
            .iter_mut()
            .try_for_each(|stage| stage.barrier(&scope, now_ms, collected))
    }

    pub fn is_source(&self) -> bool {
        matches!(self.head, Head::Source(_))
    }

    pub fn next_timer(&self) -> Option<i64> {
        self.stages.iter().filter_map(Stage::next_timer).min()
    }

    /// When the task needs a step even without an external event.
    pub fn next_wake(&self) -> Option<i64> {
        let poll = match &self.head {
            // A backpressured source is polled when the credit wakes its worker.
            Head::Source(_) if self.state == LoadState::Backpressured => None,
            Head::Source(head) if !self.finished && !head.stopped => match head.status {
                SourceStatus::Pending { until_ms } => until_ms,
                SourceStatus::Ready | SourceStatus::Finished => None,
            },
            _ => None,
        };
        [poll, self.next_timer()].into_iter().flatten().min()
    }

    pub fn checkpoint_complete(&mut self, checkpoint: CheckpointId) {
        if let Head::Source(head) = &mut self.head {
            head.source.checkpoint_complete(checkpoint);
        }
    }

    pub fn publish_metrics(&self) {
        match &self.head {
            Head::Source(head) => {
                head.metrics.see_pending_records(head.source.pending_records());
                head.metrics.see_notice(head.source.notice());
                head.metrics.bytes_in.store(head.source.bytes_read(), Relaxed);
                head.metrics.bytes_out.store(bytes_sent(&self.stages), Relaxed);
            }
            Head::Gate(gate) => {
                let root = self.stages.first().and_then(Stage::metrics);
                if let Some(metrics) = root {
                    metrics.bytes_in.store(gate.bytes_received(), Relaxed);
                }
            }
        }
        self.stages.iter().for_each(Stage::publish_metrics);
    }

    pub fn close(&mut self) {
        if let Head::Source(head) = &mut self.head {
            head.source.close();
        }
        self.stages.iter_mut().for_each(Stage::close);
    }
}

impl SourceHead {
    fn is_due(&self, now_ms: i64) -> bool {
        if self.stopped {
            return false;
        }
        // Takes the flag before polling, so that a wake-up during the poll is not lost.
        let woken = self.woken.swap(false, Ordering::SeqCst);
        match self.status {
            SourceStatus::Ready => true,
            SourceStatus::Pending { until_ms } => woken || until_ms.is_some_and(|until| until <= now_ms),
            SourceStatus::Finished => false,
        }
    }

    fn snapshot(&mut self) -> Result<InstanceState, DataflowError> {
        Ok(InstanceState {
            uid: Arc::clone(&self.metrics.uid),
            subtask: self.metrics.subtask,
            parallelism: self.context.parallelism,
            watermark: self.source.current_watermark(),
            finished: self.status == SourceStatus::Finished,
            blocks: self.source.snapshot()?,
        })
    }
}
