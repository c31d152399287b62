//! Quantiles of latencies over the last minute or two, in fixed memory.
//!
//! Buckets grow exponentially, eight for each doubling, so a quantile is at most an eighth too high. Two windows
//! alternate, and quantiles cover both, so values older than two windows are forgotten.

/// Buckets of the first values, one for each.
const EXACT: u64 = 16;
/// Buckets for each doubling, as a power of two.
const STEP_BITS: u32 = 3;
/// Number of doublings; larger values count in the last bucket.
const DOUBLINGS: usize = 33;
const BUCKETS: usize = EXACT as usize + (DOUBLINGS << STEP_BITS);
/// Length of a window.
pub const WINDOW_MS: i64 = 60_000;

/// A histogram of microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    current: Vec<u32>,
    previous: Vec<u32>,
    window_end_ms: i64,
    count: u64,
    sum_us: u64,
}

impl Histogram {
    pub fn new(now_ms: i64) -> Self {
        Self {
            current: vec![0; BUCKETS],
            previous: vec![0; BUCKETS],
            window_end_ms: now_ms.saturating_add(WINDOW_MS),
            count: 0,
            sum_us: 0,
        }
    }

    pub fn record(&mut self, now_ms: i64, value_us: u64) {
        self.rotate(now_ms);
        if let Some(bucket) = self.current.get_mut(bucket_of(value_us)) {
            *bucket = bucket.saturating_add(1);
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(value_us);
    }

    /// How many values there were, ever.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The values below which these shares of the recent values are; zeros if there are none.
    pub fn quantiles<const N: usize>(&mut self, now_ms: i64, shares: [f64; N]) -> [u64; N] {
        self.rotate(now_ms);
        let both = || {
            self.current
                .iter()
                .zip(&self.previous)
                .map(|(a, b)| u64::from(*a) + u64::from(*b))
        };
        let total: u64 = both().sum();
        shares.map(|share| {
            let rank = (share * total as f64).ceil() as u64;
            let mut seen = 0;
            for (bucket, count) in both().enumerate() {
                seen += count;
                if count > 0 && seen >= rank {
                    return end_of(bucket);
                }
            }
            0
        })
    }

    fn rotate(&mut self, now_ms: i64) {
        if now_ms < self.window_end_ms {
            return;
        }
        let is_next = now_ms < self.window_end_ms.saturating_add(WINDOW_MS);
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.fill(0);
        if !is_next {
            self.previous.fill(0);
        }
        self.window_end_ms = now_ms.saturating_add(WINDOW_MS);
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let doubling = value.ilog2();
    let step = (value >> (doubling - STEP_BITS)) & ((1 << STEP_BITS) - 1);
    let first = EXACT.ilog2();
    let bucket = EXACT as usize + (((doubling - first) as usize) << STEP_BITS) + step as usize;
    bucket.min(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn end_of(bucket: usize) -> u64 {
    let Some(above) = bucket.checked_sub(EXACT as usize) else {
        return bucket as u64;
    };
    let doubling = EXACT.ilog2() + (above >> STEP_BITS) as u32;
    let step = (above & ((1 << STEP_BITS) - 1)) as u64;
    let width = 1u64 << (doubling - STEP_BITS);
    (1u64 << doubling) + (step + 1) * width - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values_within_an_eighth() {
        for value in (0..10_000).chain([1 << 20, (1 << 20) + 12_345, 1 << 35, u64::MAX]) {
            let end = end_of(bucket_of(value));
            if value < 1 << 36 {
                assert!(
                    value <= end && end <= value + value / 8,
                    "{value} in a bucket to {end}"
                );
            }
        }
    }

    #[test]
    fn quantiles_are_of_the_last_two_windows() {
        let mut histogram = Histogram::new(0);
        assert_eq!(histogram.quantiles(0, [0.5]), [0]);
        for value in 1..=100 {
            histogram.record(0, value * 1000);
        }
        let [median, most] = histogram.quantiles(1, [0.5, 0.99]);
        assert!(
            (50_000..57_000).contains(&median) && (99_000..112_000).contains(&most),
            "{median} {most}"
        );
        for _ in 0..100 {
            histogram.record(WINDOW_MS, 1);
        }
        assert_eq!(histogram.quantiles(WINDOW_MS, [0.5]), [1]);
        assert!(histogram.quantiles(WINDOW_MS, [0.99])[0] > 90_000);
        assert_eq!(histogram.quantiles(2 * WINDOW_MS, [0.99]), [1]);
        assert_eq!(histogram.quantiles(9 * WINDOW_MS, [0.99]), [0]);
        assert_eq!((histogram.count(), histogram.sum_us()), (200, 5_050_100));
    }
}
