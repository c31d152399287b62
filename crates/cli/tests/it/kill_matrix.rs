//! Every failpoint, with every victim: a job is stopped at a named place of the exactly-once protocol, and the engine, the
//! broker or both are killed there. Afterwards each record of the input is once in each output.
//!
//! `cargo xtask kill-matrix` runs it with more rounds and on other clusters; a plain test run kills once at each place.
//! Variables: `KILL_MATRIX_CLUSTER` (`embedded`, `process`, `kafka`), `KILL_MATRIX_ROUNDS` for each place and victim,
//! `KILL_MATRIX_FAILPOINT` for a single one, `KILL_SEED`. For a real Kafka, `KILL_MATRIX_ADDRESS` says where it listens,
//! `KILL_MATRIX_KILL` and `KILL_MATRIX_START` are shell commands that kill and start it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::{ClientConfig, KafkaClient, ProduceRecord, Producer};
use millstream_kafka_wire::KafkaString;
use millstream_types::failpoint;
use millstream_types::{Clock, Rng, SeededRng, SystemClock};
use tokio::time::{sleep, timeout};

use crate::exactly_once::committed;
use crate::killed::{Process, command, rounds};

const PARTITIONS: i32 = 2;
const KEYS: u64 = 5;
const PARALLELISM_MAX: u64 = 3;
/// Every record of such a number is malformed.
const MALFORMED_EACH: u64 = 23;
/// The pace of the input: so many records, then a pause.
const BURST: u64 = 20;
const PAUSE: Duration = Duration::from_millis(4);
/// Passes of a place before the one that stops there.
const PASSES_MAX: u64 = 6;
/// A place that is not reached by then is left out of the round.
const REACH_TIME_MAX: Duration = Duration::from_secs(30);
const END_TIME_MAX: Duration = Duration::from_secs(180);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What is killed at a failpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Engine,
    Broker,
    Both,
}

/// Where the topics are.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Cluster {
    /// In the job's process.
    Embedded,
    /// Millstream's broker in a process of its own.
    Process,
    /// A Kafka that shell commands kill and start.
    Kafka {
        address: String,
        kill: String,
        start: String,
    },
}

impl Cluster {
    fn of_environment() -> Self {
        let text = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        match std::env::var("KILL_MATRIX_CLUSTER").as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("process") => Self::Process,
            Ok("kafka") => Self::Kafka {
                address: text("KILL_MATRIX_ADDRESS"),
                kill: text("KILL_MATRIX_KILL"),
                start: text("KILL_MATRIX_START"),
            },
            Ok(other) => panic!("KILL_MATRIX_CLUSTER={other} is none of embedded, process, kafka"),
        }
    }

    fn victims(&self) -> &'static [Victim] {
        match self {
            Self::Embedded => &[Victim::Both],
            Self::Process | Self::Kafka { .. } => &[Victim::Engine, Victim::Broker, Victim::Both],
        }
    }

    /// Failpoints that processes of this build pass.
    fn has(&self, name: &str) -> bool {
        !matches!(self, Self::Kafka { .. }) || !is_of_broker(name)
    }
}

fn is_of_restart(name: &str) -> bool {
    name.starts_with("recovery-")
}

fn is_of_broker(name: &str) -> bool {
    name.starts_with("broker-")
}

/// A running copy job with its cluster, and what was killed so far.
struct Stage {
    directory: tempfile::TempDir,
    cluster: Cluster,
    address: String,
    /// Of `Cluster::Process`.
    broker: Option<Process>,
    job: Option<Process>,
    /// Tells the topics of this stage from others of the same cluster.
    suffix: String,
}

fn shell(command: &str) {
    let done = Command::new("sh")
        .args(["-c", command])
        .stdout(Stdio::null())
        .status();
    assert!(done.expect("a shell").success(), "{command}");
}

impl Stage {
    async fn new(cluster: Cluster, suffix: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut stage = Self {
            directory,
            address: match &cluster {
                Cluster::Kafka { address, .. } => address.clone(),
                Cluster::Embedded | Cluster::Process => String::new(),
            },
            cluster,
            broker: None,
            job: None,
            suffix: suffix.to_owned(),
        };
        if stage.cluster != Cluster::Embedded && !stage.address.is_empty() {
            stage.make_topics().await;
        } else {
            let broker = Process::broker(stage.path(), "127.0.0.1:0");
            stage.address = broker.address.clone();
            stage.make_topics().await;
            stage.broker = (stage.cluster == Cluster::Process).then_some(broker);
        }
        std::fs::write(stage.path().join("copy.sql"), stage.script()).expect("written");
        stage
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn topic(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    async fn make_topics(&self) {
        let client = client(&self.address).0;
        for name in ["input", "output", "dead"] {
            let topic = NewTopic::new(self.topic(name).as_str(), Some(PARTITIONS));
            client.create_topic(topic).await.expect("a topic");
        }
    }

    fn script(&self) -> String {
        let servers = match self.cluster {
            Cluster::Embedded => String::new(),
            _ => format!("'properties.bootstrap.servers' = '{}',", self.address),
        };
        let [input, output, dead] = ["input", "output", "dead"].map(|name| self.topic(name));
        format!(
            "SET 'execution.checkpointing.interval' = '50 ms';
             SET 'restart-strategy.type' = 'fixed-delay';
             SET 'restart-strategy.fixed-delay.attempts' = '1000000';
             SET 'restart-strategy.fixed-delay.delay' = '50 ms';
             SET 'millstream.dead-letter.topic' = '{dead}';
             CREATE TABLE numbers (n BIGINT, k STRING, pt AS PROCTIME()) WITH (
               'connector' = 'kafka', 'topic' = '{input}', {servers} 'format' = 'json',
               'scan.startup.mode' = 'earliest-offset');
             CREATE TABLE copies (n BIGINT, c BIGINT) WITH (
               'connector' = 'kafka', 'topic' = '{output}', {servers} 'format' = 'json',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{output}');
             CREATE TABLE files (n BIGINT) WITH (
               'connector' = 'filesystem', 'path' = 'files', 'format' = 'json',
               'sink.rolling-policy.rollover-interval' = '100 ms', 'sink.rolling-policy.check-interval' = '50 ms');
             EXECUTE STATEMENT SET BEGIN
             INSERT INTO copies SELECT n, COUNT(*) OVER (PARTITION BY k ORDER BY pt) FROM numbers;
             INSERT INTO files SELECT n FROM numbers;
             END;"
        )
    }

    /// Starts the job, with a failpoint armed if it is passed in the job's process.
    fn start_job(&mut self, parallelism: u64, armed: Option<&str>) {
        let define = format!("parallelism.default={parallelism}");
        let mut arguments = vec!["run", "copy.sql", "--log", "error", "-D", &define];
        match self.cluster {
            Cluster::Embedded => arguments.extend(["--kafka", &self.address]),
            _ => arguments.extend(["--data-dir", "of-the-job"]),
        }
        let mut job = command(self.path(), &arguments);
        if let Some(armed) = armed {
            job.env("MILLSTREAM_FAILPOINT", armed);
        }
        self.job = Some(Process::spawn(job));
    }

    fn start_broker(&mut self, armed: Option<&str>) {
        match &self.cluster {
            Cluster::Embedded => {}
            Cluster::Process => {
                let arguments = ["broker", "--log", "error", "--kafka", &self.address];
                let mut broker = command(self.path(), &arguments);
                if let Some(armed) = armed {
                    broker.env("MILLSTREAM_FAILPOINT", armed);
                }
                self.broker = Some(Process::spawn_broker(broker));
            }
            Cluster::Kafka { start, .. } => shell(start),
        }
    }

    fn kill_broker(&mut self) {
        match &self.cluster {
            Cluster::Embedded => {}
            Cluster::Process => self.broker = None,
            Cluster::Kafka { kill, .. } => shell(kill),
        }
    }

    fn check_job(&mut self) {
        let job = self.job.as_mut().expect("a job");
        assert!(job.runs(), "the job ended: {}", job.talk());
    }

    /// Stops at a place, kills, and starts what was killed; whether the place was reached.
    async fn round(&mut self, name: &str, victim: Victim, rng: &SeededRng) -> bool {
        let file = self.path().join("failpoint");
        // A restart passes its places once.
        let passes_max = if is_of_restart(name) { 1 } else { PASSES_MAX };
        let armed = format!("{name}:{}:{}", 1 + rng.below(passes_max), file.display());
        let in_broker = is_of_broker(name) && self.cluster == Cluster::Process;
        if in_broker {
            self.kill_broker();
            self.start_broker(Some(&armed));
        }
        self.start_job(
            1 + rng.below(PARALLELISM_MAX),
            (!in_broker).then_some(armed.as_str()),
        );
        let reached = async {
            while !file.exists() {
                self.check_job();
                sleep(LOOK_INTERVAL).await;
            }
        };
        let is_reached = timeout(REACH_TIME_MAX, reached).await.is_ok();
        if victim != Victim::Broker {
            self.job = None;
        }
        if victim != Victim::Engine {
            self.kill_broker();
            self.start_broker(None);
        }
        let _ = std::fs::remove_file(&file);
        // A job that has lost its broker continues by itself; it is killed after a while, in the middle of anything.
        if victim == Victim::Broker {
            sleep(Duration::from_millis(rng.below(500))).await;
            self.check_job();
            self.job = None;
        }
        is_reached
    }

    /// The numbers in the files that are visible.
    fn files(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let mut open: Vec<PathBuf> = vec![self.path().join("files")];
        while let Some(path) = open.pop() {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
            if hidden {
                continue;
            }
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).expect("a directory");
                open.extend(entries.map(|entry| entry.expect("an entry").path()));
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                for line in text.lines() {
                    *counts.entry(line.to_owned()).or_default() += 1;
                }
            }
        }
        counts
    }

    /// Lets the job finish `records` records, and compares every output with what it must be.
    async fn finish(mut self, records: u64) {
        self.start_job(PARALLELISM_MAX, None);
        let expected = Expected::new(records);
        let mut missing = Vec::new();
        let done = async {
            loop {
                self.check_job();
                let topics = ["output", "dead"].map(|topic| self.topic(topic));
                let [output, dead] = topics.map(|topic| committed(self.path(), &self.address, &topic));
                missing = expected.missing(&[output, dead, self.files()]);
                if missing.is_empty() {
                    break;
                }
                sleep(PAUSE).await;
            }
        };
        let is_done = timeout(END_TIME_MAX, done).await.is_ok();
        assert!(
            is_done,
            "missing in copies, dead letters, files after {END_TIME_MAX:?}: {missing:?}"
        );
    }
}

/// Lines of the outputs: copies, dead letters, files.
struct Expected([BTreeSet<String>; 3]);

impl Expected {
    fn new(records: u64) -> Self {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut lines: [BTreeSet<String>; 3] = Default::default();
        for n in 0..records {
            if is_malformed(n) {
                lines[1].insert(value(n));
                continue;
            }
            let count = counts.entry(n % KEYS).or_default();
            *count += 1;
            lines[0].insert(format!("{{\"n\":{n},\"c\":{count}}}"));
            lines[2].insert(format!("{{\"n\":{n}}}"));
        }
        Self(lines)
    }

    /// How many lines of each output are not there, and the first of them; none: all are there. Fails as soon as
    /// something is there twice, or that should not be.
    fn missing(&self, found: &[BTreeMap<String, u64>; 3]) -> Vec<(usize, Option<String>)> {
        for (expected, found) in self.0.iter().zip(found) {
            for (line, count) in found {
                let is_known = expected.contains(line);
                assert!(
                    is_known && *count == 1,
                    "{line} {count} times, expected: {is_known}"
                );
            }
        }
        let missing = |(expected, found): (&BTreeSet<String>, &BTreeMap<String, u64>)| {
            let first = expected.iter().find(|line| !found.contains_key(*line));
            (expected.len() - found.len(), first.cloned())
        };
        let missing: Vec<_> = self.0.iter().zip(found).map(missing).collect();
        if missing.iter().all(|(count, _)| *count == 0) {
            return Vec::new();
        }
        missing
    }
}

fn is_malformed(n: u64) -> bool {
    n % MALFORMED_EACH == MALFORMED_EACH - 1
}

fn value(n: u64) -> String {
    if is_malformed(n) {
        return format!("number {n}");
    }
    format!("{{\"n\":{n},\"k\":\"key {}\"}}", n % KEYS)
}

fn client(address: &str) -> (KafkaClient, ClientConfig) {
    let settings = [
        ("bootstrap.servers", address),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("delivery.timeout.ms", "600000"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = ClientConfig::parse(&BTreeMap::from(settings))
        .expect("settings")
        .config;
    (KafkaClient::connect(&config).expect("an address"), config)
}

/// Writes records at a steady pace, whatever becomes of the broker; gives their number.
async fn produce(address: String, topic: String, stop: Arc<AtomicBool>) -> u64 {
    let (client, config) = client(&address);
    let producer = Producer::start(client, config.produce);
    let topic = KafkaString::from(topic.as_str());
    let (mut number, mut deliveries) = (0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        for _ in 0..BURST {
            let value = value(number);
            let record = ProduceRecord {
                topic: &topic,
                // The records of a key stay in order.
                partition: Some((number % KEYS) as i32 % PARTITIONS),
                timestamp: SystemClock.now_ms(),
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            };
            deliveries.push(producer.append(&record).await.expect("taken"));
            number += 1;
        }
        sleep(PAUSE).await;
    }
    for delivery in deliveries {
        delivery.wait().await.expect("written in spite of kills");
    }
    number
}

/// All rounds at one place; how many of them reached it.
async fn examine(cluster: &Cluster, name: &'static str, rounds: u64, rng: &SeededRng) -> (u64, u64) {
    let mut stage = Stage::new(cluster.clone(), &format!("-{name}-{}", rng.below(u64::MAX))).await;
    let stop = Arc::new(AtomicBool::new(false));
    let input = produce(stage.address.clone(), stage.topic("input"), Arc::clone(&stop));
    let producing = tokio::spawn(input);
    let (mut reached, mut all) = (0, 0);
    // Places of a restart need something that was there before.
    if is_of_restart(name) {
        stage.round("commit-begun", cluster.victims()[0], rng).await;
    }
    for _ in 0..rounds {
        for victim in cluster.victims() {
            all += 1;
            reached += u64::from(stage.round(name, *victim, rng).await);
        }
    }
    stop.store(true, Ordering::SeqCst);
    // The embedded broker must be there for the last records to be written.
    stage.start_job(1, None);
    let records = producing.await.expect("producing went on");
    stage.job = None;
    stage.finish(records).await;
    println!(
        "| {name} | {cluster:?} | {reached} of {all} kills | {records} records, each once in every output |"
    );
    (reached, all)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_survives_a_kill_at_every_failpoint() {
    let (_, rng) = rounds(0);
    let cluster = Cluster::of_environment();
    let rounds = number("KILL_MATRIX_ROUNDS", 1);
    let only = std::env::var("KILL_MATRIX_FAILPOINT").ok();
    for place in failpoint::ALL {
        let is_wanted = only.as_deref().is_none_or(|only| only == place.name);
        if !is_wanted || !cluster.has(place.name) {
            continue;
        }
        let (reached, all) = examine(&cluster, place.name, rounds, &rng).await;
        assert!(
            reached > 0,
            "'{}' was reached in none of {all} rounds",
            place.name
        );
    }
}

#[test]
fn every_failpoint_is_described() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/internals/exactly-once.md"
    );
    let page = std::fs::read_to_string(page).expect("a page");
    for place in failpoint::ALL {
        let line = format!("| `{}` | {} |", place.name, place.doc);
        assert!(
            page.contains(&line),
            "docs/internals/exactly-once.md lacks {line}"
        );
    }
}
