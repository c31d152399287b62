//! Temporal values as `java.time` prints them: `2024-01-01T00:00`, `10:15:30.500`, `2024-01-01T00:00:00Z`.

use std::fmt::Write;

use crate::display::write_date;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i128 = 86_400;

/// `LocalTime.toString` of nanoseconds of the day: no seconds if they are zero, fractions in groups of three digits.
fn write_time_of_day(out: &mut String, nanos: i128, seconds_always: bool) {
    let (seconds, fraction) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let written = write!(out, "{hour:02}:{minute:02}").and_then(|()| {
        if second == 0 && fraction == 0 && !seconds_always {
            return Ok(());
        }
        write!(out, ":{second:02}")?;
        match fraction {
            0 => Ok(()),
            f if f % 1_000_000 == 0 => write!(out, ".{:03}", f / 1_000_000),
            f if f % 1_000 == 0 => write!(out, ".{:06}", f / 1_000),
            f => write!(out, ".{f:09}"),
        }
    });
    debug_assert!(written.is_ok(), "a string takes every text");
}

/// `LocalTime.toString` of milliseconds of the day.
pub(crate) fn write_iso_time(out: &mut String, millis: i32) {
    write_time_of_day(out, i128::from(millis) * 1_000_000, false);
}

/// ISO 8601 as Flink's JSON has it: seconds always, and a fraction without zeros at its end.
pub(crate) fn write_json_timestamp(out: &mut String, nanos: i128) {
    let fraction = nanos.rem_euclid(NANOS_PER_SECOND);
    write_date_time(out, nanos - fraction, true);
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// `LocalDateTime.toString` of nanoseconds since the epoch.
pub(crate) fn write_iso_timestamp(out: &mut String, nanos: i128) {
    write_date_time(out, nanos, false);
}

/// `Instant.toString` of nanoseconds since the epoch.
pub(crate) fn write_iso_instant(out: &mut String, nanos: i128) {
    write_date_time(out, nanos, true);
    out.push('Z');
}

fn write_date_time(out: &mut String, nanos: i128, seconds_always: bool) {
    let day = SECONDS_PER_DAY * NANOS_PER_SECOND;
    write_date(out, nanos.div_euclid(day) as i64);
    out.push('T');
    write_time_of_day(out, nanos.rem_euclid(day), seconds_always);
}
