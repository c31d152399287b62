//! JSON_STRING.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::writer::JsonWriter;
use crate::scalar::access::internal;
use crate::scalar::forms::{refused, strict, wrong_count};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Json,
    "JSON_STRING",
    "JSON_STRING(value)",
    "The value as JSON text; NULL for NULL. Dates, times and intervals have no JSON form.",
    signature,
    json_string,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let [arg] = args else {
        return Err(wrong_count("JSON_STRING", "1", args.len()));
    };
    refuse_without_json("JSON_STRING", arg.ty)?;
    strict(vec![arg.ty.without_time_attribute()], LogicalType::STRING)
}

/// Refuses a type that has no JSON form.
pub(super) fn refuse_without_json(function: &str, ty: &LogicalType) -> Result<(), SignatureError> {
    match JsonWriter::new(ty) {
        Ok(_) => Ok(()),
        Err(part) => Err(refused(format!(
            "{function} cannot cast a value of type {part} to JSON: unsupported argument type, cast it to STRING first"
        ))),
    }
}

fn json_string(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let writer =
        JsonWriter::new(&args.arg_types[0]).map_err(|ty| internal(format!("{ty} has no JSON form")))?;
    let datum = &args.args[0];
    args.write_text(|row, out| {
        if datum.is_null(row) {
            return None;
        }
        writer.write(datum.array(), datum.index(row), out);
        Some(())
    })
}
