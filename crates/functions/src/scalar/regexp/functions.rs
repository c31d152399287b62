//! REGEXP and the REGEXP_… functions.

use arrow_array::ArrayRef;
use arrow_array::builder::{ListBuilder, StringViewBuilder};
use arrow_array::types::Int32Type;
use arrow_schema::DataType;
use millstream_types::{LogicalType, arrow_type};
use std::sync::Arc;

use super::{JavaRegex, Patterns, or_invalid};
use crate::scalar::access::{Integers, Text, internal};
use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

const TWO_TEXTS: &[Arg] = &[Arg::Character, Arg::Character];
const WITH_GROUP: &[Arg] = &[Arg::Character, Arg::Character, Arg::Integer];
const THREE_TEXTS: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "REGEXP",
        "REGEXP(string, pattern)",
        "TRUE if some part of the string matches the Java regular expression. FALSE for an empty or an invalid pattern, \
         NULL if an argument is NULL.",
        |args| strict(check("REGEXP", args, &[TWO_TEXTS])?, LogicalType::BOOLEAN),
        regexp,
    ),
    ScalarFunction::new(
        Group::String,
        "REGEXP_REPLACE",
        "REGEXP_REPLACE(string, pattern, replacement)",
        "The string with every match of the Java regular expression replaced. The replacement is literal: $1 stands for \
         itself. NULL if an argument is NULL or the pattern is invalid.",
        |args| {
            nullable(
                check("REGEXP_REPLACE", args, &[THREE_TEXTS])?,
                LogicalType::STRING,
            )
        },
        regexp_replace,
    ),
    ScalarFunction::new(
        Group::String,
        "REGEXP_EXTRACT",
        "REGEXP_EXTRACT(string, pattern[, group])",
        "The text of a group (0, the whole match, by default) in the first match of the Java regular expression. NULL if \
         there is none, or the pattern or the group is invalid.",
        |args| {
            nullable(
                check("REGEXP_EXTRACT", args, &[TWO_TEXTS, WITH_GROUP])?,
                LogicalType::STRING,
            )
        },
        regexp_extract,
    ),
    ScalarFunction::new(
        Group::String,
        "REGEXP_EXTRACT_ALL",
        "REGEXP_EXTRACT_ALL(string, pattern[, group])",
        "The texts of a group (1 by default) in all matches of the Java regular expression. NULL if an argument is NULL, \
         or the pattern or the group is invalid.",
        regexp_extract_all_signature,
        regexp_extract_all,
    ),
    ScalarFunction::new(
        Group::String,
        "REGEXP_COUNT",
        "REGEXP_COUNT(string, pattern)",
        "The number of matches of the Java regular expression. NULL if an argument is NULL or the pattern is invalid.",
        |args| nullable(check("REGEXP_COUNT", args, &[TWO_TEXTS])?, LogicalType::INT),
        regexp_count,
    ),
    ScalarFunction::new(
        Group::String,
        "REGEXP_INSTR",
        "REGEXP_INSTR(string, pattern)",
        "The position, from 1, of the first match of the Java regular expression; 0 if there is none. NULL if an argument \
         is NULL or the pattern is invalid.",
        |args| nullable(check("REGEXP_INSTR", args, &[TWO_TEXTS])?, LogicalType::INT),
        regexp_instr,
    ),
    ScalarFunction::new(
        Group::String,
        "REGEXP_SUBSTR",
        "REGEXP_SUBSTR(string, pattern)",
        "The first match of the Java regular expression. NULL if there is none, an argument is NULL or the pattern is \
         invalid.",
        |args| nullable(check("REGEXP_SUBSTR", args, &[TWO_TEXTS])?, LogicalType::STRING),
        regexp_substr,
    ),
];

fn regexp_extract_all_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check("REGEXP_EXTRACT_ALL", args, &[TWO_TEXTS, WITH_GROUP])?;
    nullable(types, LogicalType::array(LogicalType::STRING))
}

fn regexp(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        args.try_write_booleans(|row| {
            let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
                return Ok(None);
            };
            if pattern.is_empty() {
                return Ok(Some(false));
            }
            or_invalid(
                patterns.get(pattern).and_then(|regex| regex.is_match(text)),
                false,
            )
            .map(Some)
        })
    })
}

/// The call site's patterns while a kernel runs.
fn with_patterns(
    args: &mut KernelArgs<'_>,
    kernel: impl FnOnce(&KernelArgs<'_>, &mut Patterns) -> Result<ArrayRef, EvalError>,
) -> Result<ArrayRef, EvalError> {
    let mut patterns = std::mem::take(args.cache.get_or_insert_with(Patterns::default));
    let result = kernel(args, &mut patterns);
    *args.cache.get_or_insert_with(Patterns::default) = patterns;
    result
}

/// A row's text and compiled pattern; `None` if one is NULL or the pattern is invalid.
fn row_pattern<'t, 'p>(
    text: &Text<'t>,
    pattern: &Text<'_>,
    row: usize,
    patterns: &'p mut Patterns,
) -> Result<Option<(&'t str, &'p JavaRegex)>, EvalError> {
    let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
        return Ok(None);
    };
    or_invalid(patterns.get(pattern).map(|regex| Some((text, regex))), None)
}

fn regexp_replace(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern, replacement) = (args.text(0)?, args.text(1)?, args.text(2)?);
        args.try_write_text(|row, out| {
            let Some(replacement) = replacement.get(row) else {
                return Ok(None);
            };
            let Some((text, regex)) = row_pattern(&text, &pattern, row, patterns)? else {
                return Ok(None);
            };
            let mut copied = 0;
            regex.each_match(text, |found| {
                out.push_str(&text[copied..found.start()]);
                out.push_str(replacement);
                copied = found.end();
            })?;
            out.push_str(&text[copied..]);
            Ok(Some(()))
        })
    })
}

fn regexp_extract(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern, group) = (args.text(0)?, args.text(1)?, args.optional_integers(2)?);
        args.try_write_text(|row, out| {
            let Some(group) = group_number(group.as_ref(), row, 0) else {
                return Ok(None);
            };
            let Some((text, regex)) = row_pattern(&text, &pattern, row, patterns)? else {
                return Ok(None);
            };
            let found = regex.find_at(text, 0)?;
            let extracted = found
                .as_ref()
                .and_then(|found| found.group(text, usize::try_from(group).ok()?));
            Ok(extracted.map(|extracted| out.push_str(extracted)))
        })
    })
}

/// The group argument of a row, `default` if the call has none.
fn group_number(group: Option<&Integers<'_>>, row: usize, default: i64) -> Option<i64> {
    match group {
        Some(group) => group.get(row),
        None => Some(default),
    }
}

fn regexp_extract_all(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let DataType::List(field) = arrow_type(args.result) else {
        return Err(internal("the result is not an array"));
    };
    with_patterns(args, |args, patterns| {
        let (text, pattern, group) = (args.text(0)?, args.text(1)?, args.optional_integers(2)?);
        let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(field);
        for row in 0..args.rows {
            let found = row_pattern(&text, &pattern, row, patterns)?;
            let group = group_number(group.as_ref(), row, 1).and_then(|group| usize::try_from(group).ok());
            let (Some((text, regex)), Some(group)) = (found, group) else {
                builder.append_null();
                continue;
            };
            if group > regex.groups() {
                builder.append_null();
                continue;
            }
            regex.each_match(text, |found| {
                builder.values().append_option(found.group(text, group))
            })?;
            builder.append(true);
        }
        Ok(Arc::new(builder.finish()))
    })
}

fn regexp_count(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        args.try_write_primitives::<Int32Type>(|row| {
            let Some((text, regex)) = row_pattern(&text, &pattern, row, patterns)? else {
                return Ok(None);
            };
            let mut count = 0;
            regex.each_match(text, |_| count += 1)?;
            Ok(Some(count))
        })
    })
}

fn regexp_instr(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        args.try_write_primitives::<Int32Type>(|row| {
            let Some((text, regex)) = row_pattern(&text, &pattern, row, patterns)? else {
                return Ok(None);
            };
            let found = regex.find_at(text, 0)?;
            // Java counts in UTF-16 units.
            let position =
                |start: usize| text[..start].chars().map(char::len_utf16).sum::<usize>() as i32 + 1;
            Ok(Some(found.map_or(0, |found| position(found.start()))))
        })
    })
}

fn regexp_substr(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        args.try_write_text(|row, out| {
            let Some((text, regex)) = row_pattern(&text, &pattern, row, patterns)? else {
                return Ok(None);
            };
            let found = regex.find_at(text, 0)?;
            Ok(found.map(|found| out.push_str(&text[found.start()..found.end()])))
        })
    })
}
