//! Resolves which Kafka a table or a command means, for the whole process.
//!
//! Without `bootstrap.servers`, or with the address of the embedded broker and nothing else listening there, it is the
//! broker inside. A process that listens there already is the user's Kafka, and is used.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millstream_broker::BrokerHandle;
use millstream_connectors::kafka::KafkaClusters;
use millstream_connectors::kafka::embedded::EmbeddedTransport;
use millstream_dataflow::DataflowError;
use millstream_kafka_client::config::{FILE_PROPERTIES, split_address};
use millstream_kafka_client::error::with_causes;
use millstream_kafka_client::{ClientConfig, TcpTransport, Transport};
use millstream_session::FileAccess;
use millstream_types::{Clock, ErrorKind, Rng};
use tokio::runtime::Handle;

use super::destinations::{AddressMap, ClusterRoutes, Destinations, mapped};
use super::embedded::{EmbeddedBroker, EmbeddedError};
use super::listener::{OpenListener, resolve};
use crate::metrics::{self, JobPage, MetricsEndpoint, MetricsError, MetricsSettings};

/// Timeout for probing a port.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Tells other processes on the same data directory where the broker listens.
const ADDRESS_FILE: &str = "kafka.address";

fn remember_address(data_dir: &std::path::Path, broker: &EmbeddedBroker) {
    let Some(listener) = broker.listeners().first() else {
        return;
    };
    if let Err(error) = std::fs::write(data_dir.join(ADDRESS_FILE), format!("{}\n", listener.address)) {
        tracing::warn!(%error, "cannot write the broker's address into the data directory; other commands will not find it");
    }
}

/// Settings of the embedded broker.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    pub data_dir: PathBuf,
    /// Kafka's broker configurations.
    pub properties: BTreeMap<String, String>,
    /// Listen address.
    pub address: String,
}

/// The clusters of this process.
pub struct ProcessClusters {
    settings: EmbeddedSettings,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    map: Arc<AddressMap>,
    broker: Mutex<Option<EmbeddedBroker>>,
}

impl ProcessClusters {
    pub fn new(
        settings: EmbeddedSettings,
        runtime: Handle,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            settings,
            runtime,
            clock,
            rng,
            map: Arc::default(),
            broker: Mutex::new(None),
        }
    }

    /// Connections to some addresses go to others.
    pub fn with_map(self, map: AddressMap) -> Self {
        let map = Arc::new(map);
        Self { map, ..self }
    }

    /// Starts the embedded broker if it does not run yet. Must not be called on a thread of the runtime.
    pub fn start_embedded(&self) -> Result<(), EmbeddedError> {
        let mut broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if broker.is_some() {
            return Ok(());
        }
        let settings = self.settings.clone();
        let started = self.runtime.block_on(EmbeddedBroker::start(
            &settings.data_dir,
            settings.properties,
            &settings.address,
            Arc::clone(&self.clock),
            Arc::clone(&self.rng),
        ))?;
        for listener in started.listeners() {
            tracing::info!(name = %listener.name, address = %listener.address, "listening");
        }
        remember_address(&settings.data_dir, &started);
        *broker = Some(started);
        Ok(())
    }

    /// Ends the embedded broker cleanly, if it runs. The error is why its log was closed before.
    pub fn stop(&self) -> Result<(), millstream_log::LogError> {
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if broker.is_some() {
            _ = std::fs::remove_file(self.settings.data_dir.join(ADDRESS_FILE));
        }
        broker.map_or(Ok(()), EmbeddedBroker::stop)
    }

    /// The ports of the embedded broker, if it runs.
    pub fn embedded_listeners(&self) -> Vec<OpenListener> {
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        broker
            .as_ref()
            .map_or_else(Vec::new, |broker| broker.listeners().to_vec())
    }

    /// The embedded broker, if it runs.
    pub fn embedded_handle(&self) -> Option<BrokerHandle> {
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        broker.as_ref().map(|broker| broker.handle.clone())
    }

    /// Open connections of Kafka clients to the embedded broker.
    pub fn embedded_connections(&self, now_ms: i64) -> usize {
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = broker.as_ref().map(|broker| broker.gate().measure(now_ms));
        counts.map_or(0, |counts| {
            counts.listeners.values().map(|listener| listener.open).sum()
        })
    }

    /// Opens the endpoint for Prometheus; dropping the returned value closes it. `None` if no broker runs. Must not be
    /// called on a thread of the runtime.
    pub fn open_metrics(&self, settings: &MetricsSettings) -> Result<Option<MetricsEndpoint>, MetricsError> {
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(broker) = broker.as_ref() else {
            return Ok(None);
        };
        let opening = MetricsEndpoint::open(settings, broker.handle.clone(), broker.metrics(), broker.gate());
        self.runtime.block_on(opening).map(Some)
    }

    /// The page for Prometheus with the metrics of the broker and of jobs; `None` if no broker runs.
    pub fn metrics_router(&self, jobs: JobPage) -> Option<axum::Router> {
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        let broker = broker.as_ref()?;
        let (handle, metrics, gate) = (broker.handle.clone(), broker.metrics(), broker.gate());
        Some(metrics::router(handle, metrics, gate, None, Some(jobs)))
    }

    /// Where the broker of the data directory listens, if another process runs it.
    pub fn neighbour(&self) -> Option<String> {
        let runs_here = self
            .broker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if runs_here {
            return None;
        }
        let address = std::fs::read_to_string(self.settings.data_dir.join(ADDRESS_FILE)).ok()?;
        let resolved = resolve(address.trim()).ok()?;
        // A process that was killed leaves its address behind.
        TcpStream::connect_timeout(&resolved, PROBE_TIMEOUT).ok()?;
        Some(resolved.to_string())
    }

    fn means_embedded(&self, servers: Option<&str>) -> bool {
        let Some(servers) = servers else {
            return self.neighbour().is_none();
        };
        if !self.names_embedded(servers) {
            return false;
        }
        let running = self
            .broker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        let is_free = |address| TcpStream::connect_timeout(address, PROBE_TIMEOUT).is_err();
        running || self.own_addresses().iter().all(is_free)
    }

    /// Whether all these servers are addresses of the embedded broker, running or not.
    pub fn names_embedded(&self, servers: &str) -> bool {
        let own = self.own_addresses();
        let mut named = servers.split(',').map(str::trim).filter(|s| !s.is_empty());
        named.all(|server| {
            self.resolve_mapped(server)
                .is_some_and(|address| own.contains(&address))
        })
    }

    fn resolve_mapped(&self, server: &str) -> Option<SocketAddr> {
        let named = split_address(server).ok();
        let mapped = named.map(|(host, port)| mapped(&self.map, &host, port));
        let server = mapped.map_or_else(|| server.to_owned(), |(host, port)| joined(&host, port));
        resolve(&server).ok().map(reached)
    }

    /// Where the embedded broker listens, or would.
    fn own_addresses(&self) -> Vec<SocketAddr> {
        let given = self.settings.properties.get("listeners").map(String::as_str);
        let listeners = given.unwrap_or(&self.settings.address).split(',').map(str::trim);
        let bound = listeners.map(|listener| {
            listener
                .split_once("://")
                .map_or(listener, |(_, address)| address)
        });
        let bound = bound.filter_map(|address| resolve(address).ok());
        bound.map(reached).collect()
    }

    fn embedded_transport(
        &self,
        properties: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Transport>, DataflowError> {
        self.start_embedded()
            .map_err(|e| DataflowError::new(ErrorKind::Environment, with_causes(&e)))?;
        let broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(broker) = broker.as_ref() else {
            return Err(DataflowError::new(
                ErrorKind::Environment,
                "the embedded broker has stopped",
            ));
        };
        let client_id = properties.get("client.id").map_or("millstream", String::as_str);
        Ok(Arc::new(EmbeddedTransport::new(
            broker.handle.clone(),
            client_id,
            broker.endpoint(),
        )))
    }
}

impl ProcessClusters {
    /// The way to the cluster that the properties name, if the rules allow it.
    fn transport_within(
        &self,
        properties: &BTreeMap<String, String>,
        destinations: &Destinations,
    ) -> Result<Arc<dyn Transport>, DataflowError> {
        if self.means_embedded(properties.get("bootstrap.servers").map(String::as_str)) {
            return self.embedded_transport(properties);
        }
        let mut properties = properties.clone();
        if !properties.contains_key("bootstrap.servers")
            && let Some(address) = self.neighbour()
        {
            properties.insert("bootstrap.servers".to_owned(), address);
        }
        let parsed = ClientConfig::parse(&properties)
            .map_err(|e| DataflowError::new(ErrorKind::Input, with_causes(&e)))?;
        let routes = ClusterRoutes {
            map: Arc::clone(&self.map),
            destinations: destinations.clone(),
        };
        let _inside = self.runtime.enter();
        let rng = Arc::clone(&self.rng);
        let transport = TcpTransport::with_routes(parsed.config.connection, rng, Arc::new(routes))
            .map_err(|e| DataflowError::new(ErrorKind::Environment, with_causes(&e)))?;
        Ok(Arc::new(transport))
    }
}

impl KafkaClusters for ProcessClusters {
    fn transport(&self, properties: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        self.transport_within(properties, &Destinations::Everywhere)
    }

    fn is_embedded(&self, properties: &BTreeMap<String, String>) -> bool {
        self.means_embedded(properties.get("bootstrap.servers").map(String::as_str))
    }

    fn runtime(&self) -> Handle {
        self.runtime.clone()
    }
}

/// The clusters of the process as far as a caller from the network may use them.
pub struct LimitedClusters {
    pub clusters: Arc<ProcessClusters>,
    pub destinations: Destinations,
    pub files: FileAccess,
}

impl KafkaClusters for LimitedClusters {
    fn transport(&self, properties: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        for key in FILE_PROPERTIES {
            if let Some(path) = properties.get(key).filter(|path| !path.is_empty()) {
                let checked = self.files.check(&format!("file of 'properties.{key}'"), path);
                checked.map_err(|error| DataflowError::new(error.kind, error.message))?;
            }
        }
        self.clusters.transport_within(properties, &self.destinations)
    }

    fn is_embedded(&self, properties: &BTreeMap<String, String>) -> bool {
        self.clusters.is_embedded(properties)
    }

    fn runtime(&self) -> Handle {
        self.clusters.runtime()
    }
}

/// Where clients on this machine reach what listens on all its addresses.
fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

fn joined(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
