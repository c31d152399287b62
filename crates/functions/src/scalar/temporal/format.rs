//! DATE_FORMAT, FROM_UNIXTIME.

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TypeFamily};

use super::parse::{DEFAULT_PATTERN, Patterns, current_year};
use super::pattern::Dialect;
use super::pattern_format::WallClock;
use super::values::{Moments, NANOS_PER_MILLI};
use crate::display::ZoneOffsets;
use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Temporal,
        "DATE_FORMAT",
        "DATE_FORMAT(timestamp, pattern)",
        "The timestamp, or a string of the form yyyy-MM-dd HH:mm:ss, by a Java date and time pattern. NULL if the string is not \
         of that form.",
        |args| {
            let timestamp: &[Arg] = &[Arg::AnyTimestamp, Arg::Character];
            let text: &[Arg] = &[Arg::Character, Arg::Character];
            nullable(
                check("DATE_FORMAT", args, &[timestamp, text])?,
                LogicalType::STRING,
            )
        },
        date_format,
    ),
    ScalarFunction::new(
        Group::Temporal,
        "FROM_UNIXTIME",
        "FROM_UNIXTIME(seconds[, pattern])",
        "The time a number of seconds after 1970-01-01 00:00:00 UTC, in the session's time zone, by a Java date and time pattern \
         (yyyy-MM-dd HH:mm:ss by default).",
        |args| {
            let one: &[Arg] = &[Arg::Integer];
            let two: &[Arg] = &[Arg::Integer, Arg::Character];
            nullable(check("FROM_UNIXTIME", args, &[one, two])?, LogicalType::STRING)
        },
        from_unixtime,
    ),
];

fn date_format(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let mut patterns = std::mem::take(args.cache.get_or_insert_with(Patterns::default));
    let result = if args.arg_types[0].is_character() {
        format_text(args, &mut patterns)
    } else {
        format_timestamp(args, &mut patterns)
    };
    *args.cache.get_or_insert_with(Patterns::default) = patterns;
    result
}

fn format_timestamp(args: &KernelArgs<'_>, patterns: &mut Patterns) -> Result<ArrayRef, EvalError> {
    let (moments, pattern) = (Moments::new(args, 0)?, args.text(1)?);
    debug_assert!(matches!(
        moments.family(),
        TypeFamily::Timestamp | TypeFamily::TimestampLtz
    ));
    let mut zone = ZoneOffsets::new(args.env.zone.clone());
    let mut last = LastFormatted::default();
    args.try_write_text(|row, out| {
        let (Some(nanos), Some(text)) = (moments.local_nanos(row, &mut zone), pattern.get(row)) else {
            return Ok(None);
        };
        if last.span.contains(&nanos) && last.pattern == text {
            out.push_str(&last.result);
            return Ok(Some(()));
        }
        let pattern = patterns.get(text, Dialect::Formatter)?;
        pattern.format(&WallClock::new(nanos), out)?;
        last.set(text, nanos, pattern.span_nanos(), out);
        Ok(Some(()))
    })
}

/// What was formatted last: rows that follow each other are mostly of the same day, often of the same minute.
#[derive(Default)]
struct LastFormatted<'t> {
    span: std::ops::Range<i128>,
    pattern: &'t str,
    result: String,
}

impl<'t> LastFormatted<'t> {
    fn set(&mut self, pattern: &'t str, nanos: i128, span: i128, result: &str) {
        let start = nanos.div_euclid(span) * span;
        self.span = start..start + span;
        self.pattern = pattern;
        self.result.clear();
        self.result.push_str(result);
    }
}

/// A string is read and written on the same wall clock, so the zone cancels out.
fn format_text(args: &KernelArgs<'_>, patterns: &mut Patterns) -> Result<ArrayRef, EvalError> {
    let (text, pattern) = (args.text(0)?, args.text(1)?);
    let year = current_year(args);
    let mut offsets = ZoneOffsets::new(args.env.zone.clone());
    args.try_write_text(|row, out| {
        let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
            return Ok(None);
        };
        let read = patterns
            .get(DEFAULT_PATTERN, Dialect::SimpleDate)?
            .parse_lenient(text, year);
        let pattern = patterns.get(pattern, Dialect::SimpleDate)?;
        let Some((local_ms, _)) = read else {
            return Ok(None);
        };
        let utc_ms = super::zone::to_utc_millis(&mut offsets, local_ms);
        let clock = WallClock::in_zone(i128::from(local_ms) * NANOS_PER_MILLI, &args.env.zone, utc_ms);
        pattern.format(&clock, out)?;
        Ok(Some(()))
    })
}

fn from_unixtime(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (seconds, pattern) = (args.integers(0)?, args.optional_text(1)?);
    let mut patterns = std::mem::take(args.cache.get_or_insert_with(Patterns::default));
    let mut zone = ZoneOffsets::new(args.env.zone.clone());
    let result = args.try_write_text(|row, out| {
        let pattern = pattern
            .as_ref()
            .map_or(Some(DEFAULT_PATTERN), |pattern| pattern.get(row));
        let (Some(seconds), Some(pattern)) = (seconds.get(row), pattern) else {
            return Ok(None);
        };
        let utc_ms = seconds.wrapping_mul(1000);
        let local_ms = utc_ms.saturating_add(super::zone::util_offset_ms(&mut zone, utc_ms));
        let local = i128::from(local_ms) * NANOS_PER_MILLI;
        let pattern = patterns.get(pattern, Dialect::SimpleDate)?;
        pattern.format(&WallClock::in_zone(local, &args.env.zone, utc_ms), out)?;
        Ok(Some(()))
    });
    *args.cache.get_or_insert_with(Patterns::default) = patterns;
    result
}
