//! What functions are given beside their record.

use std::collections::BTreeMap;

use millstream_state::StateColumns;

use crate::data::Data;
pub use crate::operators::checkpointed::{FunctionInitializationContext, FunctionSnapshotContext};
use crate::operators::known;
use crate::output::{OutputTag, SideOutputs};
use crate::state::{StateAccess, StateCursor};
use crate::time::{TimeDomain, Timers};
use crate::window::TimeWindow;

/// Context of a record without a key.
pub struct Context<'a> {
    pub(crate) timestamp: i64,
    pub(crate) watermark: i64,
    pub(crate) now_ms: i64,
    pub(crate) sides: &'a mut SideOutputs,
}

impl Context<'_> {
    /// Event time of the record, if it has one.
    pub fn timestamp(&self) -> Option<i64> {
        known(self.timestamp)
    }

    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    pub fn current_processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Adds a result to a side output.
    pub fn output<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.sides.put(tag, value, self.timestamp);
    }
}

/// Context of a record with a key: its state and its timers.
pub struct KeyedContext<'a, K> {
    pub(crate) key: &'a K,
    pub(crate) timestamp: i64,
    pub(crate) watermark: i64,
    pub(crate) now_ms: i64,
    pub(crate) slot: u32,
    pub(crate) columns: &'a mut StateColumns,
    pub(crate) timers: &'a mut Timers,
    pub(crate) sides: &'a mut SideOutputs,
    pub(crate) cleared: &'a mut bool,
}

impl<K> KeyedContext<'_, K> {
    pub fn current_key(&self) -> &K {
        self.key
    }

    /// Event time of the record, if it has one.
    pub fn timestamp(&self) -> Option<i64> {
        known(self.timestamp)
    }

    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    pub fn current_processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Calls `on_timer` for this key when the watermark passes `time_ms`. A second timer of the same time is none.
    pub fn register_event_time_timer(&mut self, time_ms: i64) {
        self.timers.register(TimeDomain::EventTime, time_ms, self.slot);
    }

    /// Calls `on_timer` for this key when the clock shows `time_ms`.
    pub fn register_processing_time_timer(&mut self, time_ms: i64) {
        self.timers
            .register(TimeDomain::ProcessingTime, time_ms, self.slot);
    }

    pub fn delete_event_time_timer(&mut self, time_ms: i64) {
        *self.cleared = true;
        self.timers.delete(TimeDomain::EventTime, time_ms, self.slot);
    }

    pub fn delete_processing_time_timer(&mut self, time_ms: i64) {
        *self.cleared = true;
        self.timers.delete(TimeDomain::ProcessingTime, time_ms, self.slot);
    }

    /// Adds a result to a side output.
    pub fn output<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.sides.put(tag, value, self.timestamp);
    }
}

impl<K> StateAccess for KeyedContext<'_, K> {
    #[inline]
    fn cursor(&mut self) -> StateCursor<'_> {
        StateCursor {
            columns: self.columns,
            slot: self.slot,
            now_ms: self.now_ms,
            cleared: self.cleared,
        }
    }
}

/// Context of a timer: that of its key, and the time that it counts by.
pub struct OnTimerContext<'a, K> {
    pub(crate) keyed: KeyedContext<'a, K>,
    pub(crate) domain: TimeDomain,
}

impl<K> OnTimerContext<'_, K> {
    pub fn time_domain(&self) -> TimeDomain {
        self.domain
    }
}

impl<'a, K> std::ops::Deref for OnTimerContext<'a, K> {
    type Target = KeyedContext<'a, K>;
    fn deref(&self) -> &Self::Target {
        &self.keyed
    }
}

impl<K> std::ops::DerefMut for OnTimerContext<'_, K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.keyed
    }
}

impl<K> StateAccess for OnTimerContext<'_, K> {
    #[inline]
    fn cursor(&mut self) -> StateCursor<'_> {
        self.keyed.cursor()
    }
}

/// Context of a record with a key beside a broadcast state, which it may read.
pub struct ReadOnlyContext<'a, K, BK, BV> {
    pub(crate) keyed: KeyedContext<'a, K>,
    pub(crate) broadcast: &'a BTreeMap<BK, BV>,
}

impl<K, BK, BV> ReadOnlyContext<'_, K, BK, BV> {
    /// The broadcast state.
    pub fn broadcast_state(&self) -> &BTreeMap<BK, BV> {
        self.broadcast
    }
}

impl<'a, K, BK, BV> std::ops::Deref for ReadOnlyContext<'a, K, BK, BV> {
    type Target = KeyedContext<'a, K>;
    fn deref(&self) -> &Self::Target {
        &self.keyed
    }
}

impl<K, BK, BV> std::ops::DerefMut for ReadOnlyContext<'_, K, BK, BV> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.keyed
    }
}

impl<K, BK, BV> StateAccess for ReadOnlyContext<'_, K, BK, BV> {
    #[inline]
    fn cursor(&mut self) -> StateCursor<'_> {
        self.keyed.cursor()
    }
}

/// Context of a record without a key beside a broadcast state, which it may read.
pub struct BroadcastContext<'a, 'c, BK, BV> {
    pub(crate) plain: &'a mut Context<'c>,
    pub(crate) broadcast: &'a BTreeMap<BK, BV>,
}

impl<BK, BV> BroadcastContext<'_, '_, BK, BV> {
    /// The broadcast state.
    pub fn broadcast_state(&self) -> &BTreeMap<BK, BV> {
        self.broadcast
    }
}

impl<'c, BK, BV> std::ops::Deref for BroadcastContext<'_, 'c, BK, BV> {
    type Target = Context<'c>;
    fn deref(&self) -> &Self::Target {
        self.plain
    }
}

impl<BK, BV> std::ops::DerefMut for BroadcastContext<'_, '_, BK, BV> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.plain
    }
}

/// Context of a window that fires.
pub struct WindowContext<'a> {
    pub(crate) window: TimeWindow,
    pub(crate) watermark: i64,
    pub(crate) now_ms: i64,
    pub(crate) sides: &'a mut SideOutputs,
}

impl WindowContext<'_> {
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    pub fn current_processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Adds a result to a side output.
    pub fn output<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.sides.put(tag, value, self.window.max_timestamp());
    }
}
