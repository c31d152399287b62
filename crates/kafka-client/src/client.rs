//! The client proper: where requests go, and how often they are repeated. Everything else in this crate (admin,
//! fetching, producing) is built on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_kafka_wire::messages::find_coordinator::FindCoordinatorRequest;
use millstream_kafka_wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use millstream_kafka_wire::{ErrorCode, KafkaString, RequestMessage};
use millstream_types::{Rng, SeededRng};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::config::{ClientConfig, ConnectionConfig};
use crate::error::ClientError;
use crate::metadata::ClusterMetadata;
use crate::tcp::TcpTransport;
use crate::transport::{Call, Node, NodeVersions, Target, Transport};

/// An operation that keeps failing for this long logs a warning.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// The kind of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorType {
    Group,
    Transaction,
}

impl CoordinatorType {
    const fn code(self) -> i8 {
        match self {
            CoordinatorType::Group => 0,
            CoordinatorType::Transaction => 1,
        }
    }
}

/// A client of one cluster; clones share everything.
#[derive(Clone)]
pub struct KafkaClient {
    shared: Arc<Shared>,
}

struct Shared {
    config: ConnectionConfig,
    transport: Arc<dyn Transport>,
    rng: Arc<dyn Rng>,
    metadata: Mutex<Arc<ClusterMetadata>>,
    coordinators: Mutex<HashMap<(CoordinatorType, String), i32>>,
}

impl KafkaClient {
    /// A client over any transport. `rng` spreads the waits between attempts.
    pub fn new(config: ConnectionConfig, transport: Arc<dyn Transport>, rng: Arc<dyn Rng>) -> Self {
        let shared = Shared {
            config,
            transport,
            rng,
            metadata: Mutex::default(),
            coordinators: Mutex::default(),
        };
        KafkaClient {
            shared: Arc::new(shared),
        }
    }

    /// A client over TCP. Nothing is connected before the first request. Must be used inside of a tokio runtime.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(rand::random()));
        let transport = TcpTransport::new(config.connection.clone(), rng.clone())?;
        Ok(KafkaClient::new(
            config.connection.clone(),
            Arc::new(transport),
            rng,
        ))
    }

    pub fn config(&self) -> &ConnectionConfig {
        &self.shared.config
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        self.shared.rng.as_ref()
    }

    pub(crate) fn retry_backoff(&self) -> Backoff {
        Backoff::new(
            self.shared.config.retry_backoff,
            self.shared.config.retry_backoff_max,
        )
    }

    /// The newest snapshot, without a request.
    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        lock(&self.shared.metadata).clone()
    }

    /// One request to one broker, once.
    pub async fn call<R: RequestMessage>(
        &self,
        target: Target,
        request: R,
    ) -> Result<R::Response, ClientError> {
        self.call_with::<R>(Call::new(target, request))
            .await
            .map(|(response, _)| response)
    }

    /// Sends one request with its own timeout and version bounds. Also returns the version used.
    pub async fn call_with<R: RequestMessage>(&self, call: Call) -> Result<(R::Response, i16), ClientError> {
        let reply = self.shared.transport.call(call).await?;
        let version = reply.version;
        let response = reply.response.try_into();
        response
            .map(|response| (response, version))
            .map_err(|_| ClientError::Incomplete(R::API_KEY.name()))
    }

    /// The API versions of a broker.
    pub async fn versions(&self, target: Target) -> Result<Arc<NodeVersions>, ClientError> {
        Ok(self.shared.transport.versions(target).await?)
    }

    /// Asks for metadata of the topics, or of all with `None`. Errors of single topics are in the snapshot.
    pub async fn refresh_metadata(
        &self,
        topics: Option<&[KafkaString]>,
        allow_auto_create: bool,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let wanted = topics.map(|names| {
            let topic = |name: &KafkaString| MetadataRequestTopic {
                name: Some(name.clone()),
                ..Default::default()
            };
            names.iter().map(topic).collect()
        });
        let request = MetadataRequest {
            topics: wanted,
            allow_auto_topic_creation: allow_auto_create,
            ..Default::default()
        };
        // Version 4 is the first in which a client can say whether asking may create.
        let call = Call::new(Target::Any, request).version_min(4);
        let (response, _) = self.call_with::<MetadataRequest>(call).await?;
        let mut metadata = lock(&self.shared.metadata);
        let updated = Arc::new(metadata.updated(&response, topics.is_none()));
        *metadata = updated.clone();
        drop(metadata);
        self.shared.transport.set_nodes(&updated.nodes);
        Ok(updated)
    }

    /// Metadata in which each of the topics has a leader for all its partitions; asks until that is so.
    pub async fn topics(
        &self,
        topics: &[KafkaString],
        allow_auto_create: bool,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let mut retries = self.retries("looking up topics");
        loop {
            let attempt: Result<_, Attempt> = async {
                let metadata = self.refresh_metadata(Some(topics), allow_auto_create).await?;
                for name in topics {
                    let topic = metadata.topic(name).ok_or(ClientError::Incomplete("Metadata"))?;
                    let what = || format!("topic '{name}'");
                    if topic.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && !allow_auto_create {
                        return Err(Attempt::Final(ClientError::broker(what(), topic.error_code)));
                    }
                    topic
                        .error_code
                        .check()
                        .map_err(|code| ClientError::broker(what(), code))?;
                    let leaderless = topic.partitions.iter().find(|p| p.leader < 0);
                    if let Some(partition) = leaderless {
                        let what = format!("partition {} of topic '{name}'", partition.partition);
                        return Err(ClientError::broker(what, ErrorCode::LEADER_NOT_AVAILABLE).into());
                    }
                }
                Ok(metadata)
            }
            .await;
            if let Some(value) = retries.settle(attempt).await? {
                return Ok(value);
            }
        }
    }

    /// The coordinator of a group or a transactional id.
    pub async fn coordinator(&self, of: CoordinatorType, key: &str) -> Result<i32, ClientError> {
        if let Some(node) = lock(&self.shared.coordinators).get(&(of, key.to_owned())) {
            return Ok(*node);
        }
        let node = self.find_coordinator(of, key).await?;
        lock(&self.shared.coordinators).insert((of, key.to_owned()), node);
        Ok(node)
    }

    async fn find_coordinator(&self, of: CoordinatorType, key: &str) -> Result<i32, ClientError> {
        // The newer versions take a list of keys, the older ones a single key; each ignores the other.
        let batched = self
            .versions(Target::Any)
            .await?
            .choose(FindCoordinatorRequest::API_KEY, 4, i16::MAX)
            .is_some();
        let mut request = FindCoordinatorRequest {
            key_type: of.code(),
            ..Default::default()
        };
        if batched {
            request.coordinator_keys = vec![key.into()];
        } else {
            request.key = key.into();
        }
        let response = self.call(Target::Any, request).await?;
        let (code, id, host, port) = match response.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.node_id, found.host, found.port),
            None => (
                response.error_code,
                response.node_id,
                response.host,
                response.port,
            ),
        };
        code.check()
            .map_err(|code| ClientError::broker(format!("coordinator of '{key}'"), code))?;
        if self.metadata().nodes.iter().all(|node| node.id != id) {
            let mut nodes = self.metadata().nodes.clone();
            nodes.push(Node {
                id,
                host: host.detached(),
                port,
                rack: None,
            });
            self.shared.transport.set_nodes(&nodes);
        }
        Ok(id)
    }

    /// Drops a cached coordinator that turned out to be stale.
    pub fn forget_coordinator(&self, of: CoordinatorType, key: &str) {
        lock(&self.shared.coordinators).remove(&(of, key.to_owned()));
    }

    /// Sends a request to a coordinator, and retries while the error is retriable; `code` extracts the error from the
    /// response.
    pub async fn call_coordinator<R: RequestMessage + Clone>(
        &self,
        of: CoordinatorType,
        key: &str,
        versions: (i16, i16),
        request: R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, ClientError> {
        let what = format!("{} for '{key}'", R::API_KEY.name());
        let mut retries = self.retries(&what);
        loop {
            let attempt: Result<_, Attempt> = async {
                let node = self.coordinator(of, key).await?;
                let call = Call::new(Target::Node(node), request.clone())
                    .version_min(versions.0)
                    .version_max(versions.1);
                let result = self.call_with::<R>(call).await;
                let (response, _) = result.inspect_err(|_| self.forget_coordinator(of, key))?;
                let code = code(&response);
                if matches!(
                    code,
                    ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE
                ) {
                    self.forget_coordinator(of, key);
                }
                match code.check() {
                    Err(code) if code.is_retriable() => Err(ClientError::broker(what.clone(), code).into()),
                    _ => Ok(response),
                }
            }
            .await;
            if let Some(value) = retries.settle(attempt).await? {
                return Ok(value);
            }
        }
    }

    /// Counts the attempts of one operation, which may take `default.api.timeout.ms`.
    pub fn retries(&self, what: &str) -> Retries<'_> {
        let deadline = Instant::now() + self.shared.config.api_timeout;
        Retries {
            client: self,
            what: what.to_owned(),
            deadline,
            failures: 0,
            is_told: false,
        }
    }
}

/// The attempts of one operation.
pub struct Retries<'a> {
    client: &'a KafkaClient,
    what: String,
    deadline: Instant,
    failures: u32,
    is_told: bool,
}

impl Retries<'_> {
    /// The value of an attempt that went well; `None`, after a wait, if another attempt makes sense.
    pub async fn settle<T>(&mut self, attempt: Result<T, Attempt>) -> Result<Option<T>, ClientError> {
        let error = match attempt {
            Ok(value) => return Ok(Some(value)),
            Err(Attempt::Again(error)) if error.is_retriable() => error,
            Err(Attempt::Again(error) | Attempt::Final(error)) => return Err(error),
        };
        let wait = self.client.retry_backoff().wait(self.failures, self.client.rng());
        self.failures += 1;
        let now = Instant::now();
        let next = now + wait;
        self.tell(&error, now);
        if next >= self.deadline {
            return Err(timed_out(
                &self.what,
                self.client.shared.config.api_timeout,
                error,
            ));
        }
        tokio::time::sleep_until(next).await;
        Ok(None)
    }
}

impl Retries<'_> {
    /// Logs once that an operation is failing; its timeout may be a minute away.
    fn tell(&mut self, error: &ClientError, now: Instant) {
        let timeout = self.client.shared.config.api_timeout;
        let elapsed = timeout.saturating_sub(self.deadline.saturating_duration_since(now));
        if self.is_told || elapsed < TELL_AFTER {
            return;
        }
        self.is_told = true;
        let error = crate::error::with_causes(error);
        tracing::warn!(
            timeout_ms = timeout.as_millis(),
            "{}: {error}; trying again",
            self.what
        );
    }
}

/// How an attempt failed: for good, or to be tried again if the error allows it.
#[derive(Debug)]
pub enum Attempt {
    Again(ClientError),
    Final(ClientError),
}

impl From<ClientError> for Attempt {
    fn from(error: ClientError) -> Self {
        Attempt::Again(error)
    }
}

fn timed_out(what: &str, timeout: Duration, last: ClientError) -> ClientError {
    ClientError::Timeout {
        what: what.to_owned(),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        last: Some(Box::new(last)),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
