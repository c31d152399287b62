//! Casts from DECIMAL, and the integer arithmetic of scales that they share with the arithmetic operators.

use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use millstream_types::java_text::write_decimal_plain;
use millstream_types::{LogicalType, TypeKind};

use super::numeric::{map, map_option, test};
use super::{Step, interval};

/// Largest exponent whose power of ten fits `i128`.
const MAX_EXPONENT: usize = 38;

const POWERS_OF_TEN: [i128; MAX_EXPONENT + 1] = {
    let mut powers = [1i128; MAX_EXPONENT + 1];
    let mut i = 1;
    while i <= MAX_EXPONENT {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Integers below this are exact as DOUBLE.
const EXACT_DOUBLE: u128 = 1 << 53;
/// Powers of ten up to this exponent are exact as DOUBLE.
const EXACT_DOUBLE_EXPONENT: u8 = 22;

/// 10 to the `exponent`; exponents over 38 give the largest power that fits.
pub fn power_of_ten(exponent: u32) -> i128 {
    POWERS_OF_TEN[(exponent as usize).min(MAX_EXPONENT)]
}

/// Whether an unscaled value has at most `precision` digits.
pub(crate) fn fits(unscaled: i128, precision: u8) -> bool {
    unscaled.unsigned_abs() < power_of_ten(u32::from(precision)).unsigned_abs()
}

/// `value / divisor` rounded half away from zero; `divisor` is positive.
pub(crate) fn divide_half_up(value: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (value / divisor, value % divisor);
    let away = remainder.unsigned_abs() >= divisor.unsigned_abs() - remainder.unsigned_abs();
    if away { quotient + value.signum() } else { quotient }
}

/// An unscaled value at another scale, rounded half up; `None` if it has more than `precision` digits then.
pub fn rescale(unscaled: i128, from_scale: u8, precision: u8, scale: u8) -> Option<i128> {
    let moved = if scale >= from_scale {
        unscaled.checked_mul(power_of_ten(u32::from(scale - from_scale)))?
    } else {
        divide_half_up(unscaled, power_of_ten(u32::from(from_scale - scale)))
    };
    fits(moved, precision).then_some(moved)
}

/// The nearest DOUBLE.
pub(crate) fn to_double(unscaled: i128, scale: u8) -> f64 {
    if unscaled.unsigned_abs() < EXACT_DOUBLE && scale <= EXACT_DOUBLE_EXPONENT {
        return unscaled as f64 / power_of_ten(u32::from(scale)) as f64;
    }
    let mut text = String::new();
    write_decimal_plain(&mut text, unscaled, scale);
    text.parse().unwrap_or(f64::NAN)
}

/// The step from DECIMAL to a number or a BOOLEAN.
pub(super) fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let TypeKind::Decimal {
        precision: from_precision,
        scale,
    } = from.kind
    else {
        return None;
    };
    let unit = power_of_ten(u32::from(scale));
    match to.kind {
        TypeKind::TinyInt => map::<Decimal128Type, Int8Type>(to, move |v| (v / unit) as i8),
        TypeKind::SmallInt => map::<Decimal128Type, Int16Type>(to, move |v| (v / unit) as i16),
        TypeKind::Int => map::<Decimal128Type, Int32Type>(to, move |v| (v / unit) as i32),
        TypeKind::BigInt => map::<Decimal128Type, Int64Type>(to, move |v| (v / unit) as i64),
        TypeKind::Float => map::<Decimal128Type, Float32Type>(to, move |v| to_double(v, scale) as f32),
        TypeKind::Double => map::<Decimal128Type, Float64Type>(to, move |v| to_double(v, scale)),
        TypeKind::Boolean => test::<Decimal128Type>(|v| v != 0),
        TypeKind::Decimal {
            precision,
            scale: to_scale,
        } => {
            let widens = to_scale >= scale && precision - to_scale >= from_precision - scale;
            if widens {
                let factor = power_of_ten(u32::from(to_scale - scale));
                return map::<Decimal128Type, Decimal128Type>(to, move |v| v.wrapping_mul(factor));
            }
            map_option::<Decimal128Type, Decimal128Type>(to, move |v| rescale(v, scale, precision, to_scale))
        }
        TypeKind::IntervalYearMonth(_) | TypeKind::IntervalDayTime(_) => interval::from_decimal(to, unit),
        _ => None,
    }
}
