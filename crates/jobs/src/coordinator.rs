//! The checkpoint coordinator: when a checkpoint begins, when it is complete, what follows from failures.
//!
//! It does no IO and has no clock: events come in with their time, effects go out. Whoever drives it sends the commands
//! to workers and writes the files. One checkpoint is under way at a time.

use std::collections::BTreeSet;

use millstream_dataflow::InstanceState;
use millstream_types::CheckpointId;

use crate::settings::CheckpointSettings;
use crate::status::{CheckpointRecord, CheckpointStats, CheckpointStatus};

/// Why a checkpoint is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CheckpointReason {
    /// It is due.
    Periodic,
    /// A user asked for it.
    Requested,
    /// The job stops after it.
    Stop,
    /// All input was read.
    Final,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell the workers to take snapshots.
    Trigger { checkpoint: CheckpointId, stop: bool },
    /// End the input: every sink has seen the end of its own.
    Drain,
    /// Make the checkpoint durable, then call [`CheckpointCoordinator::written`].
    Write {
        checkpoint: CheckpointId,
        triggered_ms: i64,
        reason: CheckpointReason,
        states: Vec<InstanceState>,
    },
    /// Tell the workers that it is durable.
    Complete { checkpoint: CheckpointId, is_base: bool },
    /// The last checkpoint is committed everywhere: the job is over.
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
}

/// See the module's documentation.
#[derive(Debug)]
pub struct CheckpointCoordinator {
    /// `None`: only requested checkpoints.
    settings: Option<CheckpointSettings>,
    workers: usize,
    next: u64,
    pending: Option<Pending>,
    /// Asked for and not begun yet, the weightiest last.
    requests: BTreeSet<CheckpointReason>,
    next_due_ms: i64,
    failures_in_a_row: u32,
    /// The last checkpoint of the job and the workers that have not committed it.
    closing: Option<(CheckpointId, CheckpointReason, BTreeSet<usize>)>,
    stats: CheckpointStats,
}

impl CheckpointCoordinator {
    /// For an execution that begins now; `next` is the number of its first checkpoint.
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

    /// Number that the next checkpoint will have.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Whether the last checkpoint of the job is durable and only its commits are awaited.
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Asks for a checkpoint; it begins with the next [`CheckpointCoordinator::tick`] that finds none under way.
    pub fn request(&mut self, reason: CheckpointReason) {
        if self.closing.is_none() {
            self.requests.insert(reason);
        }
    }

    /// When `tick` should be called at the latest.
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

    /// Begins what is due and gives up what takes too long.
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

    /// A worker took its snapshots.
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
        // Workers answer in any order; what is written must not depend on it.
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

    /// The checkpoint was made durable, or not. `Ok` has the bytes written, the bytes in full, and whether later
    /// snapshots may refer to it.
    pub fn written(
        &mut self,
        checkpoint: CheckpointId,
        result: Result<(u64, u64, bool), String>,
        now_ms: i64,
    ) -> Vec<Effect> {
        if self
            .pending
            .as_ref()
            .is_none_or(|pending| pending.checkpoint != checkpoint)
        {
            return Vec::new();
        }
        let (written_bytes, full_bytes, is_base) = match result {
            Ok(sizes) => sizes,
            Err(reason) => return self.fail_pending(reason, now_ms).into_iter().collect(),
        };
        let Some(pending) = self.pending.take() else {
            return Vec::new();
        };
        self.failures_in_a_row = 0;
        self.schedule_next(pending.triggered_ms, now_ms);
        self.stats.end(checkpoint.0, |record| {
            record.status = CheckpointStatus::Completed;
            record.ended_ms = Some(now_ms);
            (record.written_bytes, record.full_bytes) = (written_bytes, full_bytes);
        });
        if pending.reason >= CheckpointReason::Stop {
            self.closing = Some((checkpoint, pending.reason, (0..self.workers).collect()));
        }
        vec![Effect::Complete { checkpoint, is_base }]
    }

    /// A worker's sinks have committed the checkpoint.
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
        // A savepoint that fails is reported to the one who asked for it.
        self.failures_in_a_row += u32::from(pending.reason != CheckpointReason::Requested);
        self.stats.end(pending.checkpoint.0, |record| {
            record.status = CheckpointStatus::Failed;
            record.ended_ms = Some(now_ms);
            record.failure = Some(reason.clone());
        });
        let tolerable = self.settings.map_or(0, |s| s.tolerable_failures);
        // Without its last checkpoint a job can neither stop nor finish.
        let must_succeed = pending.reason >= CheckpointReason::Stop;
        let too_many = self.failures_in_a_row > tolerable;
        (must_succeed || too_many).then_some(Effect::FailJob { reason })
    }
}
