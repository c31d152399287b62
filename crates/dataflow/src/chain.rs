//! Fused operators: a tree of stages in which every stage hands its output straight to the next.
//!
//! One call runs a batch through a whole chain without queues. A stage with several consumers hands each a cheap copy
//! of the batch; consumers of another distribution or with several inputs end the chain in an exchange. Control
//! elements take the same path, so their order among the rows is kept everywhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use millstream_state::{SnapshotScope, StateBlocks};
use millstream_types::{Batch, CheckpointId, Element, Records, Watermark, failpoint};

use crate::control::InstanceState;
use crate::exchange::ExchangeWriter;
use crate::metrics::OperatorMetrics;
use crate::operator::{Context, DataflowError, Operator, Output};
use crate::side::LATE_ROWS;
use crate::sink::Sink;

/// One link of a chain.
pub(crate) enum Stage {
    Operator(OperatorStage),
    Sink(SinkStage),
    Exchange(ExchangeWriter),
}

pub(crate) struct OperatorStage {
    pub operator: Box<dyn Operator>,
    /// As the operator said when it was made.
    pub reads_batches: bool,
    pub context: Context,
    pub metrics: Arc<OperatorMetrics>,
    pub next: Vec<Stage>,
    /// The input ended and `finish` was called, in this run or before the restored checkpoint.
    pub finished: bool,
    /// State was restored, and no watermark has arrived since.
    pub restored: bool,
    /// Finished because the operator is done, not because its input ended. Downstream operators have seen the end.
    pub ended_early: bool,
}

pub(crate) struct SinkStage {
    pub sink: Box<dyn Sink>,
    pub context: Context,
    pub metrics: Arc<OperatorMetrics>,
    /// Checkpoints whose `prepare` was called, oldest first.
    pub preparing: VecDeque<CheckpointId>,
    /// Durable checkpoints whose output is not visible yet, oldest first.
    pub committing: VecDeque<CheckpointId>,
    /// A restored checkpoint must be committed before anything is written.
    pub recovering: bool,
    /// Takes a side output, see [`crate::SinkFactory::is_side`].
    pub is_side: bool,
    pub finished: bool,
    /// `finish` was called, and `finished` has confirmed it.
    pub flushed: bool,
}

/// Collects the snapshots of a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub states: Vec<InstanceState>,
    /// Sinks that are not prepared yet.
    pub preparing: usize,
}

/// The output of a stage: the downstream stages.
pub(crate) struct StageOutput<'a> {
    pub next: &'a mut [Stage],
    pub metrics: &'a OperatorMetrics,
    pub now_ms: i64,
}

impl Output for StageOutput<'_> {
    fn batch(&mut self, batch: Batch) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.metrics.count_out(batch.rows);
        let Some((last, others)) = self.next.split_last_mut() else {
            return Ok(());
        };
        for stage in others {
            stage.batch(0, batch.clone(), self.now_ms)?;
        }
        last.batch(0, batch, self.now_ms)
    }

    fn records(&mut self, records: Records) -> Result<(), DataflowError> {
        if records.is_empty() {
            return Ok(());
        }
        self.metrics.count_out(records.len());
        let Some(last) = self.next.iter().rposition(|stage| stage.reads(&records)) else {
            return Ok(());
        };
        for stage in &mut self.next[..last] {
            if stage.reads(&records) {
                stage.records(0, records.clone(), self.now_ms)?;
            }
        }
        self.next[last].records(0, records, self.now_ms)
    }

    fn watermark(&mut self, watermark: Watermark) -> Result<(), DataflowError> {
        self.metrics.see_output_watermark(watermark);
        self.next
            .iter_mut()
            .try_for_each(|stage| stage.watermark(watermark, self.now_ms))
    }
}

impl Stage {
    pub fn batch(&mut self, port: usize, batch: Batch, now_ms: i64) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.batch(port, batch, now_ms),
            Self::Sink(stage) => stage.batch(batch, now_ms),
            Self::Exchange(writer) => writer.batch(batch),
        }
    }

    pub fn records(&mut self, port: usize, records: Records, now_ms: i64) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.records(port, records, now_ms),
            Self::Sink(stage) => stage.records(records, now_ms),
            Self::Exchange(writer) => writer.records(records),
        }
    }

    /// Whether the stage reads these records, as opposed to those of another side output.
    fn reads(&self, records: &Records) -> bool {
        match self {
            Self::Operator(stage) => stage.operator.reads(records),
            Self::Sink(_) => records.output == 0,
            Self::Exchange(writer) => writer.reads(records),
        }
    }

    /// Drops watermarks that do not advance.
    pub fn watermark(&mut self, watermark: Watermark, now_ms: i64) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.watermark(watermark, now_ms),
            Self::Sink(stage) => stage.watermark(watermark, now_ms),
            Self::Exchange(writer) => {
                writer.watermark(watermark);
                Ok(())
            }
        }
    }

    /// `Idle` or `Active`: only exchanges need it.
    pub fn status(&mut self, element: &Element) {
        match self {
            Self::Operator(stage) => stage.next.iter_mut().for_each(|next| next.status(element)),
            Self::Sink(_) => {}
            Self::Exchange(writer) => writer.control(element),
        }
    }

    /// Snapshots this stage and all downstream stages.
    pub fn barrier(
        &mut self,
        scope: &SnapshotScope,
        now_ms: i64,
        collected: &mut Collected,
    ) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.barrier(scope, now_ms, collected),
            Self::Sink(stage) => stage.prepare(scope.checkpoint, now_ms, collected),
            Self::Exchange(writer) => {
                writer.control(&Element::Barrier(scope.checkpoint));
                Ok(())
            }
        }
    }

    pub fn finish_port(&mut self, port: usize, now_ms: i64) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.finish_port(port, now_ms),
            Self::Sink(_) | Self::Exchange(_) => Ok(()),
        }
    }

    /// The input ended: operators emit what they still hold.
    pub fn end(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.end(now_ms),
            Self::Sink(stage) => stage.end(now_ms),
            Self::Exchange(writer) => {
                writer.control(&Element::EndOfInput);
                Ok(())
            }
        }
    }

    /// Whether all downstream stages accept more rows.
    pub fn ready(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        match self {
            Self::Operator(stage) => Ok(all_ready(&mut stage.next, now_ms)? && stage.operator.ready()),
            Self::Sink(stage) => stage.ready(now_ms),
            Self::Exchange(writer) => Ok(writer.ready()),
        }
    }

    pub fn next_timer(&self) -> Option<i64> {
        match self {
            Self::Operator(stage) => stage.next_timer(),
            Self::Sink(stage) if !stage.flushed => stage.sink.next_timer(),
            Self::Sink(_) | Self::Exchange(_) => None,
        }
    }

    /// Calls the timers that are due.
    pub fn fire_timers(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        match self {
            Self::Operator(stage) => stage.fire_timers(now_ms),
            Self::Sink(stage) => stage.fire_timer(now_ms),
            Self::Exchange(_) => Ok(()),
        }
    }

    /// Calls `f` for every sink below.
    pub fn for_each_sink<E>(&mut self, f: &mut impl FnMut(&mut SinkStage) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Operator(stage) => stage.next.iter_mut().try_for_each(|next| next.for_each_sink(f)),
            Self::Sink(stage) => f(stage),
            Self::Exchange(_) => Ok(()),
        }
    }

    /// Calls `visit` for every operator of the chain.
    pub fn each_operator(&self, visit: &mut dyn FnMut(&OperatorMetrics)) {
        if let Self::Operator(stage) = self {
            visit(&stage.metrics);
            stage.next.iter().for_each(|next| next.each_operator(visit));
        }
    }

    /// Updates the metrics that are read from operators and sinks instead of counted.
    pub fn publish_metrics(&self) {
        match self {
            Self::Operator(stage) => {
                let (operator, metrics) = (&stage.operator, &stage.metrics);
                metrics.state_bytes.store(operator.state_bytes() as u64, Relaxed);
                metrics.spilled_bytes.store(operator.spilled_bytes(), Relaxed);
                metrics.late_records_dropped.store(operator.late_rows(), Relaxed);
                metrics.bytes_out.store(bytes_sent(&stage.next), Relaxed);
                stage.next.iter().for_each(Stage::publish_metrics);
            }
            Self::Sink(stage) => stage.metrics.bytes_out.store(stage.sink.bytes_written(), Relaxed),
            Self::Exchange(_) => {}
        }
    }

    /// The metrics of an operator or a sink.
    pub fn metrics(&self) -> Option<&OperatorMetrics> {
        match self {
            Self::Operator(stage) => Some(&stage.metrics),
            Self::Sink(stage) => Some(&stage.metrics),
            Self::Exchange(_) => None,
        }
    }

    pub fn close(&mut self) {
        match self {
            Self::Operator(stage) => stage.next.iter_mut().for_each(Stage::close),
            Self::Sink(stage) => stage.sink.close(),
            Self::Exchange(_) => {}
        }
    }
}

/// Bytes of rows sent over the exchanges among `stages`.
pub(crate) fn bytes_sent(stages: &[Stage]) -> u64 {
    let of_stage = |stage: &Stage| match stage {
        Stage::Exchange(writer) => writer.bytes_sent(),
        Stage::Operator(_) | Stage::Sink(_) => 0,
    };
    stages.iter().map(of_stage).sum()
}

pub(crate) fn all_ready(stages: &mut [Stage], now_ms: i64) -> Result<bool, DataflowError> {
    // Asks every stage, so that each one that is not ready registers its waker.
    stages
        .iter_mut()
        .try_fold(true, |all, stage| Ok(stage.ready(now_ms)? && all))
}

impl OperatorStage {
    fn batch(&mut self, port: usize, batch: Batch, now_ms: i64) -> Result<(), DataflowError> {
        if !self.reads_batches {
            return Ok(());
        }
        self.metrics.count_in(batch.rows);
        self.context.now_ms = now_ms;
        let most = self.context.batch_rows.max(1);
        if batch.rows <= most {
            return self.process(port, batch);
        }
        for start in (0..batch.rows).step_by(most) {
            self.process(port, batch.slice(start, most.min(batch.rows - start)))?;
        }
        Ok(())
    }

    fn process(&mut self, port: usize, batch: Batch) -> Result<(), DataflowError> {
        if self.finished {
            return Ok(());
        }
        let mut out = StageOutput {
            next: &mut self.next,
            metrics: &self.metrics,
            now_ms: self.context.now_ms,
        };
        self.operator.process(port, batch, &self.context, &mut out)?;
        if self.context.keeps_late_rows {
            let late = self.operator.take_late_rows();
            if !late.is_empty() {
                let mut records = Records::new(late);
                records.output = LATE_ROWS;
                out.records(records)?;
            }
        }
        if self.operator.is_done() {
            let now_ms = self.context.now_ms;
            self.next
                .iter_mut()
                .try_for_each(|stage| stage.watermark(Watermark::MAX, now_ms))?;
            self.end(now_ms)?;
            self.ended_early = true;
        }
        Ok(())
    }

    fn records(&mut self, port: usize, mut records: Records, now_ms: i64) -> Result<(), DataflowError> {
        self.metrics.count_in(records.len());
        let most = self.context.batch_rows.max(1);
        loop {
            let rest = (records.len() > most).then(|| records.split_off(most));
            self.call(now_ms, |operator, context, out| {
                operator.records(port, records, context, out)
            })?;
            match rest {
                Some(rest) => records = rest,
                None => return Ok(()),
            }
        }
    }

    /// Calls a method of the operator with its context and output.
    fn call(
        &mut self,
        now_ms: i64,
        method: impl FnOnce(&mut dyn Operator, &Context, &mut dyn Output) -> Result<(), DataflowError>,
    ) -> Result<(), DataflowError> {
        self.context.now_ms = now_ms;
        let mut out = StageOutput {
            next: &mut self.next,
            metrics: &self.metrics,
            now_ms,
        };
        method(self.operator.as_mut(), &self.context, &mut out)
    }

    fn watermark(&mut self, watermark: Watermark, now_ms: i64) -> Result<(), DataflowError> {
        if self.ended_early {
            return Ok(());
        }
        if self.finished {
            // Finished before the restored checkpoint: only the end is passed downstream.
            let is_end = watermark == Watermark::MAX;
            let next = if is_end { self.next.as_mut_slice() } else { &mut [] };
            return next
                .iter_mut()
                .try_for_each(|stage| stage.watermark(watermark, now_ms));
        }
        // The first watermark after a restore may be lower than the restored one. It must not be dropped, because
        // downstream operators need a watermark again; it is raised to the restored value.
        let repeats = std::mem::take(&mut self.restored);
        let watermark = if repeats {
            watermark.max(self.context.watermark)
        } else {
            watermark
        };
        if watermark <= self.context.watermark && !repeats {
            return Ok(());
        }
        self.metrics.see_input_watermark(watermark);
        self.call(now_ms, |operator, context, out| {
            operator.watermark(watermark, context, out)
        })?;
        self.context.watermark = watermark;
        Ok(())
    }

    fn barrier(
        &mut self,
        scope: &SnapshotScope,
        now_ms: i64,
        collected: &mut Collected,
    ) -> Result<(), DataflowError> {
        // A finished operator no longer needs its state. One that ended early discovers this again and ends its
        // downstream operators again.
        let finished = self.finished && !self.ended_early;
        let blocks = if finished {
            StateBlocks::new()
        } else {
            if !self.finished {
                self.call(now_ms, |operator, context, out| {
                    operator.before_barrier(context, out)
                })?;
            }
            self.operator.snapshot(scope)?
        };
        collected.states.push(InstanceState {
            uid: Arc::clone(&self.metrics.uid),
            subtask: self.metrics.subtask,
            parallelism: self.context.parallelism,
            watermark: self.context.watermark,
            finished,
            blocks,
        });
        self.next
            .iter_mut()
            .try_for_each(|stage| stage.barrier(scope, now_ms, collected))
    }

    fn finish_port(&mut self, port: usize, now_ms: i64) -> Result<(), DataflowError> {
        if self.finished {
            return Ok(());
        }
        self.call(now_ms, |operator, context, out| {
            operator.finish_port(port, context, out)
        })
    }

    fn end(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        if self.ended_early {
            return Ok(());
        }
        if !self.finished {
            self.finished = true;
            self.call(now_ms, |operator, context, out| operator.finish(context, out))?;
        }
        self.next.iter_mut().try_for_each(|stage| stage.end(now_ms))
    }

    fn next_timer(&self) -> Option<i64> {
        let own = if self.finished {
            None
        } else {
            self.operator.next_timer()
        };
        self.next.iter().filter_map(Stage::next_timer).chain(own).min()
    }

    fn fire_timers(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        let is_due = !self.finished && self.operator.next_timer().is_some_and(|due| due <= now_ms);
        if is_due {
            self.call(now_ms, |operator, context, out| operator.timer(context, out))?;
        }
        self.next
            .iter_mut()
            .try_for_each(|stage| stage.fire_timers(now_ms))
    }
}

impl SinkStage {
    fn batch(&mut self, batch: Batch, now_ms: i64) -> Result<(), DataflowError> {
        self.metrics.count_in(batch.rows);
        self.metrics.count_out(batch.rows);
        self.context.now_ms = now_ms;
        self.sink.write(batch, &self.context)
    }

    fn records(&mut self, records: Records, now_ms: i64) -> Result<(), DataflowError> {
        self.metrics.count_in(records.len());
        self.metrics.count_out(records.len());
        self.context.now_ms = now_ms;
        self.sink.write_records(records, &self.context)
    }

    fn watermark(&mut self, watermark: Watermark, now_ms: i64) -> Result<(), DataflowError> {
        if watermark <= self.context.watermark {
            return Ok(());
        }
        self.metrics.see_input_watermark(watermark);
        self.context.now_ms = now_ms;
        self.sink.watermark(watermark, &self.context)?;
        self.context.watermark = watermark;
        Ok(())
    }

    fn prepare(
        &mut self,
        checkpoint: CheckpointId,
        now_ms: i64,
        collected: &mut Collected,
    ) -> Result<(), DataflowError> {
        self.context.now_ms = now_ms;
        failpoint::hit("sink-barrier");
        self.sink.prepare(checkpoint, &self.context)?;
        self.preparing.push_back(checkpoint);
        collected.preparing += 1;
        Ok(())
    }

    /// The state of the sink for `checkpoint`, once it is prepared.
    pub fn poll_prepared(
        &mut self,
        checkpoint: CheckpointId,
        now_ms: i64,
    ) -> Result<Option<InstanceState>, DataflowError> {
        // A checkpoint names only what its own barrier closed. One that came before the output of the restored checkpoint
        // is committed would replace it, and a restart from it would abort that output.
        if self.recovering || !self.preparing.contains(&checkpoint) {
            return Ok(None);
        }
        self.context.now_ms = now_ms;
        let Some(commit) = self.sink.prepared(checkpoint, &self.context)? else {
            return Ok(None);
        };
        self.preparing.retain(|preparing| *preparing > checkpoint);
        Ok(Some(self.state(commit.state)))
    }

    fn state(&self, blocks: StateBlocks) -> InstanceState {
        InstanceState {
            uid: Arc::clone(&self.metrics.uid),
            subtask: self.metrics.subtask,
            parallelism: self.context.parallelism,
            watermark: self.context.watermark,
            finished: self.finished,
            blocks,
        }
    }

    /// Continues pending commits; returns whether a commit completed.
    pub fn poll_commits(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        self.context.now_ms = now_ms;
        let mut progress = false;
        while let Some(checkpoint) = self.committing.front() {
            if !self.sink.commit(*checkpoint, &self.context)? {
                return Ok(progress);
            }
            self.committing.pop_front();
            progress = true;
        }
        self.recovering = false;
        Ok(progress)
    }

    /// Continues flushing at the end of the input; returns whether flushing has just completed.
    pub fn poll_finished(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        if !self.finished || self.flushed {
            return Ok(false);
        }
        self.context.now_ms = now_ms;
        self.flushed = self.sink.finished(&self.context)?;
        Ok(self.flushed)
    }

    fn end(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        if self.finished {
            return Ok(());
        }
        self.finished = true;
        self.context.now_ms = now_ms;
        self.sink.finish(&self.context)
    }

    fn ready(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        if self.recovering {
            return Ok(false);
        }
        self.context.now_ms = now_ms;
        self.sink.ready(&self.context)
    }

    fn fire_timer(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        let is_due = !self.flushed && self.sink.next_timer().is_some_and(|due| due <= now_ms);
        if !is_due {
            return Ok(());
        }
        self.context.now_ms = now_ms;
        self.sink.timer(&self.context)
    }
}
