//! The form of DATE, TIME and TIMESTAMP literals.
//!
//! Only the form and the calendar are checked; nothing is converted, and the limits of the types are not known here.

/// `y-M-d` with an existing day.
pub fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 9), number(month, 2), number(day, 2)) else {
        return false;
    };
    (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month)
}

/// `H:m:s` with an optional fraction.
pub fn is_time(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':');
    let (Some(hour), Some(minute), Some(second), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let in_range = |text: &str, end: u32| number(text, 2).is_some_and(|value| value < end);
    let is_fraction =
        fraction.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    is_fraction && in_range(hour, 24) && in_range(minute, 60) && in_range(second, 60)
}

/// A date, or a date and a time with one blank between them.
pub fn is_timestamp(text: &str) -> bool {
    match text.split_once(' ') {
        Some((date, time)) => is_date(date) && is_time(time),
        None => is_date(text),
    }
}

fn number(text: &str, digits_max: usize) -> Option<u32> {
    let is_number = !text.is_empty() && text.len() <= digits_max && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn days_in_month(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        for date in ["2024-02-29", "2024-1-5", "0001-01-01", "9999-12-31"] {
            assert!(is_date(date), "{date}");
        }
        for date in [
            "2023-02-29",
            "2024-13-01",
            "24-1-1x",
            "2024-01",
            "2024-00-10",
            "",
            "2024-04-31",
            "-1-1-1",
        ] {
            assert!(!is_date(date), "{date}");
        }
    }

    #[test]
    fn knows_the_clock() {
        for time in ["00:00:00", "23:59:59.123456789", "1:2:3"] {
            assert!(is_time(time), "{time}");
        }
        for time in ["24:00:00", "12:60:00", "12:00", "12:00:00.", "", "12:00:00Z"] {
            assert!(!is_time(time), "{time}");
        }
        assert!(is_timestamp("2024-01-01"));
        assert!(is_timestamp("2024-01-01 00:00:00.5"));
        assert!(!is_timestamp("2024-01-01T00:00:00"));
        assert!(!is_timestamp("2024-01-01 24:00:00"));
    }
}
