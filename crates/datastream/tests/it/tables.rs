//! Streams as tables and tables as streams.

use millstream_datastream::table::{Row, RowKind, Schema, TableResult, Value};
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::{Collector, DataStream, Environment, Result};
use serde::{Deserialize, Serialize};

use crate::host::{collect, environment, failure, in_order, tables};
use crate::recovery::assert_recovers;

#[derive(Clone, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
struct Order {
    id: i64,
    product: String,
    amount: f64,
    note: Option<String>,
    tags: Vec<String>,
}

fn order(id: i64, product: &str, amount: f64) -> Order {
    Order {
        id,
        product: product.to_owned(),
        amount,
        note: (id % 2 == 0).then(|| format!("note of {id}")),
        tags: vec![product.to_uppercase()],
    }
}

fn orders(env: &Environment) -> DataStream<Order> {
    env.from_collection([
        order(1, "apple", 1.5),
        order(2, "pear", 2.5),
        order(3, "apple", 3.0),
    ])
}

/// The rows of a stream as texts, sorted.
fn texts(rows: DataStream<Row>) -> Vec<String> {
    collect(rows.map(|row| row.to_string()))
}

#[test]
fn structs_become_columns_and_columns_structs() {
    let env = environment(2);
    let t_env = tables(&env);
    let table = t_env.from_data_stream(&orders(&env)).unwrap();
    let rows = t_env
        .sql_query(format!(
            "SELECT * FROM {table} WHERE amount > 2 AND product <> 'fig'"
        ))
        .unwrap();
    let mut rows: Vec<Order> = in_order(t_env.to_data_stream_as(&rows).unwrap());
    rows.sort_by_key(|row| row.id);
    assert_eq!(rows, [order(2, "pear", 2.5), order(3, "apple", 3.0)]);
}

#[test]
fn a_query_between_two_functions_is_one_job() {
    let env = environment(2);
    let t_env = tables(&env);
    let words = env
        .from_collection(["a b a", "c a"])
        .flat_map(|line: &str, out: &mut Collector<String>| {
            line.split(' ').for_each(|word| out.collect(word.to_owned()));
        });
    let words = t_env
        .from_data_stream_with(&words, Schema::new().column("word", "STRING"))
        .unwrap();
    t_env.create_temporary_view("words", &words).unwrap();
    let upper = t_env
        .sql_query("SELECT UPPER(word), CHAR_LENGTH(word) FROM words WHERE word <> 'c'")
        .unwrap();
    let pairs: DataStream<(String, i32)> = t_env.to_data_stream_as(&upper).unwrap();
    let counts = pairs.key_by_ref(|(word, _)| word).reduce(|a, b| (a.0, a.1 + b.1));
    assert_eq!(
        collect(counts),
        [
            ("A".to_owned(), 1),
            ("A".to_owned(), 2),
            ("A".to_owned(), 3),
            ("B".to_owned(), 1)
        ]
    );
}

#[test]
fn updates_come_as_a_changelog() {
    let env = environment(1);
    env.set("millstream.batch.max-rows", "1");
    let t_env = tables(&env);
    let table = t_env.from_data_stream(&orders(&env)).unwrap();
    let totals = format!("SELECT product, SUM(amount) FROM {table} GROUP BY product");
    let totals = t_env.sql_query(totals).unwrap();
    let error = t_env
        .to_data_stream(&totals)
        .err()
        .expect("updates are not insertions");
    assert!(
        error
            .message
            .contains("GroupAggregate produces [I,UB,UA] changes"),
        "{error}"
    );
    assert_eq!(
        texts(t_env.to_changelog_stream(&totals).unwrap()),
        [
            "+I[apple, 1.5]",
            "+I[pear, 2.5]",
            "+U[apple, 4.5]",
            "-U[apple, 1.5]"
        ]
    );
}

fn change(kind: RowKind, key: &str, value: impl Into<Value>) -> Row {
    Row::of_kind(kind, [key.into(), value.into()])
}

#[test]
fn a_changelog_becomes_a_table() {
    let env = environment(1);
    env.set("millstream.batch.max-rows", "1");
    let t_env = tables(&env);
    let changes = env.from_collection([
        change(RowKind::Insert, "a", 1),
        change(RowKind::Insert, "b", 5),
        change(RowKind::UpdateBefore, "a", 1),
        change(RowKind::UpdateAfter, "a", 7),
        change(RowKind::Delete, "b", 5),
    ]);
    let schema = Schema::new().column("k", "STRING").column("v", "INT");
    let table = t_env.from_changelog_stream(&changes, schema).unwrap();
    let sums = t_env
        .sql_query(format!("SELECT COUNT(*), SUM(v) FROM {table}"))
        .unwrap();
    let last = in_order(t_env.to_changelog_stream(&sums).unwrap()).pop();
    assert_eq!(last.map(|row| row.to_string()), Some("+U[1, 7]".to_owned()));
}

#[test]
fn upserts_become_a_table_by_their_key() {
    let env = environment(1);
    env.set("millstream.batch.max-rows", "1");
    let t_env = tables(&env);
    let changes = env.from_collection([
        change(RowKind::Insert, "a", 1),
        change(RowKind::UpdateAfter, "a", 7),
        change(RowKind::Delete, "a", Value::Null),
    ]);
    let schema = Schema::new()
        .column("k", "STRING NOT NULL")
        .column("v", "INT")
        .primary_key(["k"]);
    let table = t_env.from_upsert_stream(&changes, schema).unwrap();
    let rows = in_order(t_env.to_changelog_stream(&table).unwrap());
    let shown: Vec<String> = rows.iter().map(Row::to_string).collect();
    assert_eq!(shown, ["+I[a, 1]", "-U[a, 1]", "+U[a, 7]", "-D[a, 7]"]);
}

#[test]
fn a_changed_row_in_a_stream_of_insertions_fails() {
    let env = environment(1);
    let t_env = tables(&env);
    let rows = env.from_collection([change(RowKind::Delete, "a", 1)]);
    let schema = Schema::new().column("k", "STRING").column("v", "INT");
    let table = t_env.from_row_stream(&rows, schema).unwrap();
    let message = failure(t_env.to_data_stream(&table).unwrap());
    assert_eq!(
        message,
        "operator 'DataStreamToTable': row -D[a, 1] is a change, but the table takes insertions only; use \
         from_changelog_stream"
    );
}

#[test]
fn a_value_that_is_no_value_of_its_column_fails() {
    let env = environment(1);
    let t_env = tables(&env);
    let rows = env.from_collection([change(RowKind::Insert, "a", 300)]);
    let schema = Schema::new().column("k", "STRING").column("v", "TINYINT");
    let table = t_env.from_row_stream(&rows, schema).unwrap();
    let message = failure(t_env.to_data_stream(&table).unwrap());
    assert!(
        message.contains("column 'v' is TINYINT and takes no 300"),
        "{message}"
    );
}

#[test]
fn timestamps_and_watermarks_pass_through() {
    let env = environment(2);
    let t_env = tables(&env);
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    let clicks = env
        .from_collection((0..20).map(|n| (format!("user-{}", n % 2), n * 1000)))
        .assign_timestamps_and_watermarks(
            strategy.with_timestamp_assigner(|click: &(String, i64), _| click.1),
        );
    let schema = Schema::new()
        .column("name", "STRING")
        .column("n", "BIGINT")
        .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
        .watermark("rowtime", "SOURCE_WATERMARK()");
    let clicks = t_env.from_data_stream_with(&clicks, schema).unwrap();
    t_env.create_temporary_view("clicks", &clicks).unwrap();
    t_env.set("table.local-time-zone", "UTC").unwrap();
    let windows = t_env
        .sql_query(
            "SELECT name, window_time AS closed, COUNT(*) AS n FROM TUMBLE(TABLE clicks, DESCRIPTOR(rowtime), INTERVAL '10' \
             SECOND) GROUP BY name, window_start, window_end, window_time",
        )
        .unwrap();
    let rows: DataStream<(String, i64, i64)> = t_env.to_data_stream_as(&windows).unwrap();
    // The windows of SQL end a millisecond before those of the stream, which take them over.
    let sums = rows
        .key_by(|_| 0)
        .window(millstream_datastream::window::TumblingEventTimeWindows::of(
            std::time::Duration::from_secs(10),
        ))
        .reduce(|a, b| {
            (
                format!("{}+{}", a.0.clone().min(b.0.clone()), a.0.max(b.0)),
                a.1,
                a.2 + b.2,
            )
        });
    assert_eq!(
        collect(sums),
        [
            ("user-0+user-1".to_owned(), 9_999, 10),
            ("user-0+user-1".to_owned(), 19_999, 10)
        ]
    );
}

#[test]
fn rows_without_timestamps_have_no_rowtime() {
    let env = environment(1);
    let t_env = tables(&env);
    let schema = Schema::new().column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)");
    let table = t_env
        .from_data_stream_with(&env.from_collection([1]), schema)
        .unwrap();
    let message = failure(t_env.to_data_stream(&table).unwrap());
    assert!(message.contains("Rowtime timestamp is not defined"), "{message}");
}

#[test]
fn two_queries_over_one_stream_run_in_one_job() {
    let env = environment(2);
    let t_env = tables(&env);
    let table = t_env.from_data_stream(&env.from_sequence(1, 100)).unwrap();
    let query = |from: &str| {
        let table = t_env
            .sql_query(format!("SELECT f0 FROM {table} WHERE {from}"))
            .unwrap();
        t_env.to_data_stream_as::<i64>(&table).unwrap()
    };
    let rows = collect(query("f0 <= 3").union([query("f0 > 98"), query("f0 <= 3")]));
    assert_eq!(rows, [1, 1, 2, 2, 3, 3, 99, 100]);
}

#[test]
fn statements_run_as_jobs_of_their_own() {
    let env = environment(1);
    let t_env = tables(&env);
    let numbers = t_env.from_data_stream(&env.from_sequence(1, 4)).unwrap();
    t_env.create_temporary_view("numbers", &numbers).unwrap();
    let rows = t_env
        .execute_sql("SELECT f0 * 10 AS tens FROM numbers")
        .unwrap()
        .collect()
        .unwrap();
    assert_eq!(rows.columns().collect::<Vec<_>>(), ["tens"]);
    let rows: Result<Vec<Row>> = rows.collect();
    assert_eq!(rows.unwrap().len(), 4);
    t_env
        .execute_sql("CREATE TABLE target (n BIGINT) WITH ('connector' = 'blackhole')")
        .unwrap();
    let result = t_env
        .execute_sql("INSERT INTO target SELECT * FROM numbers")
        .unwrap();
    assert!(result.wait().unwrap().is_some());
    let set = t_env
        .create_statement_set()
        .add_insert_sql("INSERT INTO target SELECT f0 + 1 FROM numbers");
    set.add_insert("target", &numbers)
        .execute()
        .unwrap()
        .wait()
        .unwrap();
    assert!(matches!(
        t_env.execute_sql("SHOW TABLES").unwrap(),
        TableResult::Table(_)
    ));
    // None of these belongs to the program's own job, whose sources nothing reads.
    let error = env.execute("none").unwrap_err();
    assert!(error.message.contains("No operators defined"), "{error}");
}

#[test]
fn a_statement_set_joins_the_job_of_the_program() {
    let env = environment(1);
    let t_env = tables(&env);
    let numbers = env.from_sequence(1, 4);
    let table = t_env.from_data_stream(&numbers).unwrap();
    t_env
        .execute_sql("CREATE TABLE target (n BIGINT) WITH ('connector' = 'blackhole')")
        .unwrap();
    let set = t_env.create_statement_set().add_insert("target", &table);
    set.attach_as_data_stream().unwrap();
    numbers.map(|n| n).discard();
    let client = env.execute_async("both").unwrap();
    client.wait().unwrap();
    let names: Vec<String> = client
        .handle()
        .vertices()
        .iter()
        .map(|vertex| vertex.name.clone())
        .collect();
    assert!(
        names.contains(&"Sink".to_owned()) && names.contains(&"Discarding Sink".to_owned()),
        "{names:?}"
    );
}

#[test]
fn a_stream_outside_of_programs_is_no_table() {
    let env = environment(1);
    let t_env = tables(&env);
    t_env
        .execute_sql("CREATE TABLE t (n INT) WITH ('connector' = 'datastream', 'stream' = 'none')")
        .unwrap();
    let error = t_env.execute_sql("SELECT * FROM t").err().unwrap();
    assert_eq!(error.message, "the program has no stream 'none'");
}

#[test]
fn a_type_that_does_not_fit_the_query_is_refused() {
    let env = environment(1);
    let t_env = tables(&env);
    let table = t_env.from_data_stream(&orders(&env)).unwrap();
    let two = t_env
        .sql_query(format!("SELECT id, product FROM {table}"))
        .unwrap();
    let refused = |error: Option<millstream_datastream::Error>| error.expect("it does not fit").message;
    assert!(refused(t_env.to_data_stream_as::<Order>(&two).err()).contains("field 'amount'"));
    assert!(refused(t_env.to_data_stream_as::<(i64,)>(&two).err()).contains("has 1 fields"));
    assert!(refused(t_env.to_data_stream_as::<i64>(&two).err()).contains("is one column"));
}

#[test]
fn a_mistake_in_sql_is_told_with_its_place() {
    let error = tables(&environment(1))
        .sql_query("SELECT nothing FROM nowhere")
        .unwrap_err();
    assert!(error.message.contains("nowhere"), "{error}");
}

fn windows_of(
    env: &Environment,
    data: DataStream<(String, i64)>,
    rules: DataStream<(String, i64)>,
) -> DataStream<String> {
    let t_env = tables(env);
    t_env.set("table.local-time-zone", "UTC").unwrap();
    let schema = Schema::new()
        .column("k", "STRING")
        .column("n", "BIGINT")
        .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
        .watermark("rowtime", "SOURCE_WATERMARK()");
    let data = t_env.from_data_stream_with(&data, schema).unwrap();
    let rules = t_env.from_data_stream(&rules).unwrap();
    t_env.create_temporary_view("data", &data).unwrap();
    t_env.create_temporary_view("rules", &rules).unwrap();
    let windows = t_env
        .sql_query(
            "SELECT k, SUM(n), COUNT(DISTINCT n), MAX(CAST(n AS STRING)) FROM TUMBLE(TABLE data, DESCRIPTOR(rowtime), \
             INTERVAL '0.1' SECOND) GROUP BY k, window_start, window_end",
        )
        .unwrap();
    let joined = t_env
        .sql_query("SELECT k, n, f1 FROM data JOIN rules ON k = f0")
        .unwrap();
    let windows: DataStream<(String, i64, i64, String)> = t_env.to_data_stream_as(&windows).unwrap();
    let joined: DataStream<(String, i64, i64)> = t_env.to_data_stream_as(&joined).unwrap();
    windows
        .map(|row| format!("{row:?}"))
        .union([joined.map(|row| format!("{row:?}"))])
}

#[test]
fn queries_over_streams_recover_at_other_parallelisms() {
    assert_recovers(windows_of);
}
