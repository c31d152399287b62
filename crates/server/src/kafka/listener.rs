//! Accepting connections for the broker.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_broker::{BrokerHandle, Endpoint};
use millstream_kafka_wire::KafkaString;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connection;
use crate::limits::CONNECTIONS_MAX;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("'{address}' is no listen address: write HOST:PORT, for example 127.0.0.1:9092")]
    Address { address: String },
    #[error("port {address} is in use by another program; stop it, or choose another with --kafka HOST:PORT")]
    InUse { address: String },
    #[error("cannot listen on {address}")]
    Io {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "refusing to listen on {address} without authentication: anybody on the network could read and write; \
         use a loopback address"
    )]
    NotLoopback { address: String },
}

/// An open port. Dropping it closes the port and its connections.
#[derive(Debug)]
pub struct KafkaListener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl KafkaListener {
    /// Opens `address` and serves the broker there until the listener is dropped. Must be called inside a tokio runtime.
    pub async fn open(address: &str, broker: BrokerHandle) -> Result<Self, ListenError> {
        let parsed = resolve(address)?;
        if !parsed.ip().is_loopback() {
            return Err(ListenError::NotLoopback {
                address: address.to_owned(),
            });
        }
        let listener = TcpListener::bind(parsed)
            .await
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::AddrInUse => ListenError::InUse {
                    address: address.to_owned(),
                },
                _ => ListenError::Io {
                    address: address.to_owned(),
                    source,
                },
            })?;
        let io = |source| ListenError::Io {
            address: address.to_owned(),
            source,
        };
        let local = listener.local_addr().map_err(io)?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(accept(listener, endpoint_of(local), broker, stopped));
        Ok(Self { address: local, stop })
    }

    /// The address that was bound (with the port that was chosen, if 0 was asked for).
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for KafkaListener {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// The address that clients are told.
pub fn endpoint_of(address: SocketAddr) -> Endpoint {
    Endpoint {
        host: KafkaString::from(address.ip().to_string()),
        port: i32::from(address.port()),
    }
}

/// The first address of `HOST:PORT`; names are resolved.
pub fn resolve(address: &str) -> Result<SocketAddr, ListenError> {
    let wrong = || ListenError::Address {
        address: address.to_owned(),
    };
    let mut found: Vec<SocketAddr> = address.to_socket_addrs().map_err(|_| wrong())?.collect();
    // `localhost` may give ::1 first, where most clients do not look.
    found.sort_by_key(|a| !a.is_ipv4());
    found.into_iter().next().ok_or_else(wrong)
}

async fn accept(
    listener: TcpListener,
    endpoint: Endpoint,
    broker: BrokerHandle,
    stopped: watch::Receiver<bool>,
) {
    let endpoint = Arc::new(endpoint);
    let open = Arc::new(AtomicUsize::new(0));
    let mut until = stopped.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = until.changed() => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: let some connections end before the next attempt.
                tracing::warn!(%error, "cannot accept a Kafka connection");
                tokio::time::sleep(crate::limits::ACCEPT_RETRY).await;
                continue;
            }
        };
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%peer, "too many Kafka connections; closing the new one");
            continue;
        }
        let (broker, endpoint, open, stopped) =
            (broker.clone(), endpoint.clone(), open.clone(), stopped.clone());
        tokio::spawn(async move {
            if let Err(error) = connection::serve(socket, peer, endpoint, broker, stopped).await {
                tracing::debug!(%peer, %error, "a Kafka connection ended");
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
