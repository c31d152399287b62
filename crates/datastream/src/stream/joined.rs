//! Joins of two streams: by window, and by an interval of time.

use millstream_state::StateValue;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data::{Data, Key};
use crate::error::Result;
use crate::functions::KeyedCoProcessFunction;
use crate::operators::context::{KeyedContext, OnTimerContext, WindowContext};
use crate::output::{Collector, OutputTag};
use crate::state::{MapState, RuntimeContext};
use crate::stream::data_stream::DataStream;
use crate::stream::keyed::KeyedStream;
use crate::window::{Trigger, WindowAssigner};

/// A record of either stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Either<A, B> {
    First(A),
    Second(B),
}

/// Two streams whose records of one key and window are given to a function together.
pub struct CoGrouped<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

impl<A: Data, B: Data> CoGrouped<A, B> {
    pub(crate) fn new(first: DataStream<A>, second: DataStream<B>) -> Self {
        Self { first, second }
    }

    /// The keys of both streams, and the windows.
    pub fn on<K, W>(
        &self,
        first: impl Fn(&A) -> K + Send + Sync + 'static,
        second: impl Fn(&B) -> K + Send + Sync + 'static,
        windows: W,
    ) -> CoGroupedWindows<K, A, B, W>
    where
        K: Key,
        W: WindowAssigner<Either<A, B>>,
    {
        let first_tagged: DataStream<Either<A, B>> = self.first.map(Either::First);
        let second_tagged = self.second.map(Either::Second);
        let keyed = first_tagged.union([second_tagged]).key_by(move |row| match row {
            Either::First(row) => first(row),
            Either::Second(row) => second(row),
        });
        CoGroupedWindows { keyed, windows }
    }
}

/// Two streams in common windows.
pub struct CoGroupedWindows<K, A, B, W> {
    keyed: KeyedStream<K, Either<A, B>>,
    windows: W,
}

impl<K, A, B, W> CoGroupedWindows<K, A, B, W>
where
    K: Key,
    A: Data + StateValue,
    B: Data + StateValue,
    W: WindowAssigner<Either<A, B>>,
{
    /// Gives `function` the records of both streams for each key and window.
    pub fn apply<U: Data, F>(self, function: F) -> DataStream<U>
    where
        F: FnMut(&[A], &[B], &mut Collector<U>) + Clone + Send + 'static,
    {
        let trigger = self.windows.default_trigger();
        self.apply_with(trigger, function)
    }

    /// As [`CoGroupedWindows::apply`], with a trigger.
    pub fn apply_with<U: Data, F, Tr>(self, trigger: Tr, function: F) -> DataStream<U>
    where
        F: FnMut(&[A], &[B], &mut Collector<U>) + Clone + Send + 'static,
        Tr: Trigger<Either<A, B>>,
    {
        let mut function = function;
        self.keyed.window(self.windows).trigger(trigger).process(
            move |_: &K, _: &mut WindowContext<'_>, rows: &[Either<A, B>], out: &mut Collector<U>| {
                let (mut first, mut second) = (Vec::new(), Vec::new());
                for row in rows {
                    match row {
                        Either::First(row) => first.push(row.clone()),
                        Either::Second(row) => second.push(row.clone()),
                    }
                }
                function(&first, &second, out);
                Ok(())
            },
        )
    }
}

/// Two streams whose records of one key and window are joined, each with each.
pub struct Joined<A, B>(CoGrouped<A, B>);

impl<A: Data + StateValue, B: Data + StateValue> Joined<A, B> {
    pub(crate) fn new(first: DataStream<A>, second: DataStream<B>) -> Self {
        Self(CoGrouped::new(first, second))
    }

    /// Joins by keys and windows; `join` makes the result of two records.
    pub fn on<K, W, U, F>(
        &self,
        first: impl Fn(&A) -> K + Send + Sync + 'static,
        second: impl Fn(&B) -> K + Send + Sync + 'static,
        windows: W,
        join: F,
    ) -> DataStream<U>
    where
        K: Key,
        U: Data,
        W: WindowAssigner<Either<A, B>>,
        F: FnMut(&A, &B) -> U + Clone + Send + 'static,
    {
        let mut join = join;
        self.0
            .on(first, second, windows)
            .apply(move |first: &[A], second: &[B], out: &mut Collector<U>| {
                for a in first {
                    for b in second {
                        out.collect(join(a, b));
                    }
                }
            })
            .name("Window Join")
    }
}

/// Two keyed streams that are joined by an interval of event time.
pub struct IntervalJoined<K, A, B> {
    first: KeyedStream<K, A>,
    second: KeyedStream<K, B>,
    lower_ms: i64,
    upper_ms: i64,
    late_first: Option<OutputTag<A>>,
    late_second: Option<OutputTag<B>>,
}

impl<K: Key, A: Data, B: Data> IntervalJoined<K, A, B> {
    pub(crate) fn new(first: KeyedStream<K, A>, second: KeyedStream<K, B>) -> Self {
        Self {
            first,
            second,
            lower_ms: 0,
            upper_ms: 0,
            late_first: None,
            late_second: None,
        }
    }
}

impl<K: Key, A: Data + StateValue, B: Data + StateValue> IntervalJoined<K, A, B> {
    /// The second record's timestamp lies from `lower_ms` to `upper_ms` after the first's, both included.
    pub fn between(mut self, lower_ms: i64, upper_ms: i64) -> Self {
        (self.lower_ms, self.upper_ms) = (lower_ms, upper_ms);
        self
    }

    pub fn lower_bound_exclusive(mut self) -> Self {
        self.lower_ms += 1;
        self
    }

    pub fn upper_bound_exclusive(mut self) -> Self {
        self.upper_ms -= 1;
        self
    }

    /// Where records of the first stream go that come behind the watermark.
    pub fn side_output_left_late_data(mut self, tag: OutputTag<A>) -> Self {
        self.late_first = Some(tag);
        self
    }

    /// Where records of the second stream go that come behind the watermark.
    pub fn side_output_right_late_data(mut self, tag: OutputTag<B>) -> Self {
        self.late_second = Some(tag);
        self
    }

    /// Gives `join` each pair. The result has the later of both timestamps.
    pub fn process<U: Data, F>(self, join: F) -> DataStream<U>
    where
        F: FnMut(&A, &B, &mut Collector<U>) + Clone + Send + 'static,
    {
        let function = IntervalJoin {
            join,
            lower_ms: self.lower_ms,
            upper_ms: self.upper_ms,
            late_first: self.late_first,
            late_second: self.late_second,
            first: MapState::default(),
            second: MapState::default(),
        };
        self.first
            .connect(&self.second)
            .process(function)
            .name("Interval Join")
    }
}

#[derive(Clone)]
struct IntervalJoin<A, B, F> {
    join: F,
    lower_ms: i64,
    upper_ms: i64,
    late_first: Option<OutputTag<A>>,
    late_second: Option<OutputTag<B>>,
    /// By timestamp.
    first: MapState<i64, Vec<A>>,
    second: MapState<i64, Vec<B>>,
}

fn timestamp_of<K>(ctx: &KeyedContext<'_, K>) -> Result<i64> {
    ctx.timestamp().ok_or_else(|| {
        Error::data("Long.MIN_VALUE timestamp: Elements used in interval stream joins need to have timestamps meaningful timestamps.")
    })
}

/// Until when a record may find partners, by how much later those may be.
fn expiry(timestamp: i64, later_ms: i64) -> i64 {
    if later_ms > 0 {
        timestamp.saturating_add(later_ms)
    } else {
        timestamp
    }
}

impl<K, A, B, U, F> KeyedCoProcessFunction<K, A, B, U> for IntervalJoin<A, B, F>
where
    K: Key,
    A: Data + StateValue,
    B: Data + StateValue,
    U: Data,
    F: FnMut(&A, &B, &mut Collector<U>) + Clone + Send + 'static,
{
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.first = ctx.map_state("left-buffer")?;
        self.second = ctx.map_state("right-buffer")?;
        Ok(())
    }

    fn process_element1(
        &mut self,
        a: A,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let timestamp = timestamp_of(ctx)?;
        if timestamp < ctx.current_watermark() {
            if let Some(tag) = self.late_first {
                ctx.output(tag, a);
            }
            return Ok(());
        }
        let (from, to) = (
            timestamp.saturating_add(self.lower_ms),
            timestamp.saturating_add(self.upper_ms),
        );
        let (second, join) = (&self.second, &mut self.join);
        for (time, rows) in second
            .entries(ctx)
            .filter(|(time, _)| (from..=to).contains(*time))
        {
            out.set_timestamp((*time).max(timestamp));
            rows.iter().for_each(|b| join(&a, b, out));
        }
        push(&self.first, ctx, timestamp, a);
        ctx.register_event_time_timer(expiry(timestamp, self.upper_ms));
        Ok(())
    }

    fn process_element2(
        &mut self,
        b: B,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let timestamp = timestamp_of(ctx)?;
        if timestamp < ctx.current_watermark() {
            if let Some(tag) = self.late_second {
                ctx.output(tag, b);
            }
            return Ok(());
        }
        let (from, to) = (
            timestamp.saturating_sub(self.upper_ms),
            timestamp.saturating_sub(self.lower_ms),
        );
        let (first, join) = (&self.first, &mut self.join);
        for (time, rows) in first.entries(ctx).filter(|(time, _)| (from..=to).contains(*time)) {
            out.set_timestamp((*time).max(timestamp));
            rows.iter().for_each(|a| join(a, &b, out));
        }
        push(&self.second, ctx, timestamp, b);
        ctx.register_event_time_timer(expiry(timestamp, -self.lower_ms));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time_ms: i64,
        ctx: &mut OnTimerContext<'_, K>,
        _: &mut Collector<U>,
    ) -> Result<()> {
        let until_first = time_ms - self.upper_ms.max(0);
        let until_second = time_ms - (-self.lower_ms).max(0);
        drop_until(&self.first, ctx, until_first);
        drop_until(&self.second, ctx, until_second);
        Ok(())
    }
}

fn push<K, V: StateValue>(
    buffer: &MapState<i64, Vec<V>>,
    ctx: &mut KeyedContext<'_, K>,
    timestamp: i64,
    value: V,
) {
    let mut rows = buffer.remove(ctx, &timestamp).unwrap_or_default();
    rows.push(value);
    buffer.put(ctx, timestamp, rows);
}

/// Drops what no record to come can join.
fn drop_until<K, V: StateValue>(
    buffer: &MapState<i64, Vec<V>>,
    ctx: &mut OnTimerContext<'_, K>,
    until_ms: i64,
) {
    let over: Vec<i64> = buffer
        .entries(ctx)
        .map(|(time, _)| *time)
        .take_while(|time| *time <= until_ms)
        .collect();
    for time in over {
        buffer.remove(ctx, &time);
    }
}
