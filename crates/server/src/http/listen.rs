//! An HTTP listener: binds its address, serves a bounded number of connections, and drains them when it closes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::settings::Endpoint;
use crate::kafka::listener::resolve;
use crate::kafka::tls::TlsServer;
use crate::limits::{
    ACCEPT_RETRY, AUTHENTICATION_TIME, HTTP_CONNECTIONS_MAX, HTTP_HEADER_TIME, HTTP_SHUTDOWN_TIME,
};

/// Why an HTTP listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HttpListenError {
    #[error("'{host}' is not an address to listen on; write an IP address or a host name")]
    Address { host: String },
    #[error(
        "port {address} is in use by another program; stop it, or choose another port with -D {port_key}=PORT"
    )]
    InUse { address: String, port_key: &'static str },
    #[error("cannot listen on {address}")]
    Io {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "refusing to listen on {address} without authentication: everyone on the network could run statements; use a \
         loopback address, or name users with --users-file FILE or a token with --token-file FILE"
    )]
    NotLoopback { address: String },
}

/// An open listener. [`HttpListener::close`] drains it; dropping it closes it at once.
#[derive(Debug)]
pub struct HttpListener {
    address: SocketAddr,
    closing: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl HttpListener {
    /// Binds the first free port of an endpoint and serves `router` there. Must be called inside a tokio runtime.
    pub async fn open(
        endpoint: &Endpoint,
        authenticates: bool,
        tls: Option<Arc<TlsServer>>,
        router: Router,
    ) -> Result<Self, HttpListenError> {
        let listener = bind(endpoint, authenticates).await?;
        let address = listener.local_addr().map_err(|source| HttpListenError::Io {
            address: endpoint.host.clone(),
            source,
        })?;
        let (closing, closed) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, tls, router, closed));
        Ok(Self {
            address,
            closing,
            serving,
        })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more connections and waits a short while until requests in flight are finished.
    pub async fn close(mut self) {
        _ = self.closing.send(true);
        _ = (&mut self.serving).await;
    }
}

impl Drop for HttpListener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn bind(endpoint: &Endpoint, authenticates: bool) -> Result<TcpListener, HttpListenError> {
    let host = if endpoint.host.contains(':') && !endpoint.host.starts_with('[') {
        format!("[{}]", endpoint.host)
    } else {
        endpoint.host.clone()
    };
    let mut in_use = None;
    for port in endpoint.first_port..=endpoint.last_port {
        let address = format!("{host}:{port}");
        let resolved = resolve(&address).map_err(|_| HttpListenError::Address {
            host: endpoint.host.clone(),
        })?;
        if !resolved.ip().is_loopback() && !authenticates {
            return Err(HttpListenError::NotLoopback { address });
        }
        match TcpListener::bind(resolved).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => in_use = Some(address),
            Err(source) => return Err(HttpListenError::Io { address, source }),
        }
    }
    Err(HttpListenError::InUse {
        address: in_use.unwrap_or(host),
        port_key: endpoint.port_key,
    })
}

/// Serves connections until `closed` says otherwise.
async fn serve(
    listener: TcpListener,
    tls: Option<Arc<TlsServer>>,
    router: Router,
    mut closed: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= HTTP_CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closed.changed() => break,
        };
        match accepted {
            Ok((socket, _)) => {
                // Small responses would wait for the client's delayed acknowledgements.
                _ = socket.set_nodelay(true);
                connections.spawn(connection(socket, tls.clone(), service.clone(), closed.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drain(connections, HTTP_SHUTDOWN_TIME).await;
}

/// Clients that vanish or violate the protocol are their own problem: errors end the connection in silence.
async fn connection(
    socket: TcpStream,
    tls: Option<Arc<TlsServer>>,
    service: TowerToHyperService<Router>,
    closed: watch::Receiver<bool>,
) {
    let Some(tls) = tls else {
        return converse(socket, service, closed).await;
    };
    let handshake = tokio::time::timeout(AUTHENTICATION_TIME, tls.accept(socket));
    match handshake.await {
        Ok(Ok((stream, _))) => converse(stream, service, closed).await,
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP client failed in the TLS handshake"),
        Err(_) => {}
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: TowerToHyperService<Router>,
    mut closed: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_TIME)
        .max_headers(64)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closed.changed() => connection.as_mut().graceful_shutdown(),
    }
    _ = connection.await;
}

async fn drain(mut connections: JoinSet<()>, time: Duration) {
    let all = async { while connections.join_next().await.is_some() {} };
    _ = tokio::time::timeout(time, all).await;
}
