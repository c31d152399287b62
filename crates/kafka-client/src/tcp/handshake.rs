//! From an address to a usable connection: TCP, TLS, ApiVersions, authentication.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_kafka_wire::header::encode_request;
use millstream_kafka_wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use millstream_kafka_wire::messages::sasl_authenticate::SaslAuthenticateRequest;
use millstream_kafka_wire::messages::sasl_handshake::SaslHandshakeRequest;
use millstream_kafka_wire::{
    ApiKey, ErrorCode, KafkaString, Reader, Request, RequestMessage, Response, ResponseHeader,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::frame::{FrameBuffer, read_frame};
use super::routes::Routes;
use super::sasl::SaslExchange;
use crate::config::{ConnectionConfig, SaslConfig};
use crate::error::TransportError;
use crate::transport::NodeVersions;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection that requests can be sent on.
pub(super) struct Opened {
    pub stream: Box<dyn Stream>,
    pub buffer: FrameBuffer,
    pub address: String,
    pub versions: Arc<NodeVersions>,
    pub next_correlation_id: i32,
    /// How long the broker accepts the authentication.
    pub session_lifetime: Option<Duration>,
}

pub(super) async fn open(
    config: &ConnectionConfig,
    tls: Option<&TlsConnector>,
    routes: &dyn Routes,
    host: &str,
    port: u16,
) -> Result<Opened, TransportError> {
    let address = format!("{host}:{port}");
    let stream = connect(tls, routes, host, port, &address).await?;
    let mut conversation = Conversation {
        stream,
        buffer: FrameBuffer::default(),
        client_id: KafkaString::from(&config.client_id),
        address,
        next_correlation_id: 0,
    };
    let versions = conversation.api_versions().await?;
    let session_lifetime = match &config.sasl {
        Some(sasl) => conversation.authenticate(sasl, &versions).await?,
        None => None,
    };
    Ok(Opened {
        stream: conversation.stream,
        buffer: conversation.buffer,
        address: conversation.address,
        versions: Arc::new(versions),
        next_correlation_id: conversation.next_correlation_id,
        session_lifetime,
    })
}

async fn connect(
    tls: Option<&TlsConnector>,
    routes: &dyn Routes,
    host: &str,
    port: u16,
    address: &str,
) -> Result<Box<dyn Stream>, TransportError> {
    let failed = |source| TransportError::Connect {
        address: address.to_owned(),
        source: Arc::new(source),
    };
    let destination = routes.destination(host, port);
    let resolved = tokio::net::lookup_host(destination).await.map_err(failed)?;
    let resolved: Vec<SocketAddr> = resolved.collect();
    let refusal = |each: &SocketAddr| routes.refusal(host, port, *each);
    if let Some(reason) = resolved.iter().find_map(refusal) {
        let address = address.to_owned();
        return Err(TransportError::Refused { address, reason });
    }
    let stream = TcpStream::connect(resolved.as_slice()).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let Some(connector) = tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| {
        TransportError::Configuration(format!("'{host}' is not a name that TLS can check: {error}"))
    })?;
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|source| tls_failed(address.to_owned(), source));
    Ok(Box::new(stream?))
}

/// A protocol mismatch is permanent. A peer that closes the connection may accept a later one: it is shutting down, or
/// has reached its limit of connections.
fn tls_failed(address: String, source: io::Error) -> TransportError {
    if source.kind() == io::ErrorKind::InvalidData {
        let source = Arc::new(source);
        return TransportError::Tls { address, source };
    }
    let reason = format!("in the middle of the TLS handshake ({source}); check that the port speaks TLS");
    TransportError::Disconnected { address, reason }
}

/// Sends one request at a time, before the connection's tasks take over.
struct Conversation {
    stream: Box<dyn Stream>,
    buffer: FrameBuffer,
    client_id: KafkaString,
    address: String,
    next_correlation_id: i32,
}

impl Conversation {
    async fn exchange(&mut self, request: &Request, version: i16) -> Result<Bytes, TransportError> {
        let api = request.api_key();
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let chunks = encode_request(request, version, correlation_id, Some(&self.client_id))
            .map_err(|source| TransportError::Encode { api, source })?;
        let disconnected = |address: &str, error: std::io::Error| TransportError::Disconnected {
            address: address.to_owned(),
            reason: error.to_string(),
        };
        for chunk in chunks {
            self.stream
                .write_all(&chunk)
                .await
                .map_err(|e| disconnected(&self.address, e))?;
        }
        self.stream
            .flush()
            .await
            .map_err(|e| disconnected(&self.address, e))?;
        read_frame(&mut self.stream, &mut self.buffer)
            .await
            .map_err(|e| disconnected(&self.address, e))
    }

    async fn call<R: RequestMessage>(
        &mut self,
        request: R,
        version: i16,
    ) -> Result<R::Response, TransportError> {
        let frame = self.exchange(&request.into(), version).await?;
        let api = R::API_KEY;
        let decode = |source| TransportError::Decode { api, source };
        let mut r = Reader::new(frame);
        ResponseHeader::decode(&mut r, api, version).map_err(decode)?;
        let response = Response::decode(api, version, &mut r).map_err(decode)?;
        response.try_into().map_err(|_| TransportError::Closed)
    }

    /// Asks with the newest version; a broker that does not have it says so in the oldest form.
    async fn api_versions(&mut self) -> Result<NodeVersions, TransportError> {
        let request = || ApiVersionsRequest {
            client_software_name: KafkaString::from_static("millstream"),
            client_software_version: KafkaString::from_static(env!("CARGO_PKG_VERSION")),
        };
        let newest = ApiKey::ApiVersions.versions().1;
        let frame = self.exchange(&request().into(), newest).await?;
        let mut response = read_api_versions(frame, newest)?;
        if response.error_code == ErrorCode::UNSUPPORTED_VERSION {
            let version = versions_of(&response)
                .choose(ApiKey::ApiVersions, 0, newest)
                .unwrap_or(0);
            let frame = self.exchange(&request().into(), version).await?;
            response = read_api_versions(frame, version)?;
        }
        if response.error_code.is_error() {
            return Err(TransportError::Disconnected {
                address: self.address.clone(),
                reason: format!("it responded to ApiVersions with {}", response.error_code),
            });
        }
        Ok(versions_of(&response))
    }

    async fn authenticate(
        &mut self,
        sasl: &SaslConfig,
        versions: &NodeVersions,
    ) -> Result<Option<Duration>, TransportError> {
        let address = self.address.clone();
        let failed = |reason: String| TransportError::Authentication {
            address: address.clone(),
            reason,
        };
        let handshake = SaslHandshakeRequest {
            mechanism: sasl.mechanism.name().into(),
        };
        let reply = self.call(handshake, 1).await?;
        if reply.error_code.is_error() {
            let offered: Vec<&str> = reply.mechanisms.iter().map(|m| m.as_str()).collect();
            return Err(failed(format!(
                "{} is not among the broker's mechanisms ({}); change 'sasl.mechanism'",
                sasl.mechanism.name(),
                offered.join(", ")
            )));
        }
        let version = versions
            .choose(ApiKey::SaslAuthenticate, 0, i16::MAX)
            .unwrap_or(0);
        let mut exchange = SaslExchange::new(sasl, rand::random());
        let mut message = Some(exchange.first_message());
        let mut lifetime_ms = 0;
        while let Some(bytes) = message {
            let request = SaslAuthenticateRequest {
                auth_bytes: Bytes::from(bytes),
            };
            let reply = self.call(request, version).await?;
            if reply.error_code.is_error() {
                let text = reply.error_message.map(String::from).unwrap_or_default();
                return Err(failed(format!("{} ({text})", reply.error_code)));
            }
            lifetime_ms = reply.session_lifetime_ms;
            message = exchange
                .respond(&reply.auth_bytes)
                .map_err(|error| failed(error.to_string()))?;
        }
        Ok((lifetime_ms > 0).then(|| Duration::from_millis(lifetime_ms.unsigned_abs())))
    }
}

/// The response may be in version 0, which the error code at its start tells (KIP-511).
fn read_api_versions(frame: Bytes, version: i16) -> Result<ApiVersionsResponse, TransportError> {
    let decode = |source| TransportError::Decode {
        api: ApiKey::ApiVersions,
        source,
    };
    let mut r = Reader::new(frame);
    ResponseHeader::decode(&mut r, ApiKey::ApiVersions, version).map_err(decode)?;
    let code = r.clone().error_code().map_err(decode)?;
    let version = if code == ErrorCode::UNSUPPORTED_VERSION {
        0
    } else {
        version
    };
    ApiVersionsResponse::decode(&mut r, version).map_err(decode)
}

fn versions_of(response: &ApiVersionsResponse) -> NodeVersions {
    let apis = response
        .api_keys
        .iter()
        .map(|api| (api.api_key, (api.min_version, api.max_version)));
    let features = response.finalized_features.iter();
    NodeVersions {
        apis: apis.collect(),
        finalized_features: features
            .map(|f| (f.name.to_string(), f.max_version_level))
            .collect(),
    }
}

/// Authenticates again on a connection in use; `send` sends one request and returns its response.
pub(super) async fn reauthenticate<F, Fut>(
    sasl: &SaslConfig,
    versions: &NodeVersions,
    address: &str,
    mut send: F,
) -> Result<Option<Duration>, TransportError>
where
    F: FnMut(Request, i16) -> Fut,
    Fut: Future<Output = Result<Response, TransportError>>,
{
    let failed = |reason: String| TransportError::Authentication {
        address: address.to_owned(),
        reason,
    };
    let handshake = SaslHandshakeRequest {
        mechanism: sasl.mechanism.name().into(),
    };
    match send(handshake.into(), 1).await? {
        Response::SaslHandshake(reply) if reply.error_code.is_none() => {}
        _ => return Err(failed("the broker refused to authenticate again".to_owned())),
    }
    let version = versions
        .choose(ApiKey::SaslAuthenticate, 0, i16::MAX)
        .unwrap_or(0);
    let mut exchange = SaslExchange::new(sasl, rand::random());
    let mut message = Some(exchange.first_message());
    let mut lifetime_ms = 0;
    while let Some(bytes) = message {
        let request = SaslAuthenticateRequest {
            auth_bytes: Bytes::from(bytes),
        };
        let Response::SaslAuthenticate(reply) = send(request.into(), version).await? else {
            return Err(failed("unexpected response".to_owned()));
        };
        if reply.error_code.is_error() {
            return Err(failed(reply.error_code.to_string()));
        }
        lifetime_ms = reply.session_lifetime_ms;
        message = exchange
            .respond(&reply.auth_bytes)
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok((lifetime_ms > 0).then(|| Duration::from_millis(lifetime_ms.unsigned_abs())))
}
