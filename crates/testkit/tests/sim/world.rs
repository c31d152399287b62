//! The simulated world: one broker, its disk, a network, and clients as tasks, all moved on by one schedule.
//!
//! Clients are written as `async` functions and polled by [`run`], a task whenever something has happened for it. There
//! are no threads and no clock: time is that of the schedule, chance comes from the seed.

use crate::history::History;
use crate::node::{Effect, Node, NodeEvent};
use bytes::{Buf, Bytes, BytesMut};
use millstream_kafka_wire::{ApiKey, Reader, Request, RequestMessage, Response, ResponseHeader, header};
use millstream_testkit::network::{Arrival, ConnectionId, Network, NetworkFaults, Side};
use millstream_testkit::schedule::Schedule;
use millstream_types::{Rng, SeededRng};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// No response: its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

type TaskId = usize;
type CallId = u64;

#[derive(Debug)]
enum Event {
    Arrives(ConnectionId, Side, Arrival),
    Wakes(TaskId, u64),
    TimesOut(CallId),
    Node(NodeEvent),
    Trouble,
}

/// The client's end of a connection.
#[derive(Default)]
struct ClientSide {
    buffer: BytesMut,
    /// Requests without a response, in order.
    asked: VecDeque<CallId>,
}

struct CallState {
    connection: ConnectionId,
    api: ApiKey,
    version: i16,
    task: TaskId,
}

pub struct World {
    schedule: Schedule<Event>,
    pub rng: SeededRng,
    network: Network,
    pub node: Node,
    pub history: History,
    /// Connections that the client holds for alive.
    clients: BTreeMap<ConnectionId, ClientSide>,
    calls: BTreeMap<CallId, CallState>,
    replies: BTreeMap<CallId, Result<Response, Lost>>,
    fired: BTreeSet<u64>,
    runnable: VecDeque<TaskId>,
    current: TaskId,
    next: u64,
    /// Faults happen until then; afterwards clients come to an end.
    calm_from_ms: i64,
    /// The time between two troubles of the broker.
    trouble_ms: u64,
    /// Whether abandoned requests may still arrive later.
    is_rough: bool,
    spawned: Vec<Life>,
    /// What each client that has not ended asked for last.
    asked_last: BTreeMap<TaskId, (i64, ApiKey)>,
    /// Clients that were begun by others and have not ended.
    lives_left: usize,
    trace: Trace,
}

/// A running hash of everything that happens.
struct Trace(u64);

impl Trace {
    fn add(&mut self, bytes: &[u8]) {
        let of_bytes = u64::from(crc32c::crc32c(bytes)) << 32 | bytes.len() as u64;
        self.0 = (self.0.rotate_left(5) ^ of_bytes).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// What the run of a seed gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub violation: Option<String>,
    /// Hash of all that happened.
    pub trace: u64,
    pub virtual_ms: i64,
    pub events: u64,
    /// Records, transactions and crashes, for the report.
    pub records: usize,
    pub transactions: usize,
    pub crashes: u64,
}

/// How long after the end of all faults everything must have come to an end.
const PATIENCE_MS: i64 = 600_000;
/// Where time begins.
pub const EPOCH_MS: i64 = 1_000_000;

impl World {
    pub fn new(
        rng: SeededRng,
        faults: NetworkFaults,
        node: Node,
        calm_from_ms: i64,
        trouble_ms: u64,
    ) -> World {
        World {
            schedule: Schedule::new(EPOCH_MS),
            rng,
            network: Network::new(faults),
            node,
            history: History::default(),
            clients: BTreeMap::new(),
            calls: BTreeMap::new(),
            replies: BTreeMap::new(),
            fired: BTreeSet::new(),
            runnable: VecDeque::new(),
            current: 0,
            next: 0,
            calm_from_ms,
            trouble_ms,
            is_rough: faults.stall > 0,
            spawned: Vec::new(),
            asked_last: BTreeMap::new(),
            lives_left: 0,
            trace: Trace(0xcbf2_9ce4_8422_2325),
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.schedule.now_ms()
    }

    pub fn is_rough(&self) -> bool {
        self.is_rough
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        match self.schedule.pop() {
            Some(event) => self.happen(event),
            None => self
                .history
                .violation("stuck", "nothing will ever happen again".to_owned()),
        }
        if self.now_ms() > self.calm_from_ms + PATIENCE_MS {
            let left = format!("clients {:?} do not come to an end", self.asked_last);
            self.history.violation("stuck", left);
        }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn happen(&mut self, event: Event) {
        let now_ms = self.now_ms();
        self.trace.add(&now_ms.to_le_bytes());
        match event {
            Event::Arrives(connection, Side::Server, arrival) => self.at_server(connection, arrival),
            Event::Arrives(connection, Side::Client, arrival) => self.at_client(connection, arrival),
            Event::Wakes(task, timer) => {
                self.fired.insert(timer);
                self.runnable.push_back(task);
            }
            Event::TimesOut(call) => {
                if let Some(connection) = self.calls.get(&call).map(|call| call.connection) {
                    self.trace.add(b"timeout");
                    self.disconnect(connection);
                }
            }
            Event::Node(event) => {
                self.node.happen(now_ms, &self.rng, event);
                self.carry_out();
            }
            Event::Trouble => self.trouble(),
        }
        if let Some(broken) = self.node.check() {
            self.history.violation("offsets", broken);
        }
    }

    fn at_server(&mut self, connection: ConnectionId, arrival: Arrival) {
        if let Arrival::Bytes(bytes) = &arrival {
            self.trace.add(bytes);
        }
        self.node.arrival(&self.rng, connection, arrival);
        self.carry_out();
    }

    fn at_client(&mut self, connection: ConnectionId, arrival: Arrival) {
        let Some(client) = self.clients.get_mut(&connection) else {
            return;
        };
        let Arrival::Bytes(bytes) = arrival else {
            self.disconnect(connection);
            return;
        };
        self.trace.add(&bytes);
        client.buffer.extend_from_slice(&bytes);
        while let Some(frame) = self
            .clients
            .get_mut(&connection)
            .and_then(|c| take_frame(&mut c.buffer))
        {
            self.respond(connection, frame);
        }
    }

    fn respond(&mut self, connection: ConnectionId, frame: Bytes) {
        let asked = self
            .clients
            .get_mut(&connection)
            .and_then(|client| client.asked.pop_front());
        let Some((id, call)) = asked.and_then(|id| Some((id, self.calls.remove(&id)?))) else {
            self.history
                .violation("protocol", "unexpected response".to_owned());
            return;
        };
        let mut reader = Reader::new(frame);
        let read = ResponseHeader::decode(&mut reader, call.api, call.version)
            .and_then(|header| Ok((header, Response::decode(call.api, call.version, &mut reader)?)));
        match read {
            Ok((header, response)) if header.correlation_id == id as i32 => {
                self.replies.insert(id, Ok(response));
                self.runnable.push_back(call.task);
            }
            other => self
                .history
                .violation("protocol", format!("response to {:?}: {other:?}", call.api)),
        }
    }

    /// The client gives a connection up; what it had asked there is lost to it.
    fn disconnect(&mut self, connection: ConnectionId) {
        let Some(client) = self.clients.remove(&connection) else {
            return;
        };
        for id in client.asked {
            if let Some(call) = self.calls.remove(&id) {
                self.replies.insert(id, Err(Lost));
                self.runnable.push_back(call.task);
            }
        }
        let closed = self
            .network
            .close(self.schedule.now_ms(), &self.rng, (connection, Side::Client));
        if let Some(at_ms) = closed {
            let event = Event::Arrives(connection, Side::Server, Arrival::Closed);
            self.schedule.at(at_ms, event);
        }
    }

    /// Executes the effects of the broker's process.
    fn carry_out(&mut self) {
        for effect in self.node.take_effects() {
            match effect {
                Effect::Send(connection, bytes) => self.transmit(connection, Side::Client, bytes),
                Effect::Close(connection) => {
                    let now_ms = self.schedule.now_ms();
                    let closed = self.network.close(now_ms, &self.rng, (connection, Side::Server));
                    if let Some(at_ms) = closed {
                        let event = Event::Arrives(connection, Side::Client, Arrival::Closed);
                        self.schedule.at(at_ms, event);
                    }
                }
                Effect::Later(delay_ms, event) => self.schedule.after(delay_ms, Event::Node(event)),
                Effect::Broken(text) => self.history.violation("broker", text),
            }
        }
    }

    fn transmit(&mut self, connection: ConnectionId, to: Side, bytes: Bytes) {
        let now_ms = self.schedule.now_ms();
        for (at_ms, arrival) in self.network.send(now_ms, &self.rng, (connection, to), bytes) {
            self.schedule.at(at_ms, Event::Arrives(connection, to, arrival));
        }
    }

    fn trouble(&mut self) {
        if self.now_ms() >= self.calm_from_ms {
            self.network.set_faults(NetworkFaults::NONE);
            self.node.calm_down();
            return;
        }
        self.node.trouble(&self.rng);
        self.carry_out();
        self.plan_trouble();
    }

    fn plan_trouble(&mut self) {
        let delay_ms = 1 + self.rng.below(self.trouble_ms) as i64;
        let at_ms = (self.now_ms() + delay_ms).min(self.calm_from_ms);
        self.schedule.at(at_ms, Event::Trouble);
    }
}

/// A whole frame without its length, if one has arrived.
pub fn take_frame(buffer: &mut BytesMut) -> Option<Bytes> {
    let prefix = buffer.first_chunk::<4>()?;
    let size = i32::from_be_bytes(*prefix) as usize;
    if buffer.len() < 4 + size {
        return None;
    }
    buffer.advance(4);
    Some(buffer.split_to(size).freeze())
}

/// What clients hold of the world.
#[derive(Clone)]
pub struct Handle(Rc<RefCell<World>>);

impl Handle {
    pub fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.borrow_mut())
    }

    pub fn history<T>(&self, look: impl FnOnce(&mut History) -> T) -> T {
        self.with(|world| look(&mut world.history))
    }

    pub fn violation(&self, kind: &str, text: String) {
        self.history(|history| history.violation(kind, text));
    }

    pub fn now_ms(&self) -> i64 {
        self.with(|world| world.now_ms())
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.with(|world| world.rng.below(bound))
    }

    /// Whether something happens that does so once in `bound` times.
    pub fn once_in(&self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// Whether the faults are over and clients should come to an end.
    pub fn is_ending(&self) -> bool {
        self.with(|world| world.now_ms() >= world.calm_from_ms)
    }

    pub async fn sleep(&self, ms: u64) {
        let timer = self.with(|world| {
            let (timer, task) = (world.id(), world.current);
            world.schedule.after(ms as i64, Event::Wakes(task, timer));
            timer
        });
        std::future::poll_fn(|_| {
            if self.with(|world| world.fired.remove(&timer)) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Lets clients live until all of them have ended.
    pub async fn run_all(&self, lives: Vec<Life>) {
        self.with(|world| {
            world.lives_left = lives.len();
            world.spawned.extend(lives);
        });
        std::future::poll_fn(|_| match self.with(|world| world.lives_left) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// Opens a connection, if the broker's process is there.
    pub async fn connect(&self) -> Result<ConnectionId, Lost> {
        let (connection, delay_ms) = self.with(|world| world.network.connect(&world.rng));
        self.sleep(delay_ms as u64).await;
        self.with(|world| {
            if !world.node.accept(connection) {
                return Err(Lost);
            }
            world.clients.insert(connection, ClientSide::default());
            Ok(connection)
        })
    }

    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.with(|world| world.clients.contains_key(&connection))
    }

    /// Sends a request; the response is awaited later, so that several may be under way.
    pub fn send(
        &self,
        connection: ConnectionId,
        version: i16,
        timeout_ms: i64,
        request: impl Into<Request>,
    ) -> Call {
        let request = request.into();
        let api = request.api_key();
        let id = self.with(|world| {
            let (id, task) = (world.id(), world.current);
            world.asked_last.insert(task, (world.schedule.now_ms(), api));
            let name = format!("client-{task}").into();
            let frame = header::encode_request(&request, version, id as i32, Some(&name));
            let frame = frame.unwrap_or_else(|error| panic!("{api:?} version {version}: {error}"));
            let Some(client) = world.clients.get_mut(&connection) else {
                world.replies.insert(id, Err(Lost));
                return id;
            };
            client.asked.push_back(id);
            let call = CallState {
                connection,
                api,
                version,
                task,
            };
            world.calls.insert(id, call);
            world.transmit(connection, Side::Server, frame.concat().into());
            world.schedule.after(timeout_ms, Event::TimesOut(id));
            id
        });
        Call {
            world: self.clone(),
            id,
        }
    }
}

/// A response to come.
pub struct Call {
    world: Handle,
    id: CallId,
}

impl Future for Call {
    type Output = Result<Response, Lost>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.world.with(|world| world.replies.remove(&self.id)) {
            Some(reply) => Poll::Ready(reply),
            None => Poll::Pending,
        }
    }
}

/// A client with one connection, which it opens again when it is lost.
pub struct Client {
    pub world: Handle,
    connection: Option<ConnectionId>,
    pub timeout_ms: i64,
}

impl Client {
    pub fn new(world: &Handle) -> Client {
        Client {
            world: world.clone(),
            connection: None,
            timeout_ms: 1_500,
        }
    }

    /// The connection, opened if need be.
    pub async fn connection(&mut self) -> ConnectionId {
        let mut backoff_ms = 10;
        loop {
            if let Some(connection) = self.connection.filter(|each| self.world.is_connected(*each)) {
                return connection;
            }
            self.connection = self.world.connect().await.ok();
            if self.connection.is_none() {
                self.world.sleep(backoff_ms + self.world.below(50)).await;
                backoff_ms = (backoff_ms * 2).min(500);
            }
        }
    }

    /// Continues on another connection; the previous one stays open with everything in flight.
    pub fn forget_connection(&mut self) {
        self.connection = None;
    }

    pub async fn call<M: RequestMessage>(&mut self, version: i16, request: M) -> Result<M::Response, Lost> {
        let connection = self.connection().await;
        let call = self.world.send(connection, version, self.timeout_ms, request);
        let response = call.await?;
        M::Response::try_from(response).map_err(|_| Lost)
    }

    /// The same until there is a response.
    pub async fn insist<M: RequestMessage + Clone>(&mut self, version: i16, request: M) -> M::Response {
        loop {
            if let Ok(response) = self.call(version, request.clone()).await {
                return response;
            }
        }
    }
}

/// A client's life.
pub type Life = Pin<Box<dyn Future<Output = ()>>>;

/// Runs a world until its client, and those that it begins, have ended or something is wrong.
pub fn run(world: World, client: impl FnOnce(&Handle) -> Life) -> Outcome {
    let handle = Handle(Rc::new(RefCell::new(world)));
    let mut lives = vec![Some(client(&handle))];
    handle.with(|world| {
        world.runnable.push_back(0);
        let now_ms = world.now_ms();
        world.node.happen(now_ms, &world.rng, NodeEvent::Start);
        world.carry_out();
        world.plan_trouble();
    });
    let mut events = 0;
    loop {
        poll_all(&handle, &mut lives);
        let is_over = lives[0].is_none() || handle.history(|history| history.violated().is_some());
        if is_over {
            break;
        }
        events += 1;
        handle.with(World::step);
    }
    handle.with(|world| Outcome {
        violation: world.history.violated(),
        trace: world.trace.0,
        virtual_ms: world.now_ms() - EPOCH_MS,
        events,
        records: world.history.records(),
        transactions: world.history.transactions(),
        crashes: world.node.crashes,
    })
}

fn poll_all(handle: &Handle, lives: &mut Vec<Option<Life>>) {
    let mut context = Context::from_waker(Waker::noop());
    while let Some(task) = handle.with(|world| {
        let task = world.runnable.pop_front()?;
        world.current = task;
        Some(task)
    }) {
        if let Some(life) = &mut lives[task]
            && life.as_mut().poll(&mut context).is_ready()
        {
            lives[task] = None;
            handle.with(|world| {
                world.lives_left = world.lives_left.saturating_sub(1);
                world.asked_last.remove(&task);
                world.runnable.push_back(0);
            });
        }
        for life in handle.with(|world| std::mem::take(&mut world.spawned)) {
            handle.with(|world| world.runnable.push_back(lives.len()));
            lives.push(Some(life));
        }
    }
}
