//! Numbers as Java prints them.
//!
//! Flink's text forms of FLOAT, DOUBLE and DECIMAL are those of `Float.toString`, `Double.toString` (the shortest digits
//! that read back, as since JDK 19) and `BigDecimal.toString`.

use std::fmt::Write;

/// `Double.toString`: plain between 10^-3 and 10^7, otherwise `d.dE±n`.
pub fn write_double(out: &mut String, value: f64) {
    if let Some(word) = special(value.is_nan(), value.is_infinite(), value < 0.0) {
        return out.push_str(word);
    }
    if value == 0.0 {
        return out.push_str(if value.is_sign_negative() { "-0.0" } else { "0.0" });
    }
    write_shortest(out, &format!("{value:e}"));
}

/// `Float.toString`.
pub fn write_float(out: &mut String, value: f32) {
    if let Some(word) = special(value.is_nan(), value.is_infinite(), value < 0.0) {
        return out.push_str(word);
    }
    if value == 0.0 {
        return out.push_str(if value.is_sign_negative() { "-0.0" } else { "0.0" });
    }
    write_shortest(out, &format!("{value:e}"));
}

fn special(nan: bool, infinite: bool, negative: bool) -> Option<&'static str> {
    match (nan, infinite, negative) {
        (true, _, _) => Some("NaN"),
        (_, true, false) => Some("Infinity"),
        (_, true, true) => Some("-Infinity"),
        _ => None,
    }
}

/// Lays out Rust's shortest scientific form (`-1.25e-7`) as Java does.
fn write_shortest(out: &mut String, scientific: &str) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    out.push_str(sign);
    if !(-3..7).contains(&exponent) {
        out.push_str(&digits[..1]);
        out.push('.');
        out.push_str(if digits.len() > 1 { &digits[1..] } else { "0" });
        let _ = write!(out, "E{exponent}");
        return;
    }
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        return out.push_str(&digits);
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
        return out.push_str(".0");
    }
    out.push_str(&digits[..whole]);
    out.push('.');
    out.push_str(&digits[whole..]);
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
        ];
        for (value, expected) in cases {
            assert_eq!(text(|o| write_double(o, value)), expected);
        }
        assert_eq!(text(|o| write_float(o, 3.4e38)), "3.4E38");
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
    }
}
