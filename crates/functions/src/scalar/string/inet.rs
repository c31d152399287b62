//! INET_ATON, INET_NTOA.

use arrow_array::ArrayRef;
use arrow_array::types::Int64Type;
use millstream_types::LogicalType;
use std::fmt::Write;

use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "INET_ATON",
        "INET_ATON(address)",
        "The number of an IPv4 address; short forms such as 127.1 are allowed. NULL if it is not one.",
        |args| {
            nullable(
                check("INET_ATON", args, &[&[Arg::Character]])?,
                LogicalType::BIGINT,
            )
        },
        inet_aton,
    ),
    ScalarFunction::new(
        Group::String,
        "INET_NTOA",
        "INET_NTOA(number)",
        "The IPv4 address with the number. NULL if the number is outside of 0 to 4294967295.",
        |args| nullable(check("INET_NTOA", args, &[&[Arg::Integer]])?, LogicalType::STRING),
        inet_ntoa,
    ),
];

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return None;
    }
    text.bytes().try_fold(0u32, |value, b| {
        value.checked_mul(10)?.checked_add(u32::from(b - b'0'))
    })
}

fn address(text: &str) -> Option<i64> {
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    if parts.len() > 1 && parts.iter().any(|part| *part > 255) {
        return None;
    }
    Some(i64::from(match parts[..] {
        [a] => a,
        [a, b] => a << 24 | b,
        [a, b, c] => a << 24 | b << 16 | c,
        [a, b, c, d] => a << 24 | b << 16 | c << 8 | d,
        _ => return None,
    }))
}

fn inet_aton(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_primitives::<Int64Type>(|row| address(text.get(row)?))
}

fn inet_ntoa(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let value = args.integers(0)?;
    args.write_text(|row, out| {
        let [a, b, c, d] = u32::try_from(value.get(row)?).ok()?.to_be_bytes();
        write!(out, "{a}.{b}.{c}.{d}").ok()
    })
}
