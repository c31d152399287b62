//! A job that advances only when stepped: the same graph, coordinator and checkpoints, on the caller's thread and
//! clock.
//!
//! For tests and simulation. The caller orders restarts, so it can interrupt a run at any step.

use std::sync::Arc;

use millstream_dataflow::{DataflowError, Graph, StepOutcome, SteppedJob};
use millstream_plan::Plan;
use millstream_state::OperatorEntry;

use crate::checkpoints::Checkpoints;
use crate::coordinator::CheckpointReason;
use crate::execution::{Execution, JobDescription};
use crate::identity::operator_entries;
use crate::savepoint::Savepoints;
use crate::settings::CheckpointSettings;
use crate::status::CheckpointStats;

/// See the module documentation.
pub struct SteppedRun {
    graph: Graph,
    settings: Option<CheckpointSettings>,
    description: JobDescription,
    checkpoints: Checkpoints,
    /// `None` only during recovery from a crash.
    job: Option<SteppedJob>,
    execution: Execution,
}

impl SteppedRun {
    /// Starts a graph that [`crate::translate::translate`] built from `plan`, from its newest checkpoint if there is
    /// one.
    pub fn start(
        graph: Graph,
        plan: &Plan,
        settings: Option<CheckpointSettings>,
        checkpoints: Checkpoints,
        now_ms: i64,
    ) -> Result<Self, DataflowError> {
        Self::start_graph(graph, operator_entries(plan), settings, checkpoints, now_ms)
    }

    /// Starts a graph that was built without a plan; `operators` are the stateful ones.
    pub fn start_graph(
        graph: Graph,
        operators: Vec<OperatorEntry>,
        settings: Option<CheckpointSettings>,
        mut checkpoints: Checkpoints,
        now_ms: i64,
    ) -> Result<Self, DataflowError> {
        checkpoints.expect(operators.clone(), graph.settings.max_parallelism, 0, false);
        let description = JobDescription::new("stepped", operators, graph.settings.max_parallelism, 0);
        let (job, execution) = begin(
            &graph,
            settings,
            &description,
            &mut checkpoints,
            CheckpointStats::default(),
            1,
            now_ms,
        )?;
        Ok(Self {
            graph,
            settings,
            description,
            checkpoints,
            job: Some(job),
            execution,
        })
    }

    /// Runs one step of every worker and of the coordinator. Returns why the job has ended, if it has.
    pub fn step(&mut self, now_ms: i64) -> Result<(StepOutcome, Option<CheckpointReason>), DataflowError> {
        let crashed = || DataflowError::internal("the job could not be started again after a crash");
        let job = self.job.as_mut().ok_or_else(crashed)?;
        let mut outcome = job.step(now_ms)?;
        let mut effects = Vec::new();
        for event in job.events() {
            effects.extend(self.execution.event(event)?);
        }
        effects.extend(self.execution.tick(now_ms));
        if !effects.is_empty() {
            outcome = StepOutcome::Progress;
        }
        let over = self.execution.carry_out(
            effects,
            &mut self.checkpoints,
            &mut Savepoints::default(),
            || now_ms,
            |command| job.command(&command),
        )?;
        Ok((outcome, over))
    }

    /// Steps until the job has ended or waits for external input.
    pub fn run(&mut self, now_ms: i64) -> Result<Option<CheckpointReason>, DataflowError> {
        loop {
            let (outcome, over) = self.step(now_ms)?;
            if over.is_some() || outcome != StepOutcome::Progress {
                return Ok(over);
            }
        }
    }

    /// Requests a checkpoint, which the following steps take.
    pub fn request(&mut self, reason: CheckpointReason) {
        self.execution.request(reason);
    }

    pub fn stats(&self) -> &CheckpointStats {
        self.execution.stats()
    }

    pub fn metrics(&self) -> Option<&millstream_dataflow::JobMetrics> {
        self.job.as_ref().map(SteppedJob::metrics)
    }

    /// Discards the workers, as a crash does, and restarts from the newest checkpoint.
    pub fn crash_and_restore(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        let (stats, next) = (self.execution.stats().clone(), self.execution.next_checkpoint());
        // Drop the old workers first: they must not hold resources that the new ones open.
        self.job = None;
        let (job, execution) = begin(
            &self.graph,
            self.settings,
            &self.description,
            &mut self.checkpoints,
            stats,
            next,
            now_ms,
        )?;
        (self.job, self.execution) = (Some(job), execution);
        Ok(())
    }

    /// The checkpoints, from which another run can start.
    pub fn into_checkpoints(self) -> Checkpoints {
        self.checkpoints
    }
}

fn begin(
    graph: &Graph,
    settings: Option<CheckpointSettings>,
    description: &JobDescription,
    checkpoints: &mut Checkpoints,
    stats: CheckpointStats,
    next: u64,
    now_ms: i64,
) -> Result<(SteppedJob, Execution), DataflowError> {
    let restore: Option<Arc<_>> = checkpoints.load_latest()?;
    let next = restore
        .as_ref()
        .map_or(next, |restore| next.max(restore.checkpoint.0 + 1));
    let job = SteppedJob::start(graph, now_ms, restore)?;
    let execution = Execution::new(description.clone(), settings, job.workers(), next, stats, now_ms);
    Ok((job, execution))
}
