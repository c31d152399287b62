//! The broker's process: connections in, disk work with delays, and every way of dying.
//!
//! It does what the TCP shell does, without sockets: frames are taken from bytes as they arrive, responses go out in the
//! order of the requests of a connection. The broker's threads are in `threads`. A process that dies stops its disk work at
//! any point of it.

use crate::threads::{Caller, Pace, ThreadEvent, Threads};
use crate::world::take_frame;
use bytes::{Bytes, BytesMut};
use millstream_broker::mutants::Mutant;
use millstream_broker::{
    Broker, BrokerConfig, Command, Endpoint, EventLoop, Job, Reply, RequestContext, StartError, Submitted,
};
use millstream_kafka_wire::{ApiKey, Reader, Request, RequestHeader, header};
use millstream_log::{CommitJob, LogError, LogId, LogOptions};
use millstream_testkit::network::{Arrival, ConnectionId};
use millstream_testkit::storage::{Fault, MemStorage, Operation, Survive};
use millstream_types::{Rng, SeededRng};
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;

/// What happens inside of the process; a number says in which of its lives.
#[derive(Debug, Clone, Copy)]
pub enum NodeEvent {
    Start,
    Thread(u64, ThreadEvent),
    /// It ends because its log is poisoned.
    Exit(u64),
}

/// The effects that the process requests.
#[derive(Debug)]
pub enum Effect {
    Send(ConnectionId, Bytes),
    Close(ConnectionId),
    Later(i64, NodeEvent),
    Broken(String),
}

/// How the process and its disk behave.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    pub checkpoint_bytes: u64,
    pub tail_cache_bytes: u64,
    /// What may wait for a running checkpoint before requests wait, too.
    pub backlog_bytes: u64,
    /// Commands taken from the inbox per turn.
    pub commands_max: usize,
    /// Whether power may fail, the process be killed, the disk fail.
    pub power_fails: bool,
    pub disk_fails: bool,
    pub pace: Pace,
    pub mutant: Option<Mutant>,
}

struct Slot {
    number: u64,
    version: i16,
    correlation_id: i32,
    reply: Option<Reply>,
}

struct ServerSide {
    buffer: BytesMut,
    context: RequestContext,
    slots: VecDeque<Slot>,
}

pub struct Node {
    options: NodeOptions,
    storage: MemStorage,
    threads: Option<Threads>,
    life: u64,
    connections: BTreeMap<ConnectionId, ServerSide>,
    next_slot: u64,
    /// A fault is set, and may have been met or not.
    has_fault: bool,
    /// How many calls of the disk had failed before this life.
    failures_before: u64,
    is_exiting: bool,
    is_calm: bool,
    high_watermarks: BTreeMap<LogId, i64>,
    effects: Vec<Effect>,
    pub crashes: u64,
}

impl Node {
    pub fn new(options: NodeOptions) -> Node {
        Node {
            options,
            storage: MemStorage::new(),
            threads: None,
            life: 0,
            connections: BTreeMap::new(),
            next_slot: 0,
            has_fault: false,
            failures_before: 0,
            is_exiting: false,
            is_calm: false,
            high_watermarks: BTreeMap::new(),
            effects: Vec::new(),
            crashes: 0,
        }
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A connection is opened; not if there is no process.
    pub fn accept(&mut self, connection: ConnectionId) -> bool {
        if self.threads.is_none() {
            return false;
        }
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: 9092,
        };
        let context = RequestContext {
            is_internal: false,
            ..RequestContext::internal("", endpoint)
        };
        let side = ServerSide {
            buffer: BytesMut::new(),
            context,
            slots: VecDeque::new(),
        };
        self.connections.insert(connection, side);
        true
    }

    pub fn arrival(&mut self, rng: &SeededRng, connection: ConnectionId, arrival: Arrival) {
        match arrival {
            Arrival::Closed => _ = self.connections.remove(&connection),
            Arrival::Bytes(bytes) => match self.connections.get_mut(&connection) {
                Some(side) => side.buffer.extend_from_slice(&bytes),
                None => self.effects.push(Effect::Close(connection)), // of an earlier life
            },
        }
        while let Some(frame) = self
            .connections
            .get_mut(&connection)
            .and_then(|side| take_frame(&mut side.buffer))
        {
            self.request(rng, connection, frame);
        }
        self.pass_on(rng);
    }

    fn request(&mut self, rng: &SeededRng, connection: ConnectionId, frame: Bytes) {
        let mut reader = Reader::new(frame);
        let read = RequestHeader::decode(&mut reader).and_then(|head| {
            let api = ApiKey::from_code(head.api_key).expect("clients here send what is known");
            Ok((Request::decode(api, head.api_version, &mut reader)?, head))
        });
        let (request, head) = match read {
            Ok(read) => read,
            Err(error) => {
                return self
                    .effects
                    .push(Effect::Broken(format!("a request is not read: {error}")));
            }
        };
        let (Some(threads), Some(side)) = (&mut self.threads, self.connections.get_mut(&connection)) else {
            return;
        };
        side.context.client_id = head.client_id.unwrap_or_default().detached();
        self.next_slot += 1;
        side.slots.push_back(Slot {
            number: self.next_slot,
            version: head.api_version,
            correlation_id: head.correlation_id,
            reply: None,
        });
        let submitted = Submitted {
            context: side.context.clone(),
            version: head.api_version,
            request,
            caller: (connection, self.next_slot),
        };
        threads.submit(rng, Command::Request(Box::new(submitted)));
    }

    fn respond(&mut self, (connection, number): Caller, reply: Reply) {
        let Some(side) = self.connections.get_mut(&connection) else {
            return;
        };
        if let Some(slot) = side.slots.iter_mut().find(|slot| slot.number == number) {
            slot.reply = Some(reply);
            self.flush(connection);
        }
    }

    /// Sends the responses of a connection that are ready and at the front.
    fn flush(&mut self, connection: ConnectionId) {
        let Some(side) = self.connections.get_mut(&connection) else {
            return;
        };
        while let Some(slot) = side.slots.pop_front_if(|slot| slot.reply.is_some()) {
            let response = match slot.reply {
                Some(Reply::Response(response)) => response,
                Some(Reply::Silent) => continue,
                Some(Reply::Close) | None => {
                    self.connections.remove(&connection);
                    self.effects.push(Effect::Close(connection));
                    return;
                }
            };
            match header::encode_response(&response, slot.version, slot.correlation_id) {
                Ok(frame) => self.effects.push(Effect::Send(connection, frame.concat().into())),
                Err(error) => {
                    let text = format!("a response cannot be encoded: {error}: {response:?}");
                    self.effects.push(Effect::Broken(text));
                }
            }
        }
    }

    /// Passes on what the threads of the broker have given.
    fn pass_on(&mut self, rng: &SeededRng) {
        let Some(threads) = &mut self.threads else {
            return;
        };
        let (later, responses) = (threads.take_later(), threads.take_replies());
        let (failure, has_ended) = (threads.take_failure(), threads.has_ended());
        let life = self.life;
        let later = later.into_iter();
        self.effects
            .extend(later.map(|(delay_ms, event)| Effect::Later(delay_ms, NodeEvent::Thread(life, event))));
        if let Some(error) = failure {
            self.on_failure(rng, &error);
        }
        for (caller, reply) in responses {
            self.respond(caller, reply);
        }
        if has_ended {
            self.on_end(rng);
        }
    }

    fn on_failure(&mut self, rng: &SeededRng, error: &LogError) {
        // A disk that has become sound meanwhile may have failed a job whose end was not told yet.
        if self.storage.failures() == self.failures_before {
            let text = format!("the log fails on a sound disk: {error}");
            self.effects.push(Effect::Broken(text));
        }
        if !self.is_exiting {
            self.is_exiting = true;
            let exit = NodeEvent::Exit(self.life);
            self.effects.push(Effect::Later(rng.below(50) as i64, exit));
        }
    }

    pub fn happen(&mut self, now_ms: i64, rng: &SeededRng, event: NodeEvent) {
        let life = self.life;
        match (event, &mut self.threads) {
            (NodeEvent::Start, None) => self.start(now_ms, rng),
            (NodeEvent::Thread(of, event), Some(threads)) if of == life => threads.happen(now_ms, rng, event),
            (NodeEvent::Exit(of), Some(_)) if of == life => self.die(rng, rng.below(3) == 0),
            _ => {}
        }
        self.pass_on(rng);
    }

    fn start(&mut self, now_ms: i64, rng: &SeededRng) {
        let cleaner = [("log.cleaner.backoff.ms", "1000")];
        let mut config = BrokerConfig::new(cleaner.map(|(name, value)| (name.to_owned(), value.to_owned())));
        config.log = LogOptions {
            sync: self.options.mutant != Some(Mutant::SkipSync),
            checkpoint_bytes: self.options.checkpoint_bytes,
            tail_cache_bytes: self.options.tail_cache_bytes,
            backlog_bytes: self.options.backlog_bytes,
            ..LogOptions::default()
        };
        let storage = Arc::new(self.storage.clone());
        self.life += 1;
        self.failures_before = self.storage.failures();
        self.is_exiting = false;
        match Broker::open(config, storage, Arc::new(SeededRng::new(rng.next_u64())), now_ms) {
            Ok(mut broker) => {
                if let Some(mutant) = self.options.mutant {
                    broker.break_on_purpose(mutant);
                }
                let quarantined = broker
                    .log()
                    .logs()
                    .find_map(|log| broker.log().quarantine_reason(log));
                if let Some(reason) = quarantined {
                    self.effects
                        .push(Effect::Broken(format!("a partition is quarantined: {reason}")));
                }
                let event_loop = EventLoop::new(broker, self.options.commands_max);
                self.threads = Some(Threads::new(now_ms, rng, event_loop, self.options.pace));
            }
            Err(_) if self.has_fault => {
                self.heal();
                self.storage.kill();
                self.effects.push(Effect::Later(100, NodeEvent::Start));
            }
            Err(error) => self.effects.push(Effect::Broken(all_of(&error))),
        }
    }

    fn heal(&mut self) {
        self.storage.heal();
        self.storage.set_capacity(None);
        self.has_fault = false;
    }

    /// No trouble from now on.
    pub fn calm_down(&mut self) {
        self.is_calm = true;
        self.heal();
    }

    /// Whether everything that has arrived is done and durable.
    pub fn is_idle(&self) -> bool {
        self.threads.as_ref().is_some_and(Threads::is_idle)
    }

    /// Something goes wrong.
    pub fn trouble(&mut self, rng: &SeededRng) {
        if self.threads.is_none() {
            return;
        }
        if self.has_fault && !self.is_exiting {
            self.heal(); // nothing has met the fault
        }
        match rng.below(10) {
            0..=2 if self.options.power_fails => self.die(rng, true),
            3 | 4 => self.die(rng, false),
            5 if self.has_fault => self.die(rng, false),
            5 => self.submit(rng, Command::Stop),
            6 | 7 if self.options.disk_fails => self.fail_disk(rng),
            8 if self.options.disk_fails => {
                let used: usize = self.storage.files().iter().map(|(_, bytes)| bytes).sum();
                self.storage.set_capacity(Some(used + rng.below(4_000) as usize));
                self.has_fault = true;
            }
            _ => self.submit(rng, Command::Inspect(Box::new(Broker::request_checkpoint))),
        }
        self.pass_on(rng);
    }

    fn submit(&mut self, rng: &SeededRng, command: Command<Caller>) {
        if let Some(threads) = &mut self.threads {
            threads.submit(rng, command);
        }
    }

    fn fail_disk(&mut self, rng: &SeededRng) {
        let operations = [
            Operation::Write,
            Operation::Sync,
            Operation::Open,
            Operation::SyncDirectory,
            Operation::Rename,
            Operation::Read,
        ];
        self.storage.fail(Fault {
            operation: operations[rng.below(6) as usize],
            after: rng.below(4),
            kind: ErrorKind::Other,
            torn_bytes: rng.below(2_000) as usize,
            sticky: rng.below(2) == 0,
        });
        self.has_fault = true;
    }

    /// The process dies; with it the machine, if power fails.
    fn die(&mut self, rng: &SeededRng, power_fails: bool) {
        self.stop_work(rng);
        let has_fault = self.has_fault;
        self.heal();
        if power_fails {
            let unsynced = self.storage.unsynced_bytes();
            self.storage.crash(match rng.below(3) {
                0 => Survive::Nothing,
                1 => Survive::Prefix(rng.below(unsynced + 1)),
                _ => Survive::Sectors(rng.next_u64()),
            });
        } else {
            self.storage.kill();
        }
        self.forget_connections();
        self.crashes += 1;
        if has_fault && self.options.disk_fails && rng.below(4) == 0 && !self.is_calm {
            self.fail_disk(rng); // it meets the next start
        }
        self.effects
            .push(Effect::Later(1 + rng.below(2_000) as i64, NodeEvent::Start));
    }

    /// Disk work under way ends anywhere: before its first step, in the middle of one, after the last.
    fn stop_work(&mut self, rng: &SeededRng) {
        let cut = |storage: &MemStorage, operations: &[Operation]| {
            storage.fail(Fault {
                operation: operations[rng.below(operations.len() as u64) as usize],
                after: rng.below(6),
                kind: ErrorKind::Other,
                torn_bytes: rng.below(2_000) as usize,
                sticky: true,
            });
        };
        let running = self.threads.take().into_iter().flat_map(Threads::into_running);
        for job in running {
            match job {
                Job::Commit(job) => self.stop_commit(rng, job),
                Job::Checkpoint(_) | Job::Compaction(_) => {
                    if rng.below(4) > 0 {
                        let steps = [
                            Operation::Write,
                            Operation::Sync,
                            Operation::SyncDirectory,
                            Operation::Rename,
                        ];
                        cut(&self.storage, &steps);
                    }
                    if rng.below(4) > 0 {
                        drop(job.run());
                    }
                }
                Job::Read(_) => {} // it leaves nothing behind
            }
            self.storage.heal();
        }
    }

    fn stop_commit(&self, rng: &SeededRng, job: CommitJob) {
        match rng.below(4) {
            0 => {}
            1 => drop(job.run()),
            _ => {
                self.storage.fail(Fault {
                    operation: [Operation::Write, Operation::Sync][rng.below(2) as usize],
                    after: 0,
                    kind: ErrorKind::Other,
                    torn_bytes: rng.below(job.bytes() as u64 + 1) as usize,
                    sticky: true,
                });
                drop(job.run());
            }
        }
    }

    /// The broker has ended as requested: the process ends and starts again.
    fn on_end(&mut self, rng: &SeededRng) {
        if self.is_exiting {
            return self.die(rng, false);
        }
        let threads = self.threads.take();
        if threads.is_some_and(|threads| !threads.broker().is_idle()) {
            let text = "the broker has ended and not everything is durable".to_owned();
            self.effects.push(Effect::Broken(text));
        }
        self.storage.kill();
        self.forget_connections();
        self.effects
            .push(Effect::Later(1 + rng.below(300) as i64, NodeEvent::Start));
    }

    fn forget_connections(&mut self) {
        let ended = std::mem::take(&mut self.connections);
        self.effects.extend(ended.into_keys().map(Effect::Close));
    }

    /// What must hold after every step: the order of a partition's offsets, and that nothing readable goes away.
    pub fn check(&mut self) -> Option<String> {
        let broker = self.threads.as_ref()?.broker();
        for log in broker.log().logs() {
            let offsets = broker.log().offsets(log)?;
            let is_ordered = offsets.start <= offsets.last_stable
                && offsets.last_stable <= offsets.high_watermark
                && offsets.high_watermark <= offsets.end;
            let before = self
                .high_watermarks
                .insert(log, offsets.high_watermark)
                .unwrap_or(0);
            if !is_ordered || offsets.high_watermark < before {
                return Some(format!("{log:?}: {offsets:?} after a high watermark of {before}"));
            }
        }
        None
    }
}

/// An error with its causes.
fn all_of(error: &StartError) -> String {
    let mut text = format!("the broker does not start: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(each) = cause {
        text = format!("{text}: {each}");
        cause = each.source();
    }
    text
}
