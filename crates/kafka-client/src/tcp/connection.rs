//! An open connection: a writer task, a reader task, and the requests in flight between them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use millstream_kafka_wire::header::encode_request;
use millstream_kafka_wire::messages::ProduceResponse;
use millstream_kafka_wire::{ApiKey, KafkaString, Reader, Request, Response, ResponseHeader};
use tokio::io::{AsyncWriteExt, BufWriter, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::frame::{FrameBuffer, read_frame};
use super::handshake::{Opened, Stream, reauthenticate};
use super::{lock, millis};
use crate::config::{ConnectionConfig, SaslConfig};
use crate::error::TransportError;
use crate::transport::{Call, NodeVersions, Reply};

/// Requests that wait to be written; callers wait beyond.
const QUEUE_LENGTH: usize = 64;
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Authentication is repeated when this part of its lifetime has passed.
const REAUTHENTICATE_AT: f64 = 0.85;

type ReplySender = oneshot::Sender<Result<Response, TransportError>>;

/// A request that was sent.
struct Pending {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    reply: ReplySender,
}

/// A request to send.
struct Outgoing {
    chunks: Vec<Bytes>,
    /// `None` if no response is expected; the caller is notified once the request is written.
    pending: Option<Pending>,
    written: Option<oneshot::Sender<()>>,
}

/// State shared by the two tasks and the callers.
struct State {
    address: String,
    versions: Arc<NodeVersions>,
    client_id: KafkaString,
    open: AtomicBool,
    next_correlation_id: AtomicI32,
    pending: Mutex<VecDeque<Pending>>,
    /// Notified of each response, for callers that wait until none is outstanding.
    received: Notify,
    failure: Mutex<Option<TransportError>>,
}

pub(super) struct Connection {
    state: Arc<State>,
    queue: mpsc::Sender<Outgoing>,
    tasks: [AbortHandle; 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.state.close(TransportError::Closed);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Connection {
    pub fn start(opened: Opened, config: &ConnectionConfig) -> Arc<Self> {
        let state = Arc::new(State {
            address: opened.address,
            versions: opened.versions,
            client_id: KafkaString::from(&config.client_id),
            open: AtomicBool::new(true),
            next_correlation_id: AtomicI32::new(opened.next_correlation_id),
            pending: Mutex::default(),
            received: Notify::new(),
            failure: Mutex::default(),
        });
        let (queue, receiver) = mpsc::channel(QUEUE_LENGTH);
        let (reading, writing) = tokio::io::split(opened.stream);
        let writer = Writer {
            state: state.clone(),
            stream: BufWriter::with_capacity(WRITE_BUFFER_BYTES, writing),
            session: config
                .sasl
                .clone()
                .and_then(|sasl| Some(Session::new(sasl, opened.session_lifetime?))),
            timeout: config.request_timeout,
        };
        let reader = read_responses(state.clone(), reading, opened.buffer);
        let tasks = [
            tokio::spawn(writer.run(receiver)).abort_handle(),
            tokio::spawn(reader).abort_handle(),
        ];
        Arc::new(Connection { state, queue, tasks })
    }

    pub fn is_open(&self) -> bool {
        self.state.open.load(Ordering::Acquire)
    }

    pub fn versions(&self) -> &Arc<NodeVersions> {
        &self.state.versions
    }

    pub async fn call(&self, call: Call, timeout: Duration) -> Result<Reply, TransportError> {
        let api = call.request.api_key();
        let (min, max) = (call.version_min, call.version_max);
        let version = self.state.versions.choose(api, min, max).ok_or_else(|| {
            let (own_min, own_max) = api.versions();
            TransportError::UnsupportedApi {
                api,
                address: self.state.address.clone(),
                min: min.max(own_min),
                max: max.min(own_max),
            }
        })?;
        let exchange = async {
            if call.expects_response {
                return self.exchange(&call.request, version).await;
            }
            self.send_only(&call.request, version).await
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result.map(|response| Reply { version, response }),
            Err(_) => {
                let address = self.state.address.clone();
                let error = TransportError::Timeout {
                    api,
                    address,
                    timeout_ms: millis(timeout),
                };
                self.state.close(error.clone());
                Err(error)
            }
        }
    }

    async fn exchange(&self, request: &Request, version: i16) -> Result<Response, TransportError> {
        let (outgoing, reply) = self.state.prepare(request, version)?;
        if self.queue.send(outgoing).await.is_err() {
            return Err(self.state.failure());
        }
        reply.await.unwrap_or_else(|_| Err(self.state.failure()))
    }

    /// Sends a request without a response; returns an empty response once it is written.
    async fn send_only(&self, request: &Request, version: i16) -> Result<Response, TransportError> {
        let (mut outgoing, _) = self.state.prepare(request, version)?;
        let (written, news) = oneshot::channel();
        outgoing.pending = None;
        outgoing.written = Some(written);
        if self.queue.send(outgoing).await.is_err() || news.await.is_err() {
            return Err(self.state.failure());
        }
        Ok(ProduceResponse::default().into())
    }
}

type Receiver = oneshot::Receiver<Result<Response, TransportError>>;

impl State {
    fn prepare(&self, request: &Request, version: i16) -> Result<(Outgoing, Receiver), TransportError> {
        let api = request.api_key();
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let chunks = encode_request(request, version, correlation_id, Some(&self.client_id))
            .map_err(|source| TransportError::Encode { api, source })?;
        let (reply, receiver) = oneshot::channel();
        let pending = Pending {
            api,
            version,
            correlation_id,
            reply,
        };
        Ok((
            Outgoing {
                chunks,
                pending: Some(pending),
                written: None,
            },
            receiver,
        ))
    }

    /// Why the connection can no longer be used.
    fn failure(&self) -> TransportError {
        lock(&self.failure).clone().unwrap_or(TransportError::Closed)
    }

    /// Fails all that waits; the first reason counts.
    fn close(&self, error: TransportError) {
        self.open.store(false, Ordering::Release);
        let error = lock(&self.failure).get_or_insert(error).clone();
        let waiting = std::mem::take(&mut *lock(&self.pending));
        for pending in waiting {
            // A caller that has gone away does not mind.
            let _ = pending.reply.send(Err(error.clone()));
        }
        self.received.notify_waiters();
    }

    fn disconnected(&self, reason: impl std::fmt::Display) -> TransportError {
        TransportError::Disconnected {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }
}

/// An authentication that runs out.
struct Session {
    sasl: SaslConfig,
    renew_at: Instant,
}

impl Session {
    fn new(sasl: SaslConfig, lifetime: Duration) -> Self {
        Session {
            sasl,
            renew_at: Instant::now() + lifetime.mul_f64(REAUTHENTICATE_AT),
        }
    }
}

struct Writer {
    state: Arc<State>,
    stream: BufWriter<WriteHalf<Box<dyn Stream>>>,
    session: Option<Session>,
    timeout: Duration,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Outgoing>) {
        while let Some(outgoing) = queue.recv().await {
            let last_of_burst = queue.is_empty();
            if let Err(error) = self.renew_session().await {
                return self.state.close(error);
            }
            if let Err(error) = self.write(outgoing, last_of_burst).await {
                return self.state.close(self.state.disconnected(error));
            }
        }
    }

    async fn write(&mut self, outgoing: Outgoing, flush: bool) -> std::io::Result<()> {
        // Registered before it is sent, because the response may arrive at once.
        if let Some(pending) = outgoing.pending {
            lock(&self.state.pending).push_back(pending);
            if !self.state.open.load(Ordering::Acquire) {
                return Err(std::io::ErrorKind::NotConnected.into());
            }
        }
        for chunk in outgoing.chunks {
            self.stream.write_all(&chunk).await?;
        }
        if flush || outgoing.written.is_some() {
            self.stream.flush().await?;
        }
        if let Some(written) = outgoing.written {
            let _ = written.send(());
        }
        Ok(())
    }

    /// Authenticates again in time, between the responses to earlier requests and the next request.
    async fn renew_session(&mut self) -> Result<(), TransportError> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        if Instant::now() < session.renew_at {
            self.session = Some(session);
            return Ok(());
        }
        self.stream
            .flush()
            .await
            .map_err(|error| self.state.disconnected(error))?;
        self.wait_for_responses().await?;
        let state = self.state.clone();
        let timeout = self.timeout;
        let writer = tokio::sync::Mutex::new(&mut *self);
        let renewed = reauthenticate(
            &session.sasl,
            &state.versions,
            &state.address,
            |request, version| {
                let (writer, state) = (&writer, &state);
                async move {
                    let (outgoing, reply) = state.prepare(&request, version)?;
                    let sent = writer.lock().await.write(outgoing, true).await;
                    sent.map_err(|error| state.disconnected(error))?;
                    match tokio::time::timeout(timeout, reply).await {
                        Ok(Ok(result)) => result,
                        _ => Err(state.disconnected("no response while authenticating again")),
                    }
                }
            },
        );
        let lifetime = renewed.await?;
        self.session = lifetime.map(|lifetime| Session::new(session.sasl, lifetime));
        Ok(())
    }

    async fn wait_for_responses(&self) -> Result<(), TransportError> {
        loop {
            let received = self.state.received.notified();
            if !self.state.open.load(Ordering::Acquire) {
                return Err(self.state.failure());
            }
            if lock(&self.state.pending).is_empty() {
                return Ok(());
            }
            received.await;
        }
    }
}

async fn read_responses(state: Arc<State>, mut stream: ReadHalf<Box<dyn Stream>>, mut buffer: FrameBuffer) {
    loop {
        let frame = match read_frame(&mut stream, &mut buffer).await {
            Ok(frame) => frame,
            Err(error) => return state.close(state.disconnected(error)),
        };
        let Some(pending) = lock(&state.pending).pop_front() else {
            return state.close(state.disconnected("unexpected response"));
        };
        let result = decode(&pending, frame);
        let broken = result.is_err();
        let _ = pending.reply.send(result);
        state.received.notify_waiters();
        if broken {
            return state.close(state.disconnected("unreadable response"));
        }
    }
}

fn decode(pending: &Pending, frame: Bytes) -> Result<Response, TransportError> {
    let api = pending.api;
    let mut r = Reader::new(frame);
    let decode = |source| TransportError::Decode { api, source };
    let header = ResponseHeader::decode(&mut r, api, pending.version).map_err(decode)?;
    if header.correlation_id != pending.correlation_id {
        return Err(decode(millstream_kafka_wire::DecodeError::InvalidLength(
            i64::from(header.correlation_id),
        )));
    }
    Response::decode(api, pending.version, &mut r).map_err(decode)
}
