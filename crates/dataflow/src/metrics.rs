//! Metrics of running operators, under Flink's names.
//!
//! Workers write with relaxed stores; readers see values that may be one step old. Readers compute rates, because they
//! know their interval. Times per second are computed here, because they need the worker's view.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use millstream_types::Watermark;

use crate::source::SourceNotice;

/// Window over which times per second are measured.
const LOAD_WINDOW_MS: u64 = 1000;

/// Metrics of one operator instance.
#[derive(Debug)]
pub struct OperatorMetrics {
    /// Position of the operator in the graph.
    pub vertex: usize,
    pub uid: Arc<str>,
    pub name: Arc<str>,
    pub subtask: usize,
    pub records_in: AtomicU64,
    pub records_out: AtomicU64,
    /// Read from outside by a source, received over exchanges by the first operator of a chain.
    pub bytes_in: AtomicU64,
    /// Encoded for the outside by a sink, sent over exchanges by any other operator.
    pub bytes_out: AtomicU64,
    pub input_watermark: AtomicI64,
    pub output_watermark: AtomicI64,
    pub late_records_dropped: AtomicU64,
    pub state_bytes: AtomicU64,
    /// State on disk.
    pub spilled_bytes: AtomicU64,
    /// Records still to read, plus one; 0: not known.
    pending_records: AtomicU64,
    notice: Mutex<Option<SourceNotice>>,
    /// Load of the task (chain) that the operator belongs to.
    pub load: Arc<LoadMetrics>,
}

/// How a task spends its time.
#[derive(Debug, Default)]
pub struct LoadMetrics {
    pub busy: TimeMetric,
    pub idle: TimeMetric,
    pub backpressured: TimeMetric,
}

/// Milliseconds in total and in the last full second.
#[derive(Debug, Default)]
pub struct TimeMetric {
    accumulated_ms: AtomicU64,
    window_start_ms: AtomicU64,
    last_second_ms: AtomicU64,
}

/// Where a metric keeps its value.
enum Cell<'a> {
    Count(&'a AtomicU64),
    /// The smallest value says that no watermark has been seen.
    Watermark(&'a AtomicI64),
    /// One more than the value; 0: not known.
    MaybeCount(&'a AtomicU64),
}

impl Cell<'_> {
    fn get(&self) -> Option<i64> {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        match self {
            Self::Count(cell) => Some(signed(cell.load(Relaxed))),
            Self::Watermark(cell) => Some(cell.load(Relaxed)).filter(|watermark| *watermark != i64::MIN),
            Self::MaybeCount(cell) => cell.load(Relaxed).checked_sub(1).map(signed),
        }
    }

    fn set(&self, value: i64) {
        let unsigned = u64::try_from(value).unwrap_or(0);
        match self {
            Self::Count(cell) => cell.store(unsigned, Relaxed),
            Self::Watermark(cell) => cell.store(value, Relaxed),
            Self::MaybeCount(cell) => cell.store(unsigned.saturating_add(1), Relaxed),
        }
    }
}

/// Finds the value of a metric.
type CellOf = fn(&OperatorMetrics) -> Cell<'_>;

/// All metrics of an operator by their names.
const METRICS: &[(&str, CellOf)] = &[
    ("numRecordsIn", |m| Cell::Count(&m.records_in)),
    ("numRecordsOut", |m| Cell::Count(&m.records_out)),
    ("numBytesIn", |m| Cell::Count(&m.bytes_in)),
    ("numBytesOut", |m| Cell::Count(&m.bytes_out)),
    ("numLateRecordsDropped", |m| Cell::Count(&m.late_records_dropped)),
    ("stateSize", |m| Cell::Count(&m.state_bytes)),
    ("stateSizeOnDisk", |m| Cell::Count(&m.spilled_bytes)),
    ("busyTimeMsPerSecond", |m| {
        Cell::Count(&m.load.busy.last_second_ms)
    }),
    ("idleTimeMsPerSecond", |m| {
        Cell::Count(&m.load.idle.last_second_ms)
    }),
    ("backPressuredTimeMsPerSecond", |m| {
        Cell::Count(&m.load.backpressured.last_second_ms)
    }),
    ("accumulatedBusyTimeMs", |m| {
        Cell::Count(&m.load.busy.accumulated_ms)
    }),
    ("accumulatedIdleTimeMs", |m| {
        Cell::Count(&m.load.idle.accumulated_ms)
    }),
    ("accumulatedBackPressuredTimeMs", |m| {
        Cell::Count(&m.load.backpressured.accumulated_ms)
    }),
    ("currentInputWatermark", |m| Cell::Watermark(&m.input_watermark)),
    ("currentOutputWatermark", |m| Cell::Watermark(&m.output_watermark)),
    ("pendingRecords", |m| Cell::MaybeCount(&m.pending_records)),
];

impl TimeMetric {
    pub fn accumulated_ms(&self) -> u64 {
        self.accumulated_ms.load(Relaxed)
    }

    pub fn ms_per_second(&self) -> u64 {
        self.last_second_ms.load(Relaxed)
    }

    fn add(&self, ms: u64) {
        self.accumulated_ms.fetch_add(ms, Relaxed);
    }

    /// Closes a window of `elapsed_ms`.
    fn roll(&self, elapsed_ms: u64) {
        let total = self.accumulated_ms.load(Relaxed);
        let in_window = total - self.window_start_ms.swap(total, Relaxed);
        self.last_second_ms
            .store(in_window * LOAD_WINDOW_MS / elapsed_ms.max(1), Relaxed);
    }
}

/// What a task was doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadState {
    Busy,
    Idle,
    Backpressured,
}

impl LoadMetrics {
    pub(crate) fn add(&self, state: LoadState, ms: u64) {
        match state {
            LoadState::Busy => self.busy.add(ms),
            LoadState::Idle => self.idle.add(ms),
            LoadState::Backpressured => self.backpressured.add(ms),
        }
    }

    pub(crate) fn roll(&self, elapsed_ms: u64) {
        self.busy.roll(elapsed_ms);
        self.idle.roll(elapsed_ms);
        self.backpressured.roll(elapsed_ms);
    }
}

/// Whether the load window that started at `start_ms` has ended.
pub(crate) fn load_window_is_over(start_ms: i64, now_ms: i64) -> Option<u64> {
    let elapsed = u64::try_from(now_ms.saturating_sub(start_ms)).unwrap_or(0);
    (elapsed >= LOAD_WINDOW_MS).then_some(elapsed)
}

impl OperatorMetrics {
    pub(crate) fn new(
        vertex: usize,
        uid: Arc<str>,
        name: Arc<str>,
        subtask: usize,
        load: Arc<LoadMetrics>,
    ) -> Self {
        Self {
            vertex,
            uid,
            name,
            subtask,
            records_in: AtomicU64::new(0),
            records_out: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            input_watermark: AtomicI64::new(i64::MIN),
            output_watermark: AtomicI64::new(i64::MIN),
            late_records_dropped: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            spilled_bytes: AtomicU64::new(0),
            pending_records: AtomicU64::new(0),
            notice: Mutex::default(),
            load,
        }
    }

    /// Metrics of another process, from what [`OperatorMetrics::values`] was there.
    pub fn of_values(
        vertex: usize,
        uid: Arc<str>,
        name: Arc<str>,
        subtask: usize,
        values: &[(String, i64)],
    ) -> Self {
        let metrics = Self::new(vertex, uid, name, subtask, Arc::default());
        for (name, value) in values {
            if let Some((_, cell)) = METRICS.iter().find(|(known, _)| known == name) {
                cell(&metrics).set(*value);
            }
        }
        metrics
    }

    pub(crate) fn count_in(&self, rows: usize) {
        // There is one writer, so a plain load and store suffices and is cheaper than an atomic addition.
        self.records_in
            .store(self.records_in.load(Relaxed) + rows as u64, Relaxed);
    }

    pub(crate) fn count_out(&self, rows: usize) {
        self.records_out
            .store(self.records_out.load(Relaxed) + rows as u64, Relaxed);
    }

    pub(crate) fn see_input_watermark(&self, watermark: Watermark) {
        self.input_watermark.store(watermark.0, Relaxed);
    }

    pub(crate) fn see_output_watermark(&self, watermark: Watermark) {
        self.output_watermark.store(watermark.0, Relaxed);
    }

    pub(crate) fn see_pending_records(&self, pending: Option<u64>) {
        self.pending_records
            .store(pending.map_or(0, |n| n.saturating_add(1)), Relaxed);
    }

    pub(crate) fn see_notice(&self, notice: Option<SourceNotice>) {
        *self.notice.lock().unwrap_or_else(PoisonError::into_inner) = notice;
    }

    /// What kept a source from making progress when it was last looked at.
    pub fn notice(&self) -> Option<SourceNotice> {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn pending_records(&self) -> Option<u64> {
        self.pending_records.load(Relaxed).checked_sub(1)
    }

    /// Current values under Flink's names, without those that are not known yet.
    pub fn values(&self) -> Vec<(&'static str, i64)> {
        let known = METRICS
            .iter()
            .map(|(name, cell)| cell(self).get().map(|value| (*name, value)));
        known.flatten().collect()
    }
}

/// All operator instances of one execution of a job, by vertex and subtask.
#[derive(Clone, Debug, Default)]
pub struct JobMetrics {
    pub operators: Vec<Arc<OperatorMetrics>>,
}

impl JobMetrics {
    /// What keeps the instances of a source from making progress. A split without rows matters only if others are ahead.
    pub fn notices(&self, vertex: usize) -> Vec<SourceNotice> {
        let watermarks = self.of_vertex(vertex).map(|m| m.output_watermark.load(Relaxed));
        let furthest = watermarks.max().unwrap_or(i64::MIN);
        let notices = self.of_vertex(vertex).filter_map(|instance| instance.notice());
        notices.filter(|notice| notice.matters(furthest)).collect()
    }

    /// Records that all instances have taken and given. A job that has processed nothing has not changed its state.
    pub fn records(&self) -> u64 {
        let records = |m: &Arc<OperatorMetrics>| {
            let (taken, given) = (m.records_in.load(Relaxed), m.records_out.load(Relaxed));
            taken.wrapping_add(given)
        };
        self.operators.iter().map(records).fold(0, u64::wrapping_add)
    }

    /// The instances of one vertex.
    pub fn of_vertex(&self, vertex: usize) -> impl Iterator<Item = &Arc<OperatorMetrics>> {
        self.operators.iter().filter(move |m| m.vertex == vertex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_make_the_same_metrics_in_another_process() {
        let empty = OperatorMetrics::new(0, "u".into(), "n".into(), 0, Arc::default());
        let unseen = [
            "currentInputWatermark",
            "currentOutputWatermark",
            "pendingRecords",
        ];
        let values = empty.values();
        assert_eq!(values.len(), METRICS.len() - unseen.len());
        assert!(
            values
                .iter()
                .all(|(name, value)| *value == 0 && !unseen.contains(name))
        );

        let set: Vec<(String, i64)> = (1..)
            .zip(METRICS)
            .map(|(value, (name, _))| ((*name).to_owned(), value))
            .collect();
        let copy = OperatorMetrics::of_values(0, "u".into(), "n".into(), 0, &set);
        let names = copy.values();
        let read: Vec<(String, i64)> = names.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        assert_eq!(read, set);
        assert_eq!(copy.pending_records(), Some(METRICS.len() as u64));
    }

    #[test]
    fn a_silent_split_matters_when_others_are_ahead() {
        let silent = |is_behind| SourceNotice::Silent {
            split: "orders-1".to_owned(),
            silent_ms: 6_000,
            watermark: 5,
            is_behind,
        };
        for (own, other, is_behind, matters) in [
            (5, 5, false, false),
            (5, 7, false, true),
            (5, i64::MIN, true, true),
        ] {
            let instances = [own, other].map(|watermark| {
                let metrics = OperatorMetrics::new(0, "u".into(), "n".into(), 0, Arc::default());
                metrics.see_output_watermark(Watermark(watermark));
                Arc::new(metrics)
            });
            instances[0].see_notice(Some(silent(is_behind)));
            let metrics = JobMetrics {
                operators: instances.to_vec(),
            };
            let notices = metrics.notices(0);
            assert_eq!(!notices.is_empty(), matters);
            assert!(
                notices
                    .iter()
                    .all(|notice| notice.to_string().contains("orders-1"))
            );
        }
    }
}
