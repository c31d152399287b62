//! The writing half of a connection: answers in the order of their requests, to clients that take them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use millstream_broker::Reply;
use millstream_kafka_wire::{ApiKey, header};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::connection::{ConnectionError, InFlight};
use super::frames::transfer_time;
use super::listener::{Serving, Stage};

/// Something to be written.
pub(super) enum Outgoing {
    Slot(Box<Slot>),
    /// A response that needs no broker.
    Frame(Vec<Bytes>),
}

/// An answer in the making. What it holds is free when it is written.
pub(super) struct Slot {
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub reply: oneshot::Receiver<Reply>,
    pub started: Instant,
    /// Bytes of the request.
    pub received: usize,
    pub in_flight: InFlight,
    pub _memory: Option<OwnedSemaphorePermit>,
    pub _fetch: Option<OwnedSemaphorePermit>,
}

/// Until when no request is taken in: the client has used up a quota.
pub(super) type Muted = Option<Instant>;

impl Slot {
    /// Whether the answer may take long by its nature; nobody waits for those when the listener closes.
    fn is_long_poll(&self) -> bool {
        matches!(self.api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
    }
}

/// Writes until the queue ends.
pub(super) async fn run<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut queue: mpsc::Receiver<Outgoing>,
    serving: Arc<Serving>,
    mute: watch::Sender<Muted>,
    mut stage: watch::Receiver<Stage>,
) -> Result<(), ConnectionError> {
    while let Some(item) = queue.recv().await {
        match item {
            Outgoing::Frame(frame) => send(&mut writer, frame.into()).await?,
            Outgoing::Slot(slot) => answer(&mut writer, *slot, (&serving, &mute), &mut stage).await?,
        }
    }
    writer.shutdown().await?;
    Ok(())
}

async fn answer<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut slot: Slot,
    (serving, mute): (&Serving, &watch::Sender<Muted>),
    stage: &mut watch::Receiver<Stage>,
) -> Result<(), ConnectionError> {
    let can_wait = !slot.is_long_poll();
    let reply = tokio::select! {
        biased;
        reply = &mut slot.reply => reply,
        _ = stage.wait_for(|stage| *stage != Stage::Open), if !can_wait => return Err(ConnectionError::Closed),
    };
    let (frame, sent) = match reply {
        Ok(Reply::Response(response)) => {
            let throttle_ms = u64::from(response.throttle_time_ms().max(0).unsigned_abs());
            if throttle_ms > 0 {
                mute.send_replace(Instant::now().checked_add(Duration::from_millis(throttle_ms)));
            }
            let encoded = header::encode_response(&response, slot.version, slot.correlation_id);
            let frame = encoded.map_err(|error| {
                tracing::error!(api = ?slot.api, %error, "a response could not be encoded");
                ConnectionError::Closed
            })?;
            let sent = frame.iter().map(Bytes::len).sum();
            (frame, sent)
        }
        Ok(Reply::Silent) => (Vec::new(), 0),
        Ok(Reply::Close) | Err(_) => return Err(ConnectionError::Closed),
    };
    send(writer, frame.into()).await?;
    serving.metrics.request(
        slot.api,
        slot.version,
        slot.started.elapsed(),
        (slot.received, sent),
    );
    drop(slot.in_flight);
    Ok(())
}

/// Writes all chunks, several in one system call, unless the client takes them too slowly.
async fn send<W: AsyncWrite + Unpin>(writer: &mut W, chunks: VecDeque<Bytes>) -> Result<(), ConnectionError> {
    if chunks.is_empty() {
        return Ok(());
    }
    let size = chunks.iter().map(Bytes::len).sum();
    let sending = tokio::time::timeout(transfer_time(size), send_all(writer, chunks));
    sending.await.map_err(|_| ConnectionError::SlowReader)?
}

async fn send_all<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut chunks: VecDeque<Bytes>,
) -> Result<(), ConnectionError> {
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
    writer.flush().await?;
    Ok(())
}
