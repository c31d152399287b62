//! The example programs over small inputs, in a test without ports: what they do between source and sink.

use millstream::prelude::*;
use millstream::testing::{OneInputStreamOperatorTestHarness as Harness, TwoInputStreamOperatorTestHarness};

#[path = "../../../../examples/datastream/async_lookup.rs"]
mod async_lookup;
#[path = "../../../../examples/datastream/broadcast_rules.rs"]
mod broadcast_rules;
#[path = "../../../../examples/datastream/fraud_detection.rs"]
mod fraud_detection;
#[path = "../../../../examples/datastream/late_data.rs"]
mod late_data;
#[path = "../../../../examples/datastream/prefix_map.rs"]
mod prefix_map;
#[path = "../../../../examples/datastream/sensor_alerts.rs"]
mod sensor_alerts;
#[path = "../../../../examples/datastream/sliding_average.rs"]
mod sliding_average;
#[path = "../../../../examples/datastream/word_count.rs"]
mod word_count;

#[test]
fn prefix_map() {
    let mut harness = Harness::new(prefix_map::processed);
    harness.process_element_without_timestamp("a".to_owned()).unwrap();
    assert_eq!(harness.extract_output_values(), ["processed-a"]);
}

#[test]
fn word_count_by_both_times() {
    let lines = [("a b a", 1_000), ("b", 9_999), ("a", 10_000)];
    let mut harness = Harness::new(|lines| word_count::counts(lines, true));
    for (line, timestamp) in lines {
        harness.process_element(line.to_owned(), timestamp).unwrap();
    }
    harness.process_watermark(9_999).unwrap();
    let mut rows = harness.extract_output_values();
    rows.sort();
    assert_eq!(rows, ["a,2", "b,2"]);

    let mut harness = Harness::new(|lines| word_count::counts(lines, false));
    for (line, now_ms) in lines {
        harness.set_processing_time(now_ms).unwrap();
        harness
            .process_element_without_timestamp(line.to_owned())
            .unwrap();
    }
    let mut rows = harness.extract_output_values();
    rows.sort();
    assert_eq!(rows, ["a,2", "b,2"]);
    harness.set_processing_time(20_000).unwrap();
    assert_eq!(harness.extract_output_values(), ["a,1"]);
}

/// Runs a stream with the watermarks of the example.
fn with_watermarks<I: millstream::Data, O: millstream::Data>(
    strategy: WatermarkStrategy<I>,
    program: impl FnOnce(DataStream<I>) -> DataStream<O>,
    rows: impl IntoIterator<Item = I>,
) -> Vec<O> {
    let mut harness =
        Harness::new(|input: DataStream<I>| program(input.assign_timestamps_and_watermarks(strategy)));
    for row in rows {
        harness.process_element_without_timestamp(row).unwrap();
    }
    harness.end_input().unwrap();
    harness.extract_output_values()
}

#[test]
fn sliding_average() {
    let reading = |value, ts| sliding_average::Reading {
        sensor: "a".to_owned(),
        value,
        ts,
    };
    let readings = [reading(1.0, 0), reading(3.0, 1_500), reading(5.0, 9_500)];
    let means = with_watermarks(sliding_average::watermarks(), sliding_average::means, readings);
    let means: Vec<(i64, f64)> = means.iter().map(|mean| (mean.window_end, mean.mean)).collect();
    assert_eq!(means.len(), 19);
    assert_eq!(means[..2], [(1_000, 1.0), (2_000, 2.0)]);
    assert_eq!(means[9..12], [(10_000, 3.0), (11_000, 4.0), (12_000, 5.0)]);
}

#[test]
fn fraud_detection() {
    let transaction = |account, amount, ts| fraud_detection::Transaction { account, amount, ts };
    let transactions = [
        transaction(1, 0.5, 0),
        transaction(2, 0.5, 10_000),
        transaction(1, 900.0, 30_000),
        // The watermark that fires the timer of account 2 follows this one.
        transaction(3, 900.0, 70_001),
        transaction(2, 900.0, 70_002),
    ];
    let alerts = with_watermarks(
        fraud_detection::watermarks(),
        fraud_detection::alerts,
        transactions,
    );
    let expected = fraud_detection::Alert {
        account: 1,
        ts: 30_000,
    };
    assert_eq!(alerts, [expected]);
}

#[test]
fn broadcast_rules() {
    let mut harness = TwoInputStreamOperatorTestHarness::new(broadcast_rules::checked);
    let payment = |country: &str, amount| broadcast_rules::Payment {
        country: country.to_owned(),
        amount,
    };
    let rule = broadcast_rules::Rule {
        country: "DE".to_owned(),
        limit: 100.0,
    };
    harness.process_element1(payment("DE", 101.0), 0).unwrap();
    harness.process_element2(rule, 1).unwrap();
    harness.process_element1(payment("DE", 101.0), 2).unwrap();
    harness.process_element1(payment("FR", 101.0), 3).unwrap();
    let checked = harness.extract_output_values();
    assert_eq!(
        checked.iter().map(|row| row.above_limit).collect::<Vec<_>>(),
        [false, true, false]
    );
}

#[test]
fn sensor_alerts() {
    let reading = |sensor: &str, at_ms, celsius| sensor_alerts::Reading {
        sensor: sensor.to_owned(),
        at_ms,
        celsius,
    };
    let readings = vec![
        reading("a", 0, 101.0),
        reading("b", 100, 120.0),
        reading("a", 1_000, 102.0),
        reading("b", 1_100, 130.0),
        reading("a", 2_000, 90.0),
        reading("a", 3_000, 103.0),
        reading("b", 30_000, 50.0),
    ];
    let mut rows = with_watermarks(
        sensor_alerts::watermarks(),
        |readings| {
            let (alerts, warnings) = sensor_alerts::alerts(readings).unwrap();
            alerts.union([warnings])
        },
        readings,
    );
    rows.sort();
    // Both readings of b could have been the first of an alert.
    let expected = [
        "alert: a is at 103 degrees",
        "warning: b was hot before 10100",
        "warning: b was hot before 11100",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn late_data() {
    let event = |value, ts| late_data::Event {
        key: "a".to_owned(),
        value,
        ts,
    };
    let events = vec![
        event(1, 0),
        event(2, 61_000),
        event(4, 30_000),
        event(8, 91_000),
        event(16, 1_000),
    ];
    let rows = with_watermarks(
        late_data::watermarks(),
        |events| {
            let (sums, late) = late_data::sums(events);
            let late = late.map(|event| ("late", event.value));
            sums.map(|sum| ("sum", sum.value)).union([late])
        },
        events,
    );
    assert_eq!(rows, [("sum", 1), ("sum", 5), ("late", 16), ("sum", 10)]);
}

#[test]
fn async_lookup() {
    let mut harness = Harness::new(|orders| async_lookup::named(&orders));
    for order in 0..20 {
        let customer = (20 - order) % 10;
        let order = async_lookup::Order { order, customer };
        harness.process_element_without_timestamp(order).unwrap();
    }
    harness.end_input().unwrap();
    let rows = harness.extract_output_values();
    assert!(rows.iter().map(|row| row.order).eq(0..20));
    assert_eq!(rows[1].name.as_deref(), Some("customer 9"));
    assert_eq!(rows[10].name, None);
}
