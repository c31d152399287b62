//! Literals → typed values, by Flink's rules.

use millstream_plan::Expr;
use millstream_types::calendar::days_from_civil;
use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{ErrorCode, LogicalType, Scalar, TimeAttribute, TypeKind};

use super::coerce;
use super::error::{SqlError, SqlResult};
use super::types::interval_kind;
use crate::parse::ast::{IntervalLiteral, Literal, NumberLiteral};
use crate::parse::interval::{IntervalValue, interval_value};
use crate::parse::span::Span;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i128 = 86_400;

/// The value of a literal.
pub fn bind_literal(literal: &Literal, span: Span) -> SqlResult<Expr> {
    let typed = |value: Scalar, kind: TypeKind| Ok(Expr::literal(value, LogicalType::not_null(kind)));
    match literal {
        Literal::Null => Ok(Expr::literal(Scalar::Null, LogicalType::NULL)),
        Literal::Unknown => Ok(Expr::literal(Scalar::Null, LogicalType::BOOLEAN)),
        Literal::Boolean(value) => Ok(coerce::boolean(*value)),
        Literal::Number(number) => bind_number(number, span),
        Literal::Decimal(text) => bind_decimal(text, span),
        Literal::String(text) => Ok(coerce::text(&text.value)),
        Literal::Binary(bytes) => {
            let length = bytes.len().min(u32::MAX as usize) as u32;
            typed(Scalar::Bytes(bytes.clone()), TypeKind::Binary(length))
        }
        Literal::Date(text) => {
            let days = date(text).ok_or_else(|| illegal(span, "DATE", text))?;
            typed(Scalar::Date(days), TypeKind::Date)
        }
        Literal::Time(text) => {
            let nanos = time(text).ok_or_else(|| illegal(span, "TIME", text))?;
            let millis = i32::try_from(nanos / 1_000_000).map_err(|_| illegal(span, "TIME", text))?;
            typed(Scalar::Time(millis), TypeKind::Time(fraction_digits(text).min(3)))
        }
        Literal::Timestamp(text) => {
            let nanos = timestamp(text).ok_or_else(|| illegal(span, "TIMESTAMP", text))?;
            let precision = fraction_digits(text).min(9);
            typed(
                Scalar::Timestamp(nanos),
                TypeKind::Timestamp {
                    precision,
                    attribute: TimeAttribute::None,
                },
            )
        }
        Literal::TimestampLtz(_) => Err(SqlError::unsupported(
            span,
            "TIMESTAMP WITH LOCAL TIME ZONE literals; cast a TIMESTAMP instead",
        )),
        Literal::Interval(interval) => bind_interval(interval, span),
    }
}

fn illegal(span: Span, kind: &str, text: &str) -> SqlError {
    SqlError::at(span, format!("illegal {kind} literal '{text}'")).with_code(ErrorCode::InvalidLiteral)
}

fn bind_number(number: &NumberLiteral, span: Span) -> SqlResult<Expr> {
    let text = number.text.as_str();
    let out_of_range = || {
        SqlError::at(span, format!("Numeric literal '{text}' out of range"))
            .with_code(ErrorCode::InvalidLiteral)
    };
    if number.is_approximate() {
        let value: f64 = text.parse().map_err(|_| out_of_range())?;
        if value.is_infinite() {
            return Err(out_of_range());
        }
        return Ok(Expr::literal(
            Scalar::Double(value),
            LogicalType::not_null(TypeKind::Double),
        ));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    // Flink stores exact literals in 64 bits, with or without a decimal point.
    let unscaled: i64 = if digits.is_empty() {
        0
    } else {
        digits.parse().map_err(|_| out_of_range())?
    };
    let scale = number.scale();
    if scale == 0 {
        return Ok(match i32::try_from(unscaled) {
            Ok(small) => coerce::integer(small),
            Err(_) => Expr::literal(Scalar::BigInt(unscaled), LogicalType::not_null(TypeKind::BigInt)),
        });
    }
    let precision = u8::try_from(number.digits)
        .ok()
        .filter(|p| *p <= MAX_DECIMAL_PRECISION)
        .ok_or_else(out_of_range)?;
    let kind = TypeKind::Decimal {
        precision,
        scale: scale as u8,
    };
    Ok(Expr::literal(
        Scalar::Decimal(i128::from(unscaled)),
        LogicalType::not_null(kind),
    ))
}

/// `DECIMAL '…'`: the number as it is written without an exponent. Without a fraction it is an integer, and the precision
/// counts the sign, as in Flink.
fn bind_decimal(text: &str, span: Span) -> SqlResult<Expr> {
    let illegal = || illegal(span, "DECIMAL", text);
    let plain = plain_decimal(text.trim()).ok_or_else(illegal)?;
    let out_of_range = || {
        SqlError::at(span, format!("Numeric literal '{plain}' out of range"))
            .with_code(ErrorCode::InvalidLiteral)
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let unscaled: i64 = format!("{whole}{fraction}").parse().map_err(|_| out_of_range())?;
    if fraction.is_empty() {
        return Ok(match i32::try_from(unscaled) {
            Ok(small) => coerce::integer(small),
            Err(_) => Expr::literal(Scalar::BigInt(unscaled), LogicalType::not_null(TypeKind::BigInt)),
        });
    }
    let precision = u8::try_from(plain.len() - 1)
        .ok()
        .filter(|p| *p <= MAX_DECIMAL_PRECISION)
        .ok_or_else(out_of_range)?;
    let kind = TypeKind::Decimal {
        precision,
        scale: fraction.len() as u8,
    };
    Ok(Expr::literal(
        Scalar::Decimal(i128::from(unscaled)),
        LogicalType::not_null(kind),
    ))
}

/// A number with an optional sign and exponent, expanded like Java's `BigDecimal.toPlainString`.
fn plain_decimal(text: &str) -> Option<String> {
    const EXPONENT_MAX: usize = 99;
    let upper = text.to_ascii_uppercase();
    let (mantissa, exponent) = match upper.split_once('E') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (upper.as_str(), 0),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number || exponent.unsigned_abs() as usize > EXPONENT_MAX {
        return None;
    }
    let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
    let digits = digits.trim_start_matches('0');
    let plain = if scale <= 0 {
        let zeros = if digits.is_empty() {
            0
        } else {
            usize::try_from(-scale).ok()?
        };
        format!("{digits}{}", "0".repeat(zeros))
    } else {
        let scale = usize::try_from(scale).ok()?;
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        format!("{whole}.{fraction}")
    };
    let plain = if plain.is_empty() { "0".to_owned() } else { plain };
    Some(format!("{sign}{plain}"))
}

fn bind_interval(interval: &IntervalLiteral, span: Span) -> SqlResult<Expr> {
    let value = interval_value(interval).map_err(|reason| {
        SqlError::at(
            span,
            format!("illegal interval literal '{}': {reason}", interval.value),
        )
        .with_code(ErrorCode::InvalidLiteral)
    })?;
    let value = match value {
        IntervalValue::Months(months) => {
            let months = i32::try_from(months).map_err(|_| illegal(span, "INTERVAL", &interval.value))?;
            Scalar::IntervalYearMonth(months)
        }
        IntervalValue::Milliseconds(millis) => Scalar::IntervalDayTime(millis),
    };
    let kind = interval_kind(&interval.qualifier)?;
    Ok(Expr::literal(value, LogicalType::not_null(kind)))
}

fn fraction_digits(text: &str) -> u8 {
    text.split_once('.')
        .map_or(0, |(_, fraction)| fraction.len().min(usize::from(u8::MAX)) as u8)
}

/// Days since the epoch of `y-M-d`; the parser has checked the form.
pub fn date(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: u32 = parts.next()?.parse().ok()?;
    let day: u32 = parts.next()?.parse().ok()?;
    i32::try_from(days_from_civil(year, month, day)).ok()
}

/// Nanoseconds of the day of `H:m:s[.fraction]`.
fn time(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let hours: i128 = parts.next()?.parse().ok()?;
    let minutes: i128 = parts.next()?.parse().ok()?;
    let seconds: i128 = parts.next()?.parse().ok()?;
    let padded: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i128 = padded.parse().ok()?;
    Some((hours * 3600 + minutes * 60 + seconds) * NANOS_PER_SECOND + nanos)
}

/// Nanoseconds since the epoch of a date, or of a date and a time.
pub fn timestamp(text: &str) -> Option<i128> {
    let (day, clock) = text.split_once(' ').unwrap_or((text, "0:0:0"));
    Some(i128::from(date(day)?) * SECONDS_PER_DAY * NANOS_PER_SECOND + time(clock)?)
}
