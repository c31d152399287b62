//! Dates, times and timestamps in the two standards of Flink's text formats: reading and writing.
//!
//! `SQL` is `yyyy-MM-dd HH:mm:ss[.fraction]`, `ISO-8601` is `yyyy-MM-ddTHH:mm[:ss[.fraction]]`; TIMESTAMP_LTZ ends in `Z`.
//! As in `java.time`'s smart resolution, a day up to 31 beyond the end of its month in a timestamp means the last day;
//! in a DATE it is an error.

use millstream_types::calendar::{civil_from_days, days_from_civil, days_in_month};

/// `timestamp-format.standard`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimestampStandard {
    #[default]
    Sql,
    Iso8601,
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const MS_PER_DAY: i64 = 86_400_000;
const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND as i128;

fn digits(text: &[u8], count: usize) -> Option<(u32, &[u8])> {
    let head = text.get(..count)?;
    let mut value = 0u32;
    for byte in head {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some((value, &text[count..]))
}

fn literal(text: &[u8], byte: u8) -> Option<&[u8]> {
    text.split_first()
        .filter(|(first, _)| **first == byte)
        .map(|(_, rest)| rest)
}

/// Days since the epoch and the rest of the text.
fn date(text: &[u8], clamp_day: bool) -> Option<(i64, &[u8])> {
    let (negative, text) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        _ => (false, text),
    };
    let (year, text) = digits(text, 4)?;
    let (month, text) = digits(literal(text, b'-')?, 2)?;
    let (day, text) = digits(literal(text, b'-')?, 2)?;
    let year = if negative {
        -i64::from(year)
    } else {
        i64::from(year)
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let last = days_in_month(year, month);
    if day > last && !clamp_day {
        return None;
    }
    Some((days_from_civil(year, month, day.min(last)), text))
}

/// Nanoseconds of the day and the rest of the text.
fn time(text: &[u8], seconds_optional: bool) -> Option<(i64, &[u8])> {
    let (hour, text) = digits(text, 2)?;
    let (minute, text) = digits(literal(text, b':')?, 2)?;
    let (second, text) = match literal(text, b':') {
        Some(rest) => digits(rest, 2)?,
        None if seconds_optional => (0, text),
        None => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, text) = match literal(text, b'.') {
        Some(rest) => fraction(rest)?,
        None => (0, text),
    };
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some((seconds * NANOS_PER_SECOND + i64::from(nanos), text))
}

/// One to nine digits behind the point, as nanoseconds.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 || count > 9 {
        return None;
    }
    let (value, rest) = digits(text, count)?;
    Some((value * 10u32.pow(9 - count as u32), rest))
}

/// Days since the epoch of `yyyy-MM-dd`.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let (days, rest) = date(text, false)?;
    rest.is_empty().then(|| i32::try_from(days).ok()).flatten()
}

/// Days since the epoch of a date as `java.sql.Date` reads it: month and day may have one digit, and a day that the month does
/// not have is one of the next month.
pub fn parse_lenient_date(text: &[u8]) -> Option<i32> {
    let part = |text: &'_ [u8]| -> Option<(u32, usize)> {
        let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
        let (value, _) = (1..=2).contains(&count).then(|| digits(text, count))??;
        Some((value, count))
    };
    let (year, text) = digits(text, 4)?;
    let text = literal(text, b'-')?;
    let (month, count) = part(text)?;
    let text = literal(&text[count..], b'-')?;
    let (day, count) = part(text)?;
    if count < text.len() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let first = days_from_civil(i64::from(year), month, 1);
    i32::try_from(first + i64::from(day) - 1).ok()
}

/// Milliseconds of the day of `HH:mm[:ss[.fraction]]`; further digits are cut.
pub fn parse_time_of_minutes(text: &[u8]) -> Option<i32> {
    let (nanos, rest) = time(text, true)?;
    rest.is_empty().then_some((nanos / 1_000_000) as i32)
}

/// Milliseconds of the day of `HH:mm:ss[.fraction]`; further digits are cut.
pub fn parse_time(text: &[u8]) -> Option<i32> {
    let (nanos, rest) = time(text, false)?;
    rest.is_empty().then_some((nanos / 1_000_000) as i32)
}

/// Nanoseconds since the epoch of a timestamp in `standard`; `utc`: a `Z` must follow (TIMESTAMP_LTZ).
pub fn parse_timestamp(text: &[u8], standard: TimestampStandard, utc: bool) -> Option<i128> {
    let (days, rest) = date(text, true)?;
    let separator = if standard == TimestampStandard::Sql {
        b' '
    } else {
        b'T'
    };
    let (nanos, rest) = time(literal(rest, separator)?, standard == TimestampStandard::Iso8601)?;
    let rest = if utc { literal(rest, b'Z')? } else { rest };
    rest.is_empty()
        .then(|| i128::from(days) * NANOS_PER_DAY + i128::from(nanos))
}

/// Milliseconds since the epoch of a timestamp; further digits are cut. Nearly all are `yyyy-MM-dd HH:mm:ss.SSS`.
#[inline]
pub fn parse_timestamp_millis(text: &[u8], standard: TimestampStandard, utc: bool) -> Option<i64> {
    let separator = if standard == TimestampStandard::Sql {
        b' '
    } else {
        b'T'
    };
    let body = if utc { text.strip_suffix(b"Z") } else { Some(text) };
    if let Some(ms) = body.and_then(|body| fixed_millis(body.try_into().ok()?, separator)) {
        return Some(ms);
    }
    let (days, rest) = date(text, true)?;
    let (nanos, rest) = time(literal(rest, separator)?, standard == TimestampStandard::Iso8601)?;
    let rest = if utc { literal(rest, b'Z')? } else { rest };
    rest.is_empty().then(|| days * MS_PER_DAY + nanos / 1_000_000)
}

/// Length of `yyyy-MM-dd HH:mm:ss.SSS`.
const FIXED_BYTES: usize = 23;

/// `yyyy-MM-dd HH:mm:ss.SSS` with a day that its month has; `None`: the general way decides.
#[inline]
fn fixed_millis(text: &[u8; FIXED_BYTES], separator: u8) -> Option<i64> {
    let day_minute = if separator == b' ' {
        &DAY_MINUTE_SQL
    } else {
        &DAY_MINUTE_ISO
    };
    let d = YEAR_MONTH.digits(text, 0)?;
    let e = day_minute.digits(text, 8)?;
    let f = SECOND.digits(text, 15)?;
    let year = i64::from(d[0]) * 1000 + i64::from(d[1]) * 100 + i64::from(d[2]) * 10 + i64::from(d[3]);
    let pair = |tens: u8, ones: u8| u32::from(tens) * 10 + u32::from(ones);
    let (month, day) = (pair(d[5], d[6]), pair(e[0], e[1]));
    let (hour, minute, second) = (pair(e[3], e[4]), pair(e[6], e[7]), pair(f[2], f[3]));
    let is_valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    if !is_valid {
        return None;
    }
    let of_day = (hour * 3600 + minute * 60 + second) * 1000 + pair(f[5], f[6]) * 10 + u32::from(f[7]);
    Some(days_from_civil(year, month, day) * MS_PER_DAY + i64::from(of_day))
}

const YEAR_MONTH: Eight = Eight::new(*b"0000-00-");
const DAY_MINUTE_SQL: Eight = Eight::new(*b"00 00:00");
const DAY_MINUTE_ISO: Eight = Eight::new(*b"00T00:00");
const SECOND: Eight = Eight::new(*b"0:00.000");

/// Eight characters, with any digit where the pattern has a zero. Made when this is compiled: closures over arrays were
/// a tenth of the time of decoding events.
struct Eight {
    pattern: u64,
    /// What a byte may be at most, as the number that does not yet carry into its high bit.
    room: u64,
}

impl Eight {
    const fn new(pattern: [u8; 8]) -> Self {
        let mut room = [0x7F; 8];
        let mut i = 0;
        while i < 8 {
            if pattern[i] == b'0' {
                room[i] = 0x7F - 9;
            }
            i += 1;
        }
        Self {
            pattern: u64::from_le_bytes(pattern),
            room: u64::from_le_bytes(room),
        }
    }

    /// The digits of the characters at `at`; the other characters are zero.
    #[inline]
    fn digits(&self, text: &[u8; FIXED_BYTES], at: usize) -> Option<[u8; 8]> {
        const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
        let mut word = [0; 8];
        word.copy_from_slice(&text[at..at + 8]);
        let values = u64::from_le_bytes(word) ^ self.pattern;
        let fits = (values | values.wrapping_add(self.room)) & HIGH_BITS == 0;
        fits.then(|| values.to_le_bytes())
    }
}

fn push_padded(out: &mut Vec<u8>, value: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = value;
    for slot in out[start..].iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// `yyyy-MM-dd`.
pub fn write_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil_from_days(days);
    if (0..=9999).contains(&year) {
        let year = year as u32;
        let ([a, b], [c, d]) = (two_digits(year / 100), two_digits(year % 100));
        let ([e, f], [g, h]) = (two_digits(month), two_digits(day));
        return out.extend_from_slice(&[a, b, c, d, b'-', e, f, b'-', g, h]);
    }
    if year < 0 {
        out.push(b'-');
    }
    if year > 9999 {
        out.push(b'+');
    }
    let absolute = year.unsigned_abs() as u32;
    push_padded(
        out,
        absolute,
        if absolute > 9999 {
            absolute.ilog10() as usize + 1
        } else {
            4
        },
    );
    out.push(b'-');
    push_padded(out, month, 2);
    out.push(b'-');
    push_padded(out, day, 2);
}

/// `HH:mm:ss` and as much of the fraction as is not zero.
pub fn write_time(out: &mut Vec<u8>, nanos_of_day: i64) {
    let seconds = (nanos_of_day / NANOS_PER_SECOND) as u32;
    push_padded(out, seconds / 3600, 2);
    out.push(b':');
    push_padded(out, seconds / 60 % 60, 2);
    out.push(b':');
    push_padded(out, seconds % 60, 2);
    let nanos = (nanos_of_day % NANOS_PER_SECOND) as u32;
    if nanos != 0 {
        out.push(b'.');
        push_padded(out, nanos, 9);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// A timestamp of nanoseconds since the epoch in `standard`; `utc` adds the `Z`.
pub fn write_timestamp(out: &mut Vec<u8>, nanos: i128, standard: TimestampStandard, utc: bool) {
    write_date(out, nanos.div_euclid(NANOS_PER_DAY) as i64);
    out.push(if standard == TimestampStandard::Sql {
        b' '
    } else {
        b'T'
    });
    write_time(out, nanos.rem_euclid(NANOS_PER_DAY) as i64);
    if utc {
        out.push(b'Z');
    }
}

/// As [`write_timestamp`], of milliseconds: without 128-bit arithmetic.
pub fn write_timestamp_millis(out: &mut Vec<u8>, ms: i64, standard: TimestampStandard, utc: bool) {
    write_date(out, ms.div_euclid(MS_PER_DAY));
    out.push(if standard == TimestampStandard::Sql {
        b' '
    } else {
        b'T'
    });
    let of_day = ms.rem_euclid(MS_PER_DAY) as u32;
    let (seconds, fraction) = (of_day / 1000, of_day % 1000);
    let (h, m, s) = (
        two_digits(seconds / 3600),
        two_digits(seconds / 60 % 60),
        two_digits(seconds % 60),
    );
    out.extend_from_slice(&[h[0], h[1], b':', m[0], m[1], b':', s[0], s[1]]);
    if fraction != 0 {
        let tail = two_digits(fraction % 100);
        let digits = [b'.', b'0' + (fraction / 100) as u8, tail[0], tail[1]];
        let zeros = digits.iter().rev().take_while(|d| **d == b'0').count();
        out.extend_from_slice(&digits[..digits.len() - zeros]);
    }
    if utc {
        out.push(b'Z');
    }
}

fn two_digits(value: u32) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_reads_what_the_general_way_reads() {
        let base = b"2024-02-29 23:59:58.123";
        let mut texts: Vec<Vec<u8>> = vec![base.to_vec()];
        for at in 0..base.len() {
            for byte in (b' '..=b'~').chain([0, 9, 0x80, 0xff]) {
                let mut text = base.to_vec();
                text[at] = byte;
                texts.push(text);
            }
        }
        for text in texts {
            for (standard, utc) in [
                (TimestampStandard::Sql, false),
                (TimestampStandard::Iso8601, true),
            ] {
                let general = parse_timestamp(&text, standard, utc).map(|n| n.div_euclid(1_000_000) as i64);
                let quick = parse_timestamp_millis(&text, standard, utc);
                assert_eq!(quick, general, "{}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn timestamps_read_and_write_in_both_standards() {
        let sql = |text: &str| parse_timestamp(text.as_bytes(), TimestampStandard::Sql, false);
        assert_eq!(sql("1970-01-01 00:00:01.5"), Some(1_500_000_000));
        assert_eq!(sql("2024-02-31 00:00:00"), sql("2024-02-29 00:00:00"));
        for refused in [
            "2024-5-1 1:2:3",
            "2024-05-01",
            "2024-05-01T10:20:30",
            "2024-05-01 10:20",
            "2024-05-01 24:00:00",
        ] {
            assert_eq!(sql(refused), None, "{refused}");
        }
        let iso = parse_timestamp(b"1970-01-01T00:01Z", TimestampStandard::Iso8601, true);
        assert_eq!(iso, Some(60_000_000_000));
        let mut out = Vec::new();
        write_timestamp(&mut out, -1, TimestampStandard::Sql, true);
        assert_eq!(out, b"1969-12-31 23:59:59.999999999Z");
        for ms in [
            0,
            -1,
            1,
            10,
            100,
            120,
            86_399_999,
            253_402_300_799_999,
            -62_167_219_200_000,
            i64::MAX / 1_000_000,
        ] {
            for (standard, utc) in [
                (TimestampStandard::Sql, false),
                (TimestampStandard::Iso8601, true),
            ] {
                let (mut general, mut quick) = (Vec::new(), Vec::new());
                write_timestamp(&mut general, i128::from(ms) * 1_000_000, standard, utc);
                write_timestamp_millis(&mut quick, ms, standard, utc);
                assert_eq!(quick, general, "{ms}");
            }
        }
        assert_eq!(parse_date(b"2023-02-29"), None);
        assert_eq!(parse_time(b"10:20:30.999"), Some(37_230_999));
    }
}
