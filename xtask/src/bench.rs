//! `cargo xtask bench`: figures of the parts and of the whole, as JSON lines and as a table.
//!
//! Parts (decoders, the group table) run in this process; the broker and the pipelines run as the real binary in a
//! process of its own, whose CPU time and memory are read from `/proc`, so this needs Linux. CPU time is what to
//! compare: wall time depends on what else the machine does. Nothing here is a test, nothing asserts a speed.

mod broker;
mod cluster;
mod events;
mod first_result;
mod idle;
mod millstream;
mod nexmark;
mod nexmark_events;
mod parts;
mod pipeline;
mod process;
mod programs;
mod report;
mod rig;
mod scale;
mod state;
mod stopwatch;

use std::path::PathBuf;

use anyhow::{Context, bail};

use report::Report;

/// The allocator of the binary: what the parts cost depends on it, huge pages above all.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
usage: cargo xtask bench [NAME]... [OPTION]...
  NAME            json, batch, group, latency, broker, start, idle, pipeline, nexmark, scale, programs, state; all if none is named
  --events N      events in the topics of the pipelines, 5000000 unless given
  --keys LIST     numbers of keys for the window pipeline, the largest for state; 1000,1000000 unless given
  --codec LIST    codecs of the topics, none,lz4 unless given
  --flink DIR     measure real Kafka and Flink, too (broker, latency, pipeline, nexmark, scale, programs, state): DIR holds an executable 'rig' that
                  starts them
  --librdkafka FILE
                  produce and fetch with librdkafka, too (broker): FILE is its example program rdkafka_performance
  --megabytes N   produced and fetched in a case of the broker, 400 unless given
  --queries LIST  queries of nexmark (all of q0 to q22 that are there), measured programs or cases of state, all unless given
  --runs N        runs of each query of nexmark, each case of scale and each program, 3 unless given
  --check N       with --flink, compare the final tables of nexmark and the output of the programs over N events first, 200000
                  unless given; 0: do not
  --equality      only compare the output of the programs
  --output FILE   where the JSON lines go, bench.jsonl beside the build unless given
  --json          print the JSON lines instead of the tables";

/// What the command line asks for.
pub struct Options {
    pub names: Vec<String>,
    pub events: u64,
    pub keys: Vec<u64>,
    pub codecs: Vec<String>,
    pub flink: Option<PathBuf>,
    pub librdkafka: Option<PathBuf>,
    pub megabytes: usize,
    pub queries: Vec<String>,
    pub runs: usize,
    pub check_events: u64,
    /// Compare, and measure nothing.
    pub equality: bool,
    output: PathBuf,
    json: bool,
    /// The binary that is measured.
    pub millstream: PathBuf,
}

type Bench = fn(&Options, &mut Report) -> anyhow::Result<()>;

/// Every bench by name, in the order in which they run.
const BENCHES: &[(&str, Bench)] = &[
    ("json", parts::json),
    ("batch", parts::record_batches),
    ("group", parts::group_table),
    // Before the broker's throughput: what Kafka then leaves to the system to write back would slow every sync down.
    ("latency", broker::latency),
    ("broker", broker::run),
    ("start", first_result::run),
    ("idle", idle::run),
    ("pipeline", pipeline::run),
    ("nexmark", nexmark::run),
    ("scale", scale::run),
    ("programs", programs::run),
    ("state", state::run),
];

/// Runs what is named.
pub fn run(arguments: &[&str]) -> anyhow::Result<()> {
    if arguments.contains(&"--help") {
        println!("{HELP}");
        return Ok(());
    }
    let options = parse(arguments)?;
    let mut report = Report::create(&options.output, options.json)?;
    for (name, bench) in BENCHES {
        if options.names.is_empty() || options.names.iter().any(|n| n == name) {
            bench(&options, &mut report).with_context(|| format!("bench '{name}'"))?;
        }
    }
    report.finish();
    Ok(())
}

fn parse(arguments: &[&str]) -> anyhow::Result<Options> {
    let here = std::env::current_exe()?;
    let directory = here.parent().context("the executable lies nowhere")?;
    let mut options = Options {
        names: Vec::new(),
        events: 5_000_000,
        keys: vec![1_000, 1_000_000],
        codecs: vec!["none".to_owned(), "lz4".to_owned()],
        flink: None,
        librdkafka: None,
        megabytes: 400,
        queries: Vec::new(),
        runs: 3,
        check_events: 200_000,
        equality: false,
        output: directory.join("bench.jsonl"),
        json: false,
        millstream: directory.join("millstream"),
    };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{word} needs a value"));
        match *word {
            "--json" => options.json = true,
            "--events" => options.events = value()?.replace('_', "").parse().context("--events")?,
            "--keys" => {
                let keys = value()?.split(',').map(str::parse);
                options.keys = keys.collect::<Result<_, _>>().context("--keys")?;
            }
            "--codec" => options.codecs = value()?.split(',').map(str::to_owned).collect(),
            "--flink" => options.flink = Some(PathBuf::from(value()?)),
            "--librdkafka" => options.librdkafka = Some(PathBuf::from(value()?)),
            "--megabytes" => options.megabytes = value()?.parse().context("--megabytes")?,
            "--queries" => options.queries = value()?.split(',').map(str::to_owned).collect(),
            "--runs" => options.runs = value()?.parse().context("--runs")?,
            "--check" => options.check_events = value()?.replace('_', "").parse().context("--check")?,
            "--equality" => options.equality = true,
            "--output" => options.output = PathBuf::from(value()?),
            name if BENCHES.iter().any(|(known, _)| *known == name) => options.names.push(name.to_owned()),
            _ => bail!("unexpected argument '{word}'\n{HELP}"),
        }
    }
    Ok(options)
}
