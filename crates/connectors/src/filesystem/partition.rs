//! Hive-style partition directories: `key=value/…`, with escaping of characters that paths or Hive treat specially.

use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::{Array, ArrayRef};
use millstream_functions::display::{Printer, Style};
use millstream_types::{LogicalType, Scalar, TypeKind};

use crate::table_error::FilesystemError;

/// Appends a value in the form of a directory name.
pub fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        let special = c.is_ascii_control() || "\"#%'*/:=?\\{[]^\u{7f}".contains(c);
        if special {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
}

/// Unescapes a value in a directory name.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Text of a partition value, before escaping: dates as days since the epoch, timestamps in ISO form. `None` for NULL.
pub fn value_text(
    ty: &LogicalType,
    column: &ArrayRef,
    row: usize,
    zone: &jiff::tz::TimeZone,
) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let text = match ty.kind {
        TypeKind::Date => return Some(column.as_primitive::<Date32Type>().value(row).to_string()),
        _ => Printer::new(ty, Style::Client).value(column, row, zone)?,
    };
    Some(match ty.kind {
        TypeKind::Boolean => text.to_lowercase(),
        TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => text.replacen(' ', "T", 1),
        _ => text,
    })
}

/// The value of a partition column in a directory name.
pub fn parse_value(ty: &LogicalType, text: &str, default_name: &str) -> Result<Scalar, FilesystemError> {
    if text == default_name {
        return Ok(Scalar::Null);
    }
    let plain = unescape(text);
    let wrong = || FilesystemError::PartitionValue {
        value: unescape(text),
        ty: ty.kind.clone(),
    };
    Ok(match ty.kind {
        TypeKind::Char(_) | TypeKind::Varchar(_) => Scalar::String(plain),
        TypeKind::Boolean => Scalar::Boolean(plain.parse().map_err(|_| wrong())?),
        TypeKind::TinyInt => Scalar::TinyInt(plain.parse().map_err(|_| wrong())?),
        TypeKind::SmallInt => Scalar::SmallInt(plain.parse().map_err(|_| wrong())?),
        TypeKind::Int => Scalar::Int(plain.parse().map_err(|_| wrong())?),
        TypeKind::BigInt => Scalar::BigInt(plain.parse().map_err(|_| wrong())?),
        TypeKind::Float => Scalar::Float(plain.parse().map_err(|_| wrong())?),
        TypeKind::Double => Scalar::Double(plain.parse().map_err(|_| wrong())?),
        TypeKind::Date => Scalar::Date(plain.parse().map_err(|_| wrong())?),
        TypeKind::Decimal { precision, scale } => {
            match millstream_formats::json::number::decimal(&plain, precision, scale) {
                Ok(Some(value)) => Scalar::Decimal(value),
                _ => return Err(wrong()),
            }
        }
        TypeKind::Timestamp { .. } => {
            let nanos = millstream_formats::parse_iso_timestamp(&plain).ok_or_else(wrong)?;
            Scalar::Timestamp(nanos)
        }
        _ => return Err(FilesystemError::PartitionType(ty.kind.clone())),
    })
}

/// The `key=value` parts of a path below the table's directory.
pub fn parts(relative: &str) -> impl Iterator<Item = (&str, &str)> {
    relative.split('/').filter_map(|part| part.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_survive_a_directory_name() {
        for value in ["a/b c:d=e", "日本", "100%", "tab\there", "^[x]{y}"] {
            let mut name = String::new();
            escape(&mut name, value);
            assert!(!name.contains('/') && !name.contains('='), "{name}");
            assert_eq!(unescape(&name), value);
        }
        let mut name = String::new();
        escape(&mut name, "a/b c:d=e");
        assert_eq!(name, "a%2Fb c%3Ad%3De");
    }
}
