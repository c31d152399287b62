//! JSON_EXISTS.
//!
//! Called as `JSON_EXISTS(json, path)` or `JSON_EXISTS(json, path, on_error)`, where `on_error` is the constant `'TRUE'`,
//! `'FALSE'`, `'UNKNOWN'` or `'ERROR'`.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::tree::Json;
use super::{Paths, clause, failure, find};
use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Json,
    "JSON_EXISTS",
    "JSON_EXISTS(json, path [{ TRUE | FALSE | UNKNOWN | ERROR } ON ERROR])",
    "Whether the path finds a value that is not null. FALSE by default where the path fails.",
    signature,
    json_exists,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let plain: &[Arg] = &[Arg::Character, Arg::Character];
    let on_error: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
    let types = check("JSON_EXISTS", args, &[plain, on_error])?;
    if types.len() > 2 {
        clause("JSON_EXISTS", args, 2, &["TRUE", "FALSE", "UNKNOWN", "ERROR"])?;
    }
    nullable(types, LogicalType::BOOLEAN)
}

fn json_exists(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (json, path) = (args.text(0)?, args.text(1)?);
    let on_error = args.constant_text(2).unwrap_or("FALSE");
    let mut paths = std::mem::take(args.cache.get_or_insert_with(Paths::default));
    let result = args.try_write_booleans(|row| {
        let (Some(json), Some(path)) = (json.get(row), path.get(row)) else {
            return Ok(None);
        };
        let document = Json::parse(json);
        match find(&document, paths.get(path)).value {
            Ok(value) => Ok(Some(*value != Json::Null)),
            Err(reason) => match on_error {
                "TRUE" => Ok(Some(true)),
                "UNKNOWN" => Ok(None),
                "ERROR" => Err(failure("JSON_EXISTS", &reason)),
                _ => Ok(Some(false)),
            },
        }
    });
    *args.cache.get_or_insert_with(Paths::default) = paths;
    result
}
