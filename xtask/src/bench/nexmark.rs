//! Nexmark from one topic, lz4, into sinks that drop everything: here, from the embedded broker or from a real Kafka, and
//! in Flink beside it. With `--check`, every query also runs into a topic in both engines, and the final tables must be
//! equal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::Options;
use super::cluster::{Cluster, Record};
use super::millstream::Millstream;
use super::nexmark_events::NexmarkEvents;
use super::process::Usage;
use super::report::{Figures, Report};
use super::rig::Flink;
use super::stopwatch::calibrate;

const QUERIES: [&str; 20] = [
    "q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8", "q9", "q11", "q12", "q14", "q15", "q16", "q17", "q18",
    "q19", "q20", "q21", "q22",
];
/// Its windows are of processing time: their contents differ from run to run.
const PROCESSING_TIME: &str = "q12";
const BLACKHOLE: &str = "'connector' = 'blackhole'";

/// A topic of events.
struct Topic {
    name: String,
    events: u64,
    partitions: i32,
}

impl Topic {
    fn new(name: &str, events: u64, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            events,
            partitions,
        }
    }

    /// Creates and fills the topic; event `n` goes to partition `n % partitions`.
    fn load(&self, cluster: &Cluster) -> anyhow::Result<()> {
        cluster.create(&self.name, self.partitions)?;
        let properties = [
            ("compression.type", "lz4"),
            ("batch.size", "524288"),
            ("linger.ms", "1000"),
            ("buffer.memory", "67108864"),
        ];
        let (mut events, mut value) = (NexmarkEvents::new(), Vec::new());
        cluster.produce(&self.name, &properties, |send| {
            for number in 0..self.events {
                let timestamp = events.write(&mut value)?;
                send(Record {
                    partition: (number % self.partitions as u64) as i32,
                    timestamp,
                    value: &value,
                })?;
            }
            Ok(())
        })
    }

    /// Where each partition ends, as an option of the source.
    fn offsets(&self) -> String {
        let count = self.partitions as u64;
        let ends = (0..count).map(|p| format!("partition:{p},offset:{}", (self.events - p).div_ceil(count)));
        ends.collect::<Vec<_>>().join(";")
    }
}

/// The scripts.
struct Scripts {
    directory: PathBuf,
    source: String,
}

impl Scripts {
    fn new() -> anyhow::Result<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/nexmark");
        let source = read(&directory.join("source.sql"))?;
        Ok(Self { directory, source })
    }

    fn sql(&self, query: &str, topic: &Topic, address: &str, sink: &str) -> anyhow::Result<String> {
        let script = read(&self.directory.join(format!("{query}.sql")))?;
        let settings = "SET 'execution.checkpointing.interval' = '10 s';\n";
        let text = format!("{settings}{}{script}", self.source);
        Ok(text
            .replace("${BROKER}", address)
            .replace("${TOPIC}", &topic.name)
            .replace("${OFFSETS}", &topic.offsets())
            .replace("${SINK}", sink))
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("'{}' cannot be read", path.display()))
}

/// Runs the queries.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let queries = queries(options)?;
    let scripts = Scripts::new()?;
    let topic = Topic::new("nexmark", options.events, 1);
    let small = Topic::new("nexmark-check", options.check_events, 1);
    let millstream = Millstream::new(&options.millstream)?;
    let Some(directory) = &options.flink else {
        millstream.with_broker(|cluster| topic.load(cluster))?;
        return measure(&queries, options, report, "embedded broker", |query| {
            let sql = scripts.sql(query, &topic, millstream.address(), BLACKHOLE)?;
            millstream.run(query, &sql)
        });
    };
    let flink = Flink::start(directory)?;
    let (cluster, address) = (flink.kafka().cluster(), flink.kafka().address());
    topic.load(cluster)?;
    if options.check_events > 0 {
        small.load(cluster)?;
        for query in &queries {
            check(query, &scripts, &small, &millstream, &flink)
                .with_context(|| format!("final table of {query}"))?;
        }
    }
    // Lets the JVM compile what all queries share.
    flink.run(&scripts.sql("q0", &topic, address, BLACKHOLE)?)?;
    measure(&queries, options, report, "real Kafka", |query| {
        millstream.run(query, &scripts.sql(query, &topic, address, BLACKHOLE)?)
    })?;
    measure(&queries, options, report, "flink", |query| {
        flink.run_in_task_manager(&scripts.sql(query, &topic, address, BLACKHOLE)?)
    })
}

fn queries(options: &Options) -> anyhow::Result<Vec<&'static str>> {
    if let Some(unknown) = options
        .queries
        .iter()
        .find(|name| !QUERIES.contains(&name.as_str()))
    {
        bail!("no Nexmark query '{unknown}': {}", QUERIES.join(", "));
    }
    let wanted =
        |query: &&str| options.queries.is_empty() || options.queries.iter().any(|name| name == query);
    Ok(QUERIES.into_iter().filter(wanted).collect())
}

fn measure(
    queries: &[&str],
    options: &Options,
    report: &mut Report,
    engine: &str,
    run: impl Fn(&str) -> anyhow::Result<Usage>,
) -> anyhow::Result<()> {
    for query in queries {
        for _ in 0..options.runs {
            let calibration = calibrate()?;
            let usage = run(query).with_context(|| format!("{query}, {engine}"))?;
            let events = options.events as f64;
            let figures = Figures::of(*query)
                .text("engine", engine)
                .number("events", events)
                .number("events_per_cpu_s", events / usage.cpu.total_s().max(0.01))
                .number("wall_s", usage.wall_s)
                .number("user_s", usage.cpu.user_s)
                .number("system_s", usage.cpu.system_s)
                .number("rss_peak_mib", usage.rss_peak_mib)
                .number("calibration_ms", calibration);
            report.add("nexmark", figures)?;
        }
    }
    Ok(())
}

/// Runs a query into a topic of changes in both engines and compares what the changes add up to.
fn check(
    query: &str,
    scripts: &Scripts,
    topic: &Topic,
    millstream: &Millstream,
    flink: &Flink,
) -> anyhow::Result<()> {
    if query == PROCESSING_TIME {
        return Ok(());
    }
    let (cluster, address) = (flink.kafka().cluster(), flink.kafka().address());
    let mut tables = Vec::new();
    for engine in ["millstream", "flink"] {
        let out = cluster.create_new(&format!("{query}-{engine}"), 1)?;
        let sink = format!(
            "'connector' = 'kafka', 'topic' = '{out}', 'properties.bootstrap.servers' = '{address}', \
             'format' = 'debezium-json'"
        );
        let sql = scripts.sql(query, topic, address, &sink)?;
        match engine {
            "millstream" => millstream.run(query, &sql).map(drop)?,
            _ => flink.run(&sql).map(drop)?,
        }
        tables.push(final_table(cluster, &out)?);
    }
    let (ours, theirs) = (&tables[0], &tables[1]);
    ensure!(!ours.is_empty() || !theirs.is_empty(), "no rows in either");
    let differs = ours.iter().find(|(row, count)| theirs.get(*row) != Some(count));
    let missing = theirs.iter().find(|(row, _)| !ours.contains_key(*row));
    if let Some((row, count)) = differs.or(missing) {
        bail!(
            "row {row} {count} times: {} rows here, {} in Flink",
            ours.len(),
            theirs.len()
        );
    }
    eprintln!("{query}: {} rows, equal", ours.values().sum::<i64>());
    Ok(())
}

/// Rows and how often each is there, of a topic of changes.
fn final_table(cluster: &Cluster, topic: &str) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    let mut failed = None;
    cluster.read(topic, 1, |change| {
        let change: Value = match serde_json::from_slice(change) {
            Ok(change) => change,
            Err(error) => {
                failed = Some(error);
                return;
            }
        };
        for (side, sign) in [("before", -1), ("after", 1)] {
            if change[side].is_object() {
                *rows.entry(change[side].to_string()).or_default() += sign;
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error).context("a change is not JSON");
    }
    rows.retain(|_, count| *count != 0);
    Ok(rows)
}
