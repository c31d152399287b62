//! Dates, times and timestamps as Flink reads them.

use millstream_types::calendar::{days_from_civil, days_in_month};

use super::Reason;

const NANOS_PER_DAY: i128 = 86_400_000_000_000;
/// Largest year of a date that is written as text.
const YEAR_MAX: i64 = 9999;

/// Days since the epoch of `2024-02-29`, `2024-2`, `2024`, or of the date in front of a blank.
pub fn parse_date(text: &str) -> Result<i32, Reason> {
    let date = match text.find(' ') {
        Some(blank) if blank > 0 => &text[..blank],
        _ => text,
    };
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next().unwrap_or_default()).ok_or(Reason::NotADate)?;
    let mut part = || parts.next().map_or(Some(1), number);
    let (month, day) = (part().ok_or(Reason::NotADate)?, part().ok_or(Reason::NotADate)?);
    let valid = (0..=YEAR_MAX).contains(&year)
        && (1..=12).contains(&month)
        && (1..=i64::from(days_in_month(year, month as u32))).contains(&day);
    if !valid {
        return Err(Reason::NotADate);
    }
    Ok(days_from_civil(year, month as u32, day as u32) as i32)
}

/// Digits only, blanks around them ignored.
fn number(text: &str) -> Option<i64> {
    let text = text.trim_matches(|c| c <= ' ');
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse::<i64>()
        .ok()
        .filter(|value| *value <= i64::from(i32::MAX))
}

/// Milliseconds of `12`, `12:34`, `12:34:56.789` or any of these with an offset (`+02:00`).
pub fn parse_time(text: &str) -> Result<i32, Reason> {
    let milliseconds = time_of_day(text).ok_or(Reason::NotATime)?;
    i32::try_from(milliseconds).map_err(|_| Reason::NotATime)
}

fn time_of_day(text: &str) -> Option<i64> {
    let (clock, zone, direction) = match (text.split_once('-'), text.split_once('+')) {
        (Some((clock, zone)), _) => (clock, Some(zone), -1),
        (None, Some((clock, zone))) => (clock, Some(zone), 1),
        (None, None) => (text, None, 1),
    };
    let (zone_hours, zone_minutes) = match zone {
        None => (0, 0),
        Some(zone) => match zone.split_once(':') {
            None => (number(zone)?, 0),
            Some((hours, minutes)) => (number(hours)?, number(minutes)?),
        },
    };
    let mut parts = clock.splitn(3, ':');
    let hour = number(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), number)?;
    let (second, milli) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (number(seconds)?, 0),
            Some((second, fraction)) => (number(second)?, thousandths(fraction.trim())),
        },
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = (hour + direction * zone_hours) * 60 + minute + direction * zone_minutes;
    Some(minutes * 60_000 + second * 1_000 + milli)
}

/// The first three digits, rounded by the fourth; what is not a digit counts as zero.
fn thousandths(fraction: &str) -> i64 {
    let mut value = 0;
    let mut bytes = fraction.bytes();
    for unit in [100, 10, 1] {
        let digit = bytes.next().unwrap_or(b'0');
        value += unit * i64::from(if digit.is_ascii_digit() { digit - b'0' } else { 0 });
    }
    value + i64::from(bytes.next().is_some_and(|next| next >= b'5'))
}

/// Wall-clock nanoseconds since the epoch of `2024-02-29 12:34:56.789` or a date alone, cut to the precision.
///
/// Month, day and time may have one digit. A day that the month does not have becomes its last, and 24:00:00 is the
/// start of the next day, as Java resolves them.
pub fn parse_timestamp(text: &str, precision: u8) -> Result<i128, Reason> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        at: 0,
    };
    reader
        .timestamp(precision)
        .ok_or(Reason::NotATimestamp(reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn timestamp(&mut self, precision: u8) -> Option<i128> {
        let year = self.digits(4, 4)?;
        self.expect(b'-')?;
        let month = self.digits(1, 2)?;
        self.expect(b'-')?;
        let day = self.digits(1, 2)?;
        if year == 0 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            self.at = 0;
            return None;
        }
        let day = day.min(i64::from(days_in_month(year, month as u32)));
        let of_day = if self.at < self.bytes.len() {
            self.clock(precision)?
        } else {
            0
        };
        if self.at < self.bytes.len() {
            return None;
        }
        let days = days_from_civil(year, month as u32, day as u32);
        Some(i128::from(days) * NANOS_PER_DAY + of_day)
    }

    /// ` 12:34:56.789` as nanoseconds.
    fn clock(&mut self, precision: u8) -> Option<i128> {
        self.expect(b' ')?;
        let hour = self.digits(1, 2)?;
        self.expect(b':')?;
        let minute = self.digits(1, 2)?;
        self.expect(b':')?;
        let second = self.digits(1, 2)?;
        let fraction = if self.bytes.get(self.at) == Some(&b'.') {
            self.fraction()
        } else {
            0
        };
        let end_of_day = hour == 24 && minute == 0 && second == 0 && fraction == 0;
        if !end_of_day && (hour > 23 || minute > 59 || second > 59) {
            return None;
        }
        let kept = fraction - fraction % 10i64.pow(9 - u32::from(precision.min(9)));
        Some(i128::from((hour * 60 + minute) * 60 + second) * 1_000_000_000 + i128::from(kept))
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.bytes.get(self.at) != Some(&byte) {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let start = self.at;
        let mut value = 0;
        while self.at - start < most && self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            value = value * 10 + i64::from(self.bytes[self.at] - b'0');
            self.at += 1;
        }
        (self.at - start >= least).then_some(value)
    }

    /// Up to nine digits behind the point, as nanoseconds.
    fn fraction(&mut self) -> i64 {
        self.at += 1;
        let start = self.at;
        let value = self.digits(0, 9).unwrap_or(0);
        value * 10i64.pow(9 - (self.at - start) as u32)
    }
}
