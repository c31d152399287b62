//! JSON_QUOTE, JSON_UNQUOTE.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;
use std::fmt::Write;

use super::tree::Json;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::string::push_utf16;
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "JSON_QUOTE",
        "JSON_QUOTE(string)",
        "The string as a JSON string; quotes, slashes, control characters and everything outside of ASCII are escaped.",
        |args| {
            strict(
                check("JSON_QUOTE", args, &[&[Arg::Character]])?,
                LogicalType::STRING,
            )
        },
        json_quote,
    ),
    ScalarFunction::new(
        Group::String,
        "JSON_UNQUOTE",
        "JSON_UNQUOTE(string)",
        "The text of a JSON string; anything else unchanged.",
        |args| {
            strict(
                check("JSON_UNQUOTE", args, &[&[Arg::Character]])?,
                LogicalType::STRING,
            )
        },
        json_unquote,
    ),
];

fn json_quote(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        let text = text.get(row)?;
        out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' | '/' => out.extend(['\\', c]),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                ' '..='~' => out.push(c),
                _ => {
                    // For a character of two UTF-16 units, Flink writes its code point and then the second unit.
                    write!(out, "\\u{:04x}", u32::from(c)).ok()?;
                    if let [_, low] = c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{low:04x}").ok()?;
                    }
                }
            }
        }
        out.push('"');
        Some(())
    })
}

fn json_unquote(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        let text = text.get(row)?;
        let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
        if !quoted || Json::parse(text).is_err() || unescape(&text[1..text.len() - 1], out).is_none() {
            out.clear();
            out.push_str(text);
        }
        Some(())
    })
}

/// Appends the text with its escapes resolved; `None` if one is malformed.
fn unescape(text: &str, out: &mut String) -> Option<()> {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        let unit = match chars.next()? {
            c @ ('"' | '\\' | '/') => c as u16,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => {
                let mut unit = 0;
                for _ in 0..4 {
                    unit = unit * 16 + chars.next()?.to_digit(16)? as u16;
                }
                unit
            }
            _ => return None,
        };
        units.push(unit);
    }
    push_utf16(units, out);
    Some(())
}
