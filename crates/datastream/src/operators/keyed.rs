//! Operators over the records of a key: state, timers, and the functions that use them.

use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::KeyedState;
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{Records, Routing, Watermark};

use crate::data::{Data, Key, hash_of};
use crate::error::Result;
use crate::functions::KeyedProcessFunction;
use crate::guard::at_record;
use crate::operators::context::{KeyedContext, OnTimerContext};
use crate::operators::{rows_of, timestamp_at};
use crate::output::{Collector, SideOutputs};
use crate::state::RuntimeContext;
use crate::stream::keyed::{KeySelector, SharedSelector};
use crate::time::{TimeDomain, Timers};

const STATE: &str = "state";

/// State and timers of an instance, by key.
pub(crate) struct Backend<K> {
    pub state: KeyedState<K>,
    pub timers: Timers,
    /// The slot of each row of the running batch.
    pub slots: Vec<u32>,
    /// A key may have nothing left.
    pub cleared: bool,
    hashes: Vec<u64>,
    keys_before: usize,
}

impl<K: Key> Backend<K> {
    pub fn new() -> Self {
        Self {
            state: KeyedState::new(),
            timers: Timers::default(),
            slots: Vec::new(),
            cleared: false,
            hashes: Vec::new(),
            keys_before: 0,
        }
    }

    /// Lets a function declare its states.
    pub fn open(
        &mut self,
        instance: &Instance,
        open: impl FnOnce(&mut RuntimeContext<'_>) -> Result<()>,
    ) -> Result<(), DataflowError> {
        let mut context = RuntimeContext {
            columns: &mut self.state.columns,
            subtask: instance.subtask,
            parallelism: instance.parallelism,
        };
        Ok(open(&mut context)?)
    }

    /// Finds the slots of the rows; new keys get one.
    pub fn resolve<T>(&mut self, selector: &dyn KeySelector<K, T>, rows: &[T], routing: Routing) {
        self.hashes = match routing {
            Routing::Keys(hashes) => hashes,
            Routing::Free | Routing::Targets(_) => {
                let mut hashes = std::mem::take(&mut self.hashes);
                hashes.clear();
                selector.hash(rows, &mut hashes);
                hashes
            }
        };
        self.keys_before = self.state.slots.len();
        self.slots.clear();
        selector.intern(rows, &self.hashes, &mut self.state.slots, &mut self.slots);
    }

    /// Forgets keys of the batch that have neither state nor timers.
    pub fn end_batch(&mut self) {
        let grew = self.state.slots.len() > self.keys_before;
        if !grew && !self.cleared {
            return;
        }
        self.cleared = false;
        let slots = std::mem::take(&mut self.slots);
        slots.iter().for_each(|slot| self.forget_if_empty(*slot));
        self.slots = slots;
    }

    pub fn forget_if_empty(&mut self, slot: u32) {
        if self.state.slots.key(slot).is_some()
            && !self.timers.has(slot)
            && self.state.columns.is_empty_at(slot)
        {
            self.state.remove(slot);
        }
    }

    /// Key, and everything a context is made of.
    #[inline]
    pub fn context<'a>(
        &'a mut self,
        slot: u32,
        timestamp: i64,
        instance: &Instance,
        sides: &'a mut SideOutputs,
    ) -> Option<KeyedContext<'a, K>> {
        Some(KeyedContext {
            key: self.state.slots.key(slot)?,
            timestamp,
            watermark: instance.watermark.0,
            now_ms: instance.now_ms,
            slot,
            columns: &mut self.state.columns,
            timers: &mut self.timers,
            sides,
            cleared: &mut self.cleared,
        })
    }

    pub fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut blocks = StateBlocks::new();
        self.state.snapshot(STATE, scope, &mut blocks)?;
        self.timers.snapshot(&mut blocks)?;
        Ok(blocks)
    }

    pub fn restore(
        &mut self,
        blocks: &[StateBlocks],
        instance: &Instance,
    ) -> Result<Vec<millstream_state::SlotMap>, DataflowError> {
        let groups = instance.key_groups();
        let maps = self
            .state
            .restore(STATE, blocks, groups, instance.max_parallelism, hash_of)?;
        self.timers.restore(blocks, &maps)?;
        Ok(maps)
    }

    pub fn memory_size(&self) -> usize {
        self.state.memory_size() + self.timers.memory_size()
    }

    /// Calls `fire` for every timer that is due, with its key's context.
    pub fn fire(
        &mut self,
        domain: TimeDomain,
        until_ms: i64,
        instance: &Instance,
        sides: &mut SideOutputs,
        mut fire: impl FnMut(i64, &mut OnTimerContext<'_, K>) -> Result<()>,
    ) -> Result<(), DataflowError> {
        while let Some((time_ms, slot)) = self.timers.pop_due(domain, until_ms) {
            let timestamp = match domain {
                TimeDomain::EventTime => time_ms,
                TimeDomain::ProcessingTime => NO_TIMESTAMP,
            };
            if let Some(keyed) = self.context(slot, timestamp, instance, sides) {
                fire(time_ms, &mut OnTimerContext { keyed, domain })?;
            }
            self.forget_if_empty(slot);
        }
        Ok(())
    }
}

/// A [`KeyedProcessFunction`].
pub(crate) struct KeyedProcess<K, T, U, F> {
    selector: SharedSelector<K, T>,
    function: F,
    backend: Backend<K>,
    collector: Collector<U>,
    sides: SideOutputs,
    of: PhantomData<fn(T)>,
}

impl<K: Key, T: Data, U: Data, F: KeyedProcessFunction<K, T, U>> KeyedProcess<K, T, U, F> {
    pub fn new(
        mut function: F,
        selector: SharedSelector<K, T>,
        sides: SideOutputs,
        instance: &Instance,
    ) -> Result<Self, DataflowError> {
        let mut backend = Backend::new();
        backend.open(instance, |context| function.open(context))?;
        Ok(Self {
            selector,
            function,
            backend,
            collector: Collector::new(),
            sides,
            of: PhantomData,
        })
    }

    fn flush(&mut self, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.collector.flush(out)?;
        self.sides.flush(out)
    }

    fn fire(
        &mut self,
        domain: TimeDomain,
        until_ms: i64,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (function, collector) = (&mut self.function, &mut self.collector);
        self.backend
            .fire(domain, until_ms, instance, &mut self.sides, |time_ms, context| {
                collector.set_timestamp(context.timestamp);
                function.on_timer(time_ms, context, collector)
            })?;
        self.flush(out)
    }
}

impl<K: Key, T: Data, U: Data, F: KeyedProcessFunction<K, T, U>> Operator for KeyedProcess<K, T, U, F> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, routing) = rows_of::<T>(records)?;
        self.backend.resolve(self.selector.as_ref(), &rows, routing);
        for (index, row) in rows.into_iter().enumerate() {
            at_record(index);
            let timestamp = timestamp_at(&timestamps, index);
            self.collector.set_timestamp(timestamp);
            let slot = self.backend.slots[index];
            let Some(mut context) = self.backend.context(slot, timestamp, instance, &mut self.sides) else {
                continue;
            };
            self.function
                .process_element(row, &mut context, &mut self.collector)?;
        }
        self.backend.end_batch();
        self.flush(out)
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let now = Instance {
            watermark,
            ..instance.clone()
        };
        self.fire(TimeDomain::EventTime, watermark.0, &now, out)?;
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<i64> {
        self.backend.timers.next_processing()
    }

    fn timer(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.fire(TimeDomain::ProcessingTime, instance.now_ms, instance, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        self.backend.snapshot(scope)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        self.backend.restore(&blocks, instance).map(|_| ())
    }

    fn state_bytes(&self) -> usize {
        self.backend.memory_size()
    }
}
