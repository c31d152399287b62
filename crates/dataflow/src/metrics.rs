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
    pub bytes_in: AtomicU64,
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
        let load = Arc::new(LoadMetrics::default());
        let metrics = Self::new(vertex, uid, name, subtask, Arc::clone(&load));
        for (name, value) in values {
            let count = u64::try_from(*value).unwrap_or(0);
            let counter = match name.as_str() {
                "numRecordsIn" => &metrics.records_in,
                "numRecordsOut" => &metrics.records_out,
                "numBytesIn" => &metrics.bytes_in,
                "numBytesOut" => &metrics.bytes_out,
                "numLateRecordsDropped" => &metrics.late_records_dropped,
                "stateSize" => &metrics.state_bytes,
                "stateSizeOnDisk" => &metrics.spilled_bytes,
                "busyTimeMsPerSecond" => &load.busy.last_second_ms,
                "idleTimeMsPerSecond" => &load.idle.last_second_ms,
                "backPressuredTimeMsPerSecond" => &load.backpressured.last_second_ms,
                "accumulatedBusyTimeMs" => &load.busy.accumulated_ms,
                "accumulatedIdleTimeMs" => &load.idle.accumulated_ms,
                "accumulatedBackPressuredTimeMs" => &load.backpressured.accumulated_ms,
                "currentInputWatermark" => {
                    metrics.input_watermark.store(*value, Relaxed);
                    continue;
                }
                "currentOutputWatermark" => {
                    metrics.output_watermark.store(*value, Relaxed);
                    continue;
                }
                "pendingRecords" => {
                    metrics.see_pending_records(Some(count));
                    continue;
                }
                _ => continue,
            };
            counter.store(count, Relaxed);
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

    /// Current values under Flink's names, without watermarks that have not been seen yet.
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
            ("stateSizeOnDisk", count(&self.spilled_bytes)),
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
