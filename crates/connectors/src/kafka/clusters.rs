//! Resolves a table's client properties to a Kafka cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_dataflow::DataflowError;
use millstream_kafka_client::Transport;
use millstream_types::ErrorKind;
use tokio::runtime::Handle;

/// Provides transports to clusters. The shell implements it, because only the shell may open sockets and start the
/// embedded broker.
pub trait KafkaClusters: Send + Sync {
    /// The cluster that these client properties name. Without `bootstrap.servers`, or if they name the embedded
    /// broker's address and nothing else listens there, this is the embedded broker, which is started on demand.
    fn transport(&self, properties: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError>;

    /// Whether these properties mean the embedded broker.
    fn is_embedded(&self, properties: &BTreeMap<String, String>) -> bool;

    /// Runs the client's tasks.
    fn runtime(&self) -> Handle;
}

/// No Kafka at all, for tests of what needs none.
pub struct NoKafka(pub Handle);

impl KafkaClusters for NoKafka {
    fn transport(&self, _: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        let message = "there is no Kafka in a test environment; read collections and collect results instead";
        Err(DataflowError::new(ErrorKind::Input, message))
    }

    fn is_embedded(&self, _: &BTreeMap<String, String>) -> bool {
        false
    }

    fn runtime(&self) -> Handle {
        self.0.clone()
    }
}
