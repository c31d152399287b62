//! A program with keyed state, timers, broadcast state and an exactly-once sink, killed again and again and continued at
//! another parallelism: nothing is lost and nothing is doubled.
//!
//! The program is this test binary, run again as a process of its own, so that SIGKILL takes its broker with it.
//! `MILLSTREAM_KILL_ROUNDS` says how often; few times unless it is set.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use millstream::prelude::*;
use millstream::source::{Boundedness, ReaderOutput, ReaderStatus, Source, SplitReader};
use millstream::{Options, StreamExecutionEnvironment};
use millstream_jobs::programs::{Mirrors, PROGRAMS_DIRECTORY};
use millstream_jobs::{JobRegistry, JobStatus};
use millstream_types::storage::OsStorage;

const ROUNDS_DEFAULT: u64 = 2;
/// Records for each round, more than one round processes.
const RECORDS_OF_ROUND: i64 = 6_000;
const KEYS: i64 = 11;
const BUCKET_MS: i64 = 100;
/// Spreads the records over the rounds: the program waits a millisecond after so many.
const RECORDS_PER_MS: u32 = 8;
const DIRECTORY: &str = "MILLSTREAM_KILL_DIRECTORY";
const ADDRESS: &str = "MILLSTREAM_KILL_ADDRESS";
const PARALLELISM: &str = "MILLSTREAM_KILL_PARALLELISM";
/// Set for the last run only: it ends with the data, while those before it run until they are killed.
const MAY_END: &str = "MILLSTREAM_KILL_MAY_END";

/// Key and number; the number is also the event time.
type Numbered = (String, i64);

fn parsed(line: &str) -> Numbered {
    let (key, n) = line.split_once(',').unwrap_or_default();
    (key.to_owned(), n.parse().unwrap_or(0))
}

/// Numbers the records of a key, as soon as the key's rule is known, and counts those of each bucket of time.
#[derive(Clone, Default)]
struct Tally {
    count: ValueState<i64>,
    buckets: MapState<i64, i64>,
    waiting: ListState<i64>,
}

impl Tally {
    fn give(
        &self,
        n: i64,
        rule: &str,
        ctx: &mut ReadOnlyContext<'_, String, String, String>,
        out: &mut Collector<String>,
    ) {
        let count = self.count.value(ctx).copied().unwrap_or(0) + 1;
        self.count.update(ctx, count);
        out.collect(format!("{} {n} is {count} by {rule}", ctx.current_key()));
    }
}

impl KeyedBroadcastProcessFunction<String, Numbered, Numbered, String, String, String> for Tally {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.count = ctx.value_state("count")?;
        self.buckets = ctx.map_state("buckets")?;
        self.waiting = ctx.list_state("waiting")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        (key, n): Numbered,
        ctx: &mut ReadOnlyContext<'_, String, String, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let end = (n / BUCKET_MS + 1) * BUCKET_MS;
        let counted = self.buckets.get(ctx, &end).copied().unwrap_or(0);
        self.buckets.put(ctx, end, counted + 1);
        ctx.register_event_time_timer(end);
        match ctx.broadcast_state().get(&key).cloned() {
            Some(rule) => {
                for before in self.waiting.clear(ctx) {
                    self.give(before, &rule, ctx, out);
                }
                self.give(n, &rule, ctx, out);
            }
            None => self.waiting.add(ctx, n),
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (key, n): Numbered,
        rules: &mut BTreeMap<String, String>,
        _: &mut Context<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        rules.insert(key, format!("rule {n}"));
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(counted) = self.buckets.remove(ctx, &timestamp) {
            out.collect(format!("{} until {timestamp}: {counted}", ctx.current_key()));
        }
        Ok(())
    }
}

/// What the program gives for `records`: each key's last record comes long after its rule.
fn expected(records: i64) -> Vec<String> {
    let mut rows = Vec::new();
    for key in 0..KEYS {
        let numbers = (0..records).filter(|n| n % KEYS == key);
        let mut buckets = BTreeMap::<i64, i64>::new();
        for (count, n) in (1..).zip(numbers) {
            *buckets.entry((n / BUCKET_MS + 1) * BUCKET_MS).or_default() += 1;
            rows.push(format!("key-{key} {n} is {count} by rule {}", key * 10));
        }
        let of_bucket = |(end, counted)| format!("key-{key} until {end}: {counted}");
        rows.extend(buckets.into_iter().map(of_bucket));
    }
    rows.sort();
    rows
}

/// An address that was free a moment ago.
pub fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

/// Topics have three partitions.
pub fn environment(directory: &Path, address: &str) -> StreamExecutionEnvironment {
    let mut options = Options {
        data_dir: directory.to_owned(),
        kafka: address.to_owned(),
        ..Options::default()
    };
    let partitions = ("num.partitions".to_owned(), "3".to_owned());
    options.configuration.extend([partitions]);
    StreamExecutionEnvironment::with_options(options).unwrap()
}

fn source(env: &StreamExecutionEnvironment, topic: &str) -> millstream::source::KafkaSource<String> {
    KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics([topic])
        .group_id("kill")
        .property("isolation.level", "read_committed")
        .starting_offsets(OffsetsInitializer::earliest())
        .bounded(OffsetsInitializer::latest())
        .value_only(SimpleStringSchema)
        .build()
        .unwrap()
}

fn produce(env: &StreamExecutionEnvironment, topic: &str, lines: Vec<String>) {
    let key = |line: &String, out: &mut Vec<u8>| {
        out.extend_from_slice(parsed(line).0.as_bytes());
        Ok(())
    };
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::AtLeastOnce)
        .record_serializer(Record::to(topic).key(key).value(SimpleStringSchema))
        .build()
        .unwrap();
    env.from_collection(lines).sink_to(sink);
    env.execute(&format!("produce {topic}")).unwrap();
}

/// The process that is killed. In a run of the tests there is nothing to do.
#[test]
fn program_of_the_other_test() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let env = environment(Path::new(&directory), &std::env::var(ADDRESS).unwrap());
    env.set_parallelism(std::env::var(PARALLELISM).unwrap().parse().unwrap());
    env.enable_checkpointing(Duration::from_millis(100));
    let strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|line: &String, _| parsed(line).1);
    let mut records = 0_u32;
    let data = env
        .from_source(source(&env, "data"), strategy, "data")
        .uid("data");
    let data = data.map(move |line| {
        records += 1;
        if records.is_multiple_of(RECORDS_PER_MS) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        parsed(&line)
    });
    let no_time = WatermarkStrategy::for_generator(|| AlwaysEnd);
    let rules = env
        .from_source(source(&env, "rules"), no_time, "rules")
        .uid("rules");
    let gate = Gate {
        is_open: std::env::var_os(MAY_END).is_some(),
    };
    let no_time = WatermarkStrategy::for_generator(|| AlwaysEnd);
    let gate = env.from_source(gate, no_time, "gate").uid("gate");
    let rules = rules.union([gate]).map(|line| parsed(&line)).broadcast_state();
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
        .record_serializer(Record::to("output").value(SimpleStringSchema))
        .build()
        .unwrap();
    data.key_by_ref(|(key, _)| key)
        .connect_broadcast(&rules)
        .process(Tally::default())
        .uid("tally")
        .sink_to(sink)
        .uid("output");
    env.execute("killed again and again").unwrap();
}

/// A source without records that keeps the program alive until the gate is open, however fast the data are read.
#[derive(Clone)]
struct Gate {
    is_open: bool,
}

impl Source for Gate {
    type Item = String;
    type Split = u32;
    type Reader = Self;

    fn name(&self) -> String {
        "gate".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::ContinuousUnbounded
    }

    fn splits(&self) -> Result<Vec<u32>> {
        Ok(vec![0])
    }

    fn split_id(&self, split: &u32) -> String {
        split.to_string()
    }

    fn create_reader(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl SplitReader<String, u32> for Gate {
    fn add_split(&mut self, _: u32) -> Result<()> {
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<String>) -> Result<ReaderStatus> {
        Ok(if self.is_open {
            ReaderStatus::Finished
        } else {
            ReaderStatus::PendingUntil(out.current_processing_time() + 1000)
        })
    }

    fn snapshot(&mut self) -> Result<Vec<u32>> {
        Ok(vec![0])
    }
}

/// Rules do not hold back event time.
struct AlwaysEnd;

impl millstream::watermark::WatermarkGenerator<String> for AlwaysEnd {
    fn on_event(&mut self, _: &String, _: i64) -> Option<i64> {
        Some(i64::MAX - 1)
    }

    fn on_periodic_emit(&mut self) -> Option<i64> {
        Some(i64::MAX - 1)
    }
}

fn start(directory: &Path, address: &str, parallelism: u64, may_end: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if may_end {
        command.env(MAY_END, "");
    }
    command
        .args(["--exact", "kill::program_of_the_other_test", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ADDRESS, address)
        .env(PARALLELISM, parallelism.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the program has taken some more checkpoints.
fn see_checkpoints(directory: &Path, child: &mut Child, at_least: u64) {
    let storage = OsStorage::open(directory.join(PROGRAMS_DIRECTORY)).unwrap();
    let jobs = JobRegistry::default();
    let mut mirrors = Mirrors::new(Arc::new(storage), jobs.clone());
    loop {
        mirrors.look(1).unwrap();
        let is_there = |job: &millstream_jobs::JobHandle| {
            job.status() == JobStatus::Running && job.checkpoints().completed >= at_least
        };
        if jobs.list().iter().any(is_there) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the program ended");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_program_survives_kills_at_changing_parallelism() {
    let rounds = std::env::var("MILLSTREAM_KILL_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS_DEFAULT, |rounds| rounds.parse().unwrap());
    let records = i64::try_from(rounds + 1).unwrap() * RECORDS_OF_ROUND;
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let env = environment(directory.path(), &address);
    let rule = |key| format!("key-{key},{}", key * 10);
    produce(&env, "rules", (0..KEYS).map(rule).collect());
    let record = |n| format!("key-{},{n}", n % KEYS);
    produce(&env, "data", (0..records).map(record).collect());
    drop(env);
    for round in 0..rounds {
        let mut child = start(directory.path(), &address, round % 3 + 1, false);
        see_checkpoints(directory.path(), &mut child, 1 + round % 2);
        std::thread::park_timeout(Duration::from_millis(round * 37 % 100));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut last = start(directory.path(), &address, 2, true);
    assert!(last.wait().unwrap().success());
    let env = environment(directory.path(), &address);
    let output = env.from_source(
        source(&env, "output"),
        WatermarkStrategy::no_watermarks(),
        "output",
    );
    let rows = output.execute_and_collect("read").unwrap();
    let mut rows: Vec<String> = rows.map(|row| row.unwrap()).collect();
    rows.sort();
    let expected = expected(records);
    assert_eq!(
        rows.len(),
        expected.len(),
        "rows were lost or doubled in {rounds} rounds"
    );
    let different = rows.iter().zip(&expected).find(|(row, expected)| row != expected);
    assert_eq!(different, None);
}
