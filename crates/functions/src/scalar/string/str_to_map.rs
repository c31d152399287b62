//! STR_TO_MAP.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::StringViewBuilder;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use millstream_types::{LogicalType, map_array};

use crate::scalar::collection::hash_order::java_string_order;
use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::regexp::{JavaRegex, Patterns};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::String,
    "STR_TO_MAP",
    "STR_TO_MAP(string[, listDelimiter, keyValueDelimiter])",
    "The key-value pairs of the string as a map. The delimiters (',' and '=' by default) are Java regular expressions. A pair \
     without the second delimiter is a key with the value NULL; of equal keys the last counts.",
    |args| {
        let three: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
        let types = check("STR_TO_MAP", args, &[&[Arg::Character], three])?;
        nullable(types, LogicalType::map(LogicalType::STRING, LogicalType::STRING))
    },
    str_to_map,
)];

/// The parts of `text` between matches, as Java's `String.split`: an empty match at the start makes no part, and trailing
/// empty parts are dropped unless there is a limit.
fn split<'t>(regex: &JavaRegex, text: &'t str, limit: usize) -> Result<Vec<&'t str>, EvalError> {
    let mut parts = Vec::new();
    let mut copied = 0;
    regex.each_match(text, |found| {
        let leading = found.end() == 0;
        let full = limit > 0 && parts.len() + 1 >= limit;
        if !leading && !full {
            parts.push(&text[copied..found.start()]);
            copied = found.end();
        }
    })?;
    if parts.is_empty() {
        return Ok(vec![text]);
    }
    parts.push(&text[copied..]);
    if limit == 0 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    Ok(parts)
}

/// Keys and values in the order of Java's `HashMap`.
fn entries<'t>(
    text: &'t str,
    list: &JavaRegex,
    pair: &JavaRegex,
) -> Result<Vec<(&'t str, Option<&'t str>)>, EvalError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let pairs = split(list, text, 0)?;
    let mut entries: Vec<(&str, Option<&str>)> = Vec::with_capacity(pairs.len());
    for part in &pairs {
        let halves = split(pair, part, 2)?;
        let (key, value) = match halves[..] {
            [key, value] => (key, Some(value)),
            _ => (*part, None),
        };
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    let order = java_string_order(entries.iter().map(|(key, _)| *key), pairs.len());
    Ok(order.into_iter().map(|i| entries[i]).collect())
}

fn str_to_map(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    let (list, pair) = (args.optional_text(1)?, args.optional_text(2)?);
    let (lists, pairs) = args.cache.get_or_insert_with(<(Patterns, Patterns)>::default);
    let (mut keys, mut values) = (StringViewBuilder::new(), StringViewBuilder::new());
    let (mut lengths, mut valid) = (Vec::with_capacity(args.rows), Vec::with_capacity(args.rows));
    for row in 0..args.rows {
        let list = list.as_ref().map_or(Some(","), |list| list.get(row));
        let pair = pair.as_ref().map_or(Some("="), |pair| pair.get(row));
        let (Some(text), Some(list), Some(pair)) = (text.get(row), list, pair) else {
            lengths.push(0);
            valid.push(false);
            continue;
        };
        let entries = entries(text, lists.get(list)?, pairs.get(pair)?)?;
        lengths.push(entries.len());
        valid.push(true);
        for (key, value) in entries {
            keys.append_value(key);
            values.append_option(value);
        }
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let (keys, values) = (Arc::new(keys.finish()), Arc::new(values.finish()));
    Ok(map_array(
        args.result,
        keys,
        values,
        offsets,
        Some(NullBuffer::from(valid)),
    ))
}
