//! The values of one state, by slot.

use std::any::Any;

use crate::error::StateError;

use super::codec::{decode_value, encode_value};
use super::{Migration, StateValue};

/// How long values live after the last access that counts, by processing time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    pub ttl_ms: i64,
    /// Reading counts, not only writing.
    pub refresh_on_read: bool,
    /// Values whose time is over are given as long as they have not been cleaned up.
    pub return_expired: bool,
}

impl TimeToLive {
    #[inline]
    pub fn is_over(&self, stamp_ms: i64, now_ms: i64) -> bool {
        stamp_ms.saturating_add(self.ttl_ms) <= now_ms
    }
}

/// A column whose type only the program knows.
pub trait StateColumn: Any + Send {
    fn has(&self, slot: u32) -> bool;
    fn clear(&mut self, slot: u32);
    /// Appends the value; `false`: there is none.
    fn encode(&self, slot: u32, out: &mut Vec<u8>) -> Result<bool, StateError>;
    fn decode(&mut self, slot: u32, bytes: &[u8], version: u32, block: &str) -> Result<(), StateError>;
    /// Drops values whose time to live is over, calling `changed` with their slots.
    fn expire(&mut self, now_ms: i64, changed: &mut dyn FnMut(u32));
    fn memory_size(&self) -> usize;
}

/// Values of one type.
pub struct Column<C> {
    values: Vec<Option<C>>,
    /// With a time to live: the last access of each value.
    stamps: Vec<i64>,
    version: u32,
    migrations: Vec<(u32, Migration<C>)>,
    time_to_live: Option<TimeToLive>,
}

impl<C> Column<C> {
    pub(super) fn new(
        version: u32,
        migrations: Vec<(u32, Migration<C>)>,
        time_to_live: Option<TimeToLive>,
    ) -> Self {
        Self {
            values: Vec::new(),
            stamps: Vec::new(),
            version,
            migrations,
            time_to_live,
        }
    }

    pub fn time_to_live(&self) -> Option<TimeToLive> {
        self.time_to_live
    }

    /// The value, unless its time is over.
    #[inline]
    pub fn get(&mut self, slot: u32, now_ms: i64) -> Option<&mut C> {
        let place = slot as usize;
        if let Some(ttl) = self.time_to_live {
            let stamp = self.stamps.get_mut(place)?;
            if ttl.is_over(*stamp, now_ms) {
                if !ttl.return_expired {
                    self.values[place] = None;
                    return None;
                }
            } else if ttl.refresh_on_read {
                *stamp = now_ms;
            }
        }
        self.values.get_mut(place)?.as_mut()
    }

    /// Without regard to its time to live.
    #[inline]
    pub fn peek(&self, slot: u32) -> Option<&C> {
        self.values.get(slot as usize)?.as_ref()
    }

    #[inline]
    pub fn set(&mut self, slot: u32, value: C, now_ms: i64) {
        *self.place(slot, now_ms) = Some(value);
    }

    /// The value to be changed in place; this counts as a write.
    #[inline]
    pub fn place(&mut self, slot: u32, now_ms: i64) -> &mut Option<C> {
        let place = slot as usize;
        if place >= self.values.len() {
            self.values.resize_with(place + 1, || None);
        }
        if let Some(ttl) = self.time_to_live {
            if place >= self.stamps.len() {
                self.stamps.resize(place + 1, i64::MIN);
            }
            if ttl.is_over(self.stamps[place], now_ms) {
                self.values[place] = None;
            }
            self.stamps[place] = now_ms;
        }
        &mut self.values[place]
    }

    /// Takes the value away.
    pub fn take(&mut self, slot: u32) -> Option<C> {
        self.values.get_mut(slot as usize)?.take()
    }
}

impl<C: StateValue> StateColumn for Column<C> {
    fn has(&self, slot: u32) -> bool {
        self.peek(slot).is_some()
    }

    fn clear(&mut self, slot: u32) {
        if let Some(value) = self.values.get_mut(slot as usize) {
            *value = None;
        }
    }

    fn encode(&self, slot: u32, out: &mut Vec<u8>) -> Result<bool, StateError> {
        let Some(value) = self.peek(slot) else {
            return Ok(false);
        };
        if self.time_to_live.is_some() {
            let stamp = self.stamps.get(slot as usize).copied().unwrap_or(i64::MIN);
            out.extend_from_slice(&encode_value(&(stamp, value))?);
        } else {
            out.extend_from_slice(&encode_value(value)?);
        }
        Ok(true)
    }

    fn decode(&mut self, slot: u32, bytes: &[u8], version: u32, block: &str) -> Result<(), StateError> {
        let (stamp, value) = if version != self.version {
            let migration = self.migrations.iter().find(|(from, _)| *from == version);
            let Some((_, migrate)) = migration else {
                return Err(StateError::Version {
                    block: block.to_owned(),
                    version,
                    supported: self.version,
                });
            };
            (i64::MIN, migrate(bytes)?)
        } else if self.time_to_live.is_some() {
            decode_value::<(i64, C)>(block, bytes)?
        } else {
            (i64::MIN, decode_value(block, bytes)?)
        };
        let place = slot as usize;
        if place >= self.values.len() {
            self.values.resize_with(place + 1, || None);
        }
        self.values[place] = Some(value);
        if self.time_to_live.is_some() {
            self.stamps
                .resize(self.values.len().max(self.stamps.len()), i64::MIN);
            self.stamps[place] = stamp;
        }
        Ok(())
    }

    fn expire(&mut self, now_ms: i64, changed: &mut dyn FnMut(u32)) {
        let Some(ttl) = self.time_to_live else { return };
        for (slot, (value, stamp)) in self.values.iter_mut().zip(&self.stamps).enumerate() {
            if value.is_some() && ttl.is_over(*stamp, now_ms) {
                *value = None;
                changed(slot as u32);
            }
        }
    }

    fn memory_size(&self) -> usize {
        self.values.capacity() * size_of::<Option<C>>() + self.stamps.capacity() * size_of::<i64>()
    }
}

/// A state of a checkpoint that the program does not declare: carried along as it was read.
#[derive(Default)]
pub(super) struct RawColumn {
    values: Vec<Option<Box<[u8]>>>,
}

impl StateColumn for RawColumn {
    fn has(&self, slot: u32) -> bool {
        self.values.get(slot as usize).is_some_and(Option::is_some)
    }

    fn clear(&mut self, slot: u32) {
        if let Some(value) = self.values.get_mut(slot as usize) {
            *value = None;
        }
    }

    fn encode(&self, slot: u32, out: &mut Vec<u8>) -> Result<bool, StateError> {
        let Some(Some(value)) = self.values.get(slot as usize) else {
            return Ok(false);
        };
        out.extend_from_slice(value);
        Ok(true)
    }

    fn decode(&mut self, slot: u32, bytes: &[u8], _: u32, _: &str) -> Result<(), StateError> {
        let place = slot as usize;
        if place >= self.values.len() {
            self.values.resize_with(place + 1, || None);
        }
        self.values[place] = Some(bytes.into());
        Ok(())
    }

    fn expire(&mut self, _: i64, _: &mut dyn FnMut(u32)) {}

    fn memory_size(&self) -> usize {
        self.values.iter().flatten().map(|bytes| bytes.len()).sum()
    }
}
