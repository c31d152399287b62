//! Metrics of running operators, under Flink's names.
//!
//! Workers write with relaxed stores, readers see values that may be a step old. Rates are left to the reader, who
//! knows its interval; the times per second are kept here because they need the worker's view.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use millstream_types::Watermark;

/// Length of the window over which times per second are told.
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
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub input_watermark: AtomicI64,
    pub output_watermark: AtomicI64,
    pub late_records_dropped: AtomicU64,
    pub state_bytes: AtomicU64,
    /// Records still to read, plus one; 0: not known.
    pending_records: AtomicU64,
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

    /// A window of `elapsed_ms` ended.
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

/// Whether a load window that began at `start_ms` is over.
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
            pending_records: AtomicU64::new(0),
            load,
        }
    }

    pub(crate) fn count_in(&self, rows: usize) {
        // One writer: a plain load and store is enough and cheaper than an atomic addition.
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

    pub fn pending_records(&self) -> Option<u64> {
        self.pending_records.load(Relaxed).checked_sub(1)
    }

    /// Flink's names and the values of now. Watermarks that were never seen are left out.
    pub fn values(&self) -> Vec<(&'static str, i64)> {
        let count = |counter: &AtomicU64| i64::try_from(counter.load(Relaxed)).unwrap_or(i64::MAX);
        let time = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let mut values = vec![
            ("numRecordsIn", count(&self.records_in)),
            ("numRecordsOut", count(&self.records_out)),
            ("numBytesIn", count(&self.bytes_in)),
            ("numBytesOut", count(&self.bytes_out)),
            ("numLateRecordsDropped", count(&self.late_records_dropped)),
            ("stateSize", count(&self.state_bytes)),
            ("busyTimeMsPerSecond", time(self.load.busy.ms_per_second())),
            ("idleTimeMsPerSecond", time(self.load.idle.ms_per_second())),
            (
                "backPressuredTimeMsPerSecond",
                time(self.load.backpressured.ms_per_second()),
            ),
            ("accumulatedBusyTimeMs", time(self.load.busy.accumulated_ms())),
            ("accumulatedIdleTimeMs", time(self.load.idle.accumulated_ms())),
            (
                "accumulatedBackPressuredTimeMs",
                time(self.load.backpressured.accumulated_ms()),
            ),
        ];
        let watermarks = [
            ("currentInputWatermark", &self.input_watermark),
            ("currentOutputWatermark", &self.output_watermark),
        ];
        let seen = watermarks
            .into_iter()
            .map(|(name, value)| (name, value.load(Relaxed)));
        values.extend(seen.filter(|(_, value)| *value != i64::MIN));
        values.extend(
            self.pending_records()
                .map(|pending| ("pendingRecords", time(pending))),
        );
        values
    }
}

/// All operator instances of one execution of a job, by vertex and subtask.
#[derive(Clone, Debug, Default)]
pub struct JobMetrics {
    pub operators: Vec<Arc<OperatorMetrics>>,
}

impl JobMetrics {
    /// The instances of one vertex.
    pub fn of_vertex(&self, vertex: usize) -> impl Iterator<Item = &Arc<OperatorMetrics>> {
        self.operators.iter().filter(move |m| m.vertex == vertex)
    }
}
