//! Two streams in one operator.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_dataflow::Partitioning;
use millstream_state::StateValue;

use crate::data::{Data, Key};
use crate::functions::{KeyedBroadcastProcessFunction, KeyedCoProcessFunction};
use crate::graph::{Instances, Node, NodeKind};
use crate::operators::broadcast::KeyedBroadcast;
use crate::operators::connect::{CoFlatMap, KeyedCoProcess};
use crate::operators::factory;
use crate::output::{Collector, SideTags};
use crate::stream::data_stream::DataStream;
use crate::stream::keyed::KeyedStream;

/// Two streams of different types.
pub struct ConnectedStreams<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

impl<A: Data, B: Data> ConnectedStreams<A, B> {
    pub(crate) fn new(first: DataStream<A>, second: DataStream<B>) -> Self {
        Self { first, second }
    }

    /// One result for each record, by the closure of its stream.
    pub fn map<U: Data, F, G>(&self, first: F, second: G) -> DataStream<U>
    where
        F: FnMut(A) -> U + Clone + Send + 'static,
        G: FnMut(B) -> U + Clone + Send + 'static,
    {
        let (mut first, mut second) = (first, second);
        self.flat_map(
            move |a, out| out.collect(first(a)),
            move |b, out| out.collect(second(b)),
        )
        .name("Co-Map")
    }

    /// Any number of results for each record, by the closure of its stream.
    pub fn flat_map<U: Data, F, G>(&self, first: F, second: G) -> DataStream<U>
    where
        F: FnMut(A, &mut Collector<U>) + Clone + Send + 'static,
        G: FnMut(B, &mut Collector<U>) + Clone + Send + 'static,
    {
        let make = |(first, second): (F, G), _: &_| {
            Ok(CoFlatMap {
                first,
                second,
                collector: Collector::new(),
                of: PhantomData,
            })
        };
        let kind = NodeKind::Operator(factory((first, second), make));
        let mut inputs = self.first.inputs(0);
        inputs.extend(self.second.inputs(1));
        let one = |p: &Partitioning| *p == Partitioning::Single;
        let instances = if one(&self.first.partitioning) {
            Instances::One
        } else {
            Instances::AsInput
        };
        let node = Node::new("Co-Flat Map", kind, inputs).instances(instances);
        self.first.env.add(node)
    }

    /// Partitions both by a key.
    pub fn key_by<K: Key>(
        &self,
        first: impl Fn(&A) -> K + Send + Sync + 'static,
        second: impl Fn(&B) -> K + Send + Sync + 'static,
    ) -> KeyedConnectedStreams<K, A, B> {
        self.first.key_by(first).connect(&self.second.key_by(second))
    }
}

/// Two streams with a common key.
pub struct KeyedConnectedStreams<K, A, B> {
    first: KeyedStream<K, A>,
    second: KeyedStream<K, B>,
}

impl<K: Key, A: Data, B: Data> KeyedConnectedStreams<K, A, B> {
    pub(crate) fn new(first: KeyedStream<K, A>, second: KeyedStream<K, B>) -> Self {
        Self { first, second }
    }

    /// Runs a function with common state and timers over the records of each key of both.
    pub fn process<U: Data>(&self, function: impl KeyedCoProcessFunction<K, A, B, U>) -> DataStream<U> {
        let sides = SideTags::default();
        let own = sides.clone();
        let (first, second) = (
            Arc::clone(&self.first.selector),
            Arc::clone(&self.second.selector),
        );
        let make = move |function, instance: &_| {
            KeyedCoProcess::<K, A, B, U, _>::new(
                function,
                Arc::clone(&first),
                Arc::clone(&second),
                own.buffers(),
                instance,
            )
        };
        let kind = NodeKind::Operator(factory(function, make));
        let inputs = vec![self.first.hashed.input(0), self.second.hashed.input(1)];
        let mut node = self.first.node("Keyed Co-Process", kind, inputs);
        node.sides = sides;
        self.first.hashed.env.add(node)
    }
}

/// A stream whose records every instance of an operator sees.
#[derive(Clone)]
pub struct BroadcastStream<B>(pub(crate) DataStream<B>);

/// A keyed stream beside a broadcast one.
pub struct KeyedBroadcastStream<K, T, B> {
    stream: KeyedStream<K, T>,
    rules: BroadcastStream<B>,
}

impl<K: Key, T: Data, B: Data> KeyedBroadcastStream<K, T, B> {
    pub(crate) fn new(stream: KeyedStream<K, T>, rules: BroadcastStream<B>) -> Self {
        Self { stream, rules }
    }

    /// Runs a function over both: it reads the broadcast state for keyed records, and changes it for broadcast ones.
    pub fn process<BK, BV, U>(
        &self,
        function: impl KeyedBroadcastProcessFunction<K, T, B, BK, BV, U>,
    ) -> DataStream<U>
    where
        BK: StateValue + Ord,
        BV: StateValue,
        U: Data,
    {
        let sides = SideTags::default();
        let own = sides.clone();
        let selector = Arc::clone(&self.stream.selector);
        let make = move |function, instance: &_| {
            KeyedBroadcast::<K, T, B, BK, BV, U, _>::new(
                function,
                Arc::clone(&selector),
                own.buffers(),
                instance,
            )
        };
        let kind = NodeKind::Operator(factory(function, make));
        let mut inputs = vec![self.stream.hashed.input(0)];
        inputs.extend(self.rules.0.inputs(1));
        let mut node = self.stream.node("Keyed Broadcast Process", kind, inputs);
        node.sides = sides;
        self.stream.hashed.env.add(node)
    }
}
