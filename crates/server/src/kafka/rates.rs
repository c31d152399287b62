//! Rates of new connections by address, in a fixed amount of memory, and the delays of throttled ones.

use std::collections::BTreeMap;
use std::net::IpAddr;

use millstream_broker::IpRates;
use millstream_broker::rate::{Rate, Window};

use crate::limits::CONNECTION_RATE_ADDRESSES_MAX;

/// Window of the averages in metrics, as in Kafka: two samples of 30 s.
const METRIC_WINDOW: Window = Window {
    samples: 2,
    sample_ms: 30_000,
};

/// The rates of addresses that have a limit.
#[derive(Debug, Default)]
pub(super) struct AddressRates {
    limits: IpRates,
    rates: BTreeMap<IpAddr, Rate>,
    /// Of all addresses that come when there are too many.
    others: Rate,
    swept_ms: i64,
}

impl AddressRates {
    pub fn set_limits(&mut self, limits: &IpRates) {
        self.limits = limits.clone();
    }

    /// Records a connection, unless its address is beyond its limit: then it is not recorded, and the returned value is
    /// the throttle time in milliseconds.
    pub fn arrive(&mut self, now_ms: i64, ip: IpAddr, window: Window) -> Option<i64> {
        let limit = self.limits.addresses.get(&ip).copied().or(self.limits.default)?;
        let is_new = !self.rates.contains_key(&ip);
        if is_new && self.rates.len() >= CONNECTION_RATE_ADDRESSES_MAX {
            self.sweep(now_ms, window);
        }
        let is_full = is_new && self.rates.len() >= CONNECTION_RATE_ADDRESSES_MAX;
        let rate = if is_full {
            &mut self.others
        } else {
            self.rates.entry(ip).or_default()
        };
        rate.record(now_ms, window, 1.0);
        let throttle_ms = throttle_ms(rate, now_ms, window, limit);
        if throttle_ms > 0 {
            rate.record(now_ms, window, -1.0);
        }
        (throttle_ms > 0).then_some(throttle_ms)
    }

    /// Drops addresses that were quiet for the whole window of the rates; at most once per sample.
    fn sweep(&mut self, now_ms: i64, window: Window) {
        if (0..window.sample_ms).contains(&now_ms.saturating_sub(self.swept_ms)) {
            return;
        }
        self.swept_ms = now_ms;
        self.rates.retain(|_, rate| !rate.is_over(now_ms, window));
    }
}

/// The throttle time of a recorded connection, capped at one sample.
pub(super) fn throttle_ms(rate: &mut Rate, now_ms: i64, window: Window, limit: f64) -> i64 {
    rate.throttle_ms(now_ms, window, limit).min(window.sample_ms)
}

/// The average of the last times.
#[derive(Debug, Default)]
pub(super) struct Average {
    sum: Rate,
    count: Rate,
}

impl Average {
    pub fn record(&mut self, now_ms: i64, value_ms: i64) {
        self.sum.record(now_ms, METRIC_WINDOW, value_ms as f64);
        self.count.record(now_ms, METRIC_WINDOW, 1.0);
    }

    /// Not a number if there were none, as in Kafka.
    pub fn value(&mut self, now_ms: i64) -> f64 {
        self.sum.sum(now_ms, METRIC_WINDOW) / self.count.sum(now_ms, METRIC_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        samples: 2,
        sample_ms: 1_000,
    };

    fn ip(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn an_address_above_its_limit_waits_and_is_not_counted() {
        let mut rates = AddressRates::default();
        let own = (ip(1), 3.0);
        rates.set_limits(&IpRates {
            default: Some(1.0),
            addresses: [own].into(),
        });
        for (now_ms, address, expected) in [
            (0, 1, &[None, None, None, Some(333), Some(333)][..]),
            (0, 2, &[None, Some(1_000), Some(1_000)]),
            (1_000, 2, &[Some(1_000)]),
            (1_500, 2, &[Some(500)]),
            (2_000, 2, &[None, Some(1_000)]),
        ] {
            for each in expected {
                assert_eq!(
                    rates.arrive(now_ms, ip(address), WINDOW),
                    *each,
                    "{address} at {now_ms}"
                );
            }
        }
        rates.set_limits(&IpRates::default());
        assert!((0..100).all(|_| rates.arrive(2_000, ip(2), WINDOW).is_none()));
    }

    #[test]
    fn many_addresses_take_a_fixed_amount_of_memory() {
        let mut rates = AddressRates::default();
        rates.set_limits(&IpRates {
            default: Some(2.0),
            ..IpRates::default()
        });
        let many = u32::try_from(CONNECTION_RATE_ADDRESSES_MAX).unwrap();
        for number in 0..many + 2 {
            assert_eq!(rates.arrive(0, ip(number), WINDOW), None);
        }
        assert_eq!(rates.rates.len(), CONNECTION_RATE_ADDRESSES_MAX);
        assert_eq!(
            rates.arrive(0, ip(many + 2), WINDOW),
            Some(500),
            "the others share a limit"
        );
        assert_eq!(rates.arrive(0, ip(7), WINDOW), None, "who came early has its own");
        // When they have gone quiet there is room again.
        assert_eq!(rates.arrive(5_000, ip(many + 2), WINDOW), None);
        assert_eq!(rates.rates.len(), 1);
    }

    #[test]
    fn averages_are_of_the_last_minute() {
        let mut average = Average::default();
        assert!(average.value(0).is_nan());
        average.record(0, 100);
        average.record(40_000, 300);
        assert_eq!(average.value(50_000), 200.0);
        assert_eq!(average.value(70_000), 300.0);
        assert!(average.value(200_000).is_nan());
    }
}
