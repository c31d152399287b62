//! The memory of operators' state, over all jobs of the process.
//!
//! Every worker reports the bytes of its operators about once a second. When all of them together pass the limit, the
//! worker that holds most fails its job with an error that names its largest operator, before the operating system
//! kills the process. Other jobs go on. Nothing is moved to disk here, and batches in flight have budgets of their own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Limit of jobs that set none; 0: none.
static LIMIT_BYTES: AtomicUsize = AtomicUsize::new(0);
static NEXT_WORKER: AtomicU64 = AtomicU64::new(0);
/// Bytes of each worker of the process.
static HELD: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<u64, usize>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the limit of jobs that set none (`millstream.memory.size`). The shell knows the machine.
pub fn set_default_limit(bytes: usize) {
    LIMIT_BYTES.store(bytes, Relaxed);
}

/// Bytes of state of all operators in the process, as of the last reports.
pub fn state_bytes() -> usize {
    held().values().sum()
}

/// What one worker holds; given back when the worker goes.
#[derive(Debug)]
pub(crate) struct WorkerMemory {
    worker: u64,
    limit: Option<usize>,
}

/// The process holds more than the limit, and this worker holds most of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    pub held_bytes: usize,
    pub limit_bytes: usize,
}

impl WorkerMemory {
    /// `limit` goes before that of the process.
    pub fn new(limit: Option<usize>) -> Self {
        Self {
            worker: NEXT_WORKER.fetch_add(1, Relaxed),
            limit,
        }
    }

    /// Reports the bytes of the worker's operators.
    pub fn report(&self, bytes: usize) -> Option<OverLimit> {
        let mut held = held();
        held.insert(self.worker, bytes);
        let limit_bytes = self.limit.unwrap_or_else(|| LIMIT_BYTES.load(Relaxed));
        let held_bytes = held.values().sum();
        let is_largest = held.values().all(|other| *other <= bytes);
        let is_over = limit_bytes > 0 && held_bytes > limit_bytes && is_largest;
        is_over.then_some(OverLimit {
            held_bytes,
            limit_bytes,
        })
    }
}

impl Drop for WorkerMemory {
    fn drop(&mut self) {
        held().remove(&self.worker);
    }
}

/// Bytes for people: `3.2 GiB`.
pub(crate) fn readable(bytes: usize) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_worker_is_the_one_that_fails() {
        // Far above what workers of other tests in this process hold.
        const LIMIT: usize = 1 << 50;
        let (small, large) = (WorkerMemory::new(Some(LIMIT)), WorkerMemory::new(Some(LIMIT)));
        assert_eq!(large.report(LIMIT - 1000), None);
        assert!(state_bytes() >= LIMIT - 1000);
        assert_eq!(small.report(1 << 40), None, "the other one holds more");
        let over = large
            .report(LIMIT - 1000)
            .expect("both together are over the limit");
        assert!(over.held_bytes > LIMIT && over.limit_bytes == LIMIT);
        drop(small);
        assert_eq!(large.report(LIMIT / 2), None, "what a worker held is given back");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(readable(900), "900 bytes");
        assert_eq!(readable(3_435_973_837), "3.2 GiB");
    }
}
