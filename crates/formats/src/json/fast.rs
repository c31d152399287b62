//! The predicted way: a record of a known shape is read by comparing the bytes between its values.
//!
//! A record that takes no path through the graph of [`Shapes`] ends the attempt; the caller then removes what was
//! appended, sends the record through [`super::decode`] and has its shape learnt. So this file may only accept what the
//! general decoder accepts, with the same result: values in an unusual form (numbers in strings, escapes) are handed to
//! its conversions, in place.

use millstream_types::TypeKind;

use super::number;
use super::scan::{Cursor, plain};
use super::shape::{Action, Effect, Shapes};
use super::value::{Program, ValueOptions, decode_value};
use crate::column::{ColumnBuilder, Values};
use crate::temporal;

/// The balance of attempts below which prediction pauses: a failed one costs [`MISS_COST`], one that succeeds earns 1.
const BALANCE_MIN: i32 = -1024;
/// The balance that successful attempts can save up.
const BALANCE_MAX: i32 = 256;
const MISS_COST: i32 = 4;
/// Records that are not predicted after too many failures: their keys are likely data, not names.
const PAUSE_RECORDS: u32 = 16_384;

/// Decodes records of known shapes.
#[derive(Debug, Default)]
pub struct Predictor {
    shapes: Shapes,
    balance: i32,
    paused: u32,
}

impl Predictor {
    /// Adds the shape of a record that was decoded the general way.
    pub fn learn(&mut self, data: &[u8], start: usize, end: usize, program: &Program) {
        if self.paused == 0 {
            self.shapes.learn(data, start, end, program);
        }
    }

    /// Decodes the record `data[start..end]` into a new row of `columns`; `false`: its shape is not known or it is not valid
    /// UTF-8, and what was appended must be removed.
    #[inline]
    pub fn decode(
        &mut self,
        data: &[u8],
        (start, end): (usize, usize),
        program: &Program,
        columns: &mut [ColumnBuilder],
        options: ValueOptions,
    ) -> bool {
        if self.paused > 0 {
            self.paused -= 1;
            return false;
        }
        if self.shapes.is_empty() {
            return false;
        }
        let done = self
            .attempt(data, (start, end), program, columns, options)
            .is_some();
        if done {
            self.balance = (self.balance + 1).min(BALANCE_MAX);
            return true;
        }
        self.balance -= MISS_COST;
        if self.balance < BALANCE_MIN {
            (self.balance, self.paused) = (0, PAUSE_RECORDS);
            self.shapes.clear();
        }
        false
    }

    fn attempt(
        &mut self,
        data: &[u8],
        (start, end): (usize, usize),
        program: &Program,
        columns: &mut [ColumnBuilder],
        options: ValueOptions,
    ) -> Option<()> {
        // A value may be read beyond the end of the record: no text of a branch follows there. The bytes behind it let values
        // be read a word at a time up to their end.
        let mut cursor = Cursor::new(data, start, data.len());
        let mut node = 0;
        loop {
            // The text of a branch is UTF-8, as it was learnt from a record that is; values are checked one by one.
            let (branch, behind) = self.shapes.branch(node, data, cursor.at, end)?;
            cursor.at = behind;
            for effect in &branch.effects {
                match effect {
                    Effect::Null(path) => column_at(columns, path)?.push_null(),
                    Effect::Open(path) => {
                        let Values::Row(row) = &mut column_at(columns, path)?.values else {
                            return None;
                        };
                        row.open_row();
                    }
                }
            }
            match &branch.action {
                Action::Decode(path) => {
                    let column = column_at(columns, path)?;
                    if value(&mut cursor, column, options).is_none() {
                        cursor.set_depth(branch.depth);
                        let before = cursor.at;
                        decode_value(&mut cursor, program.at(path)?, column, options).ok()?;
                        is_utf8(data.get(before..cursor.at)?)?;
                    }
                }
                Action::Skip => skip(&mut cursor, branch.depth)?,
                Action::Held => {}
                Action::End => return is_utf8(data.get(behind..end)?),
            }
            node = branch.next;
        }
    }
}

#[inline]
fn column_at<'c>(columns: &'c mut [ColumnBuilder], path: &[usize]) -> Option<&'c mut ColumnBuilder> {
    let (first, rest) = path.split_first()?;
    let mut column = columns.get_mut(*first)?;
    for field in rest {
        let Values::Row(row) = &mut column.values else {
            return None;
        };
        column = row.children.get_mut(*field)?;
    }
    Some(column)
}

#[inline]
fn is_utf8(bytes: &[u8]) -> Option<()> {
    (bytes.is_empty() || simdutf8::basic::from_utf8(bytes).is_ok()).then_some(())
}

#[inline]
fn skip(cursor: &mut Cursor<'_>, depth: usize) -> Option<()> {
    let skipped = match cursor.peek()? {
        b'"' => plain_string(cursor).map(|_| ()),
        b'-' | b'0'..=b'9' => skip_number(cursor),
        b't' => cursor.expect_word("true").ok(),
        b'f' => cursor.expect_word("false").ok(),
        b'n' => cursor.expect_word("null").ok(),
        _ => None,
    };
    if skipped.is_some() {
        return skipped;
    }
    cursor.set_depth(depth);
    let before = cursor.at;
    cursor.skip_value().ok()?;
    is_utf8(cursor.data.get(before..cursor.at)?)
}

/// The content of a string without escapes.
#[inline]
fn plain_string(cursor: &mut Cursor<'_>) -> Option<(usize, usize)> {
    if cursor.peek() != Some(b'"') {
        return None;
    }
    let start = cursor.at + 1;
    let content = plain(cursor.data, start);
    let end = content.end;
    if cursor.data.get(end) != Some(&b'"') {
        return None;
    }
    if !content.ascii {
        is_utf8(&cursor.data[start..end])?;
    }
    cursor.at = end + 1;
    Some((start, end))
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const POWERS_OF_TEN: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Digits from `at` on: their value (which wraps around beyond 18 of them), and where they end. Eight at a time.
#[inline]
fn digits(data: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(chunk) = data.get(at..at + 8).and_then(|c| <[u8; 8]>::try_from(c).ok()) {
        let word = u64::from_le_bytes(chunk) ^ u64::from_le_bytes([b'0'; 8]);
        // The high bit of each byte that is not a digit, exact up to the first such byte.
        let others = (word.wrapping_add(u64::from_le_bytes([0x80 - 10; 8])) | word) & HIGH_BITS;
        if others != 0 {
            let count = (others.trailing_zeros() / 8) as usize;
            if count > 0 {
                let part = eight_digits(word << (64 - 8 * count));
                value = value.wrapping_mul(POWERS_OF_TEN[count]).wrapping_add(part);
            }
            return (value, at + count);
        }
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(word));
        at += 8;
    }
    while let Some(digit) = data.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// The number of eight digits, the first in the lowest byte: neighbours are joined in three steps.
#[inline]
fn eight_digits(word: u64) -> u64 {
    let pairs = (word.wrapping_mul(10 * 256 + 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100 * 65_536 + 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 * 4_294_967_296 + 1) >> 32
}

/// Whether a number that ends at `at` could continue, validly or not: then the general scanner decides.
#[inline]
fn goes_on(data: &[u8], at: usize) -> bool {
    data.get(at)
        .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

/// Sign, value and place of the digits before a point; `None` for what JSON does not allow and for more than 18 digits.
#[inline]
fn whole(cursor: &Cursor<'_>) -> Option<(bool, u64, usize, usize)> {
    let negative = cursor.peek() == Some(b'-');
    let first = cursor.at + usize::from(negative);
    let (value, end) = digits(cursor.data, first, 0);
    let count = end - first;
    let is_plain = (1..=18).contains(&count) && (count == 1 || cursor.data[first] != b'0');
    is_plain.then_some((negative, value, first, end))
}

#[inline]
fn integer(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (negative, value, _, end) = whole(cursor)?;
    if goes_on(cursor.data, end) {
        return None;
    }
    cursor.at = end;
    let value = value as i64;
    Some(if negative { -value } else { value })
}

/// A number without an exponent.
#[inline]
fn skip_number(cursor: &mut Cursor<'_>) -> Option<()> {
    let (_, _, _, mut end) = whole(cursor)?;
    if cursor.data.get(end) == Some(&b'.') {
        let fraction = end + 1;
        (_, end) = digits(cursor.data, fraction, 0);
        if end == fraction {
            return None;
        }
    }
    if goes_on(cursor.data, end) {
        return None;
    }
    cursor.at = end;
    Some(())
}

#[inline]
fn double(cursor: &mut Cursor<'_>) -> Option<f64> {
    if let Some(value) = short_double(cursor) {
        return Some(value);
    }
    let (start, end, _) = cursor.number().ok()?;
    number::double(&cursor.data[start..end])
}

/// A number with a fraction and few digits; anything else is left where it is.
#[inline]
fn short_double(cursor: &mut Cursor<'_>) -> Option<f64> {
    let (negative, value, first, point) = whole(cursor)?;
    if cursor.data.get(point) != Some(&b'.') {
        return None;
    }
    let (value, end) = digits(cursor.data, point + 1, value);
    let fraction = end - point - 1;
    if fraction == 0 || end - first > number::EXACT_DIGITS_MAX || goes_on(cursor.data, end) {
        return None;
    }
    let value = number::exact_quotient(value, fraction)?;
    cursor.at = end;
    Some(if negative { -value } else { value })
}

/// Decodes a value in one of the usual forms; otherwise leaves the cursor and the column as they are.
#[inline]
fn value(cursor: &mut Cursor<'_>, column: &mut ColumnBuilder, options: ValueOptions) -> Option<()> {
    if cursor.peek() == Some(b'n') {
        cursor.expect_word("null").ok()?;
        column.push_null();
        return Some(());
    }
    let before = cursor.at;
    let decoded = usual_value(cursor, column, options);
    if decoded.is_none() {
        cursor.at = before;
    }
    decoded
}

#[inline]
fn usual_value(cursor: &mut Cursor<'_>, column: &mut ColumnBuilder, options: ValueOptions) -> Option<()> {
    match &mut column.values {
        Values::String(texts) => {
            let (start, end) = plain_string(cursor)?;
            texts.push(&cursor.data[start..end]);
        }
        Values::Boolean(slots) => match cursor.peek()? {
            b't' => {
                cursor.expect_word("true").ok()?;
                slots.push(true);
            }
            _ => {
                cursor.expect_word("false").ok()?;
                slots.push(false);
            }
        },
        Values::I8(slots) => slots.push(i8::try_from(integer(cursor)?).ok()?),
        Values::I16(slots) => slots.push(i16::try_from(integer(cursor)?).ok()?),
        Values::I32(slots) => match column.ty.kind {
            TypeKind::Date => {
                let (start, end) = plain_string(cursor)?;
                slots.push(temporal::parse_date(&cursor.data[start..end])?);
            }
            TypeKind::Time(_) => {
                let (start, end) = plain_string(cursor)?;
                slots.push(temporal::parse_time(&cursor.data[start..end])?);
            }
            _ => slots.push(i32::try_from(integer(cursor)?).ok()?),
        },
        Values::I64(slots) => match column.ty.kind {
            TypeKind::Timestamp { precision: 0..=3, .. }
            | TypeKind::TimestampLtz { precision: 0..=3, .. } => {
                let utc = matches!(column.ty.kind, TypeKind::TimestampLtz { .. });
                let (start, end) = plain_string(cursor)?;
                slots.push(temporal::parse_timestamp_millis(
                    &cursor.data[start..end],
                    options.standard,
                    utc,
                )?);
            }
            TypeKind::BigInt => slots.push(integer(cursor)?),
            _ => return None,
        },
        Values::F64(slots) => slots.push(double(cursor)?),
        _ => return None,
    }
    Some(())
}
