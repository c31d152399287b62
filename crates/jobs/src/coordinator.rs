//! The checkpoint coordinator: when a checkpoint starts, when it is complete, and what failures lead to.
//!
//! It does no IO and has no clock: events arrive with their time, and effects are returned. Its driver sends the
//! commands to workers and writes the files. At most one checkpoint is in progress.

use std::collections::BTreeSet;

use millstream_dataflow::{DataflowError, InstanceState};
use millstream_types::CheckpointId;

use crate::checkpoints::Written;
use crate::settings::CheckpointSettings;
use crate::status::{CheckpointRecord, CheckpointStats, CheckpointStatus};

/// Why a checkpoint is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CheckpointReason {
    /// The checkpoint interval has passed.
    Periodic,
    /// A user requested it.
    Requested,
    /// The job stops after it.
    Stop,
    /// All input was read.
    Final,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell the workers to take snapshots.
    Trigger { checkpoint: CheckpointId, stop: bool },
    /// End the input; every sink has reached the end of its own.
    Drain,
    /// Make the checkpoint durable, then call [`CheckpointCoordinator::written`].
    Write {
        checkpoint: CheckpointId,
        triggered_ms: i64,
        reason: CheckpointReason,
        states: Vec<InstanceState>,
    },
    /// Tell the workers that the checkpoint is durable.
    Complete { checkpoint: CheckpointId, is_base: bool },
    /// Every sink has committed the last checkpoint: the job has ended.
    Finished { reason: CheckpointReason },
    /// Too many checkpoints failed.
    FailJob { reason: String },
}

#[derive(Debug)]
struct Pending {
    checkpoint: CheckpointId,
    triggered_ms: i64,
    reason: CheckpointReason,
    waiting: BTreeSet<usize>,
    states: Vec<InstanceState>,
    /// What had been processed when it was triggered.
    activity: Option<u64>,
}

/// See the module documentation.
#[derive(Debug)]
pub struct CheckpointCoordinator {
    /// `None`: only requested checkpoints.
    settings: Option<CheckpointSettings>,
    workers: usize,
    next: u64,
    pending: Option<Pending>,
    /// Requested checkpoints that have not started, the most important last.
    requests: BTreeSet<CheckpointReason>,
    next_due_ms: i64,
    failures_in_a_row: u32,
    /// The job's last checkpoint, and the workers that have not committed it yet.
    closing: Option<(CheckpointId, CheckpointReason, BTreeSet<usize>)>,
    stats: CheckpointStats,
    /// What the job has processed, as [`Self::observe`] was told.
    activity: Option<u64>,
    /// The activity that the last checkpoint holds for sure, and when that was completed.
    covered: Option<(u64, i64)>,
}

/// A job that processes nothing takes a checkpoint this often at least, so that group offsets and times stay fresh.
const IDLE_INTERVAL_MS: i64 = 60_000;

impl CheckpointCoordinator {
    /// For a new execution; `next` is the number of its first checkpoint.
    pub fn new(settings: Option<CheckpointSettings>, workers: usize, next: u64, now_ms: i64) -> Self {
        let interval_ms = settings.map_or(0, |s| s.interval_ms);
        Self {
            settings,
            workers,
            next,
            pending: None,
            requests: BTreeSet::new(),
            next_due_ms: now_ms.saturating_add(interval_ms),
            failures_in_a_row: 0,
            closing: None,
            stats: CheckpointStats::default(),
            activity: None,
            covered: None,
        }
    }

    /// Continues the statistics of earlier executions.
    pub fn with_stats(mut self, stats: CheckpointStats) -> Self {
        self.stats = stats;
        self
    }

    pub fn stats(&self) -> &CheckpointStats {
        &self.stats
    }

    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Whether the last checkpoint of the job is durable and only its commits are outstanding.
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Requests a checkpoint. It starts with the next [`CheckpointCoordinator::tick`] that finds none in progress.
    pub fn request(&mut self, reason: CheckpointReason) {
        if self.closing.is_none() {
            self.requests.insert(reason);
        }
    }

    /// The latest time at which to call `tick`.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        if let Some(pending) = &self.pending {
            return self
                .settings
                .map(|s| pending.triggered_ms.saturating_add(s.timeout_ms));
        }
        if self.closing.is_some() {
            return None;
        }
        if !self.requests.is_empty() {
            return Some(i64::MIN);
        }
        self.settings.map(|_| self.next_due_ms)
    }

    /// Notes how many records the operators have processed. A periodic checkpoint that is due is put off if nothing was
    /// processed since the last one: it would hold the same.
    pub fn observe(&mut self, activity: u64, now_ms: i64) {
        self.activity = Some(activity);
        let (Some(settings), Some((covered, completed_ms))) = (self.settings, self.covered) else {
            return;
        };
        let is_due = self.pending.is_none() && now_ms >= self.next_due_ms;
        let idle_until_ms = completed_ms.saturating_add(IDLE_INTERVAL_MS);
        if is_due && covered == activity && now_ms < idle_until_ms {
            // At multiples of the interval, so that many idle jobs wake a thread once and not each for itself.
            let interval_ms = settings.interval_ms.max(1);
            let next_ms = (now_ms - now_ms.rem_euclid(interval_ms)).saturating_add(interval_ms);
            self.next_due_ms = next_ms.min(idle_until_ms);
        }
    }

    /// Starts checkpoints that are due and aborts those that exceed their timeout.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let (Some(pending), Some(settings)) = (&self.pending, self.settings)
            && now_ms.saturating_sub(pending.triggered_ms) >= settings.timeout_ms
        {
            let reason = format!("checkpoint {} expired before completing", pending.checkpoint.0);
            effects.extend(self.fail_pending(reason, now_ms));
        }
        if self.pending.is_some() || self.closing.is_some() {
            return effects;
        }
        let due = self.settings.is_some() && now_ms >= self.next_due_ms;
        let reason = self
            .requests
            .pop_last()
            .or_else(|| due.then_some(CheckpointReason::Periodic));
        effects.extend(reason.map(|reason| self.begin(reason, now_ms)));
        effects
    }

    fn begin(&mut self, reason: CheckpointReason, now_ms: i64) -> Effect {
        let checkpoint = CheckpointId(self.next);
        self.next += 1;
        if reason >= CheckpointReason::Stop {
            self.requests.clear();
        }
        self.pending = Some(Pending {
            checkpoint,
            triggered_ms: now_ms,
            reason,
            waiting: (0..self.workers).collect(),
            states: Vec::new(),
            activity: self.activity,
        });
        self.stats.begin(CheckpointRecord {
            id: checkpoint.0,
            status: CheckpointStatus::InProgress,
            is_requested: reason != CheckpointReason::Periodic,
            triggered_ms: now_ms,
            ended_ms: None,
            written_bytes: 0,
            full_bytes: 0,
            failure: None,
            savepoint: None,
        });
        Effect::Trigger {
            checkpoint,
            stop: reason == CheckpointReason::Stop,
        }
    }

    /// Records that a checkpoint was copied to a savepoint.
    pub fn saved(&mut self, checkpoint: CheckpointId, location: String) {
        self.stats.saved(checkpoint.0, location);
    }

    /// A worker has taken its snapshots.
    pub fn acknowledged(
        &mut self,
        worker: usize,
        checkpoint: CheckpointId,
        states: Vec<InstanceState>,
    ) -> Option<Effect> {
        let pending = self
            .pending
            .as_mut()
            .filter(|pending| pending.checkpoint == checkpoint)?;
        if !pending.waiting.remove(&worker) {
            return None;
        }
        pending.states.extend(states);
        if !pending.waiting.is_empty() {
            return None;
        }
        // Workers respond in any order; the written checkpoint must not depend on it.
        pending
            .states
            .sort_by(|a, b| (&a.uid, a.subtask).cmp(&(&b.uid, b.subtask)));
        Some(Effect::Write {
            checkpoint,
            triggered_ms: pending.triggered_ms,
            reason: pending.reason,
            states: std::mem::take(&mut pending.states),
        })
    }

    /// Reports whether the write succeeded. .
    pub fn written(
        &mut self,
        checkpoint: CheckpointId,
        result: Result<Written, DataflowError>,
        now_ms: i64,
    ) -> Vec<Effect> {
        if self
            .pending
            .as_ref()
            .is_none_or(|pending| pending.checkpoint != checkpoint)
        {
            return Vec::new();
        }
        let written = match result {
            Ok(written) => written,
            Err(error) => return self.fail_pending(error.to_string(), now_ms).into_iter().collect(),
        };
        let Some(pending) = self.pending.take() else {
            return Vec::new();
        };
        self.failures_in_a_row = 0;
        self.covered = pending.activity.map(|activity| (activity, now_ms));
        self.schedule_next(pending.triggered_ms, now_ms);
        self.stats.end(checkpoint.0, |record| {
            record.status = CheckpointStatus::Completed;
            record.ended_ms = Some(now_ms);
            (record.written_bytes, record.full_bytes) = (written.bytes, written.full_bytes);
        });
        if pending.reason >= CheckpointReason::Stop {
            self.closing = Some((checkpoint, pending.reason, (0..self.workers).collect()));
        }
        vec![Effect::Complete {
            checkpoint,
            is_base: written.is_base,
        }]
    }

    /// The sinks of a worker have committed the checkpoint.
    pub fn committed(&mut self, worker: usize, checkpoint: CheckpointId) -> Option<Effect> {
        let (_, reason, waiting) = self.closing.as_mut().filter(|(last, ..)| *last == checkpoint)?;
        waiting.remove(&worker);
        waiting.is_empty().then_some(Effect::Finished { reason: *reason })
    }

    fn schedule_next(&mut self, triggered_ms: i64, now_ms: i64) {
        if let Some(settings) = self.settings {
            let by_interval = triggered_ms.saturating_add(settings.interval_ms);
            self.next_due_ms = by_interval.max(now_ms.saturating_add(settings.min_pause_ms));
        }
    }

    fn fail_pending(&mut self, reason: String, now_ms: i64) -> Option<Effect> {
        let pending = self.pending.take()?;
        self.schedule_next(pending.triggered_ms, now_ms);
        // A failed savepoint is reported to its requester instead of counting as a failure of the job.
        self.failures_in_a_row += u32::from(pending.reason != CheckpointReason::Requested);
        self.stats.end(pending.checkpoint.0, |record| {
            record.status = CheckpointStatus::Failed;
            record.ended_ms = Some(now_ms);
            record.failure = Some(reason.clone());
        });
        let tolerable = self.settings.map_or(0, |s| s.tolerable_failures);
        // Without its last checkpoint, a job can neither stop nor finish.
        let must_succeed = pending.reason >= CheckpointReason::Stop;
        let too_many = self.failures_in_a_row > tolerable;
        (must_succeed || too_many).then_some(Effect::FailJob { reason })
    }
}
