//! A job from topic to topic with `exactly-once`, killed while it runs: readers of committed records find each record
//! once.
//!
//! Each round kills the job, the broker, or both at a random point, and the next one continues with another parallelism.
//! `KILL_ROUNDS` and `KILL_SEED` as with the broker's own test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{ClientConfig, KafkaClient, TopicPartition};
use millstream_types::Rng;

use crate::killed::{Process, command, produce, rounds, run};

const ROUNDS: u64 = 3;
/// A round ends after fewer new records in the output than this.
const ROUND_RECORDS_MAX: u64 = 4000;
/// Records beyond those that the rounds may need, so that jobs are killed with work left even where they outrun the
/// test.
const RECORDS_LEFT: u64 = 60_000;
const PARALLELISM_MAX: u64 = 3;
const PARTITIONS: i32 = 2;

/// A job without an end, as one that is killed must not come to its end before.
const ENDLESS: &str = "unbounded";
const UP_TO_THE_END: &str = "latest-offset";

/// Copies `input` to `output`.
fn script(bootstrap: &str, output: &str, bounded_mode: &str) -> String {
    let cluster = if bootstrap.is_empty() {
        String::new()
    } else {
        format!("'properties.bootstrap.servers' = '{bootstrap}',")
    };
    format!(
        "SET 'execution.checkpointing.interval' = '50 ms';
         CREATE TABLE numbers (n BIGINT) WITH (
           'connector' = 'kafka', 'topic' = 'input', {cluster} 'format' = 'json',
           'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '{bounded_mode}');
         CREATE TABLE copies (n BIGINT) WITH (
           'connector' = 'kafka', 'topic' = '{output}', {cluster} 'format' = 'json',
           'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{output}');
         INSERT INTO copies SELECT n FROM numbers;"
    )
}

/// Makes the topics and fills the first.
fn prepare(directory: &Path, address: &str, records: u64) {
    let cluster = ["--bootstrap-server", address];
    for topic in ["input", "output", "copy"] {
        let partitions = PARTITIONS.to_string();
        let mut create = command(
            directory,
            &["topic", "create", topic, "--partitions", &partitions],
        );
        let create = create.args(cluster);
        assert!(create.stderr(Stdio::null()).status().expect("it runs").success());
    }
    let lines: String = (0..records).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    produce(directory, address, "input", &lines);
}

/// A client that soon finds a broker that came back.
pub fn client(address: &str) -> KafkaClient {
    let settings = [
        ("bootstrap.servers", address),
        ("reconnect.backoff.ms", "5"),
        ("reconnect.backoff.max.ms", "20"),
        ("retry.backoff.ms", "5"),
        ("retry.backoff.max.ms", "20"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let settings = BTreeMap::from(settings);
    let config = ClientConfig::parse(&settings).expect("settings").config;
    KafkaClient::connect(&config).expect("an address")
}

/// Offsets that the output has used up.
async fn output_end(client: &KafkaClient) -> u64 {
    let wanted: BTreeMap<_, _> = (0..PARTITIONS)
        .map(|partition| (TopicPartition::new("output", partition), OffsetSpec::Latest))
        .collect();
    let found = client
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await
        .expect("offsets");
    found
        .values()
        .map(|end| u64::try_from(end.offset).expect("an offset"))
        .sum()
}

/// Until the output has `more` offsets than now, or a job that outran this test may have written everything.
async fn wait_for_output(client: &KafkaClient, job: &mut Process, more: u64, records: u64) {
    let until = records.min(output_end(client).await + more);
    while output_end(client).await < until {
        assert!(job.runs(), "the job ended: {}", job.talk());
        tokio::task::yield_now().await;
    }
    assert!(job.runs(), "the job ended: {}", job.talk());
}

/// What a reader of committed records gets from a topic: each line, and how often.
pub fn committed(directory: &Path, address: &str, topic: &str) -> BTreeMap<String, u64> {
    let arguments = "--from-beginning --exit-at-end --isolation-level read_committed --bootstrap-server";
    let mut tail = vec!["topic", "tail", topic];
    tail.extend(arguments.split(' '));
    tail.push(address);
    let text = run(directory, &tail);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

/// All records are there, and each once.
fn check(counts: &BTreeMap<String, u64>, records: u64) {
    let wrong: Vec<String> = (0..records)
        .map(|n| format!("{{\"n\":{n}}}"))
        .filter_map(|line| match counts.get(&line).copied().unwrap_or(0) {
            1 => None,
            count => Some(format!("{line}: {count} times")),
        })
        .take(10)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(counts.len() as u64, records, "nothing else is there");
}

/// Lets a job write what is left of the input.
fn run_to_the_end(directory: &Path, address: &str, mut job: Process, records: u64) {
    while (committed(directory, address, "output").len() as u64) < records {
        assert!(job.runs(), "the job ended: {}", job.talk());
    }
}

fn parallelism(rng: &dyn Rng) -> String {
    format!("parallelism.default={}", 1 + rng.below(PARALLELISM_MAX))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_the_broker_inside_survives_kills() {
    let (rounds, rng) = rounds(ROUNDS);
    let records = rounds * ROUND_RECORDS_MAX + RECORDS_LEFT;
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Process::broker(directory.path(), "127.0.0.1:0");
    let address = broker.address.clone();
    prepare(directory.path(), &address, records);
    drop(broker);
    std::fs::write(directory.path().join("copy.sql"), script("", "output", ENDLESS)).expect("written");
    let client = client(&address);
    for round in 0..rounds {
        let args = ["run", "copy.sql", "--kafka", &address, "-D", &parallelism(&rng)];
        let mut job = Process::start(directory.path(), &args);
        wait_for_output(&client, &mut job, rng.below(ROUND_RECORDS_MAX), records).await;
        drop(job);
        println!("round {round}: killed");
    }
    let start = |script| Process::start(directory.path(), &["run", script, "--kafka", &address]);
    run_to_the_end(directory.path(), &address, start("copy.sql"), records);
    let whole = script("", "copy", UP_TO_THE_END);
    std::fs::write(directory.path().join("whole.sql"), whole).expect("written");
    let (status, talk) = start("whole.sql").end();
    assert!(status.success(), "{talk}");
    let _broker = Process::broker(directory.path(), &address);
    check(&committed(directory.path(), &address, "output"), records);
    check(&committed(directory.path(), &address, "copy"), records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_beside_its_broker_survives_kills_of_either() {
    let (rounds, rng) = rounds(ROUNDS);
    let records = rounds * ROUND_RECORDS_MAX + RECORDS_LEFT;
    let directory = tempfile::tempdir().expect("a directory");
    let mut broker = Process::broker(directory.path(), "127.0.0.1:0");
    let address = broker.address.clone();
    prepare(directory.path(), &address, records);
    std::fs::write(
        directory.path().join("copy.sql"),
        script(&address, "output", ENDLESS),
    )
    .expect("written");
    let client = client(&address);
    let start = |parallelism: &str| {
        let args = ["run", "copy.sql", "--data-dir", "of-the-job", "-D", parallelism];
        Process::start(directory.path(), &args)
    };
    let mut job = start(&parallelism(&rng));
    for round in 0..rounds {
        wait_for_output(&client, &mut job, rng.below(ROUND_RECORDS_MAX), records).await;
        let (kills_job, kills_broker) = [(true, false), (false, true), (true, true)][rng.below(3) as usize];
        if kills_job {
            drop(job);
            job = start(&parallelism(&rng));
        }
        if kills_broker {
            drop(broker);
            broker = Process::broker(directory.path(), &address);
        }
        println!("round {round}: killed the job: {kills_job}, the broker: {kills_broker}");
    }
    run_to_the_end(directory.path(), &address, job, records);
    check(&committed(directory.path(), &address, "output"), records);
    drop(broker);
}

/// The two sinks fenced each other at every restart.
#[test]
fn two_inserts_with_one_transactional_id_prefix_are_rejected() {
    let directory = tempfile::tempdir().expect("a directory");
    let insert = "INSERT INTO copies SELECT n FROM numbers;";
    let whole = script("", "output", UP_TO_THE_END);
    assert!(whole.contains(insert));
    let set = whole.replace(
        insert,
        &format!("EXECUTE STATEMENT SET BEGIN {insert} {insert} END;"),
    );
    std::fs::write(directory.path().join("set.sql"), set).expect("written");
    let (status, talk) =
        Process::start(directory.path(), &["run", "set.sql", "--kafka", "127.0.0.1:0"]).end();
    assert!(!status.success());
    assert!(
        talk.contains("two INSERTs of the statement set write with 'sink.transactional-id-prefix' 'output'"),
        "{talk}"
    );
}
