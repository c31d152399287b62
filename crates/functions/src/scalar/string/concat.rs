//! `||`, CONCAT, CONCAT_WS.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::access::Text;
use crate::scalar::forms::{Arg, check, check_repeated, concatenated, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "||",
        "string1 || string2",
        "The two strings one after the other; NULL if one is NULL.",
        |args| {
            let types = check("||", args, &[&[Arg::Character, Arg::Character]])?;
            let result = concatenated(&types);
            strict(types, result)
        },
        concat,
    ),
    ScalarFunction::new(
        Group::String,
        "CONCAT",
        "CONCAT(string1, string2, ...)",
        "All strings one after the other; NULL if one is NULL.",
        |args| {
            strict(
                check_repeated("CONCAT", args, 1, Arg::Character)?,
                LogicalType::STRING,
            )
        },
        concat,
    ),
    ScalarFunction::new(
        Group::String,
        "CONCAT_WS",
        "CONCAT_WS(separator, string1, string2, ...)",
        "All strings that are not NULL, with the separator between them; NULL if the separator is NULL.",
        |args| {
            strict(
                check_repeated("CONCAT_WS", args, 1, Arg::Character)?,
                LogicalType::STRING,
            )
        },
        concat_ws,
    ),
];

fn texts<'a>(args: &KernelArgs<'a>, from: usize) -> Result<Vec<Text<'a>>, EvalError> {
    (from..args.args.len()).map(|i| args.text(i)).collect()
}

fn concat(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let parts = texts(args, 0)?;
    args.write_text(|row, out| {
        for part in &parts {
            out.push_str(part.get(row)?);
        }
        Some(())
    })
}

fn concat_ws(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let separator = args.text(0)?;
    let parts = texts(args, 1)?;
    args.write_text(|row, out| {
        let separator = separator.get(row)?;
        for (i, part) in parts.iter().filter_map(|part| part.get(row)).enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            out.push_str(part);
        }
        Some(())
    })
}
