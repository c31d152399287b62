//! Whole jobs from topic to topic: the same SQL, the same records, here and in Flink.
//!
//! The topic is loaded before, by a client, and is not counted; what is counted is the whole process that runs the
//! script, broker included, from its start to its end. What came out is checked.

use anyhow::{Context, ensure};

use super::Options;
use super::cluster::Cluster;
use super::events;
use super::millstream::Millstream;
use super::process::Usage;
use super::report::{Figures, Report};
use super::rig::Flink;
use super::stopwatch::calibrate;

/// Events of the run that lets a JVM translate its code before Flink is measured.
const WARM_UP_EVENTS: u64 = 500_000;
const WINDOW: &str = "window";
const PASSTHROUGH: &str = "passthrough";

/// One job over one topic.
#[derive(Clone, Debug)]
pub struct Case {
    pub pipeline: &'static str,
    pub topic: String,
    pub out: String,
    pub events: u64,
    keys: u64,
    codec: String,
}

impl Case {
    fn subject(&self) -> String {
        format!("{}, {} keys, {}", self.pipeline, self.keys, self.codec)
    }

    /// The script, for a cluster at `address`.
    pub fn sql(&self, address: &str) -> String {
        let (sink, insert) = match self.pipeline {
            WINDOW => (
                "k STRING, ws TIMESTAMP(3), n BIGINT, s DOUBLE",
                "SELECT k, window_start, COUNT(*), SUM(amount)\n\
                 FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))\n\
                 GROUP BY k, window_start, window_end",
            ),
            _ => (
                "id BIGINT, k STRING, ts TIMESTAMP(3), cents BIGINT, region STRING, note STRING",
                "SELECT id, k, ts, CAST(amount * 100 AS BIGINT), UPPER(region), note FROM ev WHERE ok",
            ),
        };
        format!(
            "SET 'execution.checkpointing.interval' = '1 s';\n\
             CREATE TABLE ev ({}, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (\n\
             'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{address}',\n\
             'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'specific-offsets',\n\
             'scan.bounded.specific-offsets' = 'partition:0,offset:{}', 'format' = 'json');\n\
             CREATE TABLE snk ({sink}) WITH (\n\
             'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{address}',\n\
             'format' = 'json', 'sink.delivery-guarantee' = 'at-least-once');\n\
             INSERT INTO snk {insert};\n",
            events::COLUMNS,
            self.topic,
            self.events,
            self.out,
        )
    }

    /// Holds what came out against what went in: windows count every event, the filter lets three quarters through.
    pub fn check(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let mut counted = 0u64;
        let rows = cluster.read(&self.out, 1, |value| counted += number_behind(value, b"\"n\":"))?;
        if self.pipeline == WINDOW {
            ensure!(
                counted == self.events,
                "the windows count {counted} of {} events",
                self.events
            );
        } else {
            let share = rows as f64 / self.events as f64;
            ensure!((0.74..0.76).contains(&share), "{rows} rows came out");
        }
        Ok(())
    }
}

/// The digits behind `name` in a JSON text.
fn number_behind(text: &[u8], name: &[u8]) -> u64 {
    let at = text.windows(name.len()).position(|w| w == name);
    let digits = at.map_or(&[][..], |at| &text[at + name.len()..]);
    digits
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .fold(0, |n, d| n * 10 + u64::from(d - b'0'))
}

/// Runs all cases.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let millstream = Millstream::new(&options.millstream)?;
    let cases = cases(options);
    load(&cases, |work| millstream.with_broker(work))?;
    for case in &cases {
        let calibration = calibrate()?;
        let usage = millstream.run(case.pipeline, &case.sql(millstream.address()))?;
        millstream
            .with_broker(|cluster| case.check(cluster))
            .with_context(|| case.subject())?;
        let figures = figures(case, "millstream", &usage);
        let figures = figures.number("rss_growth_percent", usage.rss_growth_percent);
        report.add("pipeline", figures.number("calibration_ms", calibration))?;
    }
    let Some(directory) = &options.flink else {
        return Ok(());
    };
    drop(millstream);
    let flink = Flink::start(directory)?;
    load(&cases, |work| work(flink.kafka().cluster()))?;
    let warm_up = Case {
        events: WARM_UP_EVENTS.min(options.events),
        out: "warm-up".to_owned(),
        ..cases[0].clone()
    };
    flink.kafka().cluster().create(&warm_up.out, 1)?;
    flink.run(&warm_up.sql(flink.kafka().address()))?;
    for case in &cases {
        let calibration = calibrate()?;
        let usage = flink.run(&case.sql(flink.kafka().address()))?;
        case.check(flink.kafka().cluster())
            .with_context(|| case.subject())?;
        let figures = figures(case, "flink + kafka", &usage);
        report.add("pipeline", figures.number("calibration_ms", calibration))?;
    }
    Ok(())
}

fn figures(case: &Case, engine: &str, usage: &Usage) -> Figures {
    Figures::of(case.subject())
        .text("engine", engine)
        .run(case.events, usage)
}

fn cases(options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, keys) in options.keys.iter().enumerate() {
        for codec in &options.codecs {
            for pipeline in [WINDOW, PASSTHROUGH] {
                // Keys make no difference to the pass-through.
                if pipeline == PASSTHROUGH && index > 0 {
                    continue;
                }
                let topic = format!("events-{keys}-{codec}");
                cases.push(Case {
                    pipeline,
                    out: format!("{pipeline}-{topic}"),
                    topic,
                    events: options.events,
                    keys: *keys,
                    codec: codec.clone(),
                });
            }
        }
    }
    cases
}

type Work<'a> = &'a mut dyn FnMut(&Cluster) -> anyhow::Result<()>;

/// Loads the topics of the cases and makes those for their output.
fn load(cases: &[Case], with_cluster: impl FnOnce(Work<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut work = |cluster: &Cluster| {
        let mut loaded: Vec<&str> = Vec::new();
        for case in cases {
            if !loaded.contains(&case.topic.as_str()) {
                cluster.load_events(&case.topic, case.events, case.keys, &case.codec)?;
                loaded.push(&case.topic);
            }
            cluster.create(&case.out, 1)?;
        }
        Ok(())
    };
    with_cluster(&mut work)
}
