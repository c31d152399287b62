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
    tail: Vec<u8>,
    misses: u32,
}

/// Bytes that must come next, and what to do with the value behind them.
#[derive(Debug)]
struct Step {
    before: Vec<u8>,
    /// Column of the value; `None`: skip.
    column: Option<usize>,
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
                before: data[literal..cursor.at].to_vec(),
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
        self.tail = data[literal..cursor.at].to_vec();
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
            if !data[cursor.at..end].starts_with(&step.before) {
                return None;
            }
            cursor.at += step.before.len();
            match step.column {
                None => skip(&mut cursor)?,
                Some(index) => value(&mut cursor, &mut columns[index], options)?,
            }
        }
        data[cursor.at..end].starts_with(&self.tail).then_some(())
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

#[inline]
fn integer(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (start, end, is_integer) = cursor.number().ok()?;
    if is_integer {
        number::small_integer(&cursor.data[start..end])
    } else {
        None
    }
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
        Values::F64(slots) => {
            let (start, end, _) = cursor.number().ok()?;
            slots.push(number::double(&cursor.data[start..end])?);
        }
        _ => return None,
    }
    Some(())
}
