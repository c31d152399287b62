//! What may flow in a stream, and what may be a key.

use std::hash::{Hash, Hasher};

use millstream_state::StateValue;

/// Values of a stream. Every type that can be cloned and sent to another thread is one.
pub trait Data: Clone + Send + 'static {}
impl<T: Clone + Send + 'static> Data for T {}

/// Keys of a stream: compared, hashed, and kept in checkpoints.
///
/// Every type that derives `Clone`, `Eq`, `Hash`, `Serialize` and `Deserialize` is one. Floating point numbers are not;
/// use their bits.
pub trait Key: Clone + Eq + Hash + StateValue {}
impl<T: Clone + Eq + Hash + StateValue> Key for T {}

/// The hash of a key, from which its key group follows. It depends on nothing but the key: a checkpoint is read by
/// processes to come.
#[inline]
pub(crate) fn hash_of<K: Hash + ?Sized>(key: &K) -> u64 {
    let mut hasher = StableHasher(SEED);
    key.hash(&mut hasher);
    hasher.finish()
}

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const MULTIPLIER: u64 = 0xD6E8_FEB8_6659_FD93;

/// A multiply-and-fold hash without a seed, the same on every machine of one byte order.
struct StableHasher(u64);

impl StableHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ SEED;
    }
}

impl Hasher for StableHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(word.try_into().map_or(0, u64::from_le_bytes));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut last = [0u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let product = u128::from(self.0) * u128::from(SEED);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fixed() {
        // Checkpoints of earlier releases are read by these.
        assert_eq!(hash_of("flink"), hash_of(&"flink".to_owned()));
        assert_ne!(hash_of(&1_u64), hash_of(&2_u64));
        assert_ne!(hash_of(&("a", "bc")), hash_of(&("ab", "c")));
    }
}
