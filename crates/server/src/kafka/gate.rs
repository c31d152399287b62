//! How many connections there are, and whether there may be one more: `max.connections` and `max.connections.per.ip`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::ConnectionLimits;

/// Counts connections; shared by all listeners.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limits: Arc<ConnectionLimits>,
    open: usize,
    by_ip: BTreeMap<IpAddr, usize>,
    by_listener: BTreeMap<String, usize>,
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
}

/// One admitted connection; dropping it makes room.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    ip: IpAddr,
    listener: String,
}

impl Gate {
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                limits: Arc::new(limits),
                open: 0,
                by_ip: BTreeMap::new(),
                by_listener: BTreeMap::new(),
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

    /// Connections open now, by listener.
    pub fn open(&self) -> BTreeMap<String, usize> {
        self.state().by_listener.clone()
    }

    /// Lets one more in, if there is room.
    pub fn admit(self: &Arc<Self>, ip: IpAddr, listener: &str, listener_max: usize) -> Result<Pass, Full> {
        let ip = ip.to_canonical();
        let mut state = self.state();
        let of_ip = state.by_ip.get(&ip).copied().unwrap_or(0);
        let of_listener = state.by_listener.get(listener).copied().unwrap_or(0);
        if state.open >= state.limits.connections_max {
            return Err(Full::All(state.limits.connections_max));
        }
        if of_listener >= listener_max {
            return Err(Full::Listener(listener_max));
        }
        let per_ip_max = state.limits.of_ip(ip);
        if of_ip >= per_ip_max {
            return Err(Full::Address(per_ip_max));
        }
        state.open += 1;
        state.by_ip.insert(ip, of_ip + 1);
        state.by_listener.insert(listener.to_owned(), of_listener + 1);
        Ok(Pass {
            gate: self.clone(),
            ip,
            listener: listener.to_owned(),
        })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.open = state.open.saturating_sub(1);
        if let Some(open) = state.by_listener.get_mut(&self.listener) {
            *open = open.saturating_sub(1);
        }
        if let Some(open) = state.by_ip.get_mut(&self.ip) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                state.by_ip.remove(&self.ip);
            }
        }
    }
}
