//! Rates over sliding windows, as Kafka's quotas measure them.
//!
//! Values are summed up in samples of a fixed length. A sample counts for as long as its last value lies within the
//! windows, and a rate is never over less time than all windows but the one that is being filled: otherwise the first
//! value of all would be a very high rate. The caller brings the time, which may stand still or go back.

use std::collections::VecDeque;

/// Number and length of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many count.
    pub samples: usize,
    /// Length of a sample.
    pub sample_ms: i64,
}

impl Window {
    /// At least one sample of at least a second.
    pub fn new(samples: i64, sample_seconds: i64) -> Self {
        Window {
            samples: usize::try_from(samples).unwrap_or(1).max(1),
            sample_ms: sample_seconds.max(1).saturating_mul(1000),
        }
    }

    fn span_ms(self) -> i64 {
        let samples = i64::try_from(self.samples).unwrap_or(i64::MAX);
        self.sample_ms.saturating_mul(samples)
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    start_ms: i64,
    last_ms: i64,
    sum: f64,
}

/// A rate over the last samples.
#[derive(Debug, Default)]
pub struct Rate {
    /// The newest is last.
    samples: VecDeque<Sample>,
}

impl Rate {
    /// Adds a value to the current sample; a negative one cancels an earlier value.
    pub fn record(&mut self, now_ms: i64, window: Window, value: f64) {
        self.purge(now_ms, window);
        match self.samples.back_mut() {
            Some(sample) if now_ms.saturating_sub(sample.start_ms) < window.sample_ms => {
                sample.sum += value;
                sample.last_ms = now_ms;
            }
            _ => self.samples.push_back(Sample {
                start_ms: now_ms,
                last_ms: now_ms,
                sum: value,
            }),
        }
    }

    /// The sum over all samples of the window.
    pub fn sum(&mut self, now_ms: i64, window: Window) -> f64 {
        self.purge(now_ms, window);
        self.samples.iter().map(|sample| sample.sum).sum()
    }

    /// The sum by the second.
    pub fn per_second(&mut self, now_ms: i64, window: Window) -> f64 {
        let sum = self.sum(now_ms, window);
        sum / (self.elapsed_ms(now_ms, window) as f64 / 1000.0)
    }

    /// Time until the rate has fallen to `quota` a second; 0 if it is not above.
    pub fn throttle_ms(&mut self, now_ms: i64, window: Window, quota: f64) -> i64 {
        let rate = self.per_second(now_ms, window);
        if rate <= quota {
            return 0;
        }
        let elapsed_ms = self.elapsed_ms(now_ms, window) as f64;
        ((rate - quota) / quota * elapsed_ms).round() as i64
    }

    /// Whether nothing counts any more, so that forgetting the rate changes nothing.
    pub fn is_over(&mut self, now_ms: i64, window: Window) -> bool {
        self.purge(now_ms, window);
        self.samples.is_empty()
    }

    fn purge(&mut self, now_ms: i64, window: Window) {
        let is_over = |sample: &Sample| now_ms.saturating_sub(sample.last_ms) >= window.span_ms();
        while self.samples.front().is_some_and(is_over) {
            self.samples.pop_front();
        }
    }

    /// The time that the rate is over.
    fn elapsed_ms(&self, now_ms: i64, window: Window) -> i64 {
        let first = self.samples.front();
        let elapsed = first.map_or(0, |sample| now_ms.saturating_sub(sample.start_ms).max(0));
        let whole = elapsed / window.sample_ms;
        let least = i64::try_from(window.samples).unwrap_or(i64::MAX) - 1;
        let missing = least.saturating_sub(whole).max(0);
        elapsed
            .saturating_add(missing.saturating_mul(window.sample_ms))
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_over_all_windows_but_the_one_that_is_being_filled() {
        let window = Window::new(11, 1);
        for (times, now_ms, expected) in [
            (&[0i64][..], 0, 0.1),
            (&[0, 0, 0, 0, 0], 0, 0.5),
            (&[0, 5_000], 5_000, 0.2),
            (&[0, 5_000], 5_500, 0.2 * 10_000.0 / 10_500.0),
            (&[0, 5_000], 10_500, 2.0 / 10.5),
            // The first sample is over; the second began five and a half windows ago.
            (&[0, 5_000], 11_000, 0.1),
            // A sample counts from its start for as long as its last value is within the window.
            (&[0, 900], 11_500, 2.0 / 11.5),
            (&[0, 900], 11_900, 0.0),
        ] {
            let mut rate = Rate::default();
            for time in times {
                rate.record(*time, window, 1.0);
            }
            let found = rate.per_second(now_ms, window);
            assert!((found - expected).abs() < 1e-9, "{times:?} at {now_ms}: {found}");
        }
    }

    #[test]
    fn who_is_above_the_quota_waits_until_the_rate_has_fallen_to_it() {
        let window = Window::new(11, 1);
        for (count, quota, expected) in [
            (50, 5.0, 0),
            (51, 5.0, 200),
            (52, 5.0, 400),
            (100, 5.0, 10_000),
            (1, 0.0, i64::MAX),
        ] {
            let mut rate = Rate::default();
            rate.record(7, window, f64::from(count));
            assert_eq!(
                rate.throttle_ms(7, window, quota),
                expected,
                "{count} at {quota} a second"
            );
        }
    }

    #[test]
    fn what_is_taken_back_does_not_count_and_time_may_go_back() {
        let window = Window::new(2, 1);
        let mut rate = Rate::default();
        rate.record(5_000, window, 3.0);
        rate.record(5_000, window, -1.0);
        rate.record(4_000, window, 1.0);
        assert_eq!(rate.sum(4_000, window), 3.0);
        assert!(!rate.is_over(4_000, window) && rate.is_over(90_000, window));
        rate.record(i64::MIN, Window::new(i64::MAX, i64::MAX), 1.0);
        assert!(
            rate.per_second(i64::MAX, Window::new(i64::MAX, i64::MAX))
                .is_finite()
        );
    }
}
