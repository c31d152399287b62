//! SPLIT_INDEX, SPLIT.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{ListBuilder, StringViewBuilder};
use arrow_schema::DataType;
use millstream_types::{LogicalType, arrow_type};

use crate::scalar::access::internal;
use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

const BY_TEXT: &[Arg] = &[Arg::Character, Arg::Character, Arg::Integer];
const BY_CODE: &[Arg] = &[Arg::Character, Arg::Integer, Arg::Integer];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "SPLIT_INDEX",
        "SPLIT_INDEX(string, delimiter, index)",
        "The part with the index, counted from 0, of the string split at the delimiter (a string, or a character's code). \
         NULL if there is none or an argument is NULL. An empty delimiter splits at white space.",
        |args| {
            nullable(
                check("SPLIT_INDEX", args, &[BY_TEXT, BY_CODE])?,
                LogicalType::STRING,
            )
        },
        split_index,
    ),
    ScalarFunction::new(
        Group::Collection,
        "SPLIT",
        "SPLIT(string, delimiter)",
        "The parts of the string between the delimiters, as an array. An empty string has no parts, an empty delimiter \
         splits into characters.",
        |args| {
            let types = check("SPLIT", args, &[&[Arg::Character, Arg::Character]])?;
            strict(types, LogicalType::array(LogicalType::STRING))
        },
        split,
    ),
];

/// Part `index` of the text; white space separates if the separator is empty.
fn part<'t>(text: &'t str, separator: &str, index: usize) -> Option<&'t str> {
    if text.is_empty() {
        return None;
    }
    if separator.is_empty() {
        return text.split(char::is_whitespace).nth(index);
    }
    // One byte is found without the tables of a search for text.
    if let [byte @ ..=0x7f] = separator.as_bytes() {
        return text.split(char::from(*byte)).nth(index);
    }
    text.split(separator).nth(index)
}

fn split_index(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, index) = (args.text(0)?, args.integers(2)?);
    if args.arg_types[1].is_integer() {
        let code = args.integers(1)?;
        return args.text_slices(|row| {
            let (text, code) = (
                text.get(row)?,
                u8::try_from(code.get(row)?).ok().filter(|code| *code > 0)?,
            );
            let index = usize::try_from(index.get(row)?).ok()?;
            part(text, char::from(code).encode_utf8(&mut [0; 4]), index)
        });
    }
    let separator = args.text(1)?;
    args.text_slices(|row| {
        let (text, separator) = (text.get(row)?, separator.get(row)?);
        part(text, separator, usize::try_from(index.get(row)?).ok()?)
    })
}

fn split(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, delimiter) = (args.text(0)?, args.text(1)?);
    let DataType::List(field) = arrow_type(args.result) else {
        return Err(internal("the result is not an array"));
    };
    let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(field);
    for row in 0..args.rows {
        let (Some(text), Some(delimiter)) = (text.get(row), delimiter.get(row)) else {
            builder.append_null();
            continue;
        };
        if delimiter.is_empty() {
            text.chars()
                .for_each(|c| builder.values().append_value(c.encode_utf8(&mut [0; 4])));
        } else if !text.is_empty() {
            text.split(delimiter)
                .for_each(|part| builder.values().append_value(part));
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}
