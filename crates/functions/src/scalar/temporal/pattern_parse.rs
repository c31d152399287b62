//! Reading dates and times by a pattern.

use millstream_types::calendar::{days_from_civil, days_in_month};

use super::civil::{days_in_year, hybrid_days};
use super::pattern::{Dialect, Element, MONTHS, Pattern, WEEKDAYS};
use super::values::{MILLIS_PER_DAY, NANOS_PER_DAY, NANOS_PER_SECOND};

/// Years that two digits can mean, back from the current year.
const CENTURY_BACK_YEARS: i64 = 80;
/// Most digits of one number in a text that is read by a pattern of date and time.
const DIGITS_MAX: usize = 18;

/// The fields found in a text.
#[derive(Clone, Default, Debug)]
struct Fields {
    era_before: bool,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    /// Hour of the day, 0 to 23.
    hour: Option<i64>,
    /// Hour of the half day, 0 to 11.
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    /// Fraction of the second: nanoseconds (formatter) or milliseconds (simple).
    fraction: Option<i64>,
    iso_weekday: Option<i64>,
    offset_seconds: Option<i64>,
}

impl Pattern {
    /// Wall-clock nanoseconds since the epoch of a text by the rules of the formatter dialect. Parts that the pattern does
    /// not have are those of 1970-01-01 00:00:00. `None` if the text does not fit.
    pub fn parse_strict(&self, text: &str) -> Option<i128> {
        debug_assert_eq!(self.dialect, Dialect::Formatter);
        let mut fields = Fields::default();
        let rest = strict_elements(&self.elements, text, &mut fields)?;
        if rest.is_empty() {
            resolve_strict(&fields)
        } else {
            None
        }
    }

    /// Wall-clock milliseconds since the epoch of a text by the rules of the simple dialect, and the offset from UTC in
    /// seconds if the text has one. What follows the pattern's text is ignored. `None` if the text does not fit.
    pub fn parse_lenient(&self, text: &str, current_year: i64) -> Option<(i64, Option<i64>)> {
        debug_assert_eq!(self.dialect, Dialect::SimpleDate);
        let mut fields = Fields::default();
        let mut rest = text;
        for (i, element) in self.elements.iter().enumerate() {
            rest = match element {
                Element::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Element::Field { letter, count } => {
                    let abutting = matches!(self.elements.get(i + 1), Some(Element::Field { letter, count }) if is_numeric(*letter, *count));
                    lenient_field(*letter, *count, abutting, rest, current_year, &mut fields)?
                }
                Element::Optional(_) => return None,
            };
        }
        resolve_lenient(&fields)
    }
}

/// The digits at the start of a text, at most `most`, and the rest.
fn digits(text: &str, most: usize) -> Option<(i64, usize, &str)> {
    let count = text
        .bytes()
        .take(most.min(DIGITS_MAX))
        .take_while(u8::is_ascii_digit)
        .count();
    let value = text[..count].parse().ok()?;
    Some((value, count, &text[count..]))
}

/// The place of the name that a text begins with, and the rest.
fn name<'t>(text: &'t str, names: &[&str], full: bool, ignore_case: bool) -> Option<(i64, &'t str)> {
    names.iter().enumerate().find_map(|(i, name)| {
        let name = if full { name } else { name.get(..3)? };
        let found = text.get(..name.len())?;
        let same = if ignore_case {
            found.eq_ignore_ascii_case(name)
        } else {
            found == name
        };
        same.then(|| (i as i64, &text[name.len()..]))
    })
}

// ---- the simple dialect ----

/// Whether a field is read as a number, so that the number before it must keep to its width.
fn is_numeric(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count <= 2,
        'G' | 'E' | 'a' | 'z' | 'Z' | 'X' => false,
        _ => true,
    }
}

fn lenient_field<'t>(
    letter: char,
    count: usize,
    abutting: bool,
    text: &'t str,
    current_year: i64,
    fields: &mut Fields,
) -> Option<&'t str> {
    let text = text.trim_start_matches([' ', '\t']);
    if !is_numeric(letter, count) {
        return lenient_text(letter, text, fields);
    }
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) if !abutting => (true, magnitude),
        _ => (false, text),
    };
    let fixed = abutting && is_numeric(letter, count);
    if fixed && magnitude.len() < count {
        return None;
    }
    let (value, length, rest) = digits(magnitude, if fixed { count } else { DIGITS_MAX })?;
    let value = if negative { -value } else { value };
    match letter {
        'y' | 'Y' if count <= 2 && length == 2 && !negative => {
            let start = current_year - CENTURY_BACK_YEARS;
            let century = start.div_euclid(100) * 100 + if value < start.rem_euclid(100) { 100 } else { 0 };
            fields.year = Some(century + value);
        }
        'y' | 'Y' => fields.year = Some(value),
        'M' | 'L' => fields.month = Some(value),
        'd' => fields.day = Some(value),
        'D' => fields.day_of_year = Some(value),
        'H' => fields.hour = Some(value),
        'k' => fields.hour = Some(if value == 24 { 0 } else { value }),
        'K' => fields.half_hour = Some(value),
        'h' => fields.half_hour = Some(if value == 12 { 0 } else { value }),
        'm' => fields.minute = Some(value),
        's' => fields.second = Some(value),
        'S' => fields.fraction = Some(value),
        // Weeks and weekdays do not move a date that its month and day give.
        _ => {}
    }
    Some(rest)
}

fn lenient_text<'t>(letter: char, text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    match letter {
        'M' | 'L' => {
            let (month, rest) =
                name(text, &MONTHS, true, true).or_else(|| name(text, &MONTHS, false, true))?;
            fields.month = Some(month + 1);
            Some(rest)
        }
        'E' => {
            let (_, rest) =
                name(text, &WEEKDAYS, true, true).or_else(|| name(text, &WEEKDAYS, false, true))?;
            Some(rest)
        }
        'a' => {
            let (half, rest) = name(text, &["AM", "PM"], true, true)?;
            fields.afternoon = Some(half == 1);
            Some(rest)
        }
        'G' => {
            let (era, rest) = name(text, &["BC", "AD"], true, true)?;
            fields.era_before = era == 0;
            Some(rest)
        }
        _ => offset(text, fields),
    }
}

/// `Z`, `+08`, `+0800`, `+08:00`, `GMT+08:00`, `UTC`.
fn offset<'t>(text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let named = ["GMT", "UTC", "Z"]
        .iter()
        .find_map(|name| text.strip_prefix(name));
    let rest = named.unwrap_or(text);
    let sign = match rest.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ if named.is_some() => {
            fields.offset_seconds = Some(0);
            return Some(rest);
        }
        _ => return None,
    };
    let (hours, _, rest) = digits(&rest[1..], 2)?;
    let after_colon = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = match digits(after_colon, 2) {
        Some((minutes, 2, rest)) => (minutes, rest),
        _ => (0, rest),
    };
    fields.offset_seconds = Some(sign * (hours * 3600 + minutes * 60));
    Some(rest)
}

fn resolve_lenient(fields: &Fields) -> Option<(i64, Option<i64>)> {
    let year = fields.year.unwrap_or(1970);
    let year = if fields.era_before { 1 - year } else { year };
    let bounded = |value: i64| value.unsigned_abs() < 1 << 40;
    let all = [
        fields.year,
        fields.month,
        fields.day,
        fields.hour,
        fields.minute,
        fields.second,
    ];
    if !all.into_iter().flatten().all(bounded) {
        return None;
    }
    let days = match fields.day_of_year {
        Some(day) if fields.month.is_none() => hybrid_days(year, 1, day),
        _ => hybrid_days(year, fields.month.unwrap_or(1), fields.day.unwrap_or(1)),
    };
    let half = fields.half_hour.unwrap_or(0) + if fields.afternoon == Some(true) { 12 } else { 0 };
    let hour = fields.hour.unwrap_or(half);
    let clock = hour * 3_600_000 + fields.minute.unwrap_or(0) * 60_000 + fields.second.unwrap_or(0) * 1_000;
    let millis = days
        .checked_mul(MILLIS_PER_DAY)?
        .checked_add(clock)?
        .checked_add(fields.fraction.unwrap_or(0))?;
    Some((millis, fields.offset_seconds))
}

// ---- the formatter dialect ----

fn strict_elements<'t>(elements: &[Element], text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let mut rest = text;
    for (i, element) in elements.iter().enumerate() {
        rest = match element {
            Element::Literal(literal) => rest.strip_prefix(literal.as_str())?,
            Element::Optional(inner) => {
                let mut attempt = fields.clone();
                match strict_elements(inner, rest, &mut attempt) {
                    Some(after) => {
                        *fields = attempt;
                        after
                    }
                    None => rest,
                }
            }
            Element::Field { letter, count } => {
                let reserved = elements[i + 1..].iter().map_while(fixed_width).sum();
                strict_field(*letter, *count, reserved, rest, fields)?
            }
        };
    }
    Some(rest)
}

/// Digits that a field of fixed width takes.
fn fixed_width(element: &Element) -> Option<usize> {
    match element {
        Element::Field {
            letter: 'M' | 'L' | 'd' | 'H' | 'h' | 'k' | 'K' | 'm' | 's' | 'y' | 'u',
            count: 2,
        } => Some(2),
        Element::Field {
            letter: 'D',
            count: 3,
        } => Some(3),
        Element::Field { letter: 'S', count } => Some(*count),
        _ => None,
    }
}

/// Least and most digits of a numeric field.
fn widths(letter: char, count: usize) -> (usize, usize) {
    match (letter, count) {
        ('S', n) => (n, n),
        ('D', 2 | 3) => (count, 3),
        ('y' | 'u' | 'Y', 2) => (2, 2),
        ('y' | 'u' | 'Y' | 'n' | 'N' | 'A', n) => (n, DIGITS_MAX),
        (_, 1) => (1, DIGITS_MAX),
        (_, n) => (n, n),
    }
}

fn strict_field<'t>(
    letter: char,
    count: usize,
    reserved: usize,
    text: &'t str,
    fields: &mut Fields,
) -> Option<&'t str> {
    if matches!(letter, 'M' | 'L' | 'E' | 'e' | 'c' | 'a' | 'G')
        && (count > 2 || matches!(letter, 'E' | 'a' | 'G'))
    {
        return strict_text(letter, count, text, fields);
    }
    let (least, most) = widths(letter, count);
    let (available, found, _) = digits(text, DIGITS_MAX.min(most.saturating_add(reserved)))?;
    let _ = available;
    let length = if most > least {
        found.saturating_sub(reserved).clamp(least, most)
    } else {
        most
    };
    if found < length {
        return None;
    }
    // A year of more digits than the pattern's letters needs a plus sign, which no pattern of fixed fields has.
    if matches!(letter, 'y' | 'u' | 'Y') && count >= 4 && length > count {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    let value: i64 = digits.parse().ok()?;
    match letter {
        'y' | 'u' | 'Y' => fields.year = Some(if count == 2 { 2000 + value } else { value }),
        'M' | 'L' => fields.month = Some(value),
        'd' => fields.day = Some(value),
        'D' => fields.day_of_year = Some(value),
        'H' => fields.hour = Some(value),
        'k' => fields.hour = (1..=24).contains(&value).then_some(value % 24),
        'K' => fields.half_hour = (0..=11).contains(&value).then_some(value),
        'h' => fields.half_hour = (1..=12).contains(&value).then_some(value % 12),
        'm' => fields.minute = Some(value),
        's' => fields.second = Some(value),
        'S' => fields.fraction = Some(value * 10i64.pow(9 - count.min(9) as u32)),
        'n' => fields.fraction = Some(value),
        'Q' | 'q' | 'w' | 'W' | 'F' | 'e' | 'c' => {}
        _ => return None,
    }
    Some(rest)
}

fn strict_text<'t>(letter: char, count: usize, text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let full = count == 4;
    let (value, rest) = match letter {
        'M' | 'L' => name(text, &MONTHS, full, false)?,
        'E' | 'e' | 'c' => name(text, &WEEKDAYS, full, false)?,
        'a' => name(text, &["AM", "PM"], true, false)?,
        _ if full => name(text, &["Before Christ", "Anno Domini"], true, false)?,
        _ => name(text, &["BC", "AD"], true, false)?,
    };
    match letter {
        'M' | 'L' => fields.month = Some(value + 1),
        'E' | 'e' | 'c' => fields.iso_weekday = Some(value + 1),
        'a' => fields.afternoon = Some(value == 1),
        _ => fields.era_before = value == 0,
    }
    Some(rest)
}

fn resolve_strict(fields: &Fields) -> Option<i128> {
    let year = fields.year.unwrap_or(1970);
    let year = if fields.era_before { 1 - year } else { year };
    let mut days = match (fields.day_of_year, fields.month) {
        (Some(day), None) => {
            if !(1..=days_in_year(year)).contains(&day) {
                return None;
            }
            days_from_civil(year, 1, 1) + day - 1
        }
        _ => {
            let (month, day) = (fields.month.unwrap_or(1), fields.day.unwrap_or(1));
            if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                return None;
            }
            // A day that the month does not have becomes its last.
            days_from_civil(
                year,
                month as u32,
                (day as u32).min(days_in_month(year, month as u32)),
            )
        }
    };
    if fields
        .iso_weekday
        .is_some_and(|weekday| weekday != super::civil::iso_day_of_week(days))
    {
        return None;
    }
    let half = match (fields.half_hour, fields.afternoon) {
        (Some(hour), Some(afternoon)) => Some(hour + if afternoon { 12 } else { 0 }),
        _ => None,
    };
    let mut hour = fields.hour.or(half).unwrap_or(0);
    let (minute, second) = (fields.minute.unwrap_or(0), fields.second.unwrap_or(0));
    let fraction = fields.fraction.unwrap_or(0);
    if hour == 24 && minute == 0 && second == 0 && fraction == 0 {
        hour = 0;
        days += 1;
    }
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let seconds = i128::from((hour * 60 + minute) * 60 + second);
    Some(i128::from(days) * NANOS_PER_DAY + seconds * NANOS_PER_SECOND + i128::from(fraction))
}
