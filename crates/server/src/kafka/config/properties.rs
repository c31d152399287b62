//! Finding values: by listener and mechanism first, then for all; defaults are the broker's declarations.

use std::collections::BTreeMap;

use millstream_broker::config::{self, ConfigType, ResourceType};

use super::{ListenerConfig, ShellConfigError};

/// Prefix of the configurations of single listeners.
const LISTENER_PREFIX: &str = "listener.name.";
/// Mechanisms as they stand in keys, `listener.name.NAME.MECHANISM.KEY`.
const MECHANISM_PREFIXES: [&str; 5] = [
    "plain.",
    "scram-sha-256.",
    "scram-sha-512.",
    "oauthbearer.",
    "gssapi.",
];

/// A configuration of the shell that Kafka does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnConfig {
    pub name: &'static str,
    pub doc: &'static str,
}

/// Configurations of listeners beyond Kafka's.
pub const OWN_CONFIGS: &[OwnConfig] = &[
    OwnConfig {
        name: "millstream.sasl.oauthbearer.required.scope",
        doc: "Scopes that a token must have, separated by spaces.",
    },
    OwnConfig {
        name: "millstream.sasl.users",
        doc: "Users for PLAIN and SCRAM, as `NAME:PASSWORD` separated by `;`.",
    },
    OwnConfig {
        name: "millstream.sasl.users.file",
        doc: "A file of users for PLAIN and SCRAM, one `NAME:PASSWORD` a line.",
    },
];

/// Whether a key configures a single listener, or is one of [`OWN_CONFIGS`].
pub fn is_listener_config(key: &str) -> bool {
    key.starts_with(LISTENER_PREFIX) || is_own(key)
}

fn is_own(key: &str) -> bool {
    OWN_CONFIGS.iter().any(|own| own.name == key)
}

/// Where to look for the values of one listener.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub properties: &'a Properties<'a>,
    pub listener: &'a str,
}

impl Scope<'_> {
    /// The value for this listener, for all, or the default. Empty counts as missing.
    pub fn text(&self, name: &str) -> Option<String> {
        self.set(name).or_else(|| default(name)).filter(|v| !v.is_empty())
    }

    /// The same without the default.
    pub fn set(&self, name: &str) -> Option<String> {
        let own = format!("{LISTENER_PREFIX}{}.{name}", self.listener.to_lowercase());
        let given = self.properties.given;
        let given = given.get(&own).or_else(|| given.get(name))?;
        Some(read(name, given).to_owned())
    }

    /// The value for a mechanism of this listener, for this listener, or for all.
    pub fn of_mechanism(&self, mechanism: &str, name: &str) -> Option<String> {
        let listener = self.listener.to_lowercase();
        let own = format!("{LISTENER_PREFIX}{listener}.{}.{name}", mechanism.to_lowercase());
        let given = self.properties.given;
        let given = given.get(&own).map(|value| read(name, value).to_owned());
        given.or_else(|| self.text(name))
    }

    /// A number, checked by its declaration before.
    pub fn long(&self, name: &str) -> i64 {
        self.text(name).and_then(|v| v.trim().parse().ok()).unwrap_or(0)
    }

    /// The name under which a value is set, for messages.
    pub fn name_of(&self, name: &str) -> String {
        let own = format!("{LISTENER_PREFIX}{}.{name}", self.listener.to_lowercase());
        if self.properties.given.contains_key(&own) {
            own
        } else {
            name.to_owned()
        }
    }
}

/// The given configurations, with known keys and values of the declared types.
pub(super) struct Properties<'a> {
    given: &'a BTreeMap<String, String>,
}

impl<'a> Properties<'a> {
    pub fn new(given: &'a BTreeMap<String, String>) -> Result<Self, ShellConfigError> {
        for (key, value) in given {
            let Some(name) = base_name(key) else { continue };
            config::check(ResourceType::Broker, name, value).map_err(|error| match error {
                config::ConfigError::Unknown { .. } => ShellConfigError::Value {
                    name: key.clone(),
                    value: "[hidden]".to_owned(),
                    expected: format!("'{name}' is not a configuration of Kafka's broker"),
                },
                config::ConfigError::Invalid { value, expected, .. }
                | config::ConfigError::Together {
                    value,
                    rule: expected,
                    ..
                } => ShellConfigError::Value {
                    name: key.clone(),
                    value,
                    expected: config::in_a_sentence(&expected),
                },
                config::ConfigError::EmptyEntry { .. } => ShellConfigError::Value {
                    name: key.clone(),
                    value: "[hidden]".to_owned(),
                    expected: "a list without empty entries".to_owned(),
                },
            })?;
        }
        Ok(Self { given })
    }

    /// The value for all listeners, or the default. Empty counts as missing.
    pub fn text(&self, name: &str) -> Option<String> {
        let given = self.set(name).map(str::to_owned);
        given.or_else(|| default(name)).filter(|value| !value.is_empty())
    }

    /// The same without the default.
    pub fn set(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|value| read(name, value))
    }

    pub fn scope<'b>(&'b self, listener: &'b str) -> Scope<'b> {
        Scope {
            properties: self,
            listener,
        }
    }

    /// Configurations that Kafka declares for the broker, and those of single listeners without their secrets.
    pub fn declared(&self) -> BTreeMap<String, String> {
        let is_declared = |(key, _): &(&String, &String)| {
            let of_listener = config::listener::declared(key);
            !is_listener_config(key)
                || of_listener.is_some_and(|decl| decl.config_type != ConfigType::Password)
        };
        let declared = self.given.iter().filter(is_declared);
        declared
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Rejects keys for a listener that does not exist: most likely a mistake that leaves a listener less safe than
    /// intended. Names with capital letters are rejected too, because Kafka ignores them.
    pub fn check_listener_names(&self, listeners: &[ListenerConfig]) -> Result<(), ShellConfigError> {
        let skipped = self.set("controller.listener.names").unwrap_or_default();
        let skipped: Vec<String> = skipped
            .split(',')
            .map(|name| name.trim().to_lowercase())
            .collect();
        for key in self.given.keys() {
            let Some((listener, _)) = key.strip_prefix(LISTENER_PREFIX).and_then(|k| k.split_once('.'))
            else {
                continue;
            };
            let small = listener.to_lowercase();
            let is_known =
                listeners.iter().any(|l| l.name.to_lowercase() == small) || skipped.contains(&small);
            if is_known && small != listener {
                return Err(ShellConfigError::Value {
                    name: key.clone(),
                    value: listener.to_owned(),
                    expected: format!("the name of the listener in small letters, {LISTENER_PREFIX}{small}"),
                });
            }
            if !is_known {
                return Err(ShellConfigError::NoSuchListener {
                    name: key.clone(),
                    listener: listener.to_uppercase(),
                });
            }
        }
        Ok(())
    }
}

/// A value as Kafka parses it, trimmed. Values of [`OWN_CONFIGS`] hold passwords and are not trimmed.
fn read<'v>(name: &str, value: &'v str) -> &'v str {
    if is_own(name) { value } else { value.trim() }
}

fn default(name: &str) -> Option<String> {
    config::declaration(ResourceType::Broker, name)?
        .default
        .map(str::to_owned)
}

/// The declared name behind a listener's key; `None` for keys that are not checked here.
fn base_name(key: &str) -> Option<&str> {
    if is_own(key) {
        return None;
    }
    let Some(rest) = key.strip_prefix(LISTENER_PREFIX) else {
        return Some(key);
    };
    let (_, name) = rest.split_once('.').unwrap_or(("", rest));
    let name = MECHANISM_PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    (!is_own(name)).then_some(name)
}
