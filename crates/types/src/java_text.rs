//! Numbers as Java prints them.
//!
//! Flink's text forms of FLOAT, DOUBLE and DECIMAL are those of `Float.toString`, `Double.toString` (the shortest
//! digits that read back, as since JDK 19) and `BigDecimal.toString`.

use std::fmt::Write;

/// Below this, and from [`PLAIN_MAX`] on, a float is printed with an exponent.
const PLAIN_MIN: i32 = -3;
/// First power of ten from which on FLOAT and DOUBLE are printed with an exponent.
const PLAIN_MAX: i32 = 7;

/// Appends a DOUBLE: the shortest digits that read back as the same value, in the layout of Java's `Double.toString`.
pub fn write_double(out: &mut String, value: f64) {
    if let Some(name) = special(value) {
        return out.push_str(name);
    }
    if write_few_decimals(out, value) {
        return;
    }
    let magnitude = value.abs();
    let mut digits = Digits::of(format_args!("{magnitude:e}"));
    if digits.length == 1 {
        let two = Digits::of(format_args!("{magnitude:.1e}"));
        if two.parse::<f64>() == Some(magnitude) {
            digits = two;
        }
    }
    digits.write(out, value.is_sign_negative());
}

/// Appends a FLOAT in the layout of Java's `Float.toString`.
pub fn write_float(out: &mut String, value: f32) {
    if let Some(name) = special(f64::from(value)) {
        return out.push_str(name);
    }
    let magnitude = value.abs();
    let mut digits = Digits::of(format_args!("{magnitude:e}"));
    if digits.length == 1 {
        let two = Digits::of(format_args!("{magnitude:.1e}"));
        if two.parse::<f32>() == Some(magnitude) {
            digits = two;
        }
    }
    digits.write(out, value.is_sign_negative());
}

/// `BigDecimal.toPlainString` of `unscaled * 10^-scale`.
pub fn write_decimal_plain(out: &mut String, unscaled: i128, scale: u8) {
    let scale = usize::from(scale);
    if unscaled < 0 {
        out.push('-');
    }
    let digits = unscaled.unsigned_abs().to_string();
    if scale == 0 {
        return out.push_str(&digits);
    }
    if digits.len() <= scale {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - digits.len()));
        return out.push_str(&digits);
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.push_str(whole);
    out.push('.');
    out.push_str(fraction);
}

/// `BigDecimal.stripTrailingZeros().toString()` of `unscaled * 10^-scale`: `1.50` prints `1.5`, `100` prints `1E+2`.
pub fn write_decimal_stripped(out: &mut String, unscaled: i128, scale: u8) {
    if unscaled == 0 {
        return out.push('0');
    }
    let (mut unscaled, mut scale) = (unscaled, i32::from(scale));
    while unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    write_scaled(out, unscaled, scale);
}

/// `BigDecimal.toString` of `unscaled * 10^-scale`: `1E-8` below a millionth.
pub fn write_decimal(out: &mut String, unscaled: i128, scale: u8) {
    write_scaled(out, unscaled, i32::from(scale));
}

fn write_scaled(out: &mut String, unscaled: i128, scale: i32) {
    let digits = unscaled.unsigned_abs().to_string();
    let adjusted = digits.len() as i32 - 1 - scale;
    if scale >= 0 && adjusted >= -6 {
        return write_decimal_plain(out, unscaled, scale as u8);
    }
    if unscaled < 0 {
        out.push('-');
    }
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    let _ = write!(out, "E{}{adjusted}", if adjusted > 0 { "+" } else { "" });
}

/// `new BigDecimal(text).stripTrailingZeros().toString()` of a JSON number of any length.
pub fn write_stripped_number(out: &mut String, text: &str) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    let Some(first) = significant.get(..1) else {
        return out.push('0');
    };
    let zeros_behind = digits.len() - digits.trim_end_matches('0').len();
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let scale = fraction.len() as i64 - exponent - zeros_behind as i64;
    let adjusted = significant.len() as i64 - 1 - scale;
    if negative {
        out.push('-');
    }
    if scale == 0 {
        return out.push_str(significant);
    }
    if scale < 0 || adjusted < -6 {
        out.push_str(first);
        if significant.len() > 1 {
            out.push('.');
            out.push_str(&significant[1..]);
        }
        write!(out, "E{}{adjusted}", if adjusted > 0 { "+" } else { "" }).expect("a string takes every text");
    } else if let Some(whole) = significant.len().checked_sub(scale as usize).filter(|w| *w > 0) {
        out.push_str(&significant[..whole]);
        out.push('.');
        out.push_str(&significant[whole..]);
    } else {
        out.push_str("0.");
        (significant.len()..scale as usize).for_each(|_| out.push('0'));
        out.push_str(significant);
    }
}

/// Appends a DOUBLE in plain notation if six decimals say all of it, which is so for most numbers that people write;
/// `false`: nothing was appended.
///
/// A number below 1e7 with six decimals has at most 13 digits. No two decimals of up to 15 digits are the same DOUBLE, so
/// if these digits read back as the value, no other and no fewer ones do.
fn write_few_decimals(out: &mut String, value: f64) -> bool {
    const UNITS: u64 = 1_000_000;
    let magnitude = value.abs();
    if !(1e-3..1e7).contains(&magnitude) {
        return false;
    }
    let units = (magnitude * UNITS as f64).round() as u64;
    // Both are exact, so the quotient equals the value that the text reads as.
    if units as f64 / UNITS as f64 != magnitude {
        return false;
    }
    let mut text = [b'0'; 16];
    let mut at = text.len();
    let mut rest = units;
    let point = text.len() - 7;
    while at > point || rest > 0 {
        at -= 1;
        if at == point {
            text[at] = b'.';
            at -= 1;
        }
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let zeros = text[point + 2..].iter().rev().take_while(|b| **b == b'0').count();
    if value < 0.0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&text[at..text.len() - zeros]).unwrap_or("0.0"));
    true
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        0.0 => Some(if value.is_sign_negative() { "-0.0" } else { "0.0" }),
        _ => None,
    }
}

/// Significant digits of a float and the exponent of the first; on the stack, as every printed float passes here.
struct Digits {
    text: [u8; Self::CAPACITY],
    length: usize,
    exponent: i32,
}

impl Digits {
    /// Seventeen digits identify a DOUBLE.
    const CAPACITY: usize = 20;

    /// Reads Rust's scientific notation, `-1.25e-7`.
    fn of(scientific: std::fmt::Arguments<'_>) -> Self {
        let mut buffer = Buffer {
            bytes: [0; 40],
            length: 0,
        };
        std::fmt::Write::write_fmt(&mut buffer, scientific).expect("seventeen digits and an exponent fit");
        let mut found = Self {
            text: [b'0'; Self::CAPACITY],
            length: 0,
            exponent: 0,
        };
        let written = &buffer.bytes[..buffer.length];
        let split = written.iter().position(|b| *b == b'e').unwrap_or(written.len());
        for digit in written[..split]
            .iter()
            .filter(|b| b.is_ascii_digit())
            .take(Self::CAPACITY)
        {
            found.text[found.length] = *digit;
            found.length += 1;
        }
        let exponent = written.get(split + 1..).and_then(|e| std::str::from_utf8(e).ok());
        found.exponent = exponent.and_then(|e| e.parse().ok()).unwrap_or(0);
        found
    }

    fn digits(&self) -> &str {
        std::str::from_utf8(&self.text[..self.length]).unwrap_or("0")
    }

    fn parse<F: std::str::FromStr>(&self) -> Option<F> {
        let (first, rest) = self.digits().split_at(1);
        format!("{first}.{rest}e{}", self.exponent).parse().ok()
    }

    /// At least one digit on each side of the point.
    fn write(&self, out: &mut String, negative: bool) {
        if negative {
            out.push('-');
        }
        let digits = self.digits();
        if !(PLAIN_MIN..PLAIN_MAX).contains(&self.exponent) {
            let (first, rest) = digits.split_at(1);
            let rest = if rest.is_empty() { "0" } else { rest };
            write!(out, "{first}.{rest}E{}", self.exponent).expect("a string takes every text");
        } else if self.exponent < 0 {
            out.push_str("0.");
            (1..-self.exponent).for_each(|_| out.push('0'));
            out.push_str(digits);
            // A second zero digit, as in "1.0e-3", says nothing in plain notation.
            trim_zero(out, digits);
        } else {
            let whole = self.exponent as usize + 1;
            let (before, after) = digits.split_at(whole.min(digits.len()));
            out.push_str(before);
            (before.len()..whole).for_each(|_| out.push('0'));
            out.push('.');
            out.push_str(if after.is_empty() { "0" } else { after });
        }
    }
}

fn trim_zero(out: &mut String, digits: &str) {
    if digits.len() > 1 && digits.ends_with('0') {
        out.pop();
    }
}

struct Buffer {
    bytes: [u8; 40],
    length: usize,
}

impl std::fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// `String.hashCode`.
pub fn hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn doubles_print_as_in_java() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1.25e-7, "1.25E-7"),
            (-2.5e10, "-2.5E10"),
            (1e300, "1.0E300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (5e-324, "4.9E-324"),
            (0.002, "0.002"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|o| write_double(o, value)), expected);
        }
        assert_eq!(text(|o| write_float(o, 3.4e38)), "3.4E38");
    }

    #[test]
    fn few_decimals_print_as_the_shortest_digits() {
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let units = (state >> 33) as f64;
            for value in [
                units / 1e6,
                -units / 100.0,
                units / 1e3,
                (units + 0.5) / 1e6,
                units / 1e6 + 1e-9,
            ] {
                let mut quick = String::new();
                if !write_few_decimals(&mut quick, value) {
                    continue;
                }
                let mut general = String::new();
                Digits::of(format_args!("{value:e}")).write(&mut general, value < 0.0);
                assert_eq!(quick, general);
            }
        }
        for (value, expected) in [
            (0.001, "0.001"),
            (9_999_999.999_999, "9999999.999999"),
            (-0.5, "-0.5"),
            (7.0, "7.0"),
        ] {
            assert_eq!(text(|o| assert!(write_few_decimals(o, value))), expected);
        }
    }

    #[test]
    fn decimals_print_as_in_java() {
        assert_eq!(text(|o| write_decimal_plain(o, -5, 3)), "-0.005");
        assert_eq!(text(|o| write_decimal_plain(o, 12_345, 2)), "123.45");
        let cases = [
            (150, 2, "1.5"),
            (100, 0, "1E+2"),
            (1, 7, "1E-7"),
            (-1, 5, "-0.00001"),
            (1200, 2, "12"),
            (123_000, 0, "1.23E+5"),
            (0, 3, "0"),
        ];
        for (unscaled, scale, expected) in cases {
            assert_eq!(text(|o| write_decimal_stripped(o, unscaled, scale)), expected);
        }
        for (number, expected) in [
            ("1.50", "1.5"),
            ("1E5", "1E+5"),
            ("100.0", "1E+2"),
            ("-0.0", "0"),
            ("0.00000012", "1.2E-7"),
            ("12.30e-3", "0.0123"),
            ("-12.5", "-12.5"),
        ] {
            assert_eq!(text(|o| write_stripped_number(o, number)), expected);
        }
    }
}
