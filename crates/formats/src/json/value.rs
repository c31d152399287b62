//! One JSON value into one column, by the column's type.
//!
//! The conversions are those of Flink's streaming JSON reader: numbers and booleans may stand in strings, a STRING takes
//! any value as text, a fraction is cut for INT and BIGINT.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use indexmap::IndexMap;
use millstream_types::java_hash::{map_order, string_hash};
use millstream_types::{LogicalType, TypeKind};

use super::scan::{Cursor, ScanError, Text, unescape};
use super::{number, tree};
use crate::ValueError;
use crate::column::{ColumnBuilder, Nested, Slots, Texts, Values};
use crate::temporal::{self, TimestampStandard};

/// How many fields a row may have for names to be compared one by one.
const LINEAR_FIELDS_MAX: usize = 12;

/// What decoding needs beside the type: names of fields, for each level.
#[derive(Debug)]
pub struct Program {
    pub children: Vec<Program>,
    pub fields: FieldTable,
}

/// Fields of a row by name.
#[derive(Debug, Default)]
pub struct FieldTable {
    pub names: Vec<String>,
    index: HashMap<String, usize>,
}

impl FieldTable {
    pub fn new(names: Vec<String>) -> Self {
        let index = if names.len() > LINEAR_FIELDS_MAX {
            names
                .iter()
                .cloned()
                .enumerate()
                .map(|(i, name)| (name, i))
                .collect()
        } else {
            HashMap::new()
        };
        Self { names, index }
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<usize> {
        if self.names.len() <= LINEAR_FIELDS_MAX {
            return self.names.iter().position(|n| n.as_bytes() == name);
        }
        self.index.get(std::str::from_utf8(name).ok()?).copied()
    }

    /// The field of a key in the text.
    pub fn find_key(&self, data: &[u8], key: Text) -> Option<usize> {
        let raw = &data[key.start..key.end];
        if !key.escaped {
            return self.find(raw);
        }
        let mut name = Vec::with_capacity(raw.len());
        unescape(raw, &mut name);
        self.find(&name)
    }
}

impl Program {
    pub fn new(ty: &LogicalType) -> Self {
        let children = match &ty.kind {
            // A multiset's counts are integers; keys of maps are always text.
            TypeKind::Multiset(_) => vec![Self::new(&LogicalType::STRING), Self::new(&LogicalType::INT)],
            _ => ty.children().into_iter().map(Self::new).collect(),
        };
        let names = match &ty.kind {
            TypeKind::Row(fields) => fields.iter().map(|f| f.name.clone()).collect(),
            _ => Vec::new(),
        };
        Self {
            children,
            fields: FieldTable::new(names),
        }
    }
}

impl Program {
    /// The program of a field of fields.
    pub fn at(&self, path: &[usize]) -> Option<&Program> {
        path.iter()
            .try_fold(self, |program, field| program.children.get(*field))
    }
}

/// The part of the options that decoding of values needs.
#[derive(Clone, Copy, Debug)]
pub struct ValueOptions {
    pub ignore_errors: bool,
    pub fail_on_missing: bool,
    pub standard: TimestampStandard,
    /// Numbers in a STRING column do not keep their digits.
    pub reads_tree: bool,
    /// Numbers inside of an object that becomes a text are decimals, not DOUBLE.
    pub decimals: bool,
}

/// Decodes the value at the cursor into a new row of `builder`.
///
/// With `ignore_errors`, a value that does not fit becomes NULL; only broken JSON is an error then.
pub fn decode_value(
    cursor: &mut Cursor<'_>,
    program: &Program,
    builder: &mut ColumnBuilder,
    options: ValueOptions,
) -> Result<(), ScanError> {
    let (before, rows) = (cursor.clone(), builder.len());
    let outcome = convert(cursor, program, builder, options);
    let Err(error) = outcome else { return Ok(()) };
    if !options.ignore_errors {
        return Err(error);
    }
    *cursor = before;
    cursor.skip_value()?;
    builder.truncate(rows);
    builder.push_null();
    Ok(())
}

fn convert(
    cursor: &mut Cursor<'_>,
    program: &Program,
    builder: &mut ColumnBuilder,
    options: ValueOptions,
) -> Result<(), ScanError> {
    if cursor.peek() == Some(b'n') {
        cursor.expect_word("null")?;
        builder.push_null();
        return Ok(());
    }
    match &mut builder.values {
        Values::List(nested) => list(cursor, program, nested, options),
        Values::Map(nested) => map(cursor, program, nested, options),
        Values::Row(nested) => row(cursor, program, nested, options),
        Values::String(spans) => string(cursor, spans, options),
        Values::Null(rows) => {
            cursor.skip_value()?;
            *rows += 1;
            Ok(())
        }
        _ => {
            let token = Token::read(cursor)?;
            scalar(token, builder, options.standard).map_err(|reason| ScanError {
                at: cursor.at,
                reason,
            })
        }
    }
}

/// A scalar of the text, as Jackson's `getText` gives it.
enum Token<'a> {
    Number { text: &'a [u8], integer: bool },
    Text(std::borrow::Cow<'a, [u8]>),
    Word(&'static str),
}

impl<'a> Token<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Token<'a>, ScanError> {
        match cursor.peek() {
            Some(b'"') => {
                let text = cursor.string()?;
                let raw = &cursor.data[text.start..text.end];
                if !text.escaped {
                    return Ok(Token::Text(raw.into()));
                }
                let mut plain = Vec::with_capacity(raw.len());
                unescape(raw, &mut plain);
                Ok(Token::Text(plain.into()))
            }
            Some(b't') => cursor.expect_word("true").map(|()| Token::Word("true")),
            Some(b'f') => cursor.expect_word("false").map(|()| Token::Word("false")),
            Some(b'{' | b'[') => cursor.error("a scalar value is expected, found an object or array"),
            None => cursor.error("unexpected end-of-input: expected a JSON value"),
            Some(_) => {
                let (start, end, integer) = cursor.number()?;
                Ok(Token::Number {
                    text: &cursor.data[start..end],
                    integer,
                })
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Number { text, .. } => text,
            Self::Text(text) => text,
            Self::Word(word) => word.as_bytes(),
        }
    }

    fn text(&self) -> Result<&str, ValueError> {
        std::str::from_utf8(self.bytes()).map_err(|_| ValueError::Utf8)
    }
}

fn scalar(
    token: Token<'_>,
    builder: &mut ColumnBuilder,
    standard: TimestampStandard,
) -> Result<(), ValueError> {
    match &mut builder.values {
        Values::Boolean(slots) => slots.push(token.text()?.trim().eq_ignore_ascii_case("true")),
        Values::I8(slots) => slots.push(parse_text::<i8>(&token)?),
        Values::I16(slots) => slots.push(parse_text::<i16>(&token)?),
        Values::I32(slots) => match builder.ty.kind {
            TypeKind::Date => {
                slots.push(temporal::parse_date(token.bytes()).ok_or_else(|| wrong(&token, "a date"))?)
            }
            TypeKind::Time(_) => {
                slots.push(temporal::parse_time(token.bytes()).ok_or_else(|| wrong(&token, "a time"))?);
            }
            _ => {
                let value = integer(&token)?;
                slots.push(i32::try_from(value).map_err(|_| ValueError::IntRange(value))?);
            }
        },
        Values::I64(slots) => match builder.ty.kind {
            TypeKind::Timestamp { precision, .. } => {
                slots.push(timestamp(&token, standard, false, precision)?)
            }
            TypeKind::TimestampLtz { precision, .. } => {
                slots.push(timestamp(&token, standard, true, precision)?)
            }
            _ => slots.push(integer(&token)?),
        },
        Values::I128(slots) => match builder.ty.kind {
            TypeKind::Decimal { precision, scale } => decimal(&token, slots, precision, scale)?,
            _ => {
                let utc = matches!(builder.ty.kind, TypeKind::TimestampLtz { .. });
                let nanos = temporal::parse_timestamp(token.bytes(), standard, utc);
                slots.push(nanos.ok_or_else(|| wrong(&token, "a timestamp"))?);
            }
        },
        Values::F32(slots) => slots.push(java_float(token.text()?)? as f32),
        Values::F64(slots) => slots.push(match &token {
            Token::Number { text, .. } => number::double(text).ok_or_else(|| wrong(&token, "a number"))?,
            _ => java_float(token.text()?)?,
        }),
        Values::Binary(texts) => {
            let bytes = BASE64
                .decode(token.bytes())
                .map_err(|_| wrong(&token, "Base64 text"))?;
            texts.push(&bytes);
        }
        _ => unreachable!("`decode_value` takes the other columns apart"),
    }
    Ok(())
}

fn wrong(token: &Token<'_>, expected: &'static str) -> ValueError {
    ValueError::Text {
        text: String::from_utf8_lossy(token.bytes()).into(),
        expected,
    }
}

fn parse_text<T: std::str::FromStr>(token: &Token<'_>) -> Result<T, ValueError> {
    let text = token.text()?.trim();
    text.parse().map_err(|_| ValueError::Number(text.into()))
}

/// INT and BIGINT: integers, numbers whose fraction is cut, integers in strings.
fn integer(token: &Token<'_>) -> Result<i64, ValueError> {
    match token {
        Token::Number { text, integer: true } => match number::small_integer(text) {
            Some(value) => Ok(value),
            None => parse_text(token),
        },
        Token::Number { text, integer: false } => {
            let value = number::double(text).ok_or_else(|| wrong(token, "a number"))?;
            if value.abs() >= 9.3e18 {
                Err(wrong(token, "an integer"))
            } else {
                Ok(value as i64)
            }
        }
        _ => parse_text(token),
    }
}

fn timestamp(
    token: &Token<'_>,
    standard: TimestampStandard,
    utc: bool,
    precision: u8,
) -> Result<i64, ValueError> {
    let value = if precision <= 3 {
        temporal::parse_timestamp_millis(token.bytes(), standard, utc)
    } else {
        temporal::parse_timestamp(token.bytes(), standard, utc)
            .and_then(|n| i64::try_from(n.div_euclid(1_000)).ok())
    };
    value.ok_or_else(|| wrong(token, "a timestamp"))
}

fn decimal(token: &Token<'_>, slots: &mut Slots<i128>, precision: u8, scale: u8) -> Result<(), ValueError> {
    match number::decimal(token.text()?.trim(), precision, scale) {
        Ok(Some(value)) => slots.push(value),
        Ok(None) => slots.push_null(),
        Err(_) => return Err(wrong(token, "a decimal")),
    }
    Ok(())
}

/// `Double.parseDouble` of trimmed text: decimal forms, `NaN`, `Infinity`, and a type suffix.
fn java_float(text: &str) -> Result<f64, ValueError> {
    let trimmed = text.trim();
    let plain = trimmed
        .strip_suffix(['f', 'F', 'd', 'D'])
        .filter(|t| !t.ends_with("In"))
        .unwrap_or(trimmed);
    let word = plain.trim_start_matches(['+', '-']);
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word && word != "NaN" && word != "Infinity" {
        return Err(ValueError::Number(trimmed.into()));
    }
    plain.parse().map_err(|_| ValueError::Number(trimmed.into()))
}

/// STRING: the content of a string, the text of another scalar, the compact JSON of an object or array.
#[inline]
fn string(cursor: &mut Cursor<'_>, texts: &mut Texts, options: ValueOptions) -> Result<(), ScanError> {
    match cursor.peek() {
        Some(b'"') => {
            let text = cursor.string()?;
            let raw = &cursor.data[text.start..text.end];
            if text.escaped {
                texts.push_with(|bytes| unescape(raw, bytes));
            } else {
                texts.push(raw);
            }
            Ok(())
        }
        Some(b'{' | b'[') => {
            let mut text = Vec::new();
            tree::write_value(cursor, options.decimals, &mut text)?;
            texts.push(&text);
            Ok(())
        }
        Some(b'-' | b'0'..=b'9') if options.reads_tree => {
            texts.push(tree::number_text(cursor, options.decimals)?.as_bytes());
            Ok(())
        }
        _ => {
            let start = cursor.at;
            cursor.skip_value()?;
            texts.push(&cursor.data[start..cursor.at]);
            Ok(())
        }
    }
}

fn list(
    cursor: &mut Cursor<'_>,
    program: &Program,
    nested: &mut Nested,
    options: ValueOptions,
) -> Result<(), ScanError> {
    if cursor.peek() != Some(b'[') {
        return cursor.error("an array is expected");
    }
    let mut length = 0;
    cursor.members(b']', |cursor| {
        length += 1;
        decode_value(cursor, &program.children[0], &mut nested.children[0], options)
    })?;
    nested.push_items(length);
    Ok(())
}

fn map(
    cursor: &mut Cursor<'_>,
    program: &Program,
    nested: &mut Nested,
    options: ValueOptions,
) -> Result<(), ScanError> {
    if cursor.peek() != Some(b'{') {
        return cursor.error("an object is expected");
    }
    let entries = map_entries(cursor)?;
    let end = cursor.clone();
    let hashes: Vec<i32> = entries.keys().map(|key| string_hash(key)).collect();
    for place in map_order(&hashes) {
        let entry = &entries[place];
        *cursor = entry.key.clone();
        decode_value(cursor, &program.children[0], &mut nested.children[0], options)?;
        *cursor = entry.value.clone();
        decode_value(cursor, &program.children[1], &mut nested.children[1], options)?;
    }
    *cursor = end;
    nested.push_items(entries.len() as u32);
    Ok(())
}

/// Where a key and its value stand in an object that becomes a MAP.
struct Entry<'a> {
    key: Cursor<'a>,
    value: Cursor<'a>,
}

/// The members of the object at the cursor by key; of a repeated key the last value, at the first one's place.
fn map_entries<'a>(cursor: &mut Cursor<'a>) -> Result<IndexMap<Vec<u8>, Entry<'a>>, ScanError> {
    let mut entries: IndexMap<Vec<u8>, Entry<'a>> = IndexMap::new();
    cursor.members(b'}', |cursor| {
        if cursor.peek() != Some(b'"') {
            return cursor.error("a field name in double quotes is expected");
        }
        let start = cursor.clone();
        let text = cursor.string()?;
        let mut key = Vec::new();
        unescape(&cursor.data[text.start..text.end], &mut key);
        cursor.behind_colon()?;
        let value = cursor.clone();
        cursor.skip_value()?;
        entries
            .entry(key)
            .and_modify(|entry| entry.value = value.clone())
            .or_insert(Entry { key: start, value });
        Ok(())
    })?;
    Ok(entries)
}

fn row(
    cursor: &mut Cursor<'_>,
    program: &Program,
    nested: &mut Nested,
    options: ValueOptions,
) -> Result<(), ScanError> {
    if cursor.peek() != Some(b'{') {
        return cursor.error("an object is expected");
    }
    let rows = nested.open_row();
    object(cursor, program, &mut nested.children, rows, options)
}

/// Decodes an object's fields into row `rows` of `columns`.
///
/// Once as many known fields were met as there are columns, the rest is only skipped: of a repeated field the first
/// counts if all were found before, else the last. That is what Flink's reader does.
pub fn object(
    cursor: &mut Cursor<'_>,
    program: &Program,
    columns: &mut [ColumnBuilder],
    rows: usize,
    options: ValueOptions,
) -> Result<(), ScanError> {
    let mut found = 0;
    cursor.members(b'}', |cursor| {
        let key = cursor.string()?;
        cursor.behind_colon()?;
        let is_complete = found == columns.len();
        let known = (!is_complete).then(|| program.fields.find_key(cursor.data, key));
        let Some(index) = known.flatten() else {
            return cursor.skip_value();
        };
        let column = &mut columns[index];
        column.truncate(rows);
        found += 1;
        decode_value(cursor, &program.children[index], column, options).map_err(|error| ScanError {
            at: error.at,
            reason: ValueError::Field {
                name: program.fields.names[index].as_str().into(),
                reason: Box::new(error.reason),
            },
        })
    })?;
    if found < columns.len() && options.fail_on_missing {
        return cursor.error("Some field is missing in the JSON data.");
    }
    columns
        .iter_mut()
        .filter(|c| c.len() == rows)
        .for_each(ColumnBuilder::push_null);
    Ok(())
}
