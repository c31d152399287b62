//! Real Kafka and Flink beside it, through an executable `rig` that starts them and runs scripts:
//!
//! - `rig kafka start [--fresh] --port P`, which ends with a line like `… (pid 7, format 1.9 s, start 3.3 s)`, and
//!   `rig kafka stop [--kill]`; `rig flink start --fresh --slots 1 …` and `rig flink stop`;
//! - `rig usage --json` prints `pid`, `cpu` and `hwm_mb` for `taskmanager`, `jobmanager` and `kafka`;
//! - `rig kafka-tool NAME …` runs one of Kafka's own tools;
//! - `rig cli -- run -c CLASS [-DKEY=VALUE]… JAR ARGUMENT…` runs a Java program to the end of its job;
//! - `rig sql FILE --json --timeout S` prints a line with `"state":"FINISHED"` and `"seconds"` for a job.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cluster::Cluster;
use super::millstream::free_port;
use super::process::{Cpu, Observed, Usage};
use super::stopwatch::Started;

/// Keeps these processes apart from others that the rig has started.
const INSTANCE: &str = "xtask-bench";
/// Seconds that a start may take: a busy machine needs minutes for what an idle one does in ten seconds.
const START_TIMEOUT_S: &str = "300";
/// Seconds after which a job counts as failed.
const JOB_TIMEOUT_S: &str = "1800";

/// Kafka, running until it is dropped.
pub struct Kafka {
    rig: PathBuf,
    cluster: Cluster,
    port: String,
    address: String,
}

impl Kafka {
    /// Starts it with an empty log.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let kafka = Self::stopped(directory)?;
        kafka.restart(true)?;
        Ok(kafka)
    }

    /// One that is yet to be started.
    pub fn stopped(directory: &Path) -> anyhow::Result<Self> {
        let port = free_port()?.to_string();
        let address = format!("127.0.0.1:{port}");
        // Nothing is connected yet; what was half started is stopped when this goes.
        Ok(Self {
            cluster: Cluster::connect(&address)?,
            port,
            address,
            rig: directory.join("rig"),
        })
    }

    /// Starts it, on an empty log or on what it had; milliseconds until it responded, without formatting the log.
    pub fn restart(&self, fresh: bool) -> anyhow::Result<f64> {
        let mut start = vec![
            "kafka",
            "start",
            "--timeout",
            START_TIMEOUT_S,
            "--port",
            &self.port,
        ];
        start.extend(fresh.then_some("--fresh"));
        let said = call(&self.rig, &start)?;
        start_seconds(&said)
            .map(|seconds| seconds * 1e3)
            .with_context(|| format!("the rig does not tell how long Kafka took to start: {said}"))
    }

    /// Ends it, by SIGKILL if `kill`.
    pub fn stop(&self, kill: bool) -> anyhow::Result<()> {
        let mut stop = vec!["kafka", "stop"];
        stop.extend(kill.then_some("--kill"));
        call(&self.rig, &stop).map(drop)
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn usage_json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = call(&self.rig, &[&["usage", "--json"], arguments].concat())?;
        serde_json::from_str(&text).context("the rig's usage is not JSON")
    }

    /// The broker's process.
    pub fn process(&self) -> anyhow::Result<Observed> {
        let id = self.usage_json(&[])?["kafka"]["pid"].as_u64();
        let id = id.and_then(|id| u32::try_from(id).ok());
        Ok(Observed::new(
            id.context("the rig does not tell Kafka's process")?,
        ))
    }

    /// CPU time so far and peak memory of some processes, summed up.
    pub fn usage(&self, processes: &[&str], reset_peak: bool) -> anyhow::Result<(f64, f64)> {
        let reset: &[&str] = if reset_peak { &["--reset-hwm"] } else { &[] };
        let usage = self.usage_json(reset)?;
        let sum = |name: &str| -> f64 {
            let figures = processes.iter().map(|p| usage[*p][name].as_f64());
            figures.map(Option::unwrap_or_default).sum()
        };
        Ok((sum("cpu"), sum("hwm_mb")))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        stop(&self.rig, "kafka");
    }
}

/// Flink and Kafka, running until it is dropped.
pub struct Flink {
    kafka: Kafka,
}

impl Flink {
    /// Starts both, Flink with one slot and a TaskManager of 4 GB.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let flink = Self {
            kafka: Kafka::start(directory)?,
        };
        let ports = [free_port()?, free_port()?, free_port()?].map(|port| port.to_string());
        let start = ["flink", "start", "--fresh", "--slots", "1", "--tm-mem", "4g"];
        let addresses = [
            "--timeout",
            START_TIMEOUT_S,
            "--rest-port",
            &ports[0],
            "--gateway-port",
            &ports[1],
            "--rpc-port",
            &ports[2],
        ];
        call(&flink.kafka.rig, &[&start[..], &addresses[..]].concat())?;
        Ok(flink)
    }

    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Runs a script to the end of its job. Counted are TaskManager, JobManager and Kafka; the memory is the sum of
    /// their peaks.
    pub fn run(&self, sql: &str) -> anyhow::Result<Usage> {
        self.run_counting(sql, &["taskmanager", "jobmanager", "kafka"])
    }

    /// As [`Flink::run`], counting the TaskManager alone.
    pub fn run_in_task_manager(&self, sql: &str) -> anyhow::Result<Usage> {
        self.run_counting(sql, &["taskmanager"])
    }

    /// Runs a class of `bench/java` to the end of its job, counting the TaskManager alone. The first argument of the program
    /// is the address of Kafka.
    pub fn run_program(
        &self,
        jar: &Path,
        class: &str,
        arguments: &[&str],
        settings: &[&str],
    ) -> anyhow::Result<Usage> {
        let processes = ["taskmanager"];
        let (class, jar) = (format!("bench.{class}"), jar.to_string_lossy());
        let mut command = vec!["cli", "--", "run", "-c", &class];
        command.extend(settings);
        command.extend([&*jar, self.kafka.address()]);
        command.extend(arguments);
        let (before, _) = self.kafka.usage(&processes, true)?;
        let started = Started::now();
        call(&self.kafka.rig, &command)?;
        let wall_s = started.seconds();
        let (after, rss_peak_mib) = self.kafka.usage(&processes, false)?;
        Ok(Usage {
            wall_s,
            cpu: Cpu {
                user_s: after - before,
                system_s: 0.0,
            },
            rss_peak_mib,
            rss_growth_percent: 0.0,
        })
    }

    fn run_counting(&self, sql: &str, processes: &[&str]) -> anyhow::Result<Usage> {
        let script = tempfile::Builder::new().suffix(".sql").tempfile()?;
        std::fs::write(script.path(), sql)?;
        let path = script.path().to_string_lossy().into_owned();
        let (before, _) = self.kafka.usage(processes, true)?;
        let arguments = ["sql", &path, "--json", "--timeout", JOB_TIMEOUT_S];
        let text = call(&self.kafka.rig, &arguments)?;
        let (after, rss_peak_mib) = self.kafka.usage(processes, false)?;
        let mut jobs = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let job = jobs
            .rfind(|line| line["job"].is_string())
            .with_context(|| format!("no job was run: {text}"))?;
        ensure!(job["state"] == "FINISHED", "the job ended as {}", job["state"]);
        Ok(Usage {
            wall_s: job["seconds"].as_f64().unwrap_or(0.0),
            cpu: Cpu {
                user_s: after - before,
                system_s: 0.0,
            },
            rss_peak_mib,
            rss_growth_percent: 0.0,
        })
    }
}

impl Drop for Flink {
    fn drop(&mut self) {
        stop(&self.kafka.rig, "flink");
    }
}

/// The seconds in what `rig kafka start` says: `… (pid 7, format 1.9 s, start 3.3 s)`.
fn start_seconds(said: &str) -> Option<f64> {
    let (_, behind) = said.rsplit_once("start ")?;
    behind.split_ascii_whitespace().next()?.parse().ok()
}

fn stop(rig: &Path, part: &str) {
    if let Err(error) = call(rig, &[part, "stop"]) {
        eprintln!("{part} was not stopped: {error:#}");
    }
}

/// Runs the rig to its end and gives what it prints.
pub fn call(rig: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(rig)
        .args(arguments)
        .env("RIG_INSTANCE", INSTANCE)
        .output()
        .with_context(|| format!("'{}' cannot be run", rig.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "'rig {}' failed: {text}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_start_is_found() {
        let said = "kafka 4.3.1: ready on 127.0.0.1:39192 (pid 29414, format 1.9 s, start 6.7 s)\n";
        assert_eq!(start_seconds(said), Some(6.7));
        assert_eq!(start_seconds("kafka: already running"), None);
    }
}
