//! Producing with `acks=all` and fetching, by each client: megabytes per second and per second of the broker's CPU.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::clients::{Client, Load};
use super::engine::Engine;
use crate::bench::Options;
use crate::bench::report::{Figures, Report};
use crate::bench::stopwatch::{calibrate, pause};

/// Records of 100 bytes and 1 KB, over one and 16 partitions.
const CASES: [(usize, i32); 4] = [(100, 1), (100, 16), (1024, 1), (1024, 16)];
/// Produced and fetched in each of two cases before anything counts: the code of a JVM is translated by then.
const WARM_UP_MEGABYTES: usize = 400;
/// After the last response: what a broker puts off belongs to the case that it was put off in.
const SETTLE: Duration = Duration::from_secs(1);

/// Every case by every client. Case by case all brokers get their turn, so that a busy quarter of an hour meets them
/// alike.
pub fn run(options: &Options, engines: &mut [Box<dyn Engine>], report: &mut Report) -> anyhow::Result<()> {
    for engine in engines.iter_mut() {
        engine.start_empty()?;
        warm_up(engine.as_ref())?;
    }
    for client in Client::all(options) {
        for case in CASES {
            for engine in engines.iter() {
                measure(options, engine.as_ref(), &client, case, report)?;
            }
        }
    }
    for engine in engines.iter_mut() {
        engine.stop(false)?;
    }
    Ok(())
}

/// Lets a JVM translate its code.
fn warm_up(engine: &dyn Engine) -> anyhow::Result<()> {
    for case in [CASES[1], CASES[2]] {
        let topic = engine.cluster()?.create_new("warm-up", case.1)?;
        let load = load(WARM_UP_MEGABYTES, engine, &topic, case);
        Client::Millstream.produce(&load)?;
        Client::Millstream.fetch(&load)?;
        engine.cluster()?.delete(&topic)?;
    }
    Ok(())
}

fn load<'a>(
    megabytes: usize,
    engine: &'a dyn Engine,
    topic: &'a str,
    (record_bytes, partitions): (usize, i32),
) -> Load<'a> {
    Load {
        address: engine.address(),
        topic,
        partitions,
        record_bytes,
        records: megabytes * 1_000_000 / record_bytes,
    }
}

/// Produces and fetches what was produced.
fn measure(
    options: &Options,
    engine: &dyn Engine,
    client: &Client,
    case: (usize, i32),
    report: &mut Report,
) -> anyhow::Result<()> {
    let (record_bytes, partitions) = case;
    let cluster = engine.cluster()?;
    let topic = cluster.create_new("load", partitions)?;
    let load = load(options.megabytes, engine, &topic, case);
    let engine_and_client = Figures::default()
        .text("engine", engine.name())
        .text("client", client.name());
    type Work = fn(&Client, &Load<'_>) -> anyhow::Result<f64>;
    let works: [(&str, Work); 2] = [("produce acks=all", Client::produce), ("fetch", Client::fetch)];
    for (what, work) in works {
        let subject = format!("{what}, {record_bytes} B, {partitions} partition(s)");
        let figures = watch(engine, &load, || work(client, &load))?;
        report.add(
            "broker",
            Figures::of(subject).with(&engine_and_client).with_all(figures),
        )?;
    }
    let there = cluster.count(&topic, partitions)?;
    ensure!(
        there == load.records as u64,
        "{} records were produced, {there} are there",
        load.records
    );
    cluster.delete(&topic)
}

/// What the broker used while the work was done.
fn watch(
    engine: &dyn Engine,
    load: &Load<'_>,
    work: impl FnOnce() -> anyhow::Result<f64>,
) -> anyhow::Result<Figures> {
    // What another broker left to the system to write must not be in the way of this one.
    Command::new("sync").status()?;
    let calibration_ms = calibrate()?;
    let process = engine.process()?;
    process.reset_peak()?;
    let (before, _) = process.cpu()?;
    let records_per_s = work()?;
    pause(SETTLE);
    let (after, _) = process.cpu()?;
    let megabytes = (load.records * load.record_bytes) as f64 / 1e6;
    Ok(Figures::default()
        .number(
            "mb_per_cpu_s",
            megabytes / (after.total_s() - before.total_s()).max(0.01),
        )
        .number("mb_per_s", records_per_s * load.record_bytes as f64 / 1e6)
        .number("user_s", after.user_s - before.user_s)
        .number("system_s", after.system_s - before.system_s)
        .number("rss_peak_mib", process.memory_mib("VmHWM"))
        .number("calibration_ms", calibration_ms))
}
