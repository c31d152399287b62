//! Decimal numbers of any length, as Java's `BigDecimal` keeps and prints them.

use std::cmp::Ordering;

/// Digits and exponent of a number in JSON together up to which it compares exactly; longer ones compare as doubles.
const COMPARED_DIGITS_MAX: i64 = 400;

/// `digits * 10^-scale` with a sign.
#[derive(Clone, Debug)]
pub(crate) struct BigDecimal {
    negative: bool,
    /// Without leading zeros; `0` for zero.
    digits: String,
    scale: i64,
}

impl BigDecimal {
    /// Reads a number of JSON or of Java: `-12.50`, `1e3`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (negative, magnitude) = match mantissa.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let all = whole.len() + fraction.len();
        if all == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let joined = format!("{whole}{fraction}");
        let digits = joined.trim_start_matches('0');
        let digits = if digits.is_empty() { "0" } else { digits };
        Some(Self {
            negative: negative && digits != "0",
            digits: digits.to_owned(),
            scale: fraction.len() as i64 - exponent,
        })
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits == "0"
    }

    /// Number of digits and scale.
    pub(crate) fn precision(&self) -> (usize, i64) {
        (self.digits.len(), self.scale)
    }

    /// Without zeros at the end; an integer keeps its zeros.
    pub(crate) fn stripped(mut self) -> Self {
        while self.scale > 0 && self.digits.len() > 1 && self.digits.ends_with('0') {
            self.digits.pop();
            self.scale -= 1;
        }
        if self.is_zero() {
            self.scale = 0;
        }
        self
    }

    /// `toPlainString`.
    pub(crate) fn write_plain(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let Ok(scale) = usize::try_from(self.scale) else {
            out.push_str(&self.digits);
            if !self.is_zero() {
                out.extend(std::iter::repeat_n(
                    '0',
                    usize::try_from(-self.scale).unwrap_or(0),
                ));
            }
            return;
        };
        if scale == 0 {
            out.push_str(&self.digits);
        } else if self.digits.len() > scale {
            let (whole, fraction) = self.digits.split_at(self.digits.len() - scale);
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        } else {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', scale - self.digits.len()));
            out.push_str(&self.digits);
        }
    }

    /// `toString`: with an exponent if the scale is negative or the number is small.
    pub(crate) fn write(&self, out: &mut String) {
        let adjusted = self.digits.len() as i64 - 1 - self.scale;
        if self.scale >= 0 && adjusted >= -6 {
            return self.write_plain(out);
        }
        if self.negative {
            out.push('-');
        }
        let (first, rest) = self.digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        if adjusted != 0 {
            out.push_str(if adjusted > 0 { "E+" } else { "E-" });
            out.push_str(&adjusted.unsigned_abs().to_string());
        }
    }

    pub(crate) fn to_f64(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}e{}", self.digits, self.scale.saturating_neg())
            .parse()
            .unwrap_or(f64::NAN)
    }

    /// Order by value.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let long = |number: &Self| {
            number.scale.unsigned_abs() as i64 + number.digits.len() as i64 > COMPARED_DIGITS_MAX
        };
        if long(self) || long(other) {
            return self.to_f64().total_cmp(&other.to_f64());
        }
        let sign = |number: &Self| {
            if number.is_zero() {
                0
            } else if number.negative {
                -1
            } else {
                1
            }
        };
        if sign(self) != sign(other) {
            return sign(self).cmp(&sign(other));
        }
        let scale = self.scale.max(other.scale);
        let aligned = |number: &Self| {
            let zeros = usize::try_from(scale - number.scale).unwrap_or(0);
            format!("{}{}", number.digits, "0".repeat(zeros))
        };
        let (a, b) = (aligned(self), aligned(other));
        let magnitude = a.len().cmp(&b.len()).then_with(|| a.cmp(&b));
        if self.negative {
            magnitude.reverse()
        } else {
            magnitude
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn java(text: &str) -> String {
        let mut out = String::new();
        BigDecimal::parse(text).expect("a number").write(&mut out);
        out
    }

    #[test]
    fn prints_as_java_does() {
        assert_eq!(java("1.50"), "1.50");
        assert_eq!(java("1e3"), "1E+3");
        assert_eq!(java("1.0E10"), "1.0E+10");
        assert_eq!(java("0.0000001"), "1E-7");
        assert_eq!(java("1.0E-5"), "0.000010");
        assert_eq!(java("-0.5"), "-0.5");
    }

    #[test]
    fn compares_by_value() {
        let compare = |a: &str, b: &str| {
            BigDecimal::parse(a)
                .expect("a number")
                .compare(&BigDecimal::parse(b).expect("a number"))
        };
        assert_eq!(compare("1.0", "1"), Ordering::Equal);
        assert_eq!(compare("-2", "-10"), Ordering::Greater);
        assert_eq!(compare("1e3", "999.5"), Ordering::Greater);
    }
}
