//! BATCH mode: grouped and sorted input, the end of time, and what is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_datastream::cep::{self, Pattern};
use millstream_datastream::context::{
    BroadcastContext, Context, KeyedContext, OnTimerContext, ReadOnlyContext, WindowContext,
};
use millstream_datastream::environment::RuntimeExecutionMode;
use millstream_datastream::functions::*;
use millstream_datastream::sink::{SinkWriter, TwoPhaseSink, WriterContext, custom};
use millstream_datastream::source::SequenceSource;
use millstream_datastream::table::StreamTableEnvironment;
use millstream_datastream::time::TimeDomain;
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::window::{EventTimeSessionWindows, TumblingEventTimeWindows};
use millstream_datastream::{Collector, DataStream, Environment, OutputTag, Result};

use crate::host::{collect, environment, failure, in_order};
use crate::recovery::{MS, Row, trickle};

fn batch(parallelism: usize) -> Environment {
    let env = environment(parallelism);
    env.set_runtime_mode(RuntimeExecutionMode::Batch);
    // Records come one by one: what is in order was put there.
    env.set("millstream.batch.max-rows", "1");
    env
}

/// Keys with times in no order.
const ROWS: [(&str, i64); 6] = [("a", 30), ("b", 20), ("a", 10), ("b", 40), ("a", 20), ("c", 0)];

fn rows(env: &Environment) -> DataStream<Row> {
    timed(env, &ROWS)
}

fn timed(env: &Environment, rows: &[(&str, i64)]) -> DataStream<Row> {
    let rows: Vec<Row> = rows.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect();
    // In STREAMING mode most of these would be late.
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    env.from_collection(rows)
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|row: &Row, _| row.1))
}

#[test]
fn a_reduction_gives_one_result_for_each_key() {
    for parallelism in [1, 3] {
        let sums = rows(&batch(parallelism)).key_by_ref(|row| &row.0);
        let sums = sums.reduce(|a, b| (a.0, a.1 + b.1));
        let expected = [("a", 60), ("b", 60), ("c", 0)].map(|(key, n)| (key.to_owned(), n));
        assert_eq!(collect(sums), expected);
    }
}

/// Says what it sees, and when.
#[derive(Clone)]
struct Tells;

impl KeyedProcessFunction<String, Row, String> for Tells {
    fn process_element(
        &mut self,
        (key, n): Row,
        ctx: &mut KeyedContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        assert_eq!(ctx.current_watermark(), i64::MIN);
        ctx.register_processing_time_timer(i64::MAX / 2);
        ctx.register_event_time_timer(n + 1000);
        out.collect(format!("{key} {n}"));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        ctx: &mut OnTimerContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        assert_eq!(ctx.current_watermark(), i64::MAX);
        // As in Flink it never comes: time has come to its end.
        ctx.register_event_time_timer(time + 1);
        ctx.register_processing_time_timer(time + 1);
        out.collect(match ctx.time_domain() {
            TimeDomain::EventTime => format!("{} at {time}", ctx.current_key()),
            TimeDomain::ProcessingTime => format!("{} is over", ctx.current_key()),
        });
        Ok(())
    }
}

#[test]
fn a_key_is_read_in_order_of_time_and_then_its_timers_fire() {
    let told = rows(&batch(1)).key_by_ref(|row| &row.0).process(Tells);
    let expected = "a 10,a 20,a 30,a at 1010,a at 1020,a at 1030,a is over,b 20,b 40,b at 1020,b at 1040,b is over,\
                    c 0,c at 1000,c is over";
    assert_eq!(in_order(told).join(","), expected);
}

#[test]
fn no_record_is_late_for_its_window() {
    let show = |key: &String, ctx: &mut WindowContext<'_>, rows: &[Row], out: &mut Collector<String>| {
        let numbers: Vec<i64> = rows.iter().map(|row| row.1).collect();
        out.collect(format!(
            "{key} {}-{} {numbers:?}",
            ctx.window().start,
            ctx.window().end
        ));
        Ok(())
    };
    let windows = TumblingEventTimeWindows::of(MS(20));
    let tumbling = rows(&batch(1))
        .key_by_ref(|row| &row.0)
        .window(windows)
        .process(show);
    let expected = [
        "a 0-20 [10]",
        "a 20-40 [20, 30]",
        "b 20-40 [20]",
        "b 40-60 [40]",
        "c 0-20 [0]",
    ];
    assert_eq!(in_order(tumbling), expected);
    let sessions = EventTimeSessionWindows::with_gap(MS(15));
    let sessions = rows(&batch(1))
        .key_by_ref(|row| &row.0)
        .window(sessions)
        .process(show);
    let expected = [
        "a 10-45 [10, 20, 30]",
        "b 20-35 [20]",
        "b 40-55 [40]",
        "c 0-15 [0]",
    ];
    assert_eq!(in_order(sessions), expected);
}

/// Shows both inputs.
#[derive(Clone)]
struct Both;

impl KeyedCoProcessFunction<String, Row, Row, String> for Both {
    fn process_element1(
        &mut self,
        (key, n): Row,
        _: &mut KeyedContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        out.collect(format!("{key} {n}"));
        Ok(())
    }

    fn process_element2(
        &mut self,
        (key, n): Row,
        _: &mut KeyedContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        out.collect(format!("{key} +{n}"));
        Ok(())
    }
}

#[test]
fn two_inputs_are_merged_by_time_for_each_key() {
    let env = batch(1);
    let others = timed(&env, &[("b", 30), ("a", 5), ("d", 1), ("a", 25)]);
    let both = rows(&env)
        .key_by_ref(|row| &row.0)
        .connect(&others.key_by_ref(|row| &row.0))
        .process(Both);
    let mut shown = in_order(both);
    // Which input has the first key is open; within a key the order is that of time.
    shown.sort_by_key(|row| row[..1].to_owned());
    assert_eq!(
        shown.join(","),
        "a +5,a 10,a 20,a +25,a 30,b 20,b +30,b 40,c 0,d +1"
    );
}

/// The number of rules when a record comes.
#[derive(Clone)]
struct Ruled;

impl KeyedBroadcastProcessFunction<String, Row, i64, i64, (), String> for Ruled {
    fn process_element(
        &mut self,
        (key, n): Row,
        ctx: &mut ReadOnlyContext<'_, String, i64, ()>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        out.collect(format!("{key} {n} {}", ctx.broadcast_state().len()));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        rule: i64,
        rules: &mut BTreeMap<i64, ()>,
        _: &mut Context<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        rules.insert(rule, ());
        Ok(())
    }
}

impl BroadcastProcessFunction<Row, i64, i64, (), String> for Ruled {
    fn process_element(
        &mut self,
        (key, n): Row,
        ctx: &mut BroadcastContext<'_, '_, i64, ()>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        out.collect(format!("{key} {n} {}", ctx.broadcast_state().len()));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        rule: i64,
        rules: &mut BTreeMap<i64, ()>,
        _: &mut Context<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        rules.insert(rule, ());
        Ok(())
    }
}

#[test]
fn broadcast_records_come_before_all_others() {
    for parallelism in [1, 2] {
        let expected = ["a 10 50", "a 20 50", "a 30 50", "b 20 50", "b 40 50", "c 0 50"];
        let env = batch(parallelism);
        let rules = env.from_sequence(1, 50).broadcast_state();
        let keyed = rows(&env).key_by_ref(|row| &row.0);
        assert_eq!(collect(keyed.connect_broadcast(&rules).process(Ruled)), expected);
        let env = batch(parallelism);
        let rules = env.from_sequence(1, 50).broadcast_state();
        assert_eq!(
            collect(rows(&env).connect_broadcast(&rules).process(Ruled)),
            expected
        );
    }
}

const TIMED_OUT: OutputTag<String> = OutputTag::new("timed-out");

#[test]
fn patterns_match_in_order_of_time_and_time_out() {
    let pattern = Pattern::begin("first")
        .where_(|row: &Row| row.1 < 30)
        .followed_by("second")
        .where_(|row: &Row| row.1 >= 30)
        .within(MS(15));
    let found = cep::pattern(&rows(&batch(1)).key_by_ref(|row| &row.0), pattern)
        .unwrap()
        .select_with_timeout(
            TIMED_OUT,
            |partial, at| format!("{:?} over at {at}", partial.first("first")),
            |found| format!("{:?} {:?}", found.first("first"), found.first("second")),
        );
    let timed_out = found.get_side_output(TIMED_OUT);
    let expected = [
        r#"Some(("a", 10)) over at 25"#,
        r#"Some(("a", 20)) Some(("a", 30))"#,
        r#"Some(("b", 20)) over at 35"#,
        r#"Some(("c", 0)) over at 15"#,
    ];
    assert_eq!(collect(found.union([timed_out])), expected);
}

#[test]
fn an_unbounded_source_is_refused() {
    let env = batch(1);
    let rows = env.from_source(trickle(), WatermarkStrategy::no_watermarks(), "trickle");
    assert_eq!(
        failure(rows),
        "Detected an UNBOUNDED source with the 'execution.runtime-mode' set to 'BATCH': 'Source: trickle'. This combination \
         is not allowed, please set the 'execution.runtime-mode' to STREAMING or AUTOMATIC"
    );
    let env = environment(1);
    env.set("execution.runtime-mode", "SOMETIMES");
    let error = env
        .from_collection([1])
        .execute_and_collect("modes")
        .err()
        .unwrap();
    assert!(
        error.message.contains("expected STREAMING, BATCH or AUTOMATIC"),
        "{error}"
    );
}

#[test]
fn the_mode_follows_the_sources_if_it_is_automatic() {
    let env = environment(1);
    env.set_runtime_mode(RuntimeExecutionMode::Automatic);
    let counts = env.from_collection([1, 1]).map(|n| (n, 1)).key_by(|row| row.0);
    let counts = counts.reduce(|a: (i32, i32), b: (i32, i32)| (a.0, a.1 + b.1));
    assert_eq!(collect(counts), [(1, 2)]);
    // With a source that never ends every record gives a result.
    let numbers = env.from_source(trickle(), WatermarkStrategy::no_watermarks(), "trickle");
    let counts = numbers.map(|_| 1).key_by(|_| ()).reduce(|a: i32, b: i32| a + b);
    let rows: Vec<i32> = counts
        .execute_and_collect("trickle")
        .unwrap()
        .take(3)
        .collect::<Result<_>>()
        .unwrap();
    assert_eq!(rows, [1, 2, 3]);
}

/// What was committed.
#[derive(Clone, Default)]
struct Committed(Arc<Mutex<Vec<i64>>>);

struct Writer {
    to: Committed,
    rows: Vec<i64>,
}

impl TwoPhaseSink<i64> for Committed {
    type Committable = Vec<i64>;
    type Writer = Writer;

    fn name(&self) -> String {
        "Committed".to_owned()
    }

    fn create_writer(&self, _: WriterContext) -> Result<Writer> {
        let to = self.clone();
        let rows = Vec::new();
        Ok(Writer { to, rows })
    }
}

impl SinkWriter<i64, Vec<i64>> for Writer {
    fn write(&mut self, value: i64, _: Option<i64>) -> Result<()> {
        self.rows.push(value);
        Ok(())
    }

    fn prepare_commit(&mut self) -> Result<Vec<Vec<i64>>> {
        Ok(vec![std::mem::take(&mut self.rows)])
    }

    fn commit(&mut self, rows: Vec<i64>) -> Result<()> {
        self.to.0.lock().unwrap().extend(rows);
        Ok(())
    }
}

#[test]
fn sinks_commit_at_the_end_without_checkpoints() {
    let env = batch(2);
    let committed = Committed::default();
    let source = SequenceSource::new(1, 100, 2);
    let numbers = env.from_source(source, WatermarkStrategy::no_watermarks(), "numbers");
    numbers.sink_to(custom(committed.clone()));
    let client = env.execute_async("numbers").unwrap();
    client.wait().unwrap();
    let mut rows = committed.0.lock().unwrap().clone();
    rows.sort_unstable();
    assert_eq!(rows, Vec::from_iter(1..=100));
    // The last one is the commit of the end.
    assert_eq!(client.handle().checkpoints().completed, 1);
}

#[test]
fn queries_over_streams_give_final_results() {
    let env = batch(2);
    let t_env = StreamTableEnvironment::create(&env).unwrap();
    let orders = env.from_collection([("a".to_owned(), 1_i64), ("b".to_owned(), 2), ("a".to_owned(), 3)]);
    t_env
        .create_temporary_view("orders", &t_env.from_data_stream(&orders).unwrap())
        .unwrap();
    let totals = t_env
        .sql_query("SELECT f0, SUM(f1) FROM orders GROUP BY f0")
        .unwrap();
    let totals = t_env.to_data_stream_as::<(String, i64)>(&totals).unwrap();
    assert_eq!(collect(totals), [("a".to_owned(), 4), ("b".to_owned(), 2)]);
}
