//! Complex event processing: sequences of events of a key that fit a pattern, with the semantics of Flink's CEP library.
//!
//! A [`Pattern`] is compiled into a nondeterministic automaton (`compile`) with the states and edges that Flink's compiler
//! makes; `nfa` runs it. Partial matches share their events in a buffer with counted references. Everything is keyed
//! state: it goes through checkpoints and other parallelisms like that of any function. `MATCH_RECOGNIZE` has an automaton
//! of its own, over columns: SQL asks for the first match in the order of its quantifiers, CEP for all matches.

mod buffer;
mod compile;
mod nfa;
mod pattern;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::StateValue;
use serde::{Deserialize, Serialize};

use crate::data::{Data, Key};
use crate::error::{Error, Result};
use crate::functions::KeyedProcessFunction;
use crate::operators::context::{Context, KeyedContext, OnTimerContext};
use crate::output::{Collector, OutputTag};
use crate::state::{RuntimeContext, ValueState};
use crate::stream::{DataStream, KeyedStream};
use crate::time::TimeDomain;

use nfa::{Elapsed, Nfa, Partial};
pub use pattern::{AfterMatchSkipStrategy, MatchContext, Pattern};

/// Events that fit a pattern, by the names of its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Match<T> {
    parts: Vec<(Arc<str>, Vec<T>)>,
}

impl<T> Match<T> {
    /// The events of a part, in order; none if the part is optional and was left out.
    pub fn get(&self, name: &str) -> &[T] {
        let part = self.parts.iter().find(|(part, _)| **part == *name);
        part.map_or(&[], |(_, events)| events)
    }

    /// The first event of a part.
    pub fn first(&self, name: &str) -> Option<&T> {
        self.get(name).first()
    }

    /// Parts that have events, in the order of their first events.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &[T])> {
        self.parts
            .iter()
            .map(|(name, events)| (&**name, events.as_slice()))
    }
}

/// Processes matches. An instance of the operator works on a clone.
pub trait PatternProcessFunction<T, U: Data>: Clone + Send + 'static {
    fn process_match(&mut self, found: Match<T>, ctx: &mut Context<'_>, out: &mut Collector<U>)
    -> Result<()>;

    /// A partial match took longer than the pattern allows. Results go to side outputs.
    fn process_timed_out_match(&mut self, partial: Match<T>, ctx: &mut Context<'_>) -> Result<()> {
        let _ = (partial, ctx);
        Ok(())
    }
}

/// A stream in which a pattern is looked for.
///
/// ```no_run
/// use std::time::Duration;
/// use millstream_datastream::cep::{self, Pattern};
/// # fn example(readings: millstream_datastream::KeyedStream<String, (String, f64)>) -> millstream_datastream::Result<()> {
/// let pattern = Pattern::begin("first")
///     .where_(|reading: &(String, f64)| reading.1 > 100.0)
///     .followed_by("second")
///     .where_(|reading: &(String, f64)| reading.1 > 100.0)
///     .within(Duration::from_secs(10));
/// let alerts = cep::pattern(&readings, pattern)?
///     .select(|found| format!("{:?} then {:?}", found.first("first"), found.first("second")));
/// # Ok(())
/// # }
/// ```
pub struct PatternStream<K, T> {
    stream: KeyedStream<K, T>,
    nfa: Arc<Nfa<T>>,
    time: TimeDomain,
    late: Option<OutputTag<T>>,
}

/// Looks for a pattern in the records of each key, by event time.
pub fn pattern<K: Key, T: Data + StateValue>(
    stream: &KeyedStream<K, T>,
    pattern: Pattern<T>,
) -> Result<PatternStream<K, T>> {
    Ok(PatternStream {
        stream: stream.clone(),
        nfa: Arc::new(pattern.compile()?),
        time: TimeDomain::EventTime,
        late: None,
    })
}

/// Looks for a pattern in all records, in one instance.
pub fn pattern_all<T: Data + StateValue>(
    stream: &DataStream<T>,
    pattern: Pattern<T>,
) -> Result<PatternStream<(), T>> {
    let mut keyed = stream.key_by(|_| ());
    keyed.single = true;
    self::pattern(&keyed, pattern)
}

impl<K: Key, T: Data + StateValue> PatternStream<K, T> {
    /// Takes records as they come, and counts time by the clock.
    pub fn in_processing_time(mut self) -> Self {
        self.time = TimeDomain::ProcessingTime;
        self
    }

    /// Takes records in the order of their timestamps (the default).
    pub fn in_event_time(mut self) -> Self {
        self.time = TimeDomain::EventTime;
        self
    }

    /// Records that are older than the watermark go to a side output of the results.
    pub fn side_output_late_data(mut self, tag: OutputTag<T>) -> Self {
        self.late = Some(tag);
        self
    }

    /// One result for each match.
    pub fn select<U: Data, F>(self, function: F) -> DataStream<U>
    where
        F: FnMut(Match<T>) -> U + Clone + Send + 'static,
    {
        let mut function = function;
        self.flat_select(move |found, out| out.collect(function(found)))
    }

    /// Any number of results for each match.
    pub fn flat_select<U: Data, F>(self, function: F) -> DataStream<U>
    where
        F: FnMut(Match<T>, &mut Collector<U>) + Clone + Send + 'static,
    {
        self.process(Select { function })
    }

    /// One result for each match, and one in a side output for each partial match that took too long. The time is that of
    /// the timeout.
    pub fn select_with_timeout<U: Data, L: Data, F, G>(
        self,
        tag: OutputTag<L>,
        timed_out: G,
        function: F,
    ) -> DataStream<U>
    where
        F: FnMut(Match<T>) -> U + Clone + Send + 'static,
        G: FnMut(Match<T>, i64) -> L + Clone + Send + 'static,
    {
        self.process(SelectWithTimeout {
            tag,
            timed_out,
            function,
        })
    }

    /// Runs a function over the matches.
    pub fn process<U: Data>(self, function: impl PatternProcessFunction<T, U>) -> DataStream<U> {
        let operator = CepFunction {
            nfa: self.nfa,
            time: self.time,
            late: self.late,
            partial: ValueState::default(),
            function,
            of: PhantomData,
        };
        self.stream.process(operator).name("Cep")
    }
}

#[derive(Clone)]
struct Select<F> {
    function: F,
}

impl<T, U: Data, F: FnMut(Match<T>, &mut Collector<U>) + Clone + Send + 'static> PatternProcessFunction<T, U>
    for Select<F>
{
    fn process_match(&mut self, found: Match<T>, _: &mut Context<'_>, out: &mut Collector<U>) -> Result<()> {
        (self.function)(found, out);
        Ok(())
    }
}

struct SelectWithTimeout<L, F, G> {
    tag: OutputTag<L>,
    timed_out: G,
    function: F,
}

impl<L, F: Clone, G: Clone> Clone for SelectWithTimeout<L, F, G> {
    fn clone(&self) -> Self {
        Self {
            tag: self.tag,
            timed_out: self.timed_out.clone(),
            function: self.function.clone(),
        }
    }
}

impl<T, U, L, F, G> PatternProcessFunction<T, U> for SelectWithTimeout<L, F, G>
where
    U: Data,
    L: Data,
    F: FnMut(Match<T>) -> U + Clone + Send + 'static,
    G: FnMut(Match<T>, i64) -> L + Clone + Send + 'static,
{
    fn process_match(&mut self, found: Match<T>, _: &mut Context<'_>, out: &mut Collector<U>) -> Result<()> {
        out.collect((self.function)(found));
        Ok(())
    }

    fn process_timed_out_match(&mut self, partial: Match<T>, ctx: &mut Context<'_>) -> Result<()> {
        let at = ctx.timestamp().unwrap_or_else(|| ctx.current_processing_time());
        let result = (self.timed_out)(partial, at);
        ctx.output(self.tag, result);
        Ok(())
    }
}

/// What is kept of a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: serde::de::DeserializeOwned"))]
struct OfKey<T> {
    partial: Partial<T>,
    /// Events that wait for the watermark, by their timestamps.
    waiting: BTreeMap<i64, Vec<T>>,
}

struct CepFunction<T, F> {
    nfa: Arc<Nfa<T>>,
    time: TimeDomain,
    late: Option<OutputTag<T>>,
    partial: ValueState<OfKey<T>>,
    function: F,
    of: PhantomData<fn(T)>,
}

impl<T, F: Clone> Clone for CepFunction<T, F> {
    fn clone(&self) -> Self {
        Self {
            nfa: Arc::clone(&self.nfa),
            time: self.time,
            late: self.late,
            partial: self.partial.clone(),
            function: self.function.clone(),
            of: PhantomData,
        }
    }
}

/// A match, or a partial match that took too long, with its time.
enum Outcome<T> {
    Found(Match<T>, i64),
    TimedOut(Match<T>, i64),
}

impl<T: Data + StateValue, F> CepFunction<T, F> {
    fn register<K>(&self, ctx: &mut KeyedContext<'_, K>, time_ms: i64) {
        match self.time {
            TimeDomain::EventTime => ctx.register_event_time_timer(time_ms),
            TimeDomain::ProcessingTime => ctx.register_processing_time_timer(time_ms),
        }
    }

    /// Moves the time of a key on, and takes an event in at that time.
    fn advance(
        &self,
        of_key: &mut OfKey<T>,
        now_ms: i64,
        event: Option<T>,
        outcomes: &mut Vec<Outcome<T>>,
    ) -> Option<i64> {
        let Elapsed { timed_out, found } = self.nfa.advance_time(&mut of_key.partial, now_ms);
        outcomes.extend(
            timed_out
                .into_iter()
                .map(|(partial, at)| Outcome::TimedOut(partial, at)),
        );
        outcomes.extend(found.into_iter().map(|found| Outcome::Found(found, now_ms)));
        let event = event?;
        let found = self.nfa.process(&mut of_key.partial, event, now_ms);
        outcomes.extend(found.into_iter().map(|found| Outcome::Found(found, now_ms)));
        self.nfa.window_ms().map(|window| now_ms.saturating_add(window))
    }

    fn emit<K, U: Data>(
        &mut self,
        outcomes: Vec<Outcome<T>>,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()>
    where
        F: PatternProcessFunction<T, U>,
    {
        for outcome in outcomes {
            let (Outcome::Found(_, at) | Outcome::TimedOut(_, at)) = &outcome;
            let timestamp = match self.time {
                TimeDomain::EventTime => *at,
                TimeDomain::ProcessingTime => ctx.timestamp,
            };
            let mut of_match = Context {
                timestamp,
                watermark: ctx.watermark,
                now_ms: ctx.now_ms,
                sides: &mut *ctx.sides,
            };
            match outcome {
                Outcome::Found(found, _) => {
                    out.set_timestamp(timestamp);
                    self.function.process_match(found, &mut of_match, out)?;
                }
                Outcome::TimedOut(partial, _) => {
                    self.function.process_timed_out_match(partial, &mut of_match)?
                }
            }
        }
        Ok(())
    }

    fn taken<K>(&self, ctx: &mut KeyedContext<'_, K>) -> OfKey<T> {
        self.partial.clear(ctx).unwrap_or_else(|| OfKey {
            partial: Partial::default(),
            waiting: BTreeMap::new(),
        })
    }

    /// Keeps what is left of a key, if anything is.
    fn keep<K>(&self, ctx: &mut KeyedContext<'_, K>, of_key: OfKey<T>) {
        if !of_key.partial.is_empty() || !of_key.waiting.is_empty() {
            self.partial.update(ctx, of_key);
        }
    }
}

impl<K: Key, T: Data + StateValue, U: Data, F: PatternProcessFunction<T, U>> KeyedProcessFunction<K, T, U>
    for CepFunction<T, F>
{
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.partial = ctx.value_state("partial-matches")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        value: T,
        ctx: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        if self.time == TimeDomain::ProcessingTime {
            let mut of_key = self.taken(ctx);
            let mut outcomes = Vec::new();
            let timeout = self.advance(&mut of_key, ctx.now_ms, Some(value), &mut outcomes);
            self.keep(ctx, of_key);
            if let Some(timeout) = timeout {
                self.register(ctx, timeout);
            }
            return self.emit(outcomes, ctx, out);
        }
        let Some(timestamp) = ctx.timestamp() else {
            return Err(Error::data(
                "a record has no timestamp: patterns by event time need a watermark strategy with a timestamp assigner",
            ));
        };
        if timestamp <= ctx.watermark {
            if let Some(tag) = self.late {
                ctx.output(tag, value);
            }
            return Ok(());
        }
        let mut of_key = self.taken(ctx);
        of_key.waiting.entry(timestamp).or_default().push(value);
        self.keep(ctx, of_key);
        self.register(ctx, timestamp);
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let mut of_key = self.taken(ctx);
        let mut outcomes = Vec::new();
        let mut timeouts = Vec::new();
        // At the end of time nothing comes in between any more; in BATCH mode timers that are registered now are ignored.
        let is_end = ctx.watermark == i64::MAX;
        let until = if is_end { i64::MAX } else { timestamp };
        while let Some(entry) = of_key.waiting.first_entry().filter(|entry| *entry.key() <= until) {
            let (at, events) = entry.remove_entry();
            for event in events {
                timeouts.extend(self.advance(&mut of_key, at, Some(event), &mut outcomes));
            }
        }
        self.advance(&mut of_key, timestamp, None, &mut outcomes);
        if is_end {
            timeouts.sort_unstable();
            for timeout in timeouts.drain(..) {
                self.advance(&mut of_key, timeout, None, &mut outcomes);
            }
        }
        let goes_on = !of_key.partial.is_empty();
        self.keep(ctx, of_key);
        if goes_on {
            timeouts.iter().for_each(|timeout| self.register(ctx, *timeout));
        }
        self.emit(outcomes, ctx, out)
    }
}
