//! Who produces and fetches: the project's own client, Kafka's performance tools and librdkafka's, each as it is
//! configured by default but for `acks=all`.
//!
//! What the tools print is read here. Their processes are not measured, the broker's is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::bench::Options;
use crate::bench::cluster::{Cluster, Record};
use crate::bench::rig;
use crate::bench::stopwatch::Started;

/// Records in a row that go to one partition, as a client without keys fills batches.
const RECORDS_IN_A_ROW: usize = 160;
const TIMESTAMP_MS: i64 = 1_767_225_600_000;

/// What is to be produced or fetched.
pub struct Load<'a> {
    pub address: &'a str,
    pub topic: &'a str,
    pub partitions: i32,
    pub record_bytes: usize,
    pub records: usize,
}

/// A client.
pub enum Client {
    /// The project's own.
    Millstream,
    /// Kafka's tools, run by a rig.
    Java { rig: PathBuf },
    /// The executable `rdkafka_performance`.
    Librdkafka { tool: PathBuf },
}

/// How many records went through, and how fast by the client's own watch: without starting a JVM or joining a group.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Passed {
    records: u64,
    records_per_s: f64,
}

impl Client {
    /// Those that are there.
    pub fn all(options: &Options) -> Vec<Self> {
        let java = options.flink.as_ref().map(|directory| Client::Java {
            rig: directory.join("rig"),
        });
        let librdkafka = options
            .librdkafka
            .as_ref()
            .map(|tool| Client::Librdkafka { tool: tool.clone() });
        std::iter::once(Client::Millstream)
            .chain(java)
            .chain(librdkafka)
            .collect()
    }

    pub fn name(&self) -> &'static str {
        match self {
            Client::Millstream => "millstream",
            Client::Java { .. } => "java",
            Client::Librdkafka { .. } => "librdkafka",
        }
    }

    /// Produces with `acks=all`; records per second.
    pub fn produce(&self, load: &Load<'_>) -> anyhow::Result<f64> {
        let passed = match self {
            Client::Millstream => produce_own(load)?,
            Client::Java { rig } => produce_java(rig, load)?,
            Client::Librdkafka { tool } => produce_librdkafka(tool, load)?,
        };
        ensure!(
            passed.records == load.records as u64,
            "{} records were to be produced, {} were acknowledged",
            load.records,
            passed.records
        );
        Ok(passed.records_per_s)
    }

    /// Fetches all of the topic; records per second.
    pub fn fetch(&self, load: &Load<'_>) -> anyhow::Result<f64> {
        let passed = match self {
            Client::Millstream => fetch_own(load)?,
            Client::Java { rig } => fetch_java(rig, load)?,
            Client::Librdkafka { tool } => fetch_librdkafka(tool, load)?,
        };
        ensure!(
            passed.records == load.records as u64,
            "{} records were produced, {} were fetched",
            load.records,
            passed.records
        );
        Ok(passed.records_per_s)
    }
}

fn produce_own(load: &Load<'_>) -> anyhow::Result<Passed> {
    let cluster = Cluster::connect(load.address)?;
    let value = vec![b'x'; load.record_bytes];
    let started = Started::now();
    cluster.produce(load.topic, &[], |send| {
        for record in 0..load.records {
            send(Record {
                partition: (record / RECORDS_IN_A_ROW) as i32 % load.partitions,
                timestamp: TIMESTAMP_MS,
                value: &value,
            })?;
        }
        Ok(())
    })?;
    Ok(Passed {
        records: load.records as u64,
        records_per_s: load.records as f64 / started.seconds(),
    })
}

fn fetch_own(load: &Load<'_>) -> anyhow::Result<Passed> {
    let cluster = Cluster::connect(load.address)?;
    let started = Started::now();
    let records = cluster.read(load.topic, load.partitions, |_| ())?;
    Ok(Passed {
        records,
        records_per_s: records as f64 / started.seconds(),
    })
}

fn produce_java(rig: &Path, load: &Load<'_>) -> anyhow::Result<Passed> {
    let (records, size) = (load.records.to_string(), load.record_bytes.to_string());
    let text = rig::call(
        rig,
        &[
            "kafka-tool",
            "kafka-producer-perf-test",
            "--bootstrap-server",
            load.address,
            "--topic",
            load.topic,
            "--num-records",
            &records,
            "--record-size",
            &size,
            "--throughput",
            "-1",
            "--command-property",
            "acks=all",
        ],
    )?;
    java_produced(&text).with_context(|| format!("kafka-producer-perf-test says: {text}"))
}

/// The last line is the sum: `500000 records sent, 75063.8 records/sec (7.16 MB/sec), …`.
fn java_produced(text: &str) -> Option<Passed> {
    let line = text.lines().rfind(|line| line.contains(" 99.9th"))?;
    let (records, rest) = line.split_once(" records sent, ")?;
    let (records_per_s, _) = rest.split_once(" records/sec")?;
    Some(Passed {
        records: records.trim().parse().ok()?,
        records_per_s: records_per_s.parse().ok()?,
    })
}

fn fetch_java(rig: &Path, load: &Load<'_>) -> anyhow::Result<Passed> {
    let records = load.records.to_string();
    let text = rig::call(
        rig,
        &[
            "kafka-tool",
            "kafka-consumer-perf-test",
            "--bootstrap-server",
            load.address,
            "--topic",
            load.topic,
            "--num-records",
            &records,
        ],
    )?;
    java_fetched(&text).with_context(|| format!("kafka-consumer-perf-test says: {text}"))
}

/// A line of names and a line of figures, both with commas; the time for joining the group is not in `fetch.…`.
fn java_fetched(text: &str) -> Option<Passed> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("start.time"));
    let names: Vec<&str> = lines.next()?.split(',').map(str::trim).collect();
    let figures: Vec<&str> = lines.next()?.split(',').map(str::trim).collect();
    let figure = |name: &str| figures.get(names.iter().position(|n| *n == name)?).copied();
    Some(Passed {
        records: figure("data.consumed.in.nMsg")?.parse().ok()?,
        records_per_s: figure("fetch.nMsg.sec")?.parse().ok()?,
    })
}

fn produce_librdkafka(tool: &Path, load: &Load<'_>) -> anyhow::Result<Passed> {
    let (records, size) = (load.records.to_string(), load.record_bytes.to_string());
    let text = librdkafka(
        tool,
        load,
        &[
            "-P",
            "-c",
            &records,
            "-s",
            &size,
            "-a",
            "-1",
            // The tool's own default is a second; this is the library's.
            "-X",
            "linger.ms=5",
        ],
    )?;
    librdkafka_produced(&text).with_context(|| format!("rdkafka_performance says: {text}"))
}

fn fetch_librdkafka(tool: &Path, load: &Load<'_>) -> anyhow::Result<Passed> {
    let records = load.records.to_string();
    let group = format!("fetch-{}", load.topic);
    let text = librdkafka(tool, load, &["-G", &group, "-o", "beginning", "-c", &records])?;
    librdkafka_passed(&text, " consumed in ").with_context(|| format!("rdkafka_performance says: {text}"))
}

fn librdkafka(tool: &Path, load: &Load<'_>, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(tool)
        .args(arguments)
        .args(["-b", load.address, "-t", load.topic])
        .output()
        .with_context(|| format!("'{}' cannot be run", tool.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "'{}' failed: {text}{}",
        tool.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// `% 500000 messages produced (50000000 bytes), 500000 delivered (offset 45943, 0 failed) in 966ms: 517328 msgs/s …`;
/// delivered is what counts.
fn librdkafka_produced(text: &str) -> Option<Passed> {
    let passed = librdkafka_passed(text, " in ")?;
    let line = text.lines().rfind(|line| line.contains(" delivered ("))?;
    let (before, _) = line.split_once(" delivered (")?;
    Some(Passed {
        records: before.rsplit(' ').next()?.parse().ok()?,
        ..passed
    })
}

/// `% 500000 messages (50000000 bytes) consumed in 600ms: 832875 msgs/s (83.29 MB/s)`: the last line of this kind. The
/// speed is reckoned from the milliseconds.
fn librdkafka_passed(text: &str, before_time: &str) -> Option<Passed> {
    let line = text.lines().rfind(|line| line.contains("ms: "))?;
    let records = line.strip_prefix("% ")?.split(' ').next()?.parse::<u64>().ok()?;
    let (_, behind) = line.split_once(before_time)?;
    let (milliseconds, _) = behind.split_once("ms: ")?;
    let seconds = milliseconds.parse::<f64>().ok()? / 1e3;
    Some(Passed {
        records,
        records_per_s: records as f64 / seconds.max(1e-3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafkas_producer_tool_prints_is_read() {
        let text = "251991 records sent, 50388.1 records/sec (4.81 MB/sec), 337.6 ms avg latency, 1256.0 ms max latency.\n\
                    500000 records sent, 75063.804234 records/sec (7.16 MB/sec), 302.37 ms avg latency, \
                    1256.00 ms max latency, 259 ms 50th, 753 ms 95th, 916 ms 99th, 1126 ms 99.9th.\n";
        let expected = Passed {
            records: 500_000,
            records_per_s: 75063.804234,
        };
        assert_eq!(java_produced(text), Some(expected));
        let unfinished = text.lines().next().unwrap_or_default();
        assert_eq!(java_produced(unfinished), None);
        assert_eq!(
            java_produced("org.apache.kafka.common.errors.TimeoutException\n"),
            None
        );
    }

    #[test]
    fn what_kafkas_consumer_tool_prints_is_read() {
        let text = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
                    rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
                    2026-11-21 19:23:56:845, 2026-11-21 19:24:00:689, 47.6837, 12.4047, 500000, 130072.8408, 1393, \
                    2451, 19.4548, 203998.3680\n";
        let expected = Passed {
            records: 500_000,
            records_per_s: 203_998.368,
        };
        assert_eq!(java_fetched(text), Some(expected));
        let warned = format!("WARNING: option [messages] is deprecated\n{text}");
        assert_eq!(java_fetched(&warned), Some(expected));
        assert_eq!(java_fetched("start.time, end.time\n"), None);
    }

    #[test]
    fn what_librdkafkas_tool_prints_is_read() {
        let text = "% Sending 500000 messages of size 100 bytes\n\
                    % 33 backpressures for 500000 produce calls: 0.007% backpressure rate\n\
                    % 500000 messages produced (50000000 bytes), 499990 delivered (offset 45943, 10 failed) in 500ms: \
                    999980 msgs/s and 100.00 MB/s, 33 produce failures, 0 in queue, no compression\n";
        let expected = Passed {
            records: 499_990,
            records_per_s: 1_000_000.0,
        };
        assert_eq!(librdkafka_produced(text), Some(expected));
        let text = "% Waiting for group rebalance..\n\
                    % 250000 messages (25000000 bytes) consumed in 300ms: 833333 msgs/s (83.33 MB/s)\n\
                    % Group rebalanced (EAGER): 16 partition(s) revoked\n\
                    % 500000 messages (50000000 bytes) consumed in 625ms: 800000 msgs/s (80.00 MB/s)\n\
                    % Average application fetch latency: 1us\n";
        let expected = Passed {
            records: 500_000,
            records_per_s: 800_000.0,
        };
        assert_eq!(librdkafka_passed(text, " consumed in "), Some(expected));
        assert_eq!(librdkafka_passed("% Group rebalanced\n", " consumed in "), None);
    }
}
