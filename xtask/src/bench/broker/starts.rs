//! Starting: on nothing, on a log after a clean end, on one after `kill -9`; and what a broker uses that has nothing to
//! do.

use anyhow::{Context, ensure};

use super::engine::Engine;
use crate::bench::cluster::Record;
use crate::bench::idle;
use crate::bench::report::{Figures, Report};

const TOPIC: &str = "log";
/// 1 GB of log.
const LOG_RECORDS: u64 = 1_000_000;
/// What is written before each `kill -9`: 50 MB.
const BEFORE_KILL_RECORDS: u64 = 50_000;
const RECORD_BYTES: usize = 1000;
const TIMESTAMP_MS: i64 = 1_767_225_600_000;

/// Every broker, one after the other.
pub fn run(engines: &mut [Box<dyn Engine>], report: &mut Report) -> anyhow::Result<()> {
    for engine in engines {
        measure(engine.as_mut(), report).with_context(|| format!("starts of {}", engine.name()))?;
    }
    Ok(())
}

fn measure(engine: &mut dyn Engine, report: &mut Report) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for start in 0..engine.starts() {
        if start > 0 {
            engine.stop(false)?;
        }
        times.push(engine.start_empty()?);
    }
    add(engine, "empty", times, report)?;
    let (cpu_percent, rss_mib) = idle::at_rest(engine.process()?)?;
    let idle = Figures::of("nothing to do, empty").text("engine", engine.name());
    let idle = idle.number("cpu_percent", cpu_percent);
    report.add("broker-idle", idle.number("rss_mib", rss_mib))?;
    engine.cluster()?.create(TOPIC, 1)?;
    write(engine, LOG_RECORDS)?;
    for (subject, kill) in [("1 GB of log, clean end", false), ("1 GB of log, kill -9", true)] {
        let mut times = Vec::new();
        for _ in 0..engine.starts() {
            if kill {
                write(engine, BEFORE_KILL_RECORDS)?;
            }
            let before = engine.cluster()?.count(TOPIC, 1)?;
            engine.stop(kill)?;
            times.push(engine.start()?);
            let after = engine.cluster()?.count(TOPIC, 1)?;
            ensure!(
                before == after,
                "of {before} records {after} are there after a start"
            );
        }
        add(engine, subject, times, report)?;
    }
    engine.stop(false)
}

fn write(engine: &dyn Engine, records: u64) -> anyhow::Result<()> {
    let value = [b'x'; RECORD_BYTES];
    engine
        .cluster()?
        .produce(TOPIC, &[("batch.size", "262144")], |send| {
            for _ in 0..records {
                send(Record {
                    partition: 0,
                    timestamp: TIMESTAMP_MS,
                    value: &value,
                })?;
            }
            Ok(())
        })
}

fn add(engine: &dyn Engine, subject: &str, mut times: Vec<f64>, report: &mut Report) -> anyhow::Result<()> {
    times.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Ok(());
    };
    let figures = Figures::of(subject)
        .text("engine", engine.name())
        .number("ms", times[times.len() / 2])
        .number("ms_min", *first)
        .number("ms_max", *last);
    report.add("broker-start", figures)
}
