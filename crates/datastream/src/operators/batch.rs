//! Operators in BATCH mode: their input is bounded, and time moves once, from its beginning to its end.
//!
//! An operator by key gets its whole input grouped by key and, within a key, sorted by timestamp ([`Sorted`]). When the
//! records of a key are over, all its timers fire and its state is dropped before the next key begins, as in Flink. The
//! input is held in memory until it has ended. Broadcast inputs come before the others ([`AfterRules`]).

use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use millstream_dataflow::{
    Context as Instance, DataflowError, Operator, OperatorFactory, Output, SnapshotScope, StateBlocks,
};
use millstream_state::KeySlots;
use millstream_types::{Records, Routing, Watermark};

use crate::data::{Data, Key};
use crate::operators::{factory, rows_of, timestamp_at};
use crate::stream::keyed::{KeySelector, SharedSelector};

/// An operator that can be told that a key is over.
pub(crate) trait EndsKeys: Operator {
    /// The records of the only key are over: all its timers fire, those of event time first, and its state is dropped.
    fn end_key(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError>;
}

/// The factories of an operator: for STREAMING mode, and for BATCH mode if it works differently there.
pub(crate) struct Factories {
    pub streaming: Arc<dyn OperatorFactory>,
    pub batch: Option<Arc<dyn OperatorFactory>>,
}

/// The factories of an operator by key.
pub(crate) fn keyed_factories<K, F, O>(
    function: F,
    inputs: Vec<KeyedInput<K>>,
    make: impl Fn(F, &Instance) -> Result<O, DataflowError> + Clone + Send + Sync + 'static,
) -> Factories
where
    K: Key,
    F: Clone + Send + 'static,
    O: EndsKeys + 'static,
{
    Factories {
        batch: Some(sorted(function.clone(), inputs, make.clone())),
        streaming: factory(function, make),
    }
}

/// The factory of an operator by key over sorted input.
pub(crate) fn sorted<K, F, O>(
    function: F,
    inputs: Vec<KeyedInput<K>>,
    make: impl Fn(F, &Instance) -> Result<O, DataflowError> + Send + Sync + 'static,
) -> Arc<dyn OperatorFactory>
where
    K: Key,
    F: Clone + Send + 'static,
    O: EndsKeys + 'static,
{
    factory(function, move |function, instance| {
        Ok(Sorted {
            inner: make(function, instance)?,
            slots: KeySlots::new(),
            inputs: inputs.iter().map(|input| (input.0)()).collect(),
        })
    })
}

/// Makes what holds an input of an operator by key; `None` for a broadcast input.
pub(crate) struct KeyedInput<K>(Box<dyn Fn() -> Option<Box<dyn HeldInput<K>>> + Send + Sync>);

impl<K: Key> KeyedInput<K> {
    pub fn by<T: Data>(selector: &SharedSelector<K, T>) -> Self {
        let selector = Arc::clone(selector);
        Self(Box::new(move || {
            Some(Box::new(Held {
                selector: Arc::clone(&selector),
                rows: Vec::new(),
                sorted: Vec::new().into_iter().peekable(),
            }))
        }))
    }

    /// An input whose records are read as they come, before all others.
    pub fn broadcast() -> Self {
        Self(Box::new(|| None))
    }
}

/// The rows of an input, until it has ended.
trait HeldInput<K>: Send {
    fn hold(&mut self, records: Records, slots: &mut KeySlots<K>) -> Result<(), DataflowError>;
    fn sort(&mut self);
    /// Slot and timestamp of the next row.
    fn next(&mut self) -> Option<(u32, i64)>;
    /// The next rows of a key, up to a timestamp and a number of rows.
    fn take(&mut self, slot: u32, until: i64, rows_max: usize, hash: u64) -> Records;
    fn memory_size(&self) -> usize;
}

struct Held<K, T> {
    selector: SharedSelector<K, T>,
    rows: Vec<(u32, i64, T)>,
    sorted: Peekable<IntoIter<(u32, i64, T)>>,
}

impl<K: Key, T: Data> HeldInput<K> for Held<K, T> {
    fn hold(&mut self, records: Records, slots: &mut KeySlots<K>) -> Result<(), DataflowError> {
        let (rows, timestamps, routing) = rows_of::<T>(records)?;
        let selector: &dyn KeySelector<K, T> = self.selector.as_ref();
        let hashes = match routing {
            Routing::Keys(hashes) => hashes,
            Routing::Free | Routing::Targets(_) => {
                let mut hashes = Vec::with_capacity(rows.len());
                selector.hash(&rows, &mut hashes);
                hashes
            }
        };
        let mut found = Vec::with_capacity(rows.len());
        selector.intern(&rows, &hashes, slots, &mut found);
        let held = rows.into_iter().zip(found).enumerate();
        self.rows
            .extend(held.map(|(index, (row, slot))| (slot, timestamp_at(&timestamps, index), row)));
        Ok(())
    }

    fn sort(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        // Stable: rows of one time stay in the order in which they came.
        rows.sort_by_key(|(slot, timestamp, _)| (*slot, *timestamp));
        self.sorted = rows.into_iter().peekable();
    }

    fn next(&mut self) -> Option<(u32, i64)> {
        self.sorted.peek().map(|(slot, timestamp, _)| (*slot, *timestamp))
    }

    fn take(&mut self, slot: u32, until: i64, rows_max: usize, hash: u64) -> Records {
        let (mut rows, mut timestamps) = (Vec::new(), Vec::new());
        while rows.len() < rows_max {
            let next = self.sorted.next_if(|(of, at, _)| *of == slot && *at <= until);
            let Some((_, timestamp, row)) = next else { break };
            rows.push(row);
            timestamps.push(timestamp);
        }
        let hashes = vec![hash; rows.len()];
        let mut records = Records::with_timestamps(rows, timestamps);
        records.routing = Routing::Keys(hashes);
        records
    }

    fn memory_size(&self) -> usize {
        (self.rows.capacity() + self.sorted.len()) * size_of::<(u32, i64, T)>()
    }
}

/// An operator by key over its whole input, one key after the other.
struct Sorted<K, O> {
    inner: O,
    slots: KeySlots<K>,
    inputs: Vec<Option<Box<dyn HeldInput<K>>>>,
}

/// The beginning of time, at which all records are processed.
fn beginning(instance: &Instance) -> Instance {
    Instance {
        watermark: Watermark::MIN,
        ..instance.clone()
    }
}

impl<K: Key, O: EndsKeys> Sorted<K, O> {
    /// The smallest slot that has rows left.
    fn next_slot(&mut self) -> Option<u32> {
        let inputs = self.inputs.iter_mut().flatten();
        inputs
            .filter_map(|input| input.next())
            .map(|(slot, _)| slot)
            .min()
    }

    /// The inputs with rows of a key, by the timestamp of their next row.
    fn ports_of(&mut self, slot: u32) -> Vec<(i64, usize)> {
        let mut ports = Vec::with_capacity(self.inputs.len());
        for (port, input) in self.inputs.iter_mut().enumerate() {
            let next = input.as_mut().and_then(|input| input.next());
            ports.extend(next.filter(|(of, _)| *of == slot).map(|(_, at)| (at, port)));
        }
        ports.sort_unstable();
        ports
    }

    fn run_key(&mut self, slot: u32, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        let hash = self.slots.hash(slot);
        loop {
            let ports = self.ports_of(slot);
            let Some((_, port)) = ports.first() else {
                return self.inner.end_key(instance, out);
            };
            let until = ports.get(1).map_or(i64::MAX, |(at, _)| *at);
            let Some(input) = &mut self.inputs[*port] else {
                continue;
            };
            let records = input.take(slot, until, instance.batch_rows, hash);
            self.inner.records(*port, records, instance, out)?;
        }
    }
}

impl<K: Key, O: EndsKeys> Operator for Sorted<K, O> {
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        match &mut self.inputs[port] {
            Some(input) => input.hold(records, &mut self.slots),
            None => self.inner.records(port, records, &beginning(instance), out),
        }
    }

    /// Time ends when all keys are done.
    fn watermark(&mut self, _: Watermark, _: &Instance, _: &mut dyn Output) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        let instance = beginning(instance);
        self.inputs.iter_mut().flatten().for_each(|input| input.sort());
        while let Some(slot) = self.next_slot() {
            self.run_key(slot, &instance, out)?;
        }
        out.watermark(Watermark::MAX)
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        Err(no_snapshots())
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Instance) -> Result<(), DataflowError> {
        Err(no_snapshots())
    }

    fn state_bytes(&self) -> usize {
        let held = self.inputs.iter().flatten().map(|input| input.memory_size());
        self.inner.state_bytes() + self.slots.memory_size() + held.sum::<usize>()
    }

    fn late_rows(&self) -> u64 {
        self.inner.late_rows()
    }
}

fn no_snapshots() -> DataflowError {
    DataflowError::internal("a job in BATCH mode takes no snapshots")
}

/// An operator whose second input, a broadcast one, is read before the first.
pub(crate) struct AfterRules<O> {
    inner: O,
    /// Records of the first input, until the second has ended.
    waiting: Option<Vec<Records>>,
}

impl<O: Operator> AfterRules<O> {
    pub fn new(inner: O) -> Self {
        Self {
            inner,
            waiting: Some(Vec::new()),
        }
    }

    fn release(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        for records in self.waiting.take().into_iter().flatten() {
            self.inner.records(0, records, instance, out)?;
        }
        Ok(())
    }
}

impl<O: Operator> Operator for AfterRules<O> {
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        match &mut self.waiting {
            Some(waiting) if port == 0 => waiting.push(records),
            _ => self.inner.records(port, records, &beginning(instance), out)?,
        }
        Ok(())
    }

    fn watermark(&mut self, _: Watermark, _: &Instance, _: &mut dyn Output) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish_port(
        &mut self,
        port: usize,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if port == 1 {
            self.release(&beginning(instance), out)?;
        }
        Ok(())
    }

    fn finish(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.release(&beginning(instance), out)?;
        out.watermark(Watermark::MAX)
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        Err(no_snapshots())
    }
}
