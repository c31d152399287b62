//! Numbers from text, quickly where the text is simple.

/// An integer of at most 18 digits without a point; `None`: take the slow way.
#[inline]
pub fn small_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A JSON number as a double, correctly rounded.
#[inline]
pub fn double(text: &[u8]) -> Option<f64> {
    simple_double(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

/// Characters of a number, its point among them, up to which [`exact_quotient`] is tried.
pub(super) const EXACT_DIGITS_MAX: usize = 16;

/// `digits / 10^fraction` if the digits fit 2^53: exact in both factors, so one division rounds correctly (Clinger
/// 1990).
#[inline]
pub(super) fn exact_quotient(digits: u64, fraction: usize) -> Option<f64> {
    let power = POWERS_OF_TEN.get(fraction)?;
    (digits < 1 << 53).then(|| digits as f64 / power)
}

/// `digits[.digits]` with few digits.
#[inline]
fn simple_double(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        _ => (false, text),
    };
    if digits.len() > EXACT_DIGITS_MAX {
        return None;
    }
    let (mut mantissa, mut fraction, mut seen_point) = (0u64, 0usize, false);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if *byte != b'.' || seen_point {
                return None;
            }
            seen_point = true;
            continue;
        }
        mantissa = mantissa * 10 + u64::from(digit);
        fraction += usize::from(seen_point);
    }
    let value = exact_quotient(mantissa, fraction)?;
    Some(if negative { -value } else { value })
}

/// The text is not a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotANumber;

/// Unscaled value at `scale` of a decimal number in text (`12.3`, `1.5E-3`), rounded half up; `Ok(None)` when it has
/// more than `precision` digits, `Err` when it is not a number.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Result<Option<i128>, NotANumber> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        None => (text, 0),
        Some(at) => (
            &text[..at],
            text[at + 1..].parse::<i32>().map_err(|_| NotANumber)?,
        ),
    };
    let (negative, mantissa) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, &mantissa[1..]),
        Some(b'+') => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty()
        || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
    {
        return Err(NotANumber);
    }
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .skip_while(|b| *b == b'0')
        .collect();
    // Digits kept: those before the position of 10^-scale.
    let kept = digits.len() as i64 - fraction.len() as i64 + i64::from(exponent) + i64::from(scale);
    if digits.is_empty() || kept < 0 {
        return Ok(Some(0));
    }
    if kept > i64::from(precision) + 1 {
        return Ok(None);
    }
    let mut value = 0i128;
    for place in 0..kept as usize {
        value = value * 10 + i128::from(digits.get(place).map_or(0, |d| d - b'0'));
    }
    if digits.get(kept as usize).is_some_and(|d| *d >= b'5') {
        value += 1;
    }
    if value >= 10i128.pow(u32::from(precision)) {
        return Ok(None);
    }
    Ok(Some(if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_half_up_and_overflow_to_null() {
        let cases = [
            ("12.345", 10, 2, Ok(Some(1235))),
            ("-0.005", 10, 2, Ok(Some(-1))),
            ("1.5E-3", 10, 4, Ok(Some(15))),
            ("1e3", 10, 1, Ok(Some(10_000))),
            ("99.995", 4, 2, Ok(None)),
            ("1e400", 38, 0, Ok(None)),
            ("0.0000", 5, 2, Ok(Some(0))),
            ("1e-400", 5, 2, Ok(Some(0))),
            ("abc", 5, 2, Err(NotANumber)),
        ];
        for (text, precision, scale, expected) in cases {
            assert_eq!(decimal(text, precision, scale), expected, "{text}");
        }
    }

    #[test]
    fn simple_doubles_equal_the_standard_parser() {
        for text in [
            "0",
            "-1.5",
            "123456.789",
            "0.1",
            "9007199254740991",
            "1.10",
            "99999999.99999999",
            "3e5",
        ] {
            assert_eq!(double(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }
}
