//! Functions of a program in SQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use millstream_datastream::functions::AggregateFunction;
use millstream_datastream::table::{
    AsyncSettings, Function, LogicalType, Row, ScalarFunction, StreamTableEnvironment,
};
use millstream_datastream::{DataStream, Environment, Error, Result};
use serde::{Deserialize, Serialize};

use crate::host::{environment, tables};
use crate::recovery::assert_recovers;

/// The rows of a query as texts, sorted.
fn rows(t_env: &StreamTableEnvironment, sql: &str) -> Vec<String> {
    let rows = t_env.execute_sql(sql).unwrap().collect().unwrap();
    let mut texts: Vec<String> = rows.map(|row| row.unwrap().to_string()).collect();
    texts.sort();
    texts
}

/// The error with which a query fails, before or while it runs.
fn failure(t_env: &StreamTableEnvironment, sql: &str) -> String {
    let failed = t_env
        .execute_sql(sql)
        .and_then(|result| result.collect()?.collect::<Result<Vec<Row>>>());
    failed.expect_err("the query fails").message
}

/// A table t of names and numbers.
fn names(t_env: &StreamTableEnvironment, env: &Environment) {
    let rows = [("ann", Some(1_i64)), ("bob", None), ("cy", Some(3))];
    let rows = env.from_collection(rows.map(|(name, n)| (name.to_owned(), n)));
    let table = t_env.from_data_stream(&rows).unwrap();
    t_env.create_temporary_view("t", &table).unwrap();
}

#[test]
fn a_closure_is_a_scalar_function() {
    let env = environment(2);
    let t_env = tables(&env);
    names(&t_env, &env);
    let repeat = Function::scalar(|(text, n): (String, i32)| text.repeat(usize::try_from(n).unwrap_or(0)));
    t_env.create_temporary_function("repeated", repeat).unwrap();
    assert_eq!(
        rows(
            &t_env,
            "SELECT repeated(f0, 2) FROM t WHERE repeated('x', 3) = 'xxx'"
        ),
        ["+I[annann]", "+I[bobbob]", "+I[cycy]"]
    );
    // By its whole name, and nested in built-in functions.
    assert_eq!(
        rows(
            &t_env,
            "SELECT UPPER(default_catalog.default_database.repeated(f0, 1)) FROM t WHERE f1 = 3"
        ),
        ["+I[CY]"]
    );
}

#[test]
fn null_is_for_options_and_gives_null_elsewhere() {
    let env = environment(1);
    let t_env = tables(&env);
    names(&t_env, &env);
    t_env
        .create_temporary_function("next", Function::scalar(|(n,): (i64,)| n + 1))
        .unwrap();
    let known = Function::scalar(|(n,): (Option<i64>,)| n.is_some());
    t_env.create_temporary_function("known", known).unwrap();
    assert_eq!(
        rows(&t_env, "SELECT f0, `next`(f1), known(f1) FROM t"),
        ["+I[ann, 2, true]", "+I[bob, null, false]", "+I[cy, 4, true]"]
    );
}

#[derive(Clone)]
struct Fails;

impl ScalarFunction for Fails {
    type Args = (String,);
    type Output = i64;
    fn eval(&mut self, (text,): (String,)) -> Result<i64> {
        assert!(text != "bob", "bob is not welcome");
        Err(Error::data(format!("'{text}' is not a number")))
    }
}

#[test]
fn errors_and_panics_name_the_function() {
    let env = environment(1);
    let t_env = tables(&env);
    names(&t_env, &env);
    t_env
        .create_temporary_function("fails", Function::scalar_of(Fails))
        .unwrap();
    let message = failure(&t_env, "SELECT fails(f0) FROM t");
    assert!(
        message.contains("function 'fails': 'ann' is not a number"),
        "{message}"
    );
    let message = failure(&t_env, "SELECT fails(f0) FROM t WHERE f0 = 'bob'");
    assert!(
        message.contains("function 'fails' panicked at record 1 of its batch: bob is not welcome"),
        "{message}"
    );
}

#[test]
fn wrong_arguments_are_refused_before_the_job_starts() {
    let env = environment(1);
    let t_env = tables(&env);
    names(&t_env, &env);
    let function = Function::scalar(|(text,): (String,)| text);
    t_env.create_temporary_function("same", function).unwrap();
    assert!(failure(&t_env, "SELECT same(f0, f0) FROM t").contains("expected 1, found 2"));
    let message = failure(&t_env, "SELECT same(ARRAY[1]) FROM t");
    assert!(
        message.contains("annot apply 'same' to arguments of type 'same(<ARRAY<INT NOT NULL> NOT NULL>)'"),
        "{message}"
    );
    assert!(
        failure(&t_env, "SELECT other(f0) FROM t").contains("no match found for function signature other")
    );
    let again = t_env.create_temporary_function("same", Function::scalar(|(n,): (i64,)| n));
    assert!(again.unwrap_err().message.contains("already exists"));
}

#[test]
fn a_system_function_goes_before_a_built_in_one() {
    let env = environment(1);
    let t_env = tables(&env);
    names(&t_env, &env);
    let upper = Function::scalar(|(text,): (String,)| format!("<{text}>"));
    t_env.create_temporary_system_function("UPPER", upper).unwrap();
    assert_eq!(
        rows(&t_env, "SELECT upper(f0) FROM t WHERE f1 = 1"),
        ["+I[<ann>]"]
    );
    // Another environment does not see it.
    let other = tables(&env);
    names(&other, &env);
    assert_eq!(rows(&other, "SELECT upper(f0) FROM t WHERE f1 = 1"), ["+I[ANN]"]);
}

#[test]
fn two_environments_may_use_one_name() {
    let env = environment(1);
    let (one, two) = (tables(&env), tables(&env));
    names(&one, &env);
    names(&two, &env);
    one.create_temporary_function("shared", Function::scalar(|(n,): (i64,)| n))
        .unwrap();
    two.create_temporary_function("shared", Function::scalar(|(n,): (i64,)| n * 100))
        .unwrap();
    assert_eq!(rows(&one, "SELECT shared(f1) FROM t WHERE f1 = 3"), ["+I[3]"]);
    assert_eq!(rows(&two, "SELECT shared(f1) FROM t WHERE f1 = 3"), ["+I[300]"]);
}

#[derive(Clone, Serialize, Deserialize)]
struct Letter {
    letter: char,
    place: i32,
}

#[test]
fn a_table_function_stands_in_from() {
    let env = environment(1);
    let t_env = tables(&env);
    names(&t_env, &env);
    let letters = Function::table(|(text,): (String,)| {
        let letters = text.chars().zip(1..).filter(|(letter, _)| *letter != 'b');
        letters.map(|(letter, place)| Letter { letter, place }).collect()
    });
    t_env.create_temporary_function("letters", letters).unwrap();
    assert_eq!(
        rows(
            &t_env,
            "SELECT f0, letter, place FROM t, LATERAL TABLE(letters(f0)) WHERE place > 1"
        ),
        ["+I[ann, n, 2]", "+I[ann, n, 3]", "+I[bob, o, 2]", "+I[cy, y, 2]"]
    );
    let sizes = Function::table(|(n,): (i64,)| (0..n).collect());
    t_env.create_temporary_function("sizes", sizes).unwrap();
    assert_eq!(
        rows(
            &t_env,
            "SELECT f0, s FROM t LEFT JOIN LATERAL TABLE(sizes(f1)) AS T (s) ON TRUE"
        ),
        [
            "+I[ann, 0]",
            "+I[bob, null]",
            "+I[cy, 0]",
            "+I[cy, 1]",
            "+I[cy, 2]"
        ]
    );
    assert_eq!(rows(&t_env, "SELECT f0 FROM TABLE(sizes(2))"), ["+I[0]", "+I[1]"]);
    assert!(failure(&t_env, "SELECT letters(f0) FROM t").contains("is a table function"));
    assert!(failure(&t_env, "SELECT * FROM TABLE(UPPER('a'))").contains("Cannot apply"));
}

/// Texts in arrival order, without the retracted ones.
#[derive(Clone)]
struct Joined;

impl AggregateFunction<(String,), String> for Joined {
    type Accumulator = Vec<String>;
    fn create_accumulator(&self) -> Vec<String> {
        Vec::new()
    }
    fn add(&self, accumulator: &mut Vec<String>, (text,): (String,)) {
        accumulator.push(text);
    }
    fn get_result(&self, accumulator: &Vec<String>) -> String {
        let mut texts = accumulator.clone();
        texts.sort();
        texts.join("+")
    }
    fn merge(&self, mut a: Vec<String>, b: Vec<String>) -> Vec<String> {
        a.extend(b);
        a
    }
    fn retract(&self, accumulator: &mut Vec<String>, (text,): (String,)) -> Result<()> {
        if let Some(place) = accumulator.iter().position(|other| *other == text) {
            accumulator.remove(place);
        }
        Ok(())
    }
}

#[test]
fn an_aggregate_function_groups_filters_and_takes_back() {
    let env = environment(1);
    env.set("millstream.batch.max-rows", "1");
    let t_env = tables(&env);
    names(&t_env, &env);
    t_env
        .create_temporary_function("joined", Function::aggregate(Joined))
        .unwrap();
    let last = |sql: &str| {
        let rows = t_env.execute_sql(sql).unwrap().collect().unwrap();
        rows.last().unwrap().unwrap().to_string()
    };
    assert_eq!(
        last("SELECT joined(f0), joined(f0) FILTER (WHERE f1 > 1), joined(DISTINCT 'x') FROM t"),
        "+U[ann+bob+cy, cy, x]"
    );
    // The counts are updated, so the outer function takes texts back.
    let counts = "SELECT joined(CAST(n AS STRING)) FROM (SELECT CHAR_LENGTH(f0) AS l, COUNT(*) AS n FROM t GROUP BY \
                  CHAR_LENGTH(f0))";
    assert_eq!(last(counts), "+U[1+2]");
}

#[test]
fn a_vectorised_function_sees_columns() {
    let env = environment(2);
    let t_env = tables(&env);
    names(&t_env, &env);
    let product = Function::vectorized(
        [LogicalType::BIGINT, LogicalType::BIGINT],
        LogicalType::BIGINT,
        |columns, rows| {
            let (a, b) = (
                columns[0].as_primitive::<Int64Type>(),
                columns[1].as_primitive::<Int64Type>(),
            );
            assert_eq!(a.len(), rows);
            let products = a.iter().zip(b).map(|(a, b)| Some(a? * b?));
            Ok(Arc::new(products.collect::<arrow_array::Int64Array>()))
        },
    );
    t_env.create_temporary_function("product", product).unwrap();
    assert_eq!(
        rows(&t_env, "SELECT f0, product(f1, 5) FROM t"),
        ["+I[ann, 5]", "+I[bob, null]", "+I[cy, 15]"]
    );
    let wrong = Function::vectorized([LogicalType::BIGINT], LogicalType::STRING, |columns, _| {
        Ok(Arc::clone(&columns[0]))
    });
    t_env.create_temporary_function("wrong", wrong).unwrap();
    assert!(
        failure(&t_env, "SELECT wrong(f1) FROM t").contains("function 'wrong': it gave 3 values of Int64")
    );
}

#[test]
fn futures_run_side_by_side_and_keep_their_order() {
    let env = environment(1);
    let t_env = tables(&env);
    let numbers = t_env.from_data_stream(&env.from_sequence(1, 40)).unwrap();
    t_env.create_temporary_view("numbers", &numbers).unwrap();
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let settings = AsyncSettings {
        max_concurrent_operations: 8,
        retry_delay: Duration::from_millis(1),
        ..AsyncSettings::default()
    };
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let lookup = Function::asynchronous(settings, move |(n,): (i64,)| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(41 - n.unsigned_abs())).await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            if attempt == 3 {
                Err(Error::environment("try again"))
            } else {
                Ok(n * 10)
            }
        }
    });
    t_env.create_temporary_function("lookup", lookup).unwrap();
    let found = t_env.sql_query("SELECT lookup(f0) FROM numbers").unwrap();
    let found: DataStream<i64> = t_env.to_data_stream_as(&found).unwrap();
    assert_eq!(
        crate::host::in_order(found),
        (1..=40).map(|n| n * 10).collect::<Vec<_>>()
    );
    assert_eq!(attempts.load(Ordering::SeqCst), 41);
    assert_eq!(MOST.load(Ordering::SeqCst), 8);
}

#[test]
fn a_future_that_takes_too_long_fails() {
    let env = environment(1);
    let t_env = tables(&env);
    names(&t_env, &env);
    let settings = AsyncSettings {
        timeout: Duration::from_millis(5),
        ..AsyncSettings::default()
    };
    let slow = Function::asynchronous(settings, |(n,): (i64,)| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(n)
    });
    t_env.create_temporary_function("slow", slow).unwrap();
    let message = failure(&t_env, "SELECT slow(f1) FROM t");
    assert!(
        message.contains("function 'slow': no value came within 5 ms"),
        "{message}"
    );
}

fn joined_by_key(
    env: &Environment,
    data: DataStream<(String, i64)>,
    _: DataStream<(String, i64)>,
) -> DataStream<String> {
    use millstream_datastream::table::Schema;
    let t_env = tables(env);
    t_env.set("table.local-time-zone", "UTC").unwrap();
    t_env
        .create_temporary_function("joined", Function::aggregate(Joined))
        .unwrap();
    let schema = Schema::new()
        .column("k", "STRING")
        .column("n", "BIGINT")
        .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
        .watermark("rowtime", "SOURCE_WATERMARK()");
    let data = t_env.from_data_stream_with(&data, schema).unwrap();
    t_env.create_temporary_view("data", &data).unwrap();
    let windows = t_env
        .sql_query(
            "SELECT k, joined(CAST(n AS STRING)) FROM TABLE(SESSION(TABLE data PARTITION BY k, DESCRIPTOR(rowtime), \
             INTERVAL '0.02' SECOND)) GROUP BY k, window_start, window_end",
        )
        .unwrap();
    let windows: DataStream<(String, String)> = t_env.to_data_stream_as(&windows).unwrap();
    windows.map(|row| format!("{row:?}"))
}

#[test]
fn accumulators_recover_at_other_parallelisms() {
    assert_recovers(joined_by_key);
}
