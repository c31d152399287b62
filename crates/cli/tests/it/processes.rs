//! Long-running processes, stopped by a signal.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::{Call, ClientConfig, KafkaClient, Target};
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;

/// A running program, killed if a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(directory: &Path, args: &[&str]) -> Running {
    let child = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(args)
        .args(["--kafka", "127.0.0.1:0"])
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    Running(child)
}

/// Sends a signal by its name.
fn signal(running: &Running, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), running.0.id().to_string()])
        .status();
    assert!(status.expect("kill is there").success());
}

/// Reads on, so that the program does not wait for its reader, and gives its exit code.
fn end(mut running: Running, mut rest: impl Read) -> Option<i32> {
    let _ = std::io::copy(&mut rest, &mut std::io::sink());
    running.0.wait().expect("the program ends").code()
}

/// The first line of a stream, and the rest of it.
fn first_line<R: Read>(stream: R) -> (String, BufReader<R>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    (line.trim_end().to_owned(), reader)
}

const ENDLESS: &str = "
    CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '100', 'fields.n.min' = '7', 'fields.n.max' = '7');
    CREATE TABLE lines (n INT) WITH ('connector' = 'print');
    INSERT INTO lines SELECT n FROM numbers;";

#[test]
fn interrupt_ends_an_unbounded_script_cleanly() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("endless.sql"), ENDLESS).expect("a script");
    for name in ["INT", "TERM"] {
        let mut running = start(
            directory.path(),
            &["run", "endless.sql", "--quiet", "-D", "parallelism.default=1"],
        );
        let (line, rest) = first_line(running.0.stdout.take().expect("standard output"));
        assert_eq!(line, "+I[7]");
        signal(&running, name);
        assert_eq!(end(running, rest), Some(130), "{name}");
    }
}

#[test]
fn a_failing_job_ends_the_script_while_others_run() {
    let script = "
        SET 'restart-strategy.type' = 'none';
        CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
        CREATE TABLE nowhere (n INT) WITH ('connector' = 'blackhole');
        INSERT INTO nowhere SELECT n FROM numbers;
        INSERT INTO nowhere SELECT CAST('x' || CAST(n AS STRING) AS INT) FROM numbers;";
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("two.sql"), script).expect("a script");
    let (code, talk) = wait(start(directory.path(), &["run", "two.sql"]));
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("cannot cast to INT"), "{talk}");
}

#[test]
fn interrupt_ends_a_query() {
    let directory = tempfile::tempdir().expect("a directory");
    let statements = "CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '100'); SELECT 1 AS a FROM numbers";
    let mut running = start(
        directory.path(),
        &["sql", "--output", "changelog", "-e", statements],
    );
    let (line, rest) = first_line(running.0.stdout.take().expect("standard output"));
    assert_eq!(line, "+I[1]");
    signal(&running, "INT");
    assert_eq!(end(running, rest), Some(130));
}

#[test]
fn a_broker_locks_its_data_directory_and_stops_on_a_signal() {
    let directory = tempfile::tempdir().expect("a directory");
    let (broker, address, rest) = broker(directory.path());
    // A client command finds the broker through the data directory; only a second broker needs the lock.
    let topics = wait(start(directory.path(), &["topic", "list"]));
    assert_eq!(topics.0, Some(0), "{}", topics.1);
    let second = wait(start(directory.path(), &["broker"]));
    assert_eq!(second.0, Some(1), "{}", second.1);
    assert!(second.1.contains(".millstream"), "{}", second.1);
    let listed = start(
        directory.path(),
        &["topic", "create", "t", "--bootstrap-server", &address],
    );
    assert_eq!(wait(listed), (Some(0), "created topic t\n".to_owned()));
    signal(&broker, "TERM");
    assert_eq!(end(broker, rest), Some(0));
}

/// A running broker and the address on which it listens.
fn broker(directory: &Path) -> (Running, String, BufReader<ChildStderr>) {
    let mut broker = start(directory, &["broker"]);
    let (line, rest) = first_line(broker.0.stderr.take().expect("standard error"));
    let address = address_of(&line);
    (broker, address, rest)
}

/// The address in the first line that a broker writes.
fn address_of(line: &str) -> String {
    let address = line
        .strip_prefix("broker listening on ")
        .and_then(|rest| rest.split(',').next());
    address.expect(line).to_owned()
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let child = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(["broker", "--kafka", &address])
        .current_dir(directory.path())
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (code, talk) = wait(Running(child));
    assert_eq!(code, Some(1), "{talk}");
    assert!(
        talk.contains(&address) && talk.contains("in use") && talk.contains("--kafka"),
        "{talk}"
    );
}

#[test]
#[cfg(unix)]
fn a_broker_whose_log_has_failed_says_so_and_ends_with_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    // A limit of the size of files stands in for a full disk; the signal that goes with it is ignored.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" broker --kafka 127.0.0.1:0";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_millstream")])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut broker = Running(child);
    let (line, mut rest) = first_line(broker.0.stderr.take().expect("standard error"));
    let address = address_of(&line);
    let mut producer = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args([
            "topic",
            "produce",
            "t",
            "--quiet",
            "--acks",
            "0",
            "--bootstrap-server",
            &address,
        ])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = format!("{}\n", "x".repeat(1000)).repeat(4000);
    let mut input = producer.stdin.take().expect("standard input");
    std::io::Write::write_all(&mut input, lines.as_bytes()).expect("the producer reads");
    drop(input);
    let mut said = String::new();
    while !said.contains("log failed") {
        said.clear();
        assert!(
            rest.read_line(&mut said).expect("text") > 0,
            "the broker ended without a word"
        );
    }
    assert!(said.contains("free or repair the disk"), "{said}");
    let _ = producer.wait();
    signal(&broker, "TERM");
    assert_eq!(end(broker, rest), Some(1));
}

#[test]
fn garbage_on_the_kafka_port_closes_its_connection_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let (broker, address, rest) = broker(directory.path());
    let kinds: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc],
        &[0xff; 64],
        // A frame of the right length without a request in it, and one of an unknown API.
        &[0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for garbage in kinds {
        let mut socket = std::net::TcpStream::connect(&address).expect("the port is open");
        std::io::Write::write_all(&mut socket, garbage).expect("a socket takes a few bytes");
        let mut response = Vec::new();
        // The end of the stream, or a reset: both are a closed connection.
        let _ = socket.read_to_end(&mut response);
        assert!(response.is_empty(), "{garbage:?} was followed by {response:?}");
    }
    let create = ["topic", "create", "t", "--bootstrap-server", &address];
    assert_eq!(
        wait(start(directory.path(), &create)),
        (Some(0), "created topic t\n".to_owned())
    );
    signal(&broker, "TERM");
    assert_eq!(end(broker, rest), Some(0));
}

/// As with `kafka-consumer-groups`; one that is named is taken.
#[tokio::test]
async fn all_groups_are_those_of_consumers() {
    let directory = tempfile::tempdir().expect("a directory");
    let args = ["broker", "-D", "group.initial.rebalance.delay.ms=0"];
    let mut broker = start(directory.path(), &args);
    let (line, rest) = first_line(broker.0.stderr.take().expect("standard error"));
    let address = address_of(&line);
    let settings = BTreeMap::from([("bootstrap.servers".to_owned(), address.clone())]);
    let config = ClientConfig::parse(&settings).expect("settings").config;
    let client = KafkaClient::connect(&config).expect("an address");
    let topic = NewTopic::new("t", Some(1));
    client.create_topic(topic).await.expect("a topic");
    let join = JoinGroupRequest {
        group_id: "connectors".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "connect".into(),
        protocols: vec![join_group::JoinGroupRequestProtocol {
            name: "compatible".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    // Later versions join in two steps, and leave several at a time.
    let call = Call::new(Target::Any, join).version_max(3);
    let (joined, _) = client.call_with::<JoinGroupRequest>(call).await.expect("joined");
    assert_eq!(joined.error_code, ErrorCode::NONE);
    let leave = LeaveGroupRequest {
        group_id: "connectors".into(),
        member_id: joined.member_id,
        ..Default::default()
    };
    let call = Call::new(Target::Any, leave).version_max(2);
    let (left, _) = client.call_with::<LeaveGroupRequest>(call).await.expect("left");
    assert_eq!(left.error_code, ErrorCode::NONE);

    let run = |args: &str| {
        let args: Vec<&str> = args.split(' ').chain(["--bootstrap-server", &address]).collect();
        wait(start(directory.path(), &args))
    };
    let reset = "group reset-offsets readers --topic t --to-earliest --execute --quiet";
    assert_eq!(run(reset), (Some(0), String::new()));
    let deleted = |group: &str| (Some(0), format!("deleted group {group}\n"));
    assert_eq!(run("group delete --all-groups"), deleted("readers"));
    assert_eq!(run("group delete connectors"), deleted("connectors"));
    signal(&broker, "TERM");
    assert_eq!(end(broker, rest), Some(0));
}

/// Exit code and standard error of a program that ends by itself.
fn wait(mut running: Running) -> (Option<i32>, String) {
    let mut text = String::new();
    let mut stderr = running.0.stderr.take().expect("standard error");
    stderr.read_to_string(&mut text).expect("text");
    (running.0.wait().expect("the program ends").code(), text)
}
