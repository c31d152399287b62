//! Waits between attempts: doubling, bounded, and spread by a fifth to both sides.

use std::time::Duration;

use millstream_types::Rng;

/// How much of a wait is random, to both sides.
const JITTER: f64 = 0.2;
/// A wait before a new attempt doubles at most this often; from then on it is the longest.
const DOUBLINGS_MAX: u32 = 20;

/// The delay after a number of consecutive failures.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Backoff {
            first,
            max: max.max(first),
        }
    }

    /// The wait after the failure with this number, from 0.
    pub fn wait(&self, failure: u32, rng: &dyn Rng) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1 << failure.min(DOUBLINGS_MAX))
            .min(self.max);
        doubled.mul_f64(1.0 - JITTER + 2.0 * JITTER * rng.unit_f64())
    }
}
