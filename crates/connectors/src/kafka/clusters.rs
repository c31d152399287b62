//! Which Kafka a table means.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_dataflow::DataflowError;
use millstream_kafka_client::Transport;
use tokio::runtime::Handle;

/// Gives the way to a cluster. The shell implements it: it alone may open sockets and start the broker inside.
pub trait KafkaClusters: Send + Sync {
    /// The cluster that these client properties name. Without `bootstrap.servers`, or when they name the address of the
    /// broker inside and nothing else listens there, it is the broker inside, started if need be.
    fn transport(&self, properties: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError>;

    /// Whether these properties mean the broker inside.
    fn is_embedded(&self, properties: &BTreeMap<String, String>) -> bool;

    /// Where the client's tasks run.
    fn runtime(&self) -> Handle;
}
