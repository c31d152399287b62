//! A keyed stream beside a broadcast one, whose state is the same in every instance.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::StateValue;
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::{Records, Watermark};

use crate::data::{Data, Key};
use crate::functions::KeyedBroadcastProcessFunction;
use crate::guard::at_record;
use crate::operators::context::{Context, ReadOnlyContext};
use crate::operators::keyed::Backend;
use crate::operators::{rows_of, timestamp_at};
use crate::output::{Collector, SideOutputs};
use crate::stream::keyed::SharedSelector;
use crate::time::TimeDomain;

const BLOCK: &str = "broadcast";

/// A [`KeyedBroadcastProcessFunction`].
pub(crate) struct KeyedBroadcast<K, T, B, BK, BV, U, F> {
    selector: SharedSelector<K, T>,
    function: F,
    backend: Backend<K>,
    broadcast: BTreeMap<BK, BV>,
    collector: Collector<U>,
    sides: SideOutputs,
    of: PhantomData<fn(B)>,
}

impl<K, T, B, BK, BV, U, F> KeyedBroadcast<K, T, B, BK, BV, U, F>
where
    K: Key,
    T: Data,
    B: Data,
    BK: StateValue + Ord,
    BV: StateValue,
    U: Data,
    F: KeyedBroadcastProcessFunction<K, T, B, BK, BV, U>,
{
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
            broadcast: BTreeMap::new(),
            collector: Collector::new(),
            sides,
            of: PhantomData,
        })
    }

    fn elements(&mut self, records: Records, instance: &Instance) -> Result<(), DataflowError> {
        let (rows, timestamps, routing) = rows_of::<T>(records)?;
        self.backend.resolve(self.selector.as_ref(), &rows, routing);
        for (index, row) in rows.into_iter().enumerate() {
            at_record(index);
            let (timestamp, slot) = (timestamp_at(&timestamps, index), self.backend.slots[index]);
            self.collector.set_timestamp(timestamp);
            if let Some(keyed) = self.backend.context(slot, timestamp, instance, &mut self.sides) {
                let mut context = ReadOnlyContext {
                    keyed,
                    broadcast: &self.broadcast,
                };
                self.function
                    .process_element(row, &mut context, &mut self.collector)?;
            }
        }
        self.backend.end_batch();
        Ok(())
    }

    fn rules(&mut self, records: Records, instance: &Instance) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<B>(records)?;
        for (index, row) in rows.into_iter().enumerate() {
            at_record(index);
            let timestamp = timestamp_at(&timestamps, index);
            self.collector.set_timestamp(timestamp);
            let mut context = Context {
                timestamp,
                watermark: instance.watermark.0,
                now_ms: instance.now_ms,
                sides: &mut self.sides,
            };
            self.function.process_broadcast_element(
                row,
                &mut self.broadcast,
                &mut context,
                &mut self.collector,
            )?;
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

impl<K, T, B, BK, BV, U, F> Operator for KeyedBroadcast<K, T, B, BK, BV, U, F>
where
    K: Key,
    T: Data,
    B: Data,
    BK: StateValue + Ord,
    BV: StateValue,
    U: Data,
    F: KeyedBroadcastProcessFunction<K, T, B, BK, BV, U>,
{
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if port == 0 {
            self.elements(records, instance)?;
        } else {
            self.rules(records, instance)?;
        }
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
        let mut blocks = self.backend.snapshot(scope)?;
        blocks.push(BLOCK, encode_value(&self.broadcast)?);
        Ok(blocks)
    }

    /// Every instance has the same broadcast state: any one part will do.
    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        if let Some(bytes) = blocks.iter().find_map(|part| part.get(BLOCK)) {
            self.broadcast = decode_value(BLOCK, bytes)?;
        }
        self.backend.restore(&blocks, instance).map(|_| ())
    }

    fn state_bytes(&self) -> usize {
        self.backend.memory_size()
    }
}
