//! The texts of DATE, TIME, TIMESTAMP and INTERVAL literals.

use millstream_types::calendar::{days_from_civil, days_in_month};

use super::values::{NANOS_PER_DAY, NANOS_PER_SECOND};

/// Digits of the first field of an interval unless the literal says otherwise.
const LEADING_PRECISION_DEFAULT: u32 = 2;

fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Days since the epoch of `2024-02-29`; month and day may have one digit.
pub fn parse_date(text: &str) -> Result<i32, String> {
    let illegal = || format!("illegal DATE literal '{text}': not in format 'yyyy-MM-dd'");
    date(text).ok_or_else(illegal)
}

fn date(text: &str) -> Option<i32> {
    let mut parts = text.trim().splitn(3, '-');
    let (year, month) = (digits(parts.next()?, 1, 4)?, digits(parts.next()?, 1, 2)?);
    let day = digits(parts.next()?, 1, 2)?;
    let valid =
        (1..=12).contains(&month) && (1..=i64::from(days_in_month(year, month as u32))).contains(&day);
    valid.then(|| days_from_civil(year, month as u32, day as u32) as i32)
}

/// Nanoseconds of `12:34:56.789` and the number of digits of its fraction.
fn clock(text: &str) -> Option<(i128, u8)> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, fraction),
        None => (text, ""),
    };
    let mut parts = clock.splitn(3, ':');
    let mut part = |limit: i64| digits(parts.next()?, 1, 2).filter(|value| *value < limit);
    let (hour, minute, second) = (part(24)?, part(60)?, part(60)?);
    let nanos = if text.contains('.') {
        digits(&format!("{fraction:0<9}"), 9, 9)?
    } else {
        0
    };
    let total = i128::from((hour * 60 + minute) * 60 + second) * NANOS_PER_SECOND + i128::from(nanos);
    Some((total, fraction.len() as u8))
}

/// Milliseconds of the day of `12:34:56.789`, and the precision of the literal's type.
pub fn parse_time(text: &str) -> Result<(i32, u8), String> {
    let (nanos, precision) = clock(text.trim())
        .ok_or_else(|| format!("illegal TIME literal '{text}': not in format 'HH:mm:ss'"))?;
    Ok(((nanos / 1_000_000) as i32, precision))
}

/// Nanoseconds since the epoch of `2024-02-29 12:34:56.789`, and the precision of the literal's type. The time of day may be
/// missing.
pub fn parse_timestamp(text: &str) -> Result<(i128, u8), String> {
    let illegal = || format!("illegal TIMESTAMP literal '{text}': not in format 'yyyy-MM-dd HH:mm:ss'");
    let trimmed = text.trim();
    let (day, time) = match trimmed.split_once(' ') {
        Some((day, time)) => (day, Some(time)),
        None => (trimmed, None),
    };
    let days = date(day).ok_or_else(illegal)?;
    let (of_day, precision) = match time {
        Some(time) => clock(time).ok_or_else(illegal)?,
        None => (0, 0),
    };
    Ok((i128::from(days) * NANOS_PER_DAY + of_day, precision))
}

/// A field of an interval literal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum IntervalField {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

/// The value of an interval literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntervalValue {
    Months(i32),
    Millis(i64),
}

/// The value of `INTERVAL 'text' from [TO to]`. `leading_precision` is the number in parentheses after the first field.
pub fn parse_interval(
    text: &str,
    from: IntervalField,
    to: Option<IntervalField>,
    leading_precision: Option<u32>,
) -> Result<IntervalValue, String> {
    let illegal = || {
        format!(
            "illegal interval literal format '{text}' for INTERVAL {}",
            qualifier(from, to)
        )
    };
    let trimmed = text.trim();
    let (sign, magnitude) = match trimmed.strip_prefix('-') {
        Some(magnitude) => (-1, magnitude),
        None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let values = fields(magnitude, from, to).ok_or_else(illegal)?;
    let leading = magnitude
        .split(['-', ' ', ':', '.'])
        .next()
        .unwrap_or_default()
        .trim_start_matches('0');
    let allowed = leading_precision.unwrap_or(LEADING_PRECISION_DEFAULT);
    if leading.len() > allowed as usize {
        return Err(format!(
            "interval field value '{leading}' exceeds precision {allowed} of INTERVAL {}",
            qualifier(from, to)
        ));
    }
    if from <= IntervalField::Month {
        let months: i64 = values.iter().map(|(field, value)| months(*field) * value).sum();
        return i32::try_from(sign * months)
            .map(IntervalValue::Months)
            .map_err(|_| illegal());
    }
    let millis = values.iter().try_fold(0i64, |sum, (field, value)| {
        sum.checked_add(millis(*field).checked_mul(*value)?)
    });
    let millis = millis.ok_or_else(illegal)?;
    let fraction = fraction_millis(magnitude, to.unwrap_or(from)).ok_or_else(illegal)?;
    Ok(IntervalValue::Millis(sign * (millis + fraction)))
}

fn qualifier(from: IntervalField, to: Option<IntervalField>) -> String {
    let name = |field: IntervalField| format!("{field:?}").to_uppercase();
    to.map_or(name(from), |to| format!("{} TO {}", name(from), name(to)))
}

fn months(field: IntervalField) -> i64 {
    match field {
        IntervalField::Year => 12,
        IntervalField::Quarter => 3,
        _ => 1,
    }
}

fn millis(field: IntervalField) -> i64 {
    match field {
        IntervalField::Week => 604_800_000,
        IntervalField::Day => 86_400_000,
        IntervalField::Hour => 3_600_000,
        IntervalField::Minute => 60_000,
        _ => 1_000,
    }
}

/// The fields of the text with their values; all but the first are bounded.
fn fields(text: &str, from: IntervalField, to: Option<IntervalField>) -> Option<Vec<(IntervalField, i64)>> {
    use IntervalField as F;
    let last = to.unwrap_or(from);
    let text = if last == F::Second {
        text.split_once('.').map_or(text, |(whole, _)| whole)
    } else {
        text
    };
    let all = [F::Year, F::Month, F::Day, F::Hour, F::Minute, F::Second];
    let wanted: Vec<IntervalField> = if to.is_none() {
        vec![from]
    } else {
        all.into_iter().filter(|f| (from..=last).contains(f)).collect()
    };
    let mut parts = text.split(['-', ' ', ':']);
    let separators: Vec<char> = text.chars().filter(|c| matches!(c, '-' | ' ' | ':')).collect();
    let mut values = Vec::with_capacity(wanted.len());
    for (i, field) in wanted.iter().enumerate() {
        let value = digits(parts.next()?, 1, 18)?;
        let limit = match field {
            F::Month => 12,
            F::Hour => 24,
            F::Minute | F::Second => 60,
            _ => i64::MAX,
        };
        if i > 0 && value >= limit {
            return None;
        }
        let separator = match field {
            F::Month => '-',
            F::Hour => ' ',
            _ => ':',
        };
        if i > 0 && separators.get(i - 1) != Some(&separator) {
            return None;
        }
        values.push((*field, value));
    }
    parts.next().is_none().then_some(values)
}

/// Milliseconds of the fraction of the seconds.
fn fraction_millis(text: &str, last: IntervalField) -> Option<i64> {
    let Some((_, fraction)) = text.split_once('.') else {
        return Some(0);
    };
    if last != IntervalField::Second || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    digits(&format!("{fraction:0<9}"), 9, 9).map(|nanos| nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use IntervalField as F;

    #[test]
    fn recorded_literals() {
        assert_eq!(parse_date("1969-12-31"), Ok(-1));
        assert_eq!(parse_date("2024-1-5"), parse_date("2024-01-05"));
        for wrong in ["2023-02-29", "2024-13-01", "24-1-1x", "2024"] {
            assert!(
                parse_date(wrong).is_err_and(|error| error.contains(wrong)),
                "{wrong}"
            );
        }
        assert_eq!(parse_time("12:34:56.789"), Ok((45_296_789, 3)));
        assert!(parse_time("25:00:00").is_err());
        assert_eq!(parse_timestamp("1970-01-01 00:00:00.5"), Ok((500_000_000, 1)));
        assert_eq!(parse_timestamp("1970-01-02"), Ok((NANOS_PER_DAY, 0)));
        assert!(parse_timestamp("2024-01-01 24:00:00").is_err());
        assert!(parse_timestamp("2024-01-01T00:00:00").is_err());
    }

    #[test]
    fn recorded_intervals() {
        let interval = |text, from, to| parse_interval(text, from, to, None);
        assert_eq!(interval("1", F::Year, None), Ok(IntervalValue::Months(12)));
        assert_eq!(
            interval("-2-3", F::Year, Some(F::Month)),
            Ok(IntervalValue::Months(-27))
        );
        assert_eq!(interval("1", F::Quarter, None), Ok(IntervalValue::Months(3)));
        assert_eq!(
            interval("1", F::Week, None),
            Ok(IntervalValue::Millis(604_800_000))
        );
        assert_eq!(
            interval("1 02:03:04.567", F::Day, Some(F::Second)),
            Ok(IntervalValue::Millis(93_784_567))
        );
        assert_eq!(
            interval("03:04.5", F::Minute, Some(F::Second)),
            Ok(IntervalValue::Millis(184_500))
        );
        assert_eq!(interval("0.001", F::Second, None), Ok(IntervalValue::Millis(1)));
        assert_eq!(
            parse_interval("100", F::Day, None, Some(3)),
            Ok(IntervalValue::Millis(8_640_000_000))
        );
        assert!(interval("100", F::Day, None).is_err_and(|error| error.contains("precision")));
        assert!(interval("1-13", F::Year, Some(F::Month)).is_err_and(|error| error.contains("interval")));
        assert!(interval("25:61", F::Hour, Some(F::Minute)).is_err());
        assert!(interval("abc", F::Day, None).is_err());
    }
}
