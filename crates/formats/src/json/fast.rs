//! The predicted way: records of one producer have the same keys, in the same order, with the same white space.
//!
//! From a record that the general decoder took, [`Predictor::learn`] keeps the bytes between values. The next record is
//! then read by comparing those bytes and decoding or skipping the value between them. Anything else (another key, an
//! escape in a number's place, a value of another kind) ends the attempt; the caller takes back what was appended and
//! goes the general way. So this file may only accept what [`super::decode`] accepts, with the same result.

use millstream_types::TypeKind;

use super::number;
use super::scan::{Cursor, skip_plain};
use super::value::{FieldTable, ValueOptions};
use crate::column::{ColumnBuilder, Values};
use crate::temporal;

/// Fields of a record beyond which prediction is not tried.
const PREDICTED_FIELDS_MAX: usize = 256;
/// Failed attempts in a row after which the shape is learned anew.
const MISSES_BEFORE_LEARNING: u32 = 4;

/// The shape of the records seen last.
#[derive(Debug, Default)]
pub struct Predictor {
    steps: Vec<Step>,
    /// The bytes behind the last value.
    tail: Literal,
    misses: u32,
}

/// Bytes that must come next, and what to do with the value behind them.
#[derive(Debug)]
struct Step {
    before: Literal,
    /// Column of the value; `None`: skip.
    column: Option<usize>,
}

/// Bytes that are compared with, for every record: up to [`LITERAL_BYTES`] by two words instead of one by one.
#[derive(Debug, Default)]
struct Literal {
    bytes: Vec<u8>,
    words: u128,
    mask: u128,
}

const LITERAL_BYTES: usize = 16;

impl Literal {
    fn new(bytes: &[u8]) -> Self {
        let count = bytes.len().min(LITERAL_BYTES);
        let mut padded = [0; LITERAL_BYTES];
        padded[..count].copy_from_slice(&bytes[..count]);
        Self {
            bytes: bytes.to_vec(),
            words: u128::from_le_bytes(padded),
            mask: u128::MAX.checked_shr(128 - 8 * count as u32).unwrap_or(0),
        }
    }

    /// Whether the record that ends at `end` goes on like this at `at`; gives the position behind.
    #[inline]
    fn follows(&self, data: &[u8], at: usize, end: usize) -> Option<usize> {
        let behind = at + self.bytes.len();
        if behind > end {
            return None;
        }
        // The words may reach into what follows the record in the buffer; the mask leaves it out.
        let chunk = data
            .get(at..at + LITERAL_BYTES)
            .and_then(|c| <[u8; LITERAL_BYTES]>::try_from(c).ok());
        let equal = match chunk {
            Some(chunk) if self.bytes.len() <= LITERAL_BYTES => {
                (u128::from_le_bytes(chunk) ^ self.words) & self.mask == 0
            }
            _ => data.get(at..behind) == Some(&self.bytes),
        };
        equal.then_some(behind)
    }
}

impl Predictor {
    /// Keeps the shape of a record that was decoded the general way, if it is a flat enough object.
    pub fn learn(&mut self, data: &[u8], start: usize, end: usize, fields: &FieldTable) {
        if !self.steps.is_empty() && self.misses < MISSES_BEFORE_LEARNING {
            return;
        }
        self.misses = 0;
        self.steps.clear();
        if self.shape(data, start, end, fields).is_none() {
            self.steps.clear();
        }
    }

    fn shape(&mut self, data: &[u8], start: usize, end: usize, fields: &FieldTable) -> Option<()> {
        let mut cursor = Cursor::new(data, start, end);
        let mut literal = start;
        let mut taken = vec![false; fields.names.len()];
        cursor.skip_whitespace();
        cursor.expect(b'{').ok()?;
        loop {
            cursor.skip_whitespace();
            let key = cursor.string().ok()?;
            cursor.skip_whitespace();
            cursor.expect(b':').ok()?;
            cursor.skip_whitespace();
            let column = fields.find_key(data, key);
            if let Some(index) = column {
                // A repeated field has rules of its own.
                if std::mem::replace(&mut taken[index], true) {
                    return None;
                }
            }
            if self.steps.len() == PREDICTED_FIELDS_MAX {
                return None;
            }
            self.steps.push(Step {
                before: Literal::new(&data[literal..cursor.at]),
                column,
            });
            cursor.skip_value().ok()?;
            literal = cursor.at;
            cursor.skip_whitespace();
            if !cursor.eat(b',') {
                break;
            }
        }
        cursor.expect(b'}').ok()?;
        self.tail = Literal::new(&data[literal..cursor.at]);
        // Columns that this record lacks would need NULLs: leave such shapes to the general way.
        taken.iter().all(|t| *t).then_some(())
    }

    /// Decodes the record `data[start..end]` into row `rows` of `columns`; `false`: nothing is known of it, and rows
    /// beyond `rows` must be taken back.
    #[inline]
    pub fn decode(
        &mut self,
        data: &[u8],
        start: usize,
        end: usize,
        columns: &mut [ColumnBuilder],
        rows: usize,
        options: ValueOptions,
    ) -> bool {
        if self.steps.is_empty() {
            return false;
        }
        debug_assert!(columns.iter().all(|c| c.len() == rows));
        let done = self.attempt(data, start, end, columns, options).is_some();
        self.misses = if done { 0 } else { self.misses + 1 };
        done
    }

    fn attempt(
        &self,
        data: &[u8],
        start: usize,
        end: usize,
        columns: &mut [ColumnBuilder],
        options: ValueOptions,
    ) -> Option<()> {
        if simdutf8::basic::from_utf8(&data[start..end]).is_err() {
            return None;
        }
        let mut cursor = Cursor::new(data, start, end);
        for step in &self.steps {
            cursor.at = step.before.follows(data, cursor.at, end)?;
            match step.column {
                None => skip(&mut cursor)?,
                Some(index) => value(&mut cursor, &mut columns[index], options)?,
            }
        }
        self.tail.follows(data, cursor.at, end).map(|_| ())
    }
}

#[inline]
fn skip(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.peek() == Some(b'"') {
        let close = skip_plain(cursor.data, cursor.at + 1);
        if cursor.data.get(close) == Some(&b'"') {
            cursor.at = close + 1;
            return Some(());
        }
    }
    cursor.skip_value().ok()
}

/// The content of a string without escapes.
#[inline]
fn plain_string(cursor: &mut Cursor<'_>) -> Option<(usize, usize)> {
    if cursor.peek() != Some(b'"') {
        return None;
    }
    let start = cursor.at + 1;
    let end = skip_plain(cursor.data, start);
    if cursor.data.get(end) != Some(&b'"') {
        return None;
    }
    cursor.at = end + 1;
    Some((start, end))
}

/// Digits from `at` on: their value (which wraps around beyond 18 of them), and where they end.
#[inline]
fn digits(data: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(digit) = data.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// Whether a number that ends at `at` could go on, rightly or wrongly: then the general scanner decides.
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

#[inline]
fn value(cursor: &mut Cursor<'_>, column: &mut ColumnBuilder, options: ValueOptions) -> Option<()> {
    if cursor.peek() == Some(b'n') {
        cursor.expect_word("null").ok()?;
        column.push_null();
        return Some(());
    }
    match &mut column.values {
        Values::String(spans) => {
            let (start, end) = plain_string(cursor)?;
            spans.push_shared(start, end - start);
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
