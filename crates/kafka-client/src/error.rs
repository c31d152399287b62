//! Errors between a client and a cluster, and how to react to them.

use std::sync::Arc;

use millstream_kafka_wire::{ApiKey, DecodeError, EncodeError, ErrorCode};
use millstream_types::ErrorKind;

pub use millstream_types::error::with_causes;

/// A request failed without a response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    #[error(
        "no Kafka broker can be reached at {address}: start one there, or correct 'bootstrap.servers' or the broker's \
         'advertised.listeners'"
    )]
    Connect {
        address: String,
        #[source]
        source: Arc<std::io::Error>,
    },
    #[error(
        "no Kafka broker can be reached at {address}: connecting took longer than {timeout_ms} ms; check the address and \
         what lies between"
    )]
    ConnectTimeout { address: String, timeout_ms: u64 },
    #[error(
        "TLS with {address} failed; check `ssl.truststore.*`, `ssl.keystore.*` and that the port speaks TLS"
    )]
    Tls {
        address: String,
        #[source]
        source: Arc<std::io::Error>,
    },
    #[error("authentication at {address} failed: {reason}")]
    Authentication { address: String, reason: String },
    #[error("connection to {address} was closed: {reason}")]
    Disconnected { address: String, reason: String },
    #[error("no response to {api} from {address} within {timeout_ms} ms", api = .api.name())]
    Timeout {
        api: ApiKey,
        address: String,
        timeout_ms: u64,
    },
    #[error("the broker at {address} does not support {api} in the versions {min} to {max}", api = .api.name())]
    UnsupportedApi {
        api: ApiKey,
        address: String,
        min: i16,
        max: i16,
    },
    #[error("node {0} is not in the metadata of the cluster")]
    UnknownNode(i32),
    #[error("{api} cannot be written", api = .api.name())]
    Encode {
        api: ApiKey,
        #[source]
        source: EncodeError,
    },
    #[error("unreadable response to {api}", api = .api.name())]
    Decode {
        api: ApiKey,
        #[source]
        source: DecodeError,
    },
    #[error("setting is not usable: {0}")]
    Configuration(String),
    #[error("connecting to {address} is not permitted: {reason}")]
    Refused { address: String, reason: String },
    #[error("the client was closed")]
    Closed,
}

impl TransportError {
    /// Whether the same request may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            TransportError::Connect { .. }
                | TransportError::ConnectTimeout { .. }
                | TransportError::Disconnected { .. }
                | TransportError::Timeout { .. }
                | TransportError::UnknownNode(_)
        )
    }
}

/// An operation of the client failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("{what}: the broker responded with {code}{}", detail(.message))]
    Broker {
        what: String,
        code: ErrorCode,
        message: Option<String>,
    },
    #[error("{what} did not succeed within {timeout_ms} ms")]
    Timeout {
        what: String,
        timeout_ms: u64,
        #[source]
        last: Option<Box<ClientError>>,
    },
    #[error("the broker's response to {0} is incomplete")]
    Incomplete(&'static str),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
}

fn detail(message: &Option<String>) -> String {
    message
        .as_ref()
        .map(|message| format!(" ({message})"))
        .unwrap_or_default()
}

impl ClientError {
    pub(crate) fn broker(what: impl Into<String>, code: ErrorCode) -> Self {
        ClientError::Broker {
            what: what.into(),
            code,
            message: None,
        }
    }

    pub(crate) fn broker_with(
        what: impl Into<String>,
        code: ErrorCode,
        message: Option<millstream_kafka_wire::KafkaString>,
    ) -> Self {
        ClientError::Broker {
            what: what.into(),
            code,
            message: message.map(String::from),
        }
    }

    /// The broker's code, if it was the broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Broker { code, .. } => Some(*code),
            ClientError::Timeout { last: Some(last), .. } => last.code(),
            _ => None,
        }
    }

    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Transport(error) => error.is_retriable(),
            ClientError::Broker { code, .. } => code.is_retriable(),
            ClientError::Timeout { .. } => true,
            ClientError::Incomplete(_) | ClientError::Config(_) => false,
        }
    }

    /// What a user can do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ClientError::Config(_)
            | ClientError::Transport(TransportError::Configuration(_) | TransportError::Refused { .. }) => {
                ErrorKind::Input
            }
            error if error.is_retriable() => ErrorKind::Retry,
            ClientError::Transport(TransportError::Encode { .. } | TransportError::Decode { .. }) => {
                ErrorKind::Internal
            }
            _ => ErrorKind::Environment,
        }
    }
}
