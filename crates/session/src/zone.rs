//! The session's time zone.

use jiff::tz::{Offset, TimeZone};

/// The zone of `table.local-time-zone`: a full name (`Asia/Tokyo`), `UTC`, or an offset as Flink takes it
/// (`GMT-08:00`). Abbreviations and bare offsets are refused, as in Flink.
pub fn parse(name: &str) -> Result<TimeZone, String> {
    let wrong = || {
        format!(
            "invalid time zone '{name}' in 'table.local-time-zone'. The value should be a Time Zone Database ID such as \
             'America/Los_Angeles' to include daylight saving time. Fixed offsets are supported using 'GMT-03:00' or \
             'GMT+03:00'. Or use 'UTC' without time zone and daylight saving time"
        )
    };
    if matches!(name, "UTC" | "GMT" | "Z") {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")) {
        return fixed(offset).ok_or_else(wrong);
    }
    // Short names are links of the database (EST, MST), or not in it (PST): Flink refuses them all.
    if !name.contains('/') {
        return Err(wrong());
    }
    TimeZone::get(name).map_err(|_| wrong())
}

/// `+3`, `-09:30`, `+0530`.
fn fixed(text: &str) -> Option<TimeZone> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60))
        .ok()
        .map(TimeZone::fixed)
}

/// The zone of the machine, by name; UTC if it has none.
pub fn system_name() -> String {
    TimeZone::system()
        .iana_name()
        .map_or_else(|| "UTC".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_that_flink_takes() {
        for good in ["UTC", "Asia/Tokyo", "GMT+3", "GMT-09:30", "GMT-03:30"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["Mars/Olympus", "PST", "+05:30", "Nowhere/City", "", "GMT+99"] {
            assert!(parse(bad).unwrap_err().contains("time zone"), "{bad}");
        }
    }
}
