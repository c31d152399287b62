//! What a process uses that has nothing to do.

use std::process::Stdio;
use std::time::Duration;

use super::Options;
use super::events;
use super::millstream::Millstream;
use super::process::{Observed, Process};
use super::report::{Figures, Report};
use super::stopwatch::pause;

/// Until what was there at the start is done.
const SETTLE: Duration = Duration::from_secs(5);
/// How long idleness is observed.
const OBSERVED: Duration = Duration::from_secs(20);

/// The broker alone, and with an unbounded job whose topic gets no records.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let millstream = Millstream::new(&options.millstream)?;
    millstream.with_broker(|cluster| {
        cluster.load_events("events", 10_000, 1000, "none")?;
        cluster.create("out", 1)
    })?;
    let (broker, cluster) = millstream.broker()?;
    drop(cluster);
    idle("broker", &broker, report)?;
    broker.terminate()?;
    let sql = format!(
        "CREATE TABLE ev ({}, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (\n\
         'connector' = 'kafka', 'topic' = 'events', 'properties.bootstrap.servers' = '{address}',\n\
         'scan.startup.mode' = 'earliest-offset', 'format' = 'json');\n\
         CREATE TABLE snk (k STRING, n BIGINT) WITH ('connector' = 'kafka', 'topic' = 'out',\n\
         'properties.bootstrap.servers' = '{address}', 'format' = 'json');\n\
         INSERT INTO snk SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))\n\
         GROUP BY k, window_start, window_end;\n",
        events::COLUMNS,
        address = millstream.address(),
    );
    let script = millstream.script("idle", &sql)?;
    let mut command = millstream.command(&["run", &script.to_string_lossy()]);
    let job = Process::spawn(command.stdout(Stdio::null()))?;
    idle("window job with checkpoints every second", &job, report)?;
    job.terminate()?;
    Ok(())
}

fn idle(subject: &str, process: &Process, report: &mut Report) -> anyhow::Result<()> {
    let (cpu_percent, rss_mib) = at_rest(process.observed())?;
    let figures = Figures::of(subject).number("cpu_percent", cpu_percent);
    report.add("idle", figures.number("rss_mib", rss_mib))
}

/// Percent of a core and resident MiB of a process that has nothing to do.
pub fn at_rest(process: Observed) -> anyhow::Result<(f64, f64)> {
    pause(SETTLE);
    let before = process.cpu()?.0.total_s();
    pause(OBSERVED);
    let spent = process.cpu()?.0.total_s() - before;
    let percent = spent / OBSERVED.as_secs_f64() * 100.0;
    Ok((percent, process.memory_mib("VmRSS")))
}
