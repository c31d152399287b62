//! JSON_VALUE.
//!
//! Called as `JSON_VALUE(json, path)` or with all clauses:
//! `JSON_VALUE(json, path, on_empty, default_on_empty, on_error, default_on_error[, returning])`, where `on_empty` and
//! `on_error` are the constants `'NULL'`, `'ERROR'` or `'DEFAULT'`, the defaults are values (NULL unless DEFAULT is said), and
//! `returning` is a NULL of the type of the RETURNING clause: BOOLEAN, INT, DOUBLE, or a character type.

use arrow_array::ArrayRef;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{Array, cast::AsArray};
use millstream_types::{LogicalType, TypeKind};

use super::error::JsonError;
use super::tree::Json;
use super::{Paths, clause, failure, find};
use crate::scalar::forms::{Arg, check, refused};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Json,
    "JSON_VALUE",
    "JSON_VALUE(json, path [RETURNING type] [{ NULL | ERROR | DEFAULT value } ON EMPTY] [{ NULL | ERROR | DEFAULT value } ON ERROR])",
    "The scalar that the path finds, as text or as the RETURNING type (BOOLEAN, INTEGER, DOUBLE, STRING). Paths are strict by \
     default: a missing member is an error, so ON ERROR applies; under lax it is empty.",
    signature,
    json_value,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let plain: &[Arg] = &[Arg::Character, Arg::Character];
    let clauses: &[Arg] = &[
        Arg::Character,
        Arg::Character,
        Arg::Character,
        Arg::Any,
        Arg::Character,
        Arg::Any,
    ];
    let returning: &[Arg] = &[
        Arg::Character,
        Arg::Character,
        Arg::Character,
        Arg::Any,
        Arg::Character,
        Arg::Any,
        Arg::Any,
    ];
    let mut types = check("JSON_VALUE", args, &[plain, clauses, returning])?;
    let result = types.get(6).cloned().unwrap_or(LogicalType::STRING);
    let result = result.with_nullable(true);
    if types.len() > 2 {
        clause("JSON_VALUE", args, 2, &["NULL", "ERROR", "DEFAULT"])?;
        clause("JSON_VALUE", args, 4, &["NULL", "ERROR", "DEFAULT"])?;
        types[3] = result.clone();
        types[5] = result.clone();
    }
    let supported =
        result.is_character() || matches!(result.kind, TypeKind::Boolean | TypeKind::Int | TypeKind::Double);
    if !supported {
        return Err(refused(format!(
            "JSON_VALUE does not support RETURNING {result}: use BOOLEAN, INTEGER, DOUBLE or STRING"
        )));
    }
    Ok(Signature { args: types, result })
}

/// What a row's result is made from.
enum Outcome {
    Value(Json),
    Null,
    /// The default of the clause whose value is this argument.
    Default(usize),
}

fn outcome(args: &KernelArgs<'_>, paths: &mut Paths, row: usize) -> Result<Outcome, EvalError> {
    let (json, path) = (args.text(0)?, args.text(1)?);
    let (Some(json), Some(path)) = (json.get(row), path.get(row)) else {
        return Ok(Outcome::Null);
    };
    let document = Json::parse(json);
    let found = find(&document, paths.get(path));
    let error = match found.value {
        Ok(value) if value.is_scalar() && *value != Json::Null => {
            let value = value.into_owned();
            if fits(&value, args.result) {
                return Ok(Outcome::Value(value));
            }
            JsonError::Type(Box::new(args.result.clone()))
        }
        Ok(value) if *value == Json::Null || found.lax => {
            return behave(args, 2, &JsonError::EmptyResult("JSON_VALUE"));
        }
        Ok(_) => JsonError::NoScalar,
        Err(error) => error,
    };
    behave(args, 4, &error)
}

/// Applies the ON EMPTY or ON ERROR clause in argument `index`.
fn behave(args: &KernelArgs<'_>, index: usize, reason: &JsonError) -> Result<Outcome, EvalError> {
    match args.constant_text(index) {
        Some("ERROR") => Err(failure("JSON_VALUE", reason)),
        Some("DEFAULT") => Ok(Outcome::Default(index + 1)),
        _ => Ok(Outcome::Null),
    }
}

fn fits(value: &Json, ty: &LogicalType) -> bool {
    match ty.kind {
        TypeKind::Boolean => matches!(value, Json::Boolean(_)),
        TypeKind::Int => matches!(value, Json::Number(text) if text.parse::<i32>().is_ok()),
        TypeKind::Double => matches!(value, Json::Number(_)),
        _ => true,
    }
}

fn json_value(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let mut paths = std::mem::take(args.cache.get_or_insert_with(Paths::default));
    let result = column(args, &mut paths);
    *args.cache.get_or_insert_with(Paths::default) = paths;
    result
}

fn column(args: &KernelArgs<'_>, paths: &mut Paths) -> Result<ArrayRef, EvalError> {
    let default = |index: usize, row: usize| {
        let datum = &args.args[index];
        let (array, i) = (datum.array(), datum.index(row));
        array.is_valid(i).then_some((array, i))
    };
    match args.result.kind {
        TypeKind::Boolean => args.try_write_booleans(|row| {
            Ok(match outcome(args, paths, row)? {
                Outcome::Value(value) => Some(value == Json::Boolean(true)),
                Outcome::Null => None,
                Outcome::Default(index) => default(index, row).map(|(array, i)| array.as_boolean().value(i)),
            })
        }),
        TypeKind::Int => args.try_write_primitives::<Int32Type>(|row| {
            Ok(match outcome(args, paths, row)? {
                Outcome::Value(Json::Number(text)) => text.parse().ok(),
                Outcome::Value(_) | Outcome::Null => None,
                Outcome::Default(index) => {
                    default(index, row).map(|(array, i)| array.as_primitive::<Int32Type>().value(i))
                }
            })
        }),
        TypeKind::Double => args.try_write_primitives::<Float64Type>(|row| {
            Ok(match outcome(args, paths, row)? {
                Outcome::Value(Json::Number(text)) => text.parse().ok(),
                Outcome::Value(_) | Outcome::Null => None,
                Outcome::Default(index) => {
                    default(index, row).map(|(array, i)| array.as_primitive::<Float64Type>().value(i))
                }
            })
        }),
        _ => args.try_write_text(|row, out| {
            Ok(match outcome(args, paths, row)? {
                Outcome::Value(value) => {
                    value.write_scalar(out);
                    Some(())
                }
                Outcome::Null => None,
                Outcome::Default(index) => {
                    default(index, row).map(|(array, i)| out.push_str(array.as_string_view().value(i)))
                }
            })
        }),
    }
}
