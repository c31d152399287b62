//! Operators with two inputs: functions of a key over both, and plain ones without state.

use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output};
use millstream_types::Records;

use crate::data::{Data, Key};
use crate::error::Result;
use crate::functions::{CoProcessFunction, KeyedCoProcessFunction};
use crate::operators::context::OnTimerContext;
use crate::operators::keyed::{Keyed, KeyedInputs};
use crate::operators::{Outputs, each_collecting};
use crate::output::Collector;
use crate::state::RuntimeContext;
use crate::stream::keyed::SharedSelector;

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
            each_collecting(records, &mut self.first, &mut self.collector)?;
        } else {
            each_collecting(records, &mut self.second, &mut self.collector)?;
        }
        self.collector.flush(out)
    }
}

/// A [`CoProcessFunction`].
pub(crate) struct CoProcess<A, B, U, F> {
    pub function: F,
    pub outputs: Outputs<U>,
    pub of: PhantomData<fn(A, B)>,
}

impl<A: Data, B: Data, U: Data, F: CoProcessFunction<A, B, U>> Operator for CoProcess<A, B, U, F> {
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let function = &mut self.function;
        if port == 0 {
            self.outputs.each(records, instance, |row, context, out| {
                function.process_element1(row, context, out)
            })?;
        } else {
            self.outputs.each(records, instance, |row, context, out| {
                function.process_element2(row, context, out)
            })?;
        }
        self.outputs.flush(out)
    }
}

/// The inputs of a [`KeyedCoProcessFunction`].
pub(crate) struct TwoInputs<K, A, B, F> {
    pub first: SharedSelector<K, A>,
    pub second: SharedSelector<K, B>,
    pub function: F,
}

impl<K, A, B, U, F> KeyedInputs<K, U> for TwoInputs<K, A, B, F>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    F: KeyedCoProcessFunction<K, A, B, U>,
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
        let function = &mut self.function;
        if port == 0 {
            keyed.each(records, self.first.as_ref(), instance, |row, mut context, out| {
                function.process_element1(row, &mut context, out)
            })
        } else {
            keyed.each(
                records,
                self.second.as_ref(),
                instance,
                |row, mut context, out| function.process_element2(row, &mut context, out),
            )
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
}
