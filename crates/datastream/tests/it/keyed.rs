//! Functions with keys, state and timers.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_datastream::context::{Context, KeyedContext, OnTimerContext, ReadOnlyContext};
use millstream_datastream::functions::{
    KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedProcessFunction,
};
use millstream_datastream::state::{
    ListState, MapState, ReducingState, RuntimeContext, StateDescriptor, StateTtlConfig, ValueState,
};
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::{Collector, Result};

use crate::host::{collect, environment, failure, in_order};

#[test]
fn a_running_sum_by_key() {
    let words = ["a", "b", "a", "a"].map(|word| (word.to_owned(), 1_i64));
    let env = environment(1);
    let counts = env.from_collection(words.clone()).key_by_ref(|row| &row.0);
    assert_eq!(
        in_order(counts.reduce(|a, b| (a.0, a.1 + b.1))),
        [("a", 1), ("b", 1), ("a", 2), ("a", 3)].map(|(word, n)| (word.to_owned(), n))
    );
    let env = environment(3);
    let counts = env.from_collection(words).key_by(|row| row.0.clone());
    let rows = collect(counts.sum_by(|row| &mut row.1));
    assert_eq!(rows.last(), Some(&("b".to_owned(), 1)));
    assert_eq!(rows.len(), 4);
}

/// Gives the number of records of a key when the watermark is 10 ms after the last one.
#[derive(Clone, Default)]
struct CountWithTimeout {
    count: ValueState<u64>,
    last: ValueState<i64>,
}

impl KeyedProcessFunction<u8, (u8, i64), (u8, u64)> for CountWithTimeout {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.count = ctx.value_state("count")?;
        self.last = ctx.value_state("last")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        _: (u8, i64),
        ctx: &mut KeyedContext<'_, u8>,
        _: &mut Collector<(u8, u64)>,
    ) -> Result<()> {
        let count = self.count.value(ctx).copied().unwrap_or(0) + 1;
        self.count.update(ctx, count);
        let timestamp = ctx.timestamp().expect("records have timestamps");
        if let Some(before) = self.last.value(ctx).copied() {
            ctx.delete_event_time_timer(before + 10);
        }
        self.last.update(ctx, timestamp);
        ctx.register_event_time_timer(timestamp + 10);
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, u8>,
        out: &mut Collector<(u8, u64)>,
    ) -> Result<()> {
        assert_eq!(self.last.clear(ctx).map(|last| last + 10), Some(timestamp));
        let count = self.count.clear(ctx).expect("a timer comes after a record");
        out.collect((*ctx.current_key(), count));
        Ok(())
    }
}

fn with_time() -> WatermarkStrategy<(u8, i64)> {
    WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|row: &(u8, i64), _| row.1)
}

#[test]
fn timers_fire_once_in_order_and_state_is_of_the_key() {
    // The watermark follows each record, so that of key 3 fires the timers at 13 and 15 before the next records come.
    let rows = [(1, 0), (2, 3), (1, 5), (3, 20), (1, 30), (2, 31)];
    for parallelism in [1, 2] {
        let env = environment(parallelism);
        env.set("pipeline.auto-watermark-interval", "0 ms");
        env.set("millstream.batch.max-rows", "1");
        let counts = env
            .from_collection(rows)
            .assign_timestamps_and_watermarks(with_time())
            .key_by(|row| row.0)
            .process(CountWithTimeout::default());
        assert_eq!(
            collect(counts),
            [(1, 1), (1, 2), (2, 1), (2, 1), (3, 1)],
            "{parallelism} instances"
        );
    }
}

#[derive(Clone, Default)]
struct AllShapes {
    seen: ListState<i64>,
    by_parity: MapState<bool, u32>,
    sum: ReducingState<i64>,
}

impl KeyedProcessFunction<u8, (u8, i64), String> for AllShapes {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.seen = ctx.list_state("seen")?;
        self.by_parity = ctx.map_state("by-parity")?;
        self.sum = ctx.reducing_state("sum", |a, b| a + b)?;
        Ok(())
    }

    fn process_element(
        &mut self,
        (_, n): (u8, i64),
        ctx: &mut KeyedContext<'_, u8>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        self.seen.add(ctx, n);
        let is_odd = n % 2 != 0;
        let count = self.by_parity.get(ctx, &is_odd).copied().unwrap_or(0);
        self.by_parity.put(ctx, is_odd, count + 1);
        self.sum.add(ctx, n);
        let seen: Vec<i64> = self.seen.get(ctx).copied().collect();
        let parities: Vec<(bool, u32)> = self.by_parity.entries(ctx).map(|(k, v)| (*k, *v)).collect();
        out.collect(format!("{seen:?} {parities:?} {:?}", self.sum.get(ctx)));
        Ok(())
    }
}

#[test]
fn lists_maps_and_reducing_state() {
    let env = environment(1);
    let rows = env.from_collection([(1, 1), (2, 10), (1, 2), (1, 3)]);
    let texts = in_order(rows.key_by(|row| row.0).process(AllShapes::default()));
    assert_eq!(texts[3], "[1, 2, 3] [(false, 1), (true, 2)] Some(6)");
    assert_eq!(texts[1], "[10] [(false, 1)] Some(10)");
}

#[derive(Clone, Default)]
struct Undeclared(ValueState<i64>);

impl KeyedProcessFunction<u8, (u8, i64), i64> for Undeclared {
    fn process_element(
        &mut self,
        _: (u8, i64),
        ctx: &mut KeyedContext<'_, u8>,
        _: &mut Collector<i64>,
    ) -> Result<()> {
        self.0.update(ctx, 1);
        Ok(())
    }
}

#[test]
fn a_state_that_was_not_declared_fails_the_job() {
    let env = environment(1);
    let rows = env
        .from_collection([(1, 1)])
        .key_by(|row| row.0)
        .process(Undeclared::default());
    assert!(failure(rows).contains("did not declare"));
}

#[derive(Clone, Default)]
struct TwiceDeclared;

impl KeyedProcessFunction<u8, (u8, i64), i64> for TwiceDeclared {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        ctx.value_state::<i64>("n")?;
        let ttl = StateTtlConfig::new(Duration::from_secs(1));
        ctx.list_state::<i64>(StateDescriptor::new("n").ttl(ttl))?;
        Ok(())
    }

    fn process_element(
        &mut self,
        _: (u8, i64),
        _: &mut KeyedContext<'_, u8>,
        _: &mut Collector<i64>,
    ) -> Result<()> {
        Ok(())
    }
}

#[test]
fn two_states_of_one_name_are_refused() {
    let env = environment(1);
    let rows = env
        .from_collection([(1, 1)])
        .key_by(|row| row.0)
        .process(TwiceDeclared);
    assert!(failure(rows).contains("two states named 'n'"));
}

/// Keeps numbers until a text of their key says what they are called.
#[derive(Clone, Default)]
struct Named {
    name: ValueState<String>,
    waiting: ListState<i64>,
}

impl KeyedCoProcessFunction<u8, (u8, i64), (u8, String), String> for Named {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.name = ctx.value_state("name")?;
        self.waiting = ctx.list_state("waiting")?;
        Ok(())
    }

    fn process_element1(
        &mut self,
        (_, n): (u8, i64),
        ctx: &mut KeyedContext<'_, u8>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        match self.name.value(ctx) {
            Some(name) => out.collect(format!("{name} {n}")),
            None => self.waiting.add(ctx, n),
        }
        Ok(())
    }

    fn process_element2(
        &mut self,
        (_, name): (u8, String),
        ctx: &mut KeyedContext<'_, u8>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        for n in self.waiting.clear(ctx) {
            out.collect(format!("{name} {n}"));
        }
        self.name.update(ctx, name);
        Ok(())
    }
}

#[test]
fn two_streams_share_the_state_of_a_key() {
    for parallelism in [1, 2] {
        let env = environment(parallelism);
        let numbers = env
            .from_collection([(1, 10), (2, 20), (1, 11)])
            .key_by(|row| row.0);
        let names = env.from_collection([(1, "one".to_owned()), (2, "two".to_owned())]);
        let rows = numbers
            .connect(&names.key_by(|row| row.0))
            .process(Named::default());
        assert_eq!(collect(rows), ["one 10", "one 11", "two 20"]);
    }
}

/// Counts how many rules an instance knows when a number comes, or a rule.
#[derive(Clone)]
struct Rules;

impl KeyedBroadcastProcessFunction<u8, (u8, i64), String, String, u32, String> for Rules {
    fn process_element(
        &mut self,
        _: (u8, i64),
        ctx: &mut ReadOnlyContext<'_, u8, String, u32>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        assert!(ctx.broadcast_state().len() <= 2);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        rule: String,
        state: &mut BTreeMap<String, u32>,
        _: &mut Context<'_>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        *state.entry(rule.clone()).or_default() += 1;
        out.collect(format!("{rule} of {}", state.len()));
        Ok(())
    }
}

#[test]
fn every_instance_sees_all_rules() {
    let env = environment(3);
    let rules = env
        .from_collection(["a".to_owned(), "b".to_owned()])
        .broadcast_state();
    let numbers = env.from_collection([(1, 10), (2, 20)]).key_by(|row| row.0);
    let rows = collect(numbers.connect_broadcast(&rules).process(Rules));
    assert_eq!(rows, ["a of 1", "a of 1", "a of 1", "b of 2", "b of 2", "b of 2"]);
}
