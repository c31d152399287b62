//! The Kafka side of the shell: sockets in front of a [`millstream_broker::BrokerHandle`].

mod accept;
pub mod clusters;
pub mod config;
mod connection;
pub mod destinations;
pub mod embedded;
mod follow;
mod frames;
pub mod gate;
pub mod listener;
pub mod principal;
mod rates;
pub mod sasl;
pub(crate) mod tls;
mod writer;

pub use millstream_broker::config::{
    BROKER_CONFIGS, ConfigDecl, ConfigType, OWN_DEFAULTS, ResourceType, TOPIC_CONFIGS, Validity, meaning,
};

pub use clusters::{EmbeddedSettings, ProcessClusters};
pub use destinations::{AddressMap, Destinations};
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use listener::{KafkaListeners, ListenError, OpenListener};

/// Whether a key is one of Kafka's broker configurations, or configures a listener.
pub fn is_broker_config(key: &str) -> bool {
    config::is_listener_config(key) || BROKER_CONFIGS.iter().any(|declared| declared.name == key)
}
