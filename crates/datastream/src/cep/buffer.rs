//! The events of partial matches. A match is a chain of nodes; matches with a common beginning share its nodes, and nodes
//! share events. What nothing refers to any more is dropped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Event<T> {
    value: T,
    references: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Node {
    event: u64,
    /// The part of the pattern that took the event.
    part: u32,
    previous: Option<u64>,
    references: u32,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: serde::de::DeserializeOwned"))]
pub(super) struct Buffer<T> {
    events: BTreeMap<u64, Event<T>>,
    nodes: BTreeMap<u64, Node>,
    next: u64,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            nodes: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Buffer<T> {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Numbers ascend with the order of events; the caller holds the event.
    pub fn add_event(&mut self, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.events.insert(number, Event { value, references: 1 });
        number
    }

    pub fn event(&self, number: u64) -> Option<&T> {
        self.events.get(&number).map(|event| &event.value)
    }

    pub fn release_event(&mut self, number: u64) {
        if let Some(event) = self.events.get_mut(&number) {
            event.references -= 1;
            if event.references == 0 {
                self.events.remove(&number);
            }
        }
    }

    /// A node behind `previous`; the caller holds it.
    pub fn add_node(&mut self, event: u64, part: u32, previous: Option<u64>) -> u64 {
        if let Some(event) = self.events.get_mut(&event) {
            event.references += 1;
        }
        if let Some(previous) = previous {
            self.hold(previous);
        }
        let number = self.next;
        self.next += 1;
        self.nodes.insert(
            number,
            Node {
                event,
                part,
                previous,
                references: 1,
            },
        );
        number
    }

    pub fn hold(&mut self, node: u64) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.references += 1;
        }
    }

    pub fn release(&mut self, node: u64) {
        let mut next = Some(node);
        while let Some(number) = next.take() {
            let Some(node) = self.nodes.get_mut(&number) else {
                return;
            };
            node.references -= 1;
            if node.references == 0
                && let Some(node) = self.nodes.remove(&number)
            {
                self.release_event(node.event);
                next = node.previous;
            }
        }
    }

    /// Parts and events of a chain, from its beginning.
    pub fn chain(&self, node: Option<u64>) -> Vec<(u32, u64)> {
        let mut chain = Vec::new();
        let mut next = node;
        while let Some(node) = next.and_then(|number| self.nodes.get(&number)) {
            chain.push((node.part, node.event));
            next = node.previous;
        }
        chain.reverse();
        chain
    }
}
