//! A set of hashes that may say yes to one that is not in it, but never no to one that is: a blocked Bloom filter.
//!
//! All bits of a hash lie in one cache line, so that a lookup costs one miss. With ten bits a hash, about one in eighty
//! lookups of a hash that is absent says yes.

const BITS_PER_HASH: usize = 10;
const PROBES: u32 = 6;
const WORDS_PER_LINE: usize = 8;

#[derive(Debug)]
pub(super) struct Filter {
    lines: Vec<[u64; WORDS_PER_LINE]>,
}

impl Filter {
    pub fn new(hashes: &[u64]) -> Self {
        let bits = hashes.len() * BITS_PER_HASH;
        let mut filter = Self {
            lines: vec![[0; WORDS_PER_LINE]; bits.div_ceil(WORDS_PER_LINE * 64).max(1)],
        };
        for hash in hashes {
            let line = filter.line_of(*hash);
            let (words, bits) = (&mut filter.lines[line], bits_of(*hash));
            for probe in 0..PROBES {
                let bit = bit_at(bits, probe);
                words[bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// Whether the hash may be in the set.
    #[inline]
    pub fn may_contain(&self, hash: u64) -> bool {
        let (words, bits) = (&self.lines[self.line_of(hash)], bits_of(hash));
        (0..PROBES).all(|probe| {
            let bit = bit_at(bits, probe);
            words[bit / 64] >> (bit % 64) & 1 == 1
        })
    }

    pub fn memory_size(&self) -> usize {
        self.lines.len() * size_of::<[u64; WORDS_PER_LINE]>()
    }

    fn line_of(&self, hash: u64) -> usize {
        // The high bits are alike within a partition.
        let low = hash & u64::from(u32::MAX);
        ((low * self.lines.len() as u64) >> 32) as usize
    }
}

fn bits_of(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash.rotate_left(29)
}

fn bit_at(bits: u64, probe: u32) -> usize {
    (bits >> (9 * probe) & 511) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash_u64;

    #[test]
    fn no_hash_is_missed_and_few_others_pass() {
        let hashes: Vec<u64> = (0..20_000).map(hash_u64).collect();
        let filter = Filter::new(&hashes);
        assert!(hashes.iter().all(|hash| filter.may_contain(*hash)));
        let passed = (20_000..120_000)
            .filter(|n| filter.may_contain(hash_u64(*n)))
            .count();
        assert!(passed < 2_500, "{passed} of 100,000");
        assert!(filter.memory_size() < 20_000 * 11 / 8);
        assert!(!Filter::new(&[]).may_contain(7));
    }
}
