//! Records that cannot be decoded and rows that come too late go to topics of their own, each once, whatever is killed.
//!
//! Every record of the input ends in exactly one place: decoded ones in the copies, the others among the dead letters; of
//! each operator with event time, rows are in its result or among the late rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use millstream_types::Rng;

use crate::killed::{Process, command, produce, rounds};

const ROUNDS: u64 = 3;
const RECORDS: u64 = 30_000;
/// Every record of such a number is malformed.
const MALFORMED_EACH: u64 = 41;
const PARALLELISM_MAX: u64 = 3;
/// Event time of the record behind all others, which closes windows.
const LAST_MS: u64 = 100_000_000;

const SCRIPT: &str = "
    SET 'execution.checkpointing.interval' = '50 ms';
    SET 'millstream.batch.max-rows' = '100';
    SET 'millstream.dead-letter.topic' = 'dead';
    SET 'millstream.late-rows.topic' = 'late';
    CREATE TABLE numbers (
      n BIGINT, k STRING, ts BIGINT, t AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR t AS t - INTERVAL '0.1' SECOND
    ) WITH (
      'connector' = 'kafka', 'topic' = 'input', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset',
      'scan.watermark.emit.strategy' = 'on-event');
    CREATE TABLE copies (n BIGINT) WITH (
      'connector' = 'kafka', 'topic' = 'copies', 'format' = 'json',
      'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'copies');
    CREATE TABLE results (operator STRING, c BIGINT) WITH (
      'connector' = 'kafka', 'topic' = 'results', 'format' = 'json',
      'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'results');
    EXECUTE STATEMENT SET BEGIN
    INSERT INTO copies SELECT n FROM numbers;
    INSERT INTO results
      SELECT 'WindowAggregate', COUNT(*) FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(t), INTERVAL '1' SECOND))
      GROUP BY k, window_start, window_end
      UNION ALL
      SELECT 'OverAggregate', CAST(1 AS BIGINT) FROM (SELECT COUNT(*) OVER (PARTITION BY k ORDER BY t) AS c FROM numbers)
      WHERE c > 0
      UNION ALL
      SELECT 'Rank', CAST(1 AS BIGINT) FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY n) AS r
        FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(t), INTERVAL '2' SECOND)))
      WHERE r <= 1000000;
    END;";

/// A record of the input: event time goes back and forth by up to two seconds.
fn record(n: u64, rng: &dyn Rng) -> String {
    if n.is_multiple_of(MALFORMED_EACH) {
        return format!("{{\"n\":{n}, this is no JSON");
    }
    let ts = if n > RECORDS {
        LAST_MS
    } else {
        n * 2 + rng.below(2000)
    };
    format!("{{\"n\":{n},\"k\":\"key {}\",\"ts\":{ts}}}", n % 7)
}

fn prepare(directory: &Path, address: &str, rng: &dyn Rng) {
    let lines: String = (1..=RECORDS + 1).map(|n| record(n, rng) + "\n").collect();
    produce(directory, address, "input", &lines);
}

/// The committed records of a topic, as the program prints them.
fn committed(directory: &Path, address: &str, topic: &str) -> Vec<serde_json::Value> {
    let arguments = "--from-beginning --exit-at-end --isolation-level read_committed --output json";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.extend(["--bootstrap-server", address]);
    let output = command(directory, &["topic", "tail", topic])
        .args(arguments)
        .output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("does not exist") {
        return Vec::new();
    }
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn header<'a>(record: &'a serde_json::Value, key: &str) -> &'a str {
    let headers = record["headers"].as_array().expect("headers");
    let found = headers.iter().find(|header| header["key"] == key);
    found.and_then(|header| header["value"].as_str()).expect(key)
}

fn value(record: &serde_json::Value) -> &str {
    record["value"].as_str().expect("a text")
}

/// Numbers in the values of records, once each.
fn numbers(records: &[serde_json::Value]) -> BTreeSet<u64> {
    let number = |record: &serde_json::Value| {
        let parsed: serde_json::Value = serde_json::from_str(value(record)).expect("JSON");
        parsed["n"].as_u64().expect("a number")
    };
    let numbers: BTreeSet<u64> = records.iter().map(number).collect();
    assert_eq!(numbers.len(), records.len(), "none is there twice");
    numbers
}

/// Rows by operator: in its result or too late for it.
fn rows_of_operators(results: &[serde_json::Value], late: &[serde_json::Value]) -> BTreeMap<String, u64> {
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for record in results {
        let parsed: serde_json::Value = serde_json::from_str(value(record)).expect("JSON");
        let operator = parsed["operator"].as_str().expect("a name").to_owned();
        *rows.entry(operator).or_default() += parsed["c"].as_u64().expect("a count");
    }
    for record in late {
        let operator = header(record, "__millstream.late.operator").to_owned();
        assert!(
            header(record, "__millstream.late.watermark")
                .parse::<i64>()
                .is_ok()
        );
        *rows.entry(operator).or_default() += 1;
    }
    rows
}

fn check(directory: &Path, address: &str) {
    let dead = committed(directory, address, "dead");
    let bad: Vec<String> = (1..=RECORDS)
        .filter(|n| n.is_multiple_of(MALFORMED_EACH))
        .map(|n| format!("{{\"n\":{n}, this is no JSON"))
        .collect();
    assert_eq!(dead.iter().map(value).collect::<Vec<_>>(), bad);
    for letter in &dead {
        assert_eq!(header(letter, "__millstream.errors.topic"), "input");
        assert_eq!(header(letter, "__millstream.errors.partition"), "0");
        let offset: u64 = header(letter, "__millstream.errors.offset")
            .parse()
            .expect("a number");
        assert_eq!(value(letter), format!("{{\"n\":{}, this is no JSON", offset + 1));
        assert!(header(letter, "__millstream.errors.message").contains("failed to deserialize JSON"));
    }
    let late = committed(directory, address, "late");
    assert!(late.len() > 100, "{} late rows test little", late.len());
}

/// Whether all rows have arrived; fails if there are more.
fn is_complete(directory: &Path, address: &str) -> bool {
    let good = RECORDS - RECORDS / MALFORMED_EACH;
    let copies = numbers(&committed(directory, address, "copies")).len() as u64;
    // The last record is in its own window and before no watermark: operators hold it.
    let rows = rows_of_operators(
        &committed(directory, address, "results"),
        &committed(directory, address, "late"),
    );
    let rows: Vec<u64> = ["OverAggregate", "Rank", "WindowAggregate"]
        .iter()
        .map(|operator| rows.get(*operator).copied().unwrap_or(0))
        .collect();
    assert!(
        copies <= good + 1 && rows.iter().all(|rows| *rows <= good),
        "{copies} {rows:?}"
    );
    copies == good + 1 && rows.iter().all(|rows| *rows == good)
}

#[test]
fn dead_letters_and_late_rows_are_written_once_across_kills() {
    let (rounds, rng) = rounds(ROUNDS);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let broker = Process::broker(path, "127.0.0.1:0");
    let address = broker.address.clone();
    prepare(path, &address, &rng);
    drop(broker);
    std::fs::write(path.join("sides.sql"), SCRIPT).expect("written");
    for round in 0..rounds {
        let parallelism = format!("parallelism.default={}", 1 + rng.below(PARALLELISM_MAX));
        let args = ["run", "sides.sql", "--kafka", &address, "-D", &parallelism];
        let mut job = Process::start(path, &args);
        let until = rng.below(RECORDS * (round + 1) / (rounds + 1));
        while (committed(path, &address, "copies").len() as u64) < until {
            assert!(job.runs(), "the job ended: {}", job.talk());
        }
        drop(job);
        println!("round {round}: killed");
    }
    let mut job = Process::start(path, &["run", "sides.sql", "--kafka", &address]);
    while !is_complete(path, &address) {
        assert!(job.runs(), "the job ended: {}", job.talk());
    }
    check(path, &address);
}

#[test]
fn lines_of_files_that_cannot_be_decoded_are_dead_letters() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    std::fs::create_dir(path.join("in")).expect("made");
    std::fs::write(
        path.join("in/a.json"),
        "{\"n\":1}\nwrong\n{\"n\":2}\n{\"n\":\"x\"}\n",
    )
    .expect("written");
    let script = "
        SET 'millstream.dead-letter.topic' = 'dead';
        CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
        CREATE TABLE copies (n BIGINT) WITH ('connector' = 'kafka', 'topic' = 'copies', 'format' = 'json');
        INSERT INTO copies SELECT n FROM numbers;";
    std::fs::write(path.join("files.sql"), script).expect("written");
    let (status, said) = Process::start(path, &["run", "files.sql", "--kafka", "127.0.0.1:0"]).end();
    assert!(status.success(), "{said}");
    let broker = Process::broker(path, "127.0.0.1:0");
    let dead = committed(path, &broker.address, "dead");
    let places: Vec<(&str, &str)> = dead
        .iter()
        .map(|letter| (value(letter), header(letter, "__millstream.errors.offset")))
        .collect();
    assert_eq!(places, [("wrong", "8"), ("{\"n\":\"x\"}", "22")]);
    assert!(header(&dead[0], "__millstream.errors.file").ends_with("in/a.json"));
    assert_eq!(
        numbers(&committed(path, &broker.address, "copies")),
        BTreeSet::from([1, 2])
    );
}

/// Rows that a client looks at are not written anywhere else: the query ends with the error.
#[test]
fn a_query_writes_no_dead_letters() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    std::fs::write(path.join("a.json"), "wrong\n").expect("written");
    let script = "
        SET 'millstream.dead-letter.topic' = 'dead';
        CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'a.json', 'format' = 'json');
        SELECT n FROM numbers;";
    std::fs::write(path.join("query.sql"), script).expect("written");
    let (status, said) = Process::start(path, &["run", "query.sql", "--kafka", "127.0.0.1:0"]).end();
    assert!(!status.success() && said.contains("wrong"), "{said}");
}
