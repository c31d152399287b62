//! Metrics of jobs and of the process under Flink's names: one source for REST and Prometheus.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use millstream_dataflow::OperatorMetrics;

use crate::jobs::JobView;
use crate::state::ServerState;

/// Time over which rates are taken at least.
const RATE_WINDOW_MS: i64 = 1_000;
const MS_PER_SECOND: f64 = 1_000.0;
/// Counters that have a rate beside them.
const RATED: [(&str, &str); 4] = [
    ("numRecordsIn", "numRecordsInPerSecond"),
    ("numRecordsOut", "numRecordsOutPerSecond"),
    ("numBytesIn", "numBytesInPerSecond"),
    ("numBytesOut", "numBytesOutPerSecond"),
];
/// Operators whose rates are remembered; the oldest are forgotten.
const RATED_OPERATORS_MAX: usize = 20_000;

type Values = Vec<(String, f64)>;

/// Rates of counters between two looks at them.
#[derive(Default)]
pub struct Rates(Mutex<BTreeMap<(String, usize, usize), Sample>>);

#[derive(Clone, Copy)]
struct Sample {
    at_ms: i64,
    counters: [f64; RATED.len()],
    rates: [f64; RATED.len()],
}

impl Rates {
    fn of(
        &self,
        key: (String, usize, usize),
        counters: [f64; RATED.len()],
        now_ms: i64,
    ) -> [f64; RATED.len()] {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= RATED_OPERATORS_MAX && !samples.contains_key(&key) {
            samples.clear();
        }
        let first = Sample {
            at_ms: now_ms,
            counters,
            rates: [0.0; RATED.len()],
        };
        let sample = samples.entry(key).or_insert(first);
        let elapsed_ms = now_ms.saturating_sub(sample.at_ms);
        if elapsed_ms >= RATE_WINDOW_MS {
            for (index, counter) in counters.iter().enumerate() {
                // A restart of the job resets its counters.
                let grown = (counter - sample.counters[index]).max(0.0);
                sample.rates[index] = grown * MS_PER_SECOND / elapsed_ms as f64;
            }
            (sample.at_ms, sample.counters) = (now_ms, counters);
        }
        sample.rates
    }
}

/// Metrics of one operator instance, rates included.
pub fn operator_values(operator: &OperatorMetrics, rates: &Rates, job: &str, now_ms: i64) -> Values {
    let mut values: Values = operator
        .values()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value as f64))
        .collect();
    let counter = |name: &str| {
        values
            .iter()
            .find(|(known, _)| known == name)
            .map_or(0.0, |(_, value)| *value)
    };
    let counters = RATED.map(|(name, _)| counter(name));
    let found = rates.of(
        (job.to_owned(), operator.vertex, operator.subtask),
        counters,
        now_ms,
    );
    values.extend(
        RATED
            .iter()
            .zip(found)
            .map(|((_, name), rate)| ((*name).to_owned(), rate)),
    );
    values
}

/// Metrics of a job as a whole.
pub fn job_values(job: &JobView, now_ms: i64) -> Values {
    let latest = job.checkpoints.latest_completed();
    let of_latest = |value: Option<f64>| value.unwrap_or(-1.0);
    let in_state = |state: &str| time_in(job, state, now_ms);
    let running_ms = if job.state == "RUNNING" {
        now_ms.saturating_sub(job.modified_ms())
    } else {
        0
    };
    let in_progress = job
        .checkpoints
        .history
        .iter()
        .filter(|record| record.ended_ms.is_none())
        .count();
    let pairs = [
        ("numRestarts", f64::from(job.restarts)),
        ("fullRestarts", f64::from(job.restarts)),
        ("uptime", running_ms.max(0) as f64),
        ("runningTime", in_state("RUNNING")),
        ("restartingTime", in_state("RESTARTING")),
        ("cancellingTime", in_state("CANCELLING")),
        ("failingTime", in_state("FAILING")),
        ("initializingTime", in_state("INITIALIZING")),
        ("createdTime", in_state("CREATED")),
        (
            "downtime",
            if job.state == "RESTARTING" {
                now_ms.saturating_sub(job.modified_ms()) as f64
            } else {
                0.0
            },
        ),
        ("numberOfCompletedCheckpoints", job.checkpoints.completed as f64),
        ("numberOfFailedCheckpoints", job.checkpoints.failed as f64),
        ("numberOfInProgressCheckpoints", in_progress as f64),
        (
            "totalNumberOfCheckpoints",
            (job.checkpoints.completed + job.checkpoints.failed) as f64 + in_progress as f64,
        ),
        (
            "lastCompletedCheckpointId",
            of_latest(latest.map(|record| record.id as f64)),
        ),
        (
            "lastCheckpointSize",
            of_latest(latest.map(|record| record.written_bytes as f64)),
        ),
        (
            "lastCheckpointFullSize",
            of_latest(latest.map(|record| record.full_bytes as f64)),
        ),
        (
            "lastCheckpointDuration",
            of_latest(latest.and_then(|record| Some((record.ended_ms? - record.triggered_ms) as f64))),
        ),
        (
            "lastCheckpointCompletedTimestamp",
            of_latest(
                latest
                    .and_then(|record| record.ended_ms)
                    .map(|ended| ended as f64),
            ),
        ),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Milliseconds that a job was in a state.
fn time_in(job: &JobView, state: &str, now_ms: i64) -> f64 {
    let mut total = 0;
    for (index, (name, entered_ms)) in job.transitions.iter().enumerate() {
        let left_ms = job
            .transitions
            .get(index + 1)
            .map_or(now_ms, |(_, next_ms)| *next_ms);
        if *name == state {
            total += left_ms.saturating_sub(*entered_ms).max(0);
        }
    }
    total as f64
}

/// Metrics of the process.
pub fn process_values(state: &ServerState) -> Values {
    let jobs = state.job_views();
    let running = jobs.iter().filter(|job| !job.has_ended).count();
    let slots = state.slots();
    let memory = ProcessMemory::read();
    let pairs = [
        ("numRunningJobs", running as f64),
        ("numRegisteredTaskManagers", 1.0),
        ("taskSlotsTotal", slots as f64),
        ("taskSlotsAvailable", slots.saturating_sub(running) as f64),
        ("Status.JVM.Memory.Heap.Used", memory.resident as f64),
        ("Status.JVM.Memory.Heap.Committed", memory.resident as f64),
        ("Status.JVM.Memory.Heap.Max", memory.total as f64),
        ("Status.JVM.Threads.Count", memory.threads as f64),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Memory of the process and of the machine, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub struct ProcessMemory {
    pub resident: u64,
    pub total: u64,
    pub free: u64,
    pub threads: u64,
}

impl ProcessMemory {
    /// Reads `/proc`; zeros where there is none.
    pub fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            resident: field(&status, "VmRSS:") * 1024,
            threads: field(&status, "Threads:"),
            total: field(&machine, "MemTotal:") * 1024,
            free: field(&machine, "MemAvailable:") * 1024,
        }
    }
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_taken_over_a_second_and_survive_a_reset_of_the_counters() {
        let rates = Rates::default();
        let key = || ("j".to_owned(), 0, 0);
        assert_eq!(rates.of(key(), [10.0; 4], 0), [0.0; 4]);
        assert_eq!(rates.of(key(), [15.0; 4], 500), [0.0; 4]);
        assert_eq!(rates.of(key(), [30.0; 4], 2_000), [10.0; 4]);
        assert_eq!(rates.of(key(), [0.0; 4], 4_000), [0.0; 4]);
    }
}
