//! Counters of the listeners: requests by API and version, their sizes and times, and authentications.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_kafka_wire::ApiKey;
use millstream_types::Clock;

use super::histogram::Histogram;

/// Reported quantiles of request times.
pub const QUANTILES: [f64; 5] = [0.5, 0.75, 0.95, 0.99, 0.999];

/// Counters of the listeners.
pub struct ShellMetrics {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl std::fmt::Debug for ShellMetrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ShellMetrics")
    }
}

#[derive(Default)]
struct State {
    apis: BTreeMap<i16, Api>,
    /// By listener: authentications that succeeded, and that failed.
    authentications: BTreeMap<String, (u64, u64)>,
}

struct Api {
    key: ApiKey,
    by_version: BTreeMap<i16, u64>,
    received: u64,
    sent: u64,
    times: Histogram,
}

/// Counters of one API.
#[derive(Clone, Debug)]
pub struct RequestCounts {
    pub key: ApiKey,
    pub by_version: BTreeMap<i16, u64>,
    /// Bytes of requests.
    pub received: u64,
    /// Bytes of responses.
    pub sent: u64,
    pub count: u64,
    pub sum_us: u64,
    /// For each of [`QUANTILES`].
    pub quantiles_us: [u64; QUANTILES.len()],
}

/// Everything that was counted.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub requests: Vec<RequestCounts>,
    /// By listener: authentications that succeeded, and that failed.
    pub authentications: BTreeMap<String, (u64, u64)>,
}

impl ShellMetrics {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// The time by which everything is measured.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request with its time; `bytes` are those of the request and of the response.
    pub fn request(&self, key: ApiKey, version: i16, took: Duration, bytes: (usize, usize)) {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let api = state.apis.entry(key as i16).or_insert_with(|| Api {
            key,
            by_version: BTreeMap::new(),
            received: 0,
            sent: 0,
            times: Histogram::new(now_ms),
        });
        *api.by_version.entry(version).or_default() += 1;
        api.received += bytes.0 as u64;
        api.sent += bytes.1 as u64;
        api.times
            .record(now_ms, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// A client was let in, or was not.
    pub fn authentication(&self, listener: &str, is_success: bool) {
        let mut state = self.state();
        let counts = state.authentications.entry(listener.to_owned()).or_default();
        if is_success { counts.0 += 1 } else { counts.1 += 1 }
    }

    /// Everything so far.
    pub fn snapshot(&self) -> Snapshot {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let counts = |api: &mut Api| RequestCounts {
            key: api.key,
            by_version: api.by_version.clone(),
            received: api.received,
            sent: api.sent,
            count: api.times.count(),
            sum_us: api.times.sum_us(),
            quantiles_us: api.times.quantiles(now_ms, QUANTILES),
        };
        Snapshot {
            requests: state.apis.values_mut().map(counts).collect(),
            authentications: state.authentications.clone(),
        }
    }
}
