//! What goes wrong between a job and its topics: the job ends with an error that says what to do, or continues as its
//! settings say. Each of these once restarted endlessly, jumped over records or left readers waiting.

use std::path::Path;
use std::time::Duration;

use crate::exactly_once::{client, committed};
use crate::killed::{Process, command, produce, run};

const WAIT: Duration = Duration::from_millis(20);

/// Copies `input` to `output`; both tables have further options.
fn script(address: &str, source: &str, sink: &str) -> String {
    let cluster =
        format!("'connector' = 'kafka', 'format' = 'json', 'properties.bootstrap.servers' = '{address}'");
    format!(
        "CREATE TABLE numbers (n BIGINT, s STRING) WITH ({cluster}, 'topic' = 'input', {source});
         CREATE TABLE copies (n BIGINT, s STRING) WITH ({cluster}, 'topic' = 'output'{sink});
         INSERT INTO copies SELECT n, s FROM numbers;"
    )
}

const FROM_THE_BEGINNING: &str = "'scan.startup.mode' = 'earliest-offset'";

/// Creates `output`, and `copy.sql` which copies to it exactly once.
fn exactly_once_copy(directory: &Path, address: &str, settings: &str) {
    let create = ["topic", "create", "output", "--bootstrap-server", address];
    run(directory, &create);
    let sink = ", 'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'copies'";
    let text = format!("{settings}{}", script(address, FROM_THE_BEGINNING, sink));
    std::fs::write(directory.join("copy.sql"), text).expect("written");
}

/// The job restarted endlessly.
#[test]
fn a_record_above_the_largest_request_ends_the_job_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Process::broker(directory.path(), "127.0.0.1:0");
    let long = "x".repeat(5000);
    produce(
        directory.path(),
        &broker.address,
        "input",
        &format!("{{\"n\":1,\"s\":\"{long}\"}}\n"),
    );
    let sink = ", 'properties.max.request.size' = '2000'";
    let text = script(&broker.address, FROM_THE_BEGINNING, sink);
    std::fs::write(directory.path().join("large.sql"), text).expect("written");
    let arguments = ["run", "large.sql", "--data-dir", "of-the-job"];
    let (status, said) = Process::start(directory.path(), &arguments).end();
    assert!(!status.success());
    assert!(said.contains("cannot write to topic 'output'"), "{said}");
    assert!(said.contains("raise 'properties.max.request.size'"), "{said}");
}

/// The job failed with its first row, a minute later, after every restart.
#[test]
fn a_missing_topic_of_a_sink_is_reported_at_the_start_with_the_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = [
        "broker",
        "--log",
        "error",
        "--kafka",
        "127.0.0.1:0",
        "-D",
        "auto.create.topics.enable=false",
    ];
    let broker = Process::spawn_broker(command(directory.path(), &arguments));
    run(
        directory.path(),
        &["topic", "create", "input", "--bootstrap-server", &broker.address],
    );
    let text = script(&broker.address, FROM_THE_BEGINNING, "");
    std::fs::write(directory.path().join("missing.sql"), text).expect("written");
    let arguments = ["run", "missing.sql", "--data-dir", "of-the-job"];
    let (status, said) = Process::start(directory.path(), &arguments).end();
    assert!(!status.success());
    let remedy = format!(
        "millstream topic create output --bootstrap-server {}",
        broker.address
    );
    assert!(said.contains(&remedy), "{said}");
}

/// A position that retention has removed became the latest offset, whatever the table said.
#[test]
fn a_position_that_is_gone_continues_where_the_table_says_it_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let broker = Process::broker(path, "127.0.0.1:0");
    let address = broker.address.clone();
    let lines = |from: u64, to: u64| -> String {
        (from..to)
            .map(|n| format!("{{\"n\":{n},\"s\":\"\"}}\n"))
            .collect()
    };
    let arguments = ["run", "copy.sql", "--data-dir", "of-the-job"];
    let wait_for = |job: &mut Process, rows: usize| {
        while committed(path, &address, "output").len() < rows {
            assert!(job.runs(), "the job ended: {}", job.talk());
            std::thread::park_timeout(WAIT);
        }
    };
    produce(path, &address, "input", &lines(0, 10));
    exactly_once_copy(
        path,
        &address,
        "SET 'execution.checkpointing.interval' = '50 ms';",
    );
    let mut job = Process::start(path, &arguments);
    wait_for(&mut job, 10);
    drop(job);
    produce(path, &address, "input", &lines(10, 30));
    run(
        path,
        &[
            "topic",
            "delete-records",
            "input",
            "--partition",
            "0",
            "--offset",
            "20",
            "--bootstrap-server",
            &address,
        ],
    );
    let mut job = Process::start(path, &arguments);
    wait_for(&mut job, 20);
    let expected = |n: u64| (format!("{{\"n\":{n},\"s\":\"\"}}"), 1);
    let expected: std::collections::BTreeMap<String, u64> = (0..10).chain(20..30).map(expected).collect();
    assert_eq!(committed(path, &address, "output"), expected);
}

/// Readers of committed records waited for transactions that no job was going to end.
#[tokio::test]
async fn a_canceled_job_leaves_no_open_transaction() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let broker = Process::broker(path, "127.0.0.1:0");
    let address = broker.address.clone();
    produce(path, &address, "input", "{\"n\":1,\"s\":\"\"}\n");
    let settings = "SET 'execution.checkpointing.interval' = '1 h'; SET 'pipeline.name' = 'canceled';";
    exactly_once_copy(path, &address, settings);
    let (rest, gateway) = ("rest.port=0", "sql-gateway.endpoint.rest.port=0");
    let arguments = [
        "serve",
        "--data-dir",
        "of-the-server",
        "--kafka",
        "127.0.0.1:0",
        "-D",
        rest,
        "-D",
        gateway,
    ];
    let mut server = Process::start(path, &arguments);
    let client = client(&address);
    let detach = ["run", "copy.sql", "--detach", "--data-dir", "of-the-server"];
    while !command(path, &detach).output().expect("it runs").status.success() {
        assert!(server.runs(), "the server ended: {}", server.talk());
    }
    while client
        .list_open_transactions()
        .await
        .expect("transactions")
        .is_empty()
    {
        assert!(server.runs(), "the server ended: {}", server.talk());
        tokio::time::sleep(WAIT).await;
    }
    let jobs = run(path, &["job", "list", "--data-dir", "of-the-server"]);
    let id = jobs
        .split_whitespace()
        .find(|word| word.len() == 32)
        .expect(&jobs)
        .to_owned();
    run(path, &["job", "cancel", &id, "--data-dir", "of-the-server"]);
    while !client
        .list_open_transactions()
        .await
        .expect("transactions")
        .is_empty()
    {
        tokio::time::sleep(WAIT).await;
    }
    assert!(committed(path, &address, "output").is_empty());
}
