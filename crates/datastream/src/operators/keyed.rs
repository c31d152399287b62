//! Operators over the records of a key: state, timers, and the functions that use them.

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::KeyedState;
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{Records, Routing, Watermark};

use crate::data::{Data, Key, hash_of};
use crate::error::Result;
use crate::functions::KeyedProcessFunction;
use crate::operators::batch::EndsKeys;
use crate::operators::context::{KeyedContext, OnTimerContext};
use crate::operators::{Outputs, each_row, rows_of};
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

    /// Forgets all keys.
    pub fn clear(&mut self) {
        let slots: Vec<u32> = self.state.slots.iter(0..usize::MAX).collect();
        slots.into_iter().for_each(|slot| self.state.remove(slot));
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

/// What the functions of one operator by key work with, however many inputs it has.
pub(crate) struct Keyed<K, U> {
    pub backend: Backend<K>,
    pub outputs: Outputs<U>,
}

impl<K: Key, U: Data> Keyed<K, U> {
    /// Calls `each` for the rows of a batch, with the context of their keys.
    pub fn each<T: Data>(
        &mut self,
        records: Records,
        selector: &dyn KeySelector<K, T>,
        instance: &Instance,
        mut each: impl FnMut(T, KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<(), DataflowError> {
        let Outputs { main, sides } = &mut self.outputs;
        let backend = &mut self.backend;
        let (rows, timestamps, routing) = rows_of::<T>(records)?;
        backend.resolve(selector, &rows, routing);
        each_row(rows, &timestamps, |index, row, timestamp| {
            main.set_timestamp(timestamp);
            let slot = backend.slots[index];
            match backend.context(slot, timestamp, instance, sides) {
                Some(context) => each(row, context, main),
                None => Ok(()),
            }
        })?;
        backend.end_batch();
        Ok(())
    }
}

/// What operators by key differ in: their inputs, and the calls of their function.
pub(crate) trait KeyedInputs<K, U: Data>: Send {
    fn open(&mut self, context: &mut RuntimeContext<'_>) -> Result<()>;

    /// Reads a batch of a port.
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        keyed: &mut Keyed<K, U>,
    ) -> Result<(), DataflowError>;

    fn on_timer(
        &mut self,
        time_ms: i64,
        context: &mut OnTimerContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// State that belongs to no key.
    fn snapshot(&self, blocks: &mut StateBlocks) -> Result<(), DataflowError> {
        let _ = blocks;
        Ok(())
    }

    fn restore(&mut self, parts: &[StateBlocks]) -> Result<(), DataflowError> {
        let _ = parts;
        Ok(())
    }
}

/// An operator by key.
pub(crate) struct KeyedOperator<K, U, I> {
    keyed: Keyed<K, U>,
    inputs: I,
}

impl<K: Key, U: Data, I: KeyedInputs<K, U>> KeyedOperator<K, U, I> {
    pub fn new(mut inputs: I, sides: SideOutputs, instance: &Instance) -> Result<Self, DataflowError> {
        let mut backend = Backend::new();
        backend.open(instance, |context| inputs.open(context))?;
        let outputs = Outputs::new(sides);
        Ok(Self {
            keyed: Keyed { backend, outputs },
            inputs,
        })
    }

    fn fire(
        &mut self,
        domain: TimeDomain,
        until_ms: i64,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let Keyed { backend, outputs } = &mut self.keyed;
        let (inputs, main) = (&mut self.inputs, &mut outputs.main);
        backend.fire(
            domain,
            until_ms,
            instance,
            &mut outputs.sides,
            |time_ms, context| {
                main.set_timestamp(context.timestamp);
                inputs.on_timer(time_ms, context, main)
            },
        )?;
        outputs.flush(out)
    }
}

impl<K: Key, U: Data, I: KeyedInputs<K, U>> Operator for KeyedOperator<K, U, I> {
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.inputs.records(port, records, instance, &mut self.keyed)?;
        self.keyed.outputs.flush(out)
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
        self.keyed.backend.timers.next_processing()
    }

    fn timer(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.fire(TimeDomain::ProcessingTime, instance.now_ms, instance, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut blocks = self.keyed.backend.snapshot(scope)?;
        self.inputs.snapshot(&mut blocks)?;
        Ok(blocks)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        self.inputs.restore(&blocks)?;
        self.keyed.backend.restore(&blocks, instance).map(|_| ())
    }

    fn state_bytes(&self) -> usize {
        self.keyed.backend.memory_size()
    }
}

impl<K: Key, U: Data, I: KeyedInputs<K, U>> EndsKeys for KeyedOperator<K, U, I> {
    fn end_key(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        let end = Instance {
            watermark: Watermark::MAX,
            ..instance.clone()
        };
        self.keyed.backend.timers.quiesce(true);
        self.fire(TimeDomain::EventTime, i64::MAX, &end, out)?;
        self.fire(TimeDomain::ProcessingTime, i64::MAX, &end, out)?;
        self.keyed.backend.timers.quiesce(false);
        self.keyed.backend.clear();
        Ok(())
    }
}

/// The input of a [`KeyedProcessFunction`].
pub(crate) struct OneInput<K, T, F> {
    pub selector: SharedSelector<K, T>,
    pub function: F,
}

impl<K: Key, T: Data, U: Data, F: KeyedProcessFunction<K, T, U>> KeyedInputs<K, U> for OneInput<K, T, F> {
    fn open(&mut self, context: &mut RuntimeContext<'_>) -> Result<()> {
        self.function.open(context)
    }

    fn records(
        &mut self,
        _: usize,
        records: Records,
        instance: &Instance,
        keyed: &mut Keyed<K, U>,
    ) -> Result<(), DataflowError> {
        let function = &mut self.function;
        keyed.each(
            records,
            self.selector.as_ref(),
            instance,
            |row, mut context, out| function.process_element(row, &mut context, out),
        )
    }

    fn on_timer(
        &mut self,
        time_ms: i64,
        context: &mut OnTimerContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.function.on_timer(time_ms, context, out)
    }
}
