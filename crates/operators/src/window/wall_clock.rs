//! Wall time of a zone, in which windows over TIMESTAMP_LTZ are cut.
//!
//! A window of an hour or a day is one by the clock on the wall, so its bounds are local times: an hour that the clock
//! goes through twice is one window, and an hour that it leaves out is empty. Times are milliseconds; a local time is
//! the milliseconds that the same reading would have in UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

const HOUR_MS: i64 = 3_600_000;

/// Converts between instants and local times of a time zone.
#[derive(Clone, Debug)]
pub(crate) struct WallClock {
    /// `None`: local time is UTC, or windows are over plain TIMESTAMP.
    zone: Option<TimeZone>,
    /// The offset of the last conversion, and the instants for which it is valid.
    cached: Held,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    from_ms: i64,
    until_ms: i64,
    offset_ms: i64,
}

impl WallClock {
    /// The identity.
    pub(crate) fn utc() -> Self {
        Self {
            zone: None,
            cached: Held {
                from_ms: i64::MIN,
                until_ms: i64::MAX,
                offset_ms: 0,
            },
        }
    }

    pub(crate) fn of_zone(zone: &TimeZone) -> Self {
        match zone.to_fixed_offset() {
            Ok(offset) if offset == Offset::UTC => Self::utc(),
            _ => Self {
                zone: Some(zone.clone()),
                cached: Held {
                    from_ms: 0,
                    until_ms: 0,
                    offset_ms: 0,
                },
            },
        }
    }

    pub(crate) fn is_utc(&self) -> bool {
        self.zone.is_none()
    }

    /// The local time at an instant.
    #[inline]
    pub(crate) fn local_at(&mut self, instant_ms: i64) -> i64 {
        if instant_ms < self.cached.from_ms || instant_ms >= self.cached.until_ms {
            self.cached = self.offset_at(instant_ms);
        }
        instant_ms.saturating_add(self.cached.offset_ms)
    }

    fn offset_at(&self, instant_ms: i64) -> Held {
        let (Some(zone), Ok(instant)) = (&self.zone, Timestamp::from_millisecond(instant_ms)) else {
            return Held {
                from_ms: instant_ms,
                until_ms: instant_ms.saturating_add(1),
                offset_ms: 0,
            };
        };
        let offset_ms = i64::from(zone.to_offset(instant).seconds()) * 1000;
        let transition = |t: jiff::tz::TimeZoneTransition<'_>| t.timestamp().as_millisecond();
        let until_ms = zone.following(instant).next().map_or(i64::MAX, transition);
        // `preceding` is strictly before: an instant that is itself a transition starts its own period.
        let from_ms = zone.preceding(instant).next().map_or(i64::MIN, transition);
        let begins_here = from_ms != i64::MIN && zone.to_offset(instant) != zone.to_offset(previous(instant));
        Held {
            from_ms: if begins_here { instant_ms } else { from_ms },
            until_ms,
            offset_ms,
        }
    }

    /// The first instant with this local time; a local time in a gap is shifted by the gap.
    pub(crate) fn to_instant(&self, local_ms: i64) -> i64 {
        let Some((zone, local)) = self.zone.as_ref().zip(civil(local_ms)) else {
            return local_ms;
        };
        let offset = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        };
        local_ms.saturating_sub(i64::from(offset.seconds()) * 1000)
    }

    /// The instant at which a timer for this local time fires: the second one if the time occurs twice, the transition
    /// itself if the time is in a gap.
    pub(crate) fn fire_instant(&self, local_ms: i64) -> i64 {
        if local_ms == i64::MAX {
            return local_ms;
        }
        let Some((zone, local)) = self.zone.as_ref().zip(civil(local_ms)) else {
            return local_ms;
        };
        let at = |offset: Offset| local_ms.saturating_sub(i64::from(offset.seconds()) * 1000);
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Gap { before, .. } => {
                let after_gap = at(before);
                after_gap - after_gap % HOUR_MS
            }
            AmbiguousOffset::Fold { after, .. } => at(after),
        }
    }
}

fn previous(instant: Timestamp) -> Timestamp {
    Timestamp::from_nanosecond(instant.as_nanosecond() - 1).unwrap_or(instant)
}

fn civil(local_ms: i64) -> Option<DateTime> {
    Timestamp::from_millisecond(local_ms)
        .ok()
        .map(|at| Offset::UTC.to_datetime(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zurich() -> WallClock {
        WallClock::of_zone(&TimeZone::get("Europe/Zurich").unwrap())
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn local_time_goes_over_a_gap_and_twice_through_a_fold() {
        let mut clock = zurich();
        for (instant, local) in [
            ("2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z"),
            ("2024-03-31T01:00:00Z", "2024-03-31T03:00:00Z"),
            ("2024-03-31T00:59:59.999Z", "2024-03-31T01:59:59.999Z"),
            ("2024-10-27T00:30:00Z", "2024-10-27T02:30:00Z"),
            ("2024-10-27T01:30:00Z", "2024-10-27T02:30:00Z"),
        ] {
            assert_eq!(clock.local_at(ms(instant)), ms(local), "{instant}");
        }
    }

    #[test]
    fn timers_wait_for_the_second_reading() {
        let clock = zurich();
        let end = "2024-10-27T02:59:59.999Z";
        assert_eq!(clock.to_instant(ms(end)), ms("2024-10-27T00:59:59.999Z"));
        for (local, instant) in [
            (end, "2024-10-27T01:59:59.999Z"),
            ("2024-03-31T02:59:59.999Z", "2024-03-31T01:00:00Z"),
            ("2024-05-01T00:00:00Z", "2024-04-30T22:00:00Z"),
        ] {
            assert_eq!(clock.fire_instant(ms(local)), ms(instant), "{local}");
        }
    }

    #[test]
    fn cached_offsets_agree_with_the_zone() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        let mut clock = WallClock::of_zone(&zone);
        for step in 0..20_000i64 {
            let at = step * 7_919_000_000 % 3_000_000_000_000 - 900_000_000_000;
            let offset = zone.to_offset(Timestamp::from_millisecond(at).unwrap()).seconds();
            assert_eq!(clock.local_at(at), at + i64::from(offset) * 1000, "{at}");
        }
    }
}
