//! ARRAY_JOIN.

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use millstream_types::LogicalType;

use super::elements::{array_arg, element_type, flat};
use crate::scalar::access::internal;
use crate::scalar::forms::{Arg, check, strict, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Collection,
    "ARRAY_JOIN",
    "ARRAY_JOIN(array, delimiter[, null_replacement])",
    "The strings of the array with the delimiter between them. NULLs are left out unless there is a replacement. NULL if an \
     argument is NULL.",
    signature,
    array_join,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let two: &[Arg] = &[Arg::Array, Arg::Character];
    let three: &[Arg] = &[Arg::Array, Arg::Character, Arg::Character];
    let mut types = check("ARRAY_JOIN", args, &[two, three])?;
    if args[0].ty.is_null() {
        types[0] = LogicalType::array(LogicalType::STRING);
    } else if !element_type(&array_arg("ARRAY_JOIN", args, 0)?).is_character() {
        return Err(wrong_types(
            "ARRAY_JOIN",
            args,
            "ARRAY_JOIN(ARRAY<STRING>, <CHARACTER_STRING>[, <CHARACTER_STRING>])",
        ));
    }
    strict(types, LogicalType::STRING)
}

fn array_join(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, items) = (args.lists(0)?, flat(args, 0)?);
    let (delimiter, replacement) = (args.text(1)?, args.optional_text(2)?);
    let items = items
        .as_string_view_opt()
        .ok_or_else(|| internal("the elements are not strings"))?;
    args.write_text(|row, out| {
        let range = lists.range(row)?;
        let delimiter = delimiter.get(row)?;
        let replacement = match &replacement {
            Some(replacement) => Some(replacement.get(row)?),
            None => None,
        };
        let texts = range.filter_map(|i| {
            if items.is_null(i) {
                replacement
            } else {
                Some(items.value(i))
            }
        });
        for (place, text) in texts.enumerate() {
            if place > 0 {
                out.push_str(delimiter);
            }
            out.push_str(text);
        }
        Some(())
    })
}
