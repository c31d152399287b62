//! [`Schedule`]: events in virtual time.
//!
//! Events of the same millisecond keep the order of insertion, so that a run is a function of its seed. It runs nothing
//! itself: the simulator takes an event, executes it, and inserts what follows from it.

use std::collections::BTreeMap;

/// Events to come, and the time.
#[derive(Debug)]
pub struct Schedule<E> {
    now_ms: i64,
    next: u64,
    events: BTreeMap<(i64, u64), E>,
}

impl<E> Schedule<E> {
    /// Nothing to come, at this time.
    pub fn new(now_ms: i64) -> Self {
        Schedule {
            now_ms,
            next: 0,
            events: BTreeMap::new(),
        }
    }

    /// The time of the event taken last.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Inserts an event; one in the past comes next.
    pub fn at(&mut self, at_ms: i64, event: E) {
        self.next += 1;
        self.events.insert((at_ms.max(self.now_ms), self.next), event);
    }

    /// Puts in an event for some time from now.
    pub fn after(&mut self, delay_ms: i64, event: E) {
        self.at(self.now_ms.saturating_add(delay_ms), event);
    }

    /// Takes the next event and advances the time.
    pub fn pop(&mut self) -> Option<E> {
        let ((at_ms, _), event) = self.events.pop_first()?;
        self.now_ms = at_ms;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_arrival() {
        let mut schedule = Schedule::new(100);
        schedule.after(10, "c");
        schedule.at(105, "a");
        schedule.after(5, "b");
        schedule.at(1, "late");
        let mut order = Vec::new();
        while let Some(event) = schedule.pop() {
            order.push((schedule.now_ms(), event));
        }
        assert_eq!(order, [(100, "late"), (105, "a"), (105, "b"), (110, "c")]);
    }
}
