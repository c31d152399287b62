//! Limits of connections by Kafka's names.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use super::ShellConfigError;
use crate::limits::{CONNECTIONS_MAX, FRAME_BYTES_MAX, REQUEST_MEMORY_BYTES};

/// How many connections there may be, how long they may be idle, and what they may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`
    pub connections_max: usize,
    /// `max.connections.per.ip`
    pub per_ip_max: usize,
    /// `max.connections.per.ip.overrides`
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// `connections.max.idle.ms`; `None` for ever
    pub idle: Option<Duration>,
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`
    pub request_memory_bytes: usize,
}

impl ConnectionLimits {
    /// Reads them with a function that gives values, which are of the declared types.
    pub fn parse(text: impl Fn(&str) -> Option<String>) -> Result<Self, ShellConfigError> {
        let long = |name: &str| {
            text(name)
                .and_then(|v| v.trim().parse::<i64>().ok())
                .unwrap_or(-1)
        };
        let count = |name: &str| usize::try_from(long(name)).unwrap_or(usize::MAX);
        let request_bytes_max = count("socket.request.max.bytes").min(FRAME_BYTES_MAX);
        let memory = match long("queued.max.request.bytes") {
            ..=0 => REQUEST_MEMORY_BYTES,
            bytes => usize::try_from(bytes).unwrap_or(REQUEST_MEMORY_BYTES),
        };
        let idle_ms = u64::try_from(long("connections.max.idle.ms")).ok();
        Ok(Self {
            connections_max: count("max.connections").min(CONNECTIONS_MAX),
            per_ip_max: count("max.connections.per.ip"),
            per_ip_overrides: overrides(&text("max.connections.per.ip.overrides").unwrap_or_default())?,
            idle: idle_ms.map(Duration::from_millis),
            request_bytes_max: request_bytes_max.min(memory),
            request_memory_bytes: memory,
        })
    }

    /// How many connections may come from an address.
    pub fn of_ip(&self, ip: IpAddr) -> usize {
        self.per_ip_overrides.get(&ip).copied().unwrap_or(self.per_ip_max)
    }
}

/// `HOST:COUNT` separated by commas; names are resolved once.
fn overrides(text: &str) -> Result<BTreeMap<IpAddr, usize>, ShellConfigError> {
    let mut map = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let invalid = || ShellConfigError::Value {
            name: "max.connections.per.ip.overrides".to_owned(),
            value: entry.to_owned(),
            expected: "HOST:COUNT, for example 127.0.0.1:200".to_owned(),
        };
        let (host, count) = entry.rsplit_once(':').ok_or_else(invalid)?;
        let count = count.trim().parse().map_err(|_| invalid())?;
        let host = host.trim().trim_start_matches('[').trim_end_matches(']');
        let addresses = (host, 0).to_socket_addrs().map_err(|_| invalid())?;
        map.extend(addresses.map(|address| (address.ip(), count)));
    }
    Ok(map)
}
