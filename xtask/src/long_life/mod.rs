//! `cargo xtask long-life`: jobs of every kind at once on live input, killed and rescaled, against batch mode.
//!
//! One process runs [`JOBS`] with a checkpoint every 200 ms while another job writes their topics. It is killed with
//! SIGKILL, or stopped, at moments that the seed gives, and started again with one to three workers. No job may restart by
//! itself. In the end, what the jobs have committed must add up to the rows that the same queries give in batch mode over
//! the same topics. The last records of the input lie far in the future and are in every partition, so that all windows
//! close; queries leave them out.
//!
//! Options: `--rows N` of input (24000), `--rate N` per second (800), `--kills N` (10), `--seed N`, `--binary PATH` (built in
//! release unless given).

mod jobs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::program::{Running, build};
use jobs::{JOBS, Job};

/// Between two looks at a process, in ms.
const LOOK_MS: u64 = 50;
/// Looks for the end of a process that was stopped.
const STOP_LOOKS: u64 = 2_400;
/// Between two comparisons, in ms.
const COMPARE_EACH_MS: u64 = 2_000;
/// Comparisons for the rest of the input and for the jobs to come to its end.
const COMPARISONS: u64 = 150;
/// Time between a start and a kill, in ms.
const LIFE_MS: std::ops::Range<u64> = 1_500..5_000;
const PARALLELISM_MAX: u64 = 3;
/// One end in this many is a stop.
const STOP_ONE_IN: u64 = 5;
/// Records at the end of the input that close the windows: more than enough to be in each partition.
const LAST_RECORDS: u64 = 300;
const KEYS: u64 = 300;

struct Options {
    rows: u64,
    rate: u64,
    kills: u64,
    seed: u64,
    binary: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            rows: 24_000,
            rate: 800,
            kills: 10,
            seed: u64::from(std::process::id()),
            binary: None,
        };
        for pair in words.chunks(2) {
            let [option, value] = pair else {
                bail!("option '{}' needs a value", pair[0]);
            };
            let number = || value.parse().with_context(|| format!("'{value}' is no number"));
            match *option {
                "--rows" => options.rows = number()?,
                "--rate" => options.rate = number()?,
                "--kills" => options.kills = number()?,
                "--seed" => options.seed = number()?,
                "--binary" => options.binary = Some(std::path::absolute(value)?),
                _ => bail!("option '{option}' is not known"),
            }
        }
        ensure!(options.rows >= 5 && options.rate >= 5, "too few rows");
        Ok(options)
    }
}

/// Rows as text, and how often each is there.
type Rows = BTreeMap<String, i64>;

pub fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let directory = std::env::temp_dir().join(format!("millstream-long-life-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    println!(
        "{} jobs, {} rows at {} rows/s, {} kills, seed {}, in {}",
        JOBS.len(),
        options.rows,
        options.rate,
        options.kills,
        options.seed,
        directory.display()
    );
    let test = Test {
        binary,
        directory,
        options,
    };
    let result = test.live();
    if let Err(error) = result {
        let log = std::fs::read_to_string(test.directory.join("log")).unwrap_or_default();
        bail!("{error:#}\n{log}the files are in {}", test.directory.display());
    }
    std::fs::remove_dir_all(&test.directory)?;
    Ok(())
}

struct Test {
    binary: PathBuf,
    directory: PathBuf,
    options: Options,
}

impl Test {
    fn live(&self) -> anyhow::Result<()> {
        std::fs::write(
            self.directory.join("expected.sql"),
            expected_script(self.options.rows),
        )?;
        let mut random = Random(self.options.seed);
        for end in 1..=self.options.kills {
            let workers = 1 + random.below(PARALLELISM_MAX);
            let life = LIFE_MS.start + random.below(LIFE_MS.end - LIFE_MS.start);
            let mut running = self.start(workers)?;
            run_for(&mut running, life)?;
            let is_stop = random.below(STOP_ONE_IN) == 0;
            if is_stop {
                self.stop(running)?;
            }
            let how = if is_stop { "stop" } else { "kill" };
            println!("{how} {end} after {life} ms with {workers} workers");
        }
        let mut running = self.start(1 + random.below(PARALLELISM_MAX))?;
        self.compare_until_equal(&mut running)?;
        self.stop(running)
    }

    /// The program in the test's directory.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(["--quiet", "--data-dir", "data"]);
        command.current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    fn start(&self, workers: u64) -> anyhow::Result<Running> {
        std::fs::write(
            self.directory.join("jobs.sql"),
            jobs_script(&self.options, workers),
        )?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))?;
        let mut command = self.command(&["run", "jobs.sql", "--kafka", "127.0.0.1:0"]);
        command.args(["-D", "log.retention.ms=-1", "-D", "num.partitions=3"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        Ok(Running(child.with_context(|| {
            format!("cannot start {}", self.binary.display())
        })?))
    }

    /// Ends the process after a last checkpoint, as Ctrl-C does.
    fn stop(&self, mut running: Running) -> anyhow::Result<()> {
        let sent = Command::new("kill")
            .args(["-INT", &running.0.id().to_string()])
            .status()?;
        ensure!(sent.success(), "cannot stop the process");
        for _ in 0..STOP_LOOKS {
            if let Some(status) = running.0.try_wait()? {
                ensure!(is_stopped(status), "a stop failed: {status}");
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(LOOK_MS));
        }
        bail!("the process does not stop")
    }

    /// Waits until all input was written and the output of every job is that of batch mode; prints the jobs.
    fn compare_until_equal(&self, running: &mut Running) -> anyhow::Result<()> {
        let mut expected = BTreeMap::new();
        let mut differences = String::new();
        for _ in 0..COMPARISONS {
            run_for(running, COMPARE_EACH_MS)?;
            if expected.is_empty() {
                if !self.is_written(&self.expected()?)? {
                    "the input was not written".clone_into(&mut differences);
                    continue;
                }
                // The jobs of the script run one after the other: the first of them may have seen less.
                expected = self.expected()?;
            }
            let found: Vec<(&Job, Rows)> = JOBS
                .iter()
                .map(|job| Ok((job, self.committed(job)?)))
                .collect::<anyhow::Result<_>>()?;
            let none = Rows::new();
            let compare = |(job, found): &(&Job, Rows)| {
                let expected = expected.get(job.name).unwrap_or(&none);
                (expected != found).then(|| difference(job.name, expected, found))
            };
            differences = found.iter().filter_map(compare).collect::<Vec<_>>().join("\n");
            if differences.is_empty() {
                print(&expected);
                return Ok(());
            }
        }
        bail!("{differences}")
    }

    /// Whether all rows of both inputs are among those of the jobs that copy them.
    fn is_written(&self, expected: &BTreeMap<&str, Rows>) -> anyhow::Result<bool> {
        let rows = |name: &str| expected.get(name).map_or(0, |rows| rows.values().sum::<i64>());
        let prices = self.options.rows / EVENTS_PER_PRICE;
        Ok(rows("copies") == i64::try_from(self.options.rows)?
            && rows("price_copies") == i64::try_from(prices)?)
    }

    /// What batch mode gives for each job over the topics as they are.
    fn expected(&self) -> anyhow::Result<BTreeMap<&'static str, Rows>> {
        let root = self.directory.join("expected");
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        let output = self.command(&["run", "expected.sql"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "batch mode failed: {said}");
        let rows = |job: &Job| Ok((job.name, rows_of_files(&root.join(job.name))?));
        JOBS.iter().map(rows).collect()
    }

    /// What the changes that a job has committed add up to.
    fn committed(&self, job: &Job) -> anyhow::Result<Rows> {
        let mut command = self.command(&["topic", "tail", job.name]);
        command.args(["--from-beginning", "--exit-at-end", "--output", "json"]);
        command.args(["--isolation-level", "read_committed"]);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "cannot read topic '{}': {said}",
            job.name
        );
        let mut rows = Rows::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let record: Value = serde_json::from_str(line)?;
            let value = record["value"].as_str().context("a record without a value")?;
            let change: Value = serde_json::from_str(value)?;
            for (side, weight) in [("before", -1), ("after", 1)] {
                if !change[side].is_null() {
                    *rows.entry(change[side].to_string()).or_default() += weight;
                }
            }
        }
        rows.retain(|_, count| *count != 0);
        Ok(rows)
    }
}

/// Lets the process run; that it ends is an error.
fn run_for(running: &mut Running, time_ms: u64) -> anyhow::Result<()> {
    for _ in 0..time_ms.div_ceil(LOOK_MS) {
        if let Some(status) = running.0.try_wait()? {
            bail!("the process ended by itself: {status}");
        }
        std::thread::park_timeout(Duration::from_millis(LOOK_MS));
    }
    Ok(())
}

/// A script that was interrupted ends with the code of a signal.
fn is_stopped(status: ExitStatus) -> bool {
    status.success() || status.code() == Some(130)
}

/// The rows in the JSON files of a table.
fn rows_of_files(directory: &Path) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("no output in {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        for line in std::fs::read_to_string(entry.path())?.lines() {
            let row: Value = serde_json::from_str(line)?;
            *rows.entry(row.to_string()).or_default() += 1;
        }
    }
    Ok(rows)
}

fn print(expected: &BTreeMap<&str, Rows>) {
    println!("| job | rows, the same in batch mode |\n|---|--:|");
    for (name, rows) in expected {
        println!("| {name} | {} |", rows.values().sum::<i64>());
    }
}

/// The first rows that differ.
fn difference(name: &str, expected: &Rows, found: &Rows) -> String {
    let count = |rows: &Rows, row: &str| rows.get(row).copied().unwrap_or(0);
    let all = expected.keys().chain(found.keys());
    let differ = all.filter(|row| count(expected, row) != count(found, row));
    let lines: Vec<String> = differ
        .take(5)
        .map(|row| {
            format!(
                "  {row}: {} in batch mode, {} found",
                count(expected, row),
                count(found, row)
            )
        })
        .collect();
    format!("{name}:\n{}", lines.join("\n"))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// One row of `prices` for so many of `events`.
const EVENTS_PER_PRICE: u64 = 5;

/// The tables of the input. In batch mode a table of upserts is what is left of its changes.
fn input_tables(rows: u64, is_batch: bool) -> String {
    let bounded = if is_batch {
        ", 'scan.bounded.mode' = 'latest-offset'"
    } else {
        ""
    };
    let prices_rows = rows / EVENTS_PER_PRICE;
    let columns = "k STRING, id BIGINT, p BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts";
    let prices = if is_batch {
        "CREATE VIEW prices AS SELECT k, id, p, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS r \
         FROM prices_all) WHERE r = 1;"
            .to_owned()
    } else {
        format!(
            "CREATE TABLE prices ({columns}, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', \
             'topic' = 'prices', 'key.format' = 'raw', 'value.format' = 'json', \
             'properties.isolation.level' = 'read_committed', 'sink.delivery-guarantee' = 'exactly-once', \
             'sink.transactional-id-prefix' = 'prices');"
        )
    };
    format!(
        "CREATE TABLE events (k STRING, id BIGINT, v BIGINT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
  'connector' = 'kafka', 'topic' = 'events', 'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'json',
  'scan.startup.mode' = 'earliest-offset', 'properties.isolation.level' = 'read_committed',
  'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'events'{bounded});
CREATE TABLE prices_all ({columns}) WITH ('connector' = 'kafka', 'topic' = 'prices', 'value.format' = 'json',
  'scan.startup.mode' = 'earliest-offset', 'properties.isolation.level' = 'read_committed'{bounded});
{prices}
CREATE VIEW live AS SELECT * FROM events WHERE id < {rows};
CREATE VIEW prices_log AS SELECT * FROM prices_all WHERE id < {prices_rows};
"
    )
}

/// The generators of the input, and the statements that write it: at the end, because a script waits for jobs that end.
fn feed(options: &Options) -> String {
    let part = |table: &str, column: &str, share: u64| {
        let (rows, rate) = (options.rows / share, (options.rate / share).max(1));
        let last = rows + LAST_RECORDS - 1;
        let generated = format!(
            "CREATE TABLE made_{table} (id BIGINT, g INT, {column} BIGINT, s STRING) WITH ('connector' = 'datagen',
  'rows-per-second' = '{rate}', 'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '{last}',
  'fields.g.min' = '0', 'fields.g.max' = '{}', 'fields.{column}.min' = '0', 'fields.{column}.max' = '999',
  'fields.s.length' = '40');\n",
            KEYS - 1
        );
        let string = if table == "events" { ", s" } else { "" };
        let insert = format!(
            "INSERT INTO {table} SELECT CONCAT(IF(id < {rows}, 'key number ', 'end '), CAST(IF(id < {rows}, g, id) AS STRING)), id, \
             {column}{string}, CAST(TO_TIMESTAMP_LTZ(1700000000000 + id * {} + IF(id < {rows}, 0, 10000000000), 3) AS TIMESTAMP(3)) \
             FROM made_{table};\n",
            2 * share
        );
        (generated, insert)
    };
    let (events, insert_events) = part("events", "v", 1);
    let (prices, insert_prices) = part("prices", "p", EVENTS_PER_PRICE);
    // More than one worker would mix the order of a key.
    format!(
        "{events}{prices}SET 'parallelism.default' = '1';\nEXECUTE STATEMENT SET BEGIN\n{insert_events}{insert_prices}END;\n"
    )
}

fn jobs_script(options: &Options, workers: u64) -> String {
    let settings = format!(
        "SET 'execution.checkpointing.interval' = '200 ms';
SET 'restart-strategy.type' = 'none';
SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';
SET 'parallelism.default' = '{workers}';\n"
    );
    let job = |job: &Job| {
        let Job {
            name, columns, query, ..
        } = job;
        format!(
            "CREATE TABLE {name} ({columns}) WITH ('connector' = 'kafka', 'topic' = '{name}', 'format' = 'debezium-json', \
             'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{name}');\n\
             INSERT INTO {name} {query};\n"
        )
    };
    let jobs: String = JOBS.iter().map(job).collect();
    settings + &input_tables(options.rows, false) + &jobs + &feed(options)
}

fn expected_script(rows: u64) -> String {
    let job = |job: &Job| {
        let (name, query) = (job.name, job.in_batch_mode.unwrap_or(job.query));
        format!(
            "CREATE TABLE {name} ({}) WITH ('connector' = 'filesystem', 'path' = 'expected/{name}', 'format' = 'json');\n\
             INSERT INTO {name} {query};\n",
            job.columns
        )
    };
    let jobs: String = JOBS.iter().map(job).collect();
    format!(
        "SET 'execution.runtime-mode' = 'batch';\n{}{jobs}",
        input_tables(rows, true)
    )
}
