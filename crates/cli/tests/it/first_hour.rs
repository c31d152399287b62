//! What a new user meets in the first hour: commands in two terminals, on one data directory.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use crate::killed::{Process, command, run, run_with_input};

/// A program whose output is read line by line, killed when it is dropped.
struct Terminal {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Terminal {
    fn open(directory: &Path, args: &[&str]) -> Self {
        let mut child = command(directory, args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self {
            stdout: BufReader::new(child.stdout.take().expect("standard output")),
            stderr: BufReader::new(child.stderr.take().expect("standard error")),
            child,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

/// It failed with UNKNOWN_TOPIC_OR_PARTITION.
#[test]
fn tail_waits_for_a_topic_that_is_not_there_yet() {
    let directory = tempfile::tempdir().expect("a directory");
    let _broker = Process::broker(directory.path(), "127.0.0.1:0");
    let mut tail = Terminal::open(directory.path(), &["topic", "tail", "late", "--from-beginning"]);
    assert_eq!(
        next_line(&mut tail.stderr),
        "waiting for topic 'late'; Ctrl-C stops"
    );
    run(directory.path(), &["topic", "create", "late"]);
    run_with_input(directory.path(), &["topic", "produce", "late"], "first\n");
    assert_eq!(next_line(&mut tail.stdout), "first");
}

/// Tables without `bootstrap.servers` failed on the lock of the broker in the other terminal.
#[test]
fn tables_without_an_address_are_on_the_broker_of_the_other_terminal() {
    let directory = tempfile::tempdir().expect("a directory");
    let _broker = Process::broker(directory.path(), "127.0.0.1:0");
    run_with_input(directory.path(), &["topic", "produce", "orders"], "{\"id\":7}\n");
    let rows = "CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json',
        'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset'); SELECT id FROM orders";
    let shown = run(directory.path(), &["sql", "-e", rows]);
    assert!(shown.contains("|  7 |"), "{shown}");
    // The same without a table: the columns come from the records.
    let mut growing = Terminal::open(
        directory.path(),
        &[
            "sql",
            "--output",
            "changelog",
            "-e",
            "SELECT id FROM kafka.orders",
        ],
    );
    assert_eq!(next_line(&mut growing.stdout), "+I[7]");
}

#[test]
fn a_script_reports_to_programs_in_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = "CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
        CREATE TABLE nowhere (n INT) WITH ('connector' = 'blackhole');
        INSERT INTO nowhere SELECT n FROM numbers;";
    std::fs::write(directory.path().join("endless.sql"), script).expect("a script");
    let mut job = Terminal::open(directory.path(), &["run", "endless.sql", "--log-format", "json"]);
    let line = next_line(&mut job.stderr);
    let event: serde_json::Value = serde_json::from_str(&line).expect(&line);
    assert_eq!(event["fields"]["job"], "endless#1");
    let message = event["fields"]["message"].as_str().expect(&line);
    assert!(message.ends_with("starts from scratch"), "{message}");
}
