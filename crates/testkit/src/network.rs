//! A network of connections with the faults of real ones, as a function of a seed.
//!
//! A connection behaves like TCP: in each direction bytes arrive in order, in pieces of any size, late, or no longer at
//! all. TCP rules out lost or repeated bytes in the middle, so they do not occur here either. Loss and repetition come
//! as in production: a direction goes dead with bytes in flight, the sender abandons it and retries on another connection,
//! and its earlier bytes arrive later, or twice. Connections are not ordered among each other.
//!
//! [`Network`] keeps no queue: it decides what arrives when, and the caller puts that into its
//! [`Schedule`](crate::schedule::Schedule).

use bytes::Bytes;
use millstream_types::{Rng, SeededRng};
use std::collections::BTreeMap;

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that opened it.
    Client,
    /// The end that accepted it.
    Server,
}

/// Something that arrives at one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes.
    Bytes(Bytes),
    /// The news that the other end has closed or is gone.
    Closed,
}

/// How bad the network is. Chances are in thousandths.
#[derive(Debug, Clone, Copy)]
pub struct NetworkFaults {
    /// The longest ordinary delay.
    pub delay_ms_max: u64,
    /// Probability and maximum length of a delay.
    pub stall: u64,
    /// The longest such delay.
    pub stall_ms_max: u64,
    /// Probability that a direction goes dead.
    pub dead: u64,
    /// The chance that an end that closes does so without the other ever hearing of it.
    pub half_open: u64,
    /// The chance that something sent arrives in several pieces.
    pub pieces: u64,
}

impl NetworkFaults {
    /// A network that does its best.
    pub const NONE: NetworkFaults = NetworkFaults {
        delay_ms_max: 1,
        stall: 0,
        stall_ms_max: 0,
        dead: 0,
        half_open: 0,
        pieces: 0,
    };
}

#[derive(Debug, Default)]
struct Direction {
    /// Later bytes arrive no earlier than this.
    last_arrival_ms: i64,
    is_dead: bool,
}

#[derive(Debug, Default)]
struct Connection {
    to_client: Direction,
    to_server: Direction,
}

/// All connections.
#[derive(Debug)]
pub struct Network {
    faults: NetworkFaults,
    connections: BTreeMap<ConnectionId, Connection>,
    next: u64,
}

/// What arrives, and when.
pub type Arrivals = Vec<(i64, Arrival)>;

impl Network {
    /// No connections yet.
    pub fn new(faults: NetworkFaults) -> Self {
        Network {
            faults,
            connections: BTreeMap::new(),
            next: 0,
        }
    }

    /// Changes the fault rates for bytes sent from now on.
    pub fn set_faults(&mut self, faults: NetworkFaults) {
        self.faults = faults;
    }

    /// Opens a connection; returns its delay.
    pub fn connect(&mut self, rng: &SeededRng) -> (ConnectionId, i64) {
        self.next += 1;
        let id = ConnectionId(self.next);
        self.connections.insert(id, Connection::default());
        (id, self.delay_ms(rng))
    }

    /// Sends bytes to one end. Nothing arrives if that direction is dead, or dies now.
    pub fn send(
        &mut self,
        now_ms: i64,
        rng: &SeededRng,
        (connection, to): (ConnectionId, Side),
        mut bytes: Bytes,
    ) -> Arrivals {
        let mut arrivals = Vec::new();
        let dies = rng.below(1000) < self.faults.dead;
        let is_split = rng.below(1000) < self.faults.pieces;
        while !bytes.is_empty() {
            let length = if is_split {
                1 + rng.below(bytes.len() as u64) as usize
            } else {
                bytes.len()
            };
            let piece = bytes.split_to(length);
            let delay_ms = self.delay_ms(rng);
            let Some(direction) = self.direction(connection, to) else {
                return arrivals;
            };
            if direction.is_dead {
                return arrivals;
            }
            let at_ms = direction.last_arrival_ms.max(now_ms + delay_ms);
            direction.last_arrival_ms = at_ms;
            // The last piece is lost, and everything after it.
            if dies && bytes.is_empty() {
                direction.is_dead = true;
                return arrivals;
            }
            arrivals.push((at_ms, Arrival::Bytes(piece)));
        }
        arrivals
    }

    /// Closes one end. Returns when the other end notices, after all earlier bytes; never if that direction is dead or
    /// the connection stays half open.
    pub fn close(
        &mut self,
        now_ms: i64,
        rng: &SeededRng,
        (connection, by): (ConnectionId, Side),
    ) -> Option<i64> {
        let other = match by {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        let stays_half_open = rng.below(1000) < self.faults.half_open;
        let delay_ms = self.delay_ms(rng);
        let direction = self.direction(connection, other)?;
        let at_ms = direction.last_arrival_ms.max(now_ms + delay_ms);
        direction.last_arrival_ms = at_ms;
        let arrives = !direction.is_dead && !stays_half_open;
        direction.is_dead = true;
        arrives.then_some(at_ms)
    }

    fn delay_ms(&self, rng: &SeededRng) -> i64 {
        let ordinary = rng.below(self.faults.delay_ms_max + 1);
        let is_stalled = rng.below(1000) < self.faults.stall;
        let stalled = if is_stalled {
            rng.below(self.faults.stall_ms_max + 1)
        } else {
            0
        };
        (ordinary + stalled) as i64
    }

    fn direction(&mut self, connection: ConnectionId, to: Side) -> Option<&mut Direction> {
        let connection = self.connections.get_mut(&connection)?;
        Some(match to {
            Side::Client => &mut connection.to_client,
            Side::Server => &mut connection.to_server,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rough() -> NetworkFaults {
        NetworkFaults {
            delay_ms_max: 20,
            stall: 100,
            stall_ms_max: 500,
            dead: 20,
            half_open: 300,
            pieces: 300,
        }
    }

    fn received(seed: u64) -> (Vec<u8>, bool) {
        let (rng, mut network) = (SeededRng::new(seed), Network::new(rough()));
        let (connection, _) = network.connect(&rng);
        let mut arrivals = Vec::new();
        for number in 0..50u8 {
            let bytes = Bytes::from(vec![number; 3]);
            arrivals.extend(network.send(i64::from(number), &rng, (connection, Side::Server), bytes));
        }
        let closed = network.close(60, &rng, (connection, Side::Client));
        arrivals.sort_by_key(|(at_ms, _)| *at_ms);
        let bytes = arrivals.iter().flat_map(|(_, arrival)| match arrival {
            Arrival::Bytes(bytes) => bytes.to_vec(),
            Arrival::Closed => Vec::new(),
        });
        (bytes.collect(), closed.is_some())
    }

    #[test]
    fn bytes_arrive_in_order_and_without_a_hole_and_some_connections_die() {
        let whole: Vec<u8> = (0..50u8).flat_map(|number| [number; 3]).collect();
        let (mut died, mut closed) = (0, 0);
        for seed in 0..200 {
            let (bytes, is_closed) = received(seed);
            assert!(whole.starts_with(&bytes), "seed {seed}");
            died += u32::from(bytes.len() < whole.len());
            closed += u32::from(is_closed);
            assert_eq!(received(seed), (bytes, is_closed), "seed {seed} replays");
        }
        assert!(
            (20..180).contains(&died) && (10..180).contains(&closed),
            "{died} {closed}"
        );
    }
}
