//! Listeners: open ports, serve connections, and shut down so that requests in flight get their responses.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use millstream_broker::{ANONYMOUS, Broker, BrokerHandle, Endpoint, RequestContext};
use millstream_kafka_wire::KafkaString;
use millstream_types::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::accept::{Refusals, accept};
use super::config::{ConnectionLimits, ListenerConfig, Mechanism, ShellConfig, ShellConfigError};
use super::connection::{ConnectionError, Receiver};
use super::follow::Listeners;
use super::frames::RequestMemory;
use super::gate::{Gate, Pass};
use super::sasl::{JwksError, SaltSecret, SaslServer};
use super::tls::{TlsError, TlsServer};
use super::writer;
use crate::limits::{AUTHENTICATION_TIME, SHUTDOWN_TIME};
use crate::metrics::ShellMetrics;
use crate::open_files::{self, Shares};
use millstream_kafka_client::error::with_causes;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("'{address}' is not a listen address: write HOST:PORT, for example 127.0.0.1:9092")]
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
        "refusing to listen on {address} without authentication: anyone on the network could read and write; \
         use a loopback address, or in 'listeners' one of SASL_SSL, SASL_PLAINTEXT, or SSL with ssl.client.auth=required"
    )]
    NotLoopback { address: String },
    #[error(transparent)]
    Config(#[from] ShellConfigError),
    #[error("listener {listener} cannot encrypt")]
    Tls {
        listener: String,
        #[source]
        source: TlsError,
    },
    #[error("listener {listener} cannot check tokens")]
    Tokens {
        listener: String,
        #[source]
        source: JwksError,
    },
}

/// Phases of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// No new requests; responses still go out.
    Draining,
    Closed,
}

/// State shared by all connections of a listener.
pub(super) struct Serving {
    pub name: String,
    /// The advertised address; `None` advertises the address that a client connected to.
    pub endpoint: Option<Arc<Endpoint>>,
    pub tls: Option<Arc<TlsServer>>,
    pub sasl: Option<Arc<SaslServer>>,
    pub broker: BrokerHandle,
    pub clock: Arc<dyn Clock>,
    pub gate: Arc<Gate>,
    pub memory: RequestMemory,
    pub metrics: Arc<ShellMetrics>,
}

impl Serving {
    /// Counts and records that a client was not let in.
    pub fn authentication_failed(&self, host: &str, reason: &str) {
        self.metrics.authentication(&self.name, false);
        tracing::info!(target: "audit", listener = %self.name, %host, reason, "authentication failed");
    }
}

/// A port that is open.
#[derive(Clone, Debug)]
pub struct OpenListener {
    pub name: String,
    /// The address that was bound, with the port that was chosen if 0 was requested.
    pub address: SocketAddr,
    /// The address advertised to clients on the same machine.
    pub endpoint: Endpoint,
}

/// All open ports. Dropping this closes them and their connections at once.
#[derive(Debug)]
pub struct KafkaListeners {
    open: Vec<OpenListener>,
    stage: watch::Sender<Stage>,
    /// Ends when the last connection has.
    connections: mpsc::Receiver<()>,
    gate: Arc<Gate>,
    broker: BrokerHandle,
}

impl KafkaListeners {
    /// Opens all ports of a configuration; none, if one cannot be. Must be called inside a tokio runtime.
    pub async fn open(
        config: &ShellConfig,
        broker: BrokerHandle,
        clock: Arc<dyn Clock>,
        metrics: Arc<ShellMetrics>,
        salts: SaltSecret,
    ) -> Result<Self, ListenError> {
        let limits = config
            .listeners
            .iter()
            .map(|each| (each.name.clone(), each.limits));
        let shares = shares(&config.limits);
        let gate = Gate::new(config.limits.clone(), limits, config.protected.clone(), shares);
        let delayed = Arc::new(Semaphore::new(shares.delayed_closes));
        let memory = RequestMemory::new(config.limits.request_memory_bytes);
        let (stage, _) = watch::channel(Stage::Open);
        let (alive, connections) = mpsc::channel(1);
        let mut bound = Vec::new();
        for listener in &config.listeners {
            bound.push((listener, bind(listener).await?));
        }
        let mut open = Vec::new();
        let mut accepting = Vec::new();
        for (listener, (socket, address)) in bound {
            let serving = Serving {
                name: listener.name.clone(),
                endpoint: advertised(listener, address).map(Arc::new),
                tls: tls(listener, &clock)?.map(Arc::new),
                sasl: sasl(listener, &broker, &clock, &salts)?,
                broker: broker.clone(),
                clock: clock.clone(),
                gate: gate.clone(),
                memory: memory.clone(),
                metrics: metrics.clone(),
            };
            open.push(OpenListener {
                name: serving.name.clone(),
                address,
                endpoint: serving
                    .endpoint
                    .as_deref()
                    .cloned()
                    .unwrap_or_else(|| local_endpoint(address)),
            });
            accepting.push((socket, Arc::new(serving)));
        }
        let all: Vec<Arc<Serving>> = accepting.iter().map(|(_, serving)| serving.clone()).collect();
        follow(&broker, Listeners::new(config.clone(), gate.clone(), &all)).await;
        for (socket, serving) in accepting {
            let refusals = Refusals::new(stage.subscribe(), delayed.clone());
            tokio::spawn(accept(
                (socket, serving),
                refusals,
                stage.subscribe(),
                alive.clone(),
            ));
        }
        Ok(Self {
            open,
            stage,
            connections,
            gate,
            broker,
        })
    }

    /// The open ports, in the order of the configuration.
    pub fn all(&self) -> &[OpenListener] {
        &self.open
    }

    /// Counts of connections, for metrics.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.clone()
    }

    /// Stops accepting requests, completes those in flight, and closes. Delayed fetches return the records available;
    /// requests that wait for other members of a group, and requests behind them, get no response.
    pub async fn shutdown(mut self) {
        let _ = self.stage.send(Stage::Draining);
        // Also affects requests that are on their way to the broker. If the broker has stopped, nothing is pending.
        let _ = self.broker.post(Broker::end_waits_of_fetches);
        let _ = tokio::time::timeout(SHUTDOWN_TIME, self.connections.recv()).await;
    }
}

impl Drop for KafkaListeners {
    fn drop(&mut self) {
        let _ = self.stage.send(Stage::Closed);
    }
}

/// The effective limits of connections, within the process's limit of open files.
fn shares(limits: &ConnectionLimits) -> Shares {
    let files = open_files::raise();
    let shares = Shares::of(files);
    if let Some(files) = files
        && shares.connections < limits.connections_max
    {
        tracing::warn!(
            connections = shares.connections,
            files,
            "the process may not open enough files for 'max.connections'; allow more with `ulimit -n`, in systemd LimitNOFILE"
        );
    }
    shares
}

/// The first address of `HOST:PORT`; names are resolved, an empty host is all of the machine's IPv4 addresses.
pub fn resolve(address: &str) -> Result<SocketAddr, ListenError> {
    let wrong = || ListenError::Address {
        address: address.to_owned(),
    };
    let full = match address.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.to_owned(),
    };
    let mut found: Vec<SocketAddr> = full.to_socket_addrs().map_err(|_| wrong())?.collect();
    // `localhost` may give ::1 first, where most clients do not look.
    found.sort_by_key(|a| !a.is_ipv4());
    found.into_iter().next().ok_or_else(wrong)
}

async fn bind(listener: &ListenerConfig) -> Result<(TcpListener, SocketAddr), ListenError> {
    let address = &listener.bind;
    let parsed = resolve(address)?;
    let is_exposed = !parsed.ip().is_loopback();
    if is_exposed && !listener.authenticates() {
        return Err(ListenError::NotLoopback {
            address: address.clone(),
        });
    }
    let sends_passwords = listener.tls.is_none()
        && listener
            .sasl
            .as_ref()
            .is_some_and(|sasl| sasl.mechanisms.contains(&Mechanism::Plain));
    if is_exposed && sends_passwords {
        tracing::warn!(listener = %listener.name, "PLAIN without TLS sends passwords readably over the network");
    }
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::InUse {
            address: address.clone(),
        },
        _ => ListenError::Io {
            address: address.clone(),
            source,
        },
    };
    let socket = TcpListener::bind(parsed).await.map_err(io)?;
    let local = socket.local_addr().map_err(io)?;
    Ok((socket, local))
}

/// The advertised address; `None` if it depends on the address that a client connects to.
fn advertised(listener: &ListenerConfig, address: SocketAddr) -> Option<Endpoint> {
    match &listener.advertised {
        Some((host, port)) => Some(Endpoint {
            host: KafkaString::from(host),
            port: i32::from(*port),
        }),
        None if address.ip().is_unspecified() => None,
        None => Some(endpoint_of(address)),
    }
}

/// Where this machine reaches a port that is open on all of its addresses.
fn local_endpoint(address: SocketAddr) -> Endpoint {
    let loopback = if address.is_ipv4() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        std::net::Ipv6Addr::LOCALHOST.into()
    };
    endpoint_of(SocketAddr::new(loopback, address.port()))
}

fn endpoint_of(address: SocketAddr) -> Endpoint {
    Endpoint {
        host: KafkaString::from(address.ip().to_canonical().to_string()),
        port: i32::from(address.port()),
    }
}

fn tls(listener: &ListenerConfig, clock: &Arc<dyn Clock>) -> Result<Option<TlsServer>, ListenError> {
    let settings = listener.tls.clone();
    let server = settings
        .map(|settings| TlsServer::new(settings, clock.clone()))
        .transpose();
    server.map_err(|source| ListenError::Tls {
        listener: listener.name.clone(),
        source,
    })
}

fn sasl(
    listener: &ListenerConfig,
    broker: &BrokerHandle,
    clock: &Arc<dyn Clock>,
    salts: &SaltSecret,
) -> Result<Option<Arc<SaslServer>>, ListenError> {
    let settings = listener.sasl.clone();
    let server = settings
        .map(|settings| SaslServer::new(settings, broker.clone(), clock.clone(), salts.clone()))
        .transpose();
    server
        .map(|server| {
            let server = server.map(Arc::new);
            server.iter().for_each(|server| server.derive_ahead());
            server
        })
        .map_err(|source| ListenError::Tokens {
            listener: listener.name.clone(),
            source,
        })
}

/// Applies alterations to the listeners, starting before the first connection.
async fn follow(broker: &BrokerHandle, listeners: Listeners) {
    let (done, is_done) = tokio::sync::oneshot::channel();
    let posted = broker.post(move |broker| {
        broker.set_config_observer(Box::new(listeners));
        let _ = done.send(());
    });
    // A broker that has stopped configures nothing.
    if posted.is_ok() {
        let _ = is_done.await;
    }
}

/// One connection from its first byte to its last.
pub(super) async fn connect(
    socket: TcpStream,
    peer: SocketAddr,
    serving: Arc<Serving>,
    mut stage: watch::Receiver<Stage>,
    _pass: Pass,
) {
    let mut closed = stage.clone();
    let ended = tokio::select! {
        ended = serve(socket, peer, serving.clone(), &mut stage) => ended,
        _ = closed.wait_for(|stage| *stage == Stage::Closed) => return,
    };
    let Err(error) = ended else { return };
    let (listener, is_notable) = (&serving.name, error.is_notable());
    // Quoted, because it may contain text from the client.
    let error = with_causes(&error);
    let error = error.as_str();
    if is_notable {
        tracing::warn!(%peer, %listener, error, "a Kafka connection was closed")
    } else {
        tracing::debug!(%peer, %listener, error, "a Kafka connection ended")
    }
}

async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    serving: Arc<Serving>,
    stage: &mut watch::Receiver<Stage>,
) -> Result<(), ConnectionError> {
    socket.set_nodelay(true)?;
    let deadline = Instant::now() + AUTHENTICATION_TIME;
    let endpoint = match &serving.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => Arc::new(endpoint_of(socket.local_addr()?)),
    };
    let mut context = RequestContext {
        client_id: KafkaString::EMPTY,
        client_host: KafkaString::from(format!("/{}", peer.ip().to_canonical())),
        principal: KafkaString::from_static(ANONYMOUS),
        endpoint,
        is_internal: false,
    };
    let Some(tls) = &serving.tls else {
        let (reader, writer) = socket.into_split();
        return exchange(reader, writer, (serving, context, deadline), stage).await;
    };
    let accepted = tokio::select! {
        accepted = tokio::time::timeout_at(deadline, tls.accept(socket)) => accepted,
        _ = stage.wait_for(|stage| *stage != Stage::Open) => return Ok(()),
    };
    let accepted = accepted.map_err(|_| ConnectionError::Malformed("no TLS handshake in time".to_owned()))?;
    let (stream, principal) = accepted.map_err(|error| {
        let reason = with_causes(&error);
        if error.is_refusal() {
            serving.authentication_failed(&context.client_host, &reason);
        }
        ConnectionError::Handshake(reason)
    })?;
    context.principal = principal;
    let (reader, writer) = tokio::io::split(stream);
    exchange(reader, writer, (serving, context, deadline), stage).await
}

/// Reads and writes until either side ends the connection. Requests received before are completed, except those that
/// wait for members of a group.
async fn exchange<R, W>(
    reader: R,
    writer: W,
    (serving, context, deadline): (Arc<Serving>, RequestContext, Instant),
    stage: &mut watch::Receiver<Stage>,
) -> Result<(), ConnectionError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mute, muted) = watch::channel(None);
    let (receiver, queue) = Receiver::new(serving.clone(), context, deadline, muted);
    let writing = writer::run(writer, queue, serving, mute, stage.clone());
    tokio::pin!(writing);
    let ended = tokio::select! {
        ended = receiver.run(reader) => ended,
        ended = &mut writing => return ended,
        _ = stage.wait_for(|stage| *stage != Stage::Open) => Ok(()),
    };
    let rest = tokio::time::timeout(SHUTDOWN_TIME, writing).await;
    ended.and(rest.unwrap_or(Err(ConnectionError::SlowReader)))
}
