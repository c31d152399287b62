//! One connection: frames in, typed requests to the broker, responses out in the order of the requests.
//!
//! As Kafka does, a frame that cannot be read, an unknown API and an unsupported version of a known one close the
//! connection; only ApiVersions of an unknown version is answered, in version 0, so that a newer client can step down.
//! Memory is taken for bytes that arrived, not for bytes that were announced.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use millstream_broker::{BrokerHandle, Endpoint, RequestContext};
use millstream_kafka_wire::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use millstream_kafka_wire::{
    ApiKey, ErrorCode, KafkaString, Reader, Request, RequestHeader, Response, header,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};

use crate::limits::{FRAME_BYTES_MAX, PIPELINED_REQUESTS_MAX, READ_BYTES};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("socket")]
    Io(#[from] std::io::Error),
    #[error("the client sent a frame of {0} bytes")]
    FrameSize(i64),
    #[error("the client sent something that is no Kafka request: {0}")]
    Malformed(String),
    #[error("the broker closed the connection")]
    Closed,
}

/// An answer in the making, in the order of the requests.
struct Slot {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    reply: oneshot::Receiver<millstream_broker::Reply>,
}

/// Until when no request is taken in: the client has used up a quota.
type Muted = Option<tokio::time::Instant>;

enum Outgoing {
    Slot(Slot),
    /// A response that needs no broker.
    Frame(Vec<Bytes>),
}

/// Serves one connection until either side ends it.
pub async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<Endpoint>,
    broker: BrokerHandle,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    let (outgoing, queue) = mpsc::channel(PIPELINED_REQUESTS_MAX);
    let context = RequestContext {
        client_id: KafkaString::EMPTY,
        client_host: KafkaString::from(format!("/{}", peer.ip())),
        principal: KafkaString::from_static("User:ANONYMOUS"),
        endpoint,
        is_internal: false,
    };
    let (mute, muted) = watch::channel(None);
    let reading = read(reader, context, broker, outgoing, muted);
    let writing = write(writer, queue, mute);
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
        _ = stopped.changed() => Ok(()),
    }
}

async fn read(
    mut reader: OwnedReadHalf,
    mut context: RequestContext,
    broker: BrokerHandle,
    outgoing: mpsc::Sender<Outgoing>,
    muted: watch::Receiver<Muted>,
) -> Result<(), ConnectionError> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        while let Some(frame) = take_frame(&mut buffer)? {
            let until = *muted.borrow();
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
            let sent = dispatch(frame, &mut context, &broker)?;
            if let Some(item) = sent
                && outgoing.send(item).await.is_err()
            {
                return Err(ConnectionError::Closed);
            }
        }
        buffer.reserve(READ_BYTES);
        if reader.read_buf(&mut buffer).await? == 0 {
            // Let the answers of what was asked go out before the writer's queue closes.
            drop(outgoing);
            return std::future::pending().await;
        }
    }
}

/// A whole frame without its length, if one has arrived.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<Bytes>, ConnectionError> {
    let Some(prefix) = buffer.get(..4) else {
        return Ok(None);
    };
    let size = i64::from(i32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]));
    if size <= 0 || size > FRAME_BYTES_MAX {
        return Err(ConnectionError::FrameSize(size));
    }
    let size = size as usize;
    if buffer.len() < 4 + size {
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(size).freeze()))
}

fn dispatch(
    frame: Bytes,
    context: &mut RequestContext,
    broker: &BrokerHandle,
) -> Result<Option<Outgoing>, ConnectionError> {
    let malformed = |e: &dyn std::fmt::Display| ConnectionError::Malformed(e.to_string());
    let mut reader = Reader::new(frame);
    let head = RequestHeader::decode(&mut reader).map_err(|e| malformed(&e))?;
    let api = ApiKey::from_code(head.api_key)
        .ok_or_else(|| ConnectionError::Malformed(format!("unknown api key {}", head.api_key)))?;
    let (lowest, highest) = api.versions();
    if !(lowest..=highest).contains(&head.api_version) {
        if api == ApiKey::ApiVersions {
            return unsupported_api_versions(head.correlation_id).map(Some);
        }
        return Err(ConnectionError::Malformed(format!(
            "{api:?} version {} is not supported",
            head.api_version
        )));
    }
    let request = Request::decode(api, head.api_version, &mut reader).map_err(|e| malformed(&e))?;
    if let Some(client_id) = head.client_id
        && client_id != context.client_id
    {
        // The name must not keep the frame alive.
        context.client_id = client_id.detached();
    }
    let (done, reply) = oneshot::channel();
    broker
        .submit(context.clone(), head.api_version, request, move |reply| {
            _ = done.send(reply)
        })
        .map_err(|_| ConnectionError::Closed)?;
    Ok(Some(Outgoing::Slot(Slot {
        api,
        version: head.api_version,
        correlation_id: head.correlation_id,
        reply,
    })))
}

/// KIP-511: the answer to a version that this broker does not know, in the form of version 0, with its own range only.
fn unsupported_api_versions(correlation_id: i32) -> Result<Outgoing, ConnectionError> {
    let (min_version, max_version) = ApiKey::ApiVersions.versions();
    let own = ApiVersion {
        api_key: ApiKey::ApiVersions as i16,
        min_version,
        max_version,
    };
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![own],
        ..Default::default()
    };
    let frame = header::encode_response(&Response::from(response), 0, correlation_id)
        .map_err(|e| ConnectionError::Malformed(e.to_string()))?;
    Ok(Outgoing::Frame(frame))
}

async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Outgoing>,
    mute: watch::Sender<Muted>,
) -> Result<(), ConnectionError> {
    while let Some(item) = queue.recv().await {
        let frame = match item {
            Outgoing::Frame(frame) => frame,
            Outgoing::Slot(slot) => match slot.reply.await {
                Ok(millstream_broker::Reply::Response(response)) => {
                    let throttle_ms = u64::from(response.throttle_time_ms().max(0).unsigned_abs());
                    if throttle_ms > 0 {
                        let now = tokio::time::Instant::now();
                        mute.send_replace(now.checked_add(Duration::from_millis(throttle_ms)));
                    }
                    header::encode_response(&response, slot.version, slot.correlation_id).map_err(|e| {
                        tracing::error!(api = ?slot.api, error = %e, "a response could not be encoded");
                        ConnectionError::Closed
                    })?
                }
                Ok(millstream_broker::Reply::Silent) => continue,
                Ok(millstream_broker::Reply::Close) | Err(_) => return Err(ConnectionError::Closed),
            },
        };
        send(&mut writer, frame.into()).await?;
    }
    writer.shutdown().await?;
    Ok(())
}

/// Writes all chunks, several in one system call.
async fn send(writer: &mut OwnedWriteHalf, mut chunks: VecDeque<Bytes>) -> Result<(), ConnectionError> {
    while !chunks.is_empty() {
        let slices: Vec<std::io::IoSlice<'_>> = chunks.iter().map(|c| std::io::IoSlice::new(c)).collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(ConnectionError::Closed);
        }
        while let Some(front) = chunks.front_mut() {
            if written < front.len() {
                front.advance(written);
                break;
            }
            written -= front.len();
            chunks.pop_front();
        }
    }
    Ok(())
}
