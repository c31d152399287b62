//! Operators with two inputs: functions of a key over both, and plain ones without state.

use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_types::{Records, Watermark};

use crate::data::{Data, Key};
use crate::functions::KeyedCoProcessFunction;
use crate::guard::at_record;
use crate::operators::keyed::Backend;
use crate::operators::{rows_of, timestamp_at};
use crate::output::{Collector, SideOutputs};
use crate::stream::keyed::SharedSelector;
use crate::time::TimeDomain;

/// Any number of results for each record of either input.
pub(crate) struct CoFlatMap<A, B, U, F, G> {
    pub first: F,
    pub second: G,
    pub collector: Collector<U>,
    pub of: PhantomData<fn(A, B)>,
}

impl<A, B, U, F, G> Operator for CoFlatMap<A, B, U, F, G>
where
    A: Data,
    B: Data,
    U: Data,
    F: FnMut(A, &mut Collector<U>) + Send,
    G: FnMut(B, &mut Collector<U>) + Send,
{
    fn records(
        &mut self,
        port: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if port == 0 {
            each(records, &mut self.first, &mut self.collector)?;
        } else {
            each(records, &mut self.second, &mut self.collector)?;
        }
        self.collector.flush(out)
    }
}

fn each<T: Data, U: Data>(
    records: Records,
    function: &mut impl FnMut(T, &mut Collector<U>),
    collector: &mut Collector<U>,
) -> Result<(), DataflowError> {
    let (rows, timestamps, _) = rows_of::<T>(records)?;
    for (index, row) in rows.into_iter().enumerate() {
        at_record(index);
        collector.set_timestamp(timestamp_at(&timestamps, index));
        function(row, collector);
    }
    Ok(())
}

/// A [`KeyedCoProcessFunction`].
pub(crate) struct KeyedCoProcess<K, A, B, U, F> {
    first: SharedSelector<K, A>,
    second: SharedSelector<K, B>,
    function: F,
    backend: Backend<K>,
    collector: Collector<U>,
    sides: SideOutputs,
}

impl<K, A, B, U, F> KeyedCoProcess<K, A, B, U, F>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    F: KeyedCoProcessFunction<K, A, B, U>,
{
    pub fn new(
        mut function: F,
        first: SharedSelector<K, A>,
        second: SharedSelector<K, B>,
        sides: SideOutputs,
        instance: &Instance,
    ) -> Result<Self, DataflowError> {
        let mut backend = Backend::new();
        backend.open(instance, |context| function.open(context))?;
        Ok(Self {
            first,
            second,
            function,
            backend,
            collector: Collector::new(),
            sides,
        })
    }

    fn first(&mut self, records: Records, instance: &Instance) -> Result<(), DataflowError> {
        let (rows, timestamps, routing) = rows_of::<A>(records)?;
        self.backend.resolve(self.first.as_ref(), &rows, routing);
        for (index, row) in rows.into_iter().enumerate() {
            at_record(index);
            let (timestamp, slot) = (timestamp_at(&timestamps, index), self.backend.slots[index]);
            self.collector.set_timestamp(timestamp);
            if let Some(mut context) = self.backend.context(slot, timestamp, instance, &mut self.sides) {
                self.function
                    .process_element1(row, &mut context, &mut self.collector)?;
            }
        }
        Ok(())
    }

    fn second(&mut self, records: Records, instance: &Instance) -> Result<(), DataflowError> {
        let (rows, timestamps, routing) = rows_of::<B>(records)?;
        self.backend.resolve(self.second.as_ref(), &rows, routing);
        for (index, row) in rows.into_iter().enumerate() {
            at_record(index);
            let (timestamp, slot) = (timestamp_at(&timestamps, index), self.backend.slots[index]);
            self.collector.set_timestamp(timestamp);
            if let Some(mut context) = self.backend.context(slot, timestamp, instance, &mut self.sides) {
                self.function
                    .process_element2(row, &mut context, &mut self.collector)?;
            }
        }
        Ok(())
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
        self.collector.flush(out)?;
        self.sides.flush(out)
    }
}

impl<K, A, B, U, F> Operator for KeyedCoProcess<K, A, B, U, F>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    F: KeyedCoProcessFunction<K, A, B, U>,
{
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if port == 0 {
            self.first(records, instance)?;
        } else {
            self.second(records, instance)?;
        }
        self.backend.end_batch();
        self.collector.flush(out)?;
        self.sides.flush(out)
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
