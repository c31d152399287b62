//! Channels between tasks, and the writer that spreads rows over them.
//!
//! A channel is a lock-free queue from one task instance to another with a budget of bytes in flight. Nothing that is
//! sent is ever refused: a task asks [`ExchangeWriter::ready`] before it takes more input, so a channel holds
//! at most its credit and what one step of its sender makes. Control elements need no credit, so barriers get in
//! behind whatever is queued. There are no threads here; [`Waker`]s tell the other side's worker.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use arrow_array::UInt32Array;
use millstream_state::key_group;
use millstream_types::{Batch, Element, Records, Routing, Watermark};

use crate::operator::DataflowError;
use crate::source::Waker;

/// How an edge distributes rows over the instances of its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Partitioning {
    /// To the instance with the same number.
    Forward,
    /// By key group of these columns.
    Hash(Vec<usize>),
    /// To the first instance.
    Single,
    /// Batches round robin.
    Rebalance,
    /// To every instance.
    Broadcast,
}

/// What both ends of a channel share.
struct Shared {
    credit_bytes: usize,
    in_flight: AtomicUsize,
    sender_waits: AtomicBool,
    wake_sender: Waker,
    wake_receiver: Waker,
}

/// An element and the credit that it uses.
type Sent = (Element, usize);

/// The sending end.
pub struct ChannelSender {
    queue: mpsc::Sender<Sent>,
    shared: Arc<Shared>,
    /// Bytes of rows that were sent.
    sent: Cell<u64>,
}

/// The receiving end.
pub struct ChannelReceiver {
    queue: mpsc::Receiver<Sent>,
    shared: Arc<Shared>,
    /// Bytes of rows that were received.
    received: Cell<u64>,
}

/// A channel with a budget of bytes in flight.
pub fn channel(
    credit_bytes: usize,
    wake_sender: Waker,
    wake_receiver: Waker,
) -> (ChannelSender, ChannelReceiver) {
    let (sender, receiver) = mpsc::channel();
    let shared = Arc::new(Shared {
        credit_bytes,
        in_flight: AtomicUsize::new(0),
        sender_waits: AtomicBool::new(false),
        wake_sender,
        wake_receiver,
    });
    (
        ChannelSender {
            queue: sender,
            shared: Arc::clone(&shared),
            sent: Cell::new(0),
        },
        ChannelReceiver {
            queue: receiver,
            shared,
            received: Cell::new(0),
        },
    )
}

/// Maximum ratio between the buffers that a batch pins and its rows; above it, strings are copied.
const PINNED_PER_BYTE_MAX: usize = 8;
/// Pinned buffers smaller than this are not worth a copy.
const PINNED_BYTES_MIN: usize = 64 << 10;

/// An element with its credit. The credit is the size of the rows, because columns and the batches for other targets
/// share string buffers. A batch that pins a large buffer for few rows copies its strings.
fn with_credit(element: Element) -> Sent {
    match element {
        Element::Batch(batch) => {
            let bytes = batch.memory_size();
            let pinned = batch.pinned_bytes();
            let batch = if pinned > PINNED_BYTES_MIN && pinned / PINNED_PER_BYTE_MAX > bytes {
                batch.without_shared_buffers()
            } else {
                batch
            };
            (Element::Batch(batch), bytes)
        }
        Element::Records(records) => {
            let bytes = records.memory_size();
            (Element::Records(records), bytes)
        }
        control => (control, 0),
    }
}

impl ChannelSender {
    /// Whether there is credit. If not, the sender's worker is woken once there is.
    pub fn ready(&self) -> bool {
        if self.has_credit() {
            return true;
        }
        self.shared.sender_waits.store(true, Ordering::SeqCst);
        // The receiver may have released credit just before the flag became visible to it.
        self.has_credit()
    }

    fn has_credit(&self) -> bool {
        self.shared.in_flight.load(Ordering::SeqCst) < self.shared.credit_bytes
    }

    /// Sends in order. If the receiver is gone, its job is ending and the element is dropped.
    pub fn send(&self, element: Element) {
        let (element, credit) = with_credit(element);
        self.sent.set(self.sent.get() + credit as u64);
        self.shared.in_flight.fetch_add(credit, Ordering::SeqCst);
        if self.queue.send((element, credit)).is_ok() {
            self.shared.wake_receiver.wake();
        }
    }
}

impl ChannelReceiver {
    pub fn bytes_received(&self) -> u64 {
        self.received.get()
    }

    /// The next element, if there is one.
    pub fn receive(&self) -> Option<Element> {
        let (element, credit) = self.queue.try_recv().ok()?;
        self.received.set(self.received.get() + credit as u64);
        if credit > 0 {
            let left = self.shared.in_flight.fetch_sub(credit, Ordering::SeqCst) - credit;
            let enough = left <= self.shared.credit_bytes / 2;
            if enough && self.shared.sender_waits.swap(false, Ordering::SeqCst) {
                self.shared.wake_sender.wake();
            }
        }
        Some(element)
    }
}

/// The end of a chain that sends to the instances of another task.
pub struct ExchangeWriter {
    partitioning: Partitioning,
    targets: Vec<ChannelSender>,
    max_parallelism: u16,
    /// Target of the next batch under rebalancing.
    next: usize,
    watermark: Watermark,
    key_groups: Vec<u16>,
}

impl ExchangeWriter {
    pub fn new(
        partitioning: Partitioning,
        targets: Vec<ChannelSender>,
        subtask: usize,
        max_parallelism: u16,
    ) -> Self {
        Self {
            partitioning,
            next: subtask % targets.len().max(1),
            targets,
            max_parallelism,
            watermark: Watermark::MIN,
            key_groups: Vec::new(),
        }
    }

    /// Whether every channel has credit.
    pub fn ready(&self) -> bool {
        self.targets.iter().all(ChannelSender::ready)
    }

    /// Bytes of rows sent to all targets.
    pub fn bytes_sent(&self) -> u64 {
        self.targets.iter().map(|target| target.sent.get()).sum()
    }

    pub fn batch(&mut self, batch: Batch) -> Result<(), DataflowError> {
        match &self.partitioning {
            Partitioning::Hash(columns) if self.targets.len() > 1 => {
                let keys: Vec<_> = columns.iter().map(|c| Arc::clone(&batch.columns[*c])).collect();
                millstream_state::key_groups(&keys, batch.rows, self.max_parallelism, &mut self.key_groups)?;
                self.spread(batch)
            }
            Partitioning::Rebalance => {
                self.targets[self.next].send(Element::Batch(batch));
                self.next = (self.next + 1) % self.targets.len();
                Ok(())
            }
            Partitioning::Broadcast => {
                self.control(&Element::Batch(batch));
                Ok(())
            }
            Partitioning::Forward | Partitioning::Single | Partitioning::Hash(_) => {
                self.targets[0].send(Element::Batch(batch));
                Ok(())
            }
        }
    }

    /// Only operators read side outputs; what crosses an exchange is a main output.
    pub fn reads(&self, records: &Records) -> bool {
        records.output == 0
    }

    pub fn records(&mut self, records: Records) -> Result<(), DataflowError> {
        let parallelism = self.targets.len();
        match &self.partitioning {
            Partitioning::Hash(_) if parallelism > 1 => {
                let max_parallelism = self.max_parallelism;
                let owners: Vec<usize> = match &records.routing {
                    Routing::Keys(hashes) => hashes
                        .iter()
                        .map(|hash| key_group::of_hash(*hash, max_parallelism))
                        .map(|group| key_group::owner(group, parallelism, max_parallelism))
                        .collect(),
                    Routing::Targets(targets) => targets
                        .iter()
                        .map(|target| *target as usize % parallelism)
                        .collect(),
                    Routing::Free => {
                        return Err(DataflowError::internal(
                            "records without keys at an exchange by key",
                        ));
                    }
                };
                let parts = records.split(parallelism, |row| owners[row]);
                for (target, part) in self.targets.iter().zip(parts) {
                    if let Some(part) = part {
                        target.send(Element::Records(part));
                    }
                }
            }
            Partitioning::Rebalance => {
                self.targets[self.next].send(Element::Records(records));
                self.next = (self.next + 1) % parallelism;
            }
            Partitioning::Broadcast => self.control(&Element::Records(records)),
            Partitioning::Forward | Partitioning::Single | Partitioning::Hash(_) => {
                self.targets[0].send(Element::Records(records));
            }
        }
        Ok(())
    }

    /// Sends each row to the owner of its key group, in order for each target.
    fn spread(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let parallelism = self.targets.len();
        let owner = |group: &u16| key_group::owner(*group, parallelism, self.max_parallelism);
        let mut counts = vec![0usize; parallelism];
        self.key_groups.iter().for_each(|group| counts[owner(group)] += 1);
        if let Some(only) = counts.iter().position(|count| *count == batch.rows) {
            self.targets[only].send(Element::Batch(batch));
            return Ok(());
        }
        let mut rows: Vec<Vec<u32>> = counts.iter().map(|count| Vec::with_capacity(*count)).collect();
        for (row, group) in self.key_groups.iter().enumerate() {
            rows[owner(group)].push(row as u32);
        }
        for (target, rows) in self.targets.iter().zip(rows) {
            if !rows.is_empty() {
                target.send(Element::Batch(batch.take(&UInt32Array::from(rows))?));
            }
        }
        Ok(())
    }

    /// Watermarks that do not advance are not sent.
    pub fn watermark(&mut self, watermark: Watermark) {
        if watermark > self.watermark {
            self.watermark = watermark;
            self.control(&Element::Watermark(watermark));
        }
    }

    /// Sends an element to all targets.
    pub fn control(&self, element: &Element) {
        self.targets
            .iter()
            .for_each(|target| target.send(element.clone()));
    }
}
