//! The order in which Java's `HashMap` hands out its keys, for maps that Flink builds in one.
//!
//! Flink prints and writes a MAP in the order in which it was built. Maps that come out of a JSON message, and multisets,
//! were built by walking through a `HashMap`, so their order follows from the hash codes of the keys.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use crate::calendar::civil_from_days;
use crate::java_text::hash_code;

/// Seed of the hash of strings.
const SEED: u32 = 42;
/// Buckets of a new `HashMap`.
const BUCKETS_MIN: usize = 16;

/// `BinaryStringData.hashCode`: MurmurHash3 over four bytes at a time, then over single bytes.
pub fn string_hash(bytes: &[u8]) -> i32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let hash = words
        .iter()
        .map(|word| u32::from_le_bytes(*word))
        .chain(
            rest.iter()
                .map(|byte| i32::from(byte.cast_signed()).cast_unsigned()),
        )
        .fold(SEED, mix);
    let mut hash = hash ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16).cast_signed()
}

fn mix(hash: u32, word: u32) -> u32 {
    let word = word
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593);
    (hash ^ word)
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}

/// `Long.hashCode`.
fn long_hash(value: i64) -> i32 {
    (value ^ (value.cast_unsigned() >> 32).cast_signed()) as i32
}

/// `BigDecimal.hashCode`.
fn decimal_hash(unscaled: i128, scale: i8) -> i32 {
    let magnitude = unscaled.unsigned_abs();
    let words = (0..4).rev().map(|word| (magnitude >> (32 * word)) as u32);
    let hash = words.fold(0u32, |hash, word| hash.wrapping_mul(31).wrapping_add(word));
    let signed = hash.cast_signed().wrapping_mul(unscaled.signum() as i32);
    signed.wrapping_mul(31).wrapping_add(i32::from(scale))
}

/// The hash of a key as Flink's internal type has it; 0 for NULL and for types whose hash differs from run to run.
fn key_hash(keys: &ArrayRef, row: usize) -> i32 {
    if keys.is_null(row) {
        return 0;
    }
    match keys.data_type() {
        DataType::Utf8View => string_hash(keys.as_string_view().value(row).as_bytes()),
        DataType::Boolean if keys.as_boolean().value(row) => 1231,
        DataType::Boolean => 1237,
        DataType::Int8 => i32::from(keys.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => i32::from(keys.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => keys.as_primitive::<Int32Type>().value(row),
        DataType::Date32 => keys.as_primitive::<Date32Type>().value(row),
        DataType::Time32(TimeUnit::Millisecond) => keys.as_primitive::<Time32MillisecondType>().value(row),
        DataType::Int64 => long_hash(keys.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => keys
            .as_primitive::<Float32Type>()
            .value(row)
            .to_bits()
            .cast_signed(),
        DataType::Float64 => {
            let bits = keys.as_primitive::<Float64Type>().value(row).to_bits();
            long_hash(bits.cast_signed())
        }
        DataType::Decimal128(_, scale) => {
            decimal_hash(keys.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            long_hash(keys.as_primitive::<TimestampMillisecondType>().value(row)).wrapping_mul(31)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = keys.as_primitive::<TimestampMicrosecondType>().value(row);
            let nanos = (micros.rem_euclid(1000) * 1000) as i32;
            long_hash(micros.div_euclid(1000))
                .wrapping_mul(31)
                .wrapping_add(nanos)
        }
        _ => 0,
    }
}

/// The positions of `hashes`, put into a new `HashMap` in this order, as the map hands them out: by bucket, then by time.
pub fn map_order(hashes: &[i32]) -> Vec<usize> {
    let mut buckets = BUCKETS_MIN;
    while hashes.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let bucket = |hash: i32| {
        let hash = hash.cast_unsigned();
        (hash ^ hash >> 16) as usize & (buckets - 1)
    };
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|place| bucket(hashes[*place]));
    order
}

/// The rows of distinct keys in the order of a `HashMap` that they are put into.
pub fn keys_in_map_order(keys: &ArrayRef, rows: std::ops::Range<usize>) -> Vec<usize> {
    let hashes: Vec<i32> = rows.clone().map(|row| key_hash(keys, row)).collect();
    map_order(&hashes)
        .into_iter()
        .map(|place| rows.start + place)
        .collect()
}

/// The hash of a key as the Java object that a map outside of Flink's internal types holds.
fn object_hash(keys: &ArrayRef, row: usize) -> i32 {
    if keys.is_null(row) {
        return 0;
    }
    match keys.data_type() {
        DataType::Utf8View => hash_code(keys.as_string_view().value(row)),
        DataType::Date32 => date_hash(keys.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(TimeUnit::Millisecond) => {
            let millis = keys.as_primitive::<Time32MillisecondType>().value(row);
            long_hash(i64::from(millis) * 1_000_000)
        }
        _ => key_hash(keys, row),
    }
}

/// `LocalDate.hashCode`.
fn date_hash(days: i32) -> i32 {
    let (year, month, day) = civil_from_days(i64::from(days));
    let year = year as i32;
    let fields = (year << 11)
        .wrapping_add((month as i32) << 6)
        .wrapping_add(day as i32);
    (year & !0x7ff) ^ fields
}

/// As [`keys_in_map_order`], for keys that are Java objects.
pub fn object_keys_in_map_order(keys: &ArrayRef, rows: std::ops::Range<usize>) -> Vec<usize> {
    let hashes: Vec<i32> = rows.clone().map(|row| object_hash(keys, row)).collect();
    map_order(&hashes)
        .into_iter()
        .map(|place| rows.start + place)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders that Flink 2.3 printed.
    #[test]
    fn keys_come_as_in_flink() {
        for (keys, expected) in [
            (&["Ann", "Bob", "Cid", "Dee", "Eve"][..], "Cid Dee Eve Bob Ann"),
            (&["a", "b", "c", "zz", "foo", "bar"], "a c zz bar b foo"),
            (&["é", "日本", "a"], "a é 日本"),
            (
                &[
                    "key1", "key2", "key10", "key3", "key4", "k5", "k6", "k7", "k8", "k9", "k11", "k12",
                    "k13", "k14",
                ],
                "k6 k9 k14 key2 key4 key3 k8 k5 k12 key10 k7 k11 k13 key1",
            ),
        ] {
            let hashes: Vec<i32> = keys.iter().map(|key| string_hash(key.as_bytes())).collect();
            let found: Vec<&str> = map_order(&hashes).into_iter().map(|place| keys[place]).collect();
            assert_eq!(found.join(" "), expected);
        }
    }

    #[test]
    fn numbers_hash_as_in_java() {
        assert_eq!(decimal_hash(1025, 2), 31 * 1025 + 2);
        assert_eq!(decimal_hash(-15, 1), -15 * 31 + 1);
        assert_eq!(long_hash(-3), 2);
    }
}
