//! From the moment at which a record is due to be sent to the moment at which a consumer has it, at a steady rate.
//!
//! The clock of a record starts when the schedule says so and not when its producer got round to it: if anything stalls,
//! all records that should have been sent meanwhile have waited, and say so (no coordinated omission). The client is the
//! project's own, for both brokers the same, in this process.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::engine::Engine;
use crate::bench::cluster::{Cluster, Record};
use crate::bench::report::{Figures, Report};
use crate::bench::stopwatch::{Started, calibrate, pause};

const RECORDS_PER_SECOND: u64 = 20_000;
const RECORD_BYTES: usize = 100;
/// Until when records do not count.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long records count.
const MEASURED: Duration = Duration::from_secs(20);
/// Without lingering, and as clients do by default; over one and 16 partitions.
const CASES: [(&str, i32); 4] = [("0", 1), ("0", 16), ("5", 1), ("5", 16)];
const TIMESTAMP_MS: i64 = 1_767_225_600_000;

/// Every case on every broker, one broker after the other.
pub fn run(engines: &mut [Box<dyn Engine>], report: &mut Report) -> anyhow::Result<()> {
    for engine in engines {
        engine.start_empty()?;
        for (linger_ms, partitions) in CASES {
            let subject =
                format!("{RECORDS_PER_SECOND} records/s, linger {linger_ms} ms, {partitions} partition(s)");
            let figures = measure(engine.as_ref(), linger_ms, partitions).with_context(|| subject.clone())?;
            let name = Figures::default().text("engine", engine.name());
            report.add(
                "broker-latency",
                Figures::of(subject).with(&name).with_all(figures),
            )?;
        }
        engine.stop(false)?;
    }
    Ok(())
}

fn measure(engine: &dyn Engine, linger_ms: &str, partitions: i32) -> anyhow::Result<Figures> {
    let calibration_ms = calibrate()?;
    let (sender, receiver) = (engine.cluster()?, engine.cluster()?);
    let topic = sender.create_new("latency", partitions)?;
    let records = RECORDS_PER_SECOND * (WARM_UP + MEASURED).as_secs();
    let process = engine.process()?;
    process.reset_peak()?;
    let (before, _) = process.cpu()?;
    let start = Started::now();
    let mut latencies = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, (&topic, partitions), start, records));
        let sent = send(&sender, (&topic, partitions), linger_ms, start, records);
        let received = receiving.join();
        sent?;
        received.unwrap_or_else(|_| bail!("the thread that receives has panicked"))
    })?;
    let (after, _) = process.cpu()?;
    let cpu_percent = (after.total_s() - before.total_s()) / start.seconds() * 100.0;
    latencies.sort_unstable();
    let quantile = |share: f64| quantile(&latencies, share) / 1e6;
    Ok(Figures::default()
        .number("p50_ms", quantile(0.5))
        .number("p99_ms", quantile(0.99))
        .number("p999_ms", quantile(0.999))
        .number("max_ms", quantile(1.0))
        .number("broker_cpu_percent", cpu_percent)
        .number("rss_peak_mib", process.memory_mib("VmHWM"))
        .number("calibration_ms", calibration_ms))
}

/// When a record is due, counted from the start.
fn due(record: u64) -> Duration {
    Duration::from_nanos(record * 1_000_000_000 / RECORDS_PER_SECOND)
}

fn send(
    cluster: &Cluster,
    (topic, partitions): (&str, i32),
    linger_ms: &str,
    start: Started,
    records: u64,
) -> anyhow::Result<()> {
    let mut value = [b'x'; RECORD_BYTES];
    cluster.produce(topic, &[("linger.ms", linger_ms)], |send| {
        for record in 0..records {
            let early = due(record).saturating_sub(start.elapsed());
            if !early.is_zero() {
                pause(early);
            }
            value[..8].copy_from_slice(&record.to_le_bytes());
            send(Record {
                partition: (record % partitions.unsigned_abs() as u64) as i32,
                timestamp: TIMESTAMP_MS,
                value: &value,
            })?;
        }
        Ok(())
    })
}

/// Nanoseconds of each record that counts.
fn receive(
    cluster: &Cluster,
    (topic, partitions): (&str, i32),
    start: Started,
    records: u64,
) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::with_capacity(records as usize);
    let mut seen = 0u64;
    cluster.follow(topic, partitions, records, |value| {
        let now = start.elapsed();
        let Some(record) = value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else {
            return;
        };
        seen += 1;
        let due = due(record);
        if due >= WARM_UP {
            let latency = now.saturating_sub(due).as_nanos();
            latencies.push(u64::try_from(latency).unwrap_or(u64::MAX));
        }
    })?;
    ensure!(seen == records, "{records} records were sent, {seen} came");
    Ok(latencies)
}

/// The value below which that share of the sorted values lies.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let at = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).map_or(0.0, |value| *value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sorted: Vec<u64> = (1..=1000).collect();
        for (share, expected) in [
            (0.0, 1.0),
            (0.5, 500.0),
            (0.99, 990.0),
            (0.999, 999.0),
            (1.0, 1000.0),
        ] {
            assert_eq!(quantile(&sorted, share), expected, "{share}");
        }
        assert_eq!(quantile(&[7], 0.5), 7.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn records_are_due_at_a_steady_rate() {
        assert_eq!(due(0), Duration::ZERO);
        assert_eq!(due(RECORDS_PER_SECOND * 3), Duration::from_secs(3));
        assert_eq!(due(1), Duration::from_micros(50));
    }
}
