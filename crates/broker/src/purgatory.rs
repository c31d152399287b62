//! [`Purgatory`]: delayed operations, parked until the disk, new data or other members of a group complete them.
//!
//! Each has a [`Ticket`]. An operation leaves the purgatory exactly once: completed, expired at its deadline, or failed.

use crate::api::fetch::Fetch;
use millstream_kafka_wire::Response;
use millstream_log::LogId;
use std::collections::{BTreeMap, BTreeSet};

/// Identifies a delayed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How the broker replies to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Sends a response.
    Response(Box<Response>),
    /// Sends nothing: a produce request with `acks=0`.
    Silent,
    /// Closes the connection without a response, as Kafka does.
    Close,
}

impl Reply {
    /// How long the connection is muted after this reply.
    pub fn throttle_time_ms(&self) -> i32 {
        match self {
            Reply::Response(response) => response.throttle_time_ms(),
            Reply::Silent | Reply::Close => 0,
        }
    }

    /// Raises the response's `throttle_time_ms` to at least this value, if it has that field.
    pub fn throttled(mut self, throttle_time_ms: i32) -> Self {
        if let Reply::Response(response) = &mut self
            && let Some(field) = response.throttle_time_ms_mut()
        {
            *field = throttle_time_ms.max(*field);
        }
        self
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Reply::Response(Box::new(response))
    }
}

/// How far a request has come once its handler returns.
#[derive(Debug)]
pub enum Progress {
    /// The reply is ready.
    Ready(Reply),
    /// The operation is delayed; the reply follows from [`Broker::take_completed`](crate::Broker::take_completed).
    Pending(Ticket),
}

/// The result of an API handler; the broker turns it into a [`Progress`].
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Reply at once.
    Now(Reply),
    /// Reply once this WAL sequence is durable.
    Durable(u64, Reply),
    /// The handler has parked the operation under this ticket.
    Waiting(Ticket),
}

impl Outcome {
    pub fn now(response: impl Into<Response>) -> Self {
        Outcome::Now(Reply::from(response.into()))
    }

    pub fn durable(sequence: u64, response: impl Into<Response>) -> Self {
        Outcome::Durable(sequence, Reply::from(response.into()))
    }
}

/// A delayed fetch.
#[derive(Debug)]
pub(crate) struct WaitingFetch {
    pub fetch: Fetch,
    pub deadline_ms: i64,
    pub logs: Vec<LogId>,
}

#[derive(Debug, Default)]
pub(crate) struct Purgatory {
    next: u64,
    durable: BTreeMap<(u64, Ticket), Reply>,
    fetches: BTreeMap<Ticket, WaitingFetch>,
    by_log: BTreeMap<LogId, BTreeSet<Ticket>>,
    deadlines: BTreeSet<(i64, Ticket)>,
    timed: BTreeMap<(i64, Ticket), Reply>,
    completed: Vec<(Ticket, Reply)>,
    /// Set on shutdown: fetches are no longer delayed.
    pub are_over: bool,
}

impl Purgatory {
    pub fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Completes `ticket` once `sequence` is durable.
    pub fn when_durable(&mut self, sequence: u64, ticket: Ticket, reply: Reply) {
        self.durable.insert((sequence, ticket), reply);
    }

    /// Number of operations that wait for the disk.
    pub fn durable_len(&self) -> usize {
        self.durable.len()
    }

    /// Parks a reply until this time.
    pub fn at(&mut self, time_ms: i64, reply: Reply) -> Ticket {
        let ticket = self.ticket();
        self.timed.insert((time_ms, ticket), reply);
        ticket
    }

    /// Completes timed operations that are due.
    pub fn tick(&mut self, now_ms: i64) {
        while let Some(((time_ms, ticket), reply)) = self.timed.pop_first() {
            if time_ms > now_ms {
                self.timed.insert((time_ms, ticket), reply);
                return;
            }
            self.complete(ticket, reply);
        }
    }

    pub fn complete(&mut self, ticket: Ticket, reply: Reply) {
        self.completed.push((ticket, reply));
    }

    pub fn on_durable(&mut self, sequence: u64) {
        let later = self.durable.split_off(&(sequence + 1, Ticket(0)));
        let now = std::mem::replace(&mut self.durable, later);
        self.completed
            .extend(now.into_iter().map(|((_, ticket), reply)| (ticket, reply)));
    }

    /// Closes the connections of all operations that wait for the disk. Whether their records are durable is unknown after a
    /// failed write, and a closed connection is the only reply that makes no claim: the client retries.
    pub fn fail_all(&mut self) {
        let durable = std::mem::take(&mut self.durable);
        self.completed
            .extend(durable.into_keys().map(|(_, ticket)| (ticket, Reply::Close)));
    }

    pub fn take_completed(&mut self) -> Vec<(Ticket, Reply)> {
        std::mem::take(&mut self.completed)
    }

    pub fn add_fetch(&mut self, ticket: Ticket, fetch: WaitingFetch) {
        for log in &fetch.logs {
            self.by_log.entry(*log).or_default().insert(ticket);
        }
        self.deadlines.insert((fetch.deadline_ms, ticket));
        self.fetches.insert(ticket, fetch);
    }

    pub fn remove_fetch(&mut self, ticket: Ticket) -> Option<WaitingFetch> {
        let fetch = self.fetches.remove(&ticket)?;
        self.deadlines.remove(&(fetch.deadline_ms, ticket));
        for log in &fetch.logs {
            if let Some(tickets) = self.by_log.get_mut(log) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.by_log.remove(log);
                }
            }
        }
        Some(fetch)
    }

    pub fn fetch(&self, ticket: Ticket) -> Option<&WaitingFetch> {
        self.fetches.get(&ticket)
    }

    /// Delayed fetches on any of these logs.
    pub fn fetches_of(&self, logs: &[LogId]) -> BTreeSet<Ticket> {
        logs.iter()
            .filter_map(|log| self.by_log.get(log))
            .flatten()
            .copied()
            .collect()
    }

    pub fn expired_fetches(&self, now_ms: i64) -> Vec<Ticket> {
        self.deadlines
            .range(..=(now_ms, Ticket(u64::MAX)))
            .map(|(_, ticket)| *ticket)
            .collect()
    }

    pub fn next_deadline(&self) -> Option<i64> {
        let fetch = self.deadlines.first().map(|(deadline, _)| *deadline);
        let timed = self.timed.first_key_value().map(|((time_ms, _), _)| *time_ms);
        fetch.into_iter().chain(timed).min()
    }
}
