//! Dates beyond what `types` has: the calendar of `java.util`, weeks, and rounding to units of the calendar.

use millstream_types::calendar::{civil_from_days, days_from_civil, is_leap_year};

use super::unit::Unit;

/// First day of the Gregorian calendar in `java.util`: 1582-10-15.
const GREGORIAN_START_DAYS: i64 = -141_427;
/// Julian day number of 1970-01-01.
const EPOCH_JULIAN_DAY: i64 = 2_440_588;

/// Days since the epoch of a date whose month and day may be out of range: they roll over.
pub fn days_from_rolling(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    days_from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1) + day - 1
}

/// As [`days_from_rolling`] in the calendar of `java.util`: Julian before 1582-10-15.
pub fn hybrid_days(year: i64, month: i64, day: i64) -> i64 {
    let gregorian = days_from_rolling(year, month, day);
    if gregorian >= GREGORIAN_START_DAYS {
        return gregorian;
    }
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let shifted = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    // Day 0 of the Julian calendar that starts in March of year 0 is 719470 days before the epoch.
    let days = shifted * 365 + shifted.div_euclid(4) + (153 * from_march + 2) / 5 + day - 1 - 719_470;
    if days >= GREGORIAN_START_DAYS {
        gregorian
    } else {
        days
    }
}

/// Year, month and day in the calendar of `java.util`.
pub fn hybrid_civil(days: i64) -> (i64, u32, u32) {
    if days >= GREGORIAN_START_DAYS {
        return civil_from_days(days);
    }
    julian_civil(days)
}

/// Year, month and day in the Julian calendar.
fn julian_civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_470;
    let cycle = shifted.div_euclid(1_461);
    let in_cycle = shifted.rem_euclid(1_461);
    let year_of_cycle = (in_cycle - in_cycle / 1_460) / 365;
    let day_of_year = in_cycle - 365 * year_of_cycle;
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (
        cycle * 4 + year_of_cycle + i64::from(month <= 2),
        month as u32,
        day as u32,
    )
}

/// Day of the week, Monday 1 to Sunday 7.
pub fn iso_day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// Day of the year from 1.
pub fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = civil_from_days(days);
    days - days_from_civil(year, 1, 1) + 1
}

/// The ISO year and week.
pub fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - iso_day_of_week(days) + 4;
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// The year and week where weeks start on Sunday and week 1 has January 1.
pub fn us_week(days: i64) -> (i64, i64) {
    let saturday = days - iso_day_of_week(days) % 7 + 6;
    let (year, _, _) = civil_from_days(saturday);
    let first = days_from_civil(year, 1, 1);
    let first_sunday = first - iso_day_of_week(first) % 7;
    (year, (days - first_sunday) / 7 + 1)
}

/// The week of the month where weeks start on Sunday and week 1 has the first day.
pub fn us_week_of_month(days: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let first = days_from_civil(year, month, 1);
    (i64::from(day) + iso_day_of_week(first) % 7 - 1) / 7 + 1
}

/// Number of days of a year.
pub fn days_in_year(year: i64) -> i64 {
    if is_leap_year(year) { 366 } else { 365 }
}

/// The start of a unit of days or longer, or for `up` the start of the next one unless the date is a start itself. The unit
/// is looked up in the Julian calendar before 1582-10-15, as Flink does; weeks start on Sunday.
pub(crate) fn round_date(unit: Unit, days: i64, up: bool) -> Option<i64> {
    let julian = days + EPOCH_JULIAN_DAY <= 2_299_160;
    let (year, month, day) = if julian {
        julian_civil(days)
    } else {
        civil_from_days(days)
    };
    let (month, day) = (i64::from(month), i64::from(day));
    let start = |year: i64, month: i64| days_from_rolling(year, month, 1);
    let step = i64::from(up);
    Some(match unit {
        Unit::Millennium => start(1000 * ((year + 999) / 1000) - 999 + 1000 * step, 1),
        Unit::Century => start(100 * ((year + 99) / 100) - 99 + 100 * step, 1),
        Unit::Decade => start(10 * (year / 10 + step), 1),
        Unit::Year => start(year + i64::from(up && (month > 1 || day > 1)), 1),
        // Flink goes to the next quarter from every date but January 1.
        Unit::Quarter => start(
            year,
            ((month + 2) / 3 + i64::from(up && (month > 1 || day > 1))) * 3 - 2,
        ),
        Unit::Month => start(year, month + i64::from(up && day > 1)),
        Unit::Week => {
            let since_sunday = iso_day_of_week(days) % 7;
            days - since_sunday + if up && since_sunday > 0 { 7 } else { 0 }
        }
        Unit::Day => days,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hybrid_calendar_skips_ten_days() {
        assert_eq!(hybrid_days(1582, 10, 15) - hybrid_days(1582, 10, 4), 1);
        assert_eq!(hybrid_civil(hybrid_days(1582, 10, 4)), (1582, 10, 4));
        assert_eq!(hybrid_civil(hybrid_days(1, 1, 1)), (1, 1, 1));
        assert_eq!(hybrid_civil(hybrid_days(1500, 2, 29)), (1500, 2, 29));
        assert_eq!(hybrid_days(1, 1, 1), days_from_civil(0, 12, 30));
    }

    #[test]
    fn weeks_of_both_kinds() {
        let day = |y, m, d| days_from_civil(y, m, d);
        assert_eq!(iso_week(day(2021, 1, 3)), (2020, 53));
        assert_eq!(iso_week(day(2024, 12, 30)), (2025, 1));
        assert_eq!(us_week(day(2024, 12, 30)), (2025, 1));
        assert_eq!(us_week(day(2024, 2, 9)), (2024, 6));
        assert_eq!(us_week(day(1969, 12, 31)), (1970, 1));
        assert_eq!(us_week_of_month(day(2024, 2, 9)), 2);
        assert_eq!(us_week_of_month(day(2024, 12, 30)), 5);
    }

    #[test]
    fn dates_round_to_units() {
        let day = |y, m, d| days_from_civil(y, m, d);
        assert_eq!(
            round_date(Unit::Month, day(1582, 10, 4), false),
            Some(day(1582, 9, 1))
        );
        assert_eq!(round_date(Unit::Month, day(1, 1, 2), false), Some(day(1, 1, 1)));
        assert_eq!(
            round_date(Unit::Week, day(2024, 2, 29), false),
            Some(day(2024, 2, 25))
        );
        assert_eq!(
            round_date(Unit::Week, day(2024, 2, 29), true),
            Some(day(2024, 3, 3))
        );
        assert_eq!(
            round_date(Unit::Month, day(2024, 12, 2), true),
            Some(day(2025, 1, 1))
        );
        assert_eq!(
            round_date(Unit::Century, day(2024, 2, 29), false),
            Some(day(2001, 1, 1))
        );
    }
}
