//! Limits of connections by Kafka's names.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use millstream_broker::rate::Window;

use super::ShellConfigError;
use super::properties::Scope;
use crate::limits::{CONNECTIONS_MAX, FRAME_BYTES_MAX, REQUEST_MEMORY_BYTES};

/// Limits of connections by address.
pub(super) const OVERRIDES: &str = "max.connections.per.ip.overrides";

/// Limits of connections: number, idle time, and memory.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionLimits {
    /// `max.connections`
    pub connections_max: usize,
    /// `max.connections.per.ip`
    pub per_ip_max: usize,
    /// `max.connections.per.ip.overrides`
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// `max.connection.creation.rate`, by the second.
    pub creation_rate_max: f64,
    /// `quota.window.*`, over which rates of new connections are.
    pub window: Window,
    /// `connections.max.idle.ms`; `None` means unlimited
    pub idle: Option<Duration>,
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`
    pub request_memory_bytes: usize,
}

/// Limits of a single listener's connections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListenerLimits {
    /// `max.connections`
    pub connections_max: usize,
    /// `max.connection.creation.rate`, by the second.
    pub creation_rate_max: f64,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections_max: usize::MAX,
            creation_rate_max: f64::INFINITY,
        }
    }
}

impl ListenerLimits {
    pub(super) fn parse(scope: &Scope<'_>) -> Self {
        Self {
            connections_max: usize::try_from(scope.long("max.connections")).unwrap_or(usize::MAX),
            creation_rate_max: scope.long("max.connection.creation.rate") as f64,
        }
    }
}

/// Resolved host names of `max.connections.per.ip.overrides`. They are resolved at startup only, because limits are
/// altered on a thread that must not block.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(BTreeMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Resolves the hosts of a list; unknown ones are left out.
    pub fn look_up(text: &str) -> Self {
        let hosts = text
            .split(',')
            .filter_map(|entry| Some(entry.trim().rsplit_once(':')?.0));
        let found = hosts.filter_map(|host| {
            let addresses = (bare(host), 0).to_socket_addrs().ok()?;
            Some((host.to_owned(), addresses.map(|address| address.ip()).collect()))
        });
        Self(found.collect())
    }

    fn addresses(&self, host: &str) -> Option<Vec<IpAddr>> {
        let literal = bare(host).parse().ok().map(|address| vec![address]);
        literal.or_else(|| self.0.get(host).cloned())
    }
}

/// An address without the brackets of IPv6.
fn bare(host: &str) -> &str {
    host.trim().trim_start_matches('[').trim_end_matches(']')
}

impl ConnectionLimits {
    /// Reads the limits through a function that returns values of the declared types.
    pub(super) fn parse(
        text: impl Fn(&str) -> Option<String>,
        hosts: &Hosts,
    ) -> Result<Self, ShellConfigError> {
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
            per_ip_overrides: overrides(&text(OVERRIDES).unwrap_or_default(), hosts)?,
            creation_rate_max: long("max.connection.creation.rate") as f64,
            window: Window::new(long("quota.window.num"), long("quota.window.size.seconds")),
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

/// `HOST:COUNT` separated by commas.
fn overrides(text: &str, hosts: &Hosts) -> Result<BTreeMap<IpAddr, usize>, ShellConfigError> {
    let mut map = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let invalid = || ShellConfigError::Value {
            name: OVERRIDES.to_owned(),
            value: entry.to_owned(),
            expected: "HOST:COUNT, for example 127.0.0.1:200; names of hosts are looked up at start only"
                .to_owned(),
        };
        let (host, count) = entry.rsplit_once(':').ok_or_else(invalid)?;
        let count = count.trim().parse().map_err(|_| invalid())?;
        let addresses = hosts.addresses(host).ok_or_else(invalid)?;
        map.extend(
            addresses
                .into_iter()
                .map(|address| (address.to_canonical(), count)),
        );
    }
    Ok(map)
}
