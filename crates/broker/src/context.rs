//! Context of a request: the sender, its connection, and the address to advertise to it.

use millstream_kafka_wire::KafkaString;
use std::sync::Arc;

/// The principal of unauthenticated clients.
pub const ANONYMOUS: &str = "User:ANONYMOUS";

/// An address that clients can reach this broker at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: KafkaString,
    /// Port.
    pub port: i32,
}

/// The connection (or in-process caller) that a request belongs to.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The name that the client gave itself.
    pub client_id: KafkaString,
    /// Where it connects from, as Kafka prints it (`/127.0.0.1`).
    pub client_host: KafkaString,
    /// The authenticated principal, or [`ANONYMOUS`].
    pub principal: KafkaString,
    /// The address that metadata responses advertise to this client.
    pub endpoint: Arc<Endpoint>,
    /// Whether this caller is part of the process itself and not subject to authorization.
    pub is_internal: bool,
}

impl RequestContext {
    /// A caller inside of the process.
    pub fn internal(client_id: impl Into<KafkaString>, endpoint: Endpoint) -> Self {
        RequestContext {
            client_id: client_id.into(),
            client_host: KafkaString::from_static("/127.0.0.1"),
            principal: KafkaString::from_static(ANONYMOUS),
            endpoint: Arc::new(endpoint),
            is_internal: true,
        }
    }
}
