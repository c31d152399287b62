//! Transformations without keys.

use std::time::Duration;

use millstream_datastream::context::Context;
use millstream_datastream::functions::ProcessFunction;
use millstream_datastream::{Collector, Error, OutputTag, Result};

use crate::host::{collect, environment, failure, in_order};

#[test]
fn rows_pass_map_filter_and_flat_map_in_order() {
    let env = environment(1);
    let words = env
        .from_collection(["a b", "", "c a"])
        .flat_map(|line: &str, out: &mut Collector<String>| {
            line.split_whitespace()
                .for_each(|word| out.collect(word.to_owned()));
        })
        .filter(|word| word != "b")
        .map(|word| word.to_uppercase());
    assert_eq!(in_order(words), ["A", "C", "A"]);
}

#[test]
fn a_sequence_is_shared_out_and_nothing_is_lost() {
    for parallelism in [1, 2, 3] {
        let env = environment(parallelism);
        let rows = collect(env.from_sequence(1, 30_000).rebalance().map(|n| n * 2));
        assert_eq!(
            rows,
            (1..=30_000).map(|n| n * 2).collect::<Vec<_>>(),
            "{parallelism} instances"
        );
    }
}

#[test]
fn a_reader_slower_than_the_job_gets_every_row() {
    let env = environment(1);
    let numbers = env.from_sequence(1, 100_000);
    let mut rows = numbers
        .execute_and_collect("numbers")
        .unwrap()
        .map(Result::unwrap);
    assert_eq!(rows.next(), Some(1));
    // Long enough for the job to fill what it may hold; the rows are all the same if it is not.
    std::thread::park_timeout(Duration::from_millis(300));
    assert!(rows.eq(2..=100_000));
}

#[test]
fn a_union_has_the_rows_of_all() {
    let env = environment(2);
    let (a, b) = (env.from_collection(1..=3), env.from_collection(4..=5));
    assert_eq!(
        collect(a.union([b, env.from_sequence(6, 7).map(|n| n as i32)])),
        [1, 2, 3, 4, 5, 6, 7]
    );
}

#[test]
fn two_readers_of_one_stream_see_all_of_it() {
    let env = environment(1);
    let numbers = env.from_collection(1..=3);
    let both = numbers.map(|n| n * 10).union([numbers.map(|n| n * 100)]);
    assert_eq!(collect(both), [10, 20, 30, 100, 200, 300]);
}

#[test]
fn connected_streams_are_read_by_two_closures() {
    let env = environment(1);
    let texts = env.from_collection(["a".to_owned()]);
    let rows = env
        .from_collection([1])
        .connect(&texts)
        .map(|n| n.to_string(), |text| text);
    assert_eq!(collect(rows), ["1", "a"]);
}

const ODD: OutputTag<String> = OutputTag::new("odd");
const UNREAD: OutputTag<i32> = OutputTag::new("unread");

#[derive(Clone)]
struct Split;

impl ProcessFunction<i32, i32> for Split {
    fn process_element(&mut self, value: i32, ctx: &mut Context<'_>, out: &mut Collector<i32>) -> Result<()> {
        if value % 2 == 0 {
            out.collect(value);
        } else {
            ctx.output(ODD, format!("odd {value}"));
            ctx.output(UNREAD, value);
        }
        Ok(())
    }
}

#[test]
fn side_outputs_are_streams_of_their_own() {
    let env = environment(1);
    let even = env.from_collection(1..=4).process(Split);
    let odd = even.get_side_output(ODD);
    let both = even.map(|n| n.to_string()).union([odd]);
    assert_eq!(collect(both), ["2", "4", "odd 1", "odd 3"]);
}

#[test]
fn a_panic_names_the_operator_and_the_record() {
    let env = environment(1);
    let rows = env
        .from_collection(0..10)
        .map(|n: i32| {
            assert!(n != 6, "six is too much");
            n
        })
        .name("check");
    assert_eq!(
        failure(rows),
        "operator 'check' panicked at record 7 of its batch: six is too much"
    );
}

#[test]
fn an_error_names_the_operator() {
    let env = environment(1);
    let rows = env
        .from_collection(["1", "x"])
        .try_map(|text| text.parse::<i32>().map_err(Error::from))
        .name("parse");
    assert_eq!(failure(rows), "operator 'parse': invalid digit found in string");
}

#[test]
fn a_program_without_operators_is_refused() {
    let error = environment(1).execute("empty").unwrap_err();
    assert!(error.message.contains("No operators defined"), "{error}");
}

#[test]
fn two_operators_of_one_uid_are_refused() {
    let env = environment(1);
    let rows = env
        .from_collection([1])
        .map(|n| n)
        .uid("same")
        .map(|n| n)
        .uid("same");
    assert!(failure(rows).contains("\"same\""));
}

#[test]
fn rows_go_to_the_instance_that_the_program_names() {
    let env = environment(3);
    let rows = env.from_sequence(0, 99).partition_custom(|n| u32::from(*n >= 50));
    assert_eq!(collect(rows.map(|n| n)).len(), 100);
}

/// Numbers without end, counted by a key.
fn counting(env: &millstream_datastream::Environment) {
    use millstream_datastream::table::StreamTableEnvironment;
    let t_env = StreamTableEnvironment::create(env).unwrap();
    t_env
        .execute_sql(
            "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000')",
        )
        .unwrap();
    let numbers = t_env
        .to_data_stream_as::<i64>(&t_env.from("numbers").unwrap())
        .unwrap();
    let counts = numbers.key_by(|n| n % 3).reduce(|a, b| a.max(b)).uid("counts");
    counts.discard().uid("end");
}

#[test]
fn a_program_stops_with_a_savepoint_and_starts_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let env = environment(2);
    counting(&env);
    let client = env.execute_async("counting").unwrap();
    let kept = client.trigger_savepoint(Some(path)).unwrap();
    let last = client.stop_with_savepoint(Some(path), false).unwrap();
    assert_ne!(kept, last);
    assert!(client.status().is_terminal());
    let env = environment(1);
    env.set("execution.state-recovery.path", last);
    counting(&env);
    let client = env.execute_async("counting").unwrap();
    assert!(
        !matches!(client.handle().start(), millstream_jobs::JobStart::Fresh),
        "{:?}",
        client.handle().start()
    );
    client.cancel();
    let _ = client.wait();
    let error = client.trigger_savepoint(Some(path)).unwrap_err();
    assert!(!error.message.is_empty());
}
