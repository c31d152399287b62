//! Objects and arrays as text for a STRING column: Flink reads them into a tree of Jackson's and prints the tree.
//!
//! The tree keeps no digits: a number with a fraction or an exponent becomes a DOUBLE, or a decimal without trailing
//! zeros if the table has a column of type DECIMAL. Of a repeated key the last value counts, at the first one's place.

use indexmap::IndexMap;
use millstream_types::java_text::{write_double, write_stripped_number};

use super::encode::write_escape;
use super::number;
use super::scan::{Cursor, ScanError, unescape};

/// Appends the value at the cursor as the tree prints it.
pub(super) fn write_value(
    cursor: &mut Cursor<'_>,
    decimals: bool,
    out: &mut Vec<u8>,
) -> Result<(), ScanError> {
    match cursor.peek() {
        Some(b'{') => write_object(cursor, decimals, out),
        Some(b'[') => write_array(cursor, decimals, out),
        Some(b'"') => {
            let text = cursor.string()?;
            let mut plain = Vec::new();
            unescape(&cursor.data[text.start..text.end], &mut plain);
            write_string(&plain, out);
            Ok(())
        }
        Some(b't' | b'f' | b'n') => {
            let start = cursor.at;
            cursor.skip_value()?;
            out.extend_from_slice(&cursor.data[start..cursor.at]);
            Ok(())
        }
        Some(_) => {
            let text = number_text(cursor, decimals)?;
            if text.ends_with("Infinity") {
                write_string(text.as_bytes(), out);
            } else {
                out.extend_from_slice(text.as_bytes());
            }
            Ok(())
        }
        None => cursor.error("unexpected end-of-input: expected a JSON value"),
    }
}

/// The number at the cursor, as `JsonNode.asText` gives it.
pub(super) fn number_text(cursor: &mut Cursor<'_>, decimals: bool) -> Result<String, ScanError> {
    let (start, end, integer) = cursor.number()?;
    let text = String::from_utf8_lossy(&cursor.data[start..end]);
    if integer {
        return Ok(text.into_owned());
    }
    let mut printed = String::new();
    if decimals {
        write_stripped_number(&mut printed, &text);
    } else {
        write_double(&mut printed, number::double(text.as_bytes()).unwrap_or(f64::NAN));
    }
    Ok(printed)
}

fn write_object(cursor: &mut Cursor<'_>, decimals: bool, out: &mut Vec<u8>) -> Result<(), ScanError> {
    let mut members: IndexMap<Vec<u8>, Vec<u8>> = IndexMap::new();
    cursor.members(b'}', |cursor| {
        let text = cursor.string()?;
        let mut key = Vec::new();
        unescape(&cursor.data[text.start..text.end], &mut key);
        cursor.behind_colon()?;
        let mut value = Vec::new();
        write_value(cursor, decimals, &mut value)?;
        // A repeated key keeps the place of the first.
        members.insert(key, value);
        Ok(())
    })?;
    out.push(b'{');
    for (place, (key, value)) in members.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(())
}

fn write_array(cursor: &mut Cursor<'_>, decimals: bool, out: &mut Vec<u8>) -> Result<(), ScanError> {
    out.push(b'[');
    let mut first = true;
    cursor.members(b']', |cursor| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_value(cursor, decimals, out)
    })?;
    out.push(b']');
    Ok(())
}

/// A JSON string; unlike in messages, characters outside of the basic plane stay as they are.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' | 0..=31 => write_escape(out, *byte),
            plain => out.push(*plain),
        }
    }
    out.push(b'"');
}
