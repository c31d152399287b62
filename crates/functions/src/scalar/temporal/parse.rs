//! TO_DATE, TO_TIMESTAMP, UNIX_TIMESTAMP, CONVERT_TZ.

use std::collections::HashMap;

use arrow_array::ArrayRef;
use arrow_array::types::Int64Type;
use millstream_types::LogicalType;
use millstream_types::calendar::civil_from_days;

use super::civil::days_from_rolling;
use super::pattern::{Dialect, Pattern, PatternError};
use super::pattern_format::WallClock;
use super::values::{MILLIS_PER_DAY, NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND, write_moments};
use super::zone::{java_time_zone, to_utc_millis, util_offset_ms};
use crate::cast::parse;
use crate::display::ZoneOffsets;
use crate::scalar::access::{Text, data_error};
use crate::scalar::forms::{Arg, check, nullable, strict};
use crate::scalar::{Determinism, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// Pattern of a timestamp where none is given.
pub(super) const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";
/// Compiled patterns and zones that one call site keeps when they are not constants.
const KEPT_MAX: usize = 64;
/// Precision of TO_TIMESTAMP.
const PRECISION: u8 = 3;

const ONE: &[Arg] = &[Arg::Character];
const TWO: &[Arg] = &[Arg::Character, Arg::Character];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Temporal,
        "TO_DATE",
        "TO_DATE(string[, pattern])",
        "The date of a string, by a Java date pattern (yyyy-MM-dd by default). With a pattern, parts out of range roll over. NULL \
         if the string does not fit.",
        |args| nullable(check("TO_DATE", args, &[ONE, TWO])?, LogicalType::DATE),
        to_date,
    ),
    ScalarFunction::new(
        Group::Temporal,
        "TO_TIMESTAMP",
        "TO_TIMESTAMP(string[, pattern])",
        "The TIMESTAMP(3) of a string, by a Java date and time pattern (yyyy-MM-dd HH:mm:ss by default). NULL if the string does \
         not fit.",
        |args| nullable(check("TO_TIMESTAMP", args, &[ONE, TWO])?, LogicalType::timestamp(PRECISION)),
        to_timestamp,
    ),
    ScalarFunction::new(
        Group::Temporal,
        "UNIX_TIMESTAMP",
        "UNIX_TIMESTAMP([string[, pattern]])",
        "The seconds since 1970-01-01 00:00:00 UTC: now, or of a string in the session's time zone by a Java date and time \
         pattern (yyyy-MM-dd HH:mm:ss by default). The smallest BIGINT if the string does not fit.",
        unix_timestamp_signature,
        unix_timestamp,
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "CONVERT_TZ",
        "CONVERT_TZ(string, from, to)",
        "A time of the form yyyy-MM-dd HH:mm:ss in one time zone as it is in another. An unknown zone counts as GMT; NULL if the \
         string is not of that form.",
        |args| {
            let three: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
            nullable(check("CONVERT_TZ", args, &[three])?, LogicalType::STRING)
        },
        convert_tz,
    ),
];

/// The compiled patterns of one call site, which has one or two as a rule: they are searched in a row.
#[derive(Default)]
pub(super) struct Patterns {
    compiled: Vec<(String, Dialect, Result<Pattern, PatternError>)>,
}

impl Patterns {
    pub(super) fn get(&mut self, pattern: &str, dialect: Dialect) -> Result<&Pattern, EvalError> {
        let known = self
            .compiled
            .iter()
            .position(|(text, of, _)| text == pattern && *of == dialect);
        let place = known.unwrap_or_else(|| {
            if self.compiled.len() >= KEPT_MAX {
                self.compiled.clear();
            }
            self.compiled
                .push((pattern.to_owned(), dialect, Pattern::new(pattern, dialect)));
            self.compiled.len() - 1
        });
        self.compiled[place]
            .2
            .as_ref()
            .map_err(|error| data_error(error.to_string()))
    }

    /// Wall-clock nanoseconds of a text by a pattern of `DateTimeFormatter`, or else by `java.sql.Timestamp`.
    pub(super) fn timestamp(&mut self, text: &str, pattern: &str) -> Result<Option<i128>, EvalError> {
        let read = self.get(pattern, Dialect::Formatter)?.parse_strict(text);
        Ok(read.or_else(|| sql_timestamp(text.trim())))
    }
}

/// The year that two-digit years are near to.
pub(super) fn current_year(args: &KernelArgs<'_>) -> i64 {
    civil_from_days(args.env.now_ms.div_euclid(MILLIS_PER_DAY)).0
}

/// Runs a kernel with the call site's patterns.
fn with_patterns(
    args: &mut KernelArgs<'_>,
    kernel: impl FnOnce(&KernelArgs<'_>, &mut Patterns) -> Result<ArrayRef, EvalError>,
) -> Result<ArrayRef, EvalError> {
    let mut patterns = std::mem::take(args.cache.get_or_insert_with(Patterns::default));
    let result = kernel(args, &mut patterns);
    *args.cache.get_or_insert_with(Patterns::default) = patterns;
    result
}

/// A row's text and pattern; `None` if one is NULL.
fn row_text<'t>(
    text: &Text<'t>,
    pattern: Option<&Text<'t>>,
    row: usize,
) -> Option<(&'t str, Option<&'t str>)> {
    let text = text.get(row)?;
    Some((
        text,
        match pattern {
            Some(pattern) => Some(pattern.get(row)?),
            None => None,
        },
    ))
}

fn to_date(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.optional_text(1)?);
        let year = current_year(args);
        write_moments(args.rows, args.result, |row| {
            let Some((text, pattern)) = row_text(&text, pattern.as_ref(), row) else {
                return Ok(None);
            };
            let Some(pattern) = pattern else {
                return Ok(parse::parse_date(text)
                    .ok()
                    .map(|days| i128::from(days) * NANOS_PER_DAY));
            };
            let read = patterns
                .get(pattern, Dialect::SimpleDate)?
                .parse_lenient(text, year);
            Ok(read.map(|(local_ms, offset)| {
                (i128::from(local_ms) - i128::from(offset.unwrap_or(0)) * 1000) * NANOS_PER_MILLI
            }))
        })
    })
}

fn to_timestamp(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.optional_text(1)?);
        write_moments(args.rows, args.result, |row| {
            let Some((text, pattern)) = row_text(&text, pattern.as_ref(), row) else {
                return Ok(None);
            };
            // Flink swallows an invalid pattern here, as it does a text that does not fit.
            match pattern {
                Some(pattern) if patterns.get(pattern, Dialect::Formatter).is_err() => Ok(None),
                pattern => timestamp_of(text, pattern, patterns),
            }
        })
    })
}

/// Wall-clock nanoseconds of a text, cut to milliseconds.
pub(super) fn timestamp_of(
    text: &str,
    pattern: Option<&str>,
    patterns: &mut Patterns,
) -> Result<Option<i128>, EvalError> {
    let Some(pattern) = pattern else {
        return Ok(parse::parse_timestamp(text, PRECISION).ok());
    };
    let local = patterns.timestamp(text, pattern)?;
    Ok(local.map(|nanos| nanos - nanos.rem_euclid(NANOS_PER_MILLI)))
}

/// What `java.sql.Timestamp.valueOf` and `java.sql.Date.valueOf` take: the time of day may run over.
fn sql_timestamp(text: &str) -> Option<i128> {
    let (date, time) = match text.split_once(' ') {
        Some((date, time)) => (date, Some(time.trim_start())),
        None => (text, None),
    };
    let number = |text: &str, longest: usize| {
        let fits = (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<i64>().ok()).flatten()
    };
    let mut parts = date.splitn(3, '-');
    let year = parts
        .next()
        .filter(|year| year.len() == 4)
        .and_then(|year| number(year, 4))?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = i128::from(days_from_rolling(year, month, day)) * NANOS_PER_DAY;
    let Some(time) = time else { return Some(days) };
    let (clock, fraction) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (time, None),
    };
    let mut parts = clock.splitn(3, ':');
    let mut part = || number(parts.next()?, 9);
    let seconds = (part()? * 60 + part()?) * 60 + part()?;
    let nanos = match fraction {
        Some(fraction) if fraction.len() <= 9 => {
            number(&format!("{fraction:0<9}"), 9).filter(|_| !fraction.is_empty())?
        }
        Some(_) => return None,
        None => 0,
    };
    Some(days + i128::from(seconds) * NANOS_PER_SECOND + i128::from(nanos))
}

fn unix_timestamp_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    strict(
        check("UNIX_TIMESTAMP", args, &[&[], ONE, TWO])?,
        LogicalType::BIGINT,
    )
}

fn unix_timestamp(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    if args.args.is_empty() {
        let now = args.env.now_ms / 1000;
        return args.write_primitives::<Int64Type>(|_| Some(now));
    }
    with_patterns(args, |args, patterns| {
        let (text, pattern) = (args.text(0)?, args.optional_text(1)?);
        let year = current_year(args);
        let mut zone = ZoneOffsets::new(args.env.zone.clone());
        args.try_write_primitives::<Int64Type>(|row| {
            let Some((text, pattern)) = row_text(&text, pattern.as_ref(), row) else {
                return Ok(None);
            };
            let pattern = patterns.get(pattern.unwrap_or(DEFAULT_PATTERN), Dialect::SimpleDate)?;
            let utc_ms = pattern
                .parse_lenient(text, year)
                .map(|(local_ms, offset)| match offset {
                    Some(seconds) => local_ms - seconds * 1000,
                    None => to_utc_millis(&mut zone, local_ms),
                });
            Ok(Some(utc_ms.map_or(i64::MIN, |utc_ms| utc_ms / 1000)))
        })
    })
}

/// The zones of one call site by name.
#[derive(Default)]
struct Zones(HashMap<String, ZoneOffsets>);

impl Zones {
    fn get(&mut self, name: &str) -> &mut ZoneOffsets {
        if !self.0.contains_key(name) {
            if self.0.len() >= KEPT_MAX {
                self.0.clear();
            }
            self.0
                .insert(name.to_owned(), ZoneOffsets::new(java_time_zone(name)));
        }
        self.0.get_mut(name).expect("the zone was stored above")
    }
}

fn convert_tz(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, from, to) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let year = current_year(args);
    let pattern = Pattern::new(DEFAULT_PATTERN, Dialect::SimpleDate).expect("the default pattern is valid");
    let mut zones = std::mem::take(args.cache.get_or_insert_with(Zones::default));
    let result = args.try_write_text(|row, out| {
        let (Some(text), Some(from), Some(to)) = (text.get(row), from.get(row), to.get(row)) else {
            return Ok(None);
        };
        let Some((local_ms, _)) = pattern.parse_lenient(text, year) else {
            return Ok(None);
        };
        let utc_ms = to_utc_millis(zones.get(from), local_ms);
        let local_ms = utc_ms.saturating_add(util_offset_ms(zones.get(to), utc_ms));
        let local = i128::from(local_ms) * NANOS_PER_MILLI;
        let utc = jiff::tz::TimeZone::UTC;
        pattern.format(&WallClock::in_zone(local, &utc, utc_ms), out)?;
        Ok(Some(()))
    });
    *args.cache.get_or_insert_with(Zones::default) = zones;
    result
}
