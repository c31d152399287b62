//! The order in which Java's `HashMap` hands out its keys, for results that Flink builds in one.

use millstream_types::java_text::hash_code;

/// Number of buckets of a `HashMap` made for `expected` entries after `entries` were put.
fn buckets(expected: usize, entries: usize) -> usize {
    let mut buckets = expected.max(1).next_power_of_two();
    while entries * 4 > buckets * 3 {
        buckets *= 2;
    }
    buckets
}

/// `String.hashCode`, spread as `HashMap` does it.
fn spread_hash(key: &str) -> u32 {
    let hash = hash_code(key).cast_unsigned();
    hash ^ (hash >> 16)
}

/// Indices of distinct string keys, put in the given order into a `HashMap` made for `expected` entries, in its iteration
/// order: by bucket, then by time.
pub(crate) fn java_string_order<'k>(keys: impl Iterator<Item = &'k str>, expected: usize) -> Vec<usize> {
    let hashes: Vec<u32> = keys.map(spread_hash).collect();
    let mask = buckets(expected, hashes.len()) - 1;
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|i| hashes[*i] as usize & mask);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_letters_come_in_alphabetical_order() {
        assert_eq!(java_string_order(["c", "a", "b"].into_iter(), 3), [1, 2, 0]);
    }

    #[test]
    fn order_follows_the_bucket() {
        // "aa" has hash 3104, "b" 98: in four buckets they are 0 and 2.
        assert_eq!(java_string_order(["b", "aa"].into_iter(), 3), [1, 0]);
    }
}
