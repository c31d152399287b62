//! Decimal texts rounded half up, as Java's Formatter rounds the shortest digits of a double.

/// Digits and the power of ten of the first: `0.<digits> * 10^exponent`.
struct Decimal {
    digits: Vec<u8>,
    exponent: i32,
}

impl Decimal {
    /// Reads `12.5`, `1.0E-5`; anything unreadable is zero.
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|b| b.wrapping_sub(b'0') % 10)
            .collect();
        let leading = digits.iter().take_while(|d| **d == 0).count();
        digits.drain(..leading);
        let exponent = whole.len() as i32 + exponent.parse::<i32>().unwrap_or(0) - leading as i32;
        Self { digits, exponent }
    }

    fn is_zero(&self) -> bool {
        self.digits.iter().all(|d| *d == 0)
    }

    /// Keeps `count` digits, rounding half up; none at all if `count` is negative.
    fn round(&mut self, count: i32) {
        let Ok(count) = usize::try_from(count) else {
            self.digits.clear();
            return;
        };
        let up = self.digits.get(count).is_some_and(|d| *d >= 5);
        self.digits.truncate(count);
        if !up {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
        self.exponent += 1;
    }

    /// The digit at a power of ten below the point: 0 is the first before it.
    fn digit(&self, power: i32) -> char {
        let index = self.exponent - 1 - power;
        let digit = usize::try_from(index)
            .ok()
            .and_then(|i| self.digits.get(i))
            .copied()
            .unwrap_or(0);
        char::from(b'0' + digit)
    }

    fn write_fixed(&self, precision: usize) -> String {
        let whole = (self.exponent - 1).max(0);
        let mut out: String = (0..=whole).rev().map(|power| self.digit(power)).collect();
        if precision > 0 {
            out.push('.');
            out.extend((1..=precision as i32).map(|place| self.digit(-place)));
        }
        out
    }
}

/// `%f` of a magnitude.
pub(super) fn fixed(text: &str, precision: usize) -> String {
    let mut number = Decimal::parse(text);
    let keep = number
        .exponent
        .saturating_add(i32::try_from(precision).unwrap_or(i32::MAX));
    number.round(keep);
    number.write_fixed(precision)
}

/// `%e` of a magnitude: one digit before the point, two or more in the exponent.
pub(super) fn scientific(text: &str, precision: usize) -> String {
    let mut number = Decimal::parse(text);
    if number.is_zero() {
        number = Decimal {
            digits: Vec::new(),
            exponent: 1,
        };
    } else {
        number.round(i32::try_from(precision).unwrap_or(i32::MAX).saturating_add(1));
    }
    let exponent = number.exponent - 1;
    number.exponent = 1;
    let sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{}e{sign}{:02}",
        number.write_fixed(precision),
        exponent.unsigned_abs()
    )
}

/// `%g` of a magnitude: `precision` significant digits, in either form by the size after rounding.
pub(super) fn general(text: &str, precision: usize) -> String {
    let precision = precision.max(1);
    let mut number = Decimal::parse(text);
    if number.is_zero() {
        return fixed(text, precision - 1);
    }
    number.round(i32::try_from(precision).unwrap_or(i32::MAX));
    let plain = number.exponent > -4 && number.exponent <= i32::try_from(precision).unwrap_or(i32::MAX);
    if plain {
        let places = i32::try_from(precision)
            .unwrap_or(i32::MAX)
            .saturating_sub(number.exponent);
        return fixed(text, usize::try_from(places).unwrap_or(0));
    }
    scientific(text, precision - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_the_shortest_digits_half_up() {
        assert_eq!(fixed("3.14159", 2), "3.14");
        assert_eq!(fixed("0.125", 2), "0.13");
        assert_eq!(fixed("0.5", 0), "1");
        assert_eq!(fixed("1.0E10", 2), "10000000000.00");
        assert_eq!(fixed("9.99", 1), "10.0");
        assert_eq!(fixed("0.001", 1), "0.0");
        assert_eq!(scientific("3.14159", 6), "3.141590e+00");
        assert_eq!(scientific("0.0", 6), "0.000000e+00");
        assert_eq!(scientific("1.0E-5", 1), "1.0e-05");
        assert_eq!(general("123.456", 4), "123.5");
        assert_eq!(general("1.0E-5", 3), "1.00e-05");
    }
}
