//! Operators in virtual time.

use std::time::Duration;

use millstream_datastream::asynchronous::AsyncDataStream;
use millstream_datastream::context::{Context, KeyedContext, OnTimerContext};
use millstream_datastream::functions::{KeyedCoProcessFunction, KeyedProcessFunction, ProcessFunction};
use millstream_datastream::state::{ListState, RuntimeContext, ValueState};
use millstream_datastream::testing::{
    OneInputStreamOperatorTestHarness, StreamElement, TwoInputStreamOperatorTestHarness,
};
use millstream_datastream::window::TumblingEventTimeWindows;
use millstream_datastream::{Collector, DataStream, Error, OutputTag, Result};

/// Key and value.
type Pair = (String, i64);

const FIRST: OutputTag<String> = OutputTag::new("first");

/// Counts the records of a key, and gives the count ten milliseconds after the last one, by either time.
#[derive(Clone)]
struct Counter {
    by_event_time: bool,
    count: ValueState<i64>,
    due: ValueState<i64>,
}

impl Counter {
    fn new(by_event_time: bool) -> Self {
        Self {
            by_event_time,
            count: ValueState::default(),
            due: ValueState::default(),
        }
    }
}

impl KeyedProcessFunction<String, Pair, Pair> for Counter {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.count = ctx.value_state("count")?;
        self.due = ctx.value_state("due")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        (key, _): Pair,
        ctx: &mut KeyedContext<'_, String>,
        _: &mut Collector<Pair>,
    ) -> Result<()> {
        let count = self.count.value(ctx).copied().unwrap_or(0);
        if count == 0 {
            ctx.output(FIRST, key);
        }
        self.count.update(ctx, count + 1);
        if self.by_event_time {
            let timestamp = ctx.timestamp().ok_or_else(|| Error::data("no timestamp"))?;
            ctx.register_event_time_timer(timestamp + 10);
            self.due.update(ctx, timestamp + 10);
        } else {
            let due = ctx.current_processing_time() + 10;
            ctx.register_processing_time_timer(due);
            self.due.update(ctx, due);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, String>,
        out: &mut Collector<Pair>,
    ) -> Result<()> {
        if self.due.value(ctx) == Some(&timestamp) {
            let count = self.count.clear(ctx).unwrap_or(0);
            out.collect((ctx.current_key().clone(), count));
        }
        Ok(())
    }
}

fn counts(by_event_time: bool) -> OneInputStreamOperatorTestHarness<Pair, Pair> {
    OneInputStreamOperatorTestHarness::new(move |pairs: DataStream<Pair>| {
        pairs
            .key_by_ref(|(key, _)| key)
            .process(Counter::new(by_event_time))
    })
}

fn pair(key: &str, n: i64) -> Pair {
    (key.to_owned(), n)
}

#[test]
fn event_time_timers_fire_when_the_watermark_comes() {
    for parallelism in [1, 3] {
        let mut harness = counts(true).set_parallelism(parallelism).with_side_output(FIRST);
        for (key, timestamp) in [("a", 1), ("b", 2), ("a", 5)] {
            harness.process_element(pair(key, 0), timestamp).unwrap();
        }
        harness.process_watermark(11).unwrap();
        assert_eq!(harness.take_output(), [StreamElement::Watermark(11)]);
        harness.process_watermark(12).unwrap();
        let expected = [
            StreamElement::Record(pair("b", 1), Some(12)),
            StreamElement::Watermark(12),
        ];
        assert_eq!(harness.take_output(), expected, "{parallelism} instances");
        harness.end_input().unwrap();
        assert_eq!(harness.extract_output_values(), [pair("a", 2)]);
        assert_eq!(harness.get_side_output(FIRST), ["a", "b"]);
    }
}

#[test]
fn processing_time_timers_fire_when_the_clock_is_set() {
    let mut harness = counts(false);
    harness.set_processing_time(100).unwrap();
    harness.process_element_without_timestamp(pair("a", 0)).unwrap();
    harness.set_processing_time(109).unwrap();
    assert_eq!(harness.extract_output_values(), []);
    harness.set_processing_time(110).unwrap();
    assert_eq!(harness.take_output(), [StreamElement::Record(pair("a", 1), None)]);
}

#[test]
fn state_and_timers_go_on_at_another_parallelism() {
    let mut harness = counts(true).set_parallelism(2);
    let keys: Vec<String> = (0..9).map(|n| format!("key-{n}")).collect();
    for key in &keys {
        harness.process_element((key.clone(), 0), 1).unwrap();
        harness.process_element((key.clone(), 0), 2).unwrap();
    }
    let snapshot = harness.snapshot().unwrap();
    for parallelism in [1, 2, 3] {
        let mut restored = counts(true).set_parallelism(parallelism);
        restored.initialize_state(&snapshot).unwrap();
        restored.process_element(pair("key-0", 0), 3).unwrap();
        restored.process_watermark(12).unwrap();
        let mut rows = restored.extract_output_values();
        rows.sort();
        let expected: Vec<Pair> = keys[1..].iter().map(|key| (key.clone(), 2)).collect();
        assert_eq!(rows, expected, "{parallelism} instances");
        restored.end_input().unwrap();
        assert_eq!(restored.extract_output_values(), [pair("key-0", 3)]);
    }
}

#[derive(Clone)]
struct NoNegatives;

impl ProcessFunction<i64, i64> for NoNegatives {
    fn process_element(&mut self, n: i64, _: &mut Context<'_>, out: &mut Collector<i64>) -> Result<()> {
        if n < 0 {
            return Err(Error::data(format!("{n} is negative")));
        }
        out.collect(n);
        Ok(())
    }
}

#[test]
fn an_error_of_the_function_is_that_of_the_call() {
    let mut harness = OneInputStreamOperatorTestHarness::new(|n: DataStream<i64>| n.process(NoNegatives));
    harness.process_element(1, 0).unwrap();
    let error = harness.process_element(-1, 0).unwrap_err();
    assert_eq!(error.message, "operator 'Process': -1 is negative");
    assert_eq!(harness.extract_output_values(), [1]);
}

/// Gives numbers when their key is opened.
#[derive(Clone, Default)]
struct Gate {
    is_open: ValueState<bool>,
    waiting: ListState<i64>,
}

impl KeyedCoProcessFunction<String, Pair, String, i64> for Gate {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.is_open = ctx.value_state("is-open")?;
        self.waiting = ctx.list_state("waiting")?;
        Ok(())
    }

    fn process_element1(
        &mut self,
        (_, n): Pair,
        ctx: &mut KeyedContext<'_, String>,
        out: &mut Collector<i64>,
    ) -> Result<()> {
        if self.is_open.value(ctx).is_some() {
            out.collect(n);
        } else {
            self.waiting.add(ctx, n);
        }
        Ok(())
    }

    fn process_element2(
        &mut self,
        _: String,
        ctx: &mut KeyedContext<'_, String>,
        out: &mut Collector<i64>,
    ) -> Result<()> {
        self.is_open.update(ctx, true);
        self.waiting.clear(ctx).into_iter().for_each(|n| out.collect(n));
        Ok(())
    }
}

#[test]
fn two_inputs_share_state_and_the_lower_watermark_counts() {
    let mut harness =
        TwoInputStreamOperatorTestHarness::new(|numbers: DataStream<Pair>, keys: DataStream<String>| {
            numbers
                .key_by_ref(|(key, _)| key)
                .connect(&keys.key_by_ref(|key| key))
                .process(Gate::default())
        });
    harness.process_element1(pair("a", 1), 1).unwrap();
    harness.process_element1(pair("b", 2), 1).unwrap();
    harness.process_watermark1(5).unwrap();
    harness.process_element2("a".to_owned(), 2).unwrap();
    harness.process_watermark2(3).unwrap();
    harness.process_both_watermarks(7).unwrap();
    let expected = [
        StreamElement::Record(1, Some(2)),
        StreamElement::Watermark(3),
        StreamElement::Watermark(7),
    ];
    assert_eq!(harness.take_output(), expected);
}

#[test]
fn windows_and_asynchronous_calls_run_in_a_harness() {
    let windows = TumblingEventTimeWindows::of(Duration::from_millis(10));
    let mut sums = OneInputStreamOperatorTestHarness::new(move |pairs: DataStream<Pair>| {
        pairs
            .key_by_ref(|(key, _)| key)
            .window(windows)
            .sum_by(|pair| &mut pair.1)
    });
    sums.process_element(pair("a", 1), 1).unwrap();
    sums.process_element(pair("a", 2), 9).unwrap();
    sums.process_element(pair("a", 4), 10).unwrap();
    sums.process_watermark(9).unwrap();
    assert_eq!(sums.extract_output_values(), [pair("a", 3)]);

    let mut lookups = OneInputStreamOperatorTestHarness::new(|numbers: DataStream<u64>| {
        let call = |n| async move { Ok(Some(n * 2)) };
        AsyncDataStream::ordered_wait(&numbers, call, Duration::from_secs(60), 10)
    });
    (1..=3).for_each(|n| lookups.process_element(n, 0).unwrap());
    lookups.end_input().unwrap();
    assert_eq!(lookups.extract_output_values(), [2, 4, 6]);
}
