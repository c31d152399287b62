//! Streams with a key.

use std::sync::Arc;

use millstream_dataflow::{Context, DataflowError, Partitioning};
use millstream_state::{KeySlots, StateValue};

use crate::data::{Data, Key, hash_of};
use crate::error::Result;
use crate::functions::KeyedProcessFunction;
use crate::graph::{Input, Instances, Node, Stateful};
use crate::operators::batch::{Factories, KeyedInput, keyed_factories, sorted};
use crate::operators::context::{KeyedContext, OnTimerContext};
use crate::operators::factory;
use crate::operators::keyed::{KeyedOperator, OneInput};
use crate::operators::simple::HashKeys;
use crate::output::{Collector, SideTags};
use crate::state::{RuntimeContext, ValueState};
use crate::stream::data_stream::DataStream;
use crate::stream::joined::IntervalJoined;
use crate::stream::windowed::{EvictingStream, WindowedStream};
use crate::window::{CountEvictor, CountTrigger, GlobalWindows, PurgingTrigger, WindowAssigner};

/// Finds the keys of whole batches: one call a batch, whatever the closure is.
pub(crate) trait KeySelector<K, T>: Send + Sync {
    fn hash(&self, rows: &[T], hashes: &mut Vec<u64>);
    /// Puts the slot of each row into `found`.
    fn intern(&self, rows: &[T], hashes: &[u64], slots: &mut KeySlots<K>, found: &mut Vec<u32>);
}

pub(crate) type SharedSelector<K, T> = Arc<dyn KeySelector<K, T>>;

/// A closure that makes the key.
struct Owned<F>(F);

impl<K: Key, T, F: Fn(&T) -> K + Send + Sync> KeySelector<K, T> for Owned<F> {
    fn hash(&self, rows: &[T], hashes: &mut Vec<u64>) {
        hashes.extend(rows.iter().map(|row| hash_of(&(self.0)(row))));
    }

    fn intern(&self, rows: &[T], hashes: &[u64], slots: &mut KeySlots<K>, found: &mut Vec<u32>) {
        for (row, hash) in rows.iter().zip(hashes) {
            let key = (self.0)(row);
            let slot = match slots.find(*hash, |known| *known == key) {
                Some(slot) => slot,
                None => slots.insert(*hash, key),
            };
            found.push(slot);
        }
    }
}

/// A closure that finds the key inside the record.
struct ByReference<F>(F);

impl<K: Key, T, F: Fn(&T) -> &K + Send + Sync> KeySelector<K, T> for ByReference<F> {
    fn hash(&self, rows: &[T], hashes: &mut Vec<u64>) {
        hashes.extend(rows.iter().map(|row| hash_of((self.0)(row))));
    }

    fn intern(&self, rows: &[T], hashes: &[u64], slots: &mut KeySlots<K>, found: &mut Vec<u32>) {
        for (row, hash) in rows.iter().zip(hashes) {
            let key = (self.0)(row);
            found.push(slots.intern(*hash, |known| known == key, || key.clone()));
        }
    }
}

/// A stream whose records belong to keys: those of one key are processed by one instance, in order.
pub struct KeyedStream<K, T> {
    pub(crate) hashed: DataStream<T>,
    pub(crate) selector: SharedSelector<K, T>,
    /// One instance for all keys (`window_all`).
    pub(crate) single: bool,
}

impl<K, T> Clone for KeyedStream<K, T> {
    fn clone(&self) -> Self {
        Self {
            hashed: self.hashed.clone(),
            selector: Arc::clone(&self.selector),
            single: self.single,
        }
    }
}

pub(crate) fn key_by<K: Key, T: Data>(
    stream: &DataStream<T>,
    key: impl Fn(&T) -> K + Send + Sync + 'static,
) -> KeyedStream<K, T> {
    keyed(stream, Arc::new(Owned(key)))
}

pub(crate) fn key_by_ref<K: Key, T: Data>(
    stream: &DataStream<T>,
    key: impl Fn(&T) -> &K + Send + Sync + 'static,
) -> KeyedStream<K, T> {
    keyed(stream, Arc::new(ByReference(key)))
}

fn keyed<K: Key, T: Data>(stream: &DataStream<T>, selector: SharedSelector<K, T>) -> KeyedStream<K, T> {
    let own = Arc::clone(&selector);
    let make = move |(), _: &_| {
        Ok(HashKeys {
            selector: Arc::clone(&own),
        })
    };
    let hashed = stream.then("Key", factory((), make), |node| node);
    KeyedStream {
        hashed: hashed.with_partitioning(Partitioning::Hash(Vec::new())),
        selector,
        single: false,
    }
}

/// The operator of a [`KeyedProcessFunction`].
type Processing<K, T, U, F> = KeyedOperator<K, U, OneInput<K, T, F>>;

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// A node of an operator by key.
    pub(crate) fn node(&self, name: &str, kind: Stateful, factories: Factories, inputs: Vec<Input>) -> Node {
        let instances = if self.single {
            Instances::One
        } else {
            Instances::All
        };
        Node::operator(name, factories, inputs)
            .stateful(kind)
            .instances(instances)
    }

    /// Adds an operator over the keyed records.
    pub(crate) fn then<U: Data>(
        &self,
        name: &str,
        kind: Stateful,
        make: impl FnOnce(&SideTags) -> Factories,
    ) -> DataStream<U> {
        let sides = SideTags::default();
        let mut node = self.node(name, kind, make(&sides), vec![self.hashed.input(0)]);
        node.sides = sides;
        self.hashed.env.add(node)
    }

    /// How the operator of a function over this stream is made.
    fn maker<U: Data, F: KeyedProcessFunction<K, T, U>>(
        &self,
        sides: &SideTags,
    ) -> impl Fn(F, &Context) -> Result<Processing<K, T, U, F>, DataflowError> + Clone + Send + Sync + 'static
    {
        let (sides, selector) = (sides.clone(), Arc::clone(&self.selector));
        move |function, instance| {
            let selector = Arc::clone(&selector);
            KeyedOperator::new(OneInput { selector, function }, sides.buffers(), instance)
        }
    }

    fn keyed_input(&self) -> Vec<KeyedInput<K>> {
        vec![KeyedInput::by(&self.selector)]
    }

    /// Runs a function with state and timers over the records of each key.
    ///
    /// ```
    /// # use millstream_datastream::*;
    /// # use millstream_datastream::functions::KeyedProcessFunction;
    /// # use millstream_datastream::context::KeyedContext;
    /// # use millstream_datastream::state::{RuntimeContext, ValueState};
    /// #[derive(Clone, Default)]
    /// struct CountByKey {
    ///     count: ValueState<u64>,
    /// }
    ///
    /// impl KeyedProcessFunction<String, String, (String, u64)> for CountByKey {
    ///     fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
    ///         self.count = ctx.value_state("count")?;
    ///         Ok(())
    ///     }
    ///
    ///     fn process_element(
    ///         &mut self,
    ///         word: String,
    ///         ctx: &mut KeyedContext<'_, String>,
    ///         out: &mut Collector<(String, u64)>,
    ///     ) -> Result<()> {
    ///         let count = self.count.value(ctx).copied().unwrap_or(0) + 1;
    ///         self.count.update(ctx, count);
    ///         out.collect((word, count));
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn process<U: Data>(&self, function: impl KeyedProcessFunction<K, T, U>) -> DataStream<U> {
        self.then("KeyedProcess", Stateful::KeyedProcess, |sides| {
            keyed_factories(function, self.keyed_input(), self.maker(sides))
        })
    }

    /// Adds each record to the value of its key; every record gives the value so far. In BATCH mode each key gives its
    /// last value only.
    pub fn reduce<F>(&self, reduce: F) -> DataStream<T>
    where
        T: StateValue,
        F: FnMut(T, T) -> T + Clone + Send + 'static,
    {
        let value = ValueState::default();
        let running = RunningReduce::<T, F> { reduce, value };
        self.then("Keyed Reduce", Stateful::KeyedReduce, |sides| Factories {
            batch: Some(sorted(
                LastOfReduce(running.clone()),
                self.keyed_input(),
                self.maker(sides),
            )),
            streaming: factory(running, self.maker(sides)),
        })
    }

    /// Groups the records of a key by windows.
    pub fn window<A: WindowAssigner<T>>(&self, assigner: A) -> WindowedStream<K, T, A, A::Trigger> {
        let trigger = assigner.default_trigger();
        WindowedStream::new(self.clone(), assigner, trigger)
    }

    /// Windows of so many records of a key.
    pub fn count_window(
        &self,
        size: u64,
    ) -> WindowedStream<K, T, GlobalWindows, PurgingTrigger<CountTrigger>> {
        self.window(GlobalWindows::create())
            .trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// Windows of the last `size` records of a key, every `slide` records.
    pub fn count_window_sliding(
        &self,
        size: usize,
        slide: u64,
    ) -> EvictingStream<K, T, GlobalWindows, CountTrigger, CountEvictor> {
        self.window(GlobalWindows::create())
            .trigger(CountTrigger::of(slide))
            .evictor(CountEvictor::of(size))
    }

    /// Joins the records of a key with those of another stream whose timestamps lie within bounds, from `-before` to
    /// `after` the own one (both included).
    pub fn interval_join<B: Data>(&self, other: &KeyedStream<K, B>) -> IntervalJoined<K, T, B> {
        IntervalJoined::new(self.clone(), other.clone())
    }

    /// Sums a number of each record into the first record of the key.
    pub fn sum_by<N>(&self, number: fn(&mut T) -> &mut N) -> DataStream<T>
    where
        T: StateValue,
        N: std::ops::AddAssign + Copy + 'static,
    {
        self.reduce(move |mut a: T, mut b: T| {
            *number(&mut a) += *number(&mut b);
            a
        })
    }

    /// The record of the key with the smallest number so far; of equal ones the first.
    pub fn min_by<N: PartialOrd + 'static>(&self, number: fn(&T) -> N) -> DataStream<T>
    where
        T: StateValue,
    {
        self.reduce(move |a: T, b: T| if number(&b) < number(&a) { b } else { a })
    }

    /// The record of the key with the largest number so far; of equal ones the first.
    pub fn max_by<N: PartialOrd + 'static>(&self, number: fn(&T) -> N) -> DataStream<T>
    where
        T: StateValue,
    {
        self.reduce(move |a: T, b: T| if number(&b) > number(&a) { b } else { a })
    }

    /// Joins the keyed stream with one whose records every instance sees.
    pub fn connect_broadcast<B: Data>(
        &self,
        rules: &crate::stream::BroadcastStream<B>,
    ) -> crate::stream::KeyedBroadcastStream<K, T, B> {
        crate::stream::KeyedBroadcastStream::new(self.clone(), rules.clone())
    }

    /// Joins two keyed streams of one key in a function of both.
    pub fn connect<B: Data>(
        &self,
        other: &KeyedStream<K, B>,
    ) -> crate::stream::KeyedConnectedStreams<K, T, B> {
        crate::stream::KeyedConnectedStreams::new(self.clone(), other.clone())
    }
}

#[derive(Clone)]
struct RunningReduce<T, F> {
    reduce: F,
    value: ValueState<T>,
}

impl<T, F> RunningReduce<T, F>
where
    T: Data + StateValue,
    F: FnMut(T, T) -> T,
{
    /// The value of the key with one more record.
    fn add<K>(&mut self, value: T, ctx: &mut KeyedContext<'_, K>) -> T {
        let place = self.value.value_mut(ctx);
        let reduced = match place.take() {
            Some(before) => (self.reduce)(before, value),
            None => value,
        };
        place.insert(reduced).clone()
    }
}

impl<K, T, F> KeyedProcessFunction<K, T, T> for RunningReduce<T, F>
where
    T: Data + StateValue,
    F: FnMut(T, T) -> T + Clone + Send + 'static,
{
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.value = ctx.value_state("reduced")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        value: T,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<T>,
    ) -> Result<()> {
        let reduced = self.add(value, ctx);
        out.collect(reduced);
        Ok(())
    }
}

/// A [`RunningReduce`] whose last value is all that it gives, at the end of time.
#[derive(Clone)]
struct LastOfReduce<T, F>(RunningReduce<T, F>);

impl<K, T, F> KeyedProcessFunction<K, T, T> for LastOfReduce<T, F>
where
    T: Data + StateValue,
    F: FnMut(T, T) -> T + Clone + Send + 'static,
{
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        KeyedProcessFunction::<K, T, T>::open(&mut self.0, ctx)
    }

    fn process_element(
        &mut self,
        value: T,
        ctx: &mut KeyedContext<'_, K>,
        _: &mut Collector<T>,
    ) -> Result<()> {
        self.0.add(value, ctx);
        ctx.register_event_time_timer(i64::MAX);
        Ok(())
    }

    fn on_timer(&mut self, _: i64, ctx: &mut OnTimerContext<'_, K>, out: &mut Collector<T>) -> Result<()> {
        if let Some(last) = self.0.value.clear(ctx) {
            out.collect(last);
        }
        Ok(())
    }
}
