//! Admission of connections: `max.connections`, `max.connections.per.ip`, `max.connection.creation.rate` and limits by
//! address (`connection_creation_rate`).
//!
//! As in Kafka, connections beyond the rate of the broker or their listener wait, and with them all later ones; a
//! connection from an address beyond its own rate is closed after a delay. Rejections by address do not count for the
//! others. Whatever the number of connections, files for the log and connections for the protected listener are
//! reserved.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_broker::IpRates;
use millstream_broker::rate::{Rate, Window};

use super::config::{ConnectionLimits, ListenerLimits};
use super::rates::{AddressRates, Average, throttle_ms};
use crate::open_files::Shares;

/// Counts connections; shared by all listeners.
#[derive(Debug)]
pub struct Gate {
    /// The listener that the limits of the broker as a whole do not apply to.
    protected: Option<String>,
    shares: Shares,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limits: Arc<ConnectionLimits>,
    open: usize,
    rate: Rate,
    by_ip: BTreeMap<IpAddr, usize>,
    addresses: AddressRates,
    listeners: BTreeMap<String, OfListener>,
}

#[derive(Debug, Default)]
struct OfListener {
    limits: ListenerLimits,
    open: usize,
    rate: Rate,
    throttled: Average,
    throttled_by_ip: Average,
}

/// Why one more connection is too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("'max.connections' = {0} are open")]
    All(usize),
    #[error("{0} are open, and there must be files left for the log; allow more files with `ulimit -n`")]
    Files(usize),
    #[error("'max.connections.per.ip' = {0} are open from this address")]
    Address(usize),
    #[error("'max.connections' = {0} of this listener are open")]
    Listener(usize),
    #[error(
        "connections from this address come faster than its 'connection_creation_rate'; it is closed in {0} ms"
    )]
    AddressRate(i64),
}

/// Metrics of connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCounts {
    /// New ones a second.
    pub accept_rate: f64,
    /// By listener.
    pub listeners: BTreeMap<String, ListenerCounts>,
}

/// Metrics of one listener's connections.
#[derive(Clone, Debug, Default)]
pub struct ListenerCounts {
    pub open: usize,
    /// New ones a second.
    pub accept_rate: f64,
    /// Average delay of connections beyond the rate of the broker or the listener, in milliseconds.
    pub throttle_ms: f64,
    /// Average delay of connections beyond the rate of their address.
    pub ip_throttle_ms: f64,
}

/// One admitted connection; dropping it makes room.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    ip: IpAddr,
    listener: String,
}

impl Gate {
    /// `protected` is the listener that the limits of the broker as a whole do not apply to.
    pub fn new(
        limits: ConnectionLimits,
        listeners: impl IntoIterator<Item = (String, ListenerLimits)>,
        protected: Option<String>,
        shares: Shares,
    ) -> Arc<Self> {
        let of_listener = |(name, limits)| {
            let counts = OfListener {
                limits,
                ..OfListener::default()
            };
            (name, counts)
        };
        Arc::new(Self {
            protected,
            shares,
            state: Mutex::new(State {
                limits: Arc::new(limits),
                open: 0,
                rate: Rate::default(),
                by_ip: BTreeMap::new(),
                addresses: AddressRates::default(),
                listeners: listeners.into_iter().map(of_listener).collect(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits in force.
    pub fn limits(&self) -> Arc<ConnectionLimits> {
        self.state().limits.clone()
    }

    /// Replaces the limits; connections that are open stay.
    pub fn set_limits(&self, limits: ConnectionLimits) {
        self.state().limits = Arc::new(limits);
    }

    /// Replaces the limits of a listener.
    pub fn set_listener_limits(&self, listener: &str, limits: ListenerLimits) {
        if let Some(of_listener) = self.state().listeners.get_mut(listener) {
            of_listener.limits = limits;
        }
    }

    /// Replaces the limits of addresses.
    pub fn set_ip_rates(&self, limits: &IpRates) {
        self.state().addresses.set_limits(limits);
    }

    /// Connections open now, by listener.
    pub fn open(&self) -> BTreeMap<String, usize> {
        let state = self.state();
        let open = state
            .listeners
            .iter()
            .map(|(name, counts)| (name.clone(), counts.open));
        open.collect()
    }

    /// Everything that is measured.
    pub fn measure(&self, now_ms: i64) -> ConnectionCounts {
        let mut state = self.state();
        let window = state.limits.window;
        let accept_rate = state.rate.per_second(now_ms, window);
        let of_listener = |(name, counts): (&String, &mut OfListener)| {
            let measured = ListenerCounts {
                open: counts.open,
                accept_rate: counts.rate.per_second(now_ms, window),
                throttle_ms: counts.throttled.value(now_ms),
                ip_throttle_ms: counts.throttled_by_ip.value(now_ms),
            };
            (name.clone(), measured)
        };
        ConnectionCounts {
            accept_rate,
            listeners: state.listeners.iter_mut().map(of_listener).collect(),
        }
    }

    /// Records a new connection. Returns for how many milliseconds it and all later ones have to wait.
    pub fn arrive(&self, now_ms: i64, listener: &str) -> i64 {
        let mut state = self.state();
        let state = &mut *state;
        let window = state.limits.window;
        let mut wait_ms = 0;
        if self.protected.as_deref() != Some(listener) {
            state.rate.record(now_ms, window, 1.0);
            wait_ms = throttle_ms(&mut state.rate, now_ms, window, state.limits.creation_rate_max);
        }
        if let Some(counts) = state.listeners.get_mut(listener) {
            counts.rate.record(now_ms, window, 1.0);
            let limit = counts.limits.creation_rate_max;
            wait_ms = wait_ms.max(throttle_ms(&mut counts.rate, now_ms, window, limit));
            if wait_ms > 0 {
                counts.throttled.record(now_ms, wait_ms);
            }
        }
        wait_ms
    }

    /// Lets a connection in that has come and has waited, if there is room and its address is not too fast.
    pub fn admit(self: &Arc<Self>, now_ms: i64, ip: IpAddr, listener: &str) -> Result<Pass, Full> {
        let ip = ip.to_canonical();
        let mut state = self.state();
        let state = &mut *state;
        let is_protected = self.protected.as_deref() == Some(listener);
        if let Some(full) = self.full(state, is_protected) {
            return Err(full);
        }
        let window = state.limits.window;
        let counts = state.listeners.entry(listener.to_owned()).or_default();
        if counts.open >= counts.limits.connections_max {
            return Err(Full::Listener(counts.limits.connections_max));
        }
        if let Some(throttle_ms) = state.addresses.arrive(now_ms, ip, window) {
            take_back(&mut counts.rate, now_ms, window);
            if !is_protected {
                take_back(&mut state.rate, now_ms, window);
            }
            counts.throttled_by_ip.record(now_ms, throttle_ms);
            return Err(Full::AddressRate(throttle_ms));
        }
        let per_ip_max = state.limits.of_ip(ip);
        let of_ip = state.by_ip.get(&ip).copied().unwrap_or(0);
        if of_ip >= per_ip_max {
            return Err(Full::Address(per_ip_max));
        }
        state.open += 1;
        counts.open += 1;
        state.by_ip.insert(ip, of_ip + 1);
        Ok(Pass {
            gate: self.clone(),
            ip,
            listener: listener.to_owned(),
        })
    }

    /// Whether the broker as a whole is full. Some connections are reserved for the protected listener.
    fn full(&self, state: &State, is_protected: bool) -> Option<Full> {
        let shares = self.shares;
        let (by_files, by_limit) = if is_protected {
            (shares.connections + shares.protected, usize::MAX)
        } else {
            (shares.connections, state.limits.connections_max)
        };
        if state.open >= by_limit {
            return Some(Full::All(by_limit));
        }
        (state.open >= by_files).then_some(Full::Files(by_files))
    }
}

fn take_back(rate: &mut Rate, now_ms: i64, window: Window) {
    rate.record(now_ms, window, -1.0);
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.open = state.open.saturating_sub(1);
        if let Some(counts) = state.listeners.get_mut(&self.listener) {
            counts.open = counts.open.saturating_sub(1);
        }
        if let Some(open) = state.by_ip.get_mut(&self.ip) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                state.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::config::ShellConfig;

    const OTHER: &str = "OTHER";
    const SAFE: &str = "SAFE";

    fn gate(max_connections: &str, shares: Shares) -> Arc<Gate> {
        let given = [("max.connections", max_connections)];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = ShellConfig::parse(&given.into(), "127.0.0.1:0").unwrap();
        let listeners = [OTHER, SAFE].map(|name| (name.to_owned(), ListenerLimits::default()));
        Gate::new(config.limits, listeners, Some(SAFE.to_owned()), shares)
    }

    /// Opens connections until a listener is full; returns them and the reason.
    fn fill(gate: &Arc<Gate>, listener: &str) -> (Vec<Pass>, Full) {
        let mut passes = Vec::new();
        loop {
            match gate.admit(0, [127, 0, 0, 1].into(), listener) {
                Ok(pass) => passes.push(pass),
                Err(full) => return (passes, full),
            }
        }
    }

    #[test]
    fn who_fills_the_others_neither_closes_the_protected_listener_nor_takes_all_files() {
        let all = Shares::of(None);
        let few = Shares {
            connections: 20,
            protected: 3,
            delayed_closes: 0,
        };
        for (max_connections, shares, others, full, protected) in [
            ("10000", all, 10_000, Full::All(10_000), 1_000),
            ("100000", all, 10_000, Full::All(10_000), 1_000),
            ("7", all, 7, Full::All(7), 10_993),
            ("7", few, 7, Full::All(7), 16),
            ("10000", few, 20, Full::Files(20), 3),
        ] {
            let gate = gate(max_connections, shares);
            let (of_others, why) = fill(&gate, OTHER);
            assert_eq!(
                (of_others.len(), why),
                (others, full),
                "{max_connections} {shares:?}"
            );
            let (of_protected, why) = fill(&gate, SAFE);
            let full = Full::Files(shares.connections + shares.protected);
            assert_eq!(
                (of_protected.len(), why),
                (protected, full),
                "{max_connections} {shares:?}"
            );
            drop(of_others);
            let places = others.saturating_sub(protected);
            assert_eq!(fill(&gate, OTHER).0.len(), places, "{max_connections} {shares:?}");
        }
    }
}
