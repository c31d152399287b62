//! Broker configurations without a declaration: those of a single listener (`listener.name.NAME.KEY`), and the
//! throttles that tools set while they move replicas.

use super::{ConfigDecl, ConfigType, ResourceType, Validity, declaration};

const PREFIX: &str = "listener.name.";

/// Certificates and keys; only for single listeners, and only on a broker by its number.
pub const STORES: &[&str] = &[
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Limits of connections, which may be set for all brokers too.
pub const LIMITS: &[&str] = &["max.connection.creation.rate", "max.connections"];

/// Throttles of replication, which one node has no use for.
const THROTTLE_CONFIGS: &[ConfigDecl] = &[
    throttle("follower.replication.throttled.rate"),
    throttle("leader.replication.throttled.rate"),
    throttle("replica.alter.log.dirs.io.max.bytes.per.second"),
];

const fn throttle(name: &'static str) -> ConfigDecl {
    ConfigDecl {
        name,
        config_type: ConfigType::Long,
        default: Some("9223372036854775807"),
        valid: Validity::AtLeast(0.0),
        synonym: None,
    }
}

/// The name of the listener, and of the configuration as the broker as a whole has it; `None` for all others.
pub fn split(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(PREFIX)?.split_once('.')
}

/// The declaration behind a key of a single listener, with or without a mechanism of SASL before its name.
pub fn declared(key: &str) -> Option<&'static ConfigDecl> {
    let (_, name) = split(key)?;
    let of_mechanism = || declaration(ResourceType::Broker, name.split_once('.')?.1);
    declaration(ResourceType::Broker, name).or_else(of_mechanism)
}

/// The declaration behind a key that is not declared by itself and may be set on a running broker.
pub fn dynamic_only(key: &str) -> Option<&'static ConfigDecl> {
    let Some((_, name)) = split(key) else {
        return THROTTLE_CONFIGS.iter().find(|decl| decl.name == key);
    };
    let is_dynamic = STORES.contains(&name) || LIMITS.contains(&name);
    declaration(ResourceType::Broker, name).filter(|_| is_dynamic)
}
