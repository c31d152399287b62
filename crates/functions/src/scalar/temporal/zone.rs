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

/// The zone of the setting `table.local-time-zone`: a region such as `Europe/Berlin`, `UTC`, or `GMT` with an offset.
pub fn session_zone(name: &str) -> Result<TimeZone, String> {
    region(name).or_else(|| custom_offset(name)).ok_or_else(|| {
        format!("invalid time zone '{name}': use a region such as 'America/Los_Angeles', 'UTC', or an offset such as 'GMT-08:00'")
    })
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

/// `GMT+8`, `GMT+08:00`, `GMT-0330`.
fn custom_offset(name: &str) -> Option<TimeZone> {
    let rest = ["GMT", "UTC", "UT"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<i32>().ok())
            .flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(TimeZone::fixed(offset))
}

/// The instant of a wall-clock time in milliseconds as `java.util` finds it: the later of two, and past a gap by the gap's
/// length.
pub(crate) fn to_utc_millis(zone: &mut ZoneOffsets, local_ms: i64) -> i64 {
    let before = zone.offset_ms(local_ms.saturating_sub(MILLIS_PER_DAY));
    let after = zone.offset_ms(local_ms.saturating_add(MILLIS_PER_DAY));
    let later = local_ms.saturating_sub(after);
    if before != after && zone.offset_ms(later) != after {
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
        assert!(session_zone("PST").is_err());
        assert!(session_zone("GMT-09:30").is_ok());
        assert!(session_zone("+05:30").is_err());
    }

    #[test]
    fn ambiguous_times_are_the_later() {
        let mut zone = ZoneOffsets::new(TimeZone::get("America/New_York").expect("a bundled zone"));
        // 2024-11-03 01:30 is taken as EST, 06:30 UTC; 2024-03-10 02:30 as 03:30 EDT, 07:30 UTC.
        assert_eq!(to_utc_millis(&mut zone, 1_730_597_400_000), 1_730_615_400_000);
        assert_eq!(to_utc_millis(&mut zone, 1_710_037_800_000), 1_710_055_800_000);
    }
}
