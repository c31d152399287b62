//! Writing dates and times by a pattern.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use millstream_types::calendar::civil_from_days;

use super::civil::{day_of_year, hybrid_civil, iso_day_of_week, us_week, us_week_of_month};
use super::pattern::{Dialect, Element, MONTHS, Pattern, WEEKDAYS};
use super::values::{NANOS_PER_DAY, NANOS_PER_SECOND};
use crate::scalar::EvalError;

/// A point in time on a wall clock.
#[derive(Clone, Copy)]
pub struct WallClock<'z> {
    days: i64,
    year: i64,
    month: u32,
    day: u32,
    nanos_of_day: i128,
    /// The zone and the instant in milliseconds, where there is one.
    zone: Option<(&'z TimeZone, i64)>,
}

impl<'z> WallClock<'z> {
    /// From wall-clock nanoseconds since the epoch, without a zone.
    pub fn new(nanos: i128) -> Self {
        let days = nanos.div_euclid(NANOS_PER_DAY) as i64;
        let (year, month, day) = civil_from_days(days);
        Self {
            days,
            year,
            month,
            day,
            nanos_of_day: nanos.rem_euclid(NANOS_PER_DAY),
            zone: None,
        }
    }

    /// From an instant shown in a zone, with the calendar of `java.util`.
    pub fn in_zone(local_nanos: i128, zone: &'z TimeZone, utc_ms: i64) -> Self {
        let mut clock = Self::new(local_nanos);
        (clock.year, clock.month, clock.day) = hybrid_civil(clock.days);
        clock.zone = Some((zone, utc_ms));
        clock
    }

    fn hour(&self) -> i64 {
        (self.nanos_of_day / (3_600 * NANOS_PER_SECOND)) as i64
    }

    fn nano(&self) -> i64 {
        (self.nanos_of_day % NANOS_PER_SECOND) as i64
    }
}

/// A letter for which the value has no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a TIMESTAMP has no time zone or offset for the letter '{0}' of the date and time pattern")]
pub struct NoSuchField(pub char);

impl From<NoSuchField> for EvalError {
    fn from(error: NoSuchField) -> Self {
        Self::Data(error.to_string())
    }
}

impl Pattern {
    /// Appends the text of a point in time; the error names a field that it does not have.
    pub fn format(&self, clock: &WallClock<'_>, out: &mut String) -> Result<(), NoSuchField> {
        format_elements(&self.elements, self.dialect, clock, out)
    }
}

fn format_elements(
    elements: &[Element],
    dialect: Dialect,
    clock: &WallClock<'_>,
    out: &mut String,
) -> Result<(), NoSuchField> {
    for element in elements {
        match element {
            Element::Literal(text) => out.push_str(text),
            Element::Optional(inner) => {
                // A part that cannot be written is left out.
                let length = out.len();
                if format_elements(inner, dialect, clock, out).is_err() {
                    out.truncate(length);
                }
            }
            Element::Field { letter, count } => match dialect {
                Dialect::Formatter => formatter_field(*letter, *count, clock, out)?,
                Dialect::SimpleDate => simple_field(*letter, *count, clock, out),
            },
        }
    }
    Ok(())
}

fn number(value: i64, width: usize, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    // Writing to a string does not fail.
    let _ = write!(out, "{:0width$}", value.unsigned_abs());
}

fn name(names: &[&str], index: i64, full: bool, out: &mut String) {
    let name = usize::try_from(index)
        .ok()
        .and_then(|i| names.get(i))
        .copied()
        .unwrap_or_default();
    out.push_str(if full { name } else { name.get(..3).unwrap_or(name) });
}

/// The fields that both dialects write alike; false if the letter is none of them.
fn shared_field(letter: char, count: usize, clock: &WallClock<'_>, out: &mut String) -> bool {
    let second_of_day = (clock.nanos_of_day / NANOS_PER_SECOND) as i64;
    match letter {
        'd' => number(i64::from(clock.day), count, out),
        'D' => number(day_of_year(clock.days), count, out),
        'H' => number(clock.hour(), count, out),
        'k' => number(if clock.hour() == 0 { 24 } else { clock.hour() }, count, out),
        'K' => number(clock.hour() % 12, count, out),
        'h' => number((clock.hour() + 11) % 12 + 1, count, out),
        'm' => number(second_of_day / 60 % 60, count, out),
        's' => number(second_of_day % 60, count, out),
        'a' => out.push_str(if clock.hour() < 12 { "AM" } else { "PM" }),
        'w' => number(us_week(clock.days).1, count, out),
        'W' => number(us_week_of_month(clock.days), count, out),
        'F' => number((i64::from(clock.day) - 1) / 7 + 1, count, out),
        _ => return false,
    }
    true
}

/// `yy` is the last two digits, anything else the whole year.
fn year(value: i64, count: usize, out: &mut String) {
    if count == 2 {
        number(value.rem_euclid(100), 2, out)
    } else {
        number(value, count, out)
    }
}

fn formatter_field(
    letter: char,
    count: usize,
    clock: &WallClock<'_>,
    out: &mut String,
) -> Result<(), NoSuchField> {
    if shared_field(letter, count, clock, out) {
        return Ok(());
    }
    let year_of_era = if clock.year > 0 {
        clock.year
    } else {
        1 - clock.year
    };
    let quarter = (i64::from(clock.month) + 2) / 3;
    let iso_day = iso_day_of_week(clock.days);
    match letter {
        'G' => out.push_str(match (clock.year > 0, count) {
            (true, 4) => "Anno Domini",
            (false, 4) => "Before Christ",
            (true, 5) => "A",
            (false, 5) => "B",
            (true, _) => "AD",
            (false, _) => "BC",
        }),
        'y' => year(year_of_era, count, out),
        'u' => year(clock.year, count, out),
        'Y' => year(us_week(clock.days).0, count, out),
        'M' | 'L' if count <= 2 => number(i64::from(clock.month), count, out),
        'M' | 'L' if count == 5 => out.extend(MONTHS[clock.month as usize - 1].chars().next()),
        'M' | 'L' => name(&MONTHS, i64::from(clock.month) - 1, count == 4, out),
        'Q' | 'q' => match count {
            1 | 2 => number(quarter, count, out),
            3 => out.push_str(&format!("Q{quarter}")),
            4 => out
                .push_str(["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"][quarter as usize - 1]),
            _ => number(quarter, 1, out),
        },
        'e' | 'c' if count <= 2 => number(iso_day % 7 + 1, count, out),
        'E' | 'e' | 'c' if count == 5 => out.extend(WEEKDAYS[iso_day as usize - 1].chars().next()),
        'E' | 'e' | 'c' => name(&WEEKDAYS, iso_day - 1, count == 4, out),
        'S' => {
            let digits = format!("{:09}", clock.nano());
            out.push_str(&digits[..count.min(9)]);
        }
        'n' => number(clock.nano(), count, out),
        'N' => number(clock.nanos_of_day as i64, count, out),
        'A' => number((clock.nanos_of_day / 1_000_000) as i64, count, out),
        _ => {
            return Err(NoSuchField(letter));
        }
    }
    Ok(())
}

fn simple_field(letter: char, count: usize, clock: &WallClock<'_>, out: &mut String) {
    if shared_field(letter, count, clock, out) {
        return;
    }
    let year_of_era = if clock.year > 0 {
        clock.year
    } else {
        1 - clock.year
    };
    let iso_day = iso_day_of_week(clock.days);
    match letter {
        'G' => out.push_str(if clock.year > 0 { "AD" } else { "BC" }),
        'y' => year(year_of_era, count, out),
        'Y' => year(us_week(clock.days).0, count, out),
        'M' | 'L' if count <= 2 => number(i64::from(clock.month), count, out),
        'M' | 'L' => name(&MONTHS, i64::from(clock.month) - 1, count >= 4, out),
        'E' => name(&WEEKDAYS, iso_day - 1, count >= 4, out),
        'u' => number(iso_day, count, out),
        'S' => number(clock.nano() / 1_000_000, count, out),
        _ => zone_field(letter, count, clock, out),
    }
}

fn zone_field(letter: char, count: usize, clock: &WallClock<'_>, out: &mut String) {
    let utc = TimeZone::UTC;
    let (zone, utc_ms) = clock.zone.unwrap_or((&utc, 0));
    let instant = Timestamp::from_millisecond(utc_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let info = zone.to_offset_info(instant);
    let seconds = i64::from(info.offset().seconds());
    let (sign, hours, minutes) = (
        if seconds < 0 { '-' } else { '+' },
        seconds.abs() / 3600,
        seconds.abs() / 60 % 60,
    );
    match (letter, count) {
        ('X', _) if seconds == 0 => out.push('Z'),
        ('X', 1) => out.push_str(&format!("{sign}{hours:02}")),
        ('X', 3) => out.push_str(&format!("{sign}{hours:02}:{minutes:02}")),
        ('X' | 'Z', _) => out.push_str(&format!("{sign}{hours:02}{minutes:02}")),
        // Java says GMT+08:00 where a zone has no name.
        _ if zone.iana_name().is_none() && seconds != 0 => {
            out.push_str(&format!("GMT{sign}{hours:02}:{minutes:02}"));
        }
        _ => out.push_str(info.abbreviation()),
    }
}
