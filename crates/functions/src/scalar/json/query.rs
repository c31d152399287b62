//! JSON_QUERY.
//!
//! Called as `JSON_QUERY(json, path)` or with all clauses: `JSON_QUERY(json, path, wrapper, on_empty, on_error[, returning])`,
//! where `wrapper` is the constant `'WITHOUT'`, `'CONDITIONAL'` or `'UNCONDITIONAL'`, `on_empty` and `on_error` are `'NULL'`,
//! `'EMPTY ARRAY'`, `'EMPTY OBJECT'` or `'ERROR'`, and `returning` is a NULL of the type of the RETURNING clause: a character
//! type, or `ARRAY<STRING>`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{ListBuilder, StringViewBuilder};
use arrow_schema::DataType;
use millstream_types::{LogicalType, TypeKind, arrow_type};

use super::error::JsonError;
use super::tree::Json;
use super::{Paths, clause, failure, find};
use crate::scalar::access::internal;
use crate::scalar::forms::{Arg, check, refused};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Json,
    "JSON_QUERY",
    "JSON_QUERY(json, path [RETURNING type] [{ WITHOUT | WITH [CONDITIONAL | UNCONDITIONAL] } [ARRAY] WRAPPER] [{ NULL | EMPTY ARRAY | EMPTY OBJECT | ERROR } ON EMPTY] [{ NULL | EMPTY ARRAY | EMPTY OBJECT | ERROR } ON ERROR])",
    "The array or object that the path finds, as JSON text with ordered keys or as ARRAY<STRING>. A wrapper makes an array of \
     what is found. Paths are strict by default: a missing member is an error, so ON ERROR applies.",
    signature,
    json_query,
)];

const BEHAVIOURS: &[&str] = &["NULL", "EMPTY ARRAY", "EMPTY OBJECT", "ERROR"];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let plain: &[Arg] = &[Arg::Character, Arg::Character];
    let clauses: &[Arg] = &[Arg::Character; 5];
    let returning: &[Arg] = &[
        Arg::Character,
        Arg::Character,
        Arg::Character,
        Arg::Character,
        Arg::Character,
        Arg::Any,
    ];
    let types = check("JSON_QUERY", args, &[plain, clauses, returning])?;
    let result = types.get(5).cloned().unwrap_or(LogicalType::STRING);
    let result = result.with_nullable(true);
    if types.len() > 2 {
        clause(
            "JSON_QUERY",
            args,
            2,
            &["WITHOUT", "CONDITIONAL", "UNCONDITIONAL"],
        )?;
        clause("JSON_QUERY", args, 3, BEHAVIOURS)?;
        clause("JSON_QUERY", args, 4, BEHAVIOURS)?;
    }
    let array = match &result.kind {
        TypeKind::Array(element) if element.is_character() => true,
        _ if result.is_character() => false,
        _ => {
            return Err(refused(format!(
                "JSON_QUERY does not support RETURNING {result}: use STRING or ARRAY<STRING>"
            )));
        }
    };
    let says = |index: usize| {
        args.get(index)
            .and_then(|arg| arg.literal)
            .and_then(|l| l.as_str())
            == Some("EMPTY OBJECT")
    };
    if array && (says(3) || says(4)) {
        return Err(refused(
            "JSON_QUERY with RETURNING ARRAY cannot have EMPTY OBJECT ON EMPTY or ON ERROR",
        ));
    }
    Ok(Signature { args: types, result })
}

/// A row's array or object; `None` for NULL.
fn outcome<'a>(args: &KernelArgs<'a>, paths: &mut Paths, row: usize) -> Result<Option<Json>, EvalError> {
    let (json, path) = (args.text(0)?, args.text(1)?);
    let (Some(json), Some(path)) = (json.get(row), path.get(row)) else {
        return Ok(None);
    };
    let document = Json::parse(json);
    let found = find(&document, paths.get(path));
    let value = match found.value {
        Ok(value) => wrapped(value, args.constant_text(2)),
        Err(error) => return behave(args, 4, &error),
    };
    if value == Json::Null || (found.lax && value.is_scalar()) {
        return behave(args, 3, &JsonError::EmptyResult("JSON_QUERY"));
    }
    if value.is_scalar() {
        return behave(args, 4, &JsonError::Scalar);
    }
    let wants_array = matches!(args.result.kind, TypeKind::Array(_));
    if wants_array && !matches!(value, Json::Array(_)) {
        return behave(args, 4, &JsonError::NoArray);
    }
    Ok(Some(value))
}

fn wrapped(value: Cow<'_, Json>, wrapper: Option<&str>) -> Json {
    let value = value.into_owned();
    match (wrapper, &value) {
        (_, Json::Null) | (Some("CONDITIONAL"), Json::Array(_)) => value,
        (Some("CONDITIONAL" | "UNCONDITIONAL"), _) => Json::Array(vec![value]),
        _ => value,
    }
}

/// Applies the ON EMPTY or ON ERROR clause in argument `index`.
fn behave(args: &KernelArgs<'_>, index: usize, reason: &JsonError) -> Result<Option<Json>, EvalError> {
    match args.constant_text(index) {
        Some("ERROR") => Err(failure("JSON_QUERY", reason)),
        Some("EMPTY ARRAY") => Ok(Some(Json::Array(Vec::new()))),
        Some("EMPTY OBJECT") => Ok(Some(Json::Object(Vec::new()))),
        _ => Ok(None),
    }
}

fn json_query(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let mut paths = std::mem::take(args.cache.get_or_insert_with(Paths::default));
    let result = if args.result.is_character() {
        text(args, &mut paths)
    } else {
        arrays(args, &mut paths)
    };
    *args.cache.get_or_insert_with(Paths::default) = paths;
    result
}

fn text(args: &KernelArgs<'_>, paths: &mut Paths) -> Result<ArrayRef, EvalError> {
    args.try_write_text(|row, out| Ok(outcome(args, paths, row)?.map(|value| value.write(out))))
}

fn arrays(args: &KernelArgs<'_>, paths: &mut Paths) -> Result<ArrayRef, EvalError> {
    let DataType::List(field) = arrow_type(args.result) else {
        return Err(internal("the result is not an array"));
    };
    let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(field);
    let mut buffer = String::new();
    for row in 0..args.rows {
        let Some(Json::Array(items)) = outcome(args, paths, row)? else {
            builder.append_null();
            continue;
        };
        for item in &items {
            if *item == Json::Null {
                builder.values().append_null();
                continue;
            }
            buffer.clear();
            item.write_scalar(&mut buffer);
            builder.values().append_value(&buffer);
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}
