//! Real Kafka and Flink beside it, through an executable `rig` that starts them and runs scripts:
//!
//! - `rig kafka start --fresh --port P`, `rig flink start --fresh --slots 1 …`, and `stop` for both;
//! - `rig usage --json` prints `cpu` and `hwm_mb` for `taskmanager`, `jobmanager` and `kafka`;
//! - `rig sql FILE --json --timeout S` prints a line with `"state":"FINISHED"` and `"seconds"` for a job.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cluster::Cluster;
use super::millstream::free_port;
use super::process::{Cpu, Usage};

/// Keeps these processes apart from others that the rig has started.
const INSTANCE: &str = "xtask-bench";
/// Seconds that a start may take: a busy machine needs minutes for what an idle one does in ten seconds.
const START_TIMEOUT_S: &str = "300";
/// Seconds after which a job is given up.
const JOB_TIMEOUT_S: &str = "1800";

/// Kafka, running until it is dropped.
pub struct Kafka {
    rig: PathBuf,
    cluster: Cluster,
    address: String,
}

impl Kafka {
    /// Starts it with an empty log.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let rig = directory.join("rig");
        let port = free_port()?.to_string();
        let address = format!("127.0.0.1:{port}");
        // Nothing is connected yet; what was half started is stopped when this goes.
        let kafka = Self {
            cluster: Cluster::connect(&address)?,
            address,
            rig,
        };
        let start = [
            "kafka",
            "start",
            "--fresh",
            "--timeout",
            START_TIMEOUT_S,
            "--port",
            &port,
        ];
        call(&kafka.rig, &start)?;
        Ok(kafka)
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// CPU time so far and peak memory of some processes, summed up.
    pub fn usage(&self, processes: &[&str], reset_peak: bool) -> anyhow::Result<(f64, f64)> {
        let reset: &[&str] = if reset_peak { &["--reset-hwm"] } else { &[] };
        let text = call(&self.rig, &[&["usage", "--json"], reset].concat())?;
        let usage: Value = serde_json::from_str(&text).context("the rig's usage is no JSON")?;
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
        let processes = ["taskmanager", "jobmanager", "kafka"];
        let script = tempfile::Builder::new().suffix(".sql").tempfile()?;
        std::fs::write(script.path(), sql)?;
        let path = script.path().to_string_lossy().into_owned();
        let (before, _) = self.kafka.usage(&processes, true)?;
        let arguments = ["sql", &path, "--json", "--timeout", JOB_TIMEOUT_S];
        let text = call(&self.kafka.rig, &arguments)?;
        let (after, rss_peak_mib) = self.kafka.usage(&processes, false)?;
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

fn stop(rig: &Path, part: &str) {
    if let Err(error) = call(rig, &[part, "stop"]) {
        eprintln!("{part} was not stopped: {error:#}");
    }
}

fn call(rig: &Path, arguments: &[&str]) -> anyhow::Result<String> {
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
