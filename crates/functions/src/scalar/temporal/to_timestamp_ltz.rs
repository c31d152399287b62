//! TO_TIMESTAMP_LTZ.

use arrow_array::ArrayRef;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use jiff::tz::TimeZone;
use millstream_types::{LogicalType, TypeKind};

use super::parse::{Patterns, timestamp_of};
use super::values::{NANOS_PER_MILLI, write_moments};
use super::zone::argument_zone;
use crate::display::ZoneOffsets;
use crate::scalar::access::{data_error, internal};
use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// Milliseconds of 0000-01-01 and of the last of year 9999: instants outside are NULL.
const MILLIS_MIN: i128 = -62_167_219_200_000;
const MILLIS_MAX: i128 = 253_402_300_799_999;
/// Precision of the result, whatever the argument says.
const PRECISION: u8 = 3;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Temporal,
    "TO_TIMESTAMP_LTZ",
    "TO_TIMESTAMP_LTZ(number[, precision]), TO_TIMESTAMP_LTZ(string[, pattern[, zone]])",
    "The TIMESTAMP_LTZ(3) of a number of seconds (precision 0) or milliseconds (precision 3, the default) since the epoch, or of \
     a string in UTC or the given zone by a Java date and time pattern. NULL if the string does not fit or the time is \
     outside of the years 0 to 9999.",
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
    nullable(
        check("TO_TIMESTAMP_LTZ", args, &forms)?,
        LogicalType::timestamp_ltz(PRECISION),
    )
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

/// The milliseconds of a row's number, given the milliseconds of its unit.
type MillisReader<'a> = Box<dyn Fn(usize, i128) -> Option<i128> + 'a>;

/// A reader of the numbers of the first argument.
fn millis_reader<'a>(args: &KernelArgs<'a>) -> Result<MillisReader<'a>, EvalError> {
    Ok(match args.arg_types[0].kind {
        TypeKind::Decimal { scale, .. } => {
            let numbers = args.primitives::<Decimal128Type>(0)?;
            let unit = 10i128.pow(u32::from(scale));
            Box::new(move |row, factor| Some(numbers.get(row)? / unit * factor))
        }
        TypeKind::Float => {
            let numbers = args.primitives::<Float32Type>(0)?;
            Box::new(move |row, factor| Some(i128::from(numbers.get(row)? as i64) * factor))
        }
        TypeKind::Double => {
            let numbers = args.primitives::<Float64Type>(0)?;
            Box::new(move |row, factor| Some(i128::from((numbers.get(row)? * factor as f64) as i64)))
        }
        _ => {
            let numbers = args.integers(0)?;
            Box::new(move |row, factor| Some(i128::from(numbers.get(row)?) * factor))
        }
    })
}

fn from_number(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let millis = millis_reader(args)?;
    let precision = args.optional_integers(1)?;
    write_moments(args.rows, args.result, |row| {
        let precision = precision.as_ref().map_or(Some(3), |precision| precision.get(row));
        let factor = match precision {
            None => return Ok(None),
            Some(0) => 1000,
            Some(3) => 1,
            Some(other) => {
                return Err(data_error(format!(
                    "the precision value '{other}' for function TO_TIMESTAMP_LTZ(numeric, precision) is unsupported, the \
                     supported value is '0' for second or '3' for millisecond"
                )));
            }
        };
        let in_range = |millis: &i128| (MILLIS_MIN..=MILLIS_MAX).contains(millis);
        Ok(millis(row, factor)
            .filter(in_range)
            .map(|millis| millis * NANOS_PER_MILLI))
    })
}

fn from_text(args: &KernelArgs<'_>, patterns: &mut Patterns) -> Result<ArrayRef, EvalError> {
    let (text, pattern, zone) = (args.text(0)?, args.optional_text(1)?, args.optional_text(2)?);
    let mut last: Option<(&str, ZoneOffsets)> = None;
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
        let Some(local) = timestamp_of(text, pattern, patterns)? else {
            return Ok(None);
        };
        if last.as_ref().is_none_or(|(name, _)| *name != zone) {
            let found = if zone == "UTC" {
                TimeZone::UTC
            } else {
                argument_zone(zone).map_err(data_error)?
            };
            last = Some((zone, ZoneOffsets::new(found)));
        }
        let offsets = last
            .as_mut()
            .map(|(_, offsets)| offsets)
            .ok_or_else(|| internal("the zone was stored above"))?;
        Ok(Some(offsets.to_utc_nanos(local)))
    })
}
