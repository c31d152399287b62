//! Key groups: the fixed number of shards by which keyed state and keyed exchanges are divided.
//!
//! A key belongs to one key group forever; instances own contiguous ranges of groups, so that state moves by whole
//! groups when parallelism changes. The arithmetic is Flink's (murmur of a 32-bit key hash, ranges by integer
//! division); the 32-bit hash itself is ours, see [`crate::hash`].

use std::ops::Range;

/// The key group of a key with this hash.
pub fn of_hash(hash: u64, max_parallelism: u16) -> u16 {
    let folded = (hash ^ (hash >> 32)) as u32;
    (murmur(folded) % u32::from(max_parallelism.max(1))) as u16
}

/// The instance that owns a key group.
pub fn owner(key_group: u16, parallelism: usize, max_parallelism: u16) -> usize {
    usize::from(key_group) * parallelism / usize::from(max_parallelism.max(1))
}

/// The key groups that an instance owns.
pub fn range_of(subtask: usize, parallelism: usize, max_parallelism: u16) -> Range<u16> {
    let (groups, parallelism) = (usize::from(max_parallelism), parallelism.max(1));
    let first_of = |index: usize| (index * groups).div_ceil(parallelism).min(groups) as u16;
    first_of(subtask)..first_of(subtask + 1)
}

/// MurmurHash3 (32 bits) of one word, made non-negative as Flink does.
fn murmur(code: u32) -> u32 {
    let mut k = code
        .wrapping_mul(0xCC9E_2D51)
        .rotate_left(15)
        .wrapping_mul(0x1B87_3593);
    k = k.rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64) ^ 4;
    k ^= k >> 16;
    k = k.wrapping_mul(0x85EB_CA6B);
    k ^= k >> 13;
    k = k.wrapping_mul(0xC2B2_AE35);
    k ^= k >> 16;
    let signed = k as i32;
    signed.checked_abs().unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_groups_and_agree_with_owner() {
        for (groups, parallelism) in [(128, 1), (128, 2), (128, 3), (128, 7), (10, 10), (5, 8)] {
            let mut owners = Vec::new();
            for subtask in 0..parallelism {
                for group in range_of(subtask, parallelism, groups) {
                    assert_eq!(
                        owner(group, parallelism, groups),
                        subtask,
                        "group {group} of {groups}"
                    );
                    owners.push(group);
                }
            }
            assert_eq!(owners, (0..groups).collect::<Vec<_>>());
        }
    }

    #[test]
    fn groups_are_spread() {
        let mut counts = [0u32; 128];
        (0..128_000u64)
            .for_each(|i| counts[usize::from(of_hash(i.wrapping_mul(0x9E37_79B9_7F4A_7C15), 128))] += 1);
        assert!(counts.iter().all(|c| (800..1200).contains(c)), "{counts:?}");
    }
}
