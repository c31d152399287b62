//! Nexmark's events as JSON: one topic, three kinds of records.

use std::io::Write;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;

/// Event time of the first event, in milliseconds: 2026-01-01 00:00:00 UTC.
const BASE_MS: u64 = 1_767_225_600_000;
/// Events in a second of event time.
const EVENTS_PER_SECOND: usize = 10_000;

/// Generates the same events every time.
pub struct NexmarkEvents(EventGenerator);

impl NexmarkEvents {
    pub fn new() -> Self {
        Self(EventGenerator::new(NexmarkConfig {
            base_time: BASE_MS,
            first_rate: EVENTS_PER_SECOND,
            next_rate: EVENTS_PER_SECOND,
            ..NexmarkConfig::default()
        }))
    }

    /// Writes the next event to `out` (cleared first); returns its time in milliseconds.
    pub fn write(&mut self, out: &mut Vec<u8>) -> anyhow::Result<i64> {
        use anyhow::Context;
        let event = self.0.next().context("the generator ended")?;
        out.clear();
        let timestamp = event.timestamp();
        let time = Time(timestamp);
        match event {
            Event::Person(p) => write!(
                out,
                "{{\"event_type\":0,\"person\":{{\"id\":{},\"name\":\"{}\",\"emailAddress\":\"{}\",\"creditCard\":\"{}\",\
                 \"city\":\"{}\",\"state\":\"{}\",\"dateTime\":\"{time}\",\"extra\":\"{}\"}},\"auction\":null,\"bid\":null}}",
                p.id,
                p.name,
                p.email_address,
                p.credit_card,
                p.city,
                p.state.to_uppercase(),
                p.extra,
            )?,
            Event::Auction(a) => write!(
                out,
                "{{\"event_type\":1,\"person\":null,\"auction\":{{\"id\":{},\"itemName\":\"{}\",\"description\":\"{}\",\
                 \"initialBid\":{},\"reserve\":{},\"dateTime\":\"{time}\",\"expires\":\"{}\",\"seller\":{},\"category\":{},\
                 \"extra\":\"{}\"}},\"bid\":null}}",
                a.id,
                a.item_name,
                a.description,
                a.initial_bid,
                a.reserve,
                Time(a.expires),
                a.seller,
                a.category,
                a.extra,
            )?,
            Event::Bid(b) => write!(
                out,
                "{{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":{{\"auction\":{},\"bidder\":{},\"price\":{},\
                 \"channel\":\"{}\",\"url\":\"{}\",\"dateTime\":\"{time}\",\"extra\":\"{}\"}}}}",
                b.auction, b.bidder, b.price, b.channel, b.url, b.extra,
            )?,
        }
        Ok(timestamp as i64)
    }
}

/// A time of January 2026 as `yyyy-MM-dd HH:mm:ss.SSS`.
struct Time(u64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0.saturating_sub(BASE_MS);
        let (day, of_day) = (1 + ms / 86_400_000, ms % 86_400_000);
        write!(
            f,
            "2026-01-{day:02} {:02}:{:02}:{:02}.{:03}",
            of_day / 3_600_000,
            of_day / 60_000 % 60,
            of_day / 1000 % 60,
            of_day % 1000,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_one_row_of_three() {
        let (mut events, mut text, mut bids) = (NexmarkEvents::new(), Vec::new(), 0);
        for _ in 0..5_000 {
            events.write(&mut text).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let rows = ["person", "auction", "bid"].map(|kind| value[kind].is_object());
            assert_eq!(rows.iter().filter(|is_row| **is_row).count(), 1, "{value}");
            bids += usize::from(rows[2]);
        }
        assert_eq!(bids, 4_600);
    }
}
