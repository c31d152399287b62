//! IS JSON [VALUE | SCALAR | ARRAY | OBJECT]. The negated forms are NOT of these.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::tree::Json;
use crate::scalar::forms::{Arg, check};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Json,
        "IS JSON VALUE",
        "string IS [NOT] JSON [VALUE]",
        "Whether the string begins with a JSON value; FALSE for NULL.",
        |args| signature("IS JSON VALUE", args),
        |args| test(args, |_| true),
    )
    .aliases(&["IS JSON"]),
    ScalarFunction::new(
        Group::Json,
        "IS JSON SCALAR",
        "string IS [NOT] JSON SCALAR",
        "Whether the string begins with a JSON value that is neither an array nor an object; FALSE for NULL.",
        |args| signature("IS JSON SCALAR", args),
        |args| test(args, Json::is_scalar),
    ),
    ScalarFunction::new(
        Group::Json,
        "IS JSON ARRAY",
        "string IS [NOT] JSON ARRAY",
        "Whether the string begins with a JSON array; FALSE for NULL.",
        |args| signature("IS JSON ARRAY", args),
        |args| test(args, |json| matches!(json, Json::Array(_))),
    ),
    ScalarFunction::new(
        Group::Json,
        "IS JSON OBJECT",
        "string IS [NOT] JSON OBJECT",
        "Whether the string begins with a JSON object; FALSE for NULL.",
        |args| signature("IS JSON OBJECT", args),
        |args| test(args, |json| matches!(json, Json::Object(_))),
    ),
];

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check(function, args, &[&[Arg::Character]])?;
    Ok(Signature {
        args: types,
        result: LogicalType::BOOLEAN.with_nullable(false),
    })
}

fn test(args: &KernelArgs<'_>, accepts: fn(&Json) -> bool) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_booleans(|row| {
        let json = text.get(row).and_then(|text| Json::parse(text).ok());
        Some(json.is_some_and(|json| accepts(&json)))
    })
}
