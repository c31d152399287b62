//! A worker: one instance of a whole pipeline, run by one thread at a time.
//!
//! It owns one instance of each task (as far as parallelism reaches), steps them in the order of the data flow, carries
//! out the coordinator's commands between steps and reports back. It does not wait and starts no threads: a driver
//! calls [`Worker::step`] and parks when there was nothing to do, or steps by hand under a clock of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;

use millstream_state::SnapshotScope;
use millstream_types::{CheckpointId, Clock, ErrorKind, failpoint};

use crate::chain::{Collected, SinkStage, Stage};
use crate::control::{Command, EventSink, WorkerEvent};
use crate::memory::{WorkerMemory, readable};
use crate::metrics::{LoadState, load_window_is_over};
use crate::operator::DataflowError;
use crate::task::{Barriers, Head, Task};

/// What a step of a worker was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepOutcome {
    /// There may be more to do at once.
    Progress,
    /// Nothing to do before a waker is called, or this time comes.
    Waiting { until_ms: Option<i64> },
    /// The worker was closed.
    Closed,
}

/// See the module's documentation.
pub struct Worker {
    index: usize,
    tasks: Vec<Task>,
    commands: Receiver<Command>,
    events: EventSink,
    clock: Arc<dyn Clock>,
    checkpointing: Checkpointing,
    /// The newest checkpoint that was triggered here.
    announced: Option<CheckpointId>,
    /// Checkpoints whose output is being committed.
    committing: Vec<CheckpointId>,
    finished_reported: bool,
    sinks_ended_reported: bool,
    closed: bool,
    last_ms: i64,
    load_window_start_ms: i64,
    memory: WorkerMemory,
    /// Operators may move state to disk.
    can_spill: bool,
    /// Reports in a row that were over the limit.
    reports_over_limit: u32,
    /// The state of the process has outgrown its memory.
    over_limit: Option<DataflowError>,
}

/// State moves to disk when an operator gets its next batch, so one report over the limit does not mean that it cannot.
const REPORTS_TOLERATED: u32 = 5;

/// Snapshots of the checkpoint that is under way.
#[derive(Default)]
struct Checkpointing {
    /// The newest durable checkpoint.
    base: Option<CheckpointId>,
    round: Option<Round>,
}

struct Round {
    checkpoint: CheckpointId,
    collected: Collected,
    tasks_done: usize,
}

impl Barriers for Checkpointing {
    fn reached(&mut self, checkpoint: CheckpointId) -> Option<(SnapshotScope, &mut Collected)> {
        if self
            .round
            .as_ref()
            .is_none_or(|round| round.checkpoint < checkpoint)
        {
            self.round = Some(Round {
                checkpoint,
                collected: Collected::default(),
                tasks_done: 0,
            });
        }
        let scope = SnapshotScope {
            checkpoint,
            base: self.base,
        };
        let round = self
            .round
            .as_mut()
            .filter(|round| round.checkpoint == checkpoint)?;
        round.tasks_done += 1;
        Some((scope, &mut round.collected))
    }
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        tasks: Vec<Task>,
        commands: Receiver<Command>,
        events: EventSink,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let now_ms = clock.now_ms();
        Self {
            index,
            tasks,
            commands,
            events,
            clock,
            checkpointing: Checkpointing::default(),
            announced: None,
            committing: Vec::new(),
            finished_reported: false,
            sinks_ended_reported: false,
            closed: false,
            last_ms: now_ms,
            load_window_start_ms: now_ms,
            memory: WorkerMemory::new(None),
            can_spill: false,
            reports_over_limit: 0,
            over_limit: None,
        }
    }

    /// Sets the most bytes of state of the process; without a limit that of the process holds.
    pub(crate) fn limit_memory(&mut self, limit: Option<usize>, can_spill: bool) {
        self.memory = WorkerMemory::new(limit);
        self.can_spill = can_spill;
    }

    /// Does what can be done now.
    pub fn step(&mut self) -> Result<StepOutcome, DataflowError> {
        self.account(None);
        if let Some(error) = self.over_limit.take() {
            return Err(error);
        }
        let mut progress = self.obey()?;
        if self.closed {
            return Ok(StepOutcome::Closed);
        }
        for index in 0..self.tasks.len() {
            let now_ms = self.last_ms;
            let task = &mut self.tasks[index];
            let state = task.step(now_ms, &mut self.checkpointing)?;
            if state == LoadState::Busy {
                progress = true;
                self.account(Some(index));
            }
            self.snapshot_if_finished(index)?;
        }
        progress |= self.poll_sinks()?;
        self.acknowledge();
        self.report_finished();
        self.report_sinks_ended()?;
        if progress {
            return Ok(StepOutcome::Progress);
        }
        let until_ms = self.tasks.iter().filter_map(Task::next_wake).min();
        Ok(StepOutcome::Waiting { until_ms })
    }

    /// Gives the time since the last call to the tasks: to `running` as busy, to others by their state.
    fn account(&mut self, running: Option<usize>) {
        let now_ms = self.clock.now_ms();
        // Time may be set back; the engine's time does not go back with it.
        let elapsed = u64::try_from(now_ms.saturating_sub(self.last_ms)).unwrap_or(0);
        if elapsed == 0 {
            return;
        }
        self.last_ms = now_ms;
        for (index, task) in self.tasks.iter().enumerate() {
            let is_running = running == Some(index);
            let waits = if task.state == LoadState::Backpressured {
                task.state
            } else {
                LoadState::Idle
            };
            task.load
                .add(if is_running { LoadState::Busy } else { waits }, elapsed);
        }
        if let Some(window_ms) = load_window_is_over(self.load_window_start_ms, now_ms) {
            self.load_window_start_ms = now_ms;
            for task in &self.tasks {
                task.load.roll(window_ms);
                task.publish_metrics();
            }
            self.report_memory();
        }
    }

    /// Reports the bytes of state that were published just now.
    fn report_memory(&mut self) {
        let mut operators: Vec<(usize, Arc<str>)> = Vec::new();
        for stage in self.tasks.iter().flat_map(|task| &task.stages) {
            stage.each_operator(&mut |metrics| {
                let bytes = usize::try_from(metrics.state_bytes.load(Relaxed)).unwrap_or(usize::MAX);
                operators.push((bytes, Arc::clone(&metrics.name)));
            });
        }
        let total = operators.iter().map(|(bytes, _)| bytes).sum();
        let Some(over) = self.memory.report(total) else {
            self.reports_over_limit = 0;
            return;
        };
        self.reports_over_limit += 1;
        if self.can_spill && self.reports_over_limit < REPORTS_TOLERATED {
            return;
        }
        let largest = operators.into_iter().max();
        let (bytes, name) = largest.unwrap_or_else(|| (0, "".into()));
        let message = format!(
            "the state of all jobs takes {} in memory, more than the {} of 'millstream.memory.size'; operator '{name}' of this job \
             holds {} in one instance that cannot be moved to disk. Bound it with a window, 'table.exec.state.ttl' or a STATE_TTL hint, or raise the \
             setting",
            readable(over.held_bytes),
            readable(over.limit_bytes),
            readable(bytes),
        );
        self.over_limit = Some(DataflowError::new(ErrorKind::Input, message));
    }

    /// Carries out the commands that came; returns whether there were any.
    fn obey(&mut self) -> Result<bool, DataflowError> {
        let mut any = false;
        while let Ok(command) = self.commands.try_recv() {
            any = true;
            match command {
                Command::Trigger { checkpoint, stop } => self.trigger(checkpoint, stop)?,
                Command::Completed { checkpoint, is_base } => self.complete(checkpoint, is_base)?,
                Command::Drain => {
                    let now_ms = self.last_ms;
                    self.tasks.iter_mut().try_for_each(|task| task.drain(now_ms))?;
                }
                Command::Cancel => {
                    self.for_each_sink(|sink| {
                        sink.sink.cancel();
                        Ok(())
                    })?;
                    self.close();
                    return Ok(true);
                }
                Command::Close => {
                    self.close();
                    return Ok(true);
                }
            }
        }
        Ok(any)
    }

    fn trigger(&mut self, checkpoint: CheckpointId, stop: bool) -> Result<(), DataflowError> {
        self.announced = Some(checkpoint);
        let now_ms = self.last_ms;
        for task in &mut self.tasks {
            if task.is_source() || task.finished {
                task.snapshot(checkpoint, now_ms, &mut self.checkpointing)?;
            }
            if task.is_source() {
                failpoint::hit("source-positions-frozen");
            }
            if let Head::Source(head) = &mut task.head {
                head.stopped |= stop;
            }
        }
        Ok(())
    }

    /// A task that ended before the barrier reached it takes its snapshot as soon as both are known.
    fn snapshot_if_finished(&mut self, index: usize) -> Result<(), DataflowError> {
        let task = &mut self.tasks[index];
        match self.announced.filter(|_| task.finished) {
            Some(checkpoint) => task.snapshot(checkpoint, self.last_ms, &mut self.checkpointing),
            None => Ok(()),
        }
    }

    fn complete(&mut self, checkpoint: CheckpointId, is_base: bool) -> Result<(), DataflowError> {
        self.checkpointing.base = is_base.then_some(checkpoint);
        self.committing.push(checkpoint);
        for task in &mut self.tasks {
            task.checkpoint_complete(checkpoint);
        }
        self.for_each_sink(|sink| {
            sink.committing.push_back(checkpoint);
            Ok(())
        })
    }

    fn for_each_sink(
        &mut self,
        mut f: impl FnMut(&mut SinkStage) -> Result<(), DataflowError>,
    ) -> Result<(), DataflowError> {
        let stages = self.tasks.iter_mut().flat_map(|task| &mut task.stages);
        stages
            .into_iter()
            .try_for_each(|stage: &mut Stage| stage.for_each_sink(&mut f))
    }

    /// Continues the background work of sinks; returns whether something completed.
    fn poll_sinks(&mut self) -> Result<bool, DataflowError> {
        let now_ms = self.last_ms;
        let mut progress = false;
        let mut uncommitted: Option<CheckpointId> = None;
        let mut round = self.checkpointing.round.take();
        let result = self.for_each_sink(|sink| {
            progress |= sink.poll_commits(now_ms)?;
            progress |= sink.poll_finished(now_ms)?;
            if let Some(round) = &mut round
                && let Some(state) = sink.poll_prepared(round.checkpoint, now_ms)?
            {
                round.collected.states.push(state);
                round.collected.preparing -= 1;
                progress = true;
            }
            let waiting = sink.committing.front().copied();
            uncommitted = [uncommitted, waiting].into_iter().flatten().min();
            Ok(())
        });
        self.checkpointing.round = round;
        result?;
        let (done, open) = std::mem::take(&mut self.committing)
            .into_iter()
            .partition(|checkpoint| uncommitted.is_none_or(|waiting| *checkpoint < waiting));
        self.committing = open;
        for checkpoint in Vec::<CheckpointId>::from_iter(done) {
            progress = true;
            self.report(WorkerEvent::Committed {
                worker: self.index,
                checkpoint,
            });
        }
        Ok(progress)
    }

    fn acknowledge(&mut self) {
        let tasks = self.tasks.len();
        let complete = |round: &Round| round.tasks_done == tasks && round.collected.preparing == 0;
        // A worker without tasks has nothing to wait for but the trigger.
        if tasks == 0 {
            if let Some(checkpoint) = self.announced.take() {
                self.report(WorkerEvent::Acknowledged {
                    worker: self.index,
                    checkpoint,
                    states: Vec::new(),
                });
            }
        } else if let Some(round) = self.checkpointing.round.take_if(|round| complete(round)) {
            let (checkpoint, states) = (round.checkpoint, round.collected.states);
            self.report(WorkerEvent::Acknowledged {
                worker: self.index,
                checkpoint,
                states,
            });
            failpoint::hit("worker-acknowledged");
        }
    }

    fn report_finished(&mut self) {
        if self.finished_reported || !self.tasks.iter().all(|task| task.finished) {
            return;
        }
        let mut flushed = true;
        let result = self.for_each_sink(|sink| {
            flushed &= sink.flushed;
            Ok(())
        });
        if result.is_ok() && flushed {
            self.finished_reported = true;
            self.tasks.iter().for_each(Task::publish_metrics);
            self.report(WorkerEvent::Finished { worker: self.index });
        }
    }

    fn report_sinks_ended(&mut self) -> Result<(), DataflowError> {
        if self.sinks_ended_reported {
            return Ok(());
        }
        let (mut sinks, mut ended) = (0, true);
        self.for_each_sink(|sink| {
            if !sink.is_side {
                sinks += 1;
                ended &= sink.flushed;
            }
            Ok(())
        })?;
        if ended {
            self.sinks_ended_reported = true;
            self.report(WorkerEvent::SinksEnded {
                worker: self.index,
                sinks,
            });
        }
        Ok(())
    }

    fn report(&self, event: WorkerEvent) {
        self.events.send(event);
    }

    /// Releases everything that sources and sinks hold.
    pub fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.tasks.iter().for_each(Task::publish_metrics);
            self.tasks.iter_mut().for_each(Task::close);
        }
    }
}
