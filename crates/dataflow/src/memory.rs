//! The memory of operators' state, over all jobs of the process.
//!
//! Operators that can move state to disk report their bytes with every batch to a `MemoryPool`, which tells them how
//! much has to go. Every worker reports the bytes of all its operators about once a second. When all of them together
//! pass the limit nevertheless, the worker that holds most fails its job with an error that names its largest operator,
//! before the operating system kills the process. Other jobs go on. Batches in flight have budgets of their own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_state::{MemoryPool, Spill, SpillSpace};
use millstream_types::storage::OsStorage;

use crate::graph::GraphSettings;

/// The directory for state on disk of jobs that name none.
static DIRECTORY: Mutex<Option<String>> = Mutex::new(None);
/// The directories that are in use, by path.
static SPACES: Mutex<BTreeMap<String, SpillSpace>> = Mutex::new(BTreeMap::new());
static NEXT_WORKER: AtomicU64 = AtomicU64::new(0);
/// Bytes held by each worker of the process.
static HELD: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<u64, usize>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the default limit (`millstream.memory.size`). Only the shell knows the machine's memory.
pub fn set_default_limit(bytes: usize) {
    MemoryPool::of_process().set_limit(bytes);
}

/// Sets the directory for state on disk of jobs that name none (`io.tmp.dirs`). It is made when it is needed.
pub fn set_temporary_directory(path: &str) {
    *DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
}

/// How the operators of a worker move state to disk; `None`: no directory is named.
pub(crate) fn spill(settings: &GraphSettings, worker: usize) -> Option<Spill> {
    let named = &settings.temporary_directories;
    let directory = match named.get(worker % named.len().max(1)) {
        Some(directory) => directory.clone(),
        None => DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner).clone()?,
    };
    let mut spaces = SPACES.lock().unwrap_or_else(PoisonError::into_inner);
    let space = spaces.entry(directory.clone()).or_insert_with(|| {
        let path = directory.clone();
        SpillSpace::new(&directory, move || Ok(Arc::new(OsStorage::open(&path)?)))
    });
    Some(Spill {
        space: space.clone(),
        pool: MemoryPool::of_process(),
        limit_bytes: settings.memory_bytes,
    })
}

/// Bytes of state of all operators in the process, as last reported.
pub fn state_bytes() -> usize {
    held().values().sum()
}

/// The share of one worker, released when the worker is dropped.
#[derive(Debug)]
pub(crate) struct WorkerMemory {
    worker: u64,
    limit: Option<usize>,
}

/// The process exceeds the limit, and this worker holds the most.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    pub held_bytes: usize,
    pub limit_bytes: usize,
}

impl WorkerMemory {
    /// `limit` overrides the process-wide limit.
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
        let pool = MemoryPool::of_process();
        let limit_bytes = self.limit.unwrap_or_else(|| pool.limit_bytes());
        let held_bytes = held.values().sum();
        pool.report_total(held_bytes);
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

/// A size in readable units: `3.2 GiB`.
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
        // Far more than the workers of other tests in this process hold.
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
