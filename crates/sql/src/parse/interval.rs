//! The values of interval literals: the text in the quotes, read by the fields of its qualifier.
//!
//! Year-month intervals are months, all others milliseconds. Digits beyond milliseconds are cut.

use super::ast::{IntervalLiteral, IntervalQualifier, TimeUnit};

/// Default number of digits of the first field.
const START_PRECISION_DEFAULT: u32 = 2;

/// Maximum declared number of digits of the first field.
const START_PRECISION_MAX: u32 = 10;

const MONTHS_PER_QUARTER: i64 = 3;
const MONTHS_PER_YEAR: i64 = 12;
const MILLISECONDS_PER_SECOND: i64 = 1_000;

/// The length of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalValue {
    Months(i64),
    Milliseconds(i64),
}

/// Why the text does not match its qualifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    #[error("the text is not in the interval format of {0}")]
    Format(String),
    #[error(
        "interval field value {value} exceeds precision of {unit}({precision}) field; write {unit}({digits})"
    )]
    Precision {
        value: String,
        unit: &'static str,
        precision: u32,
        digits: usize,
    },
    #[error("the precision of an interval's {unit} field must be between 1 and {START_PRECISION_MAX}")]
    PrecisionRange { unit: &'static str },
    #[error("the interval is too large")]
    Overflow,
}

/// The value of an interval literal.
pub fn interval_value(literal: &IntervalLiteral) -> Result<IntervalValue, IntervalError> {
    let qualifier = &literal.qualifier;
    let text = literal.value.trim();
    let (is_minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let fields = split_fields(digits, qualifier).ok_or_else(|| IntervalError::Format(words(qualifier)))?;
    check_precision(fields.first().copied().unwrap_or(""), qualifier)?;
    let sign = if is_minus != literal.negative { -1 } else { 1 };
    let units = units(qualifier);
    let mut total: i64 = 0;
    for (index, (field, unit)) in fields.iter().zip(&units).enumerate() {
        let amount =
            field_amount(field, *unit, index == 0).ok_or_else(|| format_or_overflow(field, qualifier))?;
        total = total.checked_add(amount).ok_or(IntervalError::Overflow)?;
    }
    let signed = total.checked_mul(sign).ok_or(IntervalError::Overflow)?;
    Ok(if qualifier.is_year_month() {
        IntervalValue::Months(signed)
    } else {
        IntervalValue::Milliseconds(signed)
    })
}

/// Parsing digits can only fail by overflow.
fn format_or_overflow(field: &str, qualifier: &IntervalQualifier) -> IntervalError {
    let is_long = field.len() > usize::try_from(START_PRECISION_MAX).unwrap_or(usize::MAX);
    if is_long {
        IntervalError::Overflow
    } else {
        IntervalError::Format(words(qualifier))
    }
}

/// The units from the first to the last field.
fn units(qualifier: &IntervalQualifier) -> Vec<TimeUnit> {
    const FINER: [TimeUnit; 4] = [TimeUnit::Day, TimeUnit::Hour, TimeUnit::Minute, TimeUnit::Second];
    let Some(end) = qualifier.end else {
        return vec![qualifier.start];
    };
    if qualifier.start == TimeUnit::Year {
        return vec![TimeUnit::Year, TimeUnit::Month];
    }
    let from = FINER
        .iter()
        .position(|unit| *unit == qualifier.start)
        .unwrap_or(0);
    let to = FINER
        .iter()
        .position(|unit| *unit == end)
        .unwrap_or(FINER.len() - 1);
    FINER.get(from..=to).map(<[TimeUnit]>::to_vec).unwrap_or_default()
}

/// The texts of the fields, if the separators are right: `y-m`, `d h:m:s`.
fn split_fields<'a>(text: &'a str, qualifier: &IntervalQualifier) -> Option<Vec<&'a str>> {
    let count = units(qualifier).len();
    let mut fields = Vec::with_capacity(count);
    let mut rest = text;
    if qualifier.start == TimeUnit::Year && count == 2 {
        let (years, months) = rest.split_once('-')?;
        return Some(vec![years, months]);
    }
    if qualifier.start == TimeUnit::Day && count > 1 {
        let (days, clock) = rest.split_once(' ')?;
        fields.push(days);
        rest = clock;
    }
    fields.extend(rest.split(':'));
    (fields.len() == count).then_some(fields)
}

fn check_precision(field: &str, qualifier: &IntervalQualifier) -> Result<(), IntervalError> {
    let unit = qualifier.start.word();
    let precision = qualifier.start_precision.unwrap_or(START_PRECISION_DEFAULT);
    if precision == 0 || precision > START_PRECISION_MAX {
        return Err(IntervalError::PrecisionRange { unit });
    }
    let whole = field.split_once('.').map_or(field, |(whole, _)| whole);
    let significant = whole.trim_start_matches('0');
    let is_number = significant.bytes().all(|b| b.is_ascii_digit());
    if is_number && significant.len() > usize::try_from(precision).unwrap_or(usize::MAX) {
        let value = whole.to_owned();
        return Err(IntervalError::Precision {
            value,
            unit,
            precision,
            digits: significant.len(),
        });
    }
    Ok(())
}

/// Months or milliseconds of one field; later fields are bounded by the calendar.
fn field_amount(field: &str, unit: TimeUnit, is_first: bool) -> Option<i64> {
    let (whole, fraction) = match field.split_once('.') {
        Some((whole, fraction)) if unit == TimeUnit::Second => (whole, fraction),
        Some(_) => return None,
        None => (field, "0"),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let (factor, bound) = match unit {
        TimeUnit::Year => (MONTHS_PER_YEAR, i64::MAX),
        TimeUnit::Quarter => (MONTHS_PER_QUARTER, i64::MAX),
        TimeUnit::Month => (1, MONTHS_PER_YEAR),
        TimeUnit::Week => (7 * 24 * 3_600 * MILLISECONDS_PER_SECOND, i64::MAX),
        TimeUnit::Day => (24 * 3_600 * MILLISECONDS_PER_SECOND, i64::MAX),
        TimeUnit::Hour => (3_600 * MILLISECONDS_PER_SECOND, 24),
        TimeUnit::Minute => (60 * MILLISECONDS_PER_SECOND, 60),
        TimeUnit::Second => (MILLISECONDS_PER_SECOND, 60),
        _ => return None,
    };
    let value: i64 = whole.parse().ok()?;
    if !is_first && value >= bound {
        return None;
    }
    let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    value.checked_mul(factor)?.checked_add(milliseconds)
}

/// `INTERVAL DAY TO SECOND`, as messages name the type.
fn words(qualifier: &IntervalQualifier) -> String {
    match qualifier.end {
        Some(end) => format!("INTERVAL {} TO {}", qualifier.start.word(), end.word()),
        None => format!("INTERVAL {}", qualifier.start.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::ast::{ExprKind, Literal};
    use crate::parse::parse_expression;

    fn value(sql: &str) -> Result<IntervalValue, IntervalError> {
        let expr = parse_expression(sql).expect("parses");
        let ExprKind::Literal(Literal::Interval(literal)) = expr.kind else {
            panic!("{sql} is an interval")
        };
        interval_value(&literal)
    }

    #[test]
    fn reads_all_units() {
        for (sql, months) in [
            ("INTERVAL '1' YEAR", 12),
            ("INTERVAL '14' MONTH", 14),
            ("INTERVAL '2-3' YEAR TO MONTH", 27),
            ("INTERVAL -'2-3' YEAR TO MONTH", -27),
            ("INTERVAL '-2-3' YEAR TO MONTH", -27),
            ("INTERVAL '400' MONTH(3)", 400),
            ("INTERVAL '1' QUARTER", 3),
        ] {
            assert_eq!(value(sql), Ok(IntervalValue::Months(months)), "{sql}");
        }
        for (sql, milliseconds) in [
            ("INTERVAL '1' DAY", 86_400_000),
            ("INTERVAL '1.5' SECOND", 1_500),
            ("INTERVAL '0.001' SECOND", 1),
            ("INTERVAL '1 02:03:04.567' DAY TO SECOND", 93_784_567),
            ("INTERVAL '1:30' MINUTE TO SECOND", 90_000),
            ("INTERVAL '1 02' DAY TO HOUR", 93_600_000),
            ("INTERVAL '100' DAYS(3)", 8_640_000_000),
            ("INTERVAL '1' WEEK", 604_800_000),
            ("INTERVAL '0.0009' SECOND", 0),
        ] {
            assert_eq!(value(sql), Ok(IntervalValue::Milliseconds(milliseconds)), "{sql}");
        }
    }

    #[test]
    fn refuses_other_forms() {
        for sql in [
            "INTERVAL '100' DAY",
            "INTERVAL '1000' HOUR",
            "INTERVAL '1' DAY(0)",
            "INTERVAL '1' DAY(11)",
        ] {
            let error = value(sql).expect_err(sql).to_string();
            assert!(error.contains("precision"), "{error}");
        }
        for sql in [
            "INTERVAL '1-13' YEAR TO MONTH",
            "INTERVAL '25:61' HOUR TO MINUTE",
            "INTERVAL 'abc' DAY",
            "INTERVAL '' DAY",
            "INTERVAL '1.5' DAY",
            "INTERVAL '1 2' DAY TO SECOND",
            "INTERVAL '--1' DAY",
        ] {
            let error = value(sql).expect_err(sql).to_string();
            assert!(error.contains("interval format"), "{error}");
        }
    }
}
