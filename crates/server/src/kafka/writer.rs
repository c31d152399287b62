//! The writing half of a connection: sends responses in the order of the requests, and drops clients that do not read
//! them.

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

/// Responses up to this size are coalesced; a larger one goes out by itself.
const TOGETHER_BYTES: usize = 64 << 10;

/// Something to be written.
pub(super) enum Outgoing {
    Slot(Box<Slot>),
    /// A response that needs no broker.
    Frame(Vec<Bytes>),
}

/// A pending response. Its memory is released when it is written.
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
    pub _turn: Option<OwnedSemaphorePermit>,
    pub _room: OwnedSemaphorePermit,
}

/// Until when no request is accepted: the client has exceeded a quota.
pub(super) type Muted = Option<Instant>;

impl Slot {
    /// Whether the response may wait for other members of a group; those are abandoned when the listener closes.
    fn waits_for_members(&self) -> bool {
        matches!(self.api, ApiKey::JoinGroup | ApiKey::SyncGroup)
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
    let mut next = queue.recv().await;
    while let Some(item) = next.take() {
        let mut ready = Ready::default();
        match item {
            Outgoing::Frame(frame) => ready.chunks.extend(frame),
            Outgoing::Slot(mut slot) => {
                let reply = reply(&mut slot, &mut stage).await?;
                ready.add(slot, reply, &mute);
            }
        }
        next = ready.add_more(&mut queue, &mute);
        ready.write(&mut writer, &serving).await?;
        if next.is_none() {
            next = queue.recv().await;
        }
    }
    writer.shutdown().await?;
    Ok(())
}

/// Waits for the broker's reply.
async fn reply(slot: &mut Slot, stage: &mut watch::Receiver<Stage>) -> Result<Reply, ConnectionError> {
    let may_be_given_up = slot.waits_for_members();
    let reply = tokio::select! {
        biased;
        reply = &mut slot.reply => reply,
        _ = stage.wait_for(|stage| *stage != Stage::Open), if may_be_given_up => return Err(ConnectionError::Closed),
    };
    reply.map_err(|_| ConnectionError::Closed)
}

/// Coalesced responses: a client that pipelines its requests gets the responses in few packets.
#[derive(Default)]
struct Ready {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Each with the size of its response.
    slots: Vec<(Box<Slot>, usize)>,
    /// The connection is closed behind them.
    is_last: bool,
}

impl Ready {
    fn add(&mut self, slot: Box<Slot>, reply: Reply, mute: &watch::Sender<Muted>) {
        let frame = match reply {
            Reply::Response(response) => {
                let throttle_ms = u64::from(response.throttle_time_ms().max(0).unsigned_abs());
                if throttle_ms > 0 {
                    mute.send_replace(Instant::now().checked_add(Duration::from_millis(throttle_ms)));
                }
                match header::encode_response(&response, slot.version, slot.correlation_id) {
                    Ok(frame) => frame,
                    Err(error) => {
                        tracing::error!(api = ?slot.api, %error, "a response could not be encoded");
                        self.is_last = true;
                        return;
                    }
                }
            }
            Reply::Silent => Vec::new(),
            Reply::Close => {
                self.is_last = true;
                return;
            }
        };
        let sent = frame.iter().map(Bytes::len).sum();
        self.bytes += sent;
        self.chunks.extend(frame);
        self.slots.push((slot, sent));
    }

    /// Adds further responses that are ready, without waiting, up to the cap; returns the first item that is not ready.
    fn add_more(
        &mut self,
        queue: &mut mpsc::Receiver<Outgoing>,
        mute: &watch::Sender<Muted>,
    ) -> Option<Outgoing> {
        while self.bytes < TOGETHER_BYTES && !self.is_last {
            match queue.try_recv().ok()? {
                Outgoing::Frame(frame) => {
                    self.bytes += frame.iter().map(Bytes::len).sum::<usize>();
                    self.chunks.extend(frame);
                }
                Outgoing::Slot(mut slot) => match slot.reply.try_recv() {
                    Ok(reply) => self.add(slot, reply, mute),
                    Err(oneshot::error::TryRecvError::Empty) => return Some(Outgoing::Slot(slot)),
                    Err(oneshot::error::TryRecvError::Closed) => self.is_last = true,
                },
            }
        }
        None
    }

    async fn write<W: AsyncWrite + Unpin>(
        self,
        writer: &mut W,
        serving: &Serving,
    ) -> Result<(), ConnectionError> {
        send(writer, self.chunks).await?;
        for (slot, sent) in self.slots {
            let elapsed = slot.started.elapsed();
            serving
                .metrics
                .request(slot.api, slot.version, elapsed, (slot.received, sent));
            drop(slot.in_flight);
        }
        if self.is_last {
            Err(ConnectionError::Closed)
        } else {
            Ok(())
        }
    }
}

/// Writes all chunks, several in one system call, unless the client reads them too slowly.
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
