//! PARSE_JSON, TRY_PARSE_JSON, and access to the parts of a VARIANT (for `ITEM`).

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::BinaryViewBuilder;
use millstream_types::java_text::write_double;
use millstream_types::{LogicalType, TypeKind};

use super::error::JsonError;
use super::number::BigDecimal;
use super::tree::Json;
use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

const ONE: &[Arg] = &[Arg::Character];
const WITH_DUPLICATES: &[Arg] = &[Arg::Character, Arg::Boolean];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Variant,
        "PARSE_JSON",
        "PARSE_JSON(json[, allow_duplicate_keys])",
        "The VARIANT that the JSON text stands for. A key that comes twice is an error unless duplicates are allowed; then the \
         last value counts.",
        |args| {
            strict(
                check("PARSE_JSON", args, &[ONE, WITH_DUPLICATES])?,
                LogicalType::new(TypeKind::Variant),
            )
        },
        |args| parse_json(args, false),
    ),
    ScalarFunction::new(
        Group::Variant,
        "TRY_PARSE_JSON",
        "TRY_PARSE_JSON(json[, allow_duplicate_keys])",
        "The VARIANT that the JSON text stands for; NULL if it is malformed or a key comes twice and duplicates are not \
         allowed.",
        |args| {
            nullable(
                check("TRY_PARSE_JSON", args, &[ONE, WITH_DUPLICATES])?,
                LogicalType::new(TypeKind::Variant),
            )
        },
        |args| parse_json(args, true),
    ),
];

/// Digits of the largest DECIMAL; longer numbers become doubles.
const DECIMAL_DIGITS_MAX: usize = 38;

fn parse_json(args: &KernelArgs<'_>, lenient: bool) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    let allowed = if args.args.len() > 1 {
        Some(args.booleans(1)?)
    } else {
        None
    };
    let mut builder = BinaryViewBuilder::with_capacity(args.rows);
    let mut buffer = String::new();
    for row in 0..args.rows {
        let allowed = allowed.as_ref().map_or(Some(false), |allowed| allowed.get(row));
        let (Some(text), Some(allowed)) = (text.get(row), allowed) else {
            builder.append_null();
            continue;
        };
        match canonical(text, allowed) {
            Ok(json) => {
                buffer.clear();
                json.write(&mut buffer);
                builder.append_value(buffer.as_bytes());
            }
            Err(_) if lenient => builder.append_null(),
            Err(reason) => {
                return Err(data_error(format!(
                    "failed to parse json string '{text}': {reason}"
                )));
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn canonical(text: &str, allow_duplicates: bool) -> Result<Json, JsonError> {
    let (mut json, duplicate) = Json::parse_raw(text)?;
    if let (Some(key), false) = (duplicate, allow_duplicates) {
        return Err(JsonError::DuplicateKey(key.into()));
    }
    canonical_numbers(&mut json);
    Ok(json)
}

/// Decimals lose their trailing zeros; numbers with an exponent or too many digits become doubles.
fn canonical_numbers(json: &mut Json) {
    match json {
        Json::Number(text) => {
            let Some(number) = BigDecimal::parse(text) else {
                return;
            };
            let (digits, scale) = number.precision();
            let mut printed = String::with_capacity(text.len());
            if text.contains(['e', 'E']) || digits > DECIMAL_DIGITS_MAX || scale > DECIMAL_DIGITS_MAX as i64 {
                write_double(&mut printed, number.to_f64());
            } else {
                number.stripped().write_plain(&mut printed);
            }
            *text = printed;
        }
        Json::Array(items) => items.iter_mut().for_each(canonical_numbers),
        Json::Object(members) => members.iter_mut().for_each(|(_, value)| canonical_numbers(value)),
        _ => {}
    }
}

/// A part of a VARIANT as canonical text; `Ok(None)` if it is not there.
pub(crate) fn part(variant: &[u8], step: Step<'_>) -> Result<Option<String>, EvalError> {
    let text = String::from_utf8_lossy(variant);
    let (json, _) =
        Json::parse_raw(&text).map_err(|error| data_error(format!("malformed variant: {error}")))?;
    let found = match (step, &json) {
        (Step::Member(name), Json::Object(_)) => json.member(name),
        (Step::Position(position), Json::Array(items)) => position
            .checked_sub(1)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| items.get(i)),
        (Step::Member(name), _) => {
            return Err(data_error(format!(
                "cannot read the field '{name}' of a variant that is not an object: {text}"
            )));
        }
        (Step::Position(position), _) => {
            return Err(data_error(format!(
                "cannot read element {position} of a variant that is not an array: {text}"
            )));
        }
    };
    Ok(found.map(|found| {
        let mut out = String::new();
        found.write(&mut out);
        out
    }))
}

/// One access: `v['name']` or `v[1]`.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Member(&'a str),
    Position(i64),
}
