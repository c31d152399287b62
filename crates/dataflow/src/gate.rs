//! The input of a task that is fed by channels: merging, watermarks, barrier alignment.
//!
//! Channels are read in turn, one batch at a time; small batches that have queued up in a channel are joined. A channel
//! that delivered a barrier is not read until all others delivered it or ended. Watermarks are merged for each port
//! over its channels, then over the ports.

use std::collections::VecDeque;

use millstream_types::{Batch, CheckpointId, Element, Records, Watermark};

use crate::exchange::ChannelReceiver;
use crate::operator::DataflowError;
use crate::valve::{ValveOutput, WatermarkValve};

/// What a gate delivers.
#[derive(Debug)]
pub(crate) enum GateEvent {
    Batch {
        port: usize,
        batch: Batch,
    },
    Records {
        port: usize,
        records: Records,
    },
    Watermark(Watermark),
    Active,
    Idle,
    /// All channels delivered the barrier.
    Barrier(CheckpointId),
    /// All channels of a port ended; other ports continue.
    EndOfPort(usize),
    EndOfInput,
}

struct Channel {
    receiver: ChannelReceiver,
    port: usize,
    /// Position within the port.
    index: usize,
    blocked: bool,
    ended: bool,
    /// Read ahead while joining batches.
    ahead: Option<Element>,
}

pub(crate) struct InputGate {
    channels: Vec<Channel>,
    ports: Vec<WatermarkValve>,
    merged: WatermarkValve,
    next: usize,
    aligning: Option<CheckpointId>,
    last_barrier: Option<CheckpointId>,
    events: VecDeque<GateEvent>,
    batch_rows: usize,
    ended: bool,
}

impl InputGate {
    /// `channels`: for each port, its channels in the order of the senders.
    pub fn new(channels: Vec<Vec<ChannelReceiver>>, batch_rows: usize) -> Self {
        let ports: Vec<_> = channels.iter().map(|c| WatermarkValve::new(c.len())).collect();
        let merged = WatermarkValve::new(ports.len());
        let of_port = |(port, receivers): (usize, Vec<ChannelReceiver>)| {
            receivers
                .into_iter()
                .enumerate()
                .map(move |(index, receiver)| Channel {
                    receiver,
                    port,
                    index,
                    blocked: false,
                    ended: false,
                    ahead: None,
                })
        };
        Self {
            channels: channels.into_iter().enumerate().flat_map(of_port).collect(),
            ports,
            merged,
            next: 0,
            aligning: None,
            last_barrier: None,
            events: VecDeque::new(),
            batch_rows,
            ended: false,
        }
    }

    /// Bytes of rows received over all channels.
    pub fn bytes_received(&self) -> u64 {
        self.channels
            .iter()
            .map(|channel| channel.receiver.bytes_received())
            .sum()
    }

    /// The next event, if there is one.
    pub fn next(&mut self) -> Result<Option<GateEvent>, DataflowError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some((channel, element)) = self.receive() else {
                return Ok(None);
            };
            match element {
                Element::Batch(batch) => {
                    let port = self.channels[channel].port;
                    let batch = self.join_queued(channel, batch)?;
                    return Ok(Some(GateEvent::Batch { port, batch }));
                }
                Element::Records(records) => {
                    let port = self.channels[channel].port;
                    let records = self.join_queued_records(channel, records);
                    return Ok(Some(GateEvent::Records { port, records }));
                }
                Element::Watermark(watermark) => {
                    self.on_port(channel, |port, i| port.watermark(i, watermark))
                }
                Element::Idle => self.on_port(channel, WatermarkValve::idle),
                Element::Active => self.on_port(channel, WatermarkValve::active),
                Element::Barrier(checkpoint) => self.barrier(channel, checkpoint),
                Element::EndOfInput => self.end(channel),
            }
        }
    }

    /// An element of the next channel in turn that has one.
    fn receive(&mut self) -> Option<(usize, Element)> {
        for turn in 0..self.channels.len() {
            let index = (self.next + turn) % self.channels.len();
            let channel = &mut self.channels[index];
            if channel.blocked || channel.ended {
                continue;
            }
            if let Some(element) = channel.ahead.take().or_else(|| channel.receiver.receive()) {
                self.next = (index + 1) % self.channels.len();
                return Some((index, element));
            }
        }
        None
    }

    /// Joins `first` with the batches queued after it, up to the target batch size.
    fn join_queued(&mut self, channel: usize, first: Batch) -> Result<Batch, DataflowError> {
        if first.rows * 2 > self.batch_rows {
            return Ok(first);
        }
        let channel = &mut self.channels[channel];
        let mut rows = first.rows;
        let mut batches = vec![first];
        while let Some(element) = channel.receiver.receive() {
            match element {
                Element::Batch(batch) if rows + batch.rows <= self.batch_rows => {
                    rows += batch.rows;
                    batches.push(batch);
                }
                other => {
                    channel.ahead = Some(other);
                    break;
                }
            }
        }
        let joined = Batch::concat(&batches)?;
        joined.ok_or_else(|| DataflowError::internal("no batch to join"))
    }

    /// Like [`Self::join_queued`], for rows of a user's type.
    fn join_queued_records(&mut self, channel: usize, mut first: Records) -> Records {
        let channel = &mut self.channels[channel];
        while first.len() * 2 <= self.batch_rows {
            match channel.receiver.receive() {
                Some(Element::Records(records)) if first.len() + records.len() <= self.batch_rows => {
                    if let Err(other) = first.append(records) {
                        channel.ahead = Some(Element::Records(other));
                        break;
                    }
                }
                other => {
                    channel.ahead = other;
                    break;
                }
            }
        }
        first
    }

    fn on_port(&mut self, channel: usize, event: impl FnOnce(&mut WatermarkValve, usize) -> ValveOutput) {
        let (port, index) = (self.channels[channel].port, self.channels[channel].index);
        let output = event(&mut self.ports[port], index);
        if output.active {
            let merged = self.merged.active(port);
            self.push(merged);
        }
        if let Some(watermark) = output.watermark {
            let merged = self.merged.watermark(port, watermark);
            self.push(merged);
        }
        if output.idle {
            let merged = self.merged.idle(port);
            self.push(merged);
        }
    }

    fn push(&mut self, output: ValveOutput) {
        if output.active {
            self.events.push_back(GateEvent::Active);
        }
        if let Some(watermark) = output.watermark {
            self.events.push_back(GateEvent::Watermark(watermark));
        }
        if output.idle {
            self.events.push_back(GateEvent::Idle);
        }
    }

    fn barrier(&mut self, channel: usize, checkpoint: CheckpointId) {
        if self.last_barrier.is_some_and(|last| checkpoint <= last) {
            return; // The rest of a checkpoint that was aborted.
        }
        if self.aligning != Some(checkpoint) {
            if self.aligning.is_some_and(|current| checkpoint < current) {
                return;
            }
            // A newer checkpoint replaces one that was aborted.
            self.channels.iter_mut().for_each(|c| c.blocked = false);
            self.aligning = Some(checkpoint);
        }
        self.channels[channel].blocked = true;
        self.complete_alignment();
    }

    fn complete_alignment(&mut self) {
        let Some(checkpoint) = self.aligning else { return };
        let open = self.channels.iter().any(|c| !c.blocked && !c.ended);
        if open {
            return;
        }
        self.channels.iter_mut().for_each(|c| c.blocked = false);
        self.aligning = None;
        self.last_barrier = Some(checkpoint);
        self.events.push_back(GateEvent::Barrier(checkpoint));
    }

    fn end(&mut self, channel: usize) {
        let port = self.channels[channel].port;
        self.channels[channel].ended = true;
        if self.channels.iter().all(|c| c.ended) {
            self.ended = true;
        }
        // A sender that ended with MAX keeps counting at MAX; one that was stopped early no longer counts.
        let index = self.channels[channel].index;
        if !self.ended && !self.ports[port].is_at_end(index) {
            self.on_port(channel, WatermarkValve::idle);
        }
        self.complete_alignment();
        if self.ended {
            self.events.push_back(GateEvent::EndOfInput);
        } else if self.channels.iter().filter(|c| c.port == port).all(|c| c.ended) {
            self.events.push_back(GateEvent::EndOfPort(port));
        }
    }
}
