//! Timers of keys, of both times.

use std::collections::BTreeSet;

use millstream_state::keyed::{decode_value, encode_value};
use millstream_state::{SlotMap, StateBlocks, StateError};

const BLOCK: &str = "timers";

/// The timers of an instance: (time, slot), each once, as in Flink.
#[derive(Default)]
pub(crate) struct Timers {
    event: BTreeSet<(i64, u32)>,
    processing: BTreeSet<(i64, u32)>,
    /// Timers of each slot.
    counts: Vec<u32>,
    /// New timers are ignored.
    is_quiesced: bool,
}

/// Which time a timer counts by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeDomain {
    EventTime,
    ProcessingTime,
}

impl Timers {
    fn set(&mut self, domain: TimeDomain) -> &mut BTreeSet<(i64, u32)> {
        match domain {
            TimeDomain::EventTime => &mut self.event,
            TimeDomain::ProcessingTime => &mut self.processing,
        }
    }

    /// Whether timers are ignored that are registered from now on: at the end of a key in BATCH mode, where time has
    /// come to its end and a timer that registers the next one would never stop.
    pub fn quiesce(&mut self, is_quiesced: bool) {
        self.is_quiesced = is_quiesced;
    }

    pub fn register(&mut self, domain: TimeDomain, time_ms: i64, slot: u32) {
        if self.is_quiesced {
            return;
        }
        if self.set(domain).insert((time_ms, slot)) {
            let place = slot as usize;
            if place >= self.counts.len() {
                self.counts.resize(place + 1, 0);
            }
            self.counts[place] += 1;
        }
    }

    pub fn delete(&mut self, domain: TimeDomain, time_ms: i64, slot: u32) {
        if self.set(domain).remove(&(time_ms, slot)) {
            self.counts[slot as usize] -= 1;
        }
    }

    /// Takes the earliest timer that is due.
    pub fn pop_due(&mut self, domain: TimeDomain, until_ms: i64) -> Option<(i64, u32)> {
        let set = self.set(domain);
        let due = set.first().is_some_and(|(time_ms, _)| *time_ms <= until_ms);
        let timer = if due { set.pop_first() } else { None }?;
        self.counts[timer.1 as usize] -= 1;
        Some(timer)
    }

    pub fn next_processing(&self) -> Option<i64> {
        self.processing.first().map(|(time_ms, _)| *time_ms)
    }

    pub fn has(&self, slot: u32) -> bool {
        self.counts.get(slot as usize).is_some_and(|count| *count > 0)
    }

    pub fn memory_size(&self) -> usize {
        (self.event.len() + self.processing.len()) * 24 + self.counts.capacity() * 4
    }

    pub fn snapshot(&self, out: &mut StateBlocks) -> Result<(), StateError> {
        let list = |set: &BTreeSet<(i64, u32)>| set.iter().copied().collect::<Vec<_>>();
        out.push(BLOCK, encode_value(&(list(&self.event), list(&self.processing)))?);
        Ok(())
    }

    /// Takes the timers of the keys in `maps`.
    pub fn restore(&mut self, parts: &[StateBlocks], maps: &[SlotMap]) -> Result<(), StateError> {
        type Lists = (Vec<(i64, u32)>, Vec<(i64, u32)>);
        for (part, map) in parts.iter().zip(maps) {
            let Some(bytes) = part.get(BLOCK) else { continue };
            let (event, processing): Lists = decode_value(BLOCK, bytes)?;
            for (domain, timers) in [
                (TimeDomain::EventTime, event),
                (TimeDomain::ProcessingTime, processing),
            ] {
                for (time_ms, old) in timers {
                    if let Some(slot) = map.get(&old) {
                        self.register(domain, time_ms, *slot);
                    }
                }
            }
        }
        Ok(())
    }
}
