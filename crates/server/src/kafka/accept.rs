//! Taking connections from a port, as fast as is allowed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::gate::Full;
use super::listener::{Serving, Stage, connect};
use crate::limits::ACCEPT_RETRY;

/// How often the log says that connections are turned away.
const FULL_LOG_INTERVAL_MS: i64 = 1_000;

/// Accepts connections until the listener closes.
pub(super) async fn accept(
    (listener, serving): (TcpListener, Arc<Serving>),
    mut refusals: Refusals,
    mut stage: watch::Receiver<Stage>,
    alive: mpsc::Sender<()>,
) {
    let of_connections = stage.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stage.wait_for(|stage| *stage != Stage::Open) => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: let some connections end before the next attempt.
                tracing::warn!(%error, "cannot accept a Kafka connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let wait_ms = serving.gate.arrive(serving.clock.now_ms(), &serving.name);
        if wait_ms > 0 {
            tokio::select! {
                () = tokio::time::sleep(milliseconds(wait_ms)) => {}
                _ = stage.wait_for(|stage| *stage != Stage::Open) => return,
            }
        }
        match serving
            .gate
            .admit(serving.clock.now_ms(), peer.ip(), &serving.name)
        {
            Ok(pass) => {
                let connection = connect(socket, peer, serving.clone(), of_connections.clone(), pass);
                let alive = alive.clone();
                tokio::spawn(async move {
                    connection.await;
                    drop(alive);
                });
            }
            Err(full) => refusals.refuse(socket, peer, &serving, &full),
        }
    }
}

/// Connections that are not let in.
pub(super) struct Refusals {
    said_ms: i64,
    delayed: Arc<Semaphore>,
    stage: watch::Receiver<Stage>,
}

impl Refusals {
    /// `delayed` is how many of them all listeners together may close only after a while.
    pub fn new(stage: watch::Receiver<Stage>, delayed: Arc<Semaphore>) -> Self {
        Self {
            said_ms: i64::MIN,
            delayed,
            stage,
        }
    }

    fn refuse(&mut self, socket: TcpStream, peer: SocketAddr, serving: &Serving, full: &Full) {
        let now_ms = serving.clock.now_ms();
        if now_ms.saturating_sub(self.said_ms) >= FULL_LOG_INTERVAL_MS {
            self.said_ms = now_ms;
            tracing::warn!(%peer, listener = %serving.name, reason = %full, "a Kafka connection was turned away");
        }
        if let Full::AddressRate(wait_ms) = full {
            self.close_later(socket, *wait_ms);
        }
    }

    /// Closes a connection after a delay, because its client reconnects as soon as it is closed.
    fn close_later(&self, socket: TcpStream, wait_ms: i64) {
        let Ok(permit) = self.delayed.clone().try_acquire_owned() else {
            return;
        };
        let mut stage = self.stage.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(milliseconds(wait_ms)) => {}
                _ = stage.wait_for(|stage| *stage != Stage::Open) => {}
            }
            drop((socket, permit));
        });
    }
}

fn milliseconds(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}
