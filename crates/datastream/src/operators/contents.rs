//! What a window holds: a running result, an accumulator, or the records themselves.

use std::marker::PhantomData;

use millstream_state::StateValue;

use crate::data::Data;
use crate::error::Result;
use crate::functions::{AggregateFunction, ProcessWindowFunction};
use crate::operators::context::WindowContext;
use crate::output::Collector;
use crate::window::Evictor;

/// What a window holds and gives.
pub(crate) trait Contents<K, T, U: Data>: Send {
    type Held: StateValue;
    fn add(&mut self, held: &mut Option<Self::Held>, value: T, timestamp: i64);
    fn merge(&mut self, a: Self::Held, b: Self::Held) -> Self::Held;
    fn fire(
        &mut self,
        key: &K,
        held: &mut Self::Held,
        ctx: &mut WindowContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;
}

/// A running value of the records' own type.
#[derive(Clone)]
pub(crate) struct Reduce<F>(pub F);

impl<K, T, F> Contents<K, T, T> for Reduce<F>
where
    T: Data + StateValue,
    F: FnMut(T, T) -> T + Send,
{
    type Held = T;

    fn add(&mut self, held: &mut Option<T>, value: T, _: i64) {
        *held = Some(match held.take() {
            Some(before) => (self.0)(before, value),
            None => value,
        });
    }

    fn merge(&mut self, a: T, b: T) -> T {
        (self.0)(a, b)
    }

    fn fire(&mut self, _: &K, held: &mut T, _: &mut WindowContext<'_>, out: &mut Collector<T>) -> Result<()> {
        out.collect(held.clone());
        Ok(())
    }
}

/// The same, with a function over the result when the window fires.
#[derive(Clone)]
pub(crate) struct ReduceThen<F, P>(pub F, pub P);

impl<K, T, U, F, P> Contents<K, T, U> for ReduceThen<F, P>
where
    T: Data + StateValue,
    U: Data,
    F: FnMut(T, T) -> T + Send,
    P: ProcessWindowFunction<K, T, U>,
{
    type Held = T;

    fn add(&mut self, held: &mut Option<T>, value: T, _: i64) {
        *held = Some(match held.take() {
            Some(before) => (self.0)(before, value),
            None => value,
        });
    }

    fn merge(&mut self, a: T, b: T) -> T {
        (self.0)(a, b)
    }

    fn fire(
        &mut self,
        key: &K,
        held: &mut T,
        ctx: &mut WindowContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.1.process(key, ctx, std::slice::from_ref(held), out)
    }
}

/// An accumulator.
#[derive(Clone)]
pub(crate) struct Aggregate<F>(pub F);

impl<K, T, U, F> Contents<K, T, U> for Aggregate<F>
where
    U: Data,
    F: AggregateFunction<T, U>,
{
    type Held = F::Accumulator;

    fn add(&mut self, held: &mut Option<F::Accumulator>, value: T, _: i64) {
        let function = &self.0;
        function.add(held.get_or_insert_with(|| function.create_accumulator()), value);
    }

    fn merge(&mut self, a: F::Accumulator, b: F::Accumulator) -> F::Accumulator {
        self.0.merge(a, b)
    }

    fn fire(
        &mut self,
        _: &K,
        held: &mut F::Accumulator,
        _: &mut WindowContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        out.collect(self.0.get_result(held));
        Ok(())
    }
}

impl<F: Clone, P: Clone, V> Clone for AggregateThen<F, P, V> {
    fn clone(&self) -> Self {
        Self {
            function: self.function.clone(),
            process: self.process.clone(),
            of: PhantomData,
        }
    }
}

/// An accumulator, with a function over its result when the window fires.
pub(crate) struct AggregateThen<F, P, V> {
    pub function: F,
    pub process: P,
    pub of: PhantomData<fn() -> V>,
}

impl<K, T, U, V, F, P> Contents<K, T, U> for AggregateThen<F, P, V>
where
    U: Data,
    V: 'static,
    F: AggregateFunction<T, V>,
    P: ProcessWindowFunction<K, V, U>,
{
    type Held = F::Accumulator;

    fn add(&mut self, held: &mut Option<F::Accumulator>, value: T, _: i64) {
        let function = &self.function;
        function.add(held.get_or_insert_with(|| function.create_accumulator()), value);
    }

    fn merge(&mut self, a: F::Accumulator, b: F::Accumulator) -> F::Accumulator {
        self.function.merge(a, b)
    }

    fn fire(
        &mut self,
        key: &K,
        held: &mut F::Accumulator,
        ctx: &mut WindowContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let result = self.function.get_result(held);
        self.process.process(key, ctx, std::slice::from_ref(&result), out)
    }
}

/// The records themselves.
#[derive(Clone)]
pub(crate) struct All<P>(pub P);

impl<K, T, U, P> Contents<K, T, U> for All<P>
where
    T: Data + StateValue,
    U: Data,
    P: ProcessWindowFunction<K, T, U>,
{
    type Held = Vec<T>;

    fn add(&mut self, held: &mut Option<Vec<T>>, value: T, _: i64) {
        held.get_or_insert_default().push(value);
    }

    fn merge(&mut self, mut a: Vec<T>, mut b: Vec<T>) -> Vec<T> {
        a.append(&mut b);
        a
    }

    fn fire(
        &mut self,
        key: &K,
        held: &mut Vec<T>,
        ctx: &mut WindowContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.0.process(key, ctx, held, out)
    }
}

/// The records themselves, some of which an evictor drops.
#[derive(Clone)]
pub(crate) struct Evicting<E, P>(pub E, pub P);

impl<K, T, U, E, P> Contents<K, T, U> for Evicting<E, P>
where
    T: Data + StateValue,
    U: Data,
    E: Evictor<T>,
    P: ProcessWindowFunction<K, T, U>,
{
    type Held = Vec<(T, i64)>;

    fn add(&mut self, held: &mut Option<Vec<(T, i64)>>, value: T, timestamp: i64) {
        held.get_or_insert_default().push((value, timestamp));
    }

    fn merge(&mut self, mut a: Vec<(T, i64)>, mut b: Vec<(T, i64)>) -> Vec<(T, i64)> {
        a.append(&mut b);
        a
    }

    fn fire(
        &mut self,
        key: &K,
        held: &mut Vec<(T, i64)>,
        ctx: &mut WindowContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let window = ctx.window();
        self.0.evict_before(held, window);
        let rows: Vec<T> = held.iter().map(|(row, _)| row.clone()).collect();
        self.1.process(key, ctx, &rows, out)?;
        self.0.evict_after(held, window);
        Ok(())
    }
}
