//! A stream beside a broadcast one, whose state is the same in every instance.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::StateValue;
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::Records;

use crate::data::{Data, Key};
use crate::error::Result;
use crate::functions::{BroadcastProcessFunction, KeyedBroadcastProcessFunction};
use crate::operators::Outputs;
use crate::operators::context::{BroadcastContext, OnTimerContext, ReadOnlyContext};
use crate::operators::keyed::{Keyed, KeyedInputs};
use crate::output::Collector;
use crate::state::RuntimeContext;
use crate::stream::keyed::SharedSelector;

const BLOCK: &str = "broadcast";

/// The broadcast state of an instance.
pub(crate) struct Rules<BK, BV>(BTreeMap<BK, BV>);

impl<BK: StateValue + Ord, BV: StateValue> Rules<BK, BV> {
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn snapshot(&self, blocks: &mut StateBlocks) -> Result<(), DataflowError> {
        blocks.push(BLOCK, encode_value(&self.0)?);
        Ok(())
    }

    /// Every instance has the same broadcast state: any one part will do.
    fn restore(&mut self, parts: &[StateBlocks]) -> Result<(), DataflowError> {
        if let Some(bytes) = parts.iter().find_map(|part| part.get(BLOCK)) {
            self.0 = decode_value(BLOCK, bytes)?;
        }
        Ok(())
    }
}

/// The inputs of a [`KeyedBroadcastProcessFunction`].
pub(crate) struct KeyedAndRules<K, T, B, BK, BV, F> {
    pub selector: SharedSelector<K, T>,
    pub function: F,
    pub rules: Rules<BK, BV>,
    pub of: PhantomData<fn(B)>,
}

impl<K, T, B, BK, BV, U, F> KeyedInputs<K, U> for KeyedAndRules<K, T, B, BK, BV, F>
where
    K: Key,
    T: Data,
    B: Data,
    BK: StateValue + Ord,
    BV: StateValue,
    U: Data,
    F: KeyedBroadcastProcessFunction<K, T, B, BK, BV, U>,
{
    fn open(&mut self, context: &mut RuntimeContext<'_>) -> Result<()> {
        self.function.open(context)
    }

    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        keyed: &mut Keyed<K, U>,
    ) -> Result<(), DataflowError> {
        let (function, rules) = (&mut self.function, &mut self.rules.0);
        if port == 0 {
            keyed.each(records, self.selector.as_ref(), instance, |row, keyed, out| {
                let mut context = ReadOnlyContext {
                    keyed,
                    broadcast: rules,
                };
                function.process_element(row, &mut context, out)
            })
        } else {
            keyed.outputs.each(records, instance, |row: B, context, out| {
                function.process_broadcast_element(row, rules, context, out)
            })
        }
    }

    fn on_timer(
        &mut self,
        time_ms: i64,
        context: &mut OnTimerContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.function.on_timer(time_ms, context, out)
    }

    fn snapshot(&self, blocks: &mut StateBlocks) -> Result<(), DataflowError> {
        self.rules.snapshot(blocks)
    }

    fn restore(&mut self, parts: &[StateBlocks]) -> Result<(), DataflowError> {
        self.rules.restore(parts)
    }
}

/// A [`BroadcastProcessFunction`].
pub(crate) struct BroadcastProcess<T, B, BK, BV, U, F> {
    pub function: F,
    pub rules: Rules<BK, BV>,
    pub outputs: Outputs<U>,
    pub of: PhantomData<fn(T, B)>,
}

impl<T, B, BK, BV, U, F> Operator for BroadcastProcess<T, B, BK, BV, U, F>
where
    T: Data,
    B: Data,
    BK: StateValue + Ord,
    BV: StateValue,
    U: Data,
    F: BroadcastProcessFunction<T, B, BK, BV, U>,
{
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (function, rules) = (&mut self.function, &mut self.rules.0);
        if port == 0 {
            self.outputs.each(records, instance, |row: T, plain, out| {
                let mut context = BroadcastContext {
                    plain,
                    broadcast: rules,
                };
                function.process_element(row, &mut context, out)
            })?;
        } else {
            self.outputs.each(records, instance, |row: B, context, out| {
                function.process_broadcast_element(row, rules, context, out)
            })?;
        }
        self.outputs.flush(out)
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut blocks = StateBlocks::new();
        self.rules.snapshot(&mut blocks)?;
        Ok(blocks)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Instance) -> Result<(), DataflowError> {
        self.rules.restore(&blocks)
    }
}
