//! Whether there may be one more connection, and when: `max.connections`, `max.connections.per.ip`,
//! `max.connection.creation.rate` and the limits of addresses (`connection_creation_rate`).
//!
//! As in Kafka, connections that come faster than the broker or their listener may take them wait, and with them all
//! that come after; one from an address that is above its own limit is closed after a while. What is refused by
//! address does not count for the others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_broker::IpRates;
use millstream_broker::rate::{Rate, Window};

use super::config::{ConnectionLimits, ListenerLimits};
use super::rates::{AddressRates, Average, throttle_ms};
use crate::limits::CONNECTIONS_MAX;

/// Counts connections; shared by all listeners.
#[derive(Debug)]
pub struct Gate {
    /// The listener that the limits of the broker as a whole do not apply to.
    protected: Option<String>,
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
    #[error("'max.connections.per.ip' = {0} are open from this address")]
    Address(usize),
    #[error("'max.connections' = {0} of this listener are open")]
    Listener(usize),
    #[error(
        "connections from this address come faster than its 'connection_creation_rate'; it is closed in {0} ms"
    )]
    AddressRate(i64),
}

/// What is measured of connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCounts {
    /// New ones a second.
    pub accept_rate: f64,
    /// By listener.
    pub listeners: BTreeMap<String, ListenerCounts>,
}

/// What is measured of the connections of one listener.
#[derive(Clone, Debug, Default)]
pub struct ListenerCounts {
    pub open: usize,
    /// New ones a second.
    pub accept_rate: f64,
    /// How long those waited that came too fast for the broker or the listener, on average in milliseconds.
    pub throttle_ms: f64,
    /// The same for those whose address was too fast.
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

    /// Counts a connection that has come; gives for how many milliseconds it and all after it have to wait.
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
        let all_max = match is_protected {
            true => CONNECTIONS_MAX,
            false => state.limits.connections_max,
        };
        if state.open >= all_max {
            return Err(Full::All(all_max));
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
