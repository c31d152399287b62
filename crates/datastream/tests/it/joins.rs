//! Joins by window and by interval.

use std::time::Duration;

use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::window::TumblingEventTimeWindows;
use millstream_datastream::{Collector, DataStream, Environment};

use crate::host::{collect, environment};

type Row = (u8, i64);

fn rows(env: &Environment, rows: impl IntoIterator<Item = Row>) -> DataStream<Row> {
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(100));
    env.from_collection(rows)
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|row: &Row, _| row.1))
}

#[test]
fn an_interval_join_pairs_rows_within_its_bounds() {
    for parallelism in [1, 2] {
        let env = environment(parallelism);
        let left = rows(&env, [(1, 10), (1, 20), (2, 10)]).key_by(|row| row.0);
        let right = rows(&env, [(1, 8), (1, 12), (1, 26), (2, 11)]).key_by(|row| row.0);
        let pairs = left
            .interval_join(&right)
            .between(-2, 5)
            .process(|a: &Row, b: &Row, out: &mut Collector<(u8, i64, i64)>| out.collect((a.0, a.1, b.1)));
        assert_eq!(collect(pairs), [(1, 10, 8), (1, 10, 12), (2, 10, 11)]);
    }
}

#[test]
fn a_window_join_pairs_rows_of_one_window() {
    let env = environment(2);
    let (left, right) = (
        rows(&env, [(1, 1), (1, 12), (2, 3)]),
        rows(&env, [(1, 5), (1, 9), (2, 15)]),
    );
    let windows = TumblingEventTimeWindows::of(Duration::from_millis(10));
    let pairs = left
        .join(&right)
        .on(|a| a.0, |b| b.0, windows, |a, b| (a.0, a.1, b.1));
    assert_eq!(collect(pairs), [(1, 1, 5), (1, 1, 9)]);
}

#[test]
fn a_co_group_sees_what_has_no_partner() {
    let env = environment(1);
    let (left, right) = (rows(&env, [(1, 1)]), rows(&env, [(2, 5)]));
    let windows = TumblingEventTimeWindows::of(Duration::from_millis(10));
    let counts = left
        .co_group(&right)
        .on(|a| a.0, |b| b.0, windows)
        .apply(|a: &[Row], b: &[Row], out: &mut Collector<(usize, usize)>| out.collect((a.len(), b.len())));
    assert_eq!(collect(counts), [(0, 1), (1, 0)]);
}
