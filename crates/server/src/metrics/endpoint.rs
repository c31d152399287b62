//! The Prometheus endpoint: `GET /metrics`. That of `millstream broker` is open on loopback and requires a token elsewhere;
//! that of `millstream serve` is a door like the others ([`crate::http`]).
//!
//! Connections are few and short: one request each, within a timeout, so a silent client cannot hold one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use millstream_broker::BrokerHandle;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::{ShellMetrics, render};
use crate::kafka::ListenError;
use crate::kafka::gate::Gate;
use crate::kafka::listener::resolve;
use crate::limits::{ACCEPT_RETRY, METRICS_CONNECTIONS_MAX, METRICS_REQUEST_TIME, METRICS_TIME};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Address of the endpoint, and its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// `HOST:PORT`, or a port of loopback.
    pub address: String,
    /// A file with the token that readers must send as `Authorization: Bearer …`.
    pub token_file: Option<PathBuf>,
}

/// Why the endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error(transparent)]
    Address(#[from] ListenError),
    #[error("cannot listen on {address} for metrics")]
    Io {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read the token of metrics in '{}'", path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the token of metrics in '{}' is empty", path.display())]
    NoToken { path: PathBuf },
    #[error(
        "refusing to expose metrics on {address} to the network; use a loopback address, or a token \
         (--metrics-token-file FILE)"
    )]
    NotLoopback { address: String },
}

/// Limits of the endpoint's connections.
#[derive(Clone, Copy)]
struct EndpointLimits {
    connections: usize,
    /// Until the request has come.
    header_time: Duration,
    /// Until the response is written.
    time: Duration,
}

const LIMITS: EndpointLimits = EndpointLimits {
    connections: METRICS_CONNECTIONS_MAX,
    header_time: METRICS_REQUEST_TIME,
    time: METRICS_TIME,
};

struct Shared {
    broker: BrokerHandle,
    metrics: Arc<ShellMetrics>,
    gate: Arc<Gate>,
    token: Option<String>,
    jobs: Option<JobPage>,
}

/// Renders the metrics of jobs.
pub type JobPage = Box<dyn Fn() -> String + Send + Sync>;

/// The open endpoint. Dropping it closes it.
pub struct MetricsEndpoint {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

/// The page at `/metrics`; with a token, only for those who send it.
pub(crate) fn router(
    broker: BrokerHandle,
    metrics: Arc<ShellMetrics>,
    gate: Arc<Gate>,
    token: Option<String>,
    jobs: Option<JobPage>,
) -> Router {
    let shared = Shared {
        broker,
        metrics,
        gate,
        token,
        jobs,
    };
    Router::new()
        .route("/metrics", get(page))
        .with_state(Arc::new(shared))
}

impl MetricsEndpoint {
    /// Opens the endpoint. Must be called inside a tokio runtime.
    pub async fn open(
        settings: &MetricsSettings,
        broker: BrokerHandle,
        metrics: Arc<ShellMetrics>,
        gate: Arc<Gate>,
    ) -> Result<Self, MetricsError> {
        let address = match settings.address.parse::<u16>() {
            Ok(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            Err(_) => resolve(&settings.address)?,
        };
        let token = settings.token_file.clone().map(token).transpose()?;
        if !address.ip().is_loopback() && token.is_none() {
            return Err(MetricsError::NotLoopback {
                address: settings.address.clone(),
            });
        }
        let io = |source| MetricsError::Io {
            address: settings.address.clone(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let router = router(broker, metrics, gate, token, None);
        let serving = tokio::spawn(serve(listener, router, LIMITS));
        Ok(Self { address, serving })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsEndpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn token(path: PathBuf) -> Result<String, MetricsError> {
    match std::fs::read_to_string(&path) {
        Err(source) => Err(MetricsError::Token { path, source }),
        Ok(text) if text.trim().is_empty() => Err(MetricsError::NoToken { path }),
        Ok(text) => Ok(text.trim().to_owned()),
    }
}

/// Serves connections until the task is dropped.
async fn serve(listener: TcpListener, router: Router, limits: EndpointLimits) {
    let service = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= limits.connections {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((socket, _)) => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(limits.header_time)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(socket), service.clone());
                connections.spawn(async move {
                    // Clients that go away or are too slow are no news.
                    _ = tokio::time::timeout(limits.time, connection).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(token) = &shared.token {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if !given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes()))) {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
        }
    }
    let (found, response) = tokio::sync::oneshot::channel();
    let look = move |broker: &mut millstream_broker::Broker| {
        let _ = found.send(broker.measure());
    };
    let measure = match shared.broker.post(look) {
        Ok(()) => response.await.ok(),
        Err(_) => None,
    };
    let Some(measure) = measure else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the broker has stopped\n").into_response();
    };
    let connections = shared.gate.measure(shared.metrics.now_ms());
    let mut text = render(&measure, &shared.metrics.snapshot(), &connections);
    if let Some(jobs) = &shared.jobs {
        text.push_str(&jobs());
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Unlimited, as far as a test is concerned.
    const LONG: Duration = Duration::from_secs(1_000);

    async fn connect(limits: EndpointLimits) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "x".repeat(32 << 20) }));
        (address, tokio::spawn(serve(listener, router, limits)))
    }

    async fn all(socket: &mut TcpStream) -> usize {
        let mut response = Vec::new();
        // A connection may end by a reset, too.
        _ = socket.read_to_end(&mut response).await;
        response.len()
    }

    #[tokio::test]
    async fn who_says_nothing_or_takes_nothing_is_closed_and_the_next_one_is_served() {
        let short = Duration::from_millis(20);
        for (request, header_time, time) in [
            ("", short, LONG),
            ("GET / HTTP/1.1\r\nHost:", short, LONG),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", LONG, short),
        ] {
            let limits = EndpointLimits {
                connections: 1,
                header_time,
                time,
            };
            let (address, serving) = connect(limits).await;
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(request.as_bytes()).await.unwrap();
            // There is one place, so this one has to wait for the end of the other, which is not read.
            let mut next = TcpStream::connect(address).await.unwrap();
            next.write_all(b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            assert!(all(&mut next).await > 0, "{request:?}");
            assert!(all(&mut slow).await < 32 << 20, "{request:?}");
            serving.abort();
        }
    }

    #[tokio::test]
    async fn a_connection_is_for_one_request() {
        let limits = EndpointLimits {
            connections: 1,
            header_time: LONG,
            time: LONG,
        };
        let (address, serving) = connect(limits).await;
        for _ in 0..3 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            assert!(all(&mut socket).await > 32 << 20);
        }
        serving.abort();
    }
}
