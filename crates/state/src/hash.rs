//! Hashes of key columns: one 64-bit hash a row, computed column by column.
//!
//! The function must never change, because key groups (and so the place of a key in a checkpoint) follow from it: no
//! seed, no dependence on the machine, and no dependence on how a string is stored. Equality of keys is SQL's
//! grouping: NULL equals NULL, NaN equals NaN, `-0.0` differs from `0.0`. It does not defend against chosen keys.

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteViewType, Decimal128Type};
use arrow_array::{Array, ArrayRef, GenericByteViewArray};
use arrow_schema::DataType;

use crate::error::StateError;
use crate::fixed_width;

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const MULTIPLIER: u64 = 0xD6E8_FEB8_6659_FD93;
const COMBINER: u64 = 0xA076_1D64_78BD_642F;
const NULL_HASH: u64 = 0x8EBC_6AF0_9C88_C6E3;

/// Longest string that an Arrow view holds inside itself.
pub(crate) const VIEW_INLINE_BYTES: usize = 12;

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hash of a value of up to 64 bits.
#[inline]
pub fn hash_u64(value: u64) -> u64 {
    fold(value ^ SEED, MULTIPLIER)
}

/// Hash of a value of 128 bits.
#[inline]
pub fn hash_u128(value: u128) -> u64 {
    fold((value as u64) ^ SEED, ((value >> 64) as u64) ^ MULTIPLIER) ^ COMBINER
}

/// Hash of bytes that do not fit into a view.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = hash_u64(bytes.len() as u64);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        // A chunk of `chunks_exact(8)` always converts.
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        hash = fold(hash ^ word, COMBINER);
    }
    let mut last = [0u8; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    fold(hash ^ u64::from_le_bytes(last), MULTIPLIER)
}

/// Mixes the hash of a further column into the hash of a row.
#[inline]
fn combine(row: u64, column: u64) -> u64 {
    fold(row.rotate_left(23) ^ column, COMBINER)
}

/// Puts the hash of every row over `columns` into `hashes` (cleared first).
pub fn hash_columns(columns: &[ArrayRef], rows: usize, hashes: &mut Vec<u64>) -> Result<(), StateError> {
    hashes.clear();
    hashes.resize(rows, SEED);
    for (position, column) in columns.iter().enumerate() {
        if position == 0 {
            hash_column(column, |row, hash| hashes[row] = hash)?;
        } else {
            hash_column(column, |row, hash| hashes[row] = combine(hashes[row], hash))?;
        }
    }
    Ok(())
}

/// The key group of every row, for exchanges.
pub fn key_groups(
    columns: &[ArrayRef],
    rows: usize,
    max_parallelism: u16,
    groups: &mut Vec<u16>,
) -> Result<(), StateError> {
    let mut hashes = Vec::new();
    hash_columns(columns, rows, &mut hashes)?;
    groups.clear();
    groups.extend(
        hashes
            .iter()
            .map(|hash| crate::key_group::of_hash(*hash, max_parallelism)),
    );
    Ok(())
}

/// Calls `put` with the hash of each row in order.
fn hash_column(column: &ArrayRef, mut put: impl FnMut(usize, u64)) -> Result<(), StateError> {
    if let Some(values) = fixed_width::bits(column.as_ref()) {
        return each(column, put, |row| hash_u64(values[row] as u64));
    }
    match column.data_type() {
        DataType::Decimal128(..) => {
            let values = column.as_primitive::<Decimal128Type>().values();
            each(column, put, |row| hash_u128(values[row] as u128))
        }
        DataType::Utf8View => {
            let views = column.as_string_view();
            each(column, put, |row| hash_view(views, row))
        }
        DataType::BinaryView => {
            let views = column.as_binary_view();
            each(column, put, |row| hash_view(views, row))
        }
        DataType::Null => {
            (0..column.len()).for_each(|row| put(row, NULL_HASH));
            Ok(())
        }
        DataType::Struct(_) => {
            let mut hashes = Vec::new();
            hash_columns(column.as_struct().columns(), column.len(), &mut hashes)?;
            each(column, put, |row| hash_u64(hashes[row]))
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let items = hash_items(list.values())?;
            let offsets = list.value_offsets();
            each(column, put, |row| {
                hash_list(&items[offsets[row] as usize..offsets[row + 1] as usize])
            })
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            let items = hash_items(&entries)?;
            let offsets = map.value_offsets();
            each(column, put, |row| {
                hash_list(&items[offsets[row] as usize..offsets[row + 1] as usize])
            })
        }
        other => Err(StateError::KeyType(other.clone())),
    }
}

fn hash_items(values: &ArrayRef) -> Result<Vec<u64>, StateError> {
    let mut hashes = Vec::new();
    hash_columns(std::slice::from_ref(values), values.len(), &mut hashes)?;
    Ok(hashes)
}

fn hash_list(items: &[u64]) -> u64 {
    items
        .iter()
        .fold(hash_u64(items.len() as u64), |hash, item| combine(hash, *item))
}

#[inline]
fn hash_view<T: ByteViewType>(array: &GenericByteViewArray<T>, row: usize) -> u64 {
    let view = array.views()[row];
    if view as u32 as usize <= VIEW_INLINE_BYTES {
        return hash_u128(view);
    }
    let bytes: &[u8] = array.value(row).as_ref();
    hash_bytes(bytes)
}

#[inline]
fn each(
    column: &ArrayRef,
    mut put: impl FnMut(usize, u64),
    hash: impl Fn(usize) -> u64,
) -> Result<(), StateError> {
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => (0..column.len()).for_each(|row| put(row, hash(row))),
        Some(nulls) => {
            (0..column.len()).for_each(|row| put(row, if nulls.is_null(row) { NULL_HASH } else { hash(row) }))
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringViewArray};

    use super::*;

    fn hashes(columns: &[ArrayRef]) -> Vec<u64> {
        let mut out = Vec::new();
        hash_columns(columns, columns[0].len(), &mut out).unwrap();
        out
    }

    #[test]
    fn the_function_never_changes() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-7)]));
        let text: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "longer than twelve bytes", ""]));
        // Checkpoints depend on these numbers.
        assert_eq!(hashes(std::slice::from_ref(&numbers)), GOLDEN_NUMBERS);
        assert_eq!(hashes(&[numbers, text]), GOLDEN_BOTH);
    }

    const GOLDEN_NUMBERS: [u64; 3] = [0xF2F37271AD33E225, 0x8EBC6AF09C88C6E3, 0xDBC84DBE3349E0BD];
    const GOLDEN_BOTH: [u64; 3] = [0x411DFFE095D9E919, 0x7EAE9922A79F2AB3, 0x7D62CE39FD73D221];

    #[test]
    fn equal_values_hash_equally_wherever_they_are_stored() {
        let long = "a string that is longer than a view";
        let whole: ArrayRef = Arc::new(StringViewArray::from(vec!["x", long, "y"]));
        let sliced = whole.slice(1, 1);
        assert_eq!(hashes(&[whole])[1], hashes(&[sliced])[0]);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![
            f64::NAN,
            f64::from_bits(f64::NAN.to_bits() | 1),
            0.0,
            -0.0,
        ]));
        let h = hashes(&[floats]);
        assert_eq!(h[0], h[1]);
        assert_ne!(h[2], h[3]);
    }
}
