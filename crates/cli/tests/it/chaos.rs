//! `millstream chaos` on scripts of its users.

use std::path::Path;

use crate::killed::{Process, command, produce, run};

const RECORDS: u64 = 3_000;

const SCRIPT: &str = "
    SET 'execution.checkpointing.interval' = '10 min';
    CREATE TABLE numbers (n BIGINT, k STRING) WITH (
      'connector' = 'kafka', 'topic' = 'numbers', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');
    CREATE TABLE copies (n BIGINT, k STRING) WITH (
      'connector' = 'kafka', 'topic' = 'copies', 'format' = 'json',
      'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'copies');
    CREATE TABLE counts (k STRING, c BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH (
      'connector' = 'upsert-kafka', 'topic' = 'counts', 'key.format' = 'json', 'value.format' = 'json');
    CREATE TABLE files (n BIGINT, k STRING) WITH (
      'connector' = 'filesystem', 'path' = 'files', 'format' = 'csv');
    INSERT INTO copies SELECT n, k FROM numbers;
    INSERT INTO counts SELECT k, COUNT(*) FROM numbers GROUP BY k;
    INSERT INTO files SELECT n, k FROM numbers WHERE n < 1000;";

fn prepare(directory: &Path, script: &str) {
    std::fs::write(directory.join("job.sql"), script).expect("written");
    let broker = Process::broker(directory, "127.0.0.1:0");
    let lines: String = (0..RECORDS)
        .map(|n| format!("{{\"n\":{n},\"k\":\"key {}\"}}\n", n % 10))
        .collect();
    produce(directory, &broker.address.clone(), "numbers", &lines);
}

#[test]
fn a_script_that_is_exactly_once_survives_chaos() {
    let directory = tempfile::tempdir().expect("a directory");
    prepare(directory.path(), SCRIPT);
    let args = [
        "chaos", "job.sql", "--kills", "6", "--settle", "1 s", "--output", "json",
    ];
    let printed = run(directory.path(), &args);
    let tables: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let found: Vec<_> = tables
        .iter()
        .map(|t| {
            (
                t["table"].as_str().expect("a name"),
                t["lost"] == 0,
                t["doubled"] == 0,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("copies", true, true),
            ("counts", true, true),
            ("files", true, true)
        ],
        "{printed}"
    );
    assert_eq!(tables[0]["kills"], 6, "{printed}");
    let trials = tables[0]["trials"].as_i64().expect("a number");
    let expected = i64::try_from(RECORDS).expect("few") * trials;
    assert_eq!(tables[0]["expected"], expected, "{printed}");
    assert_eq!(tables[2]["expected"], 1_000 * trials, "{printed}");
    assert!(
        !directory.path().join("files").exists(),
        "the script ran on a copy"
    );
}

#[test]
fn chaos_names_what_it_cannot_judge() {
    let directory = tempfile::tempdir().expect("a directory");
    let table = "CREATE TABLE t (n INT) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json'";
    let of_the_clock = "SELECT CAST(EXTRACT(MILLISECOND FROM CURRENT_TIMESTAMP) + 1000 * EXTRACT(SECOND FROM CURRENT_TIMESTAMP) AS INT)";
    for (script, expected) in [
        (
            format!("{table}, 'properties.bootstrap.servers' = 'prod:9092'); INSERT INTO t SELECT 1;"),
            "'prod:9092'",
        ),
        (
            format!("{table}); INSERT INTO t {of_the_clock};"),
            "two undisturbed runs",
        ),
        (format!("{table}); INSERT INTO t SELECT nothing;"), "nothing"),
    ] {
        std::fs::write(directory.path().join("job.sql"), &script).expect("written");
        let output = command(directory.path(), &["chaos", "job.sql"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{script}: {said}");
        assert!(said.contains(expected), "{script}: {said}");
    }
}
