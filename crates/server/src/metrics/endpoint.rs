//! The endpoint that Prometheus reads: `GET /metrics`. On loopback anybody may; elsewhere only who shows a token.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use millstream_broker::BrokerHandle;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{ShellMetrics, render};
use crate::kafka::ListenError;
use crate::kafka::gate::Gate;
use crate::kafka::listener::resolve;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the endpoint listens and who may read it.
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
        "refusing to show metrics on {address} to everybody on the network; use a loopback address, or a token \
         (--metrics-token-file FILE)"
    )]
    NotLoopback { address: String },
}

struct Shared {
    broker: BrokerHandle,
    metrics: Arc<ShellMetrics>,
    gate: Arc<Gate>,
    token: Option<String>,
}

/// The open endpoint. Dropping it closes it.
#[derive(Debug)]
pub struct MetricsEndpoint {
    address: SocketAddr,
    serving: JoinHandle<()>,
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
        let shared = Shared {
            broker,
            metrics,
            gate,
            token,
        };
        let router = Router::new()
            .route("/metrics", get(page))
            .with_state(Arc::new(shared));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the endpoint of metrics has ended");
            }
        });
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

async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(token) = &shared.token {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if !given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes()))) {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
        }
    }
    let (found, answer) = tokio::sync::oneshot::channel();
    let look = move |broker: &mut millstream_broker::Broker| {
        let _ = found.send(broker.measure());
    };
    let measure = match shared.broker.post(look) {
        Ok(()) => answer.await.ok(),
        Err(_) => None,
    };
    let Some(measure) = measure else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the broker has stopped\n").into_response();
    };
    let connections = shared.gate.measure(shared.metrics.now_ms());
    let text = render(&measure, &shared.metrics.snapshot(), &connections);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}
