//! Values as the `toString` of the Java objects that Flink hands to its `print` connector: `+I[1, null, true]`,
//! `2024-02-29T12:00`, bytes as signed numbers, maps in the order of a `HashMap`.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, IntervalYearMonthType, Time32MillisecondType,
};
use millstream_types::java_hash::object_keys_in_map_order;
use millstream_types::java_text::write_decimal;
use millstream_types::timestamp_nanos;

use super::temporal::{self, NANOS_PER_DAY};
use super::{Kind, Printer, enclosed};

/// Java's word for NULL.
const NULL: &str = "null";
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
/// The last year that ISO 8601 writes without a sign.
const LAST_UNSIGNED_YEAR: i64 = 9999;

/// Appends the value at `row`. Types that are not named here are spelt as everywhere else; that is `false`.
pub(super) fn write(printer: &Printer, out: &mut String, array: &dyn Array, row: usize) -> bool {
    if super::is_null(array, row) {
        out.push_str(NULL);
        return true;
    }
    match &printer.kind {
        Kind::Boolean => out.push_str(if array.as_boolean().value(row) {
            "true"
        } else {
            "false"
        }),
        Kind::Bytes => {
            let bytes = array.as_binary_view().value(row);
            enclosed(out, ["[", ", ", "]"], bytes.len(), |out, i| {
                super::display(out, bytes[i].cast_signed());
            });
        }
        Kind::Decimal { scale } => {
            write_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        Kind::Date => write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        Kind::Time { .. } => {
            let millis = array.as_primitive::<Time32MillisecondType>().value(row);
            write_time(out, i64::from(millis) * NANOS_PER_MILLI, false);
        }
        Kind::Timestamp { .. } => write_timestamp(out, timestamp_nanos(array, row), false),
        Kind::TimestampLtz { .. } => {
            write_timestamp(out, timestamp_nanos(array, row), true);
            out.push('Z');
        }
        Kind::YearMonth => write_period(out, array.as_primitive::<IntervalYearMonthType>().value(row)),
        Kind::DayTime => write_duration(out, array.as_primitive::<DurationMillisecondType>().value(row)),
        _ => return false,
    }
    true
}

/// The entries of a map in the order in which a `HashMap` hands them out.
pub(super) fn map_order(keys: &arrow_array::ArrayRef) -> Vec<usize> {
    object_keys_in_map_order(keys, 0..keys.len())
}

fn write_date(out: &mut String, days: i64) {
    if millstream_types::calendar::civil_from_days(days).0 > LAST_UNSIGNED_YEAR {
        out.push('+');
    }
    temporal::write_date(out, days);
}

/// `LocalTime.toString`: seconds only if they or their fraction are not zero, the fraction in groups of three digits.
fn write_time(out: &mut String, nanos_of_day: i64, has_seconds: bool) {
    let (seconds, nanos) = (nanos_of_day / NANOS_PER_SECOND, nanos_of_day % NANOS_PER_SECOND);
    super::display(
        out,
        format_args!("{:02}:{:02}", seconds / 3600, seconds / 60 % 60),
    );
    if has_seconds || seconds % 60 > 0 || nanos > 0 {
        super::display(out, format_args!(":{:02}", seconds % 60));
    }
    if nanos == 0 {
        return;
    }
    let text = format!("{nanos:09}");
    let significant = text.trim_end_matches('0').len().next_multiple_of(3);
    out.push('.');
    out.push_str(&text[..significant]);
}

/// `LocalDateTime.toString`, and of `Instant.toString` all but the `Z`: an instant always has seconds.
fn write_timestamp(out: &mut String, nanos: i128, is_instant: bool) {
    write_date(out, nanos.div_euclid(NANOS_PER_DAY) as i64);
    out.push('T');
    write_time(out, nanos.rem_euclid(NANOS_PER_DAY) as i64, is_instant);
}

/// `Period.toString` of years and months.
fn write_period(out: &mut String, months: i32) {
    let (years, months) = (months / 12, months % 12);
    out.push('P');
    if years != 0 {
        super::display(out, format_args!("{years}Y"));
    }
    if months != 0 {
        super::display(out, format_args!("{months}M"));
    }
    if years == 0 && months == 0 {
        out.push_str("0D");
    }
}

/// `Duration.toString`: hours, minutes and seconds with their own signs.
fn write_duration(out: &mut String, millis: i64) {
    out.push_str("PT");
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, fraction) = (millis / 1000 % 60, millis % 1000);
    if hours != 0 {
        super::display(out, format_args!("{hours}H"));
    }
    if minutes != 0 {
        super::display(out, format_args!("{minutes}M"));
    }
    if seconds == 0 && fraction == 0 {
        if hours == 0 && minutes == 0 {
            out.push_str("0S");
        }
        return;
    }
    if millis < 0 && seconds == 0 {
        out.push('-');
    }
    super::display(out, seconds);
    if fraction != 0 {
        let digits = format!("{:03}", fraction.unsigned_abs());
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push('S');
}
