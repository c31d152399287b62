//! The broker as a process: producing with `acks=all` and fetching, by the same client for the broker here, which answers
//! after the disk has it, and for a real Kafka, which answers before.

use anyhow::ensure;

use super::Options;
use super::cluster::{Cluster, Record};
use super::millstream::Millstream;
use super::report::{Figures, Report};
use super::rig::Kafka;
use super::stopwatch::Started;

/// Bytes that are produced and fetched in a case.
const CASE_BYTES: usize = 400 << 20;
/// Records of 100 bytes and 1 KB, over one and 16 partitions.
const CASES: [(usize, i32); 4] = [(100, 1), (100, 16), (1024, 1), (1024, 16)];
/// Records in a row that go to one partition, as a client without keys fills batches.
const RECORDS_IN_A_ROW: usize = 1000;
const TIMESTAMP_MS: i64 = 1_767_225_600_000;

/// CPU seconds so far and peak memory in MiB of a broker.
type Probe<'a> = &'a dyn Fn() -> anyhow::Result<(f64, f64)>;

pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    for (bytes, partitions) in CASES {
        let millstream = Millstream::new(&options.millstream)?;
        let started = Started::now();
        let (process, cluster) = millstream.broker()?;
        let start_ms = started.seconds() * 1e3;
        let probe = || Ok((process.cpu()?.0.total_s(), process.memory_mib("VmHWM")));
        let engine = Figures::default().text("engine", "millstream");
        for figures in case(&cluster, bytes, partitions, &probe)? {
            report.add("broker", figures.with(&engine).number("start_ms", start_ms))?;
        }
        drop(cluster);
        process.terminate()?;
    }
    let Some(directory) = &options.flink else {
        return Ok(());
    };
    for (bytes, partitions) in CASES {
        let kafka = Kafka::start(directory)?;
        let probe = || kafka.usage(&["kafka"], false);
        let engine = Figures::default().text("engine", "kafka");
        // The first one lets the JVM translate its code.
        case(kafka.cluster(), bytes, partitions, &probe)?;
        for figures in case(kafka.cluster(), bytes, partitions, &probe)? {
            report.add("broker", figures.with(&engine))?;
        }
    }
    Ok(())
}

/// Produces and fetches what was produced.
fn case(
    cluster: &Cluster,
    record_bytes: usize,
    partitions: i32,
    probe: Probe<'_>,
) -> anyhow::Result<[Figures; 2]> {
    let records = CASE_BYTES / record_bytes;
    let topic = cluster.create_new("load", partitions)?;
    let value = vec![b'x'; record_bytes];
    let produced = measure("produce acks=all", record_bytes, partitions, probe, || {
        cluster.produce(&topic, &[("linger.ms", "5"), ("batch.size", "65536")], |send| {
            for record in 0..records {
                send(Record {
                    partition: (record / RECORDS_IN_A_ROW) as i32 % partitions,
                    timestamp: TIMESTAMP_MS,
                    value: &value,
                })?;
            }
            Ok(())
        })
    })?;
    let fetched = measure("fetch", record_bytes, partitions, probe, || {
        let read = cluster.read(&topic, partitions, |_| ())?;
        ensure!(
            read == records as u64,
            "{records} records were produced, {read} are there"
        );
        Ok(())
    })?;
    Ok([produced, fetched])
}

fn measure(
    what: &str,
    record_bytes: usize,
    partitions: i32,
    probe: Probe<'_>,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Figures> {
    let ((before, _), started) = (probe()?, Started::now());
    work()?;
    let (wall, (after, rss_peak_mib)) = (started.seconds(), probe()?);
    let megabytes = (CASE_BYTES / record_bytes * record_bytes) as f64 / 1e6;
    let subject = format!("{what}, {record_bytes} B, {partitions} partition(s)");
    Ok(Figures::of(subject)
        .number("mb_per_cpu_s", megabytes / (after - before).max(0.01))
        .number("mb_per_s", megabytes / wall)
        .number("rss_peak_mib", rss_peak_mib))
}
