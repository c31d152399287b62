//! Measuring: wall time, and the CPU time of this thread.
//!
//! The only place of the benches that reads the clock or waits.

#![allow(clippy::disallowed_methods, reason = "benches measure real time")]

use std::time::{Duration, Instant};

use anyhow::Context;

/// How many times a part is measured; the best counts, as other load on the machine only ever adds.
const ROUNDS: u32 = 8;
/// CPU time of a round. The account of a running thread is brought up to date every few milliseconds.
const ROUND: Duration = Duration::from_millis(250);

/// A moment.
#[derive(Clone, Copy, Debug)]
pub struct Started(Instant);

impl Started {
    pub fn now() -> Self {
        Self(Instant::now())
    }

    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// CPU time of the calling thread: to the nanosecond, from the scheduler's own account.
pub fn thread_cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("the CPU time of a thread is read from /proc: benches need Linux")?;
    let nanos = text.split_ascii_whitespace().next().unwrap_or("").parse()?;
    Ok(Duration::from_nanos(nanos))
}

/// Nanoseconds of CPU time for each of the items that a call of `work` says it handled.
pub fn nanos_per_item(mut work: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let before = thread_cpu()?;
        let (mut items, mut spent) = (0, Duration::ZERO);
        while spent < ROUND {
            items += work()?;
            spent = thread_cpu()?.saturating_sub(before);
        }
        best = best.min(spent.as_nanos() as f64 / items.max(1) as f64);
    }
    Ok(best)
}

/// Milliseconds of CPU time of a fixed calculation: tells how fast a CPU second is at this moment on a shared machine.
pub fn calibrate() -> anyhow::Result<f64> {
    const STEPS: u64 = 100_000_000;
    let before = thread_cpu()?;
    let mut state = 1u64;
    for step in 0..std::hint::black_box(STEPS) {
        state = (state ^ step).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    std::hint::black_box(state);
    Ok(thread_cpu()?.saturating_sub(before).as_secs_f64() * 1e3)
}
