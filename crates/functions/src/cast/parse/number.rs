//! Numbers as Flink and Java read them.

use super::Reason;
use crate::cast::decimal::{divide_half_up, fits, power_of_ten};

/// Most significant digits that a DECIMAL can use.
const MAX_DIGITS: u32 = 38;
/// Exponents beyond this lie outside of every DECIMAL; larger ones are not told apart.
const MAX_EXPONENT: i64 = 100_000;

/// An integer; blanks around it are ignored, and so are well-formed fractional digits.
pub fn parse_integer(text: &str) -> Result<i64, Reason> {
    let text = text.trim_matches(' ');
    let (negative, digits) = signed(text)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(Reason::InvalidCharacter);
    }
    // Accumulated below zero, where the smallest value is reachable.
    let mut value: i64 = 0;
    for digit in whole.bytes() {
        let next = value
            .checked_mul(10)
            .and_then(|v| v.checked_sub(i64::from(digit - b'0')));
        value = next.ok_or(Reason::Overflow)?;
    }
    if negative {
        Ok(value)
    } else {
        value.checked_neg().ok_or(Reason::Overflow)
    }
}

fn signed(text: &str) -> Result<(bool, &str), Reason> {
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    let unsigned = text.strip_prefix(['-', '+']);
    match unsigned {
        Some("") => Err(Reason::OnlySign),
        Some(rest) => Ok((text.starts_with('-'), rest)),
        None => Ok((false, text)),
    }
}

/// An unscaled DECIMAL from plain or scientific notation, rounded half up to the scale.
pub fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Reason> {
    let text = text.trim_matches(' ');
    let (negative, rest) = signed(text)?;
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        None => (rest, 0),
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(Reason::InvalidCharacter);
    }
    let mut digits = Significant::default();
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(Reason::InvalidCharacter);
        }
        digits.push(byte - b'0');
    }
    let power = exponent - fraction.len() as i64 + digits.dropped + i64::from(scale);
    let magnitude = digits
        .scaled(power)
        .filter(|unscaled| fits(*unscaled, precision))
        .ok_or(Reason::Overflow)?;
    Ok(if negative { -magnitude } else { magnitude })
}

fn parse_exponent(text: &str) -> Result<i64, Reason> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reason::InvalidCharacter);
    }
    let magnitude = digits.parse::<i64>().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Ok(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

/// The leading digits of a number, and what is needed of the others to round.
#[derive(Default)]
struct Significant {
    value: i128,
    count: u32,
    /// Digits that were not taken.
    dropped: i64,
    first_dropped: u8,
}

impl Significant {
    fn push(&mut self, digit: u8) {
        if self.count == MAX_DIGITS {
            if self.dropped == 0 {
                self.first_dropped = digit;
            }
            self.dropped += 1;
            return;
        }
        self.value = self.value * 10 + i128::from(digit);
        // Leading zeros are not significant.
        self.count += u32::from(self.value > 0);
    }

    /// The value times a power of ten, rounded half up; `None` beyond 38 digits.
    fn scaled(&self, power: i64) -> Option<i128> {
        if self.value == 0 {
            return Some(0);
        }
        match power {
            0 => Some(self.value + i128::from(self.first_dropped >= 5)),
            1.. if power > i64::from(MAX_DIGITS) || self.dropped > 0 => None,
            1.. => self.value.checked_mul(power_of_ten(power as u32)),
            _ if -power > i64::from(MAX_DIGITS) => Some(0),
            _ => Some(divide_half_up(self.value, power_of_ten(-power as u32))),
        }
    }
}

/// A DOUBLE as Java's `Double.parseDouble` reads it.
pub fn parse_double(text: &str) -> Result<f64, Reason> {
    match java_float(text)? {
        Float::Value(value) => Ok(value),
        Float::Decimal(digits) => digits.parse().map_err(|_| Reason::InvalidCharacter),
    }
}

/// A FLOAT as Java's `Float.parseFloat` reads it.
pub fn parse_float(text: &str) -> Result<f32, Reason> {
    match java_float(text)? {
        Float::Value(value) => Ok(value as f32),
        Float::Decimal(digits) => digits.parse().map_err(|_| Reason::InvalidCharacter),
    }
}

enum Float<'a> {
    Value(f64),
    /// Decimal digits, sign, point and exponent only.
    Decimal(&'a str),
}

fn java_float(text: &str) -> Result<Float<'_>, Reason> {
    let text = text.trim_matches(|c| c <= ' ');
    let (negative, unsigned) = signed(text)?;
    let sign = if negative { -1.0 } else { 1.0 };
    match unsigned {
        "NaN" => return Ok(Float::Value(f64::NAN)),
        "Infinity" => return Ok(Float::Value(sign * f64::INFINITY)),
        _ => {}
    }
    if let Some(hex) = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        return hexadecimal(hex)
            .map(|value| Float::Value(sign * value))
            .ok_or(Reason::InvalidCharacter);
    }
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain {
        Ok(Float::Decimal(digits))
    } else {
        Err(Reason::InvalidCharacter)
    }
}

/// `1.8p3`: hexadecimal digits and a binary exponent.
fn hexadecimal(text: &str) -> Option<f64> {
    let text = text
        .strip_suffix(['f', 'F', 'd', 'D'])
        .filter(|rest| rest.contains(['p', 'P']))
        .unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let fraction_bits = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    Some(value * 2f64.powi(exponent.checked_sub(fraction_bits)?))
}
