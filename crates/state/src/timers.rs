//! Timers of groups, in order of time.
//!
//! One queue serves event time or processing time; the operator decides which, and what firing means. Timers of one
//! time fire in the order of their groups, so that results do not depend on anything but the calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, Int64Array, UInt32Array};

use crate::blocks::StateBlocks;
use crate::columns::{decode_columns, encode_columns};
use crate::error::StateError;
use crate::group_table::{GroupMap, NO_GROUP};

/// Bytes that a timer takes, roughly.
const TIMER_BYTES: usize = 24;

/// A set of (time, group), each once.
#[derive(Debug, Default, Clone)]
pub struct TimerQueue {
    timers: BTreeSet<(i64, u32)>,
}

impl TimerQueue {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether the timer is new.
    pub fn register(&mut self, time_ms: i64, group: u32) -> bool {
        self.timers.insert((time_ms, group))
    }

    /// Returns whether there was such a timer.
    pub fn delete(&mut self, time_ms: i64, group: u32) -> bool {
        self.timers.remove(&(time_ms, group))
    }

    /// The earliest time.
    pub fn next(&self) -> Option<i64> {
        self.timers.first().map(|(time, _)| *time)
    }

    /// Takes the earliest timer if its time is at or before `until_ms`.
    pub fn pop_due(&mut self, until_ms: i64) -> Option<(i64, u32)> {
        let due = self.next().is_some_and(|time| time <= until_ms);
        if due { self.timers.pop_first() } else { None }
    }

    pub fn len(&self) -> usize {
        self.timers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    pub fn memory_size(&self) -> usize {
        self.timers.len() * TIMER_BYTES
    }

    /// Adds a block called `name`.
    pub fn snapshot(&self, name: &str, out: &mut StateBlocks) -> Result<(), StateError> {
        let times: ArrayRef = Arc::new(Int64Array::from_iter_values(
            self.timers.iter().map(|(time, _)| *time),
        ));
        let groups: ArrayRef = Arc::new(UInt32Array::from_iter_values(self.timers.iter().map(|(_, g)| *g)));
        out.push(name, encode_columns(&[times, groups], self.timers.len())?);
        Ok(())
    }

    /// Adds the timers of the groups that `map` knows.
    pub fn restore(&mut self, name: &str, parts: &[StateBlocks], map: &GroupMap) -> Result<(), StateError> {
        for (part, map) in parts.iter().zip(map) {
            let Some(bytes) = part.get(name) else { continue };
            let (columns, _) = decode_columns(name, bytes)?;
            let [times, groups] = columns.as_slice() else {
                return Err(StateError::corrupt(name, "two columns are expected"));
            };
            let (Some(times), Some(groups)) = (
                times.as_primitive_opt::<Int64Type>(),
                groups.as_primitive_opt::<UInt32Type>(),
            ) else {
                return Err(StateError::corrupt(name, "times or groups are not numbers"));
            };
            for (time, old) in times.values().iter().zip(groups.values()) {
                let group = map.get(*old as usize).copied().unwrap_or(NO_GROUP);
                if group != NO_GROUP {
                    self.register(*time, group);
                }
            }
        }
        Ok(())
    }
}
