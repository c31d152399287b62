//! `cargo xtask soak`: nine jobs whose state is bounded, for a long time, killed again and again. Memory and the sizes of
//! checkpoints must stay flat.
//!
//! The jobs read one topic of JSON records that a tenth job writes: a tumbling and a hopping count, sessions, OVER a range of
//! time, an interval join, a temporal join, ORDER BY event time, deduplication with a time to live, and a copy into another
//! topic with exactly-once. Every second the resident memory of the process (without mapped files) and the size of the
//! checkpoints are sampled. The report has a line through the samples of each, with the 95 % interval of its slope; samples of
//! the first two minutes, and of the first half minute after each start, are left out, while state and caches fill up.
//!
//! Options: `--minutes N` (30), `--rate N` records per second (20000), `--kill-each SECONDS` (60; 0: never),
//! `--binary PATH` (built in release unless given), `--report FILE` for the samples as CSV.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::program::{Running, build};

/// State fills up for so long after a start.
const WARM_UP_SECONDS: u64 = 30;
/// Topics, caches and buffers of clients fill up for so long after the first start.
const RUN_UP_SECONDS: f64 = 120.0;
/// Samples below which a slope says nothing.
const SAMPLES_MIN: usize = 20;

struct Options {
    minutes: u64,
    rate: u64,
    kill_each: u64,
    binary: Option<PathBuf>,
    report: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            minutes: 30,
            rate: 20_000,
            kill_each: 60,
            binary: None,
            report: None,
        };
        for pair in words.chunks(2) {
            let [option, value] = pair else {
                bail!("option '{}' needs a value", pair[0]);
            };
            let number = || value.parse().with_context(|| format!("'{value}' is no number"));
            match *option {
                "--minutes" => options.minutes = number()?,
                "--rate" => options.rate = number()?,
                "--kill-each" => options.kill_each = number()?,
                "--binary" => options.binary = Some(std::path::absolute(value)?),
                "--report" => options.report = Some(std::path::absolute(value)?),
                _ => bail!("option '{option}' is not known"),
            }
        }
        Ok(options)
    }
}

/// A sample, in the order of time.
struct Sample {
    seconds: f64,
    /// Since the process started.
    age_seconds: u64,
    memory_bytes: f64,
    checkpoint_bytes: f64,
}

/// What is plotted over time.
type Measure = fn(&Sample) -> f64;

pub fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let directory = std::env::temp_dir().join(format!("millstream-soak-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("soak.sql"), script(options.rate))?;
    println!(
        "nine jobs, {} records/s, {} min, in {}",
        options.rate,
        options.minutes,
        directory.display()
    );
    let result = soak(&binary, &directory, &options);
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    let samples = match result {
        Ok(samples) => samples,
        Err(error) => bail!("{error:#}\n{log}"),
    };
    std::fs::remove_dir_all(&directory)?;
    if let Some(report) = &options.report {
        std::fs::write(report, csv(&samples))?;
    }
    report(&samples, options.minutes)
}

/// Runs the jobs and samples them; a job that ends by itself is an error.
fn soak(binary: &Path, directory: &Path, options: &Options) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut running = start(binary, directory)?;
    let (mut age, mut kills) = (0, 0);
    for second in 0..options.minutes * 60 {
        std::thread::park_timeout(Duration::from_secs(1));
        age += 1;
        if let Some(status) = running.0.try_wait()? {
            bail!("the jobs ended after {second} s: {status}");
        }
        samples.push(Sample {
            seconds: second as f64,
            age_seconds: age,
            memory_bytes: memory(running.0.id()).unwrap_or(0.0),
            checkpoint_bytes: size(&directory.join("data/checkpoints")) as f64,
        });
        if options.kill_each > 0 && age >= options.kill_each {
            drop(running);
            running = start(binary, directory)?;
            (age, kills) = (0, kills + 1);
        }
    }
    println!("{kills} kills");
    Ok(samples)
}

fn start(binary: &Path, directory: &Path) -> anyhow::Result<Running> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))?;
    // Topics keep little, so that a long soak fits a disk.
    let child = Command::new(binary)
        .args([
            "run",
            "soak.sql",
            "--quiet",
            "--data-dir",
            "data",
            "--kafka",
            "127.0.0.1:0",
        ])
        .args([
            "-D",
            "log.retention.bytes=100000000",
            "-D",
            "log.segment.bytes=20000000",
        ])
        .args(["-D", "log.retention.check.interval.ms=5000"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Ok(Running(
        child.with_context(|| format!("cannot start {}", binary.display()))?,
    ))
}

/// Resident memory without mapped files.
fn memory(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if metadata.is_file() {
        return metadata.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}

/// Slope per hour with half its 95 % interval, and the mean.
struct Line {
    mean: f64,
    slope: f64,
    error: f64,
}

/// Least squares. Samples of a second are not independent: neighbours are averaged into at most a hundred groups.
fn line(points: &[(f64, f64)]) -> Line {
    let group = points.len().div_ceil(100).max(1);
    let average = |points: &[(f64, f64)]| {
        let n = points.len() as f64;
        let sum = points
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / n, sum.1 / n)
    };
    let points: Vec<(f64, f64)> = points.chunks(group).map(average).collect();
    let n = points.len() as f64;
    let (mean_x, mean) = average(&points);
    let xx: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let xy: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean)).sum();
    let slope = xy / xx;
    let rest: f64 = points
        .iter()
        .map(|(x, y)| (y - mean - slope * (x - mean_x)).powi(2))
        .sum();
    let error = 1.96 * (rest / (n - 2.0) / xx).sqrt();
    Line {
        mean,
        slope: slope * 3600.0,
        error: error * 3600.0,
    }
}

/// Prints the lines; one that rises by more than its mean in ten times the run is an error.
fn report(samples: &[Sample], minutes: u64) -> anyhow::Result<()> {
    let warm: Vec<&Sample> = samples
        .iter()
        .filter(|s| s.age_seconds > WARM_UP_SECONDS && s.seconds > RUN_UP_SECONDS)
        .collect();
    if warm.len() < SAMPLES_MIN {
        bail!(
            "{} samples are too few; soak longer, or kill less often",
            warm.len()
        );
    }
    let measures: [(&str, Measure); 2] = [
        ("memory", |s| s.memory_bytes),
        ("checkpoints", |s| s.checkpoint_bytes),
    ];
    let mut rising = Vec::new();
    println!("| measure | mean, MB | slope, MB per hour | 95 % interval | samples |\n|---|---|---|---|---|");
    for (name, measure) in measures {
        let points: Vec<(f64, f64)> = warm.iter().map(|s| (s.seconds, measure(s) / 1e6)).collect();
        let line = line(&points);
        println!(
            "| {name} | {:.1} | {:+.1} | {:+.1} to {:+.1} | {} |",
            line.mean,
            line.slope,
            line.slope - line.error,
            line.slope + line.error,
            points.len()
        );
        let hours = minutes as f64 / 60.0;
        if (line.slope - line.error) * hours * 10.0 > line.mean {
            rising.push(name);
        }
    }
    anyhow::ensure!(rising.is_empty(), "not flat: {}", rising.join(", "));
    Ok(())
}

fn csv(samples: &[Sample]) -> String {
    let mut text = "seconds,age_seconds,memory_bytes,checkpoint_bytes\n".to_owned();
    for s in samples {
        let _ = writeln!(
            text,
            "{},{},{},{}",
            s.seconds, s.age_seconds, s.memory_bytes, s.checkpoint_bytes
        );
    }
    text
}

/// A job for each kind of bounded state.
const JOBS: [(&str, &str); 9] = [
    (
        "tumble",
        "SELECT k, COUNT(*) FROM TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '2' SECOND) GROUP BY k, window_start, window_end",
    ),
    (
        "hop",
        "SELECT k, SUM(v) FROM HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '5' SECOND) GROUP BY k, window_start, window_end",
    ),
    (
        "sessions",
        "SELECT k, COUNT(*) FROM SESSION(TABLE events PARTITION BY k, DESCRIPTOR(ts), INTERVAL '1' SECOND) GROUP BY k, window_start, window_end",
    ),
    (
        "over_range",
        "SELECT k, COUNT(*) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW) FROM events",
    ),
    (
        "interval_join",
        "SELECT a.k, a.v + b.v FROM events AS a JOIN events AS b ON a.k = b.k AND a.v = b.v AND b.ts BETWEEN a.ts - INTERVAL '2' SECOND AND a.ts",
    ),
    (
        "temporal_join",
        "SELECT e.k, e.v * r.v FROM events AS e JOIN rates FOR SYSTEM_TIME AS OF e.ts AS r ON e.k = r.k",
    ),
    ("ordered", "SELECT k, v FROM events ORDER BY ts"),
    (
        "first_rows",
        "SELECT k, v FROM (SELECT k, v, ROW_NUMBER() OVER (PARTITION BY k, v ORDER BY pt) AS n FROM events) WHERE n = 1",
    ),
    ("copies", "SELECT k, v FROM events"),
];

fn script(rate: u64) -> String {
    let mut script = format!(
        "SET 'execution.checkpointing.interval' = '1 s';
SET 'table.exec.state.ttl' = '5 s';
SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';
CREATE TABLE made (k INT, v BIGINT, s STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '{rate}',
  'fields.k.min' = '0', 'fields.k.max' = '9999', 'fields.v.min' = '0', 'fields.v.max' = '999', 'fields.s.length' = '120');
CREATE TABLE events (k STRING, v BIGINT, s STRING, ts TIMESTAMP(3), pt AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (
  'connector' = 'kafka', 'topic' = 'events', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset');
CREATE TABLE rates (k STRING, v BIGINT, ts TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED, WATERMARK FOR ts AS ts) WITH (
  'connector' = 'upsert-kafka', 'topic' = 'rates', 'key.format' = 'json', 'value.format' = 'json');
INSERT INTO events SELECT CONCAT('key number ', CAST(k AS STRING)), v, s, LOCALTIMESTAMP FROM made;
INSERT INTO rates SELECT CONCAT('key number ', CAST(k AS STRING)), v, LOCALTIMESTAMP FROM made;
"
    );
    for (name, query) in JOBS {
        let columns = if name == "copies" || name == "ordered" || name == "first_rows" {
            "k STRING, v BIGINT"
        } else {
            "k STRING, n BIGINT"
        };
        let options = match name {
            "copies" => {
                "'connector' = 'kafka', 'topic' = 'copies', 'format' = 'json', 'sink.delivery-guarantee' = 'exactly-once', \
                 'sink.transactional-id-prefix' = 'copies'"
            }
            _ => "'connector' = 'blackhole'",
        };
        let _ = writeln!(
            script,
            "CREATE TABLE {name} ({columns}) WITH ({options});\nINSERT INTO {name} {query};"
        );
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_slope_of_its_points() {
        let noise = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let points: Vec<(f64, f64)> = (0..1000)
            .map(|i| (i as f64, 50.0 + 0.01 * i as f64 + noise(i)))
            .collect();
        let line = line(&points);
        assert!(
            (line.slope - 36.0).abs() <= line.error + 0.1,
            "{} ± {}",
            line.slope,
            line.error
        );
        assert!((line.mean - 55.0).abs() < 0.1);
    }
}
