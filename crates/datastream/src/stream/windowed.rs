//! Keyed streams grouped by windows.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use millstream_state::StateValue;

use crate::data::{Data, Key};
use crate::functions::{AggregateFunction, ProcessWindowFunction};
use crate::graph::Stateful;
use crate::operators::batch::{KeyedInput, keyed_factories};
use crate::operators::contents::{Aggregate, AggregateThen, All, Contents, Evicting, Reduce, ReduceThen};
use crate::operators::window::{WindowOperator, WindowSettings};
use crate::output::OutputTag;
use crate::stream::data_stream::DataStream;
use crate::stream::keyed::KeyedStream;
use crate::window::{Evictor, Trigger, WindowAssigner};

/// Records of a key in windows; a function over the windows makes a stream of it again.
pub struct WindowedStream<K, T, A, Tr> {
    input: KeyedStream<K, T>,
    assigner: A,
    trigger: Tr,
    settings: WindowSettings<T>,
}

impl<K, T, A, Tr> WindowedStream<K, T, A, Tr>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
{
    pub(crate) fn new(input: KeyedStream<K, T>, assigner: A, trigger: Tr) -> Self {
        Self {
            input,
            assigner,
            trigger,
            settings: WindowSettings {
                allowed_lateness_ms: 0,
                late: None,
            },
        }
    }

    /// Fires the windows otherwise than the assigner does.
    pub fn trigger<Other: Trigger<T>>(self, trigger: Other) -> WindowedStream<K, T, A, Other> {
        WindowedStream {
            input: self.input,
            assigner: self.assigner,
            trigger,
            settings: self.settings,
        }
    }

    /// Drops records of a window before its function sees them. The window then keeps its records, not a running result.
    pub fn evictor<E: Evictor<T>>(self, evictor: E) -> EvictingStream<K, T, A, Tr, E> {
        EvictingStream {
            windows: self,
            evictor,
        }
    }

    /// Windows stay for so long after their end, and fire again for each record that comes in that time.
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.settings.allowed_lateness_ms = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// Where records go that come too late for all their windows; without it they are counted and dropped.
    pub fn side_output_late_data(mut self, tag: OutputTag<T>) -> Self {
        self.settings.late = Some(tag);
        self
    }

    fn with<U: Data, C>(self, name: &str, kind: Stateful, contents: C) -> DataStream<U>
    where
        C: Contents<K, T, U> + Clone + 'static,
    {
        let Self {
            input,
            assigner,
            trigger,
            settings,
        } = self;
        let selector = Arc::clone(&input.selector);
        input.then(name, kind, |sides| {
            let sides = sides.clone();
            let inputs = vec![KeyedInput::by(&selector)];
            let make = move |(assigner, trigger, contents, settings): (A, Tr, C, WindowSettings<T>),
                             _: &_| {
                WindowOperator::new(
                    assigner,
                    trigger,
                    contents,
                    settings,
                    Arc::clone(&selector),
                    sides.buffers(),
                )
            };
            keyed_factories((assigner, trigger, contents, settings), inputs, make)
        })
    }

    /// Adds the records of a window to one.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use millstream_datastream::*;
    /// # use millstream_datastream::window::TumblingProcessingTimeWindows;
    /// # fn example(words: DataStream<(String, i64)>) {
    /// let counts = words
    ///     .key_by_ref(|(word, _)| word)
    ///     .window(TumblingProcessingTimeWindows::of(Duration::from_secs(10)))
    ///     .reduce(|a, b| (a.0, a.1 + b.1));
    /// # }
    /// ```
    pub fn reduce<F>(self, reduce: F) -> DataStream<T>
    where
        T: StateValue,
        F: FnMut(T, T) -> T + Clone + Send + 'static,
    {
        self.with("Window(Reduce)", Stateful::WindowReduce, Reduce(reduce))
    }

    /// As [`WindowedStream::reduce`]; `process` sees the result with its window.
    pub fn reduce_process<U: Data, F>(
        self,
        reduce: F,
        process: impl ProcessWindowFunction<K, T, U>,
    ) -> DataStream<U>
    where
        T: StateValue,
        F: FnMut(T, T) -> T + Clone + Send + 'static,
    {
        self.with(
            "Window(Reduce)",
            Stateful::WindowReduce,
            ReduceThen(reduce, process),
        )
    }

    /// Adds the records of a window to an accumulator.
    pub fn aggregate<U: Data>(self, function: impl AggregateFunction<T, U>) -> DataStream<U> {
        self.with(
            "Window(Aggregate)",
            Stateful::WindowAggregate,
            Aggregate(function),
        )
    }

    /// As [`WindowedStream::aggregate`]; `process` sees the result with its window.
    pub fn aggregate_process<V: Data, U: Data>(
        self,
        function: impl AggregateFunction<T, V>,
        process: impl ProcessWindowFunction<K, V, U>,
    ) -> DataStream<U> {
        self.with(
            "Window(Aggregate)",
            Stateful::WindowAggregate,
            AggregateThen {
                function,
                process,
                of: PhantomData,
            },
        )
    }

    /// Gives a function all records of a window.
    pub fn process<U: Data>(self, process: impl ProcessWindowFunction<K, T, U>) -> DataStream<U>
    where
        T: StateValue,
    {
        self.with("Window(Process)", Stateful::WindowRecords, All(process))
    }

    /// Sums a number of each record into the first record of the window.
    pub fn sum_by<N>(self, number: fn(&mut T) -> &mut N) -> DataStream<T>
    where
        T: StateValue,
        N: std::ops::AddAssign + Copy + 'static,
    {
        self.reduce(move |mut a: T, mut b: T| {
            *number(&mut a) += *number(&mut b);
            a
        })
    }

    /// The record of the window with the smallest number; of equal ones the first.
    pub fn min_by<N: PartialOrd + 'static>(self, number: fn(&T) -> N) -> DataStream<T>
    where
        T: StateValue,
    {
        self.reduce(move |a: T, b: T| if number(&b) < number(&a) { b } else { a })
    }

    /// The record of the window with the largest number; of equal ones the first.
    pub fn max_by<N: PartialOrd + 'static>(self, number: fn(&T) -> N) -> DataStream<T>
    where
        T: StateValue,
    {
        self.reduce(move |a: T, b: T| if number(&b) > number(&a) { b } else { a })
    }
}

/// Windows with an evictor.
pub struct EvictingStream<K, T, A, Tr, E> {
    windows: WindowedStream<K, T, A, Tr>,
    evictor: E,
}

impl<K, T, A, Tr, E> EvictingStream<K, T, A, Tr, E>
where
    K: Key,
    T: Data + StateValue,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    E: Evictor<T>,
{
    /// Gives a function the records of a window that the evictor has left.
    pub fn process<U: Data>(self, process: impl ProcessWindowFunction<K, T, U>) -> DataStream<U> {
        self.windows.with(
            "Window(Process)",
            Stateful::EvictingWindow,
            Evicting(self.evictor, process),
        )
    }

    /// Adds the records of a window that the evictor has left to one.
    pub fn reduce<F>(self, reduce: F) -> DataStream<T>
    where
        F: FnMut(T, T) -> T + Clone + Send + 'static,
    {
        let mut reduce = reduce;
        self.process(
            move |_: &K,
                  _: &mut crate::operators::context::WindowContext<'_>,
                  rows: &[T],
                  out: &mut crate::Collector<T>| {
                if let Some(sum) = rows.iter().cloned().reduce(&mut reduce) {
                    out.collect(sum);
                }
                Ok(())
            },
        )
    }
}
