//! PRINTF: `java.util.Formatter` over SQL values.
//!
//! A wrong format or a conversion that does not fit its argument gives NULL, as in Flink, where the error is only logged.
//! A NULL argument prints `null`, with width and precision applied. Date and time conversions (`%t…`) are refused.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use jiff::tz::TimeZone;
use millstream_types::java_text::{hash_code, write_decimal_plain, write_double, write_float};
use millstream_types::{LogicalType, TypeKind, timestamp_nanos};

use super::check_result_bytes;
use super::printf_numbers::{fixed, general, scientific};
use crate::display::{Printer, Style, write_date};
use crate::scalar::access::data_error;
use crate::scalar::forms::{wrong_count, wrong_types};
use crate::scalar::temporal::iso::{write_iso_instant, write_iso_time, write_iso_timestamp};
use crate::scalar::{Datum, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::String,
    "PRINTF",
    "PRINTF(format[, obj]*)",
    "The format with the objects in it, by the rules of Java's Formatter: %s, %d, %x, %f, %e, %g, %c, %b, with flags, width \
     and precision. NULL if the format is NULL or does not fit the objects; a NULL object prints null.",
    printf_signature,
    printf,
)];

fn printf_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let Some(format) = args.first() else {
        return Err(wrong_count("PRINTF", "at least 1", 0));
    };
    if !format.ty.is_character() && !format.ty.is_null() {
        return Err(wrong_types(
            "PRINTF",
            args,
            "PRINTF(<CHARACTER_STRING>, <ANY>...)",
        ));
    }
    let mut types: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    if types[0].is_null() {
        types[0] = LogicalType::STRING;
    }
    Ok(Signature {
        args: types,
        result: LogicalType::STRING,
    })
}

/// A value as the Java object that Flink hands to the formatter.
enum Value<'a> {
    Null,
    Boolean(bool),
    /// An integer and its width in bits.
    Integer(i64, u32),
    Float(f64, bool),
    Decimal(i128, u8),
    Text(&'a str),
    Other(String),
}

fn value<'a>(datum: &'a Datum, ty: &LogicalType, row: usize) -> Value<'a> {
    if datum.is_null(row) {
        return Value::Null;
    }
    let (array, i) = (datum.array(), datum.index(row));
    let text = |write: &dyn Fn(&mut String)| {
        let mut out = String::new();
        write(&mut out);
        Value::Other(out)
    };
    match ty.kind {
        TypeKind::Char(_) | TypeKind::Varchar(_) => Value::Text(array.as_string_view().value(i)),
        TypeKind::Boolean => Value::Boolean(array.as_boolean().value(i)),
        TypeKind::TinyInt => Value::Integer(array.as_primitive::<Int8Type>().value(i).into(), 8),
        TypeKind::SmallInt => Value::Integer(array.as_primitive::<Int16Type>().value(i).into(), 16),
        TypeKind::Int => Value::Integer(array.as_primitive::<Int32Type>().value(i).into(), 32),
        TypeKind::BigInt => Value::Integer(array.as_primitive::<Int64Type>().value(i), 64),
        TypeKind::Float => Value::Float(array.as_primitive::<Float32Type>().value(i).into(), true),
        TypeKind::Double => Value::Float(array.as_primitive::<Float64Type>().value(i), false),
        TypeKind::Decimal { scale, .. } => {
            Value::Decimal(array.as_primitive::<Decimal128Type>().value(i), scale)
        }
        TypeKind::Date => text(&|out| write_date(out, array.as_primitive::<Date32Type>().value(i).into())),
        TypeKind::Time(_) => {
            text(&|out| write_iso_time(out, array.as_primitive::<Time32MillisecondType>().value(i)))
        }
        TypeKind::Timestamp { .. } => text(&|out| write_iso_timestamp(out, timestamp_nanos(array, i))),
        TypeKind::TimestampLtz { .. } => text(&|out| write_iso_instant(out, timestamp_nanos(array, i))),
        _ => Value::Other(
            Printer::new(ty, Style::Client)
                .value(array, i, &TimeZone::UTC)
                .unwrap_or_default(),
        ),
    }
}

/// One `%…` of a format.
#[derive(Default)]
struct Conversion {
    argument: Option<usize>,
    flags: String,
    width: Option<usize>,
    precision: Option<usize>,
    letter: char,
}

impl Conversion {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// Parses what follows a `%`; the rest of the format. `None` if it is malformed.
    fn parse(format: &str) -> Option<(Self, &str)> {
        let mut conversion = Self::default();
        let mut rest = format;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if let Some(after) = rest[digits..].strip_prefix('$') {
            conversion.argument = Some(rest[..digits].parse().ok().filter(|n| *n > 0)?);
            rest = after;
        }
        let flags = rest.len() - rest.trim_start_matches(|c| "-#+ 0,(<".contains(c)).len();
        rest[..flags].clone_into(&mut conversion.flags);
        rest = &rest[flags..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            conversion.width = Some(rest[..digits].parse().ok()?);
            rest = &rest[digits..];
        }
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            conversion.precision = Some(after[..digits].parse().ok()?);
            rest = &after[digits..];
        }
        conversion.letter = rest.chars().next()?;
        let missing_width = conversion.width.is_none() && (conversion.has('-') || conversion.has('0'));
        let clash =
            (conversion.has('-') && conversion.has('0')) || (conversion.has('+') && conversion.has(' '));
        if missing_width || clash {
            return None;
        }
        let rest = &rest[conversion.letter.len_utf8()..];
        Some((conversion, rest))
    }

    /// Appends `text` padded with blanks to the width.
    fn pad(&self, text: &str, out: &mut String) {
        let upper;
        let text = if self.letter.is_ascii_uppercase() {
            upper = text.to_uppercase();
            upper.as_str()
        } else {
            text
        };
        let missing = self
            .width
            .unwrap_or(0)
            .saturating_sub(text.encode_utf16().count());
        let blanks = std::iter::repeat_n(' ', missing);
        if self.has('-') {
            out.push_str(text);
            out.extend(blanks);
        } else {
            out.extend(blanks);
            out.push_str(text);
        }
    }

    /// As [`Self::pad`] after cutting to the precision.
    fn pad_cut(&self, text: &str, out: &mut String) {
        let end = self
            .precision
            .and_then(|n| text.char_indices().nth(n))
            .map_or(text.len(), |(i, _)| i);
        self.pad(&text[..end], out);
    }

    /// Appends a number: digits without sign, with grouping, sign flags and zero padding.
    fn pad_number(&self, negative: bool, digits: &str, out: &mut String) {
        let mut body = if self.has(',') {
            grouped(digits)
        } else {
            digits.to_owned()
        };
        let (before, after) = match (negative, self.has('(')) {
            (true, true) => ("(", ")"),
            (true, false) => ("-", ""),
            (false, _) if self.has('+') => ("+", ""),
            (false, _) if self.has(' ') => (" ", ""),
            (false, _) => ("", ""),
        };
        if self.has('0') {
            let missing = self
                .width
                .unwrap_or(0)
                .saturating_sub(before.len() + body.len() + after.len());
            body.insert_str(0, &"0".repeat(missing));
        }
        self.pad(&format!("{before}{body}{after}"), out);
    }

    /// Appends the value under this conversion; `None` if they do not fit.
    fn write(&self, value: &Value<'_>, out: &mut String) -> Option<()> {
        match self.letter.to_ascii_lowercase() {
            'b' => {
                let text = match value {
                    Value::Null => "false",
                    Value::Boolean(false) => "false",
                    _ => "true",
                };
                self.pad_cut(text, out);
            }
            's' => self.pad_cut(&object_text(value), out),
            'h' => self.pad_cut(&hash_text(value)?, out),
            'c' if matches!(value, Value::Null) => self.pad_cut("null", out),
            'c' => self.write_character(value, out)?,
            'd' | 'x' | 'o' if self.precision.is_some() => return None,
            'd' | 'x' | 'o' if matches!(value, Value::Null) => self.pad_cut("null", out),
            'd' | 'x' | 'o' => self.write_integer(value, out)?,
            'f' | 'e' | 'g' | 'a' if matches!(value, Value::Null) => self.pad_cut("null", out),
            'f' | 'e' | 'g' => self.write_float(value, out)?,
            _ => return None,
        }
        Some(())
    }

    fn write_character(&self, value: &Value<'_>, out: &mut String) -> Option<()> {
        let Value::Integer(code, 8..=32) = value else {
            return None;
        };
        let c = char::from_u32(u32::try_from(*code).ok()?)?;
        self.pad(c.encode_utf8(&mut [0; 4]), out);
        Some(())
    }

    fn write_integer(&self, value: &Value<'_>, out: &mut String) -> Option<()> {
        let Value::Integer(number, bits) = *value else {
            return None;
        };
        let unsigned = if bits == 64 {
            number as u64
        } else {
            number as u64 & ((1 << bits) - 1)
        };
        match self.letter {
            'd' => {
                self.pad_number(number < 0, &number.unsigned_abs().to_string(), out);
                return Some(());
            }
            'x' | 'X' | 'o' => {}
            _ => return None,
        }
        if self.has(',') || self.has('(') || self.has('+') || self.has(' ') {
            return None;
        }
        let (prefix, mut body) = if self.letter == 'o' {
            ("0", format!("{unsigned:o}"))
        } else {
            ("0x", format!("{unsigned:x}"))
        };
        let prefix = if self.has('#') { prefix } else { "" };
        if self.has('0') {
            let missing = self.width.unwrap_or(0).saturating_sub(prefix.len() + body.len());
            body.insert_str(0, &"0".repeat(missing));
        }
        self.pad(&format!("{prefix}{body}"), out);
        Some(())
    }

    fn write_float(&self, value: &Value<'_>, out: &mut String) -> Option<()> {
        let text = match value {
            Value::Float(number, _) if number.is_nan() => {
                self.pad("NaN", out);
                return Some(());
            }
            Value::Float(number, _) if number.is_infinite() => {
                let plain = Self {
                    flags: self.flags.replace('0', ""),
                    width: self.width,
                    letter: self.letter,
                    ..Self::default()
                };
                plain.pad_number(*number < 0.0, "Infinity", out);
                return Some(());
            }
            Value::Float(number, single) => {
                let mut text = String::new();
                if *single {
                    write_float(&mut text, *number as f32)
                } else {
                    write_double(&mut text, *number)
                }
                text
            }
            Value::Decimal(unscaled, scale) => {
                let mut text = String::new();
                write_decimal_plain(&mut text, *unscaled, *scale);
                text
            }
            _ => return None,
        };
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, text.as_str()),
        };
        let precision = self.precision.unwrap_or(6);
        let digits = match self.letter {
            'f' => fixed(magnitude, precision),
            'e' | 'E' => scientific(magnitude, precision),
            'g' | 'G' => general(magnitude, precision),
            _ => return None,
        };
        self.pad_number(negative, &digits, out);
        Some(())
    }
}

/// Digits with a comma between groups of three before the point.
fn grouped(digits: &str) -> String {
    let end = digits.find(['.', 'e']).unwrap_or(digits.len());
    let mut out = String::new();
    for (i, c) in digits[..end].chars().enumerate() {
        if i > 0 && (end - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out.push_str(&digits[end..]);
    out
}

/// `String.valueOf` of a value.
fn object_text(value: &Value<'_>) -> String {
    let mut out = String::new();
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Integer(number, _) => out.push_str(&number.to_string()),
        Value::Float(number, true) => write_float(&mut out, *number as f32),
        Value::Float(number, false) => write_double(&mut out, *number),
        Value::Decimal(unscaled, scale) => write_decimal_plain(&mut out, *unscaled, *scale),
        Value::Text(text) => out.push_str(text),
        Value::Other(text) => out.push_str(text),
    }
    out
}

/// `hashCode` in hexadecimal.
fn hash_text(value: &Value<'_>) -> Option<String> {
    let hash = match value {
        Value::Null => return Some("null".to_owned()),
        Value::Boolean(b) => {
            if *b {
                1231
            } else {
                1237
            }
        }
        Value::Integer(number, 64) => (*number ^ ((*number as u64) >> 32) as i64) as i32,
        Value::Integer(number, _) => *number as i32,
        Value::Text(text) => hash_code(text),
        _ => return None,
    };
    Some(format!("{hash:x}"))
}

/// Appends the formatted text; `Ok(None)` if the format is wrong or does not fit.
fn format(
    format: &str,
    arguments: usize,
    mut write: impl FnMut(&Conversion, usize, &mut String) -> Option<()>,
    out: &mut String,
) -> Result<Option<()>, EvalError> {
    let mut rest = format;
    let (mut ordinary, mut previous) = (0, None);
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        let Some((conversion, after)) = Conversion::parse(&rest[percent + 1..]) else {
            return Ok(None);
        };
        rest = after;
        check_result_bytes(
            "PRINTF",
            conversion
                .width
                .unwrap_or(0)
                .max(conversion.precision.unwrap_or(0)),
        )?;
        match conversion.letter {
            '%' => conversion.pad("%", out),
            'n' => out.push('\n'),
            't' | 'T' => {
                return Err(data_error(
                    "PRINTF does not support date and time conversions, use DATE_FORMAT",
                ));
            }
            _ => {
                let wanted = match (conversion.argument, conversion.has('<')) {
                    (_, true) => previous,
                    (Some(number), false) => Some(number - 1),
                    (None, false) => {
                        ordinary += 1;
                        Some(ordinary - 1)
                    }
                };
                let Some(index) = wanted.filter(|index| *index < arguments) else {
                    return Ok(None);
                };
                previous = Some(index);
                if write(&conversion, index, out).is_none() {
                    return Ok(None);
                }
            }
        }
    }
    out.push_str(rest);
    Ok(Some(()))
}

fn printf(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let pattern = args.text(0)?;
    let objects = args.args.len() - 1;
    args.try_write_text(|row, out| {
        let Some(pattern) = pattern.get(row) else {
            return Ok(None);
        };
        let write = |conversion: &Conversion, index: usize, out: &mut String| {
            conversion.write(
                &value(&args.args[index + 1], &args.arg_types[index + 1], row),
                out,
            )
        };
        format(pattern, objects, write, out)
    })
}
