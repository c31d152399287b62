//! The server, killed while its jobs run: all of them go on, and what they write is there once.
//!
//! Each round appends records, lets the jobs work for a while and kills the process. Half of the jobs copy records,
//! the others also count them by key, so that state is restored. `KILL_JOBS=20 KILL_ROUNDS=10` is the full size.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use millstream_types::Rng;

use crate::killed::{Process, rounds, run, run_with_input, setting};

/// Unless asked otherwise.
const JOBS: u64 = 4;
const ROUNDS: u64 = 3;
/// Records that each round appends.
const RECORDS: u64 = 200;
const KEYS: u64 = 10;
/// A round lasts at most this long.
const ROUND_MS_MAX: u64 = 1500;
/// Looks at the output until everything must be there.
const LOOKS_MAX: u32 = 200;
const PAUSE: Duration = Duration::from_millis(200);

const TABLES: &str = "
    SET 'execution.checkpointing.interval' = '100 ms';
    SET 'parallelism.default' = '2';
    CREATE TABLE numbers (n BIGINT, k STRING) WITH (
      'connector' = 'kafka', 'topic' = 'input', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');";

/// A server on free ports, once it is ready.
fn serve(directory: &Path) -> Process {
    _ = std::fs::remove_file(directory.join(".millstream/server.json"));
    let mut args = vec!["serve", "--quiet", "--log", "error", "--kafka", "127.0.0.1:0"];
    for key in [
        "rest.port=0",
        "sql-gateway.endpoint.rest.port=0",
        "metrics.reporter.prom.port=0",
    ] {
        args.extend(["-D", key]);
    }
    let mut server = Process::start(directory, &args);
    while !directory.join(".millstream/server.json").exists() {
        assert!(server.runs(), "the server ended: {}", server.talk());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    server
}

/// Submits a job that copies, or one that counts.
fn submit(directory: &Path, job: u64) {
    let name = format!("job{job}");
    let statements = match job % 2 {
        0 => format!(
            "CREATE TABLE copies (n BIGINT, k STRING) WITH ('connector' = 'kafka', 'topic' = '{name}', 'format' = 'json',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{name}');
             INSERT INTO copies SELECT n, k FROM numbers;"
        ),
        _ => format!(
            "CREATE TABLE counts (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',
               'topic' = '{name}', 'key.format' = 'json', 'value.format' = 'json',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{name}');
             INSERT INTO counts SELECT k, COUNT(*) FROM numbers GROUP BY k;"
        ),
    };
    let script = format!("{TABLES}\nSET 'pipeline.name' = '{name}';\n{statements}");
    let file = directory.join(format!("{name}.sql"));
    std::fs::write(&file, script).expect("a script");
    run(directory, &["run", "--detach", &file.display().to_string()]);
}

fn append(directory: &Path, from: u64) {
    let mut lines = String::new();
    for n in from..from + RECORDS {
        let key = n % KEYS;
        writeln!(lines, "{{\"n\":{n},\"k\":\"key {key}\"}}").expect("memory");
    }
    run_with_input(directory, &["topic", "produce", "input"], &lines);
}

/// Committed lines of a topic, in the order of each partition.
fn committed(directory: &Path, topic: &str) -> Vec<String> {
    let read = ["topic", "tail", topic, "--from-beginning", "--exit-at-end"];
    let committed = ["--isolation-level", "read_committed"];
    let text = run(directory, &[read.as_slice(), committed.as_slice()].concat());
    text.lines().map(str::to_owned).collect()
}

/// What is wrong with the output of a job; `None`: it is complete.
fn wrong(directory: &Path, job: u64, records: u64) -> Option<String> {
    let lines = committed(directory, &format!("job{job}"));
    if job.is_multiple_of(2) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for line in lines {
            *counts.entry(line).or_default() += 1;
        }
        let twice = counts.iter().find(|(_, count)| **count > 1);
        assert!(twice.is_none(), "job {job} wrote a record again: {twice:?}");
        let found = counts.len() as u64;
        return (found != records).then(|| format!("job {job}: {found} of {records} records"));
    }
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let (key, count) = (value["k"].to_string(), value["n"].as_u64().expect("a count"));
        let before = newest.insert(key, count);
        // Read from the log: a count that went back was written by a state that was not the committed one.
        assert!(
            before.is_none_or(|before| before <= count),
            "job {job}: {line} after {before:?}"
        );
        assert!(count <= records / KEYS, "job {job} counted records twice: {line}");
    }
    let complete = newest.len() as u64 == KEYS && newest.values().all(|count| *count == records / KEYS);
    (!complete).then(|| format!("job {job}: {newest:?}"))
}

#[test]
fn jobs_of_a_server_survive_its_kills() {
    let (rounds, rng) = rounds(ROUNDS);
    let jobs = setting("KILL_JOBS").unwrap_or(JOBS);
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = serve(directory.path());
    run(
        directory.path(),
        &["topic", "create", "input", "--partitions", "2"],
    );
    for job in 0..jobs {
        let partitions = if job % 2 == 0 { "2" } else { "1" };
        let name = format!("job{job}");
        run(
            directory.path(),
            &["topic", "create", &name, "--partitions", partitions],
        );
        submit(directory.path(), job);
    }
    let before = run(directory.path(), &["job", "list"]);
    for round in 0..rounds {
        append(directory.path(), round * RECORDS);
        std::thread::park_timeout(Duration::from_millis(rng.below(ROUND_MS_MAX)));
        drop(server);
        server = serve(directory.path());
        println!("round {round}: killed");
    }
    let records = rounds * RECORDS;
    for job in 0..jobs {
        let mut looks = 0;
        while let Some(reason) = wrong(directory.path(), job, records) {
            assert!(server.runs(), "the server ended: {}", server.talk());
            assert!(looks < LOOKS_MAX, "{reason}");
            looks += 1;
            std::thread::park_timeout(PAUSE);
        }
    }
    let ids = |list: &str| -> Vec<String> {
        let mut ids: Vec<String> = list
            .split_whitespace()
            .filter(|word| word.len() == 32)
            .map(str::to_owned)
            .collect();
        ids.sort();
        ids
    };
    let after = run(directory.path(), &["job", "list"]);
    assert_eq!(ids(&after), ids(&before), "the same jobs run: {after}");
    println!("{jobs} jobs, {rounds} kills, {records} records, each once");
}
