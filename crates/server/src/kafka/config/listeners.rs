//! `listeners`, `advertised.listeners`, `listener.security.protocol.map`.

use std::collections::BTreeMap;

use super::properties::Properties;
use super::{ClientAuth, ListenerLimits, SaslSettings, ShellConfigError, TlsSettings};

/// How a listener is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|p| p.name().eq_ignore_ascii_case(name))
    }

    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// A port to open.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// In capitals.
    pub name: String,
    /// `HOST:PORT` to bind; the host is empty for all interfaces.
    pub bind: String,
    /// The advertised address; `None` advertises the address that a client connected to.
    pub advertised: Option<(String, u16)>,
    pub protocol: SecurityProtocol,
    pub tls: Option<TlsSettings>,
    pub sasl: Option<SaslSettings>,
    pub limits: ListenerLimits,
}

impl ListenerConfig {
    /// Whether every client has to authenticate.
    pub fn authenticates(&self) -> bool {
        let by_certificate = self.protocol == SecurityProtocol::Ssl
            && self
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_auth == ClientAuth::Required);
        self.protocol.has_sasl() || by_certificate
    }
}

/// Reads all listeners except those of controllers, which a single node does not need.
pub(super) fn parse(
    properties: &Properties<'_>,
    address: &str,
) -> Result<Vec<ListenerConfig>, ShellConfigError> {
    let protocols = protocol_map(properties)?;
    let given = properties.set("listeners").filter(|text| !text.trim().is_empty());
    let text = given.map_or_else(|| format!("PLAINTEXT://{address}"), str::to_owned);
    let advertised = advertised(properties)?;
    let controllers = properties.set("controller.listener.names").unwrap_or_default();
    let is_controller = |name: &str| {
        controllers
            .split(',')
            .any(|each| each.trim().eq_ignore_ascii_case(name))
    };
    let mut listeners: Vec<ListenerConfig> = Vec::new();
    for entry in split(&text) {
        let (name, bind) = split_listener("listeners", entry)?;
        if is_controller(&name) {
            tracing::info!(listener = %name, "a listener of controllers is not opened: there is one node");
            continue;
        }
        if listeners.iter().any(|other| other.name == name) {
            return Err(invalid(
                "listeners",
                entry,
                format!("listener {name} is there twice"),
            ));
        }
        listeners.push(one(properties, name, bind, &protocols, &advertised)?);
    }
    if listeners.is_empty() {
        return Err(invalid(
            "listeners",
            &text,
            "there must be a listener for clients",
        ));
    }
    match advertised
        .keys()
        .find(|name| !listeners.iter().any(|l| l.name == **name) && !is_controller(name))
    {
        Some(name) => Err(ShellConfigError::NoSuchListener {
            name: "advertised.listeners".to_owned(),
            listener: name.clone(),
        }),
        None => Ok(listeners),
    }
}

fn one(
    properties: &Properties<'_>,
    name: String,
    bind: String,
    protocols: &BTreeMap<String, SecurityProtocol>,
    advertised: &BTreeMap<String, (String, u16)>,
) -> Result<ListenerConfig, ShellConfigError> {
    let Some(protocol) = protocols.get(&name).copied() else {
        return Err(ShellConfigError::Missing {
            name: "listener.security.protocol.map".to_owned(),
            remedy: format!("it must say what {name} is, for example {name}:SASL_SSL"),
        });
    };
    let scope = properties.scope(&name);
    let tls = protocol
        .has_tls()
        .then(|| TlsSettings::parse(&scope))
        .transpose()?;
    let sasl = protocol
        .has_sasl()
        .then(|| SaslSettings::parse(&scope))
        .transpose()?;
    let limits = ListenerLimits::parse(&scope);
    Ok(ListenerConfig {
        advertised: advertised.get(&name).cloned(),
        bind,
        protocol,
        tls,
        sasl,
        limits,
        name,
    })
}

fn protocol_map(properties: &Properties<'_>) -> Result<BTreeMap<String, SecurityProtocol>, ShellConfigError> {
    const NAME: &str = "listener.security.protocol.map";
    let mut map = BTreeMap::new();
    let text = properties.text(NAME).unwrap_or_default();
    for entry in split(&text) {
        let expected =
            "entries like INTERNAL:PLAINTEXT, with one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
        let pair = entry.split_once(':');
        let protocol = pair.and_then(|(_, protocol)| SecurityProtocol::from_name(protocol.trim()));
        let (Some((name, _)), Some(protocol)) = (pair, protocol) else {
            return Err(invalid(NAME, entry, expected));
        };
        map.insert(name.trim().to_uppercase(), protocol);
    }
    Ok(map)
}

fn advertised(properties: &Properties<'_>) -> Result<BTreeMap<String, (String, u16)>, ShellConfigError> {
    const NAME: &str = "advertised.listeners";
    let mut map = BTreeMap::new();
    for entry in split(properties.set(NAME).unwrap_or_default()) {
        let (name, address) = split_listener(NAME, entry)?;
        let expected = "NAME://HOST:PORT with an address that clients can reach";
        let (host, port) = address
            .rsplit_once(':')
            .ok_or_else(|| invalid(NAME, entry, expected))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| invalid(NAME, entry, expected))?;
        if matches!(host, "" | "0.0.0.0" | "::") || port == 0 {
            return Err(invalid(NAME, entry, expected));
        }
        map.insert(name, (host.to_owned(), port));
    }
    Ok(map)
}

/// The name in capitals and the address of `NAME://HOST:PORT`.
fn split_listener(key: &str, entry: &str) -> Result<(String, String), ShellConfigError> {
    let parts = entry.split_once("://");
    let is_address = |address: &str| {
        let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        matches!(port, Some(Ok(_)))
    };
    match parts {
        Some((name, address)) if !name.is_empty() && is_address(address) => {
            Ok((name.to_uppercase(), address.to_owned()))
        }
        _ => Err(invalid(
            key,
            entry,
            "NAME://HOST:PORT, for example SASL_SSL://0.0.0.0:9093",
        )),
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn invalid(name: &str, value: &str, expected: impl Into<String>) -> ShellConfigError {
    ShellConfigError::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: expected.into(),
    }
}
