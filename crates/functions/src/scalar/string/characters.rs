//! ASCII, CHR, ELT.

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;
use millstream_types::{LogicalType, TypeKind};

use crate::scalar::forms::{Arg, check, nullable, refused, strict, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "ASCII",
        "ASCII(string)",
        "The first byte of the string's UTF-8 form as a signed number; 0 for an empty string.",
        |args| strict(check("ASCII", args, &[&[Arg::Character]])?, LogicalType::INT),
        ascii,
    ),
    ScalarFunction::new(
        Group::String,
        "CHR",
        "CHR(integer)",
        "The character with the number modulo 256 as its code; an empty string if the number is negative.",
        |args| nullable(check("CHR", args, &[&[Arg::Integer]])?, LogicalType::STRING),
        chr,
    ),
    ScalarFunction::new(
        Group::String,
        "ELT",
        "ELT(index, expr[, exprs]*)",
        "The expression with the index, counted from 1; NULL if there is none. All are character strings or all are byte \
         strings.",
        elt_signature,
        elt,
    ),
];

fn ascii(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_primitives::<Int32Type>(|row| {
        let first = text.get(row)?.bytes().next().unwrap_or(0);
        Some(i32::from(first.cast_signed()))
    })
}

fn chr(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let code = args.integers(0)?;
    args.write_text(|row, out| {
        let code = code.get(row)?;
        if code >= 0 {
            out.push(char::from((code & 0xFF) as u8));
        }
        Some(())
    })
}

fn elt_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let [index, values @ ..] = args else {
        return Err(wrong_count("ELT", "at least 2", args.len()));
    };
    if values.is_empty() {
        return Err(wrong_count("ELT", "at least 2", args.len()));
    }
    if !index.ty.is_integer() && !index.ty.is_null() {
        return Err(refused(format!(
            "the index of ELT must be an integer, but is {}",
            index.ty
        )));
    }
    if index
        .literal
        .and_then(|literal| literal.as_i64())
        .is_some_and(|index| index < 0)
    {
        return Err(refused("the index of ELT must be an integer starting from 0"));
    }
    let binary = values.iter().any(|value| value.ty.is_binary());
    let want = if binary { Arg::Binary } else { Arg::Character };
    let form: Vec<Arg> = [Arg::Integer]
        .into_iter()
        .chain(values.iter().map(|_| want))
        .collect();
    let types = check("ELT", args, &[&form]).map_err(|_| {
        wrong_types(
            "ELT",
            args,
            "ELT(<INTEGER_NUMERIC>, <CHARACTER_STRING>...), ELT(<INTEGER_NUMERIC>, <BINARY_STRING>...)",
        )
    })?;
    let result = longest(&types[1..], binary);
    nullable(types, result)
}

/// The type that all of `types` fit into: fixed length only if all have the same.
fn longest(types: &[LogicalType], binary: bool) -> LogicalType {
    let longest = types.iter().filter_map(LogicalType::length).max().unwrap_or(1);
    let same = types.iter().all(|ty| ty.kind == types[0].kind);
    LogicalType::new(match &types[0].kind {
        fixed @ (TypeKind::Char(_) | TypeKind::Binary(_)) if same => fixed.clone(),
        _ if binary => TypeKind::Varbinary(longest),
        _ => TypeKind::Varchar(longest),
    })
}

fn elt(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let index = args.integers(0)?;
    let chosen = |row: usize, count: usize| {
        let index = usize::try_from(index.get(row)?).ok()?;
        (1..=count).contains(&index).then(|| index - 1)
    };
    if args.result.is_binary() {
        let values = (1..args.args.len())
            .map(|i| args.bytes(i))
            .collect::<Result<Vec<_>, _>>()?;
        return args.try_write_bytes(|row, out| {
            let value = chosen(row, values.len()).and_then(|i| values[i].get(row));
            Ok(value.map(|value| out.extend_from_slice(value)))
        });
    }
    let values = (1..args.args.len())
        .map(|i| args.text(i))
        .collect::<Result<Vec<_>, _>>()?;
    args.text_slices(|row| chosen(row, values.len()).and_then(|i| values[i].get(row)))
}
