//! The interface between the client and its brokers: sockets (`tcp`), or a broker in the same process, which exchanges
//! typed messages and encodes nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use millstream_kafka_wire::{ApiKey, KafkaString, Request, Response};

use crate::error::TransportError;

/// A future that owns all that it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Which broker a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Any connected broker; at the start one of the bootstrap servers.
    Any,
    Node(i32),
}

/// A broker and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: i32,
    pub host: KafkaString,
    pub port: i32,
    pub rack: Option<KafkaString>,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Call {
    pub target: Target,
    pub request: Request,
    /// The versions that suit the request; the transport picks the highest that both sides support.
    pub version_min: i16,
    pub version_max: i16,
    /// `None`: the transport's own.
    pub timeout: Option<Duration>,
    /// False for a produce request with `acks=0`; its response is empty.
    pub expects_response: bool,
}

impl Call {
    pub fn new(target: Target, request: impl Into<Request>) -> Self {
        Call {
            target,
            request: request.into(),
            version_min: 0,
            version_max: i16::MAX,
            timeout: None,
            expects_response: true,
        }
    }

    pub fn version_max(mut self, version_max: i16) -> Self {
        self.version_max = version_max;
        self
    }

    pub fn version_min(mut self, version_min: i16) -> Self {
        self.version_min = version_min;
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// A response, and the version of its request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub version: i16,
    pub response: Response,
}

/// Access to the brokers of one cluster.
///
/// - Requests to one node reach the broker in the order of the calls.
/// - Dropping the future of a call does not cancel the request.
/// - `set_nodes` replaces the known nodes; calls to unknown nodes fail with `UnknownNode`.
pub trait Transport: Send + Sync {
    fn call(&self, call: Call) -> BoxFuture<Result<Reply, TransportError>>;

    /// The API versions of a broker; connects if necessary.
    fn versions(&self, target: Target) -> BoxFuture<Result<Arc<NodeVersions>, TransportError>>;

    fn set_nodes(&self, nodes: &[Node]);
}

/// A broker's ApiVersions response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeVersions {
    pub apis: BTreeMap<i16, (i16, i16)>,
    /// Features that the whole cluster has switched on, such as `transaction.version`.
    pub finalized_features: BTreeMap<String, i16>,
}

impl NodeVersions {
    /// Everything that this codec supports: the versions of a broker of the same build.
    pub fn of_this_build(finalized_features: BTreeMap<String, i16>) -> Self {
        let apis = ApiKey::ALL.iter().map(|key| (*key as i16, key.versions()));
        NodeVersions {
            apis: apis.collect(),
            finalized_features,
        }
    }

    /// The highest version of an API that both sides speak within `min..=max`.
    pub fn choose(&self, api: ApiKey, min: i16, max: i16) -> Option<i16> {
        let (broker_min, broker_max) = *self.apis.get(&(api as i16))?;
        let (own_min, own_max) = api.versions();
        let version = broker_max.min(own_max).min(max);
        (version >= broker_min.max(own_min).max(min)).then_some(version)
    }

    /// Whether transactions are of the second kind (KIP-890): epochs change with every transaction, and partitions
    /// are added by producing to them.
    pub fn has_transactions_v2(&self) -> bool {
        let switched_on = self
            .finalized_features
            .get("transaction.version")
            .is_some_and(|level| *level >= 2);
        let speaks = |api, version| self.choose(api, version, i16::MAX).is_some();
        switched_on && speaks(ApiKey::EndTxn, 5) && speaks(ApiKey::Produce, 12)
    }
}
