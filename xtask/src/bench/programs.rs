//! The example programs beside the same ones in Java (`bench/java`) on real Flink, over the same topics of a real Kafka:
//! first what they write, which must be equal, then what they cost; and beside the same SQL here.

mod inputs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use self::inputs::Input;
use super::Options;
use super::cluster::{Cluster, Record};
use super::millstream::Millstream;
use super::process::{Process, Usage};
use super::report::{Figures, Report};
use super::rig::Flink;
use super::stopwatch::calibrate;

/// An example, and its Java program.
struct Program {
    name: &'static str,
    class: &'static str,
    /// Kind of its records.
    input: &'static str,
    /// Compared in STREAMING mode, with a watermark after each record, so that nothing depends on the clock.
    streaming: bool,
    /// Compared in BATCH mode.
    batch: bool,
    /// Whether it is measured.
    measured: bool,
    /// The same in SQL.
    sql: Option<&'static str>,
}

const fn program(name: &'static str, class: &'static str, input: &'static str) -> Program {
    Program {
        name,
        class,
        input,
        streaming: true,
        batch: false,
        measured: false,
        sql: None,
    }
}

const PROGRAMS: &[Program] = &[
    Program {
        measured: true,
        sql: Some("INSERT INTO output SELECT 'processed-' || line FROM input;"),
        ..program("prefix_map", "PrefixMap", "lines")
    },
    Program {
        batch: true,
        measured: true,
        sql: Some(
            "CREATE VIEW words AS
             SELECT word, ts FROM input CROSS JOIN UNNEST(SPLIT(line, ' ')) AS t (word) WHERE word <> '';
             INSERT INTO output SELECT word || ',' || CAST(COUNT(*) AS STRING)
             FROM TABLE(TUMBLE(TABLE words, DESCRIPTOR(ts), INTERVAL '10' SECOND))
             GROUP BY window_start, window_end, word;",
        ),
        ..program("word_count", "WordCount", "lines")
    },
    Program {
        batch: true,
        ..program("sliding_average", "SlidingAverage", "readings")
    },
    Program {
        batch: true,
        measured: true,
        ..program("fraud_detection", "FraudDetection", "transactions")
    },
    Program {
        batch: true,
        measured: true,
        ..program("sensor_alerts", "SensorAlerts", "temperatures")
    },
    program("async_lookup", "AsyncLookup", "orders"),
    // In STREAMING mode the result depends on which of its topics is read first.
    Program {
        streaming: false,
        batch: true,
        ..program("broadcast_rules", "BroadcastRules", "payments")
    },
    program("late_data", "LateData", "events"),
];

/// Records of the rules, which are few.
const RULES: u64 = 200;
const RULES_TOPIC: &str = "rules";
const BATCH_MODE: &str = "execution.runtime-mode=BATCH";

/// What runs the programs here.
struct Here<'a> {
    binary: PathBuf,
    address: &'a str,
}

impl Here<'_> {
    fn run(&self, program: &Program, topics: &[&str], settings: &[&str]) -> anyhow::Result<Usage> {
        let beside = self.binary.parent().unwrap_or(Path::new("."));
        let data = tempfile::Builder::new().prefix("program-").tempdir_in(beside)?;
        let mut command = Command::new(&self.binary);
        command.arg(program.name).args(topics).args(settings);
        command.arg("--data-dir").arg(data.path());
        command.args(["--kafka", self.address, "-D", "parallelism.default=1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let (status, usage) = Process::spawn(&mut command)?.observe()?;
        ensure!(status.success(), "program '{}' ended with {status}", program.name);
        Ok(usage)
    }
}

/// Runs the programs.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let Some(directory) = &options.flink else {
        if options.names.is_empty() {
            return Ok(());
        }
        bail!("the programs are measured beside Flink: --flink DIR");
    };
    let jar = package()?;
    let flink = Flink::start(directory)?;
    let beside = options.millstream.parent().unwrap_or(Path::new("."));
    let here = Here {
        binary: beside.join("examples").join("bench_programs"),
        address: flink.kafka().address(),
    };
    if options.check_events > 0 {
        let cluster = flink.kafka().cluster();
        load(cluster, RULES_TOPIC, "rules", RULES)?;
        for program in PROGRAMS {
            check(program, options, &here, &flink, &jar)
                .with_context(|| format!("output of {}", program.name))?;
        }
    }
    if options.equality {
        return Ok(());
    }
    measure(options, report, &here, &flink, &jar)
}

/// Builds the Java programs.
fn package() -> anyhow::Result<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/java");
    let built = Command::new("mvn")
        .args(["-q", "-B", "package"])
        .current_dir(&directory)
        .status()
        .context("'mvn' cannot be run")?;
    ensure!(built.success(), "the Java programs cannot be built");
    Ok(directory.join("target").join("programs-1.jar"))
}

fn load(cluster: &Cluster, topic: &str, kind: &'static str, records: u64) -> anyhow::Result<()> {
    cluster.create(topic, 1)?;
    let properties = [
        ("batch.size", "524288"),
        ("linger.ms", "1000"),
        ("buffer.memory", "67108864"),
    ];
    let (mut input, mut text) = (Input::new(kind), String::new());
    cluster.produce(topic, &properties, |send| {
        for _ in 0..records {
            let timestamp = input.write(&mut text);
            send(Record {
                partition: 0,
                timestamp,
                value: text.as_bytes(),
            })?;
        }
        Ok(())
    })
}

/// Compares what a program writes here and in Flink, in each of its modes.
fn check(
    program: &Program,
    options: &Options,
    here: &Here<'_>,
    flink: &Flink,
    jar: &Path,
) -> anyhow::Result<()> {
    let cluster = flink.kafka().cluster();
    let input = format!("{}-check", program.name);
    load(cluster, &input, program.input, options.check_events)?;
    let modes = [("streaming", program.streaming), ("batch", program.batch)];
    for (mode, _) in modes.iter().filter(|(_, is_checked)| *is_checked) {
        let mut outputs = Vec::new();
        for engine in ["here", "flink"] {
            let output = cluster.create_new(&format!("{}-{mode}-{engine}", program.name), 1)?;
            let topics = [input.as_str(), &output, RULES_TOPIC];
            match (engine, *mode) {
                ("here", "batch") => here.run(program, &topics, &["-D", BATCH_MODE])?,
                ("here", _) => here.run(program, &topics, &["--each-watermark"])?,
                (_, "batch") => {
                    let setting = format!("-D{BATCH_MODE}");
                    flink.run_program(jar, program.class, &topics, &[&setting])?
                }
                _ => {
                    let topics = [&topics[..], &["--each-watermark"]].concat();
                    flink.run_program(jar, program.class, &topics, &[])?
                }
            };
            outputs.push(rows(cluster, &output)?);
        }
        compare(&outputs[0], &outputs[1]).with_context(|| format!("in {mode} mode"))?;
        let count: u64 = outputs[0].values().sum();
        eprintln!("{}, {mode}: {count} records, equal", program.name);
    }
    Ok(())
}

/// The records of a topic, and how often each is there. Order between keys is open in both engines.
fn rows(cluster: &Cluster, topic: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut rows = BTreeMap::new();
    cluster.read(topic, 1, |value| {
        let text = String::from_utf8_lossy(value).into_owned();
        // JSON without regard to the way in which numbers are written.
        let row = serde_json::from_str::<Value>(&text).map_or(text, |json| json.to_string());
        *rows.entry(row).or_default() += 1;
    })?;
    Ok(rows)
}

fn compare(ours: &BTreeMap<String, u64>, theirs: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    ensure!(!ours.is_empty() || !theirs.is_empty(), "no records in either");
    let differs = ours.iter().find(|(row, count)| theirs.get(*row) != Some(count));
    let missing = theirs.iter().find(|(row, _)| !ours.contains_key(*row));
    if let Some((row, _)) = differs.or(missing) {
        bail!(
            "record {row}: {} times here, {} times in Flink ({} and {} records in all)",
            ours.get(row).unwrap_or(&0),
            theirs.get(row).unwrap_or(&0),
            ours.values().sum::<u64>(),
            theirs.values().sum::<u64>()
        );
    }
    Ok(())
}

/// Runs the measured programs in turn here, in Flink, and as SQL here.
fn measure(
    options: &Options,
    report: &mut Report,
    here: &Here<'_>,
    flink: &Flink,
    jar: &Path,
) -> anyhow::Result<()> {
    let cluster = flink.kafka().cluster();
    let millstream = Millstream::new(&options.millstream)?;
    let is_wanted =
        |name: &str| options.queries.is_empty() || options.queries.iter().any(|wanted| wanted == name);
    for program in PROGRAMS.iter().filter(|p| p.measured && is_wanted(p.name)) {
        let input = format!("{}-input", program.name);
        load(cluster, &input, program.input, options.events)?;
        let output = || cluster.create_new(&format!("{}-output", program.name), 1);
        // Lets the JVM compile the program.
        flink.run_program(jar, program.class, &[&input, &output()?], &[])?;
        for _ in 0..options.runs {
            let calibration = calibrate()?;
            let usage = here.run(program, &[&input, &output()?], &[])?;
            add(report, options, program.name, "program", &usage, calibration)?;
            if let Some(sql) = program.sql {
                let script = script(sql, here.address, &input, &output()?);
                let usage = millstream.run(program.name, &script)?;
                add(report, options, program.name, "sql", &usage, calibration)?;
            }
            let usage = flink.run_program(jar, program.class, &[&input, &output()?], &[])?;
            add(report, options, program.name, "flink", &usage, calibration)?;
        }
    }
    Ok(())
}

fn add(
    report: &mut Report,
    options: &Options,
    name: &str,
    engine: &str,
    usage: &Usage,
    calibration: f64,
) -> anyhow::Result<()> {
    let events = options.events as f64;
    let figures = Figures::of(name)
        .text("engine", engine)
        .number("events", events)
        .number("events_per_cpu_s", events / usage.cpu.total_s().max(0.01))
        .number("wall_s", usage.wall_s)
        .number("cpu_s", usage.cpu.total_s())
        .number("rss_peak_mib", usage.rss_peak_mib)
        .number("calibration_ms", calibration);
    report.add("programs", figures)
}

/// A script over the topics of lines.
fn script(sql: &str, address: &str, input: &str, output: &str) -> String {
    let kafka = |topic: &str| {
        format!(
            "'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{address}', 'format' = 'raw'"
        )
    };
    format!(
        "CREATE TABLE input (
           line STRING, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND
         ) WITH ({}, 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');
         CREATE TABLE output (line STRING) WITH ({}, 'sink.delivery-guarantee' = 'at-least-once');
         {sql}",
        kafka(input),
        kafka(output)
    )
}
