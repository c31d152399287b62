//! Configuration of the listeners: security and limits of connections, read from Kafka's broker configurations. A value
//! for one listener (`listener.name.NAME.KEY`) overrides the value for all.
//!
//! The broker gets the configurations that Kafka declares, and shows them to administrators; secrets of single
//! listeners and `millstream.*` stay here.

mod altered;
mod limits;
mod listeners;
mod properties;
mod sasl;
mod tls;

use std::collections::BTreeMap;

pub use altered::Altered;
pub use limits::{ConnectionLimits, ListenerLimits};
pub use listeners::{ListenerConfig, SecurityProtocol};
pub use properties::{OWN_CONFIGS, OwnConfig, is_listener_config};
pub use sasl::{Mechanism, OauthSettings, SaslSettings};
pub use tls::{ClientAuth, TlsSettings};

use limits::{Hosts, OVERRIDES};
use properties::Properties;

/// Why the listeners cannot be configured as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShellConfigError {
    #[error("invalid value '{value}' for '{name}': {expected}")]
    Value {
        name: String,
        value: String,
        expected: String,
    },
    #[error("'{name}' is missing: {remedy}")]
    Missing { name: String, remedy: String },
    #[error("'{name}' = '{value}' is not supported: {remedy}")]
    Unsupported {
        name: String,
        value: String,
        remedy: String,
    },
    #[error("'{name}' names listener {listener}, but 'listeners' has none of that name")]
    NoSuchListener { name: String, listener: String },
    #[error("cannot read '{path}' of '{name}': {reason}")]
    File {
        name: String,
        path: String,
        reason: String,
    },
}

/// Everything the shell has to know.
#[derive(Clone, Debug)]
pub struct ShellConfig {
    /// At least one; the first is the one that this process calls its own.
    pub listeners: Vec<ListenerConfig>,
    pub limits: ConnectionLimits,
    /// The listener that limits of the broker as a whole do not apply to, so that a flood elsewhere does not close it:
    /// the one of Kafka's brokers among themselves, if there are others.
    pub protected: Option<String>,
    /// Configurations for the broker itself.
    pub broker: BTreeMap<String, String>,
    given: BTreeMap<String, String>,
    hosts: Hosts,
}

impl ShellConfig {
    /// Reads the given configurations. Without `listeners` there is one PLAINTEXT listener on `address` (`HOST:PORT`).
    pub fn parse(given: &BTreeMap<String, String>, address: &str) -> Result<Self, ShellConfigError> {
        let properties = Properties::new(given)?;
        let listeners = listeners::parse(&properties, address)?;
        properties.check_listener_names(&listeners)?;
        let hosts = Hosts::look_up(&properties.text(OVERRIDES).unwrap_or_default());
        let limits = ConnectionLimits::parse(|name| properties.text(name), &hosts)?;
        let protected = protected(&properties, &listeners);
        let mut broker = properties.declared();
        broker
            .entry("listeners".to_owned())
            .or_insert_with(|| format!("PLAINTEXT://{address}"));
        Ok(Self {
            listeners,
            limits,
            protected,
            broker,
            given: given.clone(),
            hosts,
        })
    }
}

fn protected(properties: &Properties<'_>, listeners: &[ListenerConfig]) -> Option<String> {
    let name = properties
        .text("inter.broker.listener.name")
        .or_else(|| properties.text("security.inter.broker.protocol"))?
        .to_uppercase();
    let is_there = listeners.iter().any(|listener| listener.name == name);
    (is_there && listeners.len() > 1).then_some(name)
}

#[cfg(test)]
mod tests;
