//! JSON_OBJECT, JSON_ARRAY, JSON.
//!
//! JSON_OBJECT is called as `JSON_OBJECT(on_null, raw, key1, value1, key2, value2, …)` and JSON_ARRAY as
//! `JSON_ARRAY(on_null, raw, value1, value2, …)`. `on_null` is the constant `'NULL'` or `'ABSENT'`. `raw` is a constant with one
//! character for each value: `1` where the value is the result of JSON_OBJECT, JSON_ARRAY or JSON and stands as it is, `0`
//! where it becomes JSON by its type.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use super::clause;
use super::string::refuse_without_json;
use super::tree::{Json, write_string};
use super::writer::JsonWriter;
use crate::scalar::access::{data_error, internal};
use crate::scalar::forms::{Arg, check, nullable, refused, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Json,
        "JSON_OBJECT",
        "JSON_OBJECT([[KEY] key VALUE value]* [{ NULL | ABSENT } ON NULL])",
        "A JSON object with the members, ordered by key; of equal keys the last. Members with a NULL value are null, or left \
         out with ABSENT ON NULL.",
        object_signature,
        json_object,
    ),
    ScalarFunction::new(
        Group::Json,
        "JSON_ARRAY",
        "JSON_ARRAY([value]* [{ NULL | ABSENT } ON NULL])",
        "A JSON array of the values. NULL values are left out, or null with NULL ON NULL.",
        array_signature,
        json_array,
    ),
    ScalarFunction::new(
        Group::Json,
        "JSON",
        "JSON(value)",
        "JSON text that stands as it is in JSON_OBJECT and JSON_ARRAY, the only places where this function is allowed.",
        |args| nullable(check("JSON", args, &[&[Arg::Character]])?, LogicalType::STRING),
        json,
    ),
];

/// The mask of raw values, which must have one character for each value.
fn raw_mask(function: &str, args: &[ArgInfo<'_>], values: usize) -> Result<(), SignatureError> {
    if args.len() < 2 {
        return Err(wrong_count(function, "at least 2", args.len()));
    }
    clause(function, args, 0, &["NULL", "ABSENT"])?;
    let mask = args[1].literal.and_then(|literal| literal.as_str());
    match mask {
        Some(mask) if mask.len() == values && mask.bytes().all(|b| b == b'0' || b == b'1') => Ok(()),
        _ => Err(refused(format!(
            "argument 2 of {function} must have one 0 or 1 for each value"
        ))),
    }
}

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    Ok(Signature {
        args: types,
        result: LogicalType::STRING.with_nullable(false),
    })
}

fn object_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let members = args.len().saturating_sub(2);
    if !members.is_multiple_of(2) {
        return Err(wrong_count("JSON_OBJECT", "keys and values in pairs", members));
    }
    raw_mask("JSON_OBJECT", args, members / 2)?;
    for pair in args[2..].chunks_exact(2) {
        if !pair[0].ty.is_character() {
            return Err(wrong_types("JSON_OBJECT", args, "keys of a character type"));
        }
        refuse_without_json("JSON_OBJECT", pair[1].ty)?;
    }
    signature(args)
}

fn array_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    raw_mask("JSON_ARRAY", args, args.len().saturating_sub(2))?;
    for value in &args[2..] {
        refuse_without_json("JSON_ARRAY", value.ty)?;
    }
    signature(args)
}

/// The value of argument `index` as JSON text.
struct Value {
    index: usize,
    raw: bool,
    writer: JsonWriter,
}

impl Value {
    fn new(args: &KernelArgs<'_>, index: usize, number: usize) -> Result<Self, EvalError> {
        let raw = args.constant_text(1).and_then(|mask| mask.as_bytes().get(number)) == Some(&b'1');
        let writer = JsonWriter::new(&args.arg_types[index])
            .map_err(|ty| internal(format!("{ty} has no JSON form")))?;
        Ok(Self { index, raw, writer })
    }

    fn is_null(&self, args: &KernelArgs<'_>, row: usize) -> bool {
        args.args[self.index].is_null(row)
    }

    fn write(&self, args: &KernelArgs<'_>, row: usize, out: &mut String) -> Result<(), EvalError> {
        let datum = &args.args[self.index];
        if self.raw && !datum.is_null(row) {
            out.push_str(args.text(self.index)?.get(row).unwrap_or("null"));
        } else {
            self.writer.write(datum.array(), datum.index(row), out);
        }
        Ok(())
    }
}

fn json_object(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let args = &*args;
    let absent = args.constant_text(0) == Some("ABSENT");
    let pairs = (args.args.len() - 2) / 2;
    let mut members = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        members.push((args.text(2 + 2 * pair)?, Value::new(args, 3 + 2 * pair, pair)?));
    }
    args.try_write_text(|row, out| {
        let mut present: Vec<(&str, &Value)> = Vec::with_capacity(pairs);
        for (key, value) in &members {
            let key = key
                .get(row)
                .ok_or_else(|| data_error("a key of JSON_OBJECT must not be NULL"))?;
            if absent && value.is_null(args, row) {
                continue;
            }
            match present.iter_mut().find(|(known, _)| *known == key) {
                Some(member) => member.1 = value,
                None => present.push((key, value)),
            }
        }
        present.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        out.push('{');
        for (i, (key, value)) in present.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            write_string(key, out);
            out.push(':');
            value.write(args, row, out)?;
        }
        out.push('}');
        Ok(Some(()))
    })
}

fn json_array(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let args = &*args;
    let absent = args.constant_text(0) == Some("ABSENT");
    let mut values = Vec::with_capacity(args.args.len() - 2);
    for index in 2..args.args.len() {
        values.push(Value::new(args, index, index - 2)?);
    }
    args.try_write_text(|row, out| {
        out.push('[');
        let mut first = true;
        for value in values.iter().filter(|value| !absent || !value.is_null(args, row)) {
            if !first {
                out.push(',');
            }
            first = false;
            value.write(args, row, out)?;
        }
        out.push(']');
        Ok(Some(()))
    })
}

fn json(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.try_write_text(|row, out| {
        let Some(text) = text.get(row).map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let value = Json::parse(text)
            .map_err(|error| data_error(format!("invalid JSON string in JSON(value) function: {error}")))?;
        value.write(out);
        Ok(Some(()))
    })
}
