//! Figures of the whole process: rates from counters, and the last hour of them.
//!
//! One task takes a sample each second while a page listens, and every five seconds otherwise, so that an idle server
//! stays idle.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millstream_connectors::kafka::KafkaClusters;
use millstream_session::JobHandle;
use serde::Serialize;
use tokio::sync::watch;

use super::Ui;
use crate::limits::UI_HISTORY_SAMPLES;

/// Time between two samples while a page is open.
const LIVE_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two points of the history.
const HISTORY_INTERVAL_MS: i64 = 5_000;

/// What a page hears each second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tick {
    pub now: i64,
    /// Jobs by state.
    pub jobs: BTreeMap<&'static str, usize>,
    pub job_records_in: f64,
    pub job_records_out: f64,
    pub broker_bytes_in: f64,
    pub broker_bytes_out: f64,
    pub rss: u64,
    /// Cores in use: 0.5 is half of one.
    pub cpu: f64,
}

/// Counters that only grow, at one moment.
#[derive(Clone, Debug, Default)]
struct Totals {
    at_ms: i64,
    jobs: BTreeMap<String, (u64, u64)>,
    bytes_in: u64,
    bytes_out: u64,
    cpu_ms: u64,
}

struct Samples {
    last: Totals,
    history: VecDeque<Tick>,
    /// The sums of the ticks since the last point of the history.
    pending: Vec<Tick>,
}

/// The samples, and who listens to them.
pub struct Sampler {
    samples: Mutex<Samples>,
    ticks: watch::Sender<Tick>,
}

impl Sampler {
    pub fn new(now_ms: i64) -> Self {
        let last = Totals {
            at_ms: now_ms,
            ..Totals::default()
        };
        Self {
            samples: Mutex::new(Samples {
                last,
                history: VecDeque::new(),
                pending: Vec::new(),
            }),
            ticks: watch::channel(Tick::default()).0,
        }
    }

    pub fn subscribe(&self) -> watch::Receiver<Tick> {
        self.ticks.subscribe()
    }

    /// The last hour, oldest first.
    pub fn history(&self) -> Vec<Tick> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.history.iter().cloned().collect()
    }

    fn take(&self, totals: Totals, jobs: BTreeMap<&'static str, usize>, rss: u64) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tick = rates(&samples.last, &totals);
        tick.jobs = jobs;
        tick.rss = rss;
        samples.last = totals;
        samples.pending.push(tick.clone());
        let newest = samples.history.back().map_or(0, |tick| tick.now);
        if tick.now - newest >= HISTORY_INTERVAL_MS {
            let point = mean(&std::mem::take(&mut samples.pending));
            if samples.history.len() == UI_HISTORY_SAMPLES {
                samples.history.pop_front();
            }
            samples.history.push_back(point);
        }
        drop(samples);
        self.ticks.send_replace(tick);
    }
}

fn rates(old: &Totals, new: &Totals) -> Tick {
    let seconds = ((new.at_ms - old.at_ms).max(1) as f64) / 1_000.0;
    let per_second = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
    let mut tick = Tick {
        now: new.at_ms,
        broker_bytes_in: per_second(old.bytes_in, new.bytes_in),
        broker_bytes_out: per_second(old.bytes_out, new.bytes_out),
        cpu: per_second(old.cpu_ms, new.cpu_ms) / 1_000.0,
        ..Tick::default()
    };
    for (job, (records_in, records_out)) in &new.jobs {
        // A job that was not there before has begun since.
        let (old_in, old_out) = old.jobs.get(job).copied().unwrap_or_default();
        tick.job_records_in += per_second(old_in, *records_in);
        tick.job_records_out += per_second(old_out, *records_out);
    }
    tick
}

fn mean(ticks: &[Tick]) -> Tick {
    let of = |value: fn(&Tick) -> f64| ticks.iter().map(value).sum::<f64>() / ticks.len().max(1) as f64;
    let last = ticks.last().cloned().unwrap_or_default();
    Tick {
        job_records_in: of(|tick| tick.job_records_in),
        job_records_out: of(|tick| tick.job_records_out),
        broker_bytes_in: of(|tick| tick.broker_bytes_in),
        broker_bytes_out: of(|tick| tick.broker_bytes_out),
        cpu: of(|tick| tick.cpu),
        ..last
    }
}

/// Starts the task. It ends with the router, which holds the only strong reference.
pub fn start(ui: &Arc<Ui>) {
    let runtime = ui.server.clusters().runtime();
    let ui = Arc::downgrade(ui);
    runtime.spawn(async move {
        for second in 0_i64.. {
            let Some(ui) = ui.upgrade() else { return };
            let is_heard = ui.sampler.ticks.receiver_count() > 0;
            if is_heard || second % (HISTORY_INTERVAL_MS / 1_000) == 0 {
                sample(&ui).await;
            }
            drop(ui);
            tokio::time::sleep(LIVE_INTERVAL).await;
        }
    });
}

async fn sample(ui: &Ui) {
    let mut totals = Totals {
        at_ms: ui.server.now_ms(),
        ..Totals::default()
    };
    if let Ok(measure) = ui.kafka.measure().await {
        totals.bytes_in = measure.all.bytes_in;
        totals.bytes_out = measure.all.bytes_out;
    }
    let mut states = BTreeMap::new();
    for job in ui.server.jobs().list() {
        *states.entry(job.status().name()).or_default() += 1;
        if !job.status().is_terminal() {
            totals.jobs.insert(job.id().to_string(), records(&job));
        }
    }
    let (rss, cpu_ms) = process();
    totals.cpu_ms = cpu_ms;
    ui.sampler.take(totals, states, rss);
}

/// Records that the sources of a job gave and its sinks took.
fn records(job: &JobHandle) -> (u64, u64) {
    use std::sync::atomic::Ordering::Relaxed;
    let vertices = job.vertices();
    let mut has_reader = vec![false; vertices.len()];
    for input in vertices.iter().flat_map(|vertex| &vertex.inputs) {
        has_reader[*input] = true;
    }
    let (mut records_in, mut records_out) = (0, 0);
    for metrics in &job.metrics().operators {
        let is_source = vertices
            .get(metrics.vertex)
            .is_some_and(|vertex| vertex.inputs.is_empty());
        if is_source {
            records_in += metrics.records_out.load(Relaxed);
        }
        if has_reader.get(metrics.vertex) == Some(&false) {
            records_out += metrics.records_in.load(Relaxed);
        }
    }
    (records_in, records_out)
}

/// Clock ticks per second in `/proc`: `USER_HZ`, which is 100 on every architecture that Rust's Linux targets have.
const USER_HZ: u64 = 100;

/// Resident bytes and milliseconds of CPU of this process; zeros on systems without `/proc`.
pub fn process() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold spaces; it ends at the last parenthesis. utime and stime follow it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<u64>().ok())
        .sum();
    (kibibytes.unwrap_or_default() * 1_024, ticks * 1_000 / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(at_ms: i64, jobs: &[(&str, u64, u64)], bytes_in: u64) -> Totals {
        let jobs = jobs
            .iter()
            .map(|(name, i, o)| ((*name).to_owned(), (*i, *o)))
            .collect();
        Totals {
            at_ms,
            jobs,
            bytes_in,
            ..Totals::default()
        }
    }

    #[test]
    fn rates_are_differences_by_time_and_survive_restarts() {
        let old = totals(1_000, &[("a", 100, 10), ("b", 500, 500)], 1_000);
        // b was restarted and counts from zero; c is new; a went on for two seconds.
        let new = totals(3_000, &[("a", 300, 30), ("b", 40, 40), ("c", 20, 2)], 5_000);
        let tick = rates(&old, &new);
        assert_eq!((tick.job_records_in, tick.job_records_out), (110.0, 11.0));
        assert_eq!((tick.broker_bytes_in, tick.now), (2_000.0, 3_000));
    }

    #[test]
    fn the_history_is_bounded_and_holds_means() {
        let sampler = Sampler::new(0);
        for second in 1..=(UI_HISTORY_SAMPLES as i64 + 10) * 5 {
            sampler.take(totals(second * 1_000, &[], second as u64 * 7), BTreeMap::new(), 9);
        }
        let history = sampler.history();
        assert_eq!(history.len(), UI_HISTORY_SAMPLES);
        assert!(
            history
                .iter()
                .all(|tick| (tick.broker_bytes_in - 7.0).abs() < 1e-9)
        );
        assert!(
            history
                .windows(2)
                .all(|pair| pair[1].now - pair[0].now == HISTORY_INTERVAL_MS)
        );
    }
}
