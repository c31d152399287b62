//! ENCODE, DECODE, TO_BASE64, FROM_BASE64: text as bytes and back.

use arrow_array::ArrayRef;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use millstream_types::LogicalType;

use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "ENCODE",
        "ENCODE(string, charset)",
        "The bytes of the string in a character set: US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE or UTF-16. A character \
         that the set does not have becomes a question mark.",
        |args| {
            let types = check("ENCODE", args, &[&[Arg::Character, Arg::Character]])?;
            strict(types, LogicalType::BYTES)
        },
        encode,
    ),
    ScalarFunction::new(
        Group::String,
        "DECODE",
        "DECODE(bytes, charset)",
        "The text that the bytes stand for in a character set: US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE or UTF-16. \
         Bytes that stand for nothing become U+FFFD.",
        |args| {
            strict(
                check("DECODE", args, &[&[Arg::Binary, Arg::Character]])?,
                LogicalType::STRING,
            )
        },
        decode,
    ),
    ScalarFunction::new(
        Group::String,
        "TO_BASE64",
        "TO_BASE64(string)",
        "The Base64 form of the string's UTF-8 bytes.",
        |args| strict(check("TO_BASE64", args, &[&[Arg::Strings]])?, LogicalType::STRING),
        to_base64,
    ),
    ScalarFunction::new(
        Group::String,
        "FROM_BASE64",
        "FROM_BASE64(string)",
        "The text whose UTF-8 bytes the Base64 string stands for. Anything but Base64 is an error.",
        |args| {
            strict(
                check("FROM_BASE64", args, &[&[Arg::Strings]])?,
                LogicalType::STRING,
            )
        },
        from_base64,
    ),
];

/// Java's basic decoder: padding may be missing, spare bits are not looked at.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Clone, Copy)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    Utf16Be,
    Utf16Le,
    /// Big endian with a byte order mark.
    Utf16,
}

impl Charset {
    fn named(name: &str) -> Result<Self, EvalError> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "US-ASCII" | "ASCII" | "US_ASCII" => Self::Ascii,
            "ISO-8859-1" | "ISO8859_1" | "ISO8859-1" | "LATIN1" => Self::Latin1,
            "UTF-8" | "UTF8" => Self::Utf8,
            "UTF-16BE" => Self::Utf16Be,
            "UTF-16LE" => Self::Utf16Le,
            "UTF-16" | "UTF16" => Self::Utf16,
            _ => return Err(data_error(format!("unsupported character set '{name}'"))),
        })
    }

    fn encode(self, text: &str, out: &mut Vec<u8>) {
        let limited = |limit: u32, out: &mut Vec<u8>| {
            let byte = |c: char| if (c as u32) < limit { c as u8 } else { b'?' };
            out.extend(text.chars().map(byte));
        };
        match self {
            Self::Ascii => limited(0x80, out),
            Self::Latin1 => limited(0x100, out),
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf16 if text.is_empty() => {}
            Self::Utf16 => out.extend(
                [0xFEFF]
                    .into_iter()
                    .chain(text.encode_utf16())
                    .flat_map(u16::to_be_bytes),
            ),
        }
    }

    fn decode(self, bytes: &[u8], out: &mut String) {
        let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16, out: &mut String| {
            let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
            out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            if bytes.len() % 2 == 1 {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        };
        match self {
            Self::Ascii => {
                let c = |b: &u8| {
                    if b.is_ascii() {
                        char::from(*b)
                    } else {
                        char::REPLACEMENT_CHARACTER
                    }
                };
                out.extend(bytes.iter().map(c));
            }
            Self::Latin1 => out.extend(bytes.iter().map(|b| char::from(*b))),
            Self::Utf8 => out.push_str(&String::from_utf8_lossy(bytes)),
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes, out),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes, out),
            Self::Utf16 => match bytes {
                [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes, out),
                [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes, out),
                _ => utf16(bytes, u16::from_be_bytes, out),
            },
        }
    }
}

fn encode(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, charset) = (args.text(0)?, args.text(1)?);
    args.try_write_bytes(|row, out| {
        let (Some(text), Some(charset)) = (text.get(row), charset.get(row)) else {
            return Ok(None);
        };
        Charset::named(charset)?.encode(text, out);
        Ok(Some(()))
    })
}

fn decode(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (bytes, charset) = (args.bytes(0)?, args.text(1)?);
    args.try_write_text(|row, out| {
        let (Some(bytes), Some(charset)) = (bytes.get(row), charset.get(row)) else {
            return Ok(None);
        };
        Charset::named(charset)?.decode(bytes, out);
        Ok(Some(()))
    })
}

/// A reader of the bytes of a character or byte string argument.
fn bytes_of<'a>(args: &KernelArgs<'a>) -> Result<impl Fn(usize) -> Option<&'a [u8]>, EvalError> {
    let binary = args.arg_types[0].is_binary();
    let bytes = if binary { Some(args.bytes(0)?) } else { None };
    let text = if binary { None } else { Some(args.text(0)?) };
    Ok(move |row| match (&bytes, &text) {
        (Some(bytes), _) => bytes.get(row),
        (None, Some(text)) => text.get(row).map(str::as_bytes),
        (None, None) => None,
    })
}

fn to_base64(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bytes = bytes_of(args)?;
    args.write_text(|row, out| {
        BASE64.encode_string(bytes(row)?, out);
        Some(())
    })
}

fn from_base64(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bytes = bytes_of(args)?;
    let mut decoded = Vec::new();
    args.try_write_text(|row, out| {
        let Some(bytes) = bytes(row) else { return Ok(None) };
        decoded.clear();
        BASE64.decode_vec(bytes, &mut decoded).map_err(|error| {
            data_error(format!(
                "illegal base64 text '{}': {error}",
                String::from_utf8_lossy(bytes)
            ))
        })?;
        out.push_str(&String::from_utf8_lossy(&decoded));
        Ok(Some(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_starts_with_a_byte_order_mark() {
        let mut out = Vec::new();
        Charset::Utf16.encode("a", &mut out);
        assert_eq!(out, [0xFE, 0xFF, 0, b'a']);
    }
}
