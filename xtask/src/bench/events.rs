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

/// Makes events with a number of different keys.
pub struct Events {
    keys: u64,
    next: u64,
    random: u64,
}

impl Events {
    pub fn new(keys: u64) -> Self {
        Self {
            keys: keys.max(1),
            next: 0,
            random: 42,
        }
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
            a % self.keys,
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
}
