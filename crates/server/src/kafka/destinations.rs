//! Which Kafka clusters may be connected to, and where their names lead.
//!
//! A table names its brokers, and their metadata names further ones. On behalf of a caller from the network both may
//! point at what only the server can reach: a service on loopback, the metadata service of a cloud (SSRF). The address
//! is checked once it is resolved, for every connection.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use millstream_kafka_client::Routes;

/// Key that names the hosts.
pub const ALLOWED_HOSTS: &str = "millstream.sql.allowed-hosts";

/// Addresses that stand for other addresses, as `--map` gives them.
pub type AddressMap = BTreeMap<(String, u16), (String, u16)>;

/// Hosts that a caller may have the server connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destinations {
    #[default]
    Everywhere,
    /// Everywhere but link-local, multicast and unspecified addresses, and loopback unless the caller is there itself.
    Usual { loopback: bool },
    /// Hosts by name.
    Listed(Vec<HostPattern>),
}

/// `HOST`, `HOST:PORT`, or `*.DOMAIN` with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    port: Option<u16>,
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.ends_with(']')) => {
                (host, Some(port.parse().ok()?))
            }
            _ => (text, None),
        };
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let is_name = !host.is_empty() && !host.contains(char::is_whitespace) && !host.contains('/');
        is_name.then_some(Self { host, port })
    }

    fn fits(&self, host: &str, port: u16) -> bool {
        let host = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let fits_host = match self.host.strip_prefix('*') {
            Some(domain) => host.ends_with(domain) && host.len() > domain.len(),
            None => host == self.host,
        };
        fits_host && self.port.is_none_or(|own| own == port)
    }
}

/// A part of a list of hosts that is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{ALLOWED_HOSTS}' names '{0}', which is no host; write HOST, HOST:PORT or *.DOMAIN")]
pub struct NoHost(pub String);

impl Destinations {
    /// The hosts of [`ALLOWED_HOSTS`], with `;` between them.
    pub fn parse(text: &str) -> Result<Self, NoHost> {
        let parts = text
            .split([';', ','])
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let parsed: Result<Vec<HostPattern>, NoHost> = parts
            .map(|part| HostPattern::parse(part).ok_or_else(|| NoHost(part.to_owned())))
            .collect();
        parsed.map(Self::Listed)
    }

    /// Why an address must not be connected to.
    pub fn refusal(&self, host: &str, port: u16, address: IpAddr) -> Option<String> {
        match self {
            Self::Everywhere => None,
            Self::Listed(patterns) if patterns.iter().any(|pattern| pattern.fits(host, port)) => None,
            Self::Listed(_) => Some(format!("it is not among '{ALLOWED_HOSTS}' of this server")),
            Self::Usual { loopback } => {
                let kind = special(address).filter(|kind| !(*loopback && *kind == LOOPBACK))?;
                Some(format!(
                    "it is a {kind} address; the administrator of this server can name the host in '{ALLOWED_HOSTS}'"
                ))
            }
        }
    }
}

const LOOPBACK: &str = "loopback";

/// What an address is that belongs to this machine or its link alone.
fn special(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        // Amazon's metadata service has a unique local address.
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[..3] == [0xfd00, 0x0ec2, 0x0],
    };
    // Connecting to the unspecified address reaches loopback.
    if address.is_loopback() || address.is_unspecified() {
        Some(LOOPBACK)
    } else if is_link_local {
        Some("link-local")
    } else if address.is_multicast() {
        Some("multicast")
    } else {
        None
    }
}

/// The addresses that the client of a cluster maps, and those that it may connect to.
pub(super) struct ClusterRoutes {
    pub map: Arc<AddressMap>,
    pub destinations: Destinations,
}

impl Routes for ClusterRoutes {
    fn destination(&self, host: &str, port: u16) -> (String, u16) {
        mapped(&self.map, host, port)
    }

    fn refusal(&self, host: &str, port: u16, address: SocketAddr) -> Option<String> {
        self.destinations.refusal(host, port, address.ip())
    }
}

/// Where an address leads.
pub(super) fn mapped(map: &AddressMap, host: &str, port: u16) -> (String, u16) {
    let named = (host.to_ascii_lowercase(), port);
    map.get(&named)
        .cloned()
        .unwrap_or_else(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(destinations: &Destinations, host: &str, address: &str) -> bool {
        let address = address.parse().unwrap();
        destinations.refusal(host, 9092, address).is_some()
    }

    #[test]
    fn addresses_of_the_machine_and_its_link_are_refused() {
        let remote = Destinations::Usual { loopback: false };
        for (address, refused) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", true),
            ("::", true),
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("224.0.0.1", true),
            ("10.1.2.3", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(refuses(&remote, "kafka", address), refused, "{address}");
        }
        let local = Destinations::Usual { loopback: true };
        assert!(!refuses(&local, "localhost", "127.0.0.1"));
        assert!(refuses(&local, "metadata", "169.254.169.254"));
    }

    #[test]
    fn a_list_names_the_only_hosts() {
        let listed = Destinations::parse("kafka:9092; *.example.com, [::1]:9092;other:1").unwrap();
        for (host, refused) in [
            ("kafka", false),
            ("KAFKA", false),
            ("a.example.com", false),
            ("example.com", true),
            ("aexample.com", true),
            ("::1", false),
            ("other", true),
            ("kafka.evil", true),
        ] {
            assert_eq!(refuses(&listed, host, "127.0.0.1"), refused, "{host}");
        }
        assert_eq!(Destinations::parse("a:b"), Err(NoHost("a:b".to_owned())));
        assert_eq!(
            Destinations::parse("http://x"),
            Err(NoHost("http://x".to_owned()))
        );
    }
}
