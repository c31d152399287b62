//! Windows over bounded input: every window fires by the end of it at the latest.

use std::time::Duration;

use millstream_datastream::context::WindowContext;
use millstream_datastream::functions::AggregateFunction;
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::window::*;
use millstream_datastream::{Collector, DataStream, Environment, OutputTag};

use crate::host::{collect, environment, failure, in_order};

type Event = (u8, i64, i64);

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Events of a key, with their value and time; watermarks follow at once, a record behind.
fn events(env: &Environment, rows: impl IntoIterator<Item = Event>) -> DataStream<Event> {
    env.set("millstream.batch.max-rows", "1");
    let strategy =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|row: &Event, _| row.2);
    env.from_collection(rows)
        .assign_timestamps_and_watermarks(strategy)
}

fn sum(a: Event, b: Event) -> Event {
    (a.0, a.1 + b.1, a.2.max(b.2))
}

#[test]
fn tumbling_windows_by_key() {
    let rows = [(1, 1, 0), (2, 5, 3), (1, 2, 9), (1, 4, 10), (1, 8, 25)];
    for parallelism in [1, 2] {
        let env = environment(parallelism);
        let sums = events(&env, rows)
            .key_by(|row| row.0)
            .window(TumblingEventTimeWindows::of(MS(10)))
            .reduce(sum);
        assert_eq!(collect(sums), [(1, 3, 9), (1, 4, 10), (1, 8, 25), (2, 5, 3)]);
    }
}

#[test]
fn sliding_windows_hold_a_record_more_than_once() {
    let env = environment(1);
    let sums = events(&env, [(1, 1, 0), (1, 2, 7), (1, 4, 12)])
        .key_by(|row| row.0)
        .window(SlidingEventTimeWindows::of(MS(10), MS(5)))
        .process(
            |_: &u8, ctx: &mut WindowContext<'_>, rows: &[Event], out: &mut Collector<(i64, i64)>| {
                out.collect((ctx.window().start, rows.iter().map(|row| row.1).sum()));
                Ok(())
            },
        );
    assert_eq!(in_order(sums), [(-5, 1), (0, 3), (5, 6), (10, 4)]);
}

#[test]
fn sessions_grow_together() {
    let env = environment(1);
    // 20 comes late enough to join what lies on both sides of it.
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(MS(100))
        .with_timestamp_assigner(|row: &Event, _| row.2);
    let rows = [(1, 1, 0), (1, 2, 12), (1, 4, 28), (1, 8, 20), (1, 16, 60)];
    let sums = env
        .from_collection(rows)
        .assign_timestamps_and_watermarks(strategy)
        .key_by(|row| row.0)
        .window(EventTimeSessionWindows::with_gap(MS(10)))
        .reduce_process(
            sum,
            |_: &u8, ctx: &mut WindowContext<'_>, rows: &[Event], out: &mut Collector<(i64, i64, i64)>| {
                out.collect((ctx.window().start, ctx.window().end, rows[0].1));
                Ok(())
            },
        );
    assert_eq!(in_order(sums), [(0, 10, 1), (12, 38, 14), (60, 70, 16)]);
}

#[test]
fn count_windows_tumble_and_slide() {
    let env = environment(1);
    let numbers = env.from_collection((1..=7).map(|n| (1_u8, i64::from(n), 0_i64)));
    let tumbling = numbers.key_by(|row| row.0).count_window(3).reduce(sum);
    assert_eq!(in_order(tumbling), [(1, 6, 0), (1, 15, 0)]);
    let env = environment(1);
    let numbers = env.from_collection((1..=6).map(|n| (1_u8, i64::from(n), 0_i64)));
    let sliding = numbers.key_by(|row| row.0).count_window_sliding(3, 2).reduce(sum);
    assert_eq!(in_order(sliding), [(1, 3, 0), (1, 9, 0), (1, 15, 0)]);
}

const LATE: OutputTag<Event> = OutputTag::new("late");

#[test]
fn late_records_fire_again_within_the_lateness_and_go_aside_behind_it() {
    let env = environment(1);
    // Watermarks: -1, 9 (fires [0, 10)), then 1 comes within the lateness, 24 drops the window, and 2 is too late.
    let rows = [(1, 1, 0), (1, 2, 10), (1, 4, 1), (1, 8, 25), (1, 16, 2)];
    let sums = events(&env, rows)
        .key_by(|row| row.0)
        .window(TumblingEventTimeWindows::of(MS(10)))
        .allowed_lateness(MS(10))
        .side_output_late_data(LATE)
        .reduce(sum);
    let late = sums.get_side_output(LATE).map(|row| (row.0, -row.1, row.2));
    assert_eq!(
        collect(sums.union([late])),
        [(1, -16, 2), (1, 1, 0), (1, 2, 10), (1, 5, 1), (1, 8, 25)]
    );
}

#[derive(Clone)]
struct Average;

impl AggregateFunction<Event, i64> for Average {
    type Accumulator = (i64, i64);
    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }
    fn add(&self, accumulator: &mut (i64, i64), row: Event) {
        accumulator.0 += row.1;
        accumulator.1 += 1;
    }
    fn get_result(&self, accumulator: &(i64, i64)) -> i64 {
        accumulator.0 / accumulator.1
    }
    fn merge(&self, a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
        (a.0 + b.0, a.1 + b.1)
    }
}

#[test]
fn aggregates_and_windows_over_all_keys() {
    let env = environment(2);
    let averages = events(&env, [(1, 1, 0), (2, 3, 1), (3, 10, 11)])
        .window_all(TumblingEventTimeWindows::of(MS(10)))
        .aggregate(Average);
    assert_eq!(collect(averages), [2, 10]);
}

#[test]
fn continuous_triggers_fire_within_the_window() {
    let env = environment(1);
    let sums = events(&env, [(1, 1, 0), (1, 2, 4), (2, 0, 6), (1, 4, 9), (1, 8, 20)])
        .key_by(|row| row.0)
        .window(TumblingEventTimeWindows::of(MS(10)))
        .trigger(ContinuousEventTimeTrigger::of(MS(5)))
        .reduce(sum);
    // The record of key 2 moves the watermark to 5.
    let sums: Vec<i64> = in_order(sums.filter(|row| row.0 == 1))
        .into_iter()
        .map(|row| row.1)
        .collect();
    assert_eq!(sums, [3, 7, 8, 8]);
}

#[test]
fn event_time_windows_need_timestamps() {
    let env = environment(1);
    let rows = env.from_collection([(1_u8, 1_i64, 0_i64)]).key_by(|row| row.0);
    let sums = rows.window(TumblingEventTimeWindows::of(MS(10))).reduce(sum);
    assert!(failure(sums).contains("no timestamp marker"));
}
