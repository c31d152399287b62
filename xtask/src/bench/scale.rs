//! How a windowed count scales: with workers, with the number of keys, with their skew, with overlapping windows.
//!
//! Every case counts by key over a topic of four partitions, lz4, into a sink that drops everything, so that what is
//! measured is reading, decoding, the exchange by key and the windows. The embedded broker shares the process; with
//! `--flink` the topics lie in a real Kafka instead, whose CPU time is not counted.

use anyhow::Context;

use super::Options;
use super::cluster::Cluster;
use super::events::{self, Events, Frequency};
use super::millstream::Millstream;
use super::report::{Figures, Report};
use super::rig::Kafka;
use super::stopwatch::calibrate;

const PARTITIONS: i32 = 4;
const KEYS: u64 = 1_000;
const ZIPF: Frequency = Frequency::Zipf(1.2);
/// A cliff would show between these.
const MANY_KEYS: [u64; 2] = [1_000_000, 10_000_000];
const TUMBLE: &str = "TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND)";
const TUMBLE_SECOND: &str = "TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' SECOND)";
/// Every event lies in 3600 of them.
const HOP: &str = "HOP(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '1' HOUR)";

/// Events of a topic: how many keys they have, and how often each appears.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    keys: u64,
    frequency: Frequency,
}

impl Load {
    fn topic(self) -> String {
        match self.frequency {
            Frequency::Uniform => format!("uniform-{}", self.keys),
            Frequency::Zipf(_) => format!("zipf-{}", self.keys),
        }
    }
}

struct Case {
    load: Load,
    /// The table function that assigns windows.
    windows: &'static str,
    /// Its name in the table of figures.
    name: &'static str,
    workers: u32,
}

impl Case {
    fn subject(&self) -> String {
        let frequency = match self.load.frequency {
            Frequency::Uniform => String::new(),
            Frequency::Zipf(exponent) => format!(", Zipf {exponent}"),
        };
        format!(
            "{}, {} keys{frequency}, workers: {}",
            self.name, self.load.keys, self.workers
        )
    }

    fn sql(&self, address: &str) -> String {
        format!(
            "SET 'execution.checkpointing.interval' = '1 s';\n\
             CREATE TABLE ev ({}, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (\n\
             'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{address}',\n\
             'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json');\n\
             CREATE TABLE snk (k STRING, ws TIMESTAMP(3), n BIGINT) WITH ('connector' = 'blackhole');\n\
             INSERT INTO snk SELECT k, window_start, COUNT(*) FROM TABLE({})\n\
             GROUP BY k, window_start, window_end;\n",
            events::COLUMNS,
            self.load.topic(),
            self.windows,
        )
    }
}

fn cases() -> Vec<Case> {
    let uniform = |keys| Load {
        keys,
        frequency: Frequency::Uniform,
    };
    let zipf = Load {
        keys: KEYS,
        frequency: ZIPF,
    };
    let case = |name, windows, load, workers| Case {
        load,
        windows,
        name,
        workers,
    };
    let mut cases = Vec::new();
    for workers in [1, 2] {
        cases.push(case("tumble 10 s", TUMBLE, uniform(KEYS), workers));
        cases.push(case("tumble 10 s", TUMBLE, zipf, workers));
    }
    // Few keys: the last 3600 windows end together, and each has a row for every key.
    cases.push(case("tumble 1 s", TUMBLE_SECOND, uniform(10), 1));
    cases.push(case("hop 1 h by 1 s", HOP, uniform(10), 1));
    let many = |keys| case("tumble 10 s", TUMBLE, uniform(keys), 1);
    cases.extend(MANY_KEYS.map(many));
    cases
}

/// Runs every case as often as asked, in turn, so that a busy moment does not meet one case alone.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let millstream = Millstream::new(&options.millstream)?;
    let cases = cases();
    match &options.flink {
        Some(directory) => {
            let kafka = Kafka::start(directory)?;
            load(&cases, options.events, kafka.cluster())?;
            measure(&cases, options, &millstream, kafka.address(), "Kafka", report)
        }
        None => {
            millstream.with_broker(|cluster| load(&cases, options.events, cluster))?;
            let address = millstream.address();
            measure(&cases, options, &millstream, address, "embedded", report)
        }
    }
}

fn measure(
    cases: &[Case],
    options: &Options,
    millstream: &Millstream,
    address: &str,
    broker: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    for _ in 0..options.runs.max(1) {
        for case in cases {
            let calibration = calibrate()?;
            let usage = millstream
                .run_with("scale", &case.sql(address), case.workers)
                .with_context(|| case.subject())?;
            let figures = Figures::of(case.subject())
                .text("broker", broker)
                .run(options.events, &usage);
            report.add("scale", figures.number("calibration_ms", calibration))?;
        }
    }
    Ok(())
}

fn load(cases: &[Case], events: u64, cluster: &Cluster) -> anyhow::Result<()> {
    let mut loaded: Vec<Load> = Vec::new();
    for case in cases.iter().map(|case| case.load) {
        if !loaded.contains(&case) {
            let source = Events::with_frequency(case.keys, case.frequency);
            cluster.load(&case.topic(), PARTITIONS, events, source, "lz4")?;
            loaded.push(case);
        }
    }
    Ok(())
}
