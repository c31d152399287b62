//! Two streams in one operator.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_dataflow::{OperatorFactory, Partitioning};
use millstream_state::StateValue;

use crate::data::{Data, Key};
use crate::functions::{
    BroadcastProcessFunction, CoProcessFunction, KeyedBroadcastProcessFunction, KeyedCoProcessFunction,
};
use crate::graph::{Instances, Node, NodeKind, Stateful};
use crate::operators::batch::{AfterRules, Factories, KeyedInput, keyed_factories};
use crate::operators::broadcast::{BroadcastProcess, KeyedAndRules, Rules};
use crate::operators::checkpointed::RestoresAll;
use crate::operators::connect::{CoFlatMap, CoProcess, TwoInputs};
use crate::operators::keyed::KeyedOperator;
use crate::operators::{Outputs, factory};
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
        self.then("Co-Flat Map", factory((first, second), make), SideTags::default())
    }

    /// Runs a function with side outputs over the records of both.
    pub fn process<U: Data>(&self, function: impl CoProcessFunction<A, B, U>) -> DataStream<U> {
        let sides = SideTags::default();
        let own = sides.clone();
        let make = move |function, _: &_| {
            Ok(CoProcess::<A, B, U, _> {
                function,
                outputs: Outputs::new(own.buffers()),
                of: PhantomData,
            })
        };
        self.then("Co-Process", factory(function, make), sides)
    }

    /// Adds an operator over both.
    fn then<U: Data>(
        &self,
        name: &str,
        operator: Arc<dyn OperatorFactory>,
        sides: SideTags,
    ) -> DataStream<U> {
        let mut inputs = self.first.inputs(0);
        inputs.extend(self.second.inputs(1));
        let instances = if self.first.partitioning == Partitioning::Single {
            Instances::One
        } else {
            Instances::AsInput
        };
        let mut node = Node::new(name, NodeKind::Operator(operator), inputs).instances(instances);
        node.sides = sides;
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
        let keyed_inputs = vec![KeyedInput::by(&first), KeyedInput::by(&second)];
        let make = move |function, instance: &_| {
            let inputs = TwoInputs {
                first: Arc::clone(&first),
                second: Arc::clone(&second),
                function,
            };
            KeyedOperator::<K, U, _>::new(inputs, own.buffers(), instance)
        };
        let factories = keyed_factories(function, keyed_inputs, make);
        let inputs = vec![self.first.hashed.input(0), self.second.hashed.input(1)];
        let mut node = self
            .first
            .node("Keyed Co-Process", Stateful::KeyedCoProcess, factories, inputs);
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
        let keyed_inputs = vec![KeyedInput::by(&selector), KeyedInput::broadcast()];
        let make = move |function, instance: &_| {
            let inputs = KeyedAndRules::<K, T, B, BK, BV, _> {
                selector: Arc::clone(&selector),
                function,
                rules: Rules::new(),
                of: PhantomData,
            };
            KeyedOperator::<K, U, _>::new(inputs, own.buffers(), instance)
        };
        let factories = keyed_factories(function, keyed_inputs, make);
        let mut inputs = vec![self.stream.hashed.input(0)];
        inputs.extend(self.rules.0.inputs(1));
        let mut node = self.stream.node(
            "Keyed Broadcast Process",
            Stateful::KeyedBroadcast,
            factories,
            inputs,
        );
        node.sides = sides;
        self.stream.hashed.env.add(node)
    }
}

/// A stream without keys beside a broadcast one.
pub struct BroadcastConnectedStream<T, B> {
    stream: DataStream<T>,
    rules: BroadcastStream<B>,
}

impl<T: Data, B: Data> BroadcastConnectedStream<T, B> {
    pub(crate) fn new(stream: DataStream<T>, rules: BroadcastStream<B>) -> Self {
        Self { stream, rules }
    }

    /// Runs a function over both: it reads the broadcast state for records, and changes it for broadcast ones.
    pub fn process<BK, BV, U>(
        &self,
        function: impl BroadcastProcessFunction<T, B, BK, BV, U>,
    ) -> DataStream<U>
    where
        BK: StateValue + Ord,
        BV: StateValue,
        U: Data,
    {
        let sides = SideTags::default();
        let own = sides.clone();
        let make = move |function, _: &_| {
            Ok(BroadcastProcess::<T, B, BK, BV, U, _> {
                function,
                rules: Rules::new(),
                outputs: Outputs::new(own.buffers()),
                of: PhantomData,
            })
        };
        let make_after = {
            let make = make.clone();
            move |function, instance: &_| make(function, instance).map(AfterRules::new)
        };
        let factories = Factories {
            batch: Some(factory(function.clone(), make_after)),
            // Every instance reads the state of any: there may be more instances than before.
            streaming: Arc::new(RestoresAll(factory(function, make))),
        };
        let mut inputs = self.stream.inputs(0);
        inputs.extend(self.rules.0.inputs(1));
        let instances = self.stream.instances();
        let mut node = Node::operator("Broadcast Process", factories, inputs)
            .stateful(Stateful::Broadcast)
            .instances(instances);
        node.sides = sides;
        self.stream.env.add(node)
    }
}
