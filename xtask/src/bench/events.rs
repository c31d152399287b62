//! The events that the benches read: JSON objects of eight fields and about 187 bytes, the same ones every time.

use std::io::Write;

/// Event time of the first event, in milliseconds: 2026-01-01 00:00:00 UTC.
const BASE_MS: u64 = 1_767_225_600_000;
/// Events in a second of event time.
const EVENTS_PER_SECOND: u64 = 100_000;
const MS_PER_DAY: u64 = 86_400_000;
const REGIONS: [&str; 5] = ["eu-west-1", "eu-north-1", "us-east-1", "us-west-2", "ap-south-1"];

/// The columns of an event, for CREATE TABLE.
pub const COLUMNS: &str = "id BIGINT, k STRING, ts TIMESTAMP(3), amount DOUBLE, qty INT, region STRING, ok BOOLEAN, \
                           note STRING";

/// How often keys appear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Frequency {
    Uniform,
    /// Zipf's law: the key of rank `r` as often as `1 / r^exponent`.
    Zipf(f64),
}

/// Makes events with a number of different keys.
pub struct Events {
    keys: u64,
    /// With Zipf's law: what share of the events the keys up to each rank have together.
    shares: Vec<f64>,
    next: u64,
    random: u64,
}

impl Events {
    pub fn new(keys: u64) -> Self {
        Self::with_frequency(keys, Frequency::Uniform)
    }

    pub fn with_frequency(keys: u64, frequency: Frequency) -> Self {
        let keys = keys.max(1);
        Self {
            keys,
            shares: match frequency {
                Frequency::Uniform => Vec::new(),
                Frequency::Zipf(exponent) => shares(keys, exponent),
            },
            next: 0,
            random: 42,
        }
    }

    /// The key for a random number.
    fn key(&self, random: u64) -> u64 {
        if self.shares.is_empty() {
            return random % self.keys;
        }
        let at = (random >> 11) as f64 / (1u64 << 53) as f64;
        let rank = self.shares.partition_point(|share| *share <= at) as u64;
        rank.min(self.keys - 1)
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Writes the next event to `out` (cleared first); returns its time in milliseconds.
    pub fn write(&mut self, out: &mut Vec<u8>) -> std::io::Result<i64> {
        let (a, b) = (self.random(), self.random());
        let ts = BASE_MS + self.next * 1000 / EVENTS_PER_SECOND;
        let time = ts % MS_PER_DAY;
        let day = 1 + (ts - BASE_MS) / MS_PER_DAY;
        out.clear();
        write!(
            out,
            "{{\"id\":{},\"k\":\"key-{:06}\",\"ts\":\"2026-01-{day:02} {:02}:{:02}:{:02}.{:03}\",",
            self.next,
            self.key(a),
            time / 3_600_000,
            time / 60_000 % 60,
            time / 1000 % 60,
            time % 1000,
        )?;
        write!(
            out,
            "\"amount\":{}.{:02},\"qty\":{},\"region\":\"{}\",\"ok\":{},\"note\":\"{:016x}{:016x}{:016x}{:016x}\"}}",
            b % 10_000,
            b >> 32 & 63,
            a >> 20 & 15,
            REGIONS[(a >> 40) as usize % REGIONS.len()],
            a >> 50 & 3 != 0,
            a,
            b,
            a.rotate_left(17) ^ b,
            b.rotate_left(31) ^ a,
        )?;
        self.next += 1;
        Ok(ts as i64)
    }
}

fn shares(keys: u64, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_eight_fields_and_their_size() {
        let (mut events, mut text, mut bytes) = (Events::new(1000), Vec::new(), 0);
        for _ in 0..10_000 {
            events.write(&mut text).unwrap();
            bytes += text.len();
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value.as_object().unwrap().len(), 8);
        }
        assert!((180..192).contains(&(bytes / 10_000)), "{bytes}");
    }

    /// With exponent 1.2 and 1000 keys the first has 1 / 4.33 of the events: the sum of 1 / r^1.2.
    #[test]
    fn the_first_key_of_zipfs_law_is_frequent() {
        let events = Events::with_frequency(1000, Frequency::Zipf(1.2));
        assert!(
            (events.shares[0] - 1.0 / 4.33).abs() < 0.001,
            "{}",
            events.shares[0]
        );
        assert_eq!((events.key(0), events.key(u64::MAX)), (0, 999));
    }
}
