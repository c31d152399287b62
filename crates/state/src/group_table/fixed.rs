//! Stored keys of fixed width: one word a group.
//!
//! A single column of up to 64 bits is kept as `i64`; a DECIMAL, or several narrow columns that fit together with
//! their NULL bits, as `u128`.

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use crate::error::StateError;
use crate::fixed_width;

use super::slots::KeyRows;

/// A batch of words beside the stored ones.
pub(super) struct FixedInput<'a, W> {
    pub keys: &'a [W],
    pub words: &'a [W],
    pub nulls: Option<&'a NullBuffer>,
}

impl<W: Copy + PartialEq> KeyRows for FixedInput<'_, W> {
    #[inline]
    fn is_apart(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    #[inline]
    fn matches(&self, group: u32, row: usize) -> bool {
        self.keys[group as usize] == self.words[row]
    }
}

/// How columns make a 128-bit word: `None` if they do not fit.
#[derive(Debug)]
pub(super) struct Packing {
    types: Vec<DataType>,
    widths: Vec<u32>,
}

impl Packing {
    pub fn of(types: &[DataType]) -> Option<Self> {
        let widths: Vec<u32> = types.iter().map(fixed_width::width_bits).collect::<Option<_>>()?;
        let bits: u32 = widths.iter().map(|w| w + 1).sum();
        (bits <= u128::BITS).then(|| Self {
            types: types.to_vec(),
            widths,
        })
    }

    pub fn pack(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u128>, StateError> {
        let mut words = vec![0u128; rows];
        let mut shift = 0;
        for (column, width) in columns.iter().zip(&self.widths) {
            let values = fixed_width::bits(column.as_ref());
            let values = values.ok_or_else(|| StateError::KeyType(column.data_type().clone()))?;
            let mask = u64::MAX >> (64 - width);
            let valid_bit = 1u128 << (shift + width);
            let nulls = column.nulls().filter(|n| n.null_count() > 0);
            for (row, (word, value)) in words.iter_mut().zip(values.iter()).enumerate() {
                if nulls.is_none_or(|n| n.is_valid(row)) {
                    *word |= valid_bit | (u128::from(*value as u64 & mask) << shift);
                }
            }
            shift += width + 1;
        }
        Ok(words)
    }

    pub fn unpack(&self, words: &[u128]) -> Result<Vec<ArrayRef>, StateError> {
        let mut shift = 0;
        let mut columns = Vec::with_capacity(self.types.len());
        for (ty, width) in self.types.iter().zip(&self.widths) {
            let values = words.iter().map(|w| (w >> shift) as u64 as i64).collect();
            let valid = words.iter().map(|w| w >> (shift + width) & 1 == 1).collect();
            let nulls = Some(NullBuffer::new(valid)).filter(|n| n.null_count() > 0);
            columns
                .push(fixed_width::array(ty, values, nulls).ok_or_else(|| StateError::KeyType(ty.clone()))?);
            shift += width + 1;
        }
        Ok(columns)
    }
}

/// The values of a DECIMAL column as words.
pub(super) fn decimal_words(column: &ArrayRef) -> Option<Vec<u128>> {
    let values = column.as_primitive_opt::<Decimal128Type>()?.values();
    Some(values.iter().map(|v| *v as u128).collect())
}
