//! Dates, times, timestamps and intervals as text.

use std::fmt::Write as _;

use millstream_types::calendar::civil_from_days;

pub(super) const NANOS_PER_DAY: i128 = 86_400_000_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Appends a day number as `2024-02-29`.
pub fn write_date(out: &mut String, days: i64) {
    let (year, month, day) = civil_from_days(days);
    if year < 0 {
        out.push('-');
    }
    padded(out, year.unsigned_abs(), 4);
    out.push('-');
    padded(out, u64::from(month), 2);
    out.push('-');
    padded(out, u64::from(day), 2);
}

/// Appends a time of day as `12:34:56.7`: at most `precision` fractional digits, trailing zeros left out after the
/// first.
pub fn write_time(out: &mut String, millis: i32, precision: u8) {
    let millis = if millis < 0 {
        millis.rem_euclid(86_400_000)
    } else {
        millis
    };
    let seconds = millis / 1000;
    write_clock(out, i64::from(seconds));
    let mut rest = millis % 1000;
    for place in 0..precision {
        if place == 0 {
            out.push('.');
        }
        out.push(char::from(b'0' + (rest / 100) as u8));
        rest = rest % 100 * 10;
        if rest == 0 {
            break;
        }
    }
}

/// Appends nanoseconds since the epoch as `2024-02-29 12:34:56.789`, with exactly `precision` fractional digits.
pub fn write_timestamp(out: &mut String, nanos: i128, precision: u8) {
    let (days, of_day) = (nanos.div_euclid(NANOS_PER_DAY), nanos.rem_euclid(NANOS_PER_DAY));
    write_day_and_clock(out, days as i64, of_day as i64, precision);
}

/// As [`write_timestamp`], from a count of smaller units in 64 bits, which is much quicker to divide.
pub(super) fn write_timestamp_units(out: &mut String, units: i64, nanos_per_unit: i64, precision: u8) {
    let per_day = (NANOS_PER_DAY as i64) / nanos_per_unit;
    write_day_and_clock(
        out,
        units.div_euclid(per_day),
        units.rem_euclid(per_day) * nanos_per_unit,
        precision,
    );
}

fn write_day_and_clock(out: &mut String, days: i64, nanos_of_day: i64, precision: u8) {
    write_date(out, days);
    out.push(' ');
    write_clock(out, nanos_of_day / NANOS_PER_SECOND);
    if precision > 0 {
        out.push('.');
        let precision = precision.min(9);
        let fraction = nanos_of_day % NANOS_PER_SECOND / 10i64.pow(9 - u32::from(precision));
        padded(out, fraction as u64, usize::from(precision));
    }
}

/// Appends months as `+2-03`.
pub fn write_year_month(out: &mut String, months: i32) {
    let magnitude = months.unsigned_abs();
    write!(
        out,
        "{}{}-{:02}",
        sign(months < 0),
        magnitude / 12,
        magnitude % 12
    )
    .expect("a string takes every text");
}

/// Appends milliseconds as `+1 02:03:04.567`.
pub fn write_day_time(out: &mut String, millis: i64) {
    let magnitude = millis.unsigned_abs();
    let (days, of_day) = (magnitude / 86_400_000, (magnitude % 86_400_000) as i64);
    write!(out, "{}{days} ", sign(millis < 0)).expect("a string takes every text");
    write_clock(out, of_day / 1000);
    out.push('.');
    padded(out, (of_day % 1000) as u64, 3);
}

/// Appends an integer.
pub(super) fn write_integer(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    padded(out, value.unsigned_abs(), 1);
}

fn sign(negative: bool) -> char {
    if negative { '-' } else { '+' }
}

fn write_clock(out: &mut String, seconds: i64) {
    let parts = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            out.push(':');
        }
        padded(out, part as u64, 2);
    }
}

/// Appends `value` with leading zeros; quicker than the formatting machinery, which matters for whole columns.
fn padded(out: &mut String, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = value;
    let mut start = digits.len();
    while rest > 0 || digits.len() - start < width {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.push_str(std::str::from_utf8(&digits[start..]).unwrap_or_default());
}
