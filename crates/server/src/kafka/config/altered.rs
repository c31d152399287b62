//! The part of the listeners' configuration that can be altered at run time: connection limits, and certificates and
//! keys of single listeners.

use std::collections::BTreeMap;

use millstream_broker::config::listener;

use super::properties::Properties;
use super::{ConnectionLimits, ListenerLimits, ShellConfig, ShellConfigError, TlsSettings};

/// The effective configuration, with alterations since startup.
#[derive(Clone, Debug)]
pub struct Altered {
    pub limits: ConnectionLimits,
    /// In the order of the listeners.
    pub listeners: Vec<AlteredListener>,
}

/// The same of one listener.
#[derive(Clone, Debug)]
pub struct AlteredListener {
    pub limits: ListenerLimits,
    pub tls: Result<Option<TlsSettings>, ShellConfigError>,
    /// The alterations behind `tls`.
    pub stores: BTreeMap<String, String>,
}

impl ShellConfig {
    /// Reads the configuration again with the dynamic values; read-only configurations are not checked.
    pub fn alter(&self, dynamic: &BTreeMap<String, String>) -> Result<Altered, ShellConfigError> {
        let mut merged = self.given.clone();
        let followed = dynamic.iter().filter(|(key, _)| is_followed(key));
        merged.extend(followed.map(|(key, value)| (key.clone(), value.clone())));
        let properties = Properties::new(&merged)?;
        let limits = ConnectionLimits::parse(|name| properties.text(name), &self.hosts)?;
        let mut listeners = Vec::with_capacity(self.listeners.len());
        for listener in &self.listeners {
            let scope = properties.scope(&listener.name);
            let tls = listener
                .tls
                .as_ref()
                .map(|_| TlsSettings::parse(&scope))
                .transpose();
            let name = listener.name.to_lowercase();
            let stores = stores_of(dynamic, &name);
            listeners.push(AlteredListener {
                limits: ListenerLimits::parse(&scope),
                tls,
                stores: stores.map(|(key, value)| (key.clone(), value.clone())).collect(),
            });
        }
        Ok(Altered { limits, listeners })
    }

    /// Configurations of a single listener must name an existing listener, and certificates one that encrypts.
    pub fn check_listeners(&self, changed: &BTreeMap<String, String>) -> Result<(), ShellConfigError> {
        for key in changed.keys() {
            let Some((name, setting)) = listener::split(key) else {
                continue;
            };
            let found = self
                .listeners
                .iter()
                .find(|each| each.name.to_lowercase() == name);
            let Some(found) = found else {
                return Err(ShellConfigError::NoSuchListener {
                    name: key.clone(),
                    listener: name.to_owned(),
                });
            };
            if listener::STORES.contains(&setting) && found.tls.is_none() {
                return Err(ShellConfigError::Value {
                    name: key.clone(),
                    value: "[hidden]".to_owned(),
                    expected: format!("listener {} does not encrypt", found.name),
                });
            }
        }
        Ok(())
    }
}

fn is_followed(key: &str) -> bool {
    match listener::split(key) {
        Some((_, name)) => listener::LIMITS.contains(&name) || listener::STORES.contains(&name),
        None => listener::LIMITS.contains(&key) || key.starts_with("max.connections.per.ip"),
    }
}

fn stores_of<'a>(
    dynamic: &'a BTreeMap<String, String>,
    listener: &'a str,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    dynamic.iter().filter(move |(key, _)| {
        let split = listener::split(key);
        split.is_some_and(|(name, setting)| name == listener && listener::STORES.contains(&setting))
    })
}
