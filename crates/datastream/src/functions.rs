//! The traits that functions with state, timers or side outputs implement; plain transformations take closures.

use millstream_state::StateValue;

use crate::data::Data;
use crate::error::{Error, Result};
use crate::operators::context::{
    BroadcastContext, Context, FunctionInitializationContext, FunctionSnapshotContext, KeyedContext,
    OnTimerContext, ReadOnlyContext, WindowContext,
};
use crate::output::Collector;
use crate::state::RuntimeContext;

/// Adds values to an accumulator and gives a result of another type.
///
/// ```
/// # use millstream_datastream::functions::AggregateFunction;
/// #[derive(Clone)]
/// struct Average;
///
/// impl AggregateFunction<f64, f64> for Average {
///     type Accumulator = (f64, u64);
///     fn create_accumulator(&self) -> (f64, u64) {
///         (0.0, 0)
///     }
///     fn add(&self, accumulator: &mut (f64, u64), value: f64) {
///         accumulator.0 += value;
///         accumulator.1 += 1;
///     }
///     fn get_result(&self, accumulator: &(f64, u64)) -> f64 {
///         accumulator.0 / accumulator.1 as f64
///     }
///     fn merge(&self, a: (f64, u64), b: (f64, u64)) -> (f64, u64) {
///         (a.0 + b.0, a.1 + b.1)
///     }
/// }
/// ```
pub trait AggregateFunction<I, O>: Clone + Send + 'static {
    type Accumulator: StateValue + Clone;
    fn create_accumulator(&self) -> Self::Accumulator;
    fn add(&self, accumulator: &mut Self::Accumulator, value: I);
    fn get_result(&self, accumulator: &Self::Accumulator) -> O;
    /// For session windows that grow together.
    fn merge(&self, a: Self::Accumulator, b: Self::Accumulator) -> Self::Accumulator;
    /// Takes a value back that was added earlier. Only queries over tables with updates, and OVER windows, ask for it.
    fn retract(&self, accumulator: &mut Self::Accumulator, value: I) -> Result<()> {
        let _ = (accumulator, value);
        Err(Error::unsupported(
            "the aggregate function cannot take values back: implement 'retract'",
        ))
    }
}

/// A function over single records, with side outputs. An instance of the operator works on a clone.
pub trait ProcessFunction<I, O: Data>: Clone + Send + 'static {
    fn process_element(&mut self, value: I, ctx: &mut Context<'_>, out: &mut Collector<O>) -> Result<()>;
}

/// Operator state: lists of a function that belong to no key. For [`DataStream::process_checkpointed`].
///
/// ```
/// # use millstream_datastream::context::*;
/// # use millstream_datastream::functions::*;
/// # use millstream_datastream::{Collector, Result};
/// /// Gives numbers in pairs; a number without a partner waits.
/// #[derive(Clone, Default)]
/// struct Pairs(Vec<i64>);
///
/// impl ProcessFunction<i64, (i64, i64)> for Pairs {
///     fn process_element(
///         &mut self,
///         n: i64,
///         _: &mut Context<'_>,
///         out: &mut Collector<(i64, i64)>,
///     ) -> Result<()> {
///         match self.0.pop() {
///             Some(first) => out.collect((first, n)),
///             None => self.0.push(n),
///         }
///         Ok(())
///     }
/// }
///
/// impl CheckpointedFunction for Pairs {
///     fn initialize_state(&mut self, ctx: &mut FunctionInitializationContext<'_>) -> Result<()> {
///         self.0 = ctx.list_state("waiting")?;
///         Ok(())
///     }
///
///     fn snapshot_state(&mut self, ctx: &mut FunctionSnapshotContext<'_>) -> Result<()> {
///         ctx.put_list("waiting", &self.0)
///     }
/// }
/// ```
///
/// [`DataStream::process_checkpointed`]: crate::DataStream::process_checkpointed
pub trait CheckpointedFunction {
    /// Called before the first record, and with the state of the checkpoint that the job continues from.
    fn initialize_state(&mut self, ctx: &mut FunctionInitializationContext<'_>) -> Result<()>;

    /// Called at a checkpoint.
    fn snapshot_state(&mut self, ctx: &mut FunctionSnapshotContext<'_>) -> Result<()>;
}

/// A function over the records of a key, with state and timers. An instance of the operator works on a clone.
pub trait KeyedProcessFunction<K, I, O: Data>: Clone + Send + 'static {
    /// Declares states; called before anything else.
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    fn process_element(
        &mut self,
        value: I,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<()>;

    /// A timer of the current key has come due.
    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<()> {
        let _ = (timestamp, ctx, out);
        Ok(())
    }
}

/// A function over the records of two streams, with side outputs.
pub trait CoProcessFunction<A, B, O: Data>: Clone + Send + 'static {
    fn process_element1(&mut self, value: A, ctx: &mut Context<'_>, out: &mut Collector<O>) -> Result<()>;

    fn process_element2(&mut self, value: B, ctx: &mut Context<'_>, out: &mut Collector<O>) -> Result<()>;
}

/// A function over the records of two keyed streams with a common key.
pub trait KeyedCoProcessFunction<K, A, B, O: Data>: Clone + Send + 'static {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    fn process_element1(
        &mut self,
        value: A,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<()>;

    fn process_element2(
        &mut self,
        value: B,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<()>;

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<()> {
        let _ = (timestamp, ctx, out);
        Ok(())
    }
}

/// A function over a keyed stream and a stream of rules that every instance sees.
///
/// `BK` and `BV` are key and value of the broadcast state, which has the same content in every instance; only broadcast
/// records may change it.
pub trait KeyedBroadcastProcessFunction<K, I, B, BK, BV, O: Data>: Clone + Send + 'static {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    fn process_element(
        &mut self,
        value: I,
        ctx: &mut ReadOnlyContext<'_, K, BK, BV>,
        out: &mut Collector<O>,
    ) -> Result<()>;

    fn process_broadcast_element(
        &mut self,
        value: B,
        state: &mut std::collections::BTreeMap<BK, BV>,
        ctx: &mut Context<'_>,
        out: &mut Collector<O>,
    ) -> Result<()>;

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<()> {
        let _ = (timestamp, ctx, out);
        Ok(())
    }
}

/// A function over a stream without keys and a stream of rules that every instance sees.
///
/// `BK` and `BV` are key and value of the broadcast state, as in [`KeyedBroadcastProcessFunction`].
pub trait BroadcastProcessFunction<I, B, BK, BV, O: Data>: Clone + Send + 'static {
    fn process_element(
        &mut self,
        value: I,
        ctx: &mut BroadcastContext<'_, '_, BK, BV>,
        out: &mut Collector<O>,
    ) -> Result<()>;

    fn process_broadcast_element(
        &mut self,
        value: B,
        state: &mut std::collections::BTreeMap<BK, BV>,
        ctx: &mut Context<'_>,
        out: &mut Collector<O>,
    ) -> Result<()>;
}

/// A function over the content of a window when it fires.
pub trait ProcessWindowFunction<K, I, O: Data>: Clone + Send + 'static {
    fn process(
        &mut self,
        key: &K,
        ctx: &mut WindowContext<'_>,
        elements: &[I],
        out: &mut Collector<O>,
    ) -> Result<()>;
}

/// Closures are window functions.
impl<K, I, O: Data, F> ProcessWindowFunction<K, I, O> for F
where
    F: FnMut(&K, &mut WindowContext<'_>, &[I], &mut Collector<O>) -> Result<()> + Clone + Send + 'static,
{
    fn process(
        &mut self,
        key: &K,
        ctx: &mut WindowContext<'_>,
        elements: &[I],
        out: &mut Collector<O>,
    ) -> Result<()> {
        self(key, ctx, elements, out)
    }
}
