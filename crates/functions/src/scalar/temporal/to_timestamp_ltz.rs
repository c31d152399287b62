//! TO_TIMESTAMP_LTZ.

use arrow_array::ArrayRef;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use jiff::tz::TimeZone;
use millstream_types::{LogicalType, Scalar, TypeKind};

use super::parse::{Patterns, timestamp_of};
use super::values::{NANOS_PER_MILLI, write_moments};
use super::zone::argument_zone;
use crate::display::ZoneOffsets;
use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// Milliseconds of 0000-01-01 and of the last of year 9999: instants outside are NULL.
const MILLIS_MIN: i128 = -62_167_219_200_000;
const MILLIS_MAX: i128 = 253_402_300_799_999;
/// Least precision of the result.
const PRECISION_MIN: u8 = 3;
/// Largest precision of a timestamp: nanoseconds.
const PRECISION_MAX: u8 = 9;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Temporal,
    "TO_TIMESTAMP_LTZ",
    "TO_TIMESTAMP_LTZ(number[, precision]), TO_TIMESTAMP_LTZ(string[, pattern[, zone]])",
    "The TIMESTAMP_LTZ of a number since the epoch, or of a string in UTC or the given zone by a Java date and time pattern. \
     The number counts seconds (precision 0), milliseconds (3, the default), microseconds (6), nanoseconds (9) or the powers \
     of ten between them. The result has a precision of at least 3: as many digits as a literal precision or the pattern's \
     fraction. NULL outside of the years 0 to 9999.",
    signature,
    to_timestamp_ltz,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let number: &[Arg] = &[Arg::Numeric];
    let number_precision: &[Arg] = &[Arg::Numeric, Arg::Integer];
    let text: &[Arg] = &[Arg::Character];
    let text_pattern: &[Arg] = &[Arg::Character, Arg::Character];
    let text_pattern_zone: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
    let forms = [number, number_precision, text, text_pattern, text_pattern_zone];
    let types = check("TO_TIMESTAMP_LTZ", args, &forms)?;
    if let Some(zone) = args.get(2).and_then(|arg| arg.literal).and_then(Scalar::as_str) {
        argument_zone(zone).map_err(|reason| {
            SignatureError::Other(format!("Invalid timezone for parsing TIMESTAMP_LTZ: {reason}"))
        })?;
    }
    nullable(types, LogicalType::timestamp_ltz(result_precision(args)))
}

/// Digits that a literal precision or a literal pattern asks for.
fn result_precision(args: &[ArgInfo<'_>]) -> u8 {
    let Some(literal) = args.get(1).and_then(|arg| arg.literal) else {
        return PRECISION_MIN;
    };
    let digits = match literal.as_str() {
        Some(pattern) => pattern.bytes().filter(|byte| *byte == b'S').count() as i64,
        None => literal.as_i64().unwrap_or(0),
    };
    digits.clamp(i64::from(PRECISION_MIN), i64::from(PRECISION_MAX)) as u8
}

fn to_timestamp_ltz(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    if !args.arg_types[0].is_character() {
        return from_number(args);
    }
    let mut patterns = std::mem::take(args.cache.get_or_insert_with(Patterns::default));
    let result = from_text(args, &mut patterns);
    *args.cache.get_or_insert_with(Patterns::default) = patterns;
    result
}

/// The nanoseconds of a row's number, given the nanoseconds of its unit.
type NanosReader<'a> = Box<dyn Fn(usize, i128) -> Option<i128> + 'a>;

/// A number with a fraction as nanoseconds, which end in 2262; `None` beyond the years that a timestamp has.
fn fraction_nanos(number: f64, unit: i128) -> Option<i128> {
    let nanos = number * unit as f64;
    let millis = nanos / NANOS_PER_MILLI as f64;
    let is_reachable = millis.is_nan() || (MILLIS_MIN as f64..=MILLIS_MAX as f64).contains(&millis);
    is_reachable.then_some(i128::from(nanos as i64))
}

/// A reader of the numbers of the first argument.
fn nanos_reader<'a>(args: &KernelArgs<'a>) -> Result<NanosReader<'a>, EvalError> {
    Ok(match args.arg_types[0].kind {
        TypeKind::Decimal { scale, .. } => {
            let numbers = args.primitives::<Decimal128Type>(0)?;
            let unit = 10i128.pow(u32::from(scale));
            Box::new(move |row, factor| Some(numbers.get(row)? / unit * factor))
        }
        TypeKind::Float => {
            let numbers = args.primitives::<Float32Type>(0)?;
            Box::new(move |row, unit| fraction_nanos(f64::from(numbers.get(row)?), unit))
        }
        TypeKind::Double => {
            let numbers = args.primitives::<Float64Type>(0)?;
            Box::new(move |row, unit| fraction_nanos(numbers.get(row)?, unit))
        }
        _ => {
            let numbers = args.integers(0)?;
            Box::new(move |row, factor| Some(i128::from(numbers.get(row)?) * factor))
        }
    })
}

fn from_number(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let nanos = nanos_reader(args)?;
    let precision = args.optional_integers(1)?;
    write_moments(args.rows, args.result, |row| {
        let precision = precision.as_ref().map_or(Some(3), |precision| precision.get(row));
        let Some(precision) = precision else {
            return Ok(None);
        };
        let digits = u32::try_from(precision)
            .ok()
            .filter(|digits| *digits <= u32::from(PRECISION_MAX));
        let Some(digits) = digits else {
            return Err(data_error(format!(
                "the precision value '{precision}' for function TO_TIMESTAMP_LTZ(numeric, precision) is unsupported, the \
                 supported values are 0 (seconds) to 9 (nanoseconds)"
            )));
        };
        let in_range = |nanos: &i128| (MILLIS_MIN..=MILLIS_MAX).contains(&nanos.div_euclid(NANOS_PER_MILLI));
        Ok(nanos(row, NANOS_PER_SECOND / 10_i128.pow(digits)).filter(in_range))
    })
}

fn from_text(args: &KernelArgs<'_>, patterns: &mut Patterns) -> Result<ArrayRef, EvalError> {
    let (text, pattern, zone) = (args.text(0)?, args.optional_text(1)?, args.optional_text(2)?);
    let has_constant_pattern = args.constant_text(1).is_some();
    let mut last: Option<(&str, Option<ZoneOffsets>)> = None;
    write_moments(args.rows, args.result, |row| {
        let pattern = match &pattern {
            Some(pattern) => match pattern.get(row) {
                Some(pattern) => Some(pattern),
                None => return Ok(None),
            },
            None => None,
        };
        let zone = zone.as_ref().map_or(Some("UTC"), |zone| zone.get(row));
        let (Some(text), Some(zone)) = (text.get(row), zone) else {
            return Ok(None);
        };
        let local = match local_time(text, pattern, patterns) {
            // Flink checks a constant pattern when it plans, and passes over others that are invalid.
            Err(_) if pattern.is_some() && !has_constant_pattern => return Ok(None),
            local => local?,
        };
        let Some(local) = local else {
            return Ok(None);
        };
        if last.as_ref().is_none_or(|(name, _)| *name != zone) {
            let found = if zone == "UTC" {
                Some(TimeZone::UTC)
            } else {
                // Flink checks a constant zone when it plans, and passes over others that are invalid.
                argument_zone(zone).ok()
            };
            last = Some((zone, found.map(ZoneOffsets::new)));
        }
        let offsets = last.as_mut().and_then(|(_, offsets)| offsets.as_mut());
        Ok(offsets.map(|offsets| offsets.to_utc_nanos(local)))
    })
}

/// The wall-clock nanoseconds of a text. Without a pattern, a text that is not a timestamp is an error.
fn local_time(text: &str, pattern: Option<&str>, patterns: &mut Patterns) -> Result<Option<i128>, EvalError> {
    if let Some(pattern) = pattern {
        return patterns.timestamp(text, pattern);
    }
    match timestamp_of(text, None, patterns)? {
        Some(local) => Ok(Some(local)),
        None => Err(data_error(format!(
            "text '{text}' could not be parsed as a timestamp: expected a time such as '2024-02-29 12:34:56'"
        ))),
    }
}
