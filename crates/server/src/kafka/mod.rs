//! The Kafka side of the shell: sockets in front of a [`millstream_broker::BrokerHandle`].

pub mod clusters;
pub mod connection;
pub mod embedded;
pub mod listener;

pub use millstream_broker::config::{
    BROKER_CONFIGS, ConfigDecl, ConfigType, OWN_DEFAULTS, ResourceType, TOPIC_CONFIGS, Validity, meaning,
};

pub use clusters::{EmbeddedSettings, ProcessClusters};
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use listener::{KafkaListener, ListenError};

/// Whether a key is one of Kafka's broker configurations.
pub fn is_broker_config(key: &str) -> bool {
    BROKER_CONFIGS.iter().any(|declared| declared.name == key)
}
