//! Offsets of one time zone, fast for many timestamps that lie close together.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use millstream_types::calendar::civil_from_days;

use crate::display::calendar::MILLIS_PER_DAY;

const NANOS_PER_MILLI: i128 = 1_000_000;

/// A time zone and the last stretch of time in which its offset was looked up.
///
/// A zone's offset changes twice a year at most, so a column of timestamps nearly always stays within one stretch.
#[derive(Clone, Debug)]
pub struct ZoneOffsets {
    zone: TimeZone,
    /// `from_ms <= t < until_ms` has `offset_ms`.
    from_ms: i64,
    until_ms: i64,
    offset_ms: i64,
}

impl ZoneOffsets {
    pub fn new(zone: TimeZone) -> Self {
        match zone.to_fixed_offset() {
            Ok(offset) => {
                let offset_ms = i64::from(offset.seconds()) * 1000;
                Self {
                    zone,
                    from_ms: i64::MIN,
                    until_ms: i64::MAX,
                    offset_ms,
                }
            }
            Err(_) => Self {
                zone,
                from_ms: 0,
                until_ms: 0,
                offset_ms: 0,
            },
        }
    }

    /// Milliseconds that local time is ahead of UTC at an instant.
    pub fn offset_ms(&mut self, utc_ms: i64) -> i64 {
        if utc_ms < self.from_ms || utc_ms >= self.until_ms {
            self.look_up(utc_ms);
        }
        self.offset_ms
    }

    fn look_up(&mut self, utc_ms: i64) {
        // Beyond the years that the zone's rules cover, the nearest known offset holds.
        let clamped = utc_ms.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        let instant = Timestamp::from_millisecond(clamped).unwrap_or(Timestamp::UNIX_EPOCH);
        self.offset_ms = i64::from(self.zone.to_offset(instant).seconds()) * 1000;
        let next = self
            .zone
            .following(instant)
            .next()
            .map(|t| t.timestamp().as_millisecond());
        self.until_ms = next.unwrap_or(i64::MAX);
        // `preceding` is exclusive: the millisecond after asks for the transition at `instant` itself, too.
        let after = Timestamp::from_millisecond(clamped.saturating_add(1)).unwrap_or(instant);
        let last = self
            .zone
            .preceding(after)
            .next()
            .map(|t| t.timestamp().as_millisecond());
        self.from_ms = last.unwrap_or(i64::MIN);
    }

    /// Local wall-clock nanoseconds of an instant in nanoseconds since the epoch.
    pub fn to_local_nanos(&mut self, utc_nanos: i128) -> i128 {
        let offset_ms = self.offset_ms(millis_of(utc_nanos));
        utc_nanos + i128::from(offset_ms) * NANOS_PER_MILLI
    }

    /// The instant of a wall-clock time in nanoseconds: the earlier of two, and past a gap by the gap's length.
    pub fn to_utc_nanos(&mut self, local_nanos: i128) -> i128 {
        let offset_ms = self.local_offset_ms(millis_of(local_nanos));
        local_nanos - i128::from(offset_ms) * NANOS_PER_MILLI
    }

    /// Milliseconds that local time is ahead of UTC at a wall-clock time.
    pub fn local_offset_ms(&mut self, local_ms: i64) -> i64 {
        let before = self.offset_ms(local_ms.saturating_sub(MILLIS_PER_DAY));
        let after = self.offset_ms(local_ms.saturating_add(MILLIS_PER_DAY));
        if before == after {
            before
        } else {
            self.offset_near_transition(local_ms).unwrap_or(before)
        }
    }

    fn offset_near_transition(&self, local_ms: i64) -> Option<i64> {
        let (year, month, day) = civil_from_days(local_ms.div_euclid(MILLIS_PER_DAY));
        let of_day = local_ms.rem_euclid(MILLIS_PER_DAY);
        let time = |unit: i64, of: i64| i8::try_from(of_day / unit % of).ok();
        let (hour, minute, second) = (time(3_600_000, 24)?, time(60_000, 60)?, time(1_000, 60)?);
        let year = i16::try_from(year).ok()?;
        let civil = DateTime::new(year, month as i8, day as i8, hour, minute, second, 0).ok()?;
        let instant = self.zone.to_ambiguous_timestamp(civil).compatible().ok()?;
        // The civil time is whole seconds, so both sides are taken without their milliseconds.
        Some(local_ms - of_day % 1_000 - instant.as_millisecond())
    }
}

fn millis_of(nanos: i128) -> i64 {
    let millis = nanos.div_euclid(NANOS_PER_MILLI);
    i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn offsets_follow_the_zone_through_a_year() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a bundled zone");
        let mut offsets = ZoneOffsets::new(berlin.clone());
        for hour in 0..24 * 366 {
            let utc_ms = 1_704_067_200_000 + hour * HOUR_MS;
            let instant = Timestamp::from_millisecond(utc_ms).expect("a time in 2024");
            assert_eq!(
                offsets.offset_ms(utc_ms),
                i64::from(berlin.to_offset(instant).seconds()) * 1000
            );
        }
    }

    #[test]
    fn gaps_move_forward_and_overlaps_take_the_earlier() {
        let mut offsets = ZoneOffsets::new(TimeZone::get("Europe/Berlin").expect("a bundled zone"));
        // 2024-03-31 02:30 does not exist: it reads as 03:30 CEST, which is 01:30 UTC.
        assert_eq!(
            offsets.to_utc_nanos(1_711_852_200_000 * 1_000_000),
            1_711_848_600_000 * 1_000_000
        );
        // 2024-10-27 02:30 exists twice: the earlier is CEST, 00:30 UTC.
        assert_eq!(
            offsets.to_utc_nanos(1_729_996_200_000 * 1_000_000),
            1_729_989_000_000 * 1_000_000
        );
    }
}
