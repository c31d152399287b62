//! Time zones by the names that Java knows.

use jiff::tz::{Offset, TimeZone};

use crate::display::ZoneOffsets;
use crate::scalar::temporal::values::MILLIS_PER_DAY;

/// Three-letter names that Java keeps for old programs.
const SHORT_NAMES: [(&str, &str); 25] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

/// Names that the tz database has as regions and `java.time.ZoneId` does not.
const ONLY_SHORT: [&str; 5] = ["EST", "MST", "HST", "ROC", "Factory"];
/// Hours of an offset for `java.util.TimeZone`.
const JAVA_HOURS_MAX: i32 = 23;
/// Hours of an offset for `java.time.ZoneId`; with these no minutes.
const ZONE_ID_HOURS_MAX: i32 = 18;

/// The zone that `java.util.TimeZone` knows by this name; an unknown name is GMT.
pub fn java_time_zone(name: &str) -> TimeZone {
    let short = SHORT_NAMES
        .iter()
        .find(|(short, _)| *short == name)
        .map(|(_, long)| *long);
    region(short.unwrap_or(name))
        .or_else(|| custom_offset(name))
        .unwrap_or(TimeZone::UTC)
}

/// A name that is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    #[error(
        "invalid time zone '{0}' in 'table.local-time-zone'. The value should be a Time Zone Database ID such as \
         'America/Los_Angeles' to include daylight saving time. Fixed offsets are supported using 'GMT-03:00' or \
         'GMT+03:00'. Or use 'UTC' without time zone and daylight saving time"
    )]
    Session(String),
    #[error(
        "invalid time zone '{0}': use a region such as 'America/Los_Angeles', 'UTC', or an offset such as 'GMT-08:00'"
    )]
    Argument(String),
}

/// The zone of the setting `table.local-time-zone`. Flink takes a name if `java.util.TimeZone` and `java.time.ZoneId`
/// agree on it: a region of the tz database (`Europe/Berlin`, `Japan`, `EST5EDT`), `UTC`, or `GMT` with an offset of at
/// most 18 hours. Short names (`PST`, `EST`), bare offsets and offsets behind `UTC` are refused.
pub fn session_zone(name: &str) -> Result<TimeZone, ZoneError> {
    let zone = match name
        .strip_prefix("GMT")
        .filter(|rest| rest.starts_with(['+', '-']))
    {
        Some(offset) => written_offset(offset),
        None if matches!(name, "Z" | "UT") || ONLY_SHORT.contains(&name) => None,
        None => region(name),
    };
    zone.ok_or_else(|| ZoneError::Session(name.to_owned()))
}

/// The zone that a function's argument names, as `java.time.ZoneId`: a region, `UTC`, or an offset, bare or behind `GMT`,
/// `UTC` or `UT`.
pub(crate) fn argument_zone(name: &str) -> Result<TimeZone, ZoneError> {
    let named = (!ONLY_SHORT.contains(&name)).then(|| region(name)).flatten();
    let found = named
        .or_else(|| custom_offset(name))
        .or_else(|| written_offset(name));
    found.ok_or_else(|| ZoneError::Argument(name.to_owned()))
}

/// A zone of the tz database; names are case-sensitive.
fn region(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "GMT" | "UT" | "Z") {
        return Some(TimeZone::UTC);
    }
    TimeZone::get(name)
        .ok()
        .filter(|zone| zone.iana_name() == Some(name))
}

/// `GMT+8`, `GMT+08:00`, `GMT-0330`, as `java.util.TimeZone` reads them.
fn custom_offset(name: &str) -> Option<TimeZone> {
    let rest = ["GMT", "UTC", "UT"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let (sign, digits) = signed(rest)?;
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    fixed(sign, hours, minutes, JAVA_HOURS_MAX)
}

/// `+8`, `+08`, `+08:00`, `-0330`: what both of Java's classes read.
fn written_offset(text: &str) -> Option<TimeZone> {
    let (sign, digits) = signed(text)?;
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), 5) if hours.len() == 2 => (hours, minutes),
        (None, 4) => digits.split_at_checked(2)?,
        (None, 1 | 2) => (digits, "0"),
        _ => return None,
    };
    fixed(sign, hours, minutes, ZONE_ID_HOURS_MAX)
}

fn signed(text: &str) -> Option<(i32, &str)> {
    match text.split_at_checked(1)? {
        ("+", digits) => Some((1, digits)),
        ("-", digits) => Some((-1, digits)),
        _ => None,
    }
}

fn fixed(sign: i32, hours: &str, minutes: &str, hours_max: i32) -> Option<TimeZone> {
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<i32>().ok())
            .flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > hours_max || minutes > 59 || (hours == ZONE_ID_HOURS_MAX && hours == hours_max && minutes > 0)
    {
        return None;
    }
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(TimeZone::fixed(offset))
}

/// 1900-01-01: `java.util.TimeZone` knows no transitions before it.
const UTIL_FIRST_MS: i64 = -2_208_988_800_000;
/// Two instants of 2040, half a year apart: one of them has standard time.
const LATE_MS: [i64; 2] = [2_208_988_800_000, 2_224_713_600_000];

/// Milliseconds that local time is ahead of UTC at an instant, as `java.util.TimeZone` has it: before 1900 a zone has its
/// present standard time, not its local mean time.
pub(crate) fn util_offset_ms(zone: &mut ZoneOffsets, utc_ms: i64) -> i64 {
    if utc_ms >= UTIL_FIRST_MS {
        return zone.offset_ms(utc_ms);
    }
    let [winter, summer] = LATE_MS.map(|late_ms| zone.offset_ms(late_ms));
    winter.min(summer)
}

/// The instant of a wall-clock time in milliseconds as `java.util` finds it: the later of two, and past a gap by the gap's
/// length.
pub(crate) fn to_utc_millis(zone: &mut ZoneOffsets, local_ms: i64) -> i64 {
    let before = util_offset_ms(zone, local_ms.saturating_sub(MILLIS_PER_DAY));
    let after = util_offset_ms(zone, local_ms.saturating_add(MILLIS_PER_DAY));
    let later = local_ms.saturating_sub(after);
    if before != after && util_offset_ms(zone, later) != after {
        local_ms.saturating_sub(before)
    } else {
        later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_java() {
        let offset = |name: &str| {
            java_time_zone(name)
                .to_offset(jiff::Timestamp::UNIX_EPOCH)
                .seconds()
        };
        assert_eq!(offset("GMT+08:00"), 28_800);
        assert_eq!(offset("GMT-03:30"), -12_600);
        assert_eq!(offset("GMT+3"), 10_800);
        assert_eq!(offset("+08:00"), 0);
        assert_eq!(offset("Nowhere/City"), 0);
        assert_eq!(offset("asia/tokyo"), 0);
        assert_eq!(offset("PST"), -28_800);
    }

    /// What `TimeZone.getTimeZone(name).toZoneId().equals(ZoneId.of(name))` returned on Java 17.
    #[test]
    fn session_zones_are_those_on_which_javas_classes_agree() {
        let taken = "UTC GMT GMT+3 GMT+03 GMT-03:30 GMT-09:30 GMT+0330 GMT+00:00 GMT0 GMT+0 GMT+18:00 GMT+15 CET EST5EDT \
                     Japan GB NZ PRC Cuba Turkey UCT Zulu PST8PDT Etc/GMT+5 Etc/UTC Asia/Tokyo Asia/Calcutta US/Pacific \
                     Europe/Kyiv";
        for name in taken.split_whitespace() {
            assert!(session_zone(name).is_ok(), "{name}");
        }
        let refused = "Z UT UTC+1 GMT+330 GMT+3:30 GMT+19:00 GMT+18:30 GMT+99 GMT+ EST MST HST ROC PST Factory asia/tokyo \
                       +05:30 Mars/Olympus Nowhere/City";
        for name in refused.split_whitespace().chain([""]) {
            let error = session_zone(name).expect_err(name).to_string();
            assert!(error.contains(&format!("time zone '{name}'")), "{error}");
        }
    }

    #[test]
    fn ambiguous_times_are_the_later() {
        let mut zone = ZoneOffsets::new(TimeZone::get("America/New_York").expect("a bundled zone"));
        // 2024-11-03 01:30 is taken as EST, 06:30 UTC; 2024-03-10 02:30 as 03:30 EDT, 07:30 UTC.
        assert_eq!(to_utc_millis(&mut zone, 1_730_597_400_000), 1_730_615_400_000);
        assert_eq!(to_utc_millis(&mut zone, 1_710_037_800_000), 1_710_055_800_000);
    }
}
