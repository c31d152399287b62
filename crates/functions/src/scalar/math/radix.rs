//! BIN, HEX and UNHEX: numbers and bytes in other bases.

use std::fmt::Write as _;

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

/// Functions of number bases.
pub const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Arithmetic,
        "BIN",
        "BIN(integer)",
        "The integer in binary digits, as 64-bit two's complement if negative.",
        |args| strict(check("BIN", args, &[&[Arg::Integer]])?, LogicalType::STRING),
        |args| {
            let values = args.integers(0)?;
            args.write_text(|row, out| write!(out, "{:b}", values.get(row)?).ok())
        },
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "HEX",
        "HEX(integer or string)",
        "The integer, or the UTF-8 bytes of the text, in hexadecimal digits.",
        |args| {
            strict(
                check("HEX", args, &[&[Arg::Integer], &[Arg::Character]])?,
                LogicalType::STRING,
            )
        },
        hex,
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "UNHEX",
        "UNHEX(string)",
        "The bytes that hexadecimal digits stand for; NULL for other characters.",
        |args| nullable(check("UNHEX", args, &[&[Arg::Character]])?, LogicalType::BYTES),
        unhex,
    ),
];

fn hex(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    if !args.arg_types[0].is_character() {
        let values = args.integers(0)?;
        return args.write_text(|row, out| write!(out, "{:X}", values.get(row)?).ok());
    }
    let texts = args.text(0)?;
    args.write_text(|row, out| {
        texts
            .get(row)?
            .bytes()
            .try_for_each(|byte| write!(out, "{byte:02X}").ok())
    })
}

fn unhex(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let texts = args.text(0)?;
    args.try_write_bytes(|row, out| Ok(texts.get(row).and_then(|text| decode(text, out))))
}

/// Of an odd number of digits, the first gives a zero byte.
fn decode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let pairs = if digits.len() % 2 == 1 {
        out.push(0);
        &digits[1..]
    } else {
        &digits[..]
    };
    out.extend(pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    Some(())
}
