//! One connection: frames in, typed requests to the broker, responses out in the order of the requests.
//!
//! As in Kafka, an unreadable frame, an unknown API or an unsupported version closes the connection. The exception is
//! ApiVersions: an unknown version of it gets a version-0 response, so that a newer client can step down (KIP-511). On
//! a listener with SASL only ApiVersions and SASL requests are accepted until the client is authenticated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millstream_broker::{Reply, RequestContext};
use millstream_kafka_wire::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use millstream_kafka_wire::{ApiKey, ErrorCode, Reader, Request, RequestHeader, Response, header};
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::frames::{Frame, FrameError, FrameLimits, FrameReader};
use super::listener::Serving;
use super::sasl::{Authentication, AuthenticationFailure, Progress, response_of};
use super::writer::{Muted, Outgoing, Slot};
use crate::limits::{
    PIPELINED_FETCHES_MAX, PIPELINED_LISTINGS_MAX, PIPELINED_REQUEST_BYTES, PIPELINED_REQUESTS_MAX,
};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("socket")]
    Io(#[from] std::io::Error),
    #[error("TLS: {0}")]
    Handshake(String),
    #[error("the client sent something that is not a Kafka request: {0}")]
    Malformed(String),
    #[error("the client sent {0:?} before it authenticated")]
    Unauthenticated(ApiKey),
    #[error("the authentication has run out and was not repeated ('connections.max.reauth.ms')")]
    SessionExpired,
    #[error("authentication failed: {0}")]
    Refused(String),
    #[error("the client has stopped reading responses")]
    SlowReader,
    #[error("the broker closed the connection")]
    Closed,
}

impl ConnectionError {
    /// Whether the operator should see it: clients that come and go are no news.
    pub fn is_notable(&self) -> bool {
        !matches!(
            self,
            ConnectionError::Io(_)
                | ConnectionError::Closed
                | ConnectionError::SessionExpired
                | ConnectionError::Frame(FrameError::Io(_) | FrameError::Idle)
        )
    }
}

/// The reading half of a connection.
pub(super) struct Receiver {
    serving: Arc<Serving>,
    context: RequestContext,
    authentication: Option<Authentication>,
    deadline: Instant,
    outgoing: mpsc::Sender<Outgoing>,
    in_flight: Arc<AtomicUsize>,
    fetches: Arc<Semaphore>,
    listings: Arc<Semaphore>,
    /// Budget for the bytes of requests in flight.
    room: Arc<Semaphore>,
    muted: watch::Receiver<Muted>,
    /// It is on record that the client could not authenticate.
    is_refused: bool,
}

impl Receiver {
    /// `deadline` limits the time until authentication. The second returned value feeds the writer.
    pub fn new(
        serving: Arc<Serving>,
        context: RequestContext,
        deadline: Instant,
        muted: watch::Receiver<Muted>,
    ) -> (Self, mpsc::Receiver<Outgoing>) {
        let (outgoing, queue) = mpsc::channel(PIPELINED_REQUESTS_MAX);
        let receiver = Self {
            authentication: serving.sasl.clone().map(Authentication::new),
            serving,
            context,
            deadline,
            outgoing,
            in_flight: Arc::default(),
            fetches: Arc::new(Semaphore::new(PIPELINED_FETCHES_MAX)),
            listings: Arc::new(Semaphore::new(PIPELINED_LISTINGS_MAX)),
            room: Arc::new(Semaphore::new(PIPELINED_REQUEST_BYTES)),
            muted,
            is_refused: false,
        };
        (receiver, queue)
    }

    /// Reads requests until the client closes the connection; pending requests are still responded to.
    pub async fn run<R: AsyncRead + Unpin>(mut self, reader: R) -> Result<(), ConnectionError> {
        let mut frames = FrameReader::new(reader, self.serving.memory.clone());
        loop {
            let frame = match frames.next(self.frame_limits()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                // A client that waits for a response is not idle.
                Err(FrameError::Idle) if self.in_flight.load(Ordering::SeqCst) > 0 => continue,
                Err(error) => return Err(error.into()),
            };
            let until = *self.muted.borrow();
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
            self.take(frame).await?;
        }
    }

    fn frame_limits(&self) -> FrameLimits {
        let limits = self.serving.gate.limits();
        let before = self
            .authentication
            .as_ref()
            .and_then(Authentication::receive_bytes_max);
        FrameLimits {
            bytes_max: before.unwrap_or(limits.request_bytes_max),
            deadline: before.map(|_| self.deadline),
            idle: limits.idle,
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), ConnectionError> {
        if self
            .authentication
            .as_ref()
            .is_some_and(Authentication::expects_bare_token)
        {
            return self.bare_token(&frame.bytes).await;
        }
        let received = frame.bytes.len();
        let malformed = |e: &dyn std::fmt::Display| ConnectionError::Malformed(e.to_string());
        let mut reader = Reader::new(frame.bytes);
        let head = RequestHeader::decode(&mut reader).map_err(|e| malformed(&e))?;
        let api = ApiKey::from_code(head.api_key)
            .ok_or_else(|| ConnectionError::Malformed(format!("unknown api key {}", head.api_key)))?;
        self.check_allowed(api)?;
        let (lowest, highest) = api.versions();
        if !(lowest..=highest).contains(&head.api_version) {
            if api == ApiKey::ApiVersions {
                let response = millstream_broker::api::api_versions::unsupported_version();
                return self.respond(response.into(), 0, head.correlation_id).await;
            }
            let version = head.api_version;
            return Err(ConnectionError::Malformed(format!(
                "{api:?} version {version} is not supported"
            )));
        }
        let request = Request::decode(api, head.api_version, &mut reader).map_err(|e| malformed(&e))?;
        if let Some(client_id) = &head.client_id
            && *client_id != self.context.client_id
        {
            // The name must not keep the frame alive.
            self.context.client_id = client_id.detached();
        }
        match request {
            Request::SaslHandshake(request) => self.handshake(&head, &request).await,
            Request::SaslAuthenticate(request) => self.authenticate(&head, &request).await,
            request => self.submit(api, &head, request, (received, frame.memory)).await,
        }
    }

    /// Before authentication only requests that lead to it are allowed; afterwards all of them, until the session
    /// expires.
    fn check_allowed(&self, api: ApiKey) -> Result<(), ConnectionError> {
        let Some(authentication) = &self.authentication else {
            return Ok(());
        };
        let is_sasl = matches!(api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        let now_ms = self.serving.clock.now_ms();
        if is_sasl
            || authentication.is_open(now_ms)
            || api == ApiKey::ApiVersions && authentication.is_fresh()
        {
            return Ok(());
        }
        let has_expired = authentication
            .identity()
            .and_then(|identity| identity.expires_ms)
            .is_some_and(|at| at <= now_ms);
        Err(if has_expired {
            ConnectionError::SessionExpired
        } else {
            ConnectionError::Unauthenticated(api)
        })
    }

    async fn submit(
        &mut self,
        api: ApiKey,
        head: &RequestHeader,
        request: Request,
        (received, memory): (usize, Option<OwnedSemaphorePermit>),
    ) -> Result<(), ConnectionError> {
        let of_its_kind = match api {
            ApiKey::Fetch => Some(self.fetches.clone()),
            _ if has_small_response(api) => None,
            _ => Some(self.listings.clone()),
        };
        let turn = match of_its_kind {
            Some(turns) => Some(turns.acquire_owned().await.map_err(|_| ConnectionError::Closed)?),
            None => None,
        };
        let bytes = u32::try_from(received.min(PIPELINED_REQUEST_BYTES)).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(bytes).await;
        let room = room.map_err(|_| ConnectionError::Closed)?;
        // The last await: the future may be dropped while it waits, and a request that the broker has received must get
        // a response.
        let place = self.outgoing.reserve().await;
        let place = place.map_err(|_| ConnectionError::Closed)?;
        let started = Instant::now();
        let (done, reply) = oneshot::channel();
        let handed_in = self
            .serving
            .broker
            .submit(self.context.clone(), head.api_version, request, {
                move |reply: Reply| _ = done.send(reply)
            });
        handed_in.map_err(|_| ConnectionError::Closed)?;
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let slot = Slot {
            api,
            version: head.api_version,
            correlation_id: head.correlation_id,
            reply,
            started,
            received,
            in_flight: InFlight(self.in_flight.clone()),
            _memory: memory,
            _turn: turn,
            _room: room,
        };
        place.send(Outgoing::Slot(Box::new(slot)));
        Ok(())
    }

    async fn handshake(
        &mut self,
        head: &RequestHeader,
        request: &SaslHandshakeRequest,
    ) -> Result<(), ConnectionError> {
        let may_repeat = self.may_authenticate_again();
        let Some(authentication) = self.authentication.as_mut().filter(|_| may_repeat) else {
            let response = SaslHandshakeResponse {
                error_code: ErrorCode::ILLEGAL_SASL_STATE,
                ..Default::default()
            };
            return self
                .respond(response.into(), head.api_version, head.correlation_id)
                .await;
        };
        let (response, refused) = authentication.handshake(head.api_version, request);
        if authentication.identity().is_some() {
            // The clock of authentication starts again.
            self.deadline = Instant::now() + crate::limits::AUTHENTICATION_TIME;
        }
        if let Some(refused) = &refused {
            self.note_refusal(refused);
            self.delay().await;
        }
        self.respond(response.into(), head.api_version, head.correlation_id)
            .await?;
        refused.map_or(Ok(()), |refused| Err(ConnectionError::Refused(refused.reason)))
    }

    /// As in Kafka, only sessions that end can be renewed.
    fn may_authenticate_again(&self) -> bool {
        let identity = self.authentication.as_ref().and_then(Authentication::identity);
        identity.is_none_or(|identity| identity.expires_ms.is_some())
    }

    async fn authenticate(
        &mut self,
        head: &RequestHeader,
        request: &SaslAuthenticateRequest,
    ) -> Result<(), ConnectionError> {
        let is_done = self
            .authentication
            .as_ref()
            .is_none_or(|each| each.is_open(self.serving.clock.now_ms()));
        let Some(authentication) = self.authentication.as_mut().filter(|_| !is_done) else {
            let response = SaslAuthenticateResponse {
                error_code: ErrorCode::ILLEGAL_SASL_STATE,
                error_message: Some(
                    "SaslAuthenticate request received after successful authentication".into(),
                ),
                ..Default::default()
            };
            return self
                .respond(response.into(), head.api_version, head.correlation_id)
                .await;
        };
        let progress = authentication.message(&request.auth_bytes).await;
        self.note(&progress);
        let (response, refused) = response_of(progress);
        if refused.is_some() {
            self.delay().await;
        }
        self.respond(response.into(), head.api_version, head.correlation_id)
            .await?;
        refused.map_or(Ok(()), |refused| Err(ConnectionError::Refused(refused.reason)))
    }

    /// A token after a handshake of version 0 has no Kafka framing, and neither has the response.
    async fn bare_token(&mut self, token: &[u8]) -> Result<(), ConnectionError> {
        let Some(authentication) = &mut self.authentication else {
            return Err(ConnectionError::Closed);
        };
        let progress = authentication.message(token).await;
        self.note(&progress);
        match progress {
            Progress::Continue(message)
            | Progress::Done { message, .. }
            | Progress::Refusing { message, .. } => {
                let size = i32::try_from(message.len()).unwrap_or(i32::MAX);
                let prefix = Bytes::copy_from_slice(&size.to_be_bytes());
                self.send(Outgoing::Frame(vec![prefix, message])).await
            }
            Progress::Refused(refused) => {
                self.delay().await;
                Err(ConnectionError::Refused(refused.reason))
            }
        }
    }

    /// Takes over the client's identity once it is known.
    fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Continue(_) => return,
            Progress::Refused(refused) | Progress::Refusing { refused, .. } => self.note_refusal(refused),
            Progress::Done { .. } => self.serving.metrics.authentication(&self.serving.name, true),
        }
        if let Some(identity) = self.authentication.as_ref().and_then(Authentication::identity) {
            self.context.principal = identity.principal.clone();
        }
    }

    /// Guessing passwords must take time.
    async fn delay(&self) {
        let delay_ms = self
            .authentication
            .as_ref()
            .map_or(0, Authentication::failure_delay_ms);
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }

    /// Counts and records that the client was refused, once.
    fn note_refusal(&mut self, refused: &AuthenticationFailure) {
        if !std::mem::replace(&mut self.is_refused, true) {
            let host = self.context.client_host.as_str();
            self.serving.authentication_failed(host, &refused.reason);
        }
    }

    async fn respond(
        &self,
        response: Response,
        version: i16,
        correlation_id: i32,
    ) -> Result<(), ConnectionError> {
        let frame = header::encode_response(&response, version, correlation_id)
            .map_err(|e| ConnectionError::Malformed(e.to_string()))?;
        self.send(Outgoing::Frame(frame)).await
    }

    async fn send(&self, item: Outgoing) -> Result<(), ConnectionError> {
        self.outgoing
            .send(item)
            .await
            .map_err(|_| ConnectionError::Closed)
    }
}

/// Whether the response is at most about as large as its request. Other responses contain broker state, or much for
/// each short key; only a few of them may be pending for a client that keeps sending requests and has stopped reading
/// responses. Produce is included although a partition without records has a larger response, because producers keep
/// many requests in flight.
fn has_small_response(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::Produce
            | ApiKey::ListOffsets
            | ApiKey::OffsetForLeaderEpoch
            | ApiKey::OffsetCommit
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup
            | ApiKey::ApiVersions
            | ApiKey::InitProducerId
            | ApiKey::AddPartitionsToTxn
            | ApiKey::AddOffsetsToTxn
            | ApiKey::TxnOffsetCommit
            | ApiKey::EndTxn
    )
}

/// Counts a request in flight until its response is written.
#[derive(Debug)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
