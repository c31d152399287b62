//! The order of strings.

use std::cmp::Ordering;

/// Compares as Java's `String.compareTo` does: by UTF-16 code units.
///
/// This is the order of the UTF-8 bytes, but for characters beyond the Basic Multilingual Plane (first byte F0 and up),
/// whose surrogates sort before U+E000 to U+FFFF (first byte EE and EF).
pub fn compare_utf16(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    match a.iter().zip(b).find(|(x, y)| x != y) {
        None => a.len().cmp(&b.len()),
        Some((x, y)) => rank(*x).cmp(&rank(*y)),
    }
}

fn rank(byte: u8) -> u8 {
    match byte {
        0xF0.. => byte - 2,
        0xEE | 0xEF => byte + 6,
        _ => byte,
    }
}
