//! Functions over character strings, one file for each family.
//!
//! Positions count code points from 1 unless a function says otherwise; a few of Flink's functions count UTF-16 units, as
//! Java does, and say so.

pub mod bytes_text;
pub mod case;
pub mod characters;
pub mod concat;
pub mod digits;
pub mod hash;
pub mod inet;
pub mod length;
pub mod like;
pub mod overlay;
pub mod pad;
pub mod position;
pub mod printf;
mod printf_numbers;
pub mod replace;
pub mod similar;
pub mod split;
pub mod starts_ends;
pub mod str_to_map;
pub mod substring;
pub mod trim;
pub mod url;

use super::EvalError;
use super::access::data_error;

/// Bytes of one text or byte string that a function may make.
pub(crate) const RESULT_BYTES_MAX: usize = 256 << 20;

/// Refuses a result that would be longer than [`RESULT_BYTES_MAX`].
pub(crate) fn check_result_bytes(function: &str, bytes: usize) -> Result<(), EvalError> {
    if bytes <= RESULT_BYTES_MAX {
        return Ok(());
    }
    Err(data_error(format!(
        "the result of {function} has {bytes} bytes, more than the limit of {RESULT_BYTES_MAX}"
    )))
}

/// Byte offset of the code point number `index` (from 0); the length if there are fewer.
pub(crate) fn char_offset(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(offset, _)| offset)
}

pub(crate) fn char_count(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// Text from UTF-16 units; a lone half of a pair becomes `?`, as Java encodes it.
pub(crate) fn push_utf16(units: impl IntoIterator<Item = u16>, out: &mut String) {
    char::decode_utf16(units).for_each(|unit| out.push(unit.unwrap_or('?')));
}
