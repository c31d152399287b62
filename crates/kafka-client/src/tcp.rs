//! Brokers over sockets: one connection for each broker, opened on demand and again when it breaks.
//!
//! Requests on a connection are pipelined, and responses arrive in the same order. A response that exceeds its timeout
//! closes the connection, because all later ones would be late too. Reconnects back off exponentially with jitter, so
//! that clients do not return all at once.

mod connection;
mod frame;
mod handshake;
mod routes;
pub(crate) mod sasl;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_types::Rng;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::backoff::Backoff;
use crate::config::{ConnectionConfig, split_address};
use crate::error::TransportError;
use crate::transport::{BoxFuture, Call, Node, NodeVersions, Reply, Target, Transport};

use connection::Connection;
pub use routes::{Direct, Routes};
pub use tls::connector as tls_connector;

/// The way to brokers over TCP, with TLS and SASL as configured. Must be used inside of a tokio runtime.
#[derive(Clone)]
pub struct TcpTransport {
    shared: Arc<Shared>,
}

struct Shared {
    config: ConnectionConfig,
    tls: Option<TlsConnector>,
    rng: Arc<dyn Rng>,
    routes: Arc<dyn Routes>,
    bootstrap: Vec<(String, u16)>,
    nodes: Mutex<BTreeMap<i32, (String, u16)>>,
    slots: Mutex<HashMap<Target, Arc<Slot>>>,
}

/// The connection to one target. The lock is held while connecting, so that one attempt serves all that wait.
#[derive(Default)]
struct Slot {
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    connection: Option<Arc<Connection>>,
    failures: u32,
    not_before: Option<Instant>,
}

impl TcpTransport {
    /// Reads certificates, but does not connect yet.
    pub fn new(config: ConnectionConfig, rng: Arc<dyn Rng>) -> Result<Self, TransportError> {
        Self::with_routes(config, rng, Arc::new(Direct))
    }

    /// As [`TcpTransport::new`], with `routes` deciding about every connection.
    pub fn with_routes(
        config: ConnectionConfig,
        rng: Arc<dyn Rng>,
        routes: Arc<dyn Routes>,
    ) -> Result<Self, TransportError> {
        if config.bootstrap_servers.is_empty() {
            return Err(TransportError::Configuration(
                "'bootstrap.servers' is missing; set it to host:port of a broker".to_owned(),
            ));
        }
        let bootstrap: Result<Vec<_>, _> = config
            .bootstrap_servers
            .iter()
            .map(|s| split_address(s))
            .collect();
        let bootstrap = bootstrap.map_err(|error| TransportError::Configuration(error.to_string()))?;
        let tls = config.tls.as_ref().map(tls_connector).transpose()?;
        let shared = Shared {
            config,
            tls,
            rng,
            routes,
            bootstrap,
            nodes: Mutex::default(),
            slots: Mutex::default(),
        };
        Ok(TcpTransport {
            shared: Arc::new(shared),
        })
    }
}

impl Transport for TcpTransport {
    fn call(&self, call: Call) -> BoxFuture<Result<Reply, TransportError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let connection = shared.connection(call.target).await?;
            let timeout = call.timeout.unwrap_or(shared.config.request_timeout);
            connection.call(call, timeout).await
        })
    }

    fn versions(&self, target: Target) -> BoxFuture<Result<Arc<NodeVersions>, TransportError>> {
        let shared = self.shared.clone();
        Box::pin(async move { Ok(shared.connection(target).await?.versions().clone()) })
    }

    fn set_nodes(&self, nodes: &[Node]) {
        let addresses: BTreeMap<i32, (String, u16)> = nodes
            .iter()
            .filter_map(|node| Some((node.id, (node.host.to_string(), u16::try_from(node.port).ok()?))))
            .collect();
        let mut slots = lock(&self.shared.slots);
        let mut known = lock(&self.shared.nodes);
        // Reconnects to a broker that has moved.
        slots.retain(|target, _| match target {
            Target::Any => true,
            Target::Node(id) => addresses.get(id) == known.get(id),
        });
        *known = addresses;
    }
}

impl Shared {
    async fn connection(&self, target: Target) -> Result<Arc<Connection>, TransportError> {
        let slot = lock(&self.slots).entry(target).or_default().clone();
        let mut state = slot.state.lock().await;
        if let Some(connection) = state
            .connection
            .as_ref()
            .filter(|connection| connection.is_open())
        {
            return Ok(connection.clone());
        }
        state.connection = None;
        if let Some(not_before) = state.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        match self.connect_to_one_of(self.addresses(target)?).await {
            Ok(connection) => {
                *state = SlotState {
                    connection: Some(connection.clone()),
                    ..SlotState::default()
                };
                Ok(connection)
            }
            Err(error) => {
                let backoff = Backoff::new(self.config.reconnect_backoff, self.config.reconnect_backoff_max);
                let wait = backoff.wait(state.failures, self.rng.as_ref());
                state.failures = state.failures.saturating_add(1);
                state.not_before = Some(Instant::now() + wait);
                Err(error)
            }
        }
    }

    fn addresses(&self, target: Target) -> Result<Vec<(String, u16)>, TransportError> {
        match target {
            Target::Node(id) => match lock(&self.nodes).get(&id) {
                Some(address) => Ok(vec![address.clone()]),
                None => Err(TransportError::UnknownNode(id)),
            },
            Target::Any => {
                // Bootstrap servers first, because the user named them; then the other known brokers.
                let mut addresses = self.bootstrap.clone();
                addresses.extend(lock(&self.nodes).values().cloned());
                Ok(addresses)
            }
        }
    }

    async fn connect_to_one_of(
        &self,
        addresses: Vec<(String, u16)>,
    ) -> Result<Arc<Connection>, TransportError> {
        let mut last = TransportError::Closed;
        for (host, port) in addresses {
            let address = format!("{host}:{port}");
            let timeout = self.config.connection_setup_timeout;
            let opening = handshake::open(&self.config, self.tls.as_ref(), self.routes.as_ref(), &host, port);
            match tokio::time::timeout(timeout, opening).await {
                Ok(Ok(opened)) => return Ok(Connection::start(opened, &self.config)),
                // Another broker would refuse the same credentials.
                Ok(Err(error @ TransportError::Authentication { .. })) => return Err(error),
                Ok(Err(error)) => last = error,
                Err(_) => {
                    last = TransportError::ConnectTimeout {
                        address,
                        timeout_ms: millis(timeout),
                    }
                }
            }
        }
        Err(last)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
