//! The broker's process: connections in, disk work with delays, and every way of dying.
//!
//! It does what the TCP shell and the broker's threads do, without either: frames are taken from bytes as they arrive,
//! answers go out in the order of the requests of a connection, one commit, one checkpoint and one compaction are under
//! way at most. A process that dies stops its disk work at any point of it.

use crate::world::take_frame;
use bytes::{Bytes, BytesMut};
use millstream_broker::mutants::Mutant;
use millstream_broker::{Answer, Broker, BrokerConfig, Endpoint, Reply, RequestContext, Ticket};
use millstream_kafka_wire::{ApiKey, Reader, Request, RequestHeader, header};
use millstream_log::{CheckpointJob, CommitJob, CompactionJob, LogId, LogOptions};
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
    Tick(u64),
    Committed(u64),
    Checkpointed(u64),
    Compacted(u64),
    /// It ends because its log is poisoned.
    Exit(u64),
}

/// What the process wants done.
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
    /// Whether power may fail, the process be killed, the disk fail.
    pub power_fails: bool,
    pub disk_fails: bool,
    /// The longest ordinary disk work.
    pub disk_ms_max: u64,
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
    broker: Option<Broker>,
    life: u64,
    connections: BTreeMap<ConnectionId, ServerSide>,
    waiting: BTreeMap<Ticket, (ConnectionId, u64)>,
    commit: Option<CommitJob>,
    checkpoint: Option<CheckpointJob>,
    compaction: Option<CompactionJob>,
    tick_at_ms: i64,
    next_slot: u64,
    has_fault: bool,
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
            broker: None,
            life: 0,
            connections: BTreeMap::new(),
            waiting: BTreeMap::new(),
            commit: None,
            checkpoint: None,
            compaction: None,
            tick_at_ms: i64::MAX,
            next_slot: 0,
            has_fault: false,
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
        if self.broker.is_none() {
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

    pub fn arrival(&mut self, now_ms: i64, rng: &SeededRng, connection: ConnectionId, arrival: Arrival) {
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
            self.request(now_ms, connection, frame);
        }
        self.pump(now_ms, rng);
    }

    fn request(&mut self, now_ms: i64, connection: ConnectionId, frame: Bytes) {
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
        let (Some(broker), Some(side)) = (&mut self.broker, self.connections.get_mut(&connection)) else {
            return;
        };
        side.context.client_id = head.client_id.unwrap_or_default().detached();
        self.next_slot += 1;
        let mut slot = Slot {
            number: self.next_slot,
            version: head.api_version,
            correlation_id: head.correlation_id,
            reply: None,
        };
        match broker.handle(now_ms, &side.context, head.api_version, request) {
            Answer::Ready(reply) => slot.reply = Some(reply),
            Answer::Pending(ticket) => _ = self.waiting.insert(ticket, (connection, slot.number)),
        }
        side.slots.push_back(slot);
        self.flush(connection);
    }

    /// Sends the answers of a connection that are ready and at the front.
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
                    let text = format!("an answer cannot be written: {error}: {response:?}");
                    self.effects.push(Effect::Broken(text));
                }
            }
        }
    }

    /// Hands out what is ready and starts the disk work that waits.
    fn pump(&mut self, now_ms: i64, rng: &SeededRng) {
        let Some(broker) = &mut self.broker else {
            return;
        };
        let completed = broker.take_completed();
        for (ticket, reply) in completed {
            let Some((connection, number)) = self.waiting.remove(&ticket) else {
                continue;
            };
            if let Some(side) = self.connections.get_mut(&connection)
                && let Some(slot) = side.slots.iter_mut().find(|slot| slot.number == number)
            {
                slot.reply = Some(reply);
                self.flush(connection);
            }
        }
        self.start_work(now_ms, rng);
    }

    fn start_work(&mut self, now_ms: i64, rng: &SeededRng) {
        let Some(broker) = &mut self.broker else {
            return;
        };
        let life = self.life;
        let disk_ms = |rng: &SeededRng| {
            let is_slow = rng.below(60) == 0;
            (rng.below(self.options.disk_ms_max + 1) + if is_slow { rng.below(700) } else { 0 }) as i64
        };
        if self.commit.is_none() {
            self.commit = broker.take_commit(now_ms);
            if self.commit.is_some() {
                self.effects
                    .push(Effect::Later(disk_ms(rng), NodeEvent::Committed(life)));
            }
        }
        if self.checkpoint.is_none() {
            self.checkpoint = broker.take_checkpoint();
            if self.checkpoint.is_some() {
                self.effects
                    .push(Effect::Later(3 * disk_ms(rng), NodeEvent::Checkpointed(life)));
            }
        }
        if self.compaction.is_none() {
            self.compaction = broker.take_compaction(now_ms);
            if self.compaction.is_some() {
                self.effects
                    .push(Effect::Later(3 * disk_ms(rng), NodeEvent::Compacted(life)));
            }
        }
        let timer_ms = broker.next_timer();
        if timer_ms < self.tick_at_ms {
            self.tick_at_ms = timer_ms;
            self.effects
                .push(Effect::Later((timer_ms - now_ms).max(1), NodeEvent::Tick(life)));
        }
    }

    pub fn happen(&mut self, now_ms: i64, rng: &SeededRng, event: NodeEvent) {
        let life = self.life;
        let Some(broker) = &mut self.broker else {
            if matches!(event, NodeEvent::Start) {
                self.start(now_ms, rng);
            }
            return;
        };
        let result = match event {
            NodeEvent::Tick(of) if of == life => {
                self.tick_at_ms = i64::MAX;
                broker.tick(now_ms);
                Ok(())
            }
            NodeEvent::Committed(of) if of == life => match self.commit.take() {
                Some(job) => broker.on_commit(job.run()),
                None => Ok(()),
            },
            NodeEvent::Checkpointed(of) if of == life => match self.checkpoint.take() {
                Some(job) => broker.on_checkpoint(job.run()),
                None => Ok(()),
            },
            NodeEvent::Compacted(of) if of == life => {
                if let Some(job) = self.compaction.take() {
                    broker.on_compaction(job.run());
                }
                Ok(())
            }
            NodeEvent::Exit(of) if of == life => return self.die(rng, rng.below(3) == 0),
            _ => return,
        };
        if let Err(error) = result {
            if !self.has_fault {
                self.effects
                    .push(Effect::Broken(format!("the log fails on a sound disk: {error}")));
            }
            if !self.is_exiting {
                self.is_exiting = true;
                let delay_ms = rng.below(50) as i64;
                self.effects.push(Effect::Later(delay_ms, NodeEvent::Exit(life)));
            }
        }
        self.pump(now_ms, rng);
    }

    fn start(&mut self, now_ms: i64, rng: &SeededRng) {
        let mut config = BrokerConfig::new([]);
        config.log = LogOptions {
            sync: self.options.mutant != Some(Mutant::SkipSync),
            checkpoint_bytes: self.options.checkpoint_bytes,
            tail_cache_bytes: self.options.tail_cache_bytes,
            ..LogOptions::default()
        };
        let storage = Arc::new(self.storage.clone());
        self.life += 1;
        self.tick_at_ms = i64::MAX;
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
                self.broker = Some(broker);
                self.pump(now_ms, rng);
            }
            Err(_) if self.has_fault => {
                self.heal();
                self.storage.kill();
                self.effects.push(Effect::Later(100, NodeEvent::Start));
            }
            Err(error) => {
                let mut text = format!("the broker does not start: {error}");
                let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
                while let Some(each) = cause {
                    text = format!("{text}: {each}");
                    cause = each.source();
                }
                self.effects.push(Effect::Broken(text));
            }
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

    /// Something goes wrong.
    pub fn trouble(&mut self, now_ms: i64, rng: &SeededRng) {
        if self.broker.is_none() {
            return;
        }
        if self.has_fault && !self.is_exiting {
            self.heal(); // nothing has met the fault
        }
        match rng.below(10) {
            0..=2 if self.options.power_fails => self.die(rng, true),
            3 | 4 => self.die(rng, false),
            5 => self.stop_cleanly(now_ms, rng),
            6 | 7 if self.options.disk_fails => self.fail_disk(rng),
            8 if self.options.disk_fails => {
                let used: usize = self.storage.files().iter().map(|(_, bytes)| bytes).sum();
                self.storage.set_capacity(Some(used + rng.below(4_000) as usize));
                self.has_fault = true;
            }
            _ => {
                if let Some(broker) = &mut self.broker {
                    broker.request_checkpoint();
                }
                self.pump(now_ms, rng);
            }
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
        self.broker = None;
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
        if let Some(job) = self.commit.take() {
            match rng.below(4) {
                0 => {}
                1 => _ = job.run(),
                _ => {
                    self.storage.fail(Fault {
                        operation: [Operation::Write, Operation::Sync][rng.below(2) as usize],
                        after: 0,
                        kind: ErrorKind::Other,
                        torn_bytes: rng.below(job.bytes() as u64 + 1) as usize,
                        sticky: true,
                    });
                    let _ = job.run();
                    self.storage.heal();
                }
            }
        }
        let work = [
            self.checkpoint
                .take()
                .map(|job| Box::new(move || _ = job.run()) as Box<dyn FnOnce()>),
            self.compaction
                .take()
                .map(|job| Box::new(move || _ = job.run()) as Box<dyn FnOnce()>),
        ];
        for job in work.into_iter().flatten() {
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
                job();
            }
            self.storage.heal();
        }
    }

    /// Everything is written, then the process ends and starts again.
    fn stop_cleanly(&mut self, now_ms: i64, rng: &SeededRng) {
        if self.has_fault {
            return self.die(rng, false);
        }
        let Some(broker) = &mut self.broker else {
            return;
        };
        broker.request_checkpoint();
        loop {
            let commit = self.commit.take().or_else(|| broker.take_commit(now_ms));
            let result = commit.map(|job| broker.on_commit(job.run()));
            let checkpoint = self.checkpoint.take().or_else(|| broker.take_checkpoint());
            let written = checkpoint.map(|job| broker.on_checkpoint(job.run()));
            let is_done = result.is_none() && written.is_none();
            if let Some(Err(error)) = result.or(written) {
                self.effects
                    .push(Effect::Broken(format!("the log fails on a sound disk: {error}")));
                break;
            }
            if is_done {
                break;
            }
        }
        self.pump(now_ms, rng);
        (self.commit, self.checkpoint, self.compaction) = (None, None, None);
        self.broker = None;
        self.storage.kill();
        self.forget_connections();
        self.effects
            .push(Effect::Later(1 + rng.below(300) as i64, NodeEvent::Start));
    }

    fn forget_connections(&mut self) {
        self.waiting.clear();
        let ended = std::mem::take(&mut self.connections);
        self.effects.extend(ended.into_keys().map(Effect::Close));
    }

    /// What must hold after every step: the order of a partition's offsets, and that nothing readable goes away.
    pub fn check(&mut self) -> Option<String> {
        let broker = self.broker.as_ref()?;
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
